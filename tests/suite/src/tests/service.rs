//! Semaphores, monitors, a server with shared frames, of kernel objects (143, 144).

use hybrid_sys::{Attributes, Endpoint, Error, Frame, Message, MessageInfo, Notification, Rights};

use super::donation::passive;
use super::tests;
use crate::probe::{peek, poke};
use crate::suite::Test;
use crate::timer::burn;
use crate::world::{FREE_ADDRESS, Outcome, Plan, SPACE, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c143_binary_semaphore_excludes,
    c143_counting_semaphore_bounds,
    c143_monitor_with_broadcast,
    c144_server_with_shared_frames,
];

const NOTHING: Message = Message { info: MessageInfo(0), registers: [0; 4] };

fn c143_binary_semaphore_excludes(world: &World) -> Outcome {
    let lock = Notification::at(world.mint(world.notification()?, Rights::ALL, 1)?);
    let (value, inside, worst, done) = (cell(), cell(), cell(), cell());
    for core in 0..4 {
        let plan = Plan::at(100).with_time(500, 500).on_core(core % world.cores);
        world.spawn(&plan, move || {
            for _ in 0..100 {
                let _ = lock.wait();
                worst.set(worst.get().max(inside.add(1)));
                // A read and a write with time in between: only exclusion makes the sum right.
                let before = value.get();
                burn(2_000);
                value.set(before + 1);
                inside.add(u64::MAX);
                lock.signal();
            }
            done.add(1);
        })?;
    }
    lock.signal();
    check!(world.wait_until(|| done.get() == 4)?);
    check!(value.get() == 400 && worst.get() == 1 && inside.get() == 0);
    Ok(())
}

fn c143_counting_semaphore_bounds(world: &World) -> Outcome {
    // Three tokens queue up as messages; who receives one may enter, and sends it back by a helper.
    let (tokens, back) = (world.endpoint()?, world.endpoint()?);
    let (inside, worst, entered) = (cell(), cell(), cell());
    for _ in 0..3 {
        world.spawn(&Plan::at(110), move || {
            loop {
                tokens.send(&NOTHING);
                let _ = back.wait();
            }
        })?;
    }
    for _ in 0..6 {
        world.spawn(&Plan::at(100).with_time(500, 500), move || {
            for _ in 0..20 {
                let _ = tokens.wait();
                worst.set(worst.get().max(inside.add(1)));
                burn(100_000);
                inside.add(u64::MAX);
                entered.add(1);
                back.send(&NOTHING);
            }
        })?;
    }
    check!(world.wait_until(|| entered.get() == 120)?);
    check!((2..=3).contains(&worst.get()) && inside.get() == 0);
    Ok(())
}

fn c143_monitor_with_broadcast(world: &World) -> Outcome {
    const WAITERS: usize = 5;
    let lock = Notification::at(world.mint(world.notification()?, Rights::ALL, 1)?);
    let mut bells = [Notification::at(0); WAITERS];
    for bell in &mut bells {
        *bell = Notification::at(world.mint(world.notification()?, Rights::ALL, 1)?);
    }
    let (stage, seen, woken, asleep) = (cell(), cell(), cell(), cell());
    for bell in bells {
        world.spawn(&Plan::at(100).with_time(500, 500), move || {
            for wanted in 1..=10 {
                let _ = lock.wait();
                while stage.get() < wanted {
                    // Leave the monitor, sleep, enter again.
                    asleep.add(1);
                    lock.signal();
                    let _ = bell.wait();
                    let _ = lock.wait();
                    woken.add(1);
                }
                seen.add(1);
                lock.signal();
            }
        })?;
    }
    lock.signal();
    world.settle()?;
    for round in 1..=10 {
        // Nobody is on the way to its bell any more: each broadcast wakes each of them.
        check!(world.wait_until(|| asleep.get() == WAITERS as u64 * round)?);
        let _ = lock.wait();
        stage.set(round);
        bells.iter().for_each(|bell| bell.signal());
        lock.signal();
        check!(world.wait_until(|| seen.get() == WAITERS as u64 * round)?);
    }
    check_eq!(woken.get(), 50);
    Ok(())
}

/// A page that the server and its client in `space` both see, at the same address.
fn shared(world: &World, spaces: &[hybrid_sys::VSpace], address: u64) -> Result<(), Error> {
    let frame = world.frame()?;
    for space in spaces {
        let copy = Frame::at(world.mint(frame, Rights::ALL, 0)?);
        world.map(*space, copy, address, Rights::ALL, Attributes::DATA)?;
    }
    Ok(())
}

fn c144_server_with_shared_frames(world: &World) -> Outcome {
    const CLIENTS: u64 = 4;
    let (endpoint, reply, good) = (world.endpoint()?, world.reply()?, cell());
    let server_space = world.address_space()?;
    let place = |client: u64| FREE_ADDRESS + client * 0x1000;
    for client in 0..CLIENTS {
        // The first two are threads of this program, the others programs of their own.
        let space = if client < 2 { SPACE } else { world.address_space()? };
        shared(world, &[server_space, space], place(client))?;
        let sender = Endpoint::at(world.mint(endpoint, Rights::ALL, client + 1)?);
        let plan = if client < 2 { Plan::at(100) } else { Plan::at(100).in_space(space) };
        world.spawn(&plan.with_time(500, 500), move || {
            for round in 1..=20u64 {
                let count = round * 10;
                (0..count).for_each(|index| poke(place(client) + 8 * index, index * client + round));
                let answer = sender.call(&Message::new(1, &[count]));
                let sum = client * (count * (count - 1) / 2) + round * count;
                good.add(u64::from(answer.registers[0] == sum && peek(place(client)) == !sum));
            }
        })?;
    }
    // Serial: one client at a time, on that client's time.
    passive(world, &Plan::at(110).in_space(server_space), move || {
        let mut request = endpoint.recv(reply);
        loop {
            let at = place(request.badge - 1);
            let sum: u64 = (0..request.registers[0].min(512)).map(|index| peek(at + 8 * index)).sum();
            poke(at, !sum);
            request = endpoint.reply_recv(reply, &Message::new(0, &[sum]));
        }
    })?;
    check!(world.wait_until(|| good.get() == CLIENTS * 20)?);
    Ok(())
}
