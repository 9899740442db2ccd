//! The personality as an object that programs are linked with, in two forms; the programs are `std_tier`'s.
use crate::cargo::{self, DEVICE_PROFILE, Toolchain};
use crate::product::Component;
use crate::progress::Step;
use crate::std_tier::object;
use anyhow::Result;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

/// The package of the personality. Its whole form is built with the components without musl.
pub(crate) const PERSONALITY: &str = "hybrid-posix";

/// The profile of its small form.
const SMALL: &str = "small";

/// What programs see of the personality; everything else in it is its own, and cannot meet names of theirs.
const DOORS: [&str; 8] = [
    "hybrid_start",
    "hybrid_syscall",
    "__clone",
    "__unmapself",
    "_Unwind_Backtrace",
    "_Unwind_GetIP",
    "_Unwind_GetCFA",
    "_Unwind_FindEnclosingFunction",
];

/// What a program can use that has to do with nobody else.
const OWN_MATTERS: [&str; 3] = ["hybrid.entropy.Random", "hybrid.log.Sink", "hybrid.time.Alarm"];

/// Which personality a program gets (decision 0155).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// All of it, built for speed.
    Whole,
    /// Without what has to do with others, built for size.
    Small,
}

impl Form {
    /// By the interfaces that a component uses, and whether it provides any.
    pub(crate) fn of(uses: &[&str], provides: bool) -> Self {
        let is_alone = !provides && uses.iter().all(|interface| OWN_MATTERS.contains(interface));
        if is_alone { Self::Small } else { Self::Whole }
    }

    /// What cargo built.
    fn archive(self) -> PathBuf {
        let profile = match self {
            Self::Whole => DEVICE_PROFILE,
            Self::Small => SMALL,
        };
        cargo::device_file(profile, "libhybrid_posix.a")
    }

    /// Without floating point and without tables for unwinding. What it says to an unwinder's callers holds where there is none.
    fn object(self) -> Result<PathBuf> {
        let stubs = DOORS.iter().filter(|door| door.starts_with("_Unwind_"));
        let mut copy: Vec<String> = stubs.map(|stub| format!("--weaken-symbol={stub}")).collect();
        copy.push("--remove-section=.eh_frame".into());
        object(&self.archive(), "personality", &DOORS, &["--gc-sections"], &copy)
    }
}

/// Compiles the small form if one of these components gets it; an object for each component.
///
/// # Errors
/// It does not compile, or a tool that makes one object of it is missing.
pub(crate) fn objects(toolchain: &Toolchain, image: &str, components: &[&Component]) -> Result<Vec<PathBuf>> {
    if components.iter().any(|component| component.form == Form::Small) {
        let step = Step::start(format!("build {image}: the personality of programs by themselves"));
        let mut command = toolchain.archive(SMALL);
        command.args(["--package", PERSONALITY, "--no-default-features"]);
        step.command("build-personality", &mut command)?;
        step.done();
    }
    // Each form's archive is read once.
    let mut made: BTreeMap<Form, PathBuf> = BTreeMap::new();
    let object = |component: &&Component| match made.entry(component.form) {
        Entry::Occupied(place) => Ok(place.get().clone()),
        Entry::Vacant(place) => Ok(place.insert(component.form.object()?).clone()),
    };
    components.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_to_do_with_nobody_gets_the_small_form() {
        assert_eq!(Form::of(&["hybrid.log.Sink", "hybrid.time.Alarm"], false), Form::Small);
        assert_eq!(Form::of(&[], false), Form::Small);
        assert_eq!(Form::of(&["hybrid.log.Sink", "hybrid.fs.Files"], false), Form::Whole);
        // One that is not known may be one that the personality asks for.
        assert_eq!(Form::of(&["hybrid.new.Thing"], false), Form::Whole);
        assert_eq!(Form::of(&["hybrid.log.Sink"], true), Form::Whole);
    }
}
