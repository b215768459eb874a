//! Tempo blocks of the three formats, written leaf by leaf with the very levels that Tempo writes.
//!
//! One trace of one resource, one scope and two spans; the first span has three attributes: a string, an integer and a
//! list. Repetition and definition levels are those of the nesting `rs` 1, `ss` 2, `Spans` 3, `Attrs` 4, values 5.

use super::{File, attributes, lines, notes};
use parquet::basic::Type as Physical;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq)]
enum Version {
    V3,
    V4,
    V5,
}

/// `repeated` fields as the version writes them: bare in version 5, else as lists.
fn repeated(version: Version, name: &str, body: &str) -> String {
    match version {
        Version::V5 => format!("repeated group {name} {{ {body} }}"),
        _ => {
            format!("required group {name} (LIST) {{ repeated group list {{ required group element {{ {body} }} }} }}")
        }
    }
}

fn value(version: Version, name: &str, kind: &str) -> String {
    let (kind, annotation) = kind.split_once(' ').unwrap_or((kind, ""));
    match version {
        Version::V3 => format!("optional {kind} {name} {annotation};"),
        Version::V4 => format!(
            "required group {name} (LIST) {{ repeated group list {{ required {kind} element {annotation}; }} }}"
        ),
        Version::V5 => format!("repeated {kind} {name} {annotation};"),
    }
}

fn schema(version: Version) -> String {
    let values =
        [("Value", "binary (STRING)"), ("ValueInt", "int64"), ("ValueDouble", "double"), ("ValueBool", "boolean")]
            .map(|(name, kind)| value(version, name, kind))
            .concat();
    let rest = match version {
        Version::V3 => "optional binary ValueKVList (STRING); optional binary ValueArray (STRING);",
        _ => "required boolean IsArray; optional binary ValueUnsupported (STRING);",
    };
    let attributes = repeated(version, "Attrs", &format!("required binary Key (STRING); {values} {rest}"));
    let dedicated = match version {
        Version::V5 => {
            "required group DedicatedAttributes { repeated binary String01 (STRING); optional int64 Int01; }"
        }
        _ => "required group DedicatedAttributes { optional binary String01 (STRING); }",
    };
    let well_known = if version == Version::V5 { "" } else { "optional int64 HttpStatusCode;" };
    let spans = repeated(
        version,
        "Spans",
        &format!(
            "required binary SpanID; required binary ParentSpanID; required binary Name (STRING); required int64 Kind; \
             required binary TraceState (STRING); required int64 StartTimeUnixNano (INTEGER(64,false)); \
             required int64 DurationNano (INTEGER(64,false)); required int64 StatusCode; \
             required binary StatusMessage (STRING); {attributes} {well_known} {dedicated}"
        ),
    );
    let scope = "required group Scope { required binary Name (STRING); required binary Version (STRING); }";
    let scopes = repeated(version, "ss", &format!("{scope} {spans}"));
    let resource =
        format!("required group Resource {{ required binary ServiceName (STRING); {attributes} {dedicated} }}");
    let resources = repeated(version, "rs", &format!("{resource} {scopes}"));
    format!("message Trace {{ required binary TraceID; required binary TraceIDText (STRING); {resources} }}")
}

/// Values of a leaf with their definition and repetition levels.
enum Leaf {
    Text(&'static [&'static [u8]]),
    Int(&'static [i64]),
    Bool(&'static [bool]),
    Empty,
}

type Levels = (&'static [i16], &'static [i16]);

/// What the leaf at `path` holds, list wrappers left out.
fn leaf(version: Version, path: &str) -> (Leaf, Levels) {
    use Leaf::{Bool, Empty, Int, Text};
    const RESOURCE: Levels = (&[1], &[0]);
    const SPANS: Levels = (&[3, 3], &[0, 3]);
    const ATTRIBUTES: Levels = (&[4, 4, 4, 3], &[0, 4, 4, 3]);
    match path {
        "TraceID" => (Text(&[&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xab]]), (&[0], &[0])),
        "TraceIDText" => (Text(&[b"ab"]), (&[0], &[0])),
        "rs.Resource.ServiceName" => (Text(&[b"front"]), RESOURCE),
        "rs.Resource.DedicatedAttributes.String01" => (Text(&[b"10.0.0.1"]), (&[2], &[0])),
        path if path.starts_with("rs.Resource.") => (Empty, RESOURCE),
        "rs.ss.Scope.Name" => (Text(&[b"scope"]), (&[2], &[0])),
        "rs.ss.Scope.Version" => (Text(&[b""]), (&[2], &[0])),
        "rs.ss.Spans.SpanID" => (Text(&[&[0, 0, 0, 0, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 2]]), SPANS),
        "rs.ss.Spans.ParentSpanID" => (Text(&[b"", &[0, 0, 0, 0, 0, 0, 0, 1]]), SPANS),
        "rs.ss.Spans.Name" => (Text(&[b"GET", b"query"]), SPANS),
        "rs.ss.Spans.Kind" => (Int(&[2, 3]), SPANS),
        "rs.ss.Spans.TraceState" => (Text(&[b"", b""]), SPANS),
        "rs.ss.Spans.StartTimeUnixNano" => (Int(&[1_700_000_000_000_000_001, 1_700_000_000_000_000_002]), SPANS),
        "rs.ss.Spans.DurationNano" => (Int(&[100, 50]), SPANS),
        "rs.ss.Spans.StatusCode" => (Int(&[0, 2]), SPANS),
        "rs.ss.Spans.StatusMessage" => (Text(&[b"", b"no"]), SPANS),
        "rs.ss.Spans.HttpStatusCode" => (Int(&[200]), (&[4, 3], &[0, 3])),
        "rs.ss.Spans.DedicatedAttributes.String01" => (Text(&[b"v1"]), (&[4, 3], &[0, 3])),
        "rs.ss.Spans.DedicatedAttributes.Int01" => (Int(&[9]), (&[3, 4], &[0, 3])),
        "rs.ss.Spans.Attrs.Key" => (Text(&[b"s", b"i", b"l"]), ATTRIBUTES),
        "rs.ss.Spans.Attrs.IsArray" => (Bool(&[false, false, true]), ATTRIBUTES),
        "rs.ss.Spans.Attrs.ValueInt" => (Int(&[7]), (&[4, 5, 4, 3], &[0, 4, 4, 3])),
        "rs.ss.Spans.Attrs.Value" if version == Version::V3 => (Text(&[b"text"]), (&[5, 4, 4, 3], &[0, 4, 4, 3])),
        "rs.ss.Spans.Attrs.Value" => (Text(&[b"text", b"x", b"y"]), (&[5, 4, 5, 5, 3], &[0, 4, 4, 5, 3])),
        "rs.ss.Spans.Attrs.ValueArray" => (
            Text(&[br#"{"arrayValue":{"values":[{"stringValue":"x"},{"stringValue":"y"}]}}"#]),
            (&[4, 4, 5, 3], &[0, 4, 4, 3]),
        ),
        _ => (Empty, ATTRIBUTES),
    }
}

fn block(version: Version) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&schema(version)).expect("a schema"));
    let mut bytes = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::default())).expect("a writer");
    let leaves: Vec<_> = writer.schema_descr().columns().to_vec();
    let mut group = writer.next_row_group().expect("a row group");
    for column in leaves {
        let path: Vec<&str> = column
            .path()
            .parts()
            .iter()
            .map(String::as_str)
            .filter(|part| !["list", "element"].contains(part))
            .collect();
        let (leaf, (definitions, repetitions)) = leaf(version, &path.join("."));
        let definitions = (column.max_def_level() > 0).then_some(definitions);
        let repetitions = (column.max_rep_level() > 0).then_some(repetitions);
        let mut column_writer = group.next_column().expect("a column").expect("one more");
        macro_rules! write {
            ($type:ty, $values:expr) => {
                column_writer.typed::<$type>().write_batch(&$values, definitions, repetitions).expect("writes")
            };
        }
        match (leaf, column.physical_type()) {
            (Leaf::Text(values), _) => {
                write!(ByteArrayType, values.iter().map(|value| ByteArray::from(value.to_vec())).collect::<Vec<_>>())
            }
            (Leaf::Int(values), _) => write!(Int64Type, *values),
            (Leaf::Bool(values), _) => write!(BoolType, *values),
            (Leaf::Empty, Physical::BOOLEAN) => write!(BoolType, []),
            (Leaf::Empty, Physical::INT32) => write!(Int32Type, []),
            (Leaf::Empty, Physical::INT64) => write!(Int64Type, []),
            (Leaf::Empty, Physical::DOUBLE) => write!(parquet::data_type::DoubleType, []),
            (Leaf::Empty, _) => write!(ByteArrayType, []),
        };
        column_writer.close().expect("closes");
    }
    group.close().expect("closes");
    writer.close().expect("closes");
    bytes
}

const META: &str =
    r#"{"format":"vParquet","dedicatedColumns":[{"s":"resource","n":"ip"},{"n":"version"},{"n":"size","t":"int"}]}"#;

#[test]
fn spans_of_all_three_formats_are_read() {
    for version in [Version::V3, Version::V4, Version::V5] {
        let file = File::new("data.parquet", block(version));
        std::fs::write(file.path.with_file_name("meta.json"), META).expect("writes");
        let read = file.read();
        assert_eq!(read.sources[0].error, None);
        assert_eq!(notes(&read.sources[0]), "");
        assert_eq!(
            lines(&read.frame),
            [
                "ab/1<- front GET SERVER UNSET 1700000000000000001+100",
                "ab/2<1 front query CLIENT ERROR 1700000000000000002+50"
            ]
        );
        let http = if version == Version::V5 { &[][..] } else { &["http.status_code=200"] };
        let resource = ["resource.ip=\"10.0.0.1\"", "resource.service.name=\"front\""];
        let first = ["i=7", "l=[\"x\",\"y\"]", "otel.scope.name=\"scope\"", "s=\"text\"", "version=\"v1\""];
        assert_eq!(attributes(&read.frame, 0), [&resource[..], http, &first].concat());
        let size = if version == Version::V5 { &["size=9"][..] } else { &[] };
        let second = ["otel.scope.name=\"scope\"", "otel.status_description=\"no\""];
        assert_eq!(attributes(&read.frame, 1), [&resource[..], &second, size].concat());
    }
}

#[test]
fn a_block_without_its_meta_file_says_what_is_missing() {
    let read = File::new("data.parquet", block(Version::V4)).read();
    assert_eq!(read.frame.spans.len(), 2);
    assert_eq!(
        notes(&read.sources[0]),
        "`meta.json` is not there, so attributes in dedicated columns of the block are not read"
    );
}
