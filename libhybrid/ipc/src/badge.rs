//! The badge of a server's endpoint: who calls what; grants nothing by itself.

/// One client instance of a server. The security server mints it into the badge, so a client cannot choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId {
    /// Number of the client's instance in the capability graph, from 1.
    pub instance: u16,
}

/// The badge that the kernel delivers with a message.
///
/// | bits | meaning |
/// |---|---|
/// | 0–15 | object: 0 is the interface itself, else a resource object |
/// | 16–31 | client instance |
/// | 32–39 | index of the provided interface within the server |
/// | 40–55 | generation of the server, from 1 |
/// | 56–63 | zero |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Badge(pub u64);

impl Badge {
    /// The badge of `client` for the interface itself.
    #[must_use]
    pub const fn new(client: ClientId, interface: u8, generation: u16) -> Self {
        let [c0, c1] = client.instance.to_le_bytes();
        let [g0, g1] = generation.to_le_bytes();
        Self(u64::from_le_bytes([0, 0, c0, c1, interface, g0, g1, 0]))
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
        let [_, _, c0, c1, ..] = self.0.to_le_bytes();
        ClientId { instance: u16::from_le_bytes([c0, c1]) }
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
        let badge = Badge::new(ClientId { instance: 0xabcd }, 0x12, 0x3456).with_object(0x789a);
        assert_eq!(badge.0, 0x0034_5612_abcd_789a);
        assert_eq!(badge.object(), 0x789a);
        assert_eq!(badge.client().instance, 0xabcd);
        assert_eq!(badge.interface(), 0x12);
        assert_eq!(badge.generation(), 0x3456);
        assert_eq!(badge.with_object(0).object(), 0);
    }
}
