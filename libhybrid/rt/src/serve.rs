//! The server loop: one event after the other, answers fused with the next wait.
use crate::bell::SUPERVISION;
use crate::peers::{PeerChange, PeerNews};
use crate::port::{Event, KernelPort, Port};
use crate::{Env, gauge, now_ns};
use alloc::boxed::Box;
use hybrid_ipc::{CLOSE, CapToSend, ClientId, Gate, Incoming, Outgoing, REGISTER_WORDS, Refusal};
use hybrid_start::Session;
#[cfg(feature = "faults")]
use hybrid_start::fault::Step;
use hybrid_sys::{Endpoint, Reply};

/// What a component does with its events. Neither method may wait for long: nobody else is served meanwhile.
pub trait Component {
    /// A client called. Pass it to the generated dispatcher of the interface that `incoming.badge().interface()` says.
    /// What is in `outgoing` at the end is the answer; untouched, it says that there is no such operation.
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing);

    /// Bells rang or interrupts came: look at the rings, pull the events, acknowledge the interrupts of these bits.
    /// A bit may come without anything new, and stands for any number of ringings.
    fn on_bell(&mut self, bits: u64);

    /// It stopped before everything was done, so that whoever keeps it busy does not keep it from its calls and signs of life: it is handed what came
    /// meanwhile, at most one event, then [`Self::on_bell`] is called, without bits if no bell rang.
    fn has_more(&self) -> bool {
        false
    }

    /// A peer died, or is there again: see [`PeerNews`]. Comes before any event of the new instance; after `Back`, [`Self::on_bell`] is
    /// called with the session's bit, since there may be records already.
    fn on_peer(&mut self, change: &PeerChange) {
        let _nothing_is_held_for_it = change;
    }
}

/// Serves the calls that come through `endpoint`, and the bells of the notification that is bound to this thread, for
/// ever. `generation` is that of the badges it minted. For root tasks; components have `Env::serve`.
pub fn serve_endpoint(endpoint: Endpoint, reply: Reply, generation: u16, component: &mut impl Component) -> ! {
    serve_on(KernelPort { endpoint, reply }, None, generation, component)
}

/// With an `env`, the component is told of its peers and its pings are answered.
pub(crate) fn serve_on(mut port: impl Port, env: Option<Env>, generation: u16, component: &mut impl Component) -> ! {
    let mut server = Server::new(generation, env);
    loop {
        server.turn(&mut port, component);
    }
}

/// The loop's state between two events.
pub(crate) struct Server {
    /// Badges of other generations are stale.
    generation: u16,
    env: Option<Env>,
    /// Sessions that come and go, or have limits.
    gated: Box<[Gated]>,
    incoming: Box<Incoming>,
    outgoing: Box<Outgoing>,
    /// Whether `outgoing` answers a call that waits for it.
    owes_answer: bool,
}

impl Server {
    pub(crate) fn new(generation: u16, env: Option<Env>) -> Self {
        Self {
            generation,
            env,
            gated: env.iter().flat_map(Env::gated).map(Gated::new).collect(),
            incoming: Box::new(Incoming::new()),
            outgoing: Box::new(Outgoing::new()),
            owes_answer: false,
        }
    }

    /// Sends the answer that is owed, waits for one event and hands it to the component.
    pub(crate) fn turn(&mut self, port: &mut impl Port, component: &mut impl Component) {
        gauge::publish();
        // A ping that came while it stalled on order is answered behind it.
        #[cfg(feature = "faults")]
        self.fail_before_wait(port, component);
        self.answer_ping();
        let has_more = component.has_more();
        let event = port.next(self.owes_answer.then_some(&*self.outgoing), !has_more, &mut self.incoming);
        self.owes_answer = event == Event::Call;
        let rung = if let Event::Bells(bits) = event { bits } else { 0 };
        #[cfg(feature = "faults")]
        crate::fault::pass(if event == Event::Call { Step::Request } else { Step::Bell });
        self.tell(component, rung);
        if event == Event::Call {
            self.answer(port, component);
        }
        if has_more && rung & !SUPERVISION == 0 {
            component.on_bell(0);
        }
        self.hand_on_stashed(component);
    }

    fn answer_ping(&self) {
        self.env.iter().for_each(Env::answer_ping);
    }

    /// The steps before it waits, for the fault campaign.
    #[cfg(feature = "faults")]
    fn fail_before_wait(&self, port: &mut impl Port, component: &mut impl Component) {
        // It may be a ping that woke it: who stalls until the next one owes nothing for this one.
        self.answer_ping();
        crate::fault::pass(if self.owes_answer { Step::Answer } else { Step::Wait });
        if self.owes_answer
            && let Some(order) = crate::fault::due(Step::Answered)
        {
            port.answer(&self.outgoing);
            crate::fault::commit(order);
        }
        self.hand_on_stashed(component);
    }

    /// Tells what happened to peers, then rings: the bells in `rung`, and those of sessions that begin anew.
    fn tell(&self, component: &mut impl Component, rung: u64) {
        let mut bits = rung & !SUPERVISION;
        while let Some(change) = self.env.and_then(|env| env.next_change()) {
            component.on_peer(&change);
            if change.news == PeerNews::Back {
                bits |= change.session.mask();
            }
        }
        if bits != 0 {
            component.on_bell(bits);
        }
    }

    /// Bells that rang while the component waited for a server to come back, securityd's among them: it rang for peers. More may ring that way
    /// meanwhile; each such wait is for a server that died once more, so this ends.
    fn hand_on_stashed(&self, component: &mut impl Component) {
        while let Some(bits) = self.env.map(|env| env.take_stashed()).filter(|bits| *bits != 0) {
            self.tell(component, bits);
        }
    }

    fn answer(&mut self, port: &mut impl Port, component: &mut impl Component) {
        self.outgoing.set_refusal(Refusal::UnknownOperation);
        #[cfg(feature = "faults")]
        self.incoming.set_before_handler(crate::fault::before_handler);
        if self.incoming.badge().generation() != self.generation {
            self.outgoing.set_refusal(Refusal::Stale);
        } else if let Err(refusal) = self.admit() {
            self.outgoing.set_refusal(refusal);
        } else {
            component.on_call(&self.incoming, &mut self.outgoing);
        }
        self.take_back_unsendable(port, component);
        if let Some(cap) = self.incoming.take_cap() {
            port.discard(cap);
        }
    }
}

/// A session that a client has not always, or not wholly. A client whose session ended may have calls on their way, and capabilities for
/// objects; these, and what is beyond the session's limits, are refused here, whatever the component does.
struct Gated {
    /// Index among all peers.
    peer: usize,
    client: ClientId,
    interface: u8,
    gate: Gate,
}

impl Gated {
    fn new((peer, interface, session): (usize, u8, &Session)) -> Self {
        let gate = Gate::new(&session.limits.denied, session.limits.rate);
        Self { peer, client: ClientId { instance: session.client, nth: session.nth }, interface, gate }
    }
}

impl Server {
    /// An object for which there is no slot to send it from would be its client's for ever, who never gets to know it: it is closed, as the
    /// client would, and the answer says that there is no room.
    fn take_back_unsendable(&mut self, port: &impl Port, component: &mut impl Component) {
        if let Some(CapToSend::Object(badge)) = self.outgoing.cap().filter(|_| !port.can_send_cap()) {
            let brought = self.incoming.take_cap();
            self.incoming.receive(badge.0, CLOSE, 0, [0; REGISTER_WORDS], brought, |_| 0);
            component.on_call(&self.incoming, &mut self.outgoing);
            self.outgoing.set_refusal(Refusal::Quota);
        }
    }

    /// Whether the caller has a session now, as far as the component was told, and this call is within it.
    fn admit(&mut self) -> Result<(), Refusal> {
        let badge = self.incoming.badge();
        let is_its = |gated: &&mut Gated| (gated.client, gated.interface) == (badge.client(), badge.interface());
        let Some(gated) = self.gated.iter_mut().find(is_its) else { return Ok(()) };
        if self.env.is_some_and(|env| !env.is_up(gated.peer)) {
            return Err(Refusal::Denied);
        }
        gated.gate.admit(&self.incoming, now_ns())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::Desk;
    use hybrid_ipc::{Badge, CapSlot, reply};
    use hybrid_start::peers::{Condition, Peer, client_word, use_word};
    use hybrid_start::{Limits, Provided, StartInfo, Use};

    enum Step {
        Call {
            badge: Badge,
            label: u64,
            cap: Option<CapSlot>,
        },
        Bells(u64),
        /// What securityd does while the component waits for this event.
        Meanwhile(Box<dyn FnOnce()>, Box<Step>),
    }

    #[derive(Default)]
    struct Script {
        steps: std::collections::VecDeque<Step>,
        answers: Vec<(u64, usize)>,
        discarded: Vec<CapSlot>,
        has_no_slot: bool,
        polls: usize,
    }

    impl Port for Script {
        fn next(&mut self, answer: Option<&Outgoing>, waits: bool, incoming: &mut Incoming) -> Event {
            self.answers.extend(answer.map(|outgoing| (outgoing.label(), outgoing.length())));
            self.polls += usize::from(!waits);
            let mut step = self.steps.pop_front().expect("the test scripts every event");
            while let Step::Meanwhile(act, next) = step {
                act();
                step = *next;
            }
            match step {
                Step::Meanwhile(..) => unreachable!("unpacked above"),
                Step::Bells(bits) => Event::Bells(bits),
                Step::Call { badge, label, cap } => {
                    incoming.receive(badge.0, label, 1, [label * 10, 0, 0, 0], cap, |_| 0);
                    Event::Call
                }
            }
        }
        #[cfg(feature = "faults")]
        fn answer(&mut self, _: &Outgoing) {}
        fn can_send_cap(&self) -> bool {
            !self.has_no_slot
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

    /// A component with one use and one client, which writes down in order what happens to it.
    struct Diary {
        env: Env,
        desk: std::rc::Rc<Desk>,
        lines: Vec<String>,
        rings_meanwhile: u64,
    }

    impl Component for Diary {
        fn on_call(&mut self, incoming: &Incoming, _: &mut Outgoing) {
            self.lines.push(format!("call {}, pings answered to {}", incoming.label(), self.desk.answered()));
            if incoming.label() == 2 {
                // The server that this call needs is being started anew: this rings meanwhile, then it is there.
                self.desk.set(use_word(0).unwrap(), Condition::Restarting, 1);
                let desk = &self.desk;
                assert!(self.env.peers_for_test().renew(0, || {
                    desk.set(use_word(0).unwrap(), Condition::Up, 2);
                    self.rings_meanwhile
                }));
                self.lines.push("served".into());
            }
        }
        fn on_bell(&mut self, bits: u64) {
            self.lines.push(format!("bells {bits:#b}"));
        }
        fn on_peer(&mut self, change: &PeerChange) {
            let epoch = self.env.peers_for_test().epoch(usize::from(change.session.client.is_some()));
            self.lines.push(format!("{} {:?}, epoch {epoch}", change.interface, change.news));
        }
    }

    fn diary(steps: impl FnOnce(std::rc::Rc<Desk>) -> Vec<Step>) -> Vec<String> {
        diary_of(false, Limits::default(), 1 << 3, steps)
    }

    fn diary_of(
        is_on_demand: bool,
        limits: Limits,
        rings_meanwhile: u64,
        steps: impl FnOnce(std::rc::Rc<Desk>) -> Vec<Step>,
    ) -> Vec<String> {
        let up = Peer { condition: Condition::Up, epoch: 1 };
        let client = if is_on_demand { Peer { condition: Condition::Closed, epoch: 1 } } else { up };
        let desk = std::rc::Rc::new(Desk::new(&[(use_word(0).unwrap(), up), (client_word(0).unwrap(), client)]));
        let (client_name, bell_bit) = ("c".into(), Some(1));
        let session = Session { client: 4, client_name, bell_bit, is_on_demand, limits, ..Default::default() };
        let provides = vec![Provided { name: "door".into(), sessions: vec![session], ..Default::default() }];
        let uses = vec![Use { name: "store".into(), bell_bit: Some(2), ..Default::default() }];
        let start = Box::leak(Box::new(StartInfo { uses, provides, ..Default::default() }));
        let env = Env::with_page(start, Some(desk.page()));
        let steps = steps(desk.clone());
        let count = steps.len();
        let mut script = Script { steps: steps.into(), ..Script::default() };
        let (mut server, mut diary) =
            (Server::new(3, Some(env)), Diary { env, desk, lines: Vec::new(), rings_meanwhile });
        for _ in 0..count {
            server.turn(&mut script, &mut diary);
        }
        diary.lines
    }

    fn badge(generation: u16) -> Badge {
        Badge::new(ClientId::of(4), 0, generation)
    }

    fn run(steps: Vec<Step>) -> (Script, Echo) {
        let count = steps.len();
        let mut script = Script { steps: steps.into(), ..Script::default() };
        let (mut server, mut echo) = (Server::new(3, None), Echo::default());
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
    fn peer_is_gone_then_back_then_its_events_come() {
        let client = client_word(0).unwrap();
        let lines = diary(|desk| {
            let (other, again) = (desk.clone(), desk);
            let call = Step::Call { badge: badge(3), label: 1, cap: None };
            let restart = Box::new(move || {
                other.set(client, Condition::Restarting, 1);
                other.set(client, Condition::Up, 2);
            });
            let stop = Box::new(move || again.set(client, Condition::Down, 2));
            vec![
                Step::Bells(1),
                Step::Meanwhile(restart, Box::new(call)),
                Step::Meanwhile(stop, Box::new(Step::Bells(SUPERVISION))),
                Step::Bells(SUPERVISION),
                Step::Bells(SUPERVISION | 1),
            ]
        });
        let expected = [
            "bells 0b1",
            "door Gone(Restarting), epoch 1",
            "door Back, epoch 2",
            "bells 0b10",
            "call 1, pings answered to 0",
            "door Gone(Down), epoch 2",
            "bells 0b1",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn client_without_a_session_is_refused_before_the_component_sees_its_call() {
        let client = client_word(0).unwrap();
        let lines = diary_of(true, Limits::default(), 0, |desk| {
            let call = || Step::Call { badge: badge(3), label: 1, cap: None };
            let other = || Step::Call { badge: Badge::new(ClientId::of(4), 1, 3), label: 9, cap: None };
            let (opener, closer) = (desk.clone(), desk);
            let open = Box::new(move || opener.set(client, Condition::Up, 2));
            let close = Box::new(move || closer.set(client, Condition::Closed, 2));
            vec![
                call(),
                Step::Meanwhile(open, Box::new(call())),
                Step::Meanwhile(close, Box::new(call())),
                call(),
                other(),
            ]
        });
        let expected = [
            "door Back, epoch 2",
            "bells 0b10",
            "call 1, pings answered to 0",
            "door Gone(Closed), epoch 2",
            "call 9, pings answered to 0",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn call_beyond_its_session_is_refused_before_the_component_sees_it() {
        // A host's clock stands still: three calls are all that there will ever be.
        let limits = Limits { denied: vec![5], rate: Some(3), ..Limits::default() };
        let lines = diary_of(false, limits, 0, |_| {
            let call = |label| Step::Call { badge: badge(3), label, cap: None };
            vec![call(5), call(1), call(3), call(5), call(4), call(6)]
        });
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines.iter().zip(["call 1", "call 3", "call 4"]).all(|(line, wanted)| line.starts_with(wanted)));
    }

    /// An instance that is routed here twice has two sessions: each is kept to its own limits.
    #[test]
    fn limits_of_one_use_are_not_those_of_the_same_instances_other_use() {
        let sessions = [(0, vec![5]), (1, vec![6])].map(|(nth, denied)| {
            let limits = Limits { denied, ..Limits::default() };
            Session { client: 4, client_name: "c".into(), nth, limits, ..Default::default() }
        });
        let provides = vec![Provided { name: "door".into(), sessions: sessions.into(), ..Default::default() }];
        let start = Box::leak(Box::new(StartInfo { provides, ..Default::default() }));
        let env = Env::with_page(start, None);
        let told: Vec<_> = env.provided("door").iter().map(|session| session.client).collect();
        assert_eq!(told, [0, 1].map(|nth| Some(ClientId { instance: 4, nth })));
        let call = |nth, label| {
            let badge = Badge::new(ClientId { instance: 4, nth }, 0, 3);
            Step::Call { badge, label, cap: None }
        };
        let steps = [call(0, 5), call(0, 6), call(1, 5), call(1, 6), call(1, 7)].into();
        let mut script = Script { steps, ..Script::default() };
        let (mut server, mut echo) = (Server::new(3, Some(env)), Echo::default());
        (0..5).for_each(|_| server.turn(&mut script, &mut echo));
        assert_eq!(echo.calls, [6, 5, 7]);
    }

    #[test]
    fn bells_that_ring_during_a_wait_for_a_server_come_after_the_event() {
        let lines = diary(|_| vec![Step::Call { badge: badge(3), label: 2, cap: None }]);
        let expected = [
            "call 2, pings answered to 0",
            "served",
            "store Gone(Restarting), epoch 1",
            "store Back, epoch 2",
            "bells 0b1100",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn peers_that_changed_during_a_wait_for_a_server_are_told_after_the_event_though_no_other_bell_rang() {
        let call = || vec![Step::Call { badge: badge(3), label: 2, cap: None }];
        let lines = diary_of(false, Limits::default(), SUPERVISION, |_| call());
        assert_eq!(lines[2..], ["store Gone(Restarting), epoch 1", "store Back, epoch 2", "bells 0b100"]);
    }

    /// Is never done, for so many bells.
    struct Busy {
        echo: Echo,
        left: usize,
    }

    impl Component for Busy {
        fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
            self.echo.on_call(incoming, outgoing);
        }
        fn on_bell(&mut self, bits: u64) {
            self.echo.on_bell(bits);
            self.left -= 1;
        }
        fn has_more(&self) -> bool {
            self.left > 0
        }
    }

    #[test]
    fn component_that_is_kept_busy_gets_its_calls_and_bells_and_goes_on() {
        let call = |label| Step::Call { badge: badge(3), label, cap: None };
        let steps = vec![Step::Bells(0), call(1), Step::Bells(2), Step::Bells(0), Step::Bells(4)];
        let mut script = Script { steps: steps.into(), ..Script::default() };
        let mut busy = Busy { echo: Echo::default(), left: 4 };
        let mut server = Server::new(3, None);
        for _ in 0..4 {
            server.turn(&mut script, &mut busy);
        }
        assert_eq!((busy.echo.calls.as_slice(), busy.echo.bells.as_slice()), ([1].as_slice(), [0, 0, 2, 0].as_slice()));
        assert_eq!((script.answers.as_slice(), script.polls), ([(reply::OK, 1)].as_slice(), 4), "answered at once");
        // It has done everything: it waits for the next event, which the script has.
        server.turn(&mut script, &mut busy.echo);
        assert_eq!((busy.echo.bells.last(), script.polls), (Some(&4), 4));
    }

    #[test]
    fn ping_is_answered_only_between_two_events() {
        let call = || Step::Call { badge: badge(3), label: 1, cap: None };
        let lines = diary(|desk| {
            let act = Box::new(move || desk.ping(7));
            vec![Step::Meanwhile(act, Box::new(call())), call()]
        });
        // Asked during the wait, the first handler has not answered; the loop does, before it waits again.
        assert_eq!(lines, ["call 1, pings answered to 0", "call 1, pings answered to 7"]);
    }

    #[test]
    fn object_that_cannot_be_sent_is_closed_and_the_client_is_told() {
        struct Maker(Vec<(u64, u64)>);
        impl Component for Maker {
            fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
                self.0.push((incoming.badge().object().into(), incoming.label()));
                outgoing.set_registers(reply::OK, &[]);
                outgoing.set_cap(CapToSend::Object(incoming.badge().with_object(9)));
            }
            fn on_bell(&mut self, _: u64) {}
        }
        for has_no_slot in [false, true] {
            let call = Step::Call { badge: badge(3), label: 1, cap: Some(CapSlot(130)) };
            let steps = [call, Step::Bells(1)].into();
            let mut script = Script { steps, has_no_slot, ..Script::default() };
            let (mut server, mut maker) = (Server::new(3, None), Maker(Vec::new()));
            (0..2).for_each(|_| server.turn(&mut script, &mut maker));
            let (calls, answer) =
                if has_no_slot { (vec![(0, 1), (9, CLOSE)], reply::QUOTA) } else { (vec![(0, 1)], reply::OK) };
            assert_eq!((maker.0, script.answers, script.discarded), (calls, vec![(answer, 0)], vec![CapSlot(130)]));
        }
    }

    #[test]
    fn capability_that_nobody_takes_is_discarded() {
        let call = |generation, slot| Step::Call { badge: badge(generation), label: 1, cap: Some(CapSlot(slot)) };
        let (script, _) = run(vec![call(3, 130), call(2, 131)]);
        assert_eq!(script.discarded, [CapSlot(130), CapSlot(131)]);
    }
}
