//! Signals from who spawned a program, and of its children, to threads that wait or do not.
use super::*;

#[test]
fn signals_from_outside_end_handle_and_restart() {
    // By default the program ends, when it goes on.
    let mut program = child([Stream::Own; 3]);
    let (reads, writes) = program.pipe(0);
    assert_eq!(program.on(0, number::READ, &[reads, AT, 1]), Outcome::Park);
    program.kin().signals = vec![15];
    program.bell();
    let result = program.process.take_result(0).unwrap();
    assert_eq!(program.process.resumed(&mut program.world, 0, result), Outcome::Ended(Ending::Signal(15)));
    // With a handler the call goes on if that was asked for, else it is EINTR.
    for (flags, expected) in [(0, Errno::EINTR.negated()), (0x1000_0000, AGAIN)] {
        let mut program = child([Stream::Own; 3]);
        let (reads, _) = program.pipe(0);
        program.put(AT + 32, &[0xcafe, flags, 0, 0]);
        assert_eq!(program.call(number::RT_SIGACTION, &[15, AT + 32, 0, 8]), 0);
        assert_eq!(program.on(0, number::READ, &[reads, AT, 1]), Outcome::Park);
        program.kin().signals = vec![15];
        program.bell();
        let delivery = Delivery { handler: 0xcafe, signal: 15, blocked_after: 0, result: expected };
        assert_eq!(program.process.take_result(0), Some(expected));
        assert_eq!(program.process.resumed(&mut program.world, 0, expected), Outcome::Deliver(delivery));
        assert_eq!(program.process.handled(&mut program.world, 0, delivery), Outcome::Done(expected));
        // Who computes hears of it at its next call, whose result it does not change.
        program.kin().signals = vec![15];
        program.bell();
        let delivery = Delivery { result: 7, ..delivery };
        assert_eq!(program.on(0, number::GETPID, &[]), Outcome::Deliver(delivery));
    }
    _ = writes;
}

#[test]
fn signal_that_came_before_the_wait_ends_it_too() {
    for (flags, expected) in [(0, Errno::EINTR.negated()), (0x1000_0000, AGAIN)] {
        let mut program = child([Stream::Own; 3]);
        let (reads, _) = program.pipe(0);
        program.put(AT + 32, &[0xcafe, flags, 0, 0]);
        assert_eq!(program.call(number::RT_SIGACTION, &[15, AT + 32, 0, 8]), 0);
        program.kin().signals = vec![15];
        program.bell();
        assert_eq!(program.on(0, number::READ, &[reads, AT, 1]), Outcome::Park);
        assert_eq!(program.process.take_result(0), Some(expected));
        let resumed = program.process.resumed(&mut program.world, 0, expected);
        assert!(matches!(resumed, Outcome::Deliver(Delivery { signal: 15, .. })), "{resumed:?}");
    }
    // The wait for one child finds that another has ended: the handler runs.
    let mut program = Program::parent();
    program.put(AT + 32, &[0xcafe, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[17, AT + 32, 0, 8]), 0);
    assert_eq!((program.spawn("/bin/w", &[]), program.spawn("/bin/w", &[])), (20, 21));
    program.kin().ends(20, Ending::Exit(0));
    assert_eq!(program.on(0, number::WAIT4, &[21, 0, 0, 0]), Outcome::Park);
    assert_eq!(program.process.take_result(0), Some(Errno::EINTR.negated()));
}

#[test]
fn masks_of_poll_select_and_epoll_are_in_force_while_these_wait() {
    let mut program = child([Stream::Own; 3]);
    program.put(AT + 32, &[0xcafe, 0x1000_0000, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[15, AT + 32, 0, 8]), 0);
    let (set, open, mask, pair, none) = (1 << 14, AT + 64, AT + 72, AT + 80, AT + 96);
    program.put(open, &[0, set, mask, 8, 0, 0]);
    assert_eq!(program.on(0, number::RT_SIGPROCMASK, &[0, mask, 0, 8]), Outcome::Done(0));
    let epoll = program.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
    program.put(mask, &[0]);
    let calls: [(u64, [u64; 6]); 3] = [
        (number::PPOLL, [0, 0, 0, mask, 8, 0]),
        (number::PSELECT6, [0, 0, 0, 0, 0, pair]),
        (number::EPOLL_PWAIT, [epoll, AT + 512, 1, u64::MAX, mask, 8]),
    ];
    let delivery = Delivery { handler: 0xcafe, signal: 15, blocked_after: set, result: Errno::EINTR.negated() };
    for (number, args) in calls {
        for is_early in [true, false] {
            program.kin().signals.extend(is_early.then_some(15));
            program.bell();
            assert_eq!(program.on(0, number, &args), Outcome::Park);
            program.kin().signals.extend((!is_early).then_some(15));
            program.bell();
            assert_eq!(program.process.take_result(0), Some(delivery.result), "{number} {is_early}");
            assert_eq!(program.process.resumed(&mut program.world, 0, delivery.result), Outcome::Deliver(delivery));
            assert_eq!(program.process.handled(&mut program.world, 0, delivery), Outcome::Done(delivery.result));
        }
    }
    // No time to wait: the signal is let in all the same.
    program.kin().signals = vec![15];
    program.bell();
    assert_eq!(program.on(0, number::PPOLL, &[0, 0, none, mask, 8]), Outcome::Deliver(delivery));
    assert_eq!(program.process.handled(&mut program.world, 0, delivery), Outcome::Done(delivery.result));
    // Whoever finds something, or nothing in time, has the mask that it had.
    program.put(AT + 128, &[2 | u64::from(readiness::OUT) << 32]);
    assert_eq!(program.on(0, number::PPOLL, &[AT + 128, 1, 0, mask, 8]), Outcome::Done(1));
    program.put(none, &[1, 0]);
    assert_eq!(program.on(0, number::PPOLL, &[0, 0, none, mask, 8]), Outcome::Park);
    program.world.now += 2_000_000_000;
    program.bell();
    assert_eq!(program.process.take_result(0), Some(0));
    program.kin().signals = vec![15];
    program.bell();
    assert_eq!(program.on(0, number::GETPID, &[]), Outcome::Done(7), "it is blocked");
    for (number, args) in [(number::PPOLL, [0, 0, 0, mask, 4, 0]), (number::EPOLL_PWAIT, [epoll, AT, 1, 0, mask, 4])] {
        assert_eq!(program.call(number, &args), Errno::EINVAL.negated());
    }
    assert_eq!(program.call(number::PSELECT6, &[0, 0, 0, 0, 0, 8]), Errno::EFAULT.negated());
}

#[test]
fn signal_of_the_program_goes_to_another_thread_when_its_own_ends() {
    let mut program = child([Stream::Own; 3]);
    program.put(AT + 32, &[0xcafe, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[15, AT + 32, 0, 8]), 0);
    let (reads, _) = program.pipe(0);
    let other = program.process.begin_thread(&mut program.world, THREAD, AT + 0x80, AT + 0x88).unwrap();
    program.kin().signals = vec![15];
    program.bell();
    // The first thread has it and ends before it makes another call.
    assert_eq!(program.on(other, number::READ, &[reads, AT, 1]), Outcome::Park);
    assert_eq!(program.on(0, number::EXIT, &[0]), Outcome::ThreadEnded);
    assert_eq!(program.process.take_result(other), Some(Errno::EINTR.negated()));
    // All block it: who is there keeps it.
    program.put(AT + 64, &[u64::MAX]);
    assert!(matches!(program.process.resumed(&mut program.world, other, -4), Outcome::Deliver(_)));
    assert_eq!(program.on(other, number::RT_SIGPROCMASK, &[2, AT + 64, 0, 8]), Outcome::Done(0));
    program.kin().signals = vec![15];
    program.bell();
    let unblocked = program.on(other, number::RT_SIGPROCMASK, &[1, AT + 64, 0, 8]);
    assert!(matches!(unblocked, Outcome::Deliver(Delivery { signal: 15, .. })), "{unblocked:?}");
}

#[test]
fn sleep_that_a_signal_ends_tells_what_is_left() {
    let mut program = child([Stream::Own; 3]);
    program.put(AT + 32, &[0xcafe, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[15, AT + 32, 0, 8]), 0);
    program.put(AT + 64, &[2, 0]);
    assert_eq!(program.on(0, number::NANOSLEEP, &[AT + 64, AT + 64]), Outcome::Park);
    program.world.now += 500_000_000;
    program.kin().signals = vec![15];
    program.bell();
    assert_eq!(program.process.take_result(0), Some(Errno::EINTR.negated()));
    assert_eq!(program.world.words::<2>(AT + 64), [1, 500_000_000]);
}

#[test]
fn children_can_be_sent_signals_and_nobody_else() {
    let mut program = Program::parent();
    assert_eq!(program.call(number::KILL, &[20, 15]), Errno::ESRCH.negated());
    assert_eq!(program.spawn("/bin/w", &[]), 20);
    assert_eq!((program.call(number::KILL, &[20, 0]), program.call(number::KILL, &[20, 15])), (0, 0));
    assert_eq!(program.call(number::KILL, &[20, 65]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::KILL, &[21, 15]), Errno::ESRCH.negated());
    assert_eq!(program.kin().sent, [(20, 0), (20, 15)]);
    // The supervisor died, and with it what it knew.
    program.kin().news.push_back(News::Lost);
    program.bell();
    assert_eq!(program.call(number::KILL, &[20, 15]), 0, "it was not waited for yet");
    assert_eq!(program.call(number::WAIT4, &[0, AT + 8, 0, 0]), 20);
    assert_eq!(program.status(), 9);
    // Who ignores SIGCHLD needs to wait for nobody.
    program.kin().running.clear();
    program.put(AT + 32, &[1, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[17, AT + 32, 0, 8]), 0);
    assert_eq!(program.spawn("/bin/w", &[]), 20);
    program.kin().ends(20, Ending::Exit(1));
    program.bell();
    assert_eq!(program.kin().forgotten, [20], "the supervisor that died knew of the first");
}
