//! Whatever arrives at securityd's endpoint: nothing panics, no authority changes, nothing is used up.

use alloc::vec::Vec;

use hybrid_capgraph::{Graph, layout};
use hybrid_ipc::{Badge, CLOSE, ClientId, Incoming, MAX_WORDS, Outgoing, reply};

use super::super::Server;
use crate::fake::FakeKernel;
use crate::install::restart::tests::{Random, check_declared, resources, small_graph};
use crate::install::tests::installed_of;
use crate::install::{State, World};

const MESSAGES: usize = 40_000;

fn word(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => 0,
        1 | 2 => random.below(40) as u64,
        _ => (random.below(1 << 32) as u64) << 32 | random.below(1 << 32) as u64,
    }
}

/// Who may call, mostly; sometimes a badge that securityd never minted.
fn badge(random: &mut Random, graph: &Graph) -> Badge {
    let routes: Vec<_> = graph.sessions.iter().filter(|session| session.server == layout::SECURITYD).collect();
    let session = routes[random.below(routes.len())];
    let real = Badge::new(ClientId::of(session.client), session.provided, 1);
    if random.below(16) == 0 { Badge(real.0 ^ word(random)) } else { real }
}

/// Values in the encoding of payloads: names that are declared, numbers, and bytes without a meaning.
fn payload(random: &mut Random, graph: &Graph) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=random.below(4).saturating_sub(1) {
        match random.below(6) {
            0..=2 => {
                let name = &graph.instances[random.below(graph.instances.len())].name;
                bytes.push(u8::try_from(name.len()).unwrap());
                bytes.extend_from_slice(name.as_bytes());
            }
            3 | 4 => bytes.push(u8::try_from(random.below(128)).unwrap()),
            _ => bytes.extend((0..random.below(300)).map(|_| u8::try_from(random.below(256)).unwrap())),
        }
    }
    bytes.truncate(hybrid_ipc::MAX_BYTES);
    bytes
}

fn message(random: &mut Random, graph: &Graph) -> Incoming {
    let badge = badge(random, graph);
    let label = match random.below(20) {
        0 => word(random),
        1 => CLOSE,
        other => 1 + other as u64 % 9,
    };
    let mut incoming = Incoming::new();
    if random.below(2) == 0 {
        let registers = [(); 4].map(|()| word(random));
        let length = if random.below(8) == 0 { random.below(2 * MAX_WORDS) } else { random.below(4) };
        incoming.receive(badge.0, label, length, registers, None, |_| u64::MAX);
    } else {
        let bytes = payload(random, graph);
        let words = |index: usize| {
            let at = (index - hybrid_ipc::PAYLOAD_WORD) * 8;
            let mut word = [0; 8];
            let rest = bytes.get(at..).unwrap_or_default();
            word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(word)
        };
        let length = hybrid_ipc::PAYLOAD_WORD + bytes.len().div_ceil(8);
        incoming.receive(badge.0, label, length, [bytes.len() as u64, 0, 0, 0], None, words);
    }
    incoming
}

/// Everybody who ended is there again.
fn revive(world: &mut World<FakeKernel>) {
    for place in 1..world.live.len() {
        if !matches!(world.live[place].state, State::Running | State::Starting) {
            assert_eq!(world.start_again(place), Ok(()));
        }
    }
}

#[test]
fn any_messages_and_faults_of_anybody_change_no_authority_and_use_nothing_up() {
    let mut server = Server::new(installed_of(small_graph()));
    let before = resources(&server.world);
    let mut random = Random(4_290);
    let (mut done, mut refused) = (0_u32, 0_u32);
    for count in 1..=MESSAGES {
        if random.below(50) == 0 {
            let id = u16::try_from(random.below(1 << 16)).unwrap() % 40;
            // securityd's own faults come to nobody.
            let (label, words) = (word(&mut random), [(); 6].map(|()| word(&mut random)));
            if id != layout::SECURITYD {
                server.on_fault(id, label, words.into_iter());
            }
        }
        let graph = server.world.graph.clone();
        let (incoming, mut outgoing) = (message(&mut random, &graph), Outgoing::new());
        server.on_call(&incoming, &mut outgoing);
        match outgoing.label() {
            reply::OK | reply::DOMAIN => done += 1,
            _ => refused += 1,
        }
        server.after_event();
        if count % 100 == 0 {
            revive(&mut server.world);
        }
        if count % 2_000 == 0 {
            check_declared(&server.world);
            assert_eq!(resources(&server.world), before, "after {count} messages");
        }
    }
    // Else nothing was tried. Most fit no operation.
    assert!(done > 500 && refused > 500, "{done} done, {refused} refused");
}
