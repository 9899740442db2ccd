//! Programs that this one spawns: the call, its file actions, and waiting for them. None is copied or replaced.
//!
//! A child is an instance of the product that its parent was granted. Its number is its own process number, and is not used again before it was
//! waited for. Source: Linux, wait4(2), waitid(2), posix_spawn(3).
use super::io::Call;
use super::object::{Ends, Id, Object};
use super::signals::signal;
use super::{Ending, Pages, Process, fs, signals};
use crate::family::{ASKED, CHANNELS, GIVEN_MAX, INHERITED, News, Other, PATH_MAX, STRINGS_MAX, Stream};
use crate::number::{self, Answer, Errno, int, low};
use crate::start::MIN_STACK;
use crate::world::{self, World};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The most file actions of one call.
const ACTIONS_MAX: usize = 32;
/// The most children, those included that nobody waited for.
const CHILDREN_MAX: usize = 64;

const WNOHANG: u32 = 1;
const WEXITED: u32 = 4;
const WNOWAIT: u32 = 0x0100_0000;
const P_ALL: u32 = 0;
const P_PID: u32 = 1;
/// `CLD_EXITED`, `CLD_KILLED`
const EXITED: u32 = 1;
const KILLED: u32 = 2;

/// Commands of file actions (musl's src/process/fdop.h).
mod action {
    pub(super) const CLOSE: u64 = 1;
    pub(super) const DUP2: u64 = 2;
    pub(super) const OPEN: u64 = 3;
    pub(super) const CHDIR: u64 = 4;
    pub(super) const FCHDIR: u64 = 5;
}

/// One that was spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Child {
    process: u16,
    ending: Option<Ending>,
    /// It was waited for; its streams still have something to say.
    is_reaped: bool,
    /// The supervisor died, and knows nothing of its number any more.
    is_lost: bool,
}

/// Those that were spawned, and who spawned this one.
#[derive(Debug, Default)]
pub(super) struct Children {
    all: Vec<Child>,
    pub(super) parent: Option<u16>,
    /// Some ended, and SIGCHLD was not raised yet.
    have_ended: bool,
}

/// What a descriptor of the child will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Object(Id),
    /// What it is here, and no file action said so.
    Inherited(Id),
    Nothing,
    Closed,
}

/// Descriptors of files that file actions opened, until the child has them.
type Opened = heapless::Vec<u64, ACTIONS_MAX>;

/// A call of posix_spawn, as libhybrid/posix/musl/src/process/posix_spawn.c lays it out.
struct Request {
    path: u64,
    arguments: u64,
    environment: u64,
    search: u64,
    actions: u64,
    count: u64,
}

impl<S: Pages> Process<S> {
    /// Another program spawned this one.
    pub const fn spawned_by(&mut self, parent: u16) {
        self.children.parent = Some(parent);
    }

    pub(super) fn spawn(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let mut opened = Opened::new();
        let spawned = self.spawn_with(world, args, &mut opened);
        // What became a stream stays open for the child.
        opened.into_iter().for_each(|number| _ = self.close(world, number));
        spawned
    }

    fn spawn_with(&mut self, world: &mut impl World, args: [u64; 6], opened: &mut Opened) -> Answer {
        let [path, arguments, environment, search, actions, count] = world::read_words(world, args[0])?;
        let request = Request { path, arguments, environment, search, actions, count };
        if !world.relations().is_some_and(|relations| relations.may_spawn()) {
            self.tell(world, number::SPAWN, "its component was granted no programs");
            return Err(Errno::EACCES);
        }
        world.notice_peers();
        self.gather_news(world);
        let paths = self.paths(world, &request)?;
        let (mut given, arguments) = given(world, &request, self.identity.min_stack)?;
        let (sources, (directory, is_asked)) = self.actions(world, &request, opened)?;
        append_directory(&mut given, &directory, is_asked)?;
        let streams = self.streams(world, sources)?;
        self.children.all.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        // The supervisor would give the number of one that it knows nothing of to another, and nobody could tell the two apart.
        if self.children.all.len() >= CHILDREN_MAX || self.children.all.iter().any(|child| child.is_lost) {
            return Err(Errno::EAGAIN);
        }
        let process = first_found(world, &paths, &given, arguments, streams)?;
        // Its instance has rings of its own in each life, and those of this one are there now.
        world.notice_peers();
        self.children.all.push(Child { process, ending: None, is_reaped: false, is_lost: false });
        for ((channel, source), stream) in CHANNELS.into_iter().zip(sources).zip(streams) {
            if let (Source::Object(id) | Source::Inherited(id), Stream::Parent) = (source, stream) {
                self.lend(Other::Child(process), channel, id);
            }
        }
        // What is in its input already.
        self.pump(world);
        Ok(process.into())
    }

    /// Where the program may be, in the order in which it is looked for.
    fn paths(&self, world: &impl World, request: &Request) -> Result<Vec<String>, Errno> {
        let name = fs::text(world, request.path)?;
        if name.contains('/') || request.search == 0 {
            return Ok(alloc::vec![self.absolute(&name)?]);
        }
        if name.is_empty() {
            return Err(Errno::ENOENT);
        }
        let search = fs::text(world, request.search)?;
        let joined = |directory: &str| {
            let mut path = String::from(if directory.is_empty() { "." } else { directory });
            path.push('/');
            path.push_str(&name);
            self.absolute(&path)
        };
        search.split(':').map(joined).collect()
    }

    /// What descriptors 0, 1 and 2 of the child will be, and where it starts and whether that was asked for, by the file actions in their order.
    fn actions(
        &mut self,
        world: &mut impl World,
        request: &Request,
        opened: &mut Opened,
    ) -> Result<([Source; 3], (String, bool)), Errno> {
        if request.count > ACTIONS_MAX as u64 {
            return Err(Errno::E2BIG);
        }
        let (mut directory, mut is_asked) = (self.absolute(".")?, false);
        // What the actions made of a number; of others it is what it is here.
        let mut made: heapless::Vec<(i32, Source), ACTIONS_MAX> = heapless::Vec::new();
        for index in 0..request.count {
            let at = request.actions.wrapping_add(index * 40);
            let [command, to, from, flags, path] = world::read_words(world, at)?;
            let found = |number: i32, made: &[(i32, Source)]| made.iter().rev().find(|(at, _)| *at == number).copied();
            let source = match command {
                action::CLOSE => Source::Closed,
                action::DUP2 => match found(int(from), &made) {
                    Some((_, Source::Closed)) => return Err(Errno::EBADF),
                    Some((_, source)) => source,
                    None => Source::Object(self.files.id(from)?),
                },
                action::OPEN if fs::text(world, path)? == "/dev/null" => Source::Nothing,
                action::OPEN => {
                    // There may be more of them than a call's usual few.
                    self.feed_tables(world);
                    let number = self.open_from(world, &directory, path, flags)?;
                    // There is a place for each action.
                    let _is_kept = opened.push(number);
                    Source::Object(self.files.id(number)?)
                }
                action::CHDIR => {
                    directory = self.directory_at(world, &directory, &fs::text(world, path)?)?;
                    is_asked = true;
                    continue;
                }
                action::FCHDIR => {
                    (directory, is_asked) = (self.path_of_directory(to)?, true);
                    continue;
                }
                _ => return Err(Errno::EINVAL),
            };
            // There is a place for each action.
            let _is_kept = made.push((int(to), source));
        }
        let source = |number: u64| match made.iter().rev().find(|(at, _)| *at == int(number)) {
            Some((_, source)) => *source,
            None if self.files.is_closed_on_exec(number) => Source::Closed,
            None => self.files.id(number).map_or(Source::Closed, Source::Inherited),
        };
        Ok(([source(0), source(1), source(2)], (directory, is_asked)))
    }

    fn no_action(&mut self, world: &mut impl World, why: &'static str) -> Errno {
        self.tell(world, number::SPAWN, why);
        Errno::EOPNOTSUPP
    }

    /// What the child is told of its streams.
    fn streams(&mut self, world: &mut impl World, sources: [Source; 3]) -> Result<[Stream; 3], Errno> {
        let mut streams = [Stream::Closed; 3];
        for (at, (stream, source)) in streams.iter_mut().zip(sources).enumerate() {
            let object = match source {
                Source::Object(id) | Source::Inherited(id) => self.files.objects.get(id).map(|held| &held.object),
                Source::Nothing => Some(&Object::Null),
                Source::Closed => None,
            };
            *stream = match object {
                None => Stream::Closed,
                Some(Object::Null) => Stream::Nothing,
                Some(Object::Terminal) => Stream::Parent,
                Some(Object::Input | Object::Output(_)) => Stream::Own,
                Some(Object::Pipe(Ends { reads, writes })) if if at == 0 { reads } else { writes }.is_some() => {
                    Stream::Parent
                }
                Some(Object::File(file)) if file.may(at == 0) => Stream::Parent,
                // Nothing can be read there by this program either.
                Some(_) if at == 0 && matches!(source, Source::Inherited(_)) => Stream::Own,
                Some(_) => {
                    return Err(self.no_action(world, "only pipes and files can be streams of another component"));
                }
            };
        }
        Ok(streams)
    }

    /// What happened since: children that ended, signals of the parent, bytes of streams.
    pub fn take_news(&mut self, world: &mut impl World) {
        self.gather_news(world);
        self.retry(world);
    }

    /// As [`Self::take_news`]; calls that wait for it are tried by who comes next to that.
    fn gather_news(&mut self, world: &mut impl World) {
        let mut have_ended = false;
        while let Some(news) = world.relations().and_then(|relations| relations.news()) {
            let is_of = |child: &&mut Child| match news {
                News::Ended(process, _) => child.process == process && child.ending.is_none(),
                News::Lost => !child.is_lost,
            };
            for child in self.children.all.iter_mut().filter(is_of) {
                child.is_lost = news == News::Lost;
                have_ended |= child.ending.is_none();
                child.ending.get_or_insert(ending_of(news));
            }
        }
        while let Some(signal) = world.relations().and_then(|relations| relations.signalled()) {
            self.signal_program(world, signal);
            if (1..=64).contains(&signal) {
                self.asked |= signals::bit(signal);
            }
        }
        self.pump(world);
        if have_ended {
            (self.children.have_ended, self.files.is_changed) = (true, true);
            if self.reaps_itself() {
                self.children.all.iter_mut().filter(|child| child.ending.is_some()).for_each(|it| it.is_reaped = true);
                self.forget_reaped(world);
            }
        }
    }

    /// SIGCHLD of those that ended, when whoever waits for them was told: that comes before a handler.
    pub(super) fn tell_ends(&mut self, world: &mut impl World) {
        if core::mem::take(&mut self.children.have_ended) {
            self.signal_program(world, signal::CHLD);
        }
    }

    /// Whether a child of this number has ended: nothing more comes from it than what is in its rings.
    pub(super) fn has_ended(&self, process: u16) -> bool {
        self.children.all.iter().any(|child| child.process == process && child.ending.is_some())
    }

    /// kill of a child; `None` if it is none.
    pub(super) fn kill_child(&mut self, world: &mut impl World, target: i32, signal: u64) -> Option<Answer> {
        let is_it = |child: &&Child| i32::from(child.process) == target && !child.is_reaped;
        let child = *self.children.all.iter().find(is_it)?;
        let signal = u8::try_from(low(signal)).ok().filter(|signal| *signal <= 64);
        Some(match (signal, child.ending, world.relations()) {
            (None, ..) => Err(Errno::EINVAL),
            (_, Some(_), _) => Ok(0),
            (Some(signal), None, Some(relations)) => match relations.signal(child.process, signal) {
                Ok(()) if signal == signal::KILL => {
                    // It is told later.
                    self.forget_demand(child.process);
                    Ok(0)
                }
                // It ended a moment ago, which is to be told still: one that was not waited for can be sent signals.
                Ok(()) | Err(Errno::ESRCH) => Ok(0),
                Err(errno) => Err(errno),
            },
            (_, None, None) => Err(Errno::ESRCH),
        })
    }

    /// Sends a signal to each child that runs.
    pub(super) fn signal_children(&mut self, world: &mut impl World, signal: u8) {
        let Some(relations) = world.relations() else { return };
        for child in self.children.all.iter().filter(|child| child.ending.is_none()) {
            // One that ended meanwhile hears nothing.
            let _heard = relations.signal(child.process, signal);
        }
    }

    /// wait4 and waitid; `None`: it has to wait.
    pub(super) fn try_wait(&mut self, world: &mut impl World, call: &mut Call) -> Option<Answer> {
        if call.done == 0 {
            // A program that never waits hears of its children, too.
            world.notice_peers();
            world.relations().into_iter().for_each(|relations| relations.look());
        }
        call.done = 1;
        self.gather_news(world);
        self.find_ended(world, call.number, call.args).transpose()
    }

    fn find_ended(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Result<Option<u64>, Errno> {
        let is_waitid = number == number::WAITID;
        let options = low(if is_waitid { args[3] } else { args[2] });
        let which = if is_waitid { waited(low(args[0]), int(args[1]))? } else { of_group(int(args[0])) };
        if is_waitid && options & WEXITED == 0 {
            return Err(Errno::EINVAL);
        }
        let is_it = |child: &Child| !child.is_reaped && which.is_none_or(|process| process == child.process.into());
        if !self.children.all.iter().any(is_it) {
            return Err(Errno::ECHILD);
        }
        let mut own = self.children.all.iter_mut().filter(|child| is_it(child));
        let Some((ending, child)) = own.find_map(|child| Some((child.ending?, child))) else {
            if options & WNOHANG == 0 {
                return Ok(None);
            }
            // Whoever asks without waiting tells by the zeros that there was nothing.
            return if is_waitid { write_information(world, args[2], None).map(|()| Some(0)) } else { Ok(Some(0)) };
        };
        let process = child.process;
        child.is_reaped = options & WNOWAIT == 0 || !is_waitid;
        let told = tell_wait(world, is_waitid, args, (process, ending));
        // It was waited for, also by who cannot be told how it ended.
        self.forget_reaped(world);
        told.map(|()| Some(if is_waitid { 0 } else { process.into() }))
    }

    /// Those that were waited for, and whose streams were read to their ends.
    pub(super) fn forget_reaped(&mut self, world: &mut impl World) {
        for index in (0..self.children.all.len()).rev() {
            let Some(child) = self.children.all.get(index).copied() else { continue };
            if child.is_reaped && !self.is_lent_to(Other::Child(child.process)) {
                self.children.all.swap_remove(index);
                if let Some(relations) = world.relations().filter(|_| !child.is_lost) {
                    relations.forget(child.process);
                }
            }
        }
    }
}

/// Which child waitid means; `None`: any.
fn waited(kind: u32, which: i32) -> Result<Option<i32>, Errno> {
    match kind {
        P_ALL => Ok(None),
        P_PID => Ok(Some(which)),
        // Groups and pidfds: there are none.
        _ => Err(Errno::EINVAL),
    }
}

/// Which child wait4 means: all are in the program's own group.
const fn of_group(which: i32) -> Option<i32> {
    if which == -1 || which == 0 { None } else { Some(which) }
}

/// As wait4 tells it.
const fn status(ending: Ending) -> u32 {
    match ending {
        Ending::Exit(status) => (status as u32) << 8,
        Ending::Signal(signal) => signal as u32,
    }
}

/// How one that was reported ended. A child says of its end what it likes: what is no signal ended it, too.
fn ending_of(news: News) -> Ending {
    match news {
        News::Ended(_, Ending::Signal(signal)) if !(1..=64).contains(&signal) => Ending::Signal(signal::KILL),
        News::Ended(_, ending) => ending,
        News::Lost => Ending::Signal(signal::KILL),
    }
}

/// What wait4 or waitid says of one that ended.
fn tell_wait(world: &mut impl World, is_waitid: bool, args: [u64; 6], ended: (u16, Ending)) -> Result<(), Errno> {
    if is_waitid {
        write_information(world, args[2], Some(ended))?;
    } else if args[1] != 0 {
        world.write(args[1], &status(ended.1).to_le_bytes())?;
    }
    match if is_waitid { args[4] } else { args[3] } {
        0 => Ok(()),
        usage => world::write_words(world, usage, &[0; 18]),
    }
}

/// `siginfo_t` of SIGCHLD: signal, error, code; process, user, status. Zeros: of nobody.
fn write_information(world: &mut impl World, address: u64, ended: Option<(u16, Ending)>) -> Result<(), Errno> {
    if address == 0 {
        return Ok(());
    }
    let mut bytes = [0; 128];
    if let Some((process, ending)) = ended {
        let (code, status) = match ending {
            Ending::Exit(status) => (EXITED, u32::from(status)),
            Ending::Signal(signal) => (KILLED, u32::from(signal)),
        };
        let process = u32::from(process);
        let fields = [signal::CHLD.into(), 0, code, 0, process, process, status, 0];
        for (place, field) in bytes.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
    }
    world.write(address, &bytes)
}

/// Starts the program at the first of these paths that is one.
fn first_found(
    world: &mut impl World,
    paths: &[String],
    given: &[u8],
    arguments: u16,
    streams: [Stream; 3],
) -> Result<u16, Errno> {
    for path in paths.iter().filter(|path| path.len() <= PATH_MAX) {
        let relations = world.relations().ok_or(Errno::EACCES)?;
        match relations.spawn(path, given, arguments, streams) {
            Err(Errno::ENOENT) => {}
            spawned => return spawned,
        }
    }
    Err(Errno::ENOENT)
}

/// Where the child starts, as [`crate::family::Given::directory`] reads it.
fn append_directory(given: &mut Vec<u8>, directory: &str, is_asked: bool) -> Result<(), Errno> {
    if directory == "/" {
        return Ok(());
    }
    let mark = if is_asked { ASKED } else { INHERITED };
    let is_full = given.iter().filter(|byte| **byte == 0).count() >= STRINGS_MAX;
    if is_full || given.len() + mark.len() + directory.len() + 1 > GIVEN_MAX {
        return Err(Errno::E2BIG);
    }
    make_room(given, mark.len() + directory.len() + 1)?;
    given.extend_from_slice(mark);
    given.extend_from_slice(directory.as_bytes());
    given.push(0);
    Ok(())
}

/// Arguments and environment, each with its zero byte, and how many are arguments.
fn given(world: &impl World, request: &Request, min_stack: u64) -> Result<(Vec<u8>, u16), Errno> {
    let mut given = Vec::new();
    // What the personality told this program of its stacks is true of no other.
    let own = format!("{MIN_STACK}={min_stack}");
    let arguments = append(world, request.arguments, &mut given, (STRINGS_MAX, None))?;
    append(world, request.environment, &mut given, (STRINGS_MAX - arguments, Some(own.as_bytes())))?;
    Ok((given, u16::try_from(arguments).map_err(|_| Errno::E2BIG)?))
}

/// By a page more at a time: the heap of the runtime is small, and twice as much of it may not be there.
fn make_room(given: &mut Vec<u8>, more: usize) -> Result<(), Errno> {
    if given.capacity() - given.len() < more {
        given.try_reserve_exact(more.max(4096)).map_err(|_| Errno::ENOMEM)?;
    }
    Ok(())
}

/// The strings of a list that ends with a zero address; how many. Of variables, which have one of them that is `own`, that and those without a name are
/// left out: the latter would say where it starts.
fn append(
    world: &impl World,
    list: u64,
    given: &mut Vec<u8>,
    (most, own): (usize, Option<&[u8]>),
) -> Result<usize, Errno> {
    if list == 0 {
        return Ok(0);
    }
    for index in 0..=most {
        let [address] = world::read_words(world, list.wrapping_add(index as u64 * 8))?;
        if address == 0 {
            return Ok(index);
        }
        let room = GIVEN_MAX - given.len();
        let text = fs::terminated(world, address, room).map_err(|errno| match errno {
            Errno::ENAMETOOLONG => Errno::E2BIG,
            errno => errno,
        })?;
        if own.is_some_and(|own| text.starts_with(ASKED) || text == own) {
            continue;
        }
        if given.len() + text.len() >= GIVEN_MAX {
            return Err(Errno::E2BIG);
        }
        make_room(given, text.len() + 1)?;
        given.extend_from_slice(&text);
        given.push(0);
    }
    Err(Errno::E2BIG)
}
