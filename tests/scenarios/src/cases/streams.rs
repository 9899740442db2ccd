//! Connections that programs open and take, over IPv4 and IPv6, with a peer at the other end of the cable: their ends, their failures, their queue.
use super::std::all_said;
use crate::cable::Peer;
use crate::hardware::Hardware;
use crate::scenario::{BOOT_WITHIN, Image, SAY_WITHIN, Scenario, Stage};
use anyhow::{Context, Result, ensure};
use smoltcp::socket::tcp::State;
use smoltcp::wire::IpAddress;
use std::time::{Duration, Instant};

/// The guest's addresses: the fallback of images/gateway, and link-local.
const GUEST: IpAddress = IpAddress::v4(10, 0, 2, 15);
const GUEST_V6: IpAddress = IpAddress::v6(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe12, 0x3456);
/// Where `dial-std` takes orders, and where the peer sends back what comes.
const ORDERS: u16 = 4007;
const MIRROR: u16 = 4001;
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// What the program writes before it ends.
const LAST: usize = 40_000;
/// A SYN that is not answered is repeated within this time, by either side.
const UNANSWERED: Duration = Duration::from_secs(4);
/// The queue that is tried, and who come to it.
const QUEUE: usize = 2;
const CALLERS: usize = 4;

/// What cannot be done, and why. 4999 is a port at which nobody listens, 10.0.2.77 an address that nobody has, and 192.0.2.1 one behind a router
/// that hands on nothing; there is no router for
/// IPv6. Port 7 is echo-std's.
const FAILURES: [(&str, &str); 10] = [
    ("dial 10.0.2.2:4999", "ConnectionRefused"),
    ("dial [fe80::ff:fe00:2]:4999", "ConnectionRefused"),
    ("dial 10.0.2.77:4001", "TimedOut"),
    ("dial 192.0.2.1:4001", "TimedOut"),
    ("dial [2001:db8::1]:4001", "NetworkUnreachable"),
    ("dial 10.0.2.2:4001 10.0.2.77:0", "AddrNotAvailable"),
    ("dial 10.0.2.2:4001 0.0.0.0:7", "AddrInUse"),
    ("listen 10.0.2.77:4008", "AddrNotAvailable"),
    ("listen 10.0.2.15:4007", "AddrInUse"),
    ("listen 10.0.2.15:7", "AddrInUse"),
];

pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "streams".into(),
        about: "a program opens and takes connections over IPv4 and IPv6: both ends, bytes both ways, ends it wishes for, failures, its queue, its last words"
            .into(),
        image: Image::Product("gateway-std"),
        hardware: Hardware { has_open_cable: true, ..Hardware::default() },
        run: streams,
    }]
}

fn streams(stage: &mut Stage) -> Result<()> {
    let mut peer = Peer::plug_in(stage.port, SAY_WITHIN)?;
    peer.mirror(MIRROR)?;
    stage.console().expect("no DHCP server answers: address 10.0.2.15/24", BOOT_WITHIN)?;
    all_said(stage, &["dial-std: listening on [::]:4007", "echo-std: listening on 0.0.0.0:7"])?;
    is_reached(&mut peer, GUEST, "[::ffff:10.0.2.15]:4007 [::ffff:10.0.2.2]:")?;
    is_reached(&mut peer, GUEST_V6, "[fe80::5054:ff:fe12:3456]:4007 [fe80::ff:fe00:2]:")?;
    dials(&mut peer)?;
    for (order, failure) in FAILURES {
        let said = ask(&mut peer, order)?;
        ensure!(said == failure, "{order}: {said} and not {failure}");
    }
    listens_at_one_address(&mut peer)?;
    queues(&mut peer)?;
    stage.command("kill netd", "\n> ")?;
    let deadline = Instant::now() + ANSWER_WITHIN;
    while let Err(error) = is_reached(&mut peer, GUEST, "[::ffff:10.0.2.15]:4007 ") {
        ensure!(Instant::now() < deadline, "after the host stack came back: {error:#}");
    }
    dials(&mut peer)?;
    stage.compare_live()?;
    // What a program wrote before it ended arrives, also what was under way then.
    let last = peer.exchange(GUEST, ORDERS, b"end\n", ANSWER_WITHIN)?;
    ensure!(last.len() == LAST, "{} bytes of {LAST} came from a program that wrote and ended", last.len());
    all_said(stage, &["ended with status 0"])?;
    stage.power_off()
}

/// One order, and what is said to it.
fn ask(peer: &mut Peer, order: &str) -> Result<String> {
    let said =
        peer.exchange(GUEST, ORDERS, format!("{order}\n").as_bytes(), ANSWER_WITHIN).context(order.to_string())?;
    Ok(String::from_utf8_lossy(&said).trim().to_string())
}

fn is_reached(peer: &mut Peer, guest: IpAddress, ends: &str) -> Result<()> {
    let said = peer.exchange(guest, ORDERS, b"who\n", ANSWER_WITHIN)?;
    let said = String::from_utf8_lossy(&said);
    ensure!(said.starts_with(ends), "the ends of a connection to {guest} are {said}");
    Ok(())
}

/// Connections that the program opens, of its own choice and from ends that it wishes for.
fn dials(peer: &mut Peer) -> Result<()> {
    for (order, to, from) in [
        ("dial 10.0.2.2:4001", "10.0.2.2:4001", "10.0.2.15:"),
        ("dial [fe80::ff:fe00:2]:4001", "[fe80::ff:fe00:2]:4001", "[fe80::5054:ff:fe12:3456]:"),
        ("dial 10.0.2.2:4001 0.0.0.0:4100", "10.0.2.2:4001", "10.0.2.15:4100"),
        ("dial 10.0.2.2:4001 10.0.2.15:4101", "10.0.2.2:4001", "10.0.2.15:4101"),
        ("dial [fe80::ff:fe00:2]:4001 [::]:4102", "[fe80::ff:fe00:2]:4001", "[fe80::5054:ff:fe12:3456]:4102"),
    ] {
        let said = ask(peer, order)?;
        let seen = peer.caller.take().with_context(|| format!("{order}: {said}, and nobody came"))?;
        // Both write an address alike.
        let expected = format!("{} {to} true", std::net::SocketAddr::new(seen.addr.into(), seen.port));
        ensure!(said == expected && said.starts_with(from), "{order}: {said} and not {expected}");
    }
    Ok(())
}

fn listens_at_one_address(peer: &mut Peer) -> Result<()> {
    let said = ask(peer, "listen 10.0.2.15:4008")?;
    ensure!(said == "10.0.2.15:4008", "it listens at {said}");
    ensure!(peer.exchange(GUEST_V6, 4008, b"?", ANSWER_WITHIN).is_err(), "it is reached at another address, too");
    let ends = peer.exchange(GUEST, 4008, b"", ANSWER_WITHIN)?;
    let ends = String::from_utf8_lossy(&ends);
    ensure!(ends.starts_with("10.0.2.15:4008 10.0.2.2:"), "the ends are {ends}");
    Ok(())
}

/// Who finds the queue full is not answered, and comes in as others are accepted; nobody is reset.
fn queues(peer: &mut Peer) -> Result<()> {
    // As on Linux one more may wait than the program asks for.
    let said = ask(peer, &format!("queue 0.0.0.0:4010 {}", QUEUE - 1))?;
    ensure!(said == "queues", "no queue: {said}");
    let callers = (0..CALLERS).map(|_| peer.dial(GUEST, 4010)).collect::<Result<Vec<_>>>()?;
    let count = |peer: &Peer, state: State| callers.iter().filter(|caller| peer.state(**caller) == state).count();
    let deadline = Instant::now() + ANSWER_WITHIN;
    while count(peer, State::Established) < QUEUE {
        ensure!(Instant::now() < deadline, "{} of {QUEUE} came into the queue", count(peer, State::Established));
        peer.run(Duration::from_millis(100))?;
    }
    // Whoever is let in beyond that would be by then.
    peer.run(UNANSWERED)?;
    let states = (count(peer, State::Established), count(peer, State::SynSent));
    ensure!(states == (QUEUE, CALLERS - QUEUE), "in the queue and before it are {states:?}");
    let said = ask(peer, "next")?;
    ensure!(said == "TimedOut" || said == "WouldBlock", "who was accepted said nothing, but: {said}");
    let deadline = Instant::now() + ANSWER_WITHIN;
    while count(peer, State::SynSent) > CALLERS - QUEUE - 1 {
        ensure!(Instant::now() < deadline, "nobody took the free place");
        peer.run(Duration::from_millis(100))?;
    }
    peer.run(UNANSWERED)?;
    let waiting = count(peer, State::SynSent);
    ensure!(waiting == CALLERS - QUEUE - 1, "{waiting} wait before the queue");
    Ok(())
}
