//! The list of all scenarios; each subject is a file.
mod audit;
mod boot;
mod cable;
mod console;
mod cuts;
mod datagrams;
mod devices;
mod faults;
mod files;
mod foreign;
mod guests;
mod live;
mod lives;
mod load;
mod local;
mod mqtt;
mod others;
mod policy;
mod programs;
mod requests;
mod servers;
mod sh;
mod std;
mod store;
mod storm;
mod streams;
mod stress;
pub mod suite;

use crate::hardware::Hardware;
use crate::scenario::{Image, Scenario, Stage};
use anyhow::Result;

/// Every scenario, in the order in which they are played: cheap ones first.
pub fn all() -> Vec<Scenario> {
    [
        suite::all(),
        foreign::all(),
        storm::all(),
        boot::all(),
        console::all(),
        devices::all(),
        audit::all(),
        policy::all(),
        requests::all(),
        cable::all(),
        std::all(),
        local::all(),
        programs::all(),
        servers::all(),
        mqtt::all(),
        datagrams::all(),
        streams::all(),
        faults::all(),
        guests::all(),
        live::all(),
        store::all(),
        files::all(),
        cuts::all(),
        sh::all(),
        others::all(),
        lives::all(),
        stress::all(),
        load::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Scenarios of hours or minutes, for the night: `cargo xtask test --long` plays them too.
pub fn long() -> Vec<Scenario> {
    storm::long()
        .into_iter()
        .chain(stress::long())
        .chain(load::long())
        .chain(others::long())
        .chain(cuts::long())
        .collect()
}

/// A scenario with the gateway product on the default machine.
fn gateway(name: &str, about: &str, run: fn(&mut Stage) -> Result<()>) -> Scenario {
    let (name, about) = (name.to_string(), about.to_string());
    Scenario { name, about, image: Image::Product("gateway"), hardware: Hardware::default(), run }
}
