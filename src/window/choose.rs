//! From onsets to windows: the stable stretch before an onset, and the stretch after it.

use super::Window;
use super::onset::Onset;

/// Most of a window that the doubt about an onset may cost it.
const MAX_GUARD_SHARE: f64 = 0.1;
/// A stretch with fewer traces than this share of the largest one is passed over for an earlier one.
const MIN_SHARE: f64 = 0.2;

/// An onset within another is its growth if that has at least this share of its severity.
const GROWING_SHARE: f64 = 0.5;

/// The place in `onsets` of the one to analyse: the most severe that has a before, or the one within which it lies, and which lasts as long,
/// if that is half as severe, since an incident that grows began with its first onset; without one, what the data begin within
/// and what was over before they end.
pub(super) fn most_severe(onsets: &[Onset]) -> Option<usize> {
    // What lies within an incident that the data begin with has no before of its own.
    let is_within = |onset: &Onset| {
        let outer = onsets.iter().filter(|outer| !outer.has_before);
        outer.into_iter().any(|outer| outer.end_unix_ns.is_none_or(|end| onset.start_unix_ns < end))
    };
    let worst = |keep: &dyn Fn(&Onset) -> bool| {
        let kept = onsets.iter().enumerate().filter(|(_, onset)| keep(onset));
        // The first of equals.
        kept.rev().max_by(|left, right| left.1.severity.total_cmp(&right.1.severity)).map(|(place, _)| place)
    };
    let outermost = |chosen: usize| {
        let inner = &onsets[chosen];
        let holds = |outer: &Onset| {
            let end = |onset: &Onset| onset.end_unix_ns.unwrap_or(i64::MAX);
            outer.has_before
                && outer.start_unix_ns <= inner.start_unix_ns
                && end(inner) <= end(outer)
                && outer.severity >= GROWING_SHARE * inner.severity
        };
        onsets.iter().position(holds).unwrap_or(chosen)
    };
    worst(&|onset| onset.has_before && !is_within(onset))
        .map(outermost)
        .or_else(|| worst(&|onset| !onset.has_before && onset.end_unix_ns.is_some()))
}

/// Baseline and regression for the onset at place `chosen`; `starts` are the sorted starts of all traces.
///
/// The guard between them is where the onset may lie by its resamples, and before it the time that a request takes.
pub(super) fn windows(
    onsets: &[Onset],
    chosen: usize,
    data: Window,
    starts: &[i64],
    in_flight_ns: i64,
) -> (Window, Window) {
    let onset = &onsets[chosen];
    if let (false, Some(end_unix_ns)) = (onset.has_before, onset.end_unix_ns) {
        return (stable_after(onsets, end_unix_ns, data.end_unix_ns), Window { end_unix_ns, ..data });
    }
    let end_unix_ns = onset.end_unix_ns.unwrap_or(data.end_unix_ns);
    let guard = |length: i64, wanted: i64| wanted.clamp(0, share(length, MAX_GUARD_SHARE));
    let late = guard(end_unix_ns.saturating_sub(onset.start_unix_ns), onset.latest_unix_ns - onset.start_unix_ns);
    let regression = Window { start_unix_ns: onset.start_unix_ns.saturating_add(late), end_unix_ns };
    let before = stable_before(onsets, data.start_unix_ns, onset.start_unix_ns, starts);
    let early = (onset.start_unix_ns - onset.earliest_unix_ns).max(in_flight_ns);
    let early = if before.end_unix_ns == onset.start_unix_ns { guard(before.duration_ns(), early) } else { 0 };
    let baseline = Window { end_unix_ns: before.end_unix_ns.saturating_sub(early), ..before };
    // A guard that keeps no trace out only makes the windows harder to read, and where traces are few, each counts more
    // than the doubt.
    let is_kept = |whole: Window, part: Window| (1..count(starts, whole)).contains(&count(starts, part));
    let whole = Window { start_unix_ns: onset.start_unix_ns, end_unix_ns };
    (
        if is_kept(before, baseline) { baseline } else { before },
        if is_kept(whole, regression) { regression } else { whole },
    )
}

/// From `start` to the next onset.
fn stable_after(onsets: &[Onset], start_unix_ns: i64, end_unix_ns: i64) -> Window {
    let next = onsets.iter().map(|onset| onset.start_unix_ns).find(|&next| next > start_unix_ns);
    Window { start_unix_ns, end_unix_ns: next.unwrap_or(end_unix_ns) }
}

/// The last long stretch from `start` to `end` that holds no onset, no incident and no recovery.
pub(super) fn stable_before(onsets: &[Onset], start: i64, end: i64, starts: &[i64]) -> Window {
    let mut stretches = Vec::new();
    let mut free = start;
    let mut incidents: Vec<(i64, i64)> = onsets
        .iter()
        .filter(|onset| onset.start_unix_ns < end)
        .map(|onset| {
            let begin = if onset.has_before { onset.start_unix_ns } else { start };
            (begin, onset.end_unix_ns.unwrap_or(i64::MAX))
        })
        .collect();
    incidents.sort_unstable();
    for (begin, over) in incidents {
        if begin > free {
            stretches.push(Window { start_unix_ns: free, end_unix_ns: begin.min(end) });
        }
        free = free.max(over);
    }
    if free < end {
        stretches.push(Window { start_unix_ns: free, end_unix_ns: end });
    }
    let largest = stretches.iter().map(|&stretch| count(starts, stretch)).max().unwrap_or(0);
    let is_long = |stretch: &&Window| {
        let n_traces = count(starts, **stretch);
        n_traces > 0 && n_traces as f64 >= MIN_SHARE * largest as f64
    };
    stretches.iter().rev().find(is_long).copied().unwrap_or(Window { start_unix_ns: start, end_unix_ns: end })
}

fn count(starts: &[i64], window: Window) -> usize {
    let before = |moment: i64| starts.partition_point(|&start| start < moment);
    before(window.end_unix_ns).saturating_sub(before(window.start_unix_ns))
}

#[expect(clippy::cast_possible_truncation, reason = "a share of a 64-bit length fits")]
fn share(length_ns: i64, share: f64) -> i64 {
    (length_ns.max(0) as f64 * share) as i64
}

#[cfg(test)]
mod tests {
    use super::{Onset, most_severe};

    fn onset(start_unix_ns: i64, end_unix_ns: Option<i64>, severity: f64) -> Onset {
        Onset {
            start_unix_ns,
            end_unix_ns,
            earliest_unix_ns: start_unix_ns,
            latest_unix_ns: start_unix_ns,
            confidence: 1.0,
            tolerance_ns: 0,
            p_value: 0.0,
            severity,
            has_before: true,
            is_analysed: false,
            signals: Vec::new(),
        }
    }

    #[test]
    fn an_incident_that_grows_began_with_what_lasts_as_long_and_not_with_its_first_peak() {
        let (peak, whole) = (onset(10, Some(20), 0.6), onset(11, None, 0.9));
        assert_eq!(most_severe(&[peak.clone(), whole.clone()]), Some(1));
        assert_eq!(most_severe(&[onset(10, None, 0.6), whole.clone()]), Some(0));
        assert_eq!(most_severe(&[onset(10, Some(30), 0.6), onset(11, Some(30), 0.9)]), Some(0));
        // What is much less severe is another matter.
        assert_eq!(most_severe(&[onset(10, None, 0.4), whole]), Some(1));
    }
}
