//! When the traces of each row group of a canonical file began, so that a reader of two windows of time can leave out the others.
//!
//! A trace belongs to the window in which its root starts, with all its spans. Which of its spans is the root is known when the trace is
//! linked; but it is one of them, so it starts between the first and the last start of them all. A row group of which no trace has a moment
//! between these two in a window holds nothing of a window.

use super::SpanFrame;
use crate::time::TimeRange;
use serde::{Deserialize, Serialize};

/// What the metadata of a canonical file say of time, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeIndex {
    /// From the first start to the last end of all spans.
    pub range: TimeRange,
    /// Of each row group.
    pub groups: Vec<GroupTimes>,
}

/// Times of one row group; three numbers in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, i64, i64)", into = "(u64, i64, i64)")]
pub struct GroupTimes {
    /// Its rows.
    pub n_spans: u64,
    /// First start of any span of any trace that has a span in it, nanoseconds since the Unix epoch.
    pub first_start_unix_ns: i64,
    /// Last start of these.
    pub last_start_unix_ns: i64,
}

impl From<(u64, i64, i64)> for GroupTimes {
    fn from((n_spans, first_start_unix_ns, last_start_unix_ns): (u64, i64, i64)) -> Self {
        Self { n_spans, first_start_unix_ns, last_start_unix_ns }
    }
}

impl From<GroupTimes> for (u64, i64, i64) {
    fn from(times: GroupTimes) -> Self {
        (times.n_spans, times.first_start_unix_ns, times.last_start_unix_ns)
    }
}

impl GroupTimes {
    /// Whether a trace that has a span here may start in one of the windows.
    #[must_use]
    pub fn may_start_in(&self, windows: &[TimeRange]) -> bool {
        windows.iter().any(|window| touches(self.first_start_unix_ns, self.last_start_unix_ns, *window))
    }
}

/// Whether a moment from `first` to `last`, both included, lies in `window`.
fn touches(first: i64, last: i64, window: TimeRange) -> bool {
    first < window.end_unix_ns && last >= window.start_unix_ns && window.start_unix_ns < window.end_unix_ns
}

/// First and last start, and last end, of the spans of a trace.
#[derive(Clone, Copy)]
struct Cover {
    first_start: i64,
    last_start: i64,
    end: i64,
}

impl Cover {
    const NONE: Self = Self { first_start: i64::MAX, last_start: i64::MIN, end: i64::MIN };

    fn is_none(self) -> bool {
        self.first_start > self.last_start
    }
}

/// What each trace of a frame covers, by its index.
fn covers(frame: &SpanFrame) -> Vec<Cover> {
    let spans = &frame.spans;
    let mut covers = vec![Cover::NONE; frame.traces.len()];
    for ((&trace, &start), &duration) in spans.trace.iter().zip(&spans.start_unix_ns).zip(&spans.duration_ns) {
        let cover = &mut covers[trace as usize];
        cover.first_start = cover.first_start.min(start);
        cover.last_start = cover.last_start.max(start);
        cover.end = cover.end.max(start.saturating_add(duration));
    }
    covers
}

impl TimeIndex {
    /// The index of a file that has the rows of `frame` in these groups; `None` without rows.
    #[must_use]
    pub fn new<'a>(frame: &SpanFrame, groups: impl Iterator<Item = &'a [u32]>) -> Option<Self> {
        let covers = covers(frame);
        let traces = covers.iter().filter(|cover| !cover.is_none());
        let range =
            TimeRange::covering(traces.map(|cover| (cover.first_start, cover.end.saturating_sub(cover.first_start))))?;
        let times = |rows: &[u32]| {
            let (mut first, mut last) = (i64::MAX, i64::MIN);
            for &row in rows {
                let cover = covers[frame.spans.trace[row as usize] as usize];
                first = first.min(cover.first_start);
                last = last.max(cover.last_start);
            }
            GroupTimes { n_spans: rows.len() as u64, first_start_unix_ns: first, last_start_unix_ns: last }
        };
        Some(Self { range, groups: groups.map(times).collect() })
    }
}

impl SpanFrame {
    /// The spans of traces that may start in one of the windows.
    ///
    /// Of a file read without the row groups that [`GroupTimes::may_start_in`] rules out, these traces are whole.
    #[must_use]
    pub fn that_may_start_in(self, windows: &[TimeRange]) -> Self {
        let is_kept: Vec<bool> = covers(&self)
            .into_iter()
            .map(|cover| windows.iter().any(|&window| touches(cover.first_start, cover.last_start, window)))
            .collect();
        if is_kept.iter().all(|&kept| kept) {
            return self;
        }
        let rows = (0_u32..).zip(&self.spans.trace).filter(|&(_, &trace)| is_kept[trace as usize]);
        let rows: Vec<u32> = rows.map(|(row, _)| row).collect();
        let parts = self.scatter(&[rows]);
        // Names keep the codes that they have.
        let mut kept = Self { names: self.names, ..Self::default() };
        for part in parts {
            kept.append(part);
        }
        kept
    }
}
