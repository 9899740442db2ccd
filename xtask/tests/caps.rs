//! `cargo xtask caps` as people and programs use it: answers, exit statuses, and an example in every help.

use std::process::{Command, Output};

/// A day on which every permission of the tree is valid, so that these tests pass on any day.
const DAY: &str = "2026-11-24";

fn caps(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("caps").args(arguments).output().unwrap()
}

/// Exit status and standard output.
fn answer(arguments: &[&str]) -> (Option<i32>, String) {
    let output = caps(&[arguments, &["--date", DAY]].concat());
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn each_command_explains_itself_with_an_example() {
    for command in ["check", "rules", "golden", "bless", "show", "who", "why", "diff", "graph", "compare"] {
        let output = caps(&[command, "--help"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(&format!("cargo xtask caps {command}")), "{command}:\n{text}");
    }
}

#[test]
fn check_tells_clean_findings_and_unreadable_apart() {
    assert_eq!(answer(&["check"]).0, Some(0));
    let output = caps(&["check", "gateway", "--date", "2999-01-01", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = found["findings"].as_array().unwrap();
    assert!(findings.len() > 5);
    for finding in findings {
        assert_eq!((finding["rule"].as_str(), finding["id"].as_str()), (Some("expired"), Some("CAP-R029")));
        assert!(finding["line"].as_u64() > Some(0) && finding["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
        assert_eq!(finding["file"].as_str(), Some("kernel-config/policy/gateway.toml"));
    }
    for unreadable in [&["check", "none"][..], &["show", "gateway", "none"], &["diff", "gateway", "no-such-revision"]] {
        let output = caps(unreadable);
        assert_eq!(output.status.code(), Some(2), "{unreadable:?}");
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: "), "{unreadable:?}");
    }
}

#[test]
fn questions_about_the_gateway_have_answers() {
    let (status, text) = answer(&["who", "gateway", "--device", "virtio-net0"]);
    assert_eq!(status, Some(0));
    let holders: Vec<&str> = text.lines().skip(1).take_while(|line| !line.starts_with('#')).collect();
    // One drives it; another may read what is behind its page.
    let (drive, read): (Vec<&str>, Vec<&str>) = holders.iter().partition(|line| line.starts_with("nic "));
    assert!(drive.len() == 2 && read.len() == 1, "{text}");
    assert!(read.iter().all(|line| line.starts_with("udevd ") && line.contains("rights=read page=")), "{text}");
    let (_, text) = answer(&["why", "gateway", "status", "virtio-net0"]);
    assert!(text.contains("# path 1: status -> ") && text.contains("drives"), "{text}");
    assert!(answer(&["show", "gateway", "httpd"]).1.contains("netd.tcp"));
    assert!(answer(&["graph", "gateway", "--format", "svg"]).1.starts_with("<svg "));
    assert!(answer(&["graph", "gateway", "--format", "html"]).1.starts_with("<!doctype html>"));
    assert!(answer(&["graph", "gateway"]).1.starts_with("digraph "));
    assert!(answer(&["rules"]).1.lines().all(|line| line.starts_with("CAP-R")));
}

#[test]
fn revisions_are_compared_with_images_and_with_each_other() {
    if !Command::new("git").args(["rev-parse", "--verify", "-q", "HEAD"]).output().is_ok_and(|git| git.status.success())
    {
        eprintln!("SKIPPED: not a checkout of git");
        return;
    }
    let (status, text) = answer(&["diff", "HEAD", "HEAD:gateway-test"]);
    assert!(status == Some(0) && text.contains("\n+ trespasser-"), "{text}");
    assert_eq!(answer(&["diff", "HEAD:gateway-test", "HEAD:gateway-test"]).1, "0 added, 0 changed, 0 removed\n");
    assert!(answer(&["diff", "HEAD", "gateway-test"]).1.contains("\n+ trespasser-"));
}

#[test]
fn golden_text_is_as_declared_and_one_planted_line_is_not() {
    let (_, golden) = answer(&["golden", "gateway"]);
    let path = std::env::temp_dir().join(format!("hybrid-caps-live-{}", std::process::id()));
    let live = path.to_str().unwrap();
    std::fs::write(&path, &golden).unwrap();
    assert_eq!(answer(&["compare", "gateway", live]).0, Some(0));
    assert_eq!(answer(&["diff", "gateway", live]).1, "0 added, 0 changed, 0 removed\n");
    std::fs::write(
        &path,
        golden.clone() + "status device virtio-net0 virtio,mmio at=0x30000000 rights=read,write page=0xa000000\n",
    )
    .unwrap();
    let (status, text) = answer(&["compare", "gateway", live]);
    assert!(status == Some(1) && text.starts_with("+ status     device       virtio-net0"), "{text}");
    let (_, text) = answer(&["diff", "gateway", live]);
    assert!(text.starts_with("# device\n+ status ") && text.ends_with("1 added, 0 changed, 0 removed\n"), "{text}");
    std::fs::write(&path, "no listing").unwrap();
    assert_eq!(answer(&["compare", "gateway", live]).0, Some(2));
    std::fs::remove_file(&path).unwrap();
}
