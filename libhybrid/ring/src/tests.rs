//! Tests of the ring against a queue of vectors, and against peers that write anything.
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

const CAPACITY: usize = 256;

fn pair(capacity: usize) -> (Region, Producer, Consumer) {
    let region = Region::on_heap(HEADER_BYTES + capacity);
    let producer = Producer::new(&region, 0, capacity).unwrap();
    let consumer = Consumer::new(&region, 0, capacity).unwrap();
    (region, producer, consumer)
}

/// An index word of the epoch that regions have at first.
fn word(index: u32) -> u64 {
    1 << 32 | u64::from(index)
}

#[test]
fn ring_layout_that_does_not_fit_is_refused() {
    let region = Region::on_heap(HEADER_BYTES + 256);
    for (offset, capacity) in
        [(0, 512), (8, 256), (4, 128), (0, 96), (0, 32), (0, 0), (usize::MAX - 7, 64), (0, 1 << 31)]
    {
        assert_eq!(Producer::new(&region, offset, capacity).err(), Some(RingError::Layout), "{offset} {capacity}");
        assert_eq!(Consumer::new(&region, offset, capacity).err(), Some(RingError::Layout), "{offset} {capacity}");
    }
    assert!(Producer::new(&region, 0, 256).is_ok());
    assert!(Producer::new(&region, 64, 128).is_ok());
}

#[test]
fn ring_filled_exactly_takes_the_largest_record_and_no_more() {
    let (_, mut producer, mut consumer) = pair(CAPACITY);
    let largest = vec![7; producer.record_max()];
    assert_eq!(producer.try_push(&vec![7; largest.len() + 1]), Err(RingError::TooLong));
    producer.try_push(&largest).unwrap();
    assert_eq!(producer.room(), Ok(0));
    assert_eq!(producer.try_push(&[]), Err(RingError::Full));
    assert_eq!(producer.refused(), 1);
    let mut buffer = vec![0; CAPACITY];
    assert_eq!(consumer.pop(&mut buffer), Ok(Some(largest.len())));
    assert_eq!(buffer[..largest.len()], largest);
    assert_eq!(consumer.pop(&mut buffer), Ok(None));
    assert_eq!(producer.room(), Ok(producer.record_max()));
}

#[test]
fn ring_record_longer_than_buffer_is_discarded_and_the_next_is_intact() {
    let (_, mut producer, mut consumer) = pair(CAPACITY);
    producer.try_push(&[1; 40]).unwrap();
    producer.try_push(&[2; 8]).unwrap();
    producer.try_push(&[3; 40]).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(consumer.next_len(), Ok(Some(40)));
    assert_eq!(consumer.pop(&mut buffer), Err(RingError::TooLong));
    assert_eq!(consumer.pop(&mut buffer), Ok(Some(8)));
    assert_eq!(buffer, [2; 8]);
    assert_eq!(consumer.pop_with(39, <[u8]>::len), Err(RingError::TooLong));
    assert_eq!(consumer.pop_with(39, <[u8]>::len), Ok(None));
}

#[test]
fn ring_bell_is_asked_once_and_only_when_wanted() {
    let (_, mut producer, mut consumer) = pair(CAPACITY);
    producer.try_push(b"a").unwrap();
    assert!(!producer.publish());
    assert_eq!(consumer.request_bell(), Ok(false));
    consumer.pop(&mut [0; 8]).unwrap();
    assert_eq!(consumer.request_bell(), Ok(true));
    producer.try_push(b"b").unwrap();
    assert!(producer.publish());
    assert!(!producer.publish());
}

#[test]
fn ring_space_bell_is_asked_once_and_only_when_wanted() {
    let (_, mut producer, mut consumer) = pair(CAPACITY);
    producer.try_push(&[0; 240]).unwrap();
    assert!(!consumer.release());
    assert_eq!(producer.request_space(100), Ok(true));
    consumer.pop(&mut [0; 256]).unwrap();
    assert!(consumer.release());
    assert!(!consumer.release());
    assert_eq!(producer.request_space(100), Ok(false));
    assert!(!consumer.release());
    assert_eq!(producer.request_space(1000), Err(RingError::TooLong));
}

#[test]
fn ring_push_without_room_asks_for_it_and_comes_with_the_bell() {
    let (_, mut producer, mut consumer) = pair(CAPACITY);
    assert_eq!(producer.push_or_ask(&[0; 240]), Ok(true));
    assert_eq!((producer.push_or_ask(&[1; 100]), producer.refused()), (Ok(false), 1));
    consumer.pop(&mut [0; 256]).unwrap();
    assert!(consumer.release(), "it waits for room");
    assert_eq!(producer.push_or_ask(&[1; 100]), Ok(true));
    assert!(!consumer.release());
    assert_eq!(producer.push_or_ask(&[1; 1000]), Err(RingError::TooLong));
}

#[test]
fn ring_peers_that_publish_without_news_let_each_other_sleep() {
    let (_region, mut producer, mut consumer) = pair(256);
    assert!(consumer.request_bell().unwrap());
    assert!(!producer.publish(), "nothing was pushed");
    producer.try_push(b"x").unwrap();
    assert!(producer.publish());
    while producer.try_push(b"x").is_ok() {}
    assert!(producer.request_space(1).unwrap());
    assert!(!consumer.release(), "nothing was taken");
    consumer.pop(&mut [0; 8]).unwrap();
    assert!(consumer.release());
    assert!(!consumer.release());
}

#[test]
fn ring_indices_wrapping_around_keep_order() {
    // 2^32 bytes would take long; start both ends just below the wrap instead, as the shared words would be.
    let (_, mut producer, mut consumer) = pair(CAPACITY);
    let (mut sent, mut buffer) = (0_u32, [0; 64]);
    let rounds: u32 = if cfg!(miri) { 100 } else { 10_000 };
    for round in 0..rounds {
        let record = vec![round.to_le_bytes()[0]; (round % 57) as usize];
        producer.try_push(&record).unwrap();
        sent += 1;
        let len = consumer.pop(&mut buffer).unwrap().unwrap();
        assert_eq!(buffer[..len], record);
    }
    assert_eq!(sent, rounds);
}

#[test]
fn ring_consumer_index_beyond_tail_is_corrupt_for_good() {
    let (region, mut producer, _) = pair(CAPACITY);
    producer.try_push(&[0; 240]).unwrap();
    region.scribble(64, word(256 + 8)).unwrap();
    assert_eq!(producer.try_push(&[0; 100]), Err(RingError::Corrupt));
    region.scribble(64, word(0)).unwrap();
    assert_eq!(producer.try_push(&[0; 100]), Err(RingError::Corrupt));
    assert_eq!(producer.room(), Err(RingError::Corrupt));
}

#[test]
fn ring_consumer_index_moving_back_is_corrupt() {
    let (region, mut producer, mut consumer) = pair(CAPACITY);
    producer.try_push(&[0; 240]).unwrap();
    consumer.pop(&mut [0; 240]).unwrap();
    assert_eq!(producer.room(), Ok(CAPACITY - 8));
    region.scribble(64, word(0)).unwrap();
    assert_eq!(producer.room(), Err(RingError::Corrupt));
}

#[test]
fn ring_producer_index_impossible_is_corrupt_for_good() {
    for tail in [264_u32, 12, 0xffff_fff8, 4] {
        let (region, _, mut consumer) = pair(CAPACITY);
        region.scribble(0, word(tail)).unwrap();
        assert_eq!(consumer.pop(&mut [0; 8]), Err(RingError::Corrupt), "{tail}");
        region.scribble(0, word(0)).unwrap();
        assert_eq!(consumer.request_bell(), Err(RingError::Corrupt), "{tail}");
    }
}

#[test]
fn ring_record_length_impossible_is_corrupt() {
    for len in [9_u64, 256, u64::MAX, u64::from(u32::MAX), 1 << 40] {
        let (region, mut producer, mut consumer) = pair(CAPACITY);
        producer.try_push(&[1; 8]).unwrap();
        region.scribble(HEADER_BYTES, len).unwrap();
        assert_eq!(consumer.pop(&mut [0; 512]), Err(RingError::Corrupt), "{len}");
        assert_eq!(consumer.is_empty(), Err(RingError::Corrupt), "{len}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push(Vec<u8>),
    PushWith(usize, Vec<u8>),
    Pop,
    PopWith,
    PopWords,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..120).prop_map(Step::Push),
        (0_usize..120, proptest::collection::vec(any::<u8>(), 0..120))
            .prop_map(|(max, bytes)| Step::PushWith(max, bytes)),
        Just(Step::Pop),
        Just(Step::PopWith),
        Just(Step::PopWords),
    ];
    proptest::collection::vec(step, 0..if cfg!(miri) { 20 } else { 200 })
}

fn model_room(model: &VecDeque<Vec<u8>>) -> usize {
    CAPACITY - model.iter().map(|record| 8 + record.len().next_multiple_of(8)).sum::<usize>()
}

fn fits(model: &VecDeque<Vec<u8>>, len: usize) -> bool {
    8 + len.next_multiple_of(8) <= model_room(model)
}

/// What [`Consumer::pop_words`] hands over, as bytes.
fn words_popped(consumer: &mut Consumer) -> Result<Option<Vec<u8>>, RingError> {
    let mut record = Vec::new();
    let popped = consumer.pop_words(128, |words, bytes| {
        assert!(bytes <= size_of_val(words) && bytes + 7 >= size_of_val(words), "whole words but for the last");
        let all: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        record.extend_from_slice(&all[..bytes]);
    })?;
    Ok(popped.map(|len| {
        assert_eq!(len, record.len());
        record
    }))
}

fn run(step: Step, producer: &mut Producer, consumer: &mut Consumer, model: &mut VecDeque<Vec<u8>>) {
    match step {
        Step::Push(record) => {
            let expected = if fits(model, record.len()) { Ok(()) } else { Err(RingError::Full) };
            assert_eq!(producer.try_push(&record), expected);
            model.extend(expected.is_ok().then_some(record));
        }
        Step::PushWith(max, bytes) => {
            let len = bytes.len().min(max);
            let expected = if fits(model, max) { Ok(()) } else { Err(RingError::Full) };
            let pushed = producer.push_with(max, |buffer| {
                buffer[..len].copy_from_slice(&bytes[..len]);
                bytes.len()
            });
            assert_eq!(pushed, expected);
            model.extend(expected.is_ok().then(|| bytes[..len].to_vec()));
        }
        Step::Pop => {
            let mut buffer = [0xee; 128];
            let popped = consumer.pop(&mut buffer).unwrap().map(|len| buffer[..len].to_vec());
            assert_eq!(popped, model.pop_front());
        }
        Step::PopWith => {
            assert_eq!(consumer.pop_with(128, <[u8]>::to_vec).unwrap(), model.pop_front());
        }
        Step::PopWords => assert_eq!(words_popped(consumer).unwrap(), model.pop_front()),
    }
    for len in [0, 40, 100] {
        assert_eq!(producer.fits(len), Ok(fits(model, len)));
    }
    assert_eq!(producer.room().unwrap(), model_room(model).saturating_sub(8));
    assert_eq!(consumer.is_empty().unwrap(), model.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ring_under_random_steps_equals_a_queue(steps in steps()) {
        let (_, mut producer, mut consumer) = pair(CAPACITY);
        let mut model = VecDeque::new();
        for step in steps {
            run(step, &mut producer, &mut consumer, &mut model);
        }
    }

    #[test]
    fn ring_under_random_scribbling_never_panics_and_stays_in_bounds(
        steps in steps(),
        scribbles in proptest::collection::vec((0_usize..(HEADER_BYTES + CAPACITY) / 8, prop_oneof![any::<u64>(), (0_u32..600).prop_map(word), any::<u32>().prop_map(word)]), 1..40),
    ) {
        // The ring sits between two guards that nothing may touch.
        let region = Region::on_heap(64 + HEADER_BYTES + CAPACITY + 64);
        let mut producer = Producer::new(&region, 64, CAPACITY).unwrap();
        let mut consumer = Consumer::new(&region, 64, CAPACITY).unwrap();
        let mut scribbles = scribbles.into_iter().cycle();
        for step in steps {
            let (word, value) = scribbles.next().unwrap();
            region.scribble(64 + word * 8, value).unwrap();
            match step {
                Step::Push(record) => { let _ = producer.try_push(&record); }
                Step::PushWith(max, _) => { let _ = producer.push_with(max, |buffer| buffer.len()); }
                Step::Pop => {
                    let mut buffer = [0; 64];
                    if let Ok(Some(len)) = consumer.pop(&mut buffer) { assert!(len <= 64); }
                }
                Step::PopWords => {
                    if let Ok(Some(record)) = words_popped(&mut consumer) { assert!(record.len() <= 128); }
                }
                Step::PopWith => {
                    if let Ok(Some(len)) = consumer.pop_with(100, <[u8]>::len) { assert!(len <= 100); }
                }
            }
            let _ = producer.publish() | consumer.release();
            let _ = producer.request_space(32);
            let _ = consumer.request_bell();
            prop_assert!(producer.room().unwrap_or(0) <= CAPACITY);
            let _ = producer.fits(32);
        }
        let guards = Mapped::new(&region, 64, CAPACITY).unwrap();
        prop_assert_eq!(guards.capacity(), 256);
    }
}
