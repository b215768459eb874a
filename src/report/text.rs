//! Text that is safe and lines up: escaping, widths, numbers, bars and sparklines.
//!
//! Names and paths come from data that anyone may have written. A terminal would obey the control characters in them,
//! so every name passes through [`escape`] or [`fit`] on its way out. What is too wide for its place is shortened in its
//! middle, in tables, or goes on in the next line, in prose.

use super::MIN_WIDTH;
use crate::time::format_ms;
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

/// Columns that `text` takes on a terminal without the styles of [`paint`] in it.
#[must_use]
pub fn shown_width(text: &str) -> usize {
    if text.contains('\u{1b}') { width(&anstream::adapter::strip_str(text).to_string()) } else { width(text) }
}

/// `text` escaped and, if it is wider than `columns`, shortened in its middle with `…`: names that begin alike differ at
/// their ends.
#[must_use]
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    let text = escape(text);
    if width(&text) <= columns {
        return text;
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let start = start_of(&text, room - room / 2);
    Cow::Owned(format!("{start}…{}", end_of(&text, room / 2)))
}

/// The longest start of a text without control characters that takes at most `columns`.
fn start_of(text: &str, columns: usize) -> &str {
    let (mut end, mut used) = (0, 0);
    for (index, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        end = index + c.len_utf8();
    }
    // The parts of a cluster may together be wider than one by one.
    while width(&text[..end]) > columns {
        end = text[..end].char_indices().next_back().map_or(0, |(index, _)| index);
    }
    &text[..end]
}

/// The longest end of a text without control characters that takes at most `columns` and does not begin within a cluster.
fn end_of(text: &str, columns: usize) -> &str {
    let (mut start, mut used) = (text.len(), 0);
    for (index, c) in text.char_indices().rev() {
        let own = c.width().unwrap_or(0);
        used += own;
        if used > columns {
            break;
        }
        if own > 0 {
            start = index;
        }
    }
    while width(&text[start..]) > columns {
        start += text[start..].chars().next().map_or(1, char::len_utf8);
    }
    &text[start..]
}

/// `caller > callee` escaped; where both do not fit, each is shortened in its middle.
#[must_use]
pub fn call(caller: &str, callee: &str, columns: usize) -> String {
    const ARROW: &str = " > ";
    let (caller, callee) = (escape(caller), escape(callee));
    let room = columns.saturating_sub(width(ARROW));
    let of_caller = room.saturating_sub(width(&callee)).max(room / 2).min(width(&caller));
    format!("{}{ARROW}{}", fit(&caller, of_caller), fit(&callee, room - of_caller.min(room)))
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

/// Words of prose are shortened in their middle beyond this: a few lines, and both ends of what no person reads in full.
const MAX_WORD: usize = 200;

/// Breaks `text`, which is escaped, at blanks into lines of at most `columns`.
///
/// A number stays with its unit. A word that is wider than a line is broken where the line ends.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    fill(&words(text), columns, columns)
}

/// Text with lines that may be painted in parts, each in lines of at most `columns`; what goes on is set in by two more.
#[must_use]
pub fn lines_within(text: &str, columns: usize) -> String {
    const HANGING: usize = 2;
    let columns = columns.max(MIN_WIDTH);
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let indent = (line.len() - line.trim_start_matches(' ').len()).min(columns / 2);
        let pieces: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect();
        if shown_width(line) <= columns {
            out += line;
        } else {
            let (first, rest) = (columns - indent, columns - indent - HANGING);
            let lines = fill(&pieces, first, rest);
            let separator = format!("\n{:1$}", "", indent + HANGING);
            out.extend([" ".repeat(indent), lines.join(&separator)]);
        }
        out.push('\n');
    }
    out
}

/// What a line may be broken between: words, numbers with their units.
pub(super) fn words(text: &str) -> Vec<String> {
    let text = escape(text);
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let is_unit = ["ms", "s", "%"].contains(&word.trim_end_matches([',', ';', ':', '.', ')']));
        match words.last_mut() {
            Some(last) if is_unit && last.ends_with(|c: char| c.is_ascii_digit()) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(fit(word, MAX_WORD).into_owned()),
        }
    }
    words
}

/// Puts `pieces` on lines with a blank between two on one line: `first` columns on the first, `rest` on the others.
///
/// Pieces may be painted as a whole. One that is wider than a line is broken, at blanks if it has some. The first line is
/// empty if the first piece fits the others only. There is always a line.
pub(super) fn fill(pieces: &[String], first: usize, rest: usize) -> Vec<String> {
    let rest = rest.max(2);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let needed = shown_width(piece);
        let mut line = lines.pop().unwrap_or_default();
        let is_first = line.is_empty();
        let room = if lines.is_empty() { first } else { rest };
        let joined = if is_first { needed } else { used + 1 + needed };
        if joined <= room {
            if !is_first {
                line.push(' ');
            }
            line.push_str(piece);
            lines.push(line);
            used = joined;
            continue;
        }
        // Blanks that set a piece off from the one before it are for one line only.
        let piece = piece.trim_start_matches(' ');
        let mut parts = if needed <= rest { vec![piece.to_owned()] } else { broken(piece, rest) };
        if !is_first || room < rest {
            lines.push(line);
        }
        used = parts.last().map_or(0, |part| shown_width(part));
        lines.append(&mut parts);
    }
    lines
}

/// A piece that is wider than `columns`, painted as it was, in lines.
fn broken(piece: &str, columns: usize) -> Vec<String> {
    let plain = anstream::adapter::strip_str(piece).to_string();
    let (before, after) = piece.split_once(&plain).unwrap_or_default();
    let mut lines = Vec::new();
    if plain.contains(' ') {
        let mut words = words(&plain);
        if words.len() == 1 {
            // A number that is too long to stay with its unit.
            words = plain.split(' ').map(ToOwned::to_owned).collect();
        }
        lines = fill(&words, columns, columns);
    } else {
        let mut left = plain.as_str();
        while !left.is_empty() {
            let part = start_of(left, columns);
            let n_bytes = match part.len() {
                // No character is wider than two columns, the least there is; were there one, it would stand alone.
                0 => left.chars().next().map_or(1, char::len_utf8),
                n_bytes if n_bytes < left.len() => at_a_joint(part).unwrap_or(n_bytes),
                n_bytes => n_bytes,
            };
            lines.push(left[..n_bytes].to_owned());
            left = &left[n_bytes..];
        }
    }
    lines.into_iter().map(|line| format!("{before}{line}{after}")).collect()
}

/// Bytes up to the last place in the second half where a name, a path or an address has a joint.
fn at_a_joint(part: &str) -> Option<usize> {
    let end = part.rfind(['/', '.', '_', '-', ':', ',', ';', '&', '=', '?'])? + 1;
    (end > part.len() / 2).then_some(end)
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

/// A number of requests, which weights may have made fractional, as a [`count`]; not a number is `-`.
#[must_use]
pub fn count_of(number: f64) -> String {
    let text = format!("{:.0}", number + 0.0);
    text.parse().map_or_else(|_| if number.is_finite() { text } else { "-".to_owned() }, count)
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

/// What a trace spends on a suspect, beside how long it takes: what runs beside the request, behind it or in other fragments of the trace comes on top.
pub(super) fn of_it(suspect_ms: f64, duration_ms: f64) -> String {
    let part = if suspect_ms > duration_ms { "ms here in all its fragments" } else { "of it here" };
    format!("{} {part}", format_ms(suspect_ms))
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

/// What rounding leaves of a sum, in milliseconds: `2.1e-14 ms`, or `nothing`.
#[must_use]
pub fn residual(value_ms: f64) -> String {
    // Below a picosecond it is rounding.
    if value_ms.abs() < 1e-9 { "nothing".to_owned() } else { format!("{:.1e} ms", value_ms.abs()) }
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

/// Columns of a drawing of `n_values` where there is so much room: one for each, fewer in less room, and more, up to two for
/// each, where there is enough room that no value seems to last longer than its neighbours.
pub(super) fn drawn_in(room: usize, n_values: usize) -> usize {
    if room >= n_values + n_values / 2 { room.min(2 * n_values) } else { room.min(n_values) }
}

/// `values` for a drawing of `columns`: the largest of those that share a column, or each in as many columns as there are
/// for it.
#[must_use]
pub fn stretch<T: Copy + PartialOrd>(values: &[T], columns: usize) -> Vec<T> {
    let n_values = values.len();
    let place = |column: usize| column * n_values / columns.max(1);
    let larger = |left: T, right: T| if right > left { right } else { left };
    (0..if n_values == 0 { 0 } else { columns })
        .filter_map(|column| {
            values[place(column)..place(column + 1).max(place(column) + 1)].iter().copied().reduce(larger)
        })
        .collect()
}

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
