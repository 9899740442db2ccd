//! Clocks and sleep, by a clock that a test moves.
use super::*;

#[test]
fn clock_tells_the_counter_and_what_is_no_clock_is_refused() {
    let mut program = Program::new();
    program.world.now = 3_000_000_007;
    for clock in [1, 4, 6, 7, 0] {
        assert_eq!(program.call(number::CLOCK_GETTIME, &[clock, AT]), 0);
        assert_eq!(program.world.words(AT), [3, 7]);
    }
    assert_eq!(program.world.told.len(), 1, "{:?}", program.world.told);
    assert_eq!(program.call(number::CLOCK_GETRES, &[1, AT]), 0);
    assert_eq!(program.world.words(AT), [0, 16]);
    assert_eq!(program.call(number::CLOCK_GETTIME, &[2, AT]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::CLOCK_GETTIME, &[1, 0]), Errno::EFAULT.negated());
}

#[test]
fn sleep_ends_at_its_deadline_and_not_before() {
    let mut program = Program::new();
    program.world.now = 1_000;
    program.put(AT, &[0, 500]);
    assert_eq!(program.on(0, number::NANOSLEEP, &[AT, 0]), Outcome::Park);
    assert_eq!(program.process.next_deadline(), Some(1_500));
    program.at(1_499);
    assert_eq!((program.process.take_result(0), program.process.take_woken()), (None, 0));
    program.at(1_500);
    assert_eq!(program.process.take_woken(), 1);
    assert_eq!((program.process.take_result(0), program.process.next_deadline()), (Some(0), None));
    assert_eq!(program.on(0, number::CLOCK_NANOSLEEP, &[1, 1, AT, 0]), Outcome::Yield);
    program.put(AT, &[0, 1_000_000_000]);
    assert_eq!(program.call(number::NANOSLEEP, &[AT, 0]), Errno::EINVAL.negated());
    program.world.has_no_alarm = true;
    program.put(AT, &[1, 0]);
    assert_eq!(program.call(number::NANOSLEEP, &[AT, 0]), Errno::EACCES.negated());
}
