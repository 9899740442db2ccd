//! Programs that nobody here wrote, as components: what they print, and what their output is to others.
use super::std::all_said;
use crate::hardware::Hardware;
use crate::scenario::{Image, SAY_WITHIN, Scenario, Stage};
use anyhow::{Context, Result, ensure};
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "programs".into(),
        about: "programs of others: rayon's job, minigzip, Lua and its authors' tests, C++; what `new app` makes; a decoder of the host reads what openh264 encoded".into(),
        image: Image::Product("gateway-foreign"),
        // The real port is chosen when the machine starts.
        hardware: Hardware { further_ports: vec![(0, 9)], ..Hardware::default() },
        run: programs,
    }]
}

/// What the console must show.
const LINES: [&str; 31] = [
    "I first-std: hello from first-std",
    "I first-std: three has 5 letters",
    "I first-std: ended with status 0",
    "I first-c: hello from first-c",
    "I first-c: ended with status 0",
    "I rayon-job: 3245 primes below 30000, by 3 threads",
    "I rayon-job: sorted 30000",
    "I rayon-job: as without threads: true",
    "I rayon-job: ended with status 0",
    "gzip: yes, the same again: yes",
    "I minigzip: ended with status 0",
    "I lua: brown dog fox jumps lazy over quick the the",
    "I lua: 1,4,9,16,25",
    "I lua: 6\\tanything\\t3\\t3.5\\t9.007199254741e+15\\t1099511627776\\tfloat\\t0.3",
    "I lua: false\\ttable: ",
    "I lua: as told\\t 3.14|ab    |ff",
    "I lua: true\\t5\\t7\\tx-x-x\\tabbc",
    "I lua: in use after a collection:\\ttrue",
    "I lua: a file:\\ttrue\\ttrue\\tfine",
    "I lua: ended with status 0",
    "I lua-tests: final OK !!!",
    "I lua-tests: ended with status 0",
    "I openh264: encoded 60 pictures of 160 x 96 into ",
    "I openh264: serves the stream at port 9",
    "I hello-cpp: hello from C++, a global object made 42",
    "I hello-cpp: areas 4.000 and 3.142",
    "I hello-cpp: ended 2 objects",
    "I hello-cpp: the most of 8 is 9",
    "I hello-cpp: alignment kept: yes",
    "I hello-cpp: too much memory: none",
    "I hello-cpp: a global object ended",
];

/// The files that all.lua names when it begins them: all 28 that it runs but strings.lua and literals.lua.
const LUA_FILES: usize = 26;

fn programs(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let log = all_said(stage, &LINES)?;
    // What docs/std.md says of Lua's own tests.
    let files = log.lines().filter(|line| line.contains(" lua-tests: ***** FILE '")).count();
    ensure!(files == LUA_FILES, "{files} files of Lua's tests were run, not {LUA_FILES}");
    let told = log.split_once("160 x 96 into ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    let (port, _) = *stage.further_ports.first().context("no port leads to the encoder")?;
    let stream = received(port, told.context("the encoder does not say how much it made")?)?;
    let verdict = decoded(&stream)?;
    ensure!(verdict.starts_with("60 pictures of 160 x 96, 0 errors"), "what the decoder found: {verdict}");
    let difference =
        verdict.split_once("differ by ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    ensure!(difference.is_some_and(|levels: f64| levels < 8.0), "the pictures are others than were drawn: {verdict}");
    stage.compare_grants_without(&ENDED)?;
    stage.power_off()
}

/// The instances that come to their end.
const ENDED: [&str; 7] = ["rayon-job", "minigzip", "lua", "lua-tests", "hello-cpp", "first-std", "first-c"];

/// All that the encoder sends to one client.
fn received(port: u16, length: usize) -> Result<Vec<u8>> {
    let deadline = Instant::now() + SAY_WITHIN;
    loop {
        let mut stream = Vec::new();
        let mut socket = TcpStream::connect(("127.0.0.1", port)).context("nobody listens")?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let end = socket.read_to_end(&mut stream);
        if stream.len() == length {
            return Ok(stream);
        }
        ensure!(Instant::now() < deadline, "{} of {length} bytes came: {end:?}", stream.len());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What the host's decoder says of the stream: a program of its own, since the decoder is a library of C.
fn decoded(stream: &[u8]) -> Result<String> {
    let folder = std::env::temp_dir().join(format!("hybrid-decoder-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("no folder for the decoder")?;
    let verdict = decoded_in(&folder, stream);
    std::fs::remove_dir_all(&folder).context("cannot remove the decoder")?;
    verdict
}

fn decoded_in(folder: &Path, stream: &[u8]) -> Result<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("decoder/decode.c");
    let (program, file) = (folder.join("decode"), folder.join("stream.h264"));
    let mut compile = Command::new("cc");
    let compiled = compile.arg("-O1").arg("-o").arg(&program).arg(source).arg("-lopenh264").status();
    ensure!(
        compiled.context("cannot start cc")?.success(),
        "the decoder does not compile; `cargo xtask setup` installs its library (Debian package libopenh264-dev)"
    );
    std::fs::write(&file, stream).context("cannot write the stream")?;
    let output = Command::new(&program).arg(&file).output().context("cannot start the decoder")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}
