//! Two threads in a space of their own that exchange messages; what a storm elsewhere must not disturb.
use crate::world::{During, Failure, PAGE, Plan, STACKS, World};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libhybrid::sys::abi::message::MessageInfo;
use libhybrid::sys::{Endpoint, Message, Notification, ObjectType, Reply, buffer};

/// Above all sandboxes, below the warden.
const PRIORITY: u8 = 150;
/// Where the pair sees its page.
const PAGE_AT: u64 = STACKS - 0x10_0000;
/// Words of the page: exchanges that went well, the first failure, then the pattern.
const DONE: u64 = 0;
const FAILED: u64 = 1;
const PATTERN: u64 = 16;
const WORDS: u64 = PAGE / 8;

/// The pair, as the warden sees it.
pub(crate) struct Canary {
    bell: Notification,
    page: u64,
    seen: u64,
    /// Ticks since the last exchange.
    patience: u32,
    /// All exchanges.
    pub(crate) exchanges: u64,
}

/// With several cores, one that the host does not run for a while must not look like a failure.
const PATIENCE: u32 = 5_000;

impl Canary {
    /// Starts the pair; with several cores they are on different ones.
    pub(crate) fn start(world: &mut World) -> Result<Self, Failure> {
        let space = world.isolated_space()?;
        let page = world.shared_page(space, PAGE_AT)?;
        for word in PATTERN..WORDS {
            cell(page, word).store(pattern(word), Relaxed);
        }
        let endpoint = world.make(ObjectType::Endpoint, 0).during("endpoint of the canary")?;
        let reply = world.make(ObjectType::Reply, 0).during("reply object of the canary")?;
        let bell = world.make(ObjectType::Notification, 0).during("notification of the canary")?;
        let last = world.boot.info.sched_control.count() - 1;
        let plan = |body: u64, arguments| Plan { space, ..Plan::own(PRIORITY, body, arguments) };
        world.start(&Plan { core: last, ..plan(serve as *const () as u64, [endpoint, reply, 0]) })?;
        world.start(&plan(ask as *const () as u64, [endpoint, bell, 0]))?;
        Ok(Self { bell: Notification::at(bell), page, seen: 0, patience: 0, exchanges: 0 })
    }

    /// Asks for one more exchange.
    pub(crate) fn ring(&self) {
        self.bell.signal();
    }

    /// What happened since the last look.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match cell(self.page, FAILED).load(Relaxed) {
            0 => {}
            1 => return Err(Failure::Check("the canary received a wrong message")),
            2 => return Err(Failure::Check("the canary received a wrong badge")),
            _ => return Err(Failure::Check("the canary's memory was changed")),
        }
        let done = cell(self.page, DONE).load(Relaxed);
        self.patience = if done == self.seen { self.patience + 1 } else { 0 };
        self.exchanges += done.wrapping_sub(self.seen);
        self.seen = done;
        if self.patience > PATIENCE { Err(Failure::Check("the canary is silent")) } else { Ok(()) }
    }
}

/// A word of the pair's page.
fn cell(page: u64, word: u64) -> &'static AtomicU64 {
    let place = core::ptr::with_exposed_provenance::<AtomicU64>((page + word * 8) as usize);
    // SAFETY: the page is mapped for good, in both spaces, and every word of it is only used as an atomic.
    unsafe { &*place }
}

fn pattern(word: u64) -> u64 {
    word.wrapping_mul(0x0123_4567_89ab_cdef) ^ 0x5a5a_5a5a_0000_0000
}

/// What word `index` of message `number` is, there and back.
fn word_of(number: u64, index: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9).wrapping_add(index << 32)
}

/// The asking one: waits for the bell, sends a message of changing length, checks the answer and the page.
extern "C" fn ask(endpoint: u64, bell: u64) -> ! {
    let mut number = 0;
    loop {
        let _ = Notification::at(bell).wait();
        number += 1;
        let length = number % 120;
        let received = Endpoint::at(endpoint).call(&message(number, length));
        let is_right = received.info.label() == number && is_message(&received.registers, number + 1, length);
        if !is_right || received.info.length() as u64 != length {
            cell(PAGE_AT, FAILED).store(1, Relaxed);
        }
        if received.badge != 0 {
            cell(PAGE_AT, FAILED).store(2, Relaxed);
        }
        if (PATTERN..WORDS).any(|word| cell(PAGE_AT, word).load(Relaxed) != pattern(word)) {
            cell(PAGE_AT, FAILED).store(3, Relaxed);
        }
        cell(PAGE_AT, DONE).fetch_add(1, Relaxed);
    }
}

/// The answering one: checks the message, answers with the next one of the same length.
extern "C" fn serve(endpoint: u64, reply: u64) -> ! {
    let mut received = Endpoint::at(endpoint).recv(Reply::at(reply));
    loop {
        let (number, length) = (received.info.label(), received.info.length() as u64);
        if !is_message(&received.registers, number, length) || length != number % 120 {
            cell(PAGE_AT, FAILED).store(1, Relaxed);
        }
        let mut answer = message(number + 1, length);
        answer.info = MessageInfo::new(number, 0, 0, length);
        received = Endpoint::at(endpoint).reply_recv(Reply::at(reply), &answer);
    }
}

fn message(number: u64, length: u64) -> Message {
    let mut registers = [0; 4];
    for index in 0..length {
        match registers.get_mut(index as usize) {
            Some(register) => *register = word_of(number, index),
            None => buffer::set_word(index as usize, word_of(number, index)),
        }
    }
    Message { info: MessageInfo::new(number, 0, 0, length), registers }
}

fn is_message(registers: &[u64; 4], number: u64, length: u64) -> bool {
    (0..length).all(|index| {
        let word = registers.get(index as usize).copied().unwrap_or_else(|| buffer::word(index as usize));
        word == word_of(number, index)
    })
}
