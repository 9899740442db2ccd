//! The kept log at the console, over the file server itself.
use super::Desk;
use fsd::{Memory, Server};
use hybrid_interfaces::fs::{Creation, Files};
use hybrid_ipc::ClientId;

const SHELL: ClientId = ClientId::of(9);
/// Who keeps the log.
const KEEPER: ClientId = ClientId::of(10);

/// A file server without a disk. The shell may have one file open.
pub(super) fn no_disk() -> Server {
    let mut server = Server::new(Vec::new(), 1, || 0);
    server.begin(SHELL, Some("/data/log"), 4096, Some(1), None);
    server.begin(KEEPER, Some("/data/log"), 1 << 20, None, None);
    server
}

fn keep(desk: &Desk, name: &str, text: &str) {
    let server = &mut desk.kept.server().server;
    let file = server.open_to_write(KEEPER, name, Creation::IfMissing, true).expect("room").file;
    for part in text.as_bytes().chunks(512) {
        server.put(KEEPER, file, 0, true, part).expect("room");
    }
    server.close(KEEPER, file).expect("open");
}

#[test]
fn history_prints_the_last_lines_of_both_files_and_no_control_characters() {
    let mut desk = Desk::new();
    assert!(desk.type_line("history").contains("there is no disk: the log is not kept\r\n"));
    desk.kept.server().server.mount("data", Box::new(Memory::new(1 << 20)));
    assert!(!desk.type_line("history").contains("Info"), "nothing was kept yet");
    let lines =
        |from: u32, to: u32| (from..to).map(|number| format!("{number} 1.000000 Info a: text\n")).collect::<String>();
    keep(&desk, "before", &lines(0, 100));
    keep(&desk, "now", &(lines(100, 140) + "evil\u{1b}[2J\n" + &lines(140, 200)));
    let text = desk.type_line("history 4");
    let printed: Vec<u32> = text.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    assert_eq!(printed, (printed[0]..200).collect::<Vec<_>>(), "in order, each once");
    assert!((28..140).contains(&printed[0]), "{printed:?}");
    assert!(text.contains("evil\\x1b[2J\r\n") && !text.contains('\u{1b}'));
    // Each piece opens a file: one that stayed open would leave no room for the next.
    assert_eq!(desk.type_line("history 1024").matches("Info").count(), 200);
    assert!(desk.kept.server().server.open(SHELL, "now").is_ok(), "nothing stays open");
}
