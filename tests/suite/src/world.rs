//! What every test starts from: fresh memory, free slots, threads, time; cleans up after each test.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hybrid_sys::abi::object;
use hybrid_sys::abi::register::Register;
use hybrid_sys::boot::Boot;
use hybrid_sys::{
    AsidPool, Attributes, CNode, CNodeData, CPtr, Endpoint, Error, Frame, Message, MessageInfo, Notification,
    ObjectType, PageTable, Platform, Registers, Reply, Resume, Rights, SchedContext, SchedControl, SchedParameters,
    Slot, Tcb, TcbSpace, Untyped, VSpace, buffer,
};

use crate::timer::Timer;

/// Why a test failed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failure {
    /// A condition that should hold does not.
    Check(&'static str, &'static str, u32),
    /// Two numbers that should be equal are not.
    Differ(&'static str, u64, u64, u32),
    /// The kernel refused what it should do.
    Kernel(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(condition, file, line) => write!(f, "{file}:{line}: {condition} does not hold"),
            Self::Differ(what, found, expected, line) => {
                write!(f, "line {line}: {what} is {found:#x}, not {expected:#x}")
            }
            Self::Kernel(error) => write!(f, "the kernel answered {error:?}"),
        }
    }
}

/// What a test gives.
pub(crate) type Outcome = Result<(), Failure>;

/// Ends the test unless the condition holds.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            return Err($crate::world::Failure::Check(stringify!($condition), file!(), line!()));
        }
    };
}

/// Ends the test unless the two numbers are equal; the report shows them.
macro_rules! check_eq {
    ($found:expr, $expected:expr) => {
        let (found, expected) = ($found, $expected);
        if found != expected {
            return Err($crate::world::Failure::Differ(stringify!($found), found, expected, line!()));
        }
    };
}

/// The root task's belongings.
pub(crate) struct World {
    /// Boot info.
    pub(crate) boot: Boot,
    /// Power and console.
    pub(crate) platform: Platform,
    /// Cores that threads can run on.
    pub(crate) cores: u64,
    memory: Untyped,
    memory_bits: u8,
    fresh: Cell<Untyped>,
    next: Cell<u64>,
    end: u64,
    timer: Cell<Option<Timer>>,
}

/// The own CNode; capability addresses are slot numbers.
pub(crate) const OWN: CNode = CNode::at(2);
/// The own thread.
pub(crate) const SELF: Tcb = Tcb::at(1);
/// The own address space.
pub(crate) const SPACE: VSpace = VSpace::at(3);
/// Pool 0 of address-space identifiers.
pub(crate) const POOL: AsidPool = AsidPool::at(6);
/// Where tests map things; every table below the first level is missing there at first.
pub(crate) const FREE_ADDRESS: u64 = 0x40_0000_0000;
/// Slots at the end of the own CNode that outlive tests.
const KEPT_SLOTS: u64 = 32;
const FRESH_BITS: u8 = 23;

/// A thread of the suite.
#[derive(Clone, Copy)]
pub(crate) struct Thread {
    /// Its capability.
    pub(crate) tcb: Tcb,
    /// Its share of time, bound unless it is passive.
    pub(crate) context: SchedContext,
}

/// What a new thread is to be.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Priority.
    pub(crate) priority: u8,
    /// Address space; the suite's own if `None`.
    pub(crate) space: Option<VSpace>,
    /// Root of its capability space; the suite's own if `None`.
    pub(crate) cspace: Option<CNode>,
    /// Fault handler.
    pub(crate) fault: CPtr,
    /// Without a scheduling context.
    pub(crate) is_passive: bool,
    /// Budget and period in µs; equal: round robin.
    pub(crate) time_us: (u64, u64),
    /// The core whose time it gets.
    pub(crate) core: u64,
}

impl Plan {
    /// An ordinary thread of the suite's own spaces.
    pub(crate) const fn at(priority: u8) -> Self {
        Self {
            priority,
            space: None,
            cspace: None,
            fault: CPtr::NULL,
            is_passive: false,
            time_us: (10_000, 10_000),
            core: 0,
        }
    }

    /// The same without time of its own.
    pub(crate) const fn passive(self) -> Self {
        Self { is_passive: true, ..self }
    }

    /// The same with this fault handler.
    pub(crate) fn with_fault(self, handler: impl Into<CPtr>) -> Self {
        Self { fault: handler.into(), ..self }
    }

    /// The same in another address space.
    pub(crate) const fn in_space(self, space: VSpace) -> Self {
        Self { space: Some(space), ..self }
    }

    /// The same with this budget and period in µs.
    pub(crate) const fn with_time(self, budget_us: u64, period_us: u64) -> Self {
        Self { time_us: (budget_us, period_us), ..self }
    }

    /// The same on this core.
    pub(crate) const fn on_core(self, core: u64) -> Self {
        Self { core, ..self }
    }
}

/// What a kernel object answered, word for word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Message info.
    pub(crate) info: u64,
    /// Message registers 0 to 3.
    pub(crate) words: [u64; 4],
}

/// Invokes `target` with exactly these words; returns the registers as they are afterwards.
pub(crate) fn ask(target: impl Into<CPtr>, label: u64, words: &[u64], caps: &[CPtr]) -> Answer {
    let mut message = Message::new(label, words);
    for (register, filler) in message.registers.iter_mut().zip(0xf0..).skip(words.len()) {
        *register = filler;
    }
    message.info = MessageInfo::new(label, 0, caps.len() as u64, words.len() as u64);
    for (index, word) in words.iter().enumerate().skip(4) {
        buffer::set_word(index, *word);
    }
    for (index, cap) in caps.iter().enumerate() {
        buffer::set_cap(index, *cap);
    }
    let reply = Endpoint(target.into()).call(&message);
    Answer { info: reply.info.0, words: reply.registers }
}

/// How long tests wait for what should be quick; the watchdog's patience is longer.
pub(crate) const WAIT_US: u64 = 40_000_000;

static CELLS: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];
static CELLS_USED: AtomicUsize = AtomicUsize::new(0);

/// A word that threads share, 0 at first; it lives until the end of the test.
pub(crate) fn cell() -> &'static Word {
    let index = CELLS_USED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: `Word` is a transparent wrapper of the atomic.
    unsafe { &*(&raw const CELLS[index]).cast::<Word>() }
}

/// A shared word with short names for what tests do.
#[repr(transparent)]
pub(crate) struct Word(AtomicU64);

impl Word {
    /// Its value.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Sets it.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }

    /// Adds to it; returns the sum.
    pub(crate) fn add(&self, value: u64) -> u64 {
        self.0.fetch_add(value, Ordering::SeqCst) + value
    }

    /// Appends a hexadecimal digit: the digits tell the order of events.
    pub(crate) fn push(&self, digit: u64) {
        // Threads of one core that do not preempt each other here, or only one at a time: no lock is needed.
        self.set(self.get() << 4 | digit);
    }
}

impl World {
    /// Takes the largest untyped for the tests.
    pub(crate) fn new(boot: Boot, platform: Platform) -> Self {
        let list = &boot.info.untyped_list[..boot.info.untyped.count() as usize];
        let best =
            list.iter().enumerate().filter(|(_, entry)| entry.is_device == 0).max_by_key(|(_, entry)| entry.size_bits);
        let (index, memory_bits) = best.map_or((0, 0), |(index, entry)| (index as u64, entry.size_bits));
        let memory = Untyped::at(boot.info.untyped.start + index);
        let empty = boot.info.empty;
        Self {
            boot,
            platform,
            cores: boot.info.sched_control.count(),
            memory,
            memory_bits,
            fresh: Cell::new(memory),
            next: Cell::new(empty.start),
            end: empty.end - KEPT_SLOTS,
            timer: Cell::new(None),
        }
    }

    /// Starts a test with 8 MiB that nobody used.
    pub(crate) fn open(&self) -> Result<(), Error> {
        self.next.set(self.boot.info.empty.start);
        CELLS_USED.store(0, Ordering::Relaxed);
        CELLS.iter().for_each(|cell| cell.store(0, Ordering::Relaxed));
        let slot = self.slot();
        self.memory.retype_into(ObjectType::Untyped, FRESH_BITS, OWN, slot)?;
        self.fresh.set(Untyped::at(slot));
        Ok(())
    }

    /// Ends a test: the thread is as it was, the memory revoked, every slot that it took empty.
    pub(crate) fn close(&self) -> Result<(), Error> {
        SELF.set_priority(SELF, 255)?;
        let _ = SELF.unbind_notification();
        if self.timer.take().is_some() {
            Timer::disarm();
        }
        OWN.own_slot(self.memory.cptr().0).revoke()?;
        for slot in self.boot.info.empty.start..self.next.get() {
            OWN.own_slot(slot).delete()?;
        }
        Ok(())
    }

    /// The test's memory.
    pub(crate) fn fresh(&self) -> Untyped {
        self.fresh.get()
    }

    /// All the memory that tests share, for those that need more than their own; and its size.
    pub(crate) fn all_memory(&self) -> (Untyped, u8) {
        (self.memory, self.memory_bits)
    }

    /// An empty slot.
    pub(crate) fn slot(&self) -> u64 {
        let slot = self.next.get();
        assert!(slot < self.end, "the suite's slots are used up");
        self.next.set(slot + 1);
        slot
    }

    /// `count` empty slots in a row.
    pub(crate) fn slots(&self, count: u64) -> u64 {
        let first = self.slot();
        (1..count).for_each(|_| _ = self.slot());
        first
    }

    /// The slot with this number.
    pub(crate) fn at(&self, slot: u64) -> Slot {
        OWN.own_slot(slot)
    }

    /// A new object.
    pub(crate) fn make(&self, kind: ObjectType, size_bits: u8) -> Result<u64, Error> {
        let slot = self.slot();
        self.fresh().retype_into(kind, size_bits, OWN, slot)?;
        Ok(slot)
    }

    /// A new endpoint.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Error> {
        self.make(ObjectType::Endpoint, 0).map(Endpoint::at)
    }

    /// A new notification.
    pub(crate) fn notification(&self) -> Result<Notification, Error> {
        self.make(ObjectType::Notification, 0).map(Notification::at)
    }

    /// A new reply object.
    pub(crate) fn reply(&self) -> Result<Reply, Error> {
        self.make(ObjectType::Reply, 0).map(Reply::at)
    }

    /// A new 4 KiB frame.
    pub(crate) fn frame(&self) -> Result<Frame, Error> {
        self.make(ObjectType::SmallPage, 0).map(Frame::at)
    }

    /// A new scheduling context on this core with this budget and period.
    pub(crate) fn context(&self, core: u64, (budget_us, period_us): (u64, u64)) -> Result<SchedContext, Error> {
        let context = SchedContext::at(self.make(ObjectType::SchedContext, 8)?);
        self.control(core).configure(context, &share(budget_us, period_us))?;
        Ok(context)
    }

    /// The right to give time of a core.
    pub(crate) fn control(&self, core: u64) -> SchedControl {
        SchedControl::at(self.boot.info.sched_control.start + core)
    }

    /// A copy of a capability with another badge and fewer rights.
    pub(crate) fn mint(&self, cap: impl Into<CPtr>, rights: Rights, badge: u64) -> Result<u64, Error> {
        let slot = self.slot();
        self.at(slot).mint_from(self.at(cap.into().0), rights, badge)?;
        Ok(slot)
    }

    /// Maps a frame, making the tables that are missing.
    pub(crate) fn map(
        &self,
        space: VSpace,
        frame: Frame,
        address: u64,
        rights: Rights,
        attributes: Attributes,
    ) -> Result<(), Error> {
        for _ in 0..4 {
            match frame.map(space, address, rights, attributes) {
                Err(Error::FailedLookup { .. }) => {
                    PageTable::at(self.make(ObjectType::PageTable, 0)?).map(space, address, Attributes::DATA)?;
                }
                other => return other,
            }
        }
        Err(Error::IllegalOperation)
    }

    /// A new address space with the suite's image in it.
    pub(crate) fn address_space(&self) -> Result<VSpace, Error> {
        let space = VSpace::at(self.make(ObjectType::VSpace, 0)?);
        POOL.assign(space)?;
        self.fill_space(space)?;
        Ok(space)
    }

    /// Maps the suite's image into a space.
    pub(crate) fn fill_space(&self, space: VSpace) -> Result<(), Error> {
        let image = self.boot.info.user_image_frames;
        // The image lies right below the IPC buffer (kernel ABI §10.3).
        let start = self.boot.info.ipc_buffer - image.count() * 4096;
        for (index, slot) in (image.start..image.end).enumerate() {
            let copy = self.slot();
            self.at(copy).copy_from(self.at(slot), Rights::ALL)?;
            self.map(space, Frame::at(copy), start + index as u64 * 4096, Rights::ALL, Attributes::CODE)?;
        }
        Ok(())
    }

    /// A thread, ready to be resumed, that runs `body` and then stops itself.
    pub(crate) fn prepare<F: Fn() + Copy + Send + 'static>(&self, plan: &Plan, body: F) -> Result<Thread, Error> {
        let space = plan.space.unwrap_or(SPACE);
        let tcb = Tcb::at(self.make(ObjectType::Tcb, 0)?);
        let context = SchedContext::at(self.make(ObjectType::SchedContext, 8)?);
        let (stack, ipc_buffer) = (self.frame()?, self.frame()?);
        // Slots are never used twice in one test, so addresses made from them are free; a page stays unmapped in between.
        let place = FREE_ADDRESS + 0x1000_0000 + tcb.cptr().0 * 0x1_0000;
        let (buffer_at, top) = (place + 0x4000, place + 0x2000);
        self.map(space, stack, place + 0x1000, Rights::ALL, Attributes::DATA)?;
        self.map(space, ipc_buffer, buffer_at, Rights::ALL, Attributes::DATA)?;
        if plan.space.is_some() {
            let copy = Frame::at(self.mint(stack, Rights::ALL, 0)?);
            self.map(SPACE, copy, place + 0x1000, Rights::ALL, Attributes::DATA)?;
        }
        let body_at = (top - size_of::<F>() as u64) & !15;
        let body_place = core::ptr::with_exposed_provenance_mut::<F>(body_at as usize);
        // SAFETY: the stack is mapped there, aligned for any closure of words, and the thread does not run yet.
        unsafe { body_place.write(body) };
        tcb.configure(&TcbSpace {
            cspace: plan.cspace.unwrap_or(OWN),
            cspace_data: CNodeData(0),
            vspace: space,
            buffer: Some((buffer_at, ipc_buffer)),
        })?;
        self.control(plan.core).configure(context, &share(plan.time_us.0, plan.time_us.1))?;
        let time = if plan.is_passive { CPtr::NULL } else { context.cptr() };
        tcb.set_sched_params(SELF, 254, plan.priority, time, plan.fault)?;
        let own = if plan.cspace.is_some() { 0 } else { tcb.cptr().0 };
        let registers = Registers::default()
            .with(Register::Pc, run_body::<F> as *const () as u64)
            .with(Register::Sp, body_at)
            .with(Register::X(0), body_at)
            .with(Register::X(1), own)
            .with(Register::TpidrRo, buffer_at);
        tcb.write_registers(Resume::No, &registers)?;
        Ok(Thread { tcb, context })
    }

    /// A thread that runs `body`.
    pub(crate) fn spawn<F: Fn() + Copy + Send + 'static>(&self, plan: &Plan, body: F) -> Result<Thread, Error> {
        let thread = self.prepare(plan, body)?;
        thread.tcb.resume()?;
        Ok(thread)
    }

    /// Lets all threads of this core above priority 1 run until they block or stop.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        SELF.set_priority(SELF, 1)?;
        SELF.set_priority(SELF, 255)
    }

    /// Whether `attempt` holds at least once in ten: for what a time slice that ends at the wrong moment can spoil.
    pub(crate) fn once_in_ten(&self, attempt: impl Fn() -> Result<bool, Error>) -> Result<bool, Error> {
        for _ in 0..10 {
            SELF.set_priority(SELF, 255)?;
            self.settle()?;
            // A new slice: this thread is alone at its priority.
            hybrid_sys::yield_now();
            if attempt()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The user-level timer of the test.
    pub(crate) fn timer(&self) -> Result<Timer, Error> {
        if let Some(timer) = self.timer.get() {
            return Ok(timer);
        }
        let timer = Timer::new(self)?;
        self.timer.set(Some(timer));
        Ok(timer)
    }

    /// Blocks this thread for some time; all others run, however greedy they are.
    pub(crate) fn sleep_us(&self, us: u64) -> Result<(), Error> {
        self.timer()?.sleep_us(us)
    }

    /// Whether a thread runs: its count grows while this thread sleeps, however often a host pauses the emulator.
    pub(crate) fn is_counting(&self, count: &Word) -> Result<bool, Error> {
        let before = count.get();
        self.wait_until(|| count.get() != before)
    }

    /// Whether a thread does not run although this thread sleeps again and again.
    pub(crate) fn stands_still(&self, count: &Word) -> Result<bool, Error> {
        let before = count.get();
        for _ in 0..10 {
            self.sleep_us(2_000)?;
        }
        Ok(count.get() == before)
    }

    /// Sleeps until `condition` holds, at most so long as a busy host may need; whether it holds.
    pub(crate) fn wait_until(&self, condition: impl Fn() -> bool) -> Result<bool, Error> {
        let end = crate::timer::now_us() + WAIT_US;
        while crate::timer::now_us() < end {
            if condition() {
                return Ok(true);
            }
            self.sleep_us(2_000)?;
        }
        Ok(condition())
    }
}

/// The parameters of a constant-bandwidth share for a context of 2^8 bytes. With the fewest refills a thread that others
/// interrupt loses part of its bandwidth (kernel ABI §5.5, a full list), which would make measured shares depend on chance.
pub(crate) const fn share(budget_us: u64, period_us: u64) -> SchedParameters {
    SchedParameters { budget_us, period_us, extra_refills: 8, badge: 0x5c, is_sporadic: false }
}

/// What each thread of the suite runs: its body, then it stops itself (by a fault if it has no capability to itself).
extern "C" fn run_body<F: Fn()>(body: *const F, own: u64) -> ! {
    // SAFETY: `prepare` wrote the closure there, on this thread's own stack page, above its stack.
    let body = unsafe { &*body };
    body();
    if own == 0 {
        hybrid_sys::breakpoint();
    }
    loop {
        let _ = Tcb::at(own).suspend();
    }
}

const _: () = assert!(object::PAGE_BITS == 12);
