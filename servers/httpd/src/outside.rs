//! What httpd needs of the world, as one trait; no implementation.

use hybrid_interfaces::net::stack::TcpCommand;
use hybrid_interfaces::provider::Request;

/// Why something was not said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No room in the ring now; a bell comes when there is.
    Full,
    /// The peer broke the ring: it is lost.
    Corrupt,
}

/// An access decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Not this one. Also when the decision could not be had.
    Deny,
    /// Go on while the peer has fewer than so many requests open.
    Limit(u32),
}

/// A request as the access decision sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked<'a> {
    /// The peer's address, without port.
    pub peer: &'a str,
    /// The endpoint that a provider registered.
    pub endpoint: &'a str,
    /// The HTTP method.
    pub operation: &'a str,
    /// The path below the endpoint.
    pub path: &'a str,
}

/// The world. Bells are the implementation's affair: one for each peer and wake-up.
pub trait Outside {
    /// Says something to the stack.
    ///
    /// # Errors
    /// `Full` or `Corrupt`.
    fn tcp(&mut self, command: &TcpCommand<'_>) -> Result<(), Refusal>;

    /// Says something to the provider of that session.
    ///
    /// # Errors
    /// `Full` or `Corrupt`.
    fn provider(&mut self, session: usize, request: &Request<'_>) -> Result<(), Refusal>;

    /// Whether the provider has taken everything that was said to it.
    fn is_all_taken(&mut self, session: usize) -> bool;

    /// May this peer connect?
    fn decide_connection(&mut self, peer: &str) -> Verdict;

    /// May this request be made?
    fn decide_request(&mut self, asked: &Asked<'_>) -> Verdict;
}
