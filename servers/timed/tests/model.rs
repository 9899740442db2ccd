//! Random use of the alarms against a model that keeps every call ever made; says nothing of the timer hardware.
use libhybrid::ipc::ClientId;
use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use timed::{Alarms, ClientUnknown};

/// The last two are one instance, which is routed here twice.
const CLIENTS: [ClientId; 3] = [ClientId::of(3), ClientId::of(7), ClientId { instance: 7, nth: 1 }];
/// Nobody is routed here so.
const STRANGER: ClientId = ClientId { instance: 3, nth: 1 };

#[derive(Debug, Clone, Copy)]
enum Step {
    Set(ClientId, u64),
    Cancel(ClientId),
    Pull(ClientId),
    Advance(u64),
}

/// The obvious way: per client the last call counts; it has fired if a moment since then was late enough.
#[derive(Default)]
struct Model {
    history: Vec<(ClientId, Step)>,
    now_ns: u64,
}

impl Model {
    fn last(&self, client: ClientId) -> Option<(usize, Step)> {
        let mine = self.history.iter().enumerate().rev().find(|(_, (whose, _))| *whose == client);
        mine.map(|(position, &(_, step))| (position, step))
    }

    /// The running or fired alarm of a client: its deadline and whether it fired.
    fn alarm(&self, client: ClientId) -> Option<(u64, bool)> {
        match self.last(client)? {
            (_, Step::Set(_, deadline_ns)) => Some((deadline_ns, deadline_ns <= self.now_ns)),
            _ => None,
        }
    }

    fn next(&self) -> Option<u64> {
        let running = CLIENTS.iter().filter_map(|&client| self.alarm(client)).filter(|&(_, has_fired)| !has_fired);
        running.map(|(deadline_ns, _)| deadline_ns).min()
    }
}

fn step() -> impl Strategy<Value = Step> {
    let client = || prop::sample::select([&CLIENTS[..], &[STRANGER]].concat());
    let deadline = || prop_oneof![0_u64..1000, any::<u64>()];
    prop_oneof![
        (client(), deadline()).prop_map(|(client, deadline_ns)| Step::Set(client, deadline_ns)),
        client().prop_map(Step::Cancel),
        client().prop_map(Step::Pull),
        (0_u64..100).prop_map(Step::Advance),
    ]
}

proptest! {
    #[test]
    fn alarms_random_use_equals_model(steps in prop::collection::vec(step(), 0..200)) {
        let mut alarms = Alarms::new(CLIENTS);
        let mut model = Model::default();
        for step in steps {
            let known = |client: ClientId| CLIENTS.contains(&client);
            match step {
                Step::Set(client, deadline_ns) => {
                    assert_eq!(alarms.set(client, deadline_ns), if known(client) { Ok(()) } else { Err(ClientUnknown) });
                    model.history.push((client, step));
                }
                Step::Cancel(client) => {
                    assert_eq!(alarms.cancel(client).is_ok(), known(client));
                    model.history.push((client, step));
                }
                Step::Pull(client) => {
                    let fired = model.alarm(client).filter(|&(_, has_fired)| has_fired).map(|(deadline_ns, _)| deadline_ns);
                    let expected = if known(client) { Ok(fired) } else { Err(ClientUnknown) };
                    assert_eq!(alarms.pull(client), expected);
                    if fired.is_some() {
                        model.history.push((client, step));
                    }
                }
                Step::Advance(by_ns) => model.now_ns += by_ns,
            }
            // The server lets alarms fire after every call and at every interrupt.
            let mut rung = Vec::new();
            alarms.expire(model.now_ns, |position| rung.push(CLIENTS[position]));
            for client in rung {
                assert!(model.alarm(client).is_some_and(|(_, has_fired)| has_fired), "rang without a reason");
            }
            assert_eq!(alarms.next(), model.next());
        }
    }
}

#[test]
fn expire_each_alarm_rings_once() {
    let mut alarms = Alarms::new(CLIENTS);
    let [first, second, third] = CLIENTS;
    alarms.set(first, 10).expect("a client");
    alarms.set(third, 10).expect("a client");
    alarms.set(second, u64::MAX).expect("a client");
    let mut rung = Vec::new();
    alarms.expire(9, |position| rung.push(position));
    assert_eq!(rung, []);
    alarms.expire(10, |position| rung.push(position));
    alarms.expire(11, |position| rung.push(position));
    assert_eq!(rung, [0, 2]);
    assert_eq!(alarms.next(), Some(u64::MAX));
}
