//! The interface and the data partition, put together; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use fsd::{Cached, Disk, Driver, FileServer, Memory, Redox, Store};
use libhybrid::Env;

libhybrid::component!(run);

/// Bytes of all files in memory together, beside the disk's.
const BESIDE: u64 = 2 << 20;

fn mount(disk: Disk<Driver>, env: Env) -> Result<Box<dyn Store>, alloc::string::String> {
    let is_first_life = env.start().generation == 1;
    match Redox::mount_guarded(disk, is_first_life) {
        Ok(store) => Ok(Box::new(Cached::new(store))),
        Err(error) => Err(alloc::format!("{error:?}")),
    }
}

fn run(env: Env) -> ! {
    FileServer::run(env, alloc::vec![("tmp", Box::new(Memory::new(BESIDE)) as _)], "data", mount)
}
