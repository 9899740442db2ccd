//! What commands do: calls on the shell's capabilities, one line of output a step.
use crate::command::{Command, HELP, Order};
use crate::quote::quoted;
use crate::{devices, history, policy, services, top};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Debug;
use hybrid_interfaces::device::DevicesClient;
use hybrid_interfaces::fs::FilesClient;
use hybrid_interfaces::live::{Comparison, LiveClient, Verdict};
use hybrid_interfaces::log::{CursorClient, Level, ReaderClient};
use hybrid_interfaces::net::stack::{Address, NetworkClient};
use hybrid_interfaces::process::ServicesClient;
use hybrid_interfaces::security::{
    AuditClient, AuditRecord, Chain, ControlClient, InspectClient, Instance, PolicyClient, PowerClient, RecordKind,
    State,
};
use hybrid_ipc::{CallError, Caller};

/// The kinds of callers behind the shell's uses: endpoints on the target, loopbacks in tests.
pub trait Wires {
    /// To `hybrid.security.Inspect`.
    type Inspect: Caller;
    /// To `hybrid.security.Audit`.
    type Audit: Caller;
    /// To `hybrid.security.Control`.
    type Control: Caller;
    /// To `hybrid.security.Policy`.
    type Policy: Caller;
    /// To `hybrid.security.Power`.
    type Power: Caller;
    /// To `hybrid.log.Reader`.
    type Reader: Caller;
    /// To `hybrid.fs.Files`.
    type Kept: Caller;
    /// To `hybrid.net.stack.Network`.
    type Network: Caller;
    /// To `hybrid.process.Services`.
    type Services: Caller;
    /// To `hybrid.live.Live`.
    type Live: Caller;
    /// To `hybrid.device.Devices`.
    type Devices: Caller;
}

/// All authority that the shell has.
pub struct Clients<W: Wires> {
    /// Reads the state of the system.
    pub inspect: InspectClient<W::Inspect>,
    /// Reads the audit trail.
    pub audit: AuditClient<W::Audit>,
    /// Stops components.
    pub control: ControlClient<W::Control>,
    /// Replaces the access policy.
    pub policy: PolicyClient<W::Policy>,
    /// Switches the device off.
    pub power: PowerClient<W::Power>,
    /// Reads the log.
    pub reader: ReaderClient<W::Reader>,
    /// Reads the log that is on the disk.
    pub kept: FilesClient<W::Kept>,
    /// Reads addresses and counters.
    pub network: NetworkClient<W::Network>,
    /// Asks and tells the supervisor.
    pub services: ServicesClient<W::Services>,
    /// Compares live with declared.
    pub live: LiveClient<W::Live>,
    /// Lists devices.
    pub devices: DevicesClient<W::Devices>,
}

type Cursor<W> = CursorClient<<<W as Wires>::Reader as Caller>::Received>;

/// A command that runs.
pub enum Job<W: Wires> {
    /// The list of commands.
    Help(usize),
    /// The instance with this index is next.
    Processes(u16),
    /// The grants of the instance with this name; its index, and the number of the next grant.
    Capabilities(String, Option<(u16, u16)>),
    /// All grants: index of the instance, number of its next grant, and how many were printed.
    Grants(u16, u16, u32),
    /// The newest entries: how many are asked for.
    OpenLog(u16),
    /// Entries up to the end, at most so many.
    Log(Cursor<W>, u16),
    /// The log on the disk: so many KiB.
    OpenHistory(u16),
    /// What is open of it, from there on; true: it begins within a line.
    History(history::Kept, u64, bool),
    /// The services: of this name only, and the index of the next.
    Services(Option<String>, u16),
    /// A program gets the console: its name, and the index of the service that is looked at next.
    Enter(String, u16),
    /// The first: somebody may have the console from an earlier life of the shell.
    Resume,
    /// Somebody else has the console; a step looks whether that one runs still.
    Away(services::Guest),
    /// A service is to be started, stopped or restarted.
    Tell(Order, String),
    /// The service of this name was stopped, and the index of the service that is looked at next.
    Stopped(String, u16),
    /// The end with this number is next; 0 is the newest.
    Ends(u16),
    /// Use of budgets: what was collected, and the index of the next.
    Top(Vec<top::Share>, u16),
    /// The head of a chain of the audit trail is next.
    Audit(Chain),
    /// Record `.1` of a chain is next, and `.2` is the end that the head told.
    Trail(Chain, u64, u64),
    /// A comparison is to be made; whether all that was found is printed, too.
    Live(bool),
    /// Line `.1` is next, of what was found (`.0`) or of the differences, of the comparison `.2`.
    LiveLines(bool, u32, Comparison),
    /// The device with this index is next; whether everything is looked at again first.
    Devices(bool, u16),
    /// A command with one call.
    Once(Command),
}

/// What a step left.
pub enum Step<W: Wires> {
    /// The rest of the job.
    More(Job<W>),
    /// Nothing.
    Done,
}

/// What the shell knows without asking anybody.
#[derive(Clone, Copy)]
pub struct Times {
    /// Now, nanoseconds of the monotonic clock.
    pub now_ns: u64,
    /// When securityd began, same clock.
    pub boot_ns: u64,
}

impl<W: Wires> Job<W> {
    /// The job that does `command`.
    pub fn new(command: Command) -> Self {
        match command {
            Command::Help => Self::Help(0),
            Command::Processes => Self::Processes(0),
            Command::Capabilities(name) => Self::Capabilities(name, None),
            Command::Log(count) => Self::OpenLog(count),
            Command::History(kib) => Self::OpenHistory(kib),
            Command::Audit => Self::Audit(Chain::Events),
            Command::Live(is_all) => Self::Live(is_all),
            Command::Grants => Self::Grants(0, 0, 0),
            Command::Services(name) => Self::Services(name, 0),
            Command::Ends => Self::Ends(0),
            Command::Enter(name) => Self::Enter(name, 0),
            Command::Service(order, name) => Self::Tell(order, name),
            Command::Devices(is_scan) => Self::Devices(is_scan, 0),
            Command::Top => Self::Top(Vec::new(), 0),
            other => Self::Once(other),
        }
    }

    /// Whether somebody else has the console.
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Away(..))
    }

    /// Whether it may be broken off by a key: not before it is known who has the console.
    pub const fn is_interruptible(&self) -> bool {
        !matches!(self, Self::Resume | Self::Away(..))
    }

    /// Does one step: at most a few calls and a few lines into `out`.
    ///
    /// # Errors
    /// A text for the person at the console; the job is over.
    pub fn step(
        self,
        clients: &mut Clients<W>,
        seen: &mut top::Seen,
        times: Times,
        out: &mut String,
    ) -> Result<Step<W>, String> {
        match self {
            Self::Help(index) => Ok(help(index, out)),
            Self::Processes(index) => processes(clients, index, out),
            Self::Capabilities(name, place) => capabilities(clients, name, place, out),
            Self::Grants(index, number, count) => grants(clients, (index, number), count, out),
            Self::OpenLog(count) => {
                let cursor = clients.reader.open(count).map_err(because("the log"))?;
                Ok(Step::More(Self::Log(cursor, count)))
            }
            Self::Log(cursor, left) => log_entry(cursor, left, out),
            Self::OpenHistory(kib) => history::open(clients, kib),
            Self::History(kept, at, is_part) => history::piece(clients, kept, at, is_part, out),
            Self::Services(name, index) => services::status(clients, name, index, out),
            Self::Enter(name, index) => services::enter(clients, name, index, out),
            Self::Resume => Ok(services::resume(clients, out)),
            Self::Away(guest) => Ok(services::look(clients, guest, out)),
            Self::Tell(order, name) => services::tell(clients, order, name, out),
            Self::Stopped(name, index) => Ok(services::stopped(clients, name, index, out)),
            Self::Ends(number) => services::ends(clients, number, out),
            Self::Top(shares, index) => top::top(clients, seen, shares, index, times, out),
            Self::Devices(is_scan, index) => devices::list(clients, is_scan, index, out),
            Self::Audit(chain) => chain_head(clients, chain, out),
            Self::Trail(chain, sequence, end) => trail(clients, chain, (sequence, end), out),
            Self::Live(is_all) => {
                let found = clients.live.compare().map_err(because("auditd"))?;
                if found.at_ns < times.now_ns {
                    let age = seconds(times.now_ns.saturating_sub(found.at_ns));
                    line(out, &format!("{OLD} {} ago:", age.trim_start()));
                }
                if is_all {
                    line(out, LIVE_HEAD);
                }
                Ok(Step::More(Self::LiveLines(is_all, 0, found)))
            }
            Self::LiveLines(is_all, number, found) => live_line(clients, is_all, number, found, out),
            Self::Once(command) => once(clients, &command, times, out).map(|()| Step::Done),
        }
    }
}

/// A sentence for the person at the console; also when nobody answers.
pub(crate) fn because<E: Debug>(what: &str) -> impl FnOnce(CallError<E>) -> String {
    move |error| match error {
        CallError::ServerDied => format!("{what} is not there now; `ps` shows whether it was started again"),
        error => format!("{what}: {error}"),
    }
}

pub(crate) fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push_str("\r\n");
}

fn help<W: Wires>(index: usize, out: &mut String) -> Step<W> {
    let Some((usage, about)) = HELP.get(index) else { return Step::Done };
    line(out, &format!("  {usage:<10} {about}"));
    Step::More(Job::Help(index + 1))
}

fn processes<W: Wires>(clients: &mut Clients<W>, index: u16, out: &mut String) -> Result<Step<W>, String> {
    let summary = clients.inspect.summary().map_err(because("securityd"))?;
    if index == 0 {
        line(out, "name             state     gen  prio   memory KiB  heap KiB  caps  why it stopped");
    }
    if index >= summary.instances {
        let (free, total) = (summary.memory_free / 1024, summary.memory_total / 1024);
        line(out, &format!("{} instances; {free} of {total} KiB of memory are free", summary.instances));
        return Ok(Step::Done);
    }
    let instance = clients.inspect.instance(index).map_err(because("securityd"))?;
    let held_back = match instance.state {
        State::Running | State::Empty => None,
        _ => services::held_back(clients, index),
    };
    line(out, &process(&instance, held_back));
    Ok(Step::More(Job::Processes(index + 1)))
}

fn process(instance: &Instance<'_>, held_back: Option<(&str, String)>) -> String {
    let state = match instance.state {
        State::Starting => "starting",
        State::Running => "running",
        State::Faulted => "faulted",
        State::Killed => "killed",
        State::Failed => "failed",
        State::Empty => "empty",
        State::Ended => "ended",
    };
    let name = quoted(&instance.name);
    let (state, detail) = held_back.unwrap_or_else(|| (state, quoted(&instance.detail).to_string()));
    let (memory, heap, caps) = (instance.memory_bytes / 1024, instance.heap_bytes / 1024, instance.capabilities);
    format!(
        "{name:<16} {state:<9} {:>3}  {:>4}  {memory:>11}  {heap:>8}  {caps:>4}  {detail}",
        instance.generation, instance.priority
    )
    .trim_end()
    .to_string()
}

/// Finds the instance by its name first, an index a step; then prints a grant a step.
fn capabilities<W: Wires>(
    clients: &mut Clients<W>,
    name: String,
    place: Option<(u16, u16)>,
    out: &mut String,
) -> Result<Step<W>, String> {
    let Some((index, number)) = place else {
        let index = index_of(clients, &name)?;
        return Ok(Step::More(Job::Capabilities(name, Some((index, 0)))));
    };
    let grant = clients.inspect.grant(index, number).map_err(because("securityd"))?;
    if !grant.line.is_empty() {
        line(out, &quoted(&grant.line));
    }
    match number.checked_add(1) {
        Some(next) if grant.more => Ok(Step::More(Job::Capabilities(name, Some((index, next))))),
        _ => Ok(Step::Done),
    }
}

/// Prints every grant as securityd made it, one a step; ends with their number.
fn grants<W: Wires>(
    clients: &mut Clients<W>,
    (index, number): (u16, u16),
    count: u32,
    out: &mut String,
) -> Result<Step<W>, String> {
    let instances = clients.inspect.summary().map_err(because("securityd"))?.instances;
    if index >= instances {
        line(out, &format!("{count} grants in all"));
        return Ok(Step::Done);
    }
    let grant = clients.inspect.grant(index, number).map_err(because("securityd"))?;
    let is_there = !grant.line.is_empty();
    if is_there {
        line(out, &quoted(&grant.line));
    }
    let next = number.checked_add(1).filter(|_| grant.more).map_or((index + 1, 0), |next| (index, next));
    Ok(Step::More(Job::Grants(next.0, next.1, count + u32::from(is_there))))
}

fn index_of<W: Wires>(clients: &mut Clients<W>, name: &str) -> Result<u16, String> {
    let count = clients.inspect.summary().map_err(because("securityd"))?.instances;
    for index in 0..count {
        if clients.inspect.instance(index).map_err(because("securityd"))?.name == name {
            return Ok(index);
        }
    }
    Err(format!("no component is called {}; `ps` lists them", quoted(name)))
}

fn log_entry<W: Wires>(mut cursor: Cursor<W>, left: u16, out: &mut String) -> Result<Step<W>, String> {
    let next = cursor.next().map_err(because("the log"))?;
    if next.missed > 0 {
        line(out, &format!("  … {} entries were overwritten", next.missed));
    }
    // Entries that arrive meanwhile (this shell's own, too) do not count: the command ends.
    let (Some(entry), Some(rest)) = (next.entry, left.checked_sub(1)) else { return Ok(Step::Done) };
    let level = match entry.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    let lost =
        if entry.dropped_before > 0 { format!(" ({} lost before)", entry.dropped_before) } else { String::new() };
    let (component, text) = (quoted(&entry.component), quoted(&entry.text));
    line(out, &format!("{:>6} {} {level:<5} {component:<12} {text}{lost}", entry.sequence, seconds(entry.at_ns)));
    Ok(Step::More(Job::Log(cursor, rest)))
}

/// The lines of `audit` are a format that `cargo xtask audit` reads: a head a chain, a line a record, an end.
fn chain_head<W: Wires>(clients: &mut Clients<W>, chain: Chain, out: &mut String) -> Result<Step<W>, String> {
    let span = clients.audit.span(chain).map_err(because("securityd"))?;
    let counts = RecordKind::ALL.iter().zip(&span.forgotten).filter(|(_, count)| **count > 0);
    let forgotten: Vec<String> = counts.map(|(kind, count)| format!("{}:{count}", kind.name())).collect();
    let forgotten = if forgotten.is_empty() { "-".to_string() } else { forgotten.join(",") };
    let (name, before) = (name_of(chain), hex(&span.before));
    let (first, next, waiting) = (span.first, span.next, span.waiting);
    line(
        out,
        &format!("# chain {name} first={first} next={next} waiting={waiting} before={before} forgotten={forgotten}"),
    );
    Ok(Step::More(Job::Trail(chain, first, next)))
}

fn trail<W: Wires>(
    clients: &mut Clients<W>,
    chain: Chain,
    (sequence, end): (u64, u64),
    out: &mut String,
) -> Result<Step<W>, String> {
    // Records that arrive meanwhile do not count, and a server that names the same place again is not followed: the command ends.
    let record =
        if sequence < end { clients.audit.record(chain, sequence).map_err(because("securityd"))? } else { None };
    let Some(record) = record.filter(|record| (sequence..end).contains(&record.sequence)) else {
        if chain == Chain::Events {
            return Ok(Step::More(Job::Audit(Chain::Denials)));
        }
        line(out, "# end of the trail");
        return Ok(Step::Done);
    };
    let AuditRecord { sequence, at_ns, kind, hash, text } = &record;
    let (name, kind, text, hash) = (name_of(chain), kind.name(), quoted(text), hex(hash));
    line(out, &format!("{name} {sequence} {at_ns} {kind} {text} sha256={hash}"));
    Ok(Step::More(Job::Trail(chain, sequence + 1, end)))
}

/// What stands above an answer that is older than the question.
const OLD: &str = "asked again too soon; this was found";

/// What the kernel's list can show of the golden format, for `cargo xtask caps compare`.
const LIVE_HEAD: &str = "# shows audit bell call cnode device dma endpoint fault interrupt memory notification other peers region reply shown";

fn live_line<W: Wires>(
    clients: &mut Clients<W>,
    is_all: bool,
    number: u32,
    found: Comparison,
    out: &mut String,
) -> Result<Step<W>, String> {
    let text = if is_all { clients.live.line(number) } else { clients.live.difference(number) };
    if let (Some(text), Some(next)) = (text.map_err(because("auditd"))?, number.checked_add(1)) {
        line(out, &quoted(&text));
        return Ok(Step::More(Job::LiveLines(is_all, next, found)));
    }
    if is_all {
        line(out, &format!("{number} grants in all"));
        return Ok(Step::Done);
    }
    let verdict = match found.verdict {
        Verdict::AsDeclared => "as declared",
        Verdict::Different => "NOT as declared",
        Verdict::Unable => "unknown: the kernel's list cannot be read",
    };
    let Comparison { equal, differences, absent, capabilities, number, .. } = found;
    let counts = format!("{equal} equal, {differences} different, {absent} absent, {capabilities} capabilities");
    line(out, &format!("live is {verdict}: {counts}; comparison {number}"));
    Ok(Step::Done)
}

const fn name_of(chain: Chain) -> &'static str {
    match chain {
        Chain::Events => "events",
        Chain::Denials => "denials",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn once<W: Wires>(clients: &mut Clients<W>, command: &Command, times: Times, out: &mut String) -> Result<(), String> {
    match command {
        Command::Kill(name) => {
            log::warn!("the console's operator stops {name}");
            clients.control.kill(name).map_err(because(name))?;
            line(out, &format!("{} is stopped", quoted(name)));
        }
        Command::Session(is_permitted, name, used) => {
            let change = if *is_permitted { "may open" } else { "may no more open" };
            log::warn!("the console's operator says: {name} {change} its session {used}");
            let control = &mut clients.control;
            let done = if *is_permitted { control.permit(name, used) } else { control.revoke(name, used) };
            done.map_err(because(name))?;
            line(out, &format!("{} {change} its session {}", quoted(name), quoted(used)));
        }
        Command::Policy(order) => policy::tell(clients, order, times, out)?,
        Command::Network => network(clients, out)?,
        Command::Uptime => line(out, &seconds(times.now_ns.saturating_sub(times.boot_ns))),
        Command::Off => {
            log::warn!("the console's operator switches the device off");
            clients.power.off().map_err(because("securityd"))?;
        }
        Command::Restart => {
            log::warn!("the console's operator restarts the device");
            clients.power.restart().map_err(because("securityd"))?;
        }
        // The others are jobs of their own.
        _ => {}
    }
    Ok(())
}

fn network<W: Wires>(clients: &mut Clients<W>, out: &mut String) -> Result<(), String> {
    let now = clients.network.configuration().map_err(because("netd"))?;
    let mac = now.mac.map(|byte| format!("{byte:02x}")).join(":");
    line(out, &format!("link      {mac}"));
    for block in &now.addresses {
        line(out, &format!("address   {}/{}", address(&block.address), block.prefix));
    }
    if let Some(gateway) = &now.gateway {
        line(out, &format!("gateway   {}", address(gateway)));
    }
    for server in &now.dns {
        line(out, &format!("dns       {}", address(server)));
    }
    line(out, &format!("by        {}", if now.is_dhcp { "DHCP" } else { "fixed setting" }));
    let counters = clients.network.counters().map_err(because("netd"))?;
    line(out, &format!("received  {} frames, {} bytes", counters.frames_in, counters.bytes_in));
    line(out, &format!("sent      {} frames, {} bytes", counters.frames_out, counters.bytes_out));
    line(out, &format!("open      {} connections", counters.connections));
    Ok(())
}

fn address(address: &Address) -> String {
    match address {
        Address::V4(bytes) => core::net::Ipv4Addr::from(*bytes).to_string(),
        Address::V6(bytes) => core::net::Ipv6Addr::from(*bytes).to_string(),
    }
}

/// Seconds with milliseconds.
pub(crate) fn seconds(ns: u64) -> String {
    format!("{:>5}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}
