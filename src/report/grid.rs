//! Tables on a terminal: as wide as what they hold, up to the page's width; names give way first.
//!
//! A page that is too narrow for a table has its rows one below the other, each a name with its figures below it: the
//! same figures in any case.

use super::page::Page;
use super::text::{BOLD, DIM, bar, call, escape, fit, paint, width, wrap};
use anstyle::Style;

/// Blanks between two columns.
const GAP: usize = 2;
/// A name of fewer columns tells little: below that, rows are broken up.
const MIN_NAME: usize = 20;
/// The same of caller and callee together.
const MIN_CALL: usize = 36;
/// Columns of a name that are enough for most.
const TELLING: usize = 48;
/// The least columns of a table in which names are shortened.
const MIN_ROOM: usize = 56;
/// The least columns of prose in a table.
const MIN_PROSE: usize = 24;
/// The least columns of a bar that is worth drawing.
const MIN_BAR: usize = 6;

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// At the left; shortened in its middle where the page is too narrow.
    Name,
    /// At the left.
    Text,
    /// At the right.
    Number,
    /// A bar, its cells [`Cell::Bar`]; left out where the page is too narrow.
    Bar,
    /// Broken into lines; the last column.
    Prose,
}

/// What stands in a column of a row.
pub(super) enum Cell {
    Text(String),
    Painted(Style, String),
    /// Caller and callee.
    Call(String, String),
    /// A part of the whole, from 0 to 1.
    Bar(f64),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// What may be skipped.
    pub(super) fn dim(text: impl Into<String>) -> Self {
        Self::Painted(DIM, text.into())
    }

    fn whole(&self) -> String {
        match self {
            Self::Text(text) | Self::Painted(_, text) => escape(text).into_owned(),
            Self::Call(caller, callee) => format!("{} > {}", escape(caller), escape(callee)),
            Self::Bar(_) => String::new(),
        }
    }

    /// The text escaped, shortened if it is wider than `columns`.
    pub(super) fn fitted(&self, columns: usize) -> String {
        match self {
            Self::Call(caller, callee) if width(&self.whole()) > columns => call(caller, callee, columns),
            _ => fit(&self.whole(), columns).into_owned(),
        }
    }

    fn paint(&self, text: &str) -> String {
        match self {
            Self::Painted(style, _) if !text.trim().is_empty() => paint(*style, text),
            _ => text.to_owned(),
        }
    }
}

/// A table.
pub(super) struct Grid {
    columns: Vec<(String, Kind)>,
    rows: Vec<Row>,
    style: Style,
}

struct Row {
    cells: Vec<Cell>,
    /// What is said below the row.
    note: String,
}

impl Grid {
    /// A table with these heads, which may be empty.
    pub(super) fn new(columns: &[(&str, Kind)]) -> Self {
        let columns = columns.iter().map(|&(head, kind)| (head.to_owned(), kind)).collect();
        Self { columns, rows: Vec::new(), style: DIM }
    }

    /// The same with the head of the first column as the table's heading.
    pub(super) fn with_heading(self) -> Self {
        Self { style: BOLD, ..self }
    }

    /// Adds a row; cells that are missing are empty.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.noted_row(cells, "");
    }

    /// Adds a row with a note below it.
    pub(super) fn noted_row(&mut self, mut cells: Vec<Cell>, note: &str) {
        cells.resize_with(self.columns.len(), || Cell::text(""));
        self.rows.push(Row { cells, note: note.to_owned() });
    }

    /// Writes the table.
    pub(super) fn write(&self, page: &mut Page, indent: usize) {
        match self.widths(page.width().saturating_sub(indent)) {
            Some(widths) => self.write_lines(page, indent, &widths),
            None => self.write_stacked(page, indent),
        }
    }

    /// Columns of each column, 0 for a bar that is left out; `None` if the page is too narrow.
    fn widths(&self, room: usize) -> Option<Vec<usize>> {
        let natural: Vec<usize> = (0..self.columns.len()).map(|at| self.natural(at)).collect();
        let of = |wanted: Kind| (0..natural.len()).filter(move |&at| self.columns[at].1 == wanted);
        let gaps = GAP * self.columns.len().saturating_sub(1);
        let fixed: usize = of(Kind::Text).chain(of(Kind::Number)).map(|at| natural[at]).sum();
        let prose: usize = of(Kind::Prose).map(|at| natural[at].min(MIN_PROSE)).sum();
        let names: Vec<usize> = of(Kind::Name).map(|at| natural[at]).collect();
        // On a narrow page there is room for whole names below each other.
        let shortest = if room < MIN_ROOM { usize::MAX } else { MIN_NAME };
        let sum = |least: &dyn Fn(usize) -> usize| of(Kind::Name).map(|at| natural[at].min(least(at))).sum::<usize>();
        let least = sum(&|at| if self.has_calls(at) { shortest.max(MIN_CALL) } else { shortest });
        let telling = sum(&|_| TELLING);
        let n_bars = of(Kind::Bar).count();
        for with_bars in [true, false] {
            let (bars, gaps) = if with_bars { (n_bars * MIN_BAR, gaps) } else { (0, gaps - GAP * n_bars) };
            // A bar says nothing that a figure does not say: names come first.
            let least = if with_bars && n_bars > 0 { least.max(telling) } else { least };
            let Some(left) = room.checked_sub(gaps + fixed + prose + bars).filter(|&left| left >= least) else {
                continue;
            };
            let shares = shares(&names, left);
            let spare = left - shares.iter().sum::<usize>();
            let mut shares = shares.into_iter();
            let bar = if with_bars { (MIN_BAR + spare).min((room / 8).max(MIN_BAR)) } else { 0 };
            let widths = self.columns.iter().zip(natural).map(|(&(_, kind), natural)| match kind {
                Kind::Text | Kind::Number => natural,
                Kind::Name => shares.next().unwrap_or(0),
                Kind::Bar => bar,
                Kind::Prose => natural.min(prose + spare),
            });
            return Some(widths.collect());
        }
        None
    }

    fn has_calls(&self, at: usize) -> bool {
        self.rows.iter().any(|row| matches!(row.cells[at], Cell::Call(..)))
    }

    fn natural(&self, at: usize) -> usize {
        let cells = self.rows.iter().map(|row| width(&row.cells[at].whole()));
        cells.max().unwrap_or(0).max(width(&self.columns[at].0))
    }

    fn write_lines(&self, page: &mut Page, indent: usize, widths: &[usize]) {
        if self.columns.iter().any(|(head, _)| !head.is_empty()) {
            let mut line = " ".repeat(indent);
            for (at, (head, kind)) in self.columns.iter().enumerate() {
                let blanks = " ".repeat(widths[at].saturating_sub(width(head)));
                let [before, after] = if *kind == Kind::Number { [blanks.as_str(), ""] } else { ["", &blanks] };
                let style = if at == 0 { self.style } else { DIM };
                let head = if head.is_empty() { String::new() } else { paint(style, &fit(head, widths[at])) };
                line.extend([before, &head, after]);
                line += &" ".repeat(GAP);
            }
            page.line(&line);
        }
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            let mut column = indent;
            for (at, (cell, (_, kind))) in row.cells.iter().zip(&self.columns).enumerate() {
                if widths[at] == 0 {
                    continue;
                }
                let text = match (cell, kind) {
                    (Cell::Bar(part), _) => bar(*part, widths[at]),
                    (_, Kind::Prose) => {
                        let lines = wrap(&cell.whole(), widths[at]);
                        page.line(&format!("{line}{}", cell.paint(lines.first().map_or("", String::as_str))));
                        for more in lines.iter().skip(1) {
                            page.line(&format!("{:column$}{}", "", cell.paint(more)));
                        }
                        line.clear();
                        break;
                    }
                    _ => cell.fitted(widths[at]),
                };
                let blanks = " ".repeat(widths[at].saturating_sub(width(&text)));
                let [before, after] = if *kind == Kind::Number { [blanks.as_str(), ""] } else { ["", &blanks] };
                line.extend([before, &cell.paint(&text), after]);
                line += &" ".repeat(GAP);
                column += widths[at] + GAP;
            }
            if !line.is_empty() {
                page.line(&line);
            }
            row.write_note(page, indent);
        }
    }

    /// The name of each row, and below it the rest with the heads before the figures.
    fn write_stacked(&self, page: &mut Page, indent: usize) {
        let title = self.columns.iter().position(|&(_, kind)| kind == Kind::Name).unwrap_or(0);
        if self.style == BOLD {
            page.painted(BOLD, indent, &self.columns[title].0);
        }
        for row in &self.rows {
            let room = page.width().saturating_sub(indent + 2);
            let name = row.cells[title].fitted(2 * room);
            // What a name is set in by says where it belongs.
            let indent = indent + (name.len() - name.trim_start_matches(' ').len()).min(room / 3);
            let room = page.width().saturating_sub(indent + 2);
            for (index, line) in wrap(&name, room).iter().enumerate() {
                let hanging = if index == 0 { indent } else { indent + 2 };
                page.line(&format!("{:hanging$}{}", "", row.cells[title].paint(line)));
            }
            let mut pieces: Vec<String> = Vec::new();
            for (at, (cell, (head, kind))) in row.cells.iter().zip(&self.columns).enumerate() {
                if at == title || cell.whole().is_empty() {
                    continue;
                }
                let text = if *kind == Kind::Prose { cell.whole() } else { cell.fitted(2 * room) };
                let head = if head.is_empty() { String::new() } else { format!("{head} ") };
                pieces.push(format!("{head}{text}"));
            }
            let n_pieces = pieces.len();
            for piece in pieces.iter_mut().take(n_pieces.saturating_sub(1)) {
                piece.push(',');
            }
            if n_pieces > 0 {
                page.hanging(&" ".repeat(indent + 4), indent + 4, &pieces);
            }
            row.write_note(page, indent);
        }
    }
}

impl Row {
    fn write_note(&self, page: &mut Page, indent: usize) {
        if !self.note.is_empty() {
            page.painted(DIM, indent + 4, &self.note);
        }
    }
}

/// Columns for names that want these many: all they want, else as much as those that want more, `room` in all.
fn shares(wanted: &[usize], room: usize) -> Vec<usize> {
    let mut shares = vec![0; wanted.len()];
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&at| wanted[at]);
    let mut left = room;
    for (place, &at) in order.iter().enumerate() {
        shares[at] = wanted[at].min(left / (wanted.len() - place));
        left -= shares[at];
    }
    shares
}
