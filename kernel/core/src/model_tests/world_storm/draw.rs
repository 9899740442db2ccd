//! Draws what a thread does next: half of it makes sense, the rest is as hostile as registers allow.

use hybrid_abi::extension as x;
use hybrid_abi::label as l;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::rights::Rights;
use hybrid_abi::syscall::Syscall;

use crate::cap::Cap;
use crate::model_tests::world_storm::census::{Census, Path};
use crate::model_tests::world_storm::dice::Dice;
use crate::model_tests::world_storm::setup::PAGES;
use crate::object::EndpointState;

/// Registers and buffer words of one system call.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub(super) number: i64,
    pub(super) x0: u64,
    pub(super) x6: u64,
    pub(super) x8: u64,
    pub(super) info: u64,
    pub(super) words: Vec<u64>,
    pub(super) caps: Vec<u64>,
    /// Root, index and depth for an incoming capability.
    pub(super) receive: [u64; 3],
}

/// An invocation before it is spoilt.
struct Draft {
    dest: u64,
    label: u64,
    words: Vec<u64>,
    caps: Vec<u64>,
}

fn draft(dest: u64, label: u64, words: &[u64], caps: &[u64]) -> Draft {
    Draft { dest, label, words: words.to_vec(), caps: caps.to_vec() }
}

/// Labels and how often each is drawn.
const LABELS: [(u64, u64); 60] = [
    (12, l::UNTYPED_RETYPE),
    (1, l::TCB_READ_REGISTERS),
    (1, l::TCB_WRITE_REGISTERS),
    (1, l::TCB_COPY_REGISTERS),
    (1, l::TCB_CONFIGURE),
    (2, l::TCB_SET_PRIORITY),
    (1, l::TCB_SET_MC_PRIORITY),
    (2, l::TCB_SET_SCHED_PARAMS),
    (1, l::TCB_SET_TIMEOUT_ENDPOINT),
    (1, l::TCB_SET_IPC_BUFFER),
    (1, l::TCB_SET_SPACE),
    (2, l::TCB_SUSPEND),
    (6, l::TCB_RESUME),
    (2, l::TCB_BIND_NOTIFICATION),
    (1, l::TCB_UNBIND_NOTIFICATION),
    (1, l::TCB_SET_TLS_BASE),
    (1, l::TCB_SET_FLAGS),
    (2, l::CNODE_REVOKE),
    (4, l::CNODE_DELETE),
    (1, l::CNODE_CANCEL_BADGED_SENDS),
    (3, l::CNODE_COPY),
    (4, l::CNODE_MINT),
    (3, l::CNODE_MOVE),
    (1, l::CNODE_MUTATE),
    (2, l::CNODE_ROTATE),
    (1, l::IRQ_ISSUE_HANDLER),
    (1, l::IRQ_ACK),
    (2, l::IRQ_SET_HANDLER),
    (1, l::IRQ_CLEAR_HANDLER),
    (1, l::DOMAIN_SET_SET),
    (1, l::DOMAIN_SCHEDULE_CONFIGURE),
    (1, l::DOMAIN_SCHEDULE_SET_START),
    (4, l::SCHED_CONTROL_CONFIGURE_FLAGS),
    (3, l::SCHED_CONTEXT_BIND),
    (1, l::SCHED_CONTEXT_UNBIND),
    (1, l::SCHED_CONTEXT_UNBIND_OBJECT),
    (1, l::SCHED_CONTEXT_CONSUMED),
    (2, l::SCHED_CONTEXT_YIELD_TO),
    (1, l::VSPACE_CLEAN_DATA),
    (1, l::VSPACE_INVALIDATE_DATA),
    (1, l::VSPACE_CLEAN_INVALIDATE_DATA),
    (1, l::VSPACE_UNIFY_INSTRUCTION),
    (4, l::PAGE_TABLE_MAP),
    (2, l::PAGE_TABLE_UNMAP),
    (6, l::PAGE_MAP),
    (2, l::PAGE_UNMAP),
    (1, l::PAGE_CLEAN_DATA),
    (1, l::PAGE_INVALIDATE_DATA),
    (1, l::PAGE_CLEAN_INVALIDATE_DATA),
    (1, l::PAGE_UNIFY_INSTRUCTION),
    (1, l::PAGE_GET_ADDRESS),
    (2, l::ASID_CONTROL_MAKE_POOL),
    (3, l::ASID_POOL_ASSIGN),
    (1, l::IRQ_ISSUE_HANDLER_TRIGGER),
    (1, l::IRQ_ISSUE_SGI_SIGNAL),
    (1, x::PLATFORM_TIMER_ACCESS),
    (1, x::PLATFORM_PUT_CHAR),
    (1, x::AUDIT_LIST),
    (1, 0),
    (1, 43),
];

fn label(dice: &mut Dice<'_>) -> u64 {
    let total: u64 = LABELS.iter().map(|(weight, _)| weight).sum();
    let mut at = dice.below(total);
    for (weight, label) in LABELS {
        if at < weight {
            return label;
        }
        at -= weight;
    }
    0
}

/// A word that tests limits.
pub(super) fn hostile(dice: &mut Dice<'_>) -> u64 {
    match dice.below(8) {
        0 => 0,
        1 => dice.below(4),
        2 => dice.pick(&[63, 64, 65, 255, 256, 257, u64::MAX]),
        3 => dice.below(130),
        4 => 1 << dice.below(64),
        5 => PAGES + dice.below(0x20_0000),
        6 => (1u64 << 47).wrapping_sub(dice.below(2) * 0x1000),
        _ => dice.word(),
    }
}

/// A page of the small area that both address spaces use.
fn page(dice: &mut Dice<'_>) -> u64 {
    match dice.below(12) {
        0 => 0x4000_0000 * dice.below(3),
        1 => PAGES + 0x20_0000 * dice.below(4),
        _ => PAGES + 0x1000 * dice.below(5),
    }
}

/// A sensible Call to an object that never blocks.
pub(super) fn draw_call<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>) -> Option<Call> {
    let draft = invocation(census, dice);
    let is_object = census
        .known
        .iter()
        .any(|known| known.cptr == draft.dest && !matches!(known.cap, Cap::Endpoint { .. } | Cap::Notification { .. }));
    let call = finish(census, dice, draft);
    is_object.then_some(Call { number: Syscall::Call.number(), x0: call.x8, ..call })
}

/// What the thread with this census does.
pub(super) fn draw<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>) -> Call {
    match dice.below(100) {
        0..45 => talk(census, dice),
        45..98 => {
            let mut draft = invocation(census, dice);
            if dice.percent(14) {
                spoil(census, dice, &mut draft);
            }
            finish(census, dice, draft)
        }
        _ => Call {
            number: dice.pick(&[0, 1, 7, -12, -17, -99, i64::MIN, i64::MAX]),
            x0: census.any(dice),
            ..Call::default()
        },
    }
}

/// An IPC call: mostly one that finds its partner, so that somebody goes on.
fn talk<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>) -> Call {
    use Syscall as S;
    if dice.percent(65)
        && let Some(reply) = census.answerable(dice)
    {
        return answer(census, dice, reply);
    }
    let endpoint = census.find(dice, |cap| matches!(cap, Cap::Endpoint { .. }));
    let call = match (dice.below(10), census.endpoint_state(endpoint)) {
        (0..7, Some(EndpointState::Receive)) => dice.pick(&[S::Call, S::Call, S::Call, S::Call, S::Send, S::NbSend]),
        (0..7, Some(EndpointState::Send)) => dice.pick(&[S::Recv, S::ReplyRecv, S::ReplyRecv, S::NbRecv, S::Wait]),
        (0..9, _) if census.is_alone() => {
            dice.pick(&[S::NbRecv, S::NbWait, S::NbSend, S::NbSend, S::Yield, S::ReplyRecv])
        }
        (0..7, _) => dice.pick(&[S::Call, S::Call, S::ReplyRecv, S::Recv, S::NbWait]),
        _ => dice.pick(S::ALL),
    };
    let is_send = matches!(call, S::Call | S::Send | S::NbSend);
    let to = match dice.below(10) {
        0..7 => endpoint,
        7 | 8 => census.find(dice, |cap| matches!(cap, Cap::Notification { .. })),
        _ => census.any(dice),
    };
    let from = match dice.below(10) {
        0..7 => endpoint,
        7 | 8 => census.find(dice, |cap| matches!(cap, Cap::Notification { rights, .. } if rights.has(Rights::READ))),
        _ => census.any(dice),
    };
    let reply =
        if dice.percent(94) { census.find(dice, |cap| matches!(cap, Cap::Reply { .. })) } else { census.any(dice) };
    let length = match dice.below(8) {
        0..5 => dice.below(5),
        5 | 6 => dice.below(16),
        _ => dice.below(128),
    };
    let count = if dice.percent(75) { 0 } else { dice.below(4) };
    let label = dice.pick(&[0, 0, 0, 3, 77]);
    Call {
        number: call.number(),
        x0: if is_send { to } else { from },
        x6: if call == S::NbSendWait { to } else { reply },
        x8: to,
        info: MessageInfo::new(label, dice.below(8), count, length).0,
        words: (0..length.min(12)).map(|n| dice.below(1000) + 1000 * n).collect(),
        caps: (0..count).map(|_| census.any(dice)).collect(),
        receive: receive(census, dice),
    }
}

/// What a server does: replies and waits for the next call.
fn answer<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>, reply: u64) -> Call {
    let from = census.find(dice, |cap| matches!(cap, Cap::Endpoint { rights, .. } if rights.has(Rights::READ)));
    let length = if dice.percent(80) { dice.below(5) } else { dice.below(30) };
    let count = if dice.percent(90) { 0 } else { 1 };
    Call {
        number: if dice.percent(85) { Syscall::ReplyRecv } else { dice.pick(Syscall::ALL) }.number(),
        x0: from,
        x6: reply,
        x8: reply,
        info: MessageInfo::new(dice.below(2), 0, count, length).0,
        words: (0..length.min(10)).map(|n| 7000 + n).collect(),
        caps: (0..count).map(|_| census.any(dice)).collect(),
        receive: receive(census, dice),
    }
}

fn receive<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>) -> [u64; 3] {
    let path = census.path(dice, |cap| cap == Cap::Null);
    if dice.percent(90) { [path.root, path.index, path.depth] } else { [path.root, hostile(dice), path.depth] }
}

fn spoil<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>, draft: &mut Draft) {
    match dice.below(8) {
        0 => draft.dest = census.any(dice),
        1 => draft.label = dice.below(60),
        2 => draft.words.truncate(dice.index(draft.words.len() + 1)),
        3 => draft.caps.truncate(dice.index(draft.caps.len() + 1)),
        4 if !draft.caps.is_empty() => {
            let n = dice.index(draft.caps.len());
            draft.caps[n] = if dice.percent(80) { census.any(dice) } else { dice.word() };
        }
        5 => draft.dest = hostile(dice),
        _ if !draft.words.is_empty() => {
            let n = dice.index(draft.words.len());
            draft.words[n] = hostile(dice);
        }
        _ => draft.dest = census.any(dice),
    }
}

fn finish<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>, draft: Draft) -> Call {
    let Draft { dest, label, words, caps } = draft;
    let call = match dice.below(20) {
        0 => Syscall::Send,
        1 => Syscall::NbSend,
        2 => dice.pick(&[Syscall::ReplyRecv, Syscall::NbSendRecv, Syscall::NbSendWait]),
        _ => Syscall::Call,
    };
    let is_two_phase = matches!(call, Syscall::ReplyRecv | Syscall::NbSendRecv | Syscall::NbSendWait);
    let from = census.find(dice, |cap| matches!(cap, Cap::Endpoint { .. }));
    Call {
        number: call.number(),
        x0: if is_two_phase { from } else { dest },
        x6: if call == Syscall::NbSendRecv { census.find(dice, |cap| matches!(cap, Cap::Reply { .. })) } else { dest },
        x8: dest,
        info: MessageInfo::new(label, 0, caps.len() as u64, words.len() as u64).0,
        words,
        caps,
        receive: receive(census, dice),
    }
}

fn invocation<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>) -> Draft {
    let label = label(dice);
    invocation_of(census, dice, label)
}

/// An invocation with this label, spoilt in up to three places.
#[cfg(test)]
pub(super) fn spoilt_call<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>, label: u64) -> Call {
    let mut draft = invocation_of(census, dice, label);
    for _ in 0..dice.below(4) {
        spoil(census, dice, &mut draft);
    }
    let call = finish(census, dice, draft);
    let number = dice.pick(&[Syscall::Call, Syscall::Call, Syscall::Send, Syscall::NbSend]);
    Call { number: number.number(), x0: call.x8, ..call }
}

fn invocation_of<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>, label: u64) -> Draft {
    match label {
        l::UNTYPED_RETYPE => retype(census, dice),
        l::TCB_READ_REGISTERS..=l::TCB_SET_FLAGS => thread(census, dice, label),
        l::CNODE_REVOKE..=l::CNODE_ROTATE => cnode(census, dice, label),
        l::SCHED_CONTROL_CONFIGURE_FLAGS..=l::SCHED_CONTEXT_YIELD_TO => time(census, dice, label),
        l::VSPACE_CLEAN_DATA..=l::ASID_POOL_ASSIGN => space(census, dice, label),
        _ => other(census, dice, label),
    }
}

fn retype<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>) -> Draft {
    let untyped = if dice.percent(80) {
        census.find(dice, |cap| matches!(cap, Cap::Untyped { bits, is_device: false, .. } if bits < 16))
    } else {
        census.find(dice, |cap| matches!(cap, Cap::Untyped { .. }))
    };
    let kind = dice.pick(&[0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 9, 10, 11, 11]);
    let size = match kind {
        0 => 4 + dice.below(10),
        4 => dice.below(4),
        5 => 6 + dice.below(4),
        _ => 0,
    };
    let target = census.path(dice, |cap| cap == Cap::Null);
    let count = 1 + if dice.percent(70) { 0 } else { dice.below(4) };
    if dice.percent(90) {
        return draft(untyped, l::UNTYPED_RETYPE, &[kind, size, 0, 0, target.slot, count], &[target.root]);
    }
    let whole = |cap| matches!(cap, Cap::CNode { radix, guard_size, .. } if radix + guard_size == 64);
    let (root, node) = (census.find(dice, whole), census.find(dice, |cap| matches!(cap, Cap::CNode { .. })));
    draft(untyped, l::UNTYPED_RETYPE, &[kind, size, node, 64, target.slot, count], &[root])
}

fn thread<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>, label: u64) -> Draft {
    let threads = |dice: &mut Dice<'_>| census.find(dice, |cap| matches!(cap, Cap::Tcb { .. }));
    let endpoint = |dice: &mut Dice<'_>| {
        if dice.percent(20) {
            census.path(dice, |cap| cap == Cap::Null).slot
        } else {
            census.find(dice, |cap| matches!(cap, Cap::Endpoint { .. }))
        }
    };
    let cnode = |dice: &mut Dice<'_>| census.find(dice, |cap| matches!(cap, Cap::CNode { .. }));
    let vspace = |dice: &mut Dice<'_>| census.find(dice, |cap| matches!(cap, Cap::VSpace { .. }));
    let frame = |dice: &mut Dice<'_>| census.find(dice, |cap| matches!(cap, Cap::Frame { .. }));
    let data = |dice: &mut Dice<'_>| dice.pick(&[0, 58, 58, 58 | 3 << 6, 56]);
    let address = |dice: &mut Dice<'_>| if dice.percent(10) { 0 } else { PAGES + 0x400 * dice.below(8) };
    let dest = threads(dice);
    match label {
        l::TCB_READ_REGISTERS => draft(dest, label, &[dice.below(2), 1 + dice.below(36)], &[]),
        l::TCB_WRITE_REGISTERS => {
            let count = dice.below(37);
            let mut words = vec![dice.below(2), count];
            words.extend((0..count).map(|n| if n == 0 { 0x60_0000 + 4 * dice.below(1000) } else { dice.word() }));
            Draft { dest, label, words, caps: Vec::new() }
        }
        l::TCB_COPY_REGISTERS => draft(dest, label, &[dice.below(16)], &[threads(dice)]),
        l::TCB_CONFIGURE => {
            draft(dest, label, &[data(dice), 0, address(dice)], &[cnode(dice), vspace(dice), frame(dice)])
        }
        l::TCB_SET_PRIORITY | l::TCB_SET_MC_PRIORITY => draft(dest, label, &[98 + dice.below(14)], &[threads(dice)]),
        l::TCB_SET_SCHED_PARAMS => {
            let context = census.find(dice, |cap| matches!(cap, Cap::SchedContext { .. }));
            draft(dest, label, &[100 + dice.below(11), 98 + dice.below(14)], &[threads(dice), context, endpoint(dice)])
        }
        l::TCB_SET_TIMEOUT_ENDPOINT => draft(dest, label, &[], &[endpoint(dice)]),
        l::TCB_SET_IPC_BUFFER => draft(dest, label, &[address(dice)], &[frame(dice)]),
        l::TCB_SET_SPACE => draft(dest, label, &[data(dice), 0], &[endpoint(dice), cnode(dice), vspace(dice)]),
        l::TCB_BIND_NOTIFICATION => {
            draft(dest, label, &[], &[census.find(dice, |cap| matches!(cap, Cap::Notification { .. }))])
        }
        l::TCB_SET_TLS_BASE => draft(dest, label, &[dice.word()], &[]),
        l::TCB_SET_FLAGS => draft(dest, label, &[dice.below(4), dice.below(4)], &[]),
        _ => draft(dest, label, &[], &[]),
    }
}

fn cnode<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>, label: u64) -> Draft {
    let occupied = |dice: &mut Dice<'_>| census.path(dice, |cap| cap != Cap::Null);
    let empty = |dice: &mut Dice<'_>| census.path(dice, |cap| cap == Cap::Null);
    let data = |dice: &mut Dice<'_>| match dice.below(4) {
        0 => 0,
        1 => dice.below(64) | 3 << 6,
        _ => dice.below(6),
    };
    let Path { root, index, depth, .. } = match label {
        l::CNODE_REVOKE | l::CNODE_DELETE => occupied(dice),
        l::CNODE_CANCEL_BADGED_SENDS => census.path(dice, |cap| matches!(cap, Cap::Endpoint { .. })),
        _ if dice.percent(92) => empty(dice),
        _ => occupied(dice),
    };
    let source = occupied(dice);
    match label {
        l::CNODE_COPY => {
            draft(root, label, &[index, depth, source.index, source.depth, dice.below(16)], &[source.root])
        }
        l::CNODE_MINT => {
            // Endpoints and notifications, so that badges and their trees occur.
            let source =
                if dice.percent(50) { source } else { census.path(dice, |cap| matches!(cap, Cap::Endpoint { .. })) };
            let words = [index, depth, source.index, source.depth, dice.below(16), data(dice)];
            draft(root, label, &words, &[source.root])
        }
        l::CNODE_MOVE => draft(root, label, &[index, depth, source.index, source.depth], &[source.root]),
        l::CNODE_MUTATE => draft(root, label, &[index, depth, source.index, source.depth, data(dice)], &[source.root]),
        l::CNODE_ROTATE => {
            let pivot =
                census.path(dice, |cap| !matches!(cap, Cap::Null | Cap::Endpoint { .. } | Cap::Notification { .. }));
            let source = if dice.percent(50) {
                census.path(dice, |cap| !matches!(cap, Cap::Null | Cap::Endpoint { .. } | Cap::Notification { .. }))
            } else {
                source
            };
            let (target_root, target_index, target_depth) =
                if dice.percent(30) { (source.root, source.index, source.depth) } else { (root, index, depth) };
            let words = [
                target_index,
                target_depth,
                data(dice),
                pivot.index,
                pivot.depth,
                data(dice),
                source.index,
                source.depth,
            ];
            draft(target_root, label, &words, &[pivot.root, source.root])
        }
        _ => draft(root, label, &[index, depth], &[]),
    }
}

fn time<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>, label: u64) -> Draft {
    let context = census.find(dice, |cap| matches!(cap, Cap::SchedContext { .. }));
    let other = if dice.percent(75) {
        census.find(dice, |cap| matches!(cap, Cap::Tcb { .. }))
    } else {
        census.find(dice, |cap| matches!(cap, Cap::Notification { .. }))
    };
    match label {
        l::SCHED_CONTROL_CONFIGURE_FLAGS => {
            let control = census.find(dice, |cap| matches!(cap, Cap::SchedControl { .. }));
            let budget = 19 + dice.below(6000);
            let period = if dice.percent(40) { budget } else { budget + dice.below(20_000) };
            draft(control, label, &[budget, period, dice.below(10), dice.below(100), dice.below(2)], &[context])
        }
        l::SCHED_CONTEXT_BIND | l::SCHED_CONTEXT_UNBIND_OBJECT => draft(context, label, &[], &[other]),
        _ => draft(context, label, &[], &[]),
    }
}

fn space<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>, label: u64) -> Draft {
    let space = census.find(dice, |cap| matches!(cap, Cap::VSpace { asid: 1.., .. }));
    let frame = census.find(dice, |cap| matches!(cap, Cap::Frame { .. }));
    let mapped = census.find(dice, |cap| matches!(cap, Cap::Frame { mapping: Some(_), .. }));
    let table = census.find(dice, |cap| matches!(cap, Cap::PageTable { .. }));
    let start = dice.below(0x1001);
    let end = start + dice.below(0x100);
    match label {
        l::VSPACE_CLEAN_DATA..=l::VSPACE_UNIFY_INSTRUCTION => {
            let at = page(dice) + dice.below(0x1000);
            draft(space, label, &[at, at + dice.below(0x1000)], &[])
        }
        l::PAGE_TABLE_MAP => {
            let table = if dice.percent(70) {
                census.find(dice, |cap| matches!(cap, Cap::PageTable { mapping: None, .. }))
            } else {
                table
            };
            let at = if dice.percent(60) { page(dice) } else { 0x80_0000_0000 * dice.below(3) };
            draft(table, label, &[at, 0], &[space])
        }
        l::PAGE_TABLE_UNMAP => draft(table, label, &[], &[]),
        l::PAGE_MAP => draft(frame, label, &[page(dice), dice.below(16), dice.below(8)], &[space]),
        l::PAGE_UNMAP | l::PAGE_GET_ADDRESS => draft(frame, label, &[], &[]),
        l::ASID_CONTROL_MAKE_POOL => {
            let control = census.find(dice, |cap| cap == Cap::AsidControl);
            let memory = census.find(dice, |cap| matches!(cap, Cap::Untyped { bits: 12, .. }));
            let target = census.path(dice, |cap| cap == Cap::Null);
            draft(control, label, &[target.index, target.depth], &[memory, target.root])
        }
        l::ASID_POOL_ASSIGN => {
            let pool = census.find(dice, |cap| matches!(cap, Cap::AsidPool { .. }));
            draft(pool, label, &[], &[census.find(dice, |cap| matches!(cap, Cap::VSpace { asid: 0, .. }))])
        }
        _ => draft(mapped, label, &[start, end], &[]),
    }
}

fn other<const N: usize>(census: &Census<'_, N>, dice: &mut Dice<'_>, label: u64) -> Draft {
    let target = census.path(dice, |cap| cap == Cap::Null);
    let irq = if dice.percent(80) { 40 + dice.below(4) } else { dice.below(170) };
    let control = census.find(dice, |cap| cap == Cap::IrqControl);
    let handler = census.find(dice, |cap| matches!(cap, Cap::IrqHandler { .. }));
    let domain = census.find(dice, |cap| cap == Cap::Domain);
    let platform = census.find(dice, |cap| cap == Cap::Platform);
    let thread = census.find(dice, |cap| matches!(cap, Cap::Tcb { .. }));
    match label {
        l::IRQ_ISSUE_HANDLER => draft(control, label, &[irq, target.index, target.depth], &[target.root]),
        l::IRQ_ISSUE_HANDLER_TRIGGER => {
            draft(control, label, &[irq, dice.below(2), target.index, target.depth], &[target.root])
        }
        l::IRQ_ISSUE_SGI_SIGNAL => {
            let words = [dice.below(17), dice.below(9), target.index, target.depth];
            draft(control, label, &words, &[target.root])
        }
        l::IRQ_SET_HANDLER => {
            draft(handler, label, &[], &[census.find(dice, |cap| matches!(cap, Cap::Notification { .. }))])
        }
        l::IRQ_ACK | l::IRQ_CLEAR_HANDLER => draft(handler, label, &[], &[]),
        l::DOMAIN_SET_SET => draft(domain, label, &[dice.below(2)], &[thread]),
        l::DOMAIN_SCHEDULE_CONFIGURE => draft(domain, label, &[dice.below(2), dice.below(2), dice.below(3)], &[]),
        l::DOMAIN_SCHEDULE_SET_START => draft(domain, label, &[dice.below(3)], &[]),
        x::PLATFORM_TIMER_ACCESS => draft(platform, label, &[dice.below(3)], &[thread]),
        x::AUDIT_LIST => {
            let audit = census.find(dice, |cap| matches!(cap, Cap::Audit { .. }));
            draft(audit, label, &[dice.below(3)], &[])
        }
        x::PLATFORM_PUT_CHAR => draft(platform, label, &[65], &[]),
        _ => {
            let sgi = census.find(dice, |cap| matches!(cap, Cap::SgiSignal { .. }));
            draft(if dice.percent(50) { sgi } else { census.any(dice) }, label, &[], &[])
        }
    }
}
