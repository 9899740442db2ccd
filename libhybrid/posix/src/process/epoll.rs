//! epoll: watches that are told of readiness by level, by edge, or once.
//!
//! INV-EPOLL-1: a watch by edge is told when its object is ready and became so, or more so, after it was told last; never twice for one edge.
use super::object::{Edges, Held, Id, Object, poll};
use super::{Pages, Process};
use crate::number::{self, Answer, Errno, int, low};
use crate::world::{self, World};
use alloc::vec::Vec;

/// The most watches of all epolls of a program.
pub const WATCHES_MAX: usize = 512;

const ADD: u32 = 1;
const DELETE: u32 = 2;
const MODIFY: u32 = 3;
const EDGE: u32 = 1 << 31;
const ONCE: u32 = 1 << 30;
/// What an edge of each direction can be told as.
const INPUT: u32 = poll::IN | poll::PRI | poll::RDNORM | poll::RDHUP | poll::HUP | poll::ERR;
const OUTPUT: u32 = poll::OUT | poll::WRNORM | poll::HUP | poll::ERR;

/// One object that an epoll watches, by the descriptor under which it was added.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) epoll: Id,
    pub(super) object: Id,
    descriptor: u32,
    events: u32,
    data: u64,
    /// The object's edges when it was told last.
    seen: Edges,
    /// It was to be told once, and was.
    is_off: bool,
}

impl<S: Pages> Process<S> {
    /// Calls about epolls that do not wait; `None` for others.
    pub(super) fn epoll_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::EPOLL_CREATE1 if low(args[0]) & !super::descriptors::O_CLOEXEC != 0 => Err(Errno::EINVAL),
            number::EPOLL_CREATE1 => self.files.open(Object::Epoll, low(args[0])),
            number::EPOLL_CTL => self.control(world, args),
            _ => return None,
        })
    }

    fn epoll(&self, argument: u64) -> Result<Id, Errno> {
        let id = self.files.id(argument)?;
        match self.files.objects.get(id).map(|held| &held.object) {
            Some(Object::Epoll) => Ok(id),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `struct epoll_event`: events, four bytes of nothing, data.
    fn control(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [epoll, operation, descriptor, event, ..] = args;
        let object = self.files.id(descriptor)?;
        let epoll = self.epoll(epoll)?;
        let edges = match self.files.objects.get(object) {
            // An epoll in an epoll could be a circle.
            Some(held) if matches!(held.object, Object::Epoll) => return Err(Errno::ELOOP),
            // Files are always ready, and nothing to wait for.
            Some(Held { object: Object::Text(..) | Object::File(_) | Object::Directory(_), .. }) => {
                return Err(Errno::EPERM);
            }
            held => held.map_or(Edges::default(), |held| held.edges),
        };
        let descriptor = low(descriptor);
        let is_it = |watch: &Watch| (watch.epoll, watch.object, watch.descriptor) == (epoll, object, descriptor);
        let found = self.files.watches.iter().position(is_it);
        let wanted = || {
            let [events, data] = world::read_words(world, event)?;
            Ok(Watch { epoll, object, descriptor, events: low(events), data, seen: edges.before(), is_off: false })
        };
        match (low(operation), found) {
            (ADD, Some(_)) => return Err(Errno::EEXIST),
            (DELETE | MODIFY, None) => return Err(Errno::ENOENT),
            (ADD, None) if self.files.watches.len() >= WATCHES_MAX => return Err(Errno::ENOSPC),
            (ADD, None) => {
                let watch = wanted()?;
                self.files.watches.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                self.files.watches.push(watch);
            }
            (DELETE, Some(at)) => _ = self.files.watches.remove(at),
            (MODIFY, Some(at)) => {
                let watch = wanted()?;
                if let Some(place) = self.files.watches.get_mut(at) {
                    *place = watch;
                }
            }
            _ => return Err(Errno::EINVAL),
        }
        // Somebody may wait for just this.
        self.files.is_changed = true;
        Ok(0)
    }

    /// What a watch has to tell now.
    pub(super) fn report(&self, watch: &Watch) -> u32 {
        let Some(held) = self.files.objects.get(watch.object).filter(|_| !watch.is_off) else { return 0 };
        let state = self.state(watch.object) & (watch.events | poll::ERR | poll::HUP);
        let is_new = state & INPUT != 0 && held.edges.input != watch.seen.input
            || state & OUTPUT != 0 && held.edges.output != watch.seen.output;
        if watch.events & EDGE == 0 || is_new { state } else { 0 }
    }

    /// One look of `epoll_pwait`. Who was told goes behind who was not, so that nobody is passed over for ever.
    pub(super) fn try_epoll(&mut self, world: &mut impl World, args: [u64; 6]) -> Option<Answer> {
        let (epoll, most) = match (self.epoll(args[0]), usize::try_from(int(args[2]))) {
            (Err(errno), _) => return Some(Err(errno)),
            (Ok(_), Err(_) | Ok(0)) => return Some(Err(Errno::EINVAL)),
            (Ok(epoll), Ok(most)) => (epoll, most),
        };
        let reports: Vec<(usize, u32)> = {
            let of_epoll = self.files.watches.iter().enumerate().filter(|(_, watch)| watch.epoll == epoll);
            let reports = of_epoll.map(|(at, watch)| (at, self.report(watch)));
            reports.filter(|(_, state)| *state != 0).take(most).collect()
        };
        for (index, (at, state)) in reports.iter().enumerate() {
            let data = self.files.watches.get(*at).map_or(0, |watch| watch.data);
            let words = [u64::from(*state), data];
            if let Err(errno) = world::write_words(world, args[1].wrapping_add(16 * index as u64), &words) {
                return Some(Err(errno));
            }
        }
        for (removed, (at, _)) in reports.iter().enumerate() {
            let mut watch = self.files.watches.remove(at - removed);
            watch.seen = self.files.objects.get(watch.object).map_or(watch.seen, |held| held.edges);
            watch.is_off = watch.events & ONCE != 0;
            self.files.watches.push(watch);
        }
        (!reports.is_empty()).then_some(Ok(reports.len() as u64))
    }
}
