//! A terminal against a fake line: what is typed, read, echoed and printed; editing of lines as a model.
use super::*;
use crate::console::{WRITE_MAX, Wire};
use crate::process::readiness as poll;
use std::collections::VecDeque;

const TCGETS: u64 = 0x5401;
const TCSETS: u64 = 0x5402;
const TCSETSF: u64 = 0x5404;
const TIOCGWINSZ: u64 = 0x5413;
const TIOCSWINSZ: u64 = 0x5414;
const NONBLOCK: u64 = 0o4000;
const SET: u64 = AT + 0x400;

#[derive(Default)]
pub(super) struct FakeWire {
    typed: VecDeque<Vec<u8>>,
    printed: Vec<u8>,
    /// Bytes that it still takes; `None`: any.
    room: Option<usize>,
}

impl Wire for FakeWire {
    fn push(&mut self, bytes: &[u8]) -> bool {
        assert!((1..=WRITE_MAX).contains(&bytes.len()));
        match &mut self.room {
            Some(room) if *room < bytes.len() => return false,
            Some(room) => *room -= bytes.len(),
            None => {}
        }
        self.printed.extend_from_slice(bytes);
        true
    }

    fn next<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        *scratch = self.typed.pop_front()?;
        Some(scratch)
    }
}

fn at_terminal() -> Program {
    let mut program = Program::new();
    program.world.wire = Some(FakeWire::default());
    program.process.attach_terminal();
    program
}

impl FakeWire {
    /// How much it takes from now on.
    pub(super) fn limit(&mut self, room: Option<usize>) {
        self.room = room;
    }
}

impl Program {
    pub(super) fn wire(&mut self) -> &mut FakeWire {
        self.world.wire.as_mut().unwrap()
    }

    /// Keys arrive, and the bell is heard.
    pub(super) fn typed(&mut self, keys: &[u8]) {
        self.wire().typed.extend(keys.chunks(64).map(<[u8]>::to_vec));
        self.process.on_line(&mut self.world);
        self.process.expire(&mut self.world);
    }

    /// What a read that does not wait gets.
    pub(super) fn line(&mut self, room: u64) -> Result<Vec<u8>, i64> {
        assert_eq!(self.call(number::FCNTL, &[0, 4, NONBLOCK]), 0);
        let length = usize::try_from(self.call(number::READ, &[0, AT, room])).map_err(|_| Errno::EAGAIN.negated())?;
        let mut bytes = vec![0; length];
        self.world.read(AT, &mut bytes).unwrap();
        Ok(bytes)
    }

    pub(super) fn printed(&mut self) -> String {
        String::from_utf8(core::mem::take(&mut self.wire().printed)).unwrap()
    }

    /// As an editor of lines leaves the terminal, and as it was before.
    fn edits(&mut self, is_edited: bool) -> Outcome {
        assert_eq!(self.call(number::IOCTL, &[0, TCGETS, SET]), 0);
        let mut settings = [0; 36];
        self.world.read(SET, &mut settings).unwrap();
        let bits = 1 | 2 | 8;
        settings[12] = if is_edited { settings[12] | bits } else { settings[12] & !bits };
        self.world.write(SET, &settings).unwrap();
        self.on(0, number::IOCTL, &[0, TCSETS, SET])
    }

    /// Clears bits of `c_lflag`, and says the fewest bytes and the tenths of a second of a read.
    fn settings(&mut self, cleared: u32, minimum: u8, tenths: u8) {
        assert_eq!(self.call(number::IOCTL, &[0, TCGETS, SET]), 0);
        let mut settings = [0; 36];
        self.world.read(SET, &mut settings).unwrap();
        let local = u32::from_le_bytes(settings[12..16].try_into().unwrap()) & !cleared;
        settings[12..16].copy_from_slice(&local.to_le_bytes());
        (settings[17 + 6], settings[17 + 5]) = (minimum, tenths);
        self.world.write(SET, &settings).unwrap();
        assert_eq!(self.call(number::IOCTL, &[1, TCSETS, SET]), 0);
    }
}

const NOTHING: Result<Vec<u8>, i64> = Err(-11);

#[test]
fn lines_are_edited_echoed_and_read_one_at_a_time() {
    let mut program = at_terminal();
    program.typed(b"lz\x7fs -l\rpw");
    assert_eq!(program.printed(), "lz\x08 \x08s -l\r\npw");
    assert_eq!(program.line(100), Ok(b"ls -l\n".to_vec()));
    assert_eq!(program.line(100), NOTHING);
    program.typed("d ü\x7f one two\x17\x17x\x15date\r".as_bytes());
    assert_eq!(program.line(3), Ok(b"dat".to_vec()));
    assert_eq!(program.line(100), Ok(b"e\n".to_vec()));
    assert!(program.printed().ends_with("\x08 \x08date\r\n"));
    program.typed(b"\t\x01");
    assert_eq!(program.printed(), "\t^A");
}

#[test]
fn end_of_input_is_for_one_read_and_gives_what_was_typed_before_it() {
    let mut program = at_terminal();
    program.typed(b"\x04");
    assert_eq!(program.line(10), Ok(vec![]));
    assert_eq!(program.line(10), NOTHING);
    program.typed(b"ab\x04cd\r");
    assert_eq!(program.line(2), Ok(b"ab".to_vec()));
    assert_eq!(program.line(10), Ok(b"cd\n".to_vec()));
}

#[test]
fn what_is_printed_has_line_ends_of_a_terminal_and_waits_for_room() {
    let mut program = at_terminal();
    program.world.write(AT, b"one\ntwo").unwrap();
    assert_eq!(program.call(number::WRITE, &[2, AT, 7]), 7);
    assert_eq!((program.printed(), program.world.told.len()), ("one\r\ntwo".into(), 0));
    program.wire().room = Some(0);
    assert_eq!(program.on(0, number::WRITE, &[1, AT, 7]), Outcome::Park);
    // Who asks whether there is room hears of it once there is, not by asking.
    let mut other = at_terminal();
    other.wire().room = Some(0);
    assert_eq!(other.call(number::FCNTL, &[1, 4, NONBLOCK]), 0);
    assert_eq!(other.call(number::WRITE, &[1, AT, 7]), Errno::EAGAIN.negated());
    other.put(AT + 64, &[u64::from(poll::OUT) << 32 | 1]);
    assert_eq!(other.on(0, number::PPOLL, &[AT + 64, 1, 0, 0, 8]), Outcome::Park);
    other.wire().room = None;
    other.process.on_line(&mut other.world);
    other.process.retry(&mut other.world);
    assert_eq!(other.process.take_result(0), Some(1));
    program.wire().room = None;
    program.process.on_line(&mut program.world);
    program.process.retry(&mut program.world);
    assert_eq!((program.process.take_result(0), program.printed()), (Some(7), "one\r\ntwo".into()));
}

#[test]
fn who_waits_reads_what_is_typed_then_and_polls_tell() {
    let mut program = at_terminal();
    program.put(AT + 64, &[u64::from(poll::IN) << 32]);
    assert_eq!(program.on(0, number::PPOLL, &[AT + 64, 1, 0, 0, 8]), Outcome::Park);
    program.typed(b"y");
    assert_eq!(program.process.take_result(0), None);
    program.typed(b"\r");
    assert_eq!(program.process.take_result(0), Some(1));
    assert_eq!(program.line(10), Ok(b"y\n".to_vec()));
    assert_eq!(program.call(number::FCNTL, &[0, 4, 0]), 0);
    assert_eq!(program.on(0, number::READ, &[0, AT, 10]), Outcome::Park);
    program.typed(b"z\r");
    assert_eq!(program.process.take_result(0), Some(2));
}

#[test]
fn bytes_are_read_as_they_come_when_lines_are_not_edited() {
    let mut program = at_terminal();
    program.typed(b"ab");
    program.settings(2 | 8, 1, 0);
    program.typed(b"\x7f\x04\r");
    assert_eq!((program.line(100), program.printed()), (Ok(b"ab\x7f\x04\n".to_vec()), "ab".into()));
    assert_eq!(program.line(100), NOTHING);
    // At least three.
    program.settings(0, 3, 0);
    program.typed(b"ab");
    assert_eq!(program.call(number::FCNTL, &[0, 4, 0]), 0);
    assert_eq!(program.on(0, number::READ, &[0, AT, 100]), Outcome::Park);
    program.typed(b"c");
    assert_eq!(program.process.take_result(0), Some(3));
    // No more than there is room for, and what is there for one that does not wait.
    program.typed(b"defg");
    assert_eq!(
        (program.line(1), program.line(2), program.line(9)),
        (Ok(b"d".to_vec()), Ok(b"ef".to_vec()), Ok(b"g".to_vec()))
    );
    // None is enough: at once, or after some tenths of a second.
    program.settings(0, 0, 0);
    assert_eq!(program.line(100), Ok(vec![]));
    program.settings(0, 0, 3);
    assert_eq!(program.call(number::FCNTL, &[0, 4, 0]), 0);
    assert_eq!(program.on(0, number::READ, &[0, AT, 10]), Outcome::Park);
    program.at(299_999_999);
    assert_eq!(program.process.take_result(0), None);
    program.at(300_000_000);
    assert_eq!(program.process.take_result(0), Some(0));
}

#[test]
fn what_is_typed_behind_a_line_is_read_by_who_comes_next_as_if_it_were_typed_then() {
    let mut program = at_terminal();
    assert_eq!(program.edits(false), Outcome::Done(0));
    program.typed(b"sort\rpet\x7far\r\x04ne");
    assert_eq!((program.line(100), program.printed()), (Ok(b"sort\n".to_vec()), String::new()));
    assert_eq!(program.edits(true), Outcome::Done(0));
    assert_eq!(program.printed(), "pet\x08 \x08ar\r\nne");
    assert_eq!(
        (program.line(100), program.line(100), program.line(100)),
        (Ok(b"pear\n".to_vec()), Ok(vec![]), NOTHING)
    );
    program.typed(b"xt\r");
    // Back to the editor, and what that did not read is not shown twice.
    program.typed(b"more\rand mo");
    program.printed();
    assert_eq!(program.edits(false), Outcome::Done(0));
    assert_eq!(program.line(100), Ok(b"next\n".to_vec()));
    program.typed(b"re");
    assert_eq!((program.edits(true), program.printed()), (Outcome::Done(0), "re".into()));
    program.typed(b"\r");
    assert_eq!((program.line(100), program.line(100)), (Ok(b"more\n".to_vec()), Ok(b"and more\n".to_vec())));
}

#[test]
fn interrupt_that_was_typed_before_it_could_be_one_is_one_then() {
    let mut program = at_terminal();
    assert_eq!(program.edits(false), Outcome::Done(0));
    program.typed(b"sort\rlost\r\x03kept\r");
    assert_eq!(program.line(100), Ok(b"sort\n".to_vec()));
    program.put(AT, &[0xcafe, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[2, AT, 0, 8]), 0);
    let Outcome::Deliver(delivery) = program.edits(true) else { panic!("not told") };
    assert_eq!((delivery.signal, delivery.result), (2, 0));
    assert_eq!(program.process.handled(&mut program.world, 0, delivery), Outcome::Done(0));
    assert_eq!((program.line(100), program.line(100)), (Ok(b"kept\n".to_vec()), NOTHING));
}

#[test]
fn interrupt_ends_a_program_without_a_handler_and_is_an_ordinary_byte_where_signals_are_off() {
    let mut program = at_terminal();
    program.settings(1, 1, 0);
    program.typed(b"\x03\r");
    assert_eq!(program.line(10), Ok(b"\x03\n".to_vec()));
    let mut program = at_terminal();
    program.typed(b"half");
    assert_eq!(program.on(0, number::READ, &[0, AT, 10]), Outcome::Park);
    program.typed(b"\x03");
    assert!(program.printed().ends_with("^C"));
    let result = program.process.take_result(0).expect("it goes on");
    assert_eq!(program.process.resumed(&mut program.world, 0, result), Outcome::Ended(Ending::Signal(2)));
}

#[test]
fn descriptors_are_a_terminal_and_so_is_its_device() {
    let mut program = at_terminal();
    for descriptor in 0..3 {
        assert_eq!(program.call(number::IOCTL, &[descriptor, TIOCGWINSZ, AT]), 0);
        assert_eq!(program.world.words(AT), [80 << 16 | 24]);
    }
    program.put(AT, &[100 << 16 | 40]);
    assert_eq!(program.call(number::IOCTL, &[0, TIOCSWINSZ, AT]), 0);
    program.world.write(AT, b"/dev/tty\0").unwrap();
    assert_eq!(program.call(number::OPENAT, &[0, AT, 2]), 3);
    assert_eq!(program.call(number::IOCTL, &[3, TIOCGWINSZ, AT]), 0);
    assert_eq!(program.world.words(AT), [100 << 16 | 40]);
    assert_eq!(program.call(number::LSEEK, &[3, 0, 0]), Errno::ESPIPE.negated());
    assert_eq!(program.call(number::IOCTL, &[3, 0x1234, AT]), Errno::ENOTTY.negated());
    assert_eq!(program.call(number::IOCTL, &[3, TCGETS, 12]), Errno::EFAULT.negated());
    program.typed(b"x\r");
    assert_eq!(program.call(number::IOCTL, &[0, 0x541b, AT]), 0);
    assert_eq!(program.world.words::<1>(AT)[0] & 0xffff_ffff, 2);
    assert_eq!(program.call(number::IOCTL, &[0, TCGETS, SET]), 0);
    assert_eq!(program.call(number::IOCTL, &[0, TCSETSF, SET]), 0);
    assert_eq!(program.line(10), NOTHING);
    // Without a terminal there is none.
    let mut program = Program::new();
    program.world.write(AT, b"/dev/tty\0").unwrap();
    assert_eq!(program.call(number::OPENAT, &[0, AT, 2]), Errno::ENOENT.negated());
}

#[test]
fn who_types_more_than_anybody_reads_hears_a_beep_and_nothing_is_mixed_up() {
    let mut program = at_terminal();
    for _ in 0..200 {
        program.typed(&[b'a'; 63]);
        program.typed(b"\r");
    }
    assert!(program.printed().contains('\x07'));
    let mut read = 0;
    while let Ok(line) = program.line(1000) {
        assert!(line.iter().rev().skip(1).all(|byte| *byte == b'a'), "{line:?}");
        read += line.len();
    }
    assert!((4000..4096).contains(&read), "{read}");
}

#[test]
fn line_of_more_than_is_kept_is_read_without_its_middle() {
    let mut program = at_terminal();
    assert_eq!(program.on(0, number::READ, &[0, AT, 100]), Outcome::Park);
    program.typed(&[b'a'; 5000]);
    assert_eq!(program.process.take_result(0), None);
    program.typed(b"\r");
    assert_eq!(program.process.take_result(0), Some(100));
    let mut read = 100;
    while let Ok(part) = program.line(1000) {
        read += part.len();
        assert!(read < 4096 && (part.ends_with(b"\n") || part.len() == 1000));
    }
    assert_eq!(read, 4095);
    // And the next one is whole.
    program.typed(b"next\r");
    assert_eq!(program.line(100), Ok(b"next\n".to_vec()));
}

/// Lines as somebody with a pencil makes them of keys.
fn lines(keys: &[u8]) -> Vec<Vec<u8>> {
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    for key in keys {
        match key {
            b'\r' | b'\n' => {
                line.push(b'\n');
                lines.push(core::mem::take(&mut line));
            }
            0x7f => _ = line.pop(),
            0x15 => line.clear(),
            4 => lines.push(core::mem::take(&mut line)),
            key => line.push(*key),
        }
    }
    lines
}

proptest! {
    /// INV-TERMINAL-2, and that each read gives one line, whatever pieces the keys come in.
    #[test]
    fn what_is_read_is_what_was_typed_with_its_corrections(
        pieces in prop::collection::vec(
            prop::collection::vec(prop_oneof![6 => b'a'..=b'z', 1 => Just(b'\r'), 1 => Just(0x7f), 1 => Just(0x15), 1 => Just(4)], 1..20),
            0..20,
        ),
    ) {
        let mut program = at_terminal();
        pieces.iter().for_each(|piece| program.typed(piece));
        for line in lines(&pieces.concat()) {
            prop_assert_eq!(program.line(1000), Ok(line));
        }
        prop_assert_eq!(program.line(1000), NOTHING);
    }

    /// Nothing that is typed or set makes it panic or keep more than it may (INV-TERMINAL-1).
    #[test]
    fn no_keys_and_no_settings_harm(
        steps in prop::collection::vec((prop_oneof![9 => prop::collection::vec(any::<u8>(), 1..64), 1 => Just(vec![4; 600])], any::<Option<[u8; 36]>>(), 0_u64..80), 0..120),
    ) {
        let mut program = at_terminal();
        // It goes on after each signal.
        for signal in [2, 3] {
            program.put(AT, &[1, 0, 0, 0]);
            prop_assert_eq!(program.call(number::RT_SIGACTION, &[signal, AT, 0, 8]), 0);
        }
        for (keys, settings, room) in steps {
            if let Some(settings) = settings {
                program.world.write(SET, &settings).unwrap();
                prop_assert_eq!(program.call(number::IOCTL, &[0, TCSETS, SET]), 0);
            }
            program.typed(&keys);
            let _some_or_none = program.line(room);
            prop_assert_eq!(program.call(number::IOCTL, &[0, 0x541b, AT]), 0);
            prop_assert!(program.world.words::<1>(AT)[0] & 0xffff_ffff < 4096);
            prop_assert!(program.process.typed_kept() <= 4096);
        }
    }
}
