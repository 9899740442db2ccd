//! `hybrid.live.Live`, and what is told to the log.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use hybrid_capgraph::Graph;
use libhybrid::interfaces::live::{Comparison, LINE_MAX, Live, Suspect, Verdict};
use libhybrid::ipc::ClientId;
use libhybrid::log;

use crate::compare::{Report, compare};
use crate::fact::Fact;
use crate::pace::Pace;

/// Where facts come from: the kernel, or a test.
pub trait List {
    /// Every capability now; `None` when the kernel gives no list, or does not come to an end.
    fn facts(&mut self) -> Option<Vec<Fact>>;
    /// Nanoseconds of the monotonic clock.
    fn now_ns(&self) -> u64;
}

/// Differences that are told to the log of one comparison.
const TOLD_MAX: usize = 16;

/// The last comparison, and how to make another.
pub struct Server<L> {
    list: L,
    graph: Option<Graph>,
    report: Report,
    last: Comparison,
    pace: Pace,
}

impl<L: List> Server<L> {
    /// Without a graph nothing can be compared.
    pub fn new(list: L, graph: Option<Graph>) -> Self {
        let verdict = Verdict::Unable;
        let last = Comparison { verdict, equal: 0, differences: 0, absent: 0, capabilities: 0, number: 0, at_ns: 0 };
        Self { list, graph, report: Report::default(), last, pace: Pace::default() }
    }

    /// Lists and compares; tells the log when the outcome is another than before.
    fn make(&mut self) -> Comparison {
        let began = self.list.now_ns();
        let before = (self.last.number > 0).then(|| self.report.differences.clone());
        let facts = self.list.facts();
        let report = self.graph.as_ref().zip(facts).map(|(graph, facts)| compare(graph, &facts));
        let verdict = match &report {
            None => Verdict::Unable,
            Some(report) if report.differences.is_empty() => Verdict::AsDeclared,
            Some(_) => Verdict::Different,
        };
        self.report = report.unwrap_or_default();
        let count = |lines: &Vec<_>| u32::try_from(lines.len()).unwrap_or(u32::MAX);
        self.last = Comparison {
            verdict,
            equal: self.report.equal,
            differences: count(&self.report.differences),
            absent: self.report.absent,
            capabilities: self.report.capabilities,
            number: self.last.number.wrapping_add(1),
            at_ns: began,
        };
        self.pace.made(began, self.list.now_ns());
        if before.as_ref() != Some(&self.report.differences) || verdict == Verdict::Unable {
            self.tell();
        }
        self.last
    }

    fn tell(&self) {
        let Comparison { verdict, equal, differences, absent, capabilities, .. } = self.last;
        match verdict {
            Verdict::Unable => log::error!("the kernel's list of capabilities cannot be read: nothing is known"),
            Verdict::AsDeclared => {
                log::info!("as declared: {equal} grants, {absent} absent, {capabilities} capabilities in all");
            }
            Verdict::Different => log::error!("not as declared: {differences} differences"),
        }
        for line in self.report.differences.iter().take(TOLD_MAX) {
            log::error!("{line}");
        }
    }
}

fn line_of(lines: &[alloc::string::String], number: u32) -> Option<&str> {
    lines.get(usize::try_from(number).ok()?).map(|line| told(line))
}

/// Names are bounded by the graph's own limits, so nothing is cut; a longer line would be cut at a character.
fn told(line: &str) -> &str {
    line.get(..LINE_MAX).unwrap_or(line)
}

impl<L: List> Live for Server<L> {
    fn compare(&mut self, _client: ClientId) -> Comparison {
        if self.pace.may_begin(self.list.now_ns()) { self.make() } else { self.last }
    }

    fn look(&mut self, _client: ClientId) -> Comparison {
        self.make()
    }

    fn last(&mut self, _client: ClientId) -> Comparison {
        self.last
    }

    fn difference(&mut self, _client: ClientId, number: u32) -> Option<Cow<'_, str>> {
        line_of(&self.report.differences, number).map(Cow::Borrowed)
    }

    fn line(&mut self, _client: ClientId, number: u32) -> Option<Cow<'_, str>> {
        line_of(&self.report.lines, number).map(Cow::Borrowed)
    }

    fn suspect(&mut self, _client: ClientId, number: u32) -> Option<Suspect<'_>> {
        let (name, line) = self.report.suspects().nth(usize::try_from(number).ok()?)?;
        Some(Suspect { name: Cow::Borrowed(name), line: Cow::Borrowed(told(line)) })
    }
}
