//! The shell brush as a program: `sh -c LINE` and `sh FILE`; no terminal, and no configuration files.
#![forbid(unsafe_code)]

use brush_core::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    sh::run(play())
}

async fn play() -> Result<u8, Error> {
    let mut arguments = std::env::args();
    let own = arguments.next().unwrap_or_else(|| "sh".into());
    match (arguments.next(), arguments.next()) {
        (Some(option), Some(line)) if option == "-c" => {
            let name = arguments.next().unwrap_or(own);
            let mut shell = sh::shell(name, arguments.collect()).await?;
            shell.run_dash_c_command(line).await?;
            Ok(shell.last_exit_status())
        }
        (Some(file), first) if file != "-c" => {
            let mut shell = sh::shell(own, Vec::new()).await?;
            shell.run_script(file, first.into_iter().chain(arguments)).await?;
            Ok(shell.last_exit_status())
        }
        _ => {
            eprintln!("sh: -c LINE or FILE is missing");
            Ok(2)
        }
    }
}
