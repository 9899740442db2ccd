//! One message each way, apart from where the kernel keeps it; no meaning of operations.
use crate::badge::{Badge, ClientId};
use crate::codec::{DecodeError, EncodeError, Reader, Writer};
use crate::error::{Refusal, reply};
use core::cell::Cell;

/// Words of a message that travel in processor registers (kernel ABI §1.1).
pub const REGISTER_WORDS: usize = 4;
/// First word of the IPC buffer that a payload uses: the first that is not in a register.
pub const PAYLOAD_WORD: usize = 4;
/// Longest message in words (kernel ABI §1.6).
pub const MAX_WORDS: usize = 120;
/// Longest payload in bytes: what is left of the IPC buffer after the registers.
pub const MAX_BYTES: usize = 928;
/// Label of the implicit close of a resource object; no operation has this ordinal.
pub const CLOSE: u64 = 0xffff;

const WORD_BYTES: usize = 8;

/// Number of a slot in the component's own capability space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CapSlot(pub u32);

/// A notification capability that an operation passes, `cap Notification<signal>` in the IDL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotificationCap(pub CapSlot);

/// A frame capability that an operation passes, `region<rw>` in the IDL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegionCap(pub CapSlot);

/// What the receiver of a passed capability may do with it; the sender's own rights are never exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Read, or wait.
    pub can_read: bool,
    /// Write, or signal.
    pub can_write: bool,
}

/// A capability that goes out with a message. There is one at most: the kernel has one receive slot per message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CapToSend {
    /// The server's own endpoint under this badge, to call through (Write and GrantReply): a new resource object.
    Object(Badge),
    /// A copy of the capability in `slot` with no more than `rights`.
    Copy {
        /// Where the sender holds it.
        slot: CapSlot,
        /// What the copy may do.
        rights: Rights,
    },
}

/// A message that arrived: a request at a server, a reply at a client.
#[derive(Debug)]
pub struct Incoming {
    badge: Badge,
    label: u64,
    length: usize,
    registers: [u64; REGISTER_WORDS],
    payload: [u8; MAX_BYTES],
    cap: Cell<Option<CapSlot>>,
    #[cfg(feature = "faults")]
    before_handler: Option<fn()>,
}

impl Default for Incoming {
    fn default() -> Self {
        Self::new()
    }
}

impl Incoming {
    /// A buffer without a message. As a reply it says that the server is gone.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            badge: Badge(0),
            label: reply::SERVER_DIED,
            length: 0,
            registers: [0; REGISTER_WORDS],
            payload: [0; MAX_BYTES],
            cap: Cell::new(None),
            #[cfg(feature = "faults")]
            before_handler: None,
        }
    }

    /// Takes in a message as the kernel delivered it. `length` is in words, `word(i)` reads word `i` ≥ 4 of the IPC
    /// buffer, `cap` is the slot that a capability arrived in. Unused registers and words are not looked at.
    ///
    /// A capability of the previous message that nobody took is forgotten: take it before and delete it.
    pub fn receive(
        &mut self,
        badge: u64,
        label: u64,
        length: usize,
        registers: [u64; REGISTER_WORDS],
        cap: Option<CapSlot>,
        mut word: impl FnMut(usize) -> u64,
    ) {
        self.badge = Badge(badge);
        self.label = label;
        self.length = length.min(MAX_WORDS);
        self.registers = registers;
        self.cap.set(cap);
        let (chunks, _) = self.payload.as_chunks_mut::<WORD_BYTES>();
        for (index, chunk) in (PAYLOAD_WORD..self.length).zip(chunks) {
            *chunk = word(index).to_le_bytes();
        }
    }

    /// Makes this a reply that says only `label`.
    pub fn receive_label(&mut self, label: u64) {
        self.receive(0, label, 0, [0; REGISTER_WORDS], None, |_| 0);
    }

    /// The badge of a request; 0 in a reply.
    #[must_use]
    pub fn badge(&self) -> Badge {
        self.badge
    }

    /// The client that sent a request.
    #[must_use]
    pub fn client(&self) -> ClientId {
        #[cfg(feature = "faults")]
        self.before_handler.inspect(|hook| hook());
        self.badge.client()
    }

    /// Calls `hook` whenever a dispatcher asks for the client: it does so when the request is decoded, as the handler's first argument.
    #[cfg(feature = "faults")]
    pub fn set_before_handler(&mut self, hook: fn()) {
        self.before_handler = Some(hook);
    }

    /// Ordinal of the operation in a request; one of [`reply`] in a reply.
    #[must_use]
    pub fn label(&self) -> u64 {
        self.label
    }

    /// The scalars of a message that has exactly `N` ≤ 4 words.
    ///
    /// # Errors
    /// `Truncated` or `Trailing` when it has another number of words.
    pub fn registers<const N: usize>(&self) -> Result<[u64; N], DecodeError> {
        match self.length.cmp(&N) {
            core::cmp::Ordering::Less => Err(DecodeError::Truncated),
            core::cmp::Ordering::Greater => Err(DecodeError::Trailing),
            core::cmp::Ordering::Equal => self.registers.first_chunk::<N>().copied().ok_or(DecodeError::Truncated),
        }
    }

    /// The payload of a message whose MR0 says how many bytes it has.
    ///
    /// # Errors
    /// `Truncated` or `Trailing` when the number of words is not the one that many bytes take.
    pub fn payload(&self) -> Result<Reader<'_>, DecodeError> {
        let [length, ..] = self.registers;
        let length = usize::try_from(length).map_err(|_| DecodeError::Truncated)?;
        let words = length.div_ceil(WORD_BYTES).saturating_add(PAYLOAD_WORD);
        match self.length.cmp(&words) {
            core::cmp::Ordering::Less => Err(DecodeError::Truncated),
            core::cmp::Ordering::Greater => Err(DecodeError::Trailing),
            core::cmp::Ordering::Equal => self.payload.get(..length).map(Reader::new).ok_or(DecodeError::Truncated),
        }
    }

    /// Takes the capability that came along. Who does not take it leaves it to the runtime, which deletes it.
    pub fn take_cap(&self) -> Option<CapSlot> {
        self.cap.take()
    }

    /// Takes the capability that came along.
    ///
    /// # Errors
    /// `NoCapability`.
    pub fn expect_cap(&self) -> Result<CapSlot, DecodeError> {
        self.take_cap().ok_or(DecodeError::NoCapability)
    }
}

/// A message to send: a request of a client, a reply of a server.
#[derive(Debug)]
pub struct Outgoing {
    label: u64,
    length: usize,
    registers: [u64; REGISTER_WORDS],
    payload: [u8; MAX_BYTES],
    cap: Option<CapToSend>,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::new()
    }
}

impl Outgoing {
    /// An empty message. As a reply it says that there is no such operation.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            label: reply::UNKNOWN_OPERATION,
            length: 0,
            registers: [0; REGISTER_WORDS],
            payload: [0; MAX_BYTES],
            cap: None,
        }
    }

    /// Makes it a message of up to four scalars, one word each; words beyond the fourth are not sent.
    pub fn set_registers(&mut self, label: u64, words: &[u64]) {
        self.label = label;
        self.cap = None;
        self.registers = [0; REGISTER_WORDS];
        self.length = words.len().min(REGISTER_WORDS);
        for (register, word) in self.registers.iter_mut().zip(words) {
            *register = *word;
        }
    }

    /// Makes it a message whose payload `write` writes.
    ///
    /// # Errors
    /// The error of `write`; the message is then without a payload.
    pub fn set_payload(
        &mut self,
        label: u64,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.set_registers(label, &[]);
        let mut writer = Writer::new(&mut self.payload);
        write(&mut writer)?;
        let bytes = writer.written();
        let words = bytes.div_ceil(WORD_BYTES);
        let padded = words.saturating_mul(WORD_BYTES);
        if let Some(padding) = self.payload.get_mut(bytes..padded) {
            padding.fill(0);
        }
        let bytes = u64::try_from(bytes).map_err(|_| EncodeError::TooLong)?;
        self.registers = [bytes, 0, 0, 0];
        self.length = words.saturating_add(PAYLOAD_WORD);
        Ok(())
    }

    /// Makes it the reply of an operation that failed with the domain error `code`.
    pub fn set_domain_error(&mut self, code: u16) {
        self.set_registers(reply::DOMAIN, &[u64::from(code)]);
    }

    /// Makes it the reply of an operation that was not run.
    pub fn set_refusal(&mut self, refusal: Refusal) {
        self.set_registers(refusal.label(), &[]);
    }

    /// Sends a capability along.
    pub fn set_cap(&mut self, cap: CapToSend) {
        self.cap = Some(cap);
    }

    /// Ordinal of the operation in a request; one of [`reply`] in a reply.
    #[must_use]
    pub fn label(&self) -> u64 {
        self.label
    }

    /// Length of the message in words.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// MR0 to MR3.
    #[must_use]
    pub fn registers(&self) -> [u64; REGISTER_WORDS] {
        self.registers
    }

    /// The words of the IPC buffer to send, each with its index (from 4).
    pub fn buffer_words(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let (chunks, _) = self.payload.as_chunks::<WORD_BYTES>();
        (PAYLOAD_WORD..self.length).zip(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)))
    }

    /// The capability to send along.
    #[must_use]
    pub fn cap(&self) -> Option<CapToSend> {
        self.cap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(outgoing: &Outgoing) -> Incoming {
        let mut words = [0_u64; MAX_WORDS];
        for (index, word) in outgoing.buffer_words() {
            words[index] = word;
        }
        let mut incoming = Incoming::new();
        incoming.receive(7, outgoing.label(), outgoing.length(), outgoing.registers(), None, |i| words[i]);
        incoming
    }

    #[test]
    fn payload_round_trips_and_is_padded_with_zeros() {
        let mut outgoing = Outgoing::new();
        outgoing.set_payload(3, |w| w.raw(&[0xff; 20])).expect("fits");
        outgoing.set_payload(3, |w| w.text("hello", 5)).expect("fits");
        assert_eq!(outgoing.length(), 5);
        assert_eq!(outgoing.buffer_words().collect::<Vec<_>>(), [(4, 0x6f6c_6c65_6805)]);
        let incoming = carried(&outgoing);
        assert_eq!(incoming.payload().expect("well formed").text(5), Ok("hello"));
    }

    #[test]
    fn registers_of_another_count_are_refused() {
        let mut outgoing = Outgoing::new();
        outgoing.set_registers(1, &[1, 2]);
        let incoming = carried(&outgoing);
        assert_eq!(incoming.registers::<2>(), Ok([1, 2]));
        assert_eq!(incoming.registers::<1>(), Err(DecodeError::Trailing));
        assert_eq!(incoming.registers::<3>(), Err(DecodeError::Truncated));
        assert_eq!(incoming.registers::<5>(), Err(DecodeError::Truncated));
    }

    #[test]
    fn payload_with_a_wrong_byte_length_is_refused() {
        for (length, bytes) in [(4, 1), (5, 9), (120, 929), (120, u64::MAX), (0, 8), (6, 8)] {
            let mut incoming = Incoming::new();
            incoming.receive(0, 1, length, [bytes, 0, 0, 0], None, |_| 0);
            assert!(incoming.payload().is_err(), "{length} words, {bytes} bytes");
        }
    }

    #[test]
    fn payload_of_the_largest_size_fits() {
        let mut outgoing = Outgoing::new();
        outgoing.set_payload(1, |w| w.raw(&[1; MAX_BYTES])).expect("fits");
        assert_eq!(outgoing.length(), MAX_WORDS);
        assert_eq!(carried(&outgoing).payload().expect("well formed").remaining(), MAX_BYTES);
        assert!(outgoing.set_payload(1, |w| w.raw(&[1; MAX_BYTES + 1])).is_err());
        assert_eq!(outgoing.length(), 0);
    }
}
