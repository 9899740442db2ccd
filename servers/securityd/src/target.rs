//! The kernel behind [`Kernel`], and the loop that waits for calls, faults and bells; decides nothing.

use alloc::boxed::Box;
use alloc::string::String;

use hybrid_capgraph::{Bundle, layout};
use hybrid_ipc::{Incoming, Outgoing};
use hybrid_sys::abi::register::Register;
use hybrid_sys::boot::Boot;
use hybrid_sys::{
    AsidPool, Attributes, CNode, CNodeData, CPtr, Endpoint, Error, Frame, IrqControl, IrqHandler, Message, MessageInfo,
    Notification, ObjectType, PageTable, Platform, Registers, Reply, Resume, Rights, SchedContext, SchedControl,
    SchedParameters, Slot, Suspend, Tcb, TcbSpace, Trigger, Untyped, VSpace, buffer,
};

use crate::install::{BootFacts, World};
use crate::kernel::{Kernel, ThreadParts, boot};
use crate::server::{Event, Server};
use crate::space::{OWN_NODE, Space};
use crate::{watch, window};

const PAGE: usize = 4096;

/// The kernel itself.
#[derive(Debug, Clone, Copy)]
pub struct SysKernel {
    sched_control: SchedControl,
    platform: Option<Platform>,
}

impl SysKernel {
    /// The kernel as boot info tells it. Components run on the first core.
    #[must_use]
    pub fn new(boot: &Boot) -> Self {
        Self { sched_control: SchedControl::at(boot.info.sched_control.start), platform: boot.platform() }
    }
}

/// First interrupt that is not of one core (kernel ABI §8.1); only those have a trigger to set on every kernel.
const FIRST_SHARED: u32 = 32;

impl Kernel for SysKernel {
    fn retype(
        &mut self,
        untyped: CPtr,
        kind: ObjectType,
        size_bits: u8,
        node: Slot,
        offset: u64,
        count: u64,
    ) -> Result<(), Error> {
        Untyped(untyped).retype(kind, size_bits, node.root, node.index, node.depth, offset, count)
    }

    fn copy(&mut self, to: Slot, from: Slot, rights: Rights) -> Result<(), Error> {
        to.copy_from(from, rights)
    }

    fn mint(&mut self, to: Slot, from: Slot, rights: Rights, data: u64) -> Result<(), Error> {
        to.mint_from(from, rights, data)
    }

    fn mutate(&mut self, to: Slot, from: Slot, data: u64) -> Result<(), Error> {
        to.mutate_from(from, data)
    }

    fn delete(&mut self, slot: Slot) -> Result<(), Error> {
        slot.delete()
    }

    fn revoke(&mut self, slot: Slot) -> Result<(), Error> {
        slot.revoke()
    }

    fn assign_asid(&mut self, vspace: CPtr) -> Result<(), Error> {
        AsidPool::at(boot::ASID_POOL).assign(VSpace(vspace))
    }

    fn map_table(&mut self, table: CPtr, vspace: CPtr, address: u64) -> Result<(), Error> {
        PageTable(table).map(VSpace(vspace), address, Attributes::DATA)
    }

    fn map_frame(
        &mut self,
        frame: CPtr,
        vspace: CPtr,
        address: u64,
        rights: Rights,
        attributes: Attributes,
    ) -> Result<(), Error> {
        Frame(frame).map(VSpace(vspace), address, rights, attributes)
    }

    fn unmap_frame(&mut self, frame: CPtr) -> Result<(), Error> {
        Frame(frame).unmap()
    }

    fn frame_address(&mut self, frame: CPtr) -> Result<u64, Error> {
        Frame(frame).address()
    }

    fn fill(&mut self, frame: CPtr, offset: usize, bytes: &[u8], is_code: bool) -> Result<(), Error> {
        window::fill(Frame(frame), offset, bytes, is_code)
    }

    fn read_word(&mut self, frame: CPtr, offset: usize) -> Result<u64, Error> {
        window::read_word(Frame(frame), offset)
    }

    fn write_word(&mut self, frame: CPtr, offset: usize, value: u64) -> Result<(), Error> {
        window::write_word(Frame(frame), offset, value)
    }

    fn configure_context(&mut self, context: CPtr, parameters: &SchedParameters) -> Result<(), Error> {
        self.sched_control.configure(SchedContext(context), parameters)
    }

    fn take_consumed_us(&mut self, context: CPtr) -> Result<u64, Error> {
        SchedContext(context).take_consumed_us()
    }

    fn configure_thread(&mut self, thread: CPtr, parts: &ThreadParts) -> Result<(), Error> {
        let thread = Tcb(thread);
        let (address, frame) = parts.buffer;
        let space = TcbSpace {
            cspace: parts.cnode,
            cspace_data: parts.guard,
            vspace: VSpace(parts.vspace),
            buffer: Some((address, Frame(frame))),
        };
        thread.configure(&space)?;
        if !parts.has_floats {
            thread.disable_fpu()?;
        }
        thread.bind_notification(Notification(parts.notification))?;
        thread.set_sched_params(Tcb::at(boot::THREAD), 0, parts.priority, parts.context, parts.fault)
    }

    fn bind(&mut self, thread: CPtr, notification: CPtr) -> Result<(), Error> {
        Tcb(thread).bind_notification(Notification(notification))
    }

    fn start(&mut self, thread: CPtr, registers: &Registers) -> Result<(), Error> {
        Tcb(thread).write_registers(Resume::After, registers)
    }

    fn suspend(&mut self, thread: CPtr) -> Result<u64, Error> {
        Ok(Tcb(thread).read_registers(Suspend::First, 1)?.read(Register::Pc))
    }

    fn issue_interrupt(&mut self, irq: u32, trigger: Trigger, to: Slot) -> Result<(), Error> {
        let control = IrqControl::at(boot::INTERRUPTS);
        if irq < FIRST_SHARED {
            control.issue(irq.into(), to)
        } else {
            control.issue_triggered(irq.into(), trigger, to)
        }
    }

    #[cfg(feature = "plant")]
    fn sched_control(&self) -> CPtr {
        self.sched_control.cptr()
    }

    #[cfg(feature = "plant")]
    fn issue_sgi(&mut self, to: Slot) -> Result<(), Error> {
        IrqControl::at(boot::INTERRUPTS).issue_sgi(2, to)
    }

    fn connect_interrupt(&mut self, handler: CPtr, notification: CPtr) -> Result<(), Error> {
        let handler = IrqHandler(handler);
        handler.set_notification(Notification(notification))?;
        // It may have fired before it was connected (kernel ABI §8.3).
        handler.ack()
    }

    fn allow_timer(&mut self, thread: CPtr) -> Result<(), Error> {
        self.platform.map_or(Err(Error::InvalidCapability { number: 0 }), |platform| platform.allow_timer(Tcb(thread)))
    }

    fn set_own_root(&mut self, root: CNode) -> Result<(), Error> {
        Tcb::at(boot::THREAD).set_space(CPtr::NULL, root, CNodeData(0), VSpace::at(boot::VSPACE))
    }

    fn start_metronome(&mut self, thread: CPtr, cnode: CPtr, context: CPtr, fault: CPtr) -> Result<(), Error> {
        let thread = Tcb(thread);
        let (cspace, vspace) = (CNode(cnode), VSpace::at(boot::VSPACE));
        thread.configure(&TcbSpace { cspace, cspace_data: CNodeData(0), vspace, buffer: None })?;
        thread.disable_fpu()?;
        thread.set_timeout_endpoint(fault)?;
        thread.set_sched_params(Tcb::at(boot::THREAD), 0, watch::PRIORITY, context, fault)?;
        let entry = metronome as *const () as usize as u64;
        thread.write_registers(Resume::After, &Registers::default().with(Register::Pc, entry))
    }

    fn set_own_priority(&mut self, priority: u8) -> Result<(), Error> {
        Tcb::at(boot::THREAD).set_priority(Tcb::at(boot::THREAD), priority.into())
    }

    fn answer_server_died(&mut self, reply: CPtr) {
        Reply(reply).send(&Message::new(hybrid_ipc::reply::SERVER_DIED, &[]));
    }

    fn signal(&mut self, notification: CPtr) {
        Notification(notification).signal();
    }

    fn power_off(&mut self) {
        let _unable = self.platform.map(Platform::system_off);
    }

    fn restart(&mut self) {
        let _unable = self.platform.map(Platform::system_reset);
    }

    fn now_ns(&mut self) -> u64 {
        hybrid_rt::now_ns()
    }
}

fn facts(boot: &Boot) -> BootFacts {
    let info = boot.info;
    let untypeds = (info.untyped.start..info.untyped.end).zip(&info.untyped_list);
    BootFacts {
        empty: (info.empty.start, info.empty.end),
        untypeds: untypeds
            .map(|(cap, untyped)| (cap, untyped.paddr, untyped.size_bits, untyped.is_device != 0))
            .collect(),
        image_bytes: info.user_image_frames.count() * PAGE as u64,
        audit: boot.audit().map(|list| list.cptr().0),
        tree: boot.device_tree().unwrap_or_default(),
    }
}

/// Everything: reads the bundle, makes the system, serves it for ever.
pub fn run(boot: Boot, bundle: &'static [u8]) -> ! {
    let kernel = SysKernel::new(&boot);
    match set_up(kernel, &boot, bundle) {
        Ok(server) => serve(server),
        Err(reason) => give_up(kernel, &reason),
    }
}

fn set_up(kernel: SysKernel, boot: &Boot, bundle: &'static [u8]) -> Result<Server<SysKernel>, String> {
    let bundle = Bundle::parse(bundle).map_err(|error| String::from(error.text()))?;
    let graph = bundle.graph().map_err(|error| String::from(error.text()))?;
    let mut world = World::new(kernel, graph, &facts(boot)).map_err(|error| alloc::format!("{error}"))?;
    world.install(bundle).map_err(|error| alloc::format!("{error}"))?;
    Ok(Server::new(world))
}

fn serve(mut server: Server<SysKernel>) -> ! {
    let cptr = |slot: u32| Space::cptr(OWN_NODE, u64::from(slot));
    let (endpoint, reply) = (Endpoint(cptr(layout::SLOT_ENDPOINT)), Reply(cptr(layout::SLOT_REPLY)));
    let mut epoch = 0;
    let (mut incoming, mut outgoing) = (Box::new(Incoming::new()), Box::new(Outgoing::new()));
    after_event(&mut server, &mut epoch);
    let mut received = endpoint.recv(reply);
    loop {
        let (label, length) = (received.info.label(), received.info.length());
        received = match Event::of_badge(received.badge) {
            Event::Bells => {
                after_event(&mut server, &mut epoch);
                endpoint.recv(reply)
            }
            // The metronome's beat, which lets it go on.
            Event::Fault(layout::SECURITYD) => {
                after_event(&mut server, &mut epoch);
                endpoint.reply_recv(reply, &Message::new(0, &[]))
            }
            Event::Fault(instance) => {
                let registers = received.registers;
                let words =
                    (0..length).map(|index| registers.get(index).copied().unwrap_or_else(|| buffer::word(index)));
                server.on_fault(instance, label, words);
                after_event(&mut server, &mut epoch);
                endpoint.recv(reply)
            }
            Event::Call => {
                incoming.receive(received.badge, label, length, received.registers, None, buffer::word);
                *outgoing = Outgoing::new();
                server.on_call(&incoming, &mut outgoing);
                after_event(&mut server, &mut epoch);
                for (index, word) in outgoing.buffer_words() {
                    buffer::set_word(index, word);
                }
                let info = MessageInfo::new(outgoing.label(), 0, 0, outgoing.length() as u64);
                endpoint.reply_recv(reply, &Message { info, registers: outgoing.registers() })
            }
        };
    }
}

/// It has no stack, and needs none.
extern "C" fn metronome() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Also joins logd's ring anew when logd was.
fn after_event(server: &mut Server<SysKernel>, epoch: &mut u32) {
    let current = server.world.log_epoch();
    if *epoch != current {
        window::attach_log(&mut server.world);
        *epoch = current;
    }
    server.after_event();
}

/// There is no system to run: says why on the kernel's console, and powers off.
fn give_up(mut kernel: SysKernel, reason: &str) -> ! {
    if let Some(platform) = kernel.platform {
        for byte in b"securityd: ".iter().chain(reason.as_bytes()).chain(b"\r\n") {
            let _nobody_else_to_tell = platform.put_char(*byte);
        }
    }
    kernel.power_off();
    hybrid_rt::stop()
}
