//! The canonical file: what is written is read back exactly, and nothing is overwritten or left half done.

use crate::program::run_in;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use suspect::canonical;
use suspect::ingest::{self, Options};
use suspect::span::{
    AttributeScope, AttributeSelection, AttributeValue, Span, SpanBatch, SpanFrame, SpanId, SpanKind, SpanStatus,
    schema,
};

/// An attribute value by its type and bits, so that NaN equals itself and 1 is not 1.0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    String(String),
    Int(i64),
    Double(u64),
    Bool(bool),
    Json(String),
}

type Attributes = BTreeMap<(bool, String), Value>;

/// A span with every code resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    start_unix_ns: i64,
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    names: [String; 2],
    kind: u8,
    status: u8,
    duration_ns: i64,
    attributes: Attributes,
}

fn frame(records: &[Record]) -> SpanFrame {
    let mut batch = SpanBatch::default();
    for record in records {
        let trace = batch.traces.intern(&record.trace_id).expect("a trace id");
        let span = Span {
            trace,
            span_id: batch.span_ids.intern(&record.span_id).expect("a span id"),
            parent_span_id: record.parent_span_id.as_ref().and_then(|id| batch.span_ids.intern(id)),
            service: batch.names.intern(&record.names[0]),
            operation: batch.names.intern(&record.names[1]),
            kind: SpanKind::from_code(record.kind.into()),
            status: SpanStatus::from_code(record.status.into()),
            start_unix_ns: record.start_unix_ns,
            duration_ns: record.duration_ns,
        };
        let row = batch.push(span);
        for ((resource, key), value) in &record.attributes {
            let scope = if *resource { AttributeScope::Resource } else { AttributeScope::Span };
            let value = match value {
                Value::String(text) => AttributeValue::String(batch.attributes.values.intern(text)),
                Value::Json(text) => AttributeValue::Json(batch.attributes.values.intern(text)),
                Value::Int(value) => AttributeValue::Int(*value),
                Value::Double(bits) => AttributeValue::Double(f64::from_bits(*bits)),
                Value::Bool(value) => AttributeValue::Bool(*value),
            };
            batch.attribute(row, scope, key, value);
        }
    }
    SpanFrame::from_batches([batch])
}

fn records(frame: &SpanFrame) -> Vec<Record> {
    let spans = &frame.spans;
    let id = |id| SpanId::new(id).map(|id| frame.span_ids.text(id));
    let mut records: Vec<Record> = (0..spans.len())
        .map(|row| Record {
            start_unix_ns: spans.start_unix_ns[row],
            trace_id: frame.traces.text(spans.trace[row]),
            span_id: id(spans.span_id[row]).unwrap_or_default(),
            parent_span_id: id(spans.parent_span_id[row]),
            names: [spans.service[row], spans.operation[row]].map(|code| frame.names.get(code).to_owned()),
            kind: spans.kind[row],
            status: spans.status[row],
            duration_ns: spans.duration_ns[row],
            attributes: Attributes::new(),
        })
        .collect();
    for (key, column) in frame.attributes.sorted() {
        for (row, value) in column.iter() {
            let value = match value {
                AttributeValue::String(code) => Value::String(frame.attributes.values.get(code).to_owned()),
                AttributeValue::Json(code) => Value::Json(frame.attributes.values.get(code).to_owned()),
                AttributeValue::Int(value) => Value::Int(value),
                AttributeValue::Double(value) => Value::Double(value.to_bits()),
                AttributeValue::Bool(value) => Value::Bool(value),
            };
            let scoped = (key.scope == AttributeScope::Resource, key.key.clone());
            records[row as usize].attributes.insert(scoped, value);
        }
    }
    records
}

fn read(path: &Path) -> SpanFrame {
    let options = Options { attributes: AttributeSelection::All, columns: Vec::new() };
    let read = ingest::read(&[path.to_path_buf()], &options, &|_, _| ()).expect("reads");
    assert_eq!(read.sources[0].error, None);
    assert_eq!(read.sources[0].n_skipped_records, 0);
    read.frame
}

fn round_trip(records: &[Record]) -> Vec<Record> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.parquet");
    let written = canonical::write(&frame(records), &path, false).expect("writes");
    assert_eq!(written.n_spans, records.len() as u64);
    assert_eq!(written.n_bytes, path.metadata().expect("a file").len());
    self::records(&read(&path))
}

fn record(span_id: &str, attributes: &[(bool, &str, Value)]) -> Record {
    Record {
        start_unix_ns: 1_700_000_000_123_456_789,
        trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        span_id: span_id.to_owned(),
        parent_span_id: None,
        names: ["cart".to_owned(), "GET /cart".to_owned()],
        kind: 2,
        status: 0,
        duration_ns: 1,
        attributes: attributes
            .iter()
            .map(|(resource, key, value)| ((*resource, (*key).to_owned()), value.clone()))
            .collect(),
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[test]
fn awkward_attributes_survive_the_canonical_file() {
    let json = |text: &str| Value::Json(text.to_owned());
    let attributes = [
        (false, "empty", text("")),
        (false, "", text("a key of no letters")),
        (true, "", Value::Int(1)),
        (false, "trace_id", text("a key that is a column's name")),
        (false, "TRACE_ID", text("and in capitals")),
        (false, "case", text("small")),
        (false, "Case", text("large")),
        (false, "resource.x", text("span attribute that looks like a resource's")),
        (true, "x", text("resource attribute")),
        (false, "attributes.x", Value::Bool(true)),
        (false, "attributes_json", Value::Int(3)),
        (true, "attributes.y", Value::Int(4)),
        (false, "line\nend \"quote\" \\ 'é' {}", text("odd key")),
        (false, "meta.annotation_type", text("span_event")),
        (false, "list", json("[1, 2.50, {\"a\" : null}]")),
        (false, "map", json("{\"b\":1,\"a\":[]}")),
        (false, "scalar json", json("null")),
        (false, "no json", json("{not json")),
        (false, "looks wrapped", json("{\"suspect.json\":\"[]\"}")),
        (true, "list", json("[]")),
        (false, "zero", Value::Double((-0.0_f64).to_bits())),
        (false, "nan", Value::Double(f64::NAN.to_bits())),
    ];
    let mixed = [(false, "mixed", Value::Int(7)), (false, "double or text", Value::Double(f64::INFINITY.to_bits()))];
    let records = [
        record("00000000000000a1", &attributes),
        record("00000000000000a2", &mixed),
        record("00000000000000a3", &[(false, "mixed", text("seven")), (false, "double or text", text("a"))]),
        record("00000000000000a4", &[(false, "mixed", text("7")), (false, "double or text", text("b"))]),
        record("00000000000000a5", &[(false, "mixed", Value::Double(0.1_f64.to_bits()))]),
        record("00000000000000a6", &[(false, "mixed", Value::Bool(false)), (false, "list", text("no list"))]),
    ];
    assert_eq!(round_trip(&records), records);
}

#[test]
fn ids_that_are_no_hex_survive_the_canonical_file() {
    let mut odd = record("span of mine", &[]);
    odd.trace_id = "a trace/1".to_owned();
    odd.parent_span_id = Some("root".to_owned());
    let mut short = record("00000000000000ff", &[]);
    short.trace_id = "000000000000abcd".to_owned();
    let records = [short, odd];
    assert_eq!(round_trip(&records), records);
}

#[test]
fn more_attributes_than_columns_all_survive() {
    let keys: Vec<String> = (0..1_200).map(|number| format!("key.{number:04}")).collect();
    let attributes: Vec<_> = keys.iter().map(|key| (false, key.as_str(), text("v"))).collect();
    let records = [record("00000000000000a1", &attributes), record("00000000000000a2", &attributes[..1_100])];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.parquet");
    let written = canonical::write(&frame(&records), &path, false).expect("writes");
    assert_eq!((written.n_attribute_columns, written.n_overflow_attributes), (1_000, 200));
    assert_eq!(self::records(&read(&path)), records);
}

#[test]
fn no_spans_make_a_file_that_reads_as_no_spans() {
    assert_eq!(round_trip(&[]), []);
}

#[test]
fn spans_are_sorted_by_start_then_trace_then_span() {
    let mut records: Vec<Record> = (1..=40_u32).map(|n| record(&format!("{:016x}", n * 7 % 41), &[])).collect();
    for (n, record) in (0_i64..).zip(&mut records) {
        record.start_unix_ns -= (n * 5) % 3;
        record.trace_id = format!("{:032x}", 1 + n * 11 % 5);
    }
    let read = round_trip(&records);
    records.sort();
    assert_eq!(read, records);
}

#[test]
fn rows_of_several_row_groups_keep_their_attributes() {
    let mut batch = SpanBatch::default();
    let n_spans = 150_000_u32;
    for n in 0..n_spans {
        let service = batch.names.intern("s");
        let trace = batch.traces.intern(&format!("{:032x}", n / 8 + 1)).expect("a trace id");
        let span = Span {
            trace,
            span_id: SpanId::new(u64::from(n) + 1).expect("not zero"),
            parent_span_id: None,
            service,
            operation: service,
            kind: SpanKind::Server,
            status: SpanStatus::Unset,
            // A permutation, so that rows of a group lie all over the frame.
            start_unix_ns: i64::from(n) * 7_919 % i64::from(n_spans),
            duration_ns: i64::from(n),
        };
        let row = batch.push(span);
        if n % 3 == 0 {
            batch.attribute(row, AttributeScope::Span, "n", AttributeValue::Int(i64::from(n)));
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.parquet");
    canonical::write(&SpanFrame::from_batches([batch]), &path, false).expect("writes");
    let frame = read(&path);
    assert_eq!(frame.spans.len(), n_spans as usize);
    assert!(frame.spans.start_unix_ns.is_sorted());
    let column = frame.attributes.get(AttributeScope::Span, "n").expect("an attribute");
    assert_eq!(column.len(), n_spans as usize / 3);
    for (row, value) in column.iter() {
        assert_eq!(value, AttributeValue::Int(frame.spans.duration_ns[row as usize]));
    }
}

#[test]
fn attributes_not_asked_for_are_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.parquet");
    let list = Value::Json("[1]".to_owned());
    let attributes = [(false, "a", text("1")), (true, "b", text("2")), (false, "c", list.clone()), (false, "d", list)];
    canonical::write(&frame(&[record("00000000000000a1", &attributes)]), &path, false).expect("writes");
    let keys = AttributeSelection::Keys(vec!["b".to_owned(), "c".to_owned()]);
    let options = Options { attributes: keys, columns: Vec::new() };
    let read = ingest::read(&[path], &options, &|_, _| ()).expect("reads");
    let keys: Vec<_> = read.frame.attributes.sorted().into_iter().map(|(key, _)| key.key.clone()).collect();
    assert_eq!(keys, ["b", "c"]);
}

#[test]
fn an_existing_file_is_overwritten_only_by_force() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.parquet");
    std::fs::write(&path, "precious").expect("writes");
    let spans = frame(&[record("00000000000000a1", &[])]);
    let error = canonical::write(&spans, &path, false).expect_err("the file exists");
    assert_eq!(error.hint().as_deref(), Some("`--force` overwrites it"));
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), "precious");
    canonical::write(&spans, &path, true).expect("writes");
    assert_eq!(read(&path).spans.len(), 1);
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("lists").collect();
    assert_eq!(names.len(), 1, "nothing but the file is left: {names:?}");
}

#[test]
fn a_name_of_another_format_is_refused_and_any_other_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    crate::outputs::write_spans(folder.path());
    let convert = |name: &str| run_in(folder.path(), &["convert", "spans.json", "--quiet", "-o", name]);
    for (name, right) in [
        ("x.csv", "x.parquet"),
        ("x.JSON", "x.parquet"),
        ("x.jsonl", "x.parquet"),
        ("x.csv.gz", "x.parquet"),
        ("x.parquet.zst", "x.parquet"),
        ("a.b.ndjson", "a.b.parquet"),
        ("x.arrow", "x.parquet"),
    ] {
        let run = convert(name);
        assert_eq!(run.status, Some(2), "{name}");
        let told = format!("`--output {name}` has the name of another format, and what is written is Parquet");
        assert!(run.stderr.contains(&told) && run.stderr.contains(&format!("such as `{right}`")), "{}", run.stderr);
        assert!(!folder.path().join(name).exists());
    }
    for name in ["x.parquet", "spans", "x.pq", ".csv", "csv"] {
        convert(name).complete();
    }
}

#[test]
fn a_folder_that_is_not_there_is_an_error_naming_the_file() {
    let spans = frame(&[record("00000000000000a1", &[])]);
    let error = canonical::write(&spans, Path::new("/no/such/folder/x.parquet"), false).expect_err("no folder");
    assert!(error.to_string().starts_with("cannot write `/no/such/folder/x.parquet`: "), "{error}");
}

#[test]
fn the_file_says_which_schema_it_has_and_how_it_is_sorted() {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.parquet");
    canonical::write(&frame(&[record("00000000000000a1", &[])]), &path, false).expect("writes");
    let reader = SerializedFileReader::new(std::fs::File::open(&path).expect("opens")).expect("Parquet");
    let metadata = reader.metadata();
    let pairs = metadata.file_metadata().key_value_metadata().expect("key-value metadata");
    let version = pairs.iter().find(|pair| pair.key == schema::VERSION_KEY).and_then(|pair| pair.value.as_deref());
    assert_eq!(version, Some(schema::VERSION));
    let names: Vec<_> = metadata.file_metadata().schema_descr().columns().iter().map(|c| c.name().to_owned()).collect();
    assert_eq!(names, schema::INTRINSIC);
    let sorted: Vec<_> =
        metadata.row_group(0).sorting_columns().expect("sorted").iter().map(|c| c.column_idx).collect();
    assert_eq!(sorted, [6, 0, 1]);
    assert!(metadata.row_group(0).columns().iter().all(|column| column.statistics().is_some()));
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::String),
        "[a-c]{0,2}".prop_map(Value::String),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(|value| Value::Double(value.to_bits())),
        any::<bool>().prop_map(Value::Bool),
        "(\\[[0-9]?\\]|\\{\"a\": ?[0-9]\\}|[a-z\\[\\]{}\"]{0,4})".prop_map(Value::Json),
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    let key =
        prop_oneof!["[a-cA-C.]{0,3}", any::<String>(), "(kind|service|resource\\.a|attributes\\.b|resource_json)"];
    let attributes = prop::collection::btree_map((any::<bool>(), key), value(), 0..6);
    let id = prop_oneof![(1..u64::MAX).prop_map(|id| format!("{id:016x}")), "[g-z][g-z ]{0,8}[g-z]"];
    let trace_id =
        prop_oneof![(1..u128::MAX).prop_map(|id| format!("{id:032x}")), (1..9_u64).prop_map(|id| format!("{id:016x}"))];
    (
        trace_id,
        id.clone(),
        prop::option::of(id),
        any::<[String; 2]>(),
        0..6_u8,
        0..3_u8,
        any::<i32>(),
        0..i64::from(u32::MAX),
        attributes,
    )
        .prop_map(|(trace_id, span_id, parent_span_id, names, kind, status, start, duration_ns, attributes)| {
            Record {
                start_unix_ns: i64::from(start) << 31,
                trace_id,
                span_id,
                parent_span_id,
                names,
                kind,
                status,
                duration_ns,
                attributes,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read_back(records in prop::collection::vec(any_record(), 0..12)) {
        // Through a frame first: ids of one value have one text there.
        let mut expected = self::records(&frame(&records));
        let mut found = round_trip(&records);
        prop_assert!(found.is_sorted_by_key(|record| record.start_unix_ns));
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}
