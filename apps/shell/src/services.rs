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

/// Who has the console.
pub struct Guest {
    name: String,
    index: u16,
    /// So often the console's key asks the supervisor to stop it, which was not done yet.
    stops: u8,
}

impl Guest {
    /// The key was pressed. A second time stops at once who was asked; a third would say no more.
    pub(crate) fn press_stop(&mut self) {
        self.stops = (self.stops + 1).min(2);
    }
}

/// Finds the service of this name, an index a step, and starts it if it does not run.
///
/// # Errors
/// There is none, it runs already, or the supervisor does not start it.
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
    match clients.services.attach(&name) {
        Ok(()) => {}
        Err(CallError::Domain(Error::Runs)) => {
            let name = quoted(&name);
            return Err(format!("{name} runs already; only a program that `enter` starts can have the console"));
        }
        Err(error) => return Err(because(&quoted(&name))(error)),
    }
    log::warn!("the console's operator enters {name}");
    Ok(away(name, index, out))
}

/// Whoever has the console already, when this shell is not the first of its lives, has it still.
pub fn resume<W: Wires>(clients: &mut Clients<W>, out: &mut String) -> Step<W> {
    let Ok(Some(index)) = clients.services.attached() else { return Step::Done };
    let name = service(clients, index).ok().flatten().map(|service| service.name.into_owned());
    name.map_or(Step::Done, |name| away(name, index, out))
}

fn away<W: Wires>(name: String, index: u16, out: &mut String) -> Step<W> {
    line(out, &format!("{} has the console until it ends; Ctrl-] stops it", quoted(&name)));
    Step::More(Job::Away(Guest { name, index, stops: 0 }))
}

/// Has the one that has the console stopped, if the key was pressed, and looks whether it runs still. While the supervisor does not answer it does,
/// as far as anybody knows: what is typed may be its passwords, so nothing of it is a command. Then securityd stops it.
pub fn look<W: Wires>(clients: &mut Clients<W>, mut guest: Guest, out: &mut String) -> Step<W> {
    let name = quoted(&guest.name);
    let (mut is_told, mut is_killed) = (false, false);
    for _ in 0..core::mem::take(&mut guest.stops) {
        log::warn!("the console's operator has {} stopped, which has the console", guest.name);
        match clients.services.stop(&guest.name) {
            Ok(()) => is_told = true,
            Err(CallError::Domain(Error::DoesNotRun)) => {}
            Err(error) => {
                line(out, &because("procd")(error));
                is_killed = clients.control.kill(&guest.name).is_ok();
            }
        }
    }
    let why = match service(clients, guest.index) {
        Ok(Some(service)) if service.name == guest.name.as_str() => {
            // One that waits is started again, and has the console then.
            let has_left = !matches!(service.phase, Phase::Running | Phase::Waiting);
            has_left.then(|| quoted(&service.detail).to_string())
        }
        Ok(_) => Some(String::new()),
        Err(_) => is_killed.then(|| "stopped".to_string()),
    };
    let Some(why) = why else {
        if is_told {
            line(out, &format!("{name} is to end; Ctrl-] again stops it at once"));
        }
        return Step::More(Job::Away(guest));
    };
    let end = if why.is_empty() { String::new() } else { format!(": {why}") };
    line(out, &format!("{name} has left the console{end}"));
    Step::Done
}

/// Tells the supervisor what to do with one service.
///
/// # Errors
/// Why it does not.
pub fn tell<W: Wires>(
    clients: &mut Clients<W>,
    order: Order,
    name: String,
    out: &mut String,
) -> Result<Step<W>, String> {
    let (result, done) = match order {
        Order::Start => (clients.services.start(&name), "is started"),
        Order::Stop => (clients.services.stop(&name), "is stopped"),
        Order::Restart => (clients.services.restart(&name), "is restarted"),
    };
    log::warn!("the console's operator has {name} told: {order:?}");
    result.map_err(because(&quoted(&name)))?;
    if order == Order::Stop {
        return Ok(Step::More(Job::Stopped(name, 0)));
    }
    line(out, &format!("{} {done}", quoted(&name)));
    Ok(Step::Done)
}

/// Finds the service that was to be stopped, an index a step, and says whether it was: a program that hears of signals has a moment to end by itself.
pub fn stopped<W: Wires>(clients: &mut Clients<W>, name: String, index: u16, out: &mut String) -> Step<W> {
    let is_asked = match service(clients, index) {
        Ok(Some(service)) if service.name != name.as_str() => return Step::More(Job::Stopped(name, index + 1)),
        Ok(Some(service)) => service.phase == Phase::Running,
        // It was told, and that went well.
        Ok(None) | Err(_) => false,
    };
    line(out, &format!("{} {}", quoted(&name), if is_asked { "is asked to end" } else { "is stopped" }));
    Step::Done
}
