//! Generates the list of modules that are tokio's tests of runtimes.

fn main() -> std::process::ExitCode {
    others_lists::build("tokio.list")
}
