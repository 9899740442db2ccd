//! Generates the list of modules: unit tests of Rust's alloc.

fn main() -> std::process::ExitCode {
    others_lists::build("alloc-unit.list")
}
