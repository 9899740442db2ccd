//! Runs the tests of others by Rust's libtest, but for those that the list leaves out; part of each suite's program.
extern crate test;

use test::StaticTestFn;
pub(crate) use test::TestDescAndFn;

/// Runs `tests` one after the other, but for those of `WITHOUT`, which the program's build script makes of the list, and prints how each ended; those
/// that fail are named at the end. What the image gives as arguments is libtest's.
pub(crate) fn run(tests: &[&TestDescAndFn]) {
    let fixed = ["tests", "--test-threads=1", "--color=never", "--exact"].map(String::from);
    let mut arguments: Vec<String> = fixed.into();
    for name in crate::WITHOUT {
        arguments.extend(["--skip".to_string(), (*name).to_string()]);
    }
    arguments.extend(std::env::args().skip(1));
    // All are functions of this program. Benchmarks are functions of another kind; they are not run, and the list's counts are of those that are.
    let owned = tests.iter().filter_map(|test| match test.testfn {
        StaticTestFn(function) => Some(TestDescAndFn { desc: test.desc.clone(), testfn: StaticTestFn(function) }),
        _ => None,
    });
    let mut owned: Vec<TestDescAndFn> = owned.collect();
    owned.sort_by(|one, other| one.desc.name.as_slice().cmp(other.desc.name.as_slice()));
    test::test_main(&arguments, owned, None);
}
