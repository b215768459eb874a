//! Numbers as the page shows them: three digits that count, thousands set apart, a true minus, never `NaN`.

use crate::analysis::Pair;
use crate::report::text;
use crate::time::{format_ms, format_rfc3339};
use maud::{Markup, html};

/// Milliseconds.
pub(super) fn ms(value: f64) -> String {
    if value.is_finite() { tidy(&format_ms(value)) } else { "–".to_owned() }
}

/// Milliseconds with a plus where they are more.
pub(super) fn signed_ms(value: f64) -> String {
    sign(&ms(value))
}

/// A share as percent.
pub(super) fn percent(ratio: f64) -> String {
    if ratio.is_finite() { tidy(&text::percent(ratio)) } else { "–".to_owned() }
}

/// A share as percent with the decimals of [`points`], so that what is added up shows to add up.
pub(super) fn percent_points(ratio: f64) -> String {
    if ratio.is_finite() { tidy(&format!("{:.2} %", ratio * 100.0)) } else { "–".to_owned() }
}

/// A number that is percent already, whole, with its sign.
pub(super) fn signed_percent(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = usize::from(value.abs() < 9.95);
    format!("{} %", sign(&tidy(&format!("{value:.digits$}"))))
}

/// A change of a share as percentage points.
pub(super) fn points(ratio: f64) -> String {
    if !ratio.is_finite() {
        return "–".to_owned();
    }
    sign(&tidy(&format!("{:.2}", ratio * 100.0)))
}

/// A number of requests or calls that weights may have made fractional.
pub(super) fn amount(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "–".to_owned(),
        size if size >= 10.0 || size.fract() == 0.0 => tidy(&format!("{value:.0}")),
        size if size >= 0.01 => tidy(&format!("{value:.2}")),
        _ => tidy(&format!("{value:.4}")),
    }
}

/// A round number of an axis, without zeros after its last digit.
pub(super) fn round(value: f64) -> String {
    if value >= 1.0 && value.fract() == 0.0 {
        return amount(value);
    }
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    tidy(text)
}

/// `lower to upper`, both with their sign.
pub(super) fn interval(bounds: [f64; 2], show: fn(f64) -> String) -> String {
    format!("{} to {}", show(bounds[0]), show(bounds[1]))
}

/// `before → after`, said in words to who cannot see the arrow.
pub(super) fn arrow(pair: Pair, show: fn(f64) -> String) -> Markup {
    arrow_of([Some(pair.baseline), Some(pair.regression)], show)
}

/// The same with a dash for what there is none of.
pub(super) fn arrow_of(values: [Option<f64>; 2], show: fn(f64) -> String) -> Markup {
    let [before, after] = values.map(|value| value.map_or_else(|| "–".to_owned(), show));
    html! {
        span.nowrap {
            span.before { (before) }
            span.to aria-hidden="true" { " → " } span.sr { " to " }
            (after)
        }
    }
}

/// A moment as RFC 3339 cut to milliseconds.
pub(super) fn moment(unix_ns: i64) -> String {
    let text = format_rfc3339(unix_ns);
    match text.split_once('.') {
        Some((seconds, fraction)) if fraction.len() > 4 => format!("{seconds}.{}Z", &fraction[..3]),
        _ => text,
    }
}

/// The same without its day, whole seconds.
pub(super) fn clock(unix_ns: i64) -> String {
    let text = format_rfc3339(unix_ns);
    let time = text.split_once('T').map_or(text.as_str(), |(_, time)| time);
    time.split(['.', 'Z']).next().unwrap_or(time).to_owned()
}

/// Its day.
pub(super) fn day(unix_ns: i64) -> String {
    let text = format_rfc3339(unix_ns);
    text.split_once('T').map_or(text.as_str(), |(day, _)| day).to_owned()
}

fn sign(text: &str) -> String {
    let is_zero = !text.chars().any(|c| ('1'..='9').contains(&c));
    if is_zero || text.starts_with('−') { text.to_owned() } else { format!("+{text}") }
}

/// Thousands set apart, `-` as a minus, and no minus before a zero.
fn tidy(number: &str) -> String {
    let (minus, digits) = number.strip_prefix('-').map_or(("", number), |rest| ("−", rest));
    let is_zero = !digits.chars().any(|c| ('1'..='9').contains(&c));
    let n_whole = digits.chars().take_while(char::is_ascii_digit).count();
    let mut tidy = if is_zero { String::new() } else { minus.to_owned() };
    for (index, c) in digits.chars().enumerate() {
        if index > 0 && index < n_whole && (n_whole - index).is_multiple_of(3) {
            tidy.push(',');
        }
        tidy.push(c);
    }
    tidy
}
