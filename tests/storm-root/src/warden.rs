//! The thread of highest priority: makes the sandboxes, wakes at every tick, and judges.
use crate::canary::Canary;
use crate::counter::Counter;
use crate::dice::Dice;
use crate::options::Options;
use crate::sandbox::Sandbox;
use crate::wild;
use crate::world::{During, Failure, OWN, Output, Plan, SELF, World, stack_of};
use crate::worst;
use core::fmt::Write as _;
use libhybrid::sys::abi::{label, slot};
use libhybrid::sys::boot::Boot;
use libhybrid::sys::{CPtr, Endpoint, Message, ObjectType, Reply, SchedContext, yield_now};

/// Above everything.
const PRIORITY: u8 = 200;
/// The thread that answers faults: above the sandboxes, below the canary.
const NURSE: u8 = 120;
/// The warden's time: it sleeps by giving up what is left of its budget.
const OWN_CONTEXT: SchedContext = SchedContext::at(slot::SCHED_CONTEXT);
const BUDGET_US: u64 = 150;
const TICK_US: u64 = 400;
/// Ticks of a round, sandboxes of a round.
const TICKS: u32 = 60;
const SANDBOXES: usize = 2;
/// A line of progress after so many rounds.
const LINE_AFTER: u32 = 10;

/// Everything that this program does.
pub(crate) fn run(boot: Boot, options: &Options, out: &mut Output) -> Result<(), Failure> {
    let mut counter = Counter::start();
    let mut world = World::new(boot)?;
    let cores = boot.info.sched_control.count();
    let _ =
        writeln!(out, "storm: seed {}, {} million {}, {cores} cores", options.seed, options.millions, counter.unit());
    SELF.set_sched_params(SELF, 254, PRIORITY, OWN_CONTEXT.cptr(), CPtr::NULL).during("the warden's priority")?;
    if options.is_worst_wanted {
        worst::run(&mut world, out)?;
    }
    let mut canary = Canary::start(&mut world)?;
    let fault = nurse(&mut world)?;
    let mut dice = Dice(options.seed);
    let (mut rounds, mut calls) = (0, 0);
    loop {
        calls += round(&mut world, &mut canary, fault, &mut dice)?;
        rounds += 1;
        let count = counter.read();
        let is_over = count >= options.millions * 1_000_000;
        if rounds % LINE_AFTER == 0 || is_over {
            let _ = writeln!(
                out,
                "storm: {rounds} rounds, {} million {}, {calls} random calls, {} exchanges of the canary",
                count / 1_000_000,
                counter.unit(),
                canary.exchanges
            );
        }
        if is_over {
            return Ok(());
        }
    }
}

/// One round: fresh sandboxes, some ticks, and everything taken back. Gives the number of random calls.
fn round(world: &mut World, canary: &mut Canary, fault: u64, dice: &mut Dice) -> Result<u64, Failure> {
    world.open_round();
    world.give_time(OWN_CONTEXT, 0, TICK_US, TICK_US).during("the warden's time, to build")?;
    let mut sandboxes = [const { None }; SANDBOXES];
    for (index, sandbox) in sandboxes.iter_mut().enumerate() {
        *sandbox = Some(Sandbox::new(world, fault, index as u64 + 1)?);
    }
    world.give_time(OWN_CONTEXT, 0, BUDGET_US, TICK_US).during("the warden's time, to watch")?;
    for _ in 0..TICKS {
        let seed = dice.roll();
        for sandbox in sandboxes.iter().flatten() {
            sandbox.restart(world, seed);
        }
        canary.ring();
        yield_now();
        canary.check()?;
    }
    world.give_time(OWN_CONTEXT, 0, TICK_US, TICK_US).during("the warden's time, to clear")?;
    let calls = sandboxes.iter_mut().flatten().map(Sandbox::calls).sum();
    world.close_round()?;
    // Handlers that a sandbox issued are not made of its memory.
    OWN.own_slot(slot::IRQ_CONTROL).revoke().during("revoke of the interrupts")?;
    Ok(calls)
}

/// A thread that answers the faults of sandboxes; gives its endpoint.
fn nurse(world: &mut World) -> Result<u64, Failure> {
    let fault = world.make(ObjectType::Endpoint, 0).during("fault endpoint")?;
    let reply = world.make(ObjectType::Reply, 0).during("reply object of the nurse")?;
    world.start(&Plan::own(NURSE, answer as *const () as u64, [fault, reply, 0]))?;
    Ok(fault)
}

/// Starts the faulted thread afresh, whose number is the badge; now and then replies with whatever registers instead.
extern "C" fn answer(fault: u64, reply: u64) -> ! {
    let mut dice = Dice(fault);
    let mut received = Endpoint::at(fault).recv(Reply::at(reply));
    loop {
        if dice.below(16) == 0 {
            let words = [received.registers[0].wrapping_add(4), dice.roll(), dice.roll(), dice.roll()];
            let answer = Message::new(dice.below(2), &words[..dice.below(5) as usize]);
            received = Endpoint::at(fault).reply_recv(Reply::at(reply), &answer);
        } else {
            let words = [1, 4, wild::wild as *const () as u64, stack_of(received.badge), 0, dice.roll()];
            // Refused if the sandbox is gone by now.
            let _ = CPtr(received.badge).invoke(label::TCB_WRITE_REGISTERS, &words, &[]);
            received = Endpoint::at(fault).recv(Reply::at(reply));
        }
    }
}
