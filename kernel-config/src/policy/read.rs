//! The texts of `kernel-config/policy`, read with every problem told; they are applied elsewhere.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::{Allow, Except, Forbidden, Guard, Holder, Never, Policy, Subject};
use crate::{Date, Problem, Source};

impl Holder {
    /// `"interface:hybrid.net.stack.Tcp"`; also device, key, class and instance.
    fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        let name = Some(name.trim()).filter(|name| !name.is_empty())?.to_owned();
        match kind {
            "interface" => Some(Self::Interface(name)),
            "device" => Some(Self::Device(name)),
            "key" => Some(Self::Key(name)),
            "class" => Some(Self::Class(name)),
            "instance" => Some(Self::Instance(name)),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuardText {
    interface: Option<Spanned<String>>,
    device: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
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
    key: Option<String>,
    dma: Option<String>,
    grant: Option<String>,
    owner: Spanned<String>,
    reason: Spanned<String>,
    expires: Date,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NeverText {
    id: Spanned<String>,
    holds_both: Option<[String; 2]>,
    holder: Option<String>,
    shares_page_with: Option<String>,
    reaches_device: Option<String>,
    is_granted_by: Option<String>,
    reason: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExceptText {
    never: Spanned<String>,
    product: String,
    instance: String,
    owner: Spanned<String>,
    reason: Spanned<String>,
    expires: Date,
}

/// What is allowed in one product is allowed in another, to the instances of the same names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SameText {
    product: String,
    #[serde(rename = "as")]
    like: Spanned<String>,
    owner: Spanned<String>,
    reason: Spanned<String>,
    expires: Date,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    guard: Vec<GuardText>,
    #[serde(default)]
    allow: Vec<AllowText>,
    #[serde(default)]
    never: Vec<NeverText>,
    #[serde(default)]
    except: Vec<ExceptText>,
    #[serde(default)]
    same: Vec<SameText>,
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
        let mut same = Vec::new();
        for name in names {
            match Source::read(root, &format!("{folder}/{name}")) {
                Ok(source) => same.extend(policy.add(&source, &mut problems)),
                Err(problem) => problems.push(problem),
            }
        }
        // After all allow lines, in whatever file those stand.
        same.into_iter().for_each(|line| policy.repeat(line, &mut problems));
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }

    /// Adds one text; what is wrong with it goes to `problems`. Gives its [`Same`] lines, which come after all texts.
    #[must_use]
    pub fn add(&mut self, source: &Source, problems: &mut Vec<Problem>) -> Vec<Same> {
        match source.parse::<Text>() {
            Ok(text) => {
                text.guard.into_iter().for_each(|guard| self.add_guard(source, guard, problems));
                text.allow.into_iter().for_each(|allow| self.add_allow(source, allow, problems));
                text.never.into_iter().for_each(|never| self.add_never(source, never, problems));
                text.except.into_iter().for_each(|except| self.add_except(source, except, problems));
                text.same.into_iter().map(|same| read_same(source, same, problems)).collect()
            }
            Err(problem) => {
                problems.push(problem);
                Vec::new()
            }
        }
    }

    /// What is allowed and excepted in one product holds for another; never longer than the line that says so.
    pub fn repeat(&mut self, same: Same, problems: &mut Vec<Problem>) {
        let allows: Vec<Allow> = self.allows.iter().filter(|allow| allow.product == same.like).cloned().collect();
        let excepts: Vec<Except> = self.excepts.iter().filter(|except| except.product == same.like).cloned().collect();
        if allows.is_empty() || same.like == same.product {
            let message = format!("nothing is allowed in a product `{}` that would hold for another", same.like);
            let help = "`as` names a product with [[allow]] lines of its own".into();
            problems.push(Problem { file: same.file, line: same.line, rule: "bad-value", message, help });
            return;
        }
        self.allows.extend(allows.into_iter().map(|allow| Allow {
            product: same.product.clone(),
            expires: allow.expires.min(same.expires),
            ..allow
        }));
        self.excepts.extend(excepts.into_iter().map(|except| Except {
            product: same.product.clone(),
            expires: except.expires.min(same.expires),
            ..except
        }));
    }

    fn add_guard(&mut self, source: &Source, text: GuardText, problems: &mut Vec<Problem>) {
        let is_set = |flag: Option<Spanned<bool>>| flag.is_some_and(|flag| *flag.get_ref());
        check_reason(source, &text.reason, problems);
        let span = text.reason.span();
        let candidates = [
            text.interface.map(|name| Subject::Interface(name.into_inner())),
            text.device.map(|name| Subject::Device(name.into_inner())),
            text.key.map(|name| Subject::Key(name.into_inner())),
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
            text.key.map(Subject::Key),
            text.dma.map(Subject::Dma),
            text.grant.map(Subject::Grant),
        ];
        let span = text.instance.span();
        let Some(subject) = the_one(candidates) else {
            problems.push(source.problem(span, "bad-value", "an allow line is about exactly one thing", SUBJECTS));
            return;
        };
        let (file, line) = source.place(span.start);
        self.allows.push(Allow {
            product: text.product,
            instance: text.instance.into_inner(),
            subject,
            owner: text.owner.into_inner(),
            reason: text.reason.into_inner(),
            expires: text.expires,
            file: file.into(),
            line,
        });
    }

    fn add_never(&mut self, source: &Source, text: NeverText, problems: &mut Vec<Problem>) {
        check_reason(source, &text.reason, problems);
        check_reason(source, &text.id, problems);
        let span = text.id.span();
        let id = text.id.get_ref().clone();
        if self.nevers.iter().any(|other| other.id == id) {
            problems.push(source.problem(span, "duplicate-id", format!("the id {id} is taken"), "take a new one"));
        } else if let Some(forbidden) = forbidden(&text) {
            let (file, line) = source.place(span.start);
            self.nevers.push(Never { id, forbidden, reason: text.reason.into_inner(), file: file.into(), line });
        } else {
            problems.push(source.problem(span, "bad-value", "a never rule says exactly one thing", NEVERS));
        }
    }

    fn add_except(&mut self, source: &Source, text: ExceptText, problems: &mut Vec<Problem>) {
        check_reason(source, &text.reason, problems);
        check_reason(source, &text.owner, problems);
        let (file, line) = source.place(text.never.span().start);
        self.excepts.push(Except {
            never: text.never.into_inner(),
            product: text.product,
            instance: text.instance,
            owner: text.owner.into_inner(),
            reason: text.reason.into_inner(),
            expires: text.expires,
            file: file.into(),
            line,
        });
    }
}

/// What is allowed in the product `like` is allowed in `product` too, to the instances of the same names.
#[derive(Debug, Clone)]
pub struct Same {
    product: String,
    like: String,
    expires: Date,
    file: String,
    line: usize,
}

fn read_same(source: &Source, text: SameText, problems: &mut Vec<Problem>) -> Same {
    check_reason(source, &text.reason, problems);
    check_reason(source, &text.owner, problems);
    let (file, line) = source.place(text.like.span().start);
    Same { product: text.product, like: text.like.into_inner(), expires: text.expires, file: file.into(), line }
}

const NEVERS: &str = "give `holds_both = [A, B]`, or `holder = A` with one of shares_page_with, reaches_device and is_granted_by; A is \
                      \"interface:…\", \"device:…\", \"key:…\", \"class:…\" or \"instance:…\"";

/// What the text forbids; `None` when it says nothing, two things, or names no holder.
fn forbidden(text: &NeverText) -> Option<Forbidden> {
    let holder = || Holder::parse(text.holder.as_deref()?);
    match (&text.holds_both, &text.shares_page_with, &text.reaches_device, &text.is_granted_by) {
        (Some([first, second]), None, None, None) if text.holder.is_none() => {
            Some(Forbidden::Both(Holder::parse(first)?, Holder::parse(second)?))
        }
        (None, Some(other), None, None) => Some(Forbidden::SharesPage(holder()?, Holder::parse(other)?)),
        (None, None, Some(device), None) => Some(Forbidden::ReachesDevice(holder()?, device.clone())),
        (None, None, None, Some(server)) => Some(Forbidden::Granted(holder()?, Holder::parse(server)?)),
        _ => None,
    }
}

const SUBJECTS: &str = "give one of interface, device, key, dma and grant";

fn the_one(candidates: [Option<Subject>; 5]) -> Option<Subject> {
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
    use crate::{Forbidden, Holder, Policy, Source, Subject};

    fn read(text: &str) -> (Policy, Vec<&'static str>) {
        let (mut policy, mut problems) = (Policy::default(), Vec::new());
        let same = policy.add(&Source::new("p.toml", text), &mut problems);
        same.into_iter().for_each(|line| policy.repeat(line, &mut problems));
        (policy, problems.into_iter().map(|problem| problem.rule).collect())
    }

    #[test]
    fn policy_lines_of_each_kind_are_read() {
        let (policy, problems) = read(
            "[[guard]]\ndma = true\nreason = \"r\"\n[[allow]]\nproduct = \"p\"\ninstance = \"i\"\ndma = \"b\"\nowner = \"o\"\nreason = \"r\"\nexpires = \"2030-01-01\"\n[[never]]\nid = \"N1\"\nholds_both = [\"key:a\", \"class:app\"]\nreason = \"r\"\n[[except]]\nnever = \"N1\"\nproduct = \"p\"\ninstance = \"i\"\nowner = \"o\"\nreason = \"r\"\nexpires = \"2030-01-01\"\n",
        );
        assert_eq!(problems, Vec::<&str>::new());
        assert_eq!(policy.guards[0].subject, Subject::Dma(String::new()));
        assert_eq!((policy.allows[0].subject.clone(), policy.allows[0].line), (Subject::Dma("b".into()), 6));
        let both = Forbidden::Both(Holder::Key("a".into()), Holder::Class("app".into()));
        assert_eq!((&policy.nevers[0].forbidden, policy.nevers[0].line), (&both, 12));
        assert_eq!(policy.excepts[0].never, "N1");
    }

    #[test]
    fn product_is_allowed_what_another_is_and_no_longer() {
        let allow = "[[allow]]\nproduct = \"p\"\ninstance = \"i\"\ndma = \"b\"\nowner = \"o\"\nreason = \"r\"\nexpires = \"2030-01-01\"\n";
        let same = |product: &str, like: &str, day: &str| {
            format!(
                "[[same]]\nproduct = \"{product}\"\nas = \"{like}\"\nowner = \"o\"\nreason = \"r\"\nexpires = \"{day}\"\n"
            )
        };
        for (day, until) in [("2029-01-01", "2029-01-01"), ("2031-01-01", "2030-01-01")] {
            // Before or behind the lines that it is about.
            for text in [format!("{}{allow}", same("q", "p", day)), format!("{allow}{}", same("q", "p", day))] {
                let (policy, problems) = read(&text);
                assert_eq!(problems, Vec::<&str>::new());
                let lines: Vec<(&str, String)> =
                    policy.allows.iter().map(|allow| (&*allow.product, allow.expires.to_string())).collect();
                assert_eq!(lines, [("p", "2030-01-01".into()), ("q", until.into())]);
            }
        }
        assert_eq!(read(&format!("{allow}{}", same("p", "p", "2031-01-01"))).1, ["bad-value"], "of itself");
        assert_eq!(read(&format!("{allow}{}", same("q", "r", "2031-01-01"))).1, ["bad-value"], "of nobody");
    }

    #[test]
    fn never_rule_says_exactly_one_thing() {
        let never = |body: &str| read(&format!("[[never]]\nid = \"N\"\nreason = \"r\"\n{body}\n")).1;
        for good in ["shares_page_with = \"device:d\"", "reaches_device = \"d\"", "is_granted_by = \"instance:i\""] {
            assert_eq!(never(&format!("holder = \"interface:x\"\n{good}")), Vec::<&str>::new(), "{good}");
            assert_eq!(never(good), ["bad-value"]);
            assert_eq!(never(&format!("holder = \"x\"\n{good}")), ["bad-value"]);
        }
        assert_eq!(never(""), ["bad-value"]);
        assert_eq!(never("holder = \"key:k\"\nreaches_device = \"d\"\nis_granted_by = \"key:k\""), ["bad-value"]);
        let twice = "[[never]]\nid = \"N\"\nholds_both = [\"key:a\", \"key:b\"]\nreason = \"r\"\n";
        assert_eq!(read(&format!("{twice}{twice}")).1, ["duplicate-id"]);
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
