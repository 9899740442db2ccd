//! The Resolver interface's sessions: names to addresses by DNS; keeps no cache.
use crate::event::{Answer, Clients, Refusal};
use alloc::vec::Vec;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::dns::{GetQueryResultError, QueryHandle, Socket, StartQueryError};
use smoltcp::wire::{DnsQueryType, IpAddress};

/// Open queries of one session, those with an unpulled answer included.
pub const QUERIES_MAX: usize = 4;
/// Addresses in one answer.
const ADDRESSES_MAX: usize = 8;
/// RFC 1035 §2.3.4, as text.
const NAME_MAX: usize = 253;

struct Query {
    session: u16,
    id: u16,
    /// The questions for IPv4 and for IPv6 addresses, while they are open.
    open: Vec<QueryHandle>,
    addresses: Vec<IpAddress>,
    is_told: bool,
}

/// All queries.
pub(crate) struct Resolver {
    socket: SocketHandle,
    queries: Vec<Query>,
    session_count: usize,
    next_id: u16,
}

impl Resolver {
    pub(crate) fn new(session_count: usize, base: &mut SocketSet<'static>) -> Self {
        let socket = base.add(Socket::new(&[], Vec::new()));
        Self { socket, queries: Vec::new(), session_count, next_id: 0 }
    }

    /// The socket that must be told the name servers.
    pub(crate) fn socket(&self) -> SocketHandle {
        self.socket
    }

    pub(crate) fn resolve(
        &mut self,
        session: u16,
        name: &str,
        has_server: bool,
        interface: &mut Interface,
        base: &mut SocketSet<'static>,
    ) -> Result<u16, Refusal> {
        if usize::from(session) >= self.session_count {
            return Err(Refusal::NotFound);
        }
        if self.queries.iter().filter(|query| query.session == session).count() >= QUERIES_MAX {
            return Err(Refusal::NoRoom);
        }
        let mut query = Query { session, id: 0, open: Vec::new(), addresses: Vec::new(), is_told: false };
        if let Ok(address) = name.parse() {
            query.addresses.push(address);
        } else if !is_host_name(name) {
            return Err(Refusal::BadAddress);
        } else if !has_server {
            return Err(Refusal::Unreachable);
        } else {
            let socket = base.get_mut::<Socket<'_>>(self.socket);
            for kind in [DnsQueryType::A, DnsQueryType::Aaaa] {
                let handle = socket.start_query(interface.context(), name, kind).map_err(refusal)?;
                query.open.push(handle);
            }
        }
        query.id = self.free_id();
        let id = query.id;
        self.queries.push(query);
        Ok(id)
    }

    /// The session is over: its open queries are called off, its answers forgotten.
    pub(crate) fn end_session(&mut self, session: u16, base: &mut SocketSet<'static>) {
        let socket = base.get_mut::<Socket<'_>>(self.socket);
        for query in self.queries.extract_if(.., |query| query.session == session) {
            // Those in `open` were started and their results not taken, which is what smoltcp asks of a handle.
            query.open.into_iter().for_each(|handle| socket.cancel_query(handle));
        }
    }

    /// Takes the answers that have come, and rings for each query that is complete.
    pub(crate) fn collect<C: Clients>(&mut self, base: &mut SocketSet<'static>, clients: &mut C) {
        for query in &mut self.queries {
            let socket = base.get_mut::<Socket<'_>>(self.socket);
            let addresses = &mut query.addresses;
            query.open.retain(|&handle| match socket.get_query_result(handle) {
                Err(GetQueryResultError::Pending) => true,
                Err(GetQueryResultError::Failed) => false,
                Ok(found) => {
                    addresses.extend(found);
                    false
                }
            });
            if query.open.is_empty() && !query.is_told {
                query.is_told = true;
                query.addresses.truncate(ADDRESSES_MAX);
                clients.resolved(query.session.into());
            }
        }
    }

    /// The next complete answer of the session.
    pub(crate) fn pull(&mut self, session: u16) -> Option<Answer> {
        let position = self.queries.iter().position(|query| query.session == session && query.is_told)?;
        let query = self.queries.remove(position);
        Some(Answer { query: query.id, addresses: query.addresses })
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id.wrapping_add(1);
            if self.queries.iter().all(|query| query.id != self.next_id) {
                return self.next_id;
            }
        }
    }
}

fn refusal(error: StartQueryError) -> Refusal {
    match error {
        StartQueryError::NoFreeSlot => Refusal::NoRoom,
        StartQueryError::InvalidName | StartQueryError::NameTooLong => Refusal::BadAddress,
    }
}

/// Letters, digits, hyphens and underscores in labels of 1..=63, 253 in all (RFC 1123 §2.1). With this, smoltcp refuses no name after
/// the first of the two questions was asked.
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    (1..=NAME_MAX).contains(&name.len()) && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::is_host_name;

    #[test]
    fn host_name_bounds() {
        for good in ["a", "example.org", "example.org.", "_dmarc.example.org", "xn--p1ai", &"a".repeat(63)] {
            assert!(is_host_name(good), "{good}");
        }
        let long = ["a".repeat(63).as_str(); 4].join(".");
        assert_eq!(long.len(), 255);
        for bad in ["", ".", "a..b", "a b", "ä.org", &"a".repeat(64), &long] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
