//! Random bytes: the granted ones or none, and who waits for them.
use super::*;

#[test]
fn randomness_is_the_granted_one_or_none() {
    let mut program = Program::new();
    program.world.write(AT, b"/dev/urandom\0").unwrap();
    let [refused, closed] = [Errno::EPERM, Errno::EACCES].map(Errno::negated);
    for _ in 0..2 {
        assert_eq!(program.call(number::GETRANDOM, &[AT, 16, 0]), refused);
        assert_eq!(program.call(number::OPENAT, &[0, AT, 0]), closed);
    }
    let told = ["getrandom refused: randomness was not granted", "openat refused: randomness was not granted"];
    assert_eq!(program.world.told, told);
    program.world.random = Some(0x5a);
    assert_eq!(program.call(number::GETRANDOM, &[AT, 300, 1]), 300);
    assert_eq!(program.world.words(AT + 288), [0x5a5a_5a5a_5a5a_5a5a]);
    assert_eq!(program.call(number::GETRANDOM, &[AT, 1, 8]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::GETRANDOM, &[8, 1, 0]), Errno::EFAULT.negated());
    assert_eq!(program.call(number::GETRANDOM, &[AT, u64::MAX, 0]), 4096);
    assert_eq!(program.call(number::GETRANDOM, &[AT, 1, 6]), Errno::EINVAL.negated());
    assert_eq!(program.call(number::GETRANDOM, &[8, 0, 0]), 0);
    // What is there counts, whatever becomes of the rest.
    assert_eq!(program.call(number::GETRANDOM, &[STACK.1 - 300, 600, 0]), 256);
}

#[test]
fn source_that_is_not_seeded_is_waited_for_by_who_asks_and_by_nobody_else() {
    let mut program = Program::new();
    (program.world.random, program.world.is_unseeded) = (Some(9), true);
    let second = program.thread();
    let again = Errno::EAGAIN.negated();
    assert_eq!(program.call(number::GETRANDOM, &[AT, 8, 1]), again);
    program.world.write(AT, b"/dev/random\0").unwrap();
    let polled = program.call(number::OPENAT, &[0, AT, 0o4000]).cast_unsigned();
    assert_eq!(program.call(number::READ, &[polled, AT, 8]), again);
    // One that waits is outside; the others go on.
    let Outcome::Numbers(numbers) = program.on(0, number::GETRANDOM, &[AT, 8, 0]) else { panic!("it is to fetch") };
    assert_eq!(numbers.length(), 8);
    assert_eq!(program.on(second, number::GETPPID, &[]), Outcome::Done(0));
    // A signal of meanwhile is handled before the call returns.
    program.put(AT + 32, &[0xcafe, 0, 0, 0]);
    assert_eq!(program.on(second, number::RT_SIGACTION, &[15, AT + 32, 0, 8]), Outcome::Done(0));
    program.process.signal_program(&mut program.world, 15);
    let delivery = Delivery { handler: 0xcafe, signal: 15, blocked_after: 0, result: 8 };
    assert_eq!(program.fetch(0, numbers), Outcome::Deliver(delivery));
    assert_eq!(program.world.words(AT), [0x0909_0909_0909_0909]);
    let gone = program.process.fetched(&mut program.world, 0, numbers, Err(Errno::EIO));
    assert_eq!(gone, Outcome::Done(Errno::EIO.negated()));
}
