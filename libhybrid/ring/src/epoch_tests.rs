//! Tests of ends of different epochs, one step after the other; what two threads can do is in `tests/epochs.rs`.
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const CAPACITY: usize = 128;

fn region() -> Region {
    Region::on_heap(HEADER_BYTES + CAPACITY)
}

fn producer(region: &Region, epoch: u32) -> Producer {
    Producer::new(&region.at_epoch(epoch), 0, CAPACITY).unwrap()
}

fn consumer(region: &Region, epoch: u32) -> Consumer {
    Consumer::new(&region.at_epoch(epoch), 0, CAPACITY).unwrap()
}

#[test]
fn ends_join_in_any_order_over_memory_that_nobody_zeroed() {
    for is_producer_first in [true, false] {
        let region = region();
        for word in 0..(HEADER_BYTES + CAPACITY) / 8 {
            region.scribble(word * 8, 0x0000_0006_0000_0010).unwrap();
        }
        let (mut writer, mut reader) = if is_producer_first {
            let writer = producer(&region, 7);
            (writer, consumer(&region, 7))
        } else {
            let reader = consumer(&region, 7);
            (producer(&region, 7), reader)
        };
        assert_eq!(reader.next_len(), Ok(None));
        writer.try_push(b"x").unwrap();
        assert_eq!(reader.pop(&mut [0; 8]), Ok(Some(1)));
        assert_eq!(writer.room(), Ok(CAPACITY - 8));
    }
}

#[test]
fn consumer_that_joins_late_gets_what_was_written_before() {
    let region = region();
    let (mut old, mut writer) = (consumer(&region, 1), producer(&region, 2));
    writer.try_push(b"early").unwrap();
    assert_eq!(old.pop(&mut [0; 8]), Ok(None));
    assert_eq!(old.request_bell(), Ok(true));
    assert_eq!(consumer(&region, 2).pop(&mut [0; 8]), Ok(Some(5)));
}

#[test]
fn producer_knows_whether_its_epoch_has_a_reader() {
    let region = region();
    let _old = consumer(&region, 1);
    let new = producer(&region, 2);
    assert!(!new.has_consumer(), "that of the last epoch is none");
    let _new = consumer(&region, 2);
    assert!(new.has_consumer());
}

#[test]
fn producer_whose_consumer_is_of_another_epoch_is_full_and_not_corrupt() {
    let region = region();
    let mut writer = producer(&region, 1);
    let mut reader = consumer(&region, 1);
    writer.try_push(&[1; 56]).unwrap();
    reader.pop(&mut [0; 56]).unwrap();
    assert_eq!(writer.room(), Ok(CAPACITY - 8));
    let _new = consumer(&region, 2);
    writer.try_push(&[1; 120]).unwrap();
    assert_eq!(writer.try_push(&[1; 8]), Err(RingError::Full));
    assert_eq!(writer.request_space(8), Ok(true));
}

#[test]
fn record_that_the_next_producer_wrote_over_is_not_taken() {
    let region = region();
    let (mut reader, mut old) = (consumer(&region, 1), producer(&region, 1));
    old.try_push(&[1; 8]).unwrap();
    old.try_push(&[1; 8]).unwrap();
    assert_eq!(reader.next_len(), Ok(Some(8)));
    producer(&region, 2).try_push(&[2; 100]).unwrap();
    assert_eq!(reader.pop(&mut [0; 128]), Ok(None));
    assert_eq!((reader.pop_with(128, <[u8]>::len), reader.request_bell()), (Ok(None), Ok(true)));
}

#[test]
fn corruption_ends_with_its_end() {
    let region = region();
    let (mut writer, mut reader) = (producer(&region, 1), consumer(&region, 1));
    region.scribble(0, 1 << 32 | 12).unwrap();
    region.scribble(64, 1 << 32 | 64).unwrap();
    assert_eq!((writer.room(), reader.next_len()), (Err(RingError::Corrupt), Err(RingError::Corrupt)));
    let (mut writer, mut reader) = (producer(&region, 2), consumer(&region, 2));
    writer.try_push(b"again").unwrap();
    assert_eq!(reader.pop(&mut [0; 8]), Ok(Some(5)));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Push(usize),
    Pop,
    RenewProducer,
    RenewConsumer,
    /// Both sides are told of the next meeting; each makes its end when it gets to it.
    NextEpoch,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_usize..60).prop_map(Step::Push),
        4 => Just(Step::Pop),
        1 => Just(Step::RenewProducer),
        1 => Just(Step::RenewConsumer),
        1 => Just(Step::NextEpoch),
    ];
    proptest::collection::vec(step, 0..if cfg!(miri) { 20 } else { 300 })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 512 }, failure_persistence: None, ..ProptestConfig::default() })]

    /// A record is the epoch of its producer, its number among those of this epoch, and filler.
    #[test]
    fn ring_across_epochs_equals_a_queue_for_each(steps in steps()) {
        let region = region();
        let (mut epoch, mut writer_epoch, mut reader_epoch) = (1_u32, 1_u32, 1_u32);
        let (mut writer, mut reader) = (producer(&region, 1), consumer(&region, 1));
        let (mut model, mut number) = (VecDeque::new(), 0_u32);
        for step in steps {
            match step {
                Step::NextEpoch => epoch += 1,
                Step::RenewProducer if writer_epoch != epoch => {
                    (writer, writer_epoch) = (producer(&region, epoch), epoch);
                    model.clear();
                }
                Step::RenewConsumer if reader_epoch != epoch => {
                    (reader, reader_epoch) = (consumer(&region, epoch), epoch);
                }
                Step::RenewProducer | Step::RenewConsumer => {}
                Step::Push(filler) => {
                    number += 1;
                    let mut record = [writer_epoch.to_le_bytes(), number.to_le_bytes()].concat();
                    record.resize(8 + filler, 0);
                    match writer.try_push(&record) {
                        Ok(()) => model.push_back(record),
                        Err(error) => prop_assert_eq!(error, RingError::Full),
                    }
                }
                Step::Pop => {
                    let mut buffer = [0; CAPACITY];
                    let taken = reader.pop(&mut buffer).unwrap().map(|len| buffer[..len].to_vec());
                    let expected = if reader_epoch == writer_epoch { model.pop_front() } else { None };
                    prop_assert_eq!(taken, expected);
                }
            }
        }
        // Whatever came before: once both are of the same epoch, records pass.
        let (mut writer, mut reader) = (producer(&region, epoch + 1), consumer(&region, epoch + 1));
        writer.try_push(b"end").unwrap();
        prop_assert_eq!(reader.pop(&mut [0; 8]), Ok(Some(3)));
    }
}
