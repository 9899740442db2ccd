//! udevd: the device's list of devices against what QEMU was told to make.
use super::gateway;
use crate::hardware::Hardware;
use crate::scenario::{BOOT_WITHIN, Image, Scenario, Stage, lines_with};
use anyhow::{Context, Result, ensure};
use std::thread::sleep;
use std::time::Duration;

/// What is in the machine besides its card and its entropy device: a balloon behind transport 16, and on PCI an entropy device and a block device's bus.
const MORE: [&str; 2] = ["virtio-balloon-device,bus=virtio-mmio-bus.16", "virtio-rng-pci,addr=5"];

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        gateway("devices", "udevd lists what QEMU's board has, what drives it and what nothing drives", board),
        Scenario {
            name: "devices-without-driver".into(),
            about: "devices that nothing drives are listed and told once, by what they are and where".into(),
            image: Image::Product("gateway"),
            hardware: Hardware { devices: MORE.map(String::from).into(), ..Hardware::default() },
            run: undriven,
        },
        Scenario {
            name: "driver-without-device".into(),
            about:
                "a driver whose device is not there is not started, who needs it says so, nothing ends, the rest lives"
                    .into(),
            image: Image::Product("gateway"),
            hardware: Hardware { has_entropy: false, ..Hardware::default() },
            run: missing,
        },
    ]
}

/// A line of the list: bus, address, interrupt, device, and the end of it.
type Line = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// QEMU docs/system/arm/virt.rst; the interrupts are those of the board's device tree.
const BOARD: [Line; 9] = [
    ("tree", "9000000", "33", "arm,pl011", "console"),
    ("tree", "9010000", "34", "arm,pl031", "NO DRIVER"),
    ("tree", "9020000", "-", "qemu,fw-cfg-mmio", "NO DRIVER"),
    ("tree", "9030000", "39", "arm,pl061", "NO DRIVER"),
    ("tree", "8000000", "-", "arm,cortex-a15-gic", "the platform"),
    ("tree", "4010000000", "-", "pci-host-ecam-generic", "the platform"),
    ("pci", "4010000000", "-", "pci 1b36:0008 class 060000", "the platform"),
    ("virtio", "a000000", "48", "virtio 1", "nic"),
    ("virtio", "a001000", "56", "virtio 4", "rng"),
];

fn words(text: &str) -> Vec<String> {
    text.lines().map(words_of).collect()
}

fn words_of(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn check(text: &str, lines: &[Line]) -> Result<()> {
    let printed = words(text);
    for (bus, address, interrupt, device, by) in lines {
        let wanted = format!("{bus} {address} {interrupt} {device} {by}");
        ensure!(printed.contains(&wanted), "not in the list: {wanted:?}\n{text}");
    }
    Ok(())
}

/// Transports without a device are none, and a look changes nothing.
fn board(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let text = stage.command("devices", " without a driver")?;
    check(&text, &BOARD)?;
    let count = |bus: &str| words(&text).iter().filter(|line| line.starts_with(bus)).count();
    ensure!(count("virtio ") == 2 && count("pci ") == 1, "QEMU has two devices behind virtio and a bridge:\n{text}");
    let again = stage.command("devices scan", " without a driver")?;
    ensure!(words(&again).contains(&"0 changes".to_string()), "nothing changed:\n{again}");
    stage.finish()
}

fn undriven(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let text = stage.command("devices", " without a driver")?;
    check(&text, &BOARD)?;
    // Virtio 1.2 §5: 5 is a memory balloon. Its transitional PCI identity is 1005, as a modern device 1044 (0x1040 + 4).
    check(&text, &[("virtio", "a002000", "64", "virtio 5", "NO DRIVER")])?;
    let on_pci = words(&text).into_iter().find(|line| line.starts_with("pci 4010028000 - pci 1af4:10"));
    ensure!(on_pci.is_some_and(|line| line.ends_with("NO DRIVER")), "the entropy device on PCI is not listed:\n{text}");
    let log = stage.command("log 1000", "\n> ")?;
    let told = words(&log).iter().filter(|line| line.ends_with("no driver for virtio 5 at 0xa002000")).count();
    ensure!(told == 1, "the balloon is told {told} times:\n{}", lines_with(&log, "no driver"));
    stage.finish()
}

/// Who runs all the same.
const LIVING: [&str; 11] =
    ["logd", "console", "timed", "nic", "httpd", "status", "shell", "procd", "entropyd", "auditd", "udevd"];
/// Longer than the supervisor waits for a finder's word, and than it takes to find somebody who hangs.
const LOOP_SHOWS_WITHIN: Duration = Duration::from_secs(15);

/// Without entropy there are no numbers that nobody can guess, so no network; the console and all else live.
fn missing(stage: &mut Stage) -> Result<()> {
    stage.console().expect("rng is not started: its device is not there", BOOT_WITHIN)?;
    sleep(LOOP_SHOWS_WITHIN);
    // On a slow host not all have begun by then; a second life is never a first one again.
    let is_first = |text: &str, name: &str| {
        text.lines().map(words_of).any(|words| words.starts_with(&format!("{name} running 1 ")))
    };
    let text =
        stage.command_until("ps", " of memory are free", |text| LIVING.iter().all(|name| is_first(text, name)))?;
    let lines = words(&text);
    let line = |name: &str| {
        lines
            .iter()
            .find(|line| line.starts_with(&format!("{name} ")))
            .with_context(|| format!("ps has no line of {name}:\n{text}"))
    };
    let waits = "waits for the device of rng, which is not there";
    for (name, state, why) in
        [("rng", "no device", "waits for its device, which is not there"), ("netd", "held", waits)]
    {
        let found = line(name)?;
        ensure!(
            found.starts_with(&format!("{name} {state} 1 ")) && found.ends_with(why),
            "not so: {name} {state}:\n{text}"
        );
    }
    let log = stage.command("log 1000", "\n> ")?;
    ensure!(
        log.contains("there is no source of noise now: waits until there is one"),
        "entropyd says nothing:\n{}",
        lines_with(&log, "entropyd")
    );
    ensure!(
        log.contains(&format!("netd is held: it {waits}")),
        "nobody says why netd does not run:\n{}",
        lines_with(&log, "netd")
    );
    let refused = stage.command("svc start netd", "\n> ")?;
    ensure!(refused.contains("NoDevice"), "netd is started without numbers:\n{refused}");
    let again = stage.command("devices scan", " without a driver")?;
    ensure!(!again.contains("virtio 4") && words(&again).contains(&"0 changes".to_string()), "{again}");
    // Who is held has all that it is declared to have.
    stage.finish()
}
