//! The timer of setitimer: when SIGALRM comes, to whom, and how often.
use super::*;

const SECOND: u64 = 1_000_000_000;
const NEW: u64 = AT + 0x400;
const OLD: u64 = AT + 0x440;

impl Program {
    /// Interval and first time, in microseconds.
    fn set_alarm(&mut self, interval_us: u64, first_us: u64) -> i64 {
        self.put(NEW, &[interval_us / 1_000_000, interval_us % 1_000_000, first_us / 1_000_000, first_us % 1_000_000]);
        self.call(number::SETITIMER, &[0, NEW, OLD])
    }

    fn catch_alarm(&mut self) {
        self.put(AT + 32, &[0xcafe, 0, 0, 0]);
        assert_eq!(self.call(number::RT_SIGACTION, &[14, AT + 32, 0, 8]), 0);
    }

    /// pause()
    fn pause(&mut self) -> Outcome {
        self.put(AT + 96, &[0]);
        self.on(0, number::RT_SIGSUSPEND, &[AT + 96, 8])
    }
}

fn alarm(result: i64) -> Delivery {
    Delivery { handler: 0xcafe, signal: 14, blocked_after: 0, result }
}

#[test]
fn alarm_interrupts_who_waits_once_and_again_and_again_with_an_interval() {
    let mut program = Program::new();
    program.catch_alarm();
    assert_eq!(program.set_alarm(500_000, 2_000_000), 0);
    let interrupted = Errno::EINTR.negated();
    for time in [2 * SECOND, 2 * SECOND + SECOND / 2, 3 * SECOND] {
        assert_eq!(program.pause(), Outcome::Park);
        assert_eq!(program.process.next_deadline(), Some(time));
        program.at(time - 1);
        assert_eq!(program.process.take_result(0), None);
        program.at(time);
        assert_eq!(program.process.take_result(0), Some(interrupted));
        let delivery = alarm(interrupted);
        assert_eq!(program.process.resumed(&mut program.world, 0, interrupted), Outcome::Deliver(delivery));
        assert_eq!(program.process.handled(&mut program.world, 0, delivery), Outcome::Done(interrupted));
    }
    // One signal for all that passed, at the next call of who did not wait.
    program.world.now = 10 * SECOND + 1;
    assert_eq!(program.on(0, number::GETPPID, &[]), Outcome::Deliver(alarm(0)));
    assert_eq!(program.process.handled(&mut program.world, 0, alarm(0)), Outcome::Done(0));
    assert_eq!(program.process.next_deadline(), Some(10 * SECOND + SECOND / 2));
}

#[test]
fn alarm_tells_what_is_left_and_is_called_off() {
    let mut program = Program::new();
    program.catch_alarm();
    assert_eq!(program.set_alarm(7, 3_000_001), 0);
    assert_eq!(program.world.words(OLD), [0; 4]);
    program.at(SECOND);
    assert_eq!(program.call(number::GETITIMER, &[0, OLD]), 0);
    assert_eq!(program.world.words(OLD), [0, 7, 2, 1]);
    assert_eq!(program.set_alarm(0, 0), 0);
    assert_eq!(program.world.words(OLD), [0, 7, 2, 1]);
    program.at(10 * SECOND);
    assert_eq!(program.on(0, number::GETPPID, &[]), Outcome::Done(0));
    assert_eq!((program.process.next_deadline(), program.call(number::GETITIMER, &[0, OLD])), (None, 0));
    assert_eq!(program.world.words(OLD), [0; 4]);
}

#[test]
fn alarm_without_a_handler_ends_the_program_and_one_without_a_grant_is_refused() {
    let mut program = Program::new();
    assert_eq!(program.set_alarm(0, 1), 0);
    assert_eq!(program.pause(), Outcome::Park);
    program.at(SECOND);
    let interrupted = program.process.take_result(0).unwrap();
    let ended = program.process.resumed(&mut program.world, 0, interrupted);
    assert_eq!(ended, Outcome::Ended(Ending::Signal(14)));
    let mut program = Program::new();
    program.world.has_no_alarm = true;
    assert_eq!(program.set_alarm(0, 1), Errno::EACCES.negated());
    assert_eq!(program.set_alarm(0, 0), 0);
    assert_eq!(program.set_alarm(0, 1 << 63), Errno::EACCES.negated());
    program.put(NEW, &[0, 0, 0, 1_000_000]);
    assert_eq!(program.call(number::SETITIMER, &[0, NEW, 0]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::SETITIMER, &[3, NEW, 0]), Errno::EINVAL.negated());
}

#[test]
fn processor_time_is_not_told() {
    let mut program = Program::new();
    for _ in 0..2 {
        assert_eq!(program.call(number::CLOCK_GETTIME, &[2, AT]), Errno::EINVAL.negated());
        assert_eq!(program.call(number::CLOCK_GETRES, &[3, AT]), Errno::EINVAL.negated());
        assert_eq!(program.call(number::SETITIMER, &[1, AT, 0]), Errno::EINVAL.negated());
        assert_eq!(program.call(number::GETITIMER, &[2, AT]), Errno::EINVAL.negated());
    }
    let names = ["clock_gettime", "clock_getres", "setitimer", "getitimer"];
    let told = names.map(|name| format!("{name} refused: a component is not told how long it computed"));
    assert_eq!(program.world.told, told);
}
