//! What only tests ask of epolls: all that the watches have to tell, one by one, and whether the lists are whole.
use super::{Object, Pages, Process, link};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

impl<S: Pages> Process<S> {
    /// What all watches of an epoll have to tell: data and events.
    pub(in crate::process) fn reports(&self, epoll: u64) -> Vec<(u64, u32)> {
        let (epoll, _) = self.epoll(epoll).unwrap();
        let own = self.files.watches.all().filter(|(_, watch)| watch.epoll == epoll);
        own.map(|(_, watch)| (watch.data, self.report(watch))).filter(|(_, state)| *state != 0).collect()
    }

    /// How many watches there are.
    pub(in crate::process) fn watch_count(&self) -> usize {
        self.files.watches.all().count()
    }

    /// Holds INV-EPOLL-2 and the lists against what all watches tell, one by one.
    pub(in crate::process) fn check_watches(&self) {
        let mut queued = BTreeSet::new();
        let mut listed = BTreeSet::new();
        for (id, held) in self.files.objects.all() {
            let mut at = held.watch;
            while let Some(here) = at {
                let watch = self.files.watches.get(here.into()).unwrap();
                assert!(watch.object == id && listed.insert(here), "a watch is in its object's list, once");
                at = watch.next;
            }
            let Object::Epoll(queue) = held.object else { continue };
            let (mut at, mut last) = (queue.first, None);
            while let Some(here) = at {
                let watch = self.files.watches.get(here.into()).unwrap();
                assert!(watch.epoll == id && watch.is_queued && watch.before == last && queued.insert(here));
                (last, at) = (at, watch.behind);
            }
            assert_eq!(queue.last, last);
        }
        // The test looks, not the program.
        let was_missed = self.pumps.demand.as_ref().map(|demand| (demand, demand.was_missed.get()));
        for (at, watch) in self.files.watches.all() {
            let at = link(at).unwrap();
            assert!(listed.contains(&at));
            assert_eq!(watch.is_queued, queued.contains(&at));
            assert!(watch.is_queued || self.report(watch) == 0, "{watch:?} has something to tell");
        }
        if let Some((demand, was_missed)) = was_missed {
            demand.was_missed.set(was_missed);
        }
    }
}
