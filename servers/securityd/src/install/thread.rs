//! A component's devices, interrupts, processor time and thread.

use hybrid_capgraph::{Bundle, Device, Grant, Instance, Rights, Trigger, What, layout, own_grant};
use hybrid_interfaces::security::RecordKind;
use hybrid_start::{THREAD_PAGES, THREAD_STACK, THREAD_STRIDE};
use hybrid_sys::abi::register::Register;
use hybrid_sys::{Attributes, CNode, CPtr, ObjectType, Registers, SchedParameters};

use super::image::parsed;
use super::own::component_guard;
use super::{Cause, State, World, rights};
use crate::account::slot_in;
use crate::kernel::{Kernel, ThreadParts};

/// log2 bytes of a scheduling context: 2^8 has room for 10 refills.
const CONTEXT_BITS: u8 = 8;
const EXTRA_REFILLS: u64 = 8;

impl<K: Kernel> World<K> {
    /// Makes the thread and maps and connects the devices. The timer is a right of the thread, so the thread comes first.
    pub(super) fn give_devices(&mut self, instance: &Instance) -> Result<(), Cause> {
        let place = self.expect(instance.id)?;
        self.live[place].thread = self.make(place, ObjectType::Tcb, 11, 1)?;
        for (index, device) in instance.devices.iter().enumerate() {
            if let Some(page) = device.page {
                let original = self.device_frame(page, device.page_bits)?;
                let frame = self.copy_frame(place, original, device.rights())?;
                self.map(place, frame, layout::device_address(index), rights(device.rights()), Attributes::DEVICE)?;
                self.record(place, device_grant(instance, device, device.registers(page, index)));
            }
            if let Some(irq) = device.irq {
                let (slot, bit) = (layout::interrupt_slot(index), layout::interrupt_port(index));
                self.give_interrupt(place, irq, device.trigger, slot, bit)?;
                let what = What::Interrupt { irq, trigger: device.trigger, slot, bit };
                self.record(place, device_grant(instance, device, what));
            }
            if device.timer_access {
                self.kernel.allow_timer(self.live[place].thread)?;
                self.record(place, device_grant(instance, device, What::Timer));
            }
            if let Some(list) = self.list.filter(|_| device.is_audit()) {
                let slot = layout::SLOT_AUDIT;
                let target = slot_in(self.live[place].cnode, self.live[place].cnode_bits, slot);
                self.kernel.copy(target, self.space.slot(list), hybrid_sys::Rights::ALL)?;
                self.show(place, device, index)?;
                self.record(place, device_grant(instance, device, What::Audit { slot }));
            }
            if device.is_tree() {
                self.show(place, device, index)?;
                let what = What::Shown { address: layout::device_address(index) };
                self.record(place, device_grant(instance, device, what));
            }
        }
        Ok(())
    }

    /// The frame of a register page is securityd's for ever: device memory cannot be made into a frame twice.
    pub(super) fn device_frame(&mut self, page: u64, bits: u8) -> Result<CPtr, Cause> {
        if let Some(frame) = self.devices.made(page) {
            return Ok(frame);
        }
        let own = self.expect(layout::SECURITYD)?;
        let frame = self.take_slot(own)?;
        let node = self.live[own].account.as_ref().map(|account| account.destination(&self.space));
        let node = node.ok_or(crate::memory::MemoryError::Slots)?;
        let offset = frame.0 & ((1 << crate::space::NODE_BITS) - 1);
        self.devices.make_page(&mut self.kernel, &mut self.space, (page, bits), node, offset)?;
        self.devices.remember(page, frame);
        Ok(frame)
    }

    /// The handler is issued to securityd, connected, and then copied to the driver, which acknowledges with it. The ABI has no handler that
    /// can do only that: a driver can also disconnect its own interrupt, or connect it with a bell that it may ring anyway.
    fn give_interrupt(&mut self, place: usize, irq: u32, trigger: Trigger, slot: u32, bit: u8) -> Result<(), Cause> {
        let (handler, bell) = (self.take_slot(place)?, self.take_slot(place)?);
        let trigger = if trigger == Trigger::Edge { hybrid_sys::Trigger::Edge } else { hybrid_sys::Trigger::Level };
        self.kernel.issue_interrupt(irq, trigger, self.space.slot(handler))?;
        let notification = self.space.slot(self.live[place].notification);
        self.kernel.mint(self.space.slot(bell), notification, rights(Rights::WRITE), layout::bell_badge(bit))?;
        self.kernel.connect_interrupt(handler, bell)?;
        let target = slot_in(self.live[place].cnode, self.live[place].cnode_bits, slot);
        Ok(self.kernel.copy(target, self.space.slot(handler), hybrid_sys::Rights::ALL)?)
    }

    /// Gives the thread its spaces, time, fault handler and registers.
    pub(super) fn prepare(&mut self, instance: &Instance, bundle: &Bundle<'_>) -> Result<(), Cause> {
        let place = self.expect(instance.id)?;
        let entry = parsed(instance.runtime, &self.file_of(instance, bundle)?)?.entry;
        let length = self.make_start_info(place, instance)?;
        let buffer = self.make(place, ObjectType::SmallPage, 12, 1)?;
        self.map(place, buffer, hybrid_start::IPC_BUFFER_ADDRESS, rights(Rights::READ_WRITE), Attributes::DATA)?;
        let gauge = self.take_slot(place)?;
        self.kernel.copy(self.space.slot(gauge), self.space.slot(buffer), rights(Rights::READ))?;
        self.live[place].gauge = gauge;
        self.make_peers(place, instance)?;
        let context = self.make_context(place, instance)?;
        self.live[place].context = context;
        let fault = self.make_fault_handler(place, instance)?;
        let live = &self.live[place];
        let parts = ThreadParts {
            cnode: CNode(live.cnode),
            guard: component_guard(instance.cnode_bits),
            vspace: live.vspace,
            buffer: (hybrid_start::IPC_BUFFER_ADDRESS, buffer),
            priority: instance.priority,
            context,
            fault,
            notification: live.notification,
            has_floats: instance.runtime.has_floats(),
        };
        let thread = live.thread;
        self.kernel.configure_thread(thread, &parts)?;
        let time =
            What::Time { priority: instance.priority, budget_us: instance.budget_us, period_us: instance.period_us };
        self.record(place, own_grant(instance, time));
        let registers = Registers::default()
            .with(Register::Pc, entry)
            .with(Register::Sp, hybrid_start::STACK_TOP)
            .with(Register::X(0), hybrid_start::START_INFO_BASE)
            .with(Register::X(1), length)
            .with(Register::X(2), hybrid_start::IPC_BUFFER_ADDRESS);
        self.live[place].registers = registers;
        self.make_threads(place, instance, &parts)
    }

    /// Makes a program's further threads and lets them run: each waits for its own notification until the program has work for it (decision
    /// 0131). What belongs to number 0 is a stack for the first thread.
    fn make_threads(&mut self, place: usize, instance: &Instance, first: &ThreadParts) -> Result<(), Cause> {
        self.live[place].threads.clear();
        for number in instance.thread_spans() {
            let base = hybrid_start::THREAD_BASE + u64::from(number) * THREAD_STRIDE;
            let pages = self.make(place, ObjectType::SmallPage, 12, THREAD_PAGES)?;
            self.map_all(place, pages, THREAD_PAGES, base, rights(Rights::READ_WRITE), Attributes::DATA)?;
            if number == 0 {
                continue;
            }
            let (top, buffer) = (base + THREAD_STACK, CPtr(pages.0 + THREAD_PAGES - 1));
            let (slot, notification) = (layout::thread_slot(number), self.make(place, ObjectType::Notification, 6, 1)?);
            let what = |slot, rights| What::Notification { slot, rights };
            self.give_own(place, instance, slot, notification, Rights::READ_WRITE, what)?;
            let (thread, context) = (self.make(place, ObjectType::Tcb, 11, 1)?, self.make_context(place, instance)?);
            let parts = ThreadParts { buffer: (top, buffer), context, notification, ..*first };
            self.kernel.configure_thread(thread, &parts)?;
            let registers = self.live[place].registers.with(Register::Sp, top).with(Register::TpidrRo, top);
            let registers = registers.with(Register::X(3), number.into()).with(Register::X(4), slot.into());
            self.kernel.start(thread, &registers)?;
            self.live[place].threads.push((thread, context));
        }
        Ok(())
    }

    /// Starts the thread.
    pub(super) fn start(&mut self, instance: &Instance) -> Result<(), Cause> {
        let place = self.expect(instance.id)?;
        let live = &mut self.live[place];
        self.kernel.start(live.thread, &live.registers)?;
        live.state = State::Running;
        self.note(RecordKind::Started, instance.name.clone());
        Ok(())
    }

    fn make_context(&mut self, place: usize, instance: &Instance) -> Result<CPtr, Cause> {
        let context = self.make(place, ObjectType::SchedContext, CONTEXT_BITS, 1)?;
        let parameters = SchedParameters {
            budget_us: instance.budget_us.into(),
            period_us: instance.period_us.into(),
            extra_refills: EXTRA_REFILLS,
            badge: instance.id.into(),
            is_sporadic: false,
        };
        self.kernel.configure_context(context, &parameters)?;
        Ok(context)
    }

    fn make_fault_handler(&mut self, place: usize, instance: &Instance) -> Result<CPtr, Cause> {
        let own = self.expect(layout::SECURITYD)?;
        let Some(endpoint) = self.live[own].endpoint else { return Ok(CPtr::NULL) };
        let (slot, badge) = (self.take_slot(place)?, layout::fault_badge(instance.id));
        self.kernel.mint(self.space.slot(slot), self.space.slot(endpoint), rights(Rights::CALL), badge)?;
        self.record(place, Grant { target: "securityd".into(), ..own_grant(instance, What::Fault { badge }) });
        Ok(slot)
    }
}

fn device_grant(instance: &Instance, device: &Device, what: What) -> Grant {
    Grant {
        target: device.device.clone(),
        kind: device.compatible.clone(),
        reason: device.reason.clone(),
        ..own_grant(instance, what)
    }
}
