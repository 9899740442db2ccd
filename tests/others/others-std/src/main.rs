//! The integration tests of Rust's `std`, as its authors wrote them; for the scenario `others`.
#![cfg_attr(all(test, target_env = "musl"), feature(test, custom_test_frameworks), test_runner(crate::runner::run))]
// As modules of one crate, the files cannot ask for these themselves.
#![cfg_attr(
    all(test, target_env = "musl"),
    feature(
        cfg_target_thread_local,
        clone_to_uninit,
        duration_constants,
        error_generic_member_access,
        error_reporter,
        lock_value_accessors,
        macro_metavar_expr_concat,
        mapped_lock_guards,
        mpmc_channel,
        nonpoison_condvar,
        nonpoison_mutex,
        nonpoison_rwlock,
        normalize_lexically,
        once_cell_try,
        oneshot_channel,
        path_trailing_sep,
        reentrant_lock,
        std_internals,
        stdarch_aarch64_feature_detection,
        sync_nonpoison,
        sync_poison_mod,
        thread_sleep_until,
        time_saturating_systemtime,
        time_systemtime_limits,
    )
)]
#![cfg_attr(all(test, target_env = "musl"), allow(warnings, reason = "what others wrote is theirs to mend"))]

#[cfg(all(test, target_env = "musl"))]
#[path = "../../runner.rs"]
mod runner;

#[cfg(all(test, target_env = "musl"))]
include!(concat!(env!("OUT_DIR"), "/tests.rs"));

fn main() {}
