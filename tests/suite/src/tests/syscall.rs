//! System-call mechanics (conformance 1 to 13).

use hybrid_sys::abi::{label, syscall};
use hybrid_sys::{CPtr, Error, Message, MessageInfo};

use super::tests;
use crate::suite::Test;
use crate::world::{OWN, Outcome, World};

pub(super) const TESTS: &[Test] = tests![
    c001_calls_preserve_all_other_registers,
    c002_undefined_label_neither_faults_nor_blocks,
    c003_signalled_notification_is_received_at_once,
    c004_reply_recv_with_null_reply_takes_the_signal,
    c005_send_recv_signals_and_waits,
    c007_poll_of_nothing_gives_zero,
    c009_poll_of_endpoint_sees_bound_notification,
    c002_null_capability_is_invalid_capability,
];

fn c001_calls_preserve_all_other_registers(world: &World) -> Outcome {
    let notification = world.notification()?;
    let (cap, reply) = (notification.cptr().0, world.reply()?.cptr().0);
    for _ in 0..10 {
        for (number, info) in [
            (syscall::SEND, 0),
            (syscall::NB_SEND, 0),
            (syscall::WAIT, 0),
            (syscall::NB_WAIT, 0),
            (syscall::NB_RECV, 0),
            (syscall::YIELD, 0),
            (syscall::CALL, 0),
            (syscall::RECV, 0),
            (syscall::CALL, MessageInfo::new(99, 0, 0, 2).0),
            (syscall::REPLY_RECV, 0),
        ] {
            if matches!(number, syscall::WAIT | syscall::RECV | syscall::REPLY_RECV) {
                notification.signal();
            }
            let target = if info != 0 { OWN.cptr().0 } else { cap };
            // SAFETY: the calls have capabilities of this test only; the probe keeps the C calling convention.
            let changed = unsafe { probe_preserved(number, target, reply, info) };
            check!(changed == 0);
        }
    }
    // First phases that signal: destination in x6 or x8.
    for number in [syscall::NB_SEND_WAIT, syscall::NB_SEND_RECV] {
        // SAFETY: as above.
        let changed = unsafe { probe_preserved(number, cap, cap, 0) };
        check!(changed == 0);
    }
    Ok(())
}

fn c002_undefined_label_neither_faults_nor_blocks(world: &World) -> Outcome {
    for undefined in [0, 17, 26, 99, 1 << 40] {
        check!(OWN.cptr().invoke(undefined, &[0, 0], &[]) == Err(Error::IllegalOperation));
    }
    let cnode = hybrid_sys::Endpoint(OWN.cptr());
    cnode.send(&Message::new(99, &[1, 2]));
    cnode.try_send(&Message::new(99, &[1, 2]));
    check!(OWN.cptr().invoke(label::CNODE_DELETE, &[1], &[]) == Err(Error::TruncatedMessage));
    let _ = world;
    Ok(())
}

fn c002_null_capability_is_invalid_capability(world: &World) -> Outcome {
    check!(CPtr::NULL.invoke(1, &[], &[]) == Err(Error::InvalidCapability { number: 0 }));
    check!(CPtr(world.slot()).invoke(1, &[], &[]) == Err(Error::InvalidCapability { number: 0 }));
    Ok(())
}

fn c003_signalled_notification_is_received_at_once(world: &World) -> Outcome {
    let notification = world.notification()?;
    let badged = hybrid_sys::Notification::at(world.mint(notification, hybrid_sys::Rights::ALL, 0x40)?);
    badged.signal();
    check!(notification.wait() == 0x40);
    badged.signal();
    check!(hybrid_sys::Endpoint(notification.cptr()).try_recv(world.reply()?).badge == 0x40);
    Ok(())
}

fn c004_reply_recv_with_null_reply_takes_the_signal(world: &World) -> Outcome {
    let notification = world.notification()?;
    let badged = hybrid_sys::Notification::at(world.mint(notification, hybrid_sys::Rights::ALL, 7)?);
    badged.signal();
    let received = hybrid_sys::Endpoint(notification.cptr()).reply_recv(hybrid_sys::Reply::at(0), &Message::default());
    check!(received.badge == 7);
    Ok(())
}

fn c005_send_recv_signals_and_waits(world: &World) -> Outcome {
    let notification = world.notification()?;
    let badged = world.mint(notification, hybrid_sys::Rights::ALL, 9)?;
    let received = hybrid_sys::Endpoint(notification.cptr()).send_recv(
        CPtr(badged),
        hybrid_sys::Reply::at(0),
        &Message::default(),
    );
    check!(received.badge == 9);
    check!(notification.signal_wait(hybrid_sys::Notification::at(badged)) == 9);
    Ok(())
}

fn c007_poll_of_nothing_gives_zero(world: &World) -> Outcome {
    check!(world.notification()?.poll() == 0);
    check!(world.endpoint()?.try_recv(world.reply()?).badge == 0);
    Ok(())
}

fn c009_poll_of_endpoint_sees_bound_notification(world: &World) -> Outcome {
    let (endpoint, notification, reply) = (world.endpoint()?, world.notification()?, world.reply()?);
    crate::world::SELF.bind_notification(notification)?;
    let badged = hybrid_sys::Notification::at(world.mint(notification, hybrid_sys::Rights::ALL, 3)?);
    badged.signal();
    let first = endpoint.try_recv(reply).badge;
    let second = endpoint.try_recv(reply).badge;
    crate::world::SELF.unbind_notification()?;
    check!(first == 3 && second == 0);
    Ok(())
}

unsafe extern "C" {
    fn probe_preserved(number: i64, target: u64, other: u64, info: u64) -> u64;
}
