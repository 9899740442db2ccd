//! Name servers that router advertisements tell (RFC 8106): which, and until when.
use crate::parameters::DNS_MAX;
use alloc::vec::Vec;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::Ipv6Address;

/// The option's number and the bytes before its addresses: type, length, two reserved, lifetime.
const RDNSS: u8 = 25;
const HEAD: usize = 8;
const ADDRESS: usize = 16;
/// Options count their length in these.
const UNIT: usize = 8;
/// The longest that a server is kept without being told again: routers tell every half hour at least (RFC 4861 §6.2.1).
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The name servers that routers have told. At most [`DNS_MAX`]: the one that was told longest ago makes room, so that nobody who told them once, with
/// a long lifetime, shuts out the router that goes on telling its own.
#[derive(Default)]
pub(crate) struct NameServers {
    known: Vec<(Ipv6Address, Instant)>,
}

impl NameServers {
    /// Takes over what the options of a valid advertisement say; all else among them is skipped.
    pub(crate) fn observe(&mut self, mut options: &[u8], now: Instant) {
        // The first of an advertisement are the ones that its router prefers.
        let mut left = DNS_MAX;
        while let &[kind, units, ..] = options
            && let Some((option, rest)) = options.split_at_checked(usize::from(units) * UNIT)
            && !option.is_empty()
        {
            if kind == RDNSS {
                self.take(option, now, &mut left);
            }
            options = rest;
        }
    }

    /// One option, of which `left` servers are kept at most. A length that is not whole addresses makes it none (§5.1, §5.3.1).
    fn take(&mut self, option: &[u8], now: Instant, left: &mut usize) {
        let Some((&[_, _, _, _, a, b, c, d], addresses)) = option.split_first_chunk::<HEAD>() else { return };
        let (addresses, []) = addresses.as_chunks::<ADDRESS>() else { return };
        let lifetime = Duration::from_secs(u32::from_be_bytes([a, b, c, d]).into()).min(LIFETIME_MAX);
        for &octets in addresses {
            let address = Ipv6Address::from(octets);
            self.known.retain(|&(known, until)| known != address && until > now);
            let is_host = !address.is_multicast() && !address.is_unspecified() && !address.is_loopback();
            if is_host && lifetime > Duration::ZERO && *left > 0 {
                *left -= 1;
                if self.known.len() >= DNS_MAX {
                    self.known.remove(0);
                }
                self.known.push((address, now + lifetime));
            }
        }
    }

    /// Forgets whose time is over; whether there was any.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let before = self.known.len();
        self.known.retain(|&(_, until)| until > now);
        self.known.len() < before
    }

    /// When the next one's time is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.known.iter().map(|&(_, until)| until).min()
    }

    /// Those that are known, in the order in which they were told last.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Ipv6Address> {
        self.known.iter().map(|&(address, _)| address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    const NOW: Instant = Instant::from_micros_const(100_000_000);

    fn server(last: u8) -> [u8; ADDRESS] {
        [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
    }

    fn option(lifetime: u32, servers: &[[u8; ADDRESS]]) -> Vec<u8> {
        let units = u8::try_from(1 + 2 * servers.len()).expect("few");
        [&[RDNSS, units, 0, 0][..], &lifetime.to_be_bytes(), servers.as_flattened()].concat()
    }

    fn known(servers: &NameServers) -> Vec<u8> {
        servers.addresses().map(|address| address.octets()[15]).collect()
    }

    #[test]
    fn servers_are_taken_told_again_and_forgotten() {
        let mut servers = NameServers::default();
        // Behind an option of another kind.
        let options = [vec![1, 1, 0, 0, 0, 0, 0, 0], option(10, &[server(1), server(2)]), option(20, &[server(3)])];
        servers.observe(&options.concat(), NOW);
        assert_eq!((known(&servers), servers.deadline()), (vec![1, 2, 3], Some(Instant::from_secs(110))));
        // No lifetime: it is one no more. Another is told again, and lives longer.
        servers.observe(&[option(0, &[server(1)]), option(15, &[server(2)])].concat(), NOW);
        assert_eq!(known(&servers), [3, 2]);
        assert!(!servers.expire(Instant::from_secs(114)) && servers.expire(Instant::from_secs(115)));
        assert_eq!((known(&servers), servers.deadline()), (vec![3], Some(Instant::from_secs(120))));
        // Who is over makes room, also when nobody looked.
        servers.observe(&option(u32::MAX, &[server(5), server(6), server(7)]), Instant::from_secs(120));
        assert_eq!(
            (known(&servers), servers.deadline()),
            (vec![5, 6, 7], Some(Instant::from_secs(120) + LIFETIME_MAX))
        );
    }

    #[test]
    fn router_that_goes_on_telling_is_not_shut_out() {
        let mut servers = NameServers::default();
        servers.observe(&option(u32::MAX, &[server(1), server(2), server(3), server(4)]), NOW);
        assert_eq!(known(&servers), [1, 2, 3], "the first are preferred");
        for later in 1..4 {
            let options = [option(60, &[server(8), server(9)]), option(60, &[server(1), server(2)])];
            servers.observe(&options.concat(), NOW + Duration::from_secs(later));
            assert_eq!(known(&servers), [8, 9, 1]);
        }
    }

    #[test]
    fn options_that_are_none_and_addresses_that_no_host_has_are_ignored() {
        let mut servers = NameServers::default();
        let mut group = server(1);
        group[0] = 0xff;
        let mut own = [0; ADDRESS];
        own[15] = 1;
        servers.observe(&option(10, &[group, [0; ADDRESS], own]), NOW);
        let whole = option(10, &[server(1)]);
        for length in 0..whole.len() {
            servers.observe(&whole[..length], NOW);
        }
        let mut odd = whole.clone();
        odd[1] = 2;
        servers.observe(&odd, NOW);
        odd[1] = 0;
        servers.observe(&odd, NOW);
        assert_eq!(known(&servers), []);
    }

    proptest! {
        /// Whatever bytes come: an end, no more servers than fit, and none that lives no longer.
        #[test]
        fn hostile_options_are_bounded(pieces in prop::collection::vec((any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..64)), 0..20)) {
            let mut servers = NameServers::default();
            let bytes: Vec<u8> = pieces
                .into_iter()
                .flat_map(|(kind, units, rest)| [vec![if kind & 1 == 0 { RDNSS } else { kind }, units % 12], rest].concat())
                .collect();
            servers.observe(&bytes, NOW);
            prop_assert!(servers.known.len() <= DNS_MAX);
            prop_assert!(servers.deadline().is_none_or(|deadline| deadline > NOW));
        }
    }
}
