//! Wires the log, the files and the alarm to the copying; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

use core::cell::Cell;
use historyd::{History, Turn};
use libhybrid::interfaces::fs::{Error, FilesClient};
use libhybrid::interfaces::log::ReaderClient;
use libhybrid::interfaces::time::AlarmClient;
use libhybrid::ipc::CallError;
use libhybrid::{EndpointCaller, Env, PeerChange, log, now_ns};

libhybrid::component!(run);

/// Until the next look.
const PAUSE_NS: u64 = 5_000_000_000;
/// While there is more than one turn takes, or a server is being started again.
const SOON_NS: u64 = 200_000_000;
/// While there is no disk.
const LONG_NS: u64 = 60_000_000_000;

fn run(env: Env) -> ! {
    let start = env.start();
    let title = alloc::format!("{} {} begins", start.product, start.version);
    let (reader, files) = (ReaderClient::new(env.client("reader")), FilesClient::new(env.client("files")));
    // Whatever rings while it works is heard with a sign of life, and looked at before it waits.
    let rung = Cell::new(0);
    let sign = || rung.set(rung.get() | env.poll());
    let mut history = History::new(reader, files, title, start.generation == 1, sign);
    let mut alarm = AlarmClient::new(env.client("alarm"));
    let (mut told, mut due) = (None, 0);
    loop {
        if now_ns() >= due {
            let turn = history.turn(now_ns());
            tell(&mut told, turn);
            due = now_ns().saturating_add(match turn {
                Turn::Done => PAUSE_NS,
                Turn::More | Turn::Again => SOON_NS,
                Turn::Refused(_) => LONG_NS,
            });
        }
        arm(&mut alarm, due);
        let mut is_anew = has_new_server(env);
        if rung.take() == 0 && !is_anew {
            let _bits = env.wait();
            is_anew = has_new_server(env);
        }
        let _another_look_follows = alarm.pull_expired();
        if is_anew {
            history.forget();
            due = due.min(now_ns().saturating_add(SOON_NS));
        }
    }
}

/// Whether one of the two servers died or came back since the last look.
fn has_new_server(env: Env) -> bool {
    let is_server = |change: &PeerChange| ["reader", "files"].iter().any(|name| change.of_use(name).is_some());
    env.peer_changes().filter(is_server).count() > 0
}

/// While timed is away nothing wakes this component but others' news, its return for one.
fn arm(alarm: &mut AlarmClient<EndpointCaller>, due: u64) {
    let _while_it_is_there = alarm.set(due);
}

/// Tells why nothing is kept, once; not each time, since what is told is to be kept too.
fn tell(told: &mut Option<CallError<Error>>, turn: Turn) {
    match turn {
        Turn::Refused(error) if *told != Some(error) => {
            *told = Some(error);
            match error {
                CallError::Domain(Error::NoMedium) => log::info!("no disk: the log is kept in memory only"),
                error => log::error!("the log cannot be kept: {error:?}"),
            }
        }
        Turn::Done => *told = None,
        _ => {}
    }
}
