//! A component's memory: its program, stack, heap, IPC buffer, start information and DMA memory.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use hybrid_capgraph::{
    Bundle, Grant, Graph, Instance, Program, Rights, Runtime, Segment, What, layout, memory_grant, own_grant,
};
use hybrid_start::{Device, Dma, Limits, Provided, Session, Span, Stacks, StartInfo, Use};
use hybrid_sys::{Attributes, CPtr, ObjectType};

use super::{Cause, Live, World, rights};
use crate::account::{Account, log2_at_least};
use crate::kernel::Kernel;
use crate::memory::MemoryError;

const PAGE: u64 = 4096;
const LARGE_PAGE: u64 = 2 << 20;
/// The most that a start information may take.
const START_INFO_MAX: u64 = 16 * PAGE;

/// Two crates state the layout: what securityd does, and what components may rely on.
const _: () = assert!(
    layout::REGION_BASE == hybrid_start::RING_BASE
        && layout::DEVICE_BASE == hybrid_start::DEVICE_BASE
        && layout::DMA_BASE == hybrid_start::DMA_BASE
        && layout::STACKS.0 == hybrid_start::STACKS_BASE
        && layout::STACK_GUARD == hybrid_start::STACK_GUARD
        // All that an instance may have of them find room there.
        && layout::MADE_MAX * PAGE + layout::THREADS_MAX as u64 * layout::STACK_GUARD <= layout::STACKS.1 - layout::STACKS.0
        && layout::SLOT_CNODE == hybrid_start::SLOT_CNODE
        && layout::SLOT_ENDPOINT == hybrid_start::SLOT_ENDPOINT
        && layout::SLOT_REPLY == hybrid_start::SLOT_REPLY
        && layout::SLOT_NOTIFICATION == hybrid_start::SLOT_NOTIFICATION
);

/// Where a program's bytes are.
pub(super) enum File<'a> {
    /// In the bundle.
    Shipped(&'a [u8]),
    /// Where an installer sent them.
    Installed(Rc<Vec<u8>>),
}

/// The checked program in a file, for a component on `runtime`.
pub(super) fn parsed<'a>(runtime: Runtime, file: &'a File<'_>) -> Result<Program<'a>, Cause> {
    let bytes: &[u8] = match file {
        File::Shipped(bytes) => bytes,
        File::Installed(bytes) => bytes,
    };
    Program::of(runtime, bytes).map_err(Cause::Program)
}

impl<K: Kernel> World<K> {
    /// The file of an instance's program.
    pub(super) fn file_of<'a>(&self, instance: &Instance, bundle: &Bundle<'a>) -> Result<File<'a>, Cause> {
        if instance.place.is_some() {
            let installed = self.installed.get(&instance.id).ok_or(Cause::NoProgram)?;
            return Ok(File::Installed(Rc::clone(&installed.program)));
        }
        bundle.program(instance.program()).map(File::Shipped).ok_or(Cause::NoProgram)
    }

    /// Makes and maps an instance's memory.
    pub(super) fn load(&mut self, instance: &Instance, bundle: &Bundle<'_>) -> Result<(), Cause> {
        let place = self.expect(instance.id)?;
        let file = self.file_of(instance, bundle)?;
        let program = parsed(instance.runtime, &file)?;
        if instance.is_spawned && self.live[place].kept.is_none() {
            self.keep(place, &program)?;
        }
        for segment in &program.segments {
            self.load_segment(place, segment)?;
        }
        self.make_memory(place, instance)?;
        for (index, dma) in instance.dma.iter().enumerate() {
            let what = What::Dma { bytes: dma.bytes, address: layout::dma_address(index) };
            self.make_dma(place, index, dma.bytes)?;
            let grant = Grant { target: dma.name.clone(), reason: dma.reason.clone(), ..own_grant(instance, what) };
            self.record(place, grant);
        }
        Ok(())
    }

    /// Fills the pages of a program that nobody can write, in an account of their own, which outlives the instance's lives. They are mapped by nobody:
    /// each life maps copies without the right to write.
    fn keep(&mut self, place: usize, program: &Program<'_>) -> Result<(), Cause> {
        let (kernel, space, memory) = (&mut self.kernel, &mut self.space, &mut self.memory);
        let segments = || program.segments.iter().filter(|segment| segment.rights.0 & Rights::WRITE.0 == 0);
        let account = Account::open(kernel, space, memory, segments().map(Segment::pages).sum())?;
        let mut kept = Kept { account, segments: BTreeMap::new() };
        let made = segments().try_for_each(|segment| {
            let small = (ObjectType::SmallPage, 12);
            let first = kept.account.make_many(kernel, space, memory, small, segment.pages())?;
            kept.segments.insert(segment.address, first);
            Ok(fill(kernel, segment, first)?)
        });
        match made {
            Ok(()) => self.live[place].kept = Some(kept),
            // The next start makes all of it anew.
            Err(_) => kept.account.close(kernel, space, memory),
        }
        made
    }

    fn load_segment(&mut self, place: usize, segment: &Segment<'_>) -> Result<(), Cause> {
        let attributes = if segment.is_executable { Attributes::CODE } else { Attributes::DATA };
        let kept = self.live[place].kept.as_ref().and_then(|kept| kept.segments.get(&segment.address)).copied();
        if let Some(first) = kept {
            for page in 0..segment.pages() {
                let frame = self.copy_frame(place, CPtr(first.0 + page), segment.rights)?;
                self.map(place, frame, segment.first_page() + page * PAGE, rights(segment.rights), attributes)?;
            }
            return Ok(());
        }
        let first = self.make(place, ObjectType::SmallPage, 12, segment.pages())?;
        fill(&mut self.kernel, segment, first)?;
        self.map_all(place, first, segment.pages(), segment.first_page(), rights(segment.rights), attributes)
    }

    /// Stacks (with nothing mapped below each) and heap; large pages as far as they go.
    fn make_memory(&mut self, place: usize, instance: &Instance) -> Result<(), Cause> {
        let access = rights(Rights::READ_WRITE);
        let main = (hybrid_start::STACK_TOP - instance.stack, instance.stack);
        let of_thread = |index| (layout::stack_address(index, instance.thread_stack), instance.thread_stack);
        for (address, bytes) in core::iter::once(main).chain((0..instance.thread_stacks()).map(of_thread)) {
            let stack = self.make(place, ObjectType::SmallPage, 12, bytes / PAGE)?;
            self.map_all(place, stack, bytes / PAGE, address, access, Attributes::DATA)?;
        }
        let (large, small) = (instance.heap / LARGE_PAGE, instance.heap % LARGE_PAGE / PAGE);
        for page in 0..large {
            let frame = self.make(place, ObjectType::LargePage, 21, 1)?;
            self.map(place, frame, hybrid_start::HEAP_BASE + page * LARGE_PAGE, access, Attributes::DATA)?;
        }
        let rest = self.make(place, ObjectType::SmallPage, 12, small)?;
        self.map_all(place, rest, small, hybrid_start::HEAP_BASE + large * LARGE_PAGE, access, Attributes::DATA)?;
        self.record(place, memory_grant(instance));
        Ok(())
    }

    /// The memory is the instance's for ever: its device may go on writing there while the driver is started anew.
    fn make_dma(&mut self, place: usize, index: usize, bytes: u64) -> Result<(), Cause> {
        let (pages, address) = (bytes / PAGE, layout::dma_address(index));
        let kept = self.live.get(place).and_then(|live| live.dma_chunks.get(index)).copied();
        let chunk = match kept {
            Some(chunk) => chunk,
            None => self.memory.take(&mut self.kernel, &mut self.space, 12 + log2_at_least(pages))?,
        };
        let live = self.live.get_mut(place).ok_or(MemoryError::Slots)?;
        if kept.is_none() {
            live.dma_chunks.push(chunk);
        }
        let account = live.account.as_mut().ok_or(MemoryError::Slots)?;
        let first = account.make_contiguous(&mut self.kernel, &mut self.space, &mut self.memory, chunk, pages)?;
        self.map_all(place, first, pages, address, rights(Rights::READ_WRITE), Attributes::DATA)?;
        let physical = self.kernel.frame_address(first)?;
        self.live[place].dma.push(physical);
        Ok(())
    }

    /// Maps what a device stands for, read-only, with its length before it: the whole graph, or the device tree of boot. An instance is shown one.
    pub(super) fn show(&mut self, place: usize, device: &hybrid_capgraph::Device, index: usize) -> Result<(), Cause> {
        let graph = if device.is_audit() { self.graph.encode().map_err(|_| Cause::StartInfo)? } else { Vec::new() };
        let shown = if device.is_audit() { &graph } else { self.tree };
        let bytes = [&(shown.len() as u64).to_le_bytes(), shown].concat();
        self.live[place].shown = (bytes.len() as u64).next_multiple_of(PAGE);
        let first = self.make(place, ObjectType::SmallPage, 12, bytes.len().div_ceil(4096) as u64)?;
        for (page, part) in bytes.chunks(4096).enumerate() {
            let frame = CPtr(first.0 + page as u64);
            self.kernel.fill(frame, 0, part, false)?;
            let frame = self.copy_frame(place, frame, Rights::READ)?;
            let address = layout::device_address(index) + page as u64 * PAGE;
            self.map(place, frame, address, rights(Rights::READ), Attributes::DATA)?;
        }
        Ok(())
    }

    /// Maps what the instance is told, read-only; its length in bytes.
    pub(super) fn make_start_info(&mut self, place: usize, instance: &Instance) -> Result<u64, Cause> {
        let graph = Rc::clone(&self.graph);
        let live = &self.live[place];
        let info = start_info(&graph, instance, live, self.boot_ns);
        let bytes = info.encode_to_vec().map_err(|_| Cause::StartInfo)?;
        let length = bytes.len() as u64;
        if length > START_INFO_MAX {
            return Err(Cause::StartInfo);
        }
        let first = self.make(place, ObjectType::SmallPage, 12, length.div_ceil(PAGE))?;
        for (page, part) in bytes.chunks(4096).enumerate() {
            let frame = CPtr(first.0 + page as u64);
            self.kernel.fill(frame, 0, part, false)?;
            self.map(
                place,
                frame,
                hybrid_start::START_INFO_BASE + page as u64 * PAGE,
                rights(Rights::READ),
                Attributes::DATA,
            )?;
        }
        Ok(length)
    }
}

/// The pages of a spawned program that nobody can write, by the addresses of their segments.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) account: Account,
    segments: BTreeMap<u64, CPtr>,
}

/// Writes a segment's bytes into its frames, which are mapped nowhere.
fn fill<K: Kernel>(kernel: &mut K, segment: &Segment<'_>, first: CPtr) -> Result<(), hybrid_sys::Error> {
    for page in 0..segment.pages() {
        let (offset, bytes) = part_in_page(segment, segment.first_page() + page * PAGE);
        if !bytes.is_empty() {
            kernel.fill(CPtr(first.0 + page), offset, bytes, segment.is_executable)?;
        }
    }
    Ok(())
}

/// Where an instance finds its device: its register page, or the `shown` bytes in the place of one.
fn shown_at(index: usize, device: &hybrid_capgraph::Device, shown: u64) -> Span {
    let bytes = match device.page {
        Some(_) => 1 << device.page_bits,
        None if device.is_audit() || device.is_tree() => shown,
        None => return Span::default(),
    };
    Span { addr: layout::device_address(index), len: bytes }
}

/// Which bytes of a segment's file lie in the page at `address`, and where in it they start.
fn part_in_page<'a>(segment: &Segment<'a>, address: u64) -> (usize, &'a [u8]) {
    let start = segment.address.max(address);
    let end = (segment.address + segment.data.len() as u64).min(address + PAGE);
    let index = |address: u64| usize::try_from(address.saturating_sub(segment.address)).unwrap_or(usize::MAX);
    let bytes = segment.data.get(index(start)..index(end)).unwrap_or_default();
    (usize::try_from(start - address).unwrap_or(0), bytes)
}

/// What an instance is told at its start.
#[must_use]
pub fn start_info(graph: &Graph, instance: &Instance, live: &Live, boot_ns: u64) -> StartInfo {
    let serves = instance.endpoint.is_some();
    let devices = instance.devices.iter().enumerate().map(|(index, device)| Device {
        name: device.name.clone(),
        compatible: device.compatible.clone(),
        mmio: shown_at(index, device, live.shown),
        irq_slot: device.irq.map(|_| layout::interrupt_slot(index)),
        irq_bit: device.irq.map(|_| layout::interrupt_port(index)),
        irq_number: device.irq,
    });
    let dma = instance.dma.iter().zip(&live.dma).enumerate().map(|(index, (dma, physical))| Dma {
        name: dma.name.clone(),
        span: Span { addr: layout::dma_address(index), len: dma.bytes },
        paddr: *physical,
    });
    StartInfo {
        abi: hybrid_start::ABI,
        instance: instance.id,
        generation: live.generation,
        name: instance.name.clone(),
        product: graph.product.clone(),
        version: graph.version.clone(),
        boot_ns,
        heap: Span { addr: hybrid_start::HEAP_BASE, len: instance.heap },
        own_cnode: instance.own_cnode.then_some(layout::SLOT_CNODE),
        endpoint: serves.then_some(layout::SLOT_ENDPOINT),
        reply: serves.then_some(layout::SLOT_REPLY),
        notification: layout::SLOT_NOTIFICATION,
        peers: Span { addr: layout::PEERS_ADDRESS, len: PAGE },
        free_slots: instance.free_slots(),
        uses: uses(graph, instance),
        provides: provides(graph, instance),
        devices: devices.collect(),
        dma: dma.collect(),
        parameters: instance.parameters.clone(),
        stack: Span { addr: hybrid_start::STACK_TOP - instance.stack, len: instance.stack },
        threads: (1..=instance.further_threads()).map(layout::thread_slot).collect(),
        stacks: Stacks { count: instance.thread_stacks(), bytes: instance.thread_stack },
    }
}

fn span(port: Option<u8>, bytes: Option<u64>) -> Option<Span> {
    Some(Span { addr: layout::region_address(port?), len: bytes? })
}

fn uses(graph: &Graph, instance: &Instance) -> Vec<Use> {
    let tell = |(index, used): (usize, &hybrid_capgraph::Use)| {
        let session = graph.session_of(used)?;
        Some(Use {
            name: used.name.clone(),
            interface: used.interface.clone(),
            slot: session.has_operations.then(|| layout::call_slot(index)),
            region: span(session.client_port, session.region),
            bell_out: session.rings_server.then(|| layout::bell_slot(index)),
            bell_bit: session.client_port.filter(|_| session.rings_client),
            is_on_demand: session.is_on_demand,
        })
    };
    instance.uses.iter().enumerate().filter_map(tell).collect()
}

fn provides(graph: &Graph, instance: &Instance) -> Vec<Provided> {
    let tell = |session: &u16| {
        let session = graph.sessions.get(usize::from(*session))?;
        let client = graph.instance(session.client)?;
        Some(Session {
            client: session.client,
            nth: graph.nth(session),
            client_name: client.name.clone(),
            region: span(session.server_port, session.region),
            bell_out: session.server_port.filter(|_| session.rings_client).map(layout::session_slot),
            bell_bit: session.server_port.filter(|_| session.rings_server),
            is_on_demand: session.is_on_demand || client.place.is_some(),
            limits: Limits {
                denied: session.limits.denied.clone(),
                rate: session.limits.rate,
                max_objects: session.limits.max_objects,
                prefix: session.limits.prefix.clone(),
            },
        })
    };
    let provided = instance.provides.iter().zip(0_u8..);
    let tell_all = provided.map(|(provided, index)| Provided {
        name: provided.name.clone(),
        interface: provided.interface.clone(),
        index,
        sessions: provided.sessions.iter().filter_map(tell).collect(),
    });
    tell_all.collect()
}
