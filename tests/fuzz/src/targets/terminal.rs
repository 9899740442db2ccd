//! The shell's keys and commands.

use shell::command::{Command, parse};
use shell::editor::{Editor, Key, LINE_MAX};
use shell::quote::quoted;

/// Keys for the line editor, its lines for the command parser, and everything for the quoting: nothing that a terminal obeys comes out.
pub fn target_terminal(data: &[u8]) {
    let mut editor = Editor::default();
    let mut echo = Vec::new();
    for &key in data {
        echo.clear();
        let pressed = editor.press(key, &mut echo);
        assert!(echo.len() <= 4 * LINE_MAX + 16, "an echo of {} bytes for one key", echo.len());
        is_line(editor.line());
        if let Key::Line(line) = pressed {
            is_line(&line);
            if let Ok(Command::Log(count)) = parse(&line) {
                assert!((1..=1000).contains(&count));
            }
        }
    }
    let text = String::from_utf8_lossy(data);
    let _ = parse(&text);
    let shown = quoted(&text);
    assert!(!shown.chars().any(char::is_control));
    assert!(shown.len() <= 12 * text.len(), "quoting grows {} bytes to {}", text.len(), shown.len());
}

fn is_line(line: &str) {
    assert!(line.len() <= LINE_MAX && line.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{line:?}");
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    [
        &b"ps\rlog 5\rkill httpd\rcaps netd\r\n\x1b[A\x1b[A\x1b[B\r"[..],
        b"net\x7f\x08\x15help\r\x03off \x1b[1;5C\x1bOA\r",
    ]
    .map(<[u8]>::to_vec)
    .into()
}
