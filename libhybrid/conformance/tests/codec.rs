//! Every generated type against the postcard crate, and every decoder against hostile bytes.
use hybrid_idl_conformance::test::everything::{Color, Parts, Scalars, Shape};
use hybrid_idl_conformance::test::other::Pair;
use hybrid_ipc::{CapSlot, DecodeError, EncodeError, Incoming, Sampler};
use proptest::prelude::*;
use std::borrow::Cow;

macro_rules! round_trips {
    ($($test:ident: $type:ident),*) => {
        proptest! {
            $(#[test]
            fn $test(seed: u64) {
                let value = $type::sample(&mut Sampler::new(seed));
                let mut buffer = vec![0xa5; $type::MAX_ENCODED];
                let length = value.encode(&mut buffer).expect("MAX_ENCODED is enough for every value");
                prop_assert_eq!(&buffer[..length], &postcard::to_allocvec(&value).expect("allocates")[..]);
                prop_assert_eq!($type::decode(&buffer[..length]), Ok(value.clone()));
                if let Some(shorter) = length.checked_sub(1) {
                    prop_assert_eq!(value.encode(&mut buffer[..shorter]), Err(EncodeError::BufferFull));
                    prop_assert_eq!($type::decode(&buffer[..shorter]), Err(DecodeError::Truncated));
                }
            })*
        }
    };
}

round_trips!(
    scalars_round_trip_as_postcard: Scalars,
    parts_round_trip_as_postcard: Parts,
    shape_round_trips_as_postcard: Shape,
    pair_round_trips_as_postcard: Pair
);

proptest! {
    #[test]
    fn all_types_round_trip(seed: u64) {
        hybrid_idl_conformance::fuzz_values(seed);
    }

    #[test]
    fn hostile_bytes_never_panic(data: Vec<u8>, length in 0_usize..130, registers: [u64; 4], words: Vec<u64>) {
        let mut message = Incoming::new();
        message.receive(0, 0, length, registers, Some(CapSlot(1)), |index| words.get(index).copied().unwrap_or(0));
        hybrid_idl_conformance::fuzz(&data, &message);
    }

    /// A valid value with some bytes changed: most hostile bytes do not get beyond the first field, these do.
    #[test]
    fn damaged_values_never_panic(seed: u64, at: usize, byte: u8) {
        let parts = Parts::sample(&mut Sampler::new(seed));
        let mut buffer = vec![0; Parts::MAX_ENCODED];
        let length = parts.encode(&mut buffer).expect("MAX_ENCODED is enough");
        buffer[at % length] = byte;
        let registers = [u64::try_from(length).expect("small"), 0, 0, 0];
        let mut message = Incoming::new();
        message.receive(0, 0, 4 + length.div_ceil(8), registers, None, |index| {
            let at = (index - 4) * 8;
            u64::from_le_bytes(buffer.get(at..at + 8).and_then(|b| b.try_into().ok()).unwrap_or_default())
        });
        hybrid_idl_conformance::fuzz(&buffer[..length], &message);
    }
}

#[test]
fn max_encoded_is_reached() {
    let largest = Scalars {
        a: true,
        b: u8::MAX,
        c: u16::MAX,
        d: u32::MAX,
        e: u64::MAX,
        f: i8::MIN,
        g: i16::MIN,
        h: i32::MIN,
        i: i64::MIN,
        color: Color::Blue,
    };
    let mut buffer = [0; Scalars::MAX_ENCODED];
    assert_eq!(largest.encode(&mut buffer), Ok(Scalars::MAX_ENCODED));
}

#[test]
fn bounds_are_checked_when_encoding() {
    let mut buffer = [0; 64];
    let long = Shape::Named(Cow::Borrowed("seventeen letters"));
    assert_eq!(long.encode(&mut buffer), Err(EncodeError::TooLong));
    assert_eq!(Shape::decode(b"\x04\x11seventeen letters"), Err(DecodeError::TooLong));
}

#[test]
fn members_that_are_reserved_or_unknown_are_refused() {
    assert_eq!(Color::try_from(3), Err(DecodeError::UnknownMember));
    assert_eq!(Color::try_from(4), Ok(Color::Blue));
    assert_eq!(Shape::decode(&[2]), Err(DecodeError::UnknownMember));
    assert_eq!(Shape::decode(&[1, 0]), Err(DecodeError::Trailing));
    assert_eq!(Shape::decode(&[5, 9]), Err(DecodeError::UnknownMember));
    assert_eq!(Shape::decode(&[0x81, 0x00]), Err(DecodeError::BadInteger), "only the shortest form");
}

#[test]
fn owned_values_are_equal() {
    for seed in 0..100 {
        let parts = Parts::sample(&mut Sampler::new(seed));
        assert_eq!(parts.clone().into_owned(), parts);
    }
}
