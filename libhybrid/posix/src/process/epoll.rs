//! epoll: watches, told by level, edge or once; epoll_pwait costs by what may be ready, not by what is watched.
//!
//! An epoll may watch others, at most [`NESTED_MAX`] in a row and never itself; what one of them has to tell, it has, too.
//!
//! An epoll that is waited for by poll or select costs by what is in its queue, which only epoll_pwait shortens.
//!
//! INV-EPOLL-1: a watch by edge is told when its object is ready and became so, or more so, after it was told last; never twice for one edge.
//! INV-EPOLL-2: a watch that has something to tell is in the queue of its epoll. So whatever makes an object ready says so
//! ([`Files::touch`]); what is in the queue and has nothing to tell leaves it at the next look.
use super::descriptors::Files;
use super::object::{Edges, Held, Id, Object, poll};
use super::{Pages, Process};
use crate::number::{self, Answer, Errno, int, low};
use crate::world::{self, World};

/// The most watches of all epolls of a program.
pub const WATCHES_MAX: usize = 1024;
const _: () = assert!(WATCHES_MAX <= u16::MAX as usize, "a link is half a word");

/// The most epolls of which each watches the next.
pub(super) const NESTED_MAX: usize = 5;
/// The most epolls that watch the same one: so a change is handed on by at most 256 ways from each.
const WATCHED_MAX: usize = 4;

const ADD: u32 = 1;
const DELETE: u32 = 2;
const MODIFY: u32 = 3;
const EDGE: u32 = 1 << 31;
const ONCE: u32 = 1 << 30;
/// What an edge of each direction can be told as.
const INPUT: u32 = poll::IN | poll::PRI | poll::RDNORM | poll::RDHUP | poll::HUP | poll::ERR;
const OUTPUT: u32 = poll::OUT | poll::WRNORM | poll::HUP | poll::ERR;

/// The number of a watch that comes next in some list.
pub(super) type Link = Option<u16>;

/// An epoll's watches that may have something to tell, who was told longest ago first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Queue {
    first: Link,
    last: Link,
}

/// What a watch is of, and what it is to tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    epoll: Id,
    object: Id,
    /// Under which the object was added.
    descriptor: u32,
    events: u32,
    data: u64,
    /// The object's edges when it was told last.
    seen: Edges,
    /// It was to be told once, and was.
    is_off: bool,
    /// The next watch of its object.
    next: Link,
    is_queued: bool,
    /// Its neighbours in the queue.
    before: Link,
    behind: Link,
}

/// A watch's number as links have it: they are below [`WATCHES_MAX`].
fn link(at: usize) -> Link {
    u16::try_from(at).ok()
}

impl Files {
    fn watch(&mut self, at: Link) -> Option<&mut Watch> {
        self.watches.get_mut(at?.into())
    }

    fn queue(&mut self, epoll: Id) -> Option<&mut Queue> {
        match self.objects.get_mut(epoll).map(|held| &mut held.object) {
            Some(Object::Epoll(queue)) => Some(queue),
            _ => None,
        }
    }

    /// The watches of an object may have something to tell, and so their epolls. A watch that is in its queue may have had nothing to tell until now.
    pub(super) fn queue_watches(&mut self, object: Id) {
        let mut at = self.objects.get(object).and_then(|held| held.watch);
        while let Some(watch) = self.watch(at) {
            let (here, epoll, next, is_queued) = (at, watch.epoll, watch.next, watch.is_queued);
            if !is_queued {
                self.enqueue(here);
            }
            if let Some(outer) = self.objects.get_mut(epoll).filter(|outer| outer.watch.is_some()) {
                outer.edges.bump(true, false);
                self.queue_watches(epoll);
            }
            at = next;
        }
    }

    fn is_epoll(&self, id: Id) -> bool {
        matches!(self.objects.get(id).map(|held| &held.object), Some(Object::Epoll(_)))
    }

    /// How many epolls are in a row from this one inwards; `None` if `outer` is one of them, or there are more than `most`.
    fn depth(&self, epoll: Id, outer: Id, most: usize) -> Option<usize> {
        if epoll == outer || most == 0 {
            return None;
        }
        let own = self.watches.all().filter(|(_, watch)| watch.epoll == epoll && self.is_epoll(watch.object));
        own.map(|(_, watch)| watch.object).try_fold(1, |depth: usize, inner| {
            let below = self.depth(inner, outer, most - 1)?;
            Some(depth.max(below + 1))
        })
    }

    /// The epolls that watch an object.
    fn watchers(&self, object: Id) -> impl Iterator<Item = Id> {
        let first = self.objects.get(object).and_then(|held| held.watch);
        let watch = |at: Link| self.watches.get(at?.into());
        core::iter::successors(watch(first), move |before| watch(before.next)).map(|watch| watch.epoll)
    }

    /// How many are in a row from this one outwards.
    fn height(&self, epoll: Id) -> usize {
        1 + self.watchers(epoll).map(|outer| self.height(outer)).max().unwrap_or(0)
    }

    /// Whether an epoll may watch another: `ELOOP` in a circle and beyond the bound, `EINVAL` for itself and for one that too many watch.
    fn may_nest(&self, outer: Id, inner: Id) -> Result<(), Errno> {
        if outer == inner || self.watchers(inner).count() >= WATCHED_MAX {
            return Err(Errno::EINVAL);
        }
        let most = NESTED_MAX.saturating_sub(self.height(outer));
        self.depth(inner, outer, most).map(|_| ()).ok_or(Errno::ELOOP)
    }

    /// Puts a watch at the end of its epoll's queue, in which it is not.
    fn enqueue(&mut self, at: Link) {
        let Some(epoll) = self.watch(at).map(|watch| watch.epoll) else { return };
        let Some(queue) = self.queue(epoll) else { return };
        let before = core::mem::replace(&mut queue.last, at);
        if before.is_none() {
            queue.first = at;
        }
        if let Some(last) = self.watch(before) {
            last.behind = at;
        }
        if let Some(watch) = self.watch(at) {
            (watch.is_queued, watch.before, watch.behind) = (true, before, None);
        }
    }

    /// Takes a watch out of its epoll's queue, if it is there.
    fn dequeue(&mut self, at: Link) {
        let Some(watch) = self.watch(at).filter(|watch| watch.is_queued) else { return };
        watch.is_queued = false;
        let (epoll, before, behind) = (watch.epoll, watch.before, watch.behind);
        match self.watch(before) {
            Some(watch) => watch.behind = behind,
            None => _ = self.queue(epoll).map(|queue| queue.first = behind),
        }
        match self.watch(behind) {
            Some(watch) => watch.before = before,
            None => _ = self.queue(epoll).map(|queue| queue.last = before),
        }
    }

    /// The watch that an epoll has of an object by a descriptor.
    fn find_watch(&self, epoll: Id, object: Id, descriptor: u32) -> Link {
        let mut at = self.objects.get(object)?.watch;
        loop {
            let watch = self.watches.get(at?.into())?;
            if (watch.epoll, watch.descriptor) == (epoll, descriptor) {
                return at;
            }
            at = watch.next;
        }
    }

    fn add_watch(&mut self, watch: Watch) -> Result<(), Errno> {
        let object = watch.object;
        let at = link(self.watches.insert(0, watch, Errno::ENOSPC)?);
        if let Some(held) = self.objects.get_mut(object) {
            let next = core::mem::replace(&mut held.watch, at);
            _ = self.watch(at).map(|watch| watch.next = next);
        }
        self.enqueue(at);
        Ok(())
    }

    fn delete_watch(&mut self, at: u16) {
        self.dequeue(Some(at));
        let Some(watch) = self.watches.take(at.into()) else { return };
        let first = self.objects.get_mut(watch.object).map(|held| &mut held.watch);
        match first {
            Some(first) if *first == Some(at) => *first = watch.next,
            Some(first) => {
                let mut before = *first;
                while let Some(other) = self.watch(before) {
                    if other.next == Some(at) {
                        other.next = watch.next;
                        break;
                    }
                    before = other.next;
                }
            }
            None => {}
        }
    }

    /// An object is gone, and with it the watches of it or, if it is an epoll, those that it had.
    pub(super) fn forget_watches(&mut self, id: Id, held: &Held) {
        let mut at = held.watch;
        while let Some(watch) = at.and_then(|at| self.watches.get(at.into())) {
            let next = watch.next;
            self.dequeue(at);
            _ = at.and_then(|at| self.watches.take(at.into()));
            at = next;
        }
        if matches!(held.object, Object::Epoll(_)) {
            for at in self.watches.numbers() {
                if self.watches.get(at).is_some_and(|watch| watch.epoll == id) {
                    _ = link(at).map(|at| self.delete_watch(at));
                }
            }
        }
    }
}

impl<S: Pages> Process<S> {
    /// Calls about epolls that do not wait; `None` for others.
    pub(super) fn epoll_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::EPOLL_CREATE1 if low(args[0]) & !super::descriptors::O_CLOEXEC != 0 => Err(Errno::EINVAL),
            number::EPOLL_CREATE1 => self.files.open(Object::Epoll(Queue::default()), low(args[0])),
            number::EPOLL_CTL => self.control(world, args),
            _ => return None,
        })
    }

    fn epoll(&self, argument: u64) -> Result<(Id, Queue), Errno> {
        let id = self.files.id(argument)?;
        match self.files.objects.get(id).map(|held| &held.object) {
            Some(Object::Epoll(queue)) => Ok((id, *queue)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `struct epoll_event`: events, four bytes of nothing, data.
    fn control(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [epoll, operation, descriptor, event, ..] = args;
        let object = self.files.id(descriptor)?;
        let (epoll, _) = self.epoll(epoll)?;
        let edges = match self.files.objects.get(object) {
            // Files are always ready, and nothing to wait for.
            Some(Held { object: Object::Text(..) | Object::File(_) | Object::Directory(_), .. }) => {
                return Err(Errno::EPERM);
            }
            held => held.map_or(Edges::default(), |held| held.edges),
        };
        if low(operation) == ADD && self.files.is_epoll(object) {
            self.files.may_nest(epoll, object)?;
        }
        let descriptor = low(descriptor);
        let wanted = || {
            let [events, data] = world::read_words(world, event)?;
            let (events, seen, is_off, is_queued) = (low(events), edges.before(), false, false);
            let (next, before, behind) = (None, None, None);
            Ok(Watch { epoll, object, descriptor, events, data, seen, is_off, next, is_queued, before, behind })
        };
        match (low(operation), self.files.find_watch(epoll, object, descriptor)) {
            (ADD, Some(_)) => return Err(Errno::EEXIST),
            (DELETE | MODIFY, None) => return Err(Errno::ENOENT),
            (ADD, None) => self.files.add_watch(wanted()?)?,
            (DELETE, Some(at)) => self.files.delete_watch(at),
            (MODIFY, at) => {
                let Watch { events, data, seen, is_off, .. } = wanted()?;
                if let Some(watch) = self.files.watch(at) {
                    *watch = Watch { events, data, seen, is_off, ..*watch };
                }
                self.files.dequeue(at);
                self.files.enqueue(at);
            }
            _ => return Err(Errno::EINVAL),
        }
        // Somebody may wait for just this, and another epoll watch this one.
        self.files.is_changed = true;
        self.files.touch(Some(epoll), true, false);
        Ok(0)
    }

    /// What a watch has to tell now.
    fn report(&self, watch: &Watch) -> u32 {
        let Some(held) = self.files.objects.get(watch.object).filter(|_| !watch.is_off) else { return 0 };
        let state = self.state(watch.object) & (watch.events | poll::ERR | poll::HUP);
        let is_new = state & INPUT != 0 && held.edges.input != watch.seen.input
            || state & OUTPUT != 0 && held.edges.output != watch.seen.output;
        if watch.events & EDGE == 0 || is_new { state } else { 0 }
    }

    /// Whether a watch in this queue has something to tell.
    pub(super) fn has_report(&self, queue: Queue) -> bool {
        let mut at = queue.first;
        while let Some(watch) = at.and_then(|at| self.files.watches.get(at.into())) {
            if self.report(watch) != 0 {
                return true;
            }
            at = watch.behind;
        }
        false
    }

    /// One look of `epoll_pwait`. Who was told goes behind who was not, so that nobody is passed over for ever.
    pub(super) fn try_epoll(&mut self, world: &mut impl World, args: [u64; 6]) -> Option<Answer> {
        let (queue, most) = match (self.epoll(args[0]), u32::try_from(int(args[2]))) {
            (Err(errno), _) => return Some(Err(errno)),
            (Ok(_), Err(_) | Ok(0)) => return Some(Err(Errno::EINVAL)),
            (Ok((_, queue)), Ok(most)) => (queue, u64::from(most)),
        };
        let (mut told, mut at) = (0, queue.first);
        while told < most
            && let Some(watch) = at.and_then(|at| self.files.watches.get(at.into()))
        {
            let behind = watch.behind;
            match self.report(watch) {
                0 => self.files.dequeue(at),
                state => {
                    let words = [state.into(), watch.data];
                    if let Err(errno) = world::write_words(world, args[1].wrapping_add(16 * told), &words) {
                        return Some(Err(errno));
                    }
                    told += 1;
                }
            }
            at = behind;
        }
        for _ in 0..told {
            self.was_told(args[0]);
        }
        (told > 0).then_some(Ok(told))
    }

    /// The first watch of an epoll's queue was told: it stays, at the end, if it may have the same to tell at the next look.
    fn was_told(&mut self, epoll: u64) {
        let Ok((_, Queue { first, .. })) = self.epoll(epoll) else { return };
        self.files.dequeue(first);
        let Some(object) = self.files.watch(first).map(|watch| watch.object) else { return };
        let edges = self.files.objects.get(object).map(|held| held.edges);
        let Some(watch) = self.files.watch(first) else { return };
        watch.seen = edges.unwrap_or(watch.seen);
        watch.is_off = watch.events & ONCE != 0;
        if watch.events & (EDGE | ONCE) == 0 {
            self.files.enqueue(first);
        }
    }
}

#[cfg(test)]
mod check;
