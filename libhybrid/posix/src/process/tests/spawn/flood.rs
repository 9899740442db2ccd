//! A child that breaks its rings, or says more all the time, as fast as it is heard.
use super::*;

#[test]
fn ring_that_a_child_breaks_is_at_its_end_and_nobody_spins() {
    let mut program = Program::parent();
    let ((reads, writes), (input, feeds)) = (program.pipe(0), program.pipe(0));
    assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, writes, 0), (DUP2, 0, input, 0)]), 20);
    assert_eq!((program.call(number::CLOSE, &[writes]), program.call(number::CLOSE, &[input])), (0, 0));
    program.kin().says(Other::Child(20), Channel::Output, Said::Bytes(b"last".to_vec()));
    program.bell();
    let broken = CHANNELS.map(|channel| key(Other::Child(20), channel));
    program.kin().broken.extend(broken);
    program.bell();
    assert_eq!(program.call(number::READ, &[reads, AT + 512, 100]), 4);
    assert_eq!(program.call(number::READ, &[reads, AT + 512, 100]), 0);
    // Nothing said that it reads no more.
    assert_eq!(program.call(number::WRITE, &[feeds, AT, 8]), 8);
    program.kin().ends(20, Ending::Exit(0));
    assert_eq!(program.call(number::WAIT4, &[20, 0, 0, 0]), 20);
    // The same of a parent: input is at its end, and output is still wanted.
    let mut program = child([Stream::Parent; 3]);
    program.kin().broken.push(key(Other::Parent, Channel::Input));
    assert_eq!(program.call(number::READ, &[0, AT + 512, 100]), 0);
    assert_eq!(program.call(number::WRITE, &[1, AT, 8]), 8);
    assert_eq!(program.on(0, number::EXIT_GROUP, &[0]), Outcome::Ended(Ending::Exit(0)));
}

#[test]
fn child_that_never_stops_has_one_turn_at_a_time_and_the_rest_is_left_for_the_next() {
    // Nothing at all; and something that nobody reads.
    for bytes in [vec![], vec![7; PIECE_MAX]] {
        let mut program = Program::parent();
        let ((reads, writes), (other, feeds)) = (program.pipe(0), program.pipe(0));
        assert_eq!(program.spawn("/bin/w", &[(DUP2, 1, writes, 0)]), 20);
        assert_eq!((program.call(number::CLOSE, &[writes]), program.call(number::CLOSE, &[reads])), (0, 0));
        let thread = program.process.begin_thread(&mut program.world, THREAD, AT + 0x80, AT + 0x88).unwrap();
        assert_eq!(program.on(thread, number::READ, &[other, AT + 512, 8]), Outcome::Park);
        assert_eq!((program.process.has_more(), program.process.take_woken()), (false, 0));
        program.kin().endless = Some((key(Other::Child(20), Channel::Output), bytes));
        program.bell();
        assert!(program.process.has_more());
        assert_eq!(program.process.take_woken(), 1 << thread, "who waits goes on with it");
        assert_eq!(program.process.take_result(thread), None);
        // Others are served meanwhile.
        assert_eq!(program.call(number::WRITE, &[feeds, AT, 8]), 8);
        assert_eq!(program.process.take_result(thread), Some(8));
        program.kin().endless = None;
        program.bell();
        assert_eq!((program.process.has_more(), program.process.take_woken() & !(1 << thread)), (false, 0));
    }
}
