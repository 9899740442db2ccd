//! The few facts about the machine that the kernel needs, from its device tree.

use core::fmt;

use hybrid_abi::limits::{ROOT_CNODE_BITS, ROOT_CNODE_BITS_MAX};

use super::blob::{BlobError, DEPTH_MAX, DeviceTree, Node, cells};
use crate::regions::{Full, Range, RegionSet};

/// How many separate ranges of memory, and of reserved memory, are understood.
pub const REGIONS_MAX: usize = 64;

/// The machine as the device tree describes it. All addresses are physical.
#[derive(Clone, Debug)]
pub struct Machine {
    /// All RAM, page aligned, reserved parts included.
    pub memory: RegionSet<REGIONS_MAX>,
    /// What firmware keeps for itself, page aligned.
    pub reserved: RegionSet<REGIONS_MAX>,
    /// The initial RAM disk: the root task's ELF file.
    pub initrd: Option<Range>,
    /// Registers of the PL011 that `/chosen` names, or else of the first one.
    pub console: Option<u64>,
    /// The interrupt controller.
    pub gic: Gic,
    /// How to call the firmware, if it speaks PSCI.
    pub psci: Option<PsciConduit>,
    /// Number of processor nodes.
    pub cpu_count: usize,
    /// `root_cnode_bits=N` of the command line: log2 of the slots that the root task's CNode has at least.
    pub root_cnode_bits: Option<u32>,
    /// The first of them.
    pub cpus: [Option<Processor>; CPUS_MAX],
}

/// The interrupt controller's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gic {
    /// GICv2.
    V2 {
        /// Distributor.
        distributor: Range,
        /// CPU interface.
        cpu_interface: Range,
    },
    /// GICv3 or later, used by system registers.
    V3 {
        /// Distributor.
        distributor: Range,
        /// The first region of redistributors.
        redistributors: Range,
    },
}

/// Processors that are looked at.
pub const CPUS_MAX: usize = 8;

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Its affinity as `MPIDR_EL1` has it.
    pub affinity: u64,
    /// How it is started.
    pub method: EnableMethod,
}

/// How a processor is started (Devicetree specification 3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnableMethod {
    /// By firmware's CPU_ON.
    Psci,
    /// By writing its entry point to this physical address.
    SpinTable(u64),
    /// It cannot be.
    Unknown,
}

/// The instruction that calls PSCI firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PsciConduit {
    /// `HVC #0`.
    Hvc,
    /// `SMC #0`.
    Smc,
}

/// Why this machine cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineError {
    /// The blob itself is bad.
    Blob(BlobError),
    /// No `/memory` node with usable memory.
    NoMemory,
    /// More than [`REGIONS_MAX`] separate ranges.
    TooManyRegions,
    /// No GICv2 or GICv3.
    NoInterruptController,
    /// The generic timer's virtual interrupt is not ID 27.
    WrongTimer,
    /// The initrd's start and end contradict each other.
    BadInitrd,
    /// The command line's `root_cnode_bits` is no number that a root CNode can have.
    BadRootCnodeBits,
}

impl fmt::Display for MachineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blob(BlobError::Magic) => "x0 does not point to a device tree",
            Self::Blob(BlobError::Header) => "the device tree's header is damaged",
            Self::Blob(BlobError::Version) => "the device tree has an unknown version (this kernel reads version 17)",
            Self::NoMemory => "the device tree names no memory",
            Self::TooManyRegions => "the device tree names too many memory ranges",
            Self::NoInterruptController => "the device tree names no GICv2 or GICv3 interrupt controller",
            Self::WrongTimer => "the device tree names no ARMv8 timer with virtual interrupt 27",
            Self::BadInitrd => "the device tree's initrd range is damaged",
            Self::BadRootCnodeBits => "root_cnode_bits on the command line is no number from 12 to 20",
        })
    }
}

impl From<Full> for MachineError {
    fn from(_: Full) -> Self {
        Self::TooManyRegions
    }
}

/// Address of the console alone, for reporting that the rest is unusable.
pub fn find_console(tree: &DeviceTree<'_>) -> Option<u64> {
    let mut finder = ConsoleFinder::new(tree);
    walk(tree, |visit| {
        finder.visit(visit);
        Ok::<(), Full>(())
    })
    .ok()?;
    finder.chosen.or(finder.first)
}

impl Machine {
    /// Reads everything from the tree.
    ///
    /// # Errors
    /// The first thing missing or contradictory.
    pub fn try_from_tree(tree: &DeviceTree<'_>) -> Result<Self, MachineError> {
        let mut found = Found::default();
        for range in tree.reservations() {
            found.reserved.insert(range.grown_to_pages())?;
        }
        walk(tree, |visit| found.visit(visit))?;
        if found.memory.as_slice().is_empty() {
            return Err(MachineError::NoMemory);
        }
        if !found.has_timer {
            return Err(MachineError::WrongTimer);
        }
        Ok(Self {
            memory: found.memory,
            reserved: found.reserved,
            initrd: found.initrd,
            console: find_console(tree),
            gic: found.gic.ok_or(MachineError::NoInterruptController)?,
            psci: found.psci,
            cpu_count: found.cpu_count,
            root_cnode_bits: found.root_cnode_bits,
            cpus: found.cpus,
        })
    }
}

#[derive(Default)]
struct Found {
    memory: RegionSet<REGIONS_MAX>,
    reserved: RegionSet<REGIONS_MAX>,
    initrd: Option<Range>,
    gic: Option<Gic>,
    psci: Option<PsciConduit>,
    has_timer: bool,
    cpu_count: usize,
    root_cnode_bits: Option<u32>,
    cpus: [Option<Processor>; CPUS_MAX],
}

impl Found {
    fn visit(&mut self, visit: &Visit<'_, '_>) -> Result<(), MachineError> {
        let node = visit.node;
        if node.depth == 1 && node.name == b"chosen" {
            return self.chosen(node);
        }
        if visit.parent_name() == Some(b"reserved-memory") && node.depth == 2 {
            for range in visit.registers() {
                self.reserved.insert(range.grown_to_pages())?;
            }
            return Ok(());
        }
        if !node.is_enabled() {
            return Ok(());
        }
        if node.depth == 1 && node.text(b"device_type") == Some(b"memory") {
            for range in visit.registers() {
                self.memory.insert(range.intersection(&ADDRESSABLE).shrunk_to_pages())?;
            }
        } else if node.text(b"device_type") == Some(b"cpu") {
            self.processor(visit);
        } else {
            self.device(visit);
        }
        Ok(())
    }

    fn chosen(&mut self, node: &Node<'_>) -> Result<(), MachineError> {
        let start = node.address(b"linux,initrd-start");
        let end = node.address(b"linux,initrd-end");
        self.initrd = match (start, end) {
            (Some(start), Some(end)) if start < end => Some(Range { start, end }),
            (None, None) => None,
            _ => return Err(MachineError::BadInitrd),
        };
        self.root_cnode_bits = root_cnode_bits(node.text(b"bootargs").unwrap_or(b""))?;
        Ok(())
    }

    fn processor(&mut self, visit: &Visit<'_, '_>) {
        let node = visit.node;
        let address_cells = visit.parents.last().map_or(0, |bus| bus.address_cells);
        let affinity = node.property(b"reg").and_then(|value| cells(value, 0, address_cells));
        let method = match (node.text(b"enable-method"), node.address(b"cpu-release-addr")) {
            (Some(b"psci"), _) => EnableMethod::Psci,
            (Some(b"spin-table"), Some(address)) => EnableMethod::SpinTable(address),
            _ => EnableMethod::Unknown,
        };
        if let (Some(place), Some(affinity)) = (self.cpus.get_mut(self.cpu_count), affinity) {
            *place = Some(Processor { affinity, method });
        }
        self.cpu_count = self.cpu_count.saturating_add(1);
    }

    fn device(&mut self, visit: &Visit<'_, '_>) {
        let node = visit.node;
        if node.is_compatible(GIC_V2) {
            let mut registers = visit.registers();
            if let (Some(distributor), Some(cpu_interface)) = (registers.next(), registers.next()) {
                self.gic = self.gic.or(Some(Gic::V2 { distributor, cpu_interface }));
            }
        } else if node.is_compatible(&[b"arm,gic-v3"]) {
            let mut registers = visit.registers();
            if let (Some(distributor), Some(redistributors)) = (registers.next(), registers.next()) {
                self.gic = self.gic.or(Some(Gic::V3 { distributor, redistributors }));
            }
        } else if node.is_compatible(&[b"arm,psci-1.0", b"arm,psci-0.2"]) {
            self.psci = match node.text(b"method") {
                Some(b"hvc") => Some(PsciConduit::Hvc),
                Some(b"smc") => Some(PsciConduit::Smc),
                _ => None,
            };
        } else if node.is_compatible(&[b"arm,armv8-timer"]) {
            // Secure, physical, virtual, hypervisor; each is (1 = PPI, number − 16, flags).
            let virtual_timer = node.property(b"interrupts").and_then(|value| cells(value, 6, 2));
            self.has_timer |= virtual_timer == Some((1 << 32) | 11);
        }
    }
}

/// The value of `root_cnode_bits=` on a command line. Other words are somebody else's and mean nothing here.
fn root_cnode_bits(line: &[u8]) -> Result<Option<u32>, MachineError> {
    let words = line.split(u8::is_ascii_whitespace);
    let Some(value) = words.filter_map(|word| word.strip_prefix(b"root_cnode_bits=")).next_back() else {
        return Ok(None);
    };
    let number = core::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    let number = number.filter(|bits| (ROOT_CNODE_BITS..=ROOT_CNODE_BITS_MAX).contains(bits));
    number.map(Some).ok_or(MachineError::BadRootCnodeBits)
}

struct ConsoleFinder<'a> {
    path: &'a [u8],
    chosen: Option<u64>,
    first: Option<u64>,
}

impl<'a> ConsoleFinder<'a> {
    fn new(tree: &DeviceTree<'a>) -> Self {
        let top = |name: &[u8]| tree.nodes().find(|node| node.depth == 1 && node.name == name);
        let option = top(b"chosen").and_then(|node| node.text(b"stdout-path")).unwrap_or(b"");
        let name = option.split(|&byte| byte == b':').next().unwrap_or(b"");
        let is_path = name.first() == Some(&b'/');
        let path = if is_path { name } else { top(b"aliases").and_then(|node| node.text(name)).unwrap_or(b"") };
        Self { path, chosen: None, first: None }
    }

    fn visit(&mut self, visit: &Visit<'_, '_>) {
        if !visit.node.is_enabled() || !visit.node.is_compatible(&[b"arm,pl011"]) {
            return;
        }
        let Some(registers) = visit.registers().next() else { return };
        self.first = self.first.or(Some(registers.start));
        if visit.has_path(self.path) {
            self.chosen = Some(registers.start);
        }
    }
}

/// A node together with the buses above it.
struct Visit<'a, 's> {
    node: &'s Node<'a>,
    parents: &'s [Bus<'a>],
}

/// What a node says about the addresses of its children.
#[derive(Clone, Copy)]
struct Bus<'a> {
    name: &'a [u8],
    address_cells: usize,
    size_cells: usize,
    parent_cells: usize,
    ranges: Option<&'a [u8]>,
}

impl<'a> Visit<'a, '_> {
    fn parent_name(&self) -> Option<&'a [u8]> {
        self.parents.last().map(|bus| bus.name)
    }

    fn has_path(&self, path: &[u8]) -> bool {
        let below_root = self.parents.iter().skip(1).map(|bus| bus.name);
        let own = below_root.chain(core::iter::once(self.node.name));
        path.first() == Some(&b'/') && own.eq(path.get(1..).unwrap_or(b"").split(|&byte| byte == b'/'))
    }

    /// The ranges of `reg`, translated to physical addresses; untranslatable ones are passed over.
    fn registers(&self) -> impl Iterator<Item = Range> {
        let value = self.node.property(b"reg").unwrap_or(&[]);
        let (address_cells, size_cells) = self.parents.last().map_or((0, 0), |bus| (bus.address_cells, bus.size_cells));
        let stride = address_cells + size_cells;
        let count = (value.len() / 4).checked_div(stride).unwrap_or(0);
        (0..count).filter_map(move |index| {
            let start = cells(value, index * stride, address_cells)?;
            let size = cells(value, index * stride + address_cells, size_cells)?;
            self.translated(start).map(|start| Range::of_size(start, size))
        })
    }

    fn translated(&self, address: u64) -> Option<u64> {
        // The root's children already have physical addresses.
        self.parents.iter().skip(1).rev().try_fold(address, |address, bus| bus.translated(address))
    }
}

impl Bus<'_> {
    fn translated(&self, address: u64) -> Option<u64> {
        let ranges = self.ranges?;
        if ranges.is_empty() {
            return Some(address);
        }
        let stride = self.address_cells + self.parent_cells + self.size_cells;
        (0..(ranges.len() / 4).checked_div(stride)?).find_map(|index| {
            let child = cells(ranges, index * stride, self.address_cells)?;
            let parent = cells(ranges, index * stride + self.address_cells, self.parent_cells)?;
            let size = cells(ranges, index * stride + self.address_cells + self.parent_cells, self.size_cells)?;
            let offset = address.checked_sub(child).filter(|&offset| offset < size)?;
            parent.checked_add(offset)
        })
    }
}

fn walk<'a, E>(tree: &DeviceTree<'a>, mut visitor: impl FnMut(&Visit<'a, '_>) -> Result<(), E>) -> Result<(), E> {
    const NO_BUS: Bus<'static> = Bus { name: b"", address_cells: 0, size_cells: 0, parent_cells: 0, ranges: None };
    let mut buses: [Bus<'a>; DEPTH_MAX] = [NO_BUS; DEPTH_MAX];
    for node in tree.nodes() {
        let (parents, rest) = buses.split_at_mut(node.depth.min(DEPTH_MAX));
        visitor(&Visit { node: &node, parents })?;
        if let Some(own) = rest.first_mut() {
            // Devicetree specification 2.3.5: the defaults are 2 and 1. More than 2 cells never hold a CPU address here.
            let cell_count = |name, default| node.cell(name).filter(|&count| count <= 2).unwrap_or(default);
            *own = Bus {
                name: node.name,
                address_cells: cell_count(b"#address-cells", 2) as usize,
                size_cells: cell_count(b"#size-cells", 1) as usize,
                parent_cells: parents.last().map_or(2, |bus| bus.address_cells),
                ranges: node.property(b"ranges"),
            };
        }
    }
    Ok(())
}

const GIC_V2: &[&[u8]] = &[b"arm,cortex-a15-gic", b"arm,gic-400", b"arm,cortex-a9-gic", b"arm,cortex-a7-gic"];
/// Physical addresses the kernel handles (kernel-abi §0.1: 40 bits).
const ADDRESSABLE: Range = Range { start: 0, end: 1 << 40 };
