//! Tables of spans: which columns are found, what their values mean, and what happens to bad input.

mod csv;
mod dialects;
mod faults;
mod json_rows;
mod parquet;
mod tempo;

use std::path::PathBuf;
use suspect::diagnostics::SourceReport;
use suspect::ingest::{self, ColumnChoice, Ingested, Options};
use suspect::span::{AttributeScope, AttributeSelection, SpanFrame, SpanId, SpanKind, SpanStatus};
use tempfile::TempDir;

/// A file in a folder of its own, which goes when it is dropped.
struct File {
    path: PathBuf,
    _folder: TempDir,
}

impl File {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("writes");
        Self { path, _folder: folder }
    }

    fn read(&self) -> Ingested {
        self.read_with(&[])
    }

    fn read_with(&self, columns: &[&str]) -> Ingested {
        let columns = columns.iter().map(|choice| choice_of(choice)).collect();
        let options = Options { attributes: AttributeSelection::All, columns };
        ingest::read(std::slice::from_ref(&self.path), &options, &|_, _| ()).expect("reads")
    }
}

fn choice_of(text: &str) -> ColumnChoice {
    let (field, column) = text.split_once('=').expect("field=column");
    let (column, unit) = match column.rsplit_once(':') {
        Some((column, unit)) => (column, Some(unit.to_owned())),
        None => (column, None),
    };
    ColumnChoice { field: field.to_owned(), column: column.to_owned(), unit }
}

/// Reads `content` as a file called `name`; it must hold spans and no broken record.
fn spans_of(name: &str, content: impl AsRef<[u8]>) -> Ingested {
    let read = File::new(name, content).read();
    let report = &read.sources[0];
    assert_eq!((&report.error, report.n_skipped_records), (&None, 0), "{:?}", report.skipped_records);
    read
}

/// The report of a file that gives no spans.
fn refusal(name: &str, content: impl AsRef<[u8]>) -> String {
    let read = File::new(name, content).read();
    assert_eq!(read.frame.spans.len(), 0);
    read.sources[0].error.clone().expect("an error")
}

/// Spans in words: `trace/span<parent service operation KIND STATUS start+duration`.
fn lines(frame: &SpanFrame) -> Vec<String> {
    let spans = &frame.spans;
    let id = |id| SpanId::new(id).map_or_else(|| "-".to_owned(), |id| frame.span_ids.text(id));
    (0..spans.len())
        .map(|row| {
            format!(
                "{}/{}<{} {} {} {} {} {}+{}",
                frame.traces.text(spans.trace[row]).trim_start_matches('0'),
                id(spans.span_id[row]).trim_start_matches('0'),
                id(spans.parent_span_id[row]).trim_start_matches('0'),
                frame.names.get(spans.service[row]),
                frame.names.get(spans.operation[row]),
                SpanKind::from_code(spans.kind[row].into()).as_str(),
                SpanStatus::from_code(spans.status[row].into()).as_str(),
                spans.start_unix_ns[row],
                spans.duration_ns[row],
            )
        })
        .collect()
}

/// The attributes of row `row` in words: `key=value`, resource attributes as `resource.key=value`, typed as Rust prints them.
fn attributes(frame: &SpanFrame, row: u32) -> Vec<String> {
    use suspect::span::AttributeValue::{Bool, Double, Int, Json, String};
    let mut out = Vec::new();
    for (key, column) in frame.attributes.sorted() {
        let Some((_, value)) = column.iter().find(|&(known, _)| known == row) else { continue };
        let scope = if key.scope == AttributeScope::Resource { "resource." } else { "" };
        let value = match value {
            String(code) => format!("{:?}", frame.attributes.values.get(code)),
            Json(code) => frame.attributes.values.get(code).to_owned(),
            Int(value) => value.to_string(),
            Double(value) => format!("{value:?}"),
            Bool(value) => value.to_string(),
        };
        out.push(format!("{scope}{}={value}", key.key));
    }
    out
}

fn notes(report: &SourceReport) -> String {
    report.notes.join("\n")
}
