//! The boot core's way from entry.s to user space; runs once and answers each failure with one sentence.

use hybrid_abi::limits::ROOT_CNODE_BITS;
use hybrid_kernel_core::boot::{BootError, BootParameters};
use hybrid_kernel_core::kernel::Kernel;
use hybrid_kernel_core::platform::{CacheOperation, PhysRange};

use crate::console::{self, Hex, say};
use crate::cores::{self, CORES};
use crate::descriptor::KernelPage;
use crate::device_tree::{CPUS_MAX, DeviceTree, Machine, MachineError, PsciConduit, REGIONS_MAX};
use crate::elf::Executable;
use crate::gic::{self, Gic};
use crate::hardware::Hardware;
use crate::kernel_map::{KernelMap, OutOfTables};
use crate::layout::{self, PAGE_SIZE, direct};
use crate::memory::{MemoryPlan, interrupt_controller};
use crate::panic::stop;
use crate::regions::{Range, RegionSet};
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
    let tree = usable(DeviceTree::try_new(tree_bytes));
    let (console, machine) = Machine::read(&tree);
    start_console(&mut map, console);
    let machine = usable(machine);
    psci::set_conduit(machine.psci);
    check_processor();
    let (gic, redistributors) = start_gic(&mut map, &machine);
    say_hello(&machine, entry_level);

    let tree_range = Range::of_size(device_tree, tree.used_size() as u64);
    let memory = usable(MemoryPlan::new(&machine, map.image(), tree_range).map_err(MachineError::from));
    if !memory.mapped.contains(&tree_range) {
        stop!("the device tree is not in memory");
    }
    map_memory(&mut map, &memory.mapped);
    // SAFETY: `tree` and `tree_bytes` are not used below.
    unsafe { map.forget(layout::DEVICE_TREE_BASE, DEVICE_TREE_WINDOW / PAGE_SIZE) };

    let image = load_root_task(&machine, &memory);
    // SAFETY: all of `mapped` is in the direct map now and holds no Rust object; `empty_space` is from entry.s.
    let hardware = unsafe { Hardware::start(gic, memory.mapped.clone(), empty_space) };
    // SAFETY: called once.
    let kernel = unsafe { run::install(Kernel::new(hardware)) };
    #[cfg(feature = "smp")]
    let cores = crate::secondary::start_all(kernel, &mut map, &machine, &memory.mapped, &redistributors);
    #[cfg(not(feature = "smp"))]
    let (cores, _) = (1, redistributors);
    if CORES > 1 {
        say!("  ", cores as u64, " of ", machine.cpu_count.max(1) as u64, " cores in use");
    }
    let first = boot(kernel, &machine, memory.reserved, &image, tree_range, cores);
    // SAFETY: installed and booted.
    unsafe { run::leave_to_user(first) }
}

fn usable<T>(result: Result<T, MachineError>) -> T {
    result.unwrap_or_else(|error| stop!(error.sentence()))
}

fn with_tables<T>(result: Result<T, OutOfTables>) -> T {
    result.unwrap_or_else(|OutOfTables| stop!("memory or devices are in too many pieces for the kernel's tables"))
}

fn read_device_tree(map: &mut KernelMap, physical: u64) -> &'static [u8] {
    if physical == 0 || !physical.is_multiple_of(8) || physical >= layout::DIRECT_SIZE {
        stop!(MachineError::Magic.sentence());
    }
    let offset = physical % PAGE_SIZE;
    let window = layout::DEVICE_TREE_BASE;
    let map_up_to = |map: &mut KernelMap, from: u64, to: u64| {
        let range = Range { start: physical - offset + from, end: physical - offset + to };
        // SAFETY: the window is unused; nobody writes the device tree while boot code reads it.
        with_tables(unsafe { map.map(window + from, range, KernelPage::ReadOnly) });
    };
    map_up_to(map, 0, PAGE_SIZE);
    let head = core::ptr::with_exposed_provenance((window + offset) as usize);
    // SAFETY: 8 bytes of the page just mapped; `physical` is 8-byte aligned, so they do not reach over its end.
    let head: &[u8] = unsafe { core::slice::from_raw_parts(head, 8) };
    let size = usable(DeviceTree::total_size(head));
    let end = (offset + u64::from(size)).next_multiple_of(PAGE_SIZE);
    if end > DEVICE_TREE_WINDOW {
        stop!("the device tree is larger than 2 MiB");
    }
    map_up_to(map, PAGE_SIZE, end);
    let bytes = core::ptr::with_exposed_provenance((window + offset) as usize);
    // SAFETY: mapped read-only until `forget_device_tree`, whose caller keeps no reference.
    unsafe { core::slice::from_raw_parts(bytes, size as usize) }
}

fn start_console(map: &mut KernelMap, address: Option<u64>) {
    let Some(address) = address else { return };
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
        stop!("this processor has no 16-bit ASIDs");
    }
    if cpu::counter_frequency() < COUNTER_HZ_MIN {
        stop!("firmware did not set the counter's frequency to 1 MHz or more (CNTFRQ_EL0)");
    }
}

/// GICv3: the registers of each core that may be used, by its affinity.
pub(crate) type Redistributors = [Option<(u64, Registers)>; CPUS_MAX];

fn start_gic(map: &mut KernelMap, machine: &Machine) -> (Gic, Redistributors) {
    let [distributor, cores] = interrupt_controller(&machine.gic);
    let distributor = map_registers(map, distributor);
    let mut found = [None; CPUS_MAX];
    let gic = if machine.gic.is_v3 {
        let own = find_redistributors(map, machine, &mut found);
        Gic::v3(distributor, own.unwrap_or_else(|| stop!("this core has no GICv3 redistributor")))
    } else {
        Gic::v2(distributor, map_registers(map, cores))
    };
    (gic.unwrap_or_else(|| stop!("firmware keeps the GICv3 system registers from EL1")), found)
}

/// Finds this core's redistributor and, if there are to be more cores, those of the others.
fn find_redistributors(map: &mut KernelMap, machine: &Machine, found: &mut Redistributors) -> Option<Registers> {
    let region = machine.gic.cores;
    let (mut own, mut start) = (None, region.start);
    while (CORES > 1 || own.is_none()) && start + 0x2_0000 <= region.end {
        // SAFETY: the device tree says that these are the interrupt controller's registers; LPIs are never set up.
        let Ok(registers) = (unsafe { map.map_device(Range::of_size(start, 0x2_0000)) }) else { break };
        let (is_own, stride) = gic::inspect_redistributor(&registers, cpu::affinity());
        own = if is_own { Some(registers) } else { own };
        for (place, core) in found.iter_mut().zip(machine.cpus.iter().flatten()) {
            if gic::inspect_redistributor(&registers, core.affinity).0 {
                *place = Some((core.affinity, registers));
            }
        }
        let Some(stride) = stride else { break };
        start += stride;
    }
    own
}

fn map_registers(map: &mut KernelMap, range: Range) -> Registers {
    // SAFETY: the device tree says that these are the interrupt controller's registers; ITS and its DMA are never touched.
    with_tables(unsafe { map.map_device(range) })
}

fn say_hello(machine: &Machine, entry_level: u64) {
    let pieces = machine.memory.as_slice().len() as u64;
    let alone = if CORES == 1 && machine.cpu_count > 1 { ", the only one in use" } else { "" };
    let gic = if machine.gic.is_v3 { ", GICv3" } else { ", GICv2" };
    let psci = match machine.psci {
        Some(PsciConduit::Hvc) => ", PSCI by HVC",
        Some(PsciConduit::Smc) => ", PSCI by SMC",
        None => ", PSCI none",
    };
    say!("HybridOS kernel ", env!("CARGO_PKG_VERSION"));
    let (core, kind) = (Hex(cpu::affinity() & 0xff_00ff_ffff), Hex(cpu::main_id()));
    say!("  core ", core, " (MIDR ", kind, ")", alone, ", entered at EL", entry_level, gic, psci);
    say!("  memory ", machine.memory.size() >> 20, " MiB in ", pieces, if pieces == 1 { " piece" } else { " pieces" });
}

fn map_memory(map: &mut KernelMap, mapped: &RegionSet<REGIONS_MAX>) {
    for range in mapped.as_slice() {
        // SAFETY: the direct map is empty; the kernel image, where Rust's own objects are, is not in `mapped`.
        with_tables(unsafe { map.map(layout::DIRECT_BASE + range.start, *range, KernelPage::Normal) });
    }
}

/// A root task in memory.
struct RootTask {
    physical: Range,
    address: u64,
    entry: u64,
}

fn load_root_task(machine: &Machine, memory: &MemoryPlan) -> RootTask {
    let Some(initrd) = machine.initrd else { stop!("no root task: the machine was started without an initrd") };
    if !memory.mapped.contains(&initrd) {
        stop!("the initrd is not in memory, or not in a part that can be used");
    }
    let bytes = core::ptr::with_exposed_provenance(direct(initrd.start));
    // SAFETY: in the direct map, and nobody writes there before user space runs.
    let bytes: &[u8] = unsafe { core::slice::from_raw_parts(bytes, initrd.size() as usize) };
    let file = Executable::try_new(bytes, hybrid_abi::vm::USER_TOP + 1);
    let file = file.unwrap_or_else(|error| stop!("the initrd is no root task: ", error.sentence()));
    let size = file.end - file.start;
    let Some(start) = memory.free.clone().take_from_end(size, PAGE_SIZE) else {
        stop!("the root task needs ", size >> 10, " KiB in one piece, and there is no such piece")
    };
    // SAFETY: `start` was free memory of that size in the direct map, and is nobody else's now.
    unsafe { copy_segments(&file, start, size) };
    say!("  root task ", size >> 10, " KiB at ", Hex(file.start), ", entry ", Hex(file.entry));
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

fn boot(
    kernel: &Kernel<Hardware>,
    machine: &Machine,
    mut reserved: RegionSet<REGIONS_MAX>,
    image: &RootTask,
    tree: Range,
    cores: usize,
) -> Option<hybrid_kernel_core::object::TcbRef> {
    usable(reserved.insert(image.physical).map_err(MachineError::from));
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
    let first = result.unwrap_or_else(|error| {
        stop!(match error {
            BootError::TooLittleMemory => "there is no piece of memory for the root task's objects",
            BootError::BadImage => "the root task is too large, or has a bad address",
            BootError::BadMemoryMap => "the device tree's memory ranges contradict each other",
        })
    });
    if kernel.lost_memory() > 0 {
        let lost = kernel.lost_memory().div_ceil(1024);
        say!("  ", lost, " KiB are not used: memory is in more than 230 pieces");
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

const DEVICE_TREE_WINDOW: u64 = 0x20_0000;
/// The smallest budget, 20 µs, must be some ticks.
const COUNTER_HZ_MIN: u64 = 1_000_000;
