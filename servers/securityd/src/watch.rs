//! Watches the supervisor, whom nobody else can; a metronome makes sure that securityd looks again.
//!
//! securityd has no clock. The metronome is a thread in securityd's own address space that does nothing but use up the little time it has: of that the kernel tells
//! securityd once a period. It uses nothing of what securityd holds, and nobody but the kernel talks to it.

use alloc::string::ToString;

use hybrid_capgraph::{Rights, layout};
use hybrid_sys::{ObjectType, SchedParameters};

use crate::install::{Cause, State, World, rights};
use crate::kernel::Kernel;
use crate::space::{OWN_NODE, Space};

/// Between two pings, and how long it may take to answer; then it gets so long once more, since a pause of the machine is nobody's fault.
const BEAT_NS: u64 = 5_000_000_000;
/// Above the supervisor's, so that nobody whom it starts can keep securityd from looking; below securityd's own.
pub(crate) const PRIORITY: u8 = 209;
const PERIOD_US: u64 = 1_000_000;
/// The kernel's least.
const BUDGET_US: u64 = 20;

/// What is known of the supervisor's signs of life.
#[derive(Debug, Default)]
pub struct Watch {
    /// The life that was asked.
    generation: u16,
    /// The newest ping; 0: none.
    number: u64,
    until_ns: u64,
    is_last: bool,
}

impl Watch {
    /// Whether this life was not asked yet.
    fn is_other(&self, generation: u16) -> bool {
        self.generation != generation || self.number == 0
    }

    /// Whether there is anything to look at: asked before the answer is read, which takes two system calls.
    fn is_due(&self, now_ns: u64, generation: u16) -> bool {
        self.is_other(generation) || now_ns >= self.until_ns
    }

    /// At `now_ns`, when it is due and life `generation` has answered `answer` last: the ping to send, or that it hangs.
    fn look(&mut self, now_ns: u64, generation: u16, answer: u64) -> Look {
        let is_other = self.is_other(generation);
        if !is_other && answer != self.number {
            if self.is_last {
                self.number = 0;
                return Look::Hangs;
            }
            (self.is_last, self.until_ns) = (true, now_ns.saturating_add(BEAT_NS));
            return Look::Later;
        }
        let number = self.number + 1;
        *self = Self { generation, number, until_ns: now_ns.saturating_add(BEAT_NS), is_last: false };
        Look::Ping(number)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It gets a second deadline.
    Later,
    Ping(u64),
    Hangs,
}

impl<K: Kernel> World<K> {
    /// Asks the supervisor for a sign of life, now and then, and stops it when it gives none: then it is started again like after a fault.
    pub fn watch_supervisor(&mut self) {
        let place = self.exits.supervisor().and_then(|id| self.place(id));
        let Some(place) = place.filter(|place| self.live[*place].state == State::Running) else { return };
        let (now, id, generation) = (self.kernel.now_ns(), self.live[place].id, self.live[place].generation);
        if !self.watch.is_due(now, generation) {
            return;
        }
        let answer = self.answer(place);
        match self.watch.look(now, generation, answer) {
            Look::Later => {}
            Look::Ping(number) => {
                self.ping(place, number);
                // Also without an alarm it looks around, so that it finds out when timed hangs.
                if let Some(slot) = self.exits.bell() {
                    self.kernel.signal(Space::cptr(OWN_NODE, slot));
                }
            }
            Look::Hangs => {
                self.stop(id, State::Killed, "it gave no sign of life".to_string());
            }
        }
    }

    /// Makes the metronome and lets it run; its beats come as faults of securityd itself.
    pub(crate) fn start_metronome(&mut self) -> Result<(), Cause> {
        let place = self.expect(layout::SECURITYD)?;
        let thread = self.make(place, ObjectType::Tcb, 11, 1)?;
        let context = self.make(place, ObjectType::SchedContext, 8, 1)?;
        let parameters = SchedParameters {
            budget_us: BUDGET_US,
            period_us: PERIOD_US,
            extra_refills: 0,
            badge: layout::SECURITYD.into(),
            is_sporadic: false,
        };
        self.kernel.configure_context(context, &parameters)?;
        let (slot, own) = (self.take_slot(place)?, &self.live[place]);
        let (cnode, Some(endpoint)) = (own.cnode, own.endpoint) else { return Ok(()) };
        let badge = layout::fault_badge(layout::SECURITYD);
        self.kernel.mint(self.space.slot(slot), self.space.slot(endpoint), rights(Rights::CALL), badge)?;
        Ok(self.kernel.start_metronome(thread, cnode, context, slot)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervisor_that_answers_is_asked_again_and_one_that_does_not_hangs_at_the_second_deadline() {
        let mut watch = Watch::default();
        let mut now = 7;
        for number in 1..5 {
            assert_eq!(watch.look(now, 1, number - 1), Look::Ping(number));
            assert!(!watch.is_due(now + BEAT_NS - 1, 1));
            now += BEAT_NS;
        }
        assert_eq!(watch.look(now, 1, 3), Look::Later, "it gets a second deadline");
        assert!(!watch.is_due(now + BEAT_NS - 1, 1));
        assert!(watch.is_due(now + BEAT_NS, 1));
        assert_eq!(watch.look(now + BEAT_NS, 1, 3), Look::Hangs);
    }

    #[test]
    fn next_life_of_the_supervisor_is_asked_anew() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(0, 1, 0), Look::Ping(1));
        assert_eq!(watch.look(BEAT_NS, 1, 0), Look::Later);
        assert!(watch.is_due(BEAT_NS + 1, 2));
        assert_eq!(watch.look(BEAT_NS + 1, 2, 0), Look::Ping(2));
        assert_eq!(watch.look(3 * BEAT_NS, 2, 2), Look::Ping(3));
        assert_eq!(watch.look(9 * BEAT_NS, 2, 3), Look::Ping(4), "it answered late, but before anybody looked");
    }
}
