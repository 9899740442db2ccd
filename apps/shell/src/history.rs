//! The command `history`: the last lines of the kept log, from the disk; keeps nothing.
use crate::job::{Clients, Job, Step, Wires, because, line};
use crate::quote::quoted;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use hybrid_interfaces::fs::{Error, FilesClient, INLINE_MAX};
use hybrid_ipc::{CallError, Caller};

/// What the files are called (`servers/historyd`), in the order of their lines.
const NAMES: [&str; 2] = ["before", "now"];
/// Bytes of one look; a line that is longer is broken.
const PIECE: u64 = INLINE_MAX as u64;

/// The bytes of each, together one text. Nothing stays open between two steps, so that whoever interrupts leaves nothing behind.
#[derive(Debug, Clone, Copy)]
pub struct Kept([u64; 2]);

impl Kept {
    fn len(&self) -> u64 {
        self.0.iter().sum()
    }

    /// A piece from `at` on, at most to the end of its file.
    fn read<C: Caller>(&self, files: &mut FilesClient<C>, at: u64) -> Result<Vec<u8>, CallError<Error>> {
        let mut at = at;
        for (name, bytes) in NAMES.iter().zip(self.0) {
            if at < bytes {
                let file = files.open(name)?.file;
                let len = u16::try_from(PIECE.min(bytes - at)).unwrap_or(0);
                let data = files.get(file, at, len).map(|data| data.to_vec());
                files.close(file)?;
                return data;
            }
            at -= bytes;
        }
        Ok(Vec::new())
    }
}

/// Looks what there is, to print its last `kib` KiB.
///
/// # Errors
/// As a text for the person at the console.
pub fn open<W: Wires>(clients: &mut Clients<W>, kib: u16) -> Result<Step<W>, String> {
    let mut kept = Kept([0; 2]);
    for (bytes, name) in kept.0.iter_mut().zip(NAMES) {
        *bytes = match clients.kept.find(name) {
            Ok(status) => status.size,
            Err(CallError::Domain(Error::NotFound)) => 0,
            Err(CallError::Domain(Error::NoMedium)) => return Err("there is no disk: the log is not kept".to_string()),
            Err(error) => return Err(because("the kept log")(error)),
        };
    }
    let first = kept.len().saturating_sub(u64::from(kib) << 10);
    Ok(Step::More(Job::History(kept, first, first > 0)))
}

/// Prints the lines of a piece from `at` on; not the first one if it `is_part` of one.
///
/// # Errors
/// As [`open`].
pub fn piece<W: Wires>(
    clients: &mut Clients<W>,
    kept: Kept,
    at: u64,
    is_part: bool,
    out: &mut String,
) -> Result<Step<W>, String> {
    let data = kept.read(&mut clients.kept, at).map_err(because("the kept log"))?;
    if data.is_empty() {
        return Ok(Step::Done);
    }
    // Whole lines, or else all of what can be no line.
    let whole = data.iter().rposition(|byte| *byte == b'\n').map_or(data.len(), |last| last + 1);
    let text = String::from_utf8_lossy(data.get(..whole).unwrap_or_default());
    text.lines().skip(usize::from(is_part)).for_each(|text| line(out, &quoted(text)));
    Ok(Step::More(Job::History(kept, at + whole as u64, false)))
}
