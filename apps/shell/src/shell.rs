//! The console: keys in, commands run, lines out; uses no capability itself.
use crate::command::{self, Command, Mistake};
use crate::editor::{Editor, Key};
use crate::job::{Clients, Job, Step, Times, Wires};
use crate::quote::quoted;
use crate::screen::Screen;
use crate::top::Seen;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_ipc::{BytesConsumer, RingError};

/// The longest record of a terminal's input ring, bytes (`ipc-idl/console/console.idl`).
pub const INPUT_MAX: usize = 64;
/// Keys that may be typed ahead while a command runs; more are lost.
const AHEAD_MAX: usize = 256;
const PROMPT: &[u8] = b"> ";
const INTERRUPT: u8 = 0x03;
/// Ctrl-]: has whoever has the console stopped.
const ESCAPE: u8 = 0x1d;

/// The shell on one terminal.
pub struct Shell<W: Wires> {
    clients: Clients<W>,
    input: BytesConsumer<INPUT_MAX>,
    screen: Screen,
    editor: Editor,
    ahead: VecDeque<u8>,
    job: Option<Job<W>>,
    /// Somebody else has the console, and a key came or somebody left: it is looked whether that one runs still.
    is_woken: bool,
    seen: Seen,
    scratch: Vec<u8>,
}

impl<W: Wires> Shell<W> {
    /// A shell that greets; at the first [`Shell::advance`] it shows its prompt, or leaves the console to who has it.
    pub fn new(clients: Clients<W>, input: BytesConsumer<INPUT_MAX>, mut screen: Screen) -> Self {
        screen.print(b"\r\nHybridOS console; `help` lists the commands.\r\n");
        let scratch = Vec::with_capacity(INPUT_MAX);
        Self {
            clients,
            input,
            screen,
            editor: Editor::default(),
            ahead: VecDeque::new(),
            job: Some(Job::Resume),
            is_woken: false,
            seen: Seen::default(),
            scratch,
        }
    }

    /// The terminal was started anew, with these rings: what was typed, printed or under way is over, and there is a prompt again.
    pub fn begin_again(&mut self, input: BytesConsumer<INPUT_MAX>, screen: Screen) {
        (self.input, self.screen, self.editor) = (input, screen, Editor::default());
        self.ahead.clear();
        self.job = self.job.take().filter(|job| !job.is_interruptible());
        if self.job.is_none() {
            self.screen.print(b"\r\n");
            self.screen.print(PROMPT);
        }
    }

    /// The supervisor may have something to tell; who gets the console back is told at the next [`Shell::advance`].
    pub fn on_bell(&mut self) {
        self.is_woken |= self.is_away() && self.clients.services.pull_left().is_ok_and(|left| left.is_some());
    }

    /// The supervisor's next life knows nothing of what it had to tell.
    pub fn on_supervisor(&mut self) {
        self.is_woken = self.is_away();
    }

    fn is_away(&self) -> bool {
        self.job.as_ref().is_some_and(Job::is_away)
    }

    /// Does all that can be done until the terminal rings; `ring` rings the terminal.
    ///
    /// # Errors
    /// The terminal's rings are corrupt: there is no console any more.
    pub fn advance(&mut self, mut now: impl FnMut() -> Times, mut ring: impl FnMut()) -> Result<(), RingError> {
        loop {
            self.take_keys()?;
            if self.input.release() {
                ring();
            }
            self.press_keys();
            if self.screen.is_clear() && (!self.is_away() || core::mem::take(&mut self.is_woken)) {
                self.run(now());
            }
            if self.screen.flush()? {
                ring();
            }
            let waits_for_room = !self.screen.is_clear();
            let has_nothing_to_do = self.is_away() && !self.is_woken || self.job.is_none() && self.ahead.is_empty();
            // Even while output waits, Ctrl-C must come through: so the input's bell is always asked for.
            if (waits_for_room || has_nothing_to_do) && self.input.request_bell()? {
                return Ok(());
            }
        }
    }

    fn take_keys(&mut self) -> Result<(), RingError> {
        while let Some(keys) = self.input.pop(&mut self.scratch)? {
            for &key in keys {
                if let Some(Job::Away(guest)) = &mut self.job {
                    // What is typed is the other one's.
                    self.is_woken = true;
                    if key == ESCAPE {
                        guest.press_stop();
                    }
                } else if key == INTERRUPT && self.job.as_ref().is_some_and(Job::is_interruptible) {
                    self.job = None;
                    self.ahead.clear();
                    self.screen.print(b"^C\r\n");
                    self.screen.print(PROMPT);
                } else if self.ahead.len() < AHEAD_MAX {
                    self.ahead.push_back(key);
                }
            }
        }
        Ok(())
    }

    /// Edits until a line is complete.
    fn press_keys(&mut self) {
        let mut echo = Vec::new();
        while self.job.is_none()
            && self.screen.is_clear()
            && let Some(key) = self.ahead.pop_front()
        {
            match self.editor.press(key, &mut echo) {
                Key::Edited => {}
                Key::Interrupt => echo.extend_from_slice(PROMPT),
                Key::Line(line) => self.start(&line, &mut echo),
            }
        }
        self.screen.print(&echo);
    }

    fn start(&mut self, line: &str, echo: &mut Vec<u8>) {
        match command::parse(line) {
            Ok(Command::Nothing) => {}
            Ok(command) => {
                self.job = Some(Job::new(command));
                return;
            }
            Err(Mistake::Usage(usage)) => echo.extend_from_slice(format!("use: {usage}\r\n").as_bytes()),
            Err(Mistake::Unknown(word)) => {
                let text = format!("{}: there is no such command; `help` lists them\r\n", quoted(&word));
                echo.extend_from_slice(text.as_bytes());
            }
        }
        echo.extend_from_slice(PROMPT);
    }

    /// One step of the command that runs.
    fn run(&mut self, times: Times) {
        let Some(job) = self.job.take() else { return };
        let was_away = job.is_away();
        let mut out = String::new();
        let outcome = job.step(&mut self.clients, &mut self.seen, times, &mut out);
        self.screen.print(out.as_bytes());
        match outcome {
            Ok(Step::More(job)) => {
                if job.is_away() && !was_away {
                    // What was typed ahead is no command: whoever typed it may have meant the other one.
                    self.ahead.clear();
                    // It may have ended before anybody looked.
                    self.is_woken = true;
                }
                self.job = Some(job);
            }
            Ok(Step::Done) => self.screen.print(PROMPT),
            Err(text) => {
                self.screen.print(format!("{text}\r\n").as_bytes());
                self.screen.print(PROMPT);
            }
        }
    }
}
