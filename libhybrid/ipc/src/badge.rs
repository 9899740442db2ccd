//! The badge of a server's endpoint: who calls what; grants nothing by itself.

/// One client of a provided interface: a use of an instance. The security server mints it into the badge, so a client cannot choose it.
///
/// An instance that is routed there by several of its uses is as many clients, and each has a session, limits and objects of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId {
    /// Number of the client's instance in the capability graph, from 1.
    pub instance: u16,
    /// Which of the instance's uses of the same provided interface it is, from 0; below 32.
    pub nth: u8,
}

impl ClientId {
    /// The instance's first use of the interface, which mostly is its only one.
    #[must_use]
    pub const fn of(instance: u16) -> Self {
        Self { instance, nth: 0 }
    }
}

/// Bits of a badge's highest byte that are [`ClientId::nth`]; the others tell calls from what is none.
const NTH: u8 = 0x1f;

/// The badge that the kernel delivers with a message.
///
/// | bits | meaning |
/// |---|---|
/// | 0–15 | object: 0 is the interface itself, else a resource object |
/// | 16–31 | client instance |
/// | 32–39 | index of the provided interface within the server |
/// | 40–55 | generation of the server, from 1 |
/// | 56–60 | which of the client's uses of that interface |
/// | 61–63 | zero |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Badge(pub u64);

impl Badge {
    /// The badge of `client` for the interface itself.
    #[must_use]
    pub const fn new(client: ClientId, interface: u8, generation: u16) -> Self {
        let [c0, c1] = client.instance.to_le_bytes();
        let [g0, g1] = generation.to_le_bytes();
        Self(u64::from_le_bytes([0, 0, c0, c1, interface, g0, g1, client.nth & NTH]))
    }

    /// The same client, interface and generation, for the object numbered `object`.
    #[must_use]
    pub const fn with_object(self, object: u16) -> Self {
        let [_, _, c0, c1, interface, g0, g1, top] = self.0.to_le_bytes();
        let [o0, o1] = object.to_le_bytes();
        Self(u64::from_le_bytes([o0, o1, c0, c1, interface, g0, g1, top]))
    }

    /// The resource object; 0 is the interface itself.
    #[must_use]
    pub const fn object(self) -> u16 {
        let [o0, o1, ..] = self.0.to_le_bytes();
        u16::from_le_bytes([o0, o1])
    }

    /// The client that the security server gave this badge to.
    #[must_use]
    pub const fn client(self) -> ClientId {
        let [_, _, c0, c1, .., top] = self.0.to_le_bytes();
        ClientId { instance: u16::from_le_bytes([c0, c1]), nth: top & NTH }
    }

    /// Index of the called interface among those that the server provides.
    #[must_use]
    pub const fn interface(self) -> u8 {
        let [_, _, _, _, interface, ..] = self.0.to_le_bytes();
        interface
    }

    /// Generation of the server that the badge was minted for.
    #[must_use]
    pub const fn generation(self) -> u16 {
        let [.., g0, g1, _] = self.0.to_le_bytes();
        u16::from_le_bytes([g0, g1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badge_parts_round_trip() {
        let client = ClientId { instance: 0xabcd, nth: 23 };
        let badge = Badge::new(client, 0x12, 0x3456).with_object(0x789a);
        assert_eq!(badge.0, 0x1734_5612_abcd_789a);
        assert_eq!(badge.object(), 0x789a);
        assert_eq!(badge.client(), client);
        assert_eq!(badge.interface(), 0x12);
        assert_eq!(badge.generation(), 0x3456);
        assert_eq!(badge.with_object(0).object(), 0);
        assert_eq!(badge.with_object(0).client(), client);
    }

    #[test]
    fn badge_of_a_call_has_neither_the_bit_of_bells_nor_that_of_faults() {
        let badge = Badge::new(ClientId { instance: u16::MAX, nth: u8::MAX }, u8::MAX, u16::MAX);
        assert_eq!(badge.0 >> 61, 0);
    }
}
