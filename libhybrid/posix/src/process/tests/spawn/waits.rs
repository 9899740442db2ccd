//! Signals that a program waits for without a handler, against a model; and ends by signals, which wait for the output.
use super::*;

const SET: u64 = AT + 0x200;
const INFO: u64 = AT + 0x300;
const NO_TIME: u64 = AT + 0x280;
const SIG_BLOCK: u64 = 0;
const SIG_SETMASK: u64 = 2;

fn bits(signals: &[u8]) -> u64 {
    signals.iter().fold(0, |all, signal| all | 1 << (signal - 1))
}

impl Program {
    fn mask(&mut self, how: u64, set: u64) -> Outcome {
        self.put(SET, &[set]);
        self.on(0, number::RT_SIGPROCMASK, &[how, SET, 0, 8])
    }

    fn handle(&mut self, signal: u8) {
        self.put(AT + 32, &[0xcafe, 0, 0, 0]);
        assert_eq!(self.call(number::RT_SIGACTION, &[signal.into(), AT + 32, 0, 8]), 0);
    }

    fn sent(&mut self, signal: u8) {
        self.kin().signals = vec![signal];
        self.bell();
    }

    /// sigtimedwait: for ever, or not at all.
    fn sigwait(&mut self, thread: Thread, set: u64, waits: bool) -> Outcome {
        self.put(SET, &[set]);
        self.put(NO_TIME, &[0, 0]);
        self.on(thread, number::RT_SIGTIMEDWAIT, &[SET, INFO, if waits { 0 } else { NO_TIME }, 8])
    }

    fn pending(&mut self) -> u64 {
        assert_eq!(self.call(number::RT_SIGPENDING, &[INFO, 8]), 0);
        self.world.words::<1>(INFO)[0]
    }

    fn signalfd(&mut self, set: u64, flags: u64) -> u64 {
        self.put(SET, &[set]);
        self.call(number::SIGNALFD4, &[u64::MAX, SET, 8, flags]).cast_unsigned()
    }
}

#[test]
fn sigwait_takes_one_that_waits_or_comes_and_leaves_the_others() {
    let mut program = child([Stream::Own; 3]);
    assert_eq!(program.mask(SIG_BLOCK, bits(&[10, 15, 17])), Outcome::Done(0));
    assert_eq!(program.sigwait(0, bits(&[10, 15]), false), Outcome::Done(Errno::EAGAIN.negated()));
    // By default 15 ends the program and 17 does nothing: neither counts while it is blocked.
    program.sent(17);
    program.sent(15);
    assert_eq!(program.pending(), bits(&[15, 17]));
    assert_eq!(program.sigwait(0, bits(&[10, 17]), true), Outcome::Done(17));
    assert_eq!(program.world.words::<1>(INFO), [17]);
    assert_eq!(program.sigwait(0, bits(&[10, 17]), true), Outcome::Park);
    program.sent(10);
    assert_eq!((program.process.take_result(0), program.pending()), (Some(10), bits(&[15])));
    assert_eq!(program.mask(SIG_SETMASK, 0), Outcome::Ended(Ending::Signal(15)));
}

#[test]
fn sigwait_ends_by_time_by_a_handler_or_is_refused() {
    let mut program = child([Stream::Own; 3]);
    program.handle(12);
    assert_eq!(program.mask(SIG_BLOCK, bits(&[10])), Outcome::Done(0));
    program.put(NO_TIME, &[2, 0]);
    program.put(SET, &[bits(&[10])]);
    assert_eq!(program.on(0, number::RT_SIGTIMEDWAIT, &[SET, 0, NO_TIME, 8]), Outcome::Park);
    program.at(2_000_000_000);
    assert_eq!(program.process.take_result(0), Some(Errno::EAGAIN.negated()));
    assert_eq!(program.sigwait(0, bits(&[10]), true), Outcome::Park);
    program.sent(12);
    assert_eq!(program.process.take_result(0), Some(Errno::EINTR.negated()));
    let resumed = program.process.resumed(&mut program.world, 0, Errno::EINTR.negated());
    assert!(matches!(resumed, Outcome::Deliver(Delivery { signal: 12, .. })), "{resumed:?}");
    program.sent(10);
    for (args, expected) in
        [([SET, INFO, 0, 4], Errno::EINVAL), ([8, INFO, 0, 8], Errno::EFAULT), ([SET, 8, 0, 8], Errno::EFAULT)]
    {
        assert_eq!(program.call(number::RT_SIGTIMEDWAIT, &args), expected.negated());
    }
    assert_eq!(program.sigwait(0, bits(&[10]), true), Outcome::Done(10), "it was not lost");
    assert_eq!(program.call(number::RT_SIGPENDING, &[INFO, 16]), Errno::EINVAL.negated());
}

#[test]
fn signal_of_the_program_is_taken_by_whichever_thread_waits_for_it() {
    let mut program = child([Stream::Own; 3]);
    assert_eq!(program.mask(SIG_BLOCK, u64::MAX), Outcome::Done(0));
    let other = program.process.begin_thread(&mut program.world, THREAD, AT + 0x80, AT + 0x88).unwrap();
    assert_eq!(program.on(other, number::RT_SIGPROCMASK, &[SIG_BLOCK, SET, 0, 8]), Outcome::Done(0));
    assert_eq!(program.sigwait(other, bits(&[10, 15]), true), Outcome::Park);
    program.sent(15);
    assert_eq!((program.process.take_result(other), program.pending()), (Some(15), 0));
    // One that the program sends to itself, and one of a thread to another that blocks it.
    assert_eq!(program.sigwait(other, bits(&[10]), true), Outcome::Park);
    assert_eq!(program.call(number::KILL, &[7, 10]), 0);
    assert_eq!(program.process.take_result(other), Some(10));
    let number = u64::from(program.process.number_of(other));
    assert_eq!(program.sigwait(other, bits(&[10]), true), Outcome::Park);
    program.handle(10);
    assert_eq!(program.call(number::TGKILL, &[7, number, 10]), 0);
    assert_eq!(program.process.take_result(other), Some(10));
    // A thread's own is nobody else's.
    assert_eq!(program.call(number::TGKILL, &[7, number, 12]), 0);
    assert_eq!(
        (program.pending(), program.sigwait(0, bits(&[12]), false)),
        (0, Outcome::Done(Errno::EAGAIN.negated()))
    );
}

#[test]
fn signal_that_all_blocked_is_for_the_thread_that_lets_it_in() {
    for lets_in in [
        (|program, other| program.on(other, number::PPOLL, &[0, 0, 0, NO_TIME, 8])) as fn(&mut Program, Thread) -> _,
        |program, other| program.on(other, number::RT_SIGSUSPEND, &[NO_TIME, 8]),
        |program, other| program.on(other, number::RT_SIGPROCMASK, &[SIG_SETMASK, NO_TIME, 0, 8]),
    ] {
        let mut program = child([Stream::Own; 3]);
        program.handle(15);
        assert_eq!(program.mask(SIG_BLOCK, bits(&[15])), Outcome::Done(0));
        let other = program.process.begin_thread(&mut program.world, THREAD, AT + 0x80, AT + 0x88).unwrap();
        assert_eq!(program.on(other, number::RT_SIGPROCMASK, &[SIG_BLOCK, SET, 0, 8]), Outcome::Done(0));
        program.sent(15);
        program.put(NO_TIME, &[0]);
        let outcome = match lets_in(&mut program, other) {
            Outcome::Park => {
                let eintr = Errno::EINTR.negated();
                assert_eq!(program.process.take_result(other), Some(eintr));
                program.process.resumed(&mut program.world, other, eintr)
            }
            outcome => outcome,
        };
        assert!(matches!(outcome, Outcome::Deliver(Delivery { signal: 15, .. })), "{outcome:?}");
        assert_eq!(program.pending(), 0);
        // So is one that came while its handler ran.
        let Outcome::Deliver(delivery) = outcome else { return };
        program.sent(15);
        let outcome = program.process.handled(&mut program.world, other, Delivery { blocked_after: 0, ..delivery });
        assert!(matches!(outcome, Outcome::Deliver(Delivery { signal: 15, .. })), "{outcome:?}");
    }
}

#[test]
fn signal_that_its_sender_blocks_goes_to_a_thread_that_does_not() {
    let mut program = child([Stream::Own; 3]);
    program.handle(15);
    let (reads, _) = program.pipe(0);
    let other = program.process.begin_thread(&mut program.world, THREAD, AT + 0x80, AT + 0x88).unwrap();
    assert_eq!(program.on(other, number::READ, &[reads, AT, 1]), Outcome::Park);
    assert_eq!(program.mask(SIG_BLOCK, bits(&[15])), Outcome::Done(0));
    assert_eq!(program.call(number::KILL, &[7, 15]), 0);
    let eintr = Errno::EINTR.negated();
    assert_eq!(program.process.take_result(other), Some(eintr));
    let resumed = program.process.resumed(&mut program.world, other, eintr);
    assert!(matches!(resumed, Outcome::Deliver(Delivery { signal: 15, .. })), "{resumed:?}");
}

#[test]
fn end_of_a_child_that_another_threads_call_hears_of_wakes_who_waits_for_its_signal() {
    let mut program = Program::parent();
    assert_eq!(program.mask(SIG_BLOCK, bits(&[17])), Outcome::Done(0));
    let other = program.process.begin_thread(&mut program.world, THREAD, AT + 0x80, AT + 0x88).unwrap();
    assert_eq!(program.on(other, number::RT_SIGPROCMASK, &[SIG_BLOCK, SET, 0, 8]), Outcome::Done(0));
    assert_eq!((program.spawn("/bin/w", &[]), program.spawn("/bin/w", &[])), (20, 21));
    assert_eq!(program.sigwait(other, bits(&[17]), true), Outcome::Park);
    program.kin().ends(20, Ending::Exit(0));
    assert_eq!(program.call(number::WAIT4, &[21, 0, 1, 0]), 0, "it does not wait, and the other child runs");
    assert_eq!(program.process.take_result(other), Some(17));
}

#[test]
fn sigsuspend_waits_with_its_mask_and_ends_after_a_handler() {
    let mut program = child([Stream::Own; 3]);
    program.handle(15);
    let blocked = bits(&[15]);
    assert_eq!(program.mask(SIG_BLOCK, blocked), Outcome::Done(0));
    for is_early in [true, false] {
        if is_early {
            program.sent(15);
        }
        program.put(SET, &[0]);
        assert_eq!(program.on(0, number::RT_SIGSUSPEND, &[SET, 8]), Outcome::Park);
        if !is_early {
            program.sent(15);
        }
        let eintr = Errno::EINTR.negated();
        assert_eq!(program.process.take_result(0), Some(eintr), "{is_early}");
        let delivery = Delivery { handler: 0xcafe, signal: 15, blocked_after: blocked, result: eintr };
        assert_eq!(program.process.resumed(&mut program.world, 0, eintr), Outcome::Deliver(delivery));
        assert_eq!(program.process.handled(&mut program.world, 0, delivery), Outcome::Done(eintr));
    }
    assert_eq!(program.call(number::RT_SIGSUSPEND, &[0, 8]), Errno::EFAULT.negated());
    assert_eq!(program.call(number::RT_SIGSUSPEND, &[SET, 4]), Errno::EINVAL.negated());
}

#[test]
fn descriptor_of_signals_is_readable_while_one_waits() {
    let mut program = child([Stream::Own; 3]);
    assert_eq!(program.mask(SIG_BLOCK, bits(&[10, 15])), Outcome::Done(0));
    let descriptor = program.signalfd(bits(&[15]), 0x800);
    let epoll = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
    program.put(AT + 64, &[1 | 1 << 63, 9]);
    assert_eq!(program.call(number::EPOLL_CTL, &[epoll, 1, descriptor, AT + 64]), 0);
    assert_eq!(program.call(number::READ, &[descriptor, INFO, 256]), Errno::EAGAIN.negated());
    assert_eq!(program.on(0, number::EPOLL_PWAIT, &[epoll, AT + 512, 4, u64::MAX, 0, 0]), Outcome::Park);
    program.sent(10);
    assert_eq!(program.process.take_result(0), None, "not one of its");
    program.sent(15);
    assert_eq!(program.process.take_result(0), Some(1));
    assert_eq!(program.call(number::READ, &[descriptor, INFO, 127]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::READ, &[descriptor, INFO, 300]), 128);
    assert_eq!((program.world.words::<1>(INFO), program.pending()), ([15], bits(&[10])));
    // Another set: what waits is told at once.
    program.put(SET, &[bits(&[10])]);
    assert_eq!(program.call(number::SIGNALFD4, &[descriptor, SET, 8, 0]), descriptor.cast_signed());
    assert_eq!(program.call(number::READ, &[descriptor, INFO, 128]), 128);
    let (reads, _) = program.pipe(0);
    for (args, expected) in [
        ([u64::MAX, SET, 4, 0], Errno::EINVAL),
        ([u64::MAX, SET, 8, 1], Errno::EINVAL),
        ([u64::MAX, 8, 8, 0], Errno::EFAULT),
        ([reads, SET, 8, 0], Errno::EINVAL),
        ([99, SET, 8, 0], Errno::EBADF),
    ] {
        assert_eq!(program.call(number::SIGNALFD4, &args), expected.negated());
    }
    assert_eq!(program.call(number::WRITE, &[descriptor, SET, 8]), Errno::EINVAL.negated());
}

#[derive(Debug, Clone)]
enum Step {
    Send(u8),
    Mask(u64),
    Wait(u64),
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    let set = || proptest::sample::subsequence(vec![10_u8, 12, 15, 17], 0..=4).prop_map(|signals| bits(&signals));
    prop_oneof![
        proptest::sample::select(vec![10_u8, 12, 15, 17]).prop_map(Step::Send),
        set().prop_map(Step::Mask),
        set().prop_map(Step::Wait),
        Just(Step::Read),
    ]
}

proptest! {
    /// The model is two sets: what is blocked, and what waits. Each signal has a handler, which runs as soon as it is let in, the lowest first.
    #[test]
    fn signals_under_random_calls_are_two_sets(steps in proptest::collection::vec(step(), 0..60)) {
        let mut program = child([Stream::Own; 3]);
        [10, 12, 15, 17].into_iter().for_each(|signal| program.handle(signal));
        let readable = bits(&[10, 15]);
        let descriptor = program.signalfd(readable, 0x800);
        let (mut blocked, mut waits) = (0_u64, 0_u64);
        for step in steps {
            let lowest = |set: u64| (set != 0).then(|| i64::from(set.trailing_zeros()) + 1);
            let outcome = match step {
                Step::Send(signal) => {
                    program.sent(signal);
                    waits |= bits(&[signal]);
                    program.on(0, number::GETPID, &[])
                }
                Step::Mask(set) => {
                    blocked = set;
                    program.mask(SIG_SETMASK, set)
                }
                Step::Wait(set) => {
                    let outcome = program.sigwait(0, set, false);
                    let expected = lowest(waits & set);
                    prop_assert_eq!(&outcome, &Outcome::Done(expected.unwrap_or(Errno::EAGAIN.negated())));
                    waits &= !expected.map_or(0, |signal| 1 << (signal - 1));
                    outcome
                }
                Step::Read => {
                    let expected = lowest(waits & readable);
                    let outcome = program.on(0, number::READ, &[descriptor, INFO, 128]);
                    prop_assert_eq!(&outcome, &Outcome::Done(expected.map_or(Errno::EAGAIN.negated(), |_| 128)));
                    if let Some(signal) = expected {
                        prop_assert_eq!(program.world.words::<1>(INFO), [signal.cast_unsigned()]);
                        waits &= !(1 << (signal - 1));
                    }
                    outcome
                }
            };
            let mut outcome = outcome;
            while let Outcome::Deliver(delivery) = outcome {
                prop_assert_eq!(Some(i64::from(delivery.signal)), lowest(waits & !blocked));
                waits &= !bits(&[delivery.signal]);
                outcome = program.process.handled(&mut program.world, 0, delivery);
            }
            prop_assert!(matches!(outcome, Outcome::Done(_)), "{:?}", outcome);
            prop_assert_eq!(waits & !blocked, 0);
            prop_assert_eq!(program.pending(), waits);
        }
    }
}

#[test]
fn end_by_a_signal_or_of_the_last_thread_waits_until_the_output_was_taken() {
    type End = fn(&mut Program) -> Outcome;
    let ends: [(End, Ending); 4] = [
        (|program| program.on(0, number::TGKILL, &[7, 7, 6]), Ending::Signal(6)),
        (|program| program.on(0, number::EXIT, &[5]), Ending::Exit(5)),
        (
            // Its own, also where who spawned it had sent the same before, which it ignored.
            |program| {
                program.put(AT + 32, &[1, 0, 0, 0]);
                assert_eq!(program.call(number::RT_SIGACTION, &[15, AT + 32, 0, 8]), 0);
                program.sent(15);
                program.put(AT + 32, &[0; 4]);
                assert_eq!(program.call(number::RT_SIGACTION, &[15, AT + 32, 0, 8]), 0);
                program.on(0, number::KILL, &[7, 15])
            },
            Ending::Signal(15),
        ),
        (|program| program.on(0, number::EXIT_GROUP, &[3]), Ending::Exit(3)),
    ];
    for (end, ending) in ends {
        let mut program = child([Stream::Own, Stream::Parent, Stream::Own]);
        program.handle(10);
        program.kin().is_full = true;
        assert_eq!(program.call(number::WRITE, &[1, AT + 64, 2]), 2);
        assert_eq!((end(&mut program), program.kin().ending), (Outcome::Park, None));
        // Neither a handler nor another signal comes between.
        program.sent(10);
        program.sent(12);
        assert_eq!((program.process.take_result(0), program.kin().ending), (None, None));
        program.kin().is_full = false;
        program.bell();
        assert_eq!(program.process.take_result(0), Some(AGAIN));
        assert_eq!(program.process.resumed(&mut program.world, 0, AGAIN), Outcome::Done(AGAIN));
        // Whatever the call was that is made again.
        assert_eq!(program.on(0, number::GETPID, &[]), Outcome::Ended(ending));
        assert_eq!(program.kin().ending, Some(ending));
        assert_eq!(program.kin().bytes(Other::Parent, Channel::Output).len(), 2);
    }
}

#[test]
fn end_by_a_signal_of_who_spawned_it_waits_for_nobody() {
    let mut program = child([Stream::Own, Stream::Parent, Stream::Own]);
    assert_eq!(program.call(number::WRITE, &[1, AT + 64, 3]), 3);
    program.kin().is_full = true;
    assert_eq!(program.call(number::WRITE, &[1, AT + 64, 2]), 2);
    program.sent(15);
    assert_eq!(program.on(0, number::GETPID, &[]), Outcome::Ended(Ending::Signal(15)));
    assert_eq!(program.kin().ending, Some(Ending::Signal(15)));
    assert_eq!(program.kin().bytes(Other::Parent, Channel::Output).len(), 3, "what there was room for");
}
