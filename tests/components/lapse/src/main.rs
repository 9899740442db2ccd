//! Panics in every life, hangs in its first, or rests; does nothing else.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use libhybrid::{Env, log};

libhybrid::component!(run);

fn run(env: Env) -> ! {
    let generation = env.start().generation;
    log::info!("life {generation} begins");
    match env.parameter("deed") {
        Some("panic") => panic!("in life {generation}, on purpose"),
        Some("hang") if generation == 1 => loop {
            core::hint::spin_loop();
        },
        Some("hang" | "rest") => {}
        other => log::error!("{other:?} is no deed"),
    }
    loop {
        let _bits = env.wait();
    }
}
