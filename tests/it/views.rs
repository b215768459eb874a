//! Typical and slowest requests beside the mean, and what chance can do: known answers worked by hand.

use crate::builder::{Given, analysed, client, forest, internal, server};
use suspect::analysis::{Analysis, Finding};
use suspect::compare::views::tail_weights;
use suspect::rank::{Channel, Verdict};

/// gateway calls catalog, which takes `own` ms; 20 ms of the gateway's own and 2 on the way.
fn page(own: i64) -> Vec<Given> {
    vec![
        server(1, 0, "gateway page", 0..own + 22),
        client(2, 1, "gateway GET", 10..own + 12),
        server(3, 2, "catalog list", 11..own + 11),
    ]
}

/// Pages whose catalog takes so many ms.
fn pages(own: impl IntoIterator<Item = i64>) -> Vec<Vec<Given>> {
    own.into_iter().map(page).collect()
}

fn finding(analysis: &Analysis, service: &str, channel: Channel) -> Option<Finding> {
    let ranked = analysis.services.iter().find(|ranked| ranked.service == service)?;
    ranked.findings.iter().find(|finding| finding.channel == channel).copied()
}

#[track_caller]
fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-6, "{actual} is not {expected}");
}

#[track_caller]
fn assert_rows_sum(analysis: &Analysis) {
    for decomposition in [&analysis.decomposition, &analysis.typical, &analysis.tail] {
        let sum: f64 = decomposition.rows.iter().map(|row| row.contribution_ms).sum();
        assert_close(sum, decomposition.change_ms);
        assert_close(decomposition.change_ms, decomposition.regression_mean_ms - decomposition.baseline_mean_ms);
    }
}

#[test]
fn a_wild_call_in_the_baseline_does_not_hide_that_every_call_got_slower() {
    // catalog: 60 ms a call, once 10,000; then 110 ms. Mean: (19 * 60 + 10,000) / 20 = 557 -> 110, which is 447 less. Three of four
    // calls take at most 60 and 110, so the wild one counts 110: (19 * 60 + 110) / 20 = 62.5 -> 110, which is 47.5 more.
    let mut baseline = [60; 20];
    baseline[11] = 10_000;
    let analysis = analysed(&pages(baseline), &pages([110; 20]));
    assert_rows_sum(&analysis);
    assert_close(analysis.decomposition.change_ms, -447.0);
    assert_close(analysis.typical.change_ms, 47.5);
    assert_eq!(analysis.verdict, Verdict::Regression, "{}", analysis.summary);
    assert_eq!(analysis.services[0].service, "catalog");
    let found = finding(&analysis, "catalog", Channel::TypicalLatency).expect("typical calls");
    assert!(found.is_significant);
    assert_close(found.change, 47.5);
    assert!(finding(&analysis, "catalog", Channel::Latency).is_none(), "the mean fell");
    // The mean says 557 -> 110 ms; what it is accused of is told as it was found.
    let suspect = &analysis.suspects[0];
    assert!(
        suspect.reason.starts_with("in typical requests")
            && suspect.reason.contains("110 ms a call instead of 62.5 ms"),
        "{}",
        suspect.reason
    );
}

#[test]
fn a_wild_call_in_the_regression_does_not_make_a_regression_of_ordinary_calls() {
    // One call of 10 s is no more than chance: all others are as fast as before.
    let mut regression = [60; 40];
    regression[11] = 10_000;
    let analysis = analysed(&pages([60; 40]), &pages(regression));
    assert_rows_sum(&analysis);
    assert_close(analysis.decomposition.change_ms, 9_940.0 / 40.0);
    assert_close(analysis.typical.change_ms, 0.0);
    assert_ne!(analysis.verdict, Verdict::Regression, "{}", analysis.summary);
}

/// Requests without calls, one after the other: operation, ms and sampling rate of each.
fn requests(given: impl IntoIterator<Item = (&'static str, i64, Option<&'static str>)>) -> Vec<Given> {
    (1..)
        .zip(given)
        .map(|(trace, (operation, ms, rate))| {
            let span = server(1, 0, &format!("gateway {operation}"), 0..ms).trace(trace).later(100_000 * trace);
            rate.into_iter().fold(span, |span, rate| span.attribute("sample_rate", rate))
        })
        .collect()
}

/// Traces that have a tail weight, and the weight.
fn weighed(weights: &[f64]) -> Vec<(usize, f64)> {
    let all = weights.iter().copied().enumerate();
    all.filter(|&(_, weight)| weight > 0.0).map(|(trace, weight)| (trace, (weight * 1e9).round() / 1e9)).collect()
}

#[test]
fn the_tail_of_each_entry_is_its_slowest_twentieth_and_weighs_as_much_as_all_its_requests() {
    // Traces 0 to 29 are reads of 1 to 30 ms, 30 to 38 are writes of 101 to 109 ms, 39 is one of 10. 5 % of 30 reads are 1.5 requests:
    // the slowest counts in full, 1 / .05 = 20, the next by half, .5 / .05 = 10. 5 % of 10 writes are half of the slowest:
    // .5 / .05 = 10. Though most writes are slower than all reads, the reads have a tail of their own.
    let reads = (1..=30).map(|ms| ("read", ms, None));
    let writes = (101..=109).chain([10]).map(|ms| ("write", ms, None));
    let (_, forest, _) = forest(&requests(reads.chain(writes)));
    let all: Vec<u32> = (0..40).collect();
    let expected = [(28, 10.0), (29, 20.0), (38, 10.0)];
    assert_eq!(weighed(&tail_weights(&forest, [&all, &[]])), expected);
    // Each window has tails of its own: the first 20 reads make one request's worth, the others and the writes half of one each.
    assert_eq!(
        weighed(&tail_weights(&forest, [&all[..20], &all[20..]])),
        [(19, 20.0), (29, 10.0), (38, 10.0)],
        "windows apart"
    );
}

#[test]
fn the_tail_counts_requests_by_their_sampling_weights_and_ties_by_their_place() {
    // Ten requests of 10 ms that stand for 2 each and the last, of 5 ms, for 20: 5 % of 40 are 2 requests, which is the first of the slowest.
    let slow = (0..10).map(|_| ("read", 10, Some("2")));
    let (_, forest, _) = forest(&requests(slow.chain([("read", 5, Some("20"))])));
    let all: Vec<u32> = (0..11).collect();
    assert_eq!(weighed(&tail_weights(&forest, [&all, &[]])), [(0, 40.0)]);
}

#[test]
fn one_request_in_25_that_became_much_slower_shows_in_the_tail() {
    // 200 requests of 82 ms; in the regression each 25th takes a second more in catalog. The slowest 5 % are 10 requests, 8 of them
    // slow: the tail rises by 800 ms, the mean by 40, what three of four calls take not at all.
    let regression = (1..=200).map(|index| if index % 25 == 0 { 1_060 } else { 60 });
    let analysis = analysed(&pages([60; 200]), &pages(regression));
    assert_rows_sum(&analysis);
    assert_close(analysis.tail.change_ms, 800.0);
    assert_close(analysis.decomposition.change_ms, 40.0);
    assert_close(analysis.typical.change_ms, 0.0);
    assert_eq!(analysis.verdict, Verdict::Regression, "{}", analysis.summary);
    assert_eq!(analysis.services[0].service, "catalog");
    let found = finding(&analysis, "catalog", Channel::TailLatency).expect("the slowest requests");
    assert!(found.is_significant, "{found:?}");
    assert_close(found.change, 800.0);
    // Which channel tells the suspect is whichever weighs most; that it is told by its own figures is what counts.
    let told = &analysis.suspects[0].reason;
    let by_tail =
        told.starts_with("in the slowest 5 % of requests") && told.contains("860 ms a call instead of 60.0 ms");
    assert!(by_tail || told.contains("100 ms a call instead of 60.0 ms"), "{told}");
}

/// 150 requests of 80 ms in the catalog, those in `slow` of 180.
fn slow_at(slow: impl Fn(i64) -> bool) -> Vec<Vec<Given>> {
    pages((0..150).map(|index| if slow(index) { 180 } else { 80 }))
}

/// Runs of 15 requests.
fn runs(starts: &[i64]) -> impl Fn(i64) -> bool {
    move |index| starts.iter().any(|&start| (start..start + 15).contains(&index))
}

// Of 150 requests 30 are slow, then 60: the mean rises by 100 ms * (.4 - .2) = 20 ms. Were requests independent, its error would be
// 100 ms * sqrt((.2 * .8 + .4 * .6) / 150) = 5.2 ms, a rise of 3.9 errors.

#[test]
fn slow_stretches_that_come_in_bursts_are_no_regression_though_there_are_more_of_them() {
    // Two bursts, then four: as counts of bursts they differ by 2 / sqrt(2 + 4) = 0.8 errors.
    let analysis = analysed(&slow_at(runs(&[21, 98])), &slow_at(runs(&[8, 44, 90, 121])));
    assert_close(analysis.decomposition.change_ms, 20.0);
    assert_ne!(analysis.verdict, Verdict::Regression, "{}", analysis.summary);
}

#[test]
fn the_same_rise_spread_evenly_is_a_regression() {
    // Each fifth, then two of five.
    let analysis = analysed(&slow_at(|index| index % 5 == 0), &slow_at(|index| index % 5 < 2));
    assert_close(analysis.decomposition.change_ms, 20.0);
    assert_eq!(analysis.verdict, Verdict::Regression, "{}", analysis.summary);
    assert_eq!(analysis.services[0].service, "catalog");
    assert!(finding(&analysis, "catalog", Channel::Latency).is_some_and(|found| found.is_significant));
}

#[test]
fn an_operation_that_certainly_got_slower_is_accused_although_another_of_its_service_got_noisily_faster() {
    // list: 50 ms and up to 2 of wobble, then 70. search: 0, 40, ..., 400 ms in no order, then 0, 37, ..., 370: 15 ms less on average,
    // with an error of 100 ms or more over sqrt(66) twice, 20 ms. The service as a whole rises by 5 ms, give or take 20.
    let trace = |index: i64, list: i64, search: i64| {
        let list = list + index % 3;
        let search = (index * 7 % 11) * search;
        vec![
            server(1, 0, "catalog page", 0..list + search + 20),
            internal(2, 1, "catalog list", 10..10 + list),
            internal(3, 1, "catalog search", 10 + list..10 + list + search),
        ]
    };
    let baseline: Vec<_> = (0..66).map(|index| trace(index, 50, 40)).collect();
    let regression: Vec<_> = (0..66).map(|index| trace(index, 70, 37)).collect();
    let analysis = analysed(&baseline, &regression);
    assert_rows_sum(&analysis);
    assert_close(analysis.decomposition.change_ms, 5.0);
    assert_eq!(analysis.verdict, Verdict::Regression, "{}", analysis.summary);
    assert_eq!(analysis.services[0].service, "catalog");
    assert!(analysis.services[0].is_significant);
    assert_eq!(analysis.suspects[0].operation.as_deref(), Some("list"));
    assert_close(analysis.suspects[0].contribution_ms, 20.0);
}

/// Requests to one entry, which its callee makes take so many ms.
fn entries(entry: &str, callee: &str, own: impl IntoIterator<Item = i64>) -> Vec<Vec<Given>> {
    let spans = |own: i64| {
        vec![
            server(1, 0, &format!("gateway {entry}"), 0..own + 2),
            client(2, 1, &format!("gateway call {entry}"), 1..own + 1),
            server(3, 2, &format!("{callee} {entry}"), 1..own + 1),
        ]
    };
    own.into_iter().map(spans).collect()
}

fn jittered(n: i64, own: i64) -> impl Iterator<Item = i64> {
    (0..n).map(move |number| own + number % 3)
}

#[test]
fn a_rare_request_that_became_far_slower_is_worth_a_word_beside_many_long_ones() {
    // 40 ms more in a tenth of the requests: 4 ms of a mean of 280, less than the 2 % that are worth reporting of all.
    let often = || entries("page", "catalog", jittered(90, 300));
    let before = [often(), entries("pay", "bank", jittered(10, 20))].concat();
    let after = [often(), entries("pay", "bank", jittered(10, 60))].concat();
    let analysis = analysed(&before, &after);
    assert_eq!(analysis.verdict, Verdict::Regression, "{}", analysis.summary);
    assert_eq!(analysis.services[0].service, "bank");
    // Half a millisecond of a request of twenty is not.
    let after = [often(), entries("pay", "bank", jittered(10, 21))].concat();
    assert_eq!(analysed(&before, &after).verdict, Verdict::NoSignificantChange);
}

#[test]
fn who_is_slowest_in_the_slowest_requests_does_not_outvote_who_made_all_slower() {
    // The catalog takes 20 ms more in all requests, the gateway 70 ms more in one of ten.
    let page = |own: i64, gateway: i64| {
        vec![
            server(1, 0, "gateway page", 0..own + gateway),
            client(2, 1, "gateway GET", gateway - 1..own + gateway - 1),
            server(3, 2, "catalog list", gateway - 1..own + gateway - 1),
        ]
    };
    let before: Vec<_> = jittered(100, 30).map(|own| page(own, 10)).collect();
    let waits = |number: usize| if number.is_multiple_of(10) { 80 } else { 10 };
    let after: Vec<_> = jittered(100, 50).enumerate().map(|(number, own)| page(own, waits(number))).collect();
    let analysis = analysed(&before, &after);
    assert!(finding(&analysis, "gateway", Channel::TailLatency).is_some_and(|finding| finding.is_significant));
    let ranked: Vec<&str> = analysis.services.iter().map(|ranked| ranked.service.as_str()).collect();
    assert_eq!(ranked, ["catalog", "gateway"]);
}

#[test]
fn requests_that_no_longer_come_are_told_and_make_no_all_clear() {
    let before = [entries("page", "catalog", jittered(60, 20)), entries("pay", "bank", jittered(40, 20))].concat();
    let analysis = analysed(&before, &entries("page", "catalog", jittered(60, 20)));
    assert_eq!(analysis.verdict, Verdict::Inconclusive);
    let told = "requests hardly come any more to gateway: pay (40 -> 0 requests)";
    assert!(analysis.summary.contains(told), "{}", analysis.summary);
    assert!(analysis.diagnostics.warnings[0].starts_with(told), "{:?}", analysis.diagnostics.warnings);
    // A few less are none of that.
    let after = [entries("page", "catalog", jittered(60, 20)), entries("pay", "bank", jittered(30, 20))].concat();
    assert_eq!(analysed(&before, &after).verdict, Verdict::NoSignificantChange);
}

#[test]
fn fewer_requests_to_all_entries_alike_may_be_a_window_that_reaches_beyond_the_data() {
    let before = [entries("page", "catalog", jittered(300, 20)), entries("pay", "bank", jittered(200, 20))].concat();
    let after = [entries("page", "catalog", jittered(30, 20)), entries("pay", "bank", jittered(20, 20))].concat();
    let analysis = analysed(&before, &after);
    assert_eq!(analysis.verdict, Verdict::NoSignificantChange, "{}", analysis.summary);
    // Nor are there fewer of what others only come more often beside.
    let before = [entries("page", "catalog", jittered(60, 20)), entries("pay", "bank", jittered(40, 20))].concat();
    let after = [entries("page", "catalog", jittered(600, 20)), entries("pay", "bank", jittered(40, 20))].concat();
    assert!(!analysed(&before, &after).summary.contains("hardly come"), "{}", analysed(&before, &after).summary);
}

#[test]
fn only_what_the_baseline_never_called_is_told_as_new() {
    let page = |answer: &str, own: i64| {
        vec![
            server(1, 0, "gateway page", 0..own + 4),
            client(2, 1, "gateway GET", 1..own + 3),
            server(3, 2, answer, 2..own + 2),
        ]
    };
    let pages = |answer: &str, own: i64| vec![page(answer, own); 40];
    let reason = |before: Vec<Vec<Given>>, after: Vec<Vec<Given>>| analysed(&before, &after).suspects[0].reason.clone();
    let renamed = reason(pages("catalog list", 10), pages("catalog list v2", 30));
    assert_eq!(renamed, "list v2, which is new, takes 30.0 ms a call: +20.0 ms a request beside what it replaces");
    let instant = reason(pages("catalog list", 0), pages("catalog list", 20));
    assert_eq!(instant, "list itself takes 20.0 ms a call instead of 0.000 ms");
}

#[test]
fn requests_of_which_none_has_a_counterpart_are_no_traffic_mix() {
    let analysis = analysed(&entries("v1", "catalog", jittered(60, 20)), &entries("v2", "catalog", jittered(60, 40)));
    assert_eq!(analysis.verdict, Verdict::Inconclusive);
    let told = "; none of the baseline's requests are to entry operations that both windows have";
    assert!(analysis.summary.contains(told), "{}", analysis.summary);
}

#[test]
fn failures_out_of_none_are_told_from_chance_by_both_windows_together() {
    let fails = |n: usize, failing: usize| -> Vec<Vec<Given>> {
        let failed = |spans: Vec<Given>| spans.into_iter().map(Given::failed).collect();
        let pages = entries("page", "catalog", jittered(i64::try_from(n).expect("few"), 20));
        pages.into_iter().enumerate().map(|(number, page)| if number < failing { failed(page) } else { page }).collect()
    };
    let errors = |n: [usize; 2], failing: usize| {
        let analysis = analysed(&fails(n[0], 0), &fails(n[1], failing));
        analysis.degradation.p.errors
    };
    // scipy.stats.chi2_contingency([[300, 0], [88, 12]], correction=False): 9e-10, and [[20, 0], [380, 20]]: 0.30.
    assert!(errors([300, 100], 12) < 1e-7);
    assert!(errors([20, 400], 20) > 0.2);
}
