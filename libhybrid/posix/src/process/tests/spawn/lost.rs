//! Children whose supervisor died: nobody but their parent knows of them any more.
use super::*;

#[test]
fn numbers_that_a_supervisor_lost_are_not_used_again_before_they_were_waited_for() {
    let mut program = Program::parent();
    let (reads, writes) = program.pipe(0);
    assert_eq!((program.spawn("/bin/w", &[(DUP2, 1, writes, 0)]), program.spawn("/bin/w", &[])), (20, 21));
    assert_eq!(program.call(number::CLOSE, &[writes]), 0);
    // One has ended, is waited for and has unread output; then the supervisor dies.
    for piece in 0..40 {
        program.kin().says(Other::Child(20), Channel::Output, Said::Bytes(vec![piece; PIECE_MAX]));
    }
    program.kin().ends(20, Ending::Exit(0));
    assert_eq!(program.call(number::WAIT4, &[20, 0, 0, 0]), 20);
    program.kin().running.clear();
    program.kin().news.push_back(News::Lost);
    program.bell();
    assert_eq!(program.spawn("/bin/w", &[]), Errno::EAGAIN.negated());
    assert_eq!(program.call(number::WAIT4, &[21, 0, 0, 0]), 21);
    assert_eq!(program.spawn("/bin/w", &[]), Errno::EAGAIN.negated());
    while program.call(number::READ, &[reads, AT + 512, 4000]) > 0 {}
    assert_eq!(program.spawn("/bin/w", &[]), 20);
    assert_eq!(program.kin().forgotten, [] as [u16; 0]);
}
