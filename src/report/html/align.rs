//! Two traces row by row: spans on the same call path stand beside each other.
//!
//! Below spans that are alike, the first child on a path of one trace is matched with the first on the same path of the
//! other, the second with the second, and so on. Rows keep the order of the slow trace; what only the other has comes
//! where it would have been.

use crate::analysis::{SpanView, TraceView};
use std::collections::BTreeMap;

/// A span of either trace, or one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Place in the baseline's trace.
    pub(super) baseline: Option<usize>,
    /// Place in the regression's trace.
    pub(super) regression: Option<usize>,
}

/// Spans as a tree by their depth.
struct Tree<'a> {
    spans: &'a [SpanView],
    children: Vec<Vec<usize>>,
    tops: Vec<usize>,
}

impl<'a> Tree<'a> {
    fn of(spans: &'a [SpanView]) -> Self {
        let (mut children, mut tops) = (vec![Vec::new(); spans.len()], Vec::new());
        let mut above: Vec<usize> = Vec::new();
        for (index, span) in spans.iter().enumerate() {
            while above.last().is_some_and(|&last| spans[last].depth >= span.depth) {
                above.pop();
            }
            match above.last() {
                Some(&parent) => children[parent].push(index),
                None => tops.push(index),
            }
            above.push(index);
        }
        Self { spans, children, tops }
    }

    /// What spans that are alike share: their path, or where there is none their name.
    fn key(&self, span: usize) -> (u32, &str, &str) {
        let span = &self.spans[span];
        if span.path == u32::MAX { (span.path, &span.service, &span.operation) } else { (span.path, "", "") }
    }
}

/// Rows for both traces, or for one alone.
pub(super) fn align(baseline: Option<&TraceView>, regression: &TraceView) -> Vec<Row> {
    let none: &[SpanView] = &[];
    let trees = [Tree::of(baseline.map_or(none, |view| &view.spans)), Tree::of(&regression.spans)];
    let mut rows = Vec::with_capacity(trees[0].spans.len().max(trees[1].spans.len()));
    // An explicit stack: a document from elsewhere may hold a trace as deep as it is long. Last in, first out.
    let mut open = merged(&trees, &trees[0].tops, &trees[1].tops);
    while let Some(row) = open.pop() {
        rows.push(row);
        let children =
            |tree: &Tree<'_>, span: Option<usize>| span.map_or_else(Vec::new, |span| tree.children[span].clone());
        open.extend(merged(&trees, &children(&trees[0], row.baseline), &children(&trees[1], row.regression)));
    }
    rows
}

/// Siblings of both traces matched, the last first.
fn merged(trees: &[Tree<'_>; 2], baseline: &[usize], regression: &[usize]) -> Vec<Row> {
    let mut partners: BTreeMap<(u32, &str, &str), Vec<usize>> = BTreeMap::new();
    for (place, &span) in baseline.iter().enumerate().rev() {
        partners.entry(trees[0].key(span)).or_default().push(place);
    }
    let mut is_matched = vec![false; baseline.len()];
    let matched: Vec<(usize, Option<usize>)> = regression
        .iter()
        .map(|&span| {
            let place = partners.get_mut(&trees[1].key(span)).and_then(Vec::pop);
            if let Some(place) = place {
                is_matched[place] = true;
            }
            (span, place)
        })
        .collect();
    let mut rows = Vec::new();
    let mut next = 0;
    let mut alone = |until: usize, rows: &mut Vec<Row>| {
        while next < until {
            if !is_matched[next] {
                rows.push(Row { baseline: Some(baseline[next]), regression: None });
            }
            next += 1;
        }
    };
    for (span, place) in matched {
        if let Some(place) = place {
            alone(place, &mut rows);
        }
        rows.push(Row { baseline: place.map(|place| baseline[place]), regression: Some(span) });
    }
    alone(baseline.len(), &mut rows);
    rows.reverse();
    rows
}

#[cfg(test)]
mod tests {
    use super::{Row, align};
    use crate::analysis::{SpanView, TraceView};
    use crate::span::SpanKind;

    fn view(spans: &[(u32, u32)]) -> TraceView {
        let span = |&(path, depth): &(u32, u32)| SpanView {
            path,
            depth,
            service: String::new(),
            operation: String::new(),
            kind: SpanKind::Internal,
            is_error: false,
            start_ms: 0.0,
            duration_ms: 1.0,
            blamed_ms: Vec::new(),
            suspect_ms: Vec::new(),
        };
        TraceView {
            trace_id: String::new(),
            start_unix_ns: 0,
            duration_ms: 1.0,
            suspect_ms: 0.0,
            n_spans_left_out: 0,
            spans: spans.iter().map(span).collect(),
        }
    }

    fn rows(baseline: &[(u32, u32)], regression: &[(u32, u32)]) -> Vec<(Option<usize>, Option<usize>)> {
        let rows = align(Some(&view(baseline)), &view(regression));
        rows.into_iter().map(|Row { baseline, regression }| (baseline, regression)).collect()
    }

    #[test]
    fn calls_on_one_path_are_matched_in_order_and_extra_ones_stand_alone() {
        let rows = rows(&[(1, 0), (2, 1), (3, 1)], &[(1, 0), (2, 1), (2, 1), (3, 1)]);
        assert_eq!(rows, [(Some(0), Some(0)), (Some(1), Some(1)), (None, Some(2)), (Some(2), Some(3))]);
    }

    #[test]
    fn siblings_that_changed_places_are_still_matched() {
        let rows = rows(&[(1, 0), (2, 1), (3, 1)], &[(1, 0), (3, 1), (2, 1)]);
        assert_eq!(rows, [(Some(0), Some(0)), (Some(2), Some(1)), (Some(1), Some(2))]);
    }

    #[test]
    fn what_only_the_baseline_has_stands_where_it_was_with_all_below_it() {
        let rows = rows(&[(1, 0), (2, 1), (4, 2), (3, 1)], &[(1, 0), (3, 1)]);
        assert_eq!(rows, [(Some(0), Some(0)), (Some(1), None), (Some(2), None), (Some(3), Some(1))]);
    }

    #[test]
    fn every_span_has_one_row_however_deep_the_trace() {
        let deep: Vec<(u32, u32)> = (0..50_000).map(|depth| (depth, depth)).collect();
        let rows = rows(&deep, &deep[..40_000]);
        assert_eq!(rows.len(), 50_000);
        assert_eq!(rows[39_999], (Some(39_999), Some(39_999)));
        assert_eq!(rows[40_000], (Some(40_000), None));
    }
}
