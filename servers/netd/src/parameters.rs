//! What the integrator set for this instance, from texts to typed values; no defaults for addresses.
use alloc::vec::Vec;
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, Ipv4Address, Ipv4Cidr};

/// The addresses to use while no DHCP server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// This host's address and its network's prefix.
    pub address: Ipv4Cidr,
    /// The default router.
    pub gateway: Option<Ipv4Address>,
}

/// The parameters of netd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `address` ("10.0.2.15/24") and `gateway`.
    pub fallback: Option<Fallback>,
    /// `dns`: up to three name servers, separated by commas; used until DHCP names others.
    pub dns: Vec<IpAddress>,
    /// `dhcp_patience_ms`: how long to wait for a DHCP server before the fallback.
    pub patience: Duration,
}

/// Name servers at most.
pub(crate) const DNS_MAX: usize = 3;
const PATIENCE: Duration = Duration::from_secs(4);

impl Default for Parameters {
    fn default() -> Self {
        Self { fallback: None, dns: Vec::new(), patience: PATIENCE }
    }
}

impl Parameters {
    /// Reads the parameters; `find` gives the text of one, if it is set.
    ///
    /// # Errors
    /// The name of the first parameter that makes no sense.
    pub fn read<'a>(find: impl Fn(&str) -> Option<&'a str>) -> Result<Self, &'static str> {
        let mut parameters = Self::default();
        let gateway = match find("gateway") {
            Some(text) => Some(text.trim().parse().ok().filter(is_host).ok_or("gateway")?),
            None => None,
        };
        if let Some(text) = find("address") {
            let address = cidr(text.trim()).ok_or("address")?;
            parameters.fallback = Some(Fallback { address, gateway });
        }
        if let Some(text) = find("dns") {
            let servers: Option<Vec<IpAddress>> =
                text.split(',').map(|server| server.trim().parse().ok().filter(IpAddress::is_unicast)).collect();
            parameters.dns = servers.filter(|servers| servers.len() <= DNS_MAX).ok_or("dns")?;
        }
        if let Some(text) = find("dhcp_patience_ms") {
            let patience_ms = text.trim().parse::<u32>().map_err(|_| "dhcp_patience_ms")?;
            parameters.patience = Duration::from_millis(patience_ms.into());
        }
        Ok(parameters)
    }
}

fn cidr(text: &str) -> Option<Ipv4Cidr> {
    let (address, prefix) = text.split_once('/')?;
    let prefix = prefix.parse::<u8>().ok().filter(|prefix| (1..=32).contains(prefix))?;
    Some(Ipv4Cidr::new(address.parse().ok().filter(is_host)?, prefix))
}

fn is_host(address: &Ipv4Address) -> bool {
    !(address.is_multicast() || address.is_broadcast() || address.is_unspecified() || address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_complete_are_read() {
        let read = Parameters::read(|name| {
            Some(match name {
                "address" => "192.168.7.2/24",
                "gateway" => "192.168.7.1",
                "dns" => "192.168.7.1, fd00::1",
                _ => "1500",
            })
        })
        .expect("all of it is right");
        assert_eq!(read.fallback.as_ref().map(|fallback| fallback.address.prefix_len()), Some(24));
        assert_eq!(read.dns.len(), 2);
        assert_eq!(read.patience, Duration::from_millis(1500));
    }

    #[test]
    fn parameters_absent_are_the_defaults() {
        assert_eq!(Parameters::read(|_| None), Ok(Parameters::default()));
    }

    #[test]
    fn parameters_senseless_are_named() {
        for (name, text) in [
            ("address", "10.0.2.15"),
            ("address", "10.0.2.15/0"),
            ("address", "10.0.2.15/33"),
            ("address", "224.0.0.1/24"),
            ("gateway", "somewhere"),
            ("gateway", "255.255.255.255"),
            ("dns", "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4"),
            ("dns", "1.1.1.1,"),
            ("dhcp_patience_ms", "-1"),
        ] {
            let read = Parameters::read(|asked| (asked == name).then_some(text));
            assert_eq!(read, Err(name), "{name} = {text}");
        }
    }
}
