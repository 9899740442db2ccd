//! All tests, grouped as the conformance list is.
mod audit;
mod boot;
mod chain;
mod cspace;
mod donation;
mod endpoint;
mod fault;
mod interrupt;
mod message;
mod notification;
mod random;
mod schedule;
mod service;
mod smp;
mod space;
mod syscall;
mod thread;
mod timeout;
mod timing;
mod untyped;
mod vectors;
mod vectors_threads;

use hybrid_sys::abi::syscall as number;

use crate::probe::svc;
use crate::suite::Test;
use crate::world::{Plan, World, cell};

/// Every group, in the order in which they run: each builds on what the ones before have shown.
pub(crate) const ALL: &[&[Test]] = &[
    boot::TESTS,
    vectors::TESTS,
    vectors_threads::TESTS,
    untyped::TESTS,
    cspace::TESTS,
    audit::TESTS,
    syscall::TESTS,
    message::TESTS,
    endpoint::TESTS,
    notification::TESTS,
    donation::TESTS,
    chain::TESTS,
    thread::TESTS,
    space::TESTS,
    fault::TESTS,
    schedule::TESTS,
    timing::TESTS,
    timeout::TESTS,
    interrupt::TESTS,
    service::TESTS,
    smp::TESTS,
    random::TESTS,
];

/// A list of tests: `name`, `name + ["further requirement"]`, `name if Need`.
macro_rules! tests {
    (@need) => { $crate::suite::Needs::Nothing };
    (@need $need:ident) => { $crate::suite::Needs::$need };
    ($($name:ident $(+ [$($also:literal),*])? $(if $need:ident)?),* $(,)?) => {
        &[$($crate::suite::Test {
            name: stringify!($name),
            also: &[$($($also),*)?],
            needs: tests!(@need $($need)?),
            run: $name,
        }),*]
    };
}
pub(crate) use tests;

/// Whether this kernel has the debug calls: a thread survives asking for the kind of a capability.
pub(crate) fn has_debug_calls(world: &World) -> bool {
    let survived = cell();
    let asked = world.spawn(&Plan::at(254), move || {
        svc(number::DEBUG_CAP_IDENTIFY, [0; 9]);
        survived.set(1);
    });
    asked.is_ok() && world.settle().is_ok() && survived.get() == 1
}
