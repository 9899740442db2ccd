//! Faults as messages and their replies (conformance 107 to 113, 116, 128).

use hybrid_sys::abi::register::Register;
use hybrid_sys::{
    Attributes, CPtr, Endpoint, Error, Message, MessageInfo, Received, Reply, Resume, Rights, Suspend, buffer,
};

use super::tests;
use crate::probe::{self, jump, poke, svc, svc_place};
use crate::suite::Test;
use crate::world::{FREE_ADDRESS, Outcome, Plan, SELF, SPACE, Thread, Word, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c107_read_write_and_execute_faults,
    c107_handlers_of_every_priority_badge_and_space,
    c108_handler_moves_the_faulting_thread,
    c109_unanswered_faulter_stays_stopped,
    c110_unknown_syscall_reply_sets_registers + ["x094"],
    c111_undefined_instruction_tells_stack_and_flags,
    c111_exceptions_carry_their_number,
    c112_handler_without_rights_is_refused,
    c113_without_handler_the_thread_stops,
    c116_capability_faults_carry_the_lookup,
    c116_restart_after_capability_fault,
    c128_rights_bound_every_kind_of_access,
    s04_fault_without_buffer_is_four_words,
    s04_deleted_handler_endpoint_leaves_the_faulter_stopped,
    s06_kernel_addresses_fault_like_any_other,
    s06_pointer_authentication_runs_or_is_undefined,
    s06_el0_executes_what_the_abi_allows,
];

const NOTHING: Message = Message { info: MessageInfo(0), registers: [0; 4] };
/// Address bits of the argument of a probe; the kind is above.
const ADDRESS: u64 = (1 << 56) - 1;

/// What a faulting thread does.
fn run_probe(argument: u64) {
    let address = argument & ADDRESS;
    let address = address | if address >> 47 & 1 == 1 { !ADDRESS } else { 0 };
    match argument >> 56 {
        0 => probe::probe_read(address),
        1 => probe::probe_write(address),
        2 => probe::probe_undefined(0),
        3 => probe::probe_break(0),
        4 => probe::probe_hvc(0),
        5 => probe::probe_physical_counter(0),
        6 => probe::probe_svc_undefined(address),
        8 => probe::probe_pointer_authentication(0),
        _ => _ = jump(address),
    }
}

/// A thread that runs probe `kind` on `address` at `priority`.
struct Faulter {
    thread: Thread,
    endpoint: Endpoint,
    reply: Reply,
    done: &'static Word,
}

fn faulter(world: &World, plan: Plan, kind: u64, address: u64, badge: u64) -> Result<Faulter, Error> {
    let (endpoint, reply, done) = (world.endpoint()?, world.reply()?, cell());
    let handler = world.mint(endpoint, Rights::ALL, badge)?;
    let argument = kind << 56 | address & ADDRESS;
    let thread = world.spawn(&plan.with_fault(CPtr(handler)), move || {
        run_probe(argument);
        done.set(1);
    })?;
    Ok(Faulter { thread, endpoint, reply, done })
}

fn faulting(world: &World, kind: u64, address: u64) -> Result<Faulter, Error> {
    faulter(world, Plan::at(254), kind, address, 0xfa)
}

fn is_vm_fault(fault: &Received, address: u64, is_instruction: bool, syndrome: u64) -> bool {
    fault.info == MessageInfo::new(6, 0, 0, 4)
        && fault.registers[1] == address
        && fault.registers[2] == u64::from(is_instruction)
        && fault.registers[3] & !0x3f == syndrome & !0x3f
}

/// Lets the faulter continue after the faulting instruction; whether it comes to its end.
fn skip(world: &World, it: &Faulter, fault: &Received) -> Outcome {
    let registers = it.thread.tcb.read_registers(Suspend::No, 36)?;
    check_eq!(registers.read(Register::Pc), fault.registers[0]);
    it.thread.tcb.write_registers(Resume::No, &registers.with(Register::Pc, fault.registers[0] + 4))?;
    it.reply.send(&NOTHING);
    world.settle()?;
    check_eq!(it.done.get(), 1);
    Ok(())
}

fn c107_read_write_and_execute_faults(world: &World) -> Outcome {
    for (kind, syndrome) in [(0, 0x9200_0000), (1, 0x9200_0040)] {
        let it = faulting(world, kind, FREE_ADDRESS)?;
        let fault = it.endpoint.recv(it.reply);
        check!(fault.badge == 0xfa && is_vm_fault(&fault, FREE_ADDRESS, false, syndrome));
        check!((fault.registers[3] >> 6 & 1 == 1) == (kind == 1));
        // Nothing is mapped: a translation fault at some level.
        check_eq!(fault.registers[3] & 0x3c, 4);
        skip(world, &it, &fault)?;
    }
    for address in [FREE_ADDRESS, 0x40] {
        let it = faulting(world, 7, address)?;
        let fault = it.endpoint.recv(it.reply);
        check!(is_vm_fault(&fault, address, true, 0x8200_0000) && fault.registers[0] == address);
    }
    Ok(())
}

fn c107_handlers_of_every_priority_badge_and_space(world: &World) -> Outcome {
    let mut plans = [Plan::at(100), Plan::at(100).in_space(world.address_space()?)];
    for (plan, badge) in plans.iter_mut().zip([0, 0xfa]) {
        for handler_priority in [90, 100, 110] {
            for (kind, syndrome) in [(0, 0x9200_0000), (1, 0x9200_0040), (7, 0x8200_0000)] {
                let (seen, reply) = (cell(), world.reply()?);
                let it = faulter(world, Plan::at(1), kind, 0x10, badge)?;
                world.at(it.thread.tcb.cptr().0).delete()?;
                let endpoint = it.endpoint;
                let handler = world.mint(endpoint, Rights::ALL, badge)?;
                world.spawn(&Plan::at(handler_priority), move || {
                    let fault = endpoint.recv(reply);
                    let is_good = is_vm_fault(&fault, 0x10, kind == 7, syndrome) && fault.badge == badge;
                    seen.set(u64::from(is_good));
                    reply.send(&Message::new(0, &[]));
                    seen.add(u64::from(endpoint.recv(reply).info.label() == 6) << 1);
                })?;
                let argument = kind << 56 | 0x10;
                world.spawn(&plan.with_fault(CPtr(handler)), move || run_probe(argument))?;
                world.settle()?;
                check_eq!(seen.get(), 3);
            }
        }
    }
    Ok(())
}

fn c108_handler_moves_the_faulting_thread(world: &World) -> Outcome {
    let it = faulting(world, 0, 0x20)?;
    let _ = it.endpoint.recv(it.reply);
    let registers = it.thread.tcb.read_registers(Suspend::No, 36)?;
    check_eq!(registers.read(Register::X(0)), 0x20);
    let word = 77u64;
    it.thread.tcb.write_registers(Resume::No, &registers.with(Register::X(0), &raw const word as u64))?;
    it.reply.send(&NOTHING);
    world.settle()?;
    check_eq!(it.done.get(), 1);
    Ok(())
}

fn c109_unanswered_faulter_stays_stopped(world: &World) -> Outcome {
    let it = faulting(world, 0, 0x20)?;
    let _ = it.endpoint.recv(it.reply);
    world.sleep_us(2_000)?;
    check!(it.done.get() == 0 && it.endpoint.try_recv(it.reply).badge == 0);
    // Its reply object was used again: it is inactive, and starts afresh where it is told to.
    let registers = it.thread.tcb.read_registers(Suspend::First, 36)?;
    let word = 77u64;
    it.thread.tcb.write_registers(Resume::After, &registers.with(Register::X(0), &raw const word as u64))?;
    world.settle()?;
    check_eq!(it.done.get(), 1);
    Ok(())
}

fn c110_unknown_syscall_reply_sets_registers(world: &World) -> Outcome {
    for (label, is_resumed) in [(0, true), (1, false)] {
        let (endpoint, reply, wrong) = (world.endpoint()?, world.reply()?, cell());
        let thread = world.spawn(&Plan::at(254).with_fault(endpoint), move || {
            let after = svc(0xc1, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
            wrong.set(1 + u64::from(after != [0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 9]));
        })?;
        let _ = endpoint.recv(reply);
        // Registers are read back below; the words of the reply are set last, since calls use the buffer as well.
        let mut answer = Message::new(label, &[0x90, 0x91, 0x92, 0x93]);
        answer.info = MessageInfo::new(label, 0, 0, 9);
        (4..8).for_each(|index| buffer::set_word(index, 0x90 + index as u64));
        buffer::set_word(8, svc_place() + 4);
        reply.send(&answer);
        if !is_resumed {
            let registers = thread.tcb.read_registers(Suspend::No, 36)?;
            check!(registers.read(Register::X(0)) == 0x90 && registers.read(Register::X(5)) == 0x95);
            check!(registers.read(Register::Pc) == svc_place() + 4);
        }
        world.settle()?;
        check_eq!(wrong.get(), u64::from(is_resumed));
    }
    Ok(())
}

fn c111_undefined_instruction_tells_stack_and_flags(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let thread = world.prepare(&Plan::at(254).with_fault(endpoint), || ())?;
    let place = probe::probe_undefined as *const () as u64;
    for flags in [0, 0x8000_0000, 0x6000_0000, 0xf000_0000] {
        let registers = hybrid_sys::Registers::default()
            .with(Register::Pc, place)
            .with(Register::Sp, 0x1122_3344_5566_7788)
            .with(Register::Spsr, flags);
        thread.tcb.write_registers(Resume::After, &registers)?;
        let fault = endpoint.recv(reply);
        check!(fault.info == MessageInfo::new(3, 0, 0, 5) && buffer::word(4) == 0);
        check!(fault.registers[0] == place && fault.registers[1] == 0x1122_3344_5566_7788);
        check!(fault.registers[2] & 0xf000_0000 == flags && fault.registers[3] == 0x0200_0000);
        // The reply moves place, stack and flags; SPSR is reduced to what user code may have.
        let brk = probe::probe_break as *const () as u64;
        reply.send(&Message::new(0, &[brk, 0x99, !0]));
        let fault = endpoint.recv(reply);
        check!(fault.registers[0] == brk && fault.registers[1] == 0x99 && fault.registers[3] == 0xf200_0003);
        check!(fault.registers[2] & 0xf000_0000 == 0xf000_0000 && fault.registers[2] & 0x0fff_fe3f == 0);
        // Any other label leaves it inactive, with the registers written.
        reply.send(&Message::new(1, &[place, 0x77]));
        let read = thread.tcb.read_registers(Suspend::No, 2)?;
        check!(read.read(Register::Pc) == place && read.read(Register::Sp) == 0x77);
        check_eq!(endpoint.try_recv(reply).badge, 0);
    }
    Ok(())
}

fn c111_exceptions_carry_their_number(world: &World) -> Outcome {
    for (kind, number) in [(2, 0x0200_0000), (3, 0xf200_0003), (4, 0x0200_0000), (5, 0x6232_f801)] {
        let it = faulting(world, kind, 0)?;
        let fault = it.endpoint.recv(it.reply);
        check!(fault.info == MessageInfo::new(3, 0, 0, 5) && fault.registers[3] == number && buffer::word(4) == 0);
        // The first three words of the reply are FaultIP, SP and SPSR.
        it.reply.send(&Message::new(0, &[fault.registers[0] + 4]));
        world.settle()?;
        check_eq!(it.done.get(), 1);
    }
    // A misaligned place of execution.
    let it = faulting(world, 7, svc_place() + 2)?;
    let fault = it.endpoint.recv(it.reply);
    check_eq!(fault.info.label(), 3);
    check_eq!(fault.registers[3], 0x8a00_0000);
    Ok(())
}

fn c112_handler_without_rights_is_refused(world: &World) -> Outcome {
    let endpoint = world.endpoint()?;
    let thread = world.prepare(&Plan::at(254), || ())?;
    let set = |handler| thread.tcb.set_sched_params(SELF, 1, 1, thread.context.cptr(), handler);
    let set_space = |handler| thread.tcb.set_space(handler, crate::world::OWN, hybrid_sys::CNodeData(0), SPACE);
    for rights in [Rights::WRITE, Rights::READ.or(Rights::GRANT), Rights::NONE, Rights(14)] {
        let handler = CPtr(world.mint(endpoint, rights, 0)?);
        check!(set(handler) == Err(Error::InvalidCapability { number: 3 }));
        check!(thread.tcb.set_timeout_endpoint(handler) == Err(Error::InvalidCapability { number: 1 }));
        check!(set_space(handler) == Err(Error::InvalidCapability { number: 1 }));
    }
    for rights in [Rights::WRITE.or(Rights::GRANT_REPLY), Rights::WRITE.or(Rights::GRANT)] {
        let handler = CPtr(world.mint(endpoint, rights, 0)?);
        set(handler)?;
        set_space(handler)?;
        thread.tcb.set_timeout_endpoint(handler)?;
    }
    set(CPtr::NULL)?;
    Ok(())
}

fn c113_without_handler_the_thread_stops(world: &World) -> Outcome {
    let done = cell();
    let thread = world.spawn(&Plan::at(254), move || {
        run_probe(0x30);
        done.set(1);
    })?;
    world.settle()?;
    check_eq!(done.get(), 0);
    check_eq!(thread.tcb.read_registers(Suspend::No, 36)?.read(Register::X(0)), 0x30);
    // A revoked handler is none.
    let it = faulter(world, Plan::at(200), 0, 0x20, 3)?;
    world.at(it.endpoint.cptr().0).revoke()?;
    world.settle()?;
    check_eq!(it.endpoint.try_recv(it.reply).badge, 0);
    Ok(())
}

fn c116_capability_faults_carry_the_lookup(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    for is_call in [false, true] {
        let thread = world.spawn(&Plan::at(254).with_fault(endpoint), move || {
            if is_call {
                let _ = Endpoint::at(0x1_7000).call(&NOTHING);
            } else {
                Endpoint::at(0x1_7000).send(&NOTHING);
            }
        })?;
        let fault = endpoint.recv(reply);
        check!(fault.info == MessageInfo::new(1, 0, 0, 7) && fault.registers[1..] == [0x1_7000, 0, 4]);
        check!([buffer::word(4), buffer::word(5), buffer::word(6)] == [0x40, 0, 0x34]);
        check_eq!(fault.registers[0], thread.tcb.read_registers(Suspend::No, 1)?.read(Register::Pc));
    }
    let empty = world.slot();
    for (source, words) in [(empty, [empty, 1, 2]), (0x1_7000, [0x1_7000, 1, 4])] {
        world.spawn(&Plan::at(254).with_fault(endpoint), move || _ = Endpoint::at(source).wait())?;
        let fault = endpoint.recv(reply);
        check!(fault.info.label() == 1 && fault.registers[1..] == words);
        check_eq!(fault.info.length() as u64, if source == empty { 5 } else { 7 });
        check_eq!(buffer::word(4), if source == empty { 0 } else { 0x40 });
    }
    // NBSend to nowhere is silent.
    let passed = cell();
    world.spawn(&Plan::at(254), move || {
        Endpoint::at(0x1_7000).try_send(&NOTHING);
        passed.set(1);
    })?;
    world.settle()?;
    check_eq!(passed.get(), 1);
    Ok(())
}

fn c116_restart_after_capability_fault(world: &World) -> Outcome {
    let (handler, reply, endpoint, slot) = (world.endpoint()?, world.reply()?, world.endpoint()?, world.slot());
    let got = cell();
    world.spawn(&Plan::at(254).with_fault(handler), move || got.set(Endpoint::at(slot).wait().registers[0]))?;
    let _ = handler.recv(reply);
    // The handler puts the capability there; the call is repeated.
    world.at(slot).copy_from(world.at(endpoint.cptr().0), Rights::ALL)?;
    reply.send(&Message::new(77, &[1, 2, 3, 4]));
    world.settle()?;
    endpoint.send(&Message::new(0, &[0x4321]));
    world.settle()?;
    check_eq!(got.get(), 0x4321);
    Ok(())
}

fn c128_rights_bound_every_kind_of_access(world: &World) -> Outcome {
    const RETURN: u64 = 0xd65f_03c0;
    let frame = world.frame()?;
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    // The page holds `ret`, so that executing it succeeds where it is allowed.
    poke(FREE_ADDRESS, RETURN);
    frame.unify(hybrid_sys::Range { start: 0, end: 4 })?;
    // Rights of the capability, rights and attributes of the mapping, whether reading, writing, executing faults.
    let cases = [
        (Rights::ALL, Rights::ALL, Attributes::CODE, [false, false, false]),
        (Rights::ALL, Rights::ALL, Attributes::DATA, [false, false, true]),
        (Rights::ALL, Rights::READ, Attributes::CODE, [false, true, false]),
        (Rights::READ, Rights::ALL, Attributes::CODE, [false, true, false]),
        (Rights::READ, Rights::WRITE, Attributes::CODE, [true, true, true]),
        (Rights::ALL, Rights::WRITE, Attributes::CODE, [true, true, true]),
        (Rights::WRITE, Rights::ALL, Attributes::CODE, [true, true, true]),
        (Rights::ALL, Rights::NONE, Attributes::CODE, [true, true, true]),
        (Rights::NONE, Rights::ALL, Attributes::CODE, [true, true, true]),
        (Rights(12), Rights(15), Attributes::CODE, [true, true, true]),
    ];
    for (own, mapped, attributes, faults) in cases {
        let copy = hybrid_sys::Frame::at(world.mint(frame, own, 0)?);
        let place = FREE_ADDRESS + 0x1000;
        for (kind, expected) in [1, 0, 7].into_iter().zip([faults[1], faults[0], faults[2]]) {
            poke(FREE_ADDRESS, RETURN);
            world.map(SPACE, copy, place, mapped, attributes)?;
            let it = faulting(world, kind, place)?;
            world.settle()?;
            let fault = it.endpoint.try_recv(it.reply);
            check!((fault.badge == 0xfa) == expected && (it.done.get() == 0) == expected);
            // A permission fault, not a translation fault.
            check!(!expected || fault.registers[3] & 0x3c == 0xc);
            world.at(it.thread.tcb.cptr().0).delete()?;
        }
        copy.unmap()?;
    }
    Ok(())
}

fn s04_fault_without_buffer_is_four_words(world: &World) -> Outcome {
    let (endpoint, reply, seen) = (world.endpoint()?, world.reply()?, cell());
    let handler = world.prepare(&Plan::at(200), move || seen.set(endpoint.recv(reply).info.0))?;
    handler.tcb.set_ipc_buffer(0, hybrid_sys::Frame::at(0))?;
    handler.tcb.resume()?;
    world.settle()?;
    world.spawn(&Plan::at(254).with_fault(endpoint), || _ = svc(0xc1, [0; 9]))?;
    world.settle()?;
    check_eq!(seen.get(), MessageInfo::new(2, 0, 0, 4).0);
    Ok(())
}

fn s04_deleted_handler_endpoint_leaves_the_faulter_stopped(world: &World) -> Outcome {
    let it = faulting(world, 0, 0x20)?;
    world.settle()?;
    world.at(it.endpoint.cptr().0).revoke()?;
    world.at(it.endpoint.cptr().0).delete()?;
    world.settle()?;
    check_eq!(it.done.get(), 0);
    let registers = it.thread.tcb.read_registers(Suspend::No, 36)?;
    it.thread.tcb.write_registers(Resume::After, &registers.with(Register::Pc, registers.read(Register::Pc) + 4))?;
    world.settle()?;
    check_eq!(it.done.get(), 1);
    Ok(())
}

fn s06_kernel_addresses_fault_like_any_other(world: &World) -> Outcome {
    for address in [0xffff_0000_4000_0000, 0xffff_ffff_8000_0000, 0xffff_ffff_8020_0000, 0x0000_8000_0000_0000, !7] {
        for kind in [0, 1] {
            let it = faulting(world, kind, address)?;
            let fault = it.endpoint.recv(it.reply);
            check!(fault.info.label() == 6 && fault.registers[2] == 0);
        }
    }
    Ok(())
}

/// On a core without it the instruction is undefined; with it it must not trap to a level that nobody is at.
fn s06_pointer_authentication_runs_or_is_undefined(world: &World) -> Outcome {
    let it = faulting(world, 8, 0)?;
    world.settle()?;
    let fault = it.endpoint.try_recv(it.reply);
    let has_run = it.done.get() == 1;
    check!(has_run != (fault.badge == 0xfa));
    check!(has_run || (fault.info.label() == 3 && fault.registers[3] == 0x0200_0000));
    Ok(())
}

/// Number of the fault that each of `probe_trials` raises; 0: none. `DAIFSet` is told apart by its class only.
const TRIALS: [u64; 29] = [
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0, // from CTR_EL0 to a stack that is not aligned
    0x0200_0000,
    0x0200_0000,
    0x6212_dc08,
    0x6232_d005,
    TRAPPED, // DC IVAC, IC IALLU, DC ZVA, DAIF, DAIFSet
    0x0200_0000,
    0x0200_0000,
    0x6230_e41b,
    0x6232_f801, // MIDR_EL1, CurrentEL, PMCCNTR_EL0, CNTPCT_EL0
    TRAPPED,
    TRAPPED,
    0x0200_0000,
    0x0200_0000,
    0x0200_0000, // CNTV_CTL, CNTP_CTL, TPIDRRO_EL0, ERET, SMC
];
/// A system instruction or register that EL1 has closed: the class of the syndrome.
const TRAPPED: u64 = 0x6200_0000;

/// §6.8, instruction by instruction.
fn s06_el0_executes_what_the_abi_allows(world: &World) -> Outcome {
    let first = probe::probe_trials as *const () as u64;
    for (n, wanted) in TRIALS.into_iter().enumerate() {
        let it = faulting(world, 7, first + 16 * n as u64)?;
        world.settle()?;
        let fault = it.endpoint.try_recv(it.reply);
        let raised = if fault.badge == 0xfa { fault.registers[3] } else { 0 };
        let mask = if wanted == TRAPPED { 0xfe00_0000 } else { !0 };
        if raised & mask != wanted || (wanted == 0) != (it.done.get() == 1) {
            return Err(crate::world::Failure::Differ("the fault of a trial", raised, wanted, n as u32));
        }
        check!(wanted == 0 || fault.info == MessageInfo::new(3, 0, 0, 5));
        world.at(it.thread.tcb.cptr().0).delete()?;
    }
    Ok(())
}
