//! The uutils coreutils as one program: it runs one command a life, its own arguments' or the next of a list of lines.
#![forbid(unsafe_code)]

mod line;

use line::Line;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::process::ExitCode;

/// `utils @lines` plays these, the next one in each life; the scenario `utils` plays them on the host, too.
const LINES: &str = include_str!("../lines");
/// Where it keeps which line is next, in the directory that it was given.
const NEXT: &str = "/.next";

/// What a command's own program calls. It exists once for each process, as its messages do: therefore a command a life.
type Main = fn(std::vec::IntoIter<OsString>) -> i32;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    let result = match first {
        Some(word) if word == "@lines" => next_line(),
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

/// The line that is next; the one after it is next then, even if this one ends the program.
fn next_line() -> io::Result<i32> {
    let number: usize = match fs::read_to_string(NEXT) {
        Ok(text) => text.trim().parse().map_err(io::Error::other)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let Some(text) = LINES.lines().nth(number) else {
        println!("no line is left");
        return Ok(0);
    };
    fs::write(NEXT, format!("{}\n", number + 1))?;
    let line = Line::parse(text).ok_or_else(|| io::Error::other(format!("not a line: {text}")))?;
    std::env::set_current_dir("/tree")
        .or_else(|_| fs::create_dir("/tree").and_then(|()| std::env::set_current_dir("/tree")))?;
    println!("line {number}: {text}");
    let code = redirected(&line)?;
    eprintln!("line {number} is done: {code}");
    Ok(0)
}

/// Runs the line with its standard input and output where it says.
fn redirected(line: &Line) -> io::Result<i32> {
    if let Some(path) = line.input {
        rustix::stdio::dup2_stdin(File::open(path)?)?;
    }
    if let Some(path) = line.output {
        let file = File::options().create(true).write(true).append(line.appends).truncate(!line.appends).open(path)?;
        rustix::stdio::dup2_stdout(file)?;
    }
    let name = OsString::from(line.words.first().copied().unwrap_or_default());
    run(&name, line.words.iter().skip(1).map(OsString::from).collect())
}

/// As the program of that command would, with its messages.
fn run(name: &OsString, arguments: Vec<OsString>) -> io::Result<i32> {
    let name = name.to_str().unwrap_or_default();
    let main = command(name).ok_or_else(|| io::Error::other(format!("there is no command {name}")))?;
    uucore::locale::setup_localization(name).map_err(|error| io::Error::other(error.to_string()))?;
    let all: Vec<OsString> = std::iter::once(OsString::from(name)).chain(arguments).collect();
    let code = main(all.into_iter());
    io::stdout().flush()?;
    Ok(code)
}

/// All that are here. What else there is needs a second process, links, owners, or a terminal.
fn command(name: &str) -> Option<Main> {
    Some(match name {
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
