//! Text that is safe and lines up: escaping, widths, numbers, bars and sparklines.
//!
//! Names and paths come from data that anyone may have written. A terminal would obey the control characters in them,
//! so every name passes through [`escape`] or [`fit`] on its way out.

use anstyle::{AnsiColor, Style};
use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Headings.
pub const BOLD: Style = Style::new().bold();
/// What may be skipped.
pub const DIM: Style = Style::new().dimmed();
/// What needs attention.
pub const ALERT: Style = AnsiColor::Red.on_default();
/// What may need attention.
pub const CAUTION: Style = AnsiColor::Yellow.on_default();
/// What to type.
pub const CODE: Style = AnsiColor::Cyan.on_default();

/// `text` in `style`, for terminals; the style's sequences take no width.
#[must_use]
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// `text` with every character that a terminal would obey or hide written as `\n`, `\u{1b}` and the like.
///
/// That is control characters (C0, DEL, C1), line and paragraph separators, bidirectional overrides and isolates,
/// zero-width and other format characters, and tags.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'                    // soft hyphen
            | '\u{61c}'                 // Arabic letter mark
            | '\u{180e}'                // Mongolian vowel separator
            | '\u{200b}'..='\u{200f}'   // zero-width characters, direction marks
            | '\u{2028}'..='\u{202e}'   // separators, bidirectional embeddings and overrides
            | '\u{2060}'..='\u{206f}'   // word joiner, invisible operators, isolates
            | '\u{feff}'                // byte order mark
            | '\u{fff9}'..='\u{fffb}'   // interlinear annotation
            | '\u{e0000}'..='\u{e007f}' // tags
        )
}

/// Columns that `text` takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` escaped and, if it is wider than `columns`, cut at its end with `…`.
#[must_use]
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    let text = escape(text);
    if width(&text) <= columns {
        return text;
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        cut.push(c);
    }
    // The parts of a cluster may together be wider than one by one.
    while width(&cut) > room {
        cut.pop();
    }
    cut.push('…');
    Cow::Owned(cut)
}

/// `caller > callee` escaped, both still told apart where they do not fit: the caller is cut at its end, the callee in front, since
/// qualified names differ in their last part.
#[must_use]
pub fn call(caller: &str, callee: &str, columns: usize) -> String {
    const ARROW: &str = " > ";
    let (caller, callee) = (escape(caller), escape(callee));
    let room = columns.saturating_sub(width(ARROW));
    let of_caller = room.saturating_sub(width(&callee)).max(room / 2).min(width(&caller));
    format!("{}{ARROW}{}", fit(&caller, of_caller), fit_end(&callee, room - of_caller.min(room)))
}

/// The end of a text without control characters, with `…` in front where it is wider than `columns`.
fn fit_end(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let mut start = text.len();
    for (index, _) in text.char_indices().rev() {
        if width(&text[index..]) > room {
            break;
        }
        start = index;
    }
    Cow::Owned(format!("…{}", &text[start..]))
}

/// [`fit`], then filled with blanks on the right.
#[must_use]
pub fn left(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let blanks = columns.saturating_sub(width(&text));
    format!("{text}{:blanks$}", "")
}

/// [`fit`], then filled with blanks on the left.
#[must_use]
pub fn right(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let blanks = columns.saturating_sub(width(&text));
    format!("{:blanks$}{text}", "")
}

/// Breaks `text` at blanks into lines of at most `columns`; a longer word stands on a line of its own.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let line = lines.last().map_or(0, |line| width(line));
        match lines.last_mut() {
            Some(last) if line > 0 && line + 1 + width(word) <= columns => {
                last.push(' ');
                last.push_str(word);
            }
            Some(last) if line == 0 => last.push_str(word),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A whole number with thousands set apart: `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The sum of counts; the largest number there is where they are more, which only a damaged document says.
pub fn total(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// A number of things: `1 span`, `1,234 spans`. Only for nouns that take an s.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A ratio as percent with what digits it needs: `0 %`, `0.03 %`, `1.2 %`, `37 %`, `100 %`; not a number is `-`.
#[must_use]
pub fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    match value.abs() {
        size if !size.is_finite() => "-".to_owned(),
        0.0 => "0 %".to_owned(),
        ..0.01 => format!("{}<0.01 %", if value < 0.0 { "-" } else { "" }),
        ..0.995 => format!("{value:.2} %"),
        ..9.95 => format!("{value:.1} %"),
        // Not all is never shown as all.
        99.5..100.0 => format!("{}>99 %", if value < 0.0 { "-" } else { "" }),
        _ => format!("{value:.0} %"),
    }
}

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A horizontal bar of `ratio` (0 to 1) of `columns`, in eighths of a column; anything above zero shows.
#[must_use]
pub fn bar(ratio: f64, columns: usize) -> String {
    let ratio = if ratio.is_finite() { ratio.clamp(0.0, 1.0) } else { 0.0 };
    let exact = ratio * columns as f64 * 8.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 8 * columns")]
    let eighths = if exact > 0.0 { exact.round().max(1.0) as usize } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One character a value, its height relative to the largest; zero is a blank dot so that gaps show.
#[must_use]
pub fn sparkline(values: &[u64]) -> String {
    let largest = values.iter().copied().max().unwrap_or(0).max(1);
    values
        .iter()
        .map(|&value| match value {
            0 => '·',
            // 1 to 8, rounded up.
            _ => {
                LEVELS[usize::try_from((u128::from(value) * 8).div_ceil(u128::from(largest))).unwrap_or(8).clamp(1, 8)
                    - 1]
            }
        })
        .collect()
}
