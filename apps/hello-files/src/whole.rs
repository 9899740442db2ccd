//! Everything that `std::fs` has, on a directory that may be written; and what an earlier life left there.
use crate::{Outcome, refusal};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Lines of each thread.
const LINES: u32 = 25;
/// Bytes of the large file: more than one transfer.
const LARGE: usize = 150_000;
const DESK: &str = "/desk";

pub(crate) fn run() -> Outcome {
    kept()?;
    match fs::remove_dir_all(DESK) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::create_dir_all("/desk/a/b")?;
    std::env::set_current_dir(DESK)?;
    println!("in {}", std::env::current_dir()?.display());
    small()?;
    large()?;
    names()?;
    refusals();
    together()?;
    locks()?;
    temporary()?;
    fs::remove_dir_all("a")?;
    println!("all of it, and it is well");
    Ok(())
}

/// The content of the kept file of a life.
fn content(life: u64) -> String {
    format!("life {life}: {}", "kept ".repeat(50 + usize::try_from(life % 50).unwrap_or(0)))
}

/// Counts lives in a file that is replaced in one step and synced, so that a loss of power leaves the one before or this one.
fn kept() -> Outcome {
    let before = match fs::read_to_string("/kept") {
        Ok(text) => {
            let number = text.strip_prefix("life ").and_then(|rest| rest.split(':').next());
            let life: u64 = number.and_then(|number| number.parse().ok()).unwrap_or(0);
            println!("found life {life}, whole: {}", text == content(life));
            life
        }
        Err(error) => {
            println!("found nothing: {error}");
            0
        }
    };
    let mut file = File::create("/kept.new")?;
    file.write_all(content(before + 1).as_bytes())?;
    file.sync_all()?;
    fs::rename("/kept.new", "/kept")?;
    File::open("/")?.sync_all()?;
    println!("life {} is kept", before + 1);
    Ok(())
}

fn small() -> Outcome {
    fs::write("note", "one\ntwo\n")?;
    OpenOptions::new().append(true).open("note")?.write_all(b"three\n")?;
    let lines: Vec<String> = BufReader::new(File::open("note")?).lines().collect::<Result<_, _>>()?;
    println!("lines: {}", lines.join(", "));
    let mut file = OpenOptions::new().read(true).write(true).open("note")?;
    file.seek(SeekFrom::Start(4))?;
    file.write_all(b"TWO")?;
    file.seek(SeekFrom::End(-6))?;
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    file.write_all_at(b"O", 0)?;
    let mut piece = [0; 3];
    file.read_exact_at(&mut piece, 0)?;
    println!("pieces: {}, {}", rest.trim(), String::from_utf8_lossy(&piece));
    file.set_len(3)?;
    println!("cut: {:?}, {} bytes", fs::read_to_string("note")?, file.metadata()?.len());
    Ok(())
}

/// Much at once goes by the rings.
fn large() -> Outcome {
    let bytes: Vec<u8> = (0..LARGE).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let mut writer = BufWriter::new(File::create("a/large")?);
    bytes.chunks(777).try_for_each(|part| writer.write_all(part))?;
    writer.flush()?;
    drop(writer);
    fs::write("a/whole", &bytes)?;
    println!("large: {}, {}", fs::read("a/large")? == bytes, fs::read("a/whole")? == bytes);
    fs::remove_file("a/whole")?;
    println!("copied: {} bytes, the same: {}", fs::copy("a/large", "a/b/copy")?, fs::read("a/b/copy")? == bytes);
    Ok(())
}

fn names() -> Outcome {
    fs::rename("a/b/copy", "a/copy")?;
    (0..70).try_for_each(|at| fs::write(format!("a/b/{at:03}"), [0; 1]))?;
    let listed = |path| -> Outcome<BTreeSet<String>> {
        let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        entries.collect::<std::io::Result<_>>().map_err(Into::into)
    };
    let few: Vec<String> = listed("a")?.into_iter().collect();
    let many = listed("a/b")?;
    println!("names: {}; {} more, the last {:?}", few.join(" "), many.len(), many.last());
    let (one, two) = (fs::metadata("a/copy")?, fs::symlink_metadata("a/large")?);
    println!(
        "a file: {}, {}, {} bytes, in blocks {}, another's id: {}",
        one.is_file(),
        one.file_type().is_dir(),
        one.len(),
        one.blocks() * 512 >= one.len(),
        one.ino() != two.ino()
    );
    println!("made in this life: {}", one.modified()?.duration_since(std::time::UNIX_EPOCH)?.as_nanos() > 0);
    println!("canonical: {}", fs::canonicalize("./a/../a/b")?.display());
    fs::remove_file("a/copy")?;
    println!("removed: {}", !Path::new("a/copy").exists());
    Ok(())
}

fn refusals() {
    println!("twice: {}", refusal(File::create_new("note")));
    println!("missing: {}", refusal(File::open("missing")));
    println!("below a file: {}", refusal(fs::write("note/x", "")));
    println!("a directory as a file: {}", refusal(fs::write("a", "")));
    println!("not empty: {}", refusal(fs::remove_dir("a")));
    println!("into itself: {}", refusal(fs::rename("a", "a/b/c")));
    println!("a link: {}", refusal(std::os::unix::fs::symlink("note", "link")));
    println!("read only: {}", refusal(File::open("note").and_then(|mut file| file.write_all(b"x"))));
    println!("a long name: {}", refusal(File::create("x".repeat(300))));
}

/// Two threads append whole lines to one file, and each has a file of its own.
fn together() -> Outcome {
    let write = |name: &'static str| -> std::io::Result<()> {
        let mut both = OpenOptions::new().append(true).create(true).open("both")?;
        let mut own = File::create(name)?;
        for number in 0..LINES {
            both.write_all(format!("{name} {number}\n").as_bytes())?;
            own.write_all(format!("{number}\n").as_bytes())?;
        }
        Ok(())
    };
    let done = std::thread::scope(|scope| {
        let threads = ["left", "right"]
            .map(|name| std::thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, move || write(name)));
        threads.map(|thread| thread.map(|thread| thread.join().map_err(|_| "a thread panicked")))
    });
    for outcome in done {
        outcome???;
    }
    let text = fs::read_to_string("both")?;
    let in_order = |name: &str| {
        let numbers = text.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
        numbers.eq(0..LINES)
    };
    println!("together: {} lines, in order: {}, {}", text.lines().count(), in_order("left "), in_order("right "));
    println!("apart: {}", fs::read_to_string("left")? == fs::read_to_string("right")?);
    Ok(())
}

fn locks() -> Outcome {
    let (one, two) = (File::open("both")?, File::open("both")?);
    one.lock_shared()?;
    two.try_lock_shared()?;
    two.unlock()?;
    one.lock()?;
    let refused = two.try_lock().is_err();
    drop(one);
    two.try_lock()?;
    println!("locks: refused while another has it: {refused}, had when it was closed");
    let one = File::open("both")?;
    let begun = Instant::now();
    let held = Duration::from_millis(20);
    let unlocked = thread::scope(|scope| {
        thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, || {
            thread::sleep(held);
            two.unlock()
        })?;
        one.lock()
    });
    println!("waited for a lock: {}, until it was free: {}", unlocked.is_ok(), begun.elapsed() >= held);
    Ok(())
}

/// As crates for temporary files do it: a name nobody knows, made by this program or not at all, and taken away at once.
fn temporary() -> Outcome {
    fs::create_dir_all("/tmp")?;
    let name = std::env::temp_dir()
        .join(format!("t{:x}", std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 1)));
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&name)?;
    fs::remove_file(&name)?;
    file.write_all(b"without a name")?;
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    println!("temporary: {text}, left in /tmp: {}", fs::read_dir("/tmp")?.count());
    Ok(())
}
