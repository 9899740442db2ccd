//! The Alarm interface on a timer and the clients' bells; knows no registers.
use crate::alarms::Alarms;
use alloc::vec::Vec;
use libhybrid::interfaces::time::{Alarm, AlarmExpired};
use libhybrid::ipc::ClientId;

/// The clock, the timer's interrupt and the clients' bells.
pub trait Timer {
    /// Nanoseconds since the counter started.
    fn now_ns(&self) -> u64;
    /// Lets the interrupt come at this time, or never.
    fn arm(&mut self, deadline_ns: Option<u64>);
    /// Rings the bell of the client with this position.
    fn ring(&mut self, client: usize);
}

/// Serves the alarms of all clients.
pub struct Server<T> {
    alarms: Alarms,
    timer: T,
    armed: Option<u64>,
}

impl<T: Timer> Server<T> {
    /// A server for these clients, in the order of their bells.
    pub fn new(clients: Vec<ClientId>, timer: T) -> Self {
        Self { alarms: Alarms::new(clients), timer, armed: None }
    }

    /// Lets fire what is due, and sees to the next interrupt. Call it when the interrupt came, before it is acknowledged:
    /// by then the timer's level has gone.
    pub fn turn(&mut self) {
        let timer = &mut self.timer;
        self.alarms.expire(timer.now_ns(), |client| timer.ring(client));
        let next = self.alarms.next();
        if next != self.armed {
            self.timer.arm(next);
            self.armed = next;
        }
    }

    /// The client died: its alarm goes with it, also one that fired and was not pulled.
    pub fn forget(&mut self, client: ClientId) {
        self.alarms.cancel(client).unwrap_or_default();
        self.turn();
    }
}

/// A caller without a session cannot exist: securityd badges only routes, and each route is a session. If it did,
/// its alarm would simply never fire.
impl<T: Timer> Alarm for Server<T> {
    fn set(&mut self, client: ClientId, deadline_ns: u64) {
        self.alarms.set(client, deadline_ns).unwrap_or_default();
        self.turn();
    }

    fn cancel(&mut self, client: ClientId) {
        self.forget(client);
    }

    fn pull_expired(&mut self, client: ClientId) -> Option<AlarmExpired> {
        let pulled = self.alarms.pull(client).unwrap_or_default();
        pulled.map(|deadline_ns| AlarmExpired { deadline_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libhybrid::interfaces::time::{AlarmClient, AlarmLoopback, AlarmServer};
    use std::vec;

    #[derive(Default)]
    struct Fake {
        now_ns: u64,
        armed: Option<u64>,
        rung: Vec<usize>,
    }

    impl Timer for Fake {
        fn now_ns(&self) -> u64 {
            self.now_ns
        }

        fn arm(&mut self, deadline_ns: Option<u64>) {
            assert!(deadline_ns.is_none_or(|deadline_ns| deadline_ns > self.now_ns), "armed for the past");
            self.armed = deadline_ns;
        }

        fn ring(&mut self, client: usize) {
            self.rung.push(client);
        }
    }

    #[test]
    fn alarms_through_the_interface_fire_and_are_pulled_once() {
        let loopback =
            AlarmLoopback::new(AlarmServer::new(Server::new([5, 9].map(ClientId::of).into(), Fake::default())));
        let (mut five, mut nine) = (AlarmClient::new(loopback.connect(5)), AlarmClient::new(loopback.connect(9)));
        five.set(100).expect("served");
        nine.set(50).expect("served");
        assert_eq!(loopback.server().server.timer.armed, Some(50));
        loopback.server().server.timer.now_ns = 60;
        loopback.server().server.turn();
        assert_eq!(loopback.server().server.timer.rung, [1]);
        assert_eq!(loopback.server().server.timer.armed, Some(100));
        assert_eq!(five.pull_expired(), Ok(None));
        assert_eq!(nine.pull_expired(), Ok(Some(AlarmExpired { deadline_ns: 50 })));
        assert_eq!(nine.pull_expired(), Ok(None));
        five.set(10).expect("served");
        assert_eq!(loopback.server().server.timer.rung, [1, 0], "a past deadline fires at once");
        five.cancel().expect("served");
        assert_eq!(five.pull_expired(), Ok(None), "cancelled although it had fired");
        assert_eq!(loopback.server().server.timer.armed, None);
    }

    #[test]
    fn client_that_died_leaves_no_alarm_however_often() {
        let loopback =
            AlarmLoopback::new(AlarmServer::new(Server::new([5, 9].map(ClientId::of).into(), Fake::default())));
        let mut nine = AlarmClient::new(loopback.connect(9));
        nine.set(90).expect("served");
        for _ in 0..10_000 {
            AlarmClient::new(loopback.connect(5)).set(80).expect("served");
            assert_eq!(loopback.server().server.timer.armed, Some(80));
            loopback.server().server.forget(ClientId::of(5));
            assert_eq!(loopback.server().server.timer.armed, Some(90), "the others keep theirs");
        }
        loopback.server().server.timer.now_ns = 100;
        AlarmClient::new(loopback.connect(5)).set(80).expect("served");
        loopback.server().server.forget(ClientId::of(5));
        assert_eq!(AlarmClient::new(loopback.connect(5)).pull_expired(), Ok(None), "it was the dead one's");
    }

    #[test]
    fn caller_without_session_gets_nothing() {
        let loopback = AlarmLoopback::new(AlarmServer::new(Server::new(vec![ClientId::of(5)], Fake::default())));
        let mut stranger = AlarmClient::new(loopback.connect(6));
        stranger.set(1).expect("served");
        assert_eq!(stranger.pull_expired(), Ok(None));
        assert_eq!(loopback.server().server.timer.rung, []);
    }
}
