//! Dependencies between the layers run only downward.
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::HashMap;

/// A layer: the folder of its crates, and the layers that its crates may depend on besides itself.
struct Layer {
    folder: &'static str,
    below: &'static [&'static str],
}

/// The first folder that a path starts with is its layer; so inner folders stand before outer ones.
const LAYERS: [Layer; 14] = [
    Layer { folder: "kernel/abi", below: &[] },
    Layer { folder: "kernel-config", below: &[] },
    // Readers of what the firmware left, which are not the kernel's alone: a device tree has one reader.
    Layer { folder: "kernel/machine", below: &["kernel/abi"] },
    Layer { folder: "kernel", below: &["kernel/abi", "kernel/machine", "kernel-config"] },
    Layer { folder: "ipc-idl", below: &[] },
    Layer { folder: "libhybrid/interfaces", below: &["ipc-idl", "libhybrid"] },
    Layer { folder: "libhybrid", below: &["kernel/abi", "libhybrid/interfaces", "ipc-idl"] },
    Layer { folder: "servers/securityd/capgraph", below: &["ipc-idl", "kernel-config", "libhybrid"] },
    // What a file server promises, and the build counts beforehand.
    Layer { folder: "servers/fsd/quota", below: &[] },
    Layer {
        folder: "servers",
        below: &[
            "libhybrid",
            "libhybrid/interfaces",
            "servers/securityd/capgraph",
            "servers/fsd/quota",
            "kernel/abi",
            "kernel/machine",
            "kernel-config",
        ],
    },
    Layer { folder: "drivers", below: &["libhybrid", "libhybrid/interfaces"] },
    Layer { folder: "apps", below: &["libhybrid", "libhybrid/interfaces"] },
    Layer {
        folder: "tests",
        below: &[
            "ipc-idl",
            "libhybrid",
            "libhybrid/interfaces",
            "kernel/abi",
            "kernel",
            "kernel/machine",
            "servers",
            "servers/securityd/capgraph",
            "drivers",
            "apps",
        ],
    },
    Layer {
        folder: "xtask",
        below: &["ipc-idl", "kernel-config", "kernel/abi", "servers/securityd/capgraph", "servers/fsd/quota", "tests"],
    },
];

/// Names every dependency that points upward or sideways.
///
/// # Errors
/// The metadata is not what cargo prints.
pub(crate) fn check(metadata: &Value) -> Result<Vec<String>> {
    let root = metadata["workspace_root"].as_str().context("cargo metadata names no workspace")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut folders: HashMap<&str, &str> = HashMap::new();
    for package in packages {
        let (Some(name), Some(manifest)) = (package["name"].as_str(), package["manifest_path"].as_str()) else {
            continue;
        };
        if let Some(path) = manifest.strip_prefix(root).and_then(|path| path.strip_prefix('/')) {
            folders.insert(name, path);
        }
    }
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(path) = folders.get(name) else { continue };
        // Only what ends up in the program: a test may use whatever helps it.
        let dependencies = package["dependencies"].as_array().context("a package without a list of dependencies")?;
        for dependency in
            dependencies.iter().filter(|dependency| dependency["kind"] != "dev" && dependency["path"].is_string())
        {
            let other = dependency["name"].as_str().unwrap_or_default();
            let Some(other_path) = folders.get(other) else { continue };
            problems.extend(judge(path, other_path).map(|problem| format!("{name} depends on {other}: {problem}")));
        }
    }
    Ok(problems)
}

fn judge(from: &str, to: &str) -> Option<String> {
    let (Some(layer), Some(other)) = (layer(from), layer(to)) else {
        return Some(format!("{from} or {to} is in no layer of xtask/src/check/directions.rs"));
    };
    if layer.folder == other.folder || layer.below.contains(&other.folder) {
        return None;
    }
    Some(format!("{} must not know {}", layer.folder, other.folder))
}

fn layer(path: &str) -> Option<&'static Layer> {
    let is_inside = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    LAYERS.iter().find(|layer| is_inside(layer.folder))
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn judge_lets_dependencies_point_downward() {
        for (from, to) in [
            ("servers/httpd/x", "libhybrid/ipc/x"),
            ("kernel/core/x", "kernel/abi/x"),
            ("apps/a/x", "libhybrid/x"),
            ("xtask/x", "ipc-idl/compiler/x"),
        ] {
            assert_eq!(judge(from, to), None, "{from} {to}");
        }
    }

    #[test]
    fn judge_names_dependencies_that_point_upward() {
        for (from, to) in [
            ("kernel/core/x", "libhybrid/ipc/x"),
            ("libhybrid/ipc/x", "servers/httpd/x"),
            ("apps/a/x", "servers/httpd/x"),
            ("drivers/a/x", "apps/b/x"),
        ] {
            assert!(judge(from, to).is_some(), "{from} {to}");
        }
    }
}
