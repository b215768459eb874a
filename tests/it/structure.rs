//! What changed in what requests are made of, on traces worked by hand; each rule with an innocent twin.

use crate::builder::{Given, analysed, client, internal, server};
use std::ops::Range;
use suspect::analysis::{Analysis, StructureChange};
use suspect::compare::Estimate;
use suspect::compare::ratio::{self, Presence, Ratio};
use suspect::compare::structure::Kind;
use suspect::rank::Verdict;

/// Traces a window: enough for any test to tell all of them from none.
const N: usize = 20;

fn all(trace: &[Given]) -> Vec<Vec<Given>> {
    vec![trace.to_vec(); N]
}

fn change(baseline: &[Given], regression: &[Given]) -> Analysis {
    analysed(&all(baseline), &all(regression))
}

/// `kind: caller > callee, before -> after, +ms` of every change.
fn lines(analysis: &Analysis) -> Vec<String> {
    let name = |change: &StructureChange| {
        let text = |known: &suspect::analysis::Operation| format!("{} {}", known.service, known.operation);
        match (&change.caller, &change.callee) {
            (Some(caller), Some(callee)) => format!("{} > {}", text(caller), text(callee)),
            (Some(caller), None) => text(caller),
            (None, _) => change.service.clone(),
        }
    };
    let line = |change: &StructureChange| {
        let rate = change.calls_per_visit;
        format!(
            "{:?}: {}, {:.3} -> {:.3}, {:+.1} ms",
            change.kind,
            name(change),
            rate.baseline,
            rate.regression,
            change.contribution_ms
        )
    };
    analysis.structure.iter().map(line).collect()
}

#[track_caller]
fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-9 * expected.abs().max(1.0), "{actual} is not {expected}");
}

fn plain() -> Vec<Given> {
    vec![server(1, 0, "shop page", 0..4)]
}

/// The page with a call of 7 ms to audit, 5 of them its own.
fn audited() -> Vec<Given> {
    vec![server(1, 0, "shop page", 0..11), client(2, 1, "shop POST", 2..9), server(3, 2, "audit log", 3..8)]
}

#[test]
fn a_new_call_is_priced_with_all_below_it_and_named_once() {
    let analysis = change(&plain(), &audited());
    assert_eq!(lines(&analysis), ["NewCall: shop page > audit POST, 0.000 -> 1.000, +7.0 ms"]);
    let new = &analysis.structure[0];
    assert_close(new.share_affected, 1.0);
    assert_close(new.requests_affected, 20.0);
    // Fisher: 2 / C(40, 20) = 2 / 137846528820, the only one of two tests that is not 1: doubled.
    assert!(new.q <= 2.0 * 2.0 / 137_846_528_820.0 * 1.000_001, "{}", new.q);
    assert_eq!((analysis.suspects[0].service.as_str(), analysis.suspects[0].kind.as_str()), ("shop", "new call"));
    assert!(analysis.suspects[0].reason.contains("which it did not before"), "{}", analysis.suspects[0].reason);
}

#[test]
fn a_call_that_a_single_request_made_is_not_gone_when_none_makes_it() {
    // One of 20 requests made it, none of 20: half of all such draws look so.
    let mut before = all(&plain());
    before[7] = audited();
    assert_eq!(lines(&analysed(&before, &all(&plain()))), [""; 0]);
}

#[test]
fn a_call_in_a_share_of_requests_is_counted_in_that_share() {
    // A quarter of the requests made it, three quarters do: half of them differ.
    let mixed = |n_audited: usize| [vec![audited(); n_audited], vec![plain(); 40 - n_audited]].concat();
    let analysis = analysed(&mixed(10), &mixed(30));
    assert_eq!(lines(&analysis), ["MoreCalls: shop page > audit POST, 0.250 -> 0.750, +3.5 ms"]);
    assert_close(analysis.structure[0].share_affected, 0.5);
    // numpy: c = [1] * 10 + [0] * 30; var = 40 / 39 * sum((c - .25)**2) / 40**2 = .004807692 in each window.
    let [low, high] = analysis.structure[0].interval;
    assert!((high - low - 2.0 * 1.959_964 * (2.0_f64 * 0.004_807_692).sqrt()).abs() < 1e-6, "{low}..{high}");
}

#[test]
fn what_an_entry_did_that_nobody_calls_any_more_is_not_gone() {
    let report =
        || vec![server(1, 0, "shop report", 0..9), client(2, 1, "shop POST", 1..8).attribute("peer.service", "pdf")];
    let before = [all(&plain()), all(&report())].concat();
    assert_eq!(lines(&analysed(&before, &all(&plain()))), [""; 0]);
}

/// One of two entries leads to the catalog, which asks its database `n_calls` times.
fn by_way_of(entry: &str, n_calls: i64) -> Vec<Given> {
    let end = 2 * n_calls + 6;
    let mut spans = vec![
        server(1, 0, &format!("gateway {entry}"), 0..end),
        client(2, 1, "gateway GET", 1..end - 1),
        server(3, 2, "catalog list", 2..end - 2),
    ];
    let query = |number: i64| {
        client(4 + number.unsigned_abs(), 3, "catalog SELECT", 3 + 2 * number..5 + 2 * number)
            .attribute("db.system.name", "mysql")
    };
    spans.extend((0..n_calls).map(query));
    spans
}

#[test]
fn other_ways_to_the_same_operation_are_no_change_of_what_it_does() {
    // Calls per visit of `catalog list` on the whole: 1.5 before, 3.5 after. By each way as before.
    let mix = |n_home: usize| [vec![by_way_of("home", 1); n_home], vec![by_way_of("search", 5); 40 - n_home]].concat();
    assert_eq!(lines(&analysed(&mix(35), &mix(15))), [""; 0]);
}

/// The page looks up a cart, then prices, then writes; `n_steps` of the three, 2 ms each, after a millisecond of its own.
fn steps(n_steps: i64, own: i64) -> Vec<Given> {
    let step = |(number, name): (i64, &str)| {
        let time = 1 + 2 * number..3 + 2 * number;
        let id = 2 + 2 * number.unsigned_abs();
        [client(id, 1, &format!("shop {name}"), time.clone()), server(id + 1, id, &format!("{name} work"), time)]
    };
    let names = (0..n_steps).zip(["cart", "prices", "orders"]);
    let mut spans = vec![server(1, 0, "shop page", 0..2 * n_steps + own)];
    spans.extend(names.flat_map(step));
    spans
}

#[test]
fn of_all_calls_that_a_faster_request_leaves_out_the_first_is_the_clue() {
    let analysis = change(&steps(3, 1), &steps(1, 1));
    assert_eq!(lines(&analysis), ["EarlyReturn: shop page > prices prices, 1.000 -> 0.000, -4.0 ms"]);
    assert_eq!(analysis.structure[0].n_other_callees, 1);
    assert_eq!((analysis.verdict, analysis.services[0].service.as_str()), (Verdict::Regression, "shop"));
    assert_eq!(analysis.services[0].kind, "early return");
}

#[test]
fn of_calls_that_are_missing_below_each_other_only_the_topmost_is_found() {
    // gateway -> shop -> cart: shop ends before it calls cart, and what cart calls is missing with it.
    let deep = |ends_early: bool| {
        let end = if ends_early { 4 } else { 14 };
        let mut spans = vec![
            server(1, 0, "gateway page", 0..end),
            client(2, 1, "gateway GET", 1..end - 1),
            server(3, 2, "shop page", 1..end - 1),
        ];
        if !ends_early {
            spans.extend([
                client(4, 3, "shop GET", 2..12),
                server(5, 4, "cart list", 3..11),
                client(6, 5, "cart SELECT", 4..10).attribute("db.system.name", "redis"),
            ]);
        }
        spans
    };
    assert_eq!(
        lines(&change(&deep(false), &deep(true))),
        ["EarlyReturn: shop page > cart GET, 1.000 -> 0.000, -10.0 ms"]
    );
}

#[test]
fn a_call_that_is_left_out_by_a_request_that_takes_as_long_is_gone_and_no_early_return() {
    // What the call did is done in the page itself: 7 ms as before.
    assert_eq!(
        lines(&change(&steps(3, 1), &steps(2, 3))),
        ["GoneCall: shop page > orders orders, 1.000 -> 0.000, -2.0 ms"]
    );
}

/// A page with queries of 2 ms at `starts`.
fn queries(starts: &[i64]) -> Vec<Given> {
    let end = starts.iter().max().map_or(2, |last| last + 3);
    let mut spans = vec![server(1, 0, "shop page", 0..end)];
    let query =
        |(id, &start): (u64, &i64)| client(id, 1, "shop SELECT", start..start + 2).attribute("db.system.name", "mysql");
    spans.extend((2..).zip(starts).map(query));
    spans
}

#[test]
fn a_loop_of_queries_one_after_the_other_is_n_plus_one_and_side_by_side_it_is_not() {
    let looped = change(&queries(&[1]), &queries(&[1, 3, 5, 7, 9, 11, 13, 15]));
    assert_eq!(lines(&looped), ["NPlusOne: shop page > mysql SELECT, 1.000 -> 8.000, +14.0 ms"]);
    assert_eq!((looped.services[0].service.as_str(), looped.services[0].kind.as_str()), ("shop", "N+1"));
    let parallel = change(&queries(&[1]), &queries(&[1; 8]));
    assert!(lines(&parallel)[0].starts_with("MoreCalls: shop page > mysql SELECT, 1.000 -> 8.000"), "{parallel:?}");
    // Twice where it was once is more, and no loop.
    let twice = change(&queries(&[1]), &queries(&[1, 3]));
    assert_eq!(lines(&twice), ["MoreCalls: shop page > mysql SELECT, 1.000 -> 2.000, +2.0 ms"]);
    // A loop that got shorter leaves out nothing that anybody misses.
    let fewer = change(&queries(&[1, 3, 5, 7]), &queries(&[1, 3]));
    assert_eq!(lines(&fewer), ["FewerCalls: shop page > mysql SELECT, 4.000 -> 2.000, -4.0 ms"]);
    assert!(fewer.suspects.is_empty());
}

/// A checkout that tries a charge `n_tries` times, 4 ms each, all but the last in vain unless `gives_up`.
fn tries(n_tries: u64, gives_up: bool) -> Vec<Given> {
    let mut spans = vec![server(1, 0, "shop checkout", 0..2 + 5 * n_tries.cast_signed())];
    for number in 0..n_tries {
        let start = 1 + 5 * number.cast_signed();
        let (ask, answer) = (
            client(2 + 2 * number, 1, "shop POST", start..start + 4),
            server(3 + 2 * number, 2 + 2 * number, "bank charge", start + 1..start + 3),
        );
        let fails = number + 1 < n_tries || gives_up;
        spans.extend(if fails { [ask.failed(), answer.failed()] } else { [ask, answer] });
    }
    spans
}

#[test]
fn repeated_failures_are_a_retry_storm_of_the_callee_and_failures_alone_are_not() {
    let storm = change(&tries(1, false), &tries(4, false));
    // Three more tries of 4 ms, each a millisecond after the one before.
    assert_eq!(lines(&storm), ["RetryStorm: shop checkout > bank POST, 0.000 -> 3.000, +15.0 ms"]);
    assert_eq!((storm.services[0].service.as_str(), storm.services[0].kind.as_str()), ("bank", "retry storm"));
    assert_eq!(lines(&change(&tries(1, false), &tries(1, true))), [""; 0]);
}

/// A page that calls a and b.
fn page(end: i64, a: Range<i64>, b: Range<i64>) -> Vec<Given> {
    vec![
        server(1, 0, "shop page", 0..end),
        client(2, 1, "shop GET a", a.clone()),
        server(3, 2, "a get", a),
        client(4, 1, "shop GET b", b.clone()),
        server(5, 4, "b get", b),
    ]
}

#[test]
fn calls_that_run_one_after_the_other_lost_their_parallelism() {
    // a's 3 ms ran behind b's 5: 3 of 8 ms hidden, now none.
    let analysis = change(&page(7, 1..4, 1..6), &page(10, 1..4, 4..9));
    assert_eq!(lines(&analysis), ["LostParallelism: shop page, 0.375 -> 0.000, +3.0 ms"]);
    assert_eq!(
        (analysis.services[0].service.as_str(), analysis.services[0].kind.as_str()),
        ("shop", "lost parallelism")
    );
}

#[test]
fn a_call_that_comes_to_light_because_the_longer_one_got_faster_is_still_parallel() {
    // 5 of 16 ms were hidden, 3 of 8 are.
    assert_eq!(lines(&change(&page(13, 1..12, 1..6), &page(7, 1..4, 1..6))), [""; 0]);
}

/// A page that asks the catalog, which leaves its span or not.
fn asks(is_answered: bool, fails: bool, took: i64) -> Vec<Given> {
    let ask = client(2, 1, "shop GET", 1..1 + took).attribute("peer.service", "catalog");
    let page = server(1, 0, "shop page", 0..2 + took);
    let mut spans = if fails { vec![page.failed(), ask.failed()] } else { vec![page, ask] };
    if is_answered {
        spans.push(server(3, 2, "catalog list", 2..took));
    }
    spans
}

#[test]
fn a_service_whose_spans_vanish_while_its_callers_fail_is_silent_and_the_suspect() {
    let analysis = change(&asks(true, false, 10), &asks(false, true, 10));
    assert_eq!(lines(&analysis), ["Silent: catalog, 1.000 -> 0.000, +0.0 ms"]);
    assert_eq!(analysis.services[0].service, "catalog");
    assert_eq!(analysis.services[0].kind, "silent");
    assert!(analysis.summary.starts_with("catalog does not answer: +100.0 points"), "{}", analysis.summary);
}

#[test]
fn a_service_whose_spans_vanish_while_its_callers_do_as_well_as_before_is_only_unobserved() {
    let analysis = change(&asks(true, false, 10), &asks(false, false, 10));
    assert_eq!(lines(&analysis), ["Unobserved: catalog, 1.000 -> 0.000, +0.0 ms"]);
    assert_ne!(analysis.verdict, Verdict::Regression);
    assert!(analysis.suspects.is_empty());
}

#[test]
fn a_service_that_always_left_out_some_spans_or_is_asked_less_is_not_silent() {
    let some = |n_answered: usize, n_not: usize| {
        [vec![asks(true, false, 10); n_answered], vec![asks(false, false, 10); n_not]].concat()
    };
    assert_eq!(lines(&analysed(&some(30, 10), &some(28, 12))), [""; 0]);
    // A tenth of the traffic, and every call is answered.
    assert_eq!(lines(&analysed(&some(40, 0), &some(4, 0))), [""; 0]);
}

#[test]
fn calls_that_end_at_a_limit_while_the_callee_goes_on_or_never_starts_are_timeouts() {
    let waits = |answer: Option<Range<i64>>, took: i64, fails: bool| {
        let mut spans = asks(false, fails, took);
        spans.extend(answer.map(|answer| server(3, 2, "catalog list", answer)));
        spans
    };
    let well = waits(Some(2..20), 20, false);
    for answer in [Some(2..5_000), None] {
        let analysis = analysed(&all(&well), &all(&waits(answer, 1_000, true)));
        let timeout = analysis.structure.iter().find(|change| change.kind == Kind::Timeouts).expect("a timeout");
        assert_eq!((timeout.service.as_str(), timeout.limit_ms), ("catalog", Some(1_000.0)));
        assert_close(timeout.calls_per_visit.regression, 1.0);
        // Every request waits 1000 ms in a call that is given up.
        assert_close(timeout.contribution_ms, 1_000.0);
        assert_eq!(analysis.services[0].service, "catalog");
    }
    // Failures at any duration have no limit in common.
    let scattered: Vec<Vec<Given>> = (0..20).map(|number| waits(None, 100 + 37 * number, true)).collect();
    let analysis = analysed(&all(&well), &scattered);
    assert!(analysis.structure.iter().all(|change| change.kind != Kind::Timeouts), "{:?}", lines(&analysis));
    // Refusals at once pile up, and good calls last longer than they.
    let refused = analysed(&all(&well), &all(&waits(None, 12, true)));
    assert!(refused.structure.iter().all(|change| change.kind != Kind::Timeouts), "{:?}", lines(&refused));
}

#[test]
fn work_of_the_page_itself_is_no_call_that_anybody_misses_where_it_stays() {
    let inner = |took: i64| vec![server(1, 0, "shop page", 0..took + 2), internal(2, 1, "shop render", 1..took + 1)];
    assert_eq!(lines(&change(&inner(3), &inner(9))), [""; 0]);
}

#[test]
fn a_ratio_has_the_variance_of_survey_sampling() {
    // numpy: c = np.array([2, 0, 3, 1, 4]); v = np.array([1, 1, 2, 1, 3]); R = c.sum() / v.sum() = 1.25
    //        5 / 4 * ((c - R * v)**2).sum() / v.sum()**2 = 0.048828125
    let mut ratio = Ratio::default();
    for (counted, possible) in [(2.0, 1.0), (0.0, 1.0), (3.0, 2.0), (1.0, 1.0), (4.0, 3.0)] {
        ratio.add(counted, possible, 1.0);
    }
    assert_close(ratio.value(), 1.25);
    assert_close(ratio.variance(), 0.048_828_125);
    // Counting later is the same as counting at once.
    let mut later = Ratio::default();
    for (counted, possible) in [(2.0, 1.0), (0.0, 1.0), (3.0, 2.0), (1.0, 1.0), (4.0, 3.0)] {
        later.add(0.0, possible, 1.0);
        later.count(counted, possible, 1.0);
    }
    assert_close(later.variance(), ratio.variance());
}

#[test]
fn chances_of_a_change_agree_with_scipy() {
    let presence = |n_traces, n_with| Presence { n_traces, n_with };
    let estimate = |value| Estimate::new(value, 0.1);
    // scipy.stats.hypergeom.sf(7, 100, 8, 50) * 2: all 8 of 8 calls in one of two windows of 50.
    let p = ratio::p_value(estimate(0.16), [presence(50, 0), presence(50, 8)]);
    assert!((p / 0.005_770_162 - 1.0).abs() < 1e-3, "{p}");
    // scipy.stats.t.sf(2.5, 10) * 2 for 12 traces that make the call.
    let p = ratio::p_value(estimate(0.25), [presence(50, 4), presence(50, 8)]);
    assert!((p / 0.031_446_8 - 1.0).abs() < 1e-4, "{p}");
    // No two windows of two traces each can be told apart: 2 / C(4, 2).
    let p = ratio::p_value(Estimate::new(5.0, 0.0), [presence(2, 2), presence(2, 2)]);
    assert!((p - 1.0 / 3.0).abs() < 1e-9, "{p}");
}
