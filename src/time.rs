//! Moments, windows and durations as the user writes and reads them.
//!
//! A moment is an `i64` of nanoseconds since the Unix epoch and never passes through a float, which is exact only to
//! 2^53 ns (104 days). Text comes in as RFC 3339, a clock time on the data's day, an epoch number or an offset from
//! the data's start or end; it goes out as RFC 3339 in UTC or as the shortest text that reads back as the same moment.
//!
//! Everything here is a pure function of its arguments: the clock and the local time zone are never asked.

use crate::error::Error;
use jiff::{Timestamp, civil, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const NS_PER_SECOND: i128 = 1_000_000_000;
const NS_PER_DAY: i128 = 86_400 * NS_PER_SECOND;

/// A stretch of time, start included and end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeRange {
    /// First moment in the range, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// First moment after the range.
    pub end_unix_ns: i64,
}

impl TimeRange {
    /// The range that holds the start of every span and reaches to the last end; `None` without spans.
    #[must_use]
    pub fn covering(spans: impl IntoIterator<Item = (i64, i64)>) -> Option<Self> {
        let mut spans = spans.into_iter().map(|(start_unix_ns, duration_ns)| Self {
            start_unix_ns,
            // A span of no duration at the very end is still inside.
            end_unix_ns: start_unix_ns.saturating_add(duration_ns.max(1)),
        });
        let first = spans.next()?;
        Some(spans.fold(first, |range, span| Self {
            start_unix_ns: range.start_unix_ns.min(span.start_unix_ns),
            end_unix_ns: range.end_unix_ns.max(span.end_unix_ns),
        }))
    }

    /// Whether `moment_unix_ns` lies in the range.
    #[must_use]
    pub fn contains(&self, moment_unix_ns: i64) -> bool {
        self.start_unix_ns <= moment_unix_ns && moment_unix_ns < self.end_unix_ns
    }

    /// Whether the two ranges share a moment.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start_unix_ns < other.end_unix_ns && other.start_unix_ns < self.end_unix_ns
    }

    /// Length in nanoseconds, at most `i64::MAX`; 0 if the range is empty.
    #[must_use]
    pub fn duration_ns(&self) -> i64 {
        self.end_unix_ns.saturating_sub(self.start_unix_ns).max(0)
    }
}

impl std::fmt::Display for TimeRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", format_rfc3339(self.start_unix_ns), format_rfc3339(self.end_unix_ns))
    }
}

/// Reads a window `START..END` of two bounds; an empty bound is the data's start or end.
///
/// An end that is a clock time before the start means the next day, if the data reach that far.
pub fn parse_window(text: &str, data: TimeRange) -> Result<TimeRange, Error> {
    let Some((start, end)) = text.split_once("..").filter(|(_, end)| !end.contains("..")) else {
        return Err(Error::Usage {
            message: format!("`{text}` is not a window of time"),
            hint: "write `START..END`, such as `14:05..14:20`, `..+10m` or `-30m..`".to_owned(),
        });
    };
    let (start, end) = (start.trim(), end.trim());
    let start_unix_ns = if start.is_empty() { data.start_unix_ns } else { parse_bound(start, data)? };
    let mut end_unix_ns = if end.is_empty() { data.end_unix_ns } else { parse_bound(end, data)? };
    if end_unix_ns <= start_unix_ns && clock_ns(end).is_some() {
        let next_day = i128::from(end_unix_ns) + NS_PER_DAY;
        if next_day <= i128::from(data.end_unix_ns) {
            end_unix_ns = in_range(next_day).unwrap_or(end_unix_ns);
        }
    }
    Ok(TimeRange { start_unix_ns, end_unix_ns })
}

/// Reads a moment, in nanoseconds since the Unix epoch.
///
/// | text | meaning |
/// |---|---|
/// | `2024-05-01T14:05:00+02:00`, `2024-05-01T14:05`, `2024-05-01` | RFC 3339; UTC where it names no zone |
/// | `14:05`, `14:05:30.250` | clock time in UTC, on the data's first day on which it falls among the data |
/// | `1714572300`, `1714572300.25`, `1714572300250` | epoch in seconds, ms, µs or ns by magnitude |
/// | `+10m`, `+1h30m` | after the data's start |
/// | `-30m`, `-1500ms` | before the data's end |
pub fn parse_bound(text: &str, data: TimeRange) -> Result<i64, Error> {
    let text = text.trim();
    let moment = if let Some(offset) = text.strip_prefix('+') {
        parse_duration(offset).map(|ns| i128::from(data.start_unix_ns).saturating_add(ns))
    } else if let Some(offset) = text.strip_prefix(['-', '−']) {
        parse_duration(offset).map(|ns| i128::from(data.end_unix_ns).saturating_sub(ns))
    } else if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        parse_epoch(text)
    } else if let Some(clock) = clock_ns(text) {
        Some(on_data_day(clock, data))
    } else {
        parse_calendar(text)
    };
    let Some(moment) = moment else {
        return Err(Error::Usage {
            message: format!("`{text}` is not a moment in time"),
            hint: "write `2024-05-01T14:05:00Z`, a clock time `14:05` (UTC), epoch seconds, or an offset from the \
                   data's start `+10m` or end `-30m` (units d, h, m, s, ms, us, ns)"
                .to_owned(),
        });
    };
    in_range(moment).ok_or_else(|| Error::Usage {
        message: format!("`{text}` does not fit 64-bit nanoseconds since 1970"),
        hint: format!("the moment must lie from {} to {}", format_rfc3339(i64::MIN), format_rfc3339(i64::MAX)),
    })
}

fn in_range(moment: i128) -> Option<i64> {
    i64::try_from(moment).ok()
}

/// RFC 3339, with or without zone, time and seconds.
fn parse_calendar(text: &str) -> Option<i128> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_nanosecond());
    }
    let datetime = text.parse::<civil::DateTime>().ok()?;
    Some(TimeZone::UTC.to_timestamp(datetime).ok()?.as_nanosecond())
}

/// Nanoseconds since midnight of `H:MM[:SS[.fraction]]` with an optional `Z`.
fn clock_ns(text: &str) -> Option<i128> {
    let text = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let (hour, rest) = text.split_once(':')?;
    let (minute, second) = rest.split_once(':').unwrap_or((rest, "00"));
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    if hour.is_empty() || hour.len() > 2 || minute.len() != 2 || second.len() != 2 {
        return None;
    }
    let (hour, minute, second) = (digits(hour)?, digits(minute)?, digits(second)?);
    (hour < 24 && minute < 60 && second < 60).then_some(())?;
    Some(((hour * 60 + minute) * 60 + second) * NS_PER_SECOND + fraction_of(fraction, NS_PER_SECOND)?)
}

/// The first moment among the data that shows `clock_ns` on a clock; on the data's first day if there is none.
fn on_data_day(clock_ns: i128, data: TimeRange) -> i128 {
    let start = i128::from(data.start_unix_ns);
    let first_day = start.div_euclid(NS_PER_DAY) * NS_PER_DAY + clock_ns;
    let next_day = first_day + NS_PER_DAY;
    if first_day < start && next_day <= i128::from(data.end_unix_ns) { next_day } else { first_day }
}

/// An epoch number whose unit follows from its size: below 10^11 seconds (year 5138), below 10^14 milliseconds,
/// below 10^17 microseconds, else nanoseconds. Each is three digits more, so 1973 to 5138 reads right in every unit.
fn parse_epoch(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole = digits(whole)?;
    let unit = match whole {
        ..100_000_000_000 => NS_PER_SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    Some(whole * unit + fraction_of(fraction, unit)?)
}

/// Units of durations, longest spelling first where one begins another.
const UNITS: [(&str, i128); 10] = [
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
    ("min", 60 * NS_PER_SECOND),
    ("sec", NS_PER_SECOND),
    ("d", NS_PER_DAY),
    ("h", 3_600 * NS_PER_SECOND),
    ("m", 60 * NS_PER_SECOND),
    ("s", NS_PER_SECOND),
];

/// Reads `1h30m`, `90s`, `1.5h` or `1500ms`; `None` for anything else.
fn parse_duration(text: &str) -> Option<i128> {
    let mut rest = text;
    let mut total = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let (name, unit) = UNITS.iter().find(|(name, _)| tail.starts_with(name))?;
        total = total.checked_add(digits(whole)? * unit)?.checked_add(fraction_of(fraction, *unit)?)?;
        rest = &tail[name.len()..];
    }
    (!text.is_empty()).then_some(total)
}

/// A number of 1 to 20 decimal digits, small enough that no sum or product here overflows `i128`.
fn digits(text: &str) -> Option<i128> {
    let plain = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// `0.text` of `unit`, rounded down to whole nanoseconds.
fn fraction_of(text: &str, unit: i128) -> Option<i128> {
    Some(digits(text)? * unit / 10_i128.pow(u32::try_from(text.len()).ok()?))
}

/// A moment as RFC 3339 in UTC, with as many decimals as it needs: `2024-05-01T14:05:00.25Z`.
#[must_use]
pub fn format_rfc3339(moment_unix_ns: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(moment_unix_ns)) {
        Ok(timestamp) => timestamp.to_string(),
        // Every `i64` of nanoseconds lies between 1677 and 2262, inside jiff's range.
        Err(_) => moment_unix_ns.to_string(),
    }
}

/// The shortest text that [`parse_bound`] reads as this moment: a clock time if the data allow it, else RFC 3339.
#[must_use]
pub fn format_bound(moment_unix_ns: i64, data: TimeRange) -> String {
    let long = format_rfc3339(moment_unix_ns);
    let clock = long.split_once('T').map(|(_, clock)| clock.trim_end_matches('Z'));
    match clock {
        Some(clock) if parse_bound(clock, data).is_ok_and(|read| read == moment_unix_ns) => clock.to_owned(),
        _ => long,
    }
}

/// The shortest text that [`parse_window`] reads as this window: the data's own start and end are left out.
#[must_use]
pub fn format_window(window: TimeRange, data: TimeRange) -> String {
    let bound = |moment: i64, of_data: i64| if moment == of_data { String::new() } else { format_bound(moment, data) };
    let start = bound(window.start_unix_ns, data.start_unix_ns);
    format!("{start}..{}", bound(window.end_unix_ns, data.end_unix_ns))
}

/// A number of milliseconds with three digits that count: `112`, `30.5`, `7.36`, `0.078`.
#[must_use]
pub fn format_ms(value_ms: f64) -> String {
    let digits = match value_ms.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    without_minus_zero(format!("{value_ms:.digits$}"))
}

/// The same with its sign; what rounds to zero has none.
#[must_use]
pub fn format_signed_ms(value_ms: f64) -> String {
    let text = format_ms(value_ms);
    if value_ms > 0.0 && !is_zero(&text) { format!("+{text}") } else { text }
}

/// A number with its sign and so many digits after the point; what rounds to zero has no sign: `+3.2`, `-14.0`, `0.0`.
#[must_use]
pub fn format_signed(value: f64, digits: usize) -> String {
    let is_above_zero = value > 0.0;
    let text = without_minus_zero(format!("{value:.digits$}"));
    if is_above_zero && !is_zero(&text) { format!("+{text}") } else { text }
}

fn is_zero(number: &str) -> bool {
    number.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'))
}

fn without_minus_zero(number: String) -> String {
    if is_zero(&number) { number.trim_start_matches('-').to_owned() } else { number }
}

/// A duration for people, in three digits below two minutes and in two units above: `412 µs`, `38.2 ms`, `1.24 s`,
/// `2 min 5 s`, `3 h 10 min`, `2 d 4 h`.
#[must_use]
pub fn format_ns(duration_ns: i64) -> String {
    let sign = if duration_ns < 0 { "-" } else { "" };
    let ns = duration_ns.unsigned_abs();
    if let Some(short) = format_short(ns) {
        return format!("{sign}{short}");
    }
    let seconds = ns.saturating_add(500_000_000) / 1_000_000_000;
    let (big, small, names) = match seconds {
        ..3_600 => (seconds / 60, seconds % 60, ["min", "s"]),
        3_600..86_400 => (seconds / 3_600, seconds % 3_600 / 60, ["h", "min"]),
        _ => (seconds / 86_400, seconds % 86_400 / 3_600, ["d", "h"]),
    };
    if small == 0 {
        return format!("{sign}{big} {}", names[0]);
    }
    format!("{sign}{big} {} {small} {}", names[0], names[1])
}

/// Three digits and a unit; `None` from two minutes on.
fn format_short(ns: u64) -> Option<String> {
    if ns < 1_000 {
        return Some(format!("{ns} ns"));
    }
    for (unit, name) in [(1_000_u64, "µs"), (1_000_000, "ms"), (1_000_000_000, "s")] {
        for (decimals, scale) in [(2, 100), (1, 10), (0, 1)] {
            let step = unit / scale;
            let rounded = ns.saturating_add(step / 2) / step;
            let limit = if name == "s" && decimals == 0 { 120 } else { 1_000 };
            if rounded < limit {
                let (whole, fraction) = (rounded / scale, rounded % scale);
                return Some(match decimals {
                    0 => format!("{whole} {name}"),
                    _ => format!("{whole}.{fraction:0decimals$} {name}"),
                });
            }
        }
    }
    None
}
