//! The whole shell on loopbacks: keys go in, text comes out; no kernel.
mod audit;
mod enter;
mod history;
mod services;
mod top;

use crate::devices::fake::FakeDevices;
use crate::job::{Clients, Times, Wires};
use crate::screen::Screen;
use crate::shell::Shell;
use alloc::borrow::Cow;
use alloc::rc::Rc;
use core::cell::Cell;
use hybrid_interfaces::console::{TerminalRings, TerminalServerRings, terminal};
use hybrid_interfaces::device::{DevicesClient, DevicesLoopback, DevicesServer};
use hybrid_interfaces::fs::{FilesClient, FilesLoopback, FilesServer};
use hybrid_interfaces::live::{Comparison, Live, LiveClient, LiveLoopback, LiveServer, Verdict};
use hybrid_interfaces::log::{Cursor, CursorNext, Entry, Level, Reader, ReaderClient, ReaderLoopback, ReaderServer};
use hybrid_interfaces::net::stack::{
    Address, AddressBlock, Network, NetworkClient, NetworkConfiguration, NetworkCounters, NetworkLoopback,
    NetworkServer,
};
use hybrid_interfaces::process::{self, Exit, Service, Services, ServicesEnd};
use hybrid_interfaces::process::{ServicesClient, ServicesLoopback, ServicesServer};
use hybrid_interfaces::security::{
    AuditClient, AuditLoopback, AuditServer, Control, ControlClient, ControlLoopback, ControlServer, Error, Inspect,
    InspectClient, InspectGrant, InspectLoopback, InspectServer, InspectSummary, Instance, Policy, PolicyCheck,
    PolicyClient, PolicyError, PolicyLoopback, PolicyServer, PolicyState, Power, PowerClient, PowerLoopback,
    PowerServer, State,
};
use hybrid_ipc::{ClientId, LoopbackCaller, Region};

const NAMES: [&str; 3] = ["securityd", "httpd", "evil\u{1b}[2J"];

struct FakeInspect;

impl Inspect for FakeInspect {
    fn summary(&mut self, _: ClientId) -> InspectSummary<'_> {
        InspectSummary {
            product: "gateway".into(),
            version: "1".into(),
            instances: 3,
            memory_total: 1 << 20,
            memory_free: 1 << 19,
            grants: 6,
        }
    }

    fn instance(&mut self, _: ClientId, index: u16) -> Result<Instance<'_>, Error> {
        let name = NAMES.get(usize::from(index)).ok_or(Error::NoSuchInstance)?;
        Ok(Instance {
            index,
            name: (*name).into(),
            component: "servers/x".into(),
            state: if index == 0 { State::Killed } else { State::Running },
            generation: 1,
            priority: 100,
            memory_bytes: 4096,
            heap_bytes: 2048,
            capabilities: 2,
            detail: "".into(),
        })
    }

    fn grant(&mut self, _: ClientId, index: u16, number: u16) -> Result<InspectGrant<'_>, Error> {
        let name = NAMES.get(usize::from(index)).ok_or(Error::NoSuchInstance)?;
        Ok(InspectGrant { line: format!("{name} holds {number}").into(), more: number < 1 })
    }
}

/// Two lines are there, one of which nobody declared; when the last comparison began.
struct FakeLive(Rc<Cell<u64>>);

impl Live for FakeLive {
    fn compare(&mut self, _: ClientId) -> Comparison {
        let verdict = Verdict::Different;
        Comparison { verdict, equal: 1, differences: 1, absent: 3, capabilities: 99, number: 7, at_ns: self.0.get() }
    }

    fn last(&mut self, client: ClientId) -> Comparison {
        self.compare(client)
    }

    fn look(&mut self, client: ClientId) -> Comparison {
        self.compare(client)
    }

    fn difference(&mut self, _: ClientId, number: u32) -> Option<Cow<'_, str>> {
        (number == 0).then(|| "+ x other frame at=0x1\n".into())
    }

    fn line(&mut self, _: ClientId, number: u32) -> Option<Cow<'_, str>> {
        ["a bell b slot=9", "x other frame at=0x1"].get(usize::try_from(number).unwrap()).map(|line| (*line).into())
    }

    fn suspect(&mut self, _: ClientId, _: u32) -> Option<hybrid_interfaces::live::Suspect<'_>> {
        None
    }
}

#[derive(Default)]
struct FakeControl(Vec<String>);

impl Control for FakeControl {
    fn kill(&mut self, _: ClientId, name: &str) -> Result<(), Error> {
        if name != "httpd" {
            return Err(Error::NoSuchInstance);
        }
        self.0.push(name.into());
        Ok(())
    }

    fn revoke(&mut self, _: ClientId, client: &str, name: &str) -> Result<(), Error> {
        self.0.push(format!("revoke {client} {name}"));
        if client == "httpd" { Ok(()) } else { Err(Error::NotAllowed) }
    }

    fn permit(&mut self, _: ClientId, client: &str, name: &str) -> Result<(), Error> {
        self.0.push(format!("permit {client} {name}"));
        Ok(())
    }
}

/// What was submitted, and the seconds of the trial.
#[derive(Default)]
struct FakePolicy(Vec<u8>, u16);

impl Policy for FakePolicy {
    fn submit(&mut self, _: ClientId, offset: u16, data: &[u8]) -> Result<(), PolicyError> {
        assert_eq!(usize::from(offset), self.0.len());
        self.0.extend(data);
        Ok(())
    }

    fn check(&mut self, _: ClientId) -> PolicyCheck<'_> {
        PolicyCheck { fault: Some(PolicyError::LockedOut), index: 1, text: "it would deny\n".into() }
    }

    fn try_for(&mut self, _: ClientId, seconds: u16) -> Result<u64, PolicyError> {
        self.1 = seconds;
        Ok(2)
    }

    fn confirm(&mut self, _: ClientId) -> Result<(), PolicyError> {
        Err(PolicyError::NotProven)
    }

    fn roll_back(&mut self, _: ClientId) -> Result<(), PolicyError> {
        Ok(())
    }

    fn current(&mut self, _: ClientId) -> PolicyState<'_> {
        let (name, pending) = ("office".into(), u16::try_from(self.0.len()).expect("it is short"));
        PolicyState {
            epoch: 2,
            name,
            digest: 0xabc,
            rules: 3,
            is_trial: true,
            deadline_ns: 61_000_000_000,
            is_proven: false,
            pending,
            allowed: 41,
            denied: 7,
        }
    }
}

#[derive(Default)]
struct FakePower(u32);

impl Power for FakePower {
    fn off(&mut self, _: ClientId) {
        self.0 += 1;
    }

    fn restart(&mut self, _: ClientId) {
        self.0 += 100;
    }
}

struct FakeLog;
struct FakeCursor(u64, u64);

impl Reader for FakeLog {
    type Cursor = FakeCursor;

    fn open(&mut self, _: ClientId, newest: u16) -> FakeCursor {
        FakeCursor(1000 - u64::from(newest), 1000)
    }
}

impl Cursor<FakeLog> for FakeCursor {
    fn next<'a>(&'a mut self, _: &'a mut FakeLog, _: ClientId) -> CursorNext<'a> {
        let entry = (self.0 < self.1).then(|| Entry {
            sequence: self.0,
            at_ns: 1_234_000_000,
            level: Level::Info,
            dropped_before: 0,
            component: "httpd".into(),
            target: "httpd".into(),
            text: "ready\r\nnot ready".into(),
        });
        self.0 += 1;
        CursorNext { entry, missed: 0 }
    }
}

struct FakeNetwork;

impl Network for FakeNetwork {
    fn configuration(&mut self, _: ClientId) -> NetworkConfiguration {
        NetworkConfiguration {
            mac: [2, 0, 0, 0, 0, 1],
            addresses: vec![AddressBlock { address: Address::V4([10, 0, 2, 15]), prefix: 24 }],
            gateway: Some(Address::V4([10, 0, 2, 2])),
            dns: vec![],
            is_dhcp: true,
        }
    }

    fn counters(&mut self, _: ClientId) -> NetworkCounters {
        NetworkCounters { frames_in: 1, frames_out: 2, bytes_in: 3, bytes_out: 4, connections: 5 }
    }
}

/// What it was told, and what everybody but securityd used since the start of the test.
#[derive(Default)]
struct FakeServices(Vec<String>, u64);

impl Services for FakeServices {
    fn service(&mut self, _: ClientId, index: u16) -> Result<Service<'_>, process::Error> {
        let name = NAMES.get(usize::from(index)).ok_or(process::Error::NoSuchInstance)?;
        services::answers(&self.0)?;
        Ok(Service {
            index,
            name: (*name).into(),
            phase: enter::phase(&self.0, index),
            generation: 7,
            ends: 6,
            hangs: 1,
            consumed_us: if index == 0 { 0 } else { u64::from(index) * 1_234_500 + self.1 },
            budget_us: if index == 2 { 10_000 } else { 5000 },
            period_us: if index == 0 { 0 } else { 10_000 },
            priority: 150,
            is_watched: true,
            detail: "faulted".into(),
        })
    }

    fn start(&mut self, _: ClientId, name: &str) -> Result<(), process::Error> {
        let place = NAMES.iter().position(|other| *other == name).and_then(|place| u16::try_from(place).ok());
        if place.is_some_and(|place| enter::phase(&self.0, place) == process::Phase::Running) {
            return Err(process::Error::Runs);
        }
        self.0.push(format!("start {name}"));
        if self.0.iter().any(|what| what == "httpd falls") {
            self.0.push("httpd ended".into());
        }
        Ok(())
    }

    fn stop(&mut self, _: ClientId, name: &str) -> Result<(), process::Error> {
        self.0.push(format!("stop {name}"));
        if name == "procd" { Err(process::Error::NotAllowed) } else { Ok(()) }
    }

    fn restart(&mut self, _: ClientId, name: &str) -> Result<(), process::Error> {
        self.0.push(format!("restart {name}"));
        Ok(())
    }

    fn end(&mut self, _: ClientId, number: u16) -> Result<ServicesEnd<'_>, process::Error> {
        if number > 1 {
            return Err(process::Error::NoSuchInstance);
        }
        let (sequence, state) = (u64::from(9 - number), process::State::Faulted);
        let exit = Exit {
            sequence,
            index: 1,
            generation: 9 - number,
            state,
            at_ns: 4_321_000_000,
            detail: "fell".into(),
            reason: None,
        };
        Ok(ServicesEnd { name: "httpd".into(), exit })
    }

    fn attach(&mut self, client: ClientId, name: &str) -> Result<(), process::Error> {
        self.start(client, name)
    }

    fn attached(&mut self, _: ClientId) -> Option<u16> {
        let has_console = self.0.iter().any(|what| what == "has the console");
        (has_console && enter::phase(&self.0, 1) == process::Phase::Running).then_some(1)
    }

    fn pull_left(&mut self, _: ClientId) -> Option<process::ServicesLeft> {
        enter::news(&mut self.0)
    }
}

struct Loops;

impl Wires for Loops {
    type Inspect = LoopbackCaller<InspectServer<FakeInspect>>;
    type Audit = LoopbackCaller<AuditServer<audit::FakeAudit>>;
    type Control = LoopbackCaller<ControlServer<FakeControl>>;
    type Policy = LoopbackCaller<PolicyServer<FakePolicy>>;
    type Power = LoopbackCaller<PowerServer<FakePower>>;
    type Reader = LoopbackCaller<ReaderServer<FakeLog>>;
    type Kept = LoopbackCaller<FilesServer<fsd::Server>>;
    type Network = LoopbackCaller<NetworkServer<FakeNetwork>>;
    type Services = LoopbackCaller<ServicesServer<FakeServices>>;
    type Live = LoopbackCaller<LiveServer<FakeLive>>;
    type Devices = LoopbackCaller<DevicesServer<FakeDevices>>;
}

/// A shell, its terminal, and the servers that a test looks at.
struct Desk {
    shell: Shell<Loops>,
    terminal: TerminalServerRings,
    control: ControlLoopback<FakeControl>,
    policy: PolicyLoopback<FakePolicy>,
    power: PowerLoopback<FakePower>,
    reader: ReaderLoopback<FakeLog>,
    services: ServicesLoopback<FakeServices>,
    kept: FilesLoopback<fsd::Server>,
    region: Region,
    now_ns: u64,
    compared_ns: Rc<Cell<u64>>,
}

impl Desk {
    fn new() -> Self {
        let region = Region::on_heap(terminal::REGION_BYTES);
        let rings = TerminalRings::client(&region).expect("the region has the interface's size");
        let control = ControlLoopback::new(ControlServer::new(FakeControl::default()));
        let policy = PolicyLoopback::new(PolicyServer::new(FakePolicy::default()));
        let power = PowerLoopback::new(PowerServer::new(FakePower::default()));
        let reader = ReaderLoopback::new(ReaderServer::new(FakeLog));
        let services = ServicesLoopback::new(ServicesServer::new(FakeServices::default()));
        let kept = FilesLoopback::new(FilesServer::new(history::no_disk()));
        let (now_ns, compared_ns) = (12_345_000_000, Rc::new(Cell::new(12_345_000_000)));
        let live = LiveLoopback::new(LiveServer::new(FakeLive(Rc::clone(&compared_ns))));
        let clients = Clients {
            inspect: InspectClient::new(InspectLoopback::new(InspectServer::new(FakeInspect)).connect(9)),
            audit: AuditClient::new(AuditLoopback::new(AuditServer::new(audit::FakeAudit)).connect(9)),
            control: ControlClient::new(control.connect(9)),
            policy: PolicyClient::new(policy.connect(9)),
            power: PowerClient::new(power.connect(9)),
            reader: ReaderClient::new(reader.connect(9)),
            kept: FilesClient::new(kept.connect(9)),
            network: NetworkClient::new(NetworkLoopback::new(NetworkServer::new(FakeNetwork)).connect(9)),
            services: ServicesClient::new(services.connect(9)),
            live: LiveClient::new(live.connect(9)),
            devices: DevicesClient::new(DevicesLoopback::new(DevicesServer::new(FakeDevices)).connect(9)),
        };
        let shell = Shell::new(clients, rings.input, Screen::new(rings.output));
        let terminal = TerminalRings::server(&region).expect("the region has the interface's size");
        Self { shell, terminal, control, policy, power, reader, services, kept, region, now_ns, compared_ns }
    }

    fn advance(&mut self) {
        let now_ns = self.now_ns;
        let times = || Times { now_ns, boot_ns: 0 };
        self.shell.advance(times, || {}).expect("the rings are sound");
    }

    /// A bell rang; what the shell prints then.
    fn rings(&mut self) -> String {
        self.shell.on_bell();
        self.advance();
        self.printed()
    }

    fn printed(&mut self) -> String {
        let (mut scratch, mut text) = (Vec::new(), Vec::new());
        while let Some(bytes) = self.terminal.output.pop(&mut scratch).expect("the shell keeps its ring sound") {
            text.extend_from_slice(bytes);
        }
        String::from_utf8(text).expect("the shell prints text")
    }

    /// Types a line; returns everything that the shell prints until it has nothing more to say.
    fn type_line(&mut self, line: &str) -> String {
        for piece in format!("{line}\r").as_bytes().chunks(64) {
            self.terminal.input.push(piece).expect("the shell takes its input");
        }
        let mut text = String::new();
        loop {
            self.advance();
            let more = self.printed();
            if more.is_empty() {
                return text;
            }
            text.push_str(&more);
        }
    }
}

#[test]
fn start_prints_a_prompt() {
    let mut desk = Desk::new();
    desk.advance();
    assert!(desk.printed().ends_with("\r\n> "));
}

#[test]
fn ps_lists_every_instance_with_names_that_cannot_steer_the_terminal() {
    let text = Desk::new().type_line("ps");
    assert!(text.contains("httpd            running     1   100            4         2     2"), "{text}");
    assert!(text.contains("securityd        isolated "), "the supervisor's word for it: {text}");
    assert!(text.contains("evil\\x1b[2J"), "{text}");
    assert!(!text.contains('\u{1b}'));
    assert!(text.contains("512 of 1024 KiB"), "{text}");
}

#[test]
fn caps_prints_the_grants_of_the_named_instance_only() {
    let text = Desk::new().type_line("caps httpd");
    assert!(text.contains("httpd holds 0\r\nhttpd holds 1\r\n> "), "{text}");
    assert!(!text.contains("securityd holds"));
    assert!(Desk::new().type_line("caps nobody").contains("no component is called nobody"));
}

#[test]
fn grants_prints_all_and_their_number() {
    let text = Desk::new().type_line("grants");
    assert!(text.contains("securityd holds 0\r\n"), "{text}");
    assert!(text.contains("6 grants in all\r\n> "), "{text}");
}

#[test]
fn log_prints_so_many_entries_and_no_foreign_line_ends() {
    let text = Desk::new().type_line("log 3");
    assert_eq!(text.matches("info").count(), 3, "{text}");
    assert!(text.contains("   997     1.234 s info  httpd        ready\\x0d\\x0anot ready\r\n"), "{text}");
}

#[test]
fn devices_are_listed_with_what_drives_them_and_counted() {
    let text = Desk::new().type_line("devices");
    assert!(text.contains("virtio     a000000    48  virtio 1                          nic\r\n"), "{text}");
    assert!(text.contains("NO DRIVER\r\n") && !text.contains('\u{1b}'), "{text}");
    assert!(text.ends_with("\r\n2 devices, 1 without a driver, 3 more were found\r\n> "), "{text}");
    let text = Desk::new().type_line("devices scan");
    assert_eq!(text.matches("4 changes\r\n").count(), 1, "{text}");
}

#[test]
fn live_tells_the_differences_and_all_of_it_in_the_form_that_is_compared() {
    let mut desk = Desk::new();
    let text = desk.type_line("live");
    let end = "\r\nlive is NOT as declared: 1 equal, 1 different, 3 absent, 99 capabilities; comparison 7\r\n> ";
    assert!(text.contains("\r\n+ x other frame at=0x1\\x0a\r\n") && text.ends_with(end), "{text}");
    assert!(!text.contains("too soon"), "{text}");
    let text = desk.type_line("live all");
    assert!(
        text.contains("# shows audit bell") && text.ends_with("x other frame at=0x1\r\n2 grants in all\r\n> "),
        "{text}"
    );
    desk.compared_ns.set(desk.now_ns - 1_050_000_000);
    let text = desk.type_line("live");
    let told = "\r\nasked again too soon; this was found 1.050 s ago:\r\n+ x other";
    assert!(text.contains(told) && text.ends_with(end), "{text}");
}

#[test]
fn interrupt_ends_a_command_that_waits_for_room() {
    let mut desk = Desk::new();
    desk.terminal.input.push(b"audit\r").expect("room");
    desk.advance();
    desk.terminal.input.push(&[3]).expect("room");
    desk.advance();
    let mut text = desk.printed();
    desk.advance();
    text.push_str(&desk.printed());
    assert!(text.ends_with("^C\r\n> "), "{text}");
    assert!(desk.type_line("uptime").contains("   12.345 s\r\n"));
}

#[test]
fn kill_stops_the_named_instance_and_says_so() {
    let mut desk = Desk::new();
    assert!(desk.type_line("kill httpd").contains("httpd is stopped\r\n> "));
    assert_eq!(desk.control.server().server.0, ["httpd"]);
    assert!(desk.type_line("kill nobody").contains("nobody: NoSuchInstance\r\n> "));
}

#[test]
fn sessions_are_revoked_and_permitted_by_the_names_of_component_and_use() {
    let mut desk = Desk::new();
    assert!(desk.type_line("revoke httpd tcp").contains("httpd may no more open its session tcp\r\n> "));
    assert!(desk.type_line("permit httpd tcp").contains("httpd may open its session tcp\r\n> "));
    assert!(desk.type_line("revoke nobody tcp").contains("nobody: NotAllowed\r\n> "));
    assert!(desk.type_line("revoke httpd").contains("use: revoke NAME USE"));
    assert_eq!(desk.control.server().server.0, ["revoke httpd tcp", "permit httpd tcp", "revoke nobody tcp"]);
}

#[test]
fn off_and_restart_call_the_power_interface_once() {
    let mut desk = Desk::new();
    desk.type_line("off");
    assert_eq!(desk.power.server().server.0, 1);
    desk.type_line("restart");
    assert_eq!(desk.power.server().server.0, 101);
}

#[test]
fn net_prints_addresses_as_people_write_them() {
    let text = Desk::new().type_line("net");
    for part in ["02:00:00:00:00:01", "10.0.2.15/24", "10.0.2.2", "DHCP", "5 connections"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn policy_is_handed_over_in_pieces_and_its_state_told() {
    let mut desk = Desk::new();
    assert!(desk.type_line("policy data 0 Zm9v").contains("3 bytes at 0\r\n"));
    assert!(desk.type_line("policy data 3 YmFy").contains("3 bytes at 3\r\n"));
    assert!(desk.type_line("policy check").contains("could not be tried: LockedOut: it would deny\\x0a\r\n"));
    assert!(desk.type_line("policy try 60").contains("on trial for 60 s, as epoch 2"));
    assert!(desk.type_line("policy confirm").contains("the policy: NotProven\r\n"));
    assert!(desk.type_line("policy rollback").contains("in force again\r\n"));
    let shown = desk.type_line("policy show");
    for part in [
        "office, 3 rules, sha256 0000000000000abc…, epoch 2",
        "ends in 48.655 s",
        "has not yet passed",
        "6 bytes",
        "41 connections and requests allowed, 7 denied",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let policy = desk.policy.server();
    assert_eq!((policy.server.0.as_slice(), policy.server.1), (&b"foobar"[..], 60));
}

#[test]
fn dead_server_is_an_answer_like_any_other() {
    let mut desk = Desk::new();
    desk.reader.kill();
    assert!(desk.type_line("log").contains("the log is not there now; `ps` shows whether it was started again\r\n> "));
    assert!(desk.type_line("uptime").contains("12.345 s"));
}

#[test]
fn terminal_that_is_started_anew_gets_a_prompt_and_commands_work() {
    let mut desk = Desk::new();
    desk.advance();
    desk.terminal.input.push(b"half a li").expect("room");
    desk.advance();
    let region = desk.region.at_epoch(2);
    let rings = TerminalRings::client(&region).expect("fits");
    desk.shell.begin_again(rings.input, Screen::new(rings.output));
    desk.terminal = TerminalRings::server(&region).expect("fits");
    desk.advance();
    assert_eq!(desk.printed(), "\r\n> ");
    assert!(desk.type_line("uptime").contains("12.345 s"), "what was typed before is forgotten");
}

#[test]
fn mistakes_are_explained() {
    let mut desk = Desk::new();
    assert!(desk.type_line("rm x").contains("rm: there is no such command"));
    assert!(desk.type_line("kill").contains("use: kill NAME"));
}

#[test]
fn corrupt_terminal_ends_the_shell_with_an_error() {
    let mut desk = Desk::new();
    desk.advance();
    for offset in (0..desk.region.len()).step_by(64) {
        desk.region.scribble(offset, 1 << 32 | 3).expect("inside");
    }
    assert!(desk.shell.advance(|| Times { now_ns: 0, boot_ns: 0 }, || {}).is_err());
}
