//! Properties of one instance's life under any sequence of ends, times, heartbeats and commands.

use libhybrid::interfaces::process::{Phase, Policy, Restart};
use procd::record::{Beat, Cause, Record, Verdict};
use proptest::prelude::*;

const MS: u64 = 1_000_000;

fn rules() -> impl Strategy<Value = Restart> {
    let policy = prop_oneof![Just(Policy::Always), Just(Policy::OnFault), Just(Policy::Never)];
    (policy, 1_u8..=16, 1000_u32..100_000, 1_u32..5000, 0_u32..50_000, prop_oneof![Just(0_u32), 100_u32..10_000])
        .prop_map(|(policy, threshold, window_ms, backoff_ms, more_ms, heartbeat_ms)| Restart {
            policy,
            threshold,
            window_ms,
            backoff_ms,
            backoff_max_ms: backoff_ms + more_ms,
            heartbeat_ms,
            deadline_ms: 100,
        })
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![Just(Cause::Fault), Just(Cause::Killed), Just(Cause::Hang), Just(Cause::CannotStart), Just(Cause::End)]
}

fn end() -> impl Strategy<Value = (u64, Cause)> {
    (prop_oneof![0_u64..2000, 0_u64..60_000], cause())
}

proptest! {
    /// Every automatic start is covered by the policy, waits at least its back-off, and there are fewer of them in any window than the threshold.
    #[test]
    fn ends_are_answered_as_the_manifest_says(
        rules in rules(), is_urgent: bool, ends in prop::collection::vec(end(), 1..60),
    ) {
        let mut now = 0;
        let mut record = Record::new(rules, is_urgent, now);
        let mut times: Vec<u64> = Vec::new();
        for (after_ms, cause) in ends {
            now += after_ms * MS;
            let verdict = record.ended(now, cause);
            times.retain(|at| now - at < u64::from(rules.window_ms) * MS);
            times.push(now);
            let is_covered = match rules.policy {
                Policy::Always => true,
                Policy::OnFault => !matches!(cause, Cause::Killed | Cause::End),
                Policy::Never => false,
            };
            let is_loop = times.len() >= usize::from(rules.threshold);
            match verdict {
                Verdict::Leave => {
                    prop_assert!(!is_covered);
                    prop_assert_eq!((record.phase(), record.next()), (Phase::Ended, None));
                    record.started(now);
                    continue;
                }
                Verdict::Fail => {
                    prop_assert!(is_covered && is_loop);
                    prop_assert_eq!((record.phase(), record.next(), record.is_due(u64::MAX)), (Phase::Failed, None, false));
                    record.forgive();
                    times.clear();
                    record.started(now);
                    continue;
                }
                Verdict::Start => {
                    prop_assert!(is_covered && !is_loop && (is_urgent || times.len() == 1));
                    prop_assert!(record.is_due(now));
                }
                Verdict::Wait(until) => {
                    prop_assert!(is_covered && !is_loop && !is_urgent && times.len() > 1);
                    let delay = until - now;
                    prop_assert!(delay >= u64::from(rules.backoff_ms) * MS && delay <= u64::from(rules.backoff_max_ms) * MS);
                    let doubled = (2..times.len()).fold(u64::from(rules.backoff_ms), |delay, _| delay * 2);
                    prop_assert_eq!(delay, doubled.min(rules.backoff_max_ms.into()) * MS);
                    prop_assert!(!record.is_due(until - 1) && record.is_due(until));
                    prop_assert_eq!(record.next(), Some(until));
                    now = until;
                }
            }
            record.started(now);
            prop_assert_eq!(record.phase(), Phase::Running);
        }
    }

    /// Who answers every ping in time is never found hanging, who misses one is found at its deadline.
    #[test]
    fn heartbeat_finds_who_does_not_answer_and_nobody_else(
        heartbeat_ms in 100_u32..10_000, answers in prop::collection::vec((any::<bool>(), any::<bool>()), 1..40),
    ) {
        let rules = Restart { policy: Policy::Always, threshold: 5, window_ms: 60_000, backoff_ms: 1, backoff_max_ms: 1, heartbeat_ms, deadline_ms: 100 };
        let mut record = Record::new(rules, false, 0);
        let mut now = 0;
        for (in_time, late) in answers {
            prop_assert_eq!(record.beat(now), Beat::Nothing);
            let next = record.next().unwrap();
            prop_assert!(next - now <= u64::from(heartbeat_ms) * MS);
            now = next;
            let Beat::Ping(number) = record.beat(now) else { return Err(TestCaseError::fail("no ping when it was due")) };
            prop_assert_eq!(record.beat(now), Beat::Nothing);
            prop_assert_eq!(record.next(), Some(now + 100 * MS));
            now += 100 * MS;
            prop_assert_eq!(record.beat(now), Beat::Check);
            if in_time {
                prop_assert!(record.answered(now, number));
                continue;
            }
            prop_assert!(record.answered(now, number - 1), "it gets a second deadline");
            prop_assert_eq!((record.beat(now), record.next()), (Beat::Nothing, Some(now + 100 * MS)));
            now += 100 * MS;
            prop_assert_eq!(record.beat(now), Beat::Check);
            prop_assert_eq!(record.answered(now, if late { number } else { number - 1 }), late);
            if !late {
                prop_assert_eq!(record.ended(now, Cause::Hang), Verdict::Start);
                prop_assert_eq!(record.counts(), (1, 1));
                return Ok(());
            }
        }
    }

    /// Stopped by command: nothing is due, ever, until it is started.
    #[test]
    fn what_was_stopped_by_command_is_left_alone(rules in rules(), at: u64) {
        let mut record = Record::new(rules, false, 0);
        record.stopped();
        prop_assert_eq!((record.next(), record.beat(at), record.is_due(at)), (None, Beat::Nothing, false));
    }
}
