//! The spans of a frame, sorted into several.

use super::{AttributeTable, AttributeValue, Dictionary, SpanColumns, SpanFrame, SpanId, TraceIds};

/// A row that goes nowhere.
const NOWHERE: u32 = u32::MAX;

/// Codes of one dictionary in another that grows as they are met.
#[derive(Debug, Default)]
struct Recoded {
    codes: Vec<u32>,
}

impl Recoded {
    fn code(&mut self, code: u32, make: impl FnOnce() -> u32) -> u32 {
        let index = code as usize;
        if self.codes.len() <= index {
            self.codes.resize(index + 1, NOWHERE);
        }
        if self.codes[index] == NOWHERE {
            self.codes[index] = make();
        }
        self.codes[index]
    }
}

impl SpanFrame {
    /// Frames of these rows, each in the order given; a row is in one of them at most, and so are the rows of a trace.
    ///
    /// Ids cannot be looked up in them.
    #[must_use]
    pub fn scatter(&self, rows: &[Vec<u32>]) -> Vec<Self> {
        // Frame and row there of each row.
        let mut place = vec![(NOWHERE, 0_u32); self.spans.len()];
        for (part, rows) in (0_u32..).zip(rows) {
            for (new, &row) in (0_u32..).zip(rows) {
                place[row as usize] = (part, new);
            }
        }
        let mut traces = Recoded::default();
        let mut parts: Vec<Self> = rows.iter().map(|rows| self.part(rows, &mut traces)).collect();
        self.attributes.scatter(&place, parts.iter_mut().map(|part| &mut part.attributes).collect());
        parts
    }

    fn part(&self, rows: &[u32], traces: &mut Recoded) -> Self {
        let own = &self.spans;
        let mut part = Self::default();
        let mut names = Recoded::default();
        let mut name = |code: u32, to: &mut Dictionary| names.code(code, || to.intern(self.names.get(code)));
        let SpanColumns {
            trace,
            span_id,
            parent_span_id,
            service,
            operation,
            kind,
            status,
            start_unix_ns,
            duration_ns,
        } = &mut part.spans;
        for &row in rows {
            let row = row as usize;
            trace.push(traces.code(own.trace[row], || part.traces.take_over(&self.traces, own.trace[row])));
            for id in [own.span_id[row], own.parent_span_id[row]] {
                part.span_ids.take_over(&self.span_ids, SpanId::new(id));
            }
            service.push(name(own.service[row], &mut part.names));
            operation.push(name(own.operation[row], &mut part.names));
        }
        let at = |row: &u32| *row as usize;
        span_id.extend(rows.iter().map(|row| own.span_id[at(row)]));
        parent_span_id.extend(rows.iter().map(|row| own.parent_span_id[at(row)]));
        kind.extend(rows.iter().map(|row| own.kind[at(row)]));
        status.extend(rows.iter().map(|row| own.status[at(row)]));
        start_unix_ns.extend(rows.iter().map(|row| own.start_unix_ns[at(row)]));
        duration_ns.extend(rows.iter().map(|row| own.duration_ns[at(row)]));
        part
    }
}

impl AttributeTable {
    fn scatter(&self, place: &[(u32, u32)], mut parts: Vec<&mut Self>) {
        let mut texts: Vec<Recoded> = parts.iter().map(|_| Recoded::default()).collect();
        let mut cells: Vec<Vec<(u32, AttributeValue)>> = vec![Vec::new(); parts.len()];
        for (key, column) in self.keys.iter().zip(&self.columns) {
            cells.iter_mut().for_each(Vec::clear);
            for (row, value) in column.iter() {
                if let Some(&(part, row)) = place.get(row as usize).filter(|&&(part, _)| part != NOWHERE) {
                    cells[part as usize].push((row, value));
                }
            }
            for ((part, texts), cells) in parts.iter_mut().zip(&mut texts).zip(&mut cells) {
                if cells.is_empty() {
                    continue;
                }
                if !cells.is_sorted_by_key(|&(row, _)| row) {
                    cells.sort_unstable_by_key(|&(row, _)| row);
                }
                let index = part.column_index(key.scope, &key.key) as usize;
                for &(row, value) in cells.iter() {
                    let values = &mut part.values;
                    let mut text = |code: u32| texts.code(code, || values.intern(self.values.get(code)));
                    let value = match value {
                        AttributeValue::String(code) => AttributeValue::String(text(code)),
                        AttributeValue::Json(code) => AttributeValue::Json(text(code)),
                        plain => plain,
                    };
                    part.columns[index].push(row, value);
                }
            }
        }
    }
}

impl TraceIds {
    /// Adds a trace of `other` that is not here yet, without the means to look it up; returns its index.
    pub fn take_over(&mut self, other: &Self, trace: u32) -> u32 {
        let own = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.keys.push(other.keys[trace as usize]);
        self.widths.push(other.widths[trace as usize]);
        if let Some(text) = other.texts.get(&trace) {
            self.texts.insert(own, text.clone());
        }
        own
    }
}

impl super::SpanIdTexts {
    fn take_over(&mut self, other: &Self, id: Option<SpanId>) {
        if !other.texts.is_empty()
            && let Some(id) = id
            && let Some(text) = other.texts.get(&id.get())
        {
            self.texts.entry(id.get()).or_insert_with(|| text.clone());
        }
    }
}
