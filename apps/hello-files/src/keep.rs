//! Takes the steps of `plan.rs`, and says of each round that it is kept, as soon as it is.
use crate::Outcome;
use hello_files::plan::{self, Step};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Round after round, until the power goes.
pub(crate) fn rounds() -> Outcome {
    for number in 1.. {
        plan::round(number).iter().try_for_each(take)?;
    }
    Ok(())
}

/// Once.
pub(crate) fn still() -> Outcome {
    plan::still().iter().try_for_each(take)
}

fn take(step: &Step) -> Outcome {
    let at = |path: &String| PathBuf::from("/").join(path);
    match step {
        Step::MakeDirectory(path) => fs::create_dir(at(path))?,
        Step::Create(path) => drop(OpenOptions::new().write(true).create_new(true).open(at(path))?),
        Step::Append(path, data) => OpenOptions::new().append(true).open(at(path))?.write_all(data)?,
        Step::WriteAt(path, offset, data) => {
            OpenOptions::new().write(true).open(at(path))?.write_all_at(data, *offset)?;
        }
        Step::Rename(from, to) => fs::rename(at(from), at(to))?,
        Step::Remove(path) => fs::remove_file(at(path))?,
        Step::Sync => File::open("/")?.sync_all()?,
        Step::Kept(number) => println!("kept {number}"),
    }
    Ok(())
}
