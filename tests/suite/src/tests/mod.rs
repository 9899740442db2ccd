//! All tests, grouped as the conformance list is.
mod boot;
mod cspace;
mod fault;
mod interrupt;
mod ipc;
mod notification;
mod random;
mod schedule;
mod space;
mod syscall;
mod thread;
mod untyped;

use crate::suite::Test;

/// Every group, in the order in which they run: each builds on what the ones before have shown.
pub(crate) const ALL: &[&[Test]] = &[
    boot::TESTS,
    untyped::TESTS,
    cspace::TESTS,
    syscall::TESTS,
    notification::TESTS,
    thread::TESTS,
    ipc::TESTS,
    space::TESTS,
    fault::TESTS,
    schedule::TESTS,
    interrupt::TESTS,
    random::TESTS,
];

/// A list of tests with their names.
macro_rules! tests {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name)),*] };
}
pub(crate) use tests;
