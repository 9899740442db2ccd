//! The targets: what takes bytes from outside, and good bytes to begin with.

mod access;
mod decoders;
mod devices;
mod disks;
mod http;
mod images;
mod kernel;
mod log;
mod net;
mod nic;
mod provider;
mod ring;
mod storm;
mod terminal;
mod texts;

pub use access::{target_access_policy, target_access_text};
pub use decoders::{
    target_bundle, target_graph, target_idl_decode, target_idl_values, target_listing, target_manifest,
    target_start_info, target_trail,
};
pub use devices::target_devices;
pub use disks::target_boot_volume;
pub use http::{target_http1, target_httpd};
pub use images::{target_device_tree, target_kernel_elf, target_program};
pub use kernel::target_kernel;
pub use log::target_logd;
pub use net::{target_netd, target_netd_parameters};
pub use nic::target_nic;
pub use provider::target_provider;
pub use ring::target_ring;
pub use storm::{target_kernel_decoder, target_kernel_storm};
pub use terminal::target_terminal;
pub use texts::{target_idl_text, target_resolver};

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it feeds, and what it checks beyond "no panic".
    pub about: &'static str,
    /// Takes any bytes.
    pub take: fn(&[u8]),
    /// Good inputs, made by code; more may be in `corpus/<name>/`.
    pub samples: fn() -> Vec<Vec<u8>>,
    /// Whether an input is a good one, for targets that can tell.
    pub accepts: Option<fn(&[u8]) -> bool>,
}

/// The target of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}

const fn target(
    name: &'static str,
    about: &'static str,
    take: fn(&[u8]),
    samples: fn() -> Vec<Vec<u8>>,
    accepts: Option<fn(&[u8]) -> bool>,
) -> Target {
    Target { name, about, take, samples, accepts }
}

/// All targets.
pub static ALL: [Target; 29] = [
    target(
        "boot-volume",
        "a damaged volume of FAT, and operations on it",
        target_boot_volume,
        disks::damages,
        Some(disks::is_volume),
    ),
    target("devices", "device trees and registers for udevd", target_devices, images::device_trees, None),
    target("idl-decode", "messages and records of every interface", target_idl_decode, decoders::messages, None),
    target("idl-values", "random values make the round trip", target_idl_values, decoders::seeds, None),
    target("idl-text", "texts for the IDL compiler", target_idl_text, texts::idl_texts, None),
    target(
        "start-info",
        "a component's start information",
        target_start_info,
        decoders::start_infos,
        Some(decoders::is_start_info),
    ),
    target(
        "bundle",
        "securityd's bundle, checksum put right",
        target_bundle,
        decoders::bundles,
        Some(decoders::is_bundle),
    ),
    target(
        "graph",
        "the capability graph, and every question about it",
        target_graph,
        decoders::graphs,
        Some(decoders::is_graph),
    ),
    target(
        "manifest",
        "a component to be admitted into the running gateway",
        target_manifest,
        decoders::manifests,
        Some(decoders::is_admitted),
    ),
    target(
        "listing",
        "a listing of what is live, against the golden text",
        target_listing,
        decoders::listings,
        Some(decoders::is_listing),
    ),
    target(
        "trail",
        "a listing of the audit trail; what is whole has no gap",
        target_trail,
        decoders::trails,
        Some(decoders::is_whole_trail),
    ),
    target(
        "access-policy",
        "a compiled access policy, as securityd takes it",
        target_access_policy,
        access::policies,
        Some(access::is_policy),
    ),
    target(
        "access-text",
        "an access policy's text, against what it compiles to",
        target_access_text,
        access::texts,
        Some(access::is_sound),
    ),
    target(
        "program",
        "securityd's check of ELF files (INV-PROGRAM-1)",
        target_program,
        images::programs,
        Some(images::is_program),
    ),
    target(
        "kernel-elf",
        "the kernel's check of the root task",
        target_kernel_elf,
        images::programs,
        Some(images::is_executable),
    ),
    target(
        "device-tree",
        "the kernel's reading of the machine",
        target_device_tree,
        images::device_trees,
        Some(images::is_machine),
    ),
    target(
        "resolver",
        "component, system, policy, board and limit texts",
        target_resolver,
        texts::resolver_texts,
        Some(texts::is_resolved),
    ),
    target("kernel", "system calls, faults, interrupts and time", target_kernel, kernel::samples, None),
    target(
        "kernel-storm",
        "the kernel's model: sequences of everything, invariants and answers checked",
        target_kernel_storm,
        storm::sequences,
        None,
    ),
    target(
        "kernel-decoder",
        "the kernel's model: invocations without sense, answers checked",
        target_kernel_decoder,
        storm::sequences,
        None,
    ),
    target("ring", "a ring whose peer writes anything", target_ring, ring::samples, None),
    target("http1", "an HTTP connection; any split gives the same", target_http1, http::requests, None),
    target("httpd", "httpd between clients and providers that lie", target_httpd, http::conversations, None),
    target("netd", "frames, and clients that break rules", target_netd, net::samples, None),
    target("netd-parameters", "netd's parameters", target_netd_parameters, net::parameters, Some(net::are_parameters)),
    target("nic", "a network device that lies", target_nic, nic::samples, None),
    target("logd", "writers that break their rings; lines stay lines", target_logd, log::samples, None),
    target("provider", "a protocol server that lies to a provider", target_provider, provider::samples, None),
    target("terminal", "keys, commands and quoting of the shell", target_terminal, terminal::samples, None),
];
