//! The interface and a boot partition, put together; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::String;
use fsd::{Disk, Driver, Fat, FileServer, Store};
use libhybrid::{Env, log};

libhybrid::component!(run);

fn mount(disk: Disk<Driver>, _: Env) -> Result<Box<dyn Store>, String> {
    let volume = Fat::mount(disk).map_err(|error| alloc::format!("{error:?}"))?;
    if !volume.is_writable() {
        log::warn!("the volume of /boot leaves no room for a journal behind it, so that it can only be read");
    }
    Ok(Box::new(volume))
}

fn run(env: Env) -> ! {
    FileServer::run(env, alloc::vec::Vec::new(), "boot", mount)
}
