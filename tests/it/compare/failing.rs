//! Where failures begin, and what they make of the calls of others, each worked by hand beside what only looks like it.

use super::{Outcome, assert_close, change, charged_again, charged_once, outcome};
use crate::builder::{Given, client, internal, server};

/// A charge whose first try fails because the bank's own store does; each takes as long as in [`charged_once`].
fn charged_again_for_the_store() -> Vec<Given> {
    let failed_try = |id: u64, at: i64| {
        vec![
            client(id, 1, "shop POST", at..at + 4).failed(),
            server(id + 1, id, "bank charge", at + 1..at + 3).failed(),
            client(id + 2, id + 1, "bank INSERT", at + 1..at + 2).attribute("peer.service", "ledger").failed(),
        ]
    };
    let mut spans = vec![server(1, 0, "shop checkout", 0..15)];
    spans.extend(failed_try(2, 1));
    spans.push(client(5, 1, "shop POST", 10..14));
    spans.push(server(6, 5, "bank charge", 11..13));
    spans
}

#[test]
fn repeats_are_charged_to_where_the_failures_begin_that_make_them_necessary() {
    // 5 ms of waiting and 4 of a second try; the store's part of the first is 1 ms that was the bank's own.
    let before = vec![charged_once(); 6];
    let there = outcome(&before, &vec![charged_again_for_the_store(); 6]);
    let rows = there.rows();
    assert!(rows.contains(&"ledger: INSERT Retry +9.000".to_owned()), "{rows:?}");
    assert!(!rows.iter().any(|row| row.starts_with("bank: POST Retry")), "{rows:?}");
    // One failure says little of whose it is.
    let once = change(charged_once(), charged_again_for_the_store());
    assert!(once.rows().contains(&"bank: POST Retry +9.000".to_owned()), "{:?}", once.rows());
}

/// A page that asks a, then b.
fn page() -> Vec<Given> {
    let mut spans = page_without_b(10);
    spans.push(client(3, 1, "shop GET b", 5..9).attribute("peer.service", "b"));
    spans
}

fn page_without_b(end: i64) -> Vec<Given> {
    vec![server(1, 0, "shop page", 0..end), client(2, 1, "shop GET a", 1..4).attribute("peer.service", "a")]
}

#[test]
fn calls_that_failing_requests_no_longer_get_to_are_charged_to_where_the_failure_begins() {
    // Half of the pages end at 5 instead of 10 ms: 4 ms of b's, 1 of the shop's own.
    let half = |other: Vec<Given>| [vec![page(); 5], vec![other; 5]].concat();
    let failing = page_without_b(5).into_iter().map(Given::failed).collect();
    let there = outcome(&vec![page(); 10], &half(failing));
    assert_eq!(there.rows(), ["a: GET a > shop: GET b Failing -2.000", "shop: page Slower -0.500"]);
    assert_eq!(there.failures(), ["a: GET a +0.500"]);
    // The same without a failure is the shop's own doing.
    let there = outcome(&vec![page(); 10], &half(page_without_b(5)));
    assert_eq!(there.rows(), ["shop: page > shop: GET b Calls -2.000", "shop: page Slower -0.500"]);
}

/// A list that gets three items one after the other, some of which fail.
fn list(failing: &[usize], fails: bool) -> Vec<Given> {
    let page = server(1, 0, "shop list", 0..7);
    let mut spans = vec![if fails { page.failed() } else { page }];
    for item in 0..3_usize {
        let start = 1 + 2 * i64::try_from(item).expect("few");
        let call = client(2 + item as u64, 1, "shop GET", start..start + 2).attribute("peer.service", "item");
        spans.push(if failing.contains(&item) { call.failed() } else { call });
    }
    spans
}

#[test]
fn the_next_of_calls_in_a_row_is_no_repeat_of_one_that_failed() {
    let there = outcome(&vec![list(&[], false); 6], &vec![list(&[1], false); 6]);
    assert!(there.rows().is_empty(), "{:?}", there.rows());
    // Where the request fails for it, the item's failure is why, though a later item could be got.
    let there = outcome(&vec![list(&[], false); 6], &vec![list(&[1], true); 6]);
    assert_eq!(there.failures(), ["item: GET +1.000"]);
}

#[test]
fn a_call_side_by_side_with_one_that_failed_did_not_make_it_good() {
    let shards = |fails: bool| {
        let mut spans = vec![
            server(1, 0, "shop search", 0..8),
            client(2, 1, "shop GET", 1..5).attribute("peer.service", "shard"),
            client(3, 1, "shop GET", 1..6).attribute("peer.service", "shard"),
        ];
        if fails {
            spans[0] = spans[0].clone().failed();
            spans[1] = spans[1].clone().failed();
        }
        spans
    };
    assert_eq!(change(shards(false), shards(true)).failures(), ["shard: GET +1.000"]);
}

/// The same request, all well.
fn succeeded(spans: &[Given], without_failures: fn() -> Vec<Given>) -> Outcome {
    change(without_failures(), spans.to_vec())
}

fn order() -> Vec<Given> {
    vec![
        server(1, 0, "gateway order", 0..20),
        client(2, 1, "gateway POST", 1..19),
        server(3, 2, "bank charge", 2..18),
        internal(4, 3, "bank sign", 3..10),
    ]
}

#[test]
fn a_failure_began_with_the_deepest_span_that_failed() {
    let failed: Vec<Given> = order().into_iter().map(Given::failed).collect();
    let outcome = succeeded(&failed, order);
    assert_eq!(outcome.failures(), ["bank: sign +1.000"]);
    assert_close(outcome.comparison.failure_change.value, 1.0);
    assert_eq!(outcome.table.propagated.len(), 3);
    // Half of the requests: half a request a request.
    let half = super::outcome(&[order(), order()], &[order(), failed]);
    assert_eq!(half.failures(), ["bank: sign +0.500"]);
}

#[test]
fn of_two_failing_calls_the_one_that_ended_last_failed_the_request() {
    let calls = || {
        vec![
            server(1, 0, "gateway order", 0..20),
            client(2, 1, "gateway POST", 1..5).attribute("peer.service", "mail"),
            client(3, 1, "gateway PUT", 6..9).attribute("peer.service", "stock"),
        ]
    };
    let outcome = succeeded(&calls().into_iter().map(Given::failed).collect::<Vec<_>>(), calls);
    assert_eq!(outcome.failures(), ["stock: PUT +1.000"]);
}

#[test]
fn a_failure_that_a_retry_made_good_is_swallowed() {
    let outcome = change(charged_once(), charged_again(5));
    assert!(outcome.failures().is_empty(), "{:?}", outcome.failures());
    assert_eq!(outcome.swallowed(), ["shop: POST"]);
    assert_close(outcome.comparison.failure_change.value, 0.0);
}

#[test]
fn a_failure_that_a_retry_made_good_is_not_why_the_request_failed() {
    // The charge succeeds at the second try, then storing the order fails, and that ends before the retry does.
    let order = || {
        vec![
            server(1, 0, "shop checkout", 0..20),
            client(2, 1, "shop POST", 1..5).attribute("peer.service", "bank"),
            client(3, 1, "shop POST", 6..12).attribute("peer.service", "bank"),
            client(4, 1, "shop INSERT", 7..11).attribute("db.system.name", "mysql"),
        ]
    };
    let mut failing = order();
    for index in [0, 1, 3] {
        failing[index] = failing[index].clone().failed();
    }
    assert_eq!(succeeded(&failing, order).failures(), ["mysql: INSERT +1.000"]);
}

#[test]
fn a_failing_call_without_an_answer_is_the_peers_failure() {
    let call = || {
        vec![
            server(1, 0, "shop checkout", 0..20),
            client(2, 1, "shop POST", 1..15).attribute("server.address", "api.cardnet.example"),
        ]
    };
    let outcome = succeeded(&call().into_iter().map(Given::failed).collect::<Vec<_>>(), call);
    assert_eq!(outcome.failures(), ["api.cardnet.example: POST +1.000"]);
}

#[test]
fn a_timeout_is_the_failure_of_the_callee_that_took_too_long() {
    let call = |answered: std::ops::Range<i64>| {
        vec![
            server(1, 0, "shop checkout", 0..12),
            client(2, 1, "shop POST", 1..11),
            server(3, 2, "bank charge", answered),
        ]
    };
    let failing = |answered| {
        let mut spans = call(answered);
        for index in [0, 1] {
            spans[index] = spans[index].clone().failed();
        }
        spans
    };
    // The caller gave up at 11 ms, the answer was ready at 50: nothing failed but patience.
    let late = change(call(2..10), failing(2..50));
    assert_eq!(late.failures(), ["bank: charge +1.000"]);
    assert_close(late.change_ms(), 0.0);
    // An answer in time that the caller could not use is the caller's own failure.
    let early = change(call(2..10), failing(2..10));
    assert_eq!(early.failures(), ["shop: POST +1.000"]);
}
