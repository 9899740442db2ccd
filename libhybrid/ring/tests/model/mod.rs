//! Ring memory made of loom's atomics, for tests of what the memory model allows; no test of its own.
use hybrid_ring::{Field, RingMemory};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering, fence};

const CAPACITY: u32 = 64;

struct Words {
    header: [AtomicU64; 4],
    data: Vec<AtomicU64>,
}

/// One side's view of a ring. `HAS_FENCE = false` leaves INV-RING-3's fence out, `HAS_ACQUIRE = false` INV-RING-4's.
#[derive(Clone)]
pub(crate) struct Shared<const HAS_FENCE: bool, const HAS_ACQUIRE: bool> {
    words: Arc<Words>,
    epoch: u32,
}

impl<const HAS_FENCE: bool, const HAS_ACQUIRE: bool> Shared<HAS_FENCE, HAS_ACQUIRE> {
    pub(crate) fn new() -> Self {
        let header = [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];
        let data = (0..CAPACITY / 8).map(|_| AtomicU64::new(0)).collect();
        Self { words: Arc::new(Words { header, data }), epoch: 0 }
    }

    pub(crate) fn at_epoch(&self, epoch: u32) -> Self {
        Self { epoch, ..self.clone() }
    }

    fn word(&self, at: u32) -> &AtomicU64 {
        &self.words.data[((at % CAPACITY) / 8) as usize]
    }
}

impl<const HAS_FENCE: bool, const HAS_ACQUIRE: bool> RingMemory for Shared<HAS_FENCE, HAS_ACQUIRE> {
    fn capacity(&self) -> u32 {
        CAPACITY
    }
    fn epoch(&self) -> u32 {
        self.epoch
    }
    fn load(&self, field: Field) -> u64 {
        self.words.header[index(field)].load(Ordering::Acquire)
    }
    fn store(&self, field: Field, value: u64) {
        self.words.header[index(field)].store(value, Ordering::Release);
    }
    fn load_word(&self, at: u32) -> u64 {
        self.word(at).load(Ordering::Relaxed)
    }
    fn store_word(&self, at: u32, value: u64) {
        self.word(at).store(value, Ordering::Relaxed);
    }
    fn fence(&self) {
        if HAS_FENCE {
            fence(Ordering::SeqCst);
        }
    }
    fn fence_acquire(&self) {
        if HAS_ACQUIRE {
            fence(Ordering::Acquire);
        }
    }
}

fn index(field: Field) -> usize {
    match field {
        Field::Tail => 0,
        Field::SpaceWanted => 1,
        Field::Head => 2,
        Field::DataWanted => 3,
    }
}
