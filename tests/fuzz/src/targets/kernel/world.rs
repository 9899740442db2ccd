//! A booted kernel with some objects, used only as hardware and user space use it.

use super::machine::{Machine, RAM_START};
use hybrid_abi::bootinfo::word;
use hybrid_abi::ipc_buffer;
use hybrid_abi::label as l;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::slot;
use hybrid_abi::syscall::Syscall;
use hybrid_kernel_core::object::{TcbRef, context};
use hybrid_kernel_core::{BootParameters, Kernel, PhysRange, Platform as _, UserFault};
use std::cell::Cell;

const IMAGE_VADDR: u64 = 0x40_0000;
const TIMER: u32 = 27;
const TABLE_WORDS: usize = 512;
/// Bits of an address in a page-table entry.
const ADDRESS_BITS: u64 = 0x0000_ffff_ffff_f000;
/// Bits of the saved processor state: exception level and stack, AArch32, interrupts masked.
const MODE_BITS: u64 = 0b1_1111;
const IRQ_MASKED: u64 = 1 << 7;

pub(super) struct World {
    kernel: Kernel<Machine>,
    root: TcbRef,
    /// Where the one page is that all threads have as their IPC buffer.
    buffer: u64,
    root_table: u64,
    /// Slot of the untyped memory that everything is made of.
    pub(super) untyped: u64,
    /// Slot of the control of scheduling contexts.
    pub(super) control: u64,
    pub(super) threads: Vec<u64>,
    /// Slots of all objects.
    pub(super) slots: Vec<u64>,
    /// Invocations that came back without an error.
    pub(super) worked: Cell<u32>,
}

impl World {
    pub(super) fn new() -> Self {
        let image = PhysRange { start: RAM_START, end: RAM_START + 0x2000 };
        let parameters = BootParameters {
            ram: &[Machine::ram()],
            reserved: &[PhysRange { start: 0x800_0000, end: 0x800_1000 }, image],
            recycled: &[],
            image,
            image_vaddr: IMAGE_VADDR,
            entry: IMAGE_VADDR,
            device_tree: None,
            root_cnode_bits: 12,
            cores: 1,
            device_top: 1 << 40,
        };
        let kernel = Kernel::new(Machine::new());
        let root = kernel.boot(&parameters).expect("a good machine").expect("a thread to run");
        let root_table = kernel.platform().space.get() & ADDRESS_BITS;
        assert_ne!(root_table, 0, "no address space");
        let mut world = Self {
            kernel,
            root,
            buffer: 0,
            root_table,
            untyped: 0,
            control: 0,
            threads: vec![slot::TCB],
            slots: Vec::new(),
            worked: Cell::new(0),
        };
        let info = world.translated(world.registers(root)[0].get());
        let info = |index: usize| world.kernel.platform().words::<TABLE_WORDS>(info)[index].get();
        let (first, end) = (info(word::UNTYPED), info(word::UNTYPED + 1));
        let size = |slot: &u64| {
            let entry = word::UNTYPED_LIST + 2 * usize::try_from(slot - first).unwrap_or(0);
            let (bits, is_device) = (info(entry + 1) & 0xff, info(entry + 1) >> 8 & 0xff);
            if is_device == 0 { bits } else { 0 }
        };
        let untyped = (first..end).max_by_key(size).expect("memory");
        let (control, buffer, free) = (info(word::SCHED_CONTROL), info(word::IPC_BUFFER), info(word::EMPTY));
        (world.untyped, world.control, world.buffer) = (untyped, control, world.translated(buffer));
        world.make_objects(free);
        world.worked.set(0);
        world
    }

    /// Two endpoints, two notifications, three reply objects, three scheduling contexts, three threads (the last one without
    /// time), two frames, a page table, an interrupt.
    fn make_objects(&mut self, mut free: u64) {
        let kinds = [
            (T::Endpoint, 0, 2),
            (T::Notification, 0, 2),
            (T::Reply, 0, 3),
            (T::SchedContext, 8, 3),
            (T::Tcb, 0, 3),
            (T::SmallPage, 0, 2),
            (T::PageTable, 0, 1),
        ];
        for (kind, size, count) in kinds {
            let words = [kind.number(), size, 0, 0, free, count];
            self.must(self.untyped, l::UNTYPED_RETYPE, &words, [slot::CNODE, 0, 0]);
            self.slots.extend(free..free + count);
            free += count;
        }
        let endpoint = self.slots[0];
        self.must(slot::CNODE, l::CNODE_MINT, &[free, 64, endpoint, 64, 15, 7], [slot::CNODE, 0, 0]);
        self.must(slot::IRQ_CONTROL, l::IRQ_ISSUE_HANDLER, &[40, free + 1, 64], [slot::CNODE, 0, 0]);
        self.slots.extend([free, free + 1]);
        for number in 0..3 {
            let (thread, time) = (self.slots[10 + number], self.slots[7 + number]);
            self.must(thread, l::TCB_CONFIGURE, &[0, 0, 0x1000_0000], [slot::CNODE, slot::VSPACE, slot::IPC_BUFFER]);
            self.must(thread, l::TCB_SET_PRIORITY, &[200 - number as u64], [slot::TCB, 0, 0]);
            self.must(thread, l::TCB_SET_MC_PRIORITY, &[255], [slot::TCB, 0, 0]);
            self.must(self.control, l::SCHED_CONTROL_CONFIGURE_FLAGS, &[5000, 5000, 4, 0, 0], [time, 0, 0]);
            if number < 2 {
                self.must(time, l::SCHED_CONTEXT_BIND, &[], [thread, 0, 0]);
            }
            self.threads.push(thread);
        }
        self.slots.extend([
            slot::CNODE,
            slot::VSPACE,
            slot::ASID_POOL,
            slot::ASID_CONTROL,
            slot::IRQ_CONTROL,
            self.control,
        ]);
        self.slots.extend([slot::TCB, slot::DOMAIN, slot::SCHED_CONTEXT, self.untyped]);
        self.must(slot::TCB, l::TCB_SET_PRIORITY, &[150], [slot::TCB, 0, 0]);
    }

    /// An invocation that works, as the root thread.
    fn must(&self, object: u64, label: u64, words: &[u64], caps: [u64; 3]) {
        self.invoke(object, label, words, caps);
        let answer = MessageInfo(self.registers(self.root)[1].get()).label();
        assert_eq!(answer, 0, "invocation {label} of {object} with {words:x?}");
    }

    fn registers(&self, thread: TcbRef) -> &[Cell<u64>; context::WORDS] {
        self.kernel.platform().words(thread.paddr())
    }

    pub(super) fn current(&self) -> Option<TcbRef> {
        self.kernel.current_thread()
    }

    /// A Call of the current thread with a message.
    pub(super) fn invoke(&self, object: u64, label: u64, words: &[u64], caps: [u64; 3]) {
        let count = caps.iter().take_while(|cap| **cap != 0).count() as u64;
        let buffer = self.kernel.platform().words::<{ ipc_buffer::WORDS }>(self.buffer);
        for (index, word) in words.iter().enumerate() {
            buffer[ipc_buffer::MESSAGE + index].set(*word);
        }
        for (index, cap) in caps.iter().enumerate() {
            buffer[ipc_buffer::CAPS_OR_BADGES + index].set(*cap);
        }
        buffer[ipc_buffer::RECEIVE_CNODE].set(slot::CNODE);
        buffer[ipc_buffer::RECEIVE_INDEX].set(super::FREE + 40);
        buffer[ipc_buffer::RECEIVE_DEPTH].set(64);
        let word = |index: usize| words.get(index).copied().unwrap_or(0);
        let info = MessageInfo::new(label, 0, count, words.len() as u64).0;
        let number = Syscall::Call.number().cast_unsigned();
        let Some(thread) = self.current() else { return };
        self.svc(&[object, info, word(0), word(1), word(2), word(3), 0, number, 0]);
        if self.current() == Some(thread) && MessageInfo(self.registers(thread)[1].get()).label() == 0 {
            self.worked.set(self.worked.get() + 1);
        }
    }

    /// `SVC` with x0 to x8.
    pub(super) fn svc(&self, values: &[u64; 9]) {
        let Some(thread) = self.current() else { return };
        let registers = self.registers(thread);
        registers.iter().zip(values).for_each(|(register, value)| register.set(*value));
        let at = registers[context::PC].get();
        registers[context::FAULT_IP].set(at);
        registers[context::PC].set(at.wrapping_add(4));
        self.kernel.handle_syscall();
    }

    pub(super) fn fault(&self, fault: UserFault) {
        if self.is_entered() {
            self.kernel.handle_fault(fault);
        }
    }

    pub(super) fn interrupt(&self, irq: u32) {
        self.is_entered();
        // Above 199: a spurious one.
        self.kernel.handle_interrupt((irq < 200).then_some(irq));
    }

    /// The restart address of an exception is its own. False: nobody runs.
    fn is_entered(&self) -> bool {
        let Some(thread) = self.current() else { return false };
        let registers = self.registers(thread);
        registers[context::FAULT_IP].set(registers[context::PC].get());
        true
    }

    /// An interrupt waits after so many preemption points.
    pub(super) fn preempt_after(&self, count: u32) {
        self.kernel.platform().countdown.set(Some(count));
    }

    pub(super) fn pass(&self, ticks: u64) {
        let machine = self.kernel.platform();
        machine.clock.set(machine.clock.get() + ticks);
        if machine.clock.get() >= machine.deadline.get() {
            self.interrupt(TIMER);
        }
    }

    /// Whoever runs next does so at EL0, with interrupts on.
    pub(super) fn check(&self) {
        if let Some(thread) = self.current() {
            let state = self.registers(thread)[context::SPSR].get();
            assert_eq!(state & (MODE_BITS | IRQ_MASKED), 0, "a thread with SPSR {state:#x}");
        }
    }

    /// No page that the current address space maps holds the root thread, or a table of the root address space as it was at boot.
    pub(super) fn check_mappings(&self) {
        let table = self.kernel.platform().space.get() & ADDRESS_BITS;
        if table != 0 {
            self.check_table(table, 0);
        }
    }

    fn check_table(&self, table: u64, level: u32) {
        for entry in self.kernel.platform().words::<TABLE_WORDS>(table) {
            let (entry, bytes) = (entry.get(), 1_u64 << (39 - 9 * level));
            let is_leaf = level == 3 || entry & 2 == 0;
            if entry & 1 == 0 {
                continue;
            }
            if !is_leaf {
                self.check_table(entry & ADDRESS_BITS, level + 1);
                continue;
            }
            let page = (entry & ADDRESS_BITS & !(bytes - 1))..;
            for object in [self.root.paddr(), self.root_table, table] {
                let is_inside = page.contains(&object) && object - page.start < bytes;
                assert!(!is_inside, "user space maps the kernel object at {object:#x}");
            }
        }
    }

    /// The physical address, through the root thread's page tables.
    fn translated(&self, vaddr: u64) -> u64 {
        let table = (0..3).fold(self.root_table, |table, level| self.entry(table, vaddr, level) & ADDRESS_BITS);
        (self.entry(table, vaddr, 3) & ADDRESS_BITS) | (vaddr & 0xfff)
    }

    fn entry(&self, table: u64, vaddr: u64, level: u32) -> u64 {
        let index = vaddr >> (39 - 9 * level) & 511;
        self.kernel.platform().words::<1>(table + 8 * index)[0].get()
    }
}
