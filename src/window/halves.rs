//! The split when nothing stands out: the middle of the data.

use super::Root;

/// Least share of the traces on either side, as one in so many.
const LEAST_PART: usize = 5;

/// The middle of the time in which roots start, `None` if that is one moment; the middle trace's start if that leaves either side thin.
pub(super) fn middle(roots: &[Root]) -> Option<i64> {
    let mut starts: Vec<i64> = roots.iter().map(|root| root.start_unix_ns).collect();
    starts.sort_unstable();
    let (first, last) = (*starts.first()?, *starts.last()?);
    if first == last {
        return None;
    }
    // As round as it can be and still lie within a percent of the middle.
    let unit = match last.saturating_sub(first) {
        100_000_000_000.. => 1_000_000_000,
        100_000_000..100_000_000_000 => 1_000_000,
        100_000..100_000_000 => 1_000,
        _ => 1,
    };
    let by_time = i64::midpoint(first, last) + 1;
    let by_time = by_time.saturating_sub(by_time.rem_euclid(unit));
    let before = |split: i64| starts.partition_point(|&start| start < split);
    let fewest = (starts.len() / LEAST_PART).max(1);
    if (fewest..=starts.len() - fewest).contains(&before(by_time)) {
        return Some(by_time);
    }
    let median = starts[starts.len() / 2];
    Some(if median > first { median } else { starts[before(first + 1)] })
}
