//! Who the program is, what it may use and what is free of it.
use super::*;

#[test]
fn identity_is_the_instances() {
    let mut program = Program::new();
    for number in [number::GETPID, number::GETUID, number::GETEUID, number::GETGID, number::GETEGID] {
        assert_eq!(program.call(number, &[]), 7);
    }
    assert_eq!(program.call(number::UNAME, &[AT]), 0);
    let mut text = [0; 130];
    program.world.read(AT, &mut text).unwrap();
    assert_eq!((&text[..9], &text[65..70]), (b"HybridOS\0".as_slice(), b"prog\0".as_slice()));
    assert_eq!(program.call(number::GETCWD, &[AT, 64]), 2);
    assert_eq!(program.call(number::GETCWD, &[AT, 1]), Errno::ERANGE.negated());
    assert_eq!(program.call(number::PRLIMIT64, &[0, 3, 0, AT]), 0);
    assert_eq!(program.world.words(AT), [STACK.1 - STACK.0; 2]);
    // The limit as it is may be set, and no other.
    assert_eq!(program.call(number::PRLIMIT64, &[0, 3, AT, 0]), 0);
    program.put(AT, &[STACK.1 - STACK.0, 4096]);
    assert_eq!(program.call(number::PRLIMIT64, &[0, 3, AT, 0]), Errno::EPERM.negated());
    assert_eq!(program.call(number::SCHED_GETAFFINITY, &[0, 128, AT]), 8);
    assert_eq!(program.world.words(AT), [1]);
    for number in [number::GETRESUID, number::GETRESGID] {
        program.put(AT, &[0, 0]);
        assert_eq!(program.call(number, &[AT, AT + 4, AT + 8]), 0);
        assert_eq!(program.world.words(AT), [7 | 7 << 32, 7]);
    }
    assert_eq!(program.call(number::GETRESUID, &[AT, AT, 8]), Errno::EFAULT.negated());
    assert_eq!(program.call(number::GETGROUPS, &[0, 0]), 0);
    program.put(AT, &[u64::MAX]);
    assert_eq!(program.call(number::GETCPU, &[AT, 0, 0]), 0);
    assert_eq!(program.world.words(AT), [0xffff_ffff << 32]);
    assert_eq!(program.call(number::SET_ROBUST_LIST, &[AT, 24]), 0);
    assert_eq!(program.call(number::GET_ROBUST_LIST, &[0, AT, AT + 8]), 0);
    assert_eq!(program.world.words(AT), [0, 24]);
    assert_eq!(program.call(number::GET_ROBUST_LIST, &[99, AT, AT + 8]), Errno::ESRCH.negated());
}

#[test]
fn sysinfo_tells_the_heap_and_what_is_free_of_it() {
    let mut program = Program::new();
    program.at(3_999_999_999);
    let told = |program: &mut Program| {
        program.put(AT, &[u64::MAX; 14]);
        assert_eq!(program.call(number::SYSINFO, &[AT]), 0);
        program.world.words::<14>(AT)
    };
    let before = told(&mut program);
    let (first, end) = program.process.areas.span();
    assert_eq!((before[0], before[4], before[10], before[13]), (3, end - first, 1, 1));
    assert!(program.call(number::MMAP, &[0, 8192, 3, 0x22, u64::MAX, 0]) > 0);
    assert_eq!(told(&mut program)[5], before[5] - 8192);
    assert_eq!(program.call(number::SYSINFO, &[8]), Errno::EFAULT.negated());
}
