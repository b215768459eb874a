//! The columns of one row group as Arrow arrays.

use super::overflow;
use super::plan::{ColumnType, Plan, Source};
use crate::span::{AttributeColumn, AttributeValue, SpanFrame, SpanId, SpanKind, SpanStatus};
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use std::sync::Arc;

/// The spans of a row group.
#[derive(Debug)]
pub(super) struct Group<'f> {
    frame: &'f SpanFrame,
    plan: &'f Plan<'f>,
    /// Rows of the frame in file order.
    rows: &'f [u32],
    /// The same rows ascending, each with its place in the group.
    ascending: Vec<(u32, u32)>,
}

impl<'f> Group<'f> {
    pub(super) fn new(frame: &'f SpanFrame, plan: &'f Plan<'f>, rows: &'f [u32]) -> Self {
        let mut ascending: Vec<(u32, u32)> = rows.iter().copied().zip(0..).collect();
        ascending.sort_unstable();
        Self { frame, plan, rows, ascending }
    }

    /// The values of a column, in file order.
    pub(super) fn array(&self, source: &Source<'_>) -> ArrayRef {
        let (frame, spans) = (self.frame, &self.frame.spans);
        match *source {
            Source::TraceId => self.texts(|row, out| out.push_str(&frame.traces.text(spans.trace[row]))),
            Source::SpanId => self.texts(|row, out| {
                if let Some(id) = SpanId::new(spans.span_id[row]) {
                    frame.span_ids.write(id, out);
                }
            }),
            Source::ParentSpanId => {
                let mut builder = StringBuilder::with_capacity(self.rows.len(), self.rows.len() * 16);
                let mut text = String::new();
                for &row in self.rows {
                    match SpanId::new(spans.parent_span_id[row as usize]) {
                        None => builder.append_null(),
                        Some(id) => {
                            text.clear();
                            frame.span_ids.write(id, &mut text);
                            builder.append_value(&text);
                        }
                    }
                }
                Arc::new(builder.finish())
            }
            Source::Service => self.texts(|row, out| out.push_str(frame.names.get(spans.service[row]))),
            Source::Operation => self.texts(|row, out| out.push_str(frame.names.get(spans.operation[row]))),
            Source::Kind => self.texts(|row, out| out.push_str(SpanKind::from_code(spans.kind[row].into()).as_str())),
            Source::Status => {
                self.texts(|row, out| out.push_str(SpanStatus::from_code(spans.status[row].into()).as_str()))
            }
            Source::Start => self.integers(&spans.start_unix_ns),
            Source::Duration => self.integers(&spans.duration_ns),
            Source::Attribute(column, column_type) => self.attribute(column, column_type),
            Source::Json(scope) => overflow::array(self, scope, &self.plan.overflow),
        }
    }

    pub(super) fn frame(&self) -> &'f SpanFrame {
        self.frame
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Calls `visit` with the place in the group and the value of each span that has the attribute.
    ///
    /// Both sides ascend, so each lookup gallops on from the last: linear where the group's spans lie together in the
    /// frame, logarithmic in the gaps where they do not.
    pub(super) fn each(&self, column: &AttributeColumn, mut visit: impl FnMut(usize, AttributeValue)) {
        let mut at = 0;
        for &(row, place) in &self.ascending {
            let mut step = 1;
            while column.row(at + step).is_some_and(|next| next < row) {
                at += step;
                step *= 2;
            }
            at = column.position_from(at..(at + step + 1).min(column.len()), row);
            match (column.row(at), column.value(at)) {
                (Some(found), Some(value)) if found == row => visit(place as usize, value),
                (Some(_), _) => {}
                (None, _) => return,
            }
        }
    }

    fn texts(&self, write: impl Fn(usize, &mut String)) -> ArrayRef {
        let mut builder = StringBuilder::with_capacity(self.rows.len(), self.rows.len() * 16);
        let mut text = String::new();
        for &row in self.rows {
            text.clear();
            write(row as usize, &mut text);
            builder.append_value(&text);
        }
        Arc::new(builder.finish())
    }

    fn integers(&self, values: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(self.rows.iter().map(|&row| values[row as usize])))
    }

    fn attribute(&self, column: &AttributeColumn, column_type: ColumnType) -> ArrayRef {
        match column_type {
            ColumnType::String => {
                let texts = &self.frame.attributes.values;
                Arc::new(StringArray::from_iter(self.values(column, |value| match value {
                    AttributeValue::String(code) => Some(texts.get(code)),
                    _ => None,
                })))
            }
            ColumnType::Int => Arc::new(Int64Array::from_iter(self.values(column, |value| match value {
                AttributeValue::Int(value) => Some(value),
                _ => None,
            }))),
            ColumnType::Double => Arc::new(Float64Array::from_iter(self.values(column, |value| match value {
                AttributeValue::Double(value) => Some(value),
                _ => None,
            }))),
            ColumnType::Bool => Arc::new(BooleanArray::from_iter(self.values(column, |value| match value {
                AttributeValue::Bool(value) => Some(value),
                _ => None,
            }))),
        }
    }

    fn values<T: Clone>(&self, column: &AttributeColumn, read: impl Fn(AttributeValue) -> Option<T>) -> Vec<Option<T>> {
        let mut values = vec![None; self.rows.len()];
        self.each(column, |place, value| values[place] = read(value));
        values
    }
}
