//! `top`: how much of its budget each component used since it was typed last; asks the supervisor, decides nothing.
use crate::job::{Clients, Job, Step, Times, Wires, line};
use crate::quote::quoted;
use crate::services::service;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Reverse;
use hybrid_interfaces::process::Service;

/// What each component had used when `top` was typed last, and when that was, by index; nothing yet, and the interval began with the system.
#[derive(Default)]
pub struct Seen(Vec<Sample>);

#[derive(Clone, Copy)]
struct Sample {
    at_ns: u64,
    consumed_us: u64,
}

/// One line, and what it is sorted by.
pub struct Share {
    of_budget: Option<u64>,
    used_us: u64,
    text: String,
}

/// Per mille; nothing of nothing.
fn permille(part: u64, whole: u64) -> u64 {
    part.saturating_mul(1000) / whole.max(1)
}

fn percent(permille: u64) -> String {
    format!("{}.{}%", permille / 10, permille % 10)
}

impl Share {
    /// `since` was the last look. A budget that equals its period is no limit: then all time is its budget. Of securityd nobody knows.
    fn new(service: &Service<'_>, since: Sample, now_ns: u64) -> Self {
        let interval_us = now_ns.saturating_sub(since.at_ns) / 1000;
        let used_us = service.consumed_us.saturating_sub(since.consumed_us);
        let (budget, period) = (u64::from(service.budget_us), u64::from(service.period_us));
        let is_limited = budget < period;
        let of_budget = (period > 0).then(|| {
            let allowed_us = if is_limited { interval_us.saturating_mul(budget) / period } else { interval_us };
            permille(used_us, allowed_us)
        });
        let limit = if is_limited { format!("{}%", budget * 100 / period) } else { "none".to_string() };
        let (share, limit) =
            if period > 0 { (percent(permille(used_us, interval_us)), limit) } else { Default::default() };
        let text = format!(
            "{:<16} {:>9}  {share:>7}  {limit:>5}  {:>4}  {:>9}",
            quoted(&service.name),
            of_budget.map_or_else(|| "-".to_string(), percent),
            service.priority,
            service.consumed_us / 1000,
        );
        Self { of_budget, used_us, text: text.trim_end().to_string() }
    }
}

/// Collects a component a step, then prints all, the one first that used most of its budget.
///
/// # Errors
/// The supervisor does not answer; as a text for the person at the console.
pub fn top<W: Wires>(
    clients: &mut Clients<W>,
    seen: &mut Seen,
    mut shares: Vec<Share>,
    index: u16,
    times: Times,
    out: &mut String,
) -> Result<Step<W>, String> {
    let is_first = seen.0.get(usize::from(index)).is_none();
    if index == 0 {
        let since = seen.0.first().map_or(times.boot_ns, |sample| sample.at_ns);
        let ago = times.now_ns.saturating_sub(since) / 100_000_000;
        let what = if is_first { "the start of the system" } else { "the last top" };
        line(out, &format!("since {what}, {}.{} s ago:", ago / 10, ago % 10));
    }
    if let Some(service) = service(clients, index)? {
        let now = Sample { at_ns: times.now_ns, consumed_us: service.consumed_us };
        let start = Sample { at_ns: times.boot_ns, consumed_us: 0 };
        // Indices come in order, so the next one that is not there yet is the next place.
        let since = seen.0.get_mut(usize::from(index)).map(|sample| core::mem::replace(sample, now));
        if since.is_none() {
            seen.0.push(now);
        }
        shares.push(Share::new(&service, since.unwrap_or(start), times.now_ns));
        return Ok(Step::More(Job::Top(shares, index + 1)));
    }
    shares.sort_by_key(|share| Reverse((share.of_budget, share.used_us)));
    line(out, "name             of budget    share  limit  prio   total ms");
    shares.iter().for_each(|share| line(out, &share.text));
    Ok(Step::Done)
}
