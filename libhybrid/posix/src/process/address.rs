//! Socket addresses: hosts of both families and names within the component, as programs write and read them.
use crate::net::{Address, Peer};
use crate::number::{Errno, int};
use crate::world::{self, World};
use alloc::vec::Vec;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Bytes of `struct sockaddr_storage`: no address is longer.
const LENGTH_MAX: usize = 128;
/// Bytes of `struct sockaddr_un`, and of its path.
const UNIX_BYTES: usize = 2 + PATH_MAX;
const PATH_MAX: usize = 108;
/// The longest address that is told: a path that fills its field has a zero byte behind it.
pub(super) const ENCODED_MAX: usize = UNIX_BYTES + 1;

/// Whose addresses a socket has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// `AF_INET`
    V4,
    /// `AF_INET6`
    V6,
    /// `AF_UNIX`: names within the component.
    Unix,
}

impl Family {
    pub(super) const fn try_from_number(number: u32) -> Result<Self, Errno> {
        match number {
            1 => Ok(Self::Unix),
            2 => Ok(Self::V4),
            10 => Ok(Self::V6),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    pub(super) const fn number(self) -> u16 {
        match self {
            Self::V4 => AF_INET,
            Self::V6 => AF_INET6,
            Self::Unix => AF_UNIX,
        }
    }

    /// The address that stands for every one of its own, or for none yet.
    pub(super) const fn any(self) -> Address {
        match self {
            Self::V6 => Address::V6([0; 16]),
            Self::V4 | Self::Unix => Address::V4([0; 4]),
        }
    }
}

/// Where somebody can be reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    Host(Peer),
    /// A path, or a name that begins with a zero byte; empty for who has none.
    Path(Vec<u8>),
}

impl Address {
    /// Every address of the machine.
    pub(crate) fn is_any(self) -> bool {
        self == Self::V4([0; 4]) || self == Self::V6([0; 16])
    }

    /// The component's own: 127.0.0.0/8 and ::1; nobody else is reached there, and nobody else reaches it.
    pub(super) fn is_own(self) -> bool {
        match self {
            Self::V4([first, ..]) => first == 127,
            Self::V6(address) => address == Self::OWN_V6,
        }
    }

    /// Whether a socket at this address can talk to a peer: every address of its own can, another only within its family.
    pub(super) fn meets(self, peer: Self) -> bool {
        self.is_any() || self.any() == peer.any()
    }

    /// Every address of the same family.
    pub(super) const fn any(self) -> Self {
        match self {
            Self::V4(_) => Self::V4([0; 4]),
            Self::V6(_) => Self::V6([0; 16]),
        }
    }

    const OWN_V6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    /// The component's own of the same family.
    pub(super) const fn own(self) -> Self {
        match self {
            Self::V4(_) => Self::V4([127, 0, 0, 1]),
            Self::V6(_) => Self::V6(Self::OWN_V6),
        }
    }
}

/// An address as a program reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoded {
    bytes: [u8; ENCODED_MAX],
    length: usize,
}

impl AsRef<[u8]> for Encoded {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Encoded {
    /// The first bytes of this.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut encoded = Self { bytes: [0; ENCODED_MAX], length: 0 };
        for (to, from) in encoded.bytes.iter_mut().zip(parts.iter().copied().flatten()) {
            *to = *from;
            encoded.length += 1;
        }
        encoded
    }

    /// `struct sockaddr_in` and `sockaddr_in6`. An IPv4 address in a socket of the other family is told as a mapped one.
    pub(super) fn host(peer: Peer, family: Family) -> Self {
        let (head, port) = (family.number().to_le_bytes(), peer.port.to_be_bytes());
        match (peer.address, family) {
            (Address::V4(host), Family::V6) => Self::of(&[&head, &port, &[0; 4], &[0; 10], &[0xff; 2], &host, &[0; 4]]),
            (Address::V6(host), _) => Self::of(&[&head, &port, &[0; 4], &host, &[0; 4]]),
            (Address::V4(host), _) => Self::of(&[&head, &port, &host, &[0; 8]]),
        }
    }

    /// `struct sockaddr_un`
    pub(super) fn path(path: &[u8]) -> Self {
        let end: &[u8] = if path.first().is_some_and(|first| *first != 0) { &[0] } else { &[] };
        Self::of(&[&AF_UNIX.to_le_bytes(), path, end])
    }

    /// Puts it where the program wants it, as far as there is room, and its length behind that.
    pub(super) fn put(&self, world: &mut impl World, address: u64, length: u64) -> Result<(), Errno> {
        let room = int(u64::from(world::read_u32(world, length)?));
        let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
        world.write(address, self.as_ref().get(..self.length.min(room)).unwrap_or_default())?;
        world.write(length, &u32::try_from(self.length).unwrap_or(0).to_le_bytes())
    }
}

/// The address of a `connect` that is to forget the peer.
pub(super) fn is_unspecified(world: &impl World, address: u64, length: u64) -> bool {
    let mut family = [1; 2];
    int(length) >= 2 && world.read(address, &mut family).is_ok() && family == [0; 2]
}

/// An address that the program wrote, for a socket of this family.
///
/// # Errors
/// `EINVAL` for a length that no such address has, `EAFNOSUPPORT` for another family, `EFAULT`, `ENOMEM`.
pub(super) fn read(world: &impl World, address: u64, length: u64, family: Family) -> Result<Name, Errno> {
    let mut bytes = [0; LENGTH_MAX];
    let length = usize::try_from(int(length)).map_err(|_| Errno::EINVAL)?;
    let bytes = bytes.get_mut(..length).ok_or(Errno::EINVAL)?;
    world.read(address, bytes)?;
    parse(bytes, family)
}

fn parse(bytes: &[u8], family: Family) -> Result<Name, Errno> {
    let (told, rest) = bytes.split_first_chunk::<2>().ok_or(Errno::EINVAL)?;
    if u16::from_le_bytes(*told) != family.number() {
        // Linux looks at the length first, where it can.
        return Err(if bytes.len() < 16 && family != Family::Unix { Errno::EINVAL } else { Errno::EAFNOSUPPORT });
    }
    match family {
        Family::Unix => parse_path(rest),
        Family::V4 => match rest.first_chunk() {
            Some(&[p, q, a, b, c, d]) if bytes.len() >= 16 => {
                Ok(Name::Host(Peer { address: Address::V4([a, b, c, d]), port: u16::from_be_bytes([p, q]) }))
            }
            _ => Err(Errno::EINVAL),
        },
        Family::V6 => {
            let (&[p, q, _, _, _, _], rest) = rest.split_first_chunk().ok_or(Errno::EINVAL)?;
            let address = match *rest.first_chunk().ok_or(Errno::EINVAL)? {
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Address::V4([a, b, c, d]),
                host => Address::V6(host),
            };
            Ok(Name::Host(Peer { address, port: u16::from_be_bytes([p, q]) }))
        }
    }
}

/// A path ends with the first zero byte or the length; a name that begins with one is all there is.
fn parse_path(path: &[u8]) -> Result<Name, Errno> {
    if path.len() > PATH_MAX {
        return Err(Errno::EINVAL);
    }
    let end = if path.first() == Some(&0) { None } else { path.iter().position(|byte| *byte == 0) };
    let path = path.get(..end.unwrap_or(path.len())).unwrap_or_default();
    copy(path).map(Name::Path)
}

/// A name of one's own.
pub(super) fn copy(path: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut kept = Vec::new();
    kept.try_reserve_exact(path.len()).map_err(|_| Errno::ENOMEM)?;
    kept.extend_from_slice(path);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn address_of_each_family_is_read_and_told_alike() {
        let v4 = [2, 0, 1, 187, 10, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0];
        let peer = Peer { address: Address::V4([10, 0, 2, 2]), port: 443 };
        assert_eq!(parse(&v4, Family::V4), Ok(Name::Host(peer)));
        assert_eq!(Encoded::host(peer, Family::V4).as_ref(), v4);
        let mapped = Encoded::host(peer, Family::V6);
        assert_eq!((mapped.as_ref().len(), parse(mapped.as_ref(), Family::V6)), (28, Ok(Name::Host(peer))));
        let own = Peer { address: Family::V6.any().own(), port: 5 };
        assert_eq!(parse(Encoded::host(own, Family::V6).as_ref(), Family::V6), Ok(Name::Host(own)));
        assert!(own.address.is_own() && Family::V6.any().is_any() && !peer.address.is_own());
    }

    #[test]
    fn paths_end_with_a_zero_byte_and_other_names_do_not() {
        assert_eq!(parse(b"\x01\0/tmp/a\0rest", Family::Unix), Ok(Name::Path(b"/tmp/a".into())));
        assert_eq!(parse(b"\x01\0\0a\0b", Family::Unix), Ok(Name::Path(b"\0a\0b".into())));
        assert_eq!(parse(b"\x01\0", Family::Unix), Ok(Name::Path(Vec::new())));
        assert_eq!(Encoded::path(b"/a").as_ref(), b"\x01\0/a\0");
        assert_eq!(Encoded::path(b"\0a").as_ref(), b"\x01\0\0a");
        assert_eq!(Encoded::path(&[b'x'; PATH_MAX]).as_ref().len(), ENCODED_MAX);
    }

    proptest! {
        /// Whatever bytes and length a program gives: an address, or an error; and what is an address is told as it was read.
        #[test]
        fn hostile_bytes_are_an_address_or_an_error(
            known in prop::sample::select(vec![1_u8, 2, 10, 77]),
            mut bytes in prop::collection::vec(any::<u8>(), 0..LENGTH_MAX),
        ) {
            if let [low, high, ..] = bytes.as_mut_slice() {
                (*low, *high) = (known, 0);
            }
            for family in [Family::V4, Family::V6, Family::Unix] {
                let told = match parse(&bytes, family) {
                    Ok(Name::Host(peer)) => Encoded::host(peer, family),
                    Ok(Name::Path(path)) => Encoded::path(&path),
                    Err(errno) => {
                        prop_assert!(matches!(errno, Errno::EINVAL | Errno::EAFNOSUPPORT));
                        continue;
                    }
                };
                prop_assert_eq!(u16::from(bytes[0]), family.number());
                prop_assert_eq!(parse(told.as_ref().get(..told.length.min(UNIX_BYTES)).unwrap(), family), parse(&bytes, family));
            }
        }
    }
}
