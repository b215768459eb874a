//! Spans as columns: what `ingest` fills and every later stage reads.
//!
//! A [`SpanBatch`] is filled row by row by one parser on one thread; [`SpanFrame::from_batches`] merges batches into
//! one polars frame whose names are dictionary codes, so that no later stage touches a string per span.
//! [`schema`] names the columns, here and in the canonical Parquet file.

mod attributes;
mod batch;
pub mod bytes;
mod column;
mod dictionary;
mod frame;
mod ids;
mod scatter;
pub mod schema;
mod selection;
mod time_index;

pub use attributes::{AttributeKey, AttributeScope, AttributeTable, AttributeValue};
pub use batch::{Span, SpanBatch};
pub use column::AttributeColumn;
pub use dictionary::Dictionary;
pub use frame::{SpanColumns, SpanFrame};
pub(crate) use ids::hex;
pub use ids::{SpanId, SpanIdTexts, TraceIds, TraceKey};
pub use selection::{AttributeSelection, MAX_DISTINCT, tells_calls_apart};
pub use time_index::{GroupTimes, TimeIndex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// OpenTelemetry span kind; the discriminants are OTLP's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum SpanKind {
    /// The source names no kind; [`crate::normalize`] infers one from service boundaries.
    #[default]
    Unspecified = 0,
    /// Work inside a service.
    Internal = 1,
    /// The answering half of a call.
    Server = 2,
    /// The asking half of a call.
    Client = 3,
    /// Hands a message over and does not wait.
    Producer = 4,
    /// Works on a message.
    Consumer = 5,
}

impl SpanKind {
    /// The kind with OTLP number `code`; unknown numbers are [`SpanKind::Unspecified`].
    #[must_use]
    pub fn from_code(code: u64) -> Self {
        match code {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }

    /// Reads any spelling seen in exports: `SERVER`, `Server`, `server`, `SPAN_KIND_SERVER`, `SpanKind.SERVER`, `2`.
    ///
    /// An unknown or empty text is [`SpanKind::Unspecified`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let name = text.strip_prefix("SPAN_KIND_").or_else(|| text.strip_prefix("SpanKind.")).unwrap_or(text);
        match name.as_bytes() {
            name if name.eq_ignore_ascii_case(b"internal") => Self::Internal,
            name if name.eq_ignore_ascii_case(b"server") => Self::Server,
            name if name.eq_ignore_ascii_case(b"client") => Self::Client,
            name if name.eq_ignore_ascii_case(b"producer") => Self::Producer,
            name if name.eq_ignore_ascii_case(b"consumer") => Self::Consumer,
            [digit @ b'1'..=b'5'] => Self::from_code(u64::from(digit - b'0')),
            _ => Self::Unspecified,
        }
    }

    /// The canonical upper-case spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "UNSPECIFIED",
            Self::Internal => "INTERNAL",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Producer => "PRODUCER",
            Self::Consumer => "CONSUMER",
        }
    }
}

/// OpenTelemetry span status; the discriminants are OTLP's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum SpanStatus {
    /// The instrumentation said nothing, which usually means success.
    #[default]
    Unset = 0,
    /// Declared a success.
    Ok = 1,
    /// Declared a failure.
    Error = 2,
}

impl SpanStatus {
    /// The status with OTLP number `code`; unknown numbers are [`SpanStatus::Unset`].
    #[must_use]
    pub fn from_code(code: u64) -> Self {
        match code {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }

    /// Reads any spelling seen in exports: `ERROR`, `Error`, `STATUS_CODE_ERROR`, `StatusCode.ERROR`, `2`.
    ///
    /// An unknown or empty text is [`SpanStatus::Unset`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let name = text.strip_prefix("STATUS_CODE_").or_else(|| text.strip_prefix("StatusCode.")).unwrap_or(text);
        match name.as_bytes() {
            b"2" => Self::Error,
            b"1" => Self::Ok,
            name if name.eq_ignore_ascii_case(b"error") => Self::Error,
            name if name.eq_ignore_ascii_case(b"ok") => Self::Ok,
            _ => Self::Unset,
        }
    }

    /// The canonical upper-case spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Ok => "OK",
            Self::Error => "ERROR",
        }
    }
}
