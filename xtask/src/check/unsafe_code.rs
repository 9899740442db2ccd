//! Where `unsafe` may stand; every crate outside this list forbids it.
use super::tree::File;
use anyhow::Result;

/// Crates whose whole text may hold `unsafe`, and why.
const CRATES: [(&str, &str); 7] = [
    ("kernel/arch-aarch64/", "registers, page tables, the object store"),
    ("libhybrid/sys/", "the system call instruction and the IPC buffer"),
    ("libhybrid/rt/", "the entry of a component, its heap and its mapped regions"),
    ("libhybrid/ring/", "memory that a peer shares"),
    ("libhybrid/drv/", "device registers and DMA memory"),
    ("libhybrid/virtio/", "the Hal that virtio-drivers asks for, and buffers that a device reads and writes"),
    ("tests/suite/", "a root task that provokes the kernel with system calls"),
];

/// Single files, or folders of a crate, that may hold `unsafe`, and why.
const FILES: [(&str, &str); 12] = [
    ("libhybrid/posix/src/target", "the entry of C programs, their memory and their handlers"),
    ("libhybrid/posix/src/lib.rs", "`deny` instead of `forbid`, for that folder"),
    ("servers/securityd/src/window.rs", "reading and writing the pages of components through a window"),
    ("servers/securityd/src/lib.rs", "`deny` instead of `forbid`, for that file"),
    ("servers/fsd/src/redox/door.rs", "`redoxfs::Disk`, a trait of unsafe functions that touch no memory"),
    ("servers/fsd/src/lib.rs", "`deny` instead of `forbid`, for that file"),
    ("libhybrid/unwind/src/lib.rs", "the end of the program, which is musl's `abort`"),
    ("tests/others/others-", "tests that others wrote become modules of these, and some hold it"),
    ("tests/bench/", "reading the instruction counter"),
    ("tests/storm-root/", "a root task that storms the kernel from sandboxes"),
    ("tests/components/stress/src/main.rs", "system calls with random registers, and faults"),
    ("tests/components/trespasser/src/main.rs", "touching foreign memory, to see that it cannot"),
];

/// Names every `unsafe` outside the lists, and every crate outside them that does not forbid it.
///
/// # Errors
/// None today; the signature is that of a check.
pub(crate) fn check(files: &[File]) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        if is_listed(&file.path, &CRATES) {
            continue;
        }
        let is_allowed = is_listed(&file.path, &FILES);
        let lines = file.text.lines().enumerate().filter(|(_, line)| !is_allowed && holds_unsafe(line));
        problems.extend(
            lines.map(|(number, _)| format!("{}:{}: `unsafe` is not allowed in this crate", file.path, number + 1)),
        );
        if is_crate_root(&file.path)
            && !is_allowed
            && !has_exemption(&file.path)
            && !file.text.contains("#![forbid(unsafe_code)]")
        {
            problems.push(format!("{}: lacks `#![forbid(unsafe_code)]`", file.path));
        }
    }
    Ok(problems)
}

fn is_listed(path: &str, list: &[(&str, &str)]) -> bool {
    list.iter().any(|(prefix, _)| path.starts_with(prefix))
}

/// Integration tests and build scripts are crates too, but need no attribute: the scan above covers their text.
fn has_exemption(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/build.rs") || path.contains("/examples/") || path.contains("/benches/")
}

fn is_crate_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs")
}

/// The keyword where it opens something, outside comments and literals.
fn holds_unsafe(line: &str) -> bool {
    // Every second piece between quotation marks is inside a literal, near enough for a line that is formatted.
    let code: Vec<&str> = line.split('"').step_by(2).collect();
    let code = code.join(" ");
    let code = code.split("//").next().unwrap_or_default();
    let opens = |at: usize| {
        let is_word_before =
            code[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_');
        let rest = code[at + KEYWORD.len()..].trim_start();
        !is_word_before
            && (rest.is_empty()
                || ["{", "(", "fn ", "impl", "trait ", "extern "].iter().any(|next| rest.starts_with(next)))
    };
    code.match_indices(KEYWORD).any(|(at, _)| opens(at))
}

const KEYWORD: &str = "unsafe";

#[cfg(test)]
mod tests {
    use super::{File, check};

    fn problems(path: &str, text: &str) -> Vec<String> {
        check(&[File { path: path.into(), text: text.into() }]).expect("it only looks at text")
    }

    #[test]
    fn unsafe_in_a_crate_of_the_list_is_allowed() {
        assert!(problems("libhybrid/sys/src/call.rs", "unsafe { svc() }").is_empty());
    }

    #[test]
    fn unsafe_elsewhere_is_named_with_its_line() {
        assert_eq!(problems("apps/shell/src/editor.rs", "\nlet x = unsafe { y() };").len(), 1);
        assert_eq!(problems("apps/shell/src/editor.rs", "unsafe impl Send for X {}").len(), 1);
    }

    #[test]
    fn unsafe_in_comments_and_lint_names_does_not_count() {
        assert!(
            problems(
                "apps/x/src/a.rs",
                "// unsafe here\n#![deny(unsafe_op_in_unsafe_fn)]\nlet word = \"an unsafe word\";"
            )
            .is_empty()
        );
    }

    #[test]
    fn crate_root_without_the_prohibition_is_named() {
        assert_eq!(problems("apps/x/src/lib.rs", "//! x\n").len(), 1);
        assert!(problems("apps/x/src/lib.rs", "//! x\n#![forbid(unsafe_code)]\n").is_empty());
    }
}
