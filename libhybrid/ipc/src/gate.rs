//! What a session may do at most, kept by the server's side before the server sees a call; knows no interface.
use crate::error::Refusal;
use crate::message::{CLOSE, Incoming};
use alloc::vec::Vec;

const SECOND_NS: u64 = 1_000_000_000;

/// The limits of one session, and what of them is used up.
///
/// # Invariants
/// INV-GATE-1: in any second, at most twice `rate` calls pass: a full bucket, and what flows in meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    denied: Vec<u16>,
    /// What a call costs in nanoseconds of waiting; 0: nothing.
    cost_ns: u64,
    /// Time that was not used, at most a second.
    credit_ns: u64,
    seen_ns: u64,
}

impl Gate {
    /// A session whose client may not call the operations `denied`, nor more than `rate` times a second.
    #[must_use]
    pub fn new(denied: &[u16], rate: Option<u32>) -> Self {
        let cost_ns = rate.map_or(0, |rate| SECOND_NS.checked_div(rate.into()).unwrap_or(SECOND_NS));
        Self { denied: denied.to_vec(), cost_ns, credit_ns: SECOND_NS, seen_ns: 0 }
    }

    /// Whether the call may pass at the time `now_ns`, which never goes back. Closing an object may always.
    ///
    /// # Errors
    /// [`Refusal::Denied`] for an operation that the session does not have, [`Refusal::Quota`] beyond its rate.
    pub fn admit(&mut self, call: &Incoming, now_ns: u64) -> Result<(), Refusal> {
        let is_denied = |ordinal: &u16| u64::from(*ordinal) == call.label();
        if call.badge().object() == 0 && self.denied.iter().any(is_denied) {
            return Err(Refusal::Denied);
        }
        if self.cost_ns == 0 || call.label() == CLOSE {
            return Ok(());
        }
        let passed = now_ns.saturating_sub(self.seen_ns);
        self.seen_ns = now_ns;
        self.credit_ns = self.credit_ns.saturating_add(passed).min(SECOND_NS);
        match self.credit_ns.checked_sub(self.cost_ns) {
            Some(left) => {
                self.credit_ns = left;
                Ok(())
            }
            None => Err(Refusal::Quota),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::badge::{Badge, ClientId};

    fn call(object: u16, label: u64) -> Incoming {
        let mut incoming = Incoming::new();
        let badge = Badge::new(ClientId::of(4), 0, 1).with_object(object);
        incoming.receive(badge.0, label, 0, [0; 4], None, |_| 0);
        incoming
    }

    #[test]
    fn operations_that_the_session_does_not_have_are_denied_on_the_interface_only() {
        let mut gate = Gate::new(&[2, 7], None);
        assert_eq!(gate.admit(&call(0, 1), 0), Ok(()));
        assert_eq!(gate.admit(&call(0, 2), 0), Err(Refusal::Denied));
        assert_eq!(gate.admit(&call(0, 7), 0), Err(Refusal::Denied));
        assert_eq!(gate.admit(&call(0x1001, 2), 0), Ok(()), "an object's operation of that number");
        assert_eq!(gate.admit(&call(0, 99), 0), Ok(()), "the dispatcher knows that there is none");
    }

    #[test]
    fn calls_beyond_the_rate_are_refused_until_time_has_passed() {
        for rate in [1_u32, 3, 50, 999] {
            let mut gate = Gate::new(&[], Some(rate));
            let mut now = 5 * SECOND_NS;
            let burst = (0..5000).filter(|_| gate.admit(&call(0, 1), now).is_ok()).count();
            assert_eq!(burst, rate as usize, "a second's worth at once");
            assert_eq!(gate.admit(&call(0, 1), now), Err(Refusal::Quota));
            assert_eq!(gate.admit(&call(5, CLOSE), now), Ok(()));
            let mut passed = 0;
            for _ in 0..10_000 {
                now += SECOND_NS / 1000;
                passed += u32::from(gate.admit(&call(0, 1), now).is_ok());
            }
            assert!(passed.abs_diff(10 * rate) <= 10, "{passed} in ten seconds at {rate}");
            now += 3600 * SECOND_NS;
            let burst = (0..5000).filter(|_| gate.admit(&call(0, 1), now).is_ok()).count();
            assert_eq!(burst, rate as usize, "an hour of quiet is worth no more");
        }
    }
}
