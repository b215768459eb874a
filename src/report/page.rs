//! Text for a terminal of a given width, line by line: no line is wider, and what would be goes on in the next.

use super::MIN_WIDTH;
use super::text::{BOLD, CODE, DIM, escape, fill, left, lines_within, paint, shown_width, words, wrap};
use anstyle::Style;

/// Below this labels do not have a column of their own.
const NARROW: usize = 60;
/// Columns by which what goes on is set in where labels have no column of their own.
const HANGING: usize = 2;

/// Lines of a report.
pub(super) struct Page {
    width: usize,
    text: String,
}

impl Page {
    /// An empty page of so many columns, [`MIN_WIDTH`] if they are fewer.
    pub(super) fn new(columns: usize) -> Self {
        Self { width: columns.max(MIN_WIDTH), text: String::new() }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn is_narrow(&self) -> bool {
        self.width < NARROW
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// A line as it is, styles and all. If it is too wide after all, it is broken at blanks.
    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(&lines_within(&format!("{}\n", line.trim_end()), self.width));
    }

    pub(super) fn blank(&mut self) {
        self.line("");
    }

    /// A heading after an empty line.
    pub(super) fn heading(&mut self, heading: &str) {
        self.blank();
        self.painted(BOLD, 0, heading);
    }

    /// Prose in one style.
    pub(super) fn painted(&mut self, style: Style, indent: usize, text: &str) {
        for line in wrap(text, self.width - indent) {
            self.line(&format!("{}{}", " ".repeat(indent), paint(style, &line)));
        }
    }

    /// Prose.
    pub(super) fn prose(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.width - indent) {
            self.line(&format!("{}{line}", " ".repeat(indent)));
        }
    }

    /// Prose after a dash.
    pub(super) fn bullet(&mut self, text: &str) {
        self.hanging("  - ", 4, &words(text));
    }

    /// Prose beside a label of `columns`.
    pub(super) fn labelled(&mut self, indent: usize, label: &Label, text: &str) {
        self.pieces(indent, label, &words(text));
    }

    /// Pieces beside a label of `columns`, painted or not, but escaped: lines are broken between them where that is possible.
    pub(super) fn pieces(&mut self, indent: usize, label: &Label, pieces: &[String]) {
        let Label { style, text, columns } = label;
        let blanks = " ".repeat(indent);
        if !self.is_narrow() {
            let lead = format!("{blanks}{}", paint(*style, &left(text, *columns)));
            self.hanging(&lead, indent + columns, pieces);
        } else if text.is_empty() {
            self.hanging(&format!("{blanks}{:HANGING$}", ""), indent + HANGING, pieces);
        } else {
            let lead = format!("{blanks}{}: ", paint(*style, escape(text).trim()));
            self.hanging(&lead, indent + HANGING, pieces);
        }
    }

    /// Pieces of a command to type or to copy; where it takes more lines than one, they are joined as shells join them.
    pub(super) fn command(&mut self, indent: usize, pieces: &[String]) {
        let room = self.width - indent;
        let lines = fill(pieces, room.saturating_sub(2), room.saturating_sub(2));
        let n_lines = lines.len();
        for (index, line) in lines.iter().enumerate() {
            let go_on = if index + 1 < n_lines { " \\" } else { "" };
            self.line(&format!("{:indent$}{}{go_on}", "", paint(CODE, line)));
        }
    }

    /// Pieces after `lead`, and in the next lines below column `indent`.
    pub(super) fn hanging(&mut self, lead: &str, indent: usize, pieces: &[String]) {
        let first = self.width.saturating_sub(shown_width(lead));
        let lines = fill(pieces, first, self.width.saturating_sub(indent));
        for (index, line) in lines.iter().enumerate() {
            if index == 0 {
                self.line(&format!("{lead}{line}"));
            } else {
                self.line(&format!("{:indent$}{line}", ""));
            }
        }
    }
}

/// What stands to the left of prose.
pub(super) struct Label<'a> {
    style: Style,
    text: &'a str,
    /// Blanks included.
    columns: usize,
}

impl<'a> Label<'a> {
    pub(super) fn new(style: Style, text: &'a str, columns: usize) -> Self {
        Self { style, text, columns }
    }

    /// A label that may be skipped.
    pub(super) fn dim(text: &'a str, columns: usize) -> Self {
        Self::new(DIM, text, columns)
    }
}
