//! Tests of the running securityd: decisions, inspection, control, faults, all through the generated clients.

mod hostile;

use alloc::string::String;
use alloc::vec::Vec;

use hybrid_interfaces::security as idl;
use hybrid_ipc::{Badge, CallError, ClientId, Incoming, Outgoing, reply};

use super::{Event, Server};
use crate::fake::FakeKernel;
use crate::install::tests::{installed, installed_of};

/// Calls securityd as the client of that name, through its use of that name, as the kernel would deliver it.
pub(crate) struct Caller<'a> {
    server: &'a mut Server<FakeKernel>,
    badge: Badge,
}

impl hybrid_ipc::Caller for Caller<'_> {
    type Received = Self;

    fn call(&mut self, request: &Outgoing, answer: &mut Incoming) {
        let mut incoming = Incoming::new();
        let words: Vec<(usize, u64)> = request.buffer_words().collect();
        let word = |index: usize| words.iter().find(|(at, _)| *at == index).map_or(0, |(_, word)| *word);
        incoming.receive(self.badge.0, request.label(), request.length(), request.registers(), None, word);
        let mut outgoing = Outgoing::new();
        self.server.on_call(&incoming, &mut outgoing);
        let words: Vec<(usize, u64)> = outgoing.buffer_words().collect();
        let word = |index: usize| words.iter().find(|(at, _)| *at == index).map_or(0, |(_, word)| *word);
        answer.receive(0, outgoing.label(), outgoing.length(), outgoing.registers(), None, word);
    }

    fn received(&mut self, _: hybrid_ipc::CapSlot) -> Self {
        unreachable!("securityd hands out no capabilities")
    }
}

pub(crate) fn caller<'a>(server: &'a mut Server<FakeKernel>, client: &str, used: &str) -> Caller<'a> {
    let instance = server.world.graph.named(client).unwrap();
    let used = instance.uses.iter().find(|candidate| candidate.name == used).unwrap();
    let interface = server.world.graph.session_of(used).unwrap().provided;
    let badge = Badge::new(ClientId::of(instance.id), interface, 1);
    Caller { server, badge }
}

impl Server<FakeKernel> {
    /// How many connections and requests were allowed and denied.
    pub(crate) const fn decisions(&self) -> (u64, u64) {
        (self.access.allowed, self.access.denied)
    }
}

/// Every record kept, events first, as `Kind text`.
pub(crate) fn audit_of(server: &Server<FakeKernel>) -> Vec<String> {
    let mut lines = Vec::new();
    for chain in [idl::Chain::Events, idl::Chain::Denials] {
        let mut next = 0;
        while let Some(record) = server.world.audit.at(chain, next) {
            lines.push(format!("{} {}", record.kind.name(), record.text));
            next = record.sequence + 1;
        }
    }
    lines
}

#[test]
fn event_of_each_badge_is_told_apart() {
    assert_eq!(Event::of_badge(hybrid_capgraph::layout::bell_badge(62)), Event::Bells);
    assert_eq!(Event::of_badge(hybrid_capgraph::layout::fault_badge(7)), Event::Fault(7));
    assert_eq!(Event::of_badge(Badge::new(ClientId::of(9), 3, 1).0), Event::Call);
}

#[test]
fn badges_of_the_graph_are_those_that_servers_read() {
    for (client, nth, interface, generation) in [(1, 0, 0, 1), (4095, 23, 31, 2), (9, 1, 3, u16::MAX)] {
        let badge = Badge::new(ClientId { instance: client, nth }, interface, generation);
        assert_eq!(hybrid_capgraph::layout::badge(client, nth, interface, generation), badge.0);
    }
}

#[test]
fn inspection_tells_every_instance_and_every_grant() {
    let mut server = Server::new(installed());
    let expected: Vec<String> = server.world.graph.grants().iter().map(ToString::to_string).collect();
    let count = server.world.graph.instances.len();
    let mut client = idl::InspectClient::new(caller(&mut server, "status", "inspect"));
    let summary = client.summary().unwrap();
    assert_eq!((summary.product.as_ref(), usize::from(summary.instances)), ("gateway", count));
    assert_eq!(summary.grants as usize, expected.len());
    assert!(summary.memory_free < summary.memory_total && summary.memory_free > 32 << 20);
    let mut lines = Vec::new();
    for index in 0..summary.instances {
        let instance = client.instance(index).unwrap().into_owned();
        assert!(instance.state == idl::State::Running && instance.memory_bytes > 0, "{instance:?}");
        for number in 0..instance.capabilities {
            let grant = client.grant(index, number).unwrap();
            assert_eq!(grant.more, number + 1 < instance.capabilities);
            lines.push(grant.line.into_owned());
        }
    }
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(lines), sorted(expected));
    assert_eq!(client.instance(99).unwrap_err(), CallError::Domain(idl::Error::NoSuchInstance));
    assert_eq!(client.grant(99, 0).unwrap_err(), CallError::Domain(idl::Error::NoSuchInstance));
    assert!(!client.grant(0, u16::MAX).unwrap().more);
}

#[test]
fn audit_trail_has_every_grant_then_every_start_and_its_hashes_are_chained() {
    let mut server = Server::new(installed());
    let count = server.world.graph.grants().len() as u64;
    let starts = server.world.graph.instances.len() as u64 - 1;
    let mut client = idl::AuditClient::new(caller(&mut server, "shell", "audit"));
    let span = client.span(idl::Chain::Events).unwrap();
    assert_eq!((span.first, span.next, span.before), (0, count + starts, hybrid_capgraph::trail_start("events")));
    let mut before = span.before;
    for sequence in 0..span.next {
        let record = client.record(idl::Chain::Events, sequence).unwrap().unwrap();
        let kind = if sequence < count { idl::RecordKind::Granted } else { idl::RecordKind::Started };
        assert_eq!((record.sequence, record.kind), (sequence, kind));
        before = hybrid_capgraph::trail_hash(&before, sequence, record.at_ns, kind.name(), &record.text);
        assert_eq!(record.hash, before);
    }
    assert_eq!(client.record(idl::Chain::Events, span.next).unwrap(), None);
    assert_eq!(client.record(idl::Chain::Events, u64::MAX).unwrap(), None);
    assert_eq!(client.span(idl::Chain::Denials).unwrap().next, 0);
}

#[test]
fn audit_interface_has_no_operation_that_writes() {
    let mut server = Server::new(installed());
    let before = audit_of(&server);
    // Every ordinal that there could be, with and without arguments: nothing but the two that read is answered.
    for ordinal in 0..64 {
        for length in 0..4 {
            let Caller { server, badge } = caller(&mut server, "shell", "audit");
            let mut incoming = Incoming::new();
            incoming.receive(badge.0, ordinal, length, [1; 4], None, |_| 0);
            let mut outgoing = Outgoing::new();
            server.on_call(&incoming, &mut outgoing);
            let is_read = matches!((ordinal, length), (1, 1) | (2, 2));
            assert_eq!(outgoing.label() == 0, is_read, "{ordinal} {length} is answered by {}", outgoing.label());
        }
    }
    assert_eq!(audit_of(&server), before);
    assert_eq!(server.decisions(), (0, 0));
}

#[test]
fn operator_stops_a_component_but_not_securityd_and_not_what_does_not_exist() {
    let mut server = Server::new(installed());
    let mut client = idl::ControlClient::new(caller(&mut server, "shell", "control"));
    assert_eq!(client.kill("securityd"), Err(CallError::Domain(idl::Error::NotAllowed)));
    assert_eq!(client.kill("nobody"), Err(CallError::Domain(idl::Error::NoSuchInstance)));
    assert_eq!(client.kill("status"), Ok(()));
    assert_eq!(client.kill("status"), Err(CallError::Domain(idl::Error::NotAllowed)));
    let mut client = idl::InspectClient::new(caller(&mut server, "shell", "inspect"));
    let status = client.instance(7).unwrap();
    assert_eq!(
        (status.name.as_ref(), status.state, status.detail.split_once(" at 0x").unwrap().0),
        ("status", idl::State::Killed, "stopped by shell")
    );
    assert_eq!(status.capabilities, 0);
    let lines = audit_of(&server);
    assert!(lines.last().unwrap().starts_with("Stopped status was stopped: stopped by shell at 0x"), "{lines:?}");
    assert!(lines.contains(&"Refused shell tried to stop securityd".into()));
}

#[test]
fn operation_that_a_session_does_not_have_is_denied_and_the_others_are_done() {
    // The product's shell has all of them; here it may not revoke.
    let mut graph = crate::install::tests::graph();
    let used = graph.named("shell").and_then(|shell| shell.uses.iter().find(|used| used.name == "control"));
    let session = usize::from(used.unwrap().session);
    graph.sessions[session].limits.denied = alloc::vec![3];
    let mut server = Server::new(installed_of(graph));
    let mut client = idl::ControlClient::new(caller(&mut server, "shell", "control"));
    assert_eq!(client.revoke("shell", "log"), Err(CallError::Denied));
    assert_eq!(client.kill("status"), Ok(()));
    assert_eq!(client.revoke("shell", "log"), Err(CallError::Denied));
    // Nobody else's session is narrower for it.
    let mut client = idl::InspectClient::new(caller(&mut server, "shell", "inspect"));
    assert!(client.summary().is_ok());
}

/// A component that is routed to securityd twice: what the one route may not do, the other may.
#[test]
fn limits_of_one_use_of_securityd_are_not_those_of_another() {
    let mut graph = crate::install::tests::graph();
    crate::install::tests::use_again(&mut graph, "shell", "control");
    graph.sessions.last_mut().unwrap().limits.denied = alloc::vec![3];
    let mut server = Server::new(installed_of(graph));
    let badge = caller(&mut server, "shell", "control").badge;
    let again = Badge::new(ClientId { nth: 1, ..badge.client() }, badge.interface(), 1);
    let not_on_demand = Err(CallError::Domain(idl::Error::NotAllowed));
    for (badge, expected) in [(again, Err(CallError::Denied)), (badge, not_on_demand)] {
        let mut client = idl::ControlClient::new(Caller { server: &mut server, badge });
        assert_eq!(client.revoke("shell", "log"), expected);
    }
}

#[test]
fn fault_ends_the_instance_and_is_told_with_name_address_and_reason() {
    let mut server = Server::new(installed());
    let id = server.world.graph.named("httpd").unwrap().id;
    server.on_fault(id, 6, [0x40_0010, 0xdead_0000, 0, 0x9200_0046].into_iter());
    let mut client = idl::InspectClient::new(caller(&mut server, "status", "inspect"));
    let httpd = client.instance(6).unwrap();
    assert_eq!(httpd.state, idl::State::Faulted);
    assert!(httpd.detail.starts_with("wrote to the address 0xdead0000, which is not mapped"));
    assert!(audit_of(&server).last().unwrap().starts_with("Faulted httpd faulted: wrote to the address 0xdead0000"));
    // Faults of nobody, of securityd and of the dead change nothing.
    for instance in [0, 1, id, 4000] {
        server.on_fault(instance, 1, core::iter::empty());
    }
    assert_eq!(audit_of(&server).iter().filter(|line| line.starts_with("Faulted httpd ")).count(), 1);
}

#[test]
fn grants_to_a_stopped_component_are_no_longer_listed_but_for_the_shared_regions() {
    let mut server = Server::new(installed());
    let of_others = |server: &Server<FakeKernel>| -> Vec<String> {
        let grants = server.world.live.iter().flat_map(|live| &live.grants);
        grants.filter(|grant| grant.holder != "httpd").map(ToString::to_string).collect()
    };
    let before = of_others(&server);
    let mut client = idl::ControlClient::new(caller(&mut server, "shell", "control"));
    assert_eq!(client.kill("httpd"), Ok(()));
    let after = of_others(&server);
    let gone: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
    let words = |line: &str| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    let mut lost: Vec<String> = gone.iter().map(|line| words(line)).collect();
    lost.sort();
    let expected = [
        "logd bell httpd.log",
        "netd bell httpd.tcp",
        "status bell httpd.providers",
        "status call httpd.providers",
        "timed bell httpd.alarm",
    ];
    assert_eq!(lost, expected);
    assert!(after.iter().any(|line| words(line) == "status region httpd.providers"));
    let lines = audit_of(&server);
    assert_eq!(lines[lines.len() - 3], "Revoked 5 calls and bells of others to httpd");
}

#[test]
fn power_off_is_recorded_and_done() {
    let mut server = Server::new(installed());
    let _ = idl::PowerClient::new(caller(&mut server, "shell", "power")).off();
    assert!(server.world.kernel.is_off);
    assert_eq!(audit_of(&server).last().unwrap(), "Power shell switches the system off");
}

#[test]
fn call_of_an_unknown_interface_or_with_garbage_is_refused() {
    let mut server = Server::new(installed());
    for (interface, label, registers) in
        [(9, 1, [0; 4]), (0, 77, [0; 4]), (0, 1, [u64::MAX; 4]), (2, 1, [928, 0, 0, 0])]
    {
        let (mut incoming, mut outgoing) = (Incoming::new(), Outgoing::new());
        incoming.receive(Badge::new(ClientId::of(9), interface, 1).0, label, 120, registers, None, |_| u64::MAX);
        server.on_call(&incoming, &mut outgoing);
        assert!([reply::BAD_MESSAGE, reply::UNKNOWN_OPERATION].contains(&outgoing.label()), "{interface} {label}");
    }
}
