use crate::time::TimeRange;
use schemars::JsonSchema;
use serde::Serialize;

/// Spans by the time they start, in equal steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Timeline {
    /// Start of the first step, nanoseconds since the Unix epoch, a multiple of the step's length.
    pub start_unix_ns: i64,
    /// Length of a step, nanoseconds.
    pub step_ns: i64,
    /// Spans that start in each step.
    pub n_spans: Vec<u64>,
}

/// Most steps: as many characters stand between a caption and the scale on a line of 100.
const MAX_STEPS: i128 = 48;
const SECOND: i64 = 1_000_000_000;
/// Lengths that people count in.
const LENGTHS: [i64; 17] = [
    1_000_000,
    10_000_000,
    100_000_000,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    120 * SECOND,
    300 * SECOND,
    600 * SECOND,
    1_800 * SECOND,
    3_600 * SECOND,
    6 * 3_600 * SECOND,
    24 * 3_600 * SECOND,
    7 * 24 * 3_600 * SECOND,
];

impl Timeline {
    /// Counts the starts that are not marked as duplicates; `None` if there is none.
    pub(super) fn of(start_unix_ns: &[i64], is_duplicate: &[bool]) -> Option<Self> {
        let starts = || start_unix_ns.iter().zip(is_duplicate).filter(|&(_, duplicate)| !duplicate).map(|(&s, _)| s);
        let range = TimeRange::covering(starts().map(|start| (start, 0)))?;
        let (first, last) = (i128::from(range.start_unix_ns), i128::from(range.end_unix_ns) - 1);
        let n_steps = |step: i128| last.div_euclid(step) - first.div_euclid(step) + 1;
        let step = LENGTHS.iter().map(|&length| i128::from(length)).find(|&step| n_steps(step) <= MAX_STEPS);
        // Longer data, which only a wrong clock makes, are cut in steps of no particular length.
        let step = step.unwrap_or((last - first) / (MAX_STEPS - 1) + 1);
        let mut n_spans = vec![0; usize::try_from(n_steps(step)).ok()?];
        for start in starts() {
            let index = i128::from(start).div_euclid(step) - first.div_euclid(step);
            if let Some(count) = usize::try_from(index).ok().and_then(|index| n_spans.get_mut(index)) {
                *count += 1;
            }
        }
        let start_unix_ns = i64::try_from(first.div_euclid(step) * step).unwrap_or(range.start_unix_ns);
        Some(Self { start_unix_ns, step_ns: i64::try_from(step).unwrap_or(i64::MAX), n_spans })
    }

    /// Spans per minute in each step, rounded.
    #[must_use]
    pub fn per_minute(&self) -> Vec<u64> {
        let step = u128::try_from(self.step_ns).unwrap_or(1).max(1);
        let rate = |&n_spans: &u64| (u128::from(n_spans) * 60_000_000_000 + step / 2) / step;
        self.n_spans.iter().map(|n_spans| u64::try_from(rate(n_spans)).unwrap_or(u64::MAX)).collect()
    }
}
