//! Waiting for a lock that another component, or another open file of the program, has.
use super::*;

const MS: u64 = 1_000_000;
const SETLKW: u64 = 7;
const OFD_SETLKW: u64 = 38;
const EXCLUSIVE_LOCK: u64 = 2;

/// Lets the time come at which the thread asks again, and asks; how it goes on, and how long it waited.
fn ask(program: &mut Program, thread: Thread, number: u64, args: &[u64]) -> (Outcome, u64) {
    let (before, time) = (program.world.now, program.process.next_deadline().unwrap());
    program.at(time - 1);
    assert_eq!(program.process.take_result(thread), None, "not yet");
    program.at(time);
    let result = program.process.take_result(thread).unwrap();
    assert!(!program.process.is_plain(thread, result));
    let outcome = program.process.resumed(&mut program.world, thread, result);
    assert_eq!(outcome, Outcome::Done(AGAIN));
    (program.on(thread, number, args), time - before)
}

#[test]
fn lock_of_another_component_is_asked_for_until_it_is_free() {
    let mut program = Program::with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    program.world.trees[0].lock_elsewhere("x", Lock::Exclusive);
    let address = range(&mut program, 1, 0, 0);
    for (number, args) in [
        (number::FCNTL, [file, SETLKW, address]),
        (number::FCNTL, [file, OFD_SETLKW, address]),
        (number::FLOCK, [file, EXCLUSIVE_LOCK, 0]),
    ] {
        assert_eq!(program.on(0, number, &args), Outcome::Park);
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 128] {
            // Whatever else happens asks nobody.
            let second = program.thread();
            program.put(AT + 64, &[0]);
            assert_eq!(program.on(second, number::EVENTFD2, &[0, 0]), Outcome::Done(4));
            assert_eq!(program.on(second, number::CLOSE, &[4]), Outcome::Done(0));
            assert_eq!(program.on(second, number::EXIT, &[0]), Outcome::ThreadEnded);
            range(&mut program, 1, 0, 0);
            assert_eq!(ask(&mut program, 0, number, &args), (Outcome::Park, wait * MS));
        }
        program.world.trees[0].unlock_elsewhere();
        assert_eq!(ask(&mut program, 0, number, &args).0, Outcome::Done(0));
        assert_eq!(program.world.trees[0].strongest("x"), Lock::Exclusive);
        range(&mut program, 2, 0, 0);
        let unlock = if number == number::FLOCK { [file, 8, 0] } else { args };
        assert_eq!(program.call(number, &unlock), 0);
        assert_eq!(program.world.trees[0].strongest("x"), Lock::None);
        range(&mut program, 1, 0, 0);
        program.world.trees[0].lock_elsewhere("x", Lock::Shared);
        // The next one begins with the shortest wait.
        assert_eq!(program.on(0, number, &args), Outcome::Park);
        assert_eq!(program.process.next_deadline(), Some(program.world.now + MS));
        program.world.trees[0].unlock_elsewhere();
        assert_eq!(ask(&mut program, 0, number, &args).0, Outcome::Done(0));
        range(&mut program, 2, 0, 0);
        assert_eq!(program.call(number, &unlock), 0);
        range(&mut program, 1, 0, 0);
        program.world.trees[0].lock_elsewhere("x", Lock::Exclusive);
    }
    assert_eq!(program.world.told, [""; 0]);
}

#[test]
fn lock_of_another_open_file_is_waited_for_by_its_thread_alone() {
    let mut program = Program::with_files(&["/"]);
    let (one, two) = (program.opened("x", CREATE | READ_WRITE), program.opened("x", READ_WRITE));
    let second = program.thread();
    assert_eq!(program.call(number::FLOCK, &[one, 1]), 0);
    assert_eq!(program.on(second, number::FLOCK, &[two, 1]), Outcome::Done(0));
    // Two that share it and want it alone: who waits gives its own up, so the other one gets it.
    assert_eq!(program.on(second, number::FLOCK, &[two, EXCLUSIVE_LOCK]), Outcome::Park);
    assert_eq!(program.call(number::FLOCK, &[one, EXCLUSIVE_LOCK]), 0);
    assert_eq!(ask(&mut program, second, number::FLOCK, &[two, EXCLUSIVE_LOCK]).0, Outcome::Park);
    assert_eq!(program.call(number::CLOSE, &[one]), 0);
    assert_eq!(ask(&mut program, second, number::FLOCK, &[two, EXCLUSIVE_LOCK]).0, Outcome::Done(0));
}

#[test]
fn signal_interrupts_a_wait_for_a_lock_also_while_it_is_about_to_ask() {
    let mut program = Program::with_files(&["/"]);
    let file = program.opened("x", CREATE | READ_WRITE);
    program.world.trees[0].lock_elsewhere("x", Lock::Exclusive);
    let interrupted = Errno::EINTR.negated();
    let lock = [file, EXCLUSIVE_LOCK];
    for (flags, result) in [(0, interrupted), (0x1000_0000, AGAIN)] {
        program.put(AT, &[0xcafe, flags, 0, 0]);
        assert_eq!(program.call(number::RT_SIGACTION, &[14, AT, 0, 8]), 0);
        let delivery = Delivery { handler: 0xcafe, signal: 14, blocked_after: 0, result };
        assert_eq!(program.on(0, number::FLOCK, &lock), Outcome::Park);
        program.process.signal_program(&mut program.world, 14);
        assert_eq!(program.process.take_result(0), Some(result));
        assert_eq!(program.process.resumed(&mut program.world, 0, result), Outcome::Deliver(delivery));
        assert_eq!(program.process.handled(&mut program.world, 0, delivery), Outcome::Done(result));
        // Its time has come, and then the signal.
        assert_eq!(program.on(0, number::FLOCK, &lock), Outcome::Park);
        program.at(program.process.next_deadline().unwrap());
        program.process.signal_program(&mut program.world, 14);
        let told = program.process.take_result(0).unwrap();
        assert_eq!(program.process.resumed(&mut program.world, 0, told), Outcome::Deliver(delivery));
        assert_eq!(program.process.handled(&mut program.world, 0, delivery), Outcome::Done(result));
    }
    program.world.has_no_alarm = true;
    for _ in 0..2 {
        assert_eq!(program.call(number::FLOCK, &lock), Errno::ENOLCK.negated());
    }
    assert_eq!(program.world.told.len(), 1, "{:?}", program.world.told);
}

/// The server has one kind of locks: what Linux would grant is refused, and nobody waits for himself.
#[test]
fn lock_of_the_other_kind_on_another_open_file_of_the_program_is_not_waited_for() {
    let mut program = Program::with_files(&["/"]);
    let (one, two) = (program.opened("x", CREATE | READ_WRITE), program.opened("x", READ_WRITE));
    let none = Errno::ENOLCK.negated();
    let (write, unlock) = (AT, AT + 64);
    range(&mut program, 2, 0, 0);
    let words = program.world.words::<4>(AT);
    program.put(unlock, &words);
    range(&mut program, 1, 0, 0);
    assert_eq!(program.call(number::FLOCK, &[one, EXCLUSIVE_LOCK]), 0);
    for command in [SETLKW, OFD_SETLKW] {
        assert_eq!(program.call(number::FCNTL, &[two, command, write]), none);
        // The same open file has both.
        assert_eq!(program.call(number::FCNTL, &[one, OFD_SETLKW, write]), 0);
        assert_eq!(program.call(number::FCNTL, &[one, OFD_SETLKW, unlock]), 0);
    }
    assert_eq!(program.call(number::FLOCK, &[one, 8]), 0);
    // Who asked first has the program's ranges: one that did not.
    assert_eq!(program.call(number::CLOSE, &[two]), 0);
    assert_eq!(program.opened("x", READ_WRITE), two);
    for command in [SETLKW, OFD_SETLKW] {
        assert_eq!(program.call(number::FCNTL, &[one, command, write]), 0);
        assert_eq!(program.call(number::FLOCK, &[two, 1]), none);
        assert_eq!(program.call(number::FLOCK, &[two, EXCLUSIVE_LOCK]), none);
        assert_eq!(program.call(number::FLOCK, &[two, EXCLUSIVE_LOCK | 4]), Errno::EAGAIN.negated());
        assert_eq!(program.call(number::FCNTL, &[one, command, unlock]), 0);
    }
    assert_eq!(program.world.told.len(), 2, "{:?}", program.world.told);
    // Its own kind is waited for: another thread may give it up.
    assert_eq!(program.call(number::FLOCK, &[one, 1]), 0);
    assert_eq!(program.on(0, number::FLOCK, &[two, EXCLUSIVE_LOCK]), Outcome::Park);
}
