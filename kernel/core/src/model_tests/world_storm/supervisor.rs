//! The supervisor: mends the world so that the workers go on, now and then destroys.

use hybrid_abi::label as l;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::syscall::Syscall;

use crate::cap::Cap;
use crate::model_tests::world_storm::census::Census;
use crate::model_tests::world_storm::dice::Dice;
use crate::model_tests::world_storm::draw::{Call, draw_call};
use crate::model_tests::world_storm::setup::PAGES;

fn invoke(dest: u64, label: u64, words: &[u64], caps: &[u64]) -> Call {
    Call {
        number: Syscall::Call.number(),
        x0: dest,
        info: MessageInfo::new(label, 0, caps.len() as u64, words.len() as u64).0,
        words: words.to_vec(),
        caps: caps.to_vec(),
        ..Call::default()
    }
}

/// The first thing after waking: its interrupt may come again.
pub(super) fn acknowledge(bell: u64) -> Call {
    invoke(bell, l::IRQ_ACK, &[], &[])
}

/// Back to sleep.
pub(super) fn sleep(alarm: u64) -> Call {
    Call { number: Syscall::Wait.number(), x0: alarm, ..Call::default() }
}

/// One thing that the supervisor does.
pub(super) fn mend<const N: usize>(census: &Census<'_, N>, alarm: u64, dice: &mut Dice<'_>) -> Call {
    // Its own thread and the boot capabilities come first in the root CNode.
    let own = 30;
    let thread = census.find(dice, |cap| matches!(cap, Cap::Tcb { .. }));
    let is_own = thread < own;
    match dice.below(20) {
        0..5 if !is_own => invoke(thread, l::TCB_RESUME, &[], &[]),
        5..8 if !is_own => {
            let context = census.find(dice, |cap| matches!(cap, Cap::SchedContext { .. }));
            invoke(context, l::SCHED_CONTEXT_BIND, &[], &[thread])
        }
        8..10 => {
            let control = census.find(dice, |cap| matches!(cap, Cap::SchedControl { .. }));
            let context = census.find(dice, |cap| matches!(cap, Cap::SchedContext { .. }));
            invoke(control, l::SCHED_CONTROL_CONFIGURE_FLAGS, &[5000, 5000, 0, 1, 0], &[context])
        }
        10..12 if !is_own => {
            let is_root = |cap| matches!(cap, Cap::CNode { radix: 6, .. });
            let cnode = census.find(dice, is_root);
            let space = census.find(dice, |cap| matches!(cap, Cap::VSpace { asid: 1.., .. }));
            let frame = census.find(dice, |cap| matches!(cap, Cap::Frame { is_device: false, .. }));
            let data = dice.pick(&[58, 58 | 3 << 6]);
            invoke(thread, l::TCB_CONFIGURE, &[data, 0, PAGES + 0x400 * dice.below(8)], &[cnode, space, frame])
        }
        12 if !is_own => invoke(thread, l::TCB_SET_PRIORITY, &[100 + dice.below(4)], &[1]),
        13 if !is_own => invoke(thread, l::TCB_SET_MC_PRIORITY, &[110], &[1]),
        14..18 => {
            // What a worker lost comes back.
            let target = census.path(dice, |cap| cap == Cap::Null);
            let source = census.any(dice);
            invoke(target.root, l::CNODE_COPY, &[target.index, target.depth, source, 64, 15], &[2])
        }
        18 => {
            let untyped = census.find(dice, |cap| matches!(cap, Cap::Untyped { bits, .. } if bits < 15));
            if untyped < own { sleep(alarm) } else { invoke(2, l::CNODE_REVOKE, &[untyped, 64], &[]) }
        }
        _ => draw_call(census, dice).unwrap_or_else(|| sleep(alarm)),
    }
}
