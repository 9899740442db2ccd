//! Descriptors: numbers of objects, shared and closed; and what becomes of an object that has none left.
use super::epoll::{WATCHES_MAX, Watch};
use super::fs::O_APPEND;
use super::marks::Marks;
use super::object::{Ends, Held, Id, Object, PIPE_BYTES};
use super::slab::Slab;
use super::tcp::Tcp;
use super::{Pages, Process};
use crate::areas::{Areas, PAGE};
use crate::number::{self, Answer, Errno, int, low};
use crate::output::Stream;
use crate::world::{self, World};

/// The most descriptors, and the most objects.
pub const DESCRIPTORS_MAX: usize = 1024;
/// The most pipes; a connection within the component is two.
pub(super) const PIPES_MAX: usize = 1024;

const F_DUPFD: u32 = 0;
const F_GETFD: u32 = 1;
const F_SETFD: u32 = 2;
const F_GETFL: u32 = 3;
const F_SETFL: u32 = 4;
const F_DUPFD_CLOEXEC: u32 = 1030;
const F_SETPIPE_SZ: u32 = 1031;
const F_GETPIPE_SZ: u32 = 1032;
pub(super) const O_NONBLOCK: u32 = 0o4000;
pub(super) const O_CLOEXEC: u32 = 0o200_0000;
const O_WRONLY: u64 = 1;
const O_RDWR: u64 = 2;
const FIONREAD: u32 = 0x541b;
const FIONBIO: u32 = 0x5421;
const FIONCLEX: u32 = 0x5450;
const FIOCLEX: u32 = 0x5451;

/// One number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptor {
    pub(super) object: Id,
    /// `FD_CLOEXEC`: a program that is spawned does not have it as a standard stream.
    is_closed_on_exec: bool,
}

/// All that descriptors lead to.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) descriptors: Slab<Descriptor>,
    pub(super) objects: Slab<Held>,
    pub(super) pipes: Slab<super::object::Pipe>,
    pub(super) watches: Slab<Watch>,
    /// A socket was opened once, so the host stack may have something to say; a timer was, so one may expire.
    pub(super) has_sockets: bool,
    pub(super) has_timers: bool,
    /// A socket of datagrams waits for room at the host stack, or did when it was closed: without one nobody looks through all objects.
    pub(super) has_stuck: bool,
    /// Something became ready, so waiting calls are to be tried again.
    pub(super) is_changed: bool,
    /// Some descriptor stands or stood for signals.
    pub(super) has_signals: bool,
    /// Connections with neighbours of which there may be something to say (INV-CROSSING-4).
    pub(super) due: Marks,
}

impl Files {
    /// Standard input, output and error.
    pub(super) fn new() -> Self {
        let mut files = Self {
            descriptors: Slab::new(DESCRIPTORS_MAX),
            objects: Slab::new(DESCRIPTORS_MAX),
            pipes: Slab::new(PIPES_MAX),
            watches: Slab::new(WATCHES_MAX),
            has_sockets: false,
            has_timers: false,
            has_stuck: false,
            is_changed: false,
            has_signals: false,
            due: Marks::default(),
        };
        for object in [Object::Input, Object::Output(Stream::Out), Object::Output(Stream::Error)] {
            // Nothing is there yet, so they get 0, 1 and 2.
            let _first_of_all = files.open(object, 0);
        }
        files
    }

    /// A new object with a descriptor; `flags` are those of `open`.
    pub(super) fn open(&mut self, object: Object, flags: u32) -> Answer {
        self.has_sockets |= matches!(object, Object::Tcp(_) | Object::Datagram(_));
        self.has_timers |= matches!(object, Object::Timer(_));
        let held = Held { is_nonblocking: flags & O_NONBLOCK != 0, ..Held::new(object) };
        let id = self.objects.insert(0, held, Errno::ENFILE)?;
        self.descriptor(id, 0, flags & O_CLOEXEC != 0).inspect_err(|_| _ = self.objects.take(id))
    }

    /// One more descriptor of an object, at or above `lowest`.
    pub(super) fn descriptor(&mut self, object: Id, lowest: usize, is_closed_on_exec: bool) -> Answer {
        let number = self.descriptors.insert(lowest, Descriptor { object, is_closed_on_exec }, Errno::EMFILE)?;
        if let Some(held) = self.objects.get_mut(object) {
            held.count += 1;
        }
        Ok(number as u64)
    }

    /// What a descriptor stands for.
    pub(super) fn id(&self, argument: u64) -> Result<Id, Errno> {
        let at = usize::try_from(int(argument)).map_err(|_| Errno::EBADF)?;
        self.descriptors.get(at).map(|descriptor| descriptor.object).ok_or(Errno::EBADF)
    }

    /// `FD_CLOEXEC` of a number.
    pub(super) fn is_closed_on_exec(&self, argument: u64) -> bool {
        let descriptor = usize::try_from(int(argument)).ok().and_then(|at| self.descriptors.get(at));
        descriptor.is_some_and(|descriptor| descriptor.is_closed_on_exec)
    }

    pub(super) fn held(&self, argument: u64) -> Result<&Held, Errno> {
        self.objects.get(self.id(argument)?).ok_or(Errno::EBADF)
    }

    /// It became readable, writable, or more so.
    pub(super) fn touch(&mut self, id: Option<Id>, input: bool, output: bool) {
        if let Some((at, held)) = id.and_then(|id| Some((id, self.objects.get_mut(id)?))) {
            held.edges.bump(input, output);
            self.is_changed = true;
            if let Object::Tcp(Tcp { crossing: Some(crossing), .. }) = held.object {
                self.due.insert(crossing.into());
            }
            if held.watch.is_some() {
                self.queue_watches(at);
            }
        }
    }
}

impl<S: Pages> Process<S> {
    /// Gives the tables of descriptors, and of what they lead to, memory for what comes next. Called after each call of the program and after events,
    /// and where one of them may put more into a table than there is kept ready.
    #[inline]
    pub fn feed_tables(&mut self, world: &mut impl World) {
        let Files { descriptors, objects, pipes, watches, .. } = &self.files;
        if descriptors.is_grown() | objects.is_grown() | pipes.is_grown() | watches.is_grown() {
            self.feed_grown(world);
        }
    }

    #[cold]
    fn feed_grown(&mut self, world: &mut impl World) {
        let Files { descriptors, objects, pipes, watches, .. } = &mut self.files;
        feed(descriptors, &mut self.areas, world);
        feed(objects, &mut self.areas, world);
        feed(pipes, &mut self.areas, world);
        feed(watches, &mut self.areas, world);
    }

    /// Calls about descriptors themselves; `None` for others.
    pub(super) fn descriptor_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::CLOSE => self.close(world, args[0]),
            number::CLOSE_RANGE => self.close_range(world, args),
            number::DUP => self.duplicate(world, args[0], 0, false),
            number::DUP3 => self.duplicate_to(world, args),
            number::FCNTL => self.fcntl(world, args),
            number::IOCTL => self.ioctl(world, args),
            _ => return None,
        })
    }

    pub(super) fn close(&mut self, world: &mut impl World, argument: u64) -> Answer {
        let at = usize::try_from(int(argument)).map_err(|_| Errno::EBADF)?;
        let descriptor = self.files.descriptors.take(at).ok_or(Errno::EBADF)?;
        // A watch is of a descriptor's object: it stays while others stand for that.
        self.release(world, descriptor.object);
        Ok(0)
    }

    fn close_range(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        if args[2] != 0 || args[0] > args[1] {
            return Err(Errno::EINVAL);
        }
        for number in args[0]..(args[1].saturating_add(1)).min(DESCRIPTORS_MAX as u64) {
            let _open_or_not = self.close(world, number);
        }
        Ok(0)
    }

    fn duplicate(&mut self, world: &mut impl World, argument: u64, lowest: u64, is_closed_on_exec: bool) -> Answer {
        let object = self.files.id(argument)?;
        let lowest = usize::try_from(lowest).ok().filter(|lowest| *lowest < DESCRIPTORS_MAX).ok_or(Errno::EINVAL)?;
        self.expect_descriptor(world, lowest);
        self.files.descriptor(object, lowest, is_closed_on_exec)
    }

    /// A number that the program chose may be far beyond those that it has.
    fn expect_descriptor(&mut self, world: &mut impl World, at: usize) {
        self.files.descriptors.expect(at);
        self.feed_tables(world);
    }

    fn duplicate_to(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (object, to) = (self.files.id(args[0])?, int(args[1]));
        if low(args[0]) == low(args[1]) || low(args[2]) & !O_CLOEXEC != 0 {
            return Err(Errno::EINVAL);
        }
        let at = usize::try_from(to).map_err(|_| Errno::EBADF)?;
        let descriptor = Descriptor { object, is_closed_on_exec: low(args[2]) & O_CLOEXEC != 0 };
        self.expect_descriptor(world, at);
        let before = self.files.descriptors.put(at, descriptor)?;
        if let Some(held) = self.files.objects.get_mut(object) {
            held.count += 1;
        }
        if let Some(before) = before {
            self.release(world, before.object);
        }
        Ok(at as u64)
    }

    fn fcntl(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let id = self.files.id(args[0])?;
        let at = usize::try_from(int(args[0])).map_err(|_| Errno::EBADF)?;
        match low(args[1]) {
            F_DUPFD => self.duplicate(world, args[0], args[2], false),
            F_DUPFD_CLOEXEC => self.duplicate(world, args[0], args[2], true),
            F_GETFD => Ok(self.files.descriptors.get(at).is_some_and(|of| of.is_closed_on_exec).into()),
            F_SETFD => self.close_on_exec(at, low(args[2]) & 1 != 0),
            F_GETFL => self.files.objects.get(id).map(status).ok_or(Errno::EBADF),
            F_SETFL => {
                if let Some(Held { object: Object::File(file), .. }) = self.files.objects.get_mut(id) {
                    file.is_appended = low(args[2]) & O_APPEND != 0;
                }
                self.set_nonblocking(id, low(args[2]) & O_NONBLOCK != 0)
            }
            command @ (F_GETPIPE_SZ | F_SETPIPE_SZ) => match self.files.objects.get(id).map(|held| &held.object) {
                // Each has the same size; more is what Linux says to who may not have it.
                Some(Object::Pipe(_)) if command == F_SETPIPE_SZ && args[2] > PIPE_BYTES => Err(Errno::EPERM),
                Some(Object::Pipe(_)) => Ok(PIPE_BYTES),
                _ => Err(Errno::EBADF),
            },
            command => {
                self.tell_of(world, number::FCNTL, "there is no such command here", command);
                Err(Errno::EINVAL)
            }
        }
    }

    fn close_on_exec(&mut self, at: usize, is_closed: bool) -> Answer {
        if let Some(descriptor) = self.files.descriptors.get_mut(at) {
            descriptor.is_closed_on_exec = is_closed;
        }
        Ok(0)
    }

    fn set_nonblocking(&mut self, id: Id, is_nonblocking: bool) -> Answer {
        if let Some(held) = self.files.objects.get_mut(id) {
            held.is_nonblocking = is_nonblocking;
        }
        Ok(0)
    }

    fn ioctl(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let id = self.files.id(args[0])?;
        let at = usize::try_from(int(args[0])).map_err(|_| Errno::EBADF)?;
        match low(args[1]) {
            FIONBIO => {
                let is_on = world::read_u32(world, args[2])? != 0;
                self.set_nonblocking(id, is_on)
            }
            FIOCLEX => self.close_on_exec(at, true),
            FIONCLEX => self.close_on_exec(at, false),
            FIONREAD => {
                let length = self.readable_bytes(world, id).ok_or(Errno::ENOTTY)?;
                world.write(args[2], &u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes())?;
                Ok(0)
            }
            request => self.terminal_request(world, id, request, args[2]),
        }
    }

    fn readable_bytes(&self, world: &impl World, id: Id) -> Option<u64> {
        match &self.files.objects.get(id)?.object {
            Object::Pipe(Ends { reads: Some(pipe), .. }) => Some(self.files.pipes.get(*pipe)?.buffer.len()),
            Object::Tcp(super::tcp::Tcp { stage: super::tcp::Stage::Within(ends), .. }) => {
                Some(self.readable_within(*ends))
            }
            Object::Tcp(tcp) => Some(tcp.readable()),
            Object::Datagram(_) => Some(self.next_message(world, id)),
            Object::Terminal => Some(self.typed()),
            _ => None,
        }
    }

    /// One descriptor less; the object goes with the last one.
    pub(super) fn release(&mut self, world: &mut impl World, id: Id) {
        let Some(held) = self.files.objects.get_mut(id) else { return };
        held.count = held.count.saturating_sub(1);
        if held.count > 0 {
            // It may be a child's alone now, to whom it is sent as it is taken.
            self.files.is_changed |= self.has_pumps();
            return;
        }
        let Some(held) = self.files.objects.take(id) else { return };
        self.files.forget_watches(id, &held);
        match held.object {
            Object::Pipe(ends) => self.close_ends(ends),
            Object::Tcp(tcp) => self.close_tcp(world, id, tcp),
            Object::Datagram(datagram) => self.close_datagram(world, id, datagram),
            Object::File(file) => self.close_file(world, id, file),
            Object::Directory(directory) => {
                if let Some((place, number)) = directory.opened()
                    && let Some(tree) = world.tree(place)
                {
                    tree.close(number);
                }
            }
            _ => {}
        }
    }
}

/// Gives the runtime's heap a piece of the program's for a table that needs more soon, and the table takes it at once. Where the program's heap has
/// none, what does not fit into the table fails, and asks again (`Slab::grow`).
fn feed<T>(table: &mut Slab<T>, areas: &mut Areas<impl Pages>, world: &mut impl World) {
    let Some((places, bytes)) = table.growth() else { return };
    // The allocator's own words, too.
    if let Ok(kept) = areas.keep((bytes as u64).next_multiple_of(PAGE) + PAGE) {
        world.add_to_runtime(kept);
        table.enlarge(places);
    }
}

/// `F_GETFL`
fn status(held: &Held) -> u64 {
    let access = match held.object {
        Object::File(file) => file.status_flags().into(),
        Object::Input | Object::Text(..) | Object::Directory(_) | Object::Pipe(Ends { writes: None, .. }) => 0,
        Object::Output(_) | Object::Pipe(Ends { reads: None, .. }) => O_WRONLY,
        _ => O_RDWR,
    };
    access | if held.is_nonblocking { O_NONBLOCK.into() } else { 0 }
}
