//! Damaged files are errors that name what was expected, or give fewer spans; they never panic.

use super::{File, refusal};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use std::sync::Arc;

/// 200 spans whose columns use dictionaries, nulls and plain encodings.
fn batch() -> RecordBatch {
    let texts =
        |text: &dyn Fn(i64) -> Option<String>| -> ArrayRef { Arc::new((1..=200).map(text).collect::<StringArray>()) };
    let numbers = |scale: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((1..=200).map(|n| n * scale))) };
    RecordBatch::try_from_iter_with_nullable([
        ("trace_id", texts(&|n| Some(format!("{:032x}", n / 4 + 1))), false),
        ("span_id", texts(&|n| Some(format!("{n:016x}"))), false),
        ("parent_span_id", texts(&|n| (n % 4 != 0).then(|| format!("{:016x}", n - 1))), true),
        ("service", texts(&|n| Some(format!("service-{}", n % 3))), false),
        ("operation", texts(&|n| Some(format!("operation-{}", n % 5))), false),
        ("start_time_unix_nano", numbers(1_000_003), false),
        ("duration_nano", numbers(7), false),
        ("http.route", texts(&|n| (n % 2 == 0).then(|| "/a".to_owned())), true),
    ])
    .expect("a batch")
}

fn parquet_bytes() -> Vec<u8> {
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("a level"));
    let properties = WriterProperties::builder()
        .set_compression(zstd)
        .set_max_row_group_row_count(Some(80))
        .set_column_compression("span_id".into(), Compression::UNCOMPRESSED)
        .set_column_compression("service".into(), Compression::SNAPPY)
        .build();
    let batch = batch();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("writes");
    writer.close().expect("closes");
    bytes
}

fn arrow_bytes(stream: bool) -> Vec<u8> {
    let batch = batch();
    let mut bytes = Vec::new();
    if stream {
        // A flipped bit in the length that stands before a compressed buffer asks for any amount of memory.
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).expect("known");
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &batch.schema(), options).expect("a writer");
        writer.write(&batch).expect("writes");
        writer.finish().expect("finishes");
    } else {
        let mut writer = FileWriter::try_new(&mut bytes, &batch.schema()).expect("a writer");
        writer.write(&batch).expect("writes");
        writer.finish().expect("finishes");
    }
    bytes
}

/// A generator of numbers that are the same on every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from(value >> 33).unwrap_or(0) % limit
    }
}

/// Reads the whole file, then copies of it cut off and with flipped bits; only the whole one must give all spans.
fn survives(name: &str, bytes: &[u8], n_flips: usize) {
    let whole = File::new(name, bytes).read();
    assert_eq!((whole.frame.spans.len(), &whole.sources[0].error), (200, &None));
    for length in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
        let cut = File::new(name, &bytes[..length]).read();
        let report = &cut.sources[0];
        let told = report.error.is_some() || report.truncated || report.notes == ["empty"];
        assert!(told, "{length} bytes: {report:?}");
    }
    let mut numbers = Numbers(20_240_611);
    for _ in 0..n_flips {
        let mut flipped = bytes.to_vec();
        for _ in 0..=numbers.below(3) {
            flipped[numbers.below(bytes.len())] ^= 1 << numbers.below(8);
        }
        // Whatever comes out is fine, as long as something does.
        let _ = File::new(name, &flipped).read();
    }
}

#[test]
fn a_damaged_parquet_file_never_panics() {
    survives("spans.parquet", &parquet_bytes(), 400);
}

#[test]
fn a_damaged_arrow_file_never_panics() {
    survives("spans.arrow", &arrow_bytes(false), 400);
}

#[test]
fn a_damaged_arrow_stream_never_panics() {
    survives("spans.arrows", &arrow_bytes(true), 1_000);
}

#[test]
fn a_parquet_file_that_is_cut_off_is_an_error_that_says_what_was_expected() {
    let bytes = parquet_bytes();
    let error = refusal("spans.parquet", &bytes[..bytes.len() / 2]);
    assert!(error.contains("expected a Parquet file; "), "{error}");
}

#[test]
fn damaged_text_tables_never_panic() {
    let csv: String = (1..=200).fold("trace_id,span_id,service,operation,start,duration_ms\n".to_owned(), |csv, n| {
        csv + &format!("{:x},{n:x},\"s\"\"{n}\",\"o,{n}\",2024-01-02T03:04:05.{n:03}Z,{n}\n", n / 4 + 1)
    });
    survives_text("spans.csv", &csv);
    let json: String = (1..=200).fold(String::new(), |json, n| {
        let map = r#"{"a":"b\n","c":[1,{"d":null}]}"#;
        json + &format!(
            "{{\"TraceId\":\"{n:x}\",\"SpanId\":\"{n:x}\",\"ServiceName\":\"s\",\"SpanName\":\"o\",\"Timestamp\":\"2024-01-02 03:04:05.{n:09}\",\"Duration\":\"{n}\",\"SpanAttributes\":{map}}}\n"
        )
    });
    survives_text("spans.jsonl", &json);
}

fn survives_text(name: &str, text: &str) {
    let whole = File::new(name, text).read();
    assert_eq!((whole.frame.spans.len(), &whole.sources[0].error), (200, &None));
    let mut numbers = Numbers(7);
    for _ in 0..300 {
        let mut bytes = text.as_bytes()[..text.len() - numbers.below(text.len() / 2)].to_vec();
        for _ in 0..=numbers.below(5) {
            let at = numbers.below(bytes.len());
            bytes[at] ^= 1 << numbers.below(8);
        }
        let _ = File::new(name, &bytes).read();
    }
}
