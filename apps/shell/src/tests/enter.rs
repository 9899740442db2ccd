//! A program that has the console: nothing that is typed is the shell's until it ends, or is stopped by its key.
use super::Desk;
use crate::screen::Screen;
use hybrid_interfaces::console::TerminalRings;
use hybrid_interfaces::process::{Phase, ServicesLeft};
use std::vec::Vec;

/// What the supervisor has to tell, once: whether somebody left.
pub(super) fn news(said: &mut Vec<String>) -> Option<ServicesLeft> {
    let place = said.iter().position(|what| what == "somebody left")?;
    said.remove(place);
    Some(ServicesLeft { left: 1 })
}

/// httpd runs from its start until it ended or was stopped, for which it is told twice if it hears; of the others one is isolated and one runs.
pub(super) fn phase(said: &[String], index: u16) -> Phase {
    let is_said = |what: &str| said.iter().any(|word| word == what);
    let stops = if is_said("httpd hears") { 2 } else { 1 };
    let start = said.iter().rposition(|what| what == "start httpd");
    let since = start.map(|start| &said[start..]).unwrap_or_default();
    let has_ended = since.iter().any(|what| what == "httpd ended");
    let is_stopped = since.iter().filter(|what| *what == "stop httpd").count() >= stops;
    match index {
        0 => Phase::Isolated,
        1 if since.is_empty() || has_ended || is_stopped => Phase::Failed,
        _ => Phase::Running,
    }
}

fn said(desk: &Desk) -> Vec<String> {
    desk.services.server().server.0.clone()
}

#[test]
fn program_that_is_entered_has_the_console_until_it_ends() {
    let mut desk = Desk::new();
    let text = desk.type_line("enter httpd");
    assert!(text.ends_with("httpd has the console until it ends; Ctrl-] stops it\r\n"), "{text}");
    assert_eq!(desk.type_line("kill httpd\x03"), "", "that was for the program");
    desk.services.server().server.0.push("httpd ended".into());
    // The key that shows it is the program's, too.
    assert_eq!(desk.type_line("x"), "httpd has left the console: faulted\r\n> ");
    assert!(desk.type_line("uptime").contains("12.345 s"));
    assert_eq!(said(&desk), ["start httpd", "httpd ended"]);
}

#[test]
fn prompt_comes_by_itself_when_the_program_has_ended() {
    let mut desk = Desk::new();
    let _ = desk.type_line("enter httpd");
    let tell = |desk: &Desk, what: &str| desk.services.server().server.0.push(what.into());
    tell(&desk, "somebody left");
    assert_eq!(desk.rings(), "", "it was another one");
    tell(&desk, "httpd ended");
    assert_eq!(desk.rings(), "", "the supervisor has not said so");
    tell(&desk, "somebody left");
    assert_eq!(desk.rings(), "httpd has left the console: faulted\r\n> ");
    tell(&desk, "somebody left");
    assert_eq!(desk.rings(), "", "nobody has the console");
    assert_eq!(desk.services.server().server.0.last().map(String::as_str), Some("somebody left"), "nor was it asked");
}

#[test]
fn program_that_ends_before_anybody_looks_leaves_the_console() {
    let mut desk = Desk::new();
    desk.services.server().server.0.push("httpd falls".into());
    assert!(desk.type_line("enter httpd").ends_with("httpd has left the console: faulted\r\n> "));
}

#[test]
fn supervisor_that_is_back_is_asked_who_runs() {
    let mut desk = Desk::new();
    let _ = desk.type_line("enter httpd");
    desk.shell.on_supervisor();
    desk.advance();
    assert_eq!(desk.printed(), "");
    desk.services.server().server.0.push("httpd ended".into());
    desk.shell.on_supervisor();
    desk.advance();
    assert_eq!(desk.printed(), "httpd has left the console: faulted\r\n> ");
    desk.shell.on_supervisor();
    desk.advance();
    assert_eq!(desk.printed(), "");
}

#[test]
fn key_takes_the_console_back_and_stops_the_program() {
    let mut desk = Desk::new();
    let _ = desk.type_line("enter httpd");
    assert_eq!(desk.type_line("ab\x1d"), "httpd has left the console: faulted\r\n> ");
    assert!(desk.type_line("uptime").contains("12.345 s"));
    assert_eq!(said(&desk), ["start httpd", "stop httpd"]);
}

#[test]
fn program_that_may_end_by_itself_has_the_console_until_it_did() {
    let mut desk = Desk::new();
    desk.services.server().server.0.push("httpd hears".into());
    let _ = desk.type_line("enter httpd");
    let told = "httpd is to end; Ctrl-] again stops it at once\r\n";
    assert_eq!(desk.type_line("\x1d\x03"), told, "Ctrl-C takes nothing back, and there is no prompt");
    assert_eq!(desk.type_line("kill httpd"), "");
    assert_eq!(desk.type_line("\x1d"), "httpd has left the console: faulted\r\n> ");
    assert_eq!(said(&desk), ["httpd hears", "start httpd", "stop httpd", "stop httpd"]);
    // Both at once, and once more than it takes.
    let _ = desk.type_line("enter httpd");
    assert_eq!(desk.type_line("\x1d\x1d\x1d"), "httpd has left the console: faulted\r\n> ");
    assert_eq!(said(&desk)[4..], ["start httpd", "stop httpd", "stop httpd"]);
    assert!(desk.control.server().server.0.is_empty());
}

#[test]
fn what_is_typed_ahead_of_the_program_is_no_command() {
    let mut desk = Desk::new();
    let _ = desk.type_line("enter httpd\rkill httpd");
    desk.services.server().server.0.push("httpd ended".into());
    assert_eq!(desk.type_line("x"), "httpd has left the console: faulted\r\n> ");
    assert!(desk.type_line("uptime").contains("12.345 s"));
    assert!(desk.control.server().server.0.is_empty());
    // Unless it does not come to that.
    assert!(desk.type_line("enter nobody\rkill httpd").contains("httpd is stopped"));
}

#[test]
fn supervisor_that_does_not_answer_gives_nobody_the_console() {
    let mut desk = Desk::new();
    let _ = desk.type_line("enter httpd");
    desk.services.kill();
    assert_eq!(desk.type_line("kill httpd"), "");
    let text = desk.type_line("\x1d");
    assert!(text.starts_with("procd is not there now") && text.ends_with(" console: stopped\r\n> "), "{text}");
    assert_eq!(desk.control.server().server.0, ["httpd"], "securityd did it");
    assert!(desk.type_line("uptime").contains("12.345 s"));
}

#[test]
fn who_runs_already_does_not_get_the_console() {
    let mut desk = Desk::new();
    desk.services.server().server.0.push("start httpd".into());
    let refused = "httpd runs already; only a program that `enter` starts can have the console\r\n> ";
    assert!(desk.type_line("enter httpd").ends_with(refused));
    assert!(desk.type_line("uptime").contains("12.345 s"));
    assert_eq!(said(&desk), ["start httpd"]);
}

#[test]
fn driver_that_is_started_anew_leaves_the_console_with_who_has_it() {
    let mut desk = Desk::new();
    let _ = desk.type_line("enter httpd");
    let region = desk.region.at_epoch(2);
    let rings = TerminalRings::client(&region).expect("fits");
    desk.shell.begin_again(rings.input, Screen::new(rings.output));
    desk.terminal = TerminalRings::server(&region).expect("fits");
    assert_eq!(desk.type_line("uptime"), "");
}

#[test]
fn nobody_of_that_name_is_told() {
    let mut desk = Desk::new();
    assert!(desk.type_line("enter nobody").contains("no component is called nobody; `ps` lists them\r\n> "));
    assert!(said(&desk).is_empty());
}

#[test]
fn next_life_of_the_shell_leaves_the_console_to_who_has_it() {
    let mut desk = Desk::new();
    desk.services.server().server.0.extend(["start httpd", "has the console"].map(String::from));
    desk.advance();
    let text = desk.printed();
    assert!(text.ends_with("\r\nhttpd has the console until it ends; Ctrl-] stops it\r\n"), "{text}");
    assert_eq!(desk.type_line("kill httpd\x03"), "", "that was for the program");
    assert_eq!(desk.type_line("\x1d"), "httpd has left the console: faulted\r\n> ");
    // What was typed before that was known is no command either, and Ctrl-C does not make it one.
    let mut desk = Desk::new();
    desk.services.server().server.0.extend(["start httpd", "has the console"].map(String::from));
    let text = desk.type_line("\x03kill httpd");
    assert!(text.ends_with("stops it\r\n") && desk.control.server().server.0.is_empty(), "{text}");
}
