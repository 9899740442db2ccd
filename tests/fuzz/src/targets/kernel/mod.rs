//! The kernel's logic under threads that do anything: system calls, faults, interrupts, time.

mod machine;
mod world;

use crate::input::Input;
use hybrid_abi::label as l;
use hybrid_abi::slot;
use hybrid_abi::syscall::Syscall;
use hybrid_kernel_core::UserFault;
use std::collections::BTreeSet;
use world::World;

/// Slots that the input may use as empty ones.
const FREE: u64 = 3000;
const ADDRESS: u64 = 0x1000_0000;

/// Events out of the input, on a machine with threads, endpoints, notifications, reply objects, scheduling contexts and page tables. After
/// each, the thread that would run is one at EL0 with interrupts on; at the end no mapping reaches a kernel object that the root task began with.
///
/// The kernel's own model tests check far more after each step, over sequences that are chosen better; here the choice is the input's.
pub fn target_kernel(data: &[u8]) {
    let _done = run(data);
}

/// Invocations that worked, and threads that ran.
fn run(data: &[u8]) -> (u32, usize) {
    let world = World::new();
    let mut input = Input::new(data);
    let mut threads = BTreeSet::new();
    // Longer sequences find nothing new, and time matters.
    for _ in 0..600 {
        let Some(step) = input.byte() else { break };
        if world.current().is_none() {
            world.pass(700_000);
        }
        event(&world, step, &mut input);
        world.check();
        threads.extend(world.current().map(|thread| thread.paddr()));
    }
    world.check_mappings();
    (world.worked.get(), threads.len())
}

fn event(world: &World, step: u8, input: &mut Input<'_>) {
    match step & 15 {
        0..=2 => call(world, step, input),
        3..=5 => {
            let words: [u64; 6] = std::array::from_fn(|_| value(world, input));
            let caps = std::array::from_fn(|_| value(world, input));
            world.invoke(value(world, input), label(input), &words[..usize::from(step >> 4) % 7], caps);
        }
        6 => {
            let words =
                [u64::from(input.any() % 18), u64::from(input.any() % 24), 0, 0, FREE + u64::from(input.any() % 32), 1];
            world.invoke(world.untyped, l::UNTYPED_RETYPE, &words, [slot::CNODE, 0, 0]);
        }
        7 => {
            let (to, from) = (FREE + u64::from(input.any() % 32), value(world, input));
            let label = [l::CNODE_MINT, l::CNODE_COPY, l::CNODE_MOVE, l::CNODE_MUTATE][input.below(4)];
            world.invoke(
                slot::CNODE,
                label,
                &[to, 64, from, 64, u64::from(input.any() % 16), value(world, input)],
                [slot::CNODE; 3],
            );
        }
        8 => {
            let label = [l::CNODE_DELETE, l::CNODE_REVOKE, l::CNODE_CANCEL_BADGED_SENDS][input.below(3)];
            world.invoke(slot::CNODE, label, &[value(world, input), 64], [0; 3]);
        }
        9 => {
            let address = ADDRESS + (u64::from(input.any()) << [12, 21, 30, 39][input.below(4)]);
            let label = [l::PAGE_MAP, l::PAGE_UNMAP, l::PAGE_TABLE_MAP, l::PAGE_TABLE_UNMAP][input.below(4)];
            let rights = u64::from(input.any() % 4);
            let words = if label == l::PAGE_MAP { vec![address, rights, 3] } else { vec![address, 3] };
            world.invoke(value(world, input), label, &words, [slot::VSPACE, 0, 0]);
        }
        10 => {
            let thread = world.threads[input.below(world.threads.len())];
            let label = [l::TCB_RESUME, l::TCB_SUSPEND, l::TCB_SET_PRIORITY, l::TCB_WRITE_REGISTERS][input.below(4)];
            let words = if label == l::TCB_WRITE_REGISTERS {
                [0, 4, value(world, input), 0, u64::MAX, 0]
            } else {
                [u64::from(input.any()); 6]
            };
            world.invoke(thread, label, &words, [slot::TCB, 0, 0]);
        }
        11 => {
            let budget =
                [u64::from(input.any()) * 40 + 20, u64::from(input.any()) * 100, u64::from(input.any() % 12), 9, 0];
            world.invoke(world.control, l::SCHED_CONTROL_CONFIGURE_FLAGS, &budget, [value(world, input), 0, 0]);
        }
        12 => world.interrupt(u32::from(input.any())),
        13 => world.fault(if step & 16 == 0 {
            UserFault::Exception { number: input.word() }
        } else {
            UserFault::Vm { address: input.word(), is_instruction: step & 32 != 0, syndrome: input.word() }
        }),
        14 => world.preempt_after(u32::from(input.any() % 8)),
        _ => world.pass(u64::from(input.any()) << (step >> 4)),
    }
}

/// Any system call, also unknown ones, with any registers.
fn call(world: &World, step: u8, input: &mut Input<'_>) {
    let known = Syscall::ALL[usize::from(step >> 4) % Syscall::ALL.len()].number();
    let number = if step & 3 == 2 { i64::from(input.any().cast_signed()) } else { known };
    let registers = [
        value(world, input),
        u64::from(input.any()) | u64::from(input.any() % 4) << 7 | u64::from(input.any()) << 12,
        value(world, input),
        value(world, input),
        0,
        0,
        value(world, input),
        number.cast_unsigned(),
        value(world, input),
    ];
    world.svc(&registers);
}

fn label(input: &mut Input<'_>) -> u64 {
    match input.any() {
        low @ 0..=239 => u64::from(low) % 60,
        high => 0x4850 + u64::from(high) % 6,
    }
}

/// A number that means something: a slot, an address, a size, an edge.
fn value(world: &World, input: &mut Input<'_>) -> u64 {
    let byte = input.any();
    let low = u64::from(byte & 31);
    match byte >> 5 {
        0 => low,
        1 | 2 => world.slots[usize::from(byte - 32) % world.slots.len()],
        3 => FREE + low,
        4 => ADDRESS + (low << 12),
        5 => 1 << (2 * low),
        6 => u64::MAX - low,
        _ => input.word(),
    }
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    // Slots: 32.. are endpoints, notifications, reply objects, contexts, threads (see `World::new`); 96.. are free ones.
    let talk = vec![
        10, 1, 0, 0, 10, 2, 0, 0, 0, 32, 2, 0, 0, 0, 0, 36, 0, 0x50, 32, 1, 0, 0, 0, 0, 36, 0, 15, 100, 0x40, 36, 0, 1,
        2, 0, 0, 36, 0,
    ];
    let make = vec![6, 1, 0, 0, 6, 4, 0, 1, 6, 2, 8, 2, 7, 5, 96, 0, 15, 3, 8, 0, 97, 8, 1, 98, 6, 0, 12, 3, 8, 1, 99];
    let map = vec![
        9, 0, 0, 2, 0, 47, 9, 0, 0, 0, 3, 45, 9, 1, 0, 0, 2, 46, 9, 0, 0, 1, 0, 45, 6, 7, 0, 4, 9, 5, 0, 0, 3, 100, 8,
        1, 60,
    ];
    let time =
        vec![10, 2, 0, 0, 11, 10, 20, 4, 42, 15, 255, 0xf5, 255, 12, 27, 12, 40, 13, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 255];
    vec![talk, make, map, time]
}

#[cfg(test)]
mod tests {
    use super::{run, samples};

    #[test]
    fn samples_reach_objects_and_other_threads() {
        let reached: Vec<(u32, usize)> = samples().iter().map(|sample| run(sample)).collect();
        assert!(reached[1].0 >= 4 && reached[2].0 >= 4, "objects and mappings: {reached:?}");
        assert!(reached.iter().any(|(_, threads)| *threads >= 2), "{reached:?}");
    }
}
