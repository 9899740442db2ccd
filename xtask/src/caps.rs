//! The reviewer's view of a product's authority; resolves nothing itself.
use crate::{folders, product};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use hybrid_capgraph::{Graph, Problem};
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `cargo xtask caps`.
#[derive(Args)]
pub(crate) struct Caps {
    #[command(subcommand)]
    command: Task,
    /// Which image: a folder below images/
    #[arg(long, default_value = "gateway", global = true)]
    product: String,
    /// Which board: a file of kernel-config/boards/
    #[arg(long, default_value = "qemu-virt", global = true)]
    board: String,
}

#[derive(Subcommand)]
enum Task {
    /// Do the texts of all products resolve, and are the golden files current?
    Check,
    /// Print the golden text
    Golden {
        /// Write images/<product>/capgraph.golden instead
        #[arg(long)]
        write: bool,
    },
    /// Write the golden files of all products
    Bless,
    /// Everything that an instance holds, and who reaches it
    Show {
        /// The instance
        instance: String,
    },
    /// Who holds something: an instance's interface (netd.tcp), a full interface name, a device, or a kind (dma)
    Who {
        /// What is held
        what: String,
    },
    /// Why an instance can reach a target: its grants, or the chain through which it has influence
    Why {
        /// The instance
        holder: String,
        /// An instance, or one of its interfaces
        target: String,
    },
    /// The graph in the DOT language
    Graph,
}

impl Caps {
    /// Runs the command.
    ///
    /// # Errors
    /// A text is not valid, or names something that does not exist.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let graph = || resolve(&self.product, &self.board);
        match &self.command {
            Task::Check => {
                let problems = problems()?;
                problems.iter().for_each(|problem| eprintln!("error: {problem}"));
                if problems.is_empty() {
                    println!("all products resolve, and their golden files are current");
                }
                return Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Task::Golden { write: false } => print!("{}", hybrid_capgraph::golden(&graph()?)),
            Task::Golden { write: true } => write_golden(&self.product, &graph()?)?,
            Task::Bless => {
                for product in product::names()? {
                    write_golden(&product, &resolve(&product, &self.board)?)?;
                }
            }
            Task::Show { instance } => {
                let graph = graph()?;
                known(&graph, instance)?;
                print!("{}", hybrid_capgraph::show(&graph, instance));
            }
            Task::Who { what } => {
                let text = hybrid_capgraph::who(&graph()?, what);
                print!("{}", if text.is_empty() { format!("# nobody holds {what}\n") } else { text });
            }
            Task::Why { holder, target } => {
                let graph = graph()?;
                known(&graph, holder)?;
                print!("{}", hybrid_capgraph::why(&graph, holder, target));
            }
            Task::Graph => print!("{}", hybrid_capgraph::dot(&graph()?)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Resolves a product's texts.
///
/// # Errors
/// All that is wrong with them.
pub(crate) fn resolve(product: &str, board: &str) -> Result<Graph> {
    hybrid_capgraph::resolve(&folders::checkout(), product, board).map_err(|problems| {
        anyhow!("the texts of the product {product} do not resolve for {board}:\n{}", list(&problems))
    })
}

/// Problems as lines.
pub(crate) fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("    {problem}\n")).collect()
}

/// What is wrong with the texts of any product, or with its golden file.
///
/// # Errors
/// The folder of products cannot be read.
pub(crate) fn problems() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for product in product::names()? {
        let graph = match resolve(&product, "qemu-virt") {
            Ok(graph) => graph,
            Err(error) => {
                problems.push(format!("{error:#}"));
                continue;
            }
        };
        let (path, text) = (golden_path(&product), hybrid_capgraph::golden(&graph));
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        if found != text {
            let change = first_change(&found, &text);
            problems.push(format!(
                "{}: authority changed ({change}); review it, then `cargo xtask caps bless`",
                folders::shown(&path)
            ));
        }
    }
    Ok(problems)
}

/// The first line that differs, for a message.
fn first_change(old: &str, new: &str) -> String {
    let (mut old, mut new) = (old.lines(), new.lines());
    loop {
        match (old.next(), new.next()) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) => return format!("`{old}` is now `{new}`"),
            (None, Some(new)) => return format!("new: `{new}`"),
            (Some(old), None) => return format!("gone: `{old}`"),
            (None, None) => return "only its last line end".into(),
        }
    }
}

fn write_golden(product: &str, graph: &Graph) -> Result<()> {
    let (path, text) = (golden_path(product), hybrid_capgraph::golden(graph));
    if std::fs::read_to_string(&path).ok().as_deref() != Some(&text) {
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", folders::shown(&path));
    }
    Ok(())
}

fn golden_path(product: &str) -> PathBuf {
    folders::checkout().join("images").join(product).join("capgraph.golden")
}

fn known(graph: &Graph, instance: &str) -> Result<()> {
    if graph.instances.iter().any(|found| found.name == instance) {
        return Ok(());
    }
    let names: Vec<&str> = graph.instances.iter().map(|found| found.name.as_str()).collect();
    bail!("the product {} has no instance {instance:?}; it has: {}", graph.product, names.join(", "))
}
