//! What a program may not do: the error that it is told, and the one line of the log.
use super::*;

/// A call, and the line of the log about it.
type Refused<'a> = (u64, &'a [u64], &'a str);

/// Makes calls, each twice, and wants this error and this one line of each.
fn refused(errno: Errno, calls: &[Refused<'_>]) {
    let mut program = Program::new();
    for (number, args, _) in calls {
        for _ in 0..2 {
            assert_eq!(program.call(*number, args), errno.negated(), "{number} {args:?}");
        }
    }
    let lines: Vec<&str> = calls.iter().map(|(_, _, line)| *line).collect();
    assert_eq!(program.world.told, lines);
}

#[test]
fn what_only_the_machines_owner_may_is_not_permitted() {
    refused(
        Errno::EPERM,
        &[
            (number::PTRACE, &[0, 0, 0, 0], "ptrace refused: a component looks into no other"),
            (number::KEXEC_LOAD, &[], "kexec_load refused: the machine is not a program's to change"),
            (number::KEXEC_FILE_LOAD, &[], "kexec_file_load refused: the machine is not a program's to change"),
            (number::REBOOT, &[], "reboot refused: the machine is not a program's to change"),
            (number::BPF, &[], "bpf refused: the machine is not a program's to change"),
            (number::CLOCK_SETTIME, &[], "clock_settime refused: the machine is not a program's to change"),
            (number::MOUNT, &[], "mount refused: what a component sees is what its product routes to it"),
            (number::CHROOT, &[], "chroot refused: what a component sees is what its product routes to it"),
            (number::SETNS, &[], "setns refused: what a component sees is what its product routes to it"),
            (number::SETUID, &[0], "setuid refused: its user is its instance, for good"),
        ],
    );
}

#[test]
fn copies_of_a_program_and_what_programs_do_without_are_not_there() {
    refused(
        Errno::ENOSYS,
        &[
            (
                number::CLONE,
                &[17],
                "clone refused: a component cannot be copied or replaced; posix_spawn starts another",
            ),
            (
                number::CLONE3,
                &[AT, 88],
                "clone3 refused: a component cannot be copied or replaced; posix_spawn starts another",
            ),
            (
                number::EXECVE,
                &[AT, AT, AT],
                "execve refused: a component cannot be copied or replaced; posix_spawn starts another",
            ),
            (number::TEE, &[0, 0, 0], "tee refused: what is copied is read and written"),
            (number::PRCTL, &[38, 1], "prctl refused: the personality does not have it"),
        ],
    );
}

#[test]
fn what_musl_and_std_try_at_each_start_is_refused_without_a_word() {
    let mut program = Program::new();
    let names: [(u64, &[u64]); 8] = [
        (number::COPY_FILE_RANGE, &[0, 0, 0]),
        (number::SENDFILE, &[0, 0, 0]),
        (number::SPLICE, &[0, 0, 0]),
        (number::PIDFD_OPEN, &[7]),
        (number::BRK, &[0]),
        (number::SIGALTSTACK, &[AT]),
        (number::MEMBARRIER, &[0]),
        (number::PRCTL, &[15, AT]),
    ];
    for (number, args) in names {
        assert_eq!(program.call(number, args), Errno::ENOSYS.negated());
    }
    assert_eq!(program.world.told, [""; 0]);
}

#[test]
fn sockets_of_other_kinds_are_named() {
    let socket = |family, kind, protocol| (number::SOCKET, [family, kind, protocol]);
    for ((number, args), errno, line) in [
        (socket(2, 3, 1), Errno::EPERM, "socket refused: a component has no raw sockets"),
        (socket(17, 3, 768), Errno::EPERM, "socket refused: a component has no packet sockets"),
        (
            socket(16, 3, 0),
            Errno::EAFNOSUPPORT,
            "socket refused: a component has no AF_NETLINK sockets: interfaces and routes are netd's",
        ),
        (socket(40, 1, 0), Errno::EAFNOSUPPORT, "socket refused: a component has no sockets of this family: 40"),
        (
            socket(1, 5, 0),
            Errno::EPROTONOSUPPORT,
            "socket refused: sockets are for streams or for datagrams, not of this type: 5",
        ),
        (socket(2, 2, 1), Errno::EPROTONOSUPPORT, "socket refused: sockets of this kind have no such protocol: 1"),
    ] {
        refused(errno, &[(number, &args, line)]);
    }
    let line = "socketpair refused: sockets are for streams or for datagrams, not of this type: 5";
    refused(Errno::EPROTONOSUPPORT, &[(number::SOCKETPAIR, &[1, 5, 0, AT], line)]);
}

#[test]
fn options_and_control_data_are_named_one_by_one() {
    let mut program = Program::new();
    let socket = program.call(number::SOCKET, &[2, 1, 0]).cast_unsigned();
    program.put(AT, &[9]);
    for _ in 0..2 {
        for (level, name) in [(0, 1), (0, 32), (1, 37), (6, 12), (41, 20)] {
            let refused = program.call(number::SETSOCKOPT, &[socket, level, name, AT, 4]);
            assert_eq!(refused, Errno::ENOPROTOOPT.negated());
        }
    }
    let options = ["IPPROTO_IP: 1", "IPPROTO_IP: 32", "SOL_SOCKET: 37", "IPPROTO_TCP: 12", "IPPROTO_IPV6: 20"];
    let lines = options.map(|option| format!("setsockopt refused: nothing here goes by this option of {option}"));
    assert_eq!(program.world.told, lines);
    assert_eq!(program.call(number::SOCKETPAIR, &[1, 1, 0, AT]), 0);
    let [both] = program.world.words::<1>(AT);
    // A message without bytes, with a header of control data.
    program.put(AT + 64, &[0, 0, AT, 0, AT + 256, 24, 0]);
    for _ in 0..2 {
        let refused = program.call(number::SENDMSG, &[both & 0xffff_ffff, AT + 64, 0]);
        assert_eq!(refused, Errno::EINVAL.negated());
    }
    let last = "sendmsg refused: control data goes nowhere: no descriptors and no options with a message";
    assert_eq!((program.world.told.len(), program.world.told.last().map(String::as_str)), (6, Some(last)));
}

#[test]
fn files_without_a_name_and_commands_that_are_not_there_are_told() {
    let mut program = Program::new();
    program.world.write(AT, b"/tmp\0").unwrap();
    for _ in 0..2 {
        assert_eq!(program.call(number::OPENAT, &[0, AT, 0o2020_0002]), Errno::EOPNOTSUPP.negated());
        assert_eq!(program.call(number::FCNTL, &[1, 1026]), Errno::EINVAL.negated());
        assert_eq!(program.call(number::FUTEX, &[AT, 6, 1]), Errno::ENOSYS.negated());
    }
    let told = [
        "openat refused: a file has a name, and O_TMPFILE makes one without",
        "fcntl refused: there is no such command here: 1026",
        "futex refused: a word is waited for, woken and requeued, no more: 6",
    ];
    assert_eq!(program.world.told, told);
}

#[test]
fn second_reason_of_a_call_is_told_and_too_many_are_one_line() {
    let mut program = Program::new();
    assert_eq!(program.call(number::SOCKET, &[16, 3, 0]), Errno::EAFNOSUPPORT.negated());
    assert_eq!(program.call(number::SOCKET, &[2, 3, 0]), Errno::EPERM.negated());
    assert_eq!(program.world.told.len(), 2);
    for number in 1000..1200 {
        assert_eq!(program.call(number, &[]), Errno::ENOSYS.negated());
    }
    assert_eq!(program.world.told.len(), 65);
    assert_eq!(program.world.told.last().map(String::as_str), Some("more was refused than is told of"));
}
