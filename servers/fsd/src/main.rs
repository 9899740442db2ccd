//! The interface and the data partition, put together; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use fsd::{Cached, Disk, Driver, FileServer, Memory, Redox, Store};
use hybrid_quota::IN_MEMORY;
use libhybrid::Env;

libhybrid::component!(run);

fn mount(disk: Disk<Driver>, env: Env) -> Result<Box<dyn Store>, alloc::string::String> {
    let is_first_life = env.start().generation == 1;
    match Redox::mount_guarded(disk, is_first_life) {
        Ok(store) => Ok(Box::new(Cached::new(store))),
        Err(error) => Err(alloc::format!("{error:?}")),
    }
}

fn run(env: Env) -> ! {
    FileServer::run(env, alloc::vec![("tmp", Box::new(Memory::new(IN_MEMORY)) as _)], "data", mount)
}
