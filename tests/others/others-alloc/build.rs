//! Generates the list of modules: the tests of Rust's alloc.

fn main() -> std::process::ExitCode {
    others_lists::build("alloc.list")
}
