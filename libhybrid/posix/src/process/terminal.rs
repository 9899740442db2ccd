//! The terminal of a program: descriptors 0, 1, 2 and `/dev/tty`; what becomes of bytes is the discipline's.
//!
//! All descriptors of it are of one terminal. There are no sessions and no process groups: what is typed as an interrupt is for the program and for
//! all children of its that run.
mod discipline;

use super::object::{Id, Object};
use super::pieces::Pieces;
use super::signals::bit;
use super::{Pages, Process};
use crate::console::WRITE_MAX;
use crate::number::{Answer, Errno};
use crate::world::{self, World};
use alloc::boxed::Box;
use discipline::{Discipline, SETTINGS};

/// Requests of `ioctl` (include/uapi/asm-generic/ioctls.h).
const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TCSBRK: u32 = 0x5409;
const TCFLSH: u32 = 0x540b;
const TIOCSCTTY: u32 = 0x540e;
const TIOCGPGRP: u32 = 0x540f;
const TIOCSPGRP: u32 = 0x5410;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const TIOCGSID: u32 = 0x5429;
const SIGWINCH: u8 = 28;

/// Bytes of a piece that is read or written at a time; a line feed becomes two.
pub(super) const PIECE: usize = WRITE_MAX / 2;
/// Rows and columns until somebody says otherwise: nobody can ask a serial line.
const SIZE: u64 = 24 | 80 << 16;

/// The state of the terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    discipline: Discipline,
    /// `struct winsize`: rows, columns, and two numbers, none of which anything here goes by.
    size: u64,
    /// Something did not fit onto the line, and a bell comes when it may.
    is_full: bool,
}

impl<S: Pages> Process<S> {
    /// The program has a terminal, in place of its log and of no input.
    pub fn attach_terminal(&mut self) {
        self.terminal = Some(Box::new(Terminal { discipline: Discipline::new(), size: SIZE, is_full: false }));
        for id in self.files.objects.numbers() {
            if let Some(held) = self.files.objects.get_mut(id)
                && matches!(held.object, Object::Input | Object::Output(_))
            {
                held.object = Object::Terminal;
            }
        }
    }

    /// A bell was heard: the line may have room again, or bring something.
    pub fn on_line(&mut self, world: &mut impl World) {
        if let Some(terminal) = &mut self.terminal
            && core::mem::take(&mut terminal.is_full)
        {
            self.touch_terminals();
        }
        self.take_typed(world);
    }

    /// What was said may be more than was asked about.
    fn touch_terminals(&mut self) {
        for id in self.files.objects.numbers() {
            if self.files.objects.get(id).is_some_and(|held| matches!(held.object, Object::Terminal)) {
                self.files.touch(Some(id), true, true);
            }
        }
    }

    /// Takes what was typed, and shows it. Called after each wait, and before a call that could.
    pub(super) fn take_typed(&mut self, world: &mut impl World) {
        let Some(terminal) = self.terminal.as_mut().filter(|_| world.has_others()) else { return };
        let (mut signals, mut is_new) = (0_u64, false);
        while let Some(bytes) = world.wire().and_then(|wire| wire.next(&mut self.scratch)) {
            is_new = true;
            signals |= bytes.iter().filter_map(|byte| terminal.discipline.feed(*byte)).fold(0, |all, it| all | bit(it));
        }
        terminal.show_echo(world);
        if is_new {
            self.touch_terminals();
        }
        self.signal_typed(world, signals);
    }

    /// Signals that were typed, a bit for each.
    fn signal_typed(&mut self, world: &mut impl World, signals: u64) {
        for signal in (1..=64).filter(|signal| signals & bit(*signal) != 0) {
            self.signal_children(world, signal);
            self.signal_program(world, signal);
        }
    }

    /// What can be done with it without waiting.
    pub(super) fn terminal_state(&self) -> u32 {
        let Some(terminal) = &self.terminal else { return super::object::poll::HUP };
        let input = if terminal.discipline.is_ready() { super::object::poll::IN } else { 0 };
        input | if terminal.is_full { 0 } else { super::object::poll::OUT }
    }

    /// Bytes that a read would get.
    pub(super) fn typed(&self) -> u64 {
        self.terminal.as_ref().map_or(0, |terminal| terminal.discipline.waiting() as u64)
    }

    /// Whether a descriptor is the terminal's.
    pub(super) fn is_terminal(&self, argument: u64) -> bool {
        self.files.held(argument).is_ok_and(|held| matches!(held.object, Object::Terminal))
    }

    /// How much of what was typed is kept.
    #[cfg(test)]
    pub(super) fn typed_kept(&self) -> usize {
        self.terminal.as_ref().map_or(0, |terminal| terminal.discipline.kept())
    }

    /// How long a read waits, if it does not wait for a line or for bytes (`VMIN` 0).
    pub(super) fn typing_limit(&self) -> Option<u64> {
        let discipline = &self.terminal.as_ref()?.discipline;
        match discipline.patience() {
            (0, wait) if !discipline.is_edited() => Some(wait),
            _ => None,
        }
    }

    /// One line if lines are edited; `None` while there is none.
    pub(super) fn read_terminal(
        &mut self,
        world: &mut impl World,
        pieces: Pieces,
        is_nonblocking: bool,
    ) -> Result<Option<u64>, Errno> {
        let room = usize::try_from(pieces.total(world)?).unwrap_or(usize::MAX);
        let Some(terminal) = self.terminal.as_mut().filter(|_| world.has_others()) else { return Ok(Some(0)) };
        let discipline = &mut terminal.discipline;
        // What came in another way than wanted is there nevertheless, for one that does not wait.
        let is_patient = discipline.is_edited() || discipline.patience() != (0, 0);
        if room == 0 || !discipline.is_readable(if is_nonblocking { room.min(1) } else { room }) {
            return Ok((room == 0 || !is_patient).then_some(0));
        }
        let (length, is_end) = discipline.span(room);
        let mut done = 0;
        while done < length {
            let mut piece = [0; PIECE];
            let count = discipline.peek(done, &mut piece).min(length - done);
            match pieces.fill(world, done as u64, piece.get(..count).unwrap_or_default()) {
                Ok(_) => done += count,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        discipline.take(done, is_end && done == length);
        Ok(Some(done as u64))
    }

    /// What a child that asked for so much is to read: bytes, which stay, and whether a read ends behind them. None are the end; `None`: nothing
    /// is there yet.
    pub(super) fn look_at_typed(&self, into: &mut [u8]) -> Option<(usize, bool)> {
        let discipline = &self.terminal.as_ref()?.discipline;
        let (length, _) = discipline.is_readable(1).then(|| discipline.span(into.len()))?;
        let length = discipline.peek(0, into.get_mut(..length).unwrap_or_default());
        Some((length, length < into.len() || discipline.is_line_end(into.last().copied().unwrap_or(0))))
    }

    /// The first bytes that were typed are somebody else's, with the end if that is next.
    pub(super) fn take_seen(&mut self, length: usize) {
        if let Some(terminal) = &mut self.terminal {
            let (_, is_end) = terminal.discipline.span(length);
            terminal.discipline.take(length, is_end);
        }
    }

    /// `None`: the line takes no more now; `done` bytes are written.
    pub(super) fn write_terminal(
        &mut self,
        world: &mut impl World,
        pieces: Pieces,
        done: &mut u64,
    ) -> Result<Option<u64>, Errno> {
        let total = pieces.total(world)?;
        while *done < total {
            let mut piece = [0; PIECE];
            let length = pieces.read(world, *done, &mut piece)?;
            if length == 0 {
                break;
            }
            if !self.print(world, piece.get(..length).unwrap_or_default()) {
                return Ok(None);
            }
            *done += length as u64;
        }
        Ok(Some(*done))
    }

    /// At most [`PIECE`] bytes onto the line, behind the echo that is due; false if they found no room.
    pub(super) fn print(&mut self, world: &mut impl World, bytes: &[u8]) -> bool {
        let Some(terminal) = &mut self.terminal else { return true };
        if !terminal.show_echo(world) {
            return false;
        }
        let mut printed = heapless::Vec::<u8, WRITE_MAX>::new();
        for (pair, length) in bytes.iter().take(PIECE).map(|byte| terminal.discipline.printed(*byte)) {
            let _there_is_room_for_two_of_each = printed.extend_from_slice(pair.get(..length).unwrap_or_default());
        }
        let is_said = world.wire().is_none_or(|wire| wire.push(&printed));
        terminal.is_full |= !is_said;
        is_said
    }

    /// Requests about a terminal; `ENOTTY` for what is none, and for requests that it does not know.
    pub(super) fn terminal_request(&mut self, world: &mut impl World, id: Id, request: u32, address: u64) -> Answer {
        let is_terminal = self.files.objects.get(id).is_some_and(|held| matches!(held.object, Object::Terminal));
        let own = u32::from(self.identity.instance);
        let terminal = self.terminal.as_mut().filter(|_| is_terminal).ok_or(Errno::ENOTTY)?;
        match request {
            TCGETS => world.write(address, &terminal.discipline.settings())?,
            TCSETS | TCSETSW | TCSETSF => {
                let mut settings = [0; SETTINGS];
                world.read(address, &mut settings)?;
                if request == TCSETSF {
                    terminal.discipline.forget_input();
                }
                let signals = terminal.discipline.set(&settings);
                terminal.show_echo(world);
                self.touch_terminals();
                self.signal_typed(world, signals);
            }
            // 1 is for output, which is the driver's as soon as it is written.
            TCFLSH if address != 1 => terminal.discipline.forget_input(),
            // Nothing waits here for long, nobody else's terminal it is, and there are no groups to choose from.
            TCSBRK | TCFLSH | TIOCSCTTY | TIOCSPGRP => {}
            TIOCGPGRP | TIOCGSID => world.write(address, &own.to_le_bytes())?,
            TIOCGWINSZ => {
                let size = terminal.size;
                world::write_words(world, address, &[size])?;
            }
            TIOCSWINSZ => {
                [terminal.size] = world::read_words(world, address)?;
                self.signal_program(world, SIGWINCH);
            }
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }
}

impl Terminal {
    /// Moves echo onto the line as far as there is room; whether all went.
    fn show_echo(&mut self, world: &mut impl World) -> bool {
        while !self.discipline.echo().is_empty() {
            let echo = self.discipline.echo();
            let piece = echo.get(..WRITE_MAX).unwrap_or(echo);
            let length = piece.len();
            if world.wire().is_some_and(|wire| !wire.push(piece)) {
                self.is_full = true;
                return false;
            }
            self.discipline.echoed(length);
        }
        true
    }
}
