//! Memory and registers for virtio-drivers: one DMA region, one page of slots; no device logic.
#![expect(unsafe_code, reason = "`Hal` is an unsafe trait")]
use alloc::vec::Vec;
use core::ptr::NonNull;
use hybrid_drv::{DmaPool, DmaRegion, Mmio, PAGE};
use spinning_top::Spinlock;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// virtio-drivers has no place for a value of ours in its `Hal`, so the one pool of this driver is a static.
static POOL: Spinlock<Option<DmaPool>> = Spinlock::new(None);

/// Bytes between the register blocks of QEMU's virtio-mmio slots; eight share a page.
const SLOT: usize = 0x200;
/// Virtio 1.2 §4.2.2: offsets of the magic value, the version and the device id.
const MAGIC: usize = 0;
const VERSION: usize = 4;
const DEVICE_ID: usize = 8;
const MAGIC_VALUE: u32 = 0x7472_6976;
const MODERN: u32 = 2;

/// Gives the driver its DMA memory, once. False: it had some already, and keeps it.
pub fn install(region: DmaRegion) -> bool {
    let mut pool = POOL.lock();
    let is_first = pool.is_none();
    if is_first {
        *pool = Some(DmaPool::new(region));
    }
    is_first
}

/// Gives the driver other DMA memory, with nothing allocated. For tests: one process, many drivers, each after the last one is gone.
#[cfg(feature = "fake")]
pub fn install_again(region: DmaRegion) {
    *POOL.lock() = Some(DmaPool::new(region));
}

/// Zeroed DMA memory of whole pages.
pub(crate) fn allocate(bytes: usize) -> Option<DmaRegion> {
    let mut pool = POOL.lock();
    let pool = pool.as_mut()?;
    let block = pool.alloc(bytes.div_ceil(PAGE))?;
    let offset = pool.region().offset_of(block.base, bytes)?;
    pool.region().part(offset, bytes)
}

/// The transport of the modern device of kind `device_id` (Virtio 1.2 §5) among the slots of a register page, if there is exactly one.
#[must_use]
pub fn find(page: &Mmio, device_id: u32) -> Option<MmioTransport<'static>> {
    let is_wanted = |slot: &usize| {
        page.read32(slot + MAGIC) == MAGIC_VALUE
            && page.read32(slot + VERSION) == MODERN
            && page.read32(slot + DEVICE_ID) == device_id
    };
    let slots: Vec<usize> = (0..page.len() / SLOT).map(|slot| slot * SLOT).filter(is_wanted).collect();
    let [slot] = slots[..] else { return None };
    let registers = page.part(slot, SLOT)?.base().cast::<VirtIOHeader>();
    // SAFETY: the registers are mapped as device memory for the rest of the program (`Mmio`), SLOT bytes of them and 0x200-aligned. Who looks
    // twice has two transports of one device, which confuses the device and no memory: registers are accessed by volatile words only.
    unsafe { MmioTransport::new(registers, SLOT) }.ok()
}

/// Memory out of [`POOL`].
#[derive(Debug)]
pub(crate) struct PoolHal;

// SAFETY: `dma_alloc`: `DmaPool` gives out page-aligned, zeroed blocks of the one region that securityd mapped for devices, each to one
// holder until it is freed, with the address at which devices see it. `share`: buffers in that region are visible to the device as they are, others
// are refused by a panic, so no other memory is ever told to the device. `mmio_phys_to_virt` never returns.
unsafe impl Hal for PoolHal {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        match POOL.lock().as_mut().and_then(|pool| pool.alloc(pages)) {
            Some(block) => (block.paddr, block.base),
            // virtio-drivers takes the address 0 as "none left".
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _vaddr: NonNull<u8>, pages: usize) -> i32 {
        let is_freed = POOL.lock().as_mut().is_some_and(|pool| pool.free(paddr, pages));
        if is_freed { 0 } else { -1 }
    }

    unsafe fn mmio_phys_to_virt(_paddr: PhysAddr, _size: usize) -> NonNull<u8> {
        panic!("only PCI devices have registers to map, and this driver has none")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        let paddr = POOL.lock().as_ref().and_then(|pool| pool.paddr_of(buffer.cast(), buffer.len()));
        paddr.expect("every buffer is part of the pool: `ring.rs` makes no others")
    }

    unsafe fn unshare(_paddr: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}
