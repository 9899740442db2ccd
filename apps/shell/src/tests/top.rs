//! What `top` prints at first and the next time, and in which order.
use super::Desk;

#[test]
fn top_lists_first_who_used_most_of_its_budget_since_it_was_typed_last() {
    let mut desk = Desk::new();
    let lines = |text: String| -> Vec<String> {
        text.lines().map(String::from).skip_while(|line| !line.starts_with("since")).collect()
    };
    // 1.2345 s of 12.345 s is a tenth of the time, and a fifth of a budget of half of it; the other used a fifth of the time and has no limit.
    let first = lines(desk.type_line("top"));
    let expected = [
        "since the start of the system, 12.3 s ago:",
        "name             of budget    share  limit  prio   total ms",
        "httpd                20.0%    10.0%    50%   150       1234",
        "evil\\x1b[2J          20.0%    20.0%   none   150       2469",
        "securityd                -                   150          0",
    ];
    let is_there = |line: &&str| first.iter().any(|printed| printed == line);
    assert!(expected.iter().all(is_there), "{first:#?}");
    let place = |lines: &[String], name: &str| lines.iter().position(|line| line.starts_with(name)).unwrap();
    assert!(
        place(&first, "evil") < place(&first, "httpd"),
        "of two equal shares of the budget the longer time is first"
    );
    desk.now_ns += 1_000_000_000;
    desk.services.server().server.1 = 100_000;
    let second = lines(desk.type_line("top"));
    assert_eq!(second[0], "since the last top, 1.0 s ago:");
    assert_eq!(second[2], "httpd                20.0%    10.0%    50%   150       1334");
    assert_eq!(second[3], "evil\\x1b[2J          10.0%    10.0%   none   150       2569");
    assert!(second[4].starts_with("securityd                -"), "of securityd nobody knows: {second:#?}");
}
