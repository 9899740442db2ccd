//! A program that has the console: nothing that is typed is the shell's until it ends, or is stopped by its key.
use super::Desk;
use crate::screen::Screen;
use hybrid_interfaces::console::TerminalRings;
use hybrid_interfaces::process::Phase;
use std::vec::Vec;

/// httpd runs if the last command started it; of the others one is isolated and one runs.
pub(super) fn phase(said: &[String], index: u16) -> Phase {
    match index {
        0 => Phase::Isolated,
        1 if said.last().is_none_or(|last| last != "start httpd") => Phase::Failed,
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
fn key_takes_the_console_back_and_stops_the_program() {
    let mut desk = Desk::new();
    let _ = desk.type_line("enter httpd");
    assert!(desk.type_line("ab\x1d").contains("httpd is stopped\r\n> "));
    assert!(desk.type_line("uptime").contains("12.345 s"));
    assert_eq!(said(&desk), ["start httpd", "stop httpd"]);
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
