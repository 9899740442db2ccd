//! Generates the list of modules: the tests of Rust's core.

fn main() -> std::process::ExitCode {
    others_lists::build("core.list")
}
