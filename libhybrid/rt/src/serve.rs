//! The server loop: one event after the other, answers fused with the next wait.
use crate::port::{Event, KernelPort, Port};
use alloc::boxed::Box;
use hybrid_ipc::{Incoming, Outgoing, Refusal};
use hybrid_sys::{Endpoint, Reply};

/// What a component does with its events. Neither method may wait for long: nobody else is served meanwhile.
pub trait Component {
    /// A client called. Pass it to the generated dispatcher of the interface that `incoming.badge().interface()` says.
    /// What is in `outgoing` at the end is the answer; untouched, it says that there is no such operation.
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing);

    /// Bells rang or interrupts came: look at the rings, pull the events, acknowledge the interrupts of these bits.
    /// A bit may come without anything new, and stands for any number of ringings.
    fn on_bell(&mut self, bits: u64);
}

/// Serves the calls that come through `endpoint`, and the bells of the notification that is bound to this thread, for
/// ever. `generation` is that of the badges it minted. For root tasks; components have `Env::serve`.
pub fn serve_endpoint(endpoint: Endpoint, reply: Reply, generation: u16, component: &mut impl Component) -> ! {
    serve_on(KernelPort { endpoint, reply }, generation, component)
}

pub(crate) fn serve_on(mut port: impl Port, generation: u16, component: &mut impl Component) -> ! {
    let mut server = Server::new(generation);
    loop {
        server.turn(&mut port, component);
    }
}

/// The loop's state between two events.
pub(crate) struct Server {
    /// Badges of other generations are stale.
    generation: u16,
    incoming: Box<Incoming>,
    outgoing: Box<Outgoing>,
    /// Whether `outgoing` answers a call that waits for it.
    owes_answer: bool,
}

impl Server {
    pub(crate) fn new(generation: u16) -> Self {
        Self {
            generation,
            incoming: Box::new(Incoming::new()),
            outgoing: Box::new(Outgoing::new()),
            owes_answer: false,
        }
    }

    /// Sends the answer that is owed, waits for one event and hands it to the component.
    pub(crate) fn turn(&mut self, port: &mut impl Port, component: &mut impl Component) {
        crate::gauge::publish();
        let event = if self.owes_answer {
            port.answer_and_receive(&self.outgoing, &mut self.incoming)
        } else {
            port.receive(&mut self.incoming)
        };
        self.owes_answer = event == Event::Call;
        match event {
            Event::Bells(bits) => component.on_bell(bits),
            Event::Call => self.answer(port, component),
        }
    }

    fn answer(&mut self, port: &mut impl Port, component: &mut impl Component) {
        self.outgoing.set_refusal(Refusal::UnknownOperation);
        if self.incoming.badge().generation() == self.generation {
            component.on_call(&self.incoming, &mut self.outgoing);
        } else {
            self.outgoing.set_refusal(Refusal::Stale);
        }
        if let Some(cap) = self.incoming.take_cap() {
            port.discard(cap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hybrid_ipc::{Badge, CapSlot, ClientId, reply};

    enum Step {
        Call { badge: Badge, label: u64, cap: Option<CapSlot> },
        Bells(u64),
    }

    #[derive(Default)]
    struct Script {
        steps: std::collections::VecDeque<Step>,
        answers: Vec<(u64, usize)>,
        discarded: Vec<CapSlot>,
    }

    impl Port for Script {
        fn receive(&mut self, incoming: &mut Incoming) -> Event {
            match self.steps.pop_front().expect("the test scripts every event") {
                Step::Bells(bits) => Event::Bells(bits),
                Step::Call { badge, label, cap } => {
                    incoming.receive(badge.0, label, 1, [label * 10, 0, 0, 0], cap, |_| 0);
                    Event::Call
                }
            }
        }
        fn answer_and_receive(&mut self, outgoing: &Outgoing, incoming: &mut Incoming) -> Event {
            self.answers.push((outgoing.label(), outgoing.length()));
            self.receive(incoming)
        }
        fn discard(&mut self, cap: CapSlot) {
            self.discarded.push(cap);
        }
    }

    #[derive(Default)]
    struct Echo {
        bells: Vec<u64>,
        calls: Vec<u64>,
    }

    impl Component for Echo {
        fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
            self.calls.push(incoming.label());
            if incoming.label() == 1 {
                let [word] = incoming.registers().expect("the script sends one word");
                outgoing.set_registers(reply::OK, &[word]);
            }
        }
        fn on_bell(&mut self, bits: u64) {
            self.bells.push(bits);
        }
    }

    fn badge(generation: u16) -> Badge {
        Badge::new(ClientId { instance: 4 }, 0, generation)
    }

    fn run(steps: Vec<Step>) -> (Script, Echo) {
        let count = steps.len();
        let mut script = Script { steps: steps.into(), ..Script::default() };
        let (mut server, mut echo) = (Server::new(3), Echo::default());
        for _ in 0..count {
            server.turn(&mut script, &mut echo);
        }
        (script, echo)
    }

    #[test]
    fn answers_are_sent_once_and_only_for_calls() {
        let call = |label| Step::Call { badge: badge(3), label, cap: None };
        let (script, echo) =
            run(vec![Step::Bells(1), call(1), Step::Bells(2), Step::Bells(4), call(9), call(1), Step::Bells(8)]);
        assert_eq!(script.answers, [(reply::OK, 1), (reply::UNKNOWN_OPERATION, 0), (reply::OK, 1)]);
        assert_eq!((echo.bells, echo.calls), (vec![1, 2, 4, 8], vec![1, 9, 1]));
    }

    #[test]
    fn call_with_a_badge_of_another_generation_is_stale() {
        let call = |generation| Step::Call { badge: badge(generation), label: 1, cap: None };
        let (script, echo) = run(vec![call(2), call(4), call(3), Step::Bells(0)]);
        assert_eq!(script.answers, [(reply::STALE, 0), (reply::STALE, 0), (reply::OK, 1)]);
        assert_eq!(echo.calls, [1]);
    }

    #[test]
    fn capability_that_nobody_takes_is_discarded() {
        let call = |generation, slot| Step::Call { badge: badge(generation), label: 1, cap: Some(CapSlot(slot)) };
        let (script, _) = run(vec![call(3, 130), call(2, 131)]);
        assert_eq!(script.discarded, [CapSlot(130), CapSlot(131)]);
    }
}
