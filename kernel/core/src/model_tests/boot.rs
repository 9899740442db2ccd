//! Boot: what the initial thread finds (kernel-abi §10).

use hybrid_abi::bootinfo::word;
use hybrid_abi::extension::BOOT_BLOCK_ID;

use crate::cap::{Cap, VmRights};
use crate::model_tests::machine::RAM_START;
use crate::model_tests::world::{ENTRY, IMAGE_VADDR, World};
use crate::object::{TcbSlot, ThreadState, context};
use crate::platform::Platform;

#[test]
fn initial_thread_has_the_specified_state() {
    let w = World::new(4 << 20);
    let tcb = w.k.tcb(w.root);
    assert_eq!(w.k.current_thread(), Some(w.root));
    assert_eq!((tcb.pc(), tcb.state(), tcb.priority(), tcb.mcp()), (ENTRY, ThreadState::Running, 255, 255));
    assert_eq!(tcb.x::<0>(), IMAGE_VADDR + 0x3000);
    for register in 1..=context::SP {
        assert_eq!(tcb.context_word(register), 0);
    }
    assert_eq!(tcb.context_word(context::SPSR), 0x140);
    let Cap::VSpace { at, asid: 1 } = w.cap(3) else { panic!("no vspace") };
    assert_eq!(w.k.platform.spaces[0].get(), crate::cap::space_word(at, 1));
    assert!(matches!(
        w.slot_of_thread(w.root, TcbSlot::CSpace),
        Cap::CNode { radix: 12, guard_size: 52, guard: 0, .. }
    ));
    assert_eq!(w.k.platform.deadlines[0].get(), 1000 + 5 * 62_500);
}

#[test]
fn boot_info_describes_the_slots() {
    let w = World::new(4 << 20);
    assert_eq!(w.info(word::NUM_NODES), 1);
    assert_eq!(w.info(word::CNODE_BITS), 12);
    assert_eq!(w.info(word::IPC_BUFFER), IMAGE_VADDR + 0x2000);
    let region = |at: usize| (w.info(at), w.info(at + 1));
    let paging = region(word::USER_IMAGE_PAGING);
    let extra = region(word::EXTRA_BI_PAGES);
    let control = region(word::SCHED_CONTROL);
    let frames = region(word::USER_IMAGE_FRAMES);
    let untyped = region(word::UNTYPED);
    let empty = region(word::EMPTY);
    assert_eq!(paging, (16, 19));
    assert_eq!(extra, (19, 21));
    assert_eq!(control, (21, 22));
    assert_eq!(frames, (22, 24));
    assert_eq!(untyped.0, 24);
    assert_eq!(empty, (untyped.1 + 2, 4096));
    assert_eq!(w.cap(untyped.1), Cap::Platform);
    assert_eq!(w.cap(untyped.1 + 1), Cap::Audit { irq_table: w.k.irq_table.get() });
    for slot in paging.0..paging.1 {
        assert!(matches!(w.cap(slot), Cap::PageTable { mapping: Some(_), .. }));
    }
    assert!(matches!(w.cap(21), Cap::SchedControl { core: 0 }));
    assert!(matches!(w.cap(empty.0), Cap::Null));
}

#[test]
fn untyped_list_covers_free_memory_without_overlap() {
    let w = World::new(4 << 20);
    let (start, end) = (w.info(word::UNTYPED), w.info(word::UNTYPED + 1));
    let mut total = 0;
    let mut seen: Vec<(u64, u64)> = Vec::new();
    let mut devices_ended = false;
    for (n, slot) in (start..end).enumerate() {
        let Cap::Untyped { base, bits, is_device, watermark } = w.cap(slot) else { panic!("slot {slot}") };
        let size = 1u64 << bits;
        assert_eq!(w.info(word::UNTYPED_LIST + 2 * n), base);
        assert_eq!(w.info(word::UNTYPED_LIST + 2 * n + 1), u64::from(bits) | (u64::from(is_device) << 8));
        assert_eq!((base % size, watermark), (0, size));
        assert!(!(devices_ended && is_device));
        devices_ended |= !is_device;
        assert!(seen.iter().all(|(s, e)| base + size <= *s || base >= *e), "overlap at {base:#x}");
        seen.push((base, base + size));
        total += if is_device { 0 } else { size };
    }
    // 4 MiB without image, device tree and boot objects (about 200 KiB).
    assert!(total > (4 << 20) - (400 << 10), "only {total:#x} bytes are free");
    assert_eq!(w.info(word::UNTYPED_LIST), 0);
    assert_eq!(w.info(word::UNTYPED_LIST + 1), 27 | (1 << 8));
}

#[test]
fn extra_boot_info_has_both_blocks() {
    let w = World::new(4 << 20);
    assert_eq!(w.info(word::EXTRA_LEN), 32 + 16 + 0x1fa3);
    let Cap::Frame { base, mapping: Some(mapping), .. } = w.cap(19) else { panic!("no extra frame") };
    assert_eq!(mapping.vaddr, IMAGE_VADDR + 0x4000);
    let words = w.k.platform.words::<512>(base);
    assert_eq!([words[0].get(), words[1].get()], [BOOT_BLOCK_ID, 32]);
    assert_eq!(w.cap(words[2].get()), Cap::Platform);
    assert!(matches!(w.cap(words[3].get()), Cap::Audit { .. }));
    assert_eq!([words[4].get(), words[5].get()], [6, 0x1fb3]);
    // The frames were allocated together, so that the whole tree can be compared through the first one.
    let tree = RAM_START + 0x8000;
    let head = w.k.platform.words::<1>(base + 48)[0].get();
    assert_eq!(head >> 32, u64::from(0x1fa3u32.swap_bytes()), "the copy says its own size");
    for n in 1..0x1fa3 / 8 {
        let copy = w.k.platform.words::<1>(base + 48 + n * 8);
        assert_eq!(copy[0].get(), w.k.platform.words::<1>(tree + n * 8)[0].get());
    }
}

#[test]
fn image_pages_are_mapped_writable_and_executable() {
    let w = World::new(4 << 20);
    for (slot, offset) in [(22, 0), (23, 0x1000)] {
        let Cap::Frame { base, rights, mapping: Some(mapping), .. } = w.cap(slot) else { panic!("no frame") };
        assert_eq!((base, mapping.vaddr), (RAM_START + 0x1_0000 + offset, IMAGE_VADDR + offset));
        assert_eq!(rights, VmRights::ReadWrite);
    }
}
