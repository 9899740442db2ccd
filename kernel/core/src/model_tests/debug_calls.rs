//! Debug calls on the fake machine: what they print and answer (kernel-abi §1.9).

use hybrid_abi::ipc_buffer;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::syscall;

use crate::model_tests::machine::Effect;
use crate::model_tests::world::World;
use crate::object::TcbSlot;

/// What the kernel printed since the last look, and whether it stopped the machine.
fn console(w: &World) -> (String, bool) {
    let effects = w.k.platform.take_effects();
    let is_off = effects.contains(&Effect::Off);
    let text = effects.iter().filter_map(|effect| match effect {
        Effect::Put(byte) => Some(char::from(*byte)),
        _ => None,
    });
    (text.collect(), is_off)
}

fn debug(w: &World, number: i64, argument: u64) -> u64 {
    let tcb = w.k.tcb(w.current());
    tcb.set_x::<0>(argument);
    assert!(w.k.debug_call(w.current(), number));
    tcb.x::<0>()
}

fn put_name(w: &World, name: &[u8]) {
    let buffer = w.k.buffer(w.root, true).unwrap();
    for (cell, bytes) in buffer.iter().skip(ipc_buffer::MESSAGE).zip(name.chunks(8)) {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        cell.set(u64::from_le_bytes(word));
    }
}

#[test]
fn characters_lines_and_tags() {
    let mut w = World::new(1 << 20);
    let endpoint = w.make(T::Endpoint, 0);
    console(&w);
    debug(&w, syscall::DEBUG_PUT_CHAR, u64::from(b'x') | 0xff00);
    debug(&w, syscall::DEBUG_PUT_CHAR, u64::from(b'\n'));
    assert_eq!(console(&w), ("x\r\n".into(), false));
    let empty = w.free_slot();
    for (slot, tag) in [(endpoint, 4), (1, 12), (2, 10), (3, 9), (4, 14), (empty, 0), (1 << 60, 0)] {
        assert_eq!(debug(&w, syscall::DEBUG_CAP_IDENTIFY, slot), tag);
    }
}

#[test]
fn threads_are_named_listed_and_forgotten() {
    let mut w = World::new(1 << 20);
    put_name(&w, b"root\0");
    debug(&w, syscall::DEBUG_NAME_THREAD, 1);
    let thread = w.thread(77);
    let other = w.thread(78);
    put_name(&w, b"worker\0");
    debug(&w, syscall::DEBUG_NAME_THREAD, thread.slot);
    console(&w);
    debug(&w, syscall::DEBUG_DUMP_SCHEDULER, 0);
    let (text, is_off) = console(&w);
    assert!(!is_off);
    for name in ["root ", "worker ", "child of: 'root' "] {
        assert_eq!(text.matches(name).count(), 1, "{text}");
    }
    assert!(text.contains("Inactive") && text.contains("Running") && text.contains(" 77 "), "{text}");
    debug(&w, syscall::DEBUG_SNAPSHOT, 0);
    let (text, _) = console(&w);
    assert!(text.contains("'worker'") && text.contains(&format!("{:?}", TcbSlot::VSpace)), "{text}");
    for slot in [other.slot, thread.slot] {
        w.ok(2, hybrid_abi::label::CNODE_DELETE, &[slot, 64], &[]);
    }
    console(&w);
    debug(&w, syscall::DEBUG_DUMP_SCHEDULER, 0);
    let (text, _) = console(&w);
    assert!(text.contains("root") && !text.contains("worker") && !text.contains("child of"), "{text}");
}

#[test]
fn bad_arguments_and_halt_stop_the_machine() {
    let w = World::new(1 << 20);
    console(&w);
    put_name(&w, &[b'a'; 960]);
    debug(&w, syscall::DEBUG_NAME_THREAD, 1);
    let (text, is_off) = console(&w);
    assert!(is_off && text.contains("no end of name"), "{text}");
    put_name(&w, b"x\0");
    debug(&w, syscall::DEBUG_NAME_THREAD, 2);
    assert!(console(&w).1);
    debug(&w, syscall::DEBUG_HALT, 0);
    assert!(console(&w).1);
    // Calls for several cores do not exist on one.
    for number in [syscall::DEBUG_SEND_IPI, syscall::DEBUG_GET_THREAD_AFFINITY, -20] {
        assert!(!w.k.debug_call(w.root, number));
    }
}
