//! What `svc` asks and tells the supervisor, and what it says of a program that has a moment to end.
use super::{Desk, NAMES};
use hybrid_interfaces::process::Error;

/// Whether the supervisor says anything of its services.
pub(super) fn answers(said: &[String]) -> Result<(), Error> {
    if said.iter().any(|what| what == "no answers") { Err(Error::NotAllowed) } else { Ok(()) }
}

#[test]
fn svc_asks_and_tells_the_supervisor() {
    let mut desk = Desk::new();
    let text = desk.type_line("svc status");
    assert!(text.contains("httpd            failed      7     6      1  yes      faulted\r\n"), "{text}");
    assert!(text.contains("securityd        isolated") && !text.contains('\u{1b}'), "{text}");
    let text = desk.type_line("svc status httpd");
    assert!(text.contains("httpd            failed") && !text.contains("securityd"), "{text}");
    let text = desk.type_line("svc ends");
    assert!(
        text.contains("    4.321 s httpd            life   9  fell\r\n    4.321 s httpd            life   8  fell\r\n"),
        "{text}"
    );
    assert!(desk.type_line("svc restart httpd").contains("httpd is restarted\r\n"));
    assert!(desk.type_line("svc start httpd").contains("httpd is started\r\n"));
    assert!(desk.type_line("svc stop procd").contains("procd: NotAllowed"), "a refusal is told");
    assert!(desk.type_line("svc stop httpd").contains("httpd is stopped\r\n"));
    assert!(desk.type_line(&format!("svc stop {}", NAMES[0])).contains("is stopped\r\n"));
    let told = ["restart httpd", "start httpd", "stop procd", "stop httpd", &format!("stop {}", NAMES[0])];
    assert_eq!(desk.services.server().server.0, told);
}

#[test]
fn svc_stop_says_who_was_asked_only_and_never_that_a_stop_failed_which_did_not() {
    let mut desk = Desk::new();
    desk.services.server().server.0.extend(["httpd hears", "start httpd"].map(String::from));
    assert!(desk.type_line("svc stop httpd").ends_with("httpd is asked to end\r\n> "));
    assert!(desk.type_line("svc stop httpd").ends_with("httpd is stopped\r\n> "));
    desk.services.server().server.0.push("no answers".into());
    assert!(desk.type_line("svc stop httpd").ends_with("httpd is stopped\r\n> "));
}
