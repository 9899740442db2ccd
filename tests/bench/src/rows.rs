//! The list of rows, each with its id; the paths themselves are in the other files.
use crate::ipc::Kind::{ActiveHigher, Passive, PassiveHigher};
use crate::rounds::Figures;
use crate::world::World;
use crate::{Output, counter, events, ipc, objects, scale};
use alloc::format;
use libhybrid::sys::boot::Boot;
use libhybrid::sys::{Error, Platform};

/// Measures everything, and prints a line for each row: id, kernel instructions, all instructions, and the kernel's least and most.
pub(crate) fn measure_all(boot: Boot, platform: Platform, boot_ns: u64, out: &mut Output) -> Result<(), Error> {
    out.line(&format!("bench: row boot-to-user {boot_ns} {boot_ns} {boot_ns} {boot_ns}"));
    let mut world = World::new(boot)?;
    counter::start();
    let mut tell = |id: &str, figures: Figures| {
        let Figures { median, min, max } = figures;
        out.line(&format!("bench: row {id} {} {} {min} {max}", median.kernel, median.all));
    };
    let world = &mut world;
    let space = world.second_space()?;
    tell("nothing", ipc::nothing()?);
    tell("null", ipc::null()?);
    for words in [0, 4, 10, 64, 120] {
        tell(&format!("call-reply-{words}"), ipc::call_reply(world, space, Passive, words)?);
    }
    tell("call-reply-0-fp", ipc::call_reply_fp(world, space)?);
    tell("call-reply-0-own-time", ipc::call_reply(world, space, ActiveHigher, 0)?);
    tell("call-reply-0-higher", ipc::call_reply(world, space, PassiveHigher, 0)?);
    tell("call-reply-cap", ipc::call_reply_cap(world, space)?);
    let [scalars, bytes] = ipc::stubs(world, space)?;
    tell("stub-two-scalars", scalars);
    tell("stub-256-bytes", bytes);
    tell("send-wake", ipc::send(world, space)?);
    let bell = events::bell(world, space)?;
    tell("signal-wake", events::wake(bell)?);
    let [combined, separate] = events::ping_pong(world, space)?;
    tell("notification-ping-pong", combined);
    tell("notification-ping-pong-separate", separate);
    let [delivery, ack] = events::interrupt(world, space, platform)?;
    tell("irq-handler", delivery);
    tell("irq-ack", ack);
    tell("vm-fault", events::fault(world, space, true)?);
    tell("vm-fault-own-time", events::fault(world, space, false)?);
    tell("yield", events::yields(world, space)?);
    let [signal, poll] = events::unheard(world)?;
    tell("poll", poll);
    tell("signal-idle", signal);
    let [endpoint, frame] = objects::retype_fresh(world)?;
    tell("retype-endpoint", endpoint);
    tell("retype-frame", frame);
    tell("retype-used-4k", objects::retype_used(world, false)?);
    tell("retype-used-2m", objects::retype_used(world, true)?);
    let [map, unmap] = objects::map_unmap(world, space)?;
    tell("page-map", map);
    tell("page-unmap", unmap);
    let [copy, delete, revoke] = objects::capabilities(world)?;
    tell("cnode-copy", copy);
    tell("cnode-delete", delete);
    tell("cnode-revoke-10", revoke);
    tell("cnode-delete-256", objects::delete_cnode(world)?);
    tell("thread-create", objects::create_thread(world, space)?);
    scale::measure_all(world, space, out)
}
