//! Call chains that are cut while a server runs on the client's time (conformance 72 to 76, suspended clients).

use hybrid_sys::abi::register::Register;
use hybrid_sys::{Endpoint, Error, Message, MessageInfo, Reply, Resume, Suspend};

use super::donation::passive;
use super::tests;
use crate::suite::Test;
use crate::world::{Outcome, Plan, Thread, Word, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c072_deleted_reply_object_returns_the_time,
    c073_unbinding_the_server_stops_it,
    c074_inner_then_outer_reply_deleted,
    c075_outer_reply_deleted_first,
    c076_context_deleted_in_the_middle_of_a_chain,
    x102_client_suspended_during_its_call,
    s04_middle_of_a_chain_answered_early,
];

const NOTHING: Message = Message { info: MessageInfo(0), registers: [0; 4] };

/// A thread in a chain of calls; it counts in its word whenever it runs after its call or receive.
#[derive(Clone, Copy)]
struct Link {
    thread: Thread,
    runs: &'static Word,
}

fn is_running(world: &World, link: Link) -> Result<bool, Error> {
    world.is_counting(link.runs)
}

fn is_standing(world: &World, link: Link) -> Result<bool, Error> {
    world.stands_still(link.runs)
}

/// A client whose call a passive server takes; the server then counts for ever.
fn client_and_server(world: &World) -> Result<(Link, Link, Reply), Error> {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let server = counting_server(world, endpoint, reply)?;
    Ok((calling_client(world, endpoint)?, server, reply))
}

fn counting_server(world: &World, endpoint: Endpoint, reply: Reply) -> Result<Link, Error> {
    let runs = cell();
    let thread = passive(world, &Plan::at(100), move || {
        let _ = endpoint.recv(reply);
        loop {
            runs.add(1);
        }
    })?;
    Ok(Link { thread, runs })
}

fn calling_client(world: &World, endpoint: Endpoint) -> Result<Link, Error> {
    let runs = cell();
    let thread = world.spawn(&Plan::at(100), move || {
        let _ = endpoint.call(&NOTHING);
        loop {
            runs.add(1);
        }
    })?;
    Ok(Link { thread, runs })
}

/// Client, proxy, server, and the reply objects of proxy and server.
fn three(world: &World) -> Result<([Link; 3], Reply, Reply), Error> {
    let (front, back, outer, inner) = (world.endpoint()?, world.endpoint()?, world.reply()?, world.reply()?);
    let server = counting_server(world, back, inner)?;
    let runs = cell();
    let thread = passive(world, &Plan::at(100), move || {
        let _ = front.recv(outer);
        let _ = back.call(&NOTHING);
        loop {
            runs.add(1);
        }
    })?;
    Ok(([calling_client(world, front)?, Link { thread, runs }, server], outer, inner))
}

/// Moves a thread that stands at a call past it and resumes it.
fn past_its_call(link: Link) -> Outcome {
    let registers = link.thread.tcb.read_registers(Suspend::No, 36)?;
    let registers = registers.with(Register::Pc, registers.read(Register::Pc) + 4);
    Ok(link.thread.tcb.write_registers(Resume::After, &registers)?)
}

fn c072_deleted_reply_object_returns_the_time(world: &World) -> Outcome {
    let (client, server, reply) = client_and_server(world)?;
    check!(is_running(world, server)?);
    world.at(reply.cptr().0).delete()?;
    check!(is_standing(world, server)? && is_standing(world, client)?);
    past_its_call(client)?;
    check!(is_running(world, client)? && is_standing(world, server)?);
    Ok(())
}

fn c073_unbinding_the_server_stops_it(world: &World) -> Outcome {
    let (client, server, _) = client_and_server(world)?;
    check!(is_running(world, server)?);
    let time = client.thread.context;
    check!(time.unbind_object(client.thread.tcb.cptr()) == Err(Error::IllegalOperation));
    time.unbind_object(server.thread.tcb.cptr())?;
    check!(is_standing(world, server)?);
    time.bind(client.thread.tcb)?;
    check!(is_standing(world, client)? && is_standing(world, server)?);
    past_its_call(client)?;
    check!(is_running(world, client)? && is_standing(world, server)?);
    Ok(())
}

fn c074_inner_then_outer_reply_deleted(world: &World) -> Outcome {
    let ([client, proxy, server], outer, inner) = three(world)?;
    check!(is_running(world, server)?);
    world.at(inner.cptr().0).delete()?;
    check!(is_standing(world, server)? && is_standing(world, proxy)?);
    past_its_call(proxy)?;
    check!(is_running(world, proxy)? && is_standing(world, client)?);
    world.at(outer.cptr().0).delete()?;
    check!(is_standing(world, proxy)? && is_standing(world, client)?);
    past_its_call(client)?;
    check!(is_running(world, client)?);
    Ok(())
}

fn c075_outer_reply_deleted_first(world: &World) -> Outcome {
    let ([client, proxy, server], outer, inner) = three(world)?;
    check!(is_running(world, server)?);
    world.at(outer.cptr().0).delete()?;
    // The chain is cut; the server still runs on the client's time.
    check!(is_running(world, server)?);
    past_its_call(client)?;
    check!(is_standing(world, client)?);
    world.at(inner.cptr().0).delete()?;
    check!(is_standing(world, server)? && is_standing(world, client)?);
    past_its_call(proxy)?;
    check!(is_running(world, proxy)? && is_standing(world, client)?);
    Ok(())
}

fn c076_context_deleted_in_the_middle_of_a_chain(world: &World) -> Outcome {
    let ([client, proxy, server], outer, inner) = three(world)?;
    check!(is_running(world, server)?);
    world.at(client.thread.context.cptr().0).delete()?;
    check!(is_standing(world, server)? && is_standing(world, proxy)? && is_standing(world, client)?);
    // The callers can still be answered; they run once they have time of their own.
    inner.send(&NOTHING);
    outer.send(&NOTHING);
    check!(is_standing(world, proxy)? && is_standing(world, client)?);
    for link in [proxy, client] {
        world.context(0, (1_000, 1_000))?.bind(link.thread.tcb)?;
        check!(is_running(world, link)?);
    }
    check!(is_standing(world, server)?);
    Ok(())
}

fn x102_client_suspended_during_its_call(world: &World) -> Outcome {
    let (client, server, reply) = client_and_server(world)?;
    check!(is_running(world, server)?);
    client.thread.tcb.suspend()?;
    check!(is_running(world, server)?);
    // The answer reaches nobody, and the server keeps the time until it is unbound.
    reply.send(&NOTHING);
    check!(is_running(world, server)? && is_standing(world, client)?);
    client.thread.context.unbind()?;
    check!(is_standing(world, server)?);
    Ok(())
}

fn s04_middle_of_a_chain_answered_early(world: &World) -> Outcome {
    let ([client, proxy, server], outer, inner) = three(world)?;
    check!(is_running(world, server)?);
    // The client is answered while the nested call goes on: no time moves to it.
    outer.send(&NOTHING);
    check!(is_running(world, server)? && is_standing(world, client)?);
    inner.send(&NOTHING);
    check!(is_standing(world, server)? && is_running(world, proxy)? && is_standing(world, client)?);
    Ok(())
}
