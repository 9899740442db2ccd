//! The uutils coreutils as one program: the command is the name that it was called by, or its first argument.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// What a command's own program calls. It exists once for each process, as its messages do: therefore a command a life.
type Main = fn(std::vec::IntoIter<OsString>) -> i32;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let own = arguments.next().unwrap_or_default();
    // `/bin/ls` and `ls` are the command `ls`; `utils ls` is, too.
    let called = Path::new(&own).file_name().map(OsStr::to_os_string).filter(|name| command(name).is_some());
    let result = match called.or_else(|| arguments.next()) {
        Some(name) => run(&name, arguments.collect()),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "which command?")),
    };
    match result {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(error) => {
            eprintln!("utils: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As the program of that command would, with its messages.
fn run(name: &OsStr, arguments: Vec<OsString>) -> io::Result<i32> {
    let main = command(name).ok_or_else(|| io::Error::other(format!("there is no command {}", name.display())))?;
    let name = name.to_str().unwrap_or_default();
    uucore::locale::setup_localization(name).map_err(|error| io::Error::other(error.to_string()))?;
    let all: Vec<OsString> = std::iter::once(OsString::from(name)).chain(arguments).collect();
    let code = main(all.into_iter());
    io::stdout().flush()?;
    Ok(code)
}

/// All that are here. What else there is needs a second process, links, owners, or a terminal.
fn command(name: &OsStr) -> Option<Main> {
    Some(match name.to_str()? {
        "basename" => uu_basename::uumain,
        "cat" => uu_cat::uumain,
        "comm" => uu_comm::uumain,
        "cp" => uu_cp::uumain,
        "cut" => uu_cut::uumain,
        "date" => uu_date::uumain,
        "dirname" => uu_dirname::uumain,
        "du" => uu_du::uumain,
        "echo" => uu_echo::uumain,
        "head" => uu_head::uumain,
        "ls" => uu_ls::uumain,
        "mkdir" => uu_mkdir::uumain,
        "mv" => uu_mv::uumain,
        "pwd" => uu_pwd::uumain,
        "rm" => uu_rm::uumain,
        "rmdir" => uu_rmdir::uumain,
        "seq" => uu_seq::uumain,
        "sha256sum" => uu_sha256sum::uumain,
        "sort" => uu_sort::uumain,
        "tail" => uu_tail::uumain,
        "tr" => uu_tr::uumain,
        "truncate" => uu_truncate::uumain,
        "uniq" => uu_uniq::uumain,
        "wc" => uu_wc::uumain,
        _ => return None,
    })
}
