//! One side of a ring is started anew while the other goes on, under the interleavings of the memory model.
//!
//! The survivor is told by a word and a bell, as securityd does it (`hybrid_start::peers`): the word is written before the new instance
//! runs, the bell rung afterwards. Each record is the epoch of the producer that wrote it.
mod model;

use hybrid_ring::{Consumer, Producer};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

type Shared<const HAS_ACQUIRE: bool> = model::Shared<true, HAS_ACQUIRE>;

/// What both sides and the one who starts them see.
struct Meeting<const A: bool> {
    shared: Shared<A>,
    /// The epoch, as the survivor reads it.
    page: AtomicU32,
    survivor_bell: Notify,
    other_bell: Notify,
}

impl<const A: bool> Meeting<A> {
    fn new() -> Arc<Self> {
        let (survivor_bell, other_bell) = (Notify::new(), Notify::new());
        Arc::new(Self { shared: Shared::new(), page: AtomicU32::new(1), survivor_bell, other_bell })
    }

    fn start_anew(&self) {
        self.page.store(2, Ordering::Release);
        self.survivor_bell.notify();
    }
}

fn check(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(test);
}

/// A producer of `epoch` sends one record.
fn send<const A: bool>(meeting: &Meeting<A>, epoch: u8) {
    let mut producer = Producer::over(meeting.shared.at_epoch(epoch.into()));
    producer.try_push(&[epoch]).expect("an empty ring has room");
    if producer.publish() {
        meeting.survivor_bell.notify();
    }
}

/// The producer's side is started anew; the consumer survives, and must get the new producer's record.
fn new_producer<const A: bool>() {
    let meeting = Meeting::<A>::new();
    let other = meeting.clone();
    let peer = thread::spawn(move || {
        send(&other, 1);
        other.start_anew();
        send(&other, 2);
    });
    let (mut epoch, mut record) = (1, [0; 8]);
    let mut consumer = Consumer::over(meeting.shared.at_epoch(epoch));
    loop {
        let told = meeting.page.load(Ordering::Acquire);
        if told != epoch {
            epoch = told;
            consumer = Consumer::over(meeting.shared.at_epoch(epoch));
        }
        match consumer.pop(&mut record).expect("nobody is hostile") {
            Some(len) => {
                assert_eq!((len, u32::from(record[0])), (1, epoch), "a record of another epoch");
                if epoch == 2 {
                    break;
                }
            }
            None => {
                if consumer.request_bell().expect("nobody is hostile") {
                    meeting.survivor_bell.wait();
                }
            }
        }
    }
    peer.join().expect("the producers end");
}

/// The consumer's side is started anew, after the first took `taken` records; the producer survives and is always short of room.
fn new_consumer(taken: usize) {
    let meeting = Meeting::<true>::new();
    let other = meeting.clone();
    let peer = thread::spawn(move || {
        let mut record = [0; 56];
        let mut first = Consumer::over(other.shared.at_epoch(1));
        for _ in 0..taken {
            if first.pop(&mut record).expect("nobody is hostile").is_some() {
                assert_eq!(record[0], 1);
                if first.release() {
                    other.survivor_bell.notify();
                }
            }
        }
        other.start_anew();
        let mut second = Consumer::over(other.shared.at_epoch(2));
        while second.pop(&mut record).expect("nobody is hostile").is_none() {
            if second.request_bell().expect("nobody is hostile") {
                other.other_bell.wait();
            }
        }
        assert_eq!(record[0], 2, "a record of another epoch");
    });
    let mut epoch = 1;
    let mut producer = Producer::over(meeting.shared.at_epoch(1));
    loop {
        let told = meeting.page.load(Ordering::Acquire);
        if told != epoch {
            epoch = told;
            producer = Producer::over(meeting.shared.at_epoch(2));
        }
        if producer.try_push(&[u8::try_from(epoch).expect("1 or 2"); 56]).is_ok() {
            if producer.publish() {
                meeting.other_bell.notify();
            }
            if epoch == 2 {
                break;
            }
        } else if producer.request_space(56).expect("nobody is hostile") {
            meeting.survivor_bell.wait();
        }
    }
    peer.join().expect("the consumers end");
}

#[test]
fn consumer_gets_no_record_of_another_epoch_and_loses_no_bell() {
    check(2, new_producer::<true>);
}

#[test]
#[should_panic(expected = "another epoch")]
fn consumer_that_does_not_order_its_second_look_takes_a_foreign_record() {
    check(2, new_producer::<false>);
}

#[test]
fn producer_without_room_goes_on_with_the_new_consumer() {
    check(2, || new_consumer(0));
    check(1, || new_consumer(1));
}
