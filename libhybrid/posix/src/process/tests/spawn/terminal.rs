//! A family at a terminal: what children print is seen, what is typed is the parent's, and interrupts are for all.
use super::super::terminal::FakeWire;
use super::*;

fn family() -> Program {
    let mut program = Program::new();
    program.world.kin = Some(FakeKin { may_spawn: true, ..FakeKin::default() });
    program.world.wire = Some(FakeWire::default());
    program.process.attach_terminal();
    program
}

#[test]
fn what_a_child_prints_is_on_the_terminal_as_fast_as_that_takes_it() {
    let mut program = family();
    assert_eq!(program.spawn("/bin/w", &[]), 20);
    assert_eq!(program.kin().streams, [[Stream::Own, Stream::Parent, Stream::Parent]]);
    program.wire().limit(Some(260));
    for text in [[b'o'; 300].as_slice(), b"\nend\n"] {
        program.kin().says(Other::Child(20), Channel::Output, Said::Bytes(text.to_vec()));
    }
    program.kin().ends(20, Ending::Exit(0));
    program.bell();
    assert_eq!(program.printed(), "o".repeat(256));
    program.wire().limit(None);
    program.typed(b"");
    program.bell();
    assert_eq!(program.printed(), format!("{}\r\nend\r\n", "o".repeat(44)));
    assert_eq!(program.call(number::WAIT4, &[20, 0, 0, 0]), 20);
    assert_eq!(program.kin().forgotten, [20]);
}

#[test]
fn interrupt_is_for_the_program_and_all_children_that_run() {
    let mut program = family();
    // It goes on itself.
    program.put(AT, &[1, 0, 0, 0]);
    assert_eq!(program.call(number::RT_SIGACTION, &[2, AT, 0, 8]), 0);
    assert_eq!((program.spawn("/bin/w", &[]), program.spawn("/bin/w", &[])), (20, 21));
    program.kin().ends(20, Ending::Exit(0));
    program.bell();
    program.typed(b"\x03");
    assert_eq!(program.kin().sent, [(21, 2)]);
    program.typed(b"ab\r");
    assert!(program.kin().out.is_empty(), "what is typed is the program's");
}

#[test]
fn end_of_a_parent_waits_until_what_its_children_printed_is_seen() {
    let mut program = family();
    assert_eq!((program.spawn("/bin/w", &[]), program.spawn("/bin/w", &[])), (20, 21));
    program.wire().limit(Some(260));
    program.kin().says(Other::Child(20), Channel::Output, Said::Bytes(vec![b'o'; 300]));
    program.kin().says(Other::Child(20), Channel::Error, Said::Bytes(b"\nend\n".to_vec()));
    program.kin().ends(20, Ending::Exit(0));
    assert_eq!(program.call(number::WAIT4, &[20, 0, 0, 0]), 20);
    assert_eq!(program.on(0, number::EXIT_GROUP, &[4]), Outcome::Park);
    assert_eq!(program.kin().ending, None);
    // Whoever runs on and prints for ever keeps nobody.
    for _ in 0..3 {
        program.kin().says(Other::Child(21), Channel::Output, Said::Bytes(vec![b'y'; PIECE_MAX]));
    }
    program.printed();
    program.wire().limit(None);
    program.typed(b"");
    program.bell();
    assert_eq!(program.process.take_result(0), Some(AGAIN));
    assert_eq!(program.on(0, number::EXIT_GROUP, &[4]), Outcome::Ended(Ending::Exit(4)));
    let printed = program.printed();
    assert!(printed.contains("end") && printed.matches('o').count() == 44, "{printed}");
    assert_eq!(program.kin().heard[&key(Other::Child(21), Channel::Output)].len(), 3);
}
