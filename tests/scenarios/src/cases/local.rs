//! Unix sockets between components: who is granted one is served, nobody else finds it, and both sides outlive each other.
use super::std::{all_said, said_times};
use crate::hardware::Hardware;
use crate::scenario::{Image, Scenario, Stage};
use anyhow::Result;

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "local".into(),
        about: "programs on std and C talk over Unix sockets that routes grant, and no others; servers and clients die and meet again".into(),
        image: Image::Product("gateway-std"),
        hardware: Hardware::default(),
        run: local,
    }]
}

/// What they say of themselves.
const LINES: [&str; 17] = [
    "I greeter: listening at /run/greet.sock",
    "I keeper: listening at /run/keep.sock",
    "I guest-std: connected to Some(\"/run/greet.sock\")",
    "I guest-std: 4 at once: Ok(true)",
    "I guest-std: 300000 bytes there and back: Ok(true)",
    "I greeter: a client sent 300000 bytes",
    "I guest-std: without a route: Some(NotFound)",
    "I guest-std: it answers: still there?",
    "I guest-c: begun: Operation in progress",
    "I guest-c: answered: 6 from C",
    "I guest-c: its peer: process 0, user 65534",
    "W guest-c: sendmsg refused: control data goes nowhere: no descriptors and no options with a message",
    "I guest-c: a descriptor: Invalid argument",
    "I guest-c: a datagram: Protocol wrong type for socket",
    "I guest-c: without a route: No such file or directory",
    "I guest-c: at the end: 0",
    "I guest-c: ended with status 0",
];

/// What the guest says each time that its server went, and when it found the next one.
const GONE: &str = "guest-std: then: Err(ConnectionReset)";
const BROKEN: &str = "guest-std: written: Err(BrokenPipe)";
const FOUND: &str = "guest-std: it answers: still there?";

fn local(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    all_said(stage, &LINES)?;
    // A restart by command, and a death.
    for (round, command) in [(1, "svc restart greeter"), (2, "kill greeter"), (3, "svc restart greeter")] {
        stage.command(command, "\n> ")?;
        said_times(stage, GONE, round)?;
        said_times(stage, BROKEN, round)?;
        said_times(stage, FOUND, round + 1)?;
    }
    // The other way round: the server hears that its client died, and serves the next one.
    stage.command("kill guest-std", "\n> ")?;
    all_said(stage, &["greeter: a client went: Connection reset by peer"])?;
    said_times(stage, "guest-std: 300000 bytes there and back: Ok(true)", 2)?;
    said_times(stage, FOUND, 5)?;
    stage.compare_live()?;
    stage.power_off()
}
