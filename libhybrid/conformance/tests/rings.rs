//! Generated ring ends: both directions, both kinds of records, and hostile peers.
use hybrid_idl_conformance::test::everything::{Color, EverythingRings, Parts, Shape, everything};
use hybrid_idl_conformance::test::rings_only::{WideRings, wide};
use hybrid_ipc::{Region, RingError, Sampler};
use hybrid_ring::{HEADER_BYTES, Producer};

fn region() -> Region {
    Region::on_heap(everything::REGION_BYTES)
}

#[test]
fn records_go_both_ways() {
    let region = region();
    let mut client = EverythingRings::client(&region).expect("large enough");
    let mut server = EverythingRings::server(&region).expect("large enough");
    let mut scratch = Vec::new();
    for seed in 0..50 {
        let parts = Parts::sample(&mut Sampler::new(seed));
        client.parts.push(&parts).expect("one fits");
        assert_eq!(server.parts.pop(&mut scratch), Ok(Some(parts)));
        let shape = Shape::sample(&mut Sampler::new(seed));
        server.shapes.push(&shape).expect("there is room");
        assert_eq!(client.shapes.pop(&mut scratch), Ok(Some(shape)));
    }
    client.raw_out.push(b"out").expect("there is room");
    server.raw_in.push(b"in").expect("there is room");
    assert_eq!(server.raw_out.pop(&mut scratch), Ok(Some(&b"out"[..])));
    assert_eq!(client.raw_in.pop(&mut scratch), Ok(Some(&b"in"[..])));
    assert_eq!(client.raw_in.pop(&mut scratch), Ok(None));
}

#[test]
fn full_ring_refuses_and_recovers() {
    let region = region();
    let mut client = EverythingRings::client(&region).expect("large enough");
    let mut server = EverythingRings::server(&region).expect("large enough");
    let shape = Shape::Colored(Color::Red);
    let pushed = std::iter::repeat_with(|| server.shapes.push(&shape)).take_while(Result::is_ok).count();
    assert_eq!(pushed, everything::SHAPES_RING_BYTES / 16, "eight bytes of length, two of record, padded");
    assert_eq!(server.shapes.push(&shape), Err(RingError::Full));
    let mut scratch = Vec::new();
    assert_eq!(client.shapes.pop(&mut scratch), Ok(Some(shape.clone())));
    assert_eq!(server.shapes.push(&shape), Ok(()));
}

#[test]
fn record_that_is_no_value_kills_the_session() {
    let region = region();
    let mut client = EverythingRings::client(&region).expect("large enough");
    let mut hostile =
        Producer::new(&region, everything::SHAPES_RING_OFFSET, everything::SHAPES_RING_BYTES).expect("fits");
    hostile.try_push(&[2]).expect("room");
    hostile.try_push(&[1]).expect("room");
    let mut scratch = Vec::new();
    assert_eq!(client.shapes.pop(&mut scratch), Err(RingError::Corrupt));
    assert_eq!(client.shapes.pop(&mut scratch), Err(RingError::Corrupt), "not even the good one after it");
}

#[test]
fn rings_do_not_overlap_and_fill_whole_pages() {
    let rings = [
        (everything::SHAPES_RING_OFFSET, everything::SHAPES_RING_BYTES),
        (everything::PARTS_RING_OFFSET, everything::PARTS_RING_BYTES),
        (everything::RAW_OUT_RING_OFFSET, everything::RAW_OUT_RING_BYTES),
        (everything::RAW_IN_RING_OFFSET, everything::RAW_IN_RING_BYTES),
    ];
    for pair in rings.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + HEADER_BYTES + pair[0].1);
    }
    let end = rings[3].0 + HEADER_BYTES + rings[3].1;
    assert_eq!(everything::REGION_BYTES, end.next_multiple_of(4096));
}

#[test]
fn region_of_another_size_is_refused() {
    let small = Region::on_heap(everything::REGION_BYTES - 4096);
    assert_eq!(EverythingRings::client(&small).map(|_| ()), Err(RingError::Layout));
    let wide = Region::on_heap(wide::REGION_BYTES);
    assert!(WideRings::server(&wide).is_ok());
}
