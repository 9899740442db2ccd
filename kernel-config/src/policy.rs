//! Security's texts: what is guarded, who is allowed what, what must never meet.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use crate::{Date, Problem, Source};

/// What a line of the policy is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Using an interface.
    Interface(String),
    /// Holding a device of this `compatible`.
    Device(String),
    /// DMA memory: the need's name in an allow line, empty in a guard.
    Dma(String),
    /// Passing capabilities on to clients: the provided name in an allow line, empty in a guard.
    Grant(String),
}

/// Nobody may hold `subject` without an allow line.
#[derive(Debug, Clone)]
pub struct Guard {
    /// What is guarded.
    pub subject: Subject,
    /// Why.
    pub reason: String,
}

/// An exception from a guard.
#[derive(Debug, Clone)]
pub struct Allow {
    /// In which product.
    pub product: String,
    /// To which instance.
    pub instance: String,
    /// What.
    pub subject: Subject,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Not valid after this day.
    pub expires: Date,
    /// Where it stands.
    pub file: String,
    /// Where it stands.
    pub line: usize,
}

/// Two interfaces that no instance may use together.
#[derive(Debug, Clone)]
pub struct Separate {
    /// One of them.
    pub first: String,
    /// The other.
    pub second: String,
    /// Why.
    pub reason: String,
}

/// All of `kernel-config/policy/*.toml`.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// What is guarded.
    pub guards: Vec<Guard>,
    /// The exceptions.
    pub allows: Vec<Allow>,
    /// What must not meet.
    pub separates: Vec<Separate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuardText {
    interface: Option<Spanned<String>>,
    device: Option<Spanned<String>>,
    dma: Option<Spanned<bool>>,
    grant: Option<Spanned<bool>>,
    reason: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowText {
    product: String,
    instance: Spanned<String>,
    interface: Option<String>,
    device: Option<String>,
    dma: Option<String>,
    grant: Option<String>,
    owner: Spanned<String>,
    reason: Spanned<String>,
    expires: Date,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeparateText {
    first: String,
    second: String,
    reason: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    guard: Vec<GuardText>,
    #[serde(default)]
    allow: Vec<AllowText>,
    #[serde(default)]
    separate: Vec<SeparateText>,
}

impl Policy {
    /// Reads every `kernel-config/policy/*.toml` below `root`, in the order of their names.
    ///
    /// # Errors
    /// Every problem of the texts.
    pub fn read(root: &Path) -> Result<Self, Vec<Problem>> {
        let folder = "kernel-config/policy";
        let mut names: Vec<String> = std::fs::read_dir(root.join(folder))
            .map(|entries| entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
            .unwrap_or_default();
        names.retain(|name| name.ends_with(".toml"));
        names.sort();
        let (mut policy, mut problems) = (Self::default(), Vec::new());
        for name in names {
            match Source::read(root, &format!("{folder}/{name}")) {
                Ok(source) => policy.add(&source, &mut problems),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }

    /// Adds one text; what is wrong with it goes to `problems`.
    pub fn add(&mut self, source: &Source, problems: &mut Vec<Problem>) {
        match source.parse::<Text>() {
            Ok(text) => {
                text.guard.into_iter().for_each(|guard| self.add_guard(source, guard, problems));
                text.allow.into_iter().for_each(|allow| self.add_allow(source, allow, problems));
                text.separate.into_iter().for_each(|separate| self.add_separate(source, separate, problems));
            }
            Err(problem) => problems.push(problem),
        }
    }

    fn add_guard(&mut self, source: &Source, text: GuardText, problems: &mut Vec<Problem>) {
        let is_set = |flag: Option<Spanned<bool>>| flag.is_some_and(|flag| *flag.get_ref());
        check_reason(source, &text.reason, problems);
        let span = text.reason.span();
        let candidates = [
            text.interface.map(|name| Subject::Interface(name.into_inner())),
            text.device.map(|name| Subject::Device(name.into_inner())),
            is_set(text.dma).then(|| Subject::Dma(String::new())),
            is_set(text.grant).then(|| Subject::Grant(String::new())),
        ];
        if let Some(subject) = the_one(candidates) {
            self.guards.push(Guard { subject, reason: text.reason.into_inner() });
        } else {
            problems.push(source.problem(span, "bad-value", "a guard is about exactly one thing", SUBJECTS));
        }
    }

    fn add_allow(&mut self, source: &Source, text: AllowText, problems: &mut Vec<Problem>) {
        check_reason(source, &text.reason, problems);
        check_reason(source, &text.owner, problems);
        let candidates = [
            text.interface.map(Subject::Interface),
            text.device.map(Subject::Device),
            text.dma.map(Subject::Dma),
            text.grant.map(Subject::Grant),
        ];
        let span = text.instance.span();
        let Some(subject) = the_one(candidates) else {
            problems.push(source.problem(span, "bad-value", "an allow line is about exactly one thing", SUBJECTS));
            return;
        };
        self.allows.push(Allow {
            product: text.product,
            instance: text.instance.into_inner(),
            subject,
            owner: text.owner.into_inner(),
            reason: text.reason.into_inner(),
            expires: text.expires,
            file: source.file.clone(),
            line: source.line(span.start),
        });
    }

    fn add_separate(&mut self, source: &Source, text: SeparateText, problems: &mut Vec<Problem>) {
        check_reason(source, &text.reason, problems);
        self.separates.push(Separate { first: text.first, second: text.second, reason: text.reason.into_inner() });
    }
}

const SUBJECTS: &str = "give one of interface, device, dma and grant";

fn the_one(candidates: [Option<Subject>; 4]) -> Option<Subject> {
    let mut given = candidates.into_iter().flatten();
    let first = given.next();
    if given.next().is_some() { None } else { first }
}

fn check_reason(source: &Source, text: &Spanned<String>, problems: &mut Vec<Problem>) {
    if text.get_ref().trim().is_empty() {
        problems.push(source.problem(
            text.span(),
            "missing-reason",
            "an empty text explains nothing",
            "say who and why in a few words",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::{Policy, Subject};
    use crate::Source;

    fn read(text: &str) -> (Policy, Vec<&'static str>) {
        let (mut policy, mut problems) = (Policy::default(), Vec::new());
        policy.add(&Source { file: "p.toml".into(), text: text.into() }, &mut problems);
        (policy, problems.into_iter().map(|problem| problem.rule).collect())
    }

    #[test]
    fn policy_lines_of_each_kind_are_read() {
        let (policy, problems) = read(
            "[[guard]]\ndma = true\nreason = \"r\"\n[[allow]]\nproduct = \"p\"\ninstance = \"i\"\ndma = \"b\"\nowner = \"o\"\nreason = \"r\"\nexpires = \"2030-01-01\"\n[[separate]]\nfirst = \"a\"\nsecond = \"b\"\nreason = \"r\"\n",
        );
        assert_eq!(problems, Vec::<&str>::new());
        assert_eq!(policy.guards[0].subject, Subject::Dma(String::new()));
        assert_eq!((policy.allows[0].subject.clone(), policy.allows[0].line), (Subject::Dma("b".into()), 6));
        assert_eq!(policy.separates.len(), 1);
    }

    #[test]
    fn policy_with_a_mistake_is_refused() {
        assert_eq!(read("[[guard]]\nreason = \"r\"\n").1, ["bad-value"]);
        assert_eq!(read("[[guard]]\ndma = true\ngrant = true\nreason = \"r\"\n").1, ["bad-value"]);
        assert_eq!(read("[[guard]]\ndma = true\nreason = \" \"\n").1, ["missing-reason"]);
        assert_eq!(read("[[guard]]\ndma = true\nreason = \"r\"\nwhy = \"\"\n").1, ["unknown-key"]);
        assert_eq!(read("[[allow]]\nproduct = \"p\"\ninstance = \"i\"\nowner = \"o\"\nreason = \"r\"\nexpires = \"2030-01-01\"\n").1, ["bad-value"]);
        assert_eq!(read("[[allow]]\nproduct = \"p\"\ninstance = \"i\"\ndma = \"b\"\nowner = \"o\"\nreason = \"r\"\nexpires = \"soon\"\n").1, ["bad-value"]);
    }
}
