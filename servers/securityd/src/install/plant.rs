//! A wrong capability of each kind that is copied, for the scenario `planted` (feature `plant`); in no product.

use hybrid_capgraph::{Rights, layout};
use hybrid_sys::{Attributes, CNode, CPtr, ObjectType, Rights as KernelRights};

use super::own::component_guard;
use super::{Cause, World, rights};
use crate::account::slot_in;
use crate::kernel::{Kernel, ThreadParts, boot};
use crate::memory::MemoryError;

/// Who gets them: it does not look at these slots. The first of the two that the product has; with the first, no thread is planted, so that
/// all of it is held by one who can be isolated.
const VICTIMS: [&str; 2] = ["suspect", "shell"];
const FIRST: u32 = 108;
/// Whose they are.
const OWNER: &str = "httpd";
/// Where a page of the owner is mapped in the victim, far from everything.
const ADDRESS: u64 = 0x6800_0000;
/// The serial line's registers.
const DEVICE: u64 = 0x0900_0000;
/// Capabilities of boot that have no other name here: ASID control and domain.
const OF_BOOT: [u64; 2] = [5, 11];

impl<K: Kernel> World<K> {
    /// Plants them, before anything runs.
    pub(super) fn plant(&mut self) -> Result<(), Cause> {
        let place = |world: &Self, name: &str| {
            let id = world.graph.named(name).map(|instance| instance.id);
            id.and_then(|id| world.place(id)).ok_or(Cause::Memory(MemoryError::Slots))
        };
        let suspect = place(self, VICTIMS[0]);
        let (victim, owner) = (suspect.or_else(|_| place(self, VICTIMS[1]))?, place(self, OWNER)?);
        let node = (self.live[victim].cnode, self.live[victim].cnode_bits);
        let chunk = self.memory.take(&mut self.kernel, &mut self.space, 12)?;
        let table = self.make(victim, ObjectType::PageTable, 12, 1)?;
        let (device, frame) = (self.device_frame(DEVICE, 12)?, self.live[owner].gauge);
        // A page of another in the victim's space; with the table beside it, since only mapped tables are copied.
        let page = self.copy_frame(victim, frame, Rights::READ_WRITE)?;
        self.map(victim, page, ADDRESS, rights(Rights::READ), Attributes::DATA)?;
        self.kernel.map_table(table, self.live[victim].vspace, ADDRESS + (2 << 20))?;
        let live = &self.live[owner];
        let objects = [live.reply.unwrap_or(CPtr::NULL), live.thread, live.cnode, live.vspace, live.context];
        let list = self.list.unwrap_or(CPtr::NULL);
        // The Platform capability is right before the list.
        let more = [chunk.cap, table, device, frame, CPtr(boot::ASID_POOL), list, CPtr(list.0.saturating_sub(1))];
        let endpoint = live.endpoint.unwrap_or(CPtr::NULL);
        let notification = live.notification;
        let mut slot = FIRST;
        let mut next = || {
            slot += 1;
            slot_in(node.0, node.1, slot - 1)
        };
        // 108 an endpoint, 109 with a badge, 110 with a right to pass capabilities, 111 a notification.
        let sources =
            [(endpoint, 0, 15), (endpoint, layout::badge(2, 0, 0, 1), 9), (endpoint, layout::badge(9, 0, 0, 1), 13)];
        for (source, badge, allowed) in sources.into_iter().chain([(notification, 0, 3)]) {
            self.kernel.mint(next(), self.space.slot(source), rights(Rights(allowed)), badge)?;
        }
        // 112 … 116 and 117 … 123, then 124 and 125, in the order of the lists.
        for source in objects.into_iter().chain(more).chain(OF_BOOT.map(CPtr)) {
            self.kernel.copy(next(), self.space.slot(source), KernelRights::ALL)?;
        }
        // 126: an interrupt of another driver.
        let driver = self.live.iter().position(|live| live.grants.iter().any(|grant| grant.kind == "virtio,mmio"));
        if let Some(driver) = driver.and_then(|place| self.live.get(place)) {
            let handler = slot_in(driver.cnode, driver.cnode_bits, layout::SLOT_INTERRUPTS);
            self.kernel.copy(next(), handler, KernelRights::ALL)?;
        }
        // 127: the right to give out time; 107: that to raise a software interrupt. That to make interrupt handlers has no copies.
        let control = self.kernel.sched_control();
        self.kernel.copy(next(), self.space.slot(control), KernelRights::ALL)?;
        self.kernel.issue_sgi(slot_in(node.0, node.1, FIRST - 1))?;
        if suspect.is_ok() {
            return Ok(());
        }
        // Not in a slot of the victim: a thread that nobody declared.
        let thread = self.make(victim, ObjectType::Tcb, 11, 1)?;
        let buffer = self.make(victim, ObjectType::SmallPage, 12, 1)?;
        let bell = self.make(victim, ObjectType::Notification, 6, 1)?;
        let live = &self.live[victim];
        let parts = ThreadParts {
            cnode: CNode(live.cnode),
            guard: component_guard(live.cnode_bits),
            vspace: live.vspace,
            buffer: (hybrid_start::IPC_BUFFER_ADDRESS + 0x4000, buffer),
            priority: 1,
            context: CPtr::NULL,
            fault: CPtr::NULL,
            notification: bell,
            has_floats: false,
        };
        Ok(self.kernel.configure_thread(thread, &parts)?)
    }
}
