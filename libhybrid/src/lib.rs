//! What every component links: one door to sys, rt, ipc, ring and drv; no code of its own.
//!
//! An app developer needs this one dependency. Start with [`component!`], [`Env`] and the generated clients and
//! server traits in [`interfaces`]; `docs/writing-a-provider.md` walks through a whole app.
#![no_std]
#![forbid(unsafe_code)]

pub use hybrid_drv as drv;
pub use hybrid_interfaces as interfaces;
pub use hybrid_ipc as ipc;
pub use hybrid_ring as ring;
pub use hybrid_rt::{
    Bell, Component, Condition, EndpointCaller, Env, PeerChange, PeerNews, SessionHandle, component, now_ns, root_task,
    serve_endpoint, stop,
};
pub use hybrid_start as start;
pub use hybrid_sys as sys;
pub use log;
