//! A booted kernel on the fake machine, and how tests act as its threads.

use std::cell::Cell;

use hybrid_abi::bootinfo::word;
use hybrid_abi::ipc_buffer;
use hybrid_abi::label;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::object::ObjectType;
use hybrid_abi::syscall::Syscall;

use crate::boot::BootParameters;
use crate::cap::Cap;
use crate::kernel::Kernel;
use crate::message::message_words;
use crate::model_tests::machine::{Machine, RAM_START};
use crate::object::{CNodeRef, SlotRef, TcbRef, TcbSlot, context};
use crate::platform::{PhysRange, Platform};

pub(crate) const CNODE: u64 = 2;
pub(crate) const IMAGE_VADDR: u64 = 0x40_0000;
pub(crate) const ENTRY: u64 = 0x40_0100;

/// A reply as user space sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) label: u64,
    pub(crate) words: Vec<u64>,
}

impl Answer {
    pub(crate) fn error(label: u64, words: &[u64]) -> Self {
        Self { label, words: words.to_vec() }
    }
}

pub(crate) struct World<const N: usize = 1> {
    pub(crate) k: Kernel<Machine<N>>,
    pub(crate) root: TcbRef,
    pub(crate) boot_info: u64,
    /// Preemption points between two preemptions; `None`: no preemption.
    pub(crate) preempt_every: Cell<Option<u32>>,
    next_slot: u64,
}

impl World {
    pub(crate) fn new(bytes: u64) -> Self {
        Self::with_cores(bytes)
    }
}

impl<const N: usize> World<N> {
    /// All cores are started; core 0 runs the root thread.
    pub(crate) fn with_cores(bytes: u64) -> Self {
        let machine = Machine::new(bytes);
        let ram = [machine.ram()];
        let image = PhysRange { start: RAM_START + 0x1_0000, end: RAM_START + 0x1_2000 };
        let tree = RAM_START + 0x8000;
        let reserved =
            [PhysRange { start: 0x800_0000, end: 0x800_1000 }, PhysRange { start: RAM_START, end: image.end }];
        let recycled = [PhysRange { start: RAM_START, end: RAM_START + 0x8000 }];
        let k = Kernel::new(machine);
        let parameters = BootParameters {
            ram: &ram,
            reserved: &reserved,
            recycled: &recycled,
            image,
            image_vaddr: IMAGE_VADDR,
            entry: ENTRY,
            device_tree: Some((tree, 0x1fa3)),
            device_top: 1 << 40,
            cores: N,
            root_cnode_bits: 12,
        };
        let root = k.boot(&parameters).unwrap().unwrap();
        let Cap::CNode { at, .. } = k.cap(root.slot(TcbSlot::CSpace)) else { panic!("no root CNode") };
        k.platform.root_cnode.set(at.paddr());
        let Cap::Frame { base, .. } = k.cap(slot_in_root(&k, 9)) else { panic!("no boot info") };
        let world = Self { k, root, boot_info: base, preempt_every: Cell::new(None), next_slot: 0 };
        let next_slot = world.info(word::EMPTY);
        Self { next_slot, ..world }
    }

    /// Word of boot info.
    pub(crate) fn info(&self, index: usize) -> u64 {
        self.k.platform.words::<512>(self.boot_info)[index].get()
    }

    /// Slot of the largest untyped memory.
    pub(crate) fn largest_untyped(&self) -> u64 {
        let (start, end) = (self.info(word::UNTYPED), self.info(word::UNTYPED + 1));
        (start..end)
            .filter_map(|slot| match self.cap(slot) {
                Cap::Untyped { bits, is_device: false, .. } => Some((bits, slot)),
                _ => None,
            })
            .max()
            .unwrap()
            .1
    }

    pub(crate) fn slot(&self, index: u64) -> SlotRef {
        slot_in_root(&self.k, index)
    }

    pub(crate) fn cap(&self, index: u64) -> Cap {
        self.k.cap(self.slot(index))
    }

    pub(crate) fn free_slot(&mut self) -> u64 {
        self.next_slot += 1;
        self.next_slot - 1
    }

    pub(crate) fn current(&self) -> TcbRef {
        self.k.current_thread().expect("idle")
    }

    /// Puts a message into the current thread's registers and buffer.
    pub(crate) fn put_message(&self, info: MessageInfo, words: &[u64], caps: &[u64]) {
        let thread = self.current();
        let tcb = self.k.tcb(thread);
        tcb.set_x::<1>(info.0);
        for (n, word) in words.iter().enumerate() {
            if n < 4 {
                tcb.set_message_register(n, *word);
            } else {
                self.k.buffer(thread, false).unwrap()[ipc_buffer::MESSAGE + n].set(*word);
            }
        }
        for (n, cap) in caps.iter().enumerate() {
            self.k.buffer(thread, false).unwrap()[ipc_buffer::CAPS_OR_BADGES + n].set(*cap);
        }
    }

    /// The current thread executes `SVC` with this number; if it is preempted, again.
    pub(crate) fn svc(&self, number: i64) {
        let thread = self.current();
        let tcb = self.k.tcb(thread);
        tcb.set_context_word(context::X0 + 7, number.cast_unsigned());
        let at = tcb.pc();
        loop {
            if let Some(every) = self.preempt_every.get() {
                self.k.platform.countdown.set(Some(every));
            }
            let asked = self.k.platform.asked.get();
            tcb.set_fault_ip(at);
            tcb.set_pc(at + 4);
            self.k.handle_syscall();
            let was_preempted = self.k.current_thread() == Some(thread) && tcb.pc() == at;
            if !was_preempted || self.k.platform.asked.get() == asked {
                self.k.platform.countdown.set(None);
                return;
            }
            crate::model_tests::invariants::check(&self.k);
        }
    }

    pub(crate) fn send(&self, call: Syscall, dest: u64, label: u64, words: &[u64], caps: &[u64]) {
        self.put_message(MessageInfo::new(label, 0, caps.len() as u64, words.len() as u64), words, caps);
        self.k.tcb(self.current()).set_x::<0>(dest);
        self.svc(call.number());
    }

    /// A receiving call: source in x0, reply object in x6.
    pub(crate) fn receive(&self, call: Syscall, source: u64, reply: u64) {
        let tcb = self.k.tcb(self.current());
        tcb.set_x::<0>(source);
        tcb.set_x::<6>(reply);
        self.svc(call.number());
    }

    /// What the thread finds in its registers as a received message.
    pub(crate) fn message(&self, thread: TcbRef) -> (u64, MessageInfo, Vec<u64>) {
        let tcb = self.k.tcb(thread);
        let info = MessageInfo(tcb.x::<1>());
        let words = message_words(self.k.tcb(thread), self.k.buffer(thread, false)).take(info.length()).collect();
        (tcb.x::<0>(), info, words)
    }

    /// The current thread invokes a kernel object by Call and is still current afterwards.
    pub(crate) fn call(&self, dest: u64, label: u64, words: &[u64], caps: &[u64]) -> Answer {
        let thread = self.current();
        self.send(Syscall::Call, dest, label, words, caps);
        let (badge, info, words) = self.message(thread);
        assert_eq!(badge, 0);
        assert_eq!((info.extra_caps(), info.caps_unwrapped()), (0, 0));
        Answer { label: info.label(), words }
    }

    #[track_caller]
    pub(crate) fn ok(&self, dest: u64, label: u64, words: &[u64], caps: &[u64]) -> Vec<u64> {
        let answer = self.call(dest, label, words, caps);
        assert_eq!(answer.label, 0, "unexpected error {answer:x?}");
        answer.words
    }

    #[track_caller]
    pub(crate) fn retype(&mut self, untyped: u64, kind: ObjectType, size: u64) -> u64 {
        let slot = self.free_slot();
        self.ok(untyped, label::UNTYPED_RETYPE, &[kind.number(), size, 0, 0, slot, 1], &[CNODE]);
        slot
    }

    #[track_caller]
    pub(crate) fn make(&mut self, kind: ObjectType, size: u64) -> u64 {
        let untyped = self.largest_untyped();
        self.retype(untyped, kind, size)
    }

    #[track_caller]
    pub(crate) fn mint(&mut self, source: u64, rights: u64, data: u64) -> u64 {
        let slot = self.free_slot();
        self.ok(CNODE, label::CNODE_MINT, &[slot, 64, source, 64, rights, data], &[CNODE]);
        slot
    }

    #[track_caller]
    pub(crate) fn copy(&mut self, source: u64, rights: u64) -> u64 {
        let slot = self.free_slot();
        self.ok(CNODE, label::CNODE_COPY, &[slot, 64, source, 64, rights], &[CNODE]);
        slot
    }

    /// A thread in the root's spaces with its own buffer and scheduling context, not started.
    #[track_caller]
    pub(crate) fn thread(&mut self, priority: u64) -> Thread {
        let thread = self.passive_thread(priority);
        let context = self.make(ObjectType::SchedContext, 8);
        let control = self.info(word::SCHED_CONTROL);
        self.ok(control, label::SCHED_CONTROL_CONFIGURE_FLAGS, &[5000, 5000, 0, 0, 0], &[context]);
        self.ok(context, label::SCHED_CONTEXT_BIND, &[], &[thread.slot]);
        Thread { context, ..thread }
    }

    #[track_caller]
    pub(crate) fn passive_thread(&mut self, priority: u64) -> Thread {
        let slot = self.make(ObjectType::Tcb, 0);
        let frame = self.make(ObjectType::SmallPage, 0);
        self.ok(slot, label::TCB_CONFIGURE, &[0, 0, 0x1000_0000], &[CNODE, 3, frame]);
        self.ok(slot, label::TCB_SET_PRIORITY, &[priority], &[1]);
        let Cap::Tcb { at } = self.cap(slot) else { panic!("no thread") };
        Thread { slot, at, context: 0 }
    }

    /// Starts a thread at an address of its own; if it preempts the caller it is current afterwards.
    #[track_caller]
    pub(crate) fn start(&self, thread: Thread) {
        let tcb = self.k.tcb(thread.at);
        tcb.set_pc(thread.start_pc());
        tcb.set_fault_ip(thread.start_pc());
        self.send(Syscall::Call, thread.slot, label::TCB_RESUME, &[], &[]);
    }

    /// Time passes in user mode; the timer fires if its deadline was passed.
    pub(crate) fn run_for(&self, ticks: u64) {
        self.k.platform.clock.set(self.k.platform.clock.get() + ticks);
        if self.k.platform.clock.get() >= self.k.platform.deadlines[self.k.platform.core()].get() {
            self.interrupt(27);
        }
    }

    pub(crate) fn interrupt(&self, irq: u32) {
        if let Some(thread) = self.k.current_thread() {
            let tcb = self.k.tcb(thread);
            tcb.set_fault_ip(tcb.pc());
        }
        self.k.handle_interrupt(Some(irq));
    }

    pub(crate) fn slot_of_thread(&self, thread: TcbRef, which: TcbSlot) -> Cap {
        self.k.cap(thread.slot(which))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thread {
    pub(crate) slot: u64,
    pub(crate) at: TcbRef,
    pub(crate) context: u64,
}

impl Thread {
    pub(crate) fn start_pc(self) -> u64 {
        0x50_0000 + self.slot * 0x100
    }
}

fn slot_in_root<const N: usize>(k: &Kernel<Machine<N>>, index: u64) -> SlotRef {
    crate::cspace::slot_of(CNodeRef::new(k.platform.root_cnode.get()).unwrap(), index).unwrap()
}
