//! The index and bell protocol under every interleaving that the memory model allows.
//!
//! The ring runs over loom's atomics; loom explores all executions and reports a deadlock when a
//! wake-up is lost. The last tests take the fence away and expect exactly that, so that the others can fail.
mod model;

use hybrid_ring::{Consumer, Producer};
use loom::sync::{Arc, Notify};
use loom::thread;
use model::Shared;

/// Takes `count` one-byte records, sleeping on `bell` whenever the ring says that it may.
fn take<const F: bool>(
    mut consumer: Consumer<Shared<F, true>>,
    bell: &Notify,
    producer_bell: Option<&Notify>,
    count: u8,
) {
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

/// Gives `count` one-byte records, for which there is room, and rings whenever the ring says so.
fn tell<const F: bool>(mut producer: Producer<Shared<F, true>>, bell: &Notify, count: u8) {
    for value in 0..count {
        producer.try_push(&[value]).expect("there is room");
        if producer.publish() {
            bell.notify();
        }
    }
}

/// `preemptions` bounds the search where all interleavings are too many to try.
fn data_bell<const F: bool>(count: u8, preemptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let shared = Shared::<F, true>::new().at_epoch(1);
        let bell = Arc::new(Notify::new());
        let producer = Producer::over(shared.clone());
        let ring = bell.clone();
        let peer = thread::spawn(move || tell(producer, &ring, count));
        take(Consumer::over(shared), &bell, None, count);
        peer.join().expect("the producer ends");
    });
}

/// The consumer asked for the bell, and something else woke it.
fn withdrawn_bell(count: u8, preemptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let shared = Shared::<true, true>::new().at_epoch(1);
        let bell = Arc::new(Notify::new());
        let producer = Producer::over(shared.clone());
        let ring = bell.clone();
        let peer = thread::spawn(move || tell(producer, &ring, count));
        let mut consumer = Consumer::over(shared);
        let _is_empty = consumer.request_bell().expect("an honest peer does not corrupt");
        consumer.withdraw_bell();
        take(consumer, &bell, None, count);
        peer.join().expect("the producer ends");
    });
}

/// Pushes a record. False: it waits for the bell.
fn pushed<const F: bool>(producer: &mut Producer<Shared<F, true>>) -> bool {
    producer.push_or_ask(&[1; 8]).expect("an honest peer does not corrupt")
}

/// The same, from the parts of which `Producer::push_or_ask` is made.
fn pushed_by_parts<const F: bool>(producer: &mut Producer<Shared<F, true>>) -> bool {
    loop {
        if producer.try_push(&[1; 8]).is_ok() {
            return true;
        }
        if producer.request_space(8).expect("an honest peer does not corrupt") {
            return false;
        }
    }
}

fn space_bell<const F: bool>(push: fn(&mut Producer<Shared<F, true>>) -> bool) {
    loom::model(move || {
        let shared = Shared::<F, true>::new().at_epoch(1);
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
        while !push(&mut producer) {
            room.wait();
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
fn bell_that_was_withdrawn_and_asked_for_again_is_never_lost() {
    withdrawn_bell(1, None);
    withdrawn_bell(2, Some(2));
}

#[test]
fn bell_for_space_is_never_lost() {
    space_bell::<true>(pushed_by_parts);
    space_bell::<true>(pushed);
}

#[test]
#[should_panic(expected = "deadlock")]
fn bell_for_data_without_fence_is_lost() {
    data_bell::<false>(1, None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn bell_for_space_without_fence_is_lost() {
    space_bell::<false>(pushed_by_parts);
}

/// Who only asks, and does not look again whether room came before that.
fn asked_without_a_second_look(producer: &mut Producer<Shared<true, true>>) -> bool {
    let is_pushed = producer.try_push(&[1; 8]).is_ok();
    if !is_pushed {
        let _has_room_by_now = producer.request_space(8).expect("an honest peer does not corrupt");
    }
    is_pushed
}

#[test]
#[should_panic(expected = "deadlock")]
fn bell_for_space_without_a_second_look_is_lost() {
    space_bell::<true>(asked_without_a_second_look);
}

#[test]
fn record_is_complete_when_its_tail_is_seen() {
    loom::model(|| {
        let shared = Shared::<true, true>::new().at_epoch(1);
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
