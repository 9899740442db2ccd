//! What runs in a sandbox: random system calls and faults, for ever. Nothing here is careful.
use crate::dice::Dice;
use crate::sandbox::COUNTER_AT;
use crate::world::STACKS;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libhybrid::sys::abi::{ipc_buffer, label};

/// Threads of one sandbox.
pub(crate) const THREADS: usize = 4;

// The slots of a sandbox: copies of what the warden holds too, then what is the sandbox's alone.
pub(crate) const CNODE: u64 = 1;
pub(crate) const SPACE: u64 = 2;
pub(crate) const TCBS: u64 = 4;
pub(crate) const CONTEXTS: u64 = 8;
pub(crate) const BUFFERS: u64 = 12;
pub(crate) const SCHED_CONTROLS: u64 = 16;
pub(crate) const ASID_CONTROL: u64 = 20;
pub(crate) const DOMAIN: u64 = 21;
pub(crate) const IRQ_HANDLER: u64 = 22;
pub(crate) const ENDPOINTS: u64 = 24;
pub(crate) const BADGED: u64 = 27;
pub(crate) const NOTIFICATIONS: u64 = 30;
pub(crate) const REPLIES: u64 = 33;
pub(crate) const FRAMES: u64 = 37;
pub(crate) const TABLES: u64 = 41;
pub(crate) const SPACES: u64 = 45;
pub(crate) const CNODES: u64 = 47;
pub(crate) const SPARE_TCBS: u64 = 49;
pub(crate) const SPARE_CONTEXTS: u64 = 51;
pub(crate) const SMALL_UNTYPEDS: u64 = 53;
pub(crate) const UNTYPEDS: u64 = 56;
/// The slots that things are made in and moved to; the first ones of them fill up.
const LAST: u64 = 96;

/// One system call: what stands in the registers and in the IPC buffer.
struct Shot {
    cap: u64,
    label: u64,
    words: [u64; 8],
    length: u64,
    caps: [u64; 3],
    cap_count: u64,
}

/// The body of a wild thread.
pub(crate) extern "C" fn wild(seed: u64) -> ! {
    let mut dice = Dice(seed);
    let buffer = own_buffer();
    let counter = core::ptr::with_exposed_provenance::<AtomicU64>(COUNTER_AT as usize);
    loop {
        match dice.below(64) {
            0 => fault(&mut dice),
            1 => any_call(&mut dice, buffer),
            2..=7 => message(&mut dice, buffer),
            8..=15 => fire(&mut dice, buffer, anything),
            _ => fire(&mut dice, buffer, operation),
        }
        // SAFETY: the page is mapped when the sandbox starts; should a wild thread have unmapped it, this faults, as others do.
        unsafe { &*counter }.fetch_add(1, Relaxed);
    }
}

/// The address of the IPC buffer, as the warden left it.
fn own_buffer() -> u64 {
    let address: u64;
    // SAFETY: reads a register of this thread.
    unsafe { asm!("mrs {}, tpidrro_el0", out(reg) address, options(nostack, nomem, preserves_flags)) };
    address
}

/// A number as hostile code would choose it.
fn value(dice: &mut Dice) -> u64 {
    match dice.below(12) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << dice.below(64),
        3..=5 => dice.below(LAST),
        6 => 64,
        7 => dice.below(70),
        8 => STACKS + (dice.below(0x4000) << 12),
        9 => dice.roll(),
        10 => dice.below(5000),
        _ => 0xffff_8000_0000_0000 | dice.roll() >> 16,
    }
}

/// A slot that may hold something.
fn slot(dice: &mut Dice) -> u64 {
    if dice.below(40) == 0 { value(dice) } else { dice.below(LAST) }
}

fn one_of(dice: &mut Dice, first: u64, count: u64) -> u64 {
    if dice.below(16) == 0 { slot(dice) } else { first + dice.below(count) }
}

fn address(dice: &mut Dice) -> u64 {
    // Mostly pages around one table's end, so that tables are made, shared and removed.
    if dice.below(10) == 0 { value(dice) } else { STACKS + 0x4000_0000 * dice.below(3) + (dice.below(1024) << 12) }
}

/// Any label on any capability with any arguments.
fn anything(dice: &mut Dice) -> Shot {
    let words = core::array::from_fn(|_| value(dice));
    let caps = core::array::from_fn(|_| slot(dice));
    let label = if dice.below(8) == 0 { value(dice) } else { dice.below(60) };
    Shot { cap: slot(dice), label, words, length: dice.below(9), caps, cap_count: dice.below(4) }
}

fn shot(cap: u64, label: u64, words: &[u64], caps: &[u64]) -> Shot {
    let mut result =
        Shot { cap, label, words: [0; 8], length: words.len() as u64, caps: [0; 3], cap_count: caps.len() as u64 };
    result.words.iter_mut().zip(words).for_each(|(to, from)| *to = *from);
    result.caps.iter_mut().zip(caps).for_each(|(to, from)| *to = *from);
    result
}

/// An operation that could succeed.
fn operation(dice: &mut Dice) -> Shot {
    match dice.below(10) {
        0..=1 => retype(dice),
        2..=4 => slots(dice),
        5..=6 => thread(dice),
        7 => time(dice),
        8 => memory(dice),
        _ => rest(dice),
    }
}

fn retype(dice: &mut Dice) -> Shot {
    let (untyped, bits) = if dice.below(2) == 0 { (SMALL_UNTYPEDS, 12) } else { (UNTYPEDS, 17) };
    let (kind, size) = (dice.below(13), 4 + dice.below(bits));
    let count = if dice.below(4) == 0 { 1 + dice.below(256) } else { 1 + dice.below(3) };
    let words = [kind, size.min(u64::from(kind == 4) * 3 + 17), 0, 0, dice.below(LAST), count];
    shot(one_of(dice, untyped, 3), label::UNTYPED_RETYPE, &words, &[CNODE])
}

fn slots(dice: &mut Dice) -> Shot {
    let (to, from) = (dice.below(LAST), slot(dice));
    let root = if dice.below(8) == 0 { one_of(dice, CNODES, 2) } else { CNODE };
    let depth = if dice.below(16) == 0 { value(dice) } else { 64 };
    match dice.below(9) {
        0..=1 => shot(root, label::CNODE_COPY, &[to, depth, from, 64, dice.below(16)], &[CNODE]),
        2 => shot(root, label::CNODE_MINT, &[to, depth, from, 64, dice.below(16), value(dice)], &[CNODE]),
        3 => shot(root, label::CNODE_MOVE, &[to, depth, from, 64], &[CNODE]),
        4 => shot(root, label::CNODE_MUTATE, &[to, depth, from, 64, value(dice)], &[CNODE]),
        5 => shot(root, label::CNODE_ROTATE, &[to, depth, 0, from, 64, 0, slot(dice), 64], &[CNODE, CNODE]),
        6 => shot(root, label::CNODE_DELETE, &[from, depth], &[]),
        7 => shot(root, label::CNODE_REVOKE, &[from, depth], &[]),
        _ => shot(root, label::CNODE_CANCEL_BADGED_SENDS, &[one_of(dice, ENDPOINTS, 6), depth], &[]),
    }
}

fn thread(dice: &mut Dice) -> Shot {
    let tcb = if dice.below(2) == 0 { one_of(dice, TCBS, 4) } else { one_of(dice, SPARE_TCBS, 2) };
    let (authority, priority) = (one_of(dice, TCBS, 4), dice.below(102));
    match dice.below(16) {
        0 => shot(tcb, label::TCB_READ_REGISTERS, &[dice.below(2), dice.below(40)], &[]),
        1 => {
            let words = [dice.below(2), dice.below(7), wild as *const () as u64, value(dice), value(dice), dice.roll()];
            shot(tcb, label::TCB_WRITE_REGISTERS, &words, &[])
        }
        2 => shot(tcb, label::TCB_COPY_REGISTERS, &[dice.below(16)], &[one_of(dice, TCBS, 4)]),
        3 => {
            let caps = [CNODE, one_of(dice, SPACE, 1), one_of(dice, BUFFERS, 4)];
            shot(tcb, label::TCB_CONFIGURE, &[0, 0, value(dice) & !0x3ff], &caps)
        }
        4 => shot(tcb, label::TCB_SET_PRIORITY, &[priority], &[authority]),
        5 => shot(tcb, label::TCB_SET_MC_PRIORITY, &[priority], &[authority]),
        6 => {
            let caps = [authority, one_of(dice, CONTEXTS, 4), one_of(dice, ENDPOINTS, 3)];
            shot(tcb, label::TCB_SET_SCHED_PARAMS, &[dice.below(102), priority], &caps)
        }
        7 => shot(tcb, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[one_of(dice, ENDPOINTS, 3)]),
        8 => shot(tcb, label::TCB_SET_IPC_BUFFER, &[value(dice) & !0x3ff], &[one_of(dice, BUFFERS, 4)]),
        9 => shot(tcb, label::TCB_SET_SPACE, &[0, 0], &[one_of(dice, ENDPOINTS, 3), CNODE, SPACE]),
        10 => shot(tcb, label::TCB_SUSPEND, &[], &[]),
        11..=12 => shot(tcb, label::TCB_RESUME, &[], &[]),
        13 => shot(tcb, label::TCB_BIND_NOTIFICATION, &[], &[one_of(dice, NOTIFICATIONS, 3)]),
        14 => shot(tcb, label::TCB_UNBIND_NOTIFICATION, &[], &[]),
        _ => shot(tcb, label::TCB_SET_FLAGS, &[dice.below(4), dice.below(4)], &[]),
    }
}

fn time(dice: &mut Dice) -> Shot {
    let context = if dice.below(2) == 0 { one_of(dice, CONTEXTS, 4) } else { one_of(dice, SPARE_CONTEXTS, 2) };
    let thread = if dice.below(2) == 0 { one_of(dice, TCBS, 4) } else { one_of(dice, SPARE_TCBS, 2) };
    match dice.below(8) {
        0..=2 => {
            let period = 20 + dice.below(3000);
            let budget = 20 + dice.below(period);
            let words = [budget, period, dice.below(12), value(dice), dice.below(2)];
            shot(one_of(dice, SCHED_CONTROLS, 1), label::SCHED_CONTROL_CONFIGURE_FLAGS, &words, &[context])
        }
        3 => shot(context, label::SCHED_CONTEXT_BIND, &[], &[thread]),
        4 => shot(context, label::SCHED_CONTEXT_BIND, &[], &[one_of(dice, NOTIFICATIONS, 3)]),
        5 => shot(context, label::SCHED_CONTEXT_UNBIND, &[], &[]),
        6 => shot(context, label::SCHED_CONTEXT_UNBIND_OBJECT, &[], &[thread]),
        _ => shot(context, label::SCHED_CONTEXT_YIELD_TO + dice.below(2) - 1, &[], &[]),
    }
}

fn memory(dice: &mut Dice) -> Shot {
    let frame = if dice.below(8) == 0 { one_of(dice, BUFFERS, 4) } else { one_of(dice, FRAMES, 4) };
    let (table, space, at) = (one_of(dice, TABLES, 4), one_of(dice, SPACE, 1), address(dice));
    match dice.below(10) {
        0..=2 => shot(frame, label::PAGE_MAP, &[at, dice.below(4), dice.below(8)], &[space]),
        3 => shot(frame, label::PAGE_UNMAP, &[], &[]),
        4 => shot(frame, label::PAGE_CLEAN_DATA + dice.below(5), &[dice.below(4097), dice.below(4098)], &[]),
        5..=6 => shot(table, label::PAGE_TABLE_MAP, &[at, dice.below(8)], &[space]),
        7 => shot(table, label::PAGE_TABLE_UNMAP, &[], &[]),
        8 => shot(space, label::VSPACE_CLEAN_DATA + dice.below(4), &[at, at + dice.below(4097)], &[]),
        _ => shot(slot(dice), label::ASID_POOL_ASSIGN, &[], &[one_of(dice, SPACES, 2)]),
    }
}

fn rest(dice: &mut Dice) -> Shot {
    match dice.below(6) {
        0 => shot(
            ASID_CONTROL,
            label::ASID_CONTROL_MAKE_POOL,
            &[dice.below(LAST), 64],
            &[one_of(dice, SMALL_UNTYPEDS, 3), CNODE],
        ),
        1 => {
            shot(DOMAIN, label::DOMAIN_SET_SET + dice.below(3), &[dice.below(3), value(dice)], &[one_of(dice, TCBS, 4)])
        }
        2..=3 => shot(IRQ_HANDLER, label::IRQ_ACK + dice.below(3), &[], &[one_of(dice, NOTIFICATIONS, 3)]),
        4 => shot(slot(dice), label::IRQ_ACK + dice.below(3), &[], &[one_of(dice, NOTIFICATIONS, 3)]),
        _ => anything(dice),
    }
}

/// Fires an invocation: mostly a Call, sometimes by another way.
fn fire(dice: &mut Dice, buffer: u64, make: fn(&mut Dice) -> Shot) {
    let shot = make(dice);
    for (index, word) in shot.words.iter().enumerate().skip(4) {
        poke(buffer, ipc_buffer::MESSAGE + index, *word);
    }
    for (index, cap) in shot.caps.iter().enumerate() {
        poke(buffer, ipc_buffer::CAPS_OR_BADGES + index, *cap);
    }
    let info = shot.label << 12 | shot.cap_count << 7 | shot.length;
    let [mr0, mr1, mr2, mr3, ..] = shot.words;
    let mut registers = [shot.cap, info, mr0, mr1, mr2, mr3];
    match dice.below(16) {
        0 => system_call(-5, &mut registers, 0, 0),
        1 => system_call(-6, &mut registers, 0, 0),
        2 => {
            registers[0] = one_of(dice, NOTIFICATIONS, 3);
            system_call(-4, &mut registers, shot.cap, 0);
        }
        _ => system_call(-1, &mut registers, 0, 0),
    }
}

/// A message, a signal, or waiting for one.
fn message(dice: &mut Dice, buffer: u64) {
    let length = if dice.below(4) == 0 { dice.below(128) } else { dice.below(6) };
    let cap_count = if dice.below(4) == 0 { dice.below(4) } else { 0 };
    for index in 0..cap_count {
        poke(buffer, ipc_buffer::CAPS_OR_BADGES + index as usize, slot(dice));
    }
    poke(buffer, ipc_buffer::RECEIVE_CNODE, CNODE);
    poke(buffer, ipc_buffer::RECEIVE_INDEX, dice.below(LAST));
    poke(buffer, ipc_buffer::RECEIVE_DEPTH, 64);
    let info = dice.below(100) << 12 | dice.below(8) << 9 | cap_count << 7 | length;
    let target = match dice.below(4) {
        0 => one_of(dice, NOTIFICATIONS, 3),
        1 => one_of(dice, REPLIES, 4),
        _ => one_of(dice, ENDPOINTS, 6),
    };
    let reply = one_of(dice, REPLIES, 4);
    let mut registers = [target, info, dice.roll(), dice.roll(), dice.roll(), dice.roll()];
    // Mostly the calls that do not wait.
    let number =
        if dice.below(4) == 0 { -1 - (dice.below(11) as i64) } else { [-6, -8, -10, -11][dice.below(4) as usize] };
    system_call(number, &mut registers, reply, one_of(dice, ENDPOINTS, 6));
}

/// Any number with anything in the registers.
fn any_call(dice: &mut Dice, buffer: u64) {
    for word in 0..ipc_buffer::WORDS {
        poke(buffer, word, value(dice));
    }
    let mut registers = core::array::from_fn(|_| value(dice));
    let number = if dice.below(3) == 0 { value(dice).cast_signed() } else { -1 - (dice.below(36) as i64) };
    system_call(number, &mut registers, value(dice), value(dice));
}

/// Provokes an exception.
fn fault(dice: &mut Dice) {
    let place = value(dice);
    // SAFETY: not sound, and meant to be: whatever this does to the sandbox, its own memory is all that it can reach.
    unsafe {
        match dice.below(12) {
            0..=1 => asm!("ldr {0}, [{0}]", inout(reg) place => _),
            2..=3 => asm!("str {0}, [{0}]", in(reg) place),
            4 => asm!(".inst 0"),
            5 => asm!("brk #7"),
            6 => asm!("mov {0}, sp", "sub sp, sp, #24", "ldr xzr, [sp, #0]", "mov sp, {0}", out(reg) _),
            7 => asm!("br {0}", in(reg) place, options(noreturn)),
            8 => asm!("hvc #0"),
            9 => asm!(".inst 0x9e6703e0"), // fmov d0, xzr
            10 => asm!("mrs {0}, ttbr0_el1", out(reg) _),
            _ => asm!("dc civac, {0}", "ic ivau, {0}", "dc zva, {0}", in(reg) place),
        }
    }
}

fn poke(buffer: u64, word: usize, value: u64) {
    let place = core::ptr::with_exposed_provenance_mut::<u64>(buffer as usize + word * 8);
    // SAFETY: the thread's own IPC buffer, if the sandbox has not unmapped it: then this faults, as others do.
    unsafe { place.write_volatile(value) };
}

fn system_call(number: i64, registers: &mut [u64; 6], x6: u64, x8: u64) {
    let [x0, x1, x2, x3, x4, x5] = registers;
    // SAFETY: as in `fault`.
    unsafe {
        asm!(
            "svc #0",
            inout("x0") *x0,
            inout("x1") *x1,
            inout("x2") *x2,
            inout("x3") *x3,
            inout("x4") *x4,
            inout("x5") *x5,
            in("x6") x6,
            in("x7") number,
            in("x8") x8,
        );
    }
}
