//! Rules that one text can break by itself: names, values, reasons, device needs.

use std::collections::BTreeSet;

use hybrid_config::{Problem, Size, Source};
use toml::Spanned;

use super::keys;
use crate::Runtime;
use crate::layout::{self, priority};
use crate::resolve::text::{ComponentText, InstanceText};
use crate::resolve::{Inputs, family, supervises};
use crate::rules::{is_name, is_reason};

pub(crate) fn check(inputs: &Inputs<'_>, problems: &mut Vec<Problem>) {
    for (folder, component) in &inputs.components {
        check_component(inputs, folder, component, problems);
    }
    check_board(inputs, problems);
    keys::check_product(inputs, problems);
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for instance in &inputs.system.instances {
        let source = &inputs.system.source;
        if !names.insert(instance.name.get_ref().as_str()) {
            let message = format!("the name `{}` is taken", instance.name.get_ref());
            problems.push(source.problem(instance.name.span(), "duplicate-name", message, "give it another"));
        }
        if !ids.insert(*instance.id.get_ref()) {
            let message = format!("the id {} is taken", instance.id.get_ref());
            problems.push(source.problem(
                instance.id.span(),
                "duplicate-id",
                message,
                "take one that was never used in this product",
            ));
        }
        check_instance(inputs, instance, problems);
    }
}

fn check_board(inputs: &Inputs<'_>, problems: &mut Vec<Problem>) {
    if !inputs.system.boards.contains(&inputs.board.name) {
        let message = format!("the product does not list the board `{}`", inputs.board.name);
        problems.push(inputs.system.source.problem(
            0..0,
            "board-not-supported",
            message,
            "add it to [product] boards, or take another board",
        ));
    }
    let (smallest, largest) = (inputs.board.memory.smallest, inputs.board.memory.largest);
    if let Some(memory) =
        inputs.system.memory.as_ref().filter(|memory| !(smallest..=largest).contains(memory.get_ref()))
    {
        problems.push(inputs.system.source.problem(
            memory.span(),
            "bad-value",
            format!("no `{}` has {} of memory", inputs.board.name, memory.get_ref()),
            format!("between {smallest} and {largest}; left out, it is for the smallest"),
        ));
    }
}

fn check_component(inputs: &Inputs<'_>, folder: &str, component: &ComponentText, problems: &mut Vec<Problem>) {
    let source = &component.source;
    if Some(component.name.get_ref().as_str()) != folder.rsplit('/').next() {
        let message = format!("the component calls itself `{}`", component.name.get_ref());
        problems.push(source.problem(component.name.span(), "bad-value", message, format!("its folder is `{folder}`")));
    }
    let class = component.priority_class.get_ref();
    let is_root = folder == "servers/securityd";
    if priority(class) == 0 || (class == "security") != is_root {
        let classes: Vec<&str> =
            layout::CLASSES.iter().map(|(name, _)| *name).filter(|name| *name != "security").collect();
        let message = format!("`{class}` is not a priority class for it");
        problems.push(source.problem(
            component.priority_class.span(),
            "bad-value",
            message,
            format!("one of {}", classes.join(", ")),
        ));
    }
    let at_most = |size: &Spanned<Size>, most: Size, what: &str| {
        let message = format!("{what} of {} is more than {most}", size.get_ref());
        (*size.get_ref() > most)
            .then(|| source.problem(size.span(), "bad-value", message, "the limits are in kernel-config/limits.toml"))
    };
    problems.extend(at_most(&component.stack, inputs.limits.stack_max, "a stack"));
    problems.extend(at_most(&component.heap, inputs.limits.heap_max, "a heap"));
    let thread_stack = component.thread_stack.iter();
    problems.extend(thread_stack.filter_map(|size| at_most(size, inputs.limits.stack_max, "a thread's stack")));
    problems.extend(component.program.iter().filter_map(|size| at_most(size, inputs.limits.program_max, "a program")));
    if component.stack.get_ref().0 == 0 && !is_root {
        problems.push(source.problem(
            component.stack.span(),
            "bad-value",
            "a thread needs a stack",
            "write stack = \"64 KiB\"",
        ));
    }
    check_threads(component, problems);
    for dma in &component.dma {
        problems.extend(at_most(&dma.size, inputs.limits.dma_max, "DMA memory"));
        if dma.size.get_ref().0 == 0 {
            problems.push(source.problem(
                dma.size.span(),
                "bad-value",
                "DMA memory of no size",
                "remove it or give it a size",
            ));
        }
    }
    check_lists(inputs, component, problems);
}

/// Several threads are the personality's to run, and so are their stacks.
fn check_threads(component: &ComponentText, problems: &mut Vec<Problem>) {
    if let Some(size) = &component.thread_stack {
        let is_alone = component.threads.as_ref().is_none_or(|threads| *threads.get_ref() < 2);
        if is_alone || size.get_ref().0 == 0 {
            let message = if is_alone { "stacks of threads, of which it has one" } else { "stacks of no size" };
            let help = "thread_stack is for components with threads = 2 or more: remove it, or give both";
            problems.push(component.source.problem(size.span(), "bad-value", message, help));
        }
    }
    let Some(threads) = &component.threads else { return };
    let source = &component.source;
    if !(1..=layout::THREADS_MAX).contains(threads.get_ref()) {
        let message = format!("threads = {} is outside of 1..={}", threads.get_ref(), layout::THREADS_MAX);
        problems.push(source.problem(threads.span(), "bad-value", message, "give a number in that range"));
    } else if *threads.get_ref() > 1 && component.runtime == Runtime::Core {
        let message = "a component of runtime `core` has one thread";
        problems.push(source.problem(threads.span(), "bad-value", message, "remove it, or use runtime `std` or `c`"));
    }
}

fn check_lists(inputs: &Inputs<'_>, component: &ComponentText, problems: &mut Vec<Problem>) {
    let source = &component.source;
    let names = |list: Vec<&Spanned<String>>, problems: &mut Vec<Problem>| {
        let mut seen = BTreeSet::new();
        for name in list {
            check_name(inputs, source, name, problems);
            if !seen.insert(name.get_ref().as_str()) {
                problems.push(source.problem(
                    name.span(),
                    "duplicate-name",
                    format!("`{}` is declared twice", name.get_ref()),
                    "rename or remove one",
                ));
            }
        }
    };
    names(component.uses.iter().map(|used| &used.name).collect(), problems);
    names(component.keys.iter().map(|key| &key.name).collect(), problems);
    names(component.provides.iter().map(|provided| &provided.name).collect(), problems);
    names(
        component.devices.iter().map(|device| &device.name).chain(component.dma.iter().map(|dma| &dma.name)).collect(),
        problems,
    );
    let reasons = component.uses.iter().map(|used| &used.reason);
    let reasons = reasons
        .chain(component.devices.iter().map(|device| &device.reason))
        .chain(component.dma.iter().map(|dma| &dma.reason))
        .chain(component.keys.iter().map(|key| &key.reason));
    reasons.for_each(|reason| check_reason(inputs, source, reason, problems));
    let lengths = [
        (component.uses.len(), layout::USES_MAX, "uses"),
        (component.provides.len(), layout::PROVIDES_MAX, "provided interfaces"),
        (component.devices.len(), layout::DEVICES_MAX, "devices"),
        (component.dma.len(), layout::DEVICES_MAX, "pieces of DMA memory"),
        (component.keys.len(), layout::KEYS_MAX, "keys"),
    ];
    for (count, most, what) in lengths.into_iter().filter(|(count, most, _)| count > most) {
        let message = format!("{count} {what}; a component's capability space has room for {most}");
        problems.push(source.problem(component.name.span(), "too-many-uses", message, "split the component"));
    }
    check_virtio(source, component, problems);
    check_interfaces(inputs, component, problems);
}

/// A transport says nothing about what is behind it, so the manifest has to; of anything else `compatible` says it.
fn check_virtio(source: &Source, component: &ComponentText, problems: &mut Vec<Problem>) {
    for need in &component.devices {
        let is_transport = need.compatible.get_ref() == "virtio,mmio";
        if is_transport != need.virtio.is_some() {
            let message = format!("`{}` is a virtio transport without `virtio`, or the reverse", need.name.get_ref());
            let help = "virtio = N is the device id that it drives behind a \"virtio,mmio\" (Virtio 1.2, chapter 5)";
            problems.push(source.problem(need.name.span(), "bad-value", message, help));
        }
    }
}

fn check_interfaces(inputs: &Inputs<'_>, component: &ComponentText, problems: &mut Vec<Problem>) {
    let source = &component.source;
    let names = component
        .uses
        .iter()
        .map(|used| &used.interface)
        .chain(component.provides.iter().map(|provided| &provided.interface));
    for name in names {
        match inputs.interfaces.get(name.get_ref()) {
            None => {
                let message = format!("there is no interface `{}`", name.get_ref());
                problems.push(source.problem(
                    name.span(),
                    "unknown-interface",
                    message,
                    "its full name is <library>.<interface>, as in ipc-idl",
                ));
            }
            Some(facts) if facts.region_bytes > layout::REGION_STRIDE => {
                let message = format!(
                    "the rings of `{}` take {} bytes; a region has room for {}",
                    name.get_ref(),
                    facts.region_bytes,
                    layout::REGION_STRIDE
                );
                problems.push(source.problem(name.span(), "region-too-large", message, "make its rings smaller"));
            }
            Some(_) => {}
        }
    }
    for provided in &component.provides {
        if !(1..=layout::CLIENTS_MAX).contains(provided.max_clients.get_ref()) {
            let message =
                format!("max_clients = {} is outside of 1..={}", provided.max_clients.get_ref(), layout::CLIENTS_MAX);
            problems.push(source.problem(
                provided.max_clients.span(),
                "bad-value",
                message,
                "give a number in that range",
            ));
        }
        let most = *provided.max_clients.get_ref();
        if let Some(open) = provided.max_open.as_ref().filter(|open| !(1..=most).contains(open.get_ref())) {
            let message = format!("max_open = {} is outside of 1..={most}", open.get_ref());
            problems.push(source.problem(open.span(), "bad-value", message, "at most max_clients"));
        }
    }
}

pub(super) fn check_name(inputs: &Inputs<'_>, source: &Source, name: &Spanned<String>, problems: &mut Vec<Problem>) {
    let text = name.get_ref();
    if !is_name(text, inputs.limits.name_max) {
        let message = format!("`{text}` is no name");
        let help = format!("use up to {} of a-z, 0-9, - and _", inputs.limits.name_max);
        problems.push(source.problem(name.span(), "bad-value", message, help));
    }
}

pub(super) fn check_reason(
    inputs: &Inputs<'_>,
    source: &Source,
    reason: &Spanned<String>,
    problems: &mut Vec<Problem>,
) {
    let text = reason.get_ref();
    if text.trim().is_empty() {
        problems.push(source.problem(
            reason.span(),
            "missing-reason",
            "the reason is empty",
            "say what for, in a few words",
        ));
    } else if !is_reason(text, inputs.limits.reason_max) {
        let message = format!("the reason has {} bytes, or more than one line", text.len());
        problems.push(source.problem(
            reason.span(),
            "bad-value",
            message,
            format!("at most {} on one line", inputs.limits.reason_max),
        ));
    }
}

fn check_instance(inputs: &Inputs<'_>, instance: &InstanceText, problems: &mut Vec<Problem>) {
    let source = &inputs.system.source;
    check_name(inputs, source, &instance.name, problems);
    let is_root = *instance.id.get_ref() == layout::SECURITYD && instance.name.get_ref() == "securityd";
    let is_known = inputs.components.contains_key(instance.component.get_ref());
    if !is_known || (instance.component.get_ref() == "servers/securityd") != is_root {
        let message = format!("there is no component `{}`", instance.component.get_ref());
        problems.push(source.problem(
            instance.component.span(),
            "unknown-component",
            message,
            "name a folder that has a component.toml",
        ));
    }
    if *instance.id.get_ref() > layout::INSTANCE_ID_MAX || (*instance.id.get_ref() <= layout::SECURITYD && !is_root) {
        let message = format!("the id {} is outside of 2..={}", instance.id.get_ref(), layout::INSTANCE_ID_MAX);
        problems.push(source.problem(
            instance.id.span(),
            "bad-value",
            message,
            "take one that was never used in this product",
        ));
    }
    if !is_root {
        check_time(inputs, instance, problems);
    }
    check_parameters(inputs, instance, problems);
    if let Some(component) = inputs.components.get(instance.component.get_ref()) {
        check_needs(inputs, instance, component, problems);
        keys::check(inputs, instance, component, problems);
    }
}

fn check_time(inputs: &Inputs<'_>, instance: &InstanceText, problems: &mut Vec<Problem>) {
    let source = &inputs.system.source;
    let (budget, period) = (*instance.budget_us.get_ref(), *instance.period_us.get_ref());
    if budget < inputs.limits.budget_min_us || budget > period || period > inputs.limits.period_max_us {
        let message = format!("a budget of {budget} µs in {period} µs is not possible");
        let help =
            format!("{} <= budget_us <= period_us <= {}", inputs.limits.budget_min_us, inputs.limits.period_max_us);
        problems.push(source.problem(instance.budget_us.span(), "bad-budget", message, help));
    }
    let component = inputs.components.get(instance.component.get_ref());
    let threads = component.and_then(|component| component.threads.as_ref()).map_or(1, |threads| *threads.get_ref());
    if threads > 1 && budget != period {
        // Each thread has time of its own, so a limit for one would be none for all.
        let message = format!("{threads} threads cannot have a limit of {budget} µs in {period} µs together");
        problems.push(source.problem(
            instance.budget_us.span(),
            "bad-budget",
            message,
            "budget_us = period_us: a time slice each, no limit",
        ));
    }
}

fn check_parameters(inputs: &Inputs<'_>, instance: &InstanceText, problems: &mut Vec<Problem>) {
    let source = &inputs.system.source;
    if instance.parameters.len() > inputs.limits.parameters_max {
        problems.push(source.problem(
            instance.name.span(),
            "bad-value",
            "too many parameters",
            "the limit is in kernel-config/limits.toml",
        ));
    }
    let component = inputs.components.get(instance.component.get_ref());
    let is_supervisor = component.is_some_and(supervises);
    for (key, value) in &instance.parameters {
        if is_supervisor && family::is_own(key) {
            problems.push(source.problem(
                value.span(),
                "bad-value",
                format!("the parameter `{key}` is the resolver's own"),
                "who spawns whom is said by the routes of who is spawned, and whom a command starts by `start`",
            ));
        }
        if key.len() + value.get_ref().len() > inputs.limits.parameter_bytes_max {
            problems.push(source.problem(
                value.span(),
                "bad-value",
                format!("the parameter `{key}` is too long"),
                "the limit is in kernel-config/limits.toml",
            ));
        }
    }
}

fn check_needs(inputs: &Inputs<'_>, instance: &InstanceText, component: &ComponentText, problems: &mut Vec<Problem>) {
    let source = &inputs.system.source;
    for need in &component.devices {
        let (name, wanted) = (need.name.get_ref(), need.compatible.get_ref());
        let given = instance.devices.get(name);
        let device = given.and_then(|given| inputs.board.device(given.get_ref()));
        match (given, device) {
            (None, _) => {
                let message = format!("`{}` needs a device `{name}` ({wanted})", instance.name.get_ref());
                problems.push(source.problem(
                    instance.name.span(),
                    "unknown-device",
                    message,
                    format!("add `{name} = \"<board device>\"` to its devices"),
                ));
            }
            (Some(given), None) => {
                let message = format!("the board `{}` has no device `{}`", inputs.board.name, given.get_ref());
                problems.push(source.problem(
                    given.span(),
                    "unknown-device",
                    message,
                    "its devices are in kernel-config/boards",
                ));
            }
            (Some(given), Some(device)) if device.compatible != *wanted => {
                let message = format!("`{name}` drives {wanted}, but `{}` is {}", given.get_ref(), device.compatible);
                problems.push(source.problem(
                    given.span(),
                    "device-mismatch",
                    message,
                    "give it a device that it can drive",
                ));
            }
            (Some(_), Some(_)) => {}
        }
    }
    for (key, value) in &instance.devices {
        if !component.devices.iter().any(|need| need.name.get_ref() == key) {
            let message =
                format!("`{}` is given `{key}`, but its component needs no such device", instance.name.get_ref());
            problems.push(source.problem(
                value.span(),
                "unused-device",
                message,
                "remove it, or add the need to component.toml",
            ));
        }
    }
}
