//! What the component was told of its peers, and what securityd's page says of them now; acts on nothing.
//!
//! # Invariants
//! INV-TOLD-1: the epochs that a component's ring ends are made with are the ones it was told, never newer ones that the page shows already:
//! so no end is made twice in one epoch, and each new epoch is one `Gone` and one `Back`.
use alloc::boxed::Box;
use core::cell::Cell;
use core::sync::atomic::{Ordering, fence};
use hybrid_ipc::ClientId;
use hybrid_start::peers::{CHANGES, Condition, PING, POLICY, Peer, WORDS, client_word, use_word};

use crate::SessionHandle;

/// What happened to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerNews {
    /// It died, or its session on demand ended. What was held for it is to be freed, what waits for it will not come. The condition is
    /// [`Condition::Restarting`] if it is being started anew, [`Condition::Closed`] if the session ended, else [`Condition::Down`].
    Gone(Condition),
    /// It is there again, a new instance that knows nothing: make ring ends from the change's session, register, listen, subscribe anew.
    /// For a client of a session on demand: it has one now.
    Back,
}

/// One thing that the component is told of one peer. Always `Gone` before `Back`, and both before anything of the new instance.
#[derive(Debug, Clone)]
pub struct PeerChange {
    /// The component's own name for the use, or for the provided interface.
    pub interface: &'static str,
    /// The session; its client is the peer's if the peer is a client, and its region is of the epoch that begins with `Back`.
    pub session: SessionHandle,
    /// What happened.
    pub news: PeerNews,
}

impl PeerChange {
    /// What happened to the server of the use `name`, if this is about that.
    #[must_use]
    pub fn of_use(&self, name: &str) -> Option<PeerNews> {
        (self.session.client.is_none() && self.interface == name).then_some(self.news)
    }

    /// Which client of the provided interface `name` this is about, if it is, and what happened to it.
    #[must_use]
    pub fn of_client(&self, name: &str) -> Option<(ClientId, PeerNews)> {
        let client = self.session.client.filter(|_| self.interface == name)?;
        Some((client, self.news))
    }
}

/// securityd's page, and the word next to the IPC buffer in which pings are answered.
///
/// # Invariants
/// As [`Page::at`] asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    words: usize,
    answer: usize,
}

impl Page {
    /// # Safety
    /// 1. [`WORDS`] aligned words at `words` are mapped readable until the program ends; others may write them at any time.
    /// 2. `answer` is the address of an aligned `u64`, mapped readable and writable as long, that nothing else in the program refers to.
    pub(crate) const unsafe fn at(words: usize, answer: usize) -> Self {
        Self { words, answer }
    }

    /// The word now. What the writer wrote before it is seen by what follows.
    pub(crate) fn word(self, index: usize) -> u64 {
        assert!(index < WORDS, "the page has no such word");
        let word = core::ptr::with_exposed_provenance::<u64>(self.words + index * size_of::<u64>());
        // SAFETY: 1 of `at`, and the index was checked. A volatile read needs nothing of whoever else writes the word.
        let value = unsafe { word.read_volatile() };
        fence(Ordering::Acquire);
        value
    }

    fn peer(self, place: Option<usize>) -> Peer {
        place.map_or(Peer::FIRST, |place| Peer::from_word(self.word(place)))
    }

    fn answer(self) {
        let answer = core::ptr::with_exposed_provenance_mut::<u64>(self.answer);
        // SAFETY: 2 of `at`.
        unsafe { answer.write_volatile(self.word(PING)) };
    }
}

/// All peers: those of the uses, then the clients of all provided interfaces.
#[derive(Debug)]
pub(crate) struct Peers {
    page: Option<Page>,
    /// The changes that the page had counted when the component had been told of everything.
    seen: Cell<u64>,
    /// INV-TOLD-1.
    told: Box<[Cell<Peer>]>,
    use_count: usize,
    /// Bits that came while the component waited for a server to come back.
    stashed: Cell<u64>,
}

impl Peers {
    /// What the component begins with: it takes everybody for there until it is told otherwise, at its first look; but whoever's session
    /// `is_on_demand` for away.
    pub(crate) fn new(
        page: Option<Page>,
        use_count: usize,
        client_count: usize,
        is_on_demand: impl Fn(usize) -> bool,
    ) -> Self {
        let peers = (0..use_count + client_count).map(|index| {
            let now = page.map_or(Peer::FIRST, |page| page.peer(place(index, use_count)));
            let is_away = page.is_some() && is_on_demand(index);
            let told = if is_away { ABSENT } else { Peer { condition: Condition::Up, ..now } };
            Cell::new(told)
        });
        let told = peers.collect();
        let seen = Cell::new(page.map_or(0, |page| !page.word(CHANGES)));
        Self { page, seen, told, use_count, stashed: Cell::new(0) }
    }

    /// The epoch that the component was told.
    pub(crate) fn epoch(&self, index: usize) -> u32 {
        self.told.get(index).map_or(Peer::FIRST.epoch, |peer| peer.get().epoch)
    }

    /// How the component was told that a peer is.
    pub(crate) fn condition(&self, index: usize) -> Condition {
        self.told.get(index).map_or(Condition::Up, |peer| peer.get().condition)
    }

    /// Whether the server of use `index` is so now, told or not.
    pub(crate) fn is(&self, index: usize, condition: Condition) -> bool {
        self.page.is_some_and(|page| page.peer(use_word(index)).condition == condition)
    }

    /// The component knows how the server of use `index` is, since it has just asked for the session.
    pub(crate) fn know(&self, index: usize) {
        if let (Some(page), Some(told)) = (self.page, self.told.get(index)) {
            told.set(page.peer(use_word(index)));
        }
    }

    /// The next thing to tell, which counts as told from now on. One comparison if nothing happened.
    pub(crate) fn next(&self) -> Option<(usize, PeerNews)> {
        let page = self.page?;
        loop {
            let changes = page.word(CHANGES);
            if changes == self.seen.get() {
                return None;
            }
            let news = (0..self.told.len()).find_map(|index| Some((index, self.compare(page, index)?)));
            if news.is_some() {
                return news;
            }
            // Words may have changed since they were compared; the count has then as well, and they are compared again.
            self.seen.set(changes);
        }
    }

    fn compare(&self, page: Page, index: usize) -> Option<PeerNews> {
        let told = self.told.get(index)?;
        let (before, now) = (told.get(), page.peer(place(index, self.use_count)));
        if before.condition == Condition::Up && now != before {
            // Gone and already back: it was being started anew meanwhile.
            let condition = if now.condition == Condition::Up { Condition::Restarting } else { now.condition };
            told.set(Peer { condition, ..before });
            return Some(PeerNews::Gone(condition));
        }
        let is_back = before.condition != Condition::Up && now.condition == Condition::Up && now.epoch != before.epoch;
        is_back.then(|| {
            told.set(now);
            PeerNews::Back
        })
    }

    /// Whether the server of use `index` can be called (again). Waits by `wait`, which returns the bits that came, while it is being
    /// started anew; securityd says so only for a bounded time.
    pub(crate) fn renew(&self, index: usize, mut wait: impl FnMut() -> u64) -> bool {
        let Some(page) = self.page else { return false };
        loop {
            match page.peer(use_word(index)).condition {
                Condition::Up => return true,
                Condition::Down | Condition::Closed => return false,
                Condition::Restarting => self.stashed.set(self.stashed.get() | wait()),
            }
        }
    }

    /// The bits that came during [`Self::renew`], once.
    pub(crate) fn take_stashed(&self) -> u64 {
        self.stashed.take()
    }

    /// The epoch of the access policy in force; 0 without a page.
    pub(crate) fn policy_epoch(&self) -> u64 {
        self.page.map_or(0, |page| page.word(POLICY))
    }

    /// Answers the newest ping. To be called between two events only: that a component gets there is what the answer means.
    pub(crate) fn answer_ping(&self) {
        if let Some(page) = self.page {
            page.answer();
        }
    }
}

/// No session has this epoch, so the first meeting is news.
const ABSENT: Peer = Peer { condition: Condition::Closed, epoch: 0 };

/// Word of a peer; none beyond the page, where a peer counts as always there.
fn place(index: usize, use_count: usize) -> Option<usize> {
    match index.checked_sub(use_count) {
        None => use_word(index),
        Some(client) => client_word(client),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    /// A page in this program's memory, and the word for answers.
    pub(crate) struct Desk {
        words: &'static [AtomicU64],
        answer: &'static AtomicU64,
    }

    impl Desk {
        pub(crate) fn new(peers: &[(usize, Peer)]) -> Self {
            let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak();
            let desk = Self { words, answer: Box::leak(Box::new(AtomicU64::new(0))) };
            for &(word, peer) in peers {
                desk.words[word].store(peer.word(), Ordering::Release);
            }
            desk
        }

        pub(crate) fn page(&self) -> Page {
            let (words, answer) = (self.words.as_ptr(), core::ptr::from_ref(self.answer));
            // SAFETY: 1: the words are leaked. 2: the answer is leaked too; that it is an atomic lets the test read it.
            unsafe { Page::at(words.expose_provenance(), answer.expose_provenance()) }
        }

        pub(crate) fn set(&self, word: usize, condition: Condition, epoch: u32) {
            self.words[word].store(Peer { condition, epoch }.word(), Ordering::Release);
            self.words[CHANGES].fetch_add(1, Ordering::Release);
        }

        pub(crate) fn ping(&self, number: u64) {
            self.words[PING].store(number, Ordering::Release);
        }

        pub(crate) fn answered(&self) -> u64 {
            self.answer.load(Ordering::Acquire)
        }
    }

    const USE: usize = use_word(0).unwrap();
    const CLIENT: usize = client_word(0).unwrap();

    fn up(epoch: u32) -> Peer {
        Peer { condition: Condition::Up, epoch }
    }

    fn all(peers: &Peers) -> Vec<(usize, PeerNews)> {
        core::iter::from_fn(|| peers.next()).collect()
    }

    #[test]
    fn peer_that_died_and_came_back_between_two_looks_is_gone_first() {
        let desk = Desk::new(&[(USE, up(3)), (CLIENT, up(7))]);
        let peers = Peers::new(Some(desk.page()), 1, 1, |_| false);
        assert_eq!((all(&peers), peers.epoch(0), peers.epoch(1)), (vec![], 3, 7));
        desk.set(CLIENT, Condition::Up, 9);
        assert_eq!(peers.epoch(1), 7, "not told yet");
        assert_eq!(peers.next(), Some((1, PeerNews::Gone(Condition::Restarting))));
        assert_eq!(peers.epoch(1), 7);
        assert_eq!(peers.next(), Some((1, PeerNews::Back)));
        assert_eq!((peers.epoch(1), peers.next()), (9, None));
    }

    #[test]
    fn peer_is_gone_once_however_long_it_stays_away() {
        let desk = Desk::new(&[(USE, up(1))]);
        let peers = Peers::new(Some(desk.page()), 1, 0, |_| false);
        desk.set(USE, Condition::Restarting, 1);
        assert_eq!(all(&peers), [(0, PeerNews::Gone(Condition::Restarting))]);
        desk.set(USE, Condition::Down, 1);
        desk.set(USE, Condition::Restarting, 2);
        assert_eq!(all(&peers), []);
        desk.set(USE, Condition::Up, 2);
        assert_eq!(all(&peers), [(0, PeerNews::Back)]);
        assert_eq!(all(&peers), []);
    }

    #[test]
    fn peer_that_is_away_from_the_start_is_told_at_the_first_look() {
        let desk = Desk::new(&[(USE, Peer { condition: Condition::Down, epoch: 4 })]);
        let peers = Peers::new(Some(desk.page()), 1, 0, |_| false);
        assert!(peers.is(0, Condition::Down), "it is not called, told or not");
        assert_eq!(all(&peers), [(0, PeerNews::Gone(Condition::Down))]);
        desk.set(USE, Condition::Up, 5);
        assert!(!peers.is(0, Condition::Down));
        assert_eq!((all(&peers), peers.epoch(0)), (vec![(0, PeerNews::Back)], 5));
    }

    #[test]
    fn renew_waits_while_the_server_is_restarting_and_keeps_the_bits_that_come() {
        let desk = Desk::new(&[(USE, up(1))]);
        let peers = Peers::new(Some(desk.page()), 1, 0, |_| false);
        desk.set(USE, Condition::Restarting, 1);
        let mut waits = 0;
        assert!(peers.renew(0, || {
            waits += 1;
            if waits == 3 {
                desk.set(USE, Condition::Up, 2);
            }
            1 << waits
        }));
        assert_eq!((waits, peers.take_stashed(), peers.take_stashed()), (3, 0b1110, 0));
        assert_eq!(all(&peers), [(0, PeerNews::Gone(Condition::Restarting)), (0, PeerNews::Back)]);
        desk.set(USE, Condition::Down, 2);
        assert!(!peers.renew(0, || panic!("nothing to wait for")));
        assert!(!Peers::new(None, 1, 0, |_| false).renew(0, || panic!("nobody supervises")));
    }

    #[test]
    fn session_on_demand_is_away_until_it_is_opened_and_is_told_once_for_each_meeting() {
        let closed = Peer { condition: Condition::Closed, epoch: 1 };
        let desk = Desk::new(&[(USE, closed), (CLIENT, closed)]);
        let peers = Peers::new(Some(desk.page()), 1, 1, |_| true);
        assert_eq!(
            (all(&peers), peers.condition(1), peers.is(0, Condition::Closed)),
            (vec![], Condition::Closed, true)
        );
        desk.set(CLIENT, Condition::Up, 2);
        assert_eq!((all(&peers), peers.condition(1)), (vec![(1, PeerNews::Back)], Condition::Up));
        desk.set(CLIENT, Condition::Closed, 2);
        assert_eq!(all(&peers), [(1, PeerNews::Gone(Condition::Closed))]);
        desk.set(CLIENT, Condition::Up, 3);
        desk.set(CLIENT, Condition::Closed, 3);
        desk.set(CLIENT, Condition::Up, 4);
        assert_eq!(all(&peers), [(1, PeerNews::Back)], "the one between two looks is no news");
        desk.set(CLIENT, Condition::Up, 5);
        assert_eq!(all(&peers), [(1, PeerNews::Gone(Condition::Restarting)), (1, PeerNews::Back)]);
        // Who asked for it knows; what happens later is told.
        desk.set(USE, Condition::Up, 2);
        peers.know(0);
        assert_eq!((all(&peers), peers.is(0, Condition::Closed)), (vec![], false));
        desk.set(USE, Condition::Closed, 2);
        assert_eq!(all(&peers), [(0, PeerNews::Gone(Condition::Closed))]);
        assert!(!peers.renew(0, || panic!("nothing to wait for")));
        // A server that is started again while the session is open hears of its client.
        let later = Peers::new(Some(desk.page()), 1, 1, |_| true);
        assert_eq!(all(&later), [(1, PeerNews::Back)]);
    }

    #[test]
    fn epoch_of_the_policy_is_that_of_the_page_now() {
        let desk = Desk::new(&[]);
        let peers = Peers::new(Some(desk.page()), 0, 0, |_| false);
        assert_eq!((peers.policy_epoch(), Peers::new(None, 0, 0, |_| false).policy_epoch()), (0, 0));
        desk.words[POLICY].store(7, Ordering::Release);
        assert_eq!(peers.policy_epoch(), 7);
    }

    #[test]
    fn peers_beyond_the_page_and_without_a_page_are_always_there() {
        let desk = Desk::new(&[]);
        assert_eq!(place(32, 40), None);
        let peers = Peers::new(Some(desk.page()), 40, 0, |_| false);
        assert_eq!(all(&peers).len(), 32, "the words that nobody wrote say Down");
        let peers = Peers::new(None, 2, 3, |_| false);
        assert_eq!((all(&peers), peers.epoch(4)), (vec![], 1));
    }
}
