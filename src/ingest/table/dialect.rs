//! Tables of known origin: which columns hold what, and in which unit.
//!
//! A dialect is recognised by column names that no other table has together. Sources: the schema of `ClickHouse`'s
//! OpenTelemetry exporter (`traces_table.sql`), of `SigNoz` (`traces_migrations.go`) and the data sets' own readmes.

use super::unit::Unit;
use crate::span::{AttributeScope, schema};

/// A span field that a column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    TraceId,
    SpanId,
    ParentSpanId,
    Service,
    Operation,
    Kind,
    Start,
    End,
    Duration,
    Status,
}

impl Field {
    pub(super) const ALL: [Self; 10] = [
        Self::TraceId,
        Self::SpanId,
        Self::ParentSpanId,
        Self::Service,
        Self::Operation,
        Self::Kind,
        Self::Start,
        Self::End,
        Self::Duration,
        Self::Status,
    ];

    /// Its name in `--columns`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TraceId => "trace_id",
            Self::SpanId => "span_id",
            Self::ParentSpanId => "parent_span_id",
            Self::Service => "service",
            Self::Operation => "operation",
            Self::Kind => "kind",
            Self::Start => "start",
            Self::End => "end",
            Self::Duration => "duration",
            Self::Status => "status",
        }
    }

    /// Its name in a sentence.
    pub(super) fn role(self) -> &'static str {
        match self {
            Self::TraceId => "trace id",
            Self::SpanId => "span id",
            Self::ParentSpanId => "parent span id",
            Self::Service => "service",
            Self::Operation => "operation",
            Self::Kind => "span kind",
            Self::Start => "start time",
            Self::End => "end time",
            Self::Duration => "duration",
            Self::Status => "status",
        }
    }

    /// Whether its values have a unit.
    pub(super) fn is_time(self) -> bool {
        matches!(self, Self::Start | Self::End | Self::Duration)
    }
}

/// How rows of a dialect become spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A row is a span.
    Spans,
    /// A row is one side of a call, of which both sides may be there: [`super::call_graph`].
    CallGraph,
}

/// A known table.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Name for reports.
    pub(super) name: &'static str,
    /// How rows become spans.
    pub(super) shape: Shape,
    /// Columns that are there in every such table.
    pub(super) signature: &'static [&'static str],
    /// Field, its columns by preference, and the unit if it has one. A column not there is not required.
    pub(super) fields: &'static [(Field, &'static [&'static str], Option<Unit>)],
    /// Columns that hold maps of attributes.
    pub(super) maps: &'static [(&'static str, AttributeScope)],
    /// Columns kept as attributes under another key.
    pub(super) renamed: &'static [(&'static str, AttributeScope, &'static str)],
    /// Columns that hold nothing about a span: sort keys, copies of others, events and links. A final `*` matches the rest.
    pub(super) skipped: &'static [&'static str],
    /// Prefix taken off the names of other columns to make attribute keys.
    pub(super) prefix: &'static str,
    /// The service column holds Kubernetes pod names.
    pub(super) pod_service: bool,
}

/// What most dialects share.
const PLAIN: Dialect = Dialect {
    name: "",
    shape: Shape::Spans,
    signature: &[],
    fields: &[],
    maps: &[],
    renamed: &[],
    skipped: &[],
    prefix: "",
    pod_service: false,
};

use AttributeScope::{Resource, Span};
use Field::{Duration, End, Kind, Operation, ParentSpanId, Service, SpanId, Start, Status, TraceId};
use Unit::{Micros, Millis, Nanos};

/// A table that no dialect fits; its columns are found by name.
pub(super) static UNKNOWN: Dialect = PLAIN;

/// All dialects, the more particular first.
pub(super) static DIALECTS: [Dialect; 10] = [
    Dialect {
        name: "canonical",
        signature: &[
            schema::TRACE_ID,
            schema::SPAN_ID,
            schema::SERVICE,
            schema::OPERATION,
            schema::START_TIME_UNIX_NANO,
            schema::DURATION_NANO,
        ],
        fields: &[
            (TraceId, &[schema::TRACE_ID], None),
            (SpanId, &[schema::SPAN_ID], None),
            (ParentSpanId, &[schema::PARENT_SPAN_ID], None),
            (Service, &[schema::SERVICE], None),
            (Operation, &[schema::OPERATION], None),
            (Kind, &[schema::KIND], None),
            (Start, &[schema::START_TIME_UNIX_NANO], Some(Nanos)),
            (Duration, &[schema::DURATION_NANO], Some(Nanos)),
            (Status, &[schema::STATUS_CODE], None),
        ],
        maps: &[(schema::RESOURCE_JSON, Resource), (schema::ATTRIBUTES_JSON, Span)],
        ..PLAIN
    },
    Dialect {
        name: "ClickHouse otel_traces",
        signature: &["Timestamp", "TraceId", "SpanId", "SpanName", "ServiceName", "Duration"],
        fields: &[
            (TraceId, &["TraceId"], None),
            (SpanId, &["SpanId"], None),
            (ParentSpanId, &["ParentSpanId"], None),
            (Service, &["ServiceName"], None),
            (Operation, &["SpanName"], None),
            (Kind, &["SpanKind"], None),
            (Start, &["Timestamp"], None),
            (Duration, &["Duration"], Some(Nanos)),
            (Status, &["StatusCode"], None),
        ],
        maps: &[("ResourceAttributes", Resource), ("SpanAttributes", Span)],
        renamed: &[
            ("TraceState", Span, schema::TRACESTATE),
            ("StatusMessage", Span, schema::STATUS_DESCRIPTION),
            ("ScopeName", Span, schema::SCOPE_NAME),
            ("ScopeVersion", Span, schema::SCOPE_VERSION),
        ],
        skipped: &["Events*", "Links*", "TimestampTime", "TimestampDate", "*AttributesKeys"],
        ..PLAIN
    },
    Dialect {
        name: "SigNoz index",
        signature: &["timestamp", "trace_id", "span_id", "name", "duration_nano", "ts_bucket_start"],
        fields: &[
            (TraceId, &["trace_id"], None),
            (SpanId, &["span_id"], None),
            (ParentSpanId, &["parent_span_id"], None),
            (Service, &["resource_string_service$$name", "serviceName"], None),
            (Operation, &["name"], None),
            (Kind, &["kind_string", "kind"], None),
            (Start, &["timestamp"], None),
            (Duration, &["duration_nano"], Some(Nanos)),
            (Status, &["status_code_string", "status_code"], None),
        ],
        maps: &[
            ("resources_string", Resource),
            ("resource", Resource),
            ("attributes_string", Span),
            ("attributes_number", Span),
            ("attributes_bool", Span),
        ],
        renamed: &[("status_message", Span, schema::STATUS_DESCRIPTION), ("trace_state", Span, schema::TRACESTATE)],
        // The last three patterns are ClickHouse's own copies of map entries.
        skipped: &[
            "ts_bucket_start",
            "resource_fingerprint",
            "flags",
            "kind",
            "kind_string",
            "status_code",
            "status_code_string",
            "events",
            "links",
            "references",
            "has_error",
            "*_exists",
            "attribute_*",
            "resource_string_*",
        ],
        ..PLAIN
    },
    Dialect {
        name: "RCAEval traces",
        signature: &["traceID", "spanID", "serviceName", "operationName", "startTime", "duration", "parentSpanID"],
        fields: &[
            (TraceId, &["traceID"], None),
            (SpanId, &["spanID"], None),
            (ParentSpanId, &["parentSpanID"], None),
            (Service, &["serviceName"], None),
            (Operation, &["operationName", "methodName"], None),
            (Start, &["startTime", "startTimeMillis"], Some(Micros)),
            (Duration, &["duration"], Some(Micros)),
            (Status, &["statusCode"], None),
        ],
        renamed: &[("methodName", Span, "rpc.method")],
        skipped: &["time", "startTimeMillis"],
        ..PLAIN
    },
    Dialect {
        name: "RCABench traces",
        signature: &["time", "trace_id", "span_id", "service_name", "span_name", "duration"],
        fields: &[
            (TraceId, &["trace_id"], None),
            (SpanId, &["span_id"], None),
            (ParentSpanId, &["parent_span_id"], None),
            (Service, &["service_name"], None),
            (Operation, &["span_name"], None),
            (Kind, &["attr.span_kind"], None),
            (Start, &["time"], None),
            (Duration, &["duration"], Some(Nanos)),
            (Status, &["attr.status_code"], None),
        ],
        prefix: "attr.",
        ..PLAIN
    },
    Dialect {
        name: "Nezha traces",
        signature: &["TraceID", "SpanID", "ParentID", "PodName", "OperationName", "StartTimeUnixNano"],
        fields: &[
            (TraceId, &["TraceID"], None),
            (SpanId, &["SpanID"], None),
            (ParentSpanId, &["ParentID"], None),
            (Service, &["PodName"], None),
            (Operation, &["OperationName"], None),
            (Start, &["StartTimeUnixNano"], Some(Nanos)),
            (End, &["EndTimeUnixNano"], Some(Nanos)),
        ],
        renamed: &[("PodName", Resource, "k8s.pod.name")],
        // Its microseconds say less than start and end.
        skipped: &["Duration"],
        pod_service: true,
        ..PLAIN
    },
    Dialect {
        name: "Alibaba call graph 2022",
        shape: Shape::CallGraph,
        signature: &["timestamp", "traceid", "rpc_id", "um", "dm", "rpctype", "interface", "rt"],
        fields: CALL_GRAPH_2022,
        ..PLAIN
    },
    Dialect {
        name: "Alibaba call graph 2021",
        shape: Shape::CallGraph,
        signature: &["timestamp", "traceid", "rpcid", "um", "dm", "rpctype", "interface", "rt"],
        fields: CALL_GRAPH_2021,
        ..PLAIN
    },
    Dialect {
        name: "Honeycomb query",
        signature: &["trace.trace_id", "trace.span_id", "duration_ms"],
        fields: &[
            (TraceId, &["trace.trace_id"], None),
            (SpanId, &["trace.span_id"], None),
            (ParentSpanId, &["trace.parent_id"], None),
            (Service, &["service.name", "service_name"], None),
            (Operation, &["name"], None),
            (Kind, &["span.kind", "meta.span_kind", "kind"], None),
            (Start, &["Timestamp", "timestamp", "time"], None),
            (Duration, &["duration_ms"], Some(Millis)),
            (Status, &["status_code", "error"], None),
        ],
        ..PLAIN
    },
    Dialect {
        name: "Google Cloud AllSpans",
        signature: &["trace_id", "span_id", "name", "start_time", "duration_nano", "attributes"],
        fields: &[
            (TraceId, &["trace_id"], None),
            (SpanId, &["span_id"], None),
            (ParentSpanId, &["parent_span_id"], None),
            (Service, &["service_name", "service.name"], None),
            (Operation, &["name"], None),
            (Kind, &["kind"], None),
            (Start, &["start_time"], None),
            (Duration, &["duration_nano"], Some(Nanos)),
            (Status, &["status"], None),
        ],
        maps: &[("resource", Resource), ("attributes", Span)],
        skipped: &["events", "links", "end_time"],
        ..PLAIN
    },
];

/// Fields of a call graph row: the caller, the callee and the call between them; see [`super::call_graph`].
const CALL_GRAPH_2022: &[(Field, &[&str], Option<Unit>)] = &[
    (TraceId, &["traceid"], None),
    (SpanId, &["rpc_id"], None),
    (ParentSpanId, &["um"], None),
    (Service, &["dm"], None),
    (Operation, &["interface"], None),
    (Kind, &["rpctype"], None),
    (Start, &["timestamp"], Some(Millis)),
    (Duration, &["rt"], Some(Millis)),
];

/// As [`CALL_GRAPH_2022`], with the older name of the call's id.
const CALL_GRAPH_2021: &[(Field, &[&str], Option<Unit>)] = &[
    (TraceId, &["traceid"], None),
    (SpanId, &["rpcid"], None),
    (ParentSpanId, &["um"], None),
    (Service, &["dm"], None),
    (Operation, &["interface"], None),
    (Kind, &["rpctype"], None),
    (Start, &["timestamp"], Some(Millis)),
    (Duration, &["rt"], Some(Millis)),
];

/// Whether `name` fits a pattern with at most one `*`, at its begin or end.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (None, Some(begin)) => name.starts_with(begin),
        (None, None) => name == pattern,
    }
}

/// Column names of each field in tables of unknown origin, letters and digits only, the likelier first.
pub(super) fn synonyms(field: Field) -> &'static [&'static str] {
    match field {
        TraceId => &["traceid", "trace", "tracetraceid", "contexttraceid"],
        SpanId => &["spanid", "span", "tracespanid", "contextspanid", "id"],
        ParentSpanId => &["parentspanid", "parentid", "parent", "parentspan", "traceparentid"],
        Service => {
            &["servicename", "service", "resourceservicename", "processservicename", "cmdbid", "svc", "app", "appname"]
        }
        Operation => &["operationname", "operation", "spanname", "name", "resourcename", "endpoint", "endpointname"],
        Kind => &["spankind", "kind", "kindstring"],
        Start => &["starttimeunix", "starttime", "start", "startedat", "starttimestamp", "timestamp", "time", "begin"],
        End => &["endtimeunix", "endtime", "end", "endedat", "endtimestamp", "finishtime", "finish"],
        Duration => &["duration", "durationtime", "latency", "elapsed", "elapsedtime", "responsetime"],
        Status => &["statuscode", "status", "spanstatus", "otelstatuscode", "error", "iserror", "haserror"],
    }
}

/// Names of columns, letters and digits only, in which one is no code of success.
pub(super) const ERROR_COLUMNS: [&str; 3] = ["error", "iserror", "haserror"];

/// Columns of unknown tables that hold maps of attributes, letters and digits only.
pub(super) const ATTRIBUTE_MAPS: &[(&str, AttributeScope)] = &[
    ("attributes", Span),
    ("spanattributes", Span),
    ("attrs", Span),
    ("tags", Span),
    ("spantags", Span),
    ("resource", Resource),
    ("resources", Resource),
    ("resourceattributes", Resource),
    ("resourceattrs", Resource),
    ("resourcetags", Resource),
    ("processtags", Resource),
];
