//! One line of text from single key codes; knows no commands.
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// The longest line, bytes. Keys beyond it only sound the bell.
pub const LINE_MAX: usize = 120;
/// Lines that the up key can bring back.
const HISTORY_MAX: usize = 16;

const BELL: &[u8] = b"\x07";
const ERASE: &[u8] = b"\x08 \x08";

/// What a key did.
#[derive(Debug, PartialEq, Eq)]
pub enum Key {
    /// The line changed or did not; print what [`Editor::press`] left in its echo.
    Edited,
    /// The line is complete.
    Line(String),
    /// Ctrl-C: drop the line, stop what runs.
    Interrupt,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Started,
    Bracket,
}

/// The line that is being typed. Only printable ASCII gets in, so a line can be printed as it is.
pub struct Editor {
    line: String,
    history: VecDeque<String>,
    /// Which history line is shown: 0 is the newest; none while a new line is typed.
    shown: Option<usize>,
    escape: Escape,
    after_return: bool,
}

impl Default for Editor {
    fn default() -> Self {
        Self {
            line: String::with_capacity(LINE_MAX),
            history: VecDeque::with_capacity(HISTORY_MAX),
            shown: None,
            escape: Escape::None,
            after_return: false,
        }
    }
}

impl Editor {
    /// The line so far.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Takes one key code; appends to `echo` what the terminal must print.
    pub fn press(&mut self, code: u8, echo: &mut Vec<u8>) -> Key {
        let follows_return = core::mem::take(&mut self.after_return);
        match (self.escape, code) {
            (Escape::Started, b'[' | b'O') => self.escape = Escape::Bracket,
            (Escape::Bracket, b'A') => self.recall(true, echo),
            (Escape::Bracket, b'B') => self.recall(false, echo),
            // Parameters of longer sequences; the final byte ends them.
            (Escape::Bracket, 0x20..=0x3f) => {}
            (Escape::Started | Escape::Bracket, _) => self.escape = Escape::None,
            (Escape::None, 0x1b) => self.escape = Escape::Started,
            // A terminal may send both; together they are one Enter key.
            (Escape::None, b'\n') if follows_return => {}
            (Escape::None, b'\r' | b'\n') => {
                self.after_return = code == b'\r';
                return self.enter(echo);
            }
            (Escape::None, 0x03) => {
                echo.extend_from_slice(b"^C\r\n");
                self.line.clear();
                self.shown = None;
                return Key::Interrupt;
            }
            (Escape::None, 0x08 | 0x7f) => echo.extend_from_slice(if self.line.pop().is_some() { ERASE } else { BELL }),
            (Escape::None, 0x15) => self.replace("", echo),
            (Escape::None, 0x20..=0x7e) if self.line.len() < LINE_MAX => {
                self.line.push(char::from(code));
                echo.push(code);
            }
            (Escape::None, _) => echo.extend_from_slice(BELL),
        }
        Key::Edited
    }

    fn enter(&mut self, echo: &mut Vec<u8>) -> Key {
        echo.extend_from_slice(b"\r\n");
        let line = core::mem::take(&mut self.line);
        self.shown = None;
        if !line.trim().is_empty() && self.history.front() != Some(&line) {
            self.history.truncate(HISTORY_MAX - 1);
            self.history.push_front(line.clone());
        }
        Key::Line(line)
    }

    /// Shows the next older or newer line.
    fn recall(&mut self, is_older: bool, echo: &mut Vec<u8>) {
        self.escape = Escape::None;
        let wanted = match (self.shown, is_older) {
            (None, true) => Some(0),
            (Some(shown), true) => Some(shown + 1),
            (None | Some(0), false) => None,
            (Some(shown), false) => Some(shown - 1),
        };
        let line = match wanted {
            None => String::new(),
            Some(index) => match self.history.get(index) {
                Some(line) => line.clone(),
                None => return echo.extend_from_slice(BELL),
            },
        };
        self.shown = wanted;
        self.replace(&line, echo);
    }

    fn replace(&mut self, line: &str, echo: &mut Vec<u8>) {
        for _ in 0..self.line.len() {
            echo.extend_from_slice(ERASE);
        }
        self.line.clear();
        self.line.push_str(line);
        echo.extend_from_slice(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{Editor, Key, LINE_MAX};

    fn lines(editor: &mut Editor, keys: &[u8]) -> Vec<String> {
        let mut echo = Vec::new();
        let line = |key| match key {
            Key::Line(line) => Some(line),
            _ => None,
        };
        keys.iter().filter_map(|&code| line(editor.press(code, &mut echo))).collect()
    }

    #[test]
    fn press_of_enter_completes_the_line_whichever_code_it_sends() {
        assert_eq!(lines(&mut Editor::default(), b"ps\rlog\nnet\r\n\n"), ["ps", "log", "net", ""]);
    }

    #[test]
    fn press_of_backspace_takes_the_last_character_away() {
        assert_eq!(lines(&mut Editor::default(), b"px\x7fs\x08\x08\x08\x08ab\r"), ["ab"]);
    }

    #[test]
    fn press_of_interrupt_drops_the_line() {
        let mut editor = Editor::default();
        let mut echo = Vec::new();
        editor.press(b'x', &mut echo);
        assert_eq!(editor.press(3, &mut echo), Key::Interrupt);
        assert_eq!(editor.line(), "");
    }

    #[test]
    fn press_of_up_and_down_walks_through_the_history() {
        let mut editor = Editor::default();
        assert_eq!(lines(&mut editor, b"one\rtwo\r\x1b[A\x1b[A\x1b[B\r"), ["one", "two", "two"]);
        assert_eq!(lines(&mut editor, b"\x1b[A\x1b[A\x1b[A\x1b[A\r"), ["one"]);
    }

    #[test]
    fn press_beyond_the_longest_line_changes_nothing() {
        let mut editor = Editor::default();
        let done = lines(&mut editor, &[b"x".repeat(LINE_MAX + 50), b"\r".to_vec()].concat());
        assert_eq!(done, ["x".repeat(LINE_MAX)]);
    }

    #[test]
    fn press_of_any_code_never_puts_control_characters_into_the_line() {
        let mut editor = Editor::default();
        let mut echo = Vec::new();
        for first in 0..=255 {
            for second in 0..=255 {
                editor.press(first, &mut echo);
                editor.press(second, &mut echo);
                assert!(editor.line().bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
            }
        }
    }
}
