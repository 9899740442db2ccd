//! Programs on Rust's `std` and on C, as components: what they print, and how they end.
use crate::hardware::Hardware;
use crate::scenario::{Image, LAST, SAY_WITHIN, Scenario, Stage, last_lines};
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "echo".into(),
            about: "echo servers on std and on tokio: short messages, much at once, clients that go, a host stack that dies".into(),
            image: Image::Product("gateway-std"),
            // The real ports are chosen when the machine starts.
            hardware: Hardware { further_ports: vec![(0, 7), (0, 8)], ..Hardware::default() },
            run: echo,
        },
        Scenario {
            name: "stacks".into(),
            about: "threads that overflow their stacks fault at the page below, and what lies beside them is whole".into(),
            image: Image::Product("gateway-std"),
            hardware: Hardware::default(),
            run: overflows,
        },
        Scenario {
        name: "std".into(),
        about: "programs on std and C print, sleep and hash with real seeds, are refused what was not granted, end with a status".into(),
        image: Image::Product("gateway-std"),
        hardware: Hardware::default(),
        run: programs,
    }]
}

/// The lines that the console must show, from the level on. An info line is standard output or a good end, a warning standard error or a refusal.
const LINES: [&str; 101] = [
    "I hello-std: hello from std, hello-std one two",
    "I hello-std: MOOD is Ok(\"fine\")",
    "I hello-std: [(\"the\", 3), (\"brown\", 1), (\"dog\", 1), (\"end\", 1)",
    "I hello-std: sum 3581496.489, 88890 digits",
    "I hello-std: slept at least 20 ms: true",
    "I hello-std: threads: 6000, 0, 4950",
    "I hello-std: a time-out: true",
    "W hello-std: clone refused: all threads of component.toml run",
    "I hello-std: a fifth thread: Resource temporarily unavailable (os error 11); 3 others ended",
    "I hello-std: a file: No such file or directory (os error 2)",
    "I hello-std: a socket: Permission denied (os error 13)",
    "I hello-std: a process: Permission denied (os error 13)",
    "W hello-std: and one line in two parts",
    "W hello-std: openat refused: its component was granted no files",
    "W hello-std: bind refused: its component was granted no network",
    "I hello-std: talks to itself: 127.0.0.1 TO MYSELF true, ::1 TO MYSELF true, datagrams 5 true Err(ConnectionRefused), a path hi Err(NotFound), a name 4 5",
    "W hello-std: ended with status 3",
    "W hello-panic: as told",
    "E hello-panic: ended by signal 6",
    "I hello-c: hello from C, hello-c has 1 arguments",
    "I hello-c: one third is 0.333333, as a long double 0.333333333333333333",
    "I hello-c: memory keeps what is written: yes",
    "I hello-c: slept at least 20 ms: yes",
    "I hello-c: handled 1 signal",
    "I hello-c: writable and executable memory: Permission denied",
    "I hello-c: a file: No such file or directory",
    "I hello-c: a copy: Function not implemented",
    "I hello-c: http is port 80, the user is hello-c, the program /bin/hello-c",
    "I hello-c: processor time: Invalid argument",
    "I hello-c: a seed: Operation not permitted",
    "I hello-c: a device of seeds: Permission denied",
    "I hello-c: a look into its parent: Operation not permitted",
    "I hello-c: the interfaces: Address family not supported by protocol",
    "I hello-c: every packet: Operation not permitted",
    "W hello-c: clone refused: a component cannot be copied or replaced",
    "W hello-c: getrandom refused: randomness was not granted",
    "W hello-c: openat refused: randomness was not granted",
    "W hello-c: clock_gettime refused: a component is not told how long it computed",
    "W hello-c: ptrace refused: a component looks into no other",
    "W hello-c: socket refused: a component has no AF_NETLINK sockets",
    "W hello-c: socket refused: a component has no packet sockets",
    "I hello-c: ended with status 0",
    "I hello-pthreads: a sixth thread: Resource temporarily unavailable",
    "I hello-pthreads: turns: 4000 of 4000, counted apart 4000, keys destroyed 4",
    "I hello-pthreads: detached threads: 200",
    "I hello-pthreads: to cancel a thread: Function not implemented",
    "I hello-pthreads: a time-out: yes",
    "I hello-pthreads: ended with status 0",
    "I hello-spawn: argument 0 is [/bin/hello-worker]",
    "I hello-spawn: argument 2 is [two words]",
    "I hello-spawn: argument 3 is []",
    "I hello-spawn: argument 4 is [x=y]",
    "I hello-spawn: MOOD is fine, OTHER is not set",
    "I hello-spawn: a parent: yes, a number of its own: yes",
    "I hello-spawn: show: exit status: 0, 0 bytes of errors",
    "I hello-spawn: a status: exit status: 5",
    "I hello-spawn: a fault: signal: 11 (SIGSEGV)",
    "I hello-spawn: an abort: signal: 6 (SIGABRT)",
    "I hello-spawn: a kill: None, then signal: 9 (SIGKILL)",
    "I worker-0: argument 1 is [show]",
    "I hello-spawn: copied: true true exit status: 0",
    "I hello-spawn: it says copied 300000 bytes",
    "I hello-spawn: to one that has ended: Some(Err(BrokenPipe)), exit status: 0",
    "I hello-spawn: two at once: true; a third: Err(\"Resource temporarily unavailable (os error 11)\")",
    "I hello-spawn: both: exit status: 0 exit status: 0",
    "I hello-spawn: read \"a line that is thirty-two bytes!\", then signal: 13 (SIGPIPE)",
    "I hello-spawn: again and again: true",
    "I hello-spawn: no such program: No such file or directory (os error 2)",
    "I hello-spawn: one by its name: exit status: 4",
    "I hello-spawn: a directory that is not there: No such file or directory (os error 2)",
    "I hello-spawn: much: exit status: 0",
    "I hello-spawn: too much: Argument list too long (os error 7)",
    "I hello-spawn: leaves 111 behind",
    "I hello-spawn: ended with status 0",
    "I hello-popen: the first says waits",
    "I hello-popen: none has ended: 0",
    "I hello-popen: handled: yes, 15",
    "I hello-popen: ended: yes, code 2, signal 15",
    "I hello-popen: told of children: yes",
    "I hello-popen: then: No such process",
    "I hello-popen: and: No child process",
    "I hello-popen: the shell was asked for [what a person types]",
    "I hello-popen: its status: 3",
    "I hello-popen: system: 3",
    "I hello-popen: last words: 99000 bytes, then -6",
    "I hello-popen: posix_spawn show: Not supported",
    "I hello-popen: a fork: Function not implemented",
    "I hello-signals: in 20 ms: Resource temporarily unavailable",
    "I hello-signals: pending: 1 1 0",
    "I hello-signals: sigwait: the first",
    "I hello-signals: signalfd: 1, the second",
    "I hello-signals: and then: Resource temporarily unavailable",
    "I hello-signals: sigsuspend: Interrupted system call, handled then",
    "I hello-signals: alarm: Interrupted system call, handled then; of the next 100 s are left",
    "I plain-signals: ready",
    "I deaf-signals: ready",
    "I stress-std: stress: handed on 89700",
    "I stress-std: stress: turns 900",
    "I stress-std: stress: readers saw only whole pairs: true",
    "I stress-std: stress: came and went 300",
    "I stress-std: stress: three others wait for ever",
];

/// What has ended by then, or was spawned.
const ENDED: [&str; 7] = ["hello-", "worker-", "sh-", "plain-", "deaf-", "guest-c", "overflow"];

/// Waits until the console has shown all of these, in any order: several programs write at once. Its text.
pub(super) fn all_said(stage: &mut Stage, lines: &[&str]) -> Result<String> {
    let deadline = Instant::now() + SAY_WITHIN;
    loop {
        let log = stage.console().text();
        let missing: Vec<&&str> = lines.iter().filter(|line| !log.contains(**line)).collect();
        if missing.is_empty() {
            return Ok(log);
        }
        let is_over = Instant::now() >= deadline;
        ensure!(!is_over, "not on the console: {missing:#?}. Its last lines:\n{}", last_lines(&log, LAST));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until the console has shown a line so many times.
pub(super) fn said_times(stage: &mut Stage, line: &str, times: usize) -> Result<()> {
    let deadline = Instant::now() + SAY_WITHIN;
    loop {
        let text = stage.console().text();
        let count = text.matches(line).count();
        if count == times {
            return Ok(());
        }
        let is_over = count > times || Instant::now() >= deadline;
        ensure!(!is_over, "{count} times and not {times}: {line}. The last lines:\n{}", last_lines(&text, LAST));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn programs(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let log = all_said(stage, &LINES)?;
    let refusals = log.matches("hello-std: openat refused").count();
    ensure!(refusals == 1, "a refusal is to be told once, not {refusals} times");
    // Both would be the same if a hash map's seed came from anything but the entropy server.
    let seed = |name: &str| {
        let rest = log.split_once(&format!("{name}: seed ")).with_context(|| format!("{name} tells no seed"))?.1;
        Ok::<_, anyhow::Error>(rest.lines().next().unwrap_or_default().trim().to_string())
    };
    let seeds = (seed("hello-std")?, seed("hello-panic")?);
    ensure!(seeds.0 != seeds.1, "two instances hash alike: {seeds:?}");
    // Status 0 is no fault: its policy `on-fault` starts it no more.
    let status = stage.command("svc status hello-c", "\n> ")?;
    let is_left =
        status.lines().any(|line| line.starts_with("hello-c") && line.contains(" ended       1     1      0"));
    ensure!(
        is_left && status.contains("came to its end"),
        "hello-c is not taken for one that came to its end:\n{status}"
    );
    left_behind(stage)?;
    asked_to_end(stage)?;
    // Whoever knew of the children is gone: they end, and the next one can be spawned.
    stage.command("kill procd", "\n> ")?;
    all_said(
        stage,
        &["I hello-popen: lost: yes, -9", "I hello-popen: the next: yes, 4", "I hello-popen: ended with status 0"],
    )?;
    let processes = stage.command("ps", "of memory are free")?;
    let state = |name: &str| {
        processes.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_whitespace().nth(1))
    };
    ensure!(
        (state("hello-c"), state("hello-std")) == (Some("ended"), Some("faulted")),
        "a status is taken for another:\n{processes}"
    );
    stage.compare_grants_without(&ENDED)?;
    stage.power_off()
}

/// An operator's stop asks a program first: it tidies up, or ends by the signal, or is stopped after a while. None is started again.
fn asked_to_end(stage: &mut Stage) -> Result<()> {
    for name in ["hello-signals", "plain-signals", "deaf-signals"] {
        // One that ends by the signal may be gone before the console looks.
        let said = stage.command(&format!("svc stop {name}"), "\n> ")?;
        ensure!(["is asked to end", "is stopped"].iter().any(|end| said.contains(end)), "{name} is not asked:\n{said}");
    }
    all_said(
        stage,
        &[
            "I hello-signals: asked to end: Terminated",
            "I hello-signals: ended with status 0",
            "E plain-signals: ended by signal 15",
            "deaf-signals did not end when it was asked to: it is stopped",
        ],
    )?;
    let status = stage.command("svc status", "\n> ")?;
    for name in ["hello-signals", "plain-signals", "deaf-signals"] {
        let is_stopped = status.lines().any(|line| line.starts_with(name) && line.contains(" stopped "));
        ensure!(is_stopped, "{name} is not stopped:\n{status}");
    }
    Ok(())
}

/// The child that its parent left behind was ended: once one was killed, and once its parent ended. Nobody else starts it again.
fn left_behind(stage: &mut Stage) -> Result<()> {
    const WHY: &str = "worker-0 was stopped: stopped by procd: its parent ended it, or ended itself";
    said_times(stage, WHY, 2).context("a child lives longer than its parent")?;
    let status = stage.command("svc status worker-0", "\n> ")?;
    let is_idle = status.lines().any(|line| line.starts_with("worker-0") && line.contains(" idle "));
    ensure!(is_idle, "worker-0 is not idle:\n{status}");
    let start = stage.command("svc start worker-0", "\n> ")?;
    ensure!(start.contains("NotAllowed"), "an operator starts what is spawned:\n{start}");
    Ok(())
}

/// Threads that overflow: of std with the stack that it is told of, by a frame after the other; of C by a byte, below the usual guard and a thin one.
/// Each ends its component, which is started again, and ends the same way.
fn overflows(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let last = "the lowest byte of its stack is its own, below are";
    for (name, says, wrote_to) in [
        // std was told so much that musl's own share of the 64 KiB is left; where in the two pages below the step was is the compiler's to say.
        ("overflow", "std is told of Ok(\"61440\") bytes".to_string(), "0x7200"),
        ("overflow-c", format!("{last} 8192 without access"), "0x72001fff"),
        ("overflow-thin", format!("{last} 4096 without access"), "0x72001fff"),
    ] {
        said_times(stage, &format!("I {name}: {says}"), 2)?;
        said_times(stage, &format!("{name} faulted: wrote to the address {wrote_to}"), 2)?;
    }
    said_times(stage, "I overflow: at step 16 all is well", 2)?;
    let log = stage.console().text();
    let survived = ["is overwritten", "somebody else's", "it came back from", "the stack is in the heap"];
    for words in survived {
        ensure!(!log.contains(words), "a thread went on beyond its stack: {words}\n{}", last_lines(&log, 40));
    }
    let status = stage.command("svc status overflow", "\n> ")?;
    ensure!(status.contains("which is not mapped"), "the supervisor does not know why it ended:\n{status}");
    stage.power_off()
}

/// How long an echo may take; the machine is emulated, and the host may be busy.
const ECHO_WITHIN: Duration = Duration::from_secs(60);

fn echo(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let ports: Vec<u16> = stage.further_ports.iter().map(|(ours, _)| *ours).collect();
    let ready =
        ["echo-std: listening on 0.0.0.0:7", "echo-tokio: listening on 0.0.0.0:8", "slept at least 30 ms: true"];
    all_said(stage, &ready)?;
    for (name, port) in ["std", "tokio"].into_iter().zip(&ports) {
        talk(*port).with_context(|| format!("echo-{name}"))?;
    }
    all_said(stage, &["echo-std: a client sent 200320 bytes", "echo-tokio: 3 clients sent 200960 bytes"])?;
    all_said(
        stage,
        &[
            "hello-std: ended",
            "hello-panic: ended",
            "hello-c: ended",
            "hello-pthreads: ended",
            "hello-spawn: ended",
            "hello-popen: one more: waits for ever",
            "its parent ended it, or ended itself",
            "stress: three others wait",
            "hello-signals: ready",
            "plain-signals: ready",
            "deaf-signals: ready",
        ],
    )?;
    asked_to_end(stage)?;
    // A parent that is killed takes its child with it.
    stage.command("kill hello-popen", "\n> ")?;
    all_said(
        stage,
        &["hello-popen was stopped", "sh-0 was stopped: stopped by procd: its parent ended it, or ended itself"],
    )?;
    stage.compare_grants_without(&ENDED)?;
    stage.command("kill netd", "\n> ")?;
    let deadline = Instant::now() + ECHO_WITHIN;
    for port in ports {
        // Until the host stack is there again nobody listens.
        while let Err(error) = talk(port) {
            ensure!(Instant::now() < deadline, "after the host stack came back: {error:#}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    stage.compare_live()?;
    stage.power_off()
}

/// Two short conversations at the same time, and one with much at once.
fn talk(port: u16) -> Result<()> {
    let open = || -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(ECHO_WITHIN))?;
        Ok(stream)
    };
    let (mut first, mut second, mut bulk) = (open()?, open()?, open()?);
    for round in 0..5 {
        for stream in [&mut first, &mut second] {
            let (sent, mut back) = ([round; 64], [0; 64]);
            stream.write_all(&sent)?;
            stream.read_exact(&mut back)?;
            ensure!(back == sent, "round {round} came back otherwise");
        }
    }
    let sent: Vec<u8> = (0..200_320_u32).map(|at| (at % 251) as u8).collect();
    let mut writer = bulk.try_clone()?;
    let copy = sent.clone();
    let sending = std::thread::spawn(move || writer.write_all(&copy).and_then(|()| writer.shutdown(Shutdown::Write)));
    let mut back = Vec::new();
    bulk.read_to_end(&mut back)?;
    sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    ensure!(back == sent, "{} bytes came back of {}", back.len(), sent.len());
    Ok(())
}
