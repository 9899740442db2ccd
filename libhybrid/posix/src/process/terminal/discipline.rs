//! The line discipline: what becomes of each byte that is typed or printed; knows no program and no line.
//!
//! Numbers and meanings: Linux, termios(3) and include/uapi/asm-generic/termbits.h.
//! INV-TERMINAL-1: at most [`READY_MAX`] bytes wait to be read, the line that is being typed included; what is typed beyond is dropped, with a beep while lines are edited.
//! INV-TERMINAL-2: while lines are edited, no byte that is typed can be read before its line is ended.
//! INV-TERMINAL-3: a byte that nobody read means, when lines begin to be edited, what it means when it is typed then.
use crate::process::signals::bit;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes that wait to be read at most.
pub(super) const READY_MAX: usize = 4096;
/// Bytes of echo that wait for room on the line; more is left out.
const ECHO_MAX: usize = 1024;
/// `struct termios` of the kernel's calls: four words of flags, a byte, and 19 characters.
pub(super) const SETTINGS: usize = 36;
const CHARACTERS: usize = 19;

/// Bits of `c_iflag`.
const INLCR: u32 = 0o100;
const IGNCR: u32 = 0o200;
const ICRNL: u32 = 0o400;
const IUTF8: u32 = 0o40000;
/// Bits of `c_oflag`.
const OPOST: u32 = 1;
const ONLCR: u32 = 4;
/// Bits of `c_lflag`.
const ISIG: u32 = 1;
const ICANON: u32 = 2;
const ECHO: u32 = 0o10;
const ECHOE: u32 = 0o20;
const ECHOK: u32 = 0o40;
const ECHONL: u32 = 0o100;
const NOFLSH: u32 = 0o200;
const ECHOCTL: u32 = 0o1000;
const ECHOKE: u32 = 0o4000;
const IEXTEN: u32 = 0o100_000;

/// Places of `c_cc`.
const INTERRUPT: usize = 0;
const QUIT: usize = 1;
const ERASE: usize = 2;
const KILL: usize = 3;
const END: usize = 4;
const TIME: usize = 5;
const MINIMUM: usize = 6;
const SUSPEND: usize = 10;
const LINE_END: usize = 11;
const WORD_ERASE: usize = 14;
const LINE_END_2: usize = 16;

const BELL: u8 = 7;
const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;
const SIGTSTP: u8 = 20;

/// What waits to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Typed {
    Byte(u8),
    /// As [`Self::Byte`], and it was echoed.
    Shown(u8),
    /// The end of the input, for one read.
    End,
}

impl Typed {
    const fn new(byte: u8, is_shown: bool) -> Self {
        if is_shown { Self::Shown(byte) } else { Self::Byte(byte) }
    }

    const fn is_shown(self) -> bool {
        matches!(self, Self::Shown(_))
    }

    const fn byte(self) -> Option<u8> {
        match self {
            Self::Byte(byte) | Self::Shown(byte) => Some(byte),
            Self::End => None,
        }
    }
}

/// The state of a terminal.
#[derive(Debug)]
pub(super) struct Discipline {
    input: u32,
    output: u32,
    control: u32,
    local: u32,
    line: u8,
    characters: [u8; CHARACTERS],
    /// The line that is being typed.
    edited: Vec<u8>,
    ready: VecDeque<Typed>,
    echo: Vec<u8>,
}

impl Discipline {
    /// As Linux sets up a serial console: lines are edited, and echoed.
    pub(super) fn new() -> Self {
        let mut characters = [0; CHARACTERS];
        let settings = [
            (INTERRUPT, 3),
            (QUIT, 0x1c),
            (ERASE, 0x7f),
            (KILL, 0x15),
            (END, 4),
            (MINIMUM, 1),
            (SUSPEND, 0x1a),
            (WORD_ERASE, 0x17),
        ];
        for (at, value) in settings {
            if let Some(place) = characters.get_mut(at) {
                *place = value;
            }
        }
        // 38,400 baud, 8 bits, a receiver, hang up at the end: what a program finds there, and what nothing here goes by.
        let control = 0o17 | 0o60 | 0o200 | 0o2000;
        let local = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
        Self {
            input: ICRNL | IUTF8,
            output: OPOST | ONLCR,
            control,
            local,
            line: 0,
            characters,
            edited: Vec::new(),
            ready: VecDeque::new(),
            echo: Vec::new(),
        }
    }

    /// `struct termios`.
    pub(super) fn settings(&self) -> [u8; SETTINGS] {
        let mut bytes = [0; SETTINGS];
        let words = [self.input, self.output, self.control, self.local].map(u32::to_le_bytes);
        let all = words.iter().flatten().chain([&self.line]).chain(&self.characters);
        for (place, byte) in bytes.iter_mut().zip(all) {
            *place = *byte;
        }
        bytes
    }

    /// Takes other settings; a bit for each signal that what was typed is then. What was typed of a line can be read at once if lines are not
    /// edited any more. If they are from now on, what nobody read is typed again: who edits lines itself leaves what is typed behind one to the
    /// program that it starts then, corrections, ends and interrupts included.
    pub(super) fn set(&mut self, bytes: &[u8; SETTINGS]) -> u64 {
        let (was_edited, was_shown) = (self.is_edited(), self.has(ECHO));
        let word =
            |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word));
        (self.input, self.output, self.control, self.local) = (word(0), word(4), word(8), word(12));
        if let [.., line] = bytes.get(..SETTINGS - CHARACTERS).unwrap_or_default() {
            self.line = *line;
        }
        if let Some(characters) = bytes.last_chunk() {
            self.characters = *characters;
        }
        if !self.is_edited() {
            self.commit(was_shown);
            return 0;
        }
        if was_edited { 0 } else { self.type_again() }
    }

    /// What waits to be read goes through these settings. It takes no more places than it had.
    fn type_again(&mut self) -> u64 {
        let mut signals = 0;
        for typed in core::mem::take(&mut self.ready) {
            let Some(byte) = typed.byte() else {
                self.end();
                continue;
            };
            let echo = self.echo.len();
            signals |= self.feed(byte).map_or(0, bit);
            if typed.is_shown() {
                self.echo.truncate(echo);
            }
        }
        signals
    }

    /// Forgets what was typed and not read.
    pub(super) fn forget_input(&mut self) {
        self.edited.clear();
        self.ready.clear();
    }

    const fn has(&self, bit: u32) -> bool {
        self.local & bit != 0
    }

    /// Whether lines are edited here.
    pub(super) const fn is_edited(&self) -> bool {
        self.has(ICANON)
    }

    /// Where a read does not wait for a line: the fewest bytes that it wants, and nanoseconds that it waits for them if those are none.
    pub(super) fn patience(&self) -> (usize, u64) {
        let of = |at: usize| self.characters.get(at).copied().unwrap_or(0);
        (of(MINIMUM).into(), u64::from(of(TIME)) * 100_000_000)
    }

    /// Whether the byte is that character; a character of 0 is none.
    fn is(&self, byte: u8, which: usize) -> bool {
        byte != 0 && self.characters.get(which) == Some(&byte)
    }

    /// A byte was typed; the signal that it is.
    pub(super) fn feed(&mut self, byte: u8) -> Option<u8> {
        let byte = match byte {
            b'\r' if self.input & IGNCR != 0 => return None,
            b'\r' if self.input & ICRNL != 0 => b'\n',
            b'\n' if self.input & INLCR != 0 => b'\r',
            byte => byte,
        };
        if let Some(signal) = self.signal(byte) {
            if !self.has(NOFLSH) {
                self.forget_input();
            }
            self.show(byte);
            return Some(signal);
        }
        if self.is_edited() {
            self.edit(byte);
        } else if self.has_room() {
            self.ready.push_back(Typed::new(byte, self.has(ECHO)));
            self.show(byte);
        }
        None
    }

    fn signal(&self, byte: u8) -> Option<u8> {
        let signals = [(INTERRUPT, SIGINT), (QUIT, SIGQUIT), (SUSPEND, SIGTSTP)];
        let found = signals.iter().find(|(which, _)| self.is(byte, *which));
        found.filter(|_| self.has(ISIG)).map(|(_, signal)| *signal)
    }

    fn has_room(&self) -> bool {
        // An end takes a place of its own.
        self.edited.len() + self.ready.len() + 1 < READY_MAX
    }

    fn edit(&mut self, byte: u8) {
        let is_extended = self.has(IEXTEN);
        if self.is(byte, ERASE) {
            self.rub_out(1);
        } else if is_extended && self.is(byte, WORD_ERASE) {
            self.rub_out(self.word());
        } else if self.is(byte, KILL) {
            self.rub_out(usize::MAX);
        } else if self.is(byte, END) {
            self.end();
        } else {
            let is_end = byte == b'\n' || self.is(byte, LINE_END) || is_extended && self.is(byte, LINE_END_2);
            // The end of a line always gets through, in place of its last byte: who waits for the line would wait for ever.
            if !(self.has_room() || is_end && self.edited.pop().is_some()) {
                self.say(BELL);
                return;
            }
            self.edited.push(byte);
            if byte == b'\n' && self.has(ECHO | ECHONL) {
                self.say(b'\n');
            } else {
                self.show(byte);
            }
            if is_end {
                self.commit(self.has(ECHO));
            }
        }
    }

    /// The input ends behind what was typed of the line.
    fn end(&mut self) {
        self.commit(self.has(ECHO));
        // One end after another says nothing more; each takes a place.
        if self.ready.len() < READY_MAX {
            self.ready.push_back(Typed::End);
        }
    }

    /// The line can be read.
    fn commit(&mut self, is_shown: bool) {
        self.ready.extend(self.edited.drain(..).map(|byte| Typed::new(byte, is_shown)));
    }

    /// Characters from the end to the beginning of the last word.
    fn word(&self) -> usize {
        let is_of_text = |byte: &u8| !is_continued(*byte);
        let mut letters = self.edited.iter().rev().filter(|byte| is_of_text(byte)).peekable();
        let mut count = 0;
        while letters.next_if(|byte| byte.is_ascii_whitespace()).is_some() {
            count += 1;
        }
        count + letters.take_while(|byte| !byte.is_ascii_whitespace()).count()
    }

    /// Takes so many characters off the line.
    fn rub_out(&mut self, characters: usize) {
        for _ in 0..characters {
            let Some(mut last) = self.edited.pop() else { break };
            while self.input & IUTF8 != 0 && is_continued(last) {
                match self.edited.pop() {
                    Some(before) => last = before,
                    None => break,
                }
            }
            if !self.has(ECHO) {
                continue;
            }
            let columns = if is_control(last) && self.has(ECHOCTL) { 2 } else { 1 };
            for _ in 0..columns {
                b"\x08 \x08".iter().for_each(|byte| self.say(*byte));
            }
        }
    }

    /// Echoes what was typed.
    fn show(&mut self, byte: u8) {
        if !self.has(ECHO) {
            return;
        }
        if self.has(ECHOCTL) && is_control(byte) {
            self.say(b'^');
            self.say(byte ^ 0x40);
        } else {
            self.say(byte);
        }
    }

    fn say(&mut self, byte: u8) {
        if self.echo.len() < ECHO_MAX {
            let (bytes, length) = self.printed(byte);
            self.echo.extend_from_slice(bytes.get(..length).unwrap_or_default());
        }
    }

    /// What goes onto the line for a byte that is printed, and how many bytes of it.
    pub(super) const fn printed(&self, byte: u8) -> ([u8; 2], usize) {
        match byte {
            b'\n' if self.output & OPOST != 0 && self.output & ONLCR != 0 => (*b"\r\n", 2),
            byte => ([byte, 0], 1),
        }
    }

    /// Echo that is to go onto the line.
    pub(super) fn echo(&self) -> &[u8] {
        &self.echo
    }

    /// So much of it went.
    pub(super) fn echoed(&mut self, bytes: usize) {
        self.echo.drain(..bytes.min(self.echo.len()));
    }

    /// Whether a read into so much room has something, be it the end.
    pub(super) fn is_readable(&self, room: usize) -> bool {
        let fewest = if self.is_edited() { 1 } else { self.patience().0.min(room).max(1) };
        self.ready.len() >= fewest
    }

    /// Whether there is something that a wait for readiness should tell: with a time, the first byte is.
    pub(super) fn is_ready(&self) -> bool {
        let (_, time) = self.patience();
        self.is_readable(if time > 0 { 1 } else { usize::MAX })
    }

    /// How much is kept (INV-TERMINAL-1).
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.edited.len() + self.ready.len()
    }

    /// Bytes that can be read.
    pub(super) fn waiting(&self) -> usize {
        self.ready.iter().filter(|typed| typed.byte().is_some()).count()
    }

    /// Of the next read into so much room: how many bytes it gets, and whether it takes an end. It gets no more than a line, also where lines are
    /// not edited, unless more is wanted: a reader that keeps what it did not need yet would keep it from whoever reads next.
    pub(super) fn span(&self, room: usize) -> (usize, bool) {
        let mut length = 0;
        for typed in &self.ready {
            match typed.byte() {
                None => return (length, true),
                Some(_) if length == room => break,
                Some(byte) => {
                    length += 1;
                    if self.is_line_end(byte) && (self.is_edited() || length >= self.patience().0) {
                        break;
                    }
                }
            }
        }
        (length, false)
    }

    /// Where lines are not edited, a carriage return ends one, too.
    pub(super) fn is_line_end(&self, byte: u8) -> bool {
        let is_end = byte == b'\n' || self.is(byte, LINE_END) || self.is(byte, LINE_END_2);
        is_end || byte == b'\r' && !self.is_edited()
    }

    /// Copies bytes that can be read, from the `from`th on; how many.
    pub(super) fn peek(&self, from: usize, into: &mut [u8]) -> usize {
        let mut copied = 0;
        for (place, typed) in into.iter_mut().zip(self.ready.iter().skip(from)) {
            let Some(byte) = typed.byte() else { break };
            *place = byte;
            copied += 1;
        }
        copied
    }

    /// They were read.
    pub(super) fn take(&mut self, bytes: usize, is_end: bool) {
        self.ready.drain(..(bytes + usize::from(is_end)).min(self.ready.len()));
    }
}

/// Whether a byte is not the first of a character.
const fn is_continued(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Whether a byte has no picture of its own and moves nothing that an echo should move.
const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t' && byte != b'\n') || byte == 0x7f
}
