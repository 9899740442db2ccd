//! Generates the list of modules that are tokio's tests of input and output, macros, and what threads share.

fn main() -> std::process::ExitCode {
    others_lists::build("tokio.list")
}
