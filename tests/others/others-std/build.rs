//! Generates the list of modules that are std's integration tests.
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match others_lists::write_modules(Path::new("../std.list"), "others-std") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tests/others/std.list: {error}");
            ExitCode::FAILURE
        }
    }
}
