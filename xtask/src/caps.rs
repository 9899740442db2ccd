//! The reviewer's view of a product's authority; resolves nothing itself.
mod check;
pub(crate) use check::text;
mod sources;

use crate::{folders, product};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use hybrid_capgraph::{Date, Graph, Problem, Rulebook, Thing};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) use check::problems;

/// Options of `cargo xtask caps`.
#[derive(Args)]
pub(crate) struct Caps {
    #[command(subcommand)]
    command: Task,
    /// Which board: a file of kernel-config/boards/
    #[arg(long, default_value = "qemu-virt", global = true)]
    board: String,
    /// The day that permissions and exceptions are held against, as 2027-11-30; default: today, or that of SOURCE_DATE_EPOCH
    #[arg(long, global = true, value_parser = Date::parse)]
    date: Option<Date>,
}

#[derive(Subcommand)]
enum Task {
    /// Resolve, and apply every rule; exit status 0: clean, 1: findings, 2: something cannot be read
    #[command(after_help = "Example: cargo xtask caps check gateway --date 2028-01-01 --json")]
    Check {
        /// A folder below images/; all of them if absent
        image: Option<String>,
        /// Findings as JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// List the rules: id and name; why each exists stands in docs/capabilities/rules.md
    #[command(after_help = "Example: cargo xtask caps rules")]
    Rules,
    /// Print the golden text
    #[command(after_help = "Example: cargo xtask caps golden gateway")]
    Golden {
        /// A folder below images/
        #[arg(default_value = "gateway")]
        image: String,
        /// Write images/<image>/capgraph.golden instead
        #[arg(long)]
        write: bool,
    },
    /// Write the golden files of all products
    #[command(after_help = "Example: cargo xtask caps bless")]
    Bless,
    /// One screen about a component: what it holds and why, offers, memory, devices, who reaches it, whom it can influence
    #[command(after_help = "Example: cargo xtask caps show gateway httpd")]
    Show {
        /// A folder below images/
        image: String,
        /// The instance
        component: String,
    },
    /// Who holds something, who could come to hold it, and, apart from these, who can influence a holder
    #[command(after_help = "Examples: cargo xtask caps who gateway --interface netd.tcp\n          \
                            cargo xtask caps who gateway --device virtio-net0\n          \
                            cargo xtask caps who gateway --memory 0xa000000")]
    Who {
        /// A folder below images/
        image: String,
        #[command(flatten)]
        thing: ThingArguments,
    },
    /// Every path from A to B, with the reason on each edge
    #[command(after_help = "Example: cargo xtask caps why gateway status virtio-net0")]
    Why {
        /// A folder below images/
        image: String,
        /// An instance
        from: String,
        /// An instance, one of its interfaces (netd.tcp), or a device
        to: String,
    },
    /// What B has otherwise than A, riskiest first
    #[command(after_help = "A and B are images, golden files, or revisions: REV means REV:gateway.\n\
                            Examples: cargo xtask caps diff HEAD~1 gateway\n          \
                            cargo xtask caps diff gateway gateway-test\n          \
                            cargo xtask caps diff HEAD~9:gateway-test HEAD:gateway-test")]
    Diff {
        /// An image, a golden file, REV or REV:IMAGE
        a: String,
        /// Likewise
        b: String,
    },
    /// The graph as DOT, SVG, or one HTML page
    #[command(after_help = "Example: cargo xtask caps graph gateway --format html > gateway.html")]
    Graph {
        /// A folder below images/
        #[arg(default_value = "gateway")]
        image: String,
        /// dot: for Graphviz; svg: a picture; html: a page with search, filters and cards, which needs no network
        #[arg(long, value_enum, default_value_t = Format::Dot)]
        format: Format,
    },
    /// Declared against live, in the golden file's own lines; exit status 0: as declared, 1: different, 2: something cannot be read
    #[command(
        after_help = "LIVE has lines as the golden file; `# shows call region …` tells the kinds that it can show, \
                            and what a line leaves out is not compared.\n\
                            Example: cargo xtask caps compare gateway live.txt"
    )]
    Compare {
        /// An image, a golden file, REV or REV:IMAGE
        image: String,
        /// A file of the running system's lines
        live: PathBuf,
    },
}

/// What is asked for: exactly one.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct ThingArguments {
    /// A full interface name, or `<instance>.<provided name>`
    #[arg(long)]
    interface: Option<String>,
    /// A board device, or a `compatible`
    #[arg(long)]
    device: Option<String>,
    /// An interrupt's number
    #[arg(long)]
    irq: Option<u32>,
    /// A region (netd.tcp: both sides), DMA memory (buffers), an instance's own (httpd), or an address in a register page (0x9000000)
    #[arg(long)]
    memory: Option<String>,
    /// A key of the product
    #[arg(long)]
    key: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Dot,
    Svg,
    Html,
}

/// To standard output; whoever reads may stop before the end.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// What a command found.
enum Outcome {
    Clean,
    Findings,
}

impl Caps {
    /// Runs the command.
    ///
    /// # Errors
    /// None: what cannot be read is told, and exit status 2.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.answer() {
            Ok(Outcome::Clean) => Ok(ExitCode::SUCCESS),
            Ok(Outcome::Findings) => Ok(ExitCode::from(1)),
            Err(error) => {
                eprintln!("error: {error:#}");
                Ok(ExitCode::from(2))
            }
        }
    }

    fn answer(&self) -> Result<Outcome> {
        let graph = |image: &str| self.graph(image);
        match &self.command {
            Task::Check { image, json } => return check::run(image.as_deref(), &self.board, self.day(), *json),
            Task::Rules => {
                let lines = hybrid_capgraph::RULES.iter().map(|rule| format!("{} {}\n", rule.id, rule.name));
                say(&lines.collect::<String>());
            }
            Task::Golden { image, write: false } => say(&hybrid_capgraph::golden(&graph(image)?)),
            Task::Golden { image, write: true } => write_golden(image, &graph(image)?)?,
            Task::Bless => {
                for image in product::names()? {
                    write_golden(&image, &graph(&image)?)?;
                }
            }
            Task::Show { image, component } => {
                let graph = graph(image)?;
                known(&graph, component)?;
                say(&hybrid_capgraph::show(&graph, component));
            }
            Task::Who { image, thing } => say(&hybrid_capgraph::who_text(&graph(image)?, &thing.thing()?)),
            Task::Why { image, from, to } => {
                let graph = graph(image)?;
                known(&graph, from)?;
                let goal = to.split('.').next().unwrap_or(to);
                let is_device = |own: &hybrid_capgraph::Instance| own.devices.iter().any(|device| device.device == *to);
                if !graph.instances.iter().any(is_device) {
                    known(&graph, goal)?;
                }
                say(&hybrid_capgraph::why_text(&graph, from, to));
            }
            Task::Diff { a, b } => {
                let (a, b) = (self.listing(a)?, self.listing(b)?);
                say(&hybrid_capgraph::diff(&a, &b));
            }
            Task::Graph { image, format } => {
                let graph = graph(image)?;
                let draw = match format {
                    Format::Dot => hybrid_capgraph::dot,
                    Format::Svg => hybrid_capgraph::svg,
                    Format::Html => hybrid_capgraph::html,
                };
                say(&draw(&graph));
            }
            Task::Compare { image, live } => {
                let (declared, live) = (self.listing(image)?, sources::file(live)?);
                let found = hybrid_capgraph::compare(&declared, &live);
                say(&found.text());
                return Ok(if found.agrees() { Outcome::Clean } else { Outcome::Findings });
            }
        }
        Ok(Outcome::Clean)
    }

    fn day(&self) -> Date {
        self.date.unwrap_or_else(Date::of_build)
    }

    fn graph(&self, image: &str) -> Result<Graph> {
        product::Product::load(image)?;
        resolve_on(image, &self.board, self.day()).map_err(|problems| unresolved(image, &self.board, &problems))
    }

    fn listing(&self, source: &str) -> Result<hybrid_capgraph::Listing> {
        sources::listing(source, |image| self.graph(image))
    }
}

impl ThingArguments {
    fn thing(&self) -> Result<Thing> {
        let things = [
            self.interface.clone().map(Thing::Interface),
            self.device.clone().map(Thing::Device),
            self.irq.map(Thing::Irq),
            self.memory.clone().map(Thing::Memory),
            self.key.clone().map(Thing::Key),
        ];
        things.into_iter().flatten().next().context("say what to look for, as --device uart0")
    }
}

/// Resolves a product's texts; also gives the rules for further components.
///
/// # Errors
/// All that is wrong with them.
pub(crate) fn resolve(product: &str, board: &str) -> Result<(Graph, Rulebook)> {
    let root = folders::checkout();
    let whole = hybrid_capgraph::idl_interfaces(&root)
        .and_then(|interfaces| hybrid_capgraph::resolve_whole(&root, product, board, &interfaces, Date::of_build()));
    whole.map_err(|problems| unresolved(product, board, &problems))
}

fn resolve_on(product: &str, board: &str, day: Date) -> Result<Graph, Vec<Problem>> {
    let root = folders::checkout();
    let interfaces = hybrid_capgraph::idl_interfaces(&root)?;
    hybrid_capgraph::resolve_with(&root, product, board, &interfaces, day)
}

fn unresolved(product: &str, board: &str, problems: &[Problem]) -> anyhow::Error {
    anyhow!("the texts of the product {product} do not resolve for {board}:\n{}", list(problems))
}

/// Problems as lines.
pub(crate) fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("    {problem}\n")).collect()
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
