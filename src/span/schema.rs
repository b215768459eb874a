//! Column names of the in-memory frame and of the canonical Parquet file.
//!
//! # The canonical file
//!
//! One row a span, sorted by `start_time_unix_nano`, then `trace_id`, then `span_id`; zstd; row-group statistics on every column, so that
//! a reader prunes by time. Names are lower case and times are 64-bit integers of nanoseconds since the Unix epoch, so
//! that Spark, `DuckDB`, `DataFusion` and `ClickHouse` read it as it is.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `trace_id` | string | 16 or 32 lower-case hex digits, or the source's own text |
//! | `span_id` | string | 16 lower-case hex digits, or the source's own text |
//! | `parent_span_id` | string, null for roots | as `span_id` |
//! | `service` | string | `service.name` |
//! | `operation` | string | span name |
//! | `kind` | string | `INTERNAL`, `SERVER`, `CLIENT`, `PRODUCER`, `CONSUMER` or `UNSPECIFIED` |
//! | `start_time_unix_nano` | int64 | nanoseconds since the Unix epoch |
//! | `duration_nano` | int64 | nanoseconds, never negative |
//! | `status_code` | string | `UNSET`, `OK` or `ERROR` |
//! | `resource.<key>` | string, int64, double or bool | a resource attribute |
//! | `<key>` | string, int64, double or bool | a span attribute |
//! | `attributes.<key>` | as above | a span attribute whose key is a column name above or begins with `resource.` or `attributes.` |
//! | `resource_json`, `attributes_json` | string | a JSON object of the attributes that fit no column: lists, maps, and the rarer types of a key seen with several types |
//!
//! In the JSON columns, `{"suspect.double": "NaN"}` stands for a double that JSON cannot hold and
//! `{"suspect.json": "..."}` for a JSON value whose text is no list or map.
//!
//! Three span fields that are no attributes travel under the keys that OpenTelemetry's own translators use:
//! `otel.status_description`, `otel.scope.name` (and `otel.scope.version`), `w3c.tracestate`.
//! The file's key-value metadata hold `suspect.schema_version`, and in `suspect.time_index` what [`super::TimeIndex`] says of its row groups.

/// Version of the canonical file, kept under [`VERSION_KEY`].
pub const VERSION: &str = "1";
/// Key of [`VERSION`] in the Parquet key-value metadata.
pub const VERSION_KEY: &str = "suspect.schema_version";

/// Key of the [`super::TimeIndex`] in the same place.
pub const TIME_INDEX_KEY: &str = "suspect.time_index";
/// What the file names as its maker begins with; another program that copies the metadata of a file names itself.
pub const CREATED_BY: &str = "suspect version";

/// Canonical column: trace id, text.
pub const TRACE_ID: &str = "trace_id";
/// Canonical column: span id, text.
pub const SPAN_ID: &str = "span_id";
/// Canonical column: parent span id, text, null for roots.
pub const PARENT_SPAN_ID: &str = "parent_span_id";
/// Canonical and frame column: service.
pub const SERVICE: &str = "service";
/// Canonical and frame column: operation.
pub const OPERATION: &str = "operation";
/// Canonical and frame column: span kind.
pub const KIND: &str = "kind";
/// Canonical and frame column: start, nanoseconds since the Unix epoch, `i64`.
pub const START_TIME_UNIX_NANO: &str = "start_time_unix_nano";
/// Canonical and frame column: duration, nanoseconds, `i64`, never negative.
pub const DURATION_NANO: &str = "duration_nano";
/// Canonical and frame column: status.
pub const STATUS_CODE: &str = "status_code";
/// Canonical column: resource attributes that fit no column, a JSON object.
pub const RESOURCE_JSON: &str = "resource_json";
/// Canonical column: span attributes that fit no column, a JSON object.
pub const ATTRIBUTES_JSON: &str = "attributes_json";
/// Prefix of resource attribute columns.
pub const RESOURCE_PREFIX: &str = "resource.";
/// Prefix of span attribute columns whose plain name is taken.
pub const ATTRIBUTES_PREFIX: &str = "attributes.";

/// Only key of an object that stands for a double which JSON cannot hold.
pub const JSON_DOUBLE: &str = "suspect.double";
/// Only key of an object that stands for a JSON value by its text.
pub const JSON_TEXT: &str = "suspect.json";

/// Frame column: index of the trace in [`super::TraceIds`], `u32`.
pub const TRACE: &str = "trace";

/// The intrinsic columns of the canonical file, in file order.
pub const INTRINSIC: [&str; 9] =
    [TRACE_ID, SPAN_ID, PARENT_SPAN_ID, SERVICE, OPERATION, KIND, START_TIME_UNIX_NANO, DURATION_NANO, STATUS_CODE];

/// Attribute key under which a span's W3C `tracestate` travels.
pub const TRACESTATE: &str = "w3c.tracestate";
/// Attribute key under which the status message travels.
pub const STATUS_DESCRIPTION: &str = "otel.status_description";
/// Attribute key under which the instrumentation scope's name travels.
pub const SCOPE_NAME: &str = "otel.scope.name";
/// Attribute key under which the instrumentation scope's version travels.
pub const SCOPE_VERSION: &str = "otel.scope.version";
