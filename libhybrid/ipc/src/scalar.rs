//! Scalars in message registers, one word each; nothing longer.
use crate::codec::DecodeError;

/// A type that travels in one message register: integers and `bool`. Generated enums go as their ordinal.
pub trait Scalar: Sized {
    /// The register's value; signed integers are sign-extended.
    fn to_word(self) -> u64;
    /// The value in a register.
    ///
    /// # Errors
    /// `BadInteger` or `BadBool` when the word is none of the type's.
    fn from_word(word: u64) -> Result<Self, DecodeError>;
}

macro_rules! unsigned {
    ($($type:ty),*) => {$(
        impl Scalar for $type {
            fn to_word(self) -> u64 {
                u64::from(self)
            }
            fn from_word(word: u64) -> Result<Self, DecodeError> {
                Self::try_from(word).map_err(|_| DecodeError::BadInteger)
            }
        }
    )*};
}

macro_rules! signed {
    ($($type:ty),*) => {$(
        impl Scalar for $type {
            fn to_word(self) -> u64 {
                u64::from_le_bytes(i64::from(self).to_le_bytes())
            }
            fn from_word(word: u64) -> Result<Self, DecodeError> {
                Self::try_from(i64::from_le_bytes(word.to_le_bytes())).map_err(|_| DecodeError::BadInteger)
            }
        }
    )*};
}

unsigned!(u8, u16, u32, u64);
signed!(i8, i16, i32, i64);

impl Scalar for bool {
    fn to_word(self) -> u64 {
        u64::from(self)
    }
    fn from_word(word: u64) -> Result<Self, DecodeError> {
        match word {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::BadBool),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalar_words_round_trip_and_refuse_the_rest() {
        assert_eq!(i16::from_word((-5_i16).to_word()), Ok(-5));
        assert_eq!((-1_i8).to_word(), u64::MAX);
        assert_eq!(u8::from_word(256), Err(DecodeError::BadInteger));
        assert_eq!(i8::from_word(128), Err(DecodeError::BadInteger));
        assert_eq!(bool::from_word(2), Err(DecodeError::BadBool));
        assert_eq!(u64::from_word(u64::MAX), Ok(u64::MAX));
    }
}
