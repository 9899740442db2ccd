//! Says what a program with `std` can do with several directories: rights, a quota and files of each.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

type Outcome = Result<(), Box<dyn Error>>;

fn main() {
    if let Err(error) = run() {
        println!("WENT WRONG: {error}");
        std::process::exit(1);
    }
}

/// Its directories: on the disk, in memory, and a part of the first to look at only.
fn run() -> Outcome {
    let names: BTreeSet<String> = names("/")?;
    println!("in the root: {}", names.into_iter().collect::<Vec<_>>().join(" "));
    lives()?;
    moving()?;
    rights()?;
    apart()?;
    quotas()?;
    println!("all of it, and it is well");
    Ok(())
}

fn names(path: &str) -> std::io::Result<BTreeSet<String>> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// What an operation that must fail says.
fn refusal<T>(result: std::io::Result<T>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "WENT WRONG: it was done".into())
}

/// The disk knows of earlier lives of the machine, and memory does not.
fn lives() -> Outcome {
    let life = match fs::read_to_string("/data/life") {
        Ok(text) => text.trim().parse::<u64>()? + 1,
        Err(error) if error.kind() == ErrorKind::NotFound => 1,
        Err(error) => return Err(error.into()),
    };
    println!("life {life}, before it in /tmp: {:?}", names("/tmp")?);
    fs::write("/data/life.new", life.to_string())?;
    fs::rename("/data/life.new", "/data/life")?;
    File::open("/data")?.sync_all()?;
    println!("life {life} is kept");
    Ok(())
}

/// What is made in memory and kept on the disk: by a copy, as between any two file systems.
fn moving() -> Outcome {
    let (draft, kept) = (Path::new("/tmp/draft"), Path::new("/data/shown/text"));
    fs::create_dir_all("/data/shown")?;
    fs::write(draft, "a text")?;
    println!("to move it: {}", refusal(fs::rename(draft, kept)));
    println!("to link it: {}", refusal(fs::hard_link(draft, "/data/shown/link")));
    println!("copied: {} bytes", fs::copy(draft, kept)?);
    fs::remove_file(draft)?;
    println!("to move all: {}", refusal(fs::rename("/tmp", "/data/tmp")));
    Ok(())
}

/// The third directory is a part of the first, and not to be changed.
fn rights() -> Outcome {
    println!("shown: {}", fs::read_to_string("/shown/text")?);
    println!("to write there: {}", refusal(fs::write("/shown/text", "another")));
    println!("to remove there: {}", refusal(fs::remove_file("/shown/text")));
    println!("further up: {}", refusal(fs::metadata("/shown/../life")));
    println!("it is somebody's: {}", refusal(fs::rename("/data/shown", "/data/hidden")));
    Ok(())
}

/// The same name in each, and open at the same time: two files.
fn apart() -> Outcome {
    let paths = ["/data/same", "/tmp/same"];
    let mut files: Vec<File> = paths.iter().map(File::create).collect::<Result<_, _>>()?;
    for (file, path) in files.iter_mut().zip(paths) {
        file.write_all(path.as_bytes())?;
    }
    let is_own = |path: &&str| fs::read_to_string(path).is_ok_and(|text| text == **path);
    let devices: BTreeSet<u64> =
        files.iter().map(|file| file.metadata().map(|it| it.dev())).collect::<Result<_, _>>()?;
    println!("two files: {}, on {} devices", paths.iter().all(is_own), devices.len());
    Ok(())
}

/// Each directory has a quota of its own: the one is full, and the other has room.
fn quotas() -> Outcome {
    let mut file = File::create("/tmp/much")?;
    let block = [0x5a; 4096];
    let mut written = 0;
    let error = loop {
        match file.write_all(&block) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    println!("in /tmp: {error}, nearly a mebibyte: {}", (230..256).contains(&written));
    fs::write("/data/much", block.repeat(100))?;
    println!("on the disk there is room: {}", fs::metadata("/data/much")?.len() == 100 * 4096);
    fs::remove_file("/data/much")?;
    drop(file);
    fs::remove_file("/tmp/much")?;
    fs::write("/tmp/left", "until the power goes")?;
    Ok(())
}
