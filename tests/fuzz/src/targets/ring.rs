//! A record ring between an end that behaves and memory that does not.

use crate::input::Input;
use hybrid_ring::{Consumer, HEADER_BYTES, Producer, Region, RingError};
use std::collections::VecDeque;

const CAPACITY: usize = 256;

/// Pushes, pops and bells, while a peer scribbles over the memory. Without scribbling the ring is a queue; with it, nothing worse than
/// wrong records and [`RingError::Corrupt`] for good happens.
pub fn target_ring(data: &[u8]) {
    let mut input = Input::new(data);
    let region = Region::on_heap(HEADER_BYTES + CAPACITY);
    let mut producer = Producer::new(&region, 0, CAPACITY).expect("fits");
    let mut consumer = Consumer::new(&region, 0, CAPACITY).expect("fits");
    let mut model: Option<VecDeque<Vec<u8>>> = Some(VecDeque::new());
    let (mut is_producer_dead, mut is_consumer_dead) = (false, false);
    while let Some(step) = input.byte() {
        match step % 10 {
            0..=2 => {
                let record = input.piece(CAPACITY + 8);
                let pushed = producer.try_push(record);
                watch(&mut is_producer_dead, pushed);
                if let (Ok(()), Some(model)) = (pushed, &mut model) {
                    model.push_back(record.to_vec());
                }
            }
            3..=5 => {
                let mut buffer = vec![0; input.below(CAPACITY + 8)];
                let popped = consumer.pop(&mut buffer);
                watch(&mut is_consumer_dead, popped);
                check_pop(&mut model, popped, &buffer);
            }
            6 => watch(&mut is_producer_dead, producer.request_space(input.below(CAPACITY + 8))),
            7 => {
                let asked = consumer.request_bell();
                watch(&mut is_consumer_dead, asked);
                if let (Ok(is_empty), Some(model)) = (asked, &model) {
                    assert_eq!(is_empty, model.is_empty());
                }
            }
            8 => _ = (producer.publish(), consumer.release()),
            _ => {
                let offset = input.below((HEADER_BYTES + CAPACITY) / 8) * 8;
                // Mostly an index of this epoch: one of another only makes the ring look empty.
                let value = if step < 128 { (1 << 32) | (u64::from(input.any()) * 8) } else { input.word() };
                region.scribble(offset, value).expect("inside");
                model = None;
            }
        }
        let (room, next) = (producer.room(), consumer.next_len());
        watch(&mut is_producer_dead, room);
        watch(&mut is_consumer_dead, next);
        assert!(room.is_ok_and(|room| room <= CAPACITY) || room.is_err());
        assert!(next.is_ok_and(|next| next.is_none_or(|length| length <= CAPACITY)) || next.is_err());
    }
    assert!(model.is_none() || !(is_producer_dead || is_consumer_dead), "corrupt without a hostile peer");
}

/// Dead once is dead for ever.
fn watch<T>(is_dead: &mut bool, result: Result<T, RingError>) {
    let is_corrupt = matches!(result, Err(RingError::Corrupt));
    assert!(is_corrupt || !*is_dead || matches!(result, Err(RingError::TooLong)), "a dead ring lives again");
    *is_dead |= is_corrupt;
}

fn check_pop(model: &mut Option<VecDeque<Vec<u8>>>, popped: Result<Option<usize>, RingError>, buffer: &[u8]) {
    if let Ok(Some(length)) = popped {
        assert!(length <= buffer.len());
    }
    let Some(model) = model else { return };
    match popped {
        Ok(None) => assert!(model.is_empty()),
        Ok(Some(length)) => assert_eq!(model.pop_front().as_deref(), buffer.get(..length)),
        Err(RingError::TooLong) => assert!(model.pop_front().is_some_and(|record| record.len() > buffer.len())),
        Err(error) => panic!("{error}"),
    }
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let honest =
        [&[0, 0, 5][..], b"hello", &[8, 3, 1, 0, 7, 1, 0, 0, 7, 0, 0, 6, 0, 200, 3, 0, 16, 3, 0, 16, 8]].concat();
    let hostile =
        [&[0, 0, 4][..], b"data", &[9, 0, 0, 3, 3, 1, 0, 9, 0, 16, 255, 139, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 3, 0, 9]]
            .concat();
    vec![honest, hostile]
}
