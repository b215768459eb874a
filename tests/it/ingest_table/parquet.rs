//! Parquet and Arrow: the types that ids, times and maps come in.

use super::{File, attributes, lines, notes};
use arrow_array::builder::{FixedSizeBinaryBuilder, MapBuilder, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use std::sync::Arc;

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("writes");
    writer.close().expect("closes");
    bytes
}

fn arrow(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(&mut bytes, &batch.schema()).expect("a writer");
    writer.write(batch).expect("writes");
    writer.finish().expect("finishes");
    bytes
}

/// A table of one span in both formats, whose id columns are as given.
fn read_ids(trace_id: ArrayRef, span_id: ArrayRef, parent_span_id: ArrayRef) -> [Vec<String>; 2] {
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let batch = table(vec![
        ("trace_id", trace_id),
        ("span_id", span_id),
        ("parent_span_id", parent_span_id),
        ("service", text("s")),
        ("operation", text("o")),
        ("start", Arc::new(TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]))),
        ("duration_ns", Arc::new(Int32Array::from(vec![5]))),
    ]);
    [File::new("x.parquet", parquet(&batch)), File::new("x.arrow", arrow(&batch))].map(|file| {
        let read = file.read();
        assert_eq!(read.sources[0].error, None);
        lines(&read.frame)
    })
}

#[test]
fn ids_may_be_text_bytes_or_integers() {
    let bytes = |id: &[u8]| -> ArrayRef { Arc::new(BinaryArray::from(vec![id])) };
    let fixed = |id: &[u8]| -> ArrayRef {
        let mut builder = FixedSizeBinaryBuilder::new(i32::try_from(id.len()).expect("short"));
        builder.append_value(id).expect("its length");
        Arc::new(builder.finish())
    };
    let mut trace = [0; 16];
    trace[15] = 0xab;
    let expected = ["ab/a<b s o UNSPECIFIED UNSET 1700000000000001000+5"];
    let span = |id: u8| [0, 0, 0, 0, 0, 0, 0, id];
    for [trace_id, span_id, parent] in [
        [bytes(&trace), bytes(&span(10)), bytes(&span(11))],
        [fixed(&trace), fixed(&span(10)), fixed(&span(11))],
        [bytes(b"000000000000000000000000000000ab"), bytes(b"000000000000000a"), bytes(b"000000000000000b")],
        [
            Arc::new(UInt64Array::from(vec![0xab])),
            Arc::new(Int64Array::from(vec![10])),
            Arc::new(Float64Array::from(vec![11.0])),
        ],
        [
            Arc::new(LargeStringArray::from(vec!["AB"])),
            Arc::new(StringViewArray::from(vec!["A"])),
            Arc::new(["b"].into_iter().collect::<arrow_array::DictionaryArray<Int32Type>>()),
        ],
    ] {
        for found in read_ids(trace_id, span_id, parent) {
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn integer_ids_and_floating_times_are_noted() {
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let batch = table(vec![
        ("trace_id", Arc::new(UInt64Array::from(vec![u64::MAX]))),
        ("span_id", Arc::new(Int64Array::from(vec![-1]))),
        ("service", text("s")),
        ("operation", text("o")),
        ("start", Arc::new(Float64Array::from(vec![1_700_000_000.5]))),
        ("duration_ms", Arc::new(Float64Array::from(vec![1.25]))),
    ]);
    let read = File::new("x.parquet", parquet(&batch)).read();
    let id = "ffffffffffffffff";
    assert_eq!(lines(&read.frame), [format!("{id}/{id}<- s o UNSPECIFIED UNSET 1700000000500000000+1250000")]);
    let notes = notes(&read.sources[0]);
    assert!(notes.contains("column `start` holds floating-point times"), "{notes}");
    assert!(notes.contains("column `start` is read in s, by the size of its values"), "{notes}");
    assert!(notes.contains("ids are integers here"), "{notes}");
}

#[test]
fn clickhouse_maps_and_low_cardinality_columns_are_read() {
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let low = |text: &str| -> ArrayRef {
        let mut builder = StringDictionaryBuilder::<Int32Type>::new();
        builder.append_value(text);
        Arc::new(builder.finish())
    };
    let map = |entries: &[(&str, &str)]| -> ArrayRef {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for (key, value) in entries {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(true).expect("an entry");
        Arc::new(builder.finish())
    };
    let batch = table(vec![
        ("Timestamp", Arc::new(TimestampNanosecondArray::from(vec![1_704_164_645_123_456_789]).with_timezone("UTC"))),
        ("TraceId", text("ab")),
        ("SpanId", text("1")),
        ("ParentSpanId", text("")),
        ("TraceState", text("a=b")),
        ("SpanName", low("GET")),
        ("SpanKind", low("Server")),
        ("ServiceName", low("front")),
        ("ResourceAttributes", map(&[("service.name", "front"), ("pod", "")])),
        ("SpanAttributes", map(&[("k", "v")])),
        ("Duration", Arc::new(UInt64Array::from(vec![1_017]))),
        ("StatusCode", low("STATUS_CODE_ERROR")),
        ("StatusMessage", low("")),
    ]);
    for file in [File::new("x.parquet", parquet(&batch)), File::new("x.arrow", arrow(&batch))] {
        let read = file.read();
        assert_eq!(lines(&read.frame), ["ab/1<- front GET SERVER ERROR 1704164645123456789+1017"]);
        assert_eq!(
            attributes(&read.frame, 0),
            ["resource.pod=\"\"", "resource.service.name=\"front\"", "k=\"v\"", "w3c.tracestate=\"a=b\""]
        );
    }
}

#[test]
fn a_table_of_something_else_is_an_error_that_lists_its_columns() {
    let batch = table(vec![("price", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    let error = File::new("x.parquet", parquet(&batch)).read().sources[0].error.clone().expect("an error");
    let expected = "has no column for the trace id; its columns are price; name it with `--columns trace_id=<COLUMN>`";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn arrow_files_that_polars_writes_are_read() {
    use polars::prelude::{IpcCompression, IpcWriter, NamedFrom as _, SerWriter as _, Series};
    let text = |name: &str, value: &str| Series::new(name.into(), [value, value]).into();
    let columns = vec![
        text("trace_id", "ab"),
        Series::new("span_id".into(), ["1", "2"]).into(),
        Series::new("parent_span_id".into(), [None, Some("1")]).into(),
        text("service", "s"),
        text("operation", "o"),
        Series::new("start_time_unix_nano".into(), [5_i64, 6]).into(),
        Series::new("duration_nano".into(), [7_i64, 8]).into(),
    ];
    let mut frame = polars::prelude::DataFrame::new(2, columns).expect("a frame");
    for compression in [None, Some(IpcCompression::LZ4)] {
        let mut bytes = Vec::new();
        IpcWriter::new(&mut bytes).with_compression(compression).finish(&mut frame).expect("writes");
        let read = File::new("x.arrow", &bytes).read();
        assert_eq!(read.sources[0].error, None);
        assert_eq!(lines(&read.frame), ["ab/1<- s o UNSPECIFIED UNSET 5+7", "ab/2<1 s o UNSPECIFIED UNSET 6+8"]);
    }
}
