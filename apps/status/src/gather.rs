//! What the page shows, by calls to securityd and logd; renders nothing.
//!
//! What rarely changes is kept, so that a page costs few calls.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_interfaces::live::{Comparison, LiveClient};
use hybrid_interfaces::log::{CursorClient, Entry, ReaderClient};
use hybrid_interfaces::security::{InspectClient, InspectSummary, Instance};
use hybrid_ipc::Caller;

/// Log lines on the page.
pub(crate) const LOG_LINES: u16 = 30;
/// New log entries that one page takes; what is beyond comes with the next.
const ENTRIES_AT_ONCE: usize = 200;
/// Components that are shown.
const COMPONENTS_MAX: u16 = 64;
/// Differences that are shown.
const DIFFERENCES_MAX: u32 = 32;
/// Grants that are shown of one component.
const GRANTS_MAX: u16 = 256;

/// One running component, with what it holds.
#[derive(Debug)]
pub struct Component {
    /// As securityd describes it.
    pub instance: Instance<'static>,
    /// Its grants as lines of the capability graph, without its own name in front.
    pub grants: Vec<String>,
}

/// What the auditor found last.
#[derive(Debug)]
pub struct Found {
    /// The counts.
    pub comparison: Comparison,
    /// The first lines of what is not as declared.
    pub lines: Vec<String>,
}

/// One log entry.
pub type LogLine = Entry<'static>;

/// Everything at one moment. What could not be had is empty, and `problem` says what.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// Nanoseconds since the counter started.
    pub now_ns: u64,
    /// The product, its memory.
    pub summary: InspectSummary<'static>,
    /// All components.
    pub components: &'a [Component],
    /// The last log entries, oldest first.
    pub log: &'a VecDeque<LogLine>,
    /// Whether live is as declared; nothing if the auditor does not answer.
    pub found: Option<Found>,
    /// Why something is missing.
    pub problem: Option<&'static str>,
}

/// The callers and what is kept between pages.
pub struct Gatherer<I: Caller, L: Caller, A: Caller> {
    inspect: InspectClient<I>,
    reader: ReaderClient<L>,
    live: LiveClient<A>,
    cursor: Option<CursorClient<L::Received>>,
    components: Vec<Component>,
    /// The count of all grants when `components` was read.
    grants_seen: Option<u32>,
    log: VecDeque<LogLine>,
}

impl<I: Caller, L: Caller, A: Caller> Gatherer<I, L, A> {
    /// Gathers through these clients.
    pub fn new(inspect: InspectClient<I>, reader: ReaderClient<L>, live: LiveClient<A>) -> Self {
        Gatherer {
            inspect,
            reader,
            live,
            cursor: None,
            components: Vec::new(),
            grants_seen: None,
            log: VecDeque::new(),
        }
    }

    /// What there is now.
    pub fn gather(&mut self, now_ns: u64) -> Snapshot<'_> {
        let summary = self.inspect.summary().ok();
        let is_inspected = summary.as_ref().is_some_and(|summary| self.read_components(summary));
        let has_log = self.read_log();
        let found = self.read_found();
        let problem = match (is_inspected, has_log) {
            (true, true) if found.is_none() => Some("the auditor does not answer"),
            (true, true) => None,
            (false, true) => Some("the security server does not answer"),
            (true, false) => Some("the log does not answer"),
            (false, false) => Some("neither the security server nor the log answers"),
        };
        Snapshot {
            now_ns,
            summary: summary.unwrap_or_else(unknown),
            components: &self.components,
            log: &self.log,
            found,
            problem,
        }
    }

    /// Reads all components. The grants of one are read again only when its count, its generation or state, or the count of all changed:
    /// one call for each grant is what makes a page dear.
    fn read_components(&mut self, summary: &InspectSummary<'_>) -> bool {
        let count = summary.instances.min(COMPONENTS_MAX);
        let is_same = self.grants_seen == Some(summary.grants) && self.components.len() == usize::from(count);
        let mut kept = core::mem::take(&mut self.components).into_iter();
        let mut is_whole = true;
        for index in 0..count {
            let old = kept.next();
            let Ok(instance) = self.inspect.instance(index) else {
                is_whole = false;
                break;
            };
            let grants = match old.filter(|old| is_same && is_alike(&old.instance, &instance)) {
                Some(old) => old.grants,
                None => self.read_grants(index, &instance),
            };
            self.components.push(Component { instance, grants });
        }
        self.grants_seen = is_whole.then_some(summary.grants);
        is_whole
    }

    fn read_grants(&mut self, index: u16, instance: &Instance<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        for number in 0..GRANTS_MAX {
            let Ok(grant) = self.inspect.grant(index, number) else { break };
            let line = squeeze(&grant.line, &instance.name);
            if !line.is_empty() {
                lines.push(line);
            }
            if !grant.more {
                break;
            }
        }
        lines
    }

    fn read_found(&mut self) -> Option<Found> {
        let comparison = self.live.last().ok()?;
        let mut lines = Vec::new();
        for number in 0..comparison.differences.min(DIFFERENCES_MAX) {
            // Another comparison may have found fewer meanwhile.
            let Some(line) = self.live.difference(number).ok()? else { break };
            lines.push(line.into_owned());
        }
        Some(Found { comparison, lines })
    }

    /// Reads on in the log; only the last `LOG_LINES` are kept. A log that was started anew is read from its beginning, at once.
    fn read_log(&mut self) -> bool {
        let had_cursor = self.cursor.is_some();
        self.read_on() || (had_cursor && self.read_on())
    }

    fn read_on(&mut self) -> bool {
        let mut cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => match self.reader.open(LOG_LINES) {
                Ok(cursor) => cursor,
                Err(_) => return false,
            },
        };
        for _ in 0..ENTRIES_AT_ONCE {
            match cursor.next() {
                Ok(next) => match next.entry {
                    Some(entry) => {
                        if self.log.len() >= LOG_LINES.into() {
                            self.log.pop_front();
                        }
                        self.log.push_back(entry);
                    }
                    None => break,
                },
                // A new cursor begins at the end again.
                Err(_) => {
                    self.log.clear();
                    return false;
                }
            }
        }
        self.cursor = Some(cursor);
        true
    }
}

/// Whether nothing about what a component holds can have changed.
fn is_alike(old: &Instance<'_>, new: &Instance<'_>) -> bool {
    old.name == new.name
        && old.generation == new.generation
        && old.state == new.state
        && old.capabilities == new.capabilities
}

fn unknown() -> InspectSummary<'static> {
    InspectSummary {
        product: "?".into(),
        version: "?".into(),
        instances: 0,
        memory_total: 0,
        memory_free: 0,
        grants: 0,
    }
}

/// A line of the graph without its column spaces and without the component's own name in front.
fn squeeze(line: &str, name: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut words = line.split_ascii_whitespace().peekable();
    if words.peek() == Some(&name) {
        words.next();
    }
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}
