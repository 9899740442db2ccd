//! Tests of the marshalling: what each method puts into registers and IPC buffer, and what it makes of answers.
use crate::raw::Frame;
use crate::*;
use hybrid_abi::ipc_buffer::{CAPS_OR_BADGES, MESSAGE, RECEIVE_CNODE, RECEIVE_DEPTH, RECEIVE_INDEX};
use hybrid_abi::register::Register;
use hybrid_abi::{label, syscall};
use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard};

/// What a scripted kernel answers: info word, registers, further words.
#[derive(Default, Clone)]
struct Script {
    answer: Option<(u64, [u64; 4], Vec<u64>)>,
    seen: Vec<(i64, Frame)>,
}

thread_local! {
    static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

pub(crate) fn scripted(number: i64, frame: &mut Frame) -> bool {
    SCRIPT.with_borrow_mut(|script| {
        let Some(script) = script else { return false };
        script.seen.push((number, *frame));
        if let Some((info, mr, more)) = &script.answer {
            (frame.x0, frame.info, frame.mr) = (0, *info, *mr);
            for (index, word) in more.iter().enumerate() {
                buffer::set_word(4 + index, *word);
            }
        }
        true
    })
}

/// One IPC buffer for all tests, which therefore take turns.
#[repr(align(1024))]
struct Buffer {
    _words: [u64; 128],
}
static TURN: Mutex<()> = Mutex::new(());

struct Kernel {
    _turn: MutexGuard<'static, ()>,
    memory: *mut u64,
}

impl Kernel {
    fn answering(info: MessageInfo, mr: [u64; 4], more: &[u64]) -> Self {
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let memory = Box::into_raw(Box::new(Buffer { _words: [0; 128] })).cast::<u64>();
        // SAFETY: the buffer lives until the guard is dropped, where the address is taken back.
        unsafe { buffer::set_address(memory.expose_provenance()) };
        let script = Script { answer: Some((info.0, mr, more.to_vec())), seen: Vec::new() };
        SCRIPT.set(Some(script));
        Self { _turn: turn, memory }
    }

    fn ok() -> Self {
        Self::answering(MessageInfo::new(0, 0, 0, 0), [0; 4], &[])
    }

    fn seen(&self) -> (i64, Frame) {
        SCRIPT.with_borrow(|script| *script.as_ref().unwrap().seen.last().unwrap())
    }

    fn word(&self, index: usize) -> u64 {
        // SAFETY: the index is inside the buffer.
        let at = unsafe { self.memory.add(index) };
        // SAFETY: the buffer is alive, and nothing else accesses it now.
        unsafe { at.read_volatile() }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        SCRIPT.set(None);
        // SAFETY: 0 is always allowed.
        unsafe { buffer::set_address(0) };
        // SAFETY: the pointer came from `Box::into_raw`, and nothing refers to it any more.
        drop(unsafe { Box::from_raw(self.memory.cast::<Buffer>()) });
    }
}

#[test]
fn call_on_host_answers_invalid_capability() {
    assert_eq!(Tcb::at(7).resume(), Err(Error::InvalidCapability { number: 0 }));
    assert_eq!(Notification::at(7).poll(), 0);
}

#[test]
fn retype_puts_words_and_root_where_the_abi_says() {
    let kernel = Kernel::ok();
    Untyped::at(0x55).retype(ObjectType::SmallPage, 12, CNode::at(2), 9, 52, 33, 5).unwrap();
    let (number, frame) = kernel.seen();
    assert_eq!((number, frame.x0, frame.mr), (syscall::CALL, 0x55, [9, 12, 9, 52]));
    assert_eq!(MessageInfo(frame.info), MessageInfo::new(label::UNTYPED_RETYPE, 0, 1, 6));
    assert_eq!([kernel.word(MESSAGE + 4), kernel.word(MESSAGE + 5)], [33, 5]);
    assert_eq!(kernel.word(CAPS_OR_BADGES), 2);
}

#[test]
fn slot_operations_pass_target_source_and_data() {
    let kernel = Kernel::ok();
    let (target, source) = (CNode::at(2).own_slot(40), CNode::at(3).slot(5, 8));
    target.mint_from(source, Rights::WRITE, 0xbad6e).unwrap();
    let frame = kernel.seen().1;
    assert_eq!((frame.x0, frame.mr), (2, [40, 64, 5, 8]));
    assert_eq!(MessageInfo(frame.info), MessageInfo::new(label::CNODE_MINT, 0, 1, 6));
    assert_eq!([kernel.word(MESSAGE + 4), kernel.word(MESSAGE + 5), kernel.word(CAPS_OR_BADGES)], [1, 0xbad6e, 3]);
    target.copy_from(source, Rights::ALL).unwrap();
    assert_eq!(MessageInfo(kernel.seen().1.info), MessageInfo::new(label::CNODE_COPY, 0, 1, 5));
    target.move_from(source).unwrap();
    assert_eq!(MessageInfo(kernel.seen().1.info), MessageInfo::new(label::CNODE_MOVE, 0, 1, 4));
    target.delete().unwrap();
    assert_eq!(MessageInfo(kernel.seen().1.info), MessageInfo::new(label::CNODE_DELETE, 0, 0, 2));
}

#[test]
fn registers_travel_in_the_abi_order() {
    let kernel = Kernel::ok();
    let registers = Registers::default().with(Register::Pc, 0x40_0000).with(Register::Sp, 0x7000_0000);
    let registers = registers.with(Register::X(0), 1).with(Register::X(30), 30).with(Register::TpidrRo, 99);
    Tcb::at(4).write_registers(Resume::After, &registers).unwrap();
    let frame = kernel.seen().1;
    assert_eq!(frame.mr, [1, 36, 0x40_0000, 0x7000_0000]);
    assert_eq!(MessageInfo(frame.info).length(), 38);
    // Word index = register index + 2: spsr 2, x0 3, x30 16, tpidrro 35.
    let word = |index: usize| kernel.word(MESSAGE + index);
    assert_eq!([word(4), word(5), word(18), word(37)], [0, 1, 30, 99]);
    assert_eq!((registers.read(Register::X(30)), registers.read(Register::X(31))), (30, 0));
}

#[test]
fn registers_are_read_from_registers_and_buffer() {
    let more: Vec<u64> = (4..36).collect();
    let _kernel = Kernel::answering(MessageInfo::new(0, 0, 0, 36), [100, 1, 2, 3], &more);
    let registers = Tcb::at(4).read_registers(Suspend::First, 36).unwrap();
    assert_eq!(registers.read(Register::Pc), 100);
    assert_eq!(registers.read(Register::X(0)), 3);
    assert_eq!(registers.read(Register::TpidrRo), 35);
}

#[test]
fn error_labels_carry_their_words() {
    let cases: [(u64, u64, Error); 11] = [
        (1, 1, Error::InvalidArgument { index: 7 }),
        (2, 1, Error::InvalidCapability { number: 7 }),
        (3, 0, Error::IllegalOperation),
        (4, 2, Error::Range { min: 7, max: 2 }),
        (5, 0, Error::Alignment),
        (6, 3, Error::FailedLookup { is_source: true, failure: LookupFailure::MissingCapability { bits_left: 39 } }),
        (7, 0, Error::TruncatedMessage),
        (8, 0, Error::DeleteFirst),
        (9, 0, Error::RevokeFirst),
        (10, 1, Error::NotEnoughMemory { free: 7 }),
        (11, 0, Error::Unknown(11)),
    ];
    for (number, length, expected) in cases {
        let _kernel = Kernel::answering(MessageInfo::new(number, 0, 0, length), [7, 2, 39, 0], &[]);
        assert_eq!(map_frame_7(), Err(expected));
    }
}

fn map_frame_7() -> Result<(), Error> {
    crate::Frame::at(7).map(VSpace::at(3), 0x1000, Rights::ALL, Attributes::DATA)
}

#[test]
fn guard_mismatch_is_read_beyond_the_registers() {
    let _kernel = Kernel::answering(MessageInfo::new(6, 0, 0, 5), [0, 4, 64, 1], &[52]);
    let failure = LookupFailure::GuardMismatch { bits_left: 64, guard: 1, guard_size: 52 };
    assert_eq!(Tcb::at(7).resume(), Err(Error::FailedLookup { is_source: false, failure }));
}

#[test]
fn two_phase_calls_put_objects_where_the_abi_says() {
    let kernel = Kernel::answering(MessageInfo::new(5, 0, 0, 1), [9; 4], &[]);
    let message = Message::new(3, &[1, 2]);
    let received = Endpoint::at(2).reply_recv(Reply::at(3), &message);
    assert_eq!((received.info.label(), received.registers), (5, [9; 4]));
    let (number, frame) = kernel.seen();
    assert_eq!((number, frame.x0, frame.x6, frame.mr), (syscall::REPLY_RECV, 2, 3, [1, 2, 0, 0]));
    let _ = Endpoint::at(2).send_recv(CPtr(8), Reply::at(3), &message);
    let (number, frame) = kernel.seen();
    assert_eq!((number, frame.x0, frame.x6, frame.x8), (syscall::NB_SEND_RECV, 2, 3, 8));
    let _ = Notification::at(4).signal_wait(Notification::at(9));
    let (number, frame) = kernel.seen();
    assert_eq!((number, frame.x0, frame.x6), (syscall::NB_SEND_WAIT, 4, 9));
}

#[test]
fn buffer_receive_slot_and_bounds() {
    let kernel = Kernel::ok();
    buffer::set_receive_slot(CPtr(1), 130, 64);
    assert_eq!([RECEIVE_CNODE, RECEIVE_INDEX, RECEIVE_DEPTH].map(|index| kernel.word(index)), [1, 130, 64]);
    buffer::set_word(119, 5);
    buffer::set_word(120, 6);
    buffer::set_cap(3, CPtr(6));
    assert_eq!((buffer::word(119), buffer::word(120), buffer::badge(3)), (5, 0, 0));
    assert_eq!(kernel.word(RECEIVE_CNODE), 1);
}

#[test]
fn message_of_many_words_sends_only_four() {
    let message = Message::new(1, &[1, 2, 3, 4, 5]);
    assert_eq!((message.info.length(), message.registers), (4, [1, 2, 3, 4]));
}
