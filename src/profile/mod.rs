//! Profiles: what the comparison needs of a baseline, and no span of it.
//!
//! A profile holds the cost table of its traces (what each spends on each call path, see [`crate::compare::paths`]) with their requests,
//! which calls have which attributes (see [`crate::drill::kept`]), and sums of what is only needed in sum: the dependency graph, starts of
//! calls, values of versions and hosts, grounds for doubt. Single traces are kept because no sum would do: the typical call is cut at a
//! quantile of both windows together, changes of structure count requests, and noise is learnt from stretches of requests in their order.
//!
//! [`take`] makes one of spans, [`join`] sets it beside the spans of a regression, [`merge`] makes one of several, [`write()`] and [`read`] are
//! the file. Up to [`MAX_CELLS`] cells all traces are kept; above, a uniform sample of them, those whose ids
//! have the smallest hashes, so that the sample of merged profiles is the sample of the whole.

mod calls;
mod columns;
mod dictionaries;
mod file;
mod join;
mod layout;
mod merge;
mod sums;
mod take;

pub use file::{FORMAT_VERSION, MAGIC, is_profile, read, write};
pub use join::{Baseline, join};
pub use merge::{add_repairs, count_unweighted, merge};
pub use take::{Grounds, OnCalls, Scope, add_grounds, each_exception, exception_of, take};

use crate::compare::paths::CostTable;
use crate::diagnostics::{SetAside, SourceReport};
use crate::drill::{kept, presence};
use crate::normalize::{Operation, Repairs, Service};
use crate::span::TraceIds;
use crate::topology::sums::Sums;
use crate::window::Window;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Cells (rows of the cost table, or of calls told apart where these are more) beyond which a profile keeps a sample.
pub const MAX_CELLS: usize = 1_000_000;

/// What is kept of a trace beside its rows in the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trace {
    /// Start of its first root, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// How many requests it stands for under the source's sampling; the profile's own is not in it.
    pub weight: f64,
    /// Its spans.
    pub n_spans: u64,
}

/// A request of a trace: a root, the top of a fragment, or detached work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Index of its operation.
    pub operation: u32,
    /// Start, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// Its duration, nanoseconds.
    pub duration_ns: i64,
    /// Whether it failed.
    pub has_failed: bool,
    /// Whether it is a root.
    pub is_root: bool,
}

/// Where a profile comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// What was read.
    pub sources: Vec<SourceReport>,
    /// What linking the spans repaired.
    pub repairs: Repairs,
    /// Spans that were read and are not in the profile, but for those that `sources` and `repairs` count.
    pub set_aside: SetAside,
    /// Their traces, those outside the sample not counted.
    pub n_traces_aside: u64,
    /// What the profile was narrowed to.
    pub only: Vec<String>,
}

/// What the comparison needs of a baseline.
///
/// Services, operations and paths are in the order of their names, traces in that of their start and id: the same traces
/// give the same profile.
#[derive(Debug, Default)]
pub struct Profile {
    /// Names of operations.
    pub names: Vec<String>,
    /// Services.
    pub services: Vec<Service>,
    /// Operations; their names are indices in `names`.
    pub operations: Vec<Operation>,
    /// Ids of the traces, by index.
    pub ids: TraceIds,
    /// The traces.
    pub traces: Vec<Trace>,
    /// Requests of trace `t` are `requests[offsets[t]..offsets[t + 1]]`.
    pub offsets: Vec<usize>,
    /// Their requests, in order of start.
    pub requests: Vec<Request>,
    /// What each trace spends where.
    pub table: CostTable,
    /// The dependency graph.
    pub graph: Sums,
    /// Values of what says where code runs.
    pub values: presence::Kept,
    /// The calls of the traces with the attributes that tell them apart; none if it was made without attributes.
    pub calls: Option<kept::Kept>,
    /// What calls between services rest on.
    pub grounds: Grounds,
    /// The stretch of time that its spans cover.
    pub start_unix_ns: i64,
    /// Its end.
    pub end_unix_ns: i64,
    /// Traces by the bits of their weight, those outside the sample included.
    pub weights: BTreeMap<u64, u64>,
    /// Hashes of ids from which on traces are not in the sample; the largest hash if all are.
    pub below: u64,
    /// Spans of traces outside the sample.
    pub n_spans_left_out: u64,
    /// Where it comes from.
    pub about: About,
}

impl About {
    /// Names sources by their files alone, in the order of these: where they lay, and in which order they were read, says nothing of the spans.
    pub fn forget_folders(&mut self) {
        for source in &mut self.sources {
            let path = std::mem::take(&mut source.path);
            let name = path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(&path).to_owned();
            for text in source.notes.iter_mut().chain(&mut source.error) {
                *text = text.replace(&path, &name);
            }
            source.path = name;
        }
        self.sort();
    }

    fn sort(&mut self) {
        let key = |source: &SourceReport| {
            (source.path.clone(), source.n_spans, serde_json::to_string(source).unwrap_or_default())
        };
        self.sources.sort_by_cached_key(key);
    }
}

impl Profile {
    /// The window that it stands for.
    #[must_use]
    pub fn window(&self) -> Window {
        Window { start_unix_ns: self.start_unix_ns, end_unix_ns: self.end_unix_ns }
    }

    /// Number of traces it was made of.
    #[must_use]
    pub fn n_traces(&self) -> u64 {
        self.weights.values().fold(0, |sum: u64, &count| sum.saturating_add(count))
    }

    /// Number of traces that were read for it, those set aside included.
    #[must_use]
    pub fn n_all_traces(&self) -> u64 {
        self.n_traces().saturating_add(self.about.n_traces_aside)
    }

    /// Number of spans it was made of.
    #[must_use]
    pub fn n_spans(&self) -> u64 {
        self.traces.iter().fold(self.n_spans_left_out, |sum, trace| sum.saturating_add(trace.n_spans))
    }

    /// How many traces each one of the sample stands for by weight; exactly 1 if all are kept.
    #[must_use]
    pub fn scale(&self) -> f64 {
        if self.below == u64::MAX {
            return 1.0;
        }
        let all: f64 = self.weights.iter().map(|(&bits, &count)| f64::from_bits(bits) * count as f64).sum();
        let kept: f64 = self.traces.iter().map(|trace| trace.weight).sum();
        if kept > 0.0 { all / kept } else { 1.0 }
    }

    /// Requests of trace `trace`.
    #[must_use]
    pub fn requests_of(&self, trace: usize) -> &[Request] {
        &self.requests[self.offsets[trace]..self.offsets[trace + 1]]
    }

    /// What sampling adds to the uncertainty of the mean latency: its relative standard error; 0 if all traces are kept, absent if one alone is,
    /// of which nothing is known of the others.
    #[must_use]
    pub fn sampling_error(&self) -> Option<f64> {
        let (n, all) = (self.traces.len() as f64, self.n_traces() as f64);
        if self.below == u64::MAX {
            return Some(0.0);
        }
        if n < 2.0 {
            return None;
        }
        let durations =
            || self.requests.iter().filter(|request| request.is_root).map(|request| request.duration_ns as f64);
        let count = durations().count().max(1) as f64;
        let mean = durations().sum::<f64>() / count;
        let variance = durations().map(|duration| (duration - mean).powi(2)).sum::<f64>() / count;
        // Without replacement: what is in the sample is certain.
        Some(if mean > 0.0 { (variance / count * (1.0 - n / all).max(0.0)).sqrt() / mean } else { 0.0 })
    }
}

/// A hash of a trace's id, the same in every version.
fn hash(key: crate::span::TraceKey) -> u64 {
    // The finaliser of SplitMix64 on both halves.
    let mix = |mut value: u64| {
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    };
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let (high, low) = ((key.0 >> 64) as u64, key.0 as u64);
    mix(mix(high.wrapping_add(0x9E37_79B9_7F4A_7C15)) ^ low)
}
