//! The few facts about the machine that the kernel needs, from its device tree.

use hybrid_abi::limits::{ROOT_CNODE_BITS, ROOT_CNODE_BITS_MAX};

use super::MachineError;
use super::blob::{DEPTH_MAX, DeviceTree, Node, cells};
use crate::regions::{Full, Range, RegionSet};

/// How many separate ranges of memory, and of reserved memory, are understood.
pub const REGIONS_MAX: usize = 64;

/// The machine as the device tree describes it. All addresses are physical.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// All RAM, page aligned, reserved parts included.
    pub memory: RegionSet<REGIONS_MAX>,
    /// What firmware keeps for itself, page aligned.
    pub reserved: RegionSet<REGIONS_MAX>,
    /// The initial RAM disk: the root task's ELF file.
    pub initrd: Option<Range>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gic {
    /// GICv3 or later, used by system registers; else GICv2.
    pub is_v3: bool,
    /// Distributor.
    pub distributor: Range,
    /// GICv2: the CPU interface. GICv3: the first region of redistributors.
    pub cores: Range,
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
    Hvc = 1,
    /// `SMC #0`.
    Smc = 2,
}

impl From<Full> for MachineError {
    fn from(_: Full) -> Self {
        Self::TooManyRegions
    }
}

impl Machine {
    /// Reads everything from the tree. Gives the registers of the PL011 that `/chosen` names, or else of the first one, too: also where
    /// the rest is unusable, to say so.
    ///
    /// # Errors
    /// The first thing contradictory or missing.
    pub fn read(tree: &DeviceTree<'_>) -> (Option<u64>, Result<Self, MachineError>) {
        let mut found = Found { console_path: console_path(tree), ..Found::default() };
        let reserved = tree.reservations().try_for_each(|range| found.machine.reserved.insert(range.grown_to_pages()));
        let mut result = reserved.map_err(MachineError::from);
        walk(tree, |visit| result = result.and(found.visit(visit)));
        (found.console, result.and_then(|()| found.machine()))
    }
}

#[derive(Default)]
struct Found<'a> {
    machine: Machine,
    gic: Option<Gic>,
    has_timer: bool,
    console_path: &'a [u8],
    console: Option<u64>,
}

impl Found<'_> {
    fn machine(self) -> Result<Machine, MachineError> {
        if self.machine.memory.as_slice().is_empty() {
            return Err(MachineError::NoMemory);
        }
        if !self.has_timer {
            return Err(MachineError::WrongTimer);
        }
        Ok(Machine { gic: self.gic.ok_or(MachineError::NoInterruptController)?, ..self.machine })
    }

    fn visit(&mut self, visit: &Visit<'_, '_>) -> Result<(), MachineError> {
        let node = visit.node;
        if node.depth == 1 && node.name == b"chosen" {
            return self.chosen(node);
        }
        if visit.parent_name() == Some(b"reserved-memory") && node.depth == 2 {
            visit.registers().try_for_each(|range| self.machine.reserved.insert(range.grown_to_pages()))?;
        } else if node.is_enabled() {
            match node.text(b"device_type") {
                Some(b"memory") if node.depth == 1 => {
                    for range in visit.registers() {
                        self.machine.memory.insert(range.intersection(&ADDRESSABLE).shrunk_to_pages())?;
                    }
                }
                Some(b"cpu") => self.processor(visit),
                _ => self.device(visit),
            }
        }
        Ok(())
    }

    fn chosen(&mut self, node: &Node<'_>) -> Result<(), MachineError> {
        let start = node.number(b"linux,initrd-start");
        let end = node.number(b"linux,initrd-end");
        self.machine.initrd = match (start, end) {
            (Some(start), Some(end)) if start < end => Some(Range { start, end }),
            (None, None) => None,
            _ => return Err(MachineError::BadInitrd),
        };
        self.machine.root_cnode_bits = root_cnode_bits(node.text(b"bootargs").unwrap_or(b""))?;
        Ok(())
    }

    fn processor(&mut self, visit: &Visit<'_, '_>) {
        let node = visit.node;
        let address_cells = visit.parents.last().map_or(0, |bus| bus.address_cells);
        let affinity = node.property(b"reg").and_then(|value| cells(value, 0, address_cells));
        let method = match (node.text(b"enable-method"), node.number(b"cpu-release-addr")) {
            (Some(b"psci"), _) => EnableMethod::Psci,
            (Some(b"spin-table"), Some(address)) => EnableMethod::SpinTable(address),
            _ => EnableMethod::Unknown,
        };
        let Machine { cpus, cpu_count, .. } = &mut self.machine;
        if let (Some(place), Some(affinity)) = (cpus.get_mut(*cpu_count), affinity) {
            *place = Some(Processor { affinity, method });
        }
        *cpu_count = cpu_count.saturating_add(1);
    }

    fn device(&mut self, visit: &Visit<'_, '_>) {
        let node = visit.node;
        let mut registers = visit.registers();
        match node.compatible().find_map(Kind::of) {
            Some(Kind::Gic { is_v3 }) => {
                if let (Some(distributor), Some(cores)) = (registers.next(), registers.next()) {
                    self.gic.get_or_insert(Gic { is_v3, distributor, cores });
                }
            }
            Some(Kind::Psci) => {
                self.machine.psci = match node.text(b"method") {
                    Some(b"hvc") => Some(PsciConduit::Hvc),
                    Some(b"smc") => Some(PsciConduit::Smc),
                    _ => None,
                };
            }
            Some(Kind::Timer) => {
                // Secure, physical, virtual, hypervisor; each is (1 = PPI, number − 16, flags).
                let virtual_timer = node.property(b"interrupts").and_then(|value| cells(value, 6, 2));
                self.has_timer |= virtual_timer == Some((1 << 32) | 11);
            }
            Some(Kind::Console) => {
                let address = registers.next().map(|registers| registers.start);
                self.console =
                    if visit.has_path(self.console_path) { address.or(self.console) } else { self.console.or(address) };
            }
            None => {}
        }
    }
}

/// The devices that mean something here.
enum Kind {
    Gic { is_v3: bool },
    Psci,
    Timer,
    Console,
}

impl Kind {
    fn of(compatible: &[u8]) -> Option<Self> {
        match compatible {
            b"arm,cortex-a15-gic" | b"arm,gic-400" | b"arm,cortex-a9-gic" | b"arm,cortex-a7-gic" => {
                Some(Self::Gic { is_v3: false })
            }
            b"arm,gic-v3" => Some(Self::Gic { is_v3: true }),
            b"arm,psci-1.0" | b"arm,psci-0.2" => Some(Self::Psci),
            b"arm,armv8-timer" => Some(Self::Timer),
            b"arm,pl011" => Some(Self::Console),
            _ => None,
        }
    }
}

/// The value of `root_cnode_bits=` on a command line. Other words are somebody else's and mean nothing here.
fn root_cnode_bits(line: &[u8]) -> Result<Option<u32>, MachineError> {
    let words = line.split(u8::is_ascii_whitespace);
    let Some(value) = words.filter_map(|word| word.strip_prefix(b"root_cnode_bits=")).next_back() else {
        return Ok(None);
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(10);
    let number = value.iter().try_fold(0, |sum: u32, byte| sum.checked_mul(10)?.checked_add(digit(byte)?));
    let number = number.filter(|bits| (ROOT_CNODE_BITS..=ROOT_CNODE_BITS_MAX).contains(bits));
    number.map(Some).ok_or(MachineError::BadRootCnodeBits)
}

/// The path of the console that `/chosen` names, by an alias or by itself.
fn console_path<'a>(tree: &DeviceTree<'a>) -> &'a [u8] {
    let text = |node: &[u8], property: &[u8]| {
        let node = tree.nodes().find(|found| found.depth == 1 && found.name == node);
        node.and_then(|node| node.text(property)).unwrap_or(b"")
    };
    let name = text(b"chosen", b"stdout-path").split(|&byte| byte == b':').next().unwrap_or(b"");
    if name.first() == Some(&b'/') { name } else { text(b"aliases", name) }
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

fn walk<'a>(tree: &DeviceTree<'a>, mut visitor: impl FnMut(&Visit<'a, '_>)) {
    const NO_BUS: Bus<'static> = Bus { name: b"", address_cells: 0, size_cells: 0, parent_cells: 0, ranges: None };
    let mut buses: [Bus<'a>; DEPTH_MAX] = [NO_BUS; DEPTH_MAX];
    for node in tree.nodes() {
        let (parents, rest) = buses.split_at_mut(node.depth.min(DEPTH_MAX));
        visitor(&Visit { node: &node, parents });
        if let Some(own) = rest.first_mut() {
            // Devicetree specification 2.3.5: the defaults are 2 and 1. More than 2 cells never hold a CPU address here.
            let number = |name| node.number(name).and_then(|count| usize::try_from(count).ok());
            let cell_count = |name, default| number(name).filter(|&count| count <= 2).unwrap_or(default);
            *own = Bus {
                name: node.name,
                address_cells: cell_count(b"#address-cells", 2),
                size_cells: cell_count(b"#size-cells", 1),
                parent_cells: parents.last().map_or(2, |bus| bus.address_cells),
                ranges: node.property(b"ranges"),
            };
        }
    }
}

/// Physical addresses the kernel handles (kernel-abi §0.1: 40 bits).
const ADDRESSABLE: Range = Range { start: 0, end: 1 << 40 };
