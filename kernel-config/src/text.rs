//! Sizes and dates as people write them; no arithmetic beyond that.

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

/// Bytes in a page.
pub const PAGE: u64 = 4096;

/// A size in bytes, written `"64 KiB"`; a multiple of the page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

impl Size {
    /// `"64 KiB"` → 65536.
    ///
    /// # Errors
    /// A sentence when the text is no size.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a size; write \"64 KiB\", \"8 MiB\", \"1 GiB\" or \"0\"");
        if text == "0" {
            return Ok(Self(0));
        }
        let (number, unit) = text.split_once(' ').ok_or_else(bad)?;
        let factor: u64 = match unit {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(bad()),
        };
        let number: u64 = number.parse().map_err(|_| bad())?;
        let bytes = number.checked_mul(factor).ok_or_else(bad)?;
        if bytes % PAGE == 0 { Ok(Self(bytes)) } else { Err(format!("`{text}` is not a multiple of 4 KiB")) }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        match bytes {
            0 => write!(out, "0"),
            _ if bytes.is_multiple_of(1 << 30) => write!(out, "{} GiB", bytes >> 30),
            _ if bytes.is_multiple_of(1 << 20) => write!(out, "{} MiB", bytes >> 20),
            _ => write!(out, "{} KiB", bytes >> 10),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// A day, written `"2027-11-30"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Default for Date {
    /// 1970-01-01.
    fn default() -> Self {
        Self { year: 1970, month: 1, day: 1 }
    }
}

impl Date {
    /// The day of the build: `SOURCE_DATE_EPOCH` if set (reproducible builds), else today, UTC.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn of_build() -> Self {
        let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
        let seconds = given.unwrap_or_else(|| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.map_or(0, |since| since.as_secs())
        });
        Self::from_days(seconds / 86_400)
    }

    /// `"2027-11-30"`.
    ///
    /// # Errors
    /// A sentence when the text is no day.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a day; write \"2027-11-30\"");
        let mut parts = text.split('-');
        let mut next = || parts.next().and_then(|part| part.parse::<u16>().ok()).ok_or_else(bad);
        let (year, month, day) = (next()?, next()?, next()?);
        if text.len() != 10 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(bad());
        }
        Ok(Self { year, month: u8::try_from(month).map_err(|_| bad())?, day: u8::try_from(day).map_err(|_| bad())? })
    }

    /// Days since 1970-01-01 as a date (Howard Hinnant, "chrono-compatible low-level date algorithms").
    #[cfg(feature = "std")]
    fn from_days(days: u64) -> Self {
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let of_era = shifted % 146_097;
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Self {
            year: u16::try_from(year).unwrap_or(u16::MAX),
            month: u8::try_from(month).unwrap_or(12),
            day: u8::try_from(day).unwrap_or(31),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Date, Size};

    #[test]
    fn size_of_each_unit_is_read_and_shown_alike() {
        for (text, bytes) in [("0", 0), ("64 KiB", 65_536), ("8 MiB", 8 << 20), ("8 GiB", 8 << 30)] {
            assert_eq!(Size::parse(text), Ok(Size(bytes)));
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn size_that_is_none_is_refused() {
        for text in ["", "64", "64KiB", "64 KB", "-1 KiB", "1 KiB", "99999999999999999999 GiB", "17179869184 GiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn date_of_day_numbers_matches_the_calendar() {
        for (days, text) in [(0, "1970-01-01"), (11_016, "2000-02-29"), (20_781, "2026-11-24"), (47_541, "2100-03-01")]
        {
            assert_eq!(Date::from_days(days).to_string(), text);
        }
    }

    #[test]
    fn date_that_is_none_is_refused() {
        for text in ["", "2027", "2027-13-01", "2027-1-01", "2027-01-32", "tomorrow"] {
            assert!(Date::parse(text).is_err(), "{text}");
        }
    }
}
