//! One program's state and its system calls, one at a time; it never waits, and sees no more than its [`World`].
//!
//! A call that must wait parks its thread: [`Process::call`] says so, the caller waits without any lock, and asks for the result afterwards.
mod address;
mod alarm;
mod crossing;
mod datagram;
mod demand;
mod descriptors;
mod epoll;
mod fs;
mod identity;
mod io;
mod marks;
mod memory;
mod messages;
mod object;
mod options;
mod pieces;
mod pipe;
mod poll;
mod pump;
mod queue;
mod random;
mod refusals;
mod signals;
mod slab;
mod socket;
mod spawn;
mod sync;
mod synthetic;
mod tcp;
mod terminal;
mod threads;
mod time;
mod within;

use crate::areas::Areas;
use crate::futex::{self, THREADS_MAX, Thread, Threads};
use crate::number::{self, Answer, Errno, low};
use crate::output::Line;
use crate::world::World;
use alloc::boxed::Box;
use alloc::vec::Vec;

pub use descriptors::DESCRIPTORS_MAX;
pub use epoll::WATCHES_MAX;
pub use object::poll as readiness;
pub use random::{FETCH_MAX, Numbers};
pub use signals::{AGAIN, Delivery, signal};
use threads::Slot;

/// How a call went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is over; this is what it returns.
    Done(i64),
    /// Its thread waits until [`Process::take_result`] has something for it.
    Park,
    /// Its thread lets others run, then returns 0.
    Yield,
    /// A signal is handled: call the handler, then [`Process::handled`].
    Deliver(Delivery),
    /// Random bytes are to be fetched for it, then [`Process::fetched`].
    Numbers(Numbers),
    /// The thread has ended.
    ThreadEnded,
    /// The program has ended.
    Ended(Ending),
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status.
    Exit(u8),
    /// By a signal, as `abort` does.
    Signal(u8),
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self::Done(answer.map_or_else(Errno::negated, u64::cast_signed))
    }
}

impl From<Errno> for Outcome {
    fn from(errno: Errno) -> Self {
        Self::Done(errno.negated())
    }
}

/// Who the program is, and where it lives.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// Id of the instance: also its process, user and group number.
    pub instance: u16,
    /// Name of the instance.
    pub name: &'static str,
    /// Version of the product.
    pub version: &'static str,
    /// First address of the main thread's stack, and one past the last.
    pub stack: (u64, u64),
    /// How many threads it may have, the first included; at least 1, at most [`THREADS_MAX`].
    pub threads: u8,
    /// Bytes of stack of the threads of which the program does not say it, as std was told; 0: it was told nothing.
    pub min_stack: u64,
    /// Addresses of name servers, separated by spaces.
    pub name_servers: &'static str,
    /// What `resolv.conf` has for `options`.
    pub name_options: &'static str,
}

/// Whose memory the table of pages is in.
pub trait Pages: AsRef<[u8]> + AsMut<[u8]> {}
impl<T: AsRef<[u8]> + AsMut<[u8]>> Pages for T {}

/// The state.
#[derive(Debug)]
pub struct Process<S> {
    identity: Identity,
    areas: Areas<S>,
    lines: [Line; 2],
    files: descriptors::Files,
    /// What paths mean.
    fs: fs::Space,
    /// What is between a ring of the host stack, or of a neighbour, and the program; empty until it is needed.
    scratch: Vec<u8>,
    /// What the host stack is told when it has room.
    owed: heapless::Deque<tcp::Owed, { tcp::OWED_MAX }>,
    /// Some listener has places that are free again and were not told (INV-PLACES-1).
    has_free_places: bool,
    /// Some connection waits for room in the host stack's ring.
    are_stuck: bool,
    /// The number of the next connection that the program opens.
    next_connection: u32,
    /// Who knocked at a listener so far: who came first goes first.
    knocked: u64,
    table: futex::Table,
    /// One for each thread that the program may have; in the heap, as this is moved over the stack when a program begins.
    slots: Vec<Slot>,
    /// Threads that wait (INV-PARKED-1: exactly those whose slot says so).
    parked: Threads,
    /// Threads whose result came and that were not told yet.
    woken: Threads,
    actions: [signals::Action; signals::SIGNALS],
    /// Signals that who spawned the program, or an operator, sent last: an end by one of these waits for nobody.
    asked: u64,
    children: spawn::Children,
    crossings: crossing::Crossings,
    /// The thread that ended the program, and how, while that waits until its output was taken: no other makes a call any more.
    exiting: Option<(Thread, Ending)>,
    pumps: pump::Pumps,
    terminal: Option<Box<terminal::Terminal>>,
    /// That of `setitimer`.
    alarm: object::Timer,
    told: refusals::Told,
}

impl<S: Pages> Process<S> {
    /// A program whose first thread runs, and whose heap `areas` tells.
    pub fn new(identity: Identity, areas: Areas<S>) -> Self {
        let mut slots = alloc::vec![Slot::FREE; usize::from(identity.threads).clamp(1, THREADS_MAX)];
        if let Some(first) = slots.first_mut() {
            *first = Slot::RUNNING;
        }
        Self {
            identity,
            areas,
            lines: [Line::new(), Line::new()],
            files: descriptors::Files::new(),
            fs: fs::Space::new(),
            scratch: Vec::new(),
            owed: heapless::Deque::new(),
            has_free_places: false,
            are_stuck: false,
            next_connection: crate::net::FIRST_OWN,
            knocked: 0,
            table: futex::Table::new(),
            slots,
            parked: 0,
            woken: 0,
            actions: [signals::Action::DEFAULT; signals::SIGNALS],
            asked: 0,
            children: spawn::Children::default(),
            crossings: crossing::Crossings::default(),
            exiting: None,
            pumps: pump::Pumps::default(),
            terminal: None,
            alarm: object::Timer::default(),
            told: refusals::Told::default(),
        }
    }

    /// System call `number` of `thread`.
    pub fn call(&mut self, world: &mut impl World, thread: Thread, number: u64, args: [u64; 6]) -> Outcome {
        self.ring(world);
        let outcome = match self.exiting {
            Some((exiting, ending)) if exiting == thread => self.leave(world, thread, ending),
            Some(_) => self.park_for_good(thread, None),
            None => self.dispatch(world, thread, number, args),
        };
        self.retry(world);
        match outcome {
            Outcome::Done(_) | Outcome::Park if !self.is_disturbed(thread) => outcome,
            Outcome::Done(result) => {
                let result = self.unmask(thread, result);
                // A signal from outside that the thread did not wait for.
                if self.has_signal(thread) { self.deliver(world, thread, result) } else { Outcome::Done(result) }
            }
            Outcome::Park => {
                // One that came before the thread waited, or by its own look at its children: nothing would wake it any more.
                if let Some(restarts) = self.interruption(thread) {
                    self.interrupt(world, thread, restarts);
                }
                Outcome::Park
            }
            outcome => outcome,
        }
    }

    fn dispatch(&mut self, world: &mut impl World, thread: Thread, number: u64, args: [u64; 6]) -> Outcome {
        match number {
            number::FUTEX => self.futex(world, thread, args),
            number::CLOCK_GETTIME | number::CLOCK_GETRES => self.clock(world, number, args).into(),
            number::NANOSLEEP | number::CLOCK_NANOSLEEP => self.sleep(world, thread, number, args),
            number::SCHED_YIELD => Outcome::Yield,
            number::MMAP => self.mmap(world, args).into(),
            number::MAP_STACK => self.map_stack(world, args).into(),
            number::MUNMAP => self.munmap(args).into(),
            number::MPROTECT => self.mprotect(world, args).into(),
            number::MREMAP => self.mremap(world, args).into(),
            number::MADVISE => self.madvise(world, args).into(),
            number::MSYNC => self.msync(args).into(),
            // All memory is there for good.
            number::MLOCK | number::MUNLOCK | number::MLOCKALL | number::MUNLOCKALL => Outcome::Done(0),
            number::EXIT => self.exit_thread(world, thread, args[0]),
            number::EXIT_GROUP => self.leave(world, thread, Ending::Exit(exit_status(args[0]))),
            number::RT_SIGACTION => self.sigaction(world, args).into(),
            number::RT_SIGPROCMASK => self.sigprocmask(world, thread, args),
            number::RT_SIGPENDING => self.sigpending(world, thread, args).into(),
            number::KILL | number::TKILL | number::TGKILL => self.kill(world, thread, number, args),
            number::SET_TID_ADDRESS => self.set_tid_address(thread, args[0]).into(),
            number::FLOCK => self.lock_call(world, thread, number, args),
            number::FCNTL if fs::is_lock(low(args[1])) => self.lock_call(world, thread, number, args),
            number::SETITIMER | number::GETITIMER => self.interval_timer(world, number, args).into(),
            number::GETRANDOM => self.getrandom(world, args),
            number::CLONE | number::CLONE3 | number::EXECVE => {
                self.tell(world, number, "a component cannot be copied or replaced; posix_spawn starts another");
                Errno::ENOSYS.into()
            }
            number::SPAWN => self.spawn(world, args).into(),
            number::GETPID | number::GETUID | number::GETEUID | number::GETGID | number::GETEGID => {
                Outcome::Done(self.identity.instance.into())
            }
            _ => self.waiting_call(world, thread, number, args).unwrap_or_else(|| {
                self.descriptor_call(world, number, args)
                    .or_else(|| self.own_call(world, number, args))
                    .or_else(|| self.epoll_call(world, number, args))
                    .or_else(|| self.socket_call(world, number, args))
                    .or_else(|| self.file_call(world, number, args))
                    .or_else(|| self.identity_call(world, thread, number, args))
                    .map_or_else(|| self.not_served(world, number, args).into(), Outcome::from)
            }),
        }
    }

    /// The end by the program's own doing, of whatever kind: what it wrote for who spawned it is told first, which may wait until that reads.
    fn leave(&mut self, world: &mut impl World, thread: Thread, ending: Ending) -> Outcome {
        self.leave_host_stack(world);
        // What children printed comes first, too, also if nobody spawned this one.
        if !self.has_said_all(world) {
            self.exiting = Some((thread, ending));
            let call = io::Call { number: number::EXIT_GROUP, args: [0; 6], object: None, done: 0 };
            return self.park_for_good(thread, Some(call));
        }
        self.end(world, ending)
    }

    /// Whether nobody has to take anything of the program any more before it may end.
    fn has_said_all(&mut self, world: &mut impl World) -> bool {
        self.owed.is_empty() && (!self.has_pumps() || self.is_drained(world))
    }

    /// A thread of a program that is about to end goes no further; the one that ends it waits in `call`.
    fn park_for_good(&mut self, thread: Thread, call: Option<io::Call>) -> Outcome {
        if let Some(slot) = self.slot(thread) {
            // No handler runs on it any more.
            (slot.call, slot.blocked, slot.kept) = (call, u64::MAX, None);
        }
        self.park(thread, None, 0)
    }

    /// The end of one that cannot start as it was to: what posix_spawn(3) has for actions that fail in the child.
    pub fn end_unstarted(&mut self, world: &mut impl World) -> Outcome {
        self.end(world, Ending::Exit(127))
    }

    /// The end of the program; what was written without the end of a line is told, and streams get what they have room for.
    fn end(&mut self, world: &mut impl World, ending: Ending) -> Outcome {
        self.flush(world);
        self.pump(world);
        self.leave_host_stack(world);
        self.leave_neighbours(world);
        if let Some(relations) = world.relations() {
            relations.ending(ending);
        }
        Outcome::Ended(ending)
    }
}

fn exit_status(argument: u64) -> u8 {
    argument.to_le_bytes()[0]
}

#[cfg(test)]
mod tests;
