//! Compiles all texts that the compiler must accept, together; checks nothing else.
use hybrid_idlc::{Source, compile};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    match bindings().and_then(|text| write(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn bindings() -> io::Result<String> {
    let folder = Path::new("../../ipc-idl/compiler/tests/accept");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        sources.push(Source { name: path.display().to_string(), text: fs::read_to_string(&path)? });
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(compile(sources).map_err(|mistakes| io::Error::other(mistakes.to_string()))?.rust())
}

fn write(text: &str) -> io::Result<()> {
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR for build scripts"))?;
    fs::write(Path::new(&out).join("conformance.rs"), text)
}
