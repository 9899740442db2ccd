//! Counts the instructions of each stretch with interrupts masked; in kernels with the feature `latency` only.
//!
//! The kernel runs with interrupts masked from entry to exit. A preemption point that finds none pending begins a new stretch: one
//! that came from then on would be seen at the next point. Counted is what runs in Rust; vectors.s adds about 75 instructions.
//! QEMU counts exactly, with `-icount shift=0` (PMU event INST_RETIRED).

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use hybrid_abi::cap_tag;
use hybrid_kernel_core::latency::Request;

use crate::console::{Hex, say};
use crate::cpu;

/// Why the kernel was entered.
#[derive(Clone, Copy)]
pub(crate) enum Cause {
    /// A system call.
    Call(Request),
    /// A fault, by the exception class.
    Fault(u64),
    /// An interrupt.
    Interrupt(Option<u32>),
}

/// The longest stretch of one cause.
struct Entry {
    /// [`Cause::key`]; 0: free.
    key: AtomicU64,
    /// Instructions.
    longest: AtomicU32,
    /// How often that cause ran.
    count: AtomicU32,
    /// Whether the longest stretch began at a preemption point.
    points: AtomicU32,
    /// How much of it came after a preemption point that stopped the operation.
    rest: AtomicU32,
}

/// More causes than there are; one that finds no place replaces the shortest.
const ENTRIES: usize = 256;
/// The entries, and the stretch under way. Used under the kernel lock only; atomic to be safe, not to be shared.
static TABLE: [Entry; ENTRIES] = [const { Entry::new() }; ENTRIES];
static BEGIN: AtomicU32 = AtomicU32::new(0);
static CAUSE: AtomicU64 = AtomicU64::new(0);
static POINTS: AtomicU32 = AtomicU32::new(0);
/// Length of the stretch when its operation was stopped; 0: it was not.
static STOPPED: AtomicU32 = AtomicU32::new(0);

impl Entry {
    const fn new() -> Self {
        Self {
            key: AtomicU64::new(0),
            longest: AtomicU32::new(0),
            count: AtomicU32::new(0),
            points: AtomicU32::new(0),
            rest: AtomicU32::new(0),
        }
    }
}

impl Cause {
    /// Kind in the top byte; then call number, capability tag, and label (or class, or interrupt) in the low half.
    fn key(self) -> u64 {
        match self {
            Self::Call(request) => {
                let number = u64::from(request.number.unsigned_abs().min(0xff) as u8);
                // The labels of messages between threads are theirs.
                let is_object = request.number >= SEND_PHASE_LAST
                    && !matches!(
                        request.tag,
                        cap_tag::NULL | cap_tag::ENDPOINT | cap_tag::NOTIFICATION | cap_tag::REPLY
                    );
                let label = if is_object { request.label.min(0xffff) } else { 0 };
                1 << 56 | number << 48 | (request.tag & 0xff) << 40 | label
            }
            Self::Fault(class) => 2 << 56 | class & 0xff,
            Self::Interrupt(irq) => 3 << 56 | u64::from(irq.unwrap_or(0xffff)),
        }
    }
}

/// Starts the counter.
pub(crate) fn start() {
    cpu::set_event_type(INSTRUCTIONS_RETIRED);
    cpu::enable_counters(1);
    cpu::set_pmu_control(cpu::pmu_control() | 1);
    cpu::isb();
}

/// The kernel was entered.
pub(crate) fn enter(cause: Cause) {
    CAUSE.store(cause.key(), Relaxed);
    POINTS.store(0, Relaxed);
    STOPPED.store(0, Relaxed);
    BEGIN.store(cpu::event_count() as u32, Relaxed);
}

/// A preemption point asked whether to stop. If so, what is left of the entry belongs to the same stretch: an interrupt that came at
/// its beginning waits for all of it.
pub(crate) fn polled(must_stop: bool) {
    if must_stop {
        STOPPED.store(length(), Relaxed);
    } else {
        leave();
        POINTS.store(1, Relaxed);
        BEGIN.store(cpu::event_count() as u32, Relaxed);
    }
}

/// Instructions of the stretch so far.
fn length() -> u32 {
    (cpu::event_count() as u32).wrapping_sub(BEGIN.load(Relaxed))
}

/// The kernel is left, or waits; or a stretch ends at a preemption point.
pub(crate) fn leave() {
    let length = length();
    let key = CAUSE.load(Relaxed);
    let is_own = |entry: &&Entry| [key, 0].contains(&entry.key.load(Relaxed));
    let shortest = || TABLE.iter().min_by_key(|entry| entry.longest.load(Relaxed));
    let Some(entry) = TABLE.iter().find(is_own).or_else(shortest) else { return };
    if entry.key.swap(key, Relaxed) != key {
        entry.longest.store(0, Relaxed);
        entry.count.store(0, Relaxed);
    }
    entry.count.fetch_add(1, Relaxed);
    if entry.longest.fetch_max(length, Relaxed) < length {
        entry.points.store(POINTS.load(Relaxed), Relaxed);
        let stopped = STOPPED.load(Relaxed);
        entry.rest.store(if stopped == 0 { 0 } else { length - stopped }, Relaxed);
    }
}

/// Prints all entries: length, runs, whether it begins at a preemption point, the part after one that stopped it, and the key in
/// hexadecimal.
pub(crate) fn report() {
    for entry in TABLE.iter().filter(|entry| entry.key.load(Relaxed) != 0) {
        let number = |part: &AtomicU32| u64::from(part.load(Relaxed));
        let (longest, count) = (number(&entry.longest), number(&entry.count));
        let (points, rest) = (number(&entry.points), number(&entry.rest));
        say!("latency: ", longest, " ", count, " ", points, " ", rest, " ", Hex(entry.key.load(Relaxed)));
    }
}

/// The calls from this number up send something.
const SEND_PHASE_LAST: i64 = hybrid_abi::syscall::NB_SEND;
/// PMU event of retired instructions (ARM ARM D13.10.3).
const INSTRUCTIONS_RETIRED: u64 = 8;
