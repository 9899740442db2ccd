//! Who ended, why and when, for the supervisor to read; it decides nothing and calls nobody.

use alloc::collections::VecDeque;
use alloc::string::String;

use hybrid_capgraph::{Graph, layout};
use hybrid_interfaces::process::{Reason, lifecycle};

use crate::install::State;

/// Ends that are kept; the oldest goes first.
pub const EXITS_MAX: usize = 64;
/// The supervisor is started again at once, but so often only in [`WINDOW_NS`].
const SUPERVISOR_STARTS: usize = 5;
const WINDOW_NS: u64 = 60_000_000_000;

/// One end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Number of this end, from 0.
    pub sequence: u64,
    /// Place of the instance in the graph's order.
    pub place: usize,
    /// Which of its lives ended.
    pub generation: u16,
    /// Faulted, killed, or failed to start.
    pub state: State,
    /// Since the counter started.
    pub at_ns: u64,
    /// Why.
    pub detail: String,
    /// Why the supervisor stopped it, if it did.
    pub reason: Option<Reason>,
}

/// The last ends, and the instance that watches them.
#[derive(Debug, Default)]
pub struct Exits {
    kept: VecDeque<Exit>,
    next: u64,
    told: u64,
    supervisor: Option<(u16, u8)>,
    starts: VecDeque<u64>,
    is_given_up: bool,
}

impl Exits {
    /// Finds who is routed to the interface of lifecycles: the supervisor, at most one.
    #[must_use]
    pub fn of(graph: &Graph) -> Self {
        let own = graph.instance(layout::SECURITYD);
        let provided = own.and_then(|own| own.provides.iter().find(|offer| offer.interface == lifecycle::INTERFACE));
        let session = provided.and_then(|offer| graph.sessions.get(usize::from(*offer.sessions.first()?)));
        let supervisor = session.and_then(|session| Some((session.client, session.server_port?)));
        Self { supervisor, ..Self::default() }
    }

    /// The supervisor's instance id.
    #[must_use]
    pub fn supervisor(&self) -> Option<u16> {
        self.supervisor.map(|(id, _)| id)
    }

    /// The slot of securityd's own that holds the supervisor's bell.
    #[must_use]
    pub fn bell(&self) -> Option<u64> {
        self.supervisor.map(|(_, port)| u64::from(layout::session_slot(port)))
    }

    /// Keeps an end; its number is its place in the sequence.
    pub fn add(&mut self, exit: Exit) {
        if self.kept.len() >= EXITS_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Exit { sequence: self.next, ..exit });
        self.next += 1;
    }

    /// The oldest end that is kept and not before `sequence`, and the number to ask for then.
    #[must_use]
    pub fn since(&self, sequence: u64) -> (Option<&Exit>, u64) {
        let found = self.kept.iter().find(|exit| exit.sequence >= sequence);
        (found, found.map_or(self.next, |exit| exit.sequence + 1))
    }

    /// The number of the next end.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The number of the next end, if there were ends since this was asked last.
    pub fn pull(&mut self) -> Option<u64> {
        let is_new = self.told < self.next;
        self.told = self.next;
        is_new.then_some(self.next)
    }

    /// Whether the supervisor may be started again now; when it may not, it may never again.
    pub fn may_start_supervisor(&mut self, now_ns: u64) -> bool {
        self.starts.retain(|at| now_ns.saturating_sub(*at) < WINDOW_NS);
        self.is_given_up |= self.starts.len() >= SUPERVISOR_STARTS;
        if !self.is_given_up {
            self.starts.push_back(now_ns);
        }
        !self.is_given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(detail: &str) -> Exit {
        Exit {
            sequence: 0,
            place: 3,
            generation: 1,
            state: State::Faulted,
            at_ns: 7,
            detail: detail.into(),
            reason: None,
        }
    }

    #[test]
    fn ends_are_read_in_order_and_the_oldest_of_too_many_is_lost() {
        let mut exits = Exits::default();
        assert_eq!(exits.since(0), (None, 0));
        assert_eq!(exits.pull(), None);
        for number in 0..EXITS_MAX + 3 {
            exits.add(exit(&format!("{number}")));
        }
        assert_eq!((exits.pull(), exits.pull()), (Some(EXITS_MAX as u64 + 3), None));
        let (mut next, mut seen) = (0, Vec::new());
        while let (Some(exit), after) = exits.since(next) {
            seen.push(exit.detail.clone());
            next = after;
        }
        let expected: Vec<String> = (3..EXITS_MAX + 3).map(|number| format!("{number}")).collect();
        assert_eq!((seen, next), (expected, EXITS_MAX as u64 + 3));
        assert_eq!(exits.since(u64::MAX), (None, EXITS_MAX as u64 + 3));
    }

    #[test]
    fn supervisor_that_dies_again_and_again_is_given_up() {
        let mut exits = Exits::default();
        for start in 0..100 {
            assert!(exits.may_start_supervisor(start * (WINDOW_NS / 4)), "start {start} in four a minute");
        }
        let mut exits = Exits::default();
        let allowed = (0..20).filter(|at| exits.may_start_supervisor(*at)).count();
        assert_eq!(allowed, SUPERVISOR_STARTS);
        assert!(!exits.may_start_supervisor(u64::MAX), "it is given up");
    }
}
