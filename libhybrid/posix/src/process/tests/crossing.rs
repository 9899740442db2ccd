//! Streams between two components: one listens and one is granted it, over rings that a test fills and cuts.
mod bounds;
mod model;

use super::datagrams::path;
use super::readiness as bits;
use super::*;
use crate::neighbour::{CHUNK, CONNECTIONS_MAX, Heard, Neighbours, Reason, WINDOW, Word};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

const NONBLOCK: u64 = 0o4000;
const AGAIN: i64 = -11;
const UNIX: u64 = 1;
const PLACE: &[u8] = b"/run/greet";
/// Instances of the two.
const CLIENT: u16 = 9;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Connect(u32, bool),
    Accepted(u32),
    Data(u32, Vec<u8>),
    Credit(u32, u32),
    Finished(u32),
    Deaf(u32),
    Closed(u32, Reason),
}

impl Said {
    fn of(word: Word<'_>) -> Self {
        match word {
            Word::Connect(number, waits) => Self::Connect(number, waits),
            Word::Accepted(number) => Self::Accepted(number),
            Word::Data(number, bytes) => Self::Data(number, bytes.into()),
            Word::Credit(number, bytes) => Self::Credit(number, bytes),
            Word::Finished(number) => Self::Finished(number),
            Word::Deaf(number) => Self::Deaf(number),
            Word::Closed(number, reason) => Self::Closed(number, reason),
        }
    }
}

type Ring = Rc<RefCell<VecDeque<Said>>>;

/// One session; `room` words fit into the ring that it writes.
struct FakeNeighbour {
    path: Vec<u8>,
    client: Option<u16>,
    says: Ring,
    hears: Ring,
    room: usize,
    is_up: bool,
    is_lost: bool,
    /// It broke the ring that it reads, which only who writes finds.
    is_broken: bool,
}

impl FakeNeighbour {
    fn new(client: Option<u16>, says: &Ring, hears: &Ring) -> Self {
        let (says, hears) = (says.clone(), hears.clone());
        Self { path: PLACE.into(), client, says, hears, room: 64, is_up: true, is_lost: false, is_broken: false }
    }
}

#[derive(Default)]
pub(super) struct FakeNeighbours(Vec<FakeNeighbour>);

impl Neighbours for FakeNeighbours {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn path(&self, at: usize) -> &[u8] {
        &self.0[at].path
    }

    fn client(&self, at: usize) -> Option<u16> {
        self.0[at].client
    }

    fn is_up(&self, at: usize) -> bool {
        self.0[at].is_up && !self.0[at].is_lost
    }

    fn say(&mut self, at: usize, word: Word<'_>) -> bool {
        let it = &mut self.0[at];
        if let Word::Data(_, bytes) = word {
            assert!((1..=CHUNK).contains(&bytes.len()));
        }
        if core::mem::take(&mut it.is_broken) {
            (it.is_up, it.is_lost) = (false, true);
        }
        let has_room = it.is_up && !it.is_lost && it.says.borrow().len() < it.room;
        if has_room {
            it.says.borrow_mut().push_back(Said::of(word));
        }
        has_room
    }

    fn hear<'a>(&mut self, at: usize, scratch: &'a mut Vec<u8>) -> Option<Heard<'a>> {
        let it = &mut self.0[at];
        if !it.is_up && !it.is_lost {
            return None;
        }
        let said = it.hears.borrow_mut().pop_front();
        let Some(said) = said else { return core::mem::take(&mut it.is_lost).then_some(Heard::Lost) };
        Some(Heard::Word(match said {
            Said::Connect(number, waits) => Word::Connect(number, waits),
            Said::Accepted(number) => Word::Accepted(number),
            Said::Data(number, bytes) => {
                *scratch = bytes;
                Word::Data(number, scratch)
            }
            Said::Credit(number, bytes) => Word::Credit(number, bytes),
            Said::Finished(number) => Word::Finished(number),
            Said::Deaf(number) => Word::Deaf(number),
            Said::Closed(number, reason) => Word::Closed(number, reason),
        }))
    }

    fn break_off(&mut self, at: usize) {
        (self.0[at].is_up, self.0[at].is_lost) = (false, false);
    }
}

/// A program with one session.
fn neighbour(client: Option<u16>, says: &Ring, hears: &Ring) -> Program {
    neighbour_with(96, client, says, hears)
}

/// One with so many pages.
fn neighbour_with(pages: usize, client: Option<u16>, says: &Ring, hears: &Ring) -> Program {
    let mut program = Program::with_memory(4, pages);
    program.world.neighbours = Some(FakeNeighbours(vec![FakeNeighbour::new(client, says, hears)]));
    program
}

impl Program {
    fn session(&mut self) -> &mut FakeNeighbour {
        &mut self.world.neighbours.as_mut().unwrap().0[0]
    }

    /// A bell.
    fn ring(&mut self) {
        self.process.take_events(&mut self.world);
        self.process.expire(&mut self.world);
        self.process.feed_tables(&mut self.world);
        self.process.check_watches();
        self.process.check_lines();
        self.check_due();
    }

    /// After a call or a bell, unless there is more to do.
    pub(super) fn check_due(&mut self) {
        if self.world.neighbours.is_some() && !self.process.has_more() {
            self.process.check_due(&mut self.world);
        }
    }

    fn error(&mut self, socket: u64) -> u32 {
        self.put(AT, &[0]);
        self.world.write(AT + 64, &4_u32.to_le_bytes()).unwrap();
        assert_eq!(self.call(number::GETSOCKOPT, &[socket, 1, 4, AT, AT + 64]), 0);
        self.world.words::<1>(AT)[0] as u32
    }

    /// `SO_PEERCRED`: the process and the user.
    fn peer(&mut self, socket: u64) -> (u32, u32) {
        self.world.write(AT + 64, &12_u32.to_le_bytes()).unwrap();
        assert_eq!(self.call(number::GETSOCKOPT, &[socket, 1, 17, AT, AT + 64]), 0);
        let [word] = self.world.words::<1>(AT);
        (word as u32, (word >> 32) as u32)
    }
}

struct Pair {
    client: Program,
    server: Program,
    calls: Ring,
    answers: Ring,
}

impl Pair {
    fn new() -> Self {
        let (calls, answers) = (Ring::default(), Ring::default());
        Self {
            client: neighbour(None, &calls, &answers),
            server: neighbour(Some(CLIENT), &answers, &calls),
            calls,
            answers,
        }
    }

    /// Both hear each other until nothing more is said.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.server.ring();
            self.client.ring();
            if self.calls.borrow().is_empty() && self.answers.borrow().is_empty() {
                return;
            }
        }
        panic!("they never end: {:?} {:?}", self.calls, self.answers);
    }

    fn listener(&mut self, backlog: u64) -> u64 {
        self.server.listening(UNIX, &path(PLACE), backlog)
    }

    fn calling(&mut self) -> u64 {
        let socket = self.client.stream(UNIX, NONBLOCK);
        let begun = self.client.with_address(number::CONNECT, socket, &path(PLACE));
        assert_eq!(begun, Errno::EINPROGRESS.negated());
        socket
    }

    /// A connection: the client's end, and the server's.
    fn open(&mut self, listener: u64) -> (u64, u64) {
        let client = self.calling();
        self.settle();
        (client, self.server.accept(listener))
    }

    /// The rings are those of a next life; whichever side lived on is told so.
    fn next_life(&mut self, is_server: bool) {
        self.calls.borrow_mut().clear();
        self.answers.borrow_mut().clear();
        let (died, left) =
            if is_server { (&mut self.server, &mut self.client) } else { (&mut self.client, &mut self.server) };
        let client = died.session().client;
        let (says, hears) = (died.session().says.clone(), died.session().hears.clone());
        *died = neighbour(client, &says, &hears);
        (left.session().is_up, left.session().is_lost) = (true, true);
    }

    fn is_free(&self) -> bool {
        let is_free = |program: &Program| program.process.areas.free_bytes() == 96 * PAGE;
        is_free(&self.client)
            && is_free(&self.server)
            && self.client.process.crossing_count() == 0
            && self.server.process.crossing_count() == 0
    }
}

#[test]
fn component_that_was_granted_it_connects_and_both_talk() {
    let mut pair = Pair::new();
    let listener = pair.listener(5);
    let (first, second) = (pair.calling(), pair.calling());
    assert_eq!((pair.client.ready(first), pair.client.read(first, 1)), (0, Err(AGAIN)));
    assert_eq!(pair.client.with_address(number::CONNECT, first, &path(PLACE)), Errno::EALREADY.negated());
    pair.settle();
    assert_eq!((pair.client.ready(first), pair.client.error(first)), (bits::OUT, 0));
    assert_eq!(pair.server.ready(listener), bits::IN);
    let (a, b) = (pair.server.accept(listener), pair.server.accept(listener));
    assert_eq!(pair.server.call(number::ACCEPT4, &[listener, 0, 0, 0]), AGAIN);
    let name = path(b"/run/greet\0");
    assert_eq!(pair.client.name(number::GETPEERNAME, first), Ok(name.clone()));
    assert_eq!(pair.client.name(number::GETSOCKNAME, first), Ok(path(b"")));
    assert_eq!(pair.server.name(number::GETSOCKNAME, a), Ok(name));
    assert_eq!(pair.server.name(number::GETPEERNAME, a), Ok(path(b"")));
    assert_eq!((pair.server.peer(a), pair.client.peer(first)), ((9, 9), (0, 65534)));
    assert_eq!((pair.client.send(first, b"one"), pair.client.send(second, b"two")), (3, 3));
    pair.settle();
    assert_eq!((pair.server.read(a, 9), pair.server.read(b, 9)), (Ok(b"one".into()), Ok(b"two".into())));
    assert_eq!((pair.server.send(b, b"TWO"), pair.server.send(a, b"ONE")), (3, 3));
    pair.settle();
    assert_eq!((pair.client.read(first, 9), pair.client.read(second, 9)), (Ok(b"ONE".into()), Ok(b"TWO".into())));
    for (program, sockets) in [(&mut pair.client, vec![first, second]), (&mut pair.server, vec![a, b, listener])] {
        sockets.into_iter().for_each(|socket| assert_eq!(program.call(number::CLOSE, &[socket]), 0));
    }
    pair.settle();
    assert!(pair.is_free());
}

#[test]
fn halves_end_one_by_one_and_who_reads_no_more_breaks_the_writer() {
    let mut pair = Pair::new();
    let listener = pair.listener(5);
    let (client, server) = pair.open(listener);
    assert_eq!(pair.client.send(client, b"last"), 4);
    assert_eq!(pair.client.call(number::SHUTDOWN, &[client, 1]), 0);
    pair.settle();
    assert_eq!(pair.server.read(server, 9), Ok(b"last".into()));
    assert_eq!(pair.server.read(server, 9), Ok(Vec::new()));
    assert_eq!(pair.server.send(server, b"and back"), 8);
    pair.settle();
    assert_eq!(pair.client.read(client, 9), Ok(b"and back".into()));
    assert_eq!(pair.client.call(number::SHUTDOWN, &[client, 0]), 0);
    pair.settle();
    assert_eq!(pair.server.send(server, b"x"), Errno::EPIPE.negated());
    // Who reads no more can still write.
    let (client, server) = pair.open(listener);
    assert_eq!(pair.client.call(number::SHUTDOWN, &[client, 0]), 0);
    pair.settle();
    assert_eq!(pair.server.send(server, b"x"), Errno::EPIPE.negated());
    assert_eq!(pair.client.send(client, b"goes on"), 7);
    pair.settle();
    assert_eq!(pair.server.read(server, 9), Ok(b"goes on".into()));
    // One that goes at once is at its end, and cannot be written to.
    let (client, server) = pair.open(listener);
    assert_eq!(pair.client.call(number::CLOSE, &[client]), 0);
    pair.settle();
    assert_eq!((pair.server.read(server, 9), pair.server.send(server, b"x")), (Ok(Vec::new()), Errno::EPIPE.negated()));
    // What it did not read is a reset.
    let (client, server) = pair.open(listener);
    assert_eq!(pair.server.send(server, b"unread"), 6);
    pair.settle();
    assert_eq!(pair.client.call(number::CLOSE, &[client]), 0);
    pair.settle();
    assert_eq!(pair.server.read(server, 9), Err(Errno::ECONNRESET.negated()));
}

#[test]
fn who_has_no_route_finds_nothing_and_who_has_one_is_refused_while_nobody_listens() {
    let mut pair = Pair::new();
    let socket = pair.client.stream(UNIX, 0);
    let connect =
        |program: &mut Program, socket, name: &[u8]| program.with_address(number::CONNECT, socket, &path(name));
    assert_eq!(connect(&mut pair.client, socket, b"/run/other"), Errno::ENOENT.negated());
    assert_eq!(connect(&mut pair.client, socket, b"\0other"), Errno::ECONNREFUSED.negated());
    // Its own client's path is none that a server may call.
    let own = pair.server.stream(UNIX, 0);
    assert_eq!(connect(&mut pair.server, own, PLACE), Errno::ENOENT.negated());
    let datagram = pair.client.call(number::SOCKET, &[UNIX, 2, 0]).cast_unsigned();
    assert_eq!(connect(&mut pair.client, datagram, PLACE), Errno::EPROTOTYPE.negated());
    assert_eq!(pair.client.world.told, ["connect refused: only streams lead to another component"]);
    let refused = pair.calling();
    pair.settle();
    assert_eq!(pair.client.ready(refused) & bits::ERR, bits::ERR);
    assert_eq!(pair.client.error(refused), Errno::ECONNREFUSED.number());
    pair.client.session().is_up = false;
    assert_eq!(connect(&mut pair.client, socket, PLACE), Errno::ECONNREFUSED.negated());
    for socket in [socket, datagram, refused] {
        assert_eq!(pair.client.call(number::CLOSE, &[socket]), 0);
    }
    assert_eq!(pair.server.call(number::CLOSE, &[own]), 0);
    assert!(pair.is_free());
}

#[test]
fn full_backlog_refuses_who_does_not_wait_and_keeps_who_does() {
    let mut pair = Pair::new();
    let listener = pair.listener(0);
    let first = pair.calling();
    pair.settle();
    let turned_away = pair.calling();
    let waiting = pair.client.stream(UNIX, 0);
    pair.client.world.write(AT, &path(PLACE)).unwrap();
    assert_eq!(pair.client.on(1, number::CONNECT, &[waiting, AT, 12]), Outcome::Park);
    pair.settle();
    assert_eq!(pair.client.error(turned_away), Errno::EAGAIN.number());
    assert_eq!((pair.client.error(first), pair.client.process.take_result(1)), (0, None));
    let _accepted = pair.server.accept(listener);
    pair.settle();
    assert_eq!(pair.client.process.take_result(1), Some(0));
    // The listener goes: who was not accepted is reset.
    assert_eq!(pair.server.call(number::CLOSE, &[listener]), 0);
    pair.settle();
    assert_eq!(pair.client.read(waiting, 1), Err(Errno::ECONNRESET.negated()));
}

#[test]
fn no_more_connections_than_the_session_has_and_a_closed_one_makes_room() {
    let mut pair = Pair::new();
    let listener = pair.listener(0);
    let sockets: Vec<u64> = (0..6).map(|_| pair.calling()).collect();
    pair.settle();
    assert_eq!(pair.client.process.crossing_count(), 1, "five were refused");
    sockets.iter().for_each(|socket| assert_eq!(pair.client.call(number::CLOSE, &[*socket]), 0));
    pair.settle();
    let _gone = pair.server.accept(listener);
    // Nobody hears: none of these is answered.
    for _ in 0..CONNECTIONS_MAX {
        let socket = pair.calling();
        assert_eq!(pair.client.call(number::CLOSE, &[socket]), 0);
    }
    let socket = pair.client.stream(UNIX, NONBLOCK);
    assert_eq!(pair.client.with_address(number::CONNECT, socket, &path(PLACE)), AGAIN);
    pair.settle();
    assert_eq!(pair.client.with_address(number::CONNECT, socket, &path(PLACE)), Errno::EINPROGRESS.negated());
}

#[test]
fn death_of_the_server_resets_and_its_next_life_is_reached() {
    let mut pair = Pair::new();
    let listener = pair.listener(5);
    let (client, server) = pair.open(listener);
    let (other, _accepted) = pair.open(listener);
    assert_eq!(pair.server.send(server, b"said"), 4);
    pair.settle();
    let asking = pair.calling();
    pair.next_life(true);
    pair.client.ring();
    assert_eq!(pair.client.ready(client) & (bits::ERR | bits::HUP), bits::ERR | bits::HUP);
    assert_eq!(pair.client.read(client, 9), Ok(b"said".into()), "it was there before");
    assert_eq!(pair.client.read(client, 9), Err(Errno::ECONNRESET.negated()));
    assert_eq!((pair.client.read(client, 9), pair.client.send(client, b"x")), (Ok(Vec::new()), Errno::EPIPE.negated()));
    assert_eq!(pair.client.send(other, b"x"), Errno::ECONNRESET.negated());
    assert_eq!(pair.client.error(asking), Errno::ECONNREFUSED.number());
    let listener = pair.listener(5);
    let (client, server) = pair.open(listener);
    assert_eq!(pair.client.send(client, b"again"), 5);
    pair.settle();
    assert_eq!(pair.server.read(server, 9), Ok(b"again".into()));
}

#[test]
fn death_of_a_client_resets_what_it_had_and_frees_the_queue() {
    let mut pair = Pair::new();
    let listener = pair.listener(1);
    let (_client, server) = pair.open(listener);
    let _in_the_queue = [pair.calling(), pair.calling()];
    let waits = pair.client.stream(UNIX, 0);
    pair.client.world.write(AT, &path(PLACE)).unwrap();
    assert_eq!(pair.client.on(1, number::CONNECT, &[waits, AT, 12]), Outcome::Park);
    pair.settle();
    pair.next_life(false);
    pair.server.ring();
    assert_eq!(pair.server.process.crossing_count(), 0);
    assert_eq!(pair.server.read(server, 9), Err(Errno::ECONNRESET.negated()));
    let dead = [pair.server.accept(listener), pair.server.accept(listener)];
    assert_eq!(pair.server.call(number::ACCEPT4, &[listener, 0, 0, 0]), AGAIN, "who waited to come in never did");
    for socket in dead.into_iter().chain([server, listener]) {
        assert_eq!(pair.server.call(number::CLOSE, &[socket]), 0);
    }
    assert!(pair.is_free());
}

#[test]
fn end_of_a_program_is_an_end_of_its_streams_or_a_reset_of_what_was_lost() {
    for unread in [false, true] {
        let mut pair = Pair::new();
        let listener = pair.listener(5);
        let (client, server) = pair.open(listener);
        if unread {
            assert_eq!(pair.client.send(client, b"unread"), 6);
            pair.settle();
        }
        assert_eq!(pair.server.send(server, b"bye"), 3);
        assert_eq!(pair.server.on(0, number::EXIT_GROUP, &[0]), Outcome::Ended(Ending::Exit(0)));
        // Its last words are in the ring when it is gone.
        pair.client.session().is_lost = true;
        pair.client.ring();
        assert_eq!(pair.client.read(client, 9), Ok(b"bye".into()));
        let end = pair.client.read(client, 9);
        assert_eq!(end, if unread { Err(Errno::ECONNRESET.negated()) } else { Ok(Vec::new()) });
    }
}

#[test]
fn who_waits_by_edge_is_told_of_what_comes_and_of_room() {
    let mut pair = Pair::new();
    let listener = pair.listener(5);
    let (client, server) = pair.open(listener);
    let epoll = pair.client.call(number::EPOLL_CREATE1, &[0]).cast_unsigned();
    pair.client.put(AT, &[u64::from(bits::IN | bits::OUT | 1 << 31), 7]);
    assert_eq!(pair.client.call(number::EPOLL_CTL, &[epoll, 1, client, AT]), 0);
    let told = |pair: &mut Pair| pair.client.call(number::EPOLL_PWAIT, &[epoll, AT + 64, 4, 0, 0, 8]);
    assert_eq!((told(&mut pair), told(&mut pair)), (1, 0));
    for _ in 0..2 {
        assert_eq!(pair.server.send(server, b"x"), 1);
        pair.settle();
        assert_eq!((told(&mut pair), told(&mut pair)), (1, 0), "each piece is told, read or not");
    }
    while pair.client.send(client, &[0; 8192]) != AGAIN {
        pair.settle();
    }
    let _it_could_be_written = told(&mut pair);
    assert_eq!(told(&mut pair), 0);
    assert_eq!(pair.server.read(server, WINDOW), Ok(vec![0; WINDOW as usize]));
    pair.settle();
    assert_eq!((told(&mut pair), told(&mut pair)), (1, 0), "there is room");
}

#[test]
fn two_clients_have_sessions_of_their_own() {
    let mut pair = Pair::new();
    let (calls, answers) = (Ring::default(), Ring::default());
    let mut second = neighbour(None, &calls, &answers);
    pair.server.world.neighbours.as_mut().unwrap().0.push(FakeNeighbour::new(Some(10), &answers, &calls));
    let listener = pair.listener(5);
    let (first, accepted) = pair.open(listener);
    let other = second.stream(UNIX, NONBLOCK);
    assert_eq!(second.with_address(number::CONNECT, other, &path(PLACE)), Errno::EINPROGRESS.negated());
    pair.settle();
    let also = pair.server.accept(listener);
    second.ring();
    assert_eq!((pair.server.peer(accepted).0, pair.server.peer(also).0), (9, 10));
    // Both connections have the number 0.
    assert_eq!((pair.client.send(first, b"one"), second.send(other, b"two")), (3, 3));
    pair.settle();
    assert_eq!(pair.server.read(accepted, 9), Ok(b"one".into()));
    assert_eq!(pair.server.read(also, 9), Ok(b"two".into()));
    // One that breaks its word takes nothing of the other's along.
    answers.borrow_mut().clear();
    calls.borrow_mut().push_back(Said::Accepted(0));
    pair.server.ring();
    assert_eq!(pair.server.read(also, 9), Err(Errno::ECONNRESET.negated()));
    assert_eq!(pair.server.send(accepted, b"still"), 5);
    pair.settle();
    assert_eq!(pair.client.read(first, 9), Ok(b"still".into()));
}

#[test]
fn unlinked_name_is_found_by_nobody_and_may_be_bound_anew() {
    let mut pair = Pair::new();
    let listener = pair.listener(5);
    pair.server.world.write(AT, b"/run/greet\0").unwrap();
    assert_eq!(pair.server.call(number::UNLINKAT, &[-100_i64 as u64, AT, 0]), 0);
    let refused = pair.calling();
    pair.settle();
    assert_eq!(pair.client.error(refused), Errno::ECONNREFUSED.number());
    let own = pair.server.stream(UNIX, 0);
    assert_eq!(pair.server.with_address(number::CONNECT, own, &path(PLACE)), Errno::ENOENT.negated());
    assert_eq!(pair.server.name(number::GETSOCKNAME, listener), Ok(path(b"/run/greet\0")));
    let second = pair.listener(5);
    let (_client, _server) = pair.open(second);
    assert_eq!(pair.server.ready(listener), 0);
}

#[test]
fn control_data_is_refused_and_told() {
    let mut pair = Pair::new();
    let listener = pair.listener(5);
    let (client, _server) = pair.open(listener);
    pair.client.put(AT, &[0, 0, AT + 64, 1, AT + 128, 24, 0]);
    for _ in 0..2 {
        assert_eq!(pair.client.call(number::SENDMSG, &[client, AT, 0]), Errno::EINVAL.negated());
    }
    assert_eq!(
        pair.client.world.told,
        ["sendmsg refused: control data goes nowhere: no descriptors and no options with a message"]
    );
}
