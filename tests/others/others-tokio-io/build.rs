//! Generates the list of modules that are tokio's tests of input and output in memory, macros, and what threads share.
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match others_lists::write_modules(Path::new("../tokio.list"), "others-tokio-io") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tests/others/tokio.list: {error}");
            ExitCode::FAILURE
        }
    }
}
