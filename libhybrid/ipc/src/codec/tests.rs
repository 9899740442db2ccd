//! The codec against the postcard crate, and against hostile bytes.
use super::*;
use proptest::prelude::*;

fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>) -> Vec<u8> {
    let mut buffer = [0_u8; 64];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer).expect("64 bytes are enough for every scalar and 32 bytes of text");
    let length = writer.written();
    buffer[..length].to_vec()
}

macro_rules! scalar_matches_postcard {
    ($($name:ident: $type:ident),*) => {
        proptest! {
            $(#[test]
            fn $name(value: $type) {
                let bytes = written(|w| w.$type(value));
                prop_assert_eq!(&bytes, &postcard::to_allocvec(&value).expect("allocates"));
                let mut reader = Reader::new(&bytes);
                prop_assert_eq!(reader.$type(), Ok(value));
                prop_assert_eq!(reader.finish(), Ok(()));
            })*
        }
    };
}

scalar_matches_postcard!(
    u8_matches_postcard: u8, u16_matches_postcard: u16, u32_matches_postcard: u32, u64_matches_postcard: u64,
    i8_matches_postcard: i8, i16_matches_postcard: i16, i32_matches_postcard: i32, i64_matches_postcard: i64,
    bool_matches_postcard: bool
);

proptest! {
    #[test]
    fn text_matches_postcard(value in "\\PC{0,8}") {
        let bytes = written(|w| w.text(&value, 32));
        prop_assert_eq!(&bytes, &postcard::to_allocvec(&value).expect("allocates"));
        prop_assert_eq!(Reader::new(&bytes).text(32), Ok(value.as_str()));
    }

    #[test]
    fn u64_accepts_what_postcard_accepts_in_its_shortest_form(bytes: Vec<u8>) {
        let theirs = postcard::take_from_bytes::<u64>(&bytes).ok();
        match Reader::new(&bytes).u64() {
            Ok(value) => prop_assert_eq!(theirs.map(|(value, _)| value), Some(value)),
            Err(_) => if let Some((value, rest)) = theirs {
                let used = bytes.len() - rest.len();
                prop_assert!(written(|w| w.u64(value)).len() < used, "only longer forms may be refused");
            },
        }
    }

    #[test]
    fn reader_hostile_bytes_no_panic(bytes: Vec<u8>, max: usize) {
        let _ = Reader::new(&bytes).text(max);
        let _ = Reader::new(&bytes).i64();
        let _ = Reader::new(&bytes).u16();
        let _ = Reader::new(&bytes).length(max);
    }
}

#[test]
fn length_beyond_its_bound_is_refused_both_ways() {
    let mut buffer = [0; 8];
    assert_eq!(Writer::new(&mut buffer).text("abc", 2), Err(EncodeError::TooLong));
    assert_eq!(Reader::new(&[3, b'a', b'b', b'c']).text(2), Err(DecodeError::TooLong));
    assert_eq!(Reader::new(&[3, b'a']).text(3), Err(DecodeError::Truncated));
    assert_eq!(Reader::new(&[2, 0xff, 0xff]).text(3), Err(DecodeError::BadText));
}

#[test]
fn writer_buffer_full_is_an_error() {
    let mut buffer = [0; 1];
    assert_eq!(Writer::new(&mut buffer).u16(300), Err(EncodeError::BufferFull));
}

#[test]
fn varint_of_more_than_64_bits_is_refused() {
    let mut bytes = [0xff; 10];
    bytes[9] = 0x02;
    assert_eq!(Reader::new(&bytes).u64(), Err(DecodeError::BadInteger));
    bytes[9] = 0x01;
    assert_eq!(Reader::new(&bytes).u64(), Ok(u64::MAX));
    assert_eq!(Reader::new(&[0x80, 0x00]).u64(), Err(DecodeError::BadInteger));
}
