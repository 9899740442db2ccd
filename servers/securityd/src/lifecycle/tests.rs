//! The supervisor's power through the generated client, and the fixed policy for the supervisor itself.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hybrid_interfaces::process as idl;
use hybrid_ipc::CallError;

use crate::fake::FakeKernel;
use crate::install::State;
use crate::install::tests::installed;
use crate::server::Server;
use crate::server::tests::caller;

const NETD: u16 = 5;
const PROCD: u16 = 9;

macro_rules! procd {
    ($server:expr) => {
        idl::LifecycleClient::new(caller(&mut $server, "procd", "lifecycle"))
    };
}

fn server() -> Server<FakeKernel> {
    Server::new(installed())
}

fn life(server: &mut Server<FakeKernel>, index: u16) -> idl::Life<'static> {
    idl::LifecycleClient::new(caller(server, "procd", "lifecycle")).life(index).unwrap().into_owned()
}

#[test]
fn supervisor_sees_every_instance_with_its_policy_and_what_it_calls() {
    let mut server = server();
    let mut names = Vec::new();
    for index in 0..10 {
        let life = life(&mut server, index);
        assert_eq!((life.index, life.state, life.generation), (index, idl::State::Running, 1));
        names.push(life.name.to_string());
    }
    assert_eq!(names[usize::from(NETD)], "netd");
    let httpd = life(&mut server, 6);
    assert_eq!((httpd.restart.policy, httpd.restart.threshold, httpd.budget_us), (idl::Policy::Always, 5, 10_000));
    assert_eq!(httpd.needs, [5, 0, 3], "netd, securityd, timed");
    assert_eq!((httpd.consumed_us, life(&mut server, 6).consumed_us, life(&mut server, 0).consumed_us), (14, 21, 0));
    assert_eq!(procd!(server).life(99).map(|_| ()), Err(CallError::Domain(idl::Error::NoSuchInstance)));
}

#[test]
fn end_is_rung_listed_and_followed_by_a_start_with_everything() {
    let mut server = server();
    assert_eq!(procd!(server).pull_exited(), Ok(None));
    server.world.kernel.signals.clear();
    server.on_fault(server.world.live[5].id, 6, [0x40_0010, 0xdead_0000, 0, 0x9200_0046].into_iter());
    let session = server.world.graph.sessions.iter().find(|session| session.client == 10 && session.server == 1);
    let bit = session.and_then(|session| session.client_port).unwrap();
    assert_eq!(server.world.kernel.signals.last(), Some(&hybrid_capgraph::layout::bell_badge(bit)));
    assert_eq!(procd!(server).pull_exited(), Ok(Some(idl::LifecycleExited { next: 1 })));
    let mut client = procd!(server);
    let answer = client.exit(0).unwrap();
    let exit = answer.exit.unwrap();
    assert_eq!(
        (exit.sequence, exit.index, exit.generation, exit.state, answer.next),
        (0, NETD, 1, idl::State::Faulted, 1)
    );
    assert!(exit.detail.starts_with("wrote to the address 0xdead0000"));
    assert_eq!((client.exit(1).unwrap().exit, client.answer(NETD)), (None, Ok(0)));
    assert_eq!(client.ping(NETD, 1), Err(CallError::Domain(idl::Error::DoesNotRun)));
    assert_eq!(client.start(NETD), Ok(()));
    assert_eq!(client.start(NETD), Err(CallError::Domain(idl::Error::Runs)));
    assert_eq!(client.ping(NETD, 1), Ok(()));
    let netd = life(&mut server, NETD);
    assert_eq!((netd.state, netd.generation, netd.detail.as_ref()), (idl::State::Running, 2, ""));
    let made: Vec<_> = server.world.live.iter().flat_map(|live| live.grants.iter().cloned()).collect();
    assert_eq!(hybrid_capgraph::text_of(&made), hybrid_capgraph::text_of(&server.world.graph.grants()));
}

#[test]
fn supervisor_reaches_neither_securityd_nor_itself() {
    let mut server = server();
    let mut client = procd!(server);
    for index in [0, PROCD] {
        let refused = Err(CallError::Domain(idl::Error::NotAllowed));
        assert_eq!(client.stop(index, idl::Reason::Stop, false), refused);
        assert_eq!(client.start(index), refused);
        assert_eq!(client.postpone(index), refused);
        assert_eq!(client.ping(index, 1), refused);
        assert_eq!(client.answer(index), Err(CallError::Domain(idl::Error::NotAllowed)));
    }
    assert_eq!(client.stop(99, idl::Reason::Stop, false), Err(CallError::Domain(idl::Error::NoSuchInstance)));
}

#[test]
fn promise_to_start_again_is_made_and_taken_back() {
    let mut server = server();
    let expected = |server: &Server<FakeKernel>, index: u16| server.world.live[usize::from(index)].is_expected;
    assert_eq!(procd!(server).stop(NETD, idl::Reason::Stop, false), Ok(()));
    assert!(!expected(&server, NETD));
    assert!(life(&mut server, NETD).detail.starts_with("stopped by procd: svc stop at 0x"));
    assert_eq!(procd!(server).stop(6, idl::Reason::Restart, true), Ok(()));
    assert!(expected(&server, 6));
    assert_eq!(procd!(server).postpone(6), Ok(()));
    assert!(!expected(&server, 6));
    let id = server.world.live[7].id;
    assert!(server.world.stop(id, State::Faulted, String::new()));
    assert!(expected(&server, 7), "its policy is always, and the supervisor runs");
}

#[test]
fn reason_of_the_supervisor_stays_with_the_end_and_goes_with_the_next_life() {
    let mut server = server();
    assert_eq!(procd!(server).stop(NETD, idl::Reason::Hang, true), Ok(()));
    assert_eq!(procd!(server).stop(NETD, idl::Reason::Stop, true), Err(CallError::Domain(idl::Error::DoesNotRun)));
    let told = |server: &mut Server<FakeKernel>, sequence| procd!(*server).exit(sequence).unwrap().exit.unwrap().reason;
    assert_eq!(
        (told(&mut server, 0), life(&mut server, NETD).reason),
        (Some(idl::Reason::Hang), Some(idl::Reason::Hang))
    );
    assert_eq!(procd!(server).start(NETD), Ok(()));
    let id = server.world.live[usize::from(NETD)].id;
    assert!(server.world.stop(id, State::Killed, String::new()));
    assert_eq!((told(&mut server, 1), life(&mut server, NETD).reason), (None, None));
}

#[test]
fn good_end_is_no_fault_and_nobody_is_told_to_wait_unless_the_policy_is_always() {
    let mut server = server();
    let id = server.world.live[usize::from(NETD)].id;
    server.on_fault(id, 3, [0x40_0010, 0, 0, 0xf200_487a, 0].into_iter());
    let netd = life(&mut server, NETD);
    assert_eq!((netd.state, netd.detail.as_ref()), (idl::State::Ended, "came to its end"));
    assert!(server.world.live[usize::from(NETD)].is_expected, "its policy is always");
    let graph = alloc::rc::Rc::make_mut(&mut server.world.graph);
    let status = server.world.live[7].id;
    graph.instances.iter_mut().find(|other| other.id == status).unwrap().restart.policy =
        hybrid_capgraph::Policy::OnFault;
    server.on_fault(status, 3, [0x40_0010, 0, 0, 0xf200_487a, 0].into_iter());
    assert_eq!((life(&mut server, 7).state, server.world.live[7].is_expected), (idl::State::Ended, false));
}

#[test]
fn supervisor_is_started_again_at_once_until_it_is_given_up() {
    let mut server = server();
    let (procd, status) = (server.world.live[usize::from(PROCD)].id, server.world.live[7].id);
    for round in 1..=5 {
        assert!(server.world.stop(procd, State::Killed, "by a test".into()));
        assert!(server.world.live[usize::from(PROCD)].is_expected);
        server.after_event();
        assert_eq!(
            (server.world.live[usize::from(PROCD)].state, life(&mut server, PROCD).generation),
            (State::Running, round + 1)
        );
        server.world.kernel.now_ns += 1_000_000_000;
    }
    assert!(server.world.stop(status, State::Faulted, String::new()));
    assert!(server.world.stop(procd, State::Faulted, String::new()));
    server.after_event();
    assert_eq!(server.world.live[usize::from(PROCD)].state, State::Faulted);
    assert!(server.world.live.iter().all(|live| !live.is_expected), "nobody waits for anybody any more");
    server.after_event();
    assert_eq!(server.world.live[usize::from(PROCD)].state, State::Faulted);
}
