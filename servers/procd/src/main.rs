//! Wires securityd's Lifecycle, the alarm and the console's commands to the supervisor; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::vec::Vec;

use libhybrid::interfaces::live::{LiveClient, Verdict};
use libhybrid::interfaces::process::{
    Error, Exit, Life, LifecycleClient, Reason, TEXT_MAX, dispatch_drivers, dispatch_program, dispatch_services,
    dispatch_spawner,
};
use libhybrid::interfaces::time::AlarmClient;
use libhybrid::ipc::{CallError, Incoming, Outgoing};
use libhybrid::{Bell, Component, EndpointCaller, Env, SessionHandle, log, now_ns, sys};
use procd::{Finding, Kin, OnDifference, Power, Supervisor, Suspect};

libhybrid::component!(run);

/// Hundreds of the periods after which whoever has precedence gets its budget back: also on an emulated machine on a busy host, where a start of
/// timed was seen to take a tenth of a second.
const WELL_WITHIN_NS: u64 = 3_000_000_000;
/// More instances than a product can have.
const SUSPECTS_MAX: u32 = 256;

struct Securityd {
    lifecycle: LifecycleClient<EndpointCaller>,
    alarm: AlarmClient<EndpointCaller>,
    live: LiveClient<EndpointCaller>,
    is_alarm_lost: bool,
    /// Of parents, programs and operators.
    bells: Vec<(u16, Bell)>,
}

/// securityd does not die before its clients; what else can go wrong with a call changes nothing.
fn domain(error: CallError<Error>) -> Error {
    match error {
        CallError::Domain(error) => error,
        _ => Error::NotAllowed,
    }
}

impl Power for Securityd {
    fn now_ns(&self) -> u64 {
        now_ns()
    }

    fn life(&mut self, index: u16) -> Result<Life<'static>, Error> {
        self.lifecycle.life(index).map(Life::into_owned).map_err(domain)
    }

    fn start(&mut self, index: u16) -> Result<(), Error> {
        self.lifecycle.start(index).map_err(domain)
    }

    fn stop(&mut self, index: u16, reason: Reason, again: bool) -> Result<(), Error> {
        self.lifecycle.stop(index, reason, again).map_err(domain)
    }

    fn postpone(&mut self, index: u16) {
        let _nobody_waits_then = self.lifecycle.postpone(index);
    }

    fn exit(&mut self, sequence: u64) -> Option<(Option<Exit<'static>>, u64)> {
        let answer = self.lifecycle.exit(sequence).ok()?;
        Some((answer.exit.map(Exit::into_owned), answer.next))
    }

    fn ping(&mut self, index: u16, number: u64) {
        let _without_an_answer_it_hangs = self.lifecycle.ping(index, number);
    }

    fn answer(&mut self, index: u16) -> u64 {
        self.lifecycle.answer(index).unwrap_or(0)
    }

    /// Who has precedence answers before the ping returns, unless its budget for this period is used up. The auditor has the supervisor's own
    /// priority, so it runs when this yields: a supervisor that asks securityd again and again lets securityd use the time, and is never taken off.
    fn is_well(&mut self, index: u16, number: u64) -> bool {
        let until = now_ns().saturating_add(WELL_WITHIN_NS);
        self.ping(index, number);
        loop {
            // The time first: after a pause of the machine it runs before this does, and is asked once more.
            let is_late = now_ns() > until;
            if self.answer(index) == number || is_late {
                return !is_late || self.answer(index) == number;
            }
            sys::yield_now();
        }
    }

    /// `look` is not idempotent, so the stub does not wait for an auditor that the supervisor itself has to start.
    fn compare(&mut self) -> Option<Finding> {
        let found = self.live.look().ok().filter(|found| found.verdict != Verdict::Unable)?;
        let mut suspects = Vec::new();
        for number in 0..SUSPECTS_MAX {
            let Some(suspect) = self.live.suspect(number).ok()? else { break };
            suspects.push(Suspect { name: suspect.name.into_owned(), line: suspect.line.into_owned() });
        }
        Some(Finding { differences: found.differences, suspects })
    }

    fn note(&mut self, text: &str) {
        let _in_the_log_then = self.lifecycle.note(text.get(..TEXT_MAX).unwrap_or(text));
    }

    fn ring(&mut self, id: u16) {
        self.bells.iter().filter(|(other, _)| *other == id).for_each(|(_, bell)| bell.ring());
    }

    /// While timed is down there is no alarm: nobody's heart is watched and back-offs wait for the next event.
    fn arm(&mut self, deadline_ns: Option<u64>) {
        let result = match deadline_ns {
            Some(deadline_ns) => self.alarm.set(deadline_ns),
            None => self.alarm.cancel(),
        };
        if result.is_err() && !self.is_alarm_lost {
            log::error!("there is no alarm: back-offs and heartbeats wait");
        }
        self.is_alarm_lost = result.is_err();
    }
}

struct Procd {
    supervisor: Supervisor<Securityd>,
    /// The indices of interfaces in badges: the finder's, the parents', the programs'.
    drivers: u8,
    spawner: u8,
    program: u8,
}

impl Component for Procd {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        match incoming.badge().interface() {
            interface if interface == self.drivers => dispatch_drivers(&mut self.supervisor, incoming, outgoing),
            interface if interface == self.spawner => dispatch_spawner(&mut self.supervisor, incoming, outgoing),
            interface if interface == self.program => dispatch_program(&mut self.supervisor, incoming, outgoing),
            _ => dispatch_services(&mut self.supervisor, incoming, outgoing),
        }
    }

    /// Every ring is the same to it: whatever happened is found by looking.
    fn on_bell(&mut self, _: u64) {
        self.supervisor.turn();
    }
}

/// Those that are spawned, as the product has them: both sides are clients, which is how their ids are known.
fn kin(env: &Env, clients: &[SessionHandle]) -> Vec<Kin> {
    let id_of = |name: &str| clients.iter().find(|session| session.name == name)?.client.map(|client| client.instance);
    env.start().parameters.iter().filter_map(|(key, value)| Kin::of(key, value, id_of)).collect()
}

fn run(env: Env) -> ! {
    let clients: Vec<SessionHandle> = ["spawner", "program"].iter().flat_map(|name| env.provided(name)).collect();
    let kin = kin(&env, &clients);
    let operators: Vec<SessionHandle> = env.provided("services").into_iter().collect();
    let rung = clients.iter().chain(&operators);
    let bells = rung.filter_map(|session| Some((session.client?.instance, session.bell))).collect();
    let power = Securityd {
        lifecycle: LifecycleClient::new(env.client("lifecycle")),
        alarm: AlarmClient::new(env.client("alarm")),
        live: LiveClient::new(env.client("live")),
        is_alarm_lost: false,
        bells,
    };
    let mut supervisor = Supervisor::with_family(power, &env.start().name, &kin);
    supervisor.await_commands(env.start().parameters.iter().filter_map(|(key, _)| key.strip_prefix("command.")));
    let programs = env.provided("program").into_iter();
    supervisor.set_hearers(programs.filter_map(|session| Some((session.name, session.client?.instance))));
    supervisor.set_operators(operators.iter().filter_map(|session| Some(session.client?.instance)));
    supervisor.set_on_difference(OnDifference::of(env.parameter("on_difference")));
    supervisor.turn();
    env.serve(&mut Procd {
        supervisor,
        drivers: env.interface_index("drivers"),
        spawner: env.interface_index("spawner"),
        program: env.interface_index("program"),
    })
}
