//! rumqttd as a component, asked by mosquitto's clients and by hostile ones; no other protocol.
use super::servers::{all_answered, silent};
use super::std::all_said;
use crate::hardware::Hardware;
use crate::scenario::{Image, Scenario, Stage};
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "mqtt".into(),
        about: "mosquitto's clients publish and subscribe at rumqttd by MQTT 3.1.1 and 5, get what was retained; hostile clients change nothing".into(),
        image: Image::Product("gateway-foreign"),
        // The host's ports are chosen when the machine starts.
        hardware: Hardware { further_ports: vec![(0, 1883), (0, 1884)], ..Hardware::default() },
        run: mqtt,
    }]
}

/// For one client, in seconds.
const WAITS: &str = "120";

/// A version of the protocol, as mosquitto's clients name it, and the port where it is spoken.
#[derive(Clone, Copy)]
struct Spoken {
    version: &'static str,
    port: u16,
}

impl Spoken {
    fn client(self, program: &str, arguments: &[&str]) -> Command {
        // What is never acknowledged must not last for ever.
        let mut client = Command::new("timeout");
        client
            .args(["-k", "5", WAITS, program, "-h", "127.0.0.1", "-p", &self.port.to_string(), "-V", self.version])
            .args(arguments);
        client
    }

    fn publish(self, topic: &str, text: &str, more: &[&str]) -> Result<()> {
        let mut client = self.client("mosquitto_pub", &["-t", topic, "-m", text]);
        let output =
            client.args(more).output().context("cannot start mosquitto_pub; `cargo xtask setup` installs it")?;
        ensure!(output.status.success(), "mosquitto_pub on {topic}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A client that gets so many messages and ends. It is subscribed when this returns: the retained one has come.
    fn subscribed(self, filter: &str, count: usize) -> Result<Subscriber> {
        let count = count.to_string();
        let mut client = self.client("mosquitto_sub", &["-v", "-q", "2", "-t", filter, "-C", &count, "-W", WAITS]);
        let client = client.stdout(Stdio::piped()).spawn();
        let mut client = client.context("cannot start mosquitto_sub; `cargo xtask setup` installs it")?;
        let mut output = BufReader::new(client.stdout.take().context("no output")?);
        let mut first = String::new();
        output.read_line(&mut first).context("no first message")?;
        ensure!(first.trim_end() == RETAINED, "subscribed to {filter}, the first message is {first:?}");
        Ok(Subscriber { client, output })
    }
}

/// A client of mosquitto's that waits for messages.
struct Subscriber {
    client: Child,
    output: BufReader<ChildStdout>,
}

impl Subscriber {
    /// The lines `topic text` after the first, sorted: a broker keeps the order of one topic only.
    fn rest(mut self) -> Result<Vec<String>> {
        let lines: Result<Vec<String>, _> = self.output.by_ref().lines().collect();
        let status = self.client.wait().context("no subscriber")?;
        let mut lines = lines.context("not text")?;
        ensure!(status.success(), "mosquitto_sub ends with {status}, after {lines:?}");
        lines.sort();
        Ok(lines)
    }
}

fn mqtt(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    all_said(stage, &["\"0.0.0.0:1883\"", "\"0.0.0.0:1884\""])?;
    let ports: Vec<u16> = stage.further_ports.iter().map(|(host, _)| *host).collect();
    let [old, new] = ports[..] else { bail!("no ports lead to the broker") };
    let (old, new) = (Spoken { version: "mqttv311", port: old }, Spoken { version: "mqttv5", port: new });
    for spoken in [old, new] {
        exchanged(spoken).with_context(|| format!("by {}", spoken.version))?;
    }
    between(old, new)?;
    for spoken in [old, new] {
        let _silent = silent(spoken.port)?;
        hostile(spoken.port)?;
        exchanged(spoken)
            .with_context(|| format!("by {}, after hostile clients and beside silent ones", spoken.version))?;
    }
    ensure!(!stage.console().text().contains("rumqttd ended"), "the broker has ended");
    stage.compare_live()?;
    stage.power_off()
}

/// What each new subscriber of `house/#` gets first.
const RETAINED: &str = "house/door open";

/// Each quality of service, a wildcard, and 16 KiB.
fn exchanged(spoken: Spoken) -> Result<()> {
    spoken.publish("house/door", "open", &["-r", "-q", "1"])?;
    let subscriber = spoken.subscribed("house/#", 5)?;
    let large = "x".repeat(16 << 10);
    spoken.publish("garden/a", "not asked for", &["-q", "1"])?;
    let mut expected = Vec::new();
    for (topic, text, quality) in [
        ("house/a", "none", "0"),
        ("house/b", "once at least", "1"),
        ("house/c/d", "once", "2"),
        ("house/e", &large, "1"),
    ] {
        spoken.publish(topic, text, &["-q", quality])?;
        expected.push(format!("{topic} {text}"));
    }
    let found = subscriber.rest()?;
    ensure!(found == expected, "subscribed to house/#, and got {found:?}");
    Ok(())
}

/// What is published by one version is got by the other.
fn between(old: Spoken, new: Spoken) -> Result<()> {
    for (from, to) in [(old, new), (new, old)] {
        let subscriber = to.subscribed("house/#", 2)?;
        from.publish("house/bell", "rings", &["-q", "1"])?;
        let found = subscriber.rest()?;
        ensure!(found == ["house/bell rings"], "{} to {}: {found:?}", from.version, to.version);
    }
    Ok(())
}

/// What is no MQTT, stops in the middle or announces too much is let go.
fn hostile(port: u16) -> Result<()> {
    // A CONNECT of 256 MiB; one of a protocol that is none; a PUBLISH before any CONNECT; what HTTP says; noise.
    for noise in [
        [0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4].as_slice(),
        b"\x10\x0c\x00\x04NONE\x04\x02\x00\x3c\x00\x00",
        b"\x30\x05\x00\x03a/bx",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 4096],
    ] {
        let answer = all_answered(port, noise)?;
        // 0x20 is CONNACK; a code of 0 in it would be a welcome (MQTT 3.1.1, 3.2.2.3).
        ensure!(answer.first() != Some(&0x20) || answer.get(3) != Some(&0), "{noise:?} is welcome: {answer:?}");
    }
    Ok(())
}
