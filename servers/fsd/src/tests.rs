//! The server and its stores against a simple model, hostile clients, and losses of power; needs no disk and no kernel.
#![expect(clippy::expect_used, reason = "a mistake of a test ends the test")]
mod cache;
mod crash;
mod disk;
mod escape;
mod fat;
mod full;
mod hostile;
mod model;
mod power;
mod row;
mod sessions;
mod trim;

use crate::{Cached, Memory, Redox, Server, Store};
use libhybrid::interfaces::fs::{FilesClientRings, FilesRings, files};
use libhybrid::ipc::ClientId;
use libhybrid::ring::Region;
use power::RamDisk;

const CLIENT: ClientId = ClientId::of(30);
/// The same instance by another of its uses: no test here may take the one session for the other.
const OTHER: ClientId = ClientId { nth: 1, ..CLIENT };
/// Blocks of a test's disk.
const BLOCKS: u64 = 2048;

/// A clock that goes on by itself.
fn clock() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NOW: AtomicU64 = AtomicU64::new(1);
    NOW.fetch_add(1_000_000, Ordering::Relaxed)
}

fn redox(disk: &RamDisk) -> Box<dyn Store> {
    Box::new(Cached::new(Redox::mount(disk.clone()).expect("a disk that works")))
}

/// A server with a store in memory and one on a disk.
fn server(disk: &RamDisk) -> Server {
    Server::new(vec![("tmp", Box::new(Memory::new(4 << 20))), ("data", redox(disk))], 3, clock)
}

/// Begins a session, and gives its rings.
fn begin(server: &mut Server, client: ClientId, prefix: &str, quota: u64) -> FilesClientRings {
    let region = Region::on_heap(files::REGION_BYTES);
    server.begin(client, Some(prefix), quota, None, FilesRings::server(&region).ok());
    FilesRings::client(&region).expect("fits")
}
