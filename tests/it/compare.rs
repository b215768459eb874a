//! The change of the mean latency and of the failing share: whose it is, worked by hand on tiny traces.

mod failing;
mod hidden;
mod network;
mod renamed;

use crate::builder::{EPOCH_NS, Given, client, forest, frame, internal, server, span};
use proptest::prelude::*;
use std::collections::BTreeMap;
use suspect::analysis;
use suspect::compare::attribute::Subject;
use suspect::compare::paths::{CostTable, cost_table};
use suspect::compare::{Comparison, Selection, compare};
use suspect::ingest::Ingested;
use suspect::normalize::Forest;
use suspect::span::{SpanKind, schema};
use suspect::window;

const MINUTE_MS: i64 = 60_000;
/// The regression begins this long after the baseline.
const HOUR_MS: i64 = 60 * MINUTE_MS;

struct Outcome {
    forest: Forest,
    table: CostTable,
    comparison: Comparison,
}

/// Gives each trace an id and a time of its own, those of the regression an hour later.
fn windows(baseline: &[Vec<Given>], regression: &[Vec<Given>]) -> Vec<Given> {
    let at = |window: i64, traces: &[Vec<Given>]| -> Vec<Given> {
        let trace = |(minute, spans): (i64, &Vec<Given>)| -> Vec<Given> {
            let id = 1 + window * 1_000 + minute;
            spans.iter().map(|span| span.clone().trace(id).later(window * HOUR_MS + minute * MINUTE_MS)).collect()
        };
        (0..).zip(traces).flat_map(trace).collect()
    };
    [at(0, baseline), at(1, regression)].concat()
}

fn outcome(baseline: &[Vec<Given>], regression: &[Vec<Given>]) -> Outcome {
    let (_, forest, _) = forest(&windows(baseline, regression));
    // Traces are in order of start.
    let last = u32::try_from(forest.n_traces()).expect("few traces");
    let split = u32::try_from(baseline.len()).expect("few traces");
    let selection = Selection { baseline: (0..split).collect(), regression: (split..last).collect() };
    let table = cost_table(&forest);
    let comparison = compare(&forest, &table, &selection);
    Outcome { forest, table, comparison }
}

/// One trace a window.
fn change(baseline: Vec<Given>, regression: Vec<Given>) -> Outcome {
    outcome(&[baseline], &[regression])
}

/// `name +1.234` for every value that is not zero, by name.
fn lines(values: impl IntoIterator<Item = (String, f64)>) -> Vec<String> {
    let mut sums = BTreeMap::<String, f64>::new();
    for (name, value) in values {
        *sums.entry(name).or_default() += value;
    }
    sums.retain(|_, value| value.abs() > 1e-9);
    sums.into_iter().map(|(name, value)| format!("{name} {value:+.3}")).collect()
}

impl Outcome {
    fn service(&self, index: u32) -> &str {
        &self.forest.services[index as usize].name
    }

    fn operation(&self, index: u32) -> String {
        let operation = self.forest.operations[index as usize];
        format!("{}: {}", self.service(operation.service), self.forest.operation_name(operation))
    }

    fn subject(&self, subject: u32) -> String {
        let attribution = &self.comparison.attribution;
        match attribution.subjects[subject as usize] {
            Subject::Operation(service, name) => format!("{}: {}", self.service(service), self.forest.name(name)),
            Subject::Edge(caller, callee) => {
                let blamed = self.service(attribution.blamed[subject as usize]);
                format!("{} -> {} at {blamed}", self.service(caller), self.service(callee))
            }
        }
    }

    /// Subject, what it calls if the row is about that, cause and milliseconds of each row.
    fn rows(&self) -> Vec<String> {
        let rows = self.comparison.attribution.rows.iter().zip(&self.comparison.rows);
        lines(rows.map(|(key, row)| {
            let callee = key.callee.map_or_else(String::new, |callee| format!(" > {}", self.operation(callee)));
            (format!("{}{callee} {:?}", self.subject(key.subject), key.cause), row.value / 1e6)
        }))
    }

    /// Milliseconds of each service.
    fn services(&self) -> Vec<String> {
        let services = self.forest.services.iter().zip(&self.comparison.services);
        lines(services.map(|(service, estimate)| (service.name.clone(), estimate.value / 1e6)))
    }

    /// Change of the failing share of requests, a subject where they began to fail.
    fn failures(&self) -> Vec<String> {
        lines((0..).zip(&self.comparison.failures).map(|(subject, estimate)| (self.subject(subject), estimate.value)))
    }

    fn swallowed(&self) -> Vec<String> {
        let path = |&(_, path): &(u32, u32)| self.operation(self.table.paths.list[path as usize].operation);
        self.table.swallowed.iter().map(path).collect()
    }

    fn change_ms(&self) -> f64 {
        self.comparison.change_ns.value / 1e6
    }

    fn mix_ms(&self) -> f64 {
        self.comparison.mix_ns.value / 1e6
    }

    /// What rows and mix leave of the change, milliseconds.
    fn remainder_ms(&self) -> f64 {
        let rows: f64 = self.comparison.rows.iter().map(|row| row.value).sum();
        self.change_ms() - self.mix_ms() - rows / 1e6
    }
}

#[track_caller]
fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
}

/// gateway calls catalog, which takes `own` ms; a millisecond each on the way there and back and in the gateway before and after.
fn gateway_and_catalog(own: i64) -> Vec<Given> {
    vec![
        server(1, 0, "gateway page", 0..own + 4),
        client(2, 1, "gateway GET", 1..own + 3),
        server(3, 2, "catalog list", 2..own + 2),
    ]
}

#[test]
fn time_of_its_own_is_charged_to_the_service_that_takes_it_and_not_to_its_callers() {
    // 10 ms: 2 gateway, 2 on the way, 6 catalog. 15 ms: 2 + 2 + 11. All spans are 5 ms longer, one is slower.
    let outcome = change(gateway_and_catalog(6), gateway_and_catalog(11));
    assert_eq!(outcome.rows(), ["catalog: list Slower +5.000"]);
    assert_eq!(outcome.services(), ["catalog +5.000"]);
    assert_close(outcome.change_ms(), 5.0);
    assert_close(outcome.mix_ms(), 0.0);
}

#[test]
fn two_windows_of_the_same_requests_have_no_rows() {
    let outcome = change(gateway_and_catalog(6), gateway_and_catalog(6));
    assert!(outcome.rows().is_empty() && outcome.services().is_empty());
    assert_close(outcome.change_ms(), 0.0);
}

/// A page with `n_calls` queries of `call` ms one after the other, a millisecond of its own before and after.
fn page_with_queries(n_calls: i64, call: i64) -> Vec<Given> {
    let mut spans = vec![server(1, 0, "shop page", 0..n_calls * call + 2)];
    spans.extend((0..n_calls).zip(2..).map(|(index, id)| {
        client(id, 1, "shop SELECT", 1 + index * call..1 + (index + 1) * call).attribute("db.system.name", "postgresql")
    }));
    spans
}

#[test]
fn more_calls_a_visit_are_charged_to_the_caller() {
    // 1 call of 2 ms becomes 4: 3 more * 2 ms. Each is as fast as before: the database is not to blame.
    let outcome = change(page_with_queries(1, 2), page_with_queries(4, 2));
    assert_eq!(outcome.rows(), ["shop: page > shop: SELECT Calls +6.000"]);
    assert_eq!(outcome.services(), ["shop +6.000"]);
}

#[test]
fn more_calls_that_are_faster_each_are_split_between_caller_and_callee() {
    // Calls k: 1 -> 4, wait w: 2 -> 1. D(k w) = 4 - 2 = 2 = Dk w_bar + k_bar Dw = 3 * 1.5 + 2.5 * -1.
    let outcome = change(page_with_queries(1, 2), page_with_queries(4, 1));
    assert_eq!(outcome.rows(), ["postgresql: SELECT Peer -2.500", "shop: page > shop: SELECT Calls +4.500"]);
    assert_close(outcome.change_ms(), 2.0);
}

#[test]
fn three_factors_that_change_at_once_are_split_by_their_shapley_values() {
    // Before: one step of 4 ms, waited for. After: two of 8 and 6 ms, the shorter hidden behind the longer.
    // kappa 1 -> 2, q 1 -> 1/2, I 4 -> 8; means 1.5, .75, 6; changes 1, -.5, 4; the page's own 2 ms stay.
    //   calls     1 * (.75 * 6 + -.5 * 4 / 12) =  4.333
    //   critical  -.5 * (1.5 * 6 + 1 * 4 / 12) = -4.667
    //   slower    (1.5 * .75 + 1 * -.5 / 12) * 4 = 4.333      in all 4 = 10 - 6
    // Calls as such went from 4 to 7 ms; that the one waited for is longer, 8 / 7, is (4 + 7) / 2 * (8 / 7 - 1) = .786 of the 4 ms.
    let before = vec![server(1, 0, "shop page", 0..6), internal(2, 1, "shop step", 1..5)];
    let after =
        vec![server(1, 0, "shop page", 0..10), internal(2, 1, "shop step", 1..9), internal(3, 1, "shop step", 2..8)];
    let outcome = change(before, after);
    let expected =
        ["shop: page > shop: step Calls +4.333", "shop: step CriticalPath -3.815", "shop: step Slower +3.482"];
    assert_eq!(outcome.rows(), expected);
    assert_close(outcome.change_ms(), 4.0);
}

/// A checkout whose charge fails, is tried again after `backoff` ms and then succeeds. Each try takes 4 ms, 2 of them the bank's.
fn charged_again(backoff: i64) -> Vec<Given> {
    let again = 5 + backoff;
    vec![
        server(1, 0, "shop checkout", 0..again + 5),
        client(2, 1, "shop POST", 1..5).failed(),
        server(3, 2, "bank charge", 2..4).failed(),
        client(4, 1, "shop POST", again..again + 4),
        server(5, 4, "bank charge", again + 1..again + 3),
    ]
}

fn charged_once() -> Vec<Given> {
    vec![server(1, 0, "shop checkout", 0..6), client(2, 1, "shop POST", 1..5), server(3, 2, "bank charge", 2..4)]
}

#[test]
fn a_retry_and_the_wait_before_it_are_charged_to_the_callee_that_failed() {
    // 6 ms become 15: 5 ms of waiting and 4 ms of a second try.
    let outcome = change(charged_once(), charged_again(5));
    assert_eq!(outcome.rows(), ["bank: POST Retry +9.000"]);
    assert_eq!(outcome.services(), ["bank +9.000"]);
    // A wait that only gets longer is no other matter: 5 -> 8 ms.
    let outcome = change(charged_again(5), charged_again(8));
    assert_eq!(outcome.rows(), ["bank: POST Retry +3.000"]);
}

/// A page that calls a and b.
fn page(end: i64, a: std::ops::Range<i64>, b: std::ops::Range<i64>) -> Vec<Given> {
    vec![
        server(1, 0, "shop page", 0..end),
        client(2, 1, "shop GET a", a.clone()),
        server(3, 2, "a get", a),
        client(4, 1, "shop GET b", b.clone()),
        server(5, 4, "b get", b),
    ]
}

#[test]
fn calls_that_no_longer_run_side_by_side_are_charged_to_the_caller() {
    //   before  a |---|        3 ms, hidden behind b's 5        after  a |---|
    //           b |-----|                                              b     |-----|
    let outcome = change(page(7, 1..4, 1..6), page(10, 1..4, 4..9));
    assert_eq!(outcome.rows(), ["shop: page LostParallelism +3.000"]);
    assert_eq!(outcome.services(), ["shop +3.000"]);
}

#[test]
fn calls_that_are_waited_for_only_when_they_are_long_did_not_get_faster_when_they_always_are() {
    // Side by side the longer of 2 and 6 ms is waited for, one after the other both are: 6 -> 8 ms.
    let before = [page(8, 1..3, 1..7), page(8, 1..7, 1..3)];
    let after = [page(10, 1..3, 3..9), page(10, 1..7, 7..9)];
    let there = outcome(&before, &after);
    assert_eq!(there.rows(), ["shop: page LostParallelism +2.000"]);
    let back = outcome(&after, &before);
    assert_eq!(back.rows(), ["shop: page LostParallelism -2.000"]);
}

#[test]
fn calls_that_only_their_longest_are_waited_for_of_beside_a_slow_one_did_not_get_slower() {
    // a takes 2, 6 or 10 ms, b 4 and then 8: requests take 4, 6 and 10 ms, then 8, 8 and 10.
    let requests = |b: i64| [2, 6, 10].map(|a: i64| page(2 + a.max(b), 1..1 + a, 1..1 + b));
    let outcome = outcome(&requests(4), &requests(8));
    assert_close(outcome.change_ms(), 2.0);
    assert_eq!(outcome.rows(), ["b: get Slower +2.000"]);
}

#[test]
fn a_call_that_begins_a_little_before_the_one_beside_it_changes_nothing_of_that() {
    // The same with 20, 60 and 100 ms and 40, then 80, where b begins 1 ms after a: requests take 43, 62 and 102 ms, then 83, 83 and 102. Where b is
    // waited for, the first millisecond is the shop's: in one of three requests, then in two.
    let requests = |b: i64| [20, 60, 100].map(|a: i64| page(2 + a.max(1 + b), 1..1 + a, 2..2 + b));
    let outcome = outcome(&requests(40), &requests(80));
    assert_close(outcome.change_ms(), 61.0 / 3.0);
    assert_eq!(outcome.rows(), ["b: get Slower +20.000", "shop: page Slower +0.333"]);
}

#[test]
fn a_callee_that_got_slower_and_so_became_the_critical_path_is_charged_for_what_that_adds() {
    //   before  a |---|        3 ms, hidden behind b's 5        after  a |-----------|   11 ms
    //           b |-----|                                              b |-----|         hidden
    let outcome = change(page(7, 1..4, 1..6), page(13, 1..12, 1..6));
    assert_eq!(outcome.rows(), ["a: get Slower +6.000"]);
    assert_eq!(outcome.services(), ["a +6.000"]);
    assert_close(outcome.change_ms(), 6.0);
}

#[test]
fn what_a_callee_that_got_faster_lays_bare_is_charged_to_it() {
    //   before  a |---|        3 ms, hidden behind b's 5        after  a |---|
    //           b |-----|                                              b |--|            hidden
    let outcome = change(page(7, 1..4, 1..6), page(5, 1..4, 1..3));
    assert_eq!(outcome.rows(), ["b: get Slower -2.000"]);
    assert_close(outcome.change_ms(), -2.0);
}

#[test]
fn what_became_the_critical_path_because_something_below_it_got_slower_is_charged_to_that() {
    // a asks c, and takes 1 ms before and after.
    let asks = |end: i64, a: std::ops::Range<i64>| {
        let c = a.start + 1..a.end - 1;
        [page(end, a, 1..6), vec![client(6, 3, "a GET c", c.clone()), server(7, 6, "c get", c)]].concat()
    };
    // One of two requests waits for a, the other for b's 5 ms; then c takes 9 ms instead of 1 or 5, and both wait for a.
    // c on the way: 3 quarters of 4 ms; a waited for: half of 9 ms; b no longer: half of 5 ms.
    let outcome = outcome(&[asks(7, 1..4), asks(9, 1..8)], &[asks(13, 1..12), asks(13, 1..12)]);
    assert_close(outcome.change_ms(), 5.0);
    assert_eq!(outcome.rows(), ["c: get Slower +5.000"]);
    assert_eq!(outcome.services(), ["c +5.000"]);
}

/// A page that asks b, and a, which asks c `n_calls` times, one after the other for so long.
fn page_of(n_calls: i64, c_ms: i64) -> Vec<Given> {
    let a_end = 3 + n_calls * c_ms;
    let mut spans = page(1 + a_end.max(20), 1..a_end, 1..20);
    for call in 0..n_calls {
        let c = 2 + call * c_ms..2 + (call + 1) * c_ms;
        let id = 10 + 2 * call.cast_unsigned();
        spans.extend([client(id, 3, "a GET c", c.clone()), server(id + 1, id, "c get", c)]);
    }
    spans
}

#[test]
fn what_nobody_waited_for_is_charged_for_what_made_it_longer_than_what_hid_it() {
    // a takes 7 ms and b 19, so that no request waits for a; then c takes 45 ms instead of 5, or is asked nine times.
    for (slower, row) in [(page_of(1, 45), "c: get Slower +28.000"), (page_of(9, 5), "a: get > a: GET c Calls +28.000")]
    {
        let there = outcome(&[page_of(1, 5), page_of(1, 5)], &[slower.clone(), slower.clone()]);
        assert_eq!(there.rows(), [row]);
        // And back, where it is the regression that waits for b.
        let back = outcome(&[slower.clone(), slower], &[page_of(1, 5), page_of(1, 5)]);
        assert_eq!(back.rows(), [row.replace('+', "-")]);
    }
    // a asks c and e at once, where nobody waits for it, and then one after the other: that is no slowness of either.
    let asks = |c: std::ops::Range<i64>, e: std::ops::Range<i64>, a_end: i64| {
        let below = [client(6, 3, "a GET c", c.clone()), server(7, 6, "c get", c)];
        let beside = [client(8, 3, "a GET e", e.clone()), server(9, 8, "e get", e)];
        [page(1 + a_end.max(20), 1..a_end, 1..20).as_slice(), &below, &beside].concat()
    };
    let there = outcome(&[asks(2..17, 2..17, 18)], &[asks(2..17, 17..32, 33)]);
    assert_eq!(there.rows(), ["a: GET a CriticalPath +13.000"]);
    // b takes less, so that a is waited for, which takes as long as before.
    let there = outcome(&[page(21, 1..8, 1..20)], &[page(9, 1..8, 1..3)]);
    assert_eq!(there.rows(), ["b: get Slower -12.000"]);
}

#[test]
fn calls_of_a_few_visits_that_are_waited_for_as_often_as_before_are_charged_when_they_take_longer() {
    // In one of four requests a asks c and is waited for; c takes 65 ms instead of 25.
    let requests = |c_ms: i64| [page_of(1, c_ms), page_of(0, 0), page_of(0, 0), page_of(0, 0)];
    let outcome = outcome(&requests(25), &requests(65));
    assert_eq!(outcome.rows(), ["c: get Slower +10.000"]);
}

fn entry(name: &str, took: i64) -> Vec<Given> {
    vec![server(1, 0, &format!("shop {name}"), 0..took)]
}

fn repeated(traces: &[(usize, Vec<Given>)]) -> Vec<Vec<Given>> {
    traces.iter().flat_map(|(n_times, trace)| vec![trace.clone(); *n_times]).collect()
}

#[test]
fn a_shift_to_dearer_requests_is_traffic_mix_and_nobodys_fault() {
    // Mean (3 * 2 + 10) / 4 = 4 becomes (2 + 3 * 10) / 4 = 8.
    let before = repeated(&[(3, entry("browse", 2)), (1, entry("buy", 10))]);
    let after = repeated(&[(1, entry("browse", 2)), (3, entry("buy", 10))]);
    let outcome = outcome(&before, &after);
    assert_close(outcome.change_ms(), 4.0);
    assert_close(outcome.mix_ms(), 4.0);
    assert!(outcome.rows().is_empty(), "{:?}", outcome.rows());
    assert!(outcome.services().is_empty(), "{:?}", outcome.services());
}

#[test]
fn a_shift_to_dearer_requests_that_also_got_slower_is_split() {
    // Mean 4 becomes (2 + 3 * 12) / 4 = 9.5. Mix: -.5 * (2 - 6.75) + .5 * (11 - 6.75) = 4.5. Slower: .5 * 2 = 1.
    let before = repeated(&[(3, entry("browse", 2)), (1, entry("buy", 10))]);
    let after = repeated(&[(1, entry("browse", 2)), (3, entry("buy", 12))]);
    let outcome = outcome(&before, &after);
    assert_close(outcome.change_ms(), 5.5);
    assert_close(outcome.mix_ms(), 4.5);
    assert_eq!(outcome.rows(), ["shop: buy Slower +1.000"]);
}

#[test]
fn an_entry_that_is_new_is_traffic_mix() {
    // Mean 2 becomes (2 + 10) / 2 = 6.
    let outcome =
        outcome(&repeated(&[(2, entry("browse", 2))]), &repeated(&[(1, entry("browse", 2)), (1, entry("buy", 10))]));
    assert_close(outcome.mix_ms(), 4.0);
    assert!(outcome.rows().is_empty(), "{:?}", outcome.rows());
}

#[test]
fn a_path_of_one_window_only_is_wholly_structural() {
    // A new call of 7 ms: 2 on the way, 5 in audit. Nothing got slower: there is no before to be slower than.
    let without = || vec![server(1, 0, "shop page", 0..4)];
    let with =
        || vec![server(1, 0, "shop page", 0..11), client(2, 1, "shop POST", 2..9), server(3, 2, "audit log", 3..8)];
    let new = change(without(), with());
    assert_eq!(new.rows(), ["shop: page > shop: POST Calls +7.000"]);
    assert_eq!(new.services(), ["shop +7.000"]);
    let gone = change(with(), without());
    assert_eq!(gone.rows(), ["shop: page > shop: POST Calls -7.000"]);
    // In one request of two it costs half.
    let half = outcome(&[without(), without()], &[without(), with()]);
    assert_eq!(half.rows(), ["shop: page > shop: POST Calls +3.500"]);
}

#[test]
fn a_trace_of_weight_two_counts_as_two_traces() {
    let fast = || gateway_and_catalog(6);
    let slow = || gateway_and_catalog(12);
    let weigh = |trace: Vec<Given>, key, value| -> Vec<Given> {
        trace.into_iter().map(|span| span.attribute(key, value)).collect()
    };
    // Before: catalog takes 6 ms. After: twice 6 and once 12, in the mean 8.
    let twice = outcome(&[fast()], &[fast(), fast(), slow()]);
    assert_eq!(twice.rows(), ["catalog: list Slower +2.000"]);
    let unweighted = outcome(&[fast()], &[fast(), slow()]);
    assert_eq!(unweighted.rows(), ["catalog: list Slower +3.000"]);
    // Thresholds of 2^56: `8` rejects half, so that one stands for two; `0` rejects none.
    for (key, one, two) in [(schema::TRACESTATE, "ot=th:0", "ot=th:8"), ("sample_rate", "1", "2")] {
        let weighted = outcome(&[weigh(fast(), key, one)], &[weigh(fast(), key, two), weigh(slow(), key, one)]);
        assert_eq!(weighted.rows(), twice.rows(), "{key}");
        assert_close(weighted.change_ms(), twice.change_ms());
    }
    // All sampled alike is as if none were sampled.
    let sampled = outcome(
        &[weigh(fast(), "sample_rate", "10")],
        &[weigh(fast(), "sample_rate", "10"), weigh(slow(), "sample_rate", "10")],
    );
    assert_eq!(sampled.rows(), unweighted.rows());
}

/// A span of a random tree; positions and lengths are percent of the parent.
#[derive(Clone, Debug)]
struct Node {
    parent: usize,
    service: u8,
    operation: u8,
    kind: SpanKind,
    start: i64,
    length: i64,
    failed: bool,
}

fn node() -> impl Strategy<Value = Node> {
    let kind = prop::sample::select(vec![
        SpanKind::Unspecified,
        SpanKind::Internal,
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ]);
    (0..8_usize, 0..4_u8, 0..3_u8, kind, 0..110_i64, 0..130_i64, prop::bool::weighted(0.3)).prop_map(
        |(parent, service, operation, kind, start, length, failed)| Node {
            parent,
            service,
            operation,
            kind,
            start,
            length,
            failed,
        },
    )
}

fn tree() -> impl Strategy<Value = Vec<Given>> {
    let root = (0..3_u8, 10..200_i64, prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    (root, prop::collection::vec(node(), 0..12), prop::option::of(1..5_u8)).prop_map(
        |((entry, took, failed, is_orphan), nodes, weight)| {
            let host =
                |span: Given, service: u8| span.resource("host.name", ["h0", "h1", "h2", "h3"][usize::from(service)]);
            let mut times: Vec<std::ops::Range<i64>> = std::iter::once(0..took).collect();
            let top = server(1, if is_orphan { 999 } else { 0 }, &format!("s0 entry{entry}"), 0..took);
            let mut spans = vec![host(if failed { top.failed() } else { top }, 0)];
            for (id, node) in (2..).zip(nodes) {
                let parent = node.parent % times.len();
                let (from, length) = (times[parent].start, times[parent].end - times[parent].start);
                let start = from + length * node.start / 100;
                let time = start..start + length * node.length / 100;
                let name = format!("s{} op{}", node.service, node.operation);
                let own = host(span(node.kind, id, parent as u64 + 1, &name, time.clone()), node.service);
                spans.push(if node.failed { own.failed() } else { own });
                times.push(time);
            }
            match weight {
                Some(weight) => {
                    let text = weight.to_string();
                    spans.into_iter().map(|span| span.attribute("sample_rate", &text)).collect()
                }
                None => spans,
            }
        },
    )
}

fn two_windows() -> impl Strategy<Value = (Vec<Vec<Given>>, Vec<Vec<Given>>)> {
    (prop::collection::vec(tree(), 1..6), prop::collection::vec(tree(), 1..6))
}

/// The whole analysis as JSON.
fn document(spans: &[Given]) -> String {
    let prepared = analysis::prepare(None, Ingested { frame: frame(spans), sources: Vec::new() });
    let at = |minutes: i64| EPOCH_NS + minutes * 60_000_000_000;
    let options = window::Options {
        baseline: Some(format!("{}..{}", at(-1), at(30))),
        regression: Some(format!("{}..{}", at(59), at(90))),
    };
    let (windows, selection) = prepared.select(&options).expect("windows with traces");
    let analysis = analysis::analyze(&prepared, &windows, &selection).expect("an analysis");
    serde_json::to_string_pretty(&analysis).expect("JSON")
}

fn on_threads(n_threads: usize, spans: &[Given]) -> String {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool");
    pool.install(|| document(spans))
}

/// The first line in which two texts differ.
fn first_difference(left: &str, right: &str) -> Option<(String, String)> {
    let pair = left.lines().zip(right.lines()).find(|(left, right)| left != right);
    pair.map(|(left, right)| (left.to_owned(), right.to_owned()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_and_mix_always_sum_to_the_change((baseline, regression) in two_windows()) {
        let outcome = outcome(&baseline, &regression);
        let effects = &outcome.comparison.effects;
        prop_assert!(effects.residual_ns().abs() < 1.0, "residual {} ns", effects.residual_ns());
        prop_assert!(outcome.remainder_ms().abs() < 1e-6, "remainder {} ms", outcome.remainder_ms());
        let change = (effects.regression_mean_ns - effects.baseline_mean_ns) / 1e6;
        prop_assert!((outcome.change_ms() - change).abs() < 1e-6);
        // Failures are split without remainder, too.
        let (failures, mix) = outcome.comparison.attribution.failure_changes(
            &outcome.table.paths,
            [&outcome.comparison.baseline, &outcome.comparison.regression],
            outcome.comparison.scope,
        );
        prop_assert!((failures.iter().sum::<f64>() + mix - outcome.comparison.failure_change.value).abs() < 1e-9);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_the_order_of_rows_nor_the_number_of_threads_changes_a_byte(
        (spans, shuffled) in two_windows().prop_flat_map(|(baseline, regression)| {
            let spans = windows(&baseline, &regression);
            (Just(spans.clone()), Just(spans).prop_shuffle())
        })
    ) {
        let one = on_threads(1, &spans);
        prop_assert_eq!(first_difference(&one, &on_threads(2, &spans)), None);
        prop_assert_eq!(first_difference(&one, &on_threads(2, &shuffled)), None);
    }
}

#[test]
fn calls_of_one_name_are_told_apart_by_whom_they_ask() {
    let page = |n_first: i64, n_second: i64| -> Vec<Given> {
        let mut spans = vec![server(1, 0, "shop page", 0..10 * (n_first + n_second) + 2)];
        for call in 0..n_first + n_second {
            let (id, at) = (2 + 2 * call.cast_unsigned(), 1 + 10 * call);
            let callee = if call < n_first { "stock get" } else { "bank get" };
            spans.push(client(id, 1, "shop POST", at..at + 10));
            spans.push(server(id + 1, id, callee, at..at + 10));
        }
        spans
    };
    let window = |spans: Vec<Given>| vec![spans; 40];
    let analysis = crate::builder::analysed(&window(page(1, 3)), &window(page(4, 1)));
    let rows = analysis.decomposition.rows.iter().filter_map(|row| Some((row.callee.as_ref()?, row.contribution_ms)));
    let named: Vec<String> =
        rows.map(|(callee, ms)| format!("{}: {} {ms:+.0}", callee.service, callee.operation)).collect();
    assert_eq!(named, ["stock: POST +30", "bank: POST -20"]);
}
