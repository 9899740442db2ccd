//! Programs that are spawned: who may start which, what it is given, how it ended; it starts nobody by itself.
//!
//! INV-FAMILY-1: a member runs only as the child of its one parent, and only while that lives. INV-FAMILY-2: the end of a child is told once,
//! and its instance runs anew only when the parent has forgotten it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libhybrid::interfaces::process::{
    Ending, GIVEN_CHUNK, GIVEN_MAX, Phase, Program, ProgramSignalled, ProgramStart, Reason, STRINGS_MAX, SpawnError,
    Spawner, SpawnerEnded, State, Streams3,
};
use libhybrid::ipc::ClientId;
use libhybrid::log;

use crate::supervisor::{Power, Supervisor, is_up};

const SIGKILL: u8 = 9;
const SIGSEGV: u8 = 11;
const SIGNALS: core::ops::RangeInclusive<u8> = 1..=64;

/// So many bytes each program may be given, whatever others are.
const SMALL: usize = 4096;
/// All bytes of those that are given more, together.
const LARGE: usize = 64 * 1024;

/// One instance that is spawned, by the product's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kin {
    /// Its name.
    pub name: String,
    /// Its id: the number by which its parent knows it.
    pub id: u16,
    /// Who spawns it.
    pub parent: String,
    /// The parent's id.
    pub parent_id: u16,
    /// The program that it is to its parent: a path, whose last name may be several with commas between them.
    pub path: String,
}

impl Kin {
    /// A parameter `spawn.NAME = "PARENT PATH"`, if it is one; ids are those of the interfaces' clients.
    #[must_use]
    pub fn of(key: &str, value: &str, id_of: impl Fn(&str) -> Option<u16>) -> Option<Self> {
        let name = key.strip_prefix("spawn.")?;
        let (parent, path) = value.split_once(' ')?;
        let (name, parent, path) = (name.to_string(), parent.to_string(), path.to_string());
        Some(Self { id: id_of(&name)?, parent_id: id_of(&parent)?, name, parent, path })
    }

    /// Its folder, and its names there.
    fn names(&self) -> (&str, core::str::Split<'_, char>) {
        let (folder, names) = self.path.rsplit_once('/').unwrap_or_default();
        (folder, names.split(','))
    }

    /// Whether it is the program at `path`.
    fn is_at(&self, path: &str) -> bool {
        let (folder, mut names) = self.names();
        path.rsplit_once('/').is_some_and(|(of, name)| of == folder && names.any(|own| own == name))
    }
}

/// One of them, and its life.
pub(crate) struct Member {
    kin: Kin,
    /// Its place among all instances.
    index: usize,
    parent: usize,
    child: Option<Child>,
}

/// A life that was spawned.
struct Child {
    generation: u16,
    /// The life of the parent that spawned it.
    parent_generation: u16,
    given: Vec<u8>,
    arguments: u16,
    streams: Streams3,
    /// Signals that it was sent and has not pulled.
    signals: u64,
    /// What it said of its end.
    said: Option<Ending>,
    /// It has ended like this.
    ended: Option<Ending>,
    /// Its parent was told that.
    is_told: bool,
}

/// All that are spawned, and what their parents put together for the next ones.
#[derive(Default)]
pub(crate) struct Family {
    pub(crate) members: Vec<Member>,
    drafts: Vec<(u16, Vec<u8>)>,
}

impl Family {
    /// Bytes of what is larger than everybody may have, but for the draft of one parent.
    fn large(&self, but: u16) -> usize {
        let drafts = self.drafts.iter().filter(|(of, _)| *of != but).map(|(_, draft)| draft.len());
        let given = self.members.iter().filter_map(|member| Some(member.child.as_ref()?.given.len()));
        drafts.chain(given).filter(|bytes| *bytes > SMALL).sum()
    }

    /// Of `kin`, those whose places among the instances are known.
    pub(crate) fn new(kin: &[Kin], place: impl Fn(&str) -> Option<usize>) -> Self {
        let member = |kin: &Kin| {
            Some(Member { kin: kin.clone(), index: place(&kin.name)?, parent: place(&kin.parent)?, child: None })
        };
        Self { members: kin.iter().filter_map(member).collect(), drafts: Vec::new() }
    }

    pub(crate) fn has(&self, index: usize) -> bool {
        self.parent_of(index).is_some()
    }

    /// Who spawns the one in this place.
    pub(crate) fn parent_of(&self, index: usize) -> Option<&str> {
        self.members.iter().find(|member| member.index == index).map(|member| member.kin.parent.as_str())
    }

    /// The member of this number, of this parent.
    fn member_of(&mut self, parent: ClientId, process: u16) -> Result<&mut Member, SpawnError> {
        let of = |member: &&mut Member| member.kin.id == process && member.kin.parent_id == parent.instance;
        self.members.iter_mut().find(of).ok_or(SpawnError::NoProcess)
    }

    /// The child of this number that runs, of this parent.
    fn child_of(&mut self, parent: ClientId, process: u16) -> Result<(usize, &mut Child), SpawnError> {
        let member = self.member_of(parent, process)?;
        let child = member.child.as_mut().filter(|child| child.ended.is_none());
        child.map(|child| (member.index, child)).ok_or(SpawnError::NoProcess)
    }

    /// The life of the caller, if somebody spawned it.
    fn own(&mut self, client: ClientId) -> Result<(&Kin, &mut Child), SpawnError> {
        let member = self.members.iter_mut().find(|member| member.kin.id == client.instance);
        let member = member.ok_or(SpawnError::NotSpawned)?;
        let child = member.child.as_mut().filter(|child| child.ended.is_none());
        child.map(|child| (&member.kin, child)).ok_or(SpawnError::NotSpawned)
    }
}

/// How one ended that said nothing of it.
const fn ending(state: State) -> Ending {
    match state {
        State::Ended => Ending::Exited(0),
        State::Faulted => Ending::Signalled(SIGSEGV),
        _ => Ending::Signalled(SIGKILL),
    }
}

/// How many strings these are, each with a zero byte at its end.
fn strings(given: &[u8]) -> Result<u16, SpawnError> {
    if given.last().is_some_and(|byte| *byte != 0) {
        return Err(SpawnError::Malformed);
    }
    let count = given.iter().filter(|byte| **byte == 0).count();
    u16::try_from(count).ok().filter(|count| usize::from(*count) <= STRINGS_MAX).ok_or(SpawnError::TooLarge)
}

impl<P: Power> Supervisor<P> {
    /// Nobody of the family runs yet; who does was spawned in the supervisor's last life, and its parent was told that it was lost.
    pub(crate) fn begin_family(&mut self) {
        for at in 0..self.family.members.len() {
            let index = self.family.members[at].index;
            let state = self.life_of(index).map(|(state, _)| state);
            if state == Some(State::Running) {
                log::warn!("{} is stopped: nobody knows any more who spawned it", self.entries[index].name);
                self.end_by_own_hand(index, Reason::Parent, false);
            }
            self.be_idle(index);
        }
    }

    pub(crate) fn life_of(&mut self, index: usize) -> Option<(State, u16)> {
        let life = self.power.life(u16::try_from(index).ok()?).ok()?;
        Some((life.state, life.generation))
    }

    /// It can be spawned, unless it was isolated.
    fn be_idle(&mut self, index: usize) {
        if let Some(entry) = self.entries.get_mut(index).filter(|entry| entry.record.phase() != Phase::Isolated) {
            entry.record.idle();
        }
    }

    /// Large ones count against everybody's.
    fn drop_drafts_of_the_dead(&mut self) {
        for at in (0..self.family.drafts.len()).rev() {
            let Some((of, _)) = self.family.drafts.get(at).filter(|(_, draft)| draft.len() > SMALL) else { continue };
            let parent = self.family.members.iter().find(|member| member.kin.parent_id == *of).map(|it| it.parent);
            if !parent.and_then(|place| self.life_of(place)).is_some_and(|(state, _)| is_up(state)) {
                self.family.drafts.swap_remove(at);
            }
        }
    }

    /// Finds children that ended, tells their parents, and ends those whose parents did.
    pub(crate) fn see_to_family(&mut self) {
        self.drop_drafts_of_the_dead();
        for at in 0..self.family.members.len() {
            let member = &self.family.members[at];
            let (index, parent, parent_id) = (member.index, member.parent, member.kin.parent_id);
            let Some(child) = &member.child else { continue };
            let (generation, parent_generation) = (child.generation, child.parent_generation);
            let (is_known, said) = (child.ended.is_some(), child.said);
            let has_parent =
                self.life_of(parent).is_some_and(|(state, life)| is_up(state) && life == parent_generation);
            let (state, life) = self.life_of(index).unwrap_or((State::Empty, 0));
            let runs = !is_known && is_up(state) && life == generation;
            if runs && !has_parent {
                self.end_by_own_hand(index, Reason::Parent, false);
            }
            if !runs || !has_parent {
                self.be_idle(index);
            }
            let Some(child) = self.family.members.get_mut(at).map(|member| &mut member.child) else { continue };
            if !has_parent {
                *child = None;
            } else if !runs && let Some(child) = child {
                // Nobody asks for it any more.
                child.given = Vec::new();
                // Only told as the last thing that it did, so it is how it ended.
                child.ended.get_or_insert_with(|| said.unwrap_or_else(|| ending(state)));
                if !is_known {
                    self.power.ring(parent_id);
                }
            }
        }
    }

    /// The instance that is to be the program at `path`.
    fn idle_member(&self, parent: ClientId, path: &str) -> Result<usize, SpawnError> {
        let mut refused = SpawnError::NoProgram;
        for (at, member) in self.family.members.iter().enumerate() {
            if member.kin.parent_id != parent.instance || !member.kin.is_at(path) {
                continue;
            }
            let phase = self.entries.get(member.index).map(|entry| entry.record.phase());
            match phase {
                Some(Phase::Idle) if member.child.is_none() => return Ok(at),
                Some(Phase::Isolated) if refused == SpawnError::NoProgram => refused = SpawnError::NotAllowed,
                Some(Phase::Isolated) => {}
                _ => refused = SpawnError::Busy,
            }
        }
        Err(refused)
    }
}

impl<P: Power> Spawner for Supervisor<P> {
    fn put(&mut self, parent: ClientId, at: u16, bytes: &[u8]) -> Result<(), SpawnError> {
        let length = usize::from(at) + bytes.len();
        if length > GIVEN_MAX {
            return Err(SpawnError::TooLarge);
        }
        if length > SMALL && self.family.large(parent.instance) + length > LARGE {
            // What was put so far would be in others' way for nothing.
            self.family.drafts.retain(|(of, _)| *of != parent.instance);
            return Err(SpawnError::TooLarge);
        }
        let drafts = &mut self.family.drafts;
        let place = drafts.iter().position(|(of, _)| *of == parent.instance).unwrap_or_else(|| {
            // One for each client of the interface, and those are declared.
            drafts.push((parent.instance, Vec::new()));
            drafts.len() - 1
        });
        let (_, draft) = drafts.get_mut(place).ok_or(SpawnError::TooLarge)?;
        let at = usize::from(at);
        if at > draft.len() {
            return Err(SpawnError::Malformed);
        }
        draft.truncate(at);
        // No more than is needed: there is room for so many bytes, and not for twice as many.
        draft.try_reserve_exact(bytes.len()).map_err(|_| SpawnError::TooLarge)?;
        draft.extend_from_slice(bytes);
        Ok(())
    }

    fn spawn(&mut self, parent: ClientId, path: &str, arguments: u16, streams: Streams3) -> Result<u16, SpawnError> {
        let draft = self.family.drafts.iter_mut().find(|(of, _)| *of == parent.instance);
        let given = draft.map(|(_, draft)| core::mem::take(draft)).unwrap_or_default();
        let strings = strings(&given)?;
        if arguments > strings {
            return Err(SpawnError::Malformed);
        }
        // Whoever ended a moment ago is idle.
        self.see_to_family();
        let at = self.idle_member(parent, path)?;
        let (index, parent_place, id) = {
            let member = &self.family.members[at];
            (member.index, member.parent, member.kin.id)
        };
        let Some((_, parent_generation)) = self.life_of(parent_place).filter(|(state, _)| is_up(*state)) else {
            return Err(SpawnError::CannotStart);
        };
        if self.begin(index).is_err() {
            self.be_idle(index);
            return Err(SpawnError::CannotStart);
        }
        let generation = self.life_of(index).map_or(0, |(_, generation)| generation);
        let (said, ended, is_told) = (None, None, false);
        let child =
            Child { generation, parent_generation, given, arguments, streams, signals: 0, said, ended, is_told };
        self.family.members[at].child = Some(child);
        Ok(id)
    }

    fn signal(&mut self, parent: ClientId, process: u16, signal: u8) -> Result<(), SpawnError> {
        self.see_to_family();
        let (index, child) = self.family.child_of(parent, process)?;
        match signal {
            0 => {}
            SIGKILL => {
                // What it said before counts no more.
                child.said = Some(Ending::Signalled(SIGKILL));
                self.end_by_own_hand(index, Reason::Parent, false);
                self.see_to_family();
            }
            signal if SIGNALS.contains(&signal) => {
                child.signals |= 1 << (signal - 1);
                self.power.ring(process);
            }
            _ => return Err(SpawnError::Malformed),
        }
        Ok(())
    }

    fn pull_ended(&mut self, parent: ClientId) -> Option<SpawnerEnded> {
        self.see_to_family();
        let own = self.family.members.iter_mut().filter(|member| member.kin.parent_id == parent.instance);
        let mut ended = own.filter_map(|member| Some((member.kin.id, member.child.as_mut()?)));
        let is_news = |child: &Child| child.ended.is_some() && !child.is_told;
        let (process, child) = ended.find(|(_, child)| is_news(child))?;
        child.is_told = true;
        Some(SpawnerEnded { process, ending: child.ended? })
    }

    fn forget(&mut self, parent: ClientId, process: u16) -> Result<(), SpawnError> {
        let member = self.family.member_of(parent, process)?;
        match &member.child {
            Some(Child { ended: Some(_), is_told: true, .. }) => member.child = None,
            _ => return Err(SpawnError::NoProcess),
        }
        Ok(())
    }

    fn program(&mut self, parent: ClientId, number: u16) -> Option<alloc::borrow::Cow<'_, str>> {
        let own = self.family.members.iter().filter(|member| member.kin.parent_id == parent.instance);
        let mut paths: Vec<String> = Vec::new();
        for (folder, names) in own.map(|member| member.kin.names()) {
            paths.extend(names.map(|name| format!("{folder}/{name}")));
        }
        paths.sort_unstable();
        paths.dedup();
        paths.into_iter().nth(number.into()).map(Into::into)
    }
}

impl<P: Power> Program for Supervisor<P> {
    fn start(&mut self, client: ClientId) -> Result<ProgramStart, SpawnError> {
        let (kin, child) = self.family.own(client)?;
        let bytes = u16::try_from(child.given.len()).map_err(|_| SpawnError::TooLarge)?;
        Ok(ProgramStart { parent: kin.parent_id, arguments: child.arguments, bytes, streams: child.streams })
    }

    fn given(&mut self, client: ClientId, at: u16) -> Result<alloc::borrow::Cow<'_, [u8]>, SpawnError> {
        let (_, child) = self.family.own(client)?;
        let rest = child.given.get(usize::from(at)..).unwrap_or_default();
        Ok(rest.get(..GIVEN_CHUNK).unwrap_or(rest).into())
    }

    fn ending(&mut self, client: ClientId, ending: Ending) -> Result<(), SpawnError> {
        let (_, child) = self.family.own(client)?;
        if matches!(ending, Ending::Signalled(signal) if !SIGNALS.contains(&signal)) {
            return Err(SpawnError::Malformed);
        }
        child.said = Some(ending);
        Ok(())
    }

    fn pull_signalled(&mut self, client: ClientId) -> Option<ProgramSignalled> {
        let child = self.family.own(client).ok().map(|(_, child)| child).filter(|child| child.signals != 0);
        let Some(child) = child else {
            return self.requests.pull(client.instance).map(|signal| ProgramSignalled { signal });
        };
        let signal = u8::try_from(child.signals.trailing_zeros()).ok()?;
        child.signals &= child.signals - 1;
        Some(ProgramSignalled { signal: signal + 1 })
    }
}

#[cfg(test)]
mod tests;
