//! Generates the list of modules that are std's integration tests.

fn main() -> std::process::ExitCode {
    others_lists::build("std.list")
}
