//! The calls of a baseline whose spans are not kept, with the attributes that tell them apart.
//!
//! [`take`] makes rows of the spans of traces: a row is a call, or several of one caller that are alike in path, attributes, in whether
//! they are waited for and in all below them, as the calls of a loop are. Whatever is asked of calls is linear in their number and time, so
//! sums of them answer it. [`Kept::beside`] gives the rows a forest's numbers, so that [`super::drill`] walks them as it walks spans.
//!
//! Attributes are a column each, in which rows lie by path and then by trace: there neighbours are mostly alike, and a run of them is two
//! numbers.

mod take;

use super::calls::Calls;
use super::columns::{NO_CODE, Value};
use crate::compare::paths::{CostTable, FailureKind, NO_PATH, Path, Paths};
use crate::normalize::{Forest, Joined, Stretch};
use crate::span::{AttributeKey, MAX_DISTINCT};
use rayon::prelude::*;
use std::collections::BTreeSet;

pub use take::take;

/// Calls alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index in [`Kept::paths`].
    pub path: u32,
    /// Position of their caller in the trace, or [`NO_PARENT`](crate::normalize::NO_PARENT); detached work has one, too.
    pub parent: u32,
    /// Their number.
    pub n_calls: u32,
    /// Whether they are on the blamed path.
    pub is_visited: bool,
    /// Their own, before and waiting time in sum, nanoseconds.
    pub time_ns: [i64; 3],
}

/// An attribute of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Key.
    pub key: AttributeKey,
    /// Its values, ascending.
    pub values: Vec<Value>,
    /// Index of a value, or [`NO_CODE`], and of how many rows in the order of [`Kept::by_path`].
    pub runs: Vec<(u32, u32)>,
}

/// Calls of traces.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The only attributes that were looked at, if any are named, in order; else all that can tell calls apart.
    pub asked: Vec<String>,
    /// Call paths, those nobody waits for among them, in the order in which rows have them.
    pub paths: Paths,
    /// Rows of trace `t` are `rows[offsets[t]..offsets[t + 1]]`.
    pub offsets: Vec<usize>,
    /// Rows; callers before callees, and of a caller's calls the first comes first.
    pub rows: Vec<Row>,
    /// Failures that began with calls: row, kind, number; in order.
    pub failures: Vec<(u32, FailureKind, u32)>,
    /// Attributes in order of their keys.
    pub columns: Vec<Column>,
    /// Keys with too many values to go on with.
    pub many: BTreeSet<String>,
}

fn code(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Kept {
    /// Whether it is known which calls have an attribute with this key.
    #[must_use]
    pub fn knows(&self, key: &str) -> bool {
        if self.asked.is_empty() {
            crate::span::tells_calls_apart(key)
        } else {
            self.asked.iter().any(|asked| asked == key)
        }
    }

    /// Rows of trace `trace`.
    #[must_use]
    pub fn rows_of(&self, trace: usize) -> &[Row] {
        &self.rows[self.offsets[trace]..self.offsets[trace + 1]]
    }

    pub(super) fn column(&self, key: &AttributeKey) -> Option<&Column> {
        let place = self.columns.binary_search_by(|column| column.key.cmp(key)).ok()?;
        self.columns.get(place)
    }

    /// The rows by path, then trace: the order of columns.
    #[must_use]
    pub fn by_path(&self) -> Vec<u32> {
        let mut next = vec![0_usize; self.paths.len() + 1];
        for row in &self.rows {
            next[row.path as usize + 1] += 1;
        }
        for path in 0..self.paths.len() {
            next[path + 1] += next[path];
        }
        let mut order = vec![0; self.rows.len()];
        for (index, row) in (0_u32..).zip(&self.rows) {
            let place = &mut next[row.path as usize];
            order[*place] = index;
            *place += 1;
        }
        order
    }

    /// The same traces in another order, or some of them; with only the paths, attributes and values that they have.
    #[must_use]
    pub fn pick(&self, traces: &[u32]) -> Self {
        let mut picked =
            Self { asked: self.asked.clone(), offsets: vec![0], many: self.many.clone(), ..Self::default() };
        // Where each row goes.
        let mut place = vec![u32::MAX; self.rows.len()];
        let mut paths = vec![NO_PATH; self.paths.len()];
        for &trace in traces {
            let first = self.offsets[trace as usize];
            for (row, place) in self.rows_of(trace as usize).iter().zip(&mut place[first..]) {
                let path = self.paths.list[row.path as usize];
                // The caller's row came before, and has the path's parent.
                let parent = paths.get(path.parent as usize).copied().unwrap_or(NO_PATH);
                let path = picked.paths.intern(Path { parent, ..path });
                paths[row.path as usize] = path;
                *place = code(picked.rows.len());
                picked.rows.push(Row { path, ..*row });
            }
            picked.offsets.push(picked.rows.len());
        }
        let failures = self.failures.iter().map(|&(row, kind, n_calls)| (place[row as usize], kind, n_calls));
        picked.failures = failures.filter(|&(row, ..)| row != u32::MAX).collect();
        picked.failures.sort_unstable();
        let (before, after) = (self.by_path(), picked.by_path());
        let column = |column: &Column| {
            let mut codes = vec![NO_CODE; picked.rows.len()];
            column.each_code(&before, |row, code| {
                if let Some(slot) = codes.get_mut(place[row as usize] as usize) {
                    *slot = code;
                }
            });
            Column::new(column.key.clone(), &column.values, codes, &after)
        };
        picked.columns = self.columns.par_iter().filter_map(column).collect();
        picked
    }

    /// Other numbers for operations, each another.
    pub fn renumber(&mut self, operations: &[u32]) {
        let mut paths = Paths::default();
        for path in &self.paths.list {
            paths.intern(Path { operation: operations[path.operation as usize], ..*path });
        }
        self.paths = paths;
    }

    /// Adds the traces of other data, with the same numbers for operations.
    pub fn absorb(&mut self, other: &Self) {
        let orders = [self.by_path(), other.by_path()];
        let first = self.rows.len();
        let mut paths: Vec<u32> = Vec::with_capacity(other.paths.len());
        for path in &other.paths.list {
            let parent = paths.get(path.parent as usize).copied().unwrap_or(NO_PATH);
            paths.push(self.paths.intern(Path { parent, ..*path }));
        }
        let rows = other.rows.iter().map(|row| Row { path: paths[row.path as usize], ..*row });
        let before = std::mem::take(&mut self.columns);
        self.rows.extend(rows);
        self.offsets.extend(other.offsets.iter().skip(1).map(|offset| first + offset));
        self.failures.extend(other.failures.iter().map(|&(row, kind, n_calls)| (code(first) + row, kind, n_calls)));
        self.many.extend(other.many.iter().cloned());
        let mut keys: Vec<&AttributeKey> = before.iter().chain(&other.columns).map(|column| &column.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| !self.many.contains(&key.key));
        let after = self.by_path();
        let column = |key: &&AttributeKey| {
            let mut codes = vec![NO_CODE; self.rows.len()];
            let mut values: Vec<Value> = Vec::new();
            let find = |columns: &'_ [Column]| columns.binary_search_by(|column| column.key.cmp(key)).ok();
            for (columns, order, first) in [(&before, &orders[0], 0), (&other.columns, &orders[1], first)] {
                let Some(column) = find(columns).map(|place| &columns[place]) else { continue };
                let first_value = code(values.len());
                values.extend(column.values.iter().cloned());
                column.each_code(order, |row, code| codes[first + row as usize] = first_value + code);
            }
            Column::new((*key).clone(), &values, codes, &after)
        };
        let columns: Vec<Column> = keys.par_iter().filter_map(column).collect();
        let are_numbers = |values: &[Value]| values.iter().all(|value| value.number().is_some());
        let is_many = |column: &Column| are_many(column.values.len(), are_numbers(&column.values));
        self.many.extend(columns.iter().filter(|column| is_many(column)).map(|column| column.key.key.clone()));
        self.columns = columns;
        self.columns.retain(|column| !self.many.contains(&column.key.key));
    }

    /// The rows in the numbers of a forest that their traces were joined to.
    #[must_use]
    pub fn beside(mut self, forest: &Forest, joined: &Joined) -> Beside {
        self.renumber(&joined.operations);
        let rows = self.rows.iter().map(|row| {
            let path = self.paths.list[row.path as usize];
            (row.parent, path.parent == NO_PATH, path.operation)
        });
        let calls = forest.of_calls(self.offsets.clone(), rows);
        let mut places = vec![u32::MAX; forest.n_traces()];
        for (place, &trace) in (0_u32..).zip(&joined.traces) {
            places[trace as usize] = place;
        }
        let start_ns = joined.traces.iter().map(|&trace| forest.root_start_ns[trace as usize]).collect();
        Beside { order: self.by_path(), kept: self, calls, places, start_ns }
    }

    /// Whether the calls at `position` of a trace are in the costs of their path: those of callers that nobody waits for are not.
    #[must_use]
    pub fn is_called(&self, trace: usize, position: usize) -> bool {
        let rows = self.rows_of(trace);
        let is_top = self.paths.list[rows[position].path as usize].parent == NO_PATH;
        is_top || rows.get(rows[position].parent as usize).is_some_and(|parent| parent.is_visited)
    }
}

/// Whether so many values are too many to be categories; numbers make ranges.
fn are_many(n_values: usize, are_numbers: bool) -> bool {
    !are_numbers && n_values > MAX_DISTINCT as usize
}

impl Column {
    /// The column of rows with `codes`, indices in `values`, in which values may be there twice; none if no row has any.
    fn new(key: AttributeKey, values: &[Value], mut codes: Vec<u32>, order: &[u32]) -> Option<Self> {
        let mut is_used = vec![false; values.len()];
        for &code in codes.iter().filter(|&&code| code != NO_CODE) {
            is_used[code as usize] = true;
        }
        let mut used: Vec<u32> = (0..code(values.len())).filter(|&value| is_used[value as usize]).collect();
        used.sort_unstable_by_key(|&value| &values[value as usize]);
        let mut renamed = vec![NO_CODE; values.len()];
        let mut sorted: Vec<Value> = Vec::new();
        for old in used {
            let value = &values[old as usize];
            if sorted.last() != Some(value) {
                sorted.push(value.clone());
            }
            renamed[old as usize] = code(sorted.len() - 1);
        }
        for code in codes.iter_mut().filter(|code| **code != NO_CODE) {
            *code = renamed[*code as usize];
        }
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for &row in order {
            let code = codes[row as usize];
            match runs.last_mut() {
                Some((known, n_rows)) if *known == code => *n_rows += 1,
                _ => runs.push((code, 1)),
            }
        }
        (!sorted.is_empty()).then_some(Self { key, values: sorted, runs })
    }

    /// Calls `see` with each row that has the attribute, and its value's index; `order` is that of [`Kept::by_path`].
    pub(super) fn each_code(&self, order: &[u32], mut see: impl FnMut(u32, u32)) {
        let mut rest = order;
        for &(code, n_rows) in &self.runs {
            let (own, after) = rest.split_at(rest.len().min(n_rows as usize));
            rest = after;
            for &row in own.iter().filter(|_| code != NO_CODE) {
                see(row, code);
            }
        }
    }
}

/// Rows beside a forest.
#[derive(Debug)]
pub struct Beside {
    pub(super) kept: Kept,
    /// [`Kept::by_path`].
    pub(super) order: Vec<u32>,
    /// The rows as spans without times.
    calls: Forest,
    /// For each trace of the forest its place here, or [`u32::MAX`].
    places: Vec<u32>,
    /// Start of each trace, by place.
    start_ns: Vec<i64>,
}

impl Beside {
    /// For each path of the rows its number in a cost table of the forest, or [`NO_PATH`].
    pub(super) fn paths_in(&self, table: &CostTable) -> Vec<u32> {
        let mut paths: Vec<u32> = Vec::with_capacity(self.kept.paths.len());
        for path in &self.kept.paths.list {
            let parent = paths.get(path.parent as usize).copied().unwrap_or(NO_PATH);
            // Nothing is known below what the table does not know.
            let is_known = path.parent == NO_PATH || parent != NO_PATH;
            let found = table.paths.find(&Path { parent, ..*path }).filter(|_| is_known);
            paths.push(found.unwrap_or(NO_PATH));
        }
        paths
    }

    /// The rows as a stretch of the forest.
    pub(super) fn stretch(&self) -> Stretch<'_> {
        Stretch::of_calls(&self.calls, &self.places)
    }

    /// [`Kept::asked`].
    #[must_use]
    pub fn asked(&self) -> &[String] {
        &self.kept.asked
    }

    /// [`Kept::knows`].
    #[must_use]
    pub fn knows(&self, key: &str) -> bool {
        self.kept.knows(key)
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.kept.rows.len()
    }

    /// Number of calls.
    pub(super) fn n_calls(&self) -> usize {
        self.kept.rows.iter().map(|row| row.n_calls as usize).sum()
    }

    /// Calls `see` with the index of a value, how many calls have it, and the start of their trace.
    pub(super) fn each_value(&self, column: &Column, mut see: impl FnMut(u32, u32, i64)) {
        let mut trace_of = vec![0_u32; self.kept.rows.len()];
        for (trace, bounds) in (0_u32..).zip(self.kept.offsets.windows(2)) {
            trace_of[bounds[0]..bounds[1]].fill(trace);
        }
        column.each_code(&self.order, |row, code| {
            let start_ns = self.start_ns[trace_of[row as usize] as usize];
            see(code, self.kept.rows[row as usize].n_calls, start_ns);
        });
    }

    /// Reads the calls of the trace with number `local` here; `paths` are the numbers of the rows' paths.
    pub(super) fn load(&self, local: usize, paths: &[u32], calls: &mut Calls) {
        let spans = self.calls.spans_of(local);
        calls.clear(spans.start, spans.len());
        calls.walker.load(&self.calls, local);
        for (position, row) in self.kept.rows_of(local).iter().enumerate() {
            let path = self.kept.paths.list[row.path as usize];
            calls.path[position] = paths[row.path as usize];
            calls.top[position] = if path.parent == NO_PATH { code(position) } else { calls.top[row.parent as usize] };
            calls.count[position] = row.n_calls;
            calls.is_visited[position] = row.is_visited;
            calls.time_ns[position] = row.time_ns;
        }
        let begin = self.kept.failures.partition_point(|&(row, ..)| (row as usize) < spans.start);
        for &(row, kind, n_calls) in
            self.kept.failures[begin..].iter().take_while(|&&(row, ..)| (row as usize) < spans.end)
        {
            calls.n_failed[row as usize - spans.start][kind as usize] = n_calls;
        }
    }
}
