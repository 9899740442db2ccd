//! Faults as messages (conformance 11, 107 to 116).

use core::sync::atomic::{AtomicU64, Ordering};

use hybrid_sys::abi::register::Register;
use hybrid_sys::{
    Attributes, CPtr, Endpoint, Error, Message, MessageInfo, Received, Reply, Resume, Rights, Suspend, buffer,
};

use super::tests;
use super::thread::let_run;
use crate::suite::Test;
use crate::world::{FREE_ADDRESS, Outcome, Plan, SELF, SPACE, Thread, World};

pub(super) const TESTS: &[Test] = tests![
    c011_undefined_number_faults_with_registers,
    c107_read_write_and_execute_faults,
    c107_faults_from_another_address_space,
    c108_handler_moves_the_faulting_thread,
    c110_unknown_syscall_reply_sets_registers,
    c111_exceptions_carry_their_number,
    c112_handler_without_rights_is_refused,
    c113_without_handler_the_thread_stops,
    c116_capability_faults_carry_the_lookup,
    c128_rights_bound_every_kind_of_access,
    kernel_addresses_fault_like_any_other,
    pointer_authentication_runs_or_is_undefined,
];

static RESULT: AtomicU64 = AtomicU64::new(0);

extern "C" fn probe(argument: u64) {
    let function: extern "C" fn(u64) = match argument >> 56 {
        0 => probe_read,
        1 => probe_write,
        2 => probe_undefined,
        3 => probe_break,
        4 => probe_hvc,
        5 => probe_physical_counter,
        6 => probe_svc_undefined,
        8 => probe_pointer_authentication,
        // SAFETY: it faults at once, which is what is tested; any address is a valid function pointer but 0.
        _ => unsafe { core::mem::transmute::<usize, extern "C" fn(u64)>((argument & ADDRESS) as usize) },
    };
    let address = argument & ADDRESS;
    function(address | if address >> 47 & 1 == 1 { !ADDRESS } else { 0 });
    RESULT.store(1, Ordering::Relaxed);
}

const ADDRESS: u64 = (1 << 56) - 1;

/// A thread that runs probe `kind` on `address`, with a badged fault handler on a new endpoint.
fn faulting(world: &World, kind: u64, address: u64, other_space: bool) -> Result<(Thread, Endpoint, Reply), Error> {
    RESULT.store(0, Ordering::Relaxed);
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let handler = world.mint(endpoint, Rights::ALL, 0xfa)?;
    let space = if other_space { Some(world.address_space()?) } else { None };
    let plan = Plan { fault: CPtr(handler), space, ..Plan::new(probe, kind << 56 | address & ADDRESS, 254) };
    Ok((world.start(&plan)?, endpoint, reply))
}

fn is_vm_fault(fault: &Received, address: u64, is_instruction: bool, syndrome: u64) -> bool {
    fault.badge == 0xfa
        && fault.info == MessageInfo::new(6, 0, 0, 4)
        && fault.registers[1] == address
        && fault.registers[2] == u64::from(is_instruction)
        && fault.registers[3] & !0x3f == syndrome & !0x3f
}

fn skip(reply: Reply, thread: Thread, fault: &Received) -> Outcome {
    // Continue after the faulting instruction.
    let registers = thread.tcb.read_registers(Suspend::No, 36)?;
    check!(registers.read(Register::Pc) == fault.registers[0]);
    thread.tcb.write_registers(Resume::No, &registers.with(Register::Pc, fault.registers[0] + 4))?;
    reply.send(&Message::default());
    Ok(())
}

fn c107_read_write_and_execute_faults(world: &World) -> Outcome {
    for (kind, syndrome) in [(0, 0x9200_0000), (1, 0x9200_0040)] {
        let (thread, endpoint, reply) = faulting(world, kind, FREE_ADDRESS, false)?;
        let fault = endpoint.recv(reply);
        check!(is_vm_fault(&fault, FREE_ADDRESS, false, syndrome));
        check!((fault.registers[3] >> 6 & 1 == 1) == (kind == 1));
        skip(reply, thread, &fault)?;
        let_run(world, 1)?;
        check!(RESULT.load(Ordering::Relaxed) == 1);
    }
    let (_, endpoint, reply) = faulting(world, 7, FREE_ADDRESS, false)?;
    let fault = endpoint.recv(reply);
    check!(is_vm_fault(&fault, FREE_ADDRESS, true, 0x8200_0000) && fault.registers[0] == FREE_ADDRESS);
    Ok(())
}

fn c107_faults_from_another_address_space(world: &World) -> Outcome {
    let (thread, endpoint, reply) = faulting(world, 0, 0x10, true)?;
    let fault = endpoint.recv(reply);
    check!(is_vm_fault(&fault, 0x10, false, 0x9200_0000));
    skip(reply, thread, &fault)?;
    let_run(world, 1)?;
    check!(RESULT.load(Ordering::Relaxed) == 1);
    Ok(())
}

fn kernel_addresses_fault_like_any_other(world: &World) -> Outcome {
    for address in [0xffff_0000_4000_0000, 0xffff_ffff_8000_0000, 0xffff_ffff_8020_0000, 0x0000_8000_0000_0000, !7] {
        for kind in [0, 1] {
            let (_, endpoint, reply) = faulting(world, kind, address, false)?;
            let fault = endpoint.recv(reply);
            check!(fault.info.label() == 6 && fault.registers[2] == 0);
        }
    }
    Ok(())
}

fn c108_handler_moves_the_faulting_thread(world: &World) -> Outcome {
    let (thread, endpoint, reply) = faulting(world, 0, 0x20, false)?;
    let _ = endpoint.recv(reply);
    let registers = thread.tcb.read_registers(Suspend::No, 36)?;
    check!(registers.read(Register::X(0)) == 0x20);
    let word = 77u64;
    thread.tcb.write_registers(Resume::No, &registers.with(Register::X(0), &raw const word as u64))?;
    reply.send(&Message::default());
    let_run(world, 1)?;
    check!(RESULT.load(Ordering::Relaxed) == 1);
    Ok(())
}

fn c011_undefined_number_faults_with_registers(world: &World) -> Outcome {
    let (_, endpoint, reply) = faulting(world, 6, 0x11, false)?;
    let fault = endpoint.recv(reply);
    let place = probe_svc_undefined as *const () as u64 + 4;
    check!(fault.info == MessageInfo::new(2, 0, 0, 13) && fault.registers[0] == 0x11);
    check!(buffer::word(7) == 0xc1 && buffer::word(12) == 0xc1);
    check!(buffer::word(8) == place && buffer::word(10) == place + 4);
    check!(buffer::word(11) & 0x0fff_fe3f == 0);
    Ok(())
}

fn c110_unknown_syscall_reply_sets_registers(world: &World) -> Outcome {
    for (label, runs) in [(0, 1), (1, 0)] {
        let (thread, endpoint, reply) = faulting(world, 6, 0x11, false)?;
        let _ = endpoint.recv(reply);
        let mut answer = Message::new(label, &[0x91, 0x92]);
        answer.info = MessageInfo::new(label, 0, 0, 9);
        for index in 4..8 {
            buffer::set_word(index, 0x90 + index as u64);
        }
        buffer::set_word(8, probe_svc_undefined as *const () as u64 + 8);
        reply.send(&answer);
        if label != 0 {
            let registers = thread.tcb.read_registers(Suspend::No, 36)?;
            check!(registers.read(Register::X(0)) == 0x91 && registers.read(Register::X(5)) == 0x95);
        }
        let_run(world, 1)?;
        check!(RESULT.load(Ordering::Relaxed) == runs);
    }
    Ok(())
}

fn c111_exceptions_carry_their_number(world: &World) -> Outcome {
    for (kind, number) in [(2, 0x0200_0000), (3, 0xf200_0003), (4, 0x0200_0000), (5, 0x6232_f801)] {
        let (_, endpoint, reply) = faulting(world, kind, 0, false)?;
        let fault = endpoint.recv(reply);
        check!(fault.info == MessageInfo::new(3, 0, 0, 5) && fault.registers[3] == number && buffer::word(4) == 0);
        // The first three words of the reply are FaultIP, SP and SPSR.
        reply.send(&Message::new(0, &[fault.registers[0] + 4]));
        let_run(world, 1)?;
        check!(RESULT.load(Ordering::Relaxed) == 1);
    }
    Ok(())
}

fn c128_rights_bound_every_kind_of_access(world: &World) -> Outcome {
    let frame = world.frame()?;
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    // The page holds `ret`, so that executing it succeeds where it is allowed.
    // SAFETY: just mapped, and only this test uses it.
    unsafe { core::ptr::with_exposed_provenance_mut::<u32>(FREE_ADDRESS as usize).write_volatile(0xd65f_03c0) };
    frame.unify(hybrid_sys::Range { start: 0, end: 4 })?;
    // Rights and attributes, then whether reading, writing, executing faults.
    let cases = [
        (Rights::ALL, Attributes::CODE, [false, false, false]),
        (Rights::ALL, Attributes::DATA, [false, false, true]),
        (Rights::READ, Attributes::CODE, [false, true, false]),
        (Rights::WRITE, Attributes::CODE, [true, true, true]),
        (Rights::NONE, Attributes::CODE, [true, true, true]),
    ];
    for (rights, attributes, faults) in cases {
        for (kind, expected) in [1, 0, 7].into_iter().zip([faults[1], faults[0], faults[2]]) {
            frame.map(SPACE, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
            // SAFETY: as above.
            unsafe { core::ptr::with_exposed_provenance_mut::<u32>(FREE_ADDRESS as usize).write_volatile(0xd65f_03c0) };
            frame.map(SPACE, FREE_ADDRESS, rights, attributes)?;
            let (_, endpoint, reply) = faulting(world, kind, FREE_ADDRESS, false)?;
            let_run(world, 1)?;
            let has_faulted = endpoint.try_recv(reply).badge == 0xfa;
            check!(has_faulted == expected && (RESULT.load(Ordering::Relaxed) == 0) == expected);
        }
    }
    Ok(())
}

/// On a core without it the instruction is undefined; with it it must not trap to a level that nobody is at.
fn pointer_authentication_runs_or_is_undefined(world: &World) -> Outcome {
    let (_, endpoint, reply) = faulting(world, 8, 0, false)?;
    let_run(world, 1)?;
    let fault = endpoint.try_recv(reply);
    let has_run = RESULT.load(Ordering::Relaxed) == 1;
    check!(has_run != (fault.badge == 0xfa));
    check!(has_run || (fault.info.label() == 3 && fault.registers[3] == 0x0200_0000));
    Ok(())
}

fn c112_handler_without_rights_is_refused(world: &World) -> Outcome {
    let endpoint = world.endpoint()?;
    let thread = world.thread(&Plan::new(probe, 0, 254))?;
    for rights in [Rights::WRITE, Rights::READ.or(Rights::GRANT), Rights::NONE] {
        let handler = CPtr(world.mint(endpoint, rights, 0)?);
        let result = thread.tcb.set_sched_params(SELF, 1, 1, thread.context.cptr(), handler);
        check!(result == Err(Error::InvalidCapability { number: 3 }));
        check!(thread.tcb.set_timeout_endpoint(handler) == Err(Error::InvalidCapability { number: 1 }));
    }
    let handler = CPtr(world.mint(endpoint, Rights::WRITE.or(Rights::GRANT_REPLY), 0)?);
    thread.tcb.set_sched_params(SELF, 1, 1, thread.context.cptr(), handler)?;
    Ok(())
}

fn c113_without_handler_the_thread_stops(world: &World) -> Outcome {
    RESULT.store(0, Ordering::Relaxed);
    let thread = world.start(&Plan::new(probe, 0x30, 254))?;
    let_run(world, 1)?;
    check!(RESULT.load(Ordering::Relaxed) == 0);
    check!(thread.tcb.read_registers(Suspend::No, 36)?.read(Register::X(0)) == 0x30);
    Ok(())
}

extern "C" fn send_to(address: u64) {
    Endpoint::at(address).send(&Message::default());
}

extern "C" fn receive_from(address: u64) {
    let _ = Endpoint::at(address).wait();
}

fn c116_capability_faults_carry_the_lookup(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    world.start(&Plan { fault: endpoint.cptr(), ..Plan::new(send_to, 0x1_7000, 254) })?;
    let fault = endpoint.recv(reply);
    check!(fault.info == MessageInfo::new(1, 0, 0, 7) && fault.registers[1..] == [0x1_7000, 0, 4]);
    check!([buffer::word(4), buffer::word(5), buffer::word(6)] == [0x40, 0, 0x34]);
    let empty = world.slot();
    world.start(&Plan { fault: endpoint.cptr(), ..Plan::new(receive_from, empty, 254) })?;
    let fault = endpoint.recv(reply);
    check!(fault.info == MessageInfo::new(1, 0, 0, 5) && fault.registers[1..] == [empty, 1, 2] && buffer::word(4) == 0);
    Ok(())
}

unsafe extern "C" {
    safe fn probe_read(address: u64);
    safe fn probe_write(address: u64);
    safe fn probe_undefined(_: u64);
    safe fn probe_break(_: u64);
    safe fn probe_hvc(_: u64);
    safe fn probe_pointer_authentication(_: u64);
    safe fn probe_physical_counter(_: u64);
    safe fn probe_svc_undefined(_: u64);
}
