//! The kept log at the console, over a directory of two files.
use super::Desk;

#[test]
fn history_prints_the_last_lines_of_both_files_and_no_control_characters() {
    let mut desk = Desk::new();
    assert!(desk.type_line("history").contains("there is no disk: the log is not kept\r\n"));
    desk.kept.server().server.is_disk = true;
    assert!(!desk.type_line("history").contains("Info"), "nothing was kept yet");
    let lines =
        |from: u32, to: u32| (from..to).map(|number| format!("{number} 1.000000 Info a: text\n")).collect::<String>();
    desk.kept.server().server.before = Some(lines(0, 100).into());
    desk.kept.server().server.now = Some((lines(100, 140) + "evil\u{1b}[2J\n" + &lines(140, 200)).into());
    let text = desk.type_line("history 4");
    let printed: Vec<u32> = text.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    assert_eq!(printed, (printed[0]..200).collect::<Vec<_>>(), "in order, each once");
    assert!((28..140).contains(&printed[0]), "{printed:?}");
    assert!(text.contains("evil\\x1b[2J\r\n") && !text.contains('\u{1b}'));
    assert_eq!(desk.type_line("history 1024").matches("Info").count(), 200);
    assert_eq!(desk.kept.server().server.open, 0, "nothing stays open");
}
