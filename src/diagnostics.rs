//! What was dropped, repaired or doubted, counted; carried into every output so that nothing is lost silently.
//!
//! The sum holds everywhere: spans read = spans analysed + spans set aside by reason.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why a span takes no part in the analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SetAsideReason {
    /// It names no trace.
    MissingTraceId,
    /// It has no id of its own.
    MissingSpanId,
    /// It does not say when it started.
    MissingStart,
    /// It does not say how long it took or when it ended.
    MissingDuration,
    /// It ends before it starts.
    NegativeDuration,
    /// Its times do not fit 64-bit nanoseconds since 1970.
    TimeOutOfRange,
    /// Another record of the same span was read.
    Duplicate,
    /// Its trace starts in neither window.
    OutsideWindows,
    /// Its trace is not in the sample of traces that a profile keeps; the sums of the dependency graph count it.
    NotSampled,
    /// Its trace is a request to another entry operation than the question is about.
    OtherEntry,
    /// Its trace does not hold what the question asks for.
    ConditionNotMet,
    /// Its trace holds what tells the baseline and what tells the regression.
    BothSides,
    /// Its trace holds neither what tells the baseline nor what tells the regression.
    NeitherSide,
}

impl SetAsideReason {
    /// The reason in words, for a sentence that begins with a number of spans.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::MissingTraceId => "without a trace id",
            Self::MissingSpanId => "without a span id",
            Self::MissingStart => "without a start time",
            Self::MissingDuration => "without a duration",
            Self::NegativeDuration => "that end before they start",
            Self::TimeOutOfRange => "with a time that does not fit 64-bit nanoseconds",
            Self::Duplicate => "read more than once",
            Self::OutsideWindows => "of traces that start outside both windows",
            Self::NotSampled => "of traces outside the sample that the profile keeps",
            Self::OtherEntry => "of requests to other entry operations",
            Self::ConditionNotMet => "of traces that do not meet a condition",
            Self::BothSides => "of traces on both sides of the comparison",
            Self::NeitherSide => "of traces on neither side of the comparison",
        }
    }
}

/// Spans set aside by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SetAside(pub BTreeMap<SetAsideReason, u64>);

impl SetAside {
    /// Counts `n_spans` more for `reason`.
    pub fn add(&mut self, reason: SetAsideReason, n_spans: u64) {
        if n_spans > 0 {
            *self.0.entry(reason).or_default() += n_spans;
        }
    }

    /// Adds all counts of `other`.
    pub fn absorb(&mut self, other: &Self) {
        for (&reason, &n_spans) in &other.0 {
            self.add(reason, n_spans);
        }
    }

    /// Spans set aside for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |total, &n_spans| total.saturating_add(n_spans))
    }
}

/// Where in a file a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Line, from 1.
    Line(u64),
    /// Byte offset in the decompressed file.
    Offset(u64),
    /// Row of a table, from 1.
    Row(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Offset(offset) => write!(f, "byte {offset}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// A record that could not be read as a span (or as a group of spans), and was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedRecord {
    /// Where it stands.
    pub place: Place,
    /// What was found and what was expected.
    pub reason: String,
}

/// How reading one file went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceReport {
    /// Path as the user would find it; `-` for standard input.
    pub path: String,
    /// Format, such as `OTLP JSON lines`; empty if none was recognised.
    pub format: String,
    /// Compression seen through, such as `gzip`; empty if none.
    pub compression: String,
    /// Bytes on disk.
    pub n_bytes: u64,
    /// Spans read, those set aside included.
    pub n_spans: u64,
    /// Spans set aside while reading.
    pub set_aside: SetAside,
    /// Records skipped because they could not be read.
    pub n_skipped_records: u64,
    /// The first of them, at most [`MAX_EXAMPLES`].
    pub skipped_records: Vec<SkippedRecord>,
    /// Documents of logs or metrics among those of traces, which are no fault; a note tells them when all is read.
    #[serde(skip)]
    pub n_other_signals: u64,
    /// Whether the last record is cut off, as in an export that is still being written.
    pub truncated: bool,
    /// Why the file as a whole could not be read.
    pub error: Option<String>,
    /// Anything else a reader should know, such as columns chosen by guess.
    pub notes: Vec<String>,
}

/// Examples kept of each kind of problem: enough to find it, few enough to read.
pub const MAX_EXAMPLES: usize = 5;

impl SourceReport {
    /// Counts a record that could not be read and keeps it as an example while there are few.
    pub fn skip(&mut self, place: Place, reason: impl Into<String>) {
        self.n_skipped_records += 1;
        if self.skipped_records.len() < MAX_EXAMPLES {
            self.skipped_records.push(SkippedRecord { place, reason: reason.into() });
        }
    }

    /// Adds the counts of a later part of the same file.
    pub fn absorb(&mut self, other: Self) {
        self.n_spans += other.n_spans;
        self.set_aside.absorb(&other.set_aside);
        self.n_skipped_records += other.n_skipped_records;
        self.skipped_records.extend(other.skipped_records);
        self.skipped_records.truncate(MAX_EXAMPLES);
        self.n_other_signals += other.n_other_signals;
        self.truncated |= other.truncated;
        self.error = self.error.take().or(other.error);
        self.notes.extend(other.notes);
    }
}
