//! The IDL compiler's commands: check the texts, write their golden summaries.
use crate::folders;
use anyhow::Result;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `cargo xtask idl`.
#[derive(Args)]
pub(crate) struct Idl {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Are all texts valid, and are the golden summaries current?
    Check,
    /// Write the golden summaries: one line per element of every interface
    Bless,
    /// Print a page about every interface, as Markdown
    Doc,
}

impl Idl {
    /// Runs the command.
    ///
    /// # Errors
    /// A text is not valid; the error shows where.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.command {
            Task::Check => {
                let problems = problems();
                problems.iter().for_each(|problem| eprintln!("error: {problem}"));
                if problems.is_empty() {
                    println!("the interface texts are right, and ipc-idl/api agrees with them");
                }
                Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Task::Doc => {
                print!("{}", hybrid_idlc::document(&texts())?);
                Ok(ExitCode::SUCCESS)
            }
            Task::Bless => {
                for library in hybrid_idlc::bless(&texts())? {
                    println!("ipc-idl/api/{library}.txt: written");
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// What is wrong with the texts or their summaries.
pub(crate) fn problems() -> Vec<String> {
    hybrid_idlc::check_all(&texts()).err().map(|error| error.to_string()).into_iter().collect()
}

fn texts() -> PathBuf {
    folders::checkout().join("ipc-idl")
}
