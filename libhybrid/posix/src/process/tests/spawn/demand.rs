//! Input by demand: what a child asks, and what two real sides make of one pipe.
use super::*;
use crate::process::readiness as poll;
use proptest::prelude::*;

const NONBLOCK: u64 = 0o4000;

impl Program {
    /// What it said to its parent.
    fn asked(&mut self) -> Vec<Said> {
        self.kin().out.remove(&key(Other::Parent, Channel::Error)).unwrap_or_default()
    }

    fn gets(&mut self, said: Said) {
        self.kin().says(Other::Parent, Channel::Input, said);
        self.bell();
    }

    fn read_at(&mut self, number: u64, room: u64) -> Result<Vec<u8>, i64> {
        let read = self.call(number::READ, &[number, AT + 0x100, room]);
        let mut bytes = vec![0; usize::try_from(read).map_err(|_| read)?];
        self.world.read(AT + 0x100, &mut bytes).unwrap();
        Ok(bytes)
    }
}

#[test]
fn child_asks_once_for_what_a_read_wants_and_hears_of_the_end_once() {
    let mut program = child([Stream::Parent, Stream::Own, Stream::Own]);
    program.bell();
    assert_eq!(program.asked(), []);
    assert_eq!(program.on(0, number::READ, &[0, AT, 100]), Outcome::Park);
    program.bell();
    assert_eq!(program.asked(), [Said::Demand(100)]);
    program.gets(Said::Bytes(b"abc".to_vec()));
    assert_eq!(program.process.take_result(0), Some(3));
    assert_eq!(program.asked(), []);
    // One that does not wait has asked, too.
    assert_eq!(program.call(number::FCNTL, &[0, 4, NONBLOCK]), 0);
    for _ in 0..2 {
        assert_eq!(program.read_at(0, 5), Err(Errno::EAGAIN.negated()));
    }
    assert_eq!(program.asked(), [Said::Demand(5)]);
    program.gets(Said::Bytes(vec![]));
    assert_eq!((program.read_at(0, 5), program.read_at(0, 6)), (Ok(vec![]), Err(Errno::EAGAIN.negated())));
    assert_eq!(program.asked(), [Said::Demand(6)]);
    // More than was asked is kept, and the end for good is one.
    program.gets(Said::Bytes(b"defghijkl".to_vec()));
    program.gets(Said::Ends(Channel::Input));
    assert_eq!((program.read_at(0, 6), program.read_at(0, 6)), (Ok(b"defghi".to_vec()), Ok(b"jkl".to_vec())));
    assert_eq!((program.read_at(0, 6), program.read_at(0, 6), program.asked()), (Ok(vec![]), Ok(vec![]), vec![]));
}

#[test]
fn who_waits_for_input_among_others_asks_whether_there_is_any() {
    let mut program = child([Stream::Parent, Stream::Own, Stream::Own]);
    let entry = AT + 64;
    program.put(entry, &[u64::from(poll::IN) << 32]);
    assert_eq!(program.call(number::PPOLL, &[entry, 0, AT, 0, 8]), 0);
    assert_eq!(program.asked(), [], "it asks of no descriptor");
    program.kin().is_full = true;
    assert_eq!(program.on(0, number::PPOLL, &[entry, 1, 0, 0, 8]), Outcome::Park);
    program.kin().is_full = false;
    program.bell();
    program.bell();
    assert_eq!(program.asked(), [Said::Demand(0)]);
    program.gets(Said::Ready);
    assert_eq!(program.process.take_result(0), Some(1));
    // Somebody else was quicker: the read waits, and readiness has to be told again.
    assert_eq!(program.on(0, number::READ, &[0, AT, 7]), Outcome::Park);
    assert_eq!(program.asked(), [Said::Demand(7)]);
    let other = program.process.begin_thread(&mut program.world, THREAD, AT + 0x80, AT + 0x88).unwrap();
    assert_eq!(program.on(other, number::PPOLL, &[entry, 1, 0, 0, 8]), Outcome::Park);
    assert_eq!(program.asked(), [], "who looks hears of what the read gets");
    program.gets(Said::Bytes(b"12345678".to_vec()));
    assert_eq!((program.process.take_result(0), program.process.take_result(other)), (Some(7), Some(1)));
}

/// Who reads fewer bytes than it has room for takes that for the end of what there is, and waits for the next edge (tokio).
#[test]
fn parent_is_asked_again_behind_a_short_read_of_who_watches_by_edge() {
    let mut program = child([Stream::Parent, Stream::Own, Stream::Own]);
    assert_eq!(program.call(number::FCNTL, &[0, 4, NONBLOCK]), 0);
    let epoll = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
    program.put(AT, &[u64::from(poll::IN) | 1 << 31, 5]);
    assert_eq!(program.call(number::EPOLL_CTL, &[epoll, 1, 0, AT]), 0);
    let wait = [epoll, AT, 8, u64::MAX, 0, 8];
    let other = program.process.begin_thread(&mut program.world, THREAD, AT + 0x80, AT + 0x88).unwrap();
    assert_eq!(program.read_at(0, 100), Err(Errno::EAGAIN.negated()));
    assert_eq!(program.asked(), [Said::Demand(100)]);
    for waits_first in [false, true, false] {
        assert_eq!(program.on(0, number::EPOLL_PWAIT, &wait), Outcome::Park);
        program.gets(Said::Bytes(b"abc".to_vec()));
        assert_eq!((program.process.take_result(0), program.asked()), (Some(1), vec![]));
        if waits_first {
            assert_eq!(program.on(other, number::EPOLL_PWAIT, &wait), Outcome::Park);
            assert_eq!(program.asked(), [], "what it was told of is there yet");
        }
        assert_eq!(program.read_at(0, 2), Ok(b"ab".to_vec()));
        program.bell();
        assert_eq!(program.asked(), []);
        assert_eq!(program.read_at(0, 100), Ok(b"c".to_vec()));
        if !waits_first {
            assert_eq!(program.on(other, number::EPOLL_PWAIT, &wait), Outcome::Park);
        }
        assert_eq!(program.asked(), [Said::Demand(0)]);
        program.gets(Said::Ready);
        assert_eq!(program.process.take_result(other), Some(1));
        assert_eq!(program.read_at(0, 100), Err(Errno::EAGAIN.negated()));
        assert_eq!(program.asked(), [Said::Demand(100)]);
    }
}

#[test]
fn pipe_that_is_a_childs_alone_is_sent_unasked() {
    let mut program = Program::parent();
    let (reads, writes) = program.pipe(0);
    assert_eq!(program.call(number::WRITE, &[writes, AT, 8]), 8);
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, reads, 0)]), 20);
    assert_eq!(program.kin().bytes(Other::Child(20), Channel::Input), []);
    program.kin().says(Other::Child(20), Channel::Error, Said::Demand(3));
    program.bell();
    assert_eq!(program.kin().bytes(Other::Child(20), Channel::Input).len(), 3);
    assert_eq!(program.call(number::CLOSE, &[reads]), 0);
    assert_eq!(program.kin().bytes(Other::Child(20), Channel::Input).len(), 8);
}

#[test]
fn demand_that_says_nothing_new_hides_nothing_behind_it() {
    let mut program = Program::parent();
    let ((input, _feeds), (reads, writes)) = (program.pipe(0), program.pipe(0));
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 0, input, 0), (DUP2, 2, writes, 0)]), 20);
    assert_eq!(program.call(number::CLOSE, &[writes]), 0);
    let said = [Said::Demand(3), Said::Demand(3), Said::Demand(0), Said::Bytes(b"last".to_vec())];
    said.into_iter().for_each(|said| program.kin().says(Other::Child(20), Channel::Error, said));
    program.kin().ends(20, Ending::Exit(0));
    assert_eq!(program.call(number::WAIT4, &[20, 0, 0, 0]), 20);
    assert_eq!(program.read_at(reads, 9), Ok(b"last".to_vec()));
}

/// What each says to the other is heard.
fn shuttle(parent: &mut Program, child: &mut Program) {
    for _ in 0..3 {
        for ring in CHANNELS {
            let down = parent.kin().out.remove(&key(Other::Child(20), ring)).unwrap_or_default();
            down.into_iter().for_each(|said| child.kin().says(Other::Parent, ring, said));
            let up = child.kin().out.remove(&key(Other::Parent, ring)).unwrap_or_default();
            up.into_iter().for_each(|said| parent.kin().says(Other::Child(20), ring, said));
        }
        parent.bell();
        child.bell();
    }
}

/// A program, its child, and that one's.
struct Family([Program; 3]);

impl Family {
    /// All have the same pipe as their input, which none waits for.
    fn new() -> (Self, u64, u64) {
        let mut parent = Program::parent();
        let (reads, writes) = parent.pipe(0);
        assert_eq!(parent.spawn("/bin/w", &[(DUP2, 0, reads, 0)]), 20);
        let mut middle = child([Stream::Parent, Stream::Own, Stream::Own]);
        middle.kin().may_spawn = true;
        assert_eq!(middle.spawn("/bin/w", &[]), 20);
        let mut last = child([Stream::Parent, Stream::Own, Stream::Own]);
        for (program, number) in [(&mut parent, reads), (&mut middle, 0), (&mut last, 0)] {
            assert_eq!(program.call(number::FCNTL, &[number, 4, NONBLOCK]), 0);
        }
        assert_eq!(parent.call(number::FCNTL, &[writes, 4, NONBLOCK]), 0);
        (Self([parent, middle, last]), reads, writes)
    }

    fn talk(&mut self) {
        let [parent, middle, last] = &mut self.0;
        for _ in 0..3 {
            shuttle(parent, middle);
            shuttle(middle, last);
        }
    }
}

proptest! {
    /// Nothing is lost or given twice, whoever reads what, and what nobody asked for is the first one's (INV-DEMAND-1), also one generation further.
    #[test]
    fn bytes_go_to_whoever_asks_for_them(steps in proptest::collection::vec((0_usize..5, 1_u64..5000), 1..60)) {
        let (mut family, reads, writes) = Family::new();
        let numbers = [reads, 0, 0];
        let (mut written, mut got) = (0_u64, Vec::new());
        for (step, length) in steps {
            if let Some(program) = family.0.get_mut(step) {
                let read = program.read_at(numbers[step], length).unwrap_or_default();
                prop_assert!(read.len() as u64 <= length);
                got.extend(read);
            } else {
                let bytes: Vec<u8> = (written..written + length).map(|at| (at % 251) as u8).collect();
                family.0[0].world.write(AT + 0x1000, &bytes).unwrap();
                written += family.0[0].call(number::WRITE, &[writes, AT + 0x1000, length]).max(0).cast_unsigned();
            }
            family.talk();
        }
        // What they have by now they asked for; then the first one reads the rest.
        for (at, number) in [2, 1, 0].map(|at| (at, numbers[at])) {
            while let Ok(read) = family.0[at].read_at(number, 4000) {
                got.extend(read);
            }
        }
        let mut expected: Vec<u8> = (0..written).map(|at| (at % 251) as u8).collect();
        expected.sort_unstable();
        got.sort_unstable();
        prop_assert_eq!(got, expected);
    }
}
