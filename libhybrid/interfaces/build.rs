//! Runs the IDL compiler over the checkout's texts; writes nothing but the bindings.
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let root = Path::new("../../ipc-idl");
    println!("cargo::rerun-if-changed={}", root.display());
    let bindings = match hybrid_idlc::generate(root) {
        Ok(bindings) => bindings,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let Some(out) = env::var_os("OUT_DIR") else {
        eprintln!("cargo sets OUT_DIR for build scripts");
        return ExitCode::FAILURE;
    };
    match fs::write(Path::new(&out).join("interfaces.rs"), bindings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("interfaces.rs: {error}");
            ExitCode::FAILURE
        }
    }
}
