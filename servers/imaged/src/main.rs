//! The interface and the system partition, put together; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::String;
use fsd::{Disk, Driver, FileServer, Store};
use imaged::Image;
use libhybrid::Env;

libhybrid::component!(run);

fn mount(disk: Disk<Driver>, _: Env) -> Result<Box<dyn Store>, String> {
    match Image::mount(disk) {
        Ok(image) => Ok(Box::new(image)),
        Err(error) => Err(alloc::format!("{error:?}")),
    }
}

fn run(env: Env) -> ! {
    FileServer::run(env, alloc::vec::Vec::new(), "system", mount)
}
