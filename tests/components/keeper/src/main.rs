//! Writes numbered files and verifies them, only reads, or removes what it wrote; for the scenario `store`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use libhybrid::interfaces::fs::{CHUNK_MAX, Creation, Error, FilesClient, FilesClientRings, FilesRings, TRANSFER_MAX};
use libhybrid::ipc::CallError;
use libhybrid::{EndpointCaller, Env, log, now_ns};

libhybrid::component!(run);

/// Bytes of a file: more than one transfer.
const BYTES: usize = 100_000;
/// So many files are wasted: nearly a mebibyte, which is the quota.
const WASTED: u64 = 9;
/// Every so many rounds it says how far it is.
const TELL: u64 = 5;
/// Between two tries while the files are away.
const PAUSE_NS: u64 = 100_000_000;

type Failure = CallError<Error>;

/// What is kept: under which name, under which it is written before, and what is said of it.
struct Deed {
    kept: &'static str,
    next: &'static str,
    word: &'static str,
}

const KEEP: Deed = Deed { kept: "kept", next: "next", word: "kept" };
const UPDATE: Deed = Deed { kept: "update.img", next: "a new update.img", word: "updated" };

/// The files of this component, as long as one life of the server lasts.
struct Keeper {
    files: FilesClient<EndpointCaller>,
    rings: FilesClientRings,
}

/// The content of the file of a number.
fn content(number: u64) -> Vec<u8> {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes: Vec<u8> = number.to_le_bytes().into();
    while bytes.len() < BYTES {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(BYTES);
    bytes
}

impl Keeper {
    fn new(env: Env) -> Self {
        loop {
            // What happened to the server until now is in the rings' epoch.
            env.peer_changes().for_each(drop);
            if let Ok(mut rings) = FilesRings::client(env.session("files").region()) {
                // What an answer brought that nobody took.
                let mut scratch = Vec::new();
                while let Ok(Some(_)) = rings.outgoing.pop(&mut scratch) {}
                let _nobody_waits_for_room = rings.outgoing.release();
                return Self { files: FilesClient::new(env.client("files")), rings };
            }
            let _bits = env.wait();
        }
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        let file = self.files.open_to_write(path, Creation::IfMissing, true)?.file;
        for (index, part) in (0_u64..).zip(bytes.chunks(TRANSFER_MAX)) {
            for chunk in part.chunks(CHUNK_MAX) {
                self.rings.incoming.push(chunk).map_err(|_| CallError::Domain(Error::BadTransfer))?;
            }
            let len = u32::try_from(part.len()).unwrap_or(0);
            self.files.write(file, index * TRANSFER_MAX as u64, false, len)?;
        }
        self.files.close(file)
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, Failure> {
        let file = self.files.open(path)?.file;
        let (mut bytes, mut scratch) = (Vec::new(), Vec::new());
        loop {
            let len = self.files.read(file, bytes.len() as u64, u32::try_from(TRANSFER_MAX).unwrap_or(0))?;
            if len == 0 {
                break;
            }
            while let Ok(Some(chunk)) = self.rings.outgoing.pop(&mut scratch) {
                bytes.extend_from_slice(chunk);
            }
            let _nobody_waits_for_room = self.rings.outgoing.release();
        }
        self.files.close(file)?;
        Ok(bytes)
    }

    /// The number that was kept last. Whatever died, the file is one of whole content, not older than what was said to be kept.
    fn verify(&mut self, path: &str) -> Result<u64, Failure> {
        let bytes = match self.read(path) {
            Err(CallError::Domain(Error::NotFound)) => return Ok(0),
            bytes => bytes?,
        };
        let number = bytes.first_chunk().map_or(0, |number| u64::from_le_bytes(*number));
        if bytes == content(number) {
            Ok(number)
        } else {
            log::error!("WENT WRONG: the file of {number} is not what was written, {} bytes", bytes.len());
            Err(CallError::Domain(Error::Broken))
        }
    }

    /// Keeps the next number: a new file takes the place of the old one in one step.
    fn keep(&mut self, deed: &Deed, number: u64) -> Result<(), Failure> {
        self.write(deed.next, &content(number))?;
        self.files.rename(deed.next, deed.kept)?;
        self.files.sync()
    }
}

/// Keeps one number after the other until the server dies.
fn keep(keeper: &mut Keeper, deed: &Deed, said: &mut u64) -> Result<(), Failure> {
    let (found, word) = (keeper.verify(deed.kept)?, deed.word);
    if found < *said {
        log::error!("WENT WRONG: {said} was said to be {word}, and {found} is there");
    }
    log::info!("found {found} {word} and whole");
    for number in found + 1.. {
        keeper.keep(deed, number)?;
        *said = number;
        if number % TELL == 0 && keeper.verify(deed.kept)? == number {
            log::info!("{word} {number}");
        }
    }
    Ok(())
}

/// Keeps one number after the other on the boot partition, beside the image that the host has put there.
fn update(keeper: &mut Keeper, said: &mut u64) -> Result<(), Failure> {
    let file = keeper.files.open("image")?.file;
    let head = keeper.files.get(file, 0, 64)?;
    keeper.files.close(file)?;
    // Linux's boot format, which the kernel has: Documentation/arch/arm64/booting.rst.
    if head.get(56..60) == Some(b"ARM\x64") {
        log::info!("the image on the boot partition is the kernel's");
    } else {
        log::error!("WENT WRONG: the image begins with {head:?}");
    }
    keep(keeper, &UPDATE, said)
}

/// Reads what there is, and tries what a reader may not.
fn read(keeper: &mut Keeper) -> Result<(), Failure> {
    let refusals = [
        keeper.files.open_to_write("mine", Creation::IfMissing, false).map(|_| ()).err(),
        keeper.files.remove_file("kept").err(),
        keeper.files.make_directory("mine").err(),
        keeper.files.rename("kept", "mine").err(),
    ];
    let is_refused = refusals.iter().all(|refusal| matches!(refusal, Some(CallError::Denied)));
    let outside = keeper.files.open("../../keeper/kept").map(|_| ()).err();
    let is_inside = outside == Some(CallError::Domain(Error::BadPath));
    let is_away = matches!(outside, Some(CallError::ServerDied));
    if is_away || (is_refused && is_inside) {
        log::info!("a reader may read and no more");
    } else {
        log::error!("WENT WRONG: {refusals:?} {outside:?}");
    }
    let number = keeper.verify(KEEP.kept)?;
    log::info!("read {number}");
    Ok(())
}

/// Reads the system partition's files, and tries to change them although the route would let it.
fn look(keeper: &mut Keeper) -> Result<(), Failure> {
    let release = keeper.read("release")?;
    let partitions = keeper.read("etc/partitions")?;
    let refusals = [
        keeper.files.open_to_write("mine", Creation::IfMissing, false).map(|_| ()).err(),
        keeper.files.open_to_write("release", Creation::Never, true).map(|_| ()).err(),
        keeper.files.remove_file("release").err(),
        keeper.files.rename("release", "etc/release").err(),
    ];
    let is_away = refusals.iter().any(|refusal| matches!(refusal, Some(CallError::ServerDied)));
    let is_refused = refusals.iter().all(|refusal| *refusal == Some(CallError::Domain(Error::NotWritable)));
    let is_there = release.starts_with(b"HybridOS ") && partitions.starts_with(b"boot-a ");
    if is_away || (is_refused && is_there && keeper.read("release")? == release) {
        log::info!("the system's files can be read and not changed");
    } else {
        log::error!("WENT WRONG: {refusals:?}, {} and {} bytes", release.len(), partitions.len());
    }
    Ok(())
}

/// Makes files that are of no use, which the component's next life removes.
fn waste(keeper: &mut Keeper, is_first_life: bool) -> Result<(), Failure> {
    for number in 0..WASTED {
        let path = alloc::format!("waste {number}");
        if is_first_life {
            keeper.write(&path, &content(number))?;
        } else {
            match keeper.files.remove_file(&path) {
                Err(CallError::Domain(Error::NotFound)) => {}
                removed => removed?,
            }
        }
    }
    keeper.files.sync()?;
    log::info!("wasted {} files", if is_first_life { WASTED } else { 0 });
    Ok(())
}

fn run(env: Env) -> ! {
    let mut said = 0;
    let mut keeper = Keeper::new(env);
    loop {
        let done = match env.parameter("deed") {
            Some("keep") => keep(&mut keeper, &KEEP, &mut said),
            Some("update") => update(&mut keeper, &mut said),
            Some("look") => look(&mut keeper),
            Some("waste") => waste(&mut keeper, env.start().generation == 1),
            _ => read(&mut keeper),
        };
        match done {
            Ok(()) => {
                let _bits = env.wait();
                if env.peer_changes().filter(|change| change.of_use("files").is_some()).count() > 0 {
                    keeper = Keeper::new(env);
                }
            }
            Err(error) => {
                log::warn!("the files are away: {error:?}");
                // There is no alarm here; what it costs is its own time.
                let until = now_ns() + PAUSE_NS;
                while now_ns() < until {
                    core::hint::spin_loop();
                }
                // In another life of the server the rings are others.
                if env.peer_changes().filter(|change| change.of_use("files").is_some()).count() > 0 {
                    keeper = Keeper::new(env);
                }
            }
        }
    }
}
