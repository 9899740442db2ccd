//! What httpd needs of the world, as one trait; no implementation.

pub use hybrid_access::{Reason, Verb, Verdict};
use hybrid_interfaces::net::stack::{Address, TcpCommand};
use hybrid_interfaces::provider::Request;

/// Why something was not said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No room in the ring now; a bell comes when there is.
    Full,
    /// The peer broke the ring: it is lost.
    Corrupt,
}

/// A request as the access decision sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked<'a> {
    /// The peer's address.
    pub peer: &'a Address,
    /// The HTTP method.
    pub verb: Verb,
    /// The whole path, decoded and normalised, whoever serves it.
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

    /// May this peer connect? Who cannot be asked allows nothing.
    fn decide_connection(&mut self, peer: &Address) -> Verdict;

    /// May this request be made?
    fn decide_request(&mut self, asked: &Asked<'_>) -> Verdict;
}
