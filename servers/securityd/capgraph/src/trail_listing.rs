//! A listing of the audit trail, as the console's `audit` prints it, read and checked; names the first broken record.

use std::fmt;

use super::{Digest, trail_hash, trail_start};

/// The longest listing that is read; a full trail has a fifth of it.
const TEXT_MAX: usize = 4 << 20;
/// Records of one chain that a listing may have.
const RECORDS_MAX: usize = 1 << 16;

/// One record of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailRecord {
    /// Its number in its chain.
    pub sequence: u64,
    /// When, nanoseconds since the counter started.
    pub at_ns: u64,
    /// Name of a `hybrid.security.RecordKind`.
    pub kind: String,
    /// What happened.
    pub text: String,
    /// What the device says its hash is.
    pub hash: Digest,
}

/// One chain of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailChain {
    /// `events` or `denials`.
    pub name: String,
    /// Number of the oldest record that is kept.
    pub first: u64,
    /// Number of the record that comes next.
    pub next: u64,
    /// Denials that wait for their gap mark.
    pub waiting: u32,
    /// Hash of the record before the oldest one kept.
    pub before: Digest,
    /// How many records of each kind are forgotten, as the device says.
    pub forgotten: String,
    /// The records, as listed.
    pub records: Vec<TrailRecord>,
}

/// Where a chain is broken first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// `events` or `denials`.
    pub chain: String,
    /// Number of the record.
    pub sequence: u64,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Break {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}: {}", self.chain, self.sequence, self.why)
    }
}

/// A whole listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Its chains, in the order of the listing.
    pub chains: Vec<TrailChain>,
}

impl Trail {
    /// Reads a listing. Other lines, as log lines on the same console, are passed over: a record that is lost or changed by that is missing.
    ///
    /// # Errors
    /// A sentence with the number of the first line that is wrong, or that the listing has no beginning or no end.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_MAX {
            return Err(format!("{} bytes are too many; a listing has at most {TEXT_MAX}", text.len()));
        }
        let mut chains: Vec<TrailChain> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_end_matches('\r');
            let wrong = |why: &str| format!("line {}: {why}", number + 1);
            if let Some(head) = line.strip_prefix("# chain ") {
                let chain = head_of(head).ok_or_else(|| wrong("this is no head of a chain"))?;
                if chains.iter().any(|other| other.name == chain.name) {
                    return Err(wrong("this chain stands twice"));
                }
                chains.push(chain);
            } else if line == "# end of the trail" {
                let is_whole = chains.len() == 2;
                return if is_whole { Ok(Self { chains }) } else { Err(wrong("a chain is missing")) };
            } else if let Some(chain) = chains.last_mut() {
                let rest = line.strip_prefix(&chain.name).and_then(|rest| rest.strip_prefix(' '));
                let Some(rest) = rest else { continue };
                let record = record_of(rest).ok_or_else(|| wrong("this is no record"))?;
                if chain.records.len() >= RECORDS_MAX {
                    return Err(wrong("there are too many records"));
                }
                chain.records.push(record);
            }
        }
        let what = if chains.is_empty() { "there is no listing in it" } else { "its end is missing" };
        Err(format!("{what}: it begins with `# chain events` and ends with `# end of the trail`"))
    }

    /// Checks every hash and every number; the first record that is broken.
    #[must_use]
    pub fn first_break(&self) -> Option<Break> {
        self.chains.iter().find_map(TrailChain::first_break)
    }

    /// Whether this listing goes on where an earlier one of the same boot ended: each record that both have is the same.
    ///
    /// # Errors
    /// Where it does not, or that it cannot be told because the records between them are forgotten.
    pub fn continues(&self, earlier: &Self) -> Result<(), Break> {
        for chain in &self.chains {
            let Some(old) = earlier.chains.iter().find(|old| old.name == chain.name) else { continue };
            let Some(last) = old.next.checked_sub(1) else { continue };
            let (Some(then), now) = (old.hash_of(last), chain.hash_of(last)) else { continue };
            let why = match now {
                Some(now) if now == then => continue,
                Some(_) => "it was another record when the earlier listing was made",
                None if chain.next <= last => "the earlier listing has it, this one ends before it",
                None => "it is forgotten by now, so that nothing binds the two listings together",
            };
            return Err(Break { chain: chain.name.clone(), sequence: last, why: why.into() });
        }
        Ok(())
    }
}

impl TrailChain {
    fn first_break(&self) -> Option<Break> {
        let broken = |sequence, why: String| Some(Break { chain: self.name.clone(), sequence, why });
        if self.first == 0 && self.before != trail_start(&self.name) {
            return broken(0, "it does not begin as its chain does".into());
        }
        let (mut before, mut expected, mut at_ns) = (self.before, self.first, 0);
        for record in &self.records {
            if record.sequence != expected {
                return broken(expected, format!("it is missing; {} stands in its place", record.sequence));
            }
            if record.hash != trail_hash(&before, record.sequence, record.at_ns, &record.kind, &record.text) {
                return broken(expected, "its hash is not that of its predecessor, number, time, kind and text".into());
            }
            if record.at_ns < at_ns {
                return broken(expected, "it is older than its predecessor".into());
            }
            // A sequence number of the end is no record's, so there is always one more.
            (before, expected, at_ns) = (record.hash, expected.saturating_add(1), record.at_ns);
        }
        if expected == self.next { None } else { broken(expected, format!("it is missing, the end is {}", self.next)) }
    }

    /// The hash of a record, also of the one before the oldest that is kept.
    fn hash_of(&self, sequence: u64) -> Option<Digest> {
        if sequence.checked_add(1) == Some(self.first) {
            return Some(self.before);
        }
        self.records.iter().find(|record| record.sequence == sequence).map(|record| record.hash)
    }

    /// The newest hash: worth keeping elsewhere.
    #[must_use]
    pub fn newest(&self) -> &Digest {
        self.records.last().map_or(&self.before, |record| &record.hash)
    }
}

/// `events first=0 next=12 waiting=0 before=… forgotten=-`.
fn head_of(text: &str) -> Option<TrailChain> {
    let mut words = text.split(' ');
    let name = words.next().filter(|name| ["events", "denials"].contains(name))?.to_owned();
    let mut value = |key: &str| words.next()?.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    let (first, next) = (value("first")?.parse().ok()?, value("next")?.parse().ok()?);
    let (waiting, before) = (value("waiting")?.parse().ok()?, digest_of(&value("before")?)?);
    let forgotten = value("forgotten")?;
    let is_done = words.next().is_none();
    is_done.then(|| TrailChain { name, first, next, waiting, before, forgotten, records: Vec::new() })
}

/// `12 1234567 Granted text sha256=…`, after the chain's name.
fn record_of(text: &str) -> Option<TrailRecord> {
    let (rest, hash) = text.rsplit_once(" sha256=")?;
    let mut parts = rest.splitn(4, ' ');
    let (sequence, at_ns) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let kind = parts.next()?.to_owned();
    let text = unquoted(parts.next()?)?;
    Some(TrailRecord { sequence, at_ns, kind, text, hash: digest_of(hash)? })
}

fn digest_of(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// Undoes the console's quoting: `\\`, `\x0d`, `\u{202e}`.
fn unquoted(text: &str) -> Option<String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((plain, escape)) = rest.split_once('\\') {
        out += plain;
        let (digits, after) = match escape.split_at_checked(1)? {
            ("\\", after) => {
                out.push('\\');
                rest = after;
                continue;
            }
            ("x", after) => after.split_at_checked(2)?,
            ("u", after) => after.strip_prefix('{')?.split_once('}')?,
            _ => return None,
        };
        out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = after;
    }
    Some(out + rest)
}

#[cfg(test)]
mod tests {
    use super::{Digest, Trail, trail_hash, trail_start, unquoted};

    fn hex(digest: &Digest) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Records with these texts, chained; the first has the number `first`.
    fn chain(name: &str, first: u64, texts: &[&str]) -> Vec<String> {
        let mut before = trail_start(name);
        let next = first + texts.len() as u64;
        let head = format!("# chain {name} first={first} next={next} waiting=0 before={} forgotten=-", hex(&before));
        let mut lines = vec![head];
        for (sequence, text) in (first..).zip(texts) {
            let at = 10 * sequence;
            before = trail_hash(&before, sequence, at, "Granted", text);
            lines.push(format!("{name} {sequence} {at} Granted {text} sha256={}", hex(&before)));
        }
        lines
    }

    fn listing() -> Vec<String> {
        let mut lines = vec!["> audit".to_owned()];
        lines.extend(chain("events", 0, &["one", "two = 2", "three", "four"]));
        lines.extend(chain("denials", 7, &["a", "b"]));
        lines.insert(4, "  12.345 s info  httpd  a log line".to_owned());
        lines.extend(["# end of the trail".to_owned(), "> what else".to_owned()]);
        lines
    }

    fn check(lines: &[String]) -> Result<(), String> {
        Trail::parse(&lines.join("\r\n"))?.first_break().map_or(Ok(()), |broken| Err(broken.to_string()))
    }

    #[test]
    fn whole_listing_verifies_and_tells_its_newest_hashes() {
        assert_eq!(check(&listing()), Ok(()));
        let trail = Trail::parse(&listing().join("\n")).unwrap();
        assert_eq!(trail.chains[0].records.len(), 4);
        assert!(listing()[6].ends_with(&hex(trail.chains[0].newest())));
    }

    #[test]
    fn changed_byte_names_the_record_wherever_it_is() {
        let whole = listing();
        for (line, text) in whole.iter().enumerate().filter(|(_, text)| text.contains(" sha256=")) {
            let parts: Vec<&str> = text.split(' ').collect();
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                let mut lines = whole.clone();
                lines[line] = changed;
                let error = check(&lines).expect_err(&lines[line]);
                let names = error.starts_with(&format!("{} {}: ", parts[0], parts[1]))
                    || error.starts_with(&format!("line {}: ", line + 1));
                assert!(names, "{} told as {error}", lines[line]);
            }
        }
    }

    #[test]
    fn record_that_is_dropped_anywhere_is_named() {
        for (line, name) in [(2, "events 0"), (3, "events 1"), (6, "events 3"), (8, "denials 7"), (9, "denials 8")] {
            let mut lines = listing();
            lines.remove(line);
            let error = check(&lines).unwrap_err();
            assert!(error.starts_with(&format!("{name}: it is missing")), "{error}");
        }
    }

    #[test]
    fn records_that_are_swapped_are_named() {
        let mut lines = listing();
        lines.swap(3, 5);
        assert_eq!(check(&lines), Err("events 1: it is missing; 2 stands in its place".into()));
        // Also if the numbers are put right again.
        lines[3] = lines[3].replace("events 2 ", "events 1 ");
        lines[5] = lines[5].replace("events 1 ", "events 2 ");
        assert!(check(&lines).unwrap_err().starts_with("events 1: its hash"));
    }

    #[test]
    fn listing_that_is_cut_off_or_none_is_refused() {
        assert!(check(&["nothing".into()]).unwrap_err().starts_with("there is no listing"));
        let mut lines = listing();
        lines.truncate(9);
        assert!(check(&lines).unwrap_err().starts_with("its end is missing"));
        lines.truncate(7);
        lines.push("# end of the trail".into());
        assert_eq!(check(&lines), Err("line 8: a chain is missing".into()));
    }

    #[test]
    fn later_listing_continues_an_earlier_one_unless_history_was_changed() {
        let at = |first, texts: &[&str]| {
            let mut lines = chain("events", first, texts);
            lines.extend(chain("denials", 0, &[]));
            lines.push("# end of the trail".into());
            Trail::parse(&lines.join("\n")).unwrap()
        };
        let earlier = at(0, &["one", "two"]);
        assert_eq!(at(0, &["one", "two"]).continues(&earlier), Ok(()));
        assert_eq!(at(0, &["one", "two", "three"]).continues(&earlier), Ok(()));
        let other = at(0, &["one", "TWO", "three"]).continues(&earlier).unwrap_err();
        assert_eq!((other.sequence, other.why.contains("another record")), (1, true));
        assert!(at(0, &["one"]).continues(&earlier).unwrap_err().why.contains("ends before"));
        assert!(at(9, &["ten"]).continues(&earlier).unwrap_err().why.contains("forgotten"));
    }

    #[test]
    fn quoting_of_the_console_is_undone() {
        assert_eq!(unquoted(r"a\\b\x0d\u{202e}ü\\\\").as_deref(), Some("a\\b\r\u{202e}ü\\\\"));
        for text in ["\\", "\\x0", "\\q", "\\u{110000}", "\\u{12", "\\xé"] {
            assert_eq!(unquoted(text), None, "{text}");
        }
    }
}
