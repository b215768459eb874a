//! Names from data as Markdown text: shown as they are, whatever they are.
//!
//! Beside Markdown's own syntax, GitHub and GitLab make links of what looks like one after rendering (`@name`, `#12`, `www.`), where a
//! backslash has no say: an invisible word joiner keeps those apart.

use crate::report::text::escape;

/// Characters of a name or sentence that are shown: ten lines of a page.
const MAX_CHARS: usize = 1_000;
/// Characters of a name that are shown as code.
const MAX_CODE_CHARS: usize = 200;
const JOINER: char = '\u{2060}';

/// Text that stays text: in a paragraph, a list item, a heading or a cell of a table, at its start or in its middle.
#[must_use]
pub fn plain(text: &str) -> String {
    let safe = shorten(&escape(text), MAX_CHARS);
    let mut out = String::with_capacity(safe.len() + 16);
    let mut before = None;
    let mut chars = safe.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '^' => {
                out.push('\\');
                out.push(c);
            }
            '@' | '#' | '!' if next.is_some_and(char::is_alphanumeric) => {
                out.push('\\');
                out.push(c);
                out.push(JOINER);
            }
            // URLs and addresses of hosts.
            ':' if next == Some('/') => out.extend([c, JOINER]),
            '.' if before.is_some_and(|c: char| c == 'w' || c == 'W') => out.extend([JOINER, c]),
            // What would begin a list, a heading, a rule.
            '#' | '-' | '+' | '=' if out.is_empty() => {
                out.push('\\');
                out.push(c);
            }
            '.' | ')' if out.chars().all(|c| c.is_ascii_digit()) => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        before = Some(c);
    }
    out
}

/// Text in a code span; in a table a bar in it needs [`code_in_table`].
#[must_use]
pub fn code(text: &str) -> String {
    let safe = shorten(&escape(text), MAX_CODE_CHARS);
    if safe.trim().is_empty() {
        return "` `".to_owned();
    }
    let longest = safe.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 || safe.starts_with(' ') || safe.ends_with(' ') { " " } else { "" };
    format!("{fence}{pad}{safe}{pad}{fence}")
}

/// The same in a cell of a table, where a bar ends a cell even in a code span.
#[must_use]
pub fn code_in_table(text: &str) -> String {
    code(text).replace('|', "\\|")
}

fn shorten(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
