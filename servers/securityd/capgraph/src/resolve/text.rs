//! component.toml and system.toml as typed texts; unknown keys are refused, meaning is checked elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hybrid_config::{Problem, Size, Source};
use serde::Deserialize;
use toml::Spanned;

use crate::access::{AccessText, compile};
use crate::graph::{Policy, Restart, Runtime};
use crate::limit::Asked;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ComponentHead {
    name: Spanned<String>,
    summary: String,
    priority_class: Spanned<String>,
    #[serde(default)]
    runtime: Runtime,
    threads: Option<Spanned<u8>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemoryText {
    stack: Spanned<Size>,
    heap: Spanned<Size>,
    thread_stack: Option<Spanned<Size>>,
    program: Option<Spanned<Size>>,
}

/// `[[uses]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UseText {
    pub(crate) name: Spanned<String>,
    pub(crate) interface: Spanned<String>,
    pub(crate) reason: Spanned<String>,
    #[serde(default)]
    pub(crate) on_demand: bool,
    operations: Option<Vec<String>>,
    rate: Option<u32>,
    max_objects: Option<u16>,
    prefix: Option<String>,
}

impl UseText {
    /// What it asks for at most.
    pub(crate) fn asked(&self) -> Asked {
        let (operations, prefix) = (self.operations.clone(), self.prefix.clone());
        Asked { operations, rate: self.rate, max_objects: self.max_objects, prefix }
    }
}

/// A route: the target, or a table that says also what it allows at most.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum RouteText {
    Whole(String),
    Narrow(NarrowText),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NarrowText {
    to: String,
    operations: Option<Vec<String>>,
    rate: Option<u32>,
    max_objects: Option<u16>,
    prefix: Option<String>,
}

impl RouteText {
    pub(crate) fn target(&self) -> &str {
        match self {
            Self::Whole(to) => to,
            Self::Narrow(narrow) => &narrow.to,
        }
    }

    /// What it allows at most.
    pub(crate) fn allowed(&self) -> Asked {
        match self {
            Self::Whole(_) => Asked::default(),
            Self::Narrow(narrow) => Asked {
                operations: narrow.operations.clone(),
                rate: narrow.rate,
                max_objects: narrow.max_objects,
                prefix: narrow.prefix.clone(),
            },
        }
    }
}

/// `[[provides]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProvideText {
    pub(crate) name: Spanned<String>,
    pub(crate) interface: Spanned<String>,
    pub(crate) max_clients: Spanned<u8>,
    pub(crate) max_open: Option<Spanned<u8>>,
}

/// `[[devices]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceText {
    pub(crate) name: Spanned<String>,
    pub(crate) compatible: Spanned<String>,
    pub(crate) reason: Spanned<String>,
    #[serde(default = "yes")]
    pub(crate) interrupt: bool,
    #[serde(default = "yes")]
    pub(crate) registers: bool,
    /// Behind a virtio transport: the device id that it drives (Virtio 1.2 §5).
    pub(crate) virtio: Option<Spanned<u32>>,
}

const fn yes() -> bool {
    true
}

/// `[[dma]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DmaText {
    pub(crate) name: Spanned<String>,
    pub(crate) size: Spanned<Size>,
    pub(crate) reason: Spanned<String>,
}

/// `[[keys]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyText {
    pub(crate) name: Spanned<String>,
    pub(crate) class: Spanned<String>,
    pub(crate) reason: Spanned<String>,
}

/// `[[key]]` of a product: which keys there are. Their bytes stand in no text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductKeyText {
    pub(crate) name: Spanned<String>,
    pub(crate) class: Spanned<String>,
    pub(crate) reason: Spanned<String>,
}

/// `[restart]`; what is left out is [`Restart::DEFAULT`]'s.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestartText {
    policy: Spanned<String>,
    threshold: Option<u8>,
    window_ms: Option<u32>,
    backoff_ms: Option<u32>,
    backoff_max_ms: Option<u32>,
    heartbeat_ms: Option<u32>,
    deadline_ms: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ComponentFile {
    component: ComponentHead,
    memory: MemoryText,
    restart: RestartText,
    #[serde(default)]
    uses: Vec<UseText>,
    #[serde(default)]
    provides: Vec<ProvideText>,
    #[serde(default)]
    devices: Vec<DeviceText>,
    #[serde(default)]
    dma: Vec<DmaText>,
    #[serde(default)]
    keys: Vec<KeyText>,
}

/// One component.toml.
pub(crate) struct ComponentText {
    pub(crate) source: Source,
    pub(crate) name: Spanned<String>,
    pub(crate) priority_class: Spanned<String>,
    pub(crate) stack: Spanned<Size>,
    pub(crate) heap: Spanned<Size>,
    pub(crate) thread_stack: Option<Spanned<Size>>,
    pub(crate) program: Option<Spanned<Size>>,
    pub(crate) uses: Vec<UseText>,
    pub(crate) provides: Vec<ProvideText>,
    pub(crate) devices: Vec<DeviceText>,
    pub(crate) dma: Vec<DmaText>,
    pub(crate) keys: Vec<KeyText>,
    pub(crate) restart: Restart,
    pub(crate) runtime: Runtime,
    pub(crate) threads: Option<Spanned<u8>>,
}

/// Every component.toml of the tree, and those of the folders that `system` names elsewhere, by folder.
pub(crate) fn read_components(
    root: &Path,
    system: &SystemText,
) -> Result<BTreeMap<String, ComponentText>, Vec<Problem>> {
    let (mut components, mut problems) = (BTreeMap::new(), Vec::new());
    for folder in folders(root, system) {
        match read_component(root, &format!("{folder}/component.toml")) {
            Ok(text) => drop(components.insert(folder, text)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(components) } else { Err(problems) }
}

fn folders(root: &Path, system: &SystemText) -> BTreeSet<String> {
    let in_area = |area: &'static str| {
        let entries = std::fs::read_dir(root.join(area)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).map(move |name| format!("{area}/{name}"))
    };
    let named = system.instances.iter().map(|instance| instance.component.get_ref().clone());
    // A path that leaves the tree is no folder of it.
    let is_inside = |folder: &String| !folder.starts_with('/') && !folder.split('/').any(|part| part == "..");
    let all = ["servers", "drivers", "apps"].into_iter().flat_map(in_area).chain(named);
    all.filter(is_inside).filter(|folder| root.join(folder).join("component.toml").is_file()).collect()
}

fn read_component(root: &Path, file: &str) -> Result<ComponentText, Problem> {
    let source = Source::read(root, file)?;
    let text: ComponentFile = source.parse()?;
    let restart = restart(&source, &text.restart)?;
    if text.component.summary.trim().is_empty() {
        return Err(source.problem(
            text.component.name.span(),
            "missing-reason",
            "the summary is empty",
            "say what the component is for",
        ));
    }
    Ok(ComponentText {
        source,
        name: text.component.name,
        priority_class: text.component.priority_class,
        stack: text.memory.stack,
        heap: text.memory.heap,
        thread_stack: text.memory.thread_stack,
        program: text.memory.program,
        uses: text.uses,
        provides: text.provides,
        devices: text.devices,
        dma: text.dma,
        keys: text.keys,
        restart,
        runtime: text.component.runtime,
        threads: text.component.threads,
    })
}

/// The keys together: a policy that exists, times that make sense.
fn restart(source: &Source, text: &RestartText) -> Result<Restart, Problem> {
    let refuse = |message: String, help: &str| source.problem(text.policy.span(), "bad-restart", message, help);
    let policy = match text.policy.get_ref().as_str() {
        "always" => Policy::Always,
        "on-fault" => Policy::OnFault,
        "never" => Policy::Never,
        other => return Err(refuse(format!("there is no policy `{other}`"), "one of always, on-fault, never")),
    };
    let default = Restart::DEFAULT;
    let restart = Restart {
        policy,
        threshold: text.threshold.unwrap_or(default.threshold),
        window_ms: text.window_ms.unwrap_or(default.window_ms),
        backoff_ms: text.backoff_ms.unwrap_or(default.backoff_ms),
        backoff_max_ms: text.backoff_max_ms.unwrap_or(default.backoff_max_ms),
        heartbeat_ms: text.heartbeat_ms.unwrap_or(default.heartbeat_ms),
        deadline_ms: text.deadline_ms.unwrap_or(default.deadline_ms),
    };
    restart_fault(&restart).map_or(Ok(restart), |(message, help)| Err(refuse(message.into(), help)))
}

const fn restart_fault(restart: &Restart) -> Option<(&'static str, &'static str)> {
    if restart.threshold == 0 || restart.threshold as usize > RESTARTS_MAX {
        return Some(("the threshold is out of its range", "1 to 16 ends within the window"));
    }
    if restart.window_ms < 1000 || restart.window_ms > HOUR_MS {
        return Some(("the window is out of its range", "1000 to 3600000 ms"));
    }
    if restart.backoff_ms == 0 || restart.backoff_ms > restart.backoff_max_ms || restart.backoff_max_ms > HOUR_MS {
        return Some(("the back-off is out of its range", "backoff_ms from 1 to backoff_max_ms, that to 3600000"));
    }
    if restart.heartbeat_ms == 0 {
        return None;
    }
    if restart.heartbeat_ms < 100 || restart.heartbeat_ms > HOUR_MS || restart.deadline_ms < 100 {
        return Some(("the heartbeat is out of its range", "heartbeat_ms 100 to 3600000, deadline_ms from 100"));
    }
    if restart.deadline_ms > restart.heartbeat_ms {
        return Some(("the deadline is after the next heartbeat", "deadline_ms at most heartbeat_ms"));
    }
    if matches!(restart.policy, Policy::Never) {
        return Some(("a heartbeat, but nobody starts it again when it hangs", "another policy, or no heartbeat"));
    }
    None
}

/// Ends that the supervisor remembers of one instance.
const RESTARTS_MAX: usize = 16;
const HOUR_MS: u32 = 3_600_000;

/// `[[instance]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstanceText {
    pub(crate) id: Spanned<u16>,
    pub(crate) name: Spanned<String>,
    pub(crate) component: Spanned<String>,
    pub(crate) budget_us: Spanned<u32>,
    pub(crate) period_us: Spanned<u32>,
    #[serde(default)]
    pub(crate) routes: BTreeMap<String, Spanned<RouteText>>,
    #[serde(default)]
    pub(crate) devices: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(crate) keys: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, Spanned<String>>,
    /// Who fills it while the system runs: then it is a place.
    pub(crate) installer: Option<String>,
    /// What it is started after.
    pub(crate) after: Option<After>,
    /// What starts it, if not the boot.
    pub(crate) start: Option<Start>,
}

/// What starts an instance.
#[derive(Clone, Copy, Deserialize)]
pub(crate) enum Start {
    /// Its devices, when they are found.
    #[serde(rename = "on-device")]
    OnDevice,
    /// The instance that provides its standard streams.
    #[serde(rename = "spawned")]
    Spawned,
    /// An operator's command.
    #[serde(rename = "command")]
    Command,
}

/// What an instance is started after, beside the servers that it calls.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum After {
    /// The auditor's first verdict.
    Verdict,
}

/// What follows when live is not as declared.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnDifference {
    /// It is told.
    Log,
    /// Who holds what is not declared is isolated.
    Isolate,
}

impl OnDifference {
    /// As the supervisor reads it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Isolate => "isolate",
        }
    }
}

/// `[audit]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditText {
    on_difference: Spanned<OnDifference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductText {
    name: Spanned<String>,
    summary: String,
    boards: Vec<String>,
    /// Of the smallest board that it is for, if that is not the smallest there is.
    memory: Option<Spanned<Size>>,
    /// Read before, by [`read_system`].
    #[serde(default, rename = "base")]
    _base: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecuritydText {
    routes: Spanned<BTreeMap<String, Spanned<RouteText>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemFile {
    product: ProductText,
    securityd: SecuritydText,
    #[serde(default)]
    instance: Vec<InstanceText>,
    #[serde(default)]
    key: Vec<ProductKeyText>,
    #[serde(default)]
    access: AccessText,
    audit: Option<AuditText>,
}

/// One system.toml. securityd is the first of the instances.
pub(crate) struct SystemText {
    pub(crate) source: Source,
    pub(crate) product: String,
    pub(crate) boards: Vec<String>,
    pub(crate) memory: Option<Spanned<Size>>,
    pub(crate) instances: Vec<InstanceText>,
    pub(crate) keys: Vec<ProductKeyText>,
    /// Compiled.
    pub(crate) access: Vec<u8>,
    /// What `[audit]` says.
    pub(crate) on_difference: Option<Spanned<OnDifference>>,
}

impl SystemText {
    /// Reads `images/<product>/system.toml` below `root`, behind that of its base if it names one.
    pub(crate) fn read(root: &Path, product: &str) -> Result<Self, Vec<Problem>> {
        let source = read_system(root, product).map_err(|problem| vec![problem])?;
        let file: SystemFile = source.parse().map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        if file.product.name.get_ref() != product || file.product.summary.trim().is_empty() {
            let message =
                format!("the product calls itself `{}`, or says nothing of itself", file.product.name.get_ref());
            problems.push(source.problem(
                file.product.name.span(),
                "bad-value",
                message,
                format!("its folder asks for `{product}`"),
            ));
        }
        let access = compile(&source, &file.access, product).map_err(|found| problems.extend(found));
        let mut instances = file.instance;
        instances.insert(0, securityd(file.securityd));
        match access {
            Ok(access) if problems.is_empty() => Ok(Self {
                source,
                product: product.to_owned(),
                boards: file.product.boards,
                memory: file.product.memory,
                instances,
                keys: file.key,
                access: access.policy.to_bytes(),
                on_difference: file.audit.map(|audit| audit.on_difference),
            }),
            _ => Err(problems),
        }
    }
}

/// The part of a text that says on which other product it builds.
#[derive(Deserialize)]
struct BaseFile {
    product: BaseText,
}

#[derive(Deserialize)]
struct BaseText {
    base: Option<Spanned<String>>,
}

/// The text of a product, behind that of its base: all instances, keys and tables of the base are its own, but for an `[audit]` where it has one.
fn read_system(root: &Path, product: &str) -> Result<Source, Problem> {
    let file_of = |product: &str| format!("images/{product}/system.toml");
    let source = Source::read(root, &file_of(product))?;
    let Some(name) = source.parse::<BaseFile>()?.product.base else { return Ok(source) };
    let refuse = |message: String| source.problem(name.span(), "bad-value", message, "name a product that has no base");
    let base = Source::read(root, &file_of(name.get_ref()))
        .map_err(|_missing| refuse(format!("there is no product `{}`", name.get_ref())))?;
    if base.parse::<BaseFile>()?.product.base.is_some() {
        return Err(refuse(format!("the base `{}` has a base itself", name.get_ref())));
    }
    let has_audit = source.text.lines().any(|line| line.trim_end() == "[audit]");
    let tables: &[&str] = if has_audit { &["[product]", "[audit]"] } else { &["[product]"] };
    let base = Source::new(file_of(name.get_ref()), without(tables, &base.text));
    Ok(source.on(base))
}

/// The text with these tables blanked, so that all places in it stay.
fn without(tables: &[&str], text: &str) -> String {
    let mut is_blank = false;
    let blank = |line: &str| {
        if line.starts_with('[') {
            is_blank = tables.contains(&line.trim_end());
        }
        if is_blank { " ".repeat(line.trim_end_matches('\n').len()) + "\n" } else { line.into() }
    };
    text.split_inclusive('\n').map(blank).collect()
}

/// securityd as an instance like the others; its time and memory are the kernel's gift.
fn securityd(text: SecuritydText) -> InstanceText {
    let span = text.routes.span();
    InstanceText {
        id: Spanned::new(span.clone(), crate::layout::SECURITYD),
        name: Spanned::new(span.clone(), "securityd".into()),
        component: Spanned::new(span.clone(), "servers/securityd".into()),
        budget_us: Spanned::new(span.clone(), 0),
        period_us: Spanned::new(span, 0),
        routes: text.routes.into_inner(),
        devices: BTreeMap::new(),
        keys: BTreeMap::new(),
        parameters: BTreeMap::new(),
        installer: None,
        after: None,
        start: None,
    }
}
