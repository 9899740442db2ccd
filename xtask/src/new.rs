//! `cargo xtask new`: a component that builds and runs at once; granted log, clock and randomness, no more.
use crate::folders;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use hybrid_capgraph::Runtime;
use std::path::Path;
use std::process::ExitCode;

/// Make a component
#[derive(Args)]
pub(crate) struct New {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A program in a folder of its own below apps/, and an instance of it in a product
    App(App),
}

#[derive(Args)]
struct App {
    /// Its name: small letters, digits, hyphens
    name: String,
    /// In Rust, with the standard library (the default)
    #[arg(long, conflicts_with = "c")]
    std: bool,
    /// In C
    #[arg(long)]
    c: bool,
    /// The product that runs it
    #[arg(long, default_value = "gateway-std", value_name = "PRODUCT")]
    product: String,
}

impl New {
    /// Makes it and says how it is run.
    ///
    /// # Errors
    /// There is one of that name, or it cannot be written.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let What::App(app) = self.what;
        let runtime = if app.c { Runtime::C } else { Runtime::Std };
        make(&folders::checkout(), &app.name, runtime, &app.product)?;
        println!("made apps/{0}, and an instance of it in images/{1}/system.toml", app.name, app.product);
        println!("cargo xtask caps bless                  # look at what it is granted: git diff images");
        println!("cargo xtask run --product {}", app.product);
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the component below `root`, and its instance.
fn make(root: &Path, name: &str, runtime: Runtime, product: &str) -> Result<()> {
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_ascii_lowercase())
            && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
    };
    ensure!(is_name(name) && name.len() <= 24, "a name is small letters, digits and hyphens, at most 24: not `{name}`");
    let folder = root.join("apps").join(name);
    ensure!(!folder.exists(), "there is a folder {} already", folders::shown(&folder));
    let system = root.join("images").join(product).join("system.toml");
    let text = std::fs::read_to_string(&system).with_context(|| format!("there is no product `{product}`"))?;
    ensure!(!text.contains(&format!("name = \"{name}\"")), "{product} has an instance `{name}` already");
    let instance = instance(&text, name)?;
    let members = if runtime == Runtime::C { None } else { Some(with_member(root, name)?) };
    let write = |file: &str, text: String| {
        let path = folder.join(file);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    std::fs::create_dir_all(folder.join("src")).with_context(|| format!("cannot make {}", folder.display()))?;
    write("component.toml", component(name, runtime))?;
    if let Some(members) = members {
        write("Cargo.toml", package(name))?;
        write("src/main.rs", RUST.replace("NAME", name))?;
        std::fs::write(root.join("Cargo.toml"), members).context("cannot write Cargo.toml")?;
    } else {
        write("src/main.c", C.replace("NAME", name))?;
    }
    std::fs::write(&system, text + &instance).with_context(|| format!("cannot write {}", system.display()))
}

/// The workspace with one more member.
fn with_member(root: &Path, name: &str) -> Result<String> {
    let text = std::fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let place = "    \"apps/status\"";
    if !text.contains(place) {
        bail!("Cargo.toml lists no apps where they were: add \"apps/{name}\" to its members, and then it is made");
    }
    Ok(text.replacen(place, &format!("    \"apps/{name}\",\n{place}"), 1))
}

/// An instance with the lowest id that is free above those of the product's own; the grants are those of every program on musl.
fn instance(system: &str, name: &str) -> Result<String> {
    let ids = system.lines().filter_map(|line| line.strip_prefix("id = ")?.trim().parse::<u16>().ok());
    let id = ids.max().unwrap_or(50).checked_add(1).context("no instance id is free")?;
    Ok(format!(
        "\n[[instance]]\nid = {id}\nname = \"{name}\"\ncomponent = \"apps/{name}\"\nbudget_us = 10_000\nperiod_us = 10_000\nroutes = {{ log = \
         \"logd.sink\", alarm = \"timed.alarm\", random = \"entropyd.random\" }}\n"
    ))
}

fn component(name: &str, runtime: Runtime) -> String {
    let runtime = if runtime == Runtime::C { "c" } else { "std" };
    COMPONENT.replace("NAME", name).replace("RUNTIME", runtime)
}

fn package(name: &str) -> String {
    PACKAGE.replace("NAME", name)
}

const COMPONENT: &str = r#"# What NAME needs, never who gives it: docs/capabilities.md, docs/std.md.
[component]
name = "NAME"
summary = "Says hello."
priority_class = "app"
runtime = "RUNTIME"

[memory]
stack = "64 KiB"
heap = "512 KiB"
program = "768 KiB"
# With `threads = 4` in [component], of each beside the main one (docs/std.md): thread_stack = "64 KiB"

[[uses]]
name = "log"
interface = "hybrid.log.Sink"
reason = "print: what it writes becomes log records"

[[uses]]
name = "alarm"
interface = "hybrid.time.Alarm"
reason = "sleep"

[[uses]]
name = "random"
interface = "hybrid.entropy.Random"
reason = "seeds of hash maps"

[restart]
policy = "never"
"#;

const PACKAGE: &str = r#"[package]
name = "NAME"
description = "Says hello."
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[lints]
workspace = true
"#;

const RUST: &str = r#"//! Says hello.
#![forbid(unsafe_code)]
use std::{collections::HashMap, thread, time::Duration};

fn main() {
    println!("hello from NAME");
    thread::sleep(Duration::from_millis(10));
    let lengths: HashMap<&str, usize> = ["one", "three"].map(|word| (word, word.len())).into();
    println!("three has {} letters", lengths["three"]);
}
"#;

const C: &str = r#"/* Says hello. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	printf("hello from NAME\n");
	usleep(10000);
	return 0;
}
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// The texts that authority is resolved from, and nothing else, in a folder of its own.
    fn tree(name: &str) -> PathBuf {
        let (from, to) =
            (folders::checkout(), std::env::temp_dir().join(format!("hybrid-new-{}-{name}", std::process::id())));
        let _none_is_left = fs::remove_dir_all(&to);
        for folder in ["apps", "drivers", "images", "ipc-idl", "kernel-config", "servers", "tests/components"] {
            copy_texts(&from.join(folder), &to.join(folder));
        }
        fs::copy(from.join("Cargo.toml"), to.join("Cargo.toml")).unwrap();
        to
    }

    fn copy_texts(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap().flatten() {
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            let is_text = path.extension().is_some_and(|kind| kind == "toml" || kind == "idl" || kind == "golden");
            if entry.file_type().unwrap().is_dir() && entry.file_name() != "target" {
                copy_texts(&path, &target);
            } else if is_text {
                fs::create_dir_all(to).unwrap();
                fs::copy(path, target).unwrap();
            }
        }
    }

    #[test]
    fn new_apps_of_both_kinds_are_instances_of_a_product_that_resolves() {
        let root = tree("both");
        make(&root, "my-app", Runtime::Std, "gateway-std").unwrap();
        make(&root, "my-c", Runtime::C, "gateway-std").unwrap();
        let graph = hybrid_capgraph::resolve(&root, "gateway-std", "qemu-virt")
            .unwrap_or_else(|problems| panic!("{}", problems[0]));
        for (name, runtime) in [("my-app", Runtime::Std), ("my-c", Runtime::C)] {
            let instance = graph.instances.iter().find(|instance| instance.name == name).unwrap();
            assert_eq!((instance.runtime, instance.uses.len()), (runtime, 3));
        }
        let members = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let members: toml::Table = members.parse().unwrap();
        let members = members["workspace"]["members"].as_array().unwrap();
        assert!(members.iter().any(|member| member.as_str() == Some("apps/my-app")));
        assert!(root.join("apps/my-app/src/main.rs").exists() && root.join("apps/my-c/src/main.c").exists());
        fs::remove_dir_all(root).unwrap();
    }

    /// apps/first-std and apps/first-c run in the scenario `programs`, so what this command makes is built and booted with every test.
    #[test]
    fn first_apps_of_the_checkout_are_what_the_command_makes() {
        let root = tree("first");
        for name in ["first-std", "first-c"] {
            fs::remove_dir_all(root.join("apps").join(name)).unwrap();
        }
        make(&root, "first-std", Runtime::Std, "gateway-std").unwrap();
        make(&root, "first-c", Runtime::C, "gateway-std").unwrap();
        for file in [
            "first-std/component.toml",
            "first-std/Cargo.toml",
            "first-std/src/main.rs",
            "first-c/component.toml",
            "first-c/src/main.c",
        ] {
            let path = Path::new("apps").join(file);
            let [made, there] = [&root, &folders::checkout()].map(|root| fs::read_to_string(root.join(&path)).unwrap());
            assert!(made == there, "{} is not what `cargo xtask new app` makes any more:\n{made}", path.display());
        }
        fs::remove_dir_all(root).unwrap();
    }

    /// What README.md shows is what is made.
    #[test]
    fn examples_of_the_readme_are_what_the_command_makes() {
        let readme = fs::read_to_string(folders::checkout().join("README.md")).unwrap();
        for example in [RUST.replace("NAME", "first-std"), C.replace("NAME", "first-c")] {
            assert!(readme.contains(&example), "README.md does not show:\n{example}");
            assert!(example.lines().count() <= 10, "that is no example of ten lines:\n{example}");
        }
    }

    #[test]
    fn new_app_that_is_there_or_has_no_name_changes_nothing() {
        let root = tree("refused");
        let before = fs::read_to_string(root.join("images/gateway-std/system.toml")).unwrap();
        for (name, product) in
            [("hello-std", "gateway-std"), ("Hello", "gateway-std"), ("../x", "gateway-std"), ("fine", "none")]
        {
            assert!(make(&root, name, Runtime::Std, product).is_err(), "{name}");
        }
        assert_eq!(fs::read_to_string(root.join("images/gateway-std/system.toml")).unwrap(), before);
        assert!(!root.join("apps/fine").exists());
        fs::remove_dir_all(root).unwrap();
    }
}
