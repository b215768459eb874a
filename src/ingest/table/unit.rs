//! Times as tables write them, as exact nanoseconds.
//!
//! An integer goes from its unit to nanoseconds in 128-bit integers, a decimal text digit by digit; only a value that
//! is floating-point in the file passes through `f64`.

use super::cell::Cell;

/// Unit of a time or a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Nanos,
    Micros,
    Millis,
    Seconds,
}

impl Unit {
    pub(super) const ALL: [Self; 4] = [Self::Nanos, Self::Micros, Self::Millis, Self::Seconds];

    /// The unit as `--columns` and column-name suffixes spell it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => Self::Nanos,
            "us" | "µs" | "μs" | "micro" | "micros" | "microsecond" | "microseconds" => Self::Micros,
            "ms" | "milli" | "millis" | "msec" | "millisecond" | "milliseconds" => Self::Millis,
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Seconds,
            _ => return None,
        })
    }

    /// Its spelling in messages and in `--columns`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Nanos => "ns",
            Self::Micros => "us",
            Self::Millis => "ms",
            Self::Seconds => "s",
        }
    }

    /// Nanoseconds in it.
    pub(super) fn nanos(self) -> i64 {
        10_i64.pow(self.digits())
    }

    fn digits(self) -> u32 {
        match self {
            Self::Nanos => 0,
            Self::Micros => 3,
            Self::Millis => 6,
            Self::Seconds => 9,
        }
    }

    /// The unit in which an epoch of this size lies between 1973 and 5138.
    ///
    /// 1e11 s is the year 5138 and 1e11 ms is March 1973, so the ranges do not overlap for any trace ever recorded.
    pub(super) fn of_epoch(magnitude: f64) -> Self {
        match magnitude.abs() {
            value if value < 1e11 => Self::Seconds,
            value if value < 1e14 => Self::Millis,
            value if value < 1e17 => Self::Micros,
            _ => Self::Nanos,
        }
    }
}

/// Nanoseconds since the Unix epoch; without a unit it is read off the size. `None` if the cell is no time.
pub(super) fn epoch_ns(cell: Cell<'_>, unit: Option<Unit>) -> Option<i128> {
    match cell {
        Cell::Str(text) => {
            let text = text.trim();
            if text.as_bytes().get(4).is_some_and(|&byte| byte == b'-' || byte == b'/') {
                return timestamp_ns(text);
            }
            let unit = match unit {
                Some(unit) => unit,
                None => Unit::of_epoch(text.parse().ok()?),
            };
            decimal_ns(text, unit)
        }
        Cell::Bytes(bytes) => epoch_ns(Cell::Str(std::str::from_utf8(bytes).ok()?), unit),
        _ => number_ns(cell, unit.or_else(|| number(cell).map(Unit::of_epoch))?),
    }
}

/// Nanoseconds of a duration in `unit`, or in the unit that its text names, as in `12.5ms`.
pub(super) fn duration_ns(cell: Cell<'_>, unit: Unit) -> Option<i128> {
    match cell {
        Cell::Str(text) => {
            let text = text.trim();
            let digits = text.trim_end_matches(|letter: char| letter.is_alphabetic());
            let unit = if digits.len() == text.len() { unit } else { Unit::parse(&text[digits.len()..])? };
            decimal_ns(digits.trim_end(), unit)
        }
        Cell::Bytes(bytes) => duration_ns(Cell::Str(std::str::from_utf8(bytes).ok()?), unit),
        _ => number_ns(cell, unit),
    }
}

/// The cell as a number, to judge its size by.
pub(super) fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Int(value) => Some(value as f64),
        Cell::UInt(value) => Some(value as f64),
        Cell::Double(value) => value.is_finite().then_some(value),
        Cell::Str(text) => text.trim().parse().ok().filter(|value: &f64| value.is_finite()),
        _ => None,
    }
}

fn number_ns(cell: Cell<'_>, unit: Unit) -> Option<i128> {
    match cell {
        Cell::Int(value) => Some(i128::from(value) * i128::from(unit.nanos())),
        Cell::UInt(value) => Some(i128::from(value) * i128::from(unit.nanos())),
        Cell::Double(value) => float_ns(value, unit),
        _ => None,
    }
}

/// Whole units and their fraction apart, so that the product loses nothing that the double still holds.
fn float_ns(value: f64, unit: Unit) -> Option<i128> {
    // Beyond this no unit fits 64-bit nanoseconds; the sink says so of the first value out of range.
    const LIMIT: f64 = 1e30;
    if !value.is_finite() || value.abs() > LIMIT {
        return None;
    }
    let nanos = unit.nanos();
    #[expect(clippy::cast_possible_truncation, reason = "both parts are finite and far below 2^127")]
    let (whole, fraction) = (value.trunc() as i128, (value.fract() * nanos as f64).round() as i128);
    whole.checked_mul(i128::from(nanos))?.checked_add(fraction)
}

/// A decimal number in `unit`, exactly; digits beyond nanoseconds are cut off.
fn decimal_ns(text: &str, unit: Unit) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || whole.len() + fraction.len() == 0 || whole.len() > 25 {
        // An exponent, perhaps; a spreadsheet has been at it and its digits are those of a double.
        return text.parse().ok().and_then(|value| float_ns(value, unit));
    }
    let mut value: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    value *= i128::from(unit.nanos());
    let mut place = i128::from(unit.nanos());
    for digit in fraction.bytes() {
        place /= 10;
        value += place * i128::from(digit - b'0');
    }
    Some(if negative { -value } else { value })
}

/// A date and time, RFC 3339 or as databases print it (`2024-01-02 03:04:05.123456789`), UTC where no zone is named.
fn timestamp_ns(text: &str) -> Option<i128> {
    let text = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT")).unwrap_or(text);
    // `jiff` reads `+00:00` and `+0000` but no blank before it, and no slashes.
    let mut owned = text.replace('/', "-");
    if let Some(blank) = owned.rfind(" +") {
        owned.remove(blank);
    }
    let nanoseconds = match owned.parse::<jiff::Timestamp>() {
        Ok(timestamp) => timestamp.as_nanosecond(),
        Err(_) => owned
            .parse::<jiff::civil::DateTime>()
            .ok()?
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()?
            .timestamp()
            .as_nanosecond(),
    };
    Some(nanoseconds)
}
