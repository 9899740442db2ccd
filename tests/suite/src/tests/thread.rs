//! Registers, TLS, FP, exclusive monitor (conformance 129 to 136).

use core::sync::atomic::{AtomicU64, Ordering};

use hybrid_sys::abi::register::Register;
use hybrid_sys::{CNode, CNodeData, CPtr, Error, Registers, Resume, Suspend, TcbSpace};

use super::tests;
use crate::suite::Test;
use crate::world::{FREE_ADDRESS, Outcome, Plan, SELF, SPACE, World};

pub(super) const TESTS: &[Test] = tests![
    c093_resume_of_oneself_does_nothing,
    c094_suspend_stops_and_resume_continues,
    c129_configure_without_cspace_fails,
    c130_all_written_registers_arrive,
    c131_exclusive_monitor_does_not_survive_a_call,
    c132_tls_register_is_per_thread,
    c133_float_state_is_per_thread,
    c134_flags_are_returned,
    c135_disabled_float_faults_and_comes_back,
    c136_domain_calls_answer,
    float_state_of_a_new_thread_is_zero,
];

fn c093_resume_of_oneself_does_nothing(_: &World) -> Outcome {
    Ok(SELF.resume()?)
}

static COUNTER: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: u64) {
    loop {
        COUNTER.fetch_add(1, Ordering::Relaxed);
    }
}

fn advances(world: &World) -> bool {
    let before = COUNTER.load(Ordering::Relaxed);
    let end = hybrid_sys::count_virtual() + hybrid_sys::count_per_second() / 50;
    while hybrid_sys::count_virtual() < end {
        hybrid_sys::yield_now();
    }
    let _ = world;
    COUNTER.load(Ordering::Relaxed) != before
}

fn c094_suspend_stops_and_resume_continues(world: &World) -> Outcome {
    let thread = world.start(&Plan::new(count, 0, 254))?;
    // Same priority as the counting thread: it runs when this one yields.
    SELF.set_priority(SELF, 254)?;
    let runs = advances(world);
    thread.tcb.suspend()?;
    let still_runs = advances(world);
    thread.tcb.resume()?;
    let runs_again = advances(world);
    thread.tcb.suspend()?;
    SELF.set_priority(SELF, 255)?;
    check!(runs && !still_runs && runs_again);
    Ok(())
}

fn c129_configure_without_cspace_fails(world: &World) -> Outcome {
    let tcb = hybrid_sys::Tcb::at(world.make(hybrid_sys::ObjectType::Tcb, 0)?);
    let space = TcbSpace { cspace: CNode::at(0), cspace_data: CNodeData(0), vspace: SPACE, buffer: None };
    check!(tcb.configure(&space) == Err(Error::IllegalOperation));
    check!(tcb.set_space(CPtr::NULL, CNode::at(0), CNodeData(0), SPACE) == Err(Error::IllegalOperation));
    Ok(())
}

fn c130_all_written_registers_arrive(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let thread = world.thread(&Plan { fault: endpoint.cptr(), ..Plan::new(count, 0, 254) })?;
    let page = world.frame()?;
    world.map(SPACE, page, FREE_ADDRESS, hybrid_sys::Rights::ALL, hybrid_sys::Attributes::DATA)?;
    let value = |index: u8| match index {
        28 => FREE_ADDRESS,
        _ => 0xfeed_0000_0000_0000 | u64::from(index),
    };
    let mut registers = Registers::default()
        .with(Register::Pc, probe_all_registers as *const () as u64)
        .with(Register::Sp, 0x1234_5678_9abc_def0)
        .with(Register::Spsr, !0)
        .with(Register::Tpidr, 0x7777);
    for index in 0..=30 {
        registers = registers.with(Register::X(index), value(index));
    }
    thread.tcb.write_registers(Resume::After, &registers)?;
    let fault = endpoint.recv(reply);
    check!(fault.info.label() == 3 && fault.registers[3] == 0xf200_0007);
    check!(fault.registers[2] & 0xf000_0000 == 0xf000_0000 && fault.registers[2] & 0x0fff_fe3f == 0);
    let word = |index: usize| {
        let place = core::ptr::with_exposed_provenance::<u64>(FREE_ADDRESS as usize + 8 * index);
        // SAFETY: the page is mapped there, and the other thread has stopped.
        unsafe { place.read_volatile() }
    };
    for index in 0..=30u8 {
        check!(word(usize::from(index)) == value(index));
    }
    check!(word(31) == 0x1234_5678_9abc_def0 && word(32) == 0xf000_0000 && word(33) == 0x7777);
    let read = thread.tcb.read_registers(Suspend::No, 36)?;
    check!(read.read(Register::Tpidr) == 0x7777 && read.read(Register::X(17)) == value(17));
    check!(SELF.read_registers(Suspend::No, 1) == Err(Error::IllegalOperation));
    Ok(())
}

fn c131_exclusive_monitor_does_not_survive_a_call(world: &World) -> Outcome {
    let notification = world.notification()?;
    let mut word = 5u64;
    // SAFETY: `word` outlives the call; the probe keeps the C calling convention.
    let status = unsafe { probe_exclusive(&raw mut word, notification.cptr().0) };
    check!(status == 1 && word == 5);
    Ok(())
}

static TLS_SEEN: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

extern "C" fn keep_tls(index: u64) {
    write_tls(0x1000 + index);
    for _ in 0..50 {
        hybrid_sys::yield_now();
    }
    TLS_SEEN[index as usize].store(read_tls(), Ordering::Relaxed);
}

fn c132_tls_register_is_per_thread(world: &World) -> Outcome {
    write_tls(0x42);
    for index in 0..2 {
        world.start(&Plan::new(keep_tls, index, 254))?;
    }
    let_run(world, 10)?;
    let own = read_tls();
    write_tls(0);
    check!(own == 0x42);
    check!(TLS_SEEN[0].load(Ordering::Relaxed) == 0x1000 && TLS_SEEN[1].load(Ordering::Relaxed) == 0x1001);
    Ok(())
}

static FLOAT_ERRORS: AtomicU64 = AtomicU64::new(0);
static FLOAT_DONE: AtomicU64 = AtomicU64::new(0);

extern "C" fn use_float(seed: u64) {
    let mut place = 0u64;
    for round in 0..20 {
        // SAFETY: `place` outlives the call; V registers are not used by compiled code of this target.
        let wrong = unsafe { probe_float_state(seed << 32 | round << 8, 40_000, &raw mut place) };
        FLOAT_ERRORS.fetch_add(wrong, Ordering::Relaxed);
    }
    FLOAT_DONE.fetch_add(1, Ordering::Relaxed);
}

fn c133_float_state_is_per_thread(world: &World) -> Outcome {
    FLOAT_ERRORS.store(0, Ordering::Relaxed);
    FLOAT_DONE.store(0, Ordering::Relaxed);
    for seed in 1..=4 {
        world.start(&Plan { time_us: (500, 500), ..Plan::new(use_float, seed, 254) })?;
    }
    for _ in 0..200 {
        let_run(world, 10)?;
        if FLOAT_DONE.load(Ordering::Relaxed) == 4 {
            break;
        }
    }
    check!(FLOAT_DONE.load(Ordering::Relaxed) == 4 && FLOAT_ERRORS.load(Ordering::Relaxed) == 0);
    Ok(())
}

extern "C" fn look_at_float(_: u64) {
    // SAFETY: reads V registers only.
    let dirty = unsafe { probe_float_zero() };
    FLOAT_ERRORS.store(dirty, Ordering::Relaxed);
    FLOAT_DONE.store(1, Ordering::Relaxed);
}

fn float_state_of_a_new_thread_is_zero(world: &World) -> Outcome {
    FLOAT_ERRORS.store(99, Ordering::Relaxed);
    let mut place = 0u64;
    // SAFETY: `place` outlives the call; V registers are not used by compiled code of this target.
    let wrong = unsafe { probe_float_state(0x55, 10, &raw mut place) };
    world.start(&Plan::new(look_at_float, 0, 254))?;
    let_run(world, 10)?;
    check!(wrong == 0 && FLOAT_ERRORS.load(Ordering::Relaxed) == 0);
    Ok(())
}

fn c134_flags_are_returned(world: &World) -> Outcome {
    let thread = world.thread(&Plan::new(count, 0, 254))?;
    check!(thread.tcb.set_flags(0, 0xff)? == 1);
    check!(thread.tcb.set_flags(1, 0)? == 0);
    Ok(())
}

extern "C" fn float_twice(_: u64) {
    // SAFETY: one FP instruction; it changes no register of the calling convention of this target.
    unsafe { probe_float() };
    FLOAT_DONE.store(2, Ordering::Relaxed);
}

fn c135_disabled_float_faults_and_comes_back(world: &World) -> Outcome {
    FLOAT_DONE.store(0, Ordering::Relaxed);
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let thread = world.thread(&Plan { fault: endpoint.cptr(), ..Plan::new(float_twice, 0, 254) })?;
    thread.tcb.disable_fpu()?;
    thread.tcb.resume()?;
    let fault = endpoint.recv(reply);
    check!(fault.info.label() == 3 && fault.registers[3] == 0x1fe0_0000);
    thread.tcb.set_flags(1, 0)?;
    reply.send(&hybrid_sys::Message::default());
    let_run(world, 10)?;
    check!(FLOAT_DONE.load(Ordering::Relaxed) == 2);
    Ok(())
}

fn c136_domain_calls_answer(world: &World) -> Outcome {
    let domain = hybrid_sys::Domain::at(11);
    domain.set(SELF, 0)?;
    check!(domain.set(SELF, 1) == Err(Error::InvalidArgument { index: 0 }));
    check!(domain.set(hybrid_sys::Tcb(world.endpoint()?.cptr()), 0) == Err(Error::InvalidArgument { index: 1 }));
    check!(hybrid_sys::Domain(SELF.cptr()).set(SELF, 0) == Err(Error::IllegalOperation));
    Ok(())
}

/// Lets threads of lower priority run for some milliseconds.
pub(super) fn let_run(world: &World, milliseconds: u64) -> Outcome {
    let _ = world;
    SELF.set_priority(SELF, 1)?;
    let end = hybrid_sys::count_virtual() + hybrid_sys::count_per_second() / 1000 * milliseconds;
    while hybrid_sys::count_virtual() < end {
        hybrid_sys::yield_now();
    }
    Ok(SELF.set_priority(SELF, 255)?)
}

fn write_tls(value: u64) {
    // SAFETY: the suite has no thread-local storage; the register is free for tests.
    unsafe { core::arch::asm!("msr tpidr_el0, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}

fn read_tls() -> u64 {
    let value;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mrs {}, tpidr_el0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

unsafe extern "C" {
    fn probe_all_registers();
    fn probe_exclusive(word: *mut u64, notification: u64) -> u64;
    fn probe_float_state(seed: u64, rounds: u64, place: *mut u64) -> u64;
    fn probe_float_zero() -> u64;
    fn probe_float();
}
