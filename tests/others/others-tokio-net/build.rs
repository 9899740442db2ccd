//! Generates the list of modules that are tokio's tests of sockets, files, signals and processes.

fn main() -> std::process::ExitCode {
    others_lists::build("tokio.list")
}
