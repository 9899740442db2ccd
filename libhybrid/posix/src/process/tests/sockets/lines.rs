//! The line at a listener under random steps: who came first is accepted first, from within and from outside.
use super::super::datagrams::{OWN, v4};
use super::*;

/// A socket within the component, by its port, and its descriptor while it is open; or a peer outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Within(u64, [u8; 2]),
    Outside(u16),
}

struct Run {
    program: Program,
    listener: u64,
    places: usize,
    line: VecDeque<Who>,
    knocking: VecDeque<Who>,
    /// Sockets of the program that connected, as far as they are open.
    open: Vec<Who>,
    peers: u16,
}

impl Run {
    fn new(backlog: u64) -> Self {
        let mut program = Program::with_memory(4, 4000);
        program.world.net = Some(FakeStack::default());
        let listener = program.listening(2, &v4([0; 4], 80), backlog);
        let (line, knocking) = (VecDeque::new(), VecDeque::new());
        Self { program, listener, places: backlog as usize + 1, line, knocking, open: Vec::new(), peers: 0 }
    }

    fn connect(&mut self) {
        let socket = self.program.stream(2, 0o4000);
        let has_room = self.line.len() < self.places;
        let expected = if has_room { 0 } else { Errno::EINPROGRESS.negated() };
        assert_eq!(self.program.with_address(number::CONNECT, socket, &v4(OWN, 80)), expected);
        let name = self.program.name(number::GETSOCKNAME, socket).unwrap();
        let who = Who::Within(socket, [name[2], name[3]]);
        if has_room {
            self.line.push_back(who)
        } else {
            self.knocking.push_back(who)
        }
        self.open.push(who);
    }

    fn come(&mut self) {
        self.peers += 1;
        let peer = Peer { port: self.peers, ..PEER };
        let connection = self.peers.into();
        self.program.hear([Event::Accepted { connection, listener: 0, peer, local: LOCAL, credit: 100 }]);
        self.line.push_back(Who::Outside(self.peers));
    }

    fn accept(&mut self) {
        let accepted = self.program.call(number::ACCEPT4, &[self.listener, 0, 0, 0o4000]);
        let Some(first) = self.line.pop_front() else {
            assert_eq!(accepted, Errno::EAGAIN.negated());
            return;
        };
        let name = self.program.name(number::GETPEERNAME, accepted.cast_unsigned()).unwrap();
        let expected = match first {
            Who::Within(_, port) => [port.as_slice(), &OWN].concat(),
            Who::Outside(port) => [port.to_be_bytes().as_slice(), &[10, 0, 2, 2]].concat(),
        };
        assert_eq!(name[2..8], expected);
        assert_eq!(self.program.call(number::CLOSE, &[accepted.cast_unsigned()]), 0);
        self.let_in();
    }

    fn let_in(&mut self) {
        while self.line.len() < self.places
            && let Some(who) = self.knocking.pop_front()
        {
            self.line.push_back(who);
        }
    }

    /// One that waits keeps its place; one that knocks leaves.
    fn close(&mut self, at: usize) {
        if self.open.is_empty() {
            return;
        }
        let who = self.open.remove(at % self.open.len());
        if let Who::Within(socket, _) = who {
            assert_eq!(self.program.call(number::CLOSE, &[socket]), 0);
        }
        self.knocking.retain(|other| *other != who);
    }

    fn listen_again(&mut self, backlog: u64) {
        assert_eq!(self.program.call(number::LISTEN, &[self.listener, backlog]), 0);
        self.places = backlog as usize + 1;
        self.let_in();
    }

    /// The host stack dies and comes back, or its ring is full for a while.
    fn disturb(&mut self, is_lost: bool) {
        let stack = self.program.world.net.as_mut().unwrap();
        if is_lost {
            stack.ports.clear();
            self.program.hear([Event::Lost, Event::Back]);
        } else {
            stack.is_full = !stack.is_full;
            self.program.hear([]);
        }
    }
}

proptest! {
    /// After each step [`Process::check_lines`] holds the line against all sockets.
    #[test]
    fn who_came_first_is_accepted_first_whoever_left_meanwhile(
        steps in prop::collection::vec((0..12_u8, 0..8_usize), 1..80),
        backlog in 0..3_u64,
    ) {
        let mut run = Run::new(backlog);
        for (step, at) in steps {
            match step {
                0..4 => run.connect(),
                4..6 => run.come(),
                6..9 => run.accept(),
                9 => run.close(at),
                10 => run.listen_again(at as u64 / 2),
                _ => run.disturb(at == 0),
            }
            let is_ready = run.program.ready(run.listener) & bits::IN != 0;
            prop_assert_eq!(is_ready, !run.line.is_empty());
        }
        for socket in run.open.drain(..).chain([Who::Within(run.listener, [0; 2])]) {
            if let Who::Within(socket, _) = socket {
                prop_assert_eq!(run.program.call(number::CLOSE, &[socket]), 0);
            }
        }
        prop_assert!(run.program.process.areas.free_bytes() == 4000 * PAGE, "what waited is gone with its listener");
    }
}
