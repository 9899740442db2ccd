//! Lines of the golden format read back, and two such texts held against each other; resolves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What a listing shows if it does not say so: all but what only the texts know.
const DECLARED_ONLY: [&str; 1] = ["key"];
/// Every word of a line's second column.
const KINDS: [&str; 19] = [
    "audit",
    "bell",
    "call",
    "cnode",
    "device",
    "dma",
    "endpoint",
    "fault",
    "interrupt",
    "key",
    "memory",
    "notification",
    "other",
    "peers",
    "region",
    "reply",
    "shown",
    "time",
    "timer",
];
/// The longest text that is read; a golden file of the largest product has a tenth of it.
pub(crate) const TEXT_MAX: usize = 4 << 20;

/// One grant as its line tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Instance name.
    pub holder: String,
    /// `call`, `region`, …
    pub verb: String,
    /// `netd.tcp`, `uart0`.
    pub target: String,
    /// Interface or `compatible`; may be empty.
    pub kind: String,
    /// `slot` → `9`.
    pub facts: BTreeMap<String, String>,
    /// Why; may be empty.
    pub reason: String,
}

/// A fact that two lines tell otherwise: its name, and the two values (`-` where it is left out).
pub type Difference = (String, String, String);

/// What a line is about: holder, verb, target and kind.
type Subject<'a> = (&'a str, &'a str, &'a str, &'a str);

impl Line {
    /// Reads one line.
    ///
    /// # Errors
    /// A sentence when it is no grant.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (head, reason) = text.split_once("  # ").unwrap_or((text, ""));
        let mut words = head.split_whitespace().peekable();
        let mut name = |what: &str| {
            words.next_if(|word| !word.contains('=')).map(str::to_owned).ok_or_else(|| format!("it has no {what}"))
        };
        let (holder, verb, target) = (name("holder")?, name("kind of grant")?, name("target")?);
        let kind = name("interface").unwrap_or_default();
        if !KINDS.contains(&verb.as_str()) {
            return Err(format!("`{verb}` is no kind of grant"));
        }
        let mut facts = BTreeMap::new();
        for word in words {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is no fact"))?;
            if facts.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(format!("`{key}` stands twice"));
            }
        }
        Ok(Self { holder, verb, target, kind, facts, reason: reason.trim().to_owned() })
    }

    /// Whether it may be live or not: a session on demand, or what a place has while a component is installed there.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.facts.contains_key("held")
    }

    fn subject(&self) -> Subject<'_> {
        (&self.holder, &self.verb, &self.target, &self.kind)
    }

    /// As the golden file has it.
    #[must_use]
    pub fn text(&self) -> String {
        let facts: Vec<String> = FACTS
            .iter()
            .filter_map(|key| Some((*key, self.facts.get(*key)?)))
            .chain(self.facts.iter().filter(|(key, _)| !FACTS.contains(&key.as_str())).map(|(k, v)| (k.as_str(), v)))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let head =
            format!("{:<10} {:<12} {:<18} {:<24} {}", self.holder, self.verb, self.target, self.kind, facts.join(" "));
        if self.reason.is_empty() {
            head.trim_end().to_owned()
        } else {
            format!("{}  # {}", head.trim_end(), self.reason)
        }
    }

    /// The facts of `self` that `other` tells otherwise: key, own value, other's.
    fn differences(&self, other: &Self, only_common: bool) -> Vec<Difference> {
        let keys: BTreeSet<&String> = self.facts.keys().chain(other.facts.keys()).collect();
        let value = |line: &Self, key: &str| line.facts.get(key).cloned().unwrap_or_else(|| "-".into());
        keys.into_iter()
            .filter(|key| !only_common || other.facts.contains_key(*key))
            .map(|key| (key.clone(), value(self, key), value(other, key)))
            .filter(|(_, own, others)| own != others)
            .collect()
    }
}

/// The order of facts in a line.
const FACTS: [&str; 24] = [
    "at",
    "slot",
    "rights",
    "badge",
    "bit",
    "irq",
    "trigger",
    "bytes",
    "page",
    "slots",
    "stack",
    "heap",
    "thread_stacks",
    "priority",
    "budget_us",
    "period_us",
    "registers",
    "class",
    "key",
    "operations",
    "rate",
    "max_objects",
    "prefix",
    "held",
];

/// A whole text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its grants, sorted.
    pub lines: Vec<Line>,
    /// The kinds that it says it can show, if it says so.
    pub shows: Option<BTreeSet<String>>,
}

impl Listing {
    /// Reads a golden file or a live listing.
    ///
    /// # Errors
    /// The number of the first line that is none, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_MAX {
            return Err(format!("{} bytes are too many; a listing has at most {TEXT_MAX}", text.len()));
        }
        let mut listing = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(shows) = line.strip_prefix("# shows ") {
                listing.shows = Some(shows.split_whitespace().map(str::to_owned).collect());
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The console's last line: it tells whether some were lost on the way.
            if let Some(count) = line.strip_suffix(" grants in all") {
                let lines = listing.lines.len();
                if count.parse() != Ok(lines) {
                    return Err(format!("line {}: {count} grants in all, but there are {lines} lines", number + 1));
                }
                continue;
            }
            let line = Line::parse(line).map_err(|error| format!("line {}: {error}", number + 1))?;
            listing.lines.push(line);
        }
        listing.lines.sort();
        Ok(listing)
    }

    fn shown(&self, verb: &str) -> bool {
        self.shows.as_ref().map_or(!DECLARED_ONLY.contains(&verb), |shows| shows.contains(verb))
    }
}

/// What two listings have for one subject, in pairs.
fn paired<'a>(old: &'a Listing, new: &'a Listing) -> Vec<(Option<&'a Line>, Option<&'a Line>)> {
    let mut subjects: BTreeMap<Subject<'a>, (Vec<&'a Line>, Vec<&'a Line>)> = BTreeMap::new();
    old.lines.iter().for_each(|line| subjects.entry(line.subject()).or_default().0.push(line));
    new.lines.iter().for_each(|line| subjects.entry(line.subject()).or_default().1.push(line));
    let mut pairs = Vec::new();
    for (mut old, mut new) in subjects.into_values() {
        // Equal ones first, so that a second one of the same subject is not told as a change of the first.
        old.retain(|line| match new.iter().position(|other| other.facts == line.facts) {
            Some(at) => {
                pairs.push((Some(*line), Some(new.remove(at))));
                false
            }
            None => true,
        });
        let count = old.len().max(new.len());
        pairs.extend((0..count).map(|at| (old.get(at).copied(), new.get(at).copied())));
    }
    pairs
}

/// What a live listing has otherwise than the declared one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Declared lines that the live listing should show and does not.
    pub missing: Vec<Line>,
    /// Live lines that nothing declares.
    pub extra: Vec<Line>,
    /// Declared line, live line, and the facts that differ.
    pub different: Vec<(Line, Line, Vec<Difference>)>,
    /// How many lines agree.
    pub equal: usize,
    /// Declared lines of kinds that the live listing cannot show.
    pub unseen: usize,
    /// Declared lines of sessions on demand that are not open, and of places in which nothing is installed.
    pub closed: usize,
}

impl Comparison {
    /// Whether everything that can be seen is as declared.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.different.is_empty()
    }

    /// For people: the golden file's own lines, `-` declared only, `+` live only, `!` otherwise.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for line in &self.missing {
            let _ = writeln!(out, "- {}", line.text());
        }
        for line in &self.extra {
            let _ = writeln!(out, "+ {}", line.text());
        }
        for (declared, live, facts) in &self.different {
            let _ = writeln!(out, "! {}\n  {}", declared.text(), live.text());
            for (key, declared, live) in facts {
                let _ = writeln!(out, "    {key}: declared {declared}, live {live}");
            }
        }
        let _ = writeln!(
            out,
            "{} as declared, {} missing, {} extra, {} different, {} of kinds that the listing cannot show",
            self.equal,
            self.missing.len(),
            self.extra.len(),
            self.different.len(),
            self.unseen
        );
        if self.closed > 0 {
            let _ = writeln!(out, "{} of sessions that are not open, or of empty places", self.closed);
        }
        out
    }
}

/// Holds a live listing against the declared one. Reasons are not compared, nor facts that the live line leaves out.
#[must_use]
pub fn compare(declared: &Listing, live: &Listing) -> Comparison {
    let mut found = Comparison::default();
    for pair in paired(declared, live) {
        match pair {
            (Some(declared), None) if declared.is_optional() => found.closed += 1,
            (Some(declared), None) if live.shown(&declared.verb) => found.missing.push(declared.clone()),
            (Some(_), None) => found.unseen += 1,
            (None, Some(live)) => found.extra.push(live.clone()),
            (Some(declared), Some(live)) => {
                let facts = declared.differences(live, true);
                if facts.is_empty() {
                    found.equal += 1;
                } else {
                    found.different.push((declared.clone(), live.clone(), facts));
                }
            }
            (None, None) => {}
        }
    }
    found
}

/// The headings of a difference, riskiest first.
const RISKS: [&str; 9] =
    ["device", "grant", "key", "interrupt", "shared memory", "route", "own object", "budget or size", "reason"];

fn risk(line: &Line) -> usize {
    let passes = line.facts.get("rights").is_some_and(|rights| rights.split(',').any(|right| right == "grant"));
    match line.verb.as_str() {
        "device" | "dma" | "timer" | "audit" | "shown" => 0,
        "reply" | "endpoint" | "call" if passes => 1,
        "cnode" => 1,
        "key" => 2,
        "interrupt" => 3,
        "region" => 4,
        "call" | "bell" | "fault" => 5,
        "memory" | "peers" | "time" => 7,
        _ => 6,
    }
}

/// What `new` has otherwise than `old`, riskiest first; within one risk what is added, then changed, then removed.
#[must_use]
pub fn diff(old: &Listing, new: &Listing) -> String {
    let mut changes: Vec<(usize, u8, String)> = Vec::new();
    for pair in paired(old, new) {
        match pair {
            (None, Some(new)) => changes.push((risk(new), 0, format!("+ {}\n", new.text()))),
            (Some(old), None) => changes.push((risk(old), 2, format!("- {}\n", old.text()))),
            (Some(old), Some(new)) if old.facts != new.facts => {
                let facts: Vec<String> =
                    old.differences(new, false).iter().map(|(key, old, new)| format!("{key} {old} -> {new}")).collect();
                let text = format!("! {}\n    {}\n", new.text(), facts.join(", "));
                changes.push((risk(old).min(risk(new)), 1, text));
            }
            (Some(old), Some(new)) if old.reason != new.reason => {
                changes.push((RISKS.len() - 1, 1, format!("! {}\n    was: {}\n", new.text(), old.reason)));
            }
            _ => {}
        }
    }
    changes.sort();
    let mut out = String::new();
    let mut last = None;
    for (risk, _, text) in &changes {
        if last != Some(risk) {
            let _ = writeln!(out, "# {}", RISKS.get(*risk).copied().unwrap_or("other"));
            last = Some(risk);
        }
        out += text;
    }
    let count = |kind| changes.iter().filter(|(_, found, _)| *found == kind).count();
    let _ = writeln!(out, "{} added, {} changed, {} removed", count(0), count(1), count(2));
    out
}

#[cfg(test)]
mod tests {
    use super::{Line, Listing, compare, diff};

    const CALL: &str = "a call b.x hybrid.t.X slot=8 rights=write,grantreply badge=0x1  # to ask";
    const DEVICE: &str = "d device uart0 test,line at=0x30000000 rights=read,write page=0x9000000  # move bytes";
    const TIME: &str = "a time a priority=100 budget_us=5 period_us=10";

    fn listing(lines: &[&str]) -> Listing {
        Listing::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn line_read_and_written_is_the_golden_line() {
        let golden = include_str!("../tests/base.golden");
        for line in golden.lines().filter(|line| !line.starts_with('#')) {
            assert_eq!(Line::parse(line).unwrap().text(), line);
        }
    }

    #[test]
    fn line_that_is_none_is_refused() {
        for text in ["", "a", "a call", "a call slot=8", "a call b x slot", "a call b x slot=1 slot=2", "a=b"] {
            assert!(Line::parse(text).is_err(), "{text}");
        }
        assert_eq!(Listing::parse("# head\n\nnonsense"), Err("line 3: it has no kind of grant".into()));
    }

    #[test]
    fn comparison_names_what_is_missing_extra_and_different() {
        let declared = listing(&[CALL, DEVICE, TIME]);
        assert!(compare(&declared, &declared).agrees());
        let other = CALL.replace("badge=0x1", "badge=0x2");
        let found = compare(&declared, &listing(&[&other, TIME, "x dma y at=0x1"]));
        assert_eq!((found.missing.len(), found.extra.len(), found.different.len(), found.equal), (1, 1, 1, 1));
        assert_eq!(found.different[0].2, [("badge".into(), "0x1".into(), "0x2".into())]);
        // A listing that says that it cannot show times is not asked for them; a fact left out is not compared.
        let live = listing(&["# shows call device", "a call b.x hybrid.t.X badge=0x1", DEVICE]);
        let found = compare(&declared, &live);
        assert!(found.agrees() && found.unseen == 1, "{found:?}");
    }

    #[test]
    fn listing_from_the_console_tells_what_was_lost_on_the_way() {
        assert_eq!(listing(&[CALL, TIME, "2 grants in all"]).lines.len(), 2);
        assert!(Listing::parse(&format!("{CALL}\n2 grants in all")).is_err());
        assert!(Listing::parse("a jump b.x slot=1").is_err());
    }

    #[test]
    fn second_grant_of_one_subject_is_extra_and_not_a_change() {
        let declared = listing(&[CALL]);
        let twice = listing(&[CALL, &CALL.replace("slot=8", "slot=7")]);
        let found = compare(&declared, &twice);
        assert_eq!((found.extra.len(), found.different.len(), found.equal), (1, 0, 1));
    }

    #[test]
    fn difference_tells_the_riskiest_first() {
        let reply = "s reply s slot=3 rights=none";
        let old = listing(&[TIME, reply, CALL]);
        let new = listing(&[&TIME.replace("=5", "=6"), &reply.replace("none", "grant"), DEVICE]);
        let text = diff(&old, &new);
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(heads, ["# device", "# grant", "# route", "# budget or size"]);
        assert!(text.ends_with("1 added, 2 changed, 1 removed\n"), "{text}");
        assert_eq!(diff(&old, &old), "0 added, 0 changed, 0 removed\n");
    }
}
