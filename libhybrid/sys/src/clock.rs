//! Counter ticks and nanoseconds; no reading of any counter here.

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds in `ticks` of a counter that runs at `hertz`, rounded down. A counter that does not run is at 0.
#[must_use]
pub const fn ns_from_ticks(ticks: u64, hertz: u64) -> u64 {
    if hertz == 0 {
        return 0;
    }
    // Whole seconds and the rest apart, so that nothing overflows for 584 years.
    let rest = ticks % hertz;
    (ticks / hertz).saturating_mul(NS_PER_SECOND).saturating_add(scale(rest, NS_PER_SECOND, hertz))
}

/// The first tick of a counter that runs at `hertz` at which at least `ns` nanoseconds have passed.
#[must_use]
pub const fn ticks_from_ns(ns: u64, hertz: u64) -> u64 {
    let rest = ns % NS_PER_SECOND;
    let whole = (ns / NS_PER_SECOND).saturating_mul(hertz);
    whole.saturating_add(scale_up(rest, hertz, NS_PER_SECOND))
}

/// `value * factor / divisor`, rounded down, for `value < divisor` and factors below 2^34.
const fn scale(value: u64, factor: u64, divisor: u64) -> u64 {
    value.saturating_mul(factor) / divisor
}

/// `value * factor / divisor`, rounded up, for `value < divisor` and factors below 2^34.
const fn scale_up(value: u64, factor: u64, divisor: u64) -> u64 {
    value.saturating_mul(factor).div_ceil(divisor)
}

#[cfg(test)]
mod tests {
    use super::{ns_from_ticks, ticks_from_ns};

    #[test]
    fn ticks_and_ns_agree_at_known_points() {
        assert_eq!(ns_from_ticks(62_500_000, 62_500_000), 1_000_000_000);
        assert_eq!(ns_from_ticks(1, 62_500_000), 16);
        assert_eq!(ns_from_ticks(54_000_001, 54_000_000), 1_000_000_018);
        assert_eq!(ticks_from_ns(16, 62_500_000), 1);
        assert_eq!(ticks_from_ns(17, 62_500_000), 2);
        assert_eq!(ticks_from_ns(1, 54_000_000), 1);
        assert_eq!(ns_from_ticks(5, 0), 0);
    }

    #[test]
    fn deadline_in_ticks_is_never_early() {
        for hertz in [19_200_000, 54_000_000, 62_500_000, 1_000_000_000] {
            for ns in [0, 1, 999, 123_456_789, 86_400_000_000_000, u64::MAX / 2] {
                let ticks = ticks_from_ns(ns, hertz);
                assert!(ns_from_ticks(ticks, hertz) >= ns, "{ns} at {hertz}");
            }
        }
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(ns_from_ticks(u64::MAX, 1), u64::MAX);
        assert_eq!(ticks_from_ns(u64::MAX, u64::MAX), u64::MAX);
    }
}
