//! Rankings that need no thought, to measure the analysis against.

use crate::compare::Selection;
use crate::normalize::{Forest, NO_PARENT};
use crate::stats::quantile;
use std::collections::BTreeMap;

/// Largest rise of an operation's 95th percentile of inclusive duration, as a ratio: what a dashboard shows.
pub const INCLUSIVE_P95: &str = "p95_ratio";
/// Largest rise of the self time per trace: duration less the union of the children.
pub const SELF_TIME: &str = "self_time";

/// Services by each rule, best first; ties by name. Only services that report spans have durations to go by.
#[must_use]
pub fn rankings(forest: &Forest, selection: &Selection) -> BTreeMap<String, Vec<String>> {
    [(INCLUSIVE_P95, inclusive_p95(forest, selection)), (SELF_TIME, self_time(forest, selection))]
        .into_iter()
        .map(|(rule, scores)| (rule.to_owned(), by_score(forest, scores)))
        .collect()
}

fn by_score(forest: &Forest, scores: Vec<f64>) -> Vec<String> {
    let mut ranked: Vec<(f64, &str)> = scores
        .into_iter()
        .zip(forest.services.iter())
        .filter(|(_, service)| !service.is_inferred)
        .map(|(score, service)| (score, service.name.as_str()))
        .collect();
    ranked.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    ranked.into_iter().map(|(_, name)| name.to_owned()).collect()
}

fn inclusive_p95(forest: &Forest, selection: &Selection) -> Vec<f64> {
    let windows = [&selection.baseline, &selection.regression].map(|traces| {
        let mut durations = vec![Vec::new(); forest.operations.len()];
        for span in traces.iter().flat_map(|&trace| forest.spans_of(trace as usize)) {
            let duration_ns = forest.end_ns[span].saturating_sub(forest.start_ns[span]);
            durations[forest.operation[span] as usize].push(duration_ns as f64);
        }
        durations
            .into_iter()
            .map(|mut durations: Vec<f64>| {
                durations.sort_unstable_by(f64::total_cmp);
                quantile(&durations, 0.95)
            })
            .collect::<Vec<Option<f64>>>()
    });
    let mut ratios = vec![0.0_f64; forest.services.len()];
    for ((operation, before), after) in forest.operations.iter().zip(&windows[0]).zip(&windows[1]) {
        if let (Some(before), Some(after)) = (before, after) {
            let ratio = &mut ratios[operation.service as usize];
            *ratio = ratio.max(after / before.max(1.0));
        }
    }
    ratios
}

fn self_time(forest: &Forest, selection: &Selection) -> Vec<f64> {
    let [before, after] = [&selection.baseline, &selection.regression].map(|traces| {
        let mut sums = vec![0.0; forest.services.len()];
        let mut children: Vec<(u32, i64, i64)> = Vec::new();
        for &trace in traces {
            let spans = forest.spans_of(trace as usize);
            children.clear();
            let below = spans.clone().filter(|&span| forest.parent[span] != NO_PARENT);
            children.extend(below.map(|span| (forest.parent[span], forest.start_ns[span], forest.end_ns[span])));
            children.sort_unstable();
            let mut next = children.as_slice();
            for (position, span) in (0_u32..).zip(spans) {
                let (own, rest) = next.split_at(next.partition_point(|&(parent, ..)| parent <= position));
                next = rest;
                let (start, end) = (forest.start_ns[span], forest.end_ns[span]);
                let (mut covered_ns, mut until) = (0_i64, start);
                for &(_, child_start, child_end) in own {
                    let (child_start, child_end) = (child_start.max(until), child_end.min(end));
                    if child_end > child_start {
                        covered_ns += child_end - child_start;
                        until = child_end;
                    }
                }
                let service = forest.operations[forest.operation[span] as usize].service;
                sums[service as usize] += end.saturating_sub(start).saturating_sub(covered_ns) as f64;
            }
        }
        let n_traces = traces.len().max(1) as f64;
        sums.into_iter().map(|sum| sum / n_traces).collect::<Vec<f64>>()
    });
    before.into_iter().zip(after).map(|(before, after)| after - before).collect()
}
