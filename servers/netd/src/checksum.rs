//! The checksum of TCP segments, eight bytes at a time; what becomes of the frames is not decided here.
//!
//! smoltcp's own goes two bytes at a time, which was a tenth of what a received byte cost. It is told to leave TCP's checksum alone (`port`):
//! INV-CHECKSUM-1: no segment reaches a connection whose checksum is wrong, and none is sent without the right one.
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket};

const TCP: u8 = 6;

/// The sum of 16-bit words in the order of the bytes in memory (RFC 1071 §2 (B)); a last odd byte counts as if a zero followed.
struct Sum(u64);

impl Sum {
    fn add_word(&mut self, word: u64) {
        let (sum, has_carry) = self.0.overflowing_add(word);
        // The end-around carry: 2^64 is 1 modulo 2^16 - 1, and a sum that wrapped has room for it.
        self.0 = sum + u64::from(has_carry);
    }

    fn add(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<128>();
        for block in blocks {
            // One carry goes from word to word, and the last one around the end, where a sum that carried has room for it: 2^64 - 1 with a carry out
            // takes a sum of 2^64 - 1 with a carry from the word before, and before the first there is no carry.
            let (mut sum, mut carry) = (self.0, false);
            for word in block.as_chunks::<8>().0 {
                (sum, carry) = sum.carrying_add(u64::from_ne_bytes(*word), carry);
            }
            self.0 = sum + u64::from(carry);
        }
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            self.add_word(u64::from_ne_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.add_word(u64::from_ne_bytes(last));
    }

    /// The addresses, the protocol and the length (RFC 9293 §3.1, RFC 8200 §8.1).
    fn pseudo_header(local: IpAddress, remote: IpAddress, length: usize) -> Self {
        let mut sum = Self(0);
        for address in [local, remote] {
            match address {
                IpAddress::Ipv4(address) => sum.add(&address.octets()),
                IpAddress::Ipv6(address) => sum.add(&address.octets()),
            }
        }
        // Frames are far shorter than 64 KiB.
        let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        sum.add(&[0, TCP, high, low]);
        sum
    }

    /// Folded to 16 bits, as a number in the network's order of bytes.
    fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap_or(0).to_be()
    }
}

/// Whether the checksum of a segment is right.
pub(crate) fn is_right(local: IpAddress, remote: IpAddress, segment: &[u8]) -> bool {
    let mut sum = Sum::pseudo_header(local, remote, segment.len());
    sum.add(segment);
    sum.folded() == 0xffff
}

/// Puts the checksum into a frame that smoltcp made, if it is a TCP segment.
pub(crate) fn complete(frame: &mut [u8]) {
    let Ok(mut frame) = EthernetFrame::new_checked(frame) else { return };
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let Ok(mut packet) = Ipv4Packet::new_checked(frame.payload_mut()) else { return };
            if packet.next_header() == IpProtocol::Tcp {
                let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
                fill(from, to, packet.payload_mut());
            }
        }
        EthernetProtocol::Ipv6 => {
            let Ok(mut packet) = Ipv6Packet::new_checked(frame.payload_mut()) else { return };
            if packet.next_header() == IpProtocol::Tcp {
                let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
                fill(from, to, packet.payload_mut());
            }
        }
        _ => {}
    }
}

fn fill(from: IpAddress, to: IpAddress, segment: &mut [u8]) {
    let Ok(mut packet) = TcpPacket::new_checked(&mut *segment) else { return };
    packet.set_checksum(0);
    let mut sum = Sum::pseudo_header(from, to, segment.len());
    sum.add(segment);
    let checksum = !sum.folded();
    TcpPacket::new_unchecked(segment).set_checksum(checksum);
}

#[cfg(test)]
mod tests {
    use super::{complete, is_right};
    use proptest::prelude::*;
    use smoltcp::wire::{IpAddress, TcpPacket};

    fn frame(is_v6: bool, addresses: [u8; 32], payload: &[u8]) -> (Vec<u8>, usize, IpAddress, IpAddress) {
        let mut segment = vec![0; 20];
        segment[12] = 5 << 4;
        segment.extend_from_slice(payload);
        let length = u16::try_from(segment.len()).unwrap();
        let (mut frame, from, to) = if is_v6 {
            let head =
                [&[0; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0], &length.to_be_bytes(), &[6, 64], &addresses].concat();
            let (from, to) = (addresses[..16].try_into().unwrap(), addresses[16..].try_into().unwrap());
            let address = |octets: [u8; 16]| IpAddress::Ipv6(octets.into());
            (head, address(from), address(to))
        } else {
            let whole = (length + 20).to_be_bytes();
            let head = [&[0; 12][..], &[8, 0, 0x45, 0], &whole, &[0, 0, 0, 0, 64, 6, 0, 0], &addresses[..8]].concat();
            let address =
                |at: usize| IpAddress::v4(addresses[at], addresses[at + 1], addresses[at + 2], addresses[at + 3]);
            (head, address(0), address(4))
        };
        let at = frame.len();
        frame.extend_from_slice(&segment);
        (frame, at, from, to)
    }

    proptest! {
        /// What is sent has smoltcp's checksum, and what is right or wrong is so for both.
        #[test]
        fn checksum_is_that_of_smoltcp(
            is_v6: bool,
            addresses: [u8; 32],
            payload in prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0), any::<u8>()], 0..200),
            change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let (mut frame, at, from, to) = frame(is_v6, addresses, &payload);
            let mut expected = frame[at..].to_vec();
            TcpPacket::new_unchecked(&mut expected).fill_checksum(&from, &to);
            complete(&mut frame);
            prop_assert_eq!(&frame[at..], &expected[..]);
            prop_assert!(is_right(to, from, &frame[at..]));
            if let Some((index, byte)) = change {
                let place = index.index(frame.len() - at);
                frame[at + place] = byte;
                let is_fine = TcpPacket::new_unchecked(&frame[at..]).verify_checksum(&from, &to);
                prop_assert_eq!(is_right(to, from, &frame[at..]), is_fine);
            }
        }

        #[test]
        fn frames_of_any_bytes_are_left_alone_or_completed(mut bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let length = bytes.len();
            complete(&mut bytes);
            prop_assert_eq!(bytes.len(), length);
        }
    }
}
