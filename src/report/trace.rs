//! The terminal form of [`TraceDocument`].

use super::grid::{Cell, Grid, Kind};
use super::page::{Label, Page};
use super::text::{ALERT, BOLD, CAUTION, DIM, count, counted, escape, fit, left, paint, percent, right, width};
use crate::blame::BlameKind;
use crate::time::{format_ns, format_rfc3339};
use crate::trace::{RequestKind, Segment, TraceDocument, TraceSpan};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Spans shown before the rest is counted: a few screenfuls.
const MAX_SPANS: usize = 200;
/// Lines of blame before the rest is added up.
const MAX_BLAMED: usize = 15;
/// Most levels of the tree drawn by indentation; deeper ones are numbered.
const MAX_INDENT: u32 = 9;

const CAPTION: usize = 12;
const MARK: usize = 6;
const TIME: usize = 11;
/// Columns that are neither a name nor a drawing.
const FIXED: usize = MARK + 2 * TIME + 2;

/// The trace for a terminal of so many columns, styled with ANSI sequences: facts, the tree on one time scale, and who is
/// to blame.
#[must_use]
pub fn render(document: &TraceDocument, columns: usize) -> String {
    let mut page = Page::new(columns);
    facts(&mut page, document);
    tree(&mut page, document);
    blame(&mut page, document);
    page.into_text()
}

fn facts(page: &mut Page, document: &TraceDocument) {
    let mut row = |caption: &str, value: &str| page.labelled(0, &Label::new(BOLD, caption, CAPTION), value);
    row("trace", &document.trace_id);
    row("start", &format_rfc3339(document.start_unix_ns));
    row("duration", &format_ns(document.duration_ns));
    let mut services: Vec<&str> = document.spans.iter().map(|span| span.service.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    let n_services = counted(services.len() as u64, "service");
    row("spans", &format!("{} of {n_services}", count(document.n_spans)));
    let of = |kind| document.requests.iter().filter(|request| request.kind == kind).count() as u64;
    let [n_roots, n_fragments, n_detached] =
        [RequestKind::Request, RequestKind::Fragment, RequestKind::Detached].map(of);
    if document.requests.len() > 1 || n_roots == 0 {
        let pieces = format!("{}, {}", counted(n_roots, "root"), counted(n_fragments, "fragment"));
        row("pieces", &format!("{pieces} whose parent is missing, {} that nobody waits for", count(n_detached)));
    }
}

/// Columns of names and of the drawing.
#[derive(Clone, Copy)]
struct Layout {
    name: usize,
    drawing: usize,
    /// Levels of the tree drawn by indentation.
    levels: u32,
    /// On a narrow page times and drawing stand below the name.
    is_stacked: bool,
}

impl Layout {
    /// Names have what they need, and at most three fifths of the room.
    fn of(page: &Page, names: impl Iterator<Item = usize>) -> Self {
        if page.is_narrow() {
            let drawing = page.width() - 2 * TIME - 2;
            return Self { name: page.width() - MARK, drawing, levels: MAX_INDENT / 2, is_stacked: true };
        }
        let room = page.width() - FIXED;
        let name = names.max().unwrap_or(0).clamp(room / 4, room * 3 / 5);
        // Half of the least name is left for the name itself.
        let levels = u32::try_from(name / 4).map_or(MAX_INDENT, |levels| levels.min(MAX_INDENT));
        Self { name, drawing: room - name, levels, is_stacked: false }
    }
}

const HEAD: &str = "service: operation";

fn tree(page: &mut Page, document: &TraceDocument) {
    let shown = shown(&document.spans);
    let names = shown.iter().map(|&index| {
        let span = &document.spans[index];
        width(&indent(span, MAX_INDENT)) + width(&escape(&name(span)))
    });
    let layout = Layout::of(page, names.chain([HEAD.len()]));
    let scale = Scale::of(&document.spans, layout.drawing);
    let mut segments = BTreeMap::<[&str; 3], Vec<&Segment>>::new();
    for &index in &shown {
        segments.insert(key(&document.spans[index]), Vec::new());
    }
    for segment in document.requests.iter().flat_map(|request| &request.segments) {
        if let Some(own) =
            segments.get_mut(&[&segment.span_id, &segment.service, &segment.operation].map(String::as_str))
        {
            own.push(segment);
        }
    }

    let times = format!("{}{}", right("duration", TIME), right("self", TIME));
    let length = right(&format_ns(scale.length_ns), layout.drawing - 1);
    page.blank();
    if layout.is_stacked {
        page.painted(BOLD, 0, HEAD);
        page.line(&format!("{}  {}", paint(BOLD, &times), paint(DIM, &format!("0{length}"))));
    } else {
        let heading = format!("{}{times}", left(HEAD, layout.name + MARK));
        page.line(&format!("{}  {}", paint(BOLD, &heading), paint(DIM, &format!("0{length}"))));
    }
    // How far the span last shown at each depth was moved: what is below it moves with it, and need not say so.
    let mut shifts: Vec<i64> = Vec::new();
    for &index in &shown {
        let span = &document.spans[index];
        shifts.truncate(span.depth as usize);
        let moved_with = shifts.last().copied().unwrap_or(0);
        shifts.resize(span.depth as usize + 1, span.clock_shift_ns);
        let own = segments.get(&key(span)).map_or(&[][..], Vec::as_slice);
        line(page, layout, span, &scale.draw(span, own));
        notes(page, layout, span, moved_with);
    }
    if let Some(n_more @ 1..) = document.spans.len().checked_sub(shown.len()) {
        page.prose(0, &format!("and {}; `--format json` has all", counted(n_more as u64, "more span")));
    }
}

fn key(span: &TraceSpan) -> [&str; 3] {
    [&span.span_id, &span.service, &span.operation].map(String::as_str)
}

/// Blanks for the first levels, the level's number for those below.
fn indent(span: &TraceSpan, levels: u32) -> String {
    let blanks = "  ".repeat(span.depth.min(levels) as usize);
    if span.depth > levels { format!("{blanks}…{} ", span.depth) } else { blanks }
}

fn name(span: &TraceSpan) -> String {
    format!("{}: {}", span.service, span.operation)
}

fn line(page: &mut Page, layout: Layout, span: &TraceSpan, drawing: &str) {
    let mark = if span.is_error { paint(ALERT.bold(), &left(" ERROR", MARK)) } else { left("", MARK) };
    let own = if span.self_ns == 0 { "-".to_owned() } else { format_ns(span.self_ns) };
    let times = format!("{}{}", right(&format_ns(span.duration_ns), TIME), right(&own, TIME));
    let indent = indent(span, layout.levels);
    let name = format!("{indent}{}", fit(&name(span), layout.name.saturating_sub(width(&indent))));
    if layout.is_stacked {
        page.line(&format!("{name}{mark}"));
        page.line(&format!("{times}  {drawing}"));
    } else {
        page.line(&format!("{}{mark}{times}  {drawing}", left(&name, layout.name)));
    }
}

/// What is unusual about a span, below it; `moved_with_ns` is how far it was moved because the span above it was.
fn notes(page: &mut Page, layout: Layout, span: &TraceSpan, moved_with_ns: i64) {
    let mut notes = Vec::new();
    if span.is_orphan {
        match &span.parent_span_id {
            Some(parent) => notes.push(format!("its parent {parent} is missing")),
            None => notes.push("its parent is missing".to_owned()),
        }
    }
    if span.is_detached {
        notes.push("nobody waits for it".to_owned());
    }
    if span.is_retry {
        notes.push("repeats a failed call".to_owned());
    }
    let moved_ns = span.clock_shift_ns.saturating_sub(moved_with_ns);
    if moved_ns != 0 {
        let direction = if moved_ns > 0 { "later" } else { "earlier" };
        let shift = format_ns(moved_ns.saturating_abs());
        notes.push(format!("moved {shift} {direction}, for its host's clock disagrees"));
    }
    if !notes.is_empty() {
        page.painted(CAUTION, width(&indent(span, layout.levels)) + 2, &notes.join("; "));
    }
}

/// Indices of the spans to show: all if they are few, else those with the most time of their own and what is above them.
///
/// Where too much is above a span to be shown with it, it is shown alone; its level's number tells.
fn shown(spans: &[TraceSpan]) -> Vec<usize> {
    if spans.len() <= MAX_SPANS {
        return (0..spans.len()).collect();
    }
    // In tree order the parent is the latest span before that is one level up.
    let mut parent = Vec::with_capacity(spans.len());
    let mut path: Vec<usize> = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        path.truncate(span.depth as usize);
        parent.push(path.last().copied());
        path.push(index);
    }
    let mut is_shown = vec![false; spans.len()];
    let mut room = MAX_SPANS;
    let mut by_self: Vec<usize> = (0..spans.len()).collect();
    by_self.sort_by_key(|&index| Reverse(spans[index].self_ns));
    for index in by_self {
        let mut missing: Vec<usize> = std::iter::successors(Some(index), |&index| parent[index])
            .take_while(|&index| !is_shown[index])
            .take(room + 1)
            .collect();
        if missing.len() > room {
            missing.truncate(room.min(1));
        }
        room -= missing.len();
        for index in missing {
            is_shown[index] = true;
        }
        if room == 0 {
            break;
        }
    }
    (0..spans.len()).filter(|&index| is_shown[index]).collect()
}

/// The time that all spans together cover.
struct Scale {
    start_ns: i64,
    length_ns: i64,
    /// Columns that it is drawn in.
    columns: usize,
}

impl Scale {
    fn of(spans: &[TraceSpan], columns: usize) -> Self {
        let start_ns = spans.iter().map(|span| span.start_unix_ns).min().unwrap_or(0);
        let ends = spans.iter().map(|span| span.start_unix_ns.saturating_add(span.duration_ns));
        Self { start_ns, length_ns: ends.max().unwrap_or(0).saturating_sub(start_ns), columns }
    }

    /// Columns that a stretch of time touches; at least one.
    fn columns(&self, start_ns: i64, end_ns: i64) -> std::ops::RangeInclusive<usize> {
        let length = i128::from(self.length_ns.max(1));
        let column = |moment: i128| {
            let column = (moment - i128::from(self.start_ns)) * self.columns as i128 / length;
            usize::try_from(column).unwrap_or(0).min(self.columns - 1)
        };
        let (start, end) = (i128::from(start_ns), i128::from(end_ns));
        column(start)..=column((end - 1).max(start))
    }

    /// Where the span lies, and in it what is blamed on it (`█`), on its call or on waiting to try again (`▒`).
    fn draw(&self, span: &TraceSpan, segments: &[&Segment]) -> String {
        let mut cells = vec![' '; self.columns];
        let end_ns = span.start_unix_ns.saturating_add(span.duration_ns);
        for column in self.columns(span.start_unix_ns, end_ns) {
            cells[column] = '─';
        }
        for segment in segments {
            let cell = if segment.kind == BlameKind::Own { '█' } else { '▒' };
            for column in self.columns(segment.start_unix_ns, segment.end_unix_ns) {
                cells[column] = cell;
            }
        }
        cells.iter().collect()
    }
}

/// The main request's segments added up by operation, the most first.
fn blame(page: &mut Page, document: &TraceDocument) {
    let mut sums = BTreeMap::<(&str, &str, BlameKind), i64>::new();
    for segment in &document.segments {
        let key = (segment.service.as_str(), segment.operation.as_str(), segment.kind);
        *sums.entry(key).or_default() += segment.end_unix_ns - segment.start_unix_ns;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|&(_, sum_ns)| Reverse(sum_ns));
    let share = |sum_ns: i64| sum_ns as f64 / document.duration_ns as f64;
    let mut grid = Grid::new(&[
        ("where the time went", Kind::Name),
        ("time", Kind::Number),
        ("share", Kind::Number),
        ("", Kind::Bar),
    ])
    .with_heading();
    let mut line = |name: String, sum_ns: i64, paint: fn(String) -> Cell| {
        let [time, share_of_all] = [format_ns(sum_ns), percent(share(sum_ns))];
        grid.row(vec![paint(name), paint(time), paint(share_of_all), Cell::Bar(share(sum_ns))]);
    };
    for &((service, operation, kind), sum_ns) in sums.iter().take(MAX_BLAMED) {
        let what = match kind {
            BlameKind::Own => "",
            BlameKind::Gap => " (on the way)",
            BlameKind::Peer => " (the callee left no span)",
            BlameKind::Backoff => " (before trying again)",
        };
        line(format!("{service}: {operation}{what}"), sum_ns, Cell::Text);
    }
    if let Some(n_more @ 1..) = sums.len().checked_sub(MAX_BLAMED) {
        let rest_ns = sums[MAX_BLAMED..].iter().map(|&(_, sum_ns)| sum_ns).sum();
        line(format!("and {} more", count(n_more as u64)), rest_ns, Cell::Text);
    }
    line("all".to_owned(), document.duration_ns, Cell::dim);
    page.blank();
    grid.write(page, 0);
}
