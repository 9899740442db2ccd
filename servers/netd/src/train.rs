//! Joins segments that wait one behind the other, before the stack looks at them; decides nothing about them.
//!
//! Most of what a received segment costs is not its bytes. So segments of one connection, each of which continues the one before and says nothing else, go to
//! smoltcp as one, as network cards and other hosts do it; and of acknowledgements of one connection, each of which says more than the one before, the last.
//! INV-TRAIN-1: what is joined differs from the single segments in nothing that a receiver acts on: same addresses, ports, acknowledgement and window, no
//! flag but ACK and PSH, no options, every checksum right, each sequence number the end of the segment before. Behind a gap they get one duplicate
//! acknowledgement in place of one each (decision 0135).
//! INV-TRAIN-2: an acknowledgement is left out only if it has no data, no flag but ACK and no options, and the next frame is one of the same connection and
//! sequence number that acknowledges more: one that says the same again (RFC 5681 §2) comes through.
//! INV-TRAIN-3: every other frame comes out once, in order; what is not joined comes out as it came.
use crate::demux::{self, Segment};
use crate::port::{FRAME_MAX, Frames, Traffic};
use alloc::boxed::Box;
use alloc::vec;
use smoltcp::wire::{Ipv4Packet, TcpPacket};

/// Headers of a segment that may be joined: Ethernet, IPv4 and TCP without options.
const HEAD: usize = 54;
const IP: usize = 14;
const TCP: usize = 34;
/// Offsets of fields in such a head, and the ends of what two of one connection have in common between them.
const LENGTH: core::ops::Range<usize> = 16..18;
const FRAGMENT: core::ops::Range<usize> = 20..22;
const PROTOCOL: usize = 23;
const ADDRESSES_AND_PORTS: core::ops::Range<usize> = 26..38;
const SEQUENCE: core::ops::Range<usize> = 38..42;
const ACKNOWLEDGEMENT: core::ops::Range<usize> = 42..46;
const OFFSET: usize = 46;
const FLAGS: usize = 47;
const WINDOW: core::ops::Range<usize> = 48..50;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
/// So many segments at most: 23 KB, of the 32 that the largest receive buffer has room for.
const SEGMENTS_MAX: usize = 16;

/// A frame, or several that were joined, and the one behind them if it was seen already.
pub(crate) struct Train {
    bytes: Box<[u8]>,
    length: usize,
    segments: usize,
    next: Option<Next>,
}

/// A frame that was received and not joined.
struct Next {
    head: [u8; HEAD],
    length: usize,
    /// Where in `Train::bytes` the rest of it lies.
    rest: usize,
}

impl Train {
    pub(crate) fn new() -> Self {
        // The last one is received where the head of it covers the end of what is there already.
        let bytes = vec![0; (SEGMENTS_MAX + 1) * FRAME_MAX].into();
        Self { bytes, length: 0, segments: 0, next: None }
    }

    /// Takes the next frame and all that can be joined to it. `None`: there is none. What it says as a segment, if it is one.
    pub(crate) fn take<F: Frames>(&mut self, frames: &mut F, traffic: &mut Traffic) -> Option<Option<Segment>> {
        self.length = match self.next.take() {
            Some(Next { head, length, rest }) => {
                self.bytes.copy_within(rest..rest + length.saturating_sub(HEAD), HEAD);
                self.bytes[..HEAD].copy_from_slice(&head);
                length
            }
            None => receive(frames, &mut self.bytes[..FRAME_MAX], traffic)?,
        };
        self.segments = 1;
        let segment = demux::segment(self.frame());
        if let Some(head) = self.frame().first_chunk::<HEAD>().copied().filter(|_| is_sound(segment)) {
            if is_plain(&head, self.length) {
                self.join(&head, frames, traffic);
            } else if is_acknowledgement(&head, self.length) {
                self.replace(head, frames, traffic);
            }
        }
        Some(segment)
    }

    /// What was taken.
    pub(crate) fn frame(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Whether the next frame was taken from the driver already: no bell tells of it.
    pub(crate) fn holds(&self) -> bool {
        self.next.is_some()
    }

    /// How many frames it was.
    pub(crate) fn segments(&self) -> usize {
        self.segments
    }

    /// The frame begins with this head of a segment of which nothing is wrong: joins what follows.
    fn join<F: Frames>(&mut self, first: &[u8; HEAD], frames: &mut F, traffic: &mut Traffic) {
        while self.segments < SEGMENTS_MAX && self.next.is_none() {
            // Its data is to lie behind what is there, so its head covers the end of that for a while.
            let at = self.length - HEAD;
            let covered = self.head_at(at);
            let received = receive(frames, &mut self.bytes[at..at + FRAME_MAX], traffic);
            let head = self.head_at(at);
            let follows = received.is_some_and(|length| {
                continues(first, at, &head) && is_plain(&head, length) && self.has_sound(at, length)
            });
            // Also if nothing was received: an attempt may have begun to write.
            self.bytes[at..at + HEAD].copy_from_slice(&covered);
            match received {
                Some(length) if follows => {
                    self.length += length - HEAD;
                    self.segments += 1;
                }
                Some(length) => self.next = Some(Next { head, length, rest: at + HEAD }),
                None => break,
            }
        }
        if self.segments > 1 {
            // Less than `bytes` are long, which is less than 64 KiB.
            let length = u16::try_from(self.length - IP).unwrap_or(u16::MAX);
            let mut packet = Ipv4Packet::new_unchecked(&mut self.bytes[IP..self.length]);
            packet.set_total_len(length);
            packet.fill_checksum();
        }
    }

    /// The frame is an acknowledgement with this head: takes later ones that say more in its place.
    fn replace<F: Frames>(&mut self, mut first: [u8; HEAD], frames: &mut F, traffic: &mut Traffic) {
        while self.segments < SEGMENTS_MAX && self.next.is_none() {
            let at = self.length;
            let Some(length) = receive(frames, &mut self.bytes[at..at + FRAME_MAX], traffic) else { break };
            let head = self.head_at(at);
            if says_more(&first, &head) && is_acknowledgement(&head, length) && self.has_sound(at, length) {
                self.bytes.copy_within(at..at + length, 0);
                (self.length, first) = (length, head);
                self.segments += 1;
            } else {
                self.next = Some(Next { head, length, rest: at + HEAD });
            }
        }
    }

    fn head_at(&self, at: usize) -> [u8; HEAD] {
        self.bytes[at..].first_chunk().copied().unwrap_or([0; HEAD])
    }

    /// Whether the frame there is a segment with the right checksum.
    fn has_sound(&self, at: usize, length: usize) -> bool {
        is_sound(demux::segment(&self.bytes[at..at + length]))
    }
}

fn receive<F: Frames>(frames: &mut F, room: &mut [u8], traffic: &mut Traffic) -> Option<usize> {
    let length = frames.receive(room)?.min(room.len());
    traffic.frames_in += 1;
    traffic.bytes_in += length as u64;
    Some(length)
}

fn is_sound(segment: Option<Segment>) -> bool {
    segment.is_some_and(|segment| segment.is_sound)
}

/// Whether it is a segment with data and nothing else to say. TCP's checksum is looked at elsewhere.
fn is_plain(head: &[u8; HEAD], length: usize) -> bool {
    length > HEAD && total(head) == length - IP && head[FLAGS] & !PSH == ACK && is_simple(head)
}

/// Whether it is a segment that acknowledges and says nothing else; the frame may be filled up.
fn is_acknowledgement(head: &[u8; HEAD], length: usize) -> bool {
    length >= HEAD && total(head) == HEAD - IP && head[FLAGS] == ACK && is_simple(head)
}

fn ip(head: &[u8; HEAD]) -> Ipv4Packet<&[u8]> {
    Ipv4Packet::new_unchecked(&head[IP..])
}

fn tcp(head: &[u8; HEAD]) -> TcpPacket<&[u8]> {
    TcpPacket::new_unchecked(&head[TCP..])
}

/// What the IP header says how long it is.
fn total(head: &[u8; HEAD]) -> usize {
    ip(head).total_len().into()
}

/// Whether it is the head of a segment with no options and a right IP header. That it is a whole one of TCP, whoever calls a segment sound has said.
fn is_simple(head: &[u8; HEAD]) -> bool {
    const VERSION_AND_LENGTH: u8 = 0x45;
    head[12..=IP] == [8, 0, VERSION_AND_LENGTH] && head[OFFSET] == 5 << 4 && ip(head).verify_checksum()
}

/// Whether two heads are of one connection, in one direction, and were sent alike.
fn is_of_one(one: &[u8; HEAD], other: &[u8; HEAD]) -> bool {
    one[..LENGTH.start] == other[..LENGTH.start]
        && one[FRAGMENT.start..=PROTOCOL] == other[FRAGMENT.start..=PROTOCOL]
        && one[ADDRESSES_AND_PORTS] == other[ADDRESSES_AND_PORTS]
}

/// Whether a head is that of the segment behind `payload` bytes that begin with `first`.
fn continues(first: &[u8; HEAD], payload: usize, head: &[u8; HEAD]) -> bool {
    tcp(head).seq_number() == tcp(first).seq_number() + payload
        && is_of_one(first, head)
        && head[ACKNOWLEDGEMENT] == first[ACKNOWLEDGEMENT]
        && head[WINDOW] == first[WINDOW]
}

/// Whether an acknowledgement takes the place of `first`.
fn says_more(first: &[u8; HEAD], head: &[u8; HEAD]) -> bool {
    tcp(head).ack_number() > tcp(first).ack_number() && head[SEQUENCE] == first[SEQUENCE] && is_of_one(first, head)
}

#[cfg(test)]
mod tests {
    use super::{FLAGS, FRAME_MAX, HEAD, IP, LENGTH, SEQUENCE, Train};
    use crate::checksum;
    use crate::port::{Frames, Traffic};
    use proptest::prelude::*;
    use smoltcp::wire::Ipv4Packet;
    use std::collections::VecDeque;
    use std::vec::Vec;

    struct Waiting(VecDeque<Vec<u8>>);

    impl Frames for Waiting {
        fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
            let Some(frame) = self.0.pop_front() else {
                // As a ring may that its producer leaves meanwhile.
                buffer.fill(0xee);
                return None;
            };
            buffer[..frame.len()].copy_from_slice(&frame);
            Some(frame.len())
        }
        fn has_room(&mut self) -> bool {
            true
        }
        fn transmit(&mut self, _frame: &[u8]) {}
    }

    /// What may be wrong, or different, with a frame.
    #[derive(Debug, Clone, Copy)]
    enum Twist {
        None,
        Push,
        Fin,
        Port,
        Acknowledgement,
        Window,
        Gap,
        Padded,
        Empty(u32),
        Flipped(usize, u8),
        NoSegment(usize),
    }

    fn twist() -> impl Strategy<Value = Twist> {
        prop_oneof![
            12 => Just(Twist::None),
            2 => Just(Twist::Push),
            1 => Just(Twist::Fin),
            1 => Just(Twist::Port),
            1 => Just(Twist::Acknowledgement),
            1 => Just(Twist::Window),
            1 => Just(Twist::Gap),
            1 => Just(Twist::Padded),
            8 => (0..5_u32).prop_map(Twist::Empty),
            2 => (0..200_usize, 1..=255_u8).prop_map(|(at, bits)| Twist::Flipped(at, bits)),
            1 => (0..HEAD + 3).prop_map(Twist::NoSegment),
        ]
    }

    /// A frame of a segment, with that twist.
    fn frame(sequence: u32, payload: &[u8], twist: Twist) -> Vec<u8> {
        let mut frame = vec![2; HEAD];
        frame[12..IP + 2].copy_from_slice(&[8, 0, 0x45, 0]);
        frame.extend_from_slice(payload);
        let total = u16::try_from(frame.len() - IP).unwrap();
        frame[LENGTH].copy_from_slice(&total.to_be_bytes());
        frame[20..24].copy_from_slice(&[0x40, 0, 64, 6]);
        frame[SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
        frame[46] = 5 << 4;
        frame[FLAGS] = 0x10;
        match twist {
            Twist::Push => frame[FLAGS] |= 8,
            Twist::Fin => frame[FLAGS] |= 1,
            Twist::Port => frame[35] ^= 1,
            Twist::Acknowledgement => frame[45] ^= 1,
            Twist::Window => frame[49] ^= 1,
            Twist::Empty(more) => frame[42..46].copy_from_slice(&more.to_be_bytes()),
            Twist::NoSegment(length) => return frame[..length.min(frame.len())].to_vec(),
            _ => {}
        }
        Ipv4Packet::new_unchecked(&mut frame[IP..]).fill_checksum();
        checksum::complete(&mut frame);
        match twist {
            Twist::Padded => frame.push(0),
            Twist::Flipped(at, bits) => {
                let length = frame.len();
                frame[at % length] ^= bits;
            }
            _ => {}
        }
        frame
    }

    proptest! {
        /// What comes out is what went in, and only what continues the segment before is part of a train (INV-TRAIN-1 to 3).
        #[test]
        fn trains_are_the_frames_that_they_were_joined_from(
            parts in prop::collection::vec((1..1460_usize, any::<u8>(), twist()), 0..40),
            start: u32,
        ) {
            let mut sequence = start;
            let mut frames = Vec::new();
            for (length, fill, twist) in parts {
                if matches!(twist, Twist::Gap) {
                    sequence = sequence.wrapping_add(7);
                }
                let length = if matches!(twist, Twist::Empty(_)) { 0 } else { length };
                frames.push((frame(sequence, &vec![fill; length], twist), twist));
                if !matches!(twist, Twist::Empty(_)) {
                    sequence = sequence.wrapping_add(u32::try_from(length).unwrap());
                }
            }
            let mut waiting = Waiting(frames.iter().map(|(frame, _)| frame.clone()).collect());
            let (mut train, mut traffic) = (Train::new(), Traffic::default());
            let mut rest = frames.iter();
            while let Some(segment) = train.take(&mut waiting, &mut traffic) {
                let (first, _) = rest.next().unwrap();
                let mut expected = first.clone();
                let number = |frame: &[u8], at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
                let is_empty = first.len() == HEAD;
                for _ in 1..train.segments() {
                    let (next, twist) = rest.next().unwrap();
                    if is_empty {
                        prop_assert!(matches!(twist, Twist::Empty(_)));
                        prop_assert!(number(next, 42) > number(&expected, 42));
                        prop_assert_eq!(number(next, 38), number(&expected, 38));
                        expected.clone_from(next);
                        continue;
                    }
                    // The same twist on both sides is none.
                    let is_alike = matches!(twist, Twist::Port | Twist::Acknowledgement | Twist::Window);
                    prop_assert!(is_alike || matches!(twist, Twist::None | Twist::Push), "{twist:?}");
                    let seen = |at: std::ops::Range<usize>| (first[at.clone()].to_vec(), next[at].to_vec());
                    for at in [0..16, 20..24, 26..38, 42..47, 48..50] {
                        let (one, other) = seen(at);
                        prop_assert_eq!(one, other);
                    }
                    let behind = number(first, 38).wrapping_add(u32::try_from(expected.len() - HEAD).unwrap());
                    prop_assert_eq!(number(next, 38), behind);
                    expected.extend_from_slice(&next[HEAD..]);
                }
                if train.segments() > 1 && !is_empty {
                    prop_assert!(segment.is_some_and(|segment| segment.is_sound));
                    let total = u16::try_from(expected.len() - IP).unwrap();
                    let mut packet = Ipv4Packet::new_unchecked(&mut expected[IP..]);
                    packet.set_total_len(total);
                    packet.fill_checksum();
                }
                prop_assert_eq!(train.frame(), &expected[..]);
            }
            prop_assert!(rest.next().is_none(), "a frame was lost");
            prop_assert_eq!(traffic.frames_in, frames.len() as u64);
            let bytes: usize = frames.iter().map(|(frame, _)| frame.len()).sum();
            prop_assert_eq!(traffic.bytes_in, bytes as u64);
        }
    }

    #[test]
    fn acknowledgement_that_says_more_takes_the_place_and_one_that_says_the_same_does_not() {
        let frames: VecDeque<_> = [1, 2, 4, 4, 4, 3].map(|more| frame(9, &[], Twist::Empty(more))).into();
        let (mut waiting, mut train) = (Waiting(frames.clone()), Train::new());
        for (last, segments) in [(2, 3), (3, 1), (4, 1), (5, 1)] {
            assert!(train.take(&mut waiting, &mut Traffic::default()).flatten().is_some());
            assert_eq!((train.frame(), train.segments()), (&frames[last][..], segments));
        }
        assert!(train.take(&mut waiting, &mut Traffic::default()).is_none());
    }

    #[test]
    fn frame_that_was_taken_and_not_joined_is_told_as_held() {
        let frames: VecDeque<_> = [frame(0, &[7; 100], Twist::None), frame(100, &[7; 100], Twist::Fin)].into();
        let (mut waiting, mut train) = (Waiting(frames), Train::new());
        assert!(train.take(&mut waiting, &mut Traffic::default()).is_some());
        assert_eq!((train.segments(), train.holds(), waiting.0.len()), (1, true, 0));
        assert!(train.take(&mut waiting, &mut Traffic::default()).is_some());
        assert!(!train.holds());
    }

    #[test]
    fn segments_of_a_bulk_are_one() {
        let frames: Vec<_> = (0..5).map(|at| frame(at * 1460, &[7; 1460], Twist::None)).collect();
        assert!(frames[0].len() <= FRAME_MAX);
        let mut train = Train::new();
        let segment = train.take(&mut Waiting(frames.into()), &mut Traffic::default());
        assert!(segment.flatten().is_some_and(|segment| segment.is_sound));
        assert_eq!((train.segments(), train.frame().len()), (5, HEAD + 5 * 1460));
    }
}
