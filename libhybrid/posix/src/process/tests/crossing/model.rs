//! Random calls of two components against a model of their streams, and random words of one that is hostile.
use super::*;

fn hostile() -> impl Strategy<Value = Said> {
    let number = 0..4_u32;
    let reason = prop::sample::select(vec![Reason::Finished, Reason::Reset, Reason::NobodyListens, Reason::Full]);
    prop_oneof![
        (number.clone(), any::<bool>()).prop_map(|(number, waits)| Said::Connect(number, waits)),
        number.clone().prop_map(Said::Accepted),
        (number.clone(), 0..9000_usize).prop_map(|(number, bytes)| Said::Data(number, vec![7; bytes])),
        (number.clone(), prop_oneof![0..20_000_u32, Just(u32::MAX)])
            .prop_map(|(number, more)| Said::Credit(number, more)),
        number.clone().prop_map(Said::Finished),
        number.clone().prop_map(Said::Deaf),
        (number, reason).prop_map(|(number, reason)| Said::Closed(number, reason)),
    ]
}

/// What one of two programs does.
#[derive(Debug, Clone)]
enum Step {
    Connect,
    Accept,
    Send(bool, usize, u64),
    Read(bool, usize, u64),
    Shut(bool, usize, u64),
    Close(bool, usize),
    Hear(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let (side, which) = (any::<bool>(), 0..4_usize);
    prop_oneof![
        Just(Step::Connect),
        Just(Step::Accept),
        (side, which.clone(), 1..12_000_u64).prop_map(|(side, at, bytes)| Step::Send(side, at, bytes)),
        (side, which.clone(), 1..12_000_u64).prop_map(|(side, at, bytes)| Step::Read(side, at, bytes)),
        (side, which.clone(), 1..2_u64).prop_map(|(side, at, how)| Step::Shut(side, at, how)),
        (side, which).prop_map(|(side, at)| Step::Close(side, at)),
        side.prop_map(Step::Hear),
    ]
}

/// One connection of the model: both ends as they are opened, and what each side sent and the other read, as counts of one endless text.
#[derive(Debug, Default)]
struct Model {
    ends: [Option<u64>; 2],
    sent: [u64; 2],
    read: [u64; 2],
    has_shut: [bool; 2],
    /// Somebody closed: what is under way may be lost.
    is_loose: bool,
}

/// The text that side `from` of connection `at` sends.
fn text(at: usize, from: usize, begin: u64, bytes: u64) -> Vec<u8> {
    (begin..begin + bytes).map(|byte| (byte.wrapping_mul(31) as u8) ^ (at as u8) ^ ((from as u8) << 7)).collect()
}

struct Run {
    pair: Pair,
    listener: u64,
    models: Vec<Model>,
    /// Connections in the queue, in its order.
    queue: VecDeque<usize>,
}

impl Run {
    fn program(&mut self, side: usize) -> &mut Program {
        if side == 0 { &mut self.pair.client } else { &mut self.pair.server }
    }

    fn end(&self, side: usize, at: usize) -> Option<(usize, u64)> {
        let at = at % self.models.len().max(1);
        Some((at, self.models.get(at)?.ends[side]?))
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Connect if self.models.len() < 4 => {
                let socket = self.pair.calling();
                self.queue.push_back(self.models.len());
                self.models.push(Model { ends: [Some(socket), None], ..Model::default() });
            }
            Step::Connect => {}
            Step::Accept => {
                let socket = self.pair.server.call(number::ACCEPT4, &[self.listener, 0, 0, NONBLOCK]);
                if let Ok(socket) = u64::try_from(socket)
                    && let Some(at) = self.queue.pop_front()
                {
                    self.models[at].ends[1] = Some(socket);
                }
            }
            Step::Send(side, at, bytes) => self.send(side.into(), at, bytes),
            Step::Read(side, at, bytes) => self.read(side.into(), at, bytes),
            Step::Shut(side, at, how) => {
                let Some((at, socket)) = self.end(side.into(), at) else { return };
                if self.program(side.into()).call(number::SHUTDOWN, &[socket, how]) == 0 {
                    self.models[at].has_shut[usize::from(side)] = true;
                }
            }
            Step::Close(side, at) => {
                let Some((at, socket)) = self.end(side.into(), at) else { return };
                // One that is not accepted yet takes its place in the queue along: the model is simpler without.
                if self.models[at].ends[1].is_none() {
                    return;
                }
                assert_eq!(self.program(side.into()).call(number::CLOSE, &[socket]), 0);
                self.models[at].ends[usize::from(side)] = None;
                self.models[at].is_loose = true;
            }
            Step::Hear(side) => self.program(side.into()).ring(),
        }
    }

    fn send(&mut self, side: usize, at: usize, bytes: u64) {
        let Some((at, socket)) = self.end(side, at) else { return };
        let sent = self.models[at].sent[side];
        let bytes = text(at, side, sent, bytes);
        let result = self.program(side).send(socket, &bytes);
        let model = &mut self.models[at];
        match u64::try_from(result) {
            Ok(more) => {
                assert!(!model.has_shut[side]);
                model.sent[side] += more;
            }
            Err(_) if result == AGAIN => {}
            Err(_) => assert!(model.has_shut[side] || model.is_loose, "{result}"),
        }
    }

    fn read(&mut self, side: usize, at: usize, bytes: u64) {
        let Some((at, socket)) = self.end(side, at) else { return };
        let result = self.program(side).read(socket, bytes);
        let (from, model) = (1 - side, &mut self.models[at]);
        match result {
            Ok(read) if read.is_empty() => {
                assert!(model.is_loose || model.has_shut[from] && model.read[side] == model.sent[from]);
            }
            Ok(read) => {
                assert_eq!(read, text(at, from, model.read[side], read.len() as u64));
                model.read[side] += read.len() as u64;
                assert!(model.read[side] <= model.sent[from]);
            }
            Err(AGAIN) => {}
            Err(error) => assert!(model.is_loose, "{error}"),
        }
    }

    /// Whoever is left gets all that was sent, and both are free when all is closed.
    fn finish(mut self) {
        for session in [self.pair.client.session(), self.pair.server.session()] {
            session.room = 64;
        }
        self.pair.settle();
        while !self.queue.is_empty() {
            self.step(&Step::Accept);
            self.pair.settle();
        }
        for _ in 0..100 {
            for (side, at) in [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)] {
                if at < self.models.len() {
                    self.read(side, at, 16_000);
                }
            }
            self.pair.settle();
        }
        for model in &self.models {
            let all = [model.sent[1], model.sent[0]];
            assert!(model.is_loose || model.read == all, "{model:?}");
        }
        let ends: Vec<_> = self.models.iter().map(|model| model.ends).collect();
        for (side, socket) in ends.iter().flat_map(|ends| ends.iter().copied().enumerate()) {
            if let Some(socket) = socket {
                assert_eq!(self.program(side).call(number::CLOSE, &[socket]), 0);
            }
        }
        let listener = self.listener;
        assert_eq!(self.pair.server.call(number::CLOSE, &[listener]), 0);
        self.pair.settle();
        assert!(self.pair.is_free());
    }
}

proptest! {
    /// Whatever a neighbour says: nothing panics, what it can have is bounded, and when it is gone so is all that it had.
    #[test]
    fn hostile_neighbour_has_no_more_than_its_connections(
        is_server in any::<bool>(),
        words in prop::collection::vec(hostile(), 1..60),
        room in 0..8_usize,
    ) {
        let mut pair = Pair::new();
        let listener = pair.listener(3);
        let own = if is_server { listener } else { pair.calling() };
        pair.server.session().room = room;
        let mut program = if is_server { pair.server } else { pair.client };
        for word in words {
            program.session().hears.borrow_mut().push_back(word);
            program.ring();
            prop_assert!(program.process.crossing_count() <= CONNECTIONS_MAX);
            program.session().says.borrow_mut().clear();
            if is_server {
                let _accepted = program.call(number::ACCEPT4, &[listener, 0, 0, NONBLOCK]);
            }
        }
        program.session().is_lost = true;
        program.ring();
        prop_assert_eq!(program.process.crossing_count(), 0);
        for socket in own..own + 64 {
            let _open_or_not = program.call(number::CLOSE, &[socket]);
        }
        prop_assert_eq!(program.process.areas.free_bytes(), 96 * PAGE);
    }

    /// Several connections over rings that are nearly always full: each side reads exactly what the other one sent.
    #[test]
    fn both_sides_read_what_was_sent(
        steps in prop::collection::vec(step(), 1..120),
        rooms in [1..4_usize, 1..4_usize],
    ) {
        let mut pair = Pair::new();
        let listener = pair.listener(8);
        let mut run = Run { pair, listener, models: Vec::new(), queue: VecDeque::new() };
        run.pair.server.session().room = rooms[1];
        // A word that finds no room is a connection that is not begun: that is asked elsewhere.
        run.pair.client.session().room = rooms[0] + 8;
        for step in &steps {
            run.step(step);
        }
        run.finish();
    }
}
