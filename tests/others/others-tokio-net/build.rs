//! Generates the list of modules that are tokio's tests of sockets, files and signals.
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match others_lists::write_modules(Path::new("../tokio.list"), "others-tokio-net") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tests/others/tokio.list: {error}");
            ExitCode::FAILURE
        }
    }
}
