//! Live equals declared: a system in which it does not says so, capability by capability.
use crate::hardware::Hardware;
use crate::scenario::{Image, Scenario, Stage};
use anyhow::{Result, ensure};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "planted".into(),
        about: "one wrong capability of each kind, planted by securityd itself: auditd names each, before the network is up and when asked".into(),
        image: Image::Planted("gateway"),
        hardware: Hardware::default(),
        run: planted,
    }]
}

/// What servers/securityd/src/install/plant.rs plants, as auditd has to name it.
const PLANTED: [&str; 21] = [
    "shell call httpd slot=108 rights=read,write,grant,grantreply badge=",
    "shell call httpd slot=109 rights=write,grantreply badge=",
    "shell call httpd slot=110 rights=write,grant,grantreply badge=",
    "shell other notification slot=111",
    "shell other reply slot=112",
    "shell other thread slot=113",
    "shell other cnode slot=114",
    "shell other space slot=115",
    "shell other context slot=116",
    "shell other untyped slot=117",
    "shell other page-table slot=118",
    "shell other device-frame slot=119",
    "shell other frame slot=120",
    "shell other pool slot=121",
    "shell audit shell slot=122",
    "shell other platform slot=123",
    "shell other pool-control slot=124",
    "shell other domain slot=125",
    "shell interrupt shell slot=126 bit=61 irq=",
    "shell other frame httpd at=0x68000000 rights=read page=",
    "? other thread page=",
];

fn planted(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let text = stage.command("live", "; comparison ")?;
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = text.lines().map(words).collect();
    for wanted in PLANTED {
        ensure!(lines.iter().any(|line| line.starts_with(&format!("+ {wanted}"))), "not named: {wanted:?}\n{text}");
    }
    ensure!(lines.iter().any(|line| line.starts_with("live is NOT as declared: ")), "the verdict is wrong:\n{text}");
    // What is named beside them is their other side, no false alarm: a page of httpd's that somebody else maps, too many lists.
    let is_known = |line: &&String| {
        PLANTED.iter().any(|wanted| line.starts_with(&format!("+ {wanted}")))
            || line.starts_with("+ httpd other shared-frame shell ")
            || *line == "+ ? other audit slots=3"
    };
    let unknown: Vec<&String> =
        lines.iter().filter(|line| line.starts_with(['+', '-'])).filter(|line| !is_known(line)).collect();
    ensure!(unknown.is_empty(), "named, but not planted: {unknown:#?}");
    let log = stage.command("log 1000", "\n> ")?;
    ensure!(log.contains("not as declared: "), "the log does not tell of it:\n{log}");
    stage.power_off()
}
