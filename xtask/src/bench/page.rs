//! docs/performance.md, of which each benchmark writes its own part; measures nothing.
use crate::folders;
use anyhow::{Context, Result, bail};

/// The parts in their order, each with its heading and how its figures came about.
const PARTS: [(&str, &str, &str); 6] = [
    (
        "one core",
        "The kernel, built for one core",
        "Written by `cargo xtask bench kernel`. QEMU's cortex-a57 with `-icount shift=0,sleep=off`; exact and repeatable: the same on every machine. *Ours* counts the instructions that retire at EL1 (PMU event 8 with \
         PMEVTYPER.U) between two readings of the counter in user code, so it begins with the first instruction after the `svc` (or the interrupted instruction) and ends with the ERET; *with stub* counts the user's instructions between \
         the readings too. Each figure is the middle one of 33 rounds after 4 that warm up. Two address spaces wherever two threads take part; passive servers and equal priorities unless the row says otherwise. *Before* are the figures of \
         `tests/bench/baseline.json`. The row `boot-to-user` is the virtual counter (1 instruction = 1 ns, 16 ns a tick) read at the start of the root task's Rust code.",
    ),
    (
        "several cores",
        "The kernel, built for up to four cores, on one emulated core",
        "Written by `cargo xtask bench kernel --smp`; counted in the same way. The column seL4 is still its one-core build; built for two cores seL4 needs 619 for 0 words and 3,020 for 10.",
    ),
    (
        "latency",
        "The longest stretches with interrupts masked",
        "Written by `cargo xtask bench latency`, a kernel with the feature `latency` under the test suite and the storm (`tests/storm-root`, which makes 256 of everything that an operation can meet, and 300 million instructions of random system calls). A stretch begins at an entry, or at a preemption point that found no interrupt pending, and ends at the next such point or at the exit; so it is what an interrupt waits at most. Counted like the figures above, plus 75 instructions that vectors.s executes before and after. If the point stops the operation, the stretch goes on to the exit, and the column *after one that stopped it* has that part: what an interrupt waits that came at the beginning. A preemption point looks after 40 units of work; the weights in the kernel's code are for 150 instructions a unit at most.",
    ),
    (
        "access",
        "Access decisions",
        "Written by `cargo xtask bench access`. The gateway with a component that asks as a protocol server does (`tests/components/asker`), under `-icount shift=0,sleep=off`: one instruction is one nanosecond of the virtual counter (16 ns a \
         tick). All instructions count: the component's, the kernel's, securityd's. A figure is a batch of 128 decisions, divided; the middle one of 65 batches. *Most* has batches into which interrupts and other components' work fell. The \
         goal is for a decision that is remembered, a call to securityd included if it takes one.",
    ),
    (
        "posix",
        "Calls of ordinary programs",
        "Written by `cargo xtask bench posix`. One C program (`tests/components/posix-bench`) as a component of the gateway, and, with a static musl, as the first process of Debian's arm64 Linux in the same emulated cortex-a53, under \
         `-icount shift=0`. Counted are all instructions that the processor retires (PMU event 8), user's and kernel's, the driver's and the host stack's. A figure is a batch of calls, divided; the middle one of nine batches, but for TCP. Both systems have the same devices and a disk with the same \
         partitions. A file in memory is one of `fsd`'s `/tmp` (by `tests/components/posix-bench-memory`) and of Linux's first file system, a tmpfs; one on the disk is one of redoxfs here and of ext4 there, each on the partition of 64 MiB; ext4 was made by \
         `mke2fs` on the host, with blocks of 4 KiB and all its tables written, and is mounted without options. What is written is random, since redoxfs packs what it writes and ext4 does not. A write without `fsync` is kept by neither when the power goes, \
         and not the whole cost: Linux's is one into its page cache, and that the kernel brings it to the disk by itself, some 30 seconds later, is in none of these rows; ours is a call to `fsd`, which joins up to 64 writes to one record of 128 KiB, and \
         as a batch is one or two times 64, each has its share of making that record (packed, with its checksums, beside the old one, in memory), but not of bringing it to the disk. The three rows with `fsync` have all of it on both sides: driver, \
         journal and both barriers; what the host's disk needs for them is waited for by an idle processor, whose few instructions count, too. A file's times are those of Linux's tick of 4 ms: \
         where a write into a file and the one before it fall into one tick, ext4 has little for its journal; so how often the host's disk lets that be is in the row of 4 KiB within a file, whose figure was between 39,000 and 112,000 in six runs. One \
         behind the end always changes the file's size, and is the one to compare by; ours costs the more the fuller the file's last record is. For the \
         rows of TCP and UDP a program on the host sends a message only when the last answer has come, or reads and writes 4 MiB, of which the first is not counted. An echo is that of the least of eight batches of 50, \
         since timers that go by while the host is slow count too; a byte is that of the middle one of parts of 256 KiB. These four rows \
         depend on the host, too: how often each side sleeps is a matter of when its packets come. Two runs of one build have been a tenth apart.",
    ),
    ("product", "The gateway product", "Written by `cargo xtask bench`."),
];

/// Replaces one part of docs/performance.md and leaves the others as they are.
///
/// # Errors
/// The page cannot be written.
pub(crate) fn write_part(name: &str, text: &str) -> Result<()> {
    let path = folders::checkout().join("docs/performance.md");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let page = with_part(&old, name, text)?;
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    println!("written to {} (part {name:?})", folders::shown(&path));
    Ok(())
}

fn begin(name: &str) -> String {
    format!("<!-- begin: {name} -->")
}

fn end(name: &str) -> String {
    format!("<!-- end: {name} -->")
}

/// The text between a part's marks.
fn part<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&begin(name))?;
    Some(rest.split_once(&end(name))?.0.trim())
}

fn with_part(page: &str, name: &str, text: &str) -> Result<String> {
    if !PARTS.iter().any(|(known, ..)| *known == name) {
        bail!("docs/performance.md has no part {name:?}");
    }
    let mut new = String::from("# What it costs\n\nWritten by `cargo xtask bench`; do not edit.\n");
    for (known, title, how) in PARTS {
        let body = if known == name { text.trim() } else { part(page, known).unwrap_or("(not measured yet)") };
        new.push_str(&format!("\n## {title}\n\n{how}\n\n{}\n\n{body}\n\n{}\n", begin(known), end(known)));
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::{part, with_part};

    #[test]
    fn with_part_changes_one_part_and_keeps_the_others() {
        let page = with_part("", "product", "fast").expect("known");
        let page = with_part(&page, "one core", "faster").expect("known");
        let page = with_part(&page, "one core", "fastest").expect("known");
        assert_eq!((part(&page, "one core"), part(&page, "product")), (Some("fastest"), Some("fast")));
        assert!(!page.contains("faster\n"));
    }

    #[test]
    fn with_part_of_an_unknown_name_is_refused() {
        assert!(with_part("", "moon", "x").is_err());
    }
}
