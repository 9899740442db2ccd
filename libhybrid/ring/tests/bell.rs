//! The index and bell protocol under every interleaving that the memory model allows.
//!
//! The ring runs over loom's atomics; loom explores all executions and reports a deadlock when a
//! wake-up is lost. The last tests take the fence away and expect exactly that, so that the others can fail.
use hybrid_ring::{Consumer, Field, Producer, RingMemory};
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use loom::sync::{Arc, Notify};
use loom::thread;

const CAPACITY: u32 = 64;

/// Ring memory made of loom's atomics; `HAS_FENCE = false` leaves INV-RING-3's fence out.
struct Model<const HAS_FENCE: bool> {
    header: [AtomicU32; 4],
    data: Vec<AtomicU64>,
}

#[derive(Clone)]
struct Shared<const HAS_FENCE: bool>(Arc<Model<HAS_FENCE>>);

impl<const HAS_FENCE: bool> Shared<HAS_FENCE> {
    fn new() -> Self {
        let header = [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)];
        let data = (0..CAPACITY / 8).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Model { header, data }))
    }

    fn word(&self, at: u32) -> &AtomicU64 {
        &self.0.data[((at % CAPACITY) / 8) as usize]
    }
}

impl<const HAS_FENCE: bool> RingMemory for Shared<HAS_FENCE> {
    fn capacity(&self) -> u32 {
        CAPACITY
    }
    fn load(&self, field: Field) -> u32 {
        self.0.header[index(field)].load(Ordering::Acquire)
    }
    fn store(&self, field: Field, value: u32) {
        self.0.header[index(field)].store(value, Ordering::Release);
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
}

fn index(field: Field) -> usize {
    match field {
        Field::Tail => 0,
        Field::SpaceWanted => 1,
        Field::Head => 2,
        Field::DataWanted => 3,
    }
}

/// Takes `count` one-byte records, sleeping on `bell` whenever the ring says that it may.
fn take<const F: bool>(mut consumer: Consumer<Shared<F>>, bell: &Notify, producer_bell: Option<&Notify>, count: u8) {
    let mut record = [0; 8];
    let mut taken = 0;
    while taken < count {
        match consumer.pop(&mut record).expect("an honest peer does not corrupt") {
            Some(len) => {
                assert_eq!((len, record[0]), (1, taken));
                taken += 1;
                if let Some(producer_bell) = producer_bell
                    && consumer.release()
                {
                    producer_bell.notify();
                }
            }
            None => {
                if consumer.request_bell().expect("an honest peer does not corrupt") {
                    bell.wait();
                }
            }
        }
    }
}

/// `preemptions` bounds the search where all interleavings are too many to try.
fn data_bell<const F: bool>(count: u8, preemptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let shared = Shared::<F>::new();
        let bell = Arc::new(Notify::new());
        let mut producer = Producer::over(shared.clone());
        let ring = bell.clone();
        let peer = thread::spawn(move || {
            for value in 0..count {
                producer.try_push(&[value]).expect("there is room");
                if producer.publish() {
                    ring.notify();
                }
            }
        });
        take(Consumer::over(shared), &bell, None, count);
        peer.join().expect("the producer ends");
    });
}

fn space_bell<const F: bool>() {
    loom::model(|| {
        let shared = Shared::<F>::new();
        let room = Arc::new(Notify::new());
        let mut producer = Producer::over(shared.clone());
        let mut consumer = Consumer::over(shared);
        producer.try_push(&[0; 56]).expect("an empty ring has room");
        let ring = room.clone();
        let peer = thread::spawn(move || {
            let mut record = [0; 56];
            assert_eq!(consumer.pop(&mut record), Ok(Some(56)));
            if consumer.release() {
                ring.notify();
            }
        });
        while producer.try_push(&[1; 8]).is_err() {
            if producer.request_space(8).expect("an honest peer does not corrupt") {
                room.wait();
            }
        }
        peer.join().expect("the consumer ends");
    });
}

#[test]
fn bell_for_data_is_never_lost() {
    data_bell::<true>(1, None);
    data_bell::<true>(2, Some(2));
}

#[test]
fn bell_for_space_is_never_lost() {
    space_bell::<true>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn bell_for_data_without_fence_is_lost() {
    data_bell::<false>(1, None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn bell_for_space_without_fence_is_lost() {
    space_bell::<false>();
}

#[test]
fn record_is_complete_when_its_tail_is_seen() {
    loom::model(|| {
        let shared = Shared::<true>::new();
        let mut producer = Producer::over(shared.clone());
        let mut consumer = Consumer::over(shared);
        let peer = thread::spawn(move || producer.try_push(&[9; 16]).expect("there is room"));
        let mut record = [0; 16];
        if let Some(len) = consumer.pop(&mut record).expect("an honest peer does not corrupt") {
            assert_eq!((len, record), (16, [9; 16]));
        }
        peer.join().expect("the producer ends");
    });
}
