//! poll, select and epoll: one wait for many descriptors, over the readiness that objects tell.
use super::object::{Id, Object, poll};
use super::{Pages, Process};
use crate::number::{Answer, Errno, int};
use crate::world::{self, World};

/// The most descriptors of one `ppoll`, and of a set of `pselect6`.
const POLL_MAX: u64 = 1024;

impl<S: Pages> Process<S> {
    /// What can be done with an object without waiting.
    pub(super) fn state(&self, id: Id) -> u32 {
        let Some(held) = self.files.objects.get(id) else { return 0 };
        let state = match &held.object {
            Object::Input => poll::IN,
            Object::Output(_) => poll::OUT,
            Object::Null | Object::Zero | Object::Random | Object::Text(..) => poll::IN | poll::OUT,
            Object::File(_) | Object::Directory(_) => poll::IN | poll::OUT,
            Object::Terminal => self.terminal_state(),
            Object::Pipe(ends) => self.pipe_state(*ends),
            Object::Event(event) => {
                let has_room = event.count < super::object::Event::MOST;
                (if event.count > 0 { poll::IN } else { 0 }) | if has_room { poll::OUT } else { 0 }
            }
            Object::Signals(set) if self.readable(*set) != 0 => poll::IN,
            Object::Signals(_) => 0,
            Object::Timer(timer) if timer.expired > 0 => poll::IN,
            Object::Timer(_) => 0,
            Object::Epoll(queue) if self.has_report(*queue) => poll::IN,
            Object::Epoll(_) => 0,
            Object::Tcp(tcp) => self.stream_state(tcp),
            Object::Datagram(datagram) => self.datagram_state(datagram),
        };
        let normal = |bit, also| if state & bit != 0 { also } else { 0 };
        state | normal(poll::IN, poll::RDNORM) | normal(poll::OUT, poll::WRNORM)
    }

    /// `struct pollfd`: descriptor, wanted, found. How many of them have found something.
    pub(super) fn try_poll(&mut self, world: &mut impl World, args: [u64; 6]) -> Option<Answer> {
        let [entries, count, ..] = args;
        if count > POLL_MAX {
            return Some(Err(Errno::EINVAL));
        }
        match self.poll_all(world, entries, count) {
            Ok(0) => None,
            found => Some(found),
        }
    }

    fn poll_all(&self, world: &mut impl World, entries: u64, count: u64) -> Answer {
        let mut ready = 0;
        for index in 0..count {
            let mut entry = [0; 8];
            let address = entries.wrapping_add(index * 8);
            world.read(address, &mut entry)?;
            let [a, b, c, d, wanted, wanted_high, ..] = entry;
            let (descriptor, wanted) = (i32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([wanted, wanted_high]));
            let found = match self.files.id(u64::from(descriptor.cast_unsigned())) {
                _ if descriptor < 0 => 0,
                Ok(id) => self.state(id) & (u32::from(wanted) | poll::ERR | poll::HUP),
                Err(_) => poll::INVALID,
            };
            let [low, high, ..] = found.to_le_bytes();
            world.write(address.wrapping_add(6), &[low, high])?;
            ready += u64::from(found != 0);
        }
        Ok(ready)
    }

    /// `pselect6`: three sets of bits.
    pub(super) fn try_select(&mut self, world: &mut impl World, args: [u64; 6]) -> Option<Answer> {
        let Some(count) = u64::try_from(int(args[0])).ok().filter(|count| *count <= POLL_MAX) else {
            return Some(Err(Errno::EINVAL));
        };
        match self.select(world, count, args) {
            Ok(0) => None,
            found => Some(found),
        }
    }

    fn select(&mut self, world: &mut impl World, count: u64, args: [u64; 6]) -> Answer {
        let sets =
            [(args[1], poll::IN | poll::HUP | poll::ERR), (args[2], poll::OUT | poll::ERR), (args[3], poll::PRI)];
        let mut found = [[0_u64; 16]; 3];
        let mut total = 0;
        for ((address, bits), found) in sets.iter().zip(&mut found).filter(|((address, _), _)| *address != 0) {
            for (word, found) in (0..count.div_ceil(64)).zip(found) {
                let [wanted] = world::read_words(world, address.wrapping_add(word * 8))?;
                for bit in (0..64).filter(|bit| wanted >> bit & 1 != 0 && word * 64 + bit < count) {
                    let is_ready = self.state(self.files.id(word * 64 + bit)?) & bits != 0;
                    *found |= u64::from(is_ready) << bit;
                    total += u64::from(is_ready);
                }
            }
        }
        if total > 0 {
            for ((address, _), found) in sets.iter().zip(&found).filter(|((address, _), _)| *address != 0) {
                let words = usize::try_from(count.div_ceil(64)).unwrap_or(0);
                world::write_words(world, *address, found.get(..words).unwrap_or_default())?;
            }
        }
        Ok(total)
    }

    /// Nothing was found in time.
    pub(super) fn clear_sets(&mut self, world: &mut impl World, args: [u64; 6]) -> Result<(), Errno> {
        let words = usize::try_from(int(args[0])).unwrap_or(0).min(1024).div_ceil(64);
        for address in args.get(1..4).unwrap_or_default().iter().filter(|address| **address != 0) {
            world::write_words(world, *address, [0; 16].get(..words).unwrap_or_default())?;
        }
        Ok(())
    }
}
