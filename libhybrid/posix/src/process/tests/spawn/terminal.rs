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
    assert_eq!(program.kin().streams, [[Stream::Parent; 3]]);
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
fn what_is_typed_is_a_childs_as_far_as_it_reads() {
    let mut program = family();
    assert_eq!(program.spawn("/bin/w", &[]), 20);
    let wants = |program: &mut Program, bytes: u32| {
        program.kin().out.clear();
        program.kin().says(Other::Child(20), Channel::Error, Said::Demand(bytes));
        program.bell();
    };
    let given =
        |program: &mut Program| program.kin().out.remove(&key(Other::Child(20), Channel::Input)).unwrap_or_default();
    program.typed(b"one\rtwo\rthree\r");
    assert_eq!(given(&mut program), []);
    wants(&mut program, 0);
    assert_eq!(given(&mut program), [Said::Ready]);
    wants(&mut program, 100);
    assert_eq!(given(&mut program), [Said::Bytes(b"one\n".to_vec())]);
    program.typed(b"four\r");
    assert_eq!(given(&mut program), [], "that was one read");
    assert_eq!(program.line(100), Ok(b"two\n".to_vec()), "what it did not read is the program's");
    wants(&mut program, 2);
    assert_eq!(given(&mut program), [Said::Bytes(b"th".to_vec())]);
    wants(&mut program, 9000);
    assert_eq!(given(&mut program), [Said::Bytes(b"ree\n".to_vec())]);
    // It waits until the line is ended, and is at the end once.
    assert_eq!(program.line(100), Ok(b"four\n".to_vec()));
    wants(&mut program, 5);
    program.typed(b"fi");
    assert_eq!(given(&mut program), []);
    program.typed(b"ve\r\x04six\r");
    assert_eq!(given(&mut program), [Said::Bytes(b"five\n".to_vec())]);
    wants(&mut program, 5);
    assert_eq!(given(&mut program), [Said::Bytes(vec![])]);
    wants(&mut program, 5);
    assert_eq!(given(&mut program), [Said::Bytes(b"six\n".to_vec())]);
    // Whoever was ended by force reads nothing more of what it demanded, also before that is told.
    wants(&mut program, 5);
    assert_eq!(program.call(number::KILL, &[20, 9]), 0);
    program.typed(b"own\r");
    assert_eq!((given(&mut program), program.line(100)), (vec![], Ok(b"own\n".to_vec())));
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
