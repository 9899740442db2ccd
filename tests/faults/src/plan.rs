//! Who fails how, and where in its work; starts nothing.

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Stopped from outside, wherever it is.
    Kill,
    /// It loops for ever.
    Hang,
    /// It panics at a step of its work.
    Step,
    /// Its heap is used up; in half of the runs it then needs some.
    Heap,
    /// Its empty capability slots are used up.
    Slots,
    /// Its own queue is full, or it does not drain those of others.
    Queue,
}

impl Manner {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 6] = [Self::Kill, Self::Hang, Self::Step, Self::Heap, Self::Slots, Self::Queue];

    /// Its name in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Hang => "hang",
            Self::Step => "step",
            Self::Heap => "memory",
            Self::Slots => "slots",
            Self::Queue => "queue",
        }
    }
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ends and is started again.
    Ends,
    /// It goes on.
    GoesOn,
    /// One or the other: whether it needs what it has not got.
    Either,
}

/// One failure.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Who.
    pub(crate) victim: &'static str,
    /// `DEED/STEP/PASSING`; none: it is killed.
    pub(crate) order: Option<String>,
    /// What follows.
    pub(crate) outcome: Outcome,
    /// A command that makes it pass the step, where the load does not.
    pub(crate) trigger: &'static str,
}

/// A component, and where it can be told to fail.
pub(crate) struct Victim {
    /// Its name.
    pub(crate) name: &'static str,
    /// The steps that it passes under load, or when the [`Self::trigger`] is typed.
    steps: &'static [&'static str],
    /// A command that makes it pass those that the load does not.
    trigger: &'static str,
    /// Whether it can mint and receive capabilities, so that it has slots to lose.
    has_slots: bool,
    /// Whether procd asks it for signs of life.
    pub(crate) is_watched: bool,
}

/// Of a component that serves calls and makes none.
const SERVES: &[&str] = &["wait", "bell", "request", "handler", "answer", "answered"];
/// Of one that only answers.
const ANSWERS: &[&str] = &["wait", "request", "handler", "answer", "answered"];
/// Of one that does both.
const SERVES_AND_CALLS_ONCE: &[&str] =
    &["wait", "bell", "request", "handler", "answer", "answered", "call", "sent", "returned"];
/// Of one whose handlers make several calls.
const SERVES_AND_CALLS: &[&str] =
    &["wait", "bell", "request", "handler", "answer", "answered", "call", "sent", "returned", "between"];
/// Of one that only calls.
const CALLS: &[&str] = &["wait", "bell", "call", "sent", "returned", "between"];
/// Of one with bells only.
const RINGS: &[&str] = &["wait", "bell"];

/// Every component of the gateway but securityd.
pub(crate) const VICTIMS: [Victim; 16] = [
    Victim { name: "status", steps: CALLS, trigger: "uptime", has_slots: true, is_watched: true },
    Victim {
        name: "httpd",
        steps: SERVES_AND_CALLS,
        trigger: "svc restart status",
        has_slots: false,
        is_watched: true,
    },
    Victim { name: "netd", steps: SERVES_AND_CALLS_ONCE, trigger: "net", has_slots: false, is_watched: true },
    Victim { name: "nic", steps: SERVES, trigger: "svc restart netd", has_slots: false, is_watched: true },
    Victim { name: "timed", steps: SERVES, trigger: "uptime", has_slots: false, is_watched: true },
    Victim { name: "logd", steps: SERVES, trigger: "log 5", has_slots: true, is_watched: true },
    Victim { name: "rng", steps: SERVES, trigger: "svc restart entropyd", has_slots: false, is_watched: true },
    Victim { name: "entropyd", steps: SERVES, trigger: "svc restart netd", has_slots: false, is_watched: true },
    Victim { name: "console", steps: RINGS, trigger: "uptime", has_slots: false, is_watched: true },
    Victim { name: "shell", steps: CALLS, trigger: "ps", has_slots: true, is_watched: true },
    Victim { name: "auditd", steps: SERVES, trigger: "live", has_slots: false, is_watched: true },
    Victim { name: "udevd", steps: ANSWERS, trigger: "devices", has_slots: false, is_watched: true },
    Victim { name: "disk", steps: SERVES, trigger: "svc restart fsd", has_slots: false, is_watched: true },
    // Its one call is at its own start; later it asks the disk by rings.
    Victim { name: "fsd", steps: SERVES, trigger: "history", has_slots: false, is_watched: true },
    Victim { name: "historyd", steps: CALLS, trigger: "uptime", has_slots: true, is_watched: true },
    Victim { name: "procd", steps: SERVES_AND_CALLS, trigger: "svc status", has_slots: false, is_watched: false },
];

impl Victim {
    /// How many different failures there are in this manner; 0: it has nothing that could fail so.
    pub(crate) const fn count(&self, manner: Manner) -> usize {
        match manner {
            Manner::Step => self.steps.len(),
            Manner::Slots if !self.has_slots => 0,
            Manner::Queue if self.is_watched => 2,
            Manner::Heap => 2,
            _ => 1,
        }
    }

    /// Failure number `number` in this manner; each further round of the same step fails at a later passing.
    pub(crate) fn failure(&self, manner: Manner, number: usize) -> Failure {
        let count = self.count(manner).max(1);
        let (kind, round) = (number % count, number / count);
        let order = |deed: &str, step: &str| Some(format!("{deed}/{step}/{}", 1 + round % PASSINGS));
        let somewhere = self.steps[number % self.steps.len().min(2)];
        let (order, outcome) = match manner {
            Manner::Kill => (None, Outcome::Ends),
            Manner::Hang => (order("hang", somewhere), Outcome::Ends),
            Manner::Step => (order("panic", self.steps[kind]), Outcome::Ends),
            Manner::Heap if kind == 0 => (order("heap", "wait"), Outcome::Either),
            Manner::Heap => (order("need", "wait"), Outcome::Ends),
            Manner::Slots => (order("slots", "wait"), Outcome::GoesOn),
            // It has no log.
            Manner::Queue if self.name == "logd" => (order("stall", "wait"), Outcome::GoesOn),
            // A stall ends with the supervisor's next ping, and this one the supervisor calls: for it that is the hang.
            Manner::Queue if self.name == "auditd" => (order("flood", "wait"), Outcome::GoesOn),
            Manner::Queue => (order(["flood", "stall"][kind], "wait"), Outcome::GoesOn),
        };
        Failure { victim: self.name, order, outcome, trigger: self.trigger }
    }
}

/// Failures are spread over so many passings of a step.
const PASSINGS: usize = 5;

#[cfg(test)]
mod tests {
    use super::{Manner, VICTIMS};
    use std::collections::BTreeSet;

    #[test]
    fn every_instance_of_the_gateway_is_a_victim() {
        let text = include_str!("../../../images/gateway/system.toml");
        let names =
            text.split("[[instance]]").skip(1).filter_map(|part| part.split("name = \"").nth(1)?.split('"').next());
        let names: BTreeSet<_> = names.collect();
        assert_eq!(names, VICTIMS.iter().map(|victim| victim.name).collect());
    }

    #[test]
    fn order_fits_the_command_that_carries_it() {
        for victim in &VICTIMS {
            for (manner, number) in
                Manner::ALL.into_iter().flat_map(|manner| (0..60).map(move |number| (manner, number)))
            {
                let failure = victim.failure(manner, number);
                let text = failure.order.map_or(String::new(), |order| format!("{}/{order}", failure.victim));
                assert!(text.len() <= 32, "{text}");
            }
        }
    }

    #[test]
    fn failures_of_a_manner_meet_every_step() {
        for victim in &VICTIMS {
            let count = victim.count(Manner::Step);
            let orders: BTreeSet<_> =
                (0..count).filter_map(|number| victim.failure(Manner::Step, number).order).collect();
            assert_eq!(orders.len(), count, "{}", victim.name);
        }
    }
}
