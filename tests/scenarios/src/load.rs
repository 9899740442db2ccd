//! Load generators (wrk or h2load) and what they report; judges nothing.
use anyhow::{Context, Result, bail};
use std::process::Command;

/// What a generator counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Answers with a good status.
    pub requests: u64,
    /// Requests without a good answer: refused, reset, timed out, or another status.
    pub errors: u64,
    /// Answers a second.
    pub requests_per_second: f64,
    /// Bytes received a second, heads included.
    pub bytes_per_second: f64,
}

/// Runs `connections` at once against `url` for `seconds`.
///
/// # Errors
/// No generator is installed, or it printed something unknown.
pub fn for_seconds(url: &str, connections: u32, seconds: u32) -> Result<Report> {
    if let Some(text) =
        output("wrk", &["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "30s", url])?
    {
        return wrk(&text).with_context(|| format!("wrk printed something unknown:\n{text}"));
    }
    let arguments = ["--h1", "-t1", "-c", &connections.to_string(), "-D", &seconds.to_string(), url];
    match output("h2load", &arguments)? {
        Some(text) => h2load(&text).with_context(|| format!("h2load printed something unknown:\n{text}")),
        None => bail!("neither wrk nor h2load is installed; `cargo xtask setup` installs one"),
    }
}

fn output(program: &str, arguments: &[&str]) -> Result<Option<String>> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => {
            Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot start {program}")),
    }
}

/// wrk: `1234 requests in 10.00s, 5.6MB read`, `Requests/sec: 1.2`, `Transfer/sec: 3.4KB`, and lines of errors where there are any.
fn wrk(text: &str) -> Option<Report> {
    let value = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    let total: u64 = text.lines().find_map(|line| line.trim().split_once(" requests in "))?.0.parse().ok()?;
    let bad_status: u64 = value("Non-2xx or 3xx responses:").map_or(Some(0), |number| number.parse().ok())?;
    let socket = value("Socket errors:").unwrap_or_default();
    let socket: u64 = socket.split([' ', ',']).filter_map(|word| word.parse::<u64>().ok()).sum();
    Some(Report {
        requests: total.saturating_sub(bad_status),
        errors: bad_status + socket,
        requests_per_second: value("Requests/sec:")?.parse().ok()?,
        bytes_per_second: bytes(value("Transfer/sec:")?)?,
    })
}

/// h2load: `finished in 10.0s, 123.4 req/s, 56.7KB/s` and `requests: … 5 succeeded, 0 failed, 0 errored, 0 timeout`.
fn h2load(text: &str) -> Option<Report> {
    let finished = text.lines().find_map(|line| line.strip_prefix("finished in "))?;
    let mut parts = finished.split(", ").skip(1);
    let requests_per_second = parts.next()?.strip_suffix(" req/s")?.parse().ok()?;
    let bytes_per_second = bytes(parts.next()?.strip_suffix("/s")?)?;
    let counts = text.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let count = |name: &str| counts.split(", ").find_map(|part| part.strip_suffix(name)?.trim().parse::<u64>().ok());
    Some(Report {
        requests: count("succeeded")?,
        errors: count("failed")? + count("errored")? + count("timeout")?,
        requests_per_second,
        bytes_per_second,
    })
}

fn bytes(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "B" => 1.0,
        "KB" => 1024.0,
        "MB" => 1024.0 * 1024.0,
        "GB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::{h2load, wrk};

    #[test]
    fn wrk_report_with_errors_counts_them_all() {
        let text = "  2345 requests in 10.01s, 4.50MB read\n  Socket errors: connect 0, read 1, write 2, timeout 3\n  Non-2xx or 3xx responses: 5\nRequests/sec:    234.20\nTransfer/sec:    460.00KB\n";
        let report = wrk(text).expect("it is wrk's format");
        assert_eq!((report.requests, report.errors), (2340, 11));
        assert!((report.bytes_per_second - 471_040.0).abs() < 1.0);
    }

    #[test]
    fn h2load_report_is_understood() {
        let text = "finished in 10.00s, 234.20 req/s, 1.50MB/s\nrequests: 2342 total, 2342 started, 2342 done, 2340 succeeded, 2 failed, 0 errored, 0 timeout\n";
        let report = h2load(text).expect("it is h2load's format");
        assert_eq!((report.requests, report.errors), (2340, 2));
    }

    #[test]
    fn other_text_is_no_report() {
        assert_eq!(wrk("unable to connect"), None);
        assert_eq!(h2load(""), None);
    }
}
