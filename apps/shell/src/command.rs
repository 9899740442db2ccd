//! What can be typed, as types; executes nothing.
use crate::policy;
use alloc::string::{String, ToString};

/// One command with its checked arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// An empty line.
    Nothing,
    /// The list of commands.
    Help,
    /// All instances.
    Processes,
    /// The grants of one instance.
    Capabilities(String),
    /// The newest entries of the log.
    Log(u16),
    /// The last KiB of the log that is kept on the disk.
    History(u16),
    /// Stop one instance.
    Kill(String),
    /// End a session on demand of a component for good, or let it open one again: whether it may, the component, its use.
    Session(bool, String, String),
    /// What the supervisor says of every service, or of one.
    Services(Option<String>),
    /// The last ends of components, the newest first.
    Ends,
    /// Have a service started, stopped or restarted.
    Service(Order, String),
    /// Start a program and leave it the console until it ends.
    Enter(String),
    /// The machine's devices; true: after looking again.
    Devices(bool),
    /// Processor time of every component.
    Top,
    /// Addresses and counters.
    Network,
    /// Every grant.
    Grants,
    /// The audit trail.
    Audit,
    /// Show or replace the access policy.
    Policy(policy::Order),
    /// Live against declared; true: all that is live.
    Live(bool),
    /// Time since boot.
    Uptime,
    /// Switch the device off.
    Off,
    /// Restart the device.
    Restart,
}

/// What the supervisor is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Start what does not run.
    Start,
    /// Stop it until it is started by command.
    Stop,
    /// Stop and start.
    Restart,
}

/// Why a line is not a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// There is no such command.
    Unknown(String),
    /// The command exists, its arguments are wrong; how to use it.
    Usage(&'static str),
}

/// The commands with their arguments and what they do, for `help`.
pub const HELP: [(&str, &str); 20] = [
    ("help", "this list"),
    ("ps", "the components that run, and those that stopped and why"),
    ("caps NAME", "every capability that the component NAME holds"),
    ("log [N]", "the newest N entries of the log (20)"),
    ("history [N]", "the last N KiB (2) of the log on the disk, which is there after a loss of power"),
    ("kill NAME", "stop the component NAME; its policy decides what follows"),
    ("revoke NAME USE", "end the session on demand of NAME's use USE, and let it open no other"),
    ("permit NAME USE", "let NAME open the session of its use USE again"),
    ("svc status|ends|start|stop|restart [NAME]", "ask or tell the supervisor; status and ends need no NAME"),
    ("enter NAME", "start the program NAME, which has the console until it ends; Ctrl-] stops it"),
    ("devices [scan]", "the machine's devices and what drives each; scan looks at them again"),
    ("top", "how much of its budget every component used since the last top"),
    ("net", "addresses and counters of the network"),
    ("grants", "every capability of every component, as in capgraph.golden"),
    ("audit", "the audit trail, for `cargo xtask audit`"),
    (policy::USAGE, "the access policy; `cargo xtask policy compile FILE` prints what to type"),
    (
        "live [all]",
        "what the kernel's list of capabilities has otherwise than declared; or all of it, for `caps compare`",
    ),
    ("uptime", "time since power-on"),
    ("off", "switch the device off"),
    ("restart", "restart the device"),
];

const LOG_DEFAULT: u16 = 20;
const LOG_MAX: u16 = 1000;
const HISTORY_DEFAULT: u16 = 2;
const HISTORY_MAX: u16 = 1024;

/// Turns a typed line into a command.
///
/// # Errors
/// [`Mistake`], which says what to type instead.
pub fn parse(line: &str) -> Result<Command, Mistake> {
    let mut words = line.split_ascii_whitespace();
    let Some(verb) = words.next() else { return Ok(Command::Nothing) };
    if verb == "policy" {
        return policy::parse(words).map(Command::Policy).ok_or_else(|| usage_of(verb));
    }
    let argument = words.next();
    if verb == "svc" {
        return service(argument, words.next(), words.next().is_none());
    }
    if matches!(verb, "revoke" | "permit") {
        return match (argument, words.next(), words.next()) {
            (Some(name), Some(used), None) => Ok(Command::Session(verb == "permit", name.into(), used.into())),
            _ => Err(usage_of(verb)),
        };
    }
    let is_done = words.next().is_none();
    match (verb, argument) {
        _ if !is_done => Err(usage_of(verb)),
        ("help" | "?", None) => Ok(Command::Help),
        ("ps", None) => Ok(Command::Processes),
        ("caps", Some(name)) => Ok(Command::Capabilities(name.to_string())),
        ("log", None) => Ok(Command::Log(LOG_DEFAULT)),
        ("log", Some(count)) => match count.parse() {
            Ok(count @ 1..=LOG_MAX) => Ok(Command::Log(count)),
            _ => Err(usage_of(verb)),
        },
        ("history", None) => Ok(Command::History(HISTORY_DEFAULT)),
        ("history", Some(kib)) => match kib.parse() {
            Ok(kib @ 1..=HISTORY_MAX) => Ok(Command::History(kib)),
            _ => Err(usage_of(verb)),
        },
        ("kill", Some(name)) => Ok(Command::Kill(name.to_string())),
        ("enter", Some(name)) => Ok(Command::Enter(name.to_string())),
        ("devices", None) => Ok(Command::Devices(false)),
        ("devices", Some("scan")) => Ok(Command::Devices(true)),
        ("top", None) => Ok(Command::Top),
        ("net", None) => Ok(Command::Network),
        ("grants", None) => Ok(Command::Grants),
        ("audit", None) => Ok(Command::Audit),
        ("live", None) => Ok(Command::Live(false)),
        ("live", Some("all")) => Ok(Command::Live(true)),
        ("uptime", None) => Ok(Command::Uptime),
        ("off", None) => Ok(Command::Off),
        ("restart", None) => Ok(Command::Restart),
        _ => Err(usage_of(verb)),
    }
}

fn service(order: Option<&str>, name: Option<&str>, is_done: bool) -> Result<Command, Mistake> {
    let order = match order {
        Some("status") if is_done => return Ok(Command::Services(name.map(ToString::to_string))),
        Some("ends") if name.is_none() => return Ok(Command::Ends),
        Some("start") => Order::Start,
        Some("stop") => Order::Stop,
        Some("restart") => Order::Restart,
        _ => return Err(usage_of("svc")),
    };
    match name {
        Some(name) if is_done => Ok(Command::Service(order, name.to_string())),
        _ => Err(usage_of("svc")),
    }
}

fn usage_of(verb: &str) -> Mistake {
    let is_it = |entry: &&(&'static str, &str)| entry.0.split(' ').next() == Some(verb);
    match HELP.iter().find(is_it) {
        Some((usage, _)) => Mistake::Usage(usage),
        None => Mistake::Unknown(verb.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Mistake, parse};

    #[test]
    fn parse_knows_every_command_of_the_help_text() {
        for (usage, _) in super::HELP {
            let line = usage
                .replace("USE", "tcp")
                .replace("NAME", "httpd")
                .replace("[N]", "5")
                .replace("[all]", "all")
                .replace("[scan]", "scan")
                .replace("status|ends|start|stop|restart", "stop")
                .replace("show|data OFFSET BASE64|check|try SECONDS|confirm|rollback", "try 60")
                .replace("[httpd]", "httpd");
            assert!(parse(&line).is_ok(), "{line}");
        }
    }

    #[test]
    fn parse_with_wrong_arguments_says_how_to_use_the_command() {
        for (line, usage) in [
            ("kill", "kill NAME"),
            ("log many", "log [N]"),
            ("log 0", "log [N]"),
            ("history all", "history [N]"),
            ("ps x", "ps"),
            ("svc", "svc status|ends|start|stop|restart [NAME]"),
            ("svc stop", "svc status|ends|start|stop|restart [NAME]"),
            ("svc stop a b", "svc status|ends|start|stop|restart [NAME]"),
            ("svc ends httpd", "svc status|ends|start|stop|restart [NAME]"),
            ("svc burn httpd", "svc status|ends|start|stop|restart [NAME]"),
            ("policy", crate::policy::USAGE),
            ("policy burn", crate::policy::USAGE),
            ("devices all", "devices [scan]"),
            ("enter", "enter NAME"),
            ("caps a b", "caps NAME"),
        ] {
            assert_eq!(parse(line), Err(Mistake::Usage(usage)), "{line}");
        }
    }

    #[test]
    fn parse_of_an_unknown_word_names_it() {
        assert_eq!(parse("rm -rf /"), Err(Mistake::Unknown("rm".into())));
    }

    #[test]
    fn parse_of_spaces_is_nothing() {
        assert_eq!(parse("   "), Ok(Command::Nothing));
    }
}
