//! The serial line of a machine as text that one can wait for; keeps all of it.
use crate::scenario::LAST;
use anyhow::{Result, anyhow, bail, ensure};
use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the guest wrote so far, shared with the thread that reads it.
#[derive(Default)]
struct Transcript {
    text: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Transcript {
    fn lock(&self) -> MutexGuard<'_, (Vec<u8>, bool)> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both directions of the line. `expect` moves a cursor forward, so that one wait never matches old text twice.
pub struct Console {
    transcript: Arc<Transcript>,
    input: Box<dyn Write + Send>,
    cursor: usize,
}

impl Console {
    /// Reads `output` on a thread of its own until it ends, into memory and into `log`.
    pub fn new(mut output: impl Read + Send + 'static, input: impl Write + Send + 'static, mut log: File) -> Self {
        let transcript = Arc::new(Transcript::default());
        let shared = transcript.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                // The file is for people; a full disk must not change what a scenario sees.
                let _ = log.write_all(&chunk[..length]);
                shared.lock().0.extend_from_slice(&chunk[..length]);
                shared.changed.notify_all();
            }
            shared.lock().1 = true;
            shared.changed.notify_all();
        });
        Self { transcript, input: Box::new(input), cursor: 0 }
    }

    /// Waits until `needle` stands after the cursor, moves the cursor behind it and returns the text in between.
    ///
    /// # Errors
    /// Time ran out or the machine ended first; the message holds the last lines.
    pub fn expect(&mut self, needle: &str, within: Duration) -> Result<String> {
        self.expect_by(needle, within, |text| find(text, needle.as_bytes()).map(|at| at + needle.len()))
    }

    /// As [`Console::expect`], for what a terminal shows, of what is typed or printed: lines of the log may stand between any two bytes of it.
    ///
    /// # Errors
    /// As [`Console::expect`].
    pub fn expect_echo(&mut self, line: &str, within: Duration) -> Result<String> {
        self.expect_by(line, within, |text| end_of_echo(text, line.as_bytes()))
    }

    /// Waits until `end` finds where `needle` ends in what stands after the cursor.
    fn expect_by(&mut self, needle: &str, within: Duration, end: impl Fn(&[u8]) -> Option<usize>) -> Result<String> {
        let deadline = Instant::now() + within;
        let mut state = self.transcript.lock();
        loop {
            let rest = state.0.get(self.cursor..).unwrap_or_default();
            if let Some(end) = end(rest) {
                let text = String::from_utf8_lossy(&rest[..end]).into_owned();
                self.cursor += end;
                return Ok(text);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.1 || left.is_zero() {
                let why = if state.1 { "the machine ended" } else { "time ran out" };
                let tail = tail(&state.0);
                bail!("waited {} s for {needle:?} on the console; {why}. Its last lines:\n{tail}", within.as_secs());
            }
            let (next, _) = self.transcript.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
    }

    /// Waits until the guest has ended the line (the machine is off).
    ///
    /// # Errors
    /// The machine still runs after `within`.
    pub fn expect_end(&mut self, within: Duration) -> Result<()> {
        let state = self.transcript.lock();
        let ended = |state: &mut (Vec<u8>, bool)| !state.1;
        let (state, outcome) =
            self.transcript.changed.wait_timeout_while(state, within, ended).unwrap_or_else(PoisonError::into_inner);
        if outcome.timed_out() {
            bail!("the machine still runs after {} s. Its last lines:\n{}", within.as_secs(), tail(&state.0));
        }
        Ok(())
    }

    /// Types `line` and the Enter key.
    ///
    /// # Errors
    /// The machine is gone.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        self.send(format!("{line}\r").as_bytes())
    }

    /// Types `keys` as they are.
    ///
    /// # Errors
    /// The machine is gone.
    pub fn send(&mut self, keys: &[u8]) -> Result<()> {
        let sent = self.input.write_all(keys).and_then(|()| self.input.flush());
        sent.map_err(|error| anyhow!("the machine does not take input any more: {error}"))
    }

    /// Everything the guest wrote, from power-on.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.transcript.lock().0).into_owned()
    }

    /// The component (all, if it is not named) never said that something was not as it should be: "WENT WRONG", in the words of the test components.
    ///
    /// # Errors
    /// With what it said.
    pub fn nothing_went_wrong(&self, component: &str) -> Result<()> {
        let text = self.text();
        let is_wrong = |line: &&str| line.contains(component) && line.contains("WENT WRONG");
        let wrong: Vec<_> = text.lines().filter(is_wrong).collect();
        ensure!(wrong.is_empty(), "not everything was as it should be:\n{}", wrong.join("\n"));
        Ok(())
    }

    /// How much the guest wrote so far: a place for [`Console::text_from`].
    pub fn written(&self) -> usize {
        self.transcript.lock().0.len()
    }

    /// What the guest wrote since it had written so much.
    pub fn text_from(&self, place: usize) -> String {
        String::from_utf8_lossy(self.transcript.lock().0.get(place..).unwrap_or_default()).into_owned()
    }

    /// From now on what the guest wrote since it had written so much counts, whether it was waited for or not.
    pub fn go_back_to(&mut self, place: usize) {
        self.cursor = self.cursor.min(place);
    }

    /// From now on only text that is not there yet counts.
    pub fn skip_to_end(&mut self) {
        self.cursor = self.transcript.lock().0.len();
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

/// Where `line` ends in `text`, whose whole lines of the log count as not there.
fn end_of_echo(text: &[u8], line: &[u8]) -> Option<usize> {
    let (mut shown, mut places, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(byte) = text.get(at) {
        if let Some(length) = log_line(&text[at..]) {
            at += length;
            continue;
        }
        at += 1;
        shown.push(*byte);
        places.push(at);
    }
    let begin = find(&shown, line)?;
    places.get((begin + line.len()).checked_sub(1)?).copied()
}

/// The length of the line of the log that `text` begins with, if it is whole: `[   4.276623] I name: …`.
fn log_line(text: &[u8]) -> Option<usize> {
    let stamp = text.strip_prefix(b"[")?.split(|byte| *byte == b']').next()?;
    let is_stamp =
        (11..20).contains(&stamp.len()) && stamp.iter().all(|byte| matches!(byte, b' ' | b'.' | b'0'..=b'9'));
    is_stamp.then(|| text.iter().position(|byte| *byte == b'\n').map(|end| end + 1))?
}

fn tail(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST)..].iter().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::Console;
    use std::time::Duration;

    fn console(text: &'static str) -> Console {
        let log = std::fs::File::create("/dev/null").expect("the null device is writable");
        Console::new(text.as_bytes(), std::io::sink(), log)
    }

    #[test]
    fn expect_returns_the_text_up_to_the_needle_and_moves_on() {
        let mut console = console("one two one three");
        assert_eq!(console.expect("one", Duration::from_secs(5)).expect("is there"), "one");
        assert_eq!(console.expect("one", Duration::from_secs(5)).expect("is there twice"), " two one");
        assert!(console.expect("one", Duration::from_secs(5)).is_err());
    }

    #[test]
    fn echo_is_found_between_lines_of_the_log() {
        let text = "> svc st[   4.276623] I a: ended\r\n[   4.276624] I svc stop b\r\nop b\r\nb is stopped\r\n> svc s[ 4] top c\r\n";
        let mut console = console(text);
        let echo = console.expect_echo("svc stop b", Duration::from_secs(5)).expect("is there");
        assert!(echo.ends_with("\nop b"), "{echo}");
        assert!(console.expect("b is stopped", Duration::from_secs(5)).is_ok());
        assert!(console.expect_echo("svc stop c", Duration::from_secs(5)).is_err(), "that is no line of the log");
    }

    #[test]
    fn expect_after_the_end_fails_at_once_and_shows_the_last_lines() {
        let mut console = console("panic: no memory\n");
        let error = console.expect("login", Duration::from_secs(60)).expect_err("never comes");
        assert!(error.to_string().contains("panic: no memory"), "{error}");
    }
}
