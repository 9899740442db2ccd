//! Registers, TLS, FP, exclusive monitor, domains (conformance 93, 94, 129 to 136).

use hybrid_sys::abi::register::{COPY_FRAME, COPY_INTEGER, Register};
use hybrid_sys::{
    Attributes, CNode, CNodeData, CPtr, Domain, Error, Message, ObjectType, Registers, Resume, Rights, Suspend, Tcb,
    TcbSpace, VSpace,
};

use super::tests;
use crate::probe::{self, exclusive_status, float_changes, float_dirt, peek, read_tls, touch_float, write_tls};
use crate::suite::Test;
use crate::timer::burn;
use crate::world::{FREE_ADDRESS, OWN, Outcome, Plan, SELF, SPACE, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c093_resume_of_oneself_does_nothing,
    c094_suspend_stops_at_once_and_resume_continues,
    c129_configure_without_cspace_fails,
    c130_all_written_registers_arrive,
    c131_exclusive_monitor_does_not_survive_a_call,
    c132_tls_register_is_per_thread,
    c133_float_state_is_per_thread,
    c133_float_state_of_a_new_thread_is_zero,
    c134_flags_are_returned + ["x071"],
    c135_disabled_float_faults_and_comes_back,
    c136_domain_calls_answer + ["x068"],
    s07_copied_registers_arrive,
    s07_short_register_lists_are_kept_apart + ["x070"],
    s07_thread_without_spaces_faults_at_once,
];

fn c093_resume_of_oneself_does_nothing(_: &World) -> Outcome {
    Ok(SELF.resume()?)
}

fn c094_suspend_stops_at_once_and_resume_continues(world: &World) -> Outcome {
    let count = cell();
    let thread = world.spawn(&Plan::at(100), move || {
        loop {
            count.add(1);
        }
    })?;
    let mut before = 0;
    for _ in 0..5 {
        check!(world.wait_until(|| count.get() > before)?);
        thread.tcb.suspend()?;
        let at_stop = count.get();
        world.sleep_us(3_000)?;
        check_eq!(count.get(), at_stop);
        thread.tcb.resume()?;
        check!(count.get() == at_stop);
        before = at_stop;
    }
    Ok(())
}

fn c129_configure_without_cspace_fails(world: &World) -> Outcome {
    let tcb = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    let illegal = Err(Error::IllegalOperation);
    let configure =
        |cspace, vspace| tcb.configure(&TcbSpace { cspace, cspace_data: CNodeData(0), vspace, buffer: None });
    let endpoint = world.endpoint()?.cptr();
    for cspace in [CNode::at(0), CNode(endpoint), CNode::at(3)] {
        check!(configure(cspace, SPACE) == illegal);
        check!(tcb.set_space(CPtr::NULL, cspace, CNodeData(0), SPACE) == illegal);
    }
    for vspace in [VSpace::at(0), VSpace(endpoint), VSpace::at(world.make(ObjectType::VSpace, 0)?)] {
        check!(configure(OWN, vspace) == illegal);
        check!(tcb.set_space(CPtr::NULL, OWN, CNodeData(0), vspace) == illegal);
    }
    configure(OWN, SPACE)?;
    Ok(())
}

fn c130_all_written_registers_arrive(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let thread = world.prepare(&Plan::at(254).with_fault(endpoint), || ())?;
    let page = world.frame()?;
    world.map(SPACE, page, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    let value = |index: u8| match index {
        28 => FREE_ADDRESS,
        _ => 0xfeed_0000_0000_0000 | u64::from(index),
    };
    let mut registers = Registers::default()
        .with(Register::Pc, probe::probe_all_registers as *const () as u64)
        .with(Register::Sp, 0x1234_5678_9abc_def0)
        .with(Register::Spsr, !0)
        .with(Register::Tpidr, 0x7777)
        .with(Register::TpidrRo, 0x8888);
    for index in 0..=30 {
        registers = registers.with(Register::X(index), value(index));
    }
    thread.tcb.write_registers(Resume::After, &registers)?;
    let fault = endpoint.recv(reply);
    check!(fault.info.label() == 3 && fault.registers[3] == 0xf200_0007);
    check!(fault.registers[2] & 0xf000_0000 == 0xf000_0000 && fault.registers[2] & 0x0fff_fe3f == 0);
    for index in 0..=30u8 {
        check_eq!(peek(FREE_ADDRESS + 8 * u64::from(index)), value(index));
    }
    let word = |index: u64| peek(FREE_ADDRESS + 8 * index);
    check!(word(31) == 0x1234_5678_9abc_def0 && word(32) == 0xf000_0000 && word(33) == 0x7777 && word(34) == 0x8888);
    let read = thread.tcb.read_registers(Suspend::No, 36)?;
    check!(read.read(Register::Tpidr) == 0x7777 && read.read(Register::TpidrRo) == 0x8888);
    for index in 2..=30u8 {
        check_eq!(read.read(Register::X(index)), value(index));
    }
    check!(SELF.read_registers(Suspend::No, 1) == Err(Error::IllegalOperation));
    check!(SELF.write_registers(Resume::No, &registers) == Err(Error::IllegalOperation));
    Ok(())
}

fn c131_exclusive_monitor_does_not_survive_a_call(world: &World) -> Outcome {
    let notification = world.notification()?;
    let mut word = 5u64;
    check!(exclusive_status(&mut word, notification.cptr().0) == 1 && word == 5);
    Ok(())
}

fn c132_tls_register_is_per_thread(world: &World) -> Outcome {
    let (wrong, done) = (cell(), cell());
    for index in 1..=4 {
        // Slices of half a millisecond at one priority: they preempt one another all the time.
        let thread = world.prepare(&Plan::at(100).with_time(500, 500), move || {
            wrong.add(u64::from(read_tls() != 0x5000 + index));
            for round in 0..200 {
                let value = (index << 32) | round;
                write_tls(value);
                burn(10_000);
                wrong.add(u64::from(read_tls() != value));
            }
            done.add(1);
        })?;
        thread.tcb.set_tls_base(0x5000 + index)?;
        thread.tcb.resume()?;
    }
    write_tls(0x42);
    world.settle()?;
    let own = read_tls();
    write_tls(0);
    check!(own == 0x42 && wrong.get() == 0 && done.get() == 4);
    Ok(())
}

fn c133_float_state_is_per_thread(world: &World) -> Outcome {
    let (wrong, done) = (cell(), cell());
    for seed in 1..=4 {
        world.spawn(&Plan::at(100).with_time(500, 500), move || {
            for round in 0..20 {
                wrong.add(float_changes((seed << 32) | (round << 8), 40_000));
            }
            done.add(1);
        })?;
    }
    world.settle()?;
    check!(done.get() == 4 && wrong.get() == 0);
    Ok(())
}

fn c133_float_state_of_a_new_thread_is_zero(world: &World) -> Outcome {
    let dirt = cell();
    check_eq!(float_changes(0x55, 10), 0);
    world.spawn(&Plan::at(254), move || dirt.set(float_dirt() << 8 | 1))?;
    world.settle()?;
    check_eq!(dirt.get(), 1);
    Ok(())
}

fn c134_flags_are_returned(world: &World) -> Outcome {
    let tcb = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    check!(tcb.set_flags(0, 0)? == 0 && tcb.set_flags(0, 0xff)? == 1 && tcb.set_flags(0, 0)? == 1);
    check!(tcb.set_flags(0xfe, 0)? == 1 && tcb.set_flags(1, 0)? == 0 && tcb.set_flags(1, 1)? == 1);
    Ok(())
}

fn c135_disabled_float_faults_and_comes_back(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let (changes, rounds) = (cell(), cell());
    let thread = world.spawn(&Plan::at(100).with_fault(endpoint).with_time(5_000, 5_000), move || {
        loop {
            changes.add(float_changes(0x77 << rounds.add(1), 20_000));
            touch_float();
        }
    })?;
    for round in 0..5 {
        check!(world.wait_until(|| rounds.get() > 3 * round)?);
        let before = rounds.get();
        thread.tcb.disable_fpu()?;
        let fault = endpoint.recv(reply);
        check!(fault.info.label() == 3 && fault.registers[3] == 0x1fe0_0000);
        check!(rounds.get() <= before + 1 && thread.tcb.set_flags(1, 0)? == 0);
        // The other thread's state must not be in the way when the faulter goes on.
        check_eq!(float_changes(0x1234_5678, 10), 0);
        reply.send(&Message::default());
        world.wait_until(|| rounds.get() > before + 1)?;
        check_eq!(changes.get(), 0);
    }
    Ok(())
}

fn c136_domain_calls_answer(world: &World) -> Outcome {
    let (domain, ran) = (Domain::at(11), cell());
    domain.set(SELF, 0)?;
    check!(domain.set(SELF, 1) == Err(Error::InvalidArgument { index: 0 }));
    check!(domain.set(SELF, u64::MAX) == Err(Error::InvalidArgument { index: 0 }));
    check!(domain.set(Tcb(world.endpoint()?.cptr()), 0) == Err(Error::InvalidArgument { index: 1 }));
    check!(Domain(SELF.cptr()).set(SELF, 0) == Err(Error::IllegalOperation));
    let thread = world.prepare(&Plan::at(100), move || ran.set(1))?;
    domain.set(thread.tcb, 0)?;
    thread.tcb.resume()?;
    world.settle()?;
    check_eq!(ran.get(), 1);
    // The schedule has one entry for domain 0, then an end marker.
    let schedule = |words: &[u64]| domain.cptr().invoke(31, words, &[]).map(|_| ());
    check!(schedule(&[0, 0]) == Err(Error::TruncatedMessage));
    check!(schedule(&[1, 0, 1]) == Err(Error::Range { min: 0, max: 0 }));
    check!(schedule(&[0, 1, 1]) == Err(Error::Range { min: 0, max: 0 }));
    check!(schedule(&[0, 0, 1 << 56]) == Err(Error::InvalidArgument { index: 2 }));
    check!(schedule(&[0, 0, 0]) == Err(Error::InvalidArgument { index: 2 }));
    schedule(&[0, 0, (1 << 56) - 1])?;
    let start = |words: &[u64]| domain.cptr().invoke(32, words, &[]).map(|_| ());
    check!(start(&[]) == Err(Error::TruncatedMessage) && start(&[2]) == Err(Error::Range { min: 0, max: 1 }));
    check!(start(&[1]) == Err(Error::InvalidArgument { index: 0 }));
    start(&[0])?;
    Ok(())
}

fn s07_copied_registers_arrive(world: &World) -> Outcome {
    let (source, target) = (Tcb::at(world.make(ObjectType::Tcb, 0)?), Tcb::at(world.make(ObjectType::Tcb, 0)?));
    let mut registers = Registers::default().with(Register::Pc, 0x4000).with(Register::Spsr, 0x6000_0000);
    for index in 0..=30 {
        registers = registers.with(Register::X(index), 0x100 + u64::from(index));
    }
    source.write_registers(Resume::No, &registers.with(Register::Tpidr, 9))?;
    target.copy_registers(source, COPY_FRAME)?;
    let read = target.read_registers(Suspend::No, 36)?;
    check!(read.read(Register::Pc) == 0x4000 && read.read(Register::X(30)) == 0x11e && read.read(Register::X(9)) == 0);
    target.copy_registers(source, COPY_INTEGER)?;
    let read = target.read_registers(Suspend::No, 36)?;
    check!(
        read.read(Register::X(9)) == 0x109 && read.read(Register::X(28)) == 0x11c && read.read(Register::Tpidr) == 9
    );
    check!(read.read(Register::Spsr) & 0xf000_0000 == 0x6000_0000);
    let none = target.copy_registers(Tcb(world.endpoint()?.cptr()), COPY_FRAME);
    check!(none == Err(Error::InvalidCapability { number: 1 }));
    Ok(())
}

fn s07_short_register_lists_are_kept_apart(world: &World) -> Outcome {
    let tcb = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    let write = |words: &[u64]| tcb.cptr().invoke(3, words, &[]).map(|_| ());
    check!(write(&[0]) == Err(Error::TruncatedMessage) && write(&[0, 3, 1, 2]) == Err(Error::TruncatedMessage));
    write(&[0, 2, 0x4000, 0x5000])?;
    write(&[0, 0])?;
    write(&[0, 1, 0x6000, 0x7000])?;
    let read = tcb.read_registers(Suspend::No, 2)?;
    check!(read.read(Register::Pc) == 0x6000 && read.read(Register::Sp) == 0x5000);
    for count in [0, 37, u64::MAX] {
        check!(tcb.cptr().invoke(2, &[0, count], &[]) == Err(Error::Range { min: 1, max: 36 }));
    }
    check!(tcb.cptr().invoke(2, &[0, 5], &[])?.info.length() == 5);
    Ok(())
}

fn s07_thread_without_spaces_faults_at_once(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let tcb = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    let time = world.context(0, (10_000, 10_000))?;
    tcb.set_sched_params(SELF, 100, 100, time.cptr(), endpoint.cptr())?;
    tcb.resume()?;
    let fault = endpoint.recv(reply);
    check!(fault.info.label() == 6 && fault.registers[..3] == [0, 0, 1]);
    Ok(())
}
