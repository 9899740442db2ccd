//! Programs on `std` and C that keep files: what they can do, what is refused, what outlives a loss of power.
use super::std::all_said;
use super::store::number;
use crate::hardware::Hardware;
use crate::scenario::{BOOT_WITHIN, Image, SAY_WITHIN, Scenario, Stage};
use anyhow::{Context, Result, ensure};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    // Where the disk is, a scenario's own play says.
    let hardware = || Hardware { disk: Some("disk.img".into()), ..Hardware::default() };
    let files = Scenario {
        name: "files".into(),
        about: "programs on std and C make, read, lock, list and move files, one in three directories; a reader and a full quota are refused; file server and power go".into(),
        image: Image::Product("gateway-files"),
        hardware: hardware(),
        run: files,
    };
    let sqlite = Scenario {
        name: "sqlite".into(),
        about: "SQLite books in databases with either journal, whose check holds when server and power go; its own shell runs a script before and after".into(),
        image: Image::Product("gateway-files"),
        hardware: hardware(),
        run: sqlite,
    };
    vec![files, sqlite]
}

/// What is said in each life of the machine.
const LINES: [&str; 63] = [
    "I hello-files: in /desk",
    "I hello-files: lines: one, two, three",
    "I hello-files: pieces: three, One",
    "I hello-files: cut: \"One\", 3 bytes",
    "I hello-files: large: true, true",
    "I hello-files: copied: 150000 bytes, the same: true",
    "I hello-files: names: b copy large; 70 more, the last Some(\"069\")",
    "I hello-files: a file: true, false, 150000 bytes, in blocks true, another's id: true",
    "I hello-files: made in this life: true",
    "I hello-files: canonical: /desk/a/b",
    "I hello-files: removed: true",
    "I hello-files: twice: File exists (os error 17)",
    "I hello-files: missing: No such file or directory (os error 2)",
    "I hello-files: below a file: Not a directory (os error 20)",
    "I hello-files: a directory as a file: Is a directory (os error 21)",
    "I hello-files: not empty: Directory not empty (os error 39)",
    "I hello-files: into itself: Invalid argument (os error 22)",
    "I hello-files: a link: Operation not permitted (os error 1)",
    "I hello-files: read only: Bad file descriptor (os error 9)",
    "I hello-files: a long name: Filename too long (os error 36)",
    "I hello-files: together: 50 lines, in order: true, true",
    "I hello-files: apart: true",
    "I hello-files: locks: refused while another has it: true, had when it was closed",
    "I hello-files: waited for a lock: true, until it was free: true",
    "I hello-files: temporary: without a name, left in /tmp: 0",
    "I hello-files: all of it, and it is well",
    "I hello-files: ended with status 0",
    "I hello-stdio: in /tmp",
    "I hello-stdio: line 1234 is 01234, then at 7410 of 30000",
    "I hello-stdio: 5000 lines in order, 30008 bytes, a file: 1",
    "I hello-stdio: in the folder: ./ ../ moved , the same twice: yes",
    "I hello-stdio: to remove it: Directory not empty",
    "I hello-stdio: there is no numbers: No such file or directory",
    "I hello-stdio: it is /tmp/folder/moved",
    "I hello-stdio: mapped: x0000, the file begins with 0, beyond its end 0",
    "I hello-stdio: to share memory: No such device",
    "I hello-stdio: flock of what is locked: Resource temporarily unavailable",
    "I hello-stdio: temporary; a quota of 1024 KiB",
    "I hello-stdio: beside what was granted: Permission denied",
    "I hello-stdio: another owner: Operation not permitted",
    "I hello-stdio: ended with status 0",
    "I files-reader: a new file: Read-only file system (os error 30)",
    "I files-reader: a removal: Read-only file system (os error 30)",
    "I files-reader: it may be written: false",
    "I files-reader: outside: No such file or directory (os error 2)",
    "I files-reader: ended with status 0",
    "I files-filler: ended with status 0",
    "I hello-mounts: in the root: data shown tmp",
    "I hello-mounts: to move it: Cross-device link (os error 18)",
    "I hello-mounts: to link it: Cross-device link (os error 18)",
    "I hello-mounts: copied: 6 bytes",
    "I hello-mounts: to move all: Resource busy (os error 16)",
    "I hello-mounts: shown: a text",
    "I hello-mounts: to write there: Read-only file system (os error 30)",
    "I hello-mounts: to remove there: Read-only file system (os error 30)",
    "I hello-mounts: further up: No such file or directory (os error 2)",
    "I hello-mounts: it is somebody's: Invalid argument (os error 22)",
    "I hello-mounts: two files: true, on 2 devices",
    "I hello-mounts: in /tmp: No space left on device (os error 28), nearly a mebibyte: true",
    "I hello-mounts: on the disk there is room: true",
    "I hello-mounts: all of it, and it is well",
    "I hello-mounts: ended with status 0",
    // A directory in memory is empty in each life of the machine.
    ", before it in /tmp: {}",
];

fn files(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    all_said(
        stage,
        &[
            "I hello-files: found nothing",
            "I hello-files: life 1 is kept",
            "I files-reader: a reader reads: life ",
            "I hello-mounts: life 1 is kept",
        ],
    )?;
    all_said(stage, &LINES)?;
    quota_is_its_owners(stage)?;
    watcher_survives(stage)?;
    stage.console().nothing_went_wrong("")?;
    stage.lose_power()?;
    stage.boot()?;
    let kept =
        ["I hello-files: found life 1, whole: true", "I hello-files: life 2 is kept", "I hello-mounts: life 2 is kept"];
    all_said(stage, &kept)?;
    all_said(stage, &LINES)?;
    stage.console().nothing_went_wrong("")?;
    stage.compare_grants_without(&ENDING)?;
    stage.power_off()
}

/// The power goes at any moment of a booking, and the file server dies: what was said to be kept is there, and the databases are whole.
fn sqlite(stage: &mut Stage) -> Result<()> {
    // Whom else the file server's death meets at work tells of it.
    stage.boot()?;
    shell_said(stage, 1)?;
    let mut kept = booked(stage)?;
    stage.command_beside("kill fsd", "fsd is stopped")?;
    kept = [found(stage, "journal", kept[0])?, found(stage, "log", kept[1])?];
    let mut life = 1;
    for _ in 0..2 {
        let more = booked(stage)?;
        kept = [kept[0].max(more[0]), kept[1].max(more[1])];
        stage.console().nothing_went_wrong("hello-sqlite: ")?;
        stage.lose_power()?;
        stage.boot()?;
        kept = [found(stage, "journal", kept[0])?, found(stage, "log", kept[1])?];
        life += 1;
        shell_said(stage, life)?;
    }
    booked(stage)?;
    stage.console().nothing_went_wrong("hello-sqlite: ")?;
    stage.compare_live()?;
    stage.power_off()
}

/// What SQLite's shell prints of its script, in this order, and nothing between: what the same shell prints on the host.
const SHELL: &str = "\
I tables
I dear   fruit  life 
I schema
I CREATE TABLE fruit(name text primary key, cents integer not null check (cents > 0));
I life @ of @
I 4|470|117.5
I name        cents
I ----------  -----
I melon       250  
I Jostabeere  120  
I [{\"name\":\"Jostabeere\",\"place\":3},
I {\"name\":\"apple\",\"place\":1},
I {\"name\":\"it's a pear\",\"place\":2}]
I sum 500500
W Runtime error near line 21: CHECK constraint failed: cents > 0 (19)
W Parse error near line 22: no such table: nowhere
I ok
I copied Jostabeere, melon
I differ 0
I ok
I PRAGMA foreign_keys=OFF;
I BEGIN TRANSACTION;
I CREATE TABLE fruit(name text primary key, cents integer not null check (cents > 0));
I INSERT INTO fruit VALUES('apple',40);
I INSERT INTO fruit VALUES('melon',250);
I INSERT INTO fruit VALUES('it''s a pear',60);
I INSERT INTO fruit VALUES('Jostabeere',120);
I COMMIT;
W ended with status 1";

/// The shell's whole script, in the machine's life of this number: two of its lines are wrong, so it ends with status 1.
fn shell_said(stage: &mut Stage, life: u64) -> Result<()> {
    let log =
        all_said(stage, &["securityd: sqlite-shell faulted: came to a bad end", " sqlite-shell: ended with status 1"])?;
    let own = log.lines().filter_map(|line| line.split_once(" sqlite-shell: "));
    let said: Vec<String> =
        own.map(|(head, text)| format!("{} {text}", head.chars().last().unwrap_or_default())).collect();
    let wanted = SHELL.replace('@', &life.to_string());
    let of_life = said.split_inclusive(|line| line.contains("ended with status")).next_back().unwrap_or_default();
    let trimmed = |line: &str| line.trim_end().to_string();
    let (said, wanted): (Vec<_>, Vec<_>) =
        (of_life.iter().map(|line| trimmed(line)).collect(), wanted.lines().map(trimmed).collect());
    ensure!(said == wanted, "SQLite's shell says {said:#?}");
    Ok(())
}

/// The next bookings that are said to be kept in both databases.
fn booked(stage: &mut Stage) -> Result<[u64; 2]> {
    stage.console().skip_to_end();
    Ok([number(stage, "hello-sqlite: journal kept ", "\n")?, number(stage, "hello-sqlite: log kept ", "\n")?])
}

/// The last booking of a database that a new life finds, with SQLite's own verdict.
fn found(stage: &mut Stage, name: &str, kept: u64) -> Result<u64> {
    stage.console().expect(&format!("hello-sqlite: {name} found "), BOOT_WITHIN)?;
    let text = stage.console().expect("\n", SAY_WITHIN)?;
    ensure!(text.contains(": ok"), "{name}: {text}");
    let number: u64 = text.split(':').next().unwrap_or_default().trim().parse().with_context(|| text.clone())?;
    ensure!(number >= kept, "{name}: {kept} was kept, and {number} is there");
    Ok(number)
}

/// Who ends by itself; the watcher does not.
const ENDING: [&str; 6] =
    ["hello-files", "hello-stdio", "files-reader", "files-filler", "sqlite-shell", "hello-mounts"];

/// Who fills its own quota has no room, and others have theirs.
fn quota_is_its_owners(stage: &mut Stage) -> Result<()> {
    all_said(
        stage,
        &[
            "I files-filler: full: No space left on device (os error 28); nearly a mebibyte: true",
            "I files-filler: the file is gone, and still counts while it is open: No space left on device (os error 28)",
            "I files-filler: there is room again",
            "I files-filler: full for ever",
        ],
    )?;
    stage.console().skip_to_end();
    stage.console().expect("files-watcher: wrote ", SAY_WITHIN).context("another component has no room any more")?;
    Ok(())
}

/// The file server dies: an open file is lost with an error, and can be opened again.
fn watcher_survives(stage: &mut Stage) -> Result<()> {
    stage.command("kill fsd", "fsd is stopped")?;
    all_said(
        stage,
        &[
            "I files-watcher: the open file: I/O error (os error 5)",
            "I files-watcher: opened again: still here; the old one: I/O error (os error 5)",
        ],
    )?;
    Ok(())
}
