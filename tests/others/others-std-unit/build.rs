//! Generates the list of modules: unit tests of Rust's std.

fn main() -> std::process::ExitCode {
    others_lists::build("std-unit.list")
}
