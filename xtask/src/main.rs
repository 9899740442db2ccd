//! Every build, run and check command of the project; host only.
#![forbid(unsafe_code)]

mod audit;
mod bench;
mod build;
mod c_program;
mod caps;
mod cargo;
mod check;
mod folders;
mod foreign;
mod hex;
mod idl;
mod image;
mod kernel_table;
mod miri;
mod musl;
mod new;
mod others;
mod personality;
mod policy;
mod product;
mod progress;
mod run;
mod setup;
mod source;
mod std_tier;
mod storage;
mod test;
mod traps;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Build, run, test and check HybridOS.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, propagate_version = false)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing on this machine; silent when all is there
    Setup(setup::Setup),
    /// Build an image
    Build(build::Build),
    /// Build an image and boot it in QEMU
    Run(run::Run),
    /// Write what root tasks that are built elsewhere must know of the kernel (seL4's configuration files)
    KernelHeaders(foreign::headers::KernelHeaders),
    /// Test on the host, then whole images in QEMU
    Test(test::Test),
    /// Check everything that must hold of the text itself
    Check(check::Check),
    /// Check the interface texts, or write their golden summaries
    Idl(idl::Idl),
    /// Review a product's authority
    Caps(caps::Caps),
    /// Read the audit trail of a running image and check that no record was changed
    Audit(audit::AuditTask),
    /// Check, compile and question an access policy
    Policy(policy::PolicyTask),
    /// Make a component that builds and runs at once
    New(new::New),
    /// Write the files that go onto a board
    Image(image::MakeImage),
    /// Measure; writes docs/performance.md
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Task::Setup(task) => task.run(),
        Task::Build(task) => task.run(),
        Task::Run(task) => task.run(),
        Task::KernelHeaders(task) => task.run(),
        Task::Test(task) => task.run(),
        Task::Check(task) => task.run(),
        Task::Idl(task) => task.run(),
        Task::Caps(task) => task.run(),
        Task::Audit(task) => task.run(),
        Task::Policy(task) => task.run(),
        Task::New(task) => task.run(),
        Task::Image(task) => task.run(),
        Task::Bench(task) => task.run(),
    };
    report(outcome)
}

/// Prints the chain of causes, outermost first: what was wrong, where, and what to do stand in the texts.
fn report(outcome: Result<ExitCode>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}
