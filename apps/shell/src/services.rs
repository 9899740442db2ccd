//! The supervisor's commands: svc; decides nothing.
use crate::command::Order;
use crate::job::{Clients, Job, Step, Wires, because, line, seconds};
use crate::quote::quoted;
use alloc::format;
use alloc::string::{String, ToString};
use hybrid_interfaces::process::{Error, Phase, Service};
use hybrid_ipc::CallError;

/// Services that are asked for; a supervisor that names more would keep the console busy for ever.
const SERVICES_MAX: u16 = 256;

/// The service with that index, or that there is none.
pub(crate) fn service<W: Wires>(clients: &mut Clients<W>, index: u16) -> Result<Option<Service<'static>>, String> {
    match clients.services.service(index) {
        Ok(service) if index < SERVICES_MAX => Ok(Some(service.into_owned())),
        Ok(_) | Err(CallError::Domain(Error::NoSuchInstance)) => Ok(None),
        Err(error) => Err(because("procd")(error)),
    }
}

const fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Running => "running",
        Phase::Waiting => "waiting",
        Phase::Stopped => "stopped",
        Phase::Failed => "failed",
        Phase::Ended => "ended",
        Phase::Held => "held",
        Phase::Isolated => "isolated",
        Phase::NoDevice => "no device",
        Phase::Idle => "idle",
    }
}

/// What the supervisor calls the state of one that does not run, and why, if it holds it back: for the auditor's verdict or for a device.
pub fn held_back<W: Wires>(clients: &mut Clients<W>, index: u16) -> Option<(&'static str, String)> {
    let service = clients.services.service(index).ok()?;
    let is_held_back = matches!(service.phase, Phase::Held | Phase::Isolated | Phase::NoDevice);
    is_held_back.then(|| (word(service.phase), quoted(&service.detail).to_string()))
}

/// Prints a service a step.
///
/// # Errors
/// The supervisor does not answer; as a text for the person at the console.
pub fn status<W: Wires>(
    clients: &mut Clients<W>,
    name: Option<String>,
    index: u16,
    out: &mut String,
) -> Result<Step<W>, String> {
    if index == 0 {
        line(out, "name             phase     gen  ends  hangs  watched  why it ended last");
    }
    let Some(service) = service(clients, index)? else { return Ok(Step::Done) };
    if name.as_ref().is_none_or(|name| service.name == name.as_str()) {
        let phase = word(service.phase);
        let (subject, detail) = (quoted(&service.name), quoted(&service.detail));
        let watched = if service.is_watched { "yes" } else { "no" };
        let text = format!(
            "{subject:<16} {phase:<9} {:>3}  {:>4}  {:>5}  {watched:<7}  {detail}",
            service.generation, service.ends, service.hangs
        );
        line(out, text.trim_end());
    }
    Ok(Step::More(Job::Services(name, index + 1)))
}

/// Prints an end a step, the newest first.
///
/// # Errors
/// As [`status`].
pub fn ends<W: Wires>(clients: &mut Clients<W>, number: u16, out: &mut String) -> Result<Step<W>, String> {
    let end = match clients.services.end(number) {
        Ok(end) if number < SERVICES_MAX => end,
        Ok(_) | Err(CallError::Domain(Error::NoSuchInstance)) => return Ok(Step::Done),
        Err(error) => return Err(because("procd")(error)),
    };
    let (name, detail) = (quoted(&end.name), quoted(&end.exit.detail));
    line(out, &format!("{} {name:<16} life {:>3}  {detail}", seconds(end.exit.at_ns), end.exit.generation));
    Ok(Step::More(Job::Ends(number + 1)))
}

/// Finds the service of this name, an index a step, and starts it if it does not run.
///
/// # Errors
/// There is none, or the supervisor does not start it.
pub fn enter<W: Wires>(
    clients: &mut Clients<W>,
    name: String,
    index: u16,
    out: &mut String,
) -> Result<Step<W>, String> {
    let Some(service) = service(clients, index)? else {
        return Err(format!("no component is called {}; `ps` lists them", quoted(&name)));
    };
    if service.name != name.as_str() {
        return Ok(Step::More(Job::Enter(name, index + 1)));
    }
    match clients.services.start(&name) {
        Ok(()) | Err(CallError::Domain(Error::Runs)) => {}
        Err(error) => return Err(because(&quoted(&name))(error)),
    }
    log::warn!("the console's operator enters {name}");
    line(out, &format!("{} has the console until it ends; Ctrl-] stops it", quoted(&name)));
    Ok(Step::More(Job::Away(name, index)))
}

/// Whether the one that has the console runs still.
///
/// # Errors
/// The supervisor does not answer: then the console is the shell's again.
pub fn look<W: Wires>(clients: &mut Clients<W>, name: String, index: u16, out: &mut String) -> Result<Step<W>, String> {
    match service(clients, index)? {
        Some(service) if service.name == name.as_str() && service.phase == Phase::Running => {
            Ok(Step::More(Job::Away(name, index)))
        }
        found => {
            let why = found.map(|service| quoted(&service.detail).to_string()).unwrap_or_default();
            let end = if why.is_empty() { String::new() } else { format!(": {why}") };
            line(out, &format!("{} has left the console{end}", quoted(&name)));
            Ok(Step::Done)
        }
    }
}

/// Tells the supervisor what to do with one service.
///
/// # Errors
/// Why it does not.
pub fn tell<W: Wires>(clients: &mut Clients<W>, order: Order, name: &str, out: &mut String) -> Result<(), String> {
    let (result, done) = match order {
        Order::Start => (clients.services.start(name), "is started"),
        Order::Stop => (clients.services.stop(name), "is stopped"),
        Order::Restart => (clients.services.restart(name), "is restarted"),
    };
    log::warn!("the console's operator has {name} told: {order:?}");
    result.map_err(because(&quoted(name)))?;
    // A program that hears of signals has a moment to end by itself.
    let is_asked = matches!(order, Order::Stop) && runs(clients, name)?;
    line(out, &format!("{} {}", quoted(name), if is_asked { "is asked to end" } else { done }));
    Ok(())
}

/// Whether the service of this name runs.
fn runs<W: Wires>(clients: &mut Clients<W>, name: &str) -> Result<bool, String> {
    for index in 0..SERVICES_MAX {
        match service(clients, index)? {
            Some(service) if service.name == name => return Ok(service.phase == Phase::Running),
            Some(_) => {}
            None => break,
        }
    }
    Ok(false)
}
