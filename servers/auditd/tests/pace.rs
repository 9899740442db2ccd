//! Random use of the auditor by many clients against a model that keeps every comparison; not of what is compared.
use auditd::fact::Fact;
use auditd::{List, Server};
use libhybrid::interfaces::live::{Comparison, LiveClient, LiveLoopback, LiveServer};
use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::cell::RefCell;
use std::rc::Rc;

const SECOND: u64 = 1_000_000_000;

/// A kernel whose list is empty, and takes time.
#[derive(Default)]
struct World {
    now: u64,
    takes: u64,
    listed: u32,
}

#[derive(Clone, Default)]
struct Kernel(Rc<RefCell<World>>);

impl List for Kernel {
    fn facts(&mut self) -> Option<Vec<Fact>> {
        let mut world = self.0.borrow_mut();
        world.listed += 1;
        world.now += world.takes;
        None
    }

    fn now_ns(&self) -> u64 {
        self.0.borrow().now
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A client asks, and the list would take so long.
    Ask(u16, u64),
    /// The supervisor has it look.
    Look(u64),
    Last,
    Pass(u64),
}

/// One that was made: when, until when, and whether somebody had asked.
#[derive(Debug, Clone, Copy)]
struct Made {
    began: u64,
    ended: u64,
    is_asked: bool,
}

impl Made {
    /// Nothing that is asked for begins before this: the rest as the interface's text has it.
    fn rests_until(self) -> u64 {
        self.ended + (3 * (self.ended - self.began)).clamp(SECOND, 10 * SECOND)
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let takes = || prop_oneof![0..SECOND / 2, 0..20 * SECOND];
    let step = prop_oneof![
        4 => (1_u16..8, takes()).prop_map(|(client, takes)| Step::Ask(client, takes)),
        1 => takes().prop_map(Step::Look),
        1 => prop::strategy::Just(Step::Last),
        3 => prop_oneof![0..SECOND / 10, 0..4 * SECOND, prop::strategy::Just(SECOND)].prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn asked_ones_rest_looks_never_do_and_each_answer_is_the_last_comparison(steps in steps()) {
        let kernel = Kernel::default();
        let server = LiveLoopback::new(LiveServer::new(Server::new(kernel.clone(), None)));
        let mut clients: Vec<_> = (0..8).map(|id| LiveClient::new(server.connect(id + 1))).collect();
        let mut made: Vec<Made> = Vec::new();
        for step in steps {
            let (began, listed) = (kernel.0.borrow().now, kernel.0.borrow().listed);
            let may = made.iter().all(|earlier| earlier.rests_until() <= began);
            let (answer, is_due, is_asked): (Comparison, bool, bool) = match step {
                Step::Pass(time) => {
                    kernel.0.borrow_mut().now += time;
                    continue;
                }
                Step::Ask(client, takes) => {
                    kernel.0.borrow_mut().takes = takes;
                    (clients[usize::from(client)].compare().expect("an answer"), may, true)
                }
                Step::Look(takes) => {
                    kernel.0.borrow_mut().takes = takes;
                    (clients[0].look().expect("an answer"), true, false)
                }
                Step::Last => (clients[1].last().expect("an answer"), false, true),
            };
            let world = kernel.0.borrow();
            prop_assert_eq!(world.listed - listed, u32::from(is_due));
            if is_due {
                made.push(Made { began, ended: world.now, is_asked });
            }
            prop_assert_eq!(answer.number as usize, made.len());
            prop_assert_eq!(answer.at_ns, made.last().map_or(0, |made| made.began));
        }
        share_is_bounded(&made)?;
    }
}

/// Between the first that was asked for and the last, those that took no longer than the longest rest allows for had a quarter of the time.
fn share_is_bounded(made: &[Made]) -> Result<(), proptest::test_runner::TestCaseError> {
    let asked: Vec<&Made> = made.iter().filter(|made| made.is_asked).collect();
    let (Some(first), Some(last)) = (asked.first(), asked.last()) else { return Ok(()) };
    let short = |made: &&&Made| (made.ended - made.began) * 3 <= 10 * SECOND;
    let spent: u64 = asked.iter().filter(short).map(|made| made.ended - made.began).sum();
    prop_assert!(spent <= (last.rests_until() - first.began) / 4 + 1);
    Ok(())
}

#[test]
fn first_of_a_life_is_made_at_once() {
    let kernel = Kernel::default();
    let server = LiveLoopback::new(LiveServer::new(Server::new(kernel.clone(), None)));
    let mut client = LiveClient::new(server.connect(2));
    assert_eq!(client.compare().expect("an answer").number, 1);
    assert_eq!(kernel.0.borrow().listed, 1);
}
