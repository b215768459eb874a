//! One reader's view of how rows become spans: row by row, or call by call.

use super::call_graph::CallGraph;
use super::cell::Cell;
use super::columnar::{self, Memos};
use super::dialect::Shape;
use super::roles::Mapping;
use super::rows::{Built, Rows};
use crate::diagnostics::Place;
use crate::ingest::Options;
use arrow_array::RecordBatch;

/// Builds spans from the rows of a table or of a part of it.
#[derive(Debug)]
pub(super) enum Builder<'m> {
    Rows(Rows<'m>),
    Calls(CallGraph<'m>),
}

impl<'m> Builder<'m> {
    pub(super) fn new(mapping: &'m Mapping, options: &'m Options) -> Self {
        match mapping.dialect.shape {
            Shape::Spans => Self::Rows(Rows::new(mapping, &options.attributes)),
            Shape::CallGraph => Self::Calls(CallGraph::new(mapping, &options.attributes)),
        }
    }

    /// Adds the row that `cell` gives by column; returns its span's row if it made one of its own.
    pub(super) fn push<'a>(&mut self, place: Place, cell: impl Fn(usize) -> Cell<'a>) -> Option<u32> {
        match self {
            Self::Rows(rows) => rows.push(place, cell),
            Self::Calls(calls) => {
                calls.push(place, cell);
                None
            }
        }
    }

    /// Adds the rows of a whole batch if they are of the plainest kind; false if they have to be pushed one by one.
    pub(super) fn push_batch(&mut self, batch: &RecordBatch, memos: &mut Memos) -> bool {
        match self {
            Self::Rows(rows) => columnar::push(rows, batch, memos),
            Self::Calls(_) => false,
        }
    }

    /// Gives span row `row` the value of a column that the mapping does not know.
    pub(super) fn late_column(&mut self, row: u32, name: &str, cell: Cell<'_>) {
        if let Self::Rows(rows) = self {
            rows.late_column(row, name, cell);
        }
    }

    /// Counts a row that could not be read.
    pub(super) fn skip(&mut self, place: Place, reason: impl Into<String>) {
        match self {
            Self::Rows(rows) => rows.skip(place, reason),
            Self::Calls(calls) => calls.skip(place, reason),
        }
    }

    /// Notes that the last row is cut off.
    pub(super) fn truncated(&mut self) {
        match self {
            Self::Rows(rows) => rows.truncated(),
            Self::Calls(calls) => calls.truncated(),
        }
    }

    pub(super) fn finish(self) -> Built {
        match self {
            Self::Rows(rows) => rows.finish(),
            Self::Calls(calls) => calls.finish(),
        }
    }
}

/// Whether the parts of a table can be read apart: both sides of a call may stand anywhere in a call graph.
pub(super) fn divisible(mapping: &Mapping) -> bool {
    mapping.dialect.shape == Shape::Spans
}
