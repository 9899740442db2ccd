//! Plans what becomes of the machine's memory at boot; touches none of it.

use crate::device_tree::{Gic, Machine, REGIONS_MAX};
use crate::layout::{DIRECT_SIZE, PAGE_SIZE};
use crate::regions::{Full, Range, RegionSet};

/// What becomes of the machine's memory. All ranges are page aligned.
#[derive(Clone, Debug)]
pub struct MemoryPlan {
    /// What the direct map covers. The kernel image is not in it.
    pub mapped: RegionSet<REGIONS_MAX>,
    /// Where the root task may be put: mapped, and nothing uses it yet.
    pub free: RegionSet<REGIONS_MAX>,
    /// What user space never gets: firmware's parts, the kernel, the device tree, the interrupt controller.
    pub reserved: RegionSet<REGIONS_MAX>,
}

impl MemoryPlan {
    /// Plans for a kernel `image` and a device tree at physical addresses.
    ///
    /// # Errors
    /// [`Full`] if memory is in more than [`REGIONS_MAX`] pieces.
    pub fn new(machine: &Machine, image: Range, tree: Range) -> Result<Self, Full> {
        let tree = tree.grown_to_pages();
        let initrd = machine.initrd.unwrap_or_default();
        let mut reserved = machine.reserved.clone();
        for range in machine.memory.as_slice() {
            reserved.insert(range.intersection(&NEVER_USED))?;
            // An object's address is never 0.
            reserved.insert(range.intersection(&Range::of_size(0, PAGE_SIZE)))?;
        }

        // Some firmware lists device tree and initrd as reserved; the kernel reads both, with the pages that they share.
        let mut unmapped = reserved.clone();
        unmapped.remove(initrd.grown_to_pages())?;
        unmapped.remove(tree)?;
        unmapped.insert(NEVER_USED)?;
        unmapped.insert(image)?;
        let mapped = without(&machine.memory, &unmapped)?;

        // The initrd's whole pages become free once it has been read.
        reserved.remove(initrd.shrunk_to_pages())?;
        reserved.insert(image)?;
        reserved.insert(tree)?;
        for range in interrupt_controller(&machine.gic) {
            reserved.insert(range.grown_to_pages())?;
        }
        let mut free = without(&mapped, &reserved)?;
        free.remove(initrd.grown_to_pages())?;
        Ok(Self { mapped, free, reserved })
    }
}

fn without<const N: usize>(set: &RegionSet<N>, holes: &RegionSet<N>) -> Result<RegionSet<N>, Full> {
    let mut rest = set.clone();
    for hole in holes.as_slice() {
        rest.remove(*hole)?;
    }
    Ok(rest)
}

/// The interrupt controller's registers, which user space never gets (kernel-abi §10.6): distributor, and what belongs to the cores.
pub fn interrupt_controller(gic: &Gic) -> [Range; 2] {
    let (distributor, cores) =
        if gic.is_v3 { (0x1_0000, gic.cores.size().min(8 * 0x2_0000)) } else { (PAGE_SIZE, PAGE_SIZE) };
    [Range::of_size(gic.distributor.start, distributor), Range::of_size(gic.cores.start, cores)]
}

/// Beyond the direct map.
const NEVER_USED: Range = Range { start: DIRECT_SIZE, end: !(PAGE_SIZE - 1) };

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Range = Range { start: 0x4020_0000, end: 0x4028_0000 };
    const TREE: Range = Range { start: 0x4800_0000, end: 0x4800_1fa3 };

    fn machine() -> Machine {
        let mut memory = RegionSet::default();
        memory.insert(Range::of_size(0x4000_0000, 0x1000_0000)).unwrap();
        Machine {
            memory,
            initrd: Some(Range { start: 0x4400_0000, end: 0x4400_5123 }),
            gic: Gic {
                is_v3: false,
                distributor: Range::of_size(0x800_0000, 0x1_0000),
                cores: Range::of_size(0x801_0000, 0x1_0000),
            },
            cpu_count: 1,
            ..Machine::default()
        }
    }

    #[test]
    fn plain_machine_maps_all_but_the_kernel() {
        let plan = MemoryPlan::new(&machine(), IMAGE, TREE).unwrap();
        assert_eq!(plan.mapped.size(), 0x1000_0000 - IMAGE.size());
        assert!(!plan.mapped.contains(&Range::of_size(IMAGE.start, 1)));
        assert_eq!(plan.free.size(), plan.mapped.size() - 0x2000 - 0x6000);
        assert!(plan.reserved.contains(&TREE.grown_to_pages()) && plan.reserved.contains(&IMAGE));
        assert!(plan.reserved.contains(&Range::of_size(0x801_0000, 0x1000)));
        assert!(!plan.reserved.contains(&Range::of_size(0x801_1000, 1)));
        assert!(!plan.reserved.contains(&Range::of_size(0x4400_0000, 1)), "the initrd becomes untyped memory");
    }

    #[test]
    fn initrd_and_tree_that_firmware_reserved_are_readable() {
        let mut machine = machine();
        machine.reserved.insert(Range { start: 0x4400_0000, end: 0x4401_0000 }).unwrap();
        machine.reserved.insert(TREE.grown_to_pages()).unwrap();
        let plan = MemoryPlan::new(&machine, IMAGE, TREE).unwrap();
        assert!(plan.mapped.contains(&machine.initrd.unwrap()) && plan.mapped.contains(&TREE));
        // The page that the initrd's end shares with firmware stays firmware's.
        assert!(plan.reserved.contains(&Range { start: 0x4400_5000, end: 0x4401_0000 }));
        assert!(!plan.reserved.contains(&Range::of_size(0x4400_4000, 1)));
        assert!(!plan.mapped.contains(&Range::of_size(0x4400_6000, 1)));
    }

    #[test]
    fn first_page_and_memory_beyond_the_direct_map_are_not_given_out() {
        let mut machine = machine();
        machine.memory.insert(Range::of_size(0, 0x10_0000)).unwrap();
        machine.memory.insert(Range::of_size(DIRECT_SIZE - 0x1000, 0x10_0000)).unwrap();
        let plan = MemoryPlan::new(&machine, IMAGE, TREE).unwrap();
        for never in [Range::of_size(0, 0x1000), Range::of_size(DIRECT_SIZE, 0xf_f000)] {
            assert!(plan.reserved.contains(&never));
            assert!(!plan.mapped.contains(&Range::of_size(never.start, 1)));
        }
        assert!(plan.mapped.contains(&Range::of_size(0x1000, 0xf_f000)));
        // Where address 0 is a device, it stays one.
        assert!(
            !MemoryPlan::new(&super::tests::machine(), IMAGE, TREE).unwrap().reserved.contains(&Range::of_size(0, 1))
        );
    }
}
