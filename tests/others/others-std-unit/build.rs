//! Generates the list of modules: unit tests of Rust's std.
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match others_lists::write_modules(Path::new("../std-unit.list"), "others-std-unit") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tests/others/std-unit.list: {error}");
            ExitCode::FAILURE
        }
    }
}
