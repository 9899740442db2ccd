//! The boot core's way from entry.s to user space; runs once and answers each failure with one sentence.

use hybrid_abi::limits::ROOT_CNODE_BITS;
use hybrid_kernel_core::boot::BootParameters;
use hybrid_kernel_core::kernel::Kernel;
use hybrid_kernel_core::platform::{CacheOperation, PhysRange};

use crate::console::{self, say};
use crate::cores::{self, CORES};
use crate::descriptor::KernelPage;
use crate::device_tree::{self, CPUS_MAX, DeviceTree, Machine, MachineError, REGIONS_MAX};
use crate::elf::Executable;
use crate::gic::{self, Gic};
use crate::hardware::Hardware;
use crate::kernel_map::{KernelMap, OutOfTables};
use crate::layout::{self, PAGE_SIZE, direct};
use crate::memory::MemoryPlan;
use crate::panic::stop;
use crate::regions::{Full, Range, RegionSet};
use crate::registers::Registers;
use crate::{cache, cpu, psci, run};

/// Called by entry.s with the MMU on: physical addresses of the device tree, of the image and of an empty user table.
#[unsafe(no_mangle)]
extern "C" fn kernel_start(device_tree: u64, image: u64, entry_level: u64, empty_space: u64) -> ! {
    // The boot core has the kernel lock from here to its first thread.
    cores::enter(|_| ());
    // SAFETY: called once, with what entry.s found.
    let mut map = unsafe { KernelMap::take(image) };
    let tree_bytes = read_device_tree(&mut map, device_tree);
    let tree =
        DeviceTree::try_new(tree_bytes).unwrap_or_else(|error| stop(format_args!("{}", MachineError::Blob(error))));
    start_console(&mut map, &tree);
    let machine = Machine::try_from_tree(&tree).unwrap_or_else(|error| stop(format_args!("{error}")));
    psci::set_conduit(machine.psci);
    check_processor();
    let (gic, redistributors) = start_gic(&mut map, &machine);
    say_hello(&machine, &gic, entry_level);

    let tree_range = Range::of_size(device_tree, tree.used_size() as u64);
    let memory = MemoryPlan::new(&machine, map.image(), tree_range)
        .unwrap_or_else(|Full| stop(format_args!("memory is in too many pieces")));
    if !memory.mapped.contains(&tree_range) {
        stop(format_args!("the device tree is not in memory"));
    }
    map_memory(&mut map, &memory.mapped);
    // SAFETY: `tree` and `tree_bytes` are not used below.
    unsafe { map.forget_device_tree() };

    let image = load_root_task(&machine, &memory);
    // SAFETY: all of `mapped` is in the direct map now and holds no Rust object; `empty_space` is from entry.s.
    let hardware = unsafe { Hardware::start(gic, memory.mapped.clone(), empty_space) };
    // SAFETY: called once.
    let kernel = unsafe { run::install(Kernel::new(hardware)) };
    #[cfg(feature = "smp")]
    let cores = start_others(kernel, &mut map, &machine, &memory.mapped, &redistributors);
    #[cfg(not(feature = "smp"))]
    let (cores, _) = (1, redistributors);
    let first = boot(kernel, &machine, memory.reserved, &image, tree_range, cores);
    // SAFETY: installed and booted.
    unsafe { run::leave_to_user(first) }
}

fn read_device_tree(map: &mut KernelMap, physical: u64) -> &'static [u8] {
    if physical == 0 || !physical.is_multiple_of(8) || physical >= layout::DIRECT_SIZE {
        stop(format_args!("x0 does not point to a device tree"));
    }
    let offset = physical % PAGE_SIZE;
    let window = layout::DEVICE_TREE_BASE;
    let map_up_to = |map: &mut KernelMap, from: u64, to: u64| {
        let range = Range { start: physical - offset + from, end: physical - offset + to };
        // SAFETY: the window is unused; nobody writes the device tree while boot code reads it.
        unsafe { map.map(window + from, range, KernelPage::ReadOnly) }.unwrap_or_else(|OutOfTables| no_tables());
    };
    map_up_to(map, 0, PAGE_SIZE);
    let head = core::ptr::with_exposed_provenance((window + offset) as usize);
    // SAFETY: 8 bytes of the page just mapped; `physical` is 8-byte aligned, so they do not reach over its end.
    let head: &[u8] = unsafe { core::slice::from_raw_parts(head, 8) };
    let size = DeviceTree::total_size(head).unwrap_or_else(|error| stop(format_args!("{}", MachineError::Blob(error))));
    let end = (offset + u64::from(size)).next_multiple_of(PAGE_SIZE);
    if end > DEVICE_TREE_WINDOW {
        stop(format_args!("the device tree is larger than 2 MiB"));
    }
    map_up_to(map, PAGE_SIZE, end);
    let bytes = core::ptr::with_exposed_provenance((window + offset) as usize);
    // SAFETY: mapped read-only until `forget_device_tree`, whose caller keeps no reference.
    unsafe { core::slice::from_raw_parts(bytes, size as usize) }
}

fn start_console(map: &mut KernelMap, tree: &DeviceTree<'_>) {
    let Some(address) = device_tree::find_console(tree) else { return };
    // SAFETY: the device tree says that a PL011 is there.
    let registers = unsafe { map.map_device(Range::of_size(address, PAGE_SIZE)) };
    if let Ok(registers) = registers {
        // SAFETY: just mapped, for good.
        unsafe { console::set_uart(registers) };
    }
}

/// Whether this core has 16-bit ASIDs.
pub(crate) fn has_wide_asids() -> bool {
    cpu::memory_features() >> 4 & 0xf == 2
}

fn check_processor() {
    if !has_wide_asids() {
        stop(format_args!("this processor has no 16-bit ASIDs"));
    }
    if cpu::counter_frequency() < COUNTER_HZ_MIN {
        stop(format_args!("firmware did not set the counter's frequency to 1 MHz or more (CNTFRQ_EL0)"));
    }
}

/// GICv3: the registers of each core that may be used, by its affinity.
pub(crate) type Redistributors = [Option<(u64, Registers)>; CPUS_MAX];

fn start_gic(map: &mut KernelMap, machine: &Machine) -> (Gic, Redistributors) {
    let mut found = [None; CPUS_MAX];
    let gic = match machine.gic {
        device_tree::Gic::V2 { distributor, cpu_interface } => Gic::v2(
            map_registers(map, Range::of_size(distributor.start, PAGE_SIZE)),
            map_registers(map, Range::of_size(cpu_interface.start, PAGE_SIZE)),
        ),
        device_tree::Gic::V3 { distributor, redistributors } => {
            let distributor = map_registers(map, Range::of_size(distributor.start, 0x1_0000));
            let own = find_redistributors(map, machine, redistributors, &mut found)
                .unwrap_or_else(|| stop(format_args!("this core has no GICv3 redistributor")));
            let gic = Gic::v3(distributor, own);
            gic.unwrap_or_else(|| stop(format_args!("firmware keeps the GICv3 system registers from EL1")))
        }
    };
    (gic, found)
}

/// Finds this core's redistributor and, if there are to be more cores, those of the others.
fn find_redistributors(
    map: &mut KernelMap,
    machine: &Machine,
    region: Range,
    found: &mut Redistributors,
) -> Option<Registers> {
    let mut others = machine.cpus.iter().flatten().filter(|_| CORES > 1).count();
    let mut own = None;
    let mut start = region.start;
    while (own.is_none() || others > 0) && start + 0x2_0000 <= region.end {
        // SAFETY: the device tree says that these are the interrupt controller's registers; LPIs are never set up.
        let registers = unsafe { map.map_device(Range::of_size(start, 0x2_0000)) }.ok()?;
        let (is_own, stride) = gic::inspect_redistributor(&registers, cpu::affinity());
        if is_own {
            own = Some(registers);
        }
        for (place, core) in found.iter_mut().zip(&machine.cpus).filter(|_| CORES > 1) {
            if let Some(core) = core
                && gic::inspect_redistributor(&registers, core.affinity).0
            {
                *place = Some((core.affinity, registers));
                others -= 1;
            }
        }
        let Some(stride) = stride else { break };
        start += stride;
    }
    own
}

fn map_registers(map: &mut KernelMap, range: Range) -> Registers {
    // SAFETY: the device tree says that these are the interrupt controller's registers; ITS and its DMA are never touched.
    unsafe { map.map_device(range) }.unwrap_or_else(|OutOfTables| no_tables())
}

fn say_hello(machine: &Machine, gic: &Gic, entry_level: u64) {
    let pieces = machine.memory.as_slice().len();
    say!("HybridOS kernel {}", env!("CARGO_PKG_VERSION"));
    say!(
        "  core {:#x} (MIDR {:#010x}){}, entered at EL{entry_level}, GICv{}, PSCI {}",
        cpu::affinity() & 0xff_00ff_ffff,
        cpu::main_id(),
        if CORES == 1 && machine.cpu_count > 1 { ", the only one in use" } else { "" },
        gic.version(),
        match machine.psci {
            Some(device_tree::PsciConduit::Hvc) => "by HVC",
            Some(device_tree::PsciConduit::Smc) => "by SMC",
            None => "none",
        }
    );
    say!("  memory {} MiB in {pieces} piece{}", machine.memory.size() >> 20, if pieces == 1 { "" } else { "s" });
}

fn map_memory(map: &mut KernelMap, mapped: &RegionSet<REGIONS_MAX>) {
    for range in mapped.as_slice() {
        // SAFETY: the direct map is empty; the kernel image, where Rust's own objects are, is not in `mapped`.
        unsafe { map.map(layout::DIRECT_BASE + range.start, *range, KernelPage::Normal) }
            .unwrap_or_else(|OutOfTables| no_tables());
    }
}

/// A root task in memory.
struct RootTask {
    physical: Range,
    address: u64,
    entry: u64,
}

fn load_root_task(machine: &Machine, memory: &MemoryPlan) -> RootTask {
    let Some(initrd) = machine.initrd else {
        stop(format_args!("no root task: the machine was started without an initrd"))
    };
    if !memory.mapped.contains(&initrd) {
        stop(format_args!("the initrd is not in memory, or not in a part that can be used"));
    }
    let bytes = core::ptr::with_exposed_provenance(direct(initrd.start));
    // SAFETY: in the direct map, and nobody writes there before user space runs.
    let bytes: &[u8] = unsafe { core::slice::from_raw_parts(bytes, initrd.size() as usize) };
    let file = Executable::try_new(bytes, hybrid_abi::vm::USER_TOP + 1);
    let file = file.unwrap_or_else(|error| stop(format_args!("the initrd is no root task: {error}")));
    let size = file.end - file.start;
    let Some(start) = memory.free.clone().take_from_end(size, PAGE_SIZE) else {
        stop(format_args!("the root task needs {} KiB in one piece, and there is no such piece", size >> 10))
    };
    // SAFETY: `start` was free memory of that size in the direct map, and is nobody else's now.
    unsafe { copy_segments(&file, start, size) };
    say!("  root task {} KiB at {:#x}, entry {:#x}", size >> 10, file.start, file.entry);
    RootTask { physical: Range::of_size(start, size), address: file.start, entry: file.entry }
}

/// # Safety
/// `[start, start + size)` is memory in the direct map that belongs to the caller alone; `size` is what `file` needs.
unsafe fn copy_segments(file: &Executable<'_>, start: u64, size: u64) {
    // SAFETY: the caller's promise.
    unsafe { cache::zero(direct(start), size as usize) };
    for segment in file.segments() {
        let place = core::ptr::with_exposed_provenance_mut::<u8>(direct(start + (segment.address - file.start)));
        // SAFETY: `Executable` has checked that each segment is inside [file.start, file.end) and that its data fits.
        unsafe { place.copy_from_nonoverlapping(segment.data.as_ptr(), segment.data.len()) };
        if !segment.data.is_empty() {
            // SAFETY: the same memory; code must reach the point of unification before it is executed. The zeros around it have been
            // cleaned already, and no instruction cache has seen this memory since entry.s invalidated it.
            unsafe { cache::maintain(CacheOperation::Unify, place.expose_provenance(), segment.data.len()) };
        }
    }
}

#[cfg(feature = "smp")]
fn start_others(
    kernel: &Kernel<Hardware>,
    map: &mut KernelMap,
    machine: &Machine,
    mapped: &RegionSet<REGIONS_MAX>,
    redistributors: &Redistributors,
) -> usize {
    let count = crate::secondary::start_all(kernel, map, machine, mapped, redistributors);
    say!("  {count} of {} cores in use", machine.cpu_count.max(1));
    count
}

fn boot(
    kernel: &Kernel<Hardware>,
    machine: &Machine,
    mut reserved: RegionSet<REGIONS_MAX>,
    image: &RootTask,
    tree: Range,
    cores: usize,
) -> Option<hybrid_kernel_core::object::TcbRef> {
    if reserved.insert(image.physical).is_err() {
        stop(format_args!("memory is in too many pieces"));
    }
    let mut ram = [PhysRange::default(); REGIONS_MAX];
    let mut used = [PhysRange::default(); REGIONS_MAX];
    let result = kernel.boot(&BootParameters {
        ram: as_phys(&machine.memory, &mut ram),
        reserved: as_phys(&reserved, &mut used),
        recycled: &[],
        image: PhysRange { start: image.physical.start, end: image.physical.end },
        image_vaddr: image.address,
        entry: image.entry,
        device_tree: Some((tree.start, tree.size())),
        device_top: 1 << 40,
        cores,
        root_cnode_bits: machine.root_cnode_bits.unwrap_or(ROOT_CNODE_BITS),
    });
    let first = result.unwrap_or_else(|error| stop(format_args!("the kernel's objects do not fit: {error:?}")));
    if kernel.lost_memory() > 0 {
        say!("  {} KiB are not used: memory is in more than 230 pieces", kernel.lost_memory().div_ceil(1024));
    }
    first
}

fn as_phys<'a>(set: &RegionSet<REGIONS_MAX>, place: &'a mut [PhysRange; REGIONS_MAX]) -> &'a [PhysRange] {
    let ranges = set.as_slice();
    for (to, from) in place.iter_mut().zip(ranges) {
        *to = PhysRange { start: from.start, end: from.end };
    }
    &place[..ranges.len()]
}

fn no_tables() -> ! {
    stop(format_args!("memory or devices are in too many pieces for the kernel's tables"))
}

const DEVICE_TREE_WINDOW: u64 = 0x20_0000;
/// The smallest budget, 20 µs, must be some ticks.
const COUNTER_HZ_MIN: u64 = 1_000_000;
