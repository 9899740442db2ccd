//! What the campaign of losses of power has files go through, step by step; takes no step itself.

/// One operation of the file server, or something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A directory that is not there.
    MakeDirectory(String),
    /// A file that is not there.
    Create(String),
    /// At a file's end.
    Append(String, Vec<u8>),
    /// In place, from this offset on.
    WriteAt(String, u64, Vec<u8>),
    /// From a name to another, whose file it replaces.
    Rename(String, String),
    /// A file.
    Remove(String),
    /// All of it is to survive from here on.
    Sync,
    /// It does: this number is said.
    Kept(u64),
}

/// Bytes that differ from their neighbours and from round to round.
fn pattern(seed: u64, len: u64) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((seed * 31 + at * 7 + at / 251) % 253).unwrap_or(0)).collect()
}

/// Round `number`: a log that grows, a file that is written in place, files that are replaced, one that goes.
#[must_use]
pub fn round(number: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    if number == 1 {
        steps.extend([Step::Create("log".into()), Step::Create("page".into()), Step::Sync]);
    }
    steps.push(Step::Append("log".into(), format!("round {number:06} {:080}\n", number * 7919).into_bytes()));
    steps.push(Step::WriteAt("page".into(), number * 7919 % 20_000, pattern(number, 3000)));
    steps.push(Step::Create("new".into()));
    steps.push(Step::Append("new".into(), pattern(number + 5, 1 + number * 977 % 14_000)));
    if number.is_multiple_of(2) {
        steps.push(Step::Sync);
    }
    steps.push(Step::Rename("new".into(), format!("whole-{}", number % 4)));
    if number.is_multiple_of(5) {
        steps.push(Step::Remove(format!("whole-{}", (number + 2) % 4)));
    }
    steps.extend([Step::Sync, Step::Kept(number)]);
    steps
}

/// Files that are written once, and of which nothing may change ever after.
#[must_use]
pub fn still() -> Vec<Step> {
    let mut steps = vec![Step::MakeDirectory("deep".into())];
    for (number, len) in (1..).zip([0, 1, 100, 4000, 4096, 9000, 33_000]) {
        let path = format!("{}still-{number}", if number % 2 == 0 { "deep/" } else { "" });
        steps.push(Step::Create(path.clone()));
        if len > 0 {
            steps.push(Step::Append(path, pattern(number * 1000, len)));
        }
    }
    steps.extend([Step::Sync, Step::Kept(1)]);
    steps
}
