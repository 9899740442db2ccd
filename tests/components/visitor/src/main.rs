//! Opens and closes its session, leaves objects behind, copies what it is given, and tells what is refused afterwards.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;
use libhybrid::interfaces::log::{CursorClient, ReaderClient};
use libhybrid::interfaces::security::{SessionError, SessionsClient};
use libhybrid::interfaces::time::AlarmClient;
use libhybrid::ipc::CallError;
use libhybrid::sys::{CNode, Endpoint, Rights};
use libhybrid::{Condition, EndpointCaller, Env, PeerNews, log, now_ns};

libhybrid::component!(run);

const ROUNDS: u32 = 300;
/// For so long it calls as often as it can.
const CALLS_FOR_NS: u64 = 300_000_000;
/// What the route allows it a second.
const RATE: u64 = 50;
/// Nothing limits who makes so many.
const CALLS_MAX: u64 = 5000;
/// What the interface allows each client.
const CURSORS: usize = 4;
/// A free slot far from those that the runtime uses first.
const COPY: u32 = 250;

type Cursors = Vec<CursorClient<EndpointCaller>>;

struct Visitor {
    env: Env,
    sessions: SessionsClient<EndpointCaller>,
}

fn run(env: Env) -> ! {
    let mut visitor = Visitor { env, sessions: SessionsClient::new(env.client("sessions")) };
    let life = env.start().generation;
    match narrow(&env) {
        Ok(text) => log::info!("life {life}: {text}"),
        Err(text) => log::error!("life {life} WENT WRONG: {text}"),
    }
    let kept = (0..ROUNDS).try_for_each(|_| visitor.round()).and_then(|()| visitor.stay());
    match &kept {
        Ok(_) => log::info!("life {life}: {ROUNDS} sessions came and went, and one stays"),
        Err(text) => log::error!("life {life} WENT WRONG: {text}"),
    }
    let mut cursors = kept.unwrap_or_default();
    loop {
        let _bits = env.wait();
        if env.peer_changes().any(|change| change.of_use("reader") == Some(PeerNews::Gone(Condition::Closed))) {
            match visitor.shut_out(&mut cursors) {
                Ok(()) => log::info!("revoked: the call, the object, the copy and asking again are refused"),
                Err(text) => log::error!("revoked, and it WENT WRONG: {text}"),
            }
        }
    }
}

/// A session of one operation, so many times a second: the other is denied, and so is too much of the one.
///
/// A second's worth may be there at the beginning, or nothing, if the life before used it up a moment ago; from then on what passes is what flows in.
fn narrow(env: &Env) -> Result<String, String> {
    let mut alarm = AlarmClient::new(env.client("alarm"));
    refused("an operation that the session does not have", alarm.cancel(), CallError::Denied)?;
    let start = now_ns();
    let (mut passed, mut taken, mut is_refused) = (0, 0, false);
    // The last call is a refused one: whatever flowed in until then was used up.
    while taken < CALLS_FOR_NS || !is_refused {
        is_refused = match alarm.set(u64::MAX) {
            Ok(()) => false,
            Err(CallError::Quota) => true,
            Err(error) => return Err(format!("a call within its session: {error}")),
        };
        passed += u64::from(!is_refused);
        taken = now_ns() - start;
        if passed > CALLS_MAX {
            break;
        }
    }
    let flowed = RATE * taken / 1_000_000_000;
    if passed < flowed.min(RATE).saturating_sub(1) || passed > RATE + flowed + 1 {
        return Err(format!("{passed} calls passed in {taken} ns, at {RATE} a second"));
    }
    Ok("its narrow session is no wider than declared".into())
}

impl Visitor {
    /// A whole session: refused before and after, and its objects are nobody's burden.
    fn round(&mut self) -> Result<(), String> {
        let mut reader = ReaderClient::new(self.env.client("reader"));
        refused("a call without a session", reader.open(1), CallError::Denied)?;
        let mut cursors = self.arrive()?;
        self.sessions.close("reader").map_err(|error| format!("closing: {error}"))?;
        refused("a call after the session", reader.open(1), CallError::Denied)?;
        for cursor in &mut cursors {
            refused("an object after its session", cursor.next(), CallError::Denied)?;
        }
        Ok(())
    }

    /// Opens the session, and as many objects as there may be.
    fn arrive(&mut self) -> Result<Cursors, String> {
        self.sessions.open("reader").map_err(|error| format!("opening: {error}"))?;
        let mut reader = ReaderClient::new(self.env.opened("reader"));
        let mut cursors = Vec::new();
        for number in 0..CURSORS {
            let mut cursor = reader.open(1).map_err(|error| format!("cursor {number}: {error}"))?;
            cursor.next().map_err(|error| format!("entry {number}: {error}"))?;
            cursors.push(cursor);
        }
        refused("one object too many", reader.open(1), CallError::Quota)?;
        Ok(cursors)
    }

    /// Opens the session for good, with a copy of its capability in another slot.
    fn stay(&mut self) -> Result<Cursors, String> {
        let cursors = self.arrive()?;
        let start = self.env.start();
        let used = start.use_named("reader").and_then(|used| used.slot);
        let (Some(own), Some(slot)) = (start.own_cnode, used) else { return Err("it has no CNode of its own".into()) };
        let slot_of = |slot: u32| CNode::at(own.into()).own_slot(slot.into());
        slot_of(COPY).copy_from(slot_of(slot), Rights::ALL).map_err(|error| format!("copying: {error:?}"))?;
        let mut copy = ReaderClient::new(EndpointCaller::new(Endpoint::at(COPY.into())));
        refused("one object too many by the copy", copy.open(1), CallError::Quota)?;
        Ok(cursors)
    }

    /// The session was revoked: nothing of it works, a copy of its capability neither.
    fn shut_out(&mut self, cursors: &mut Cursors) -> Result<(), String> {
        refused("a call", ReaderClient::new(self.env.client("reader")).open(1), CallError::Denied)?;
        for cursor in cursors {
            refused("an object", cursor.next(), CallError::Denied)?;
        }
        let mut copy = ReaderClient::new(EndpointCaller::new(Endpoint::at(COPY.into())));
        refused("the copy", copy.open(1), CallError::ServerDied)?;
        refused("asking", self.sessions.open("reader"), CallError::Domain(SessionError::Revoked))
    }
}

/// An error if `got` is not the refusal that is wanted.
fn refused<T, E: Debug + PartialEq>(
    what: &str,
    got: Result<T, CallError<E>>,
    wanted: CallError<E>,
) -> Result<(), String> {
    match got {
        Err(error) if error == wanted => Ok(()),
        Err(error) => Err(format!("{what} is refused by {error:?}, not by {wanted:?}")),
        Ok(_) => Err(format!("{what} is not refused")),
    }
}
