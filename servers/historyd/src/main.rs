//! Wires the log, the files and the alarm to the copying; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

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
    let mut history = History::new(reader, files, title, start.generation == 1);
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
        let _bits = env.wait();
        let _another_look_follows = alarm.pull_expired();
        let is_server = |change: &PeerChange| ["reader", "files"].iter().any(|name| change.of_use(name).is_some());
        if env.peer_changes().filter(is_server).count() > 0 {
            history.forget();
            due = due.min(now_ns().saturating_add(SOON_NS));
        }
    }
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
