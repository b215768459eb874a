//! The same work under other names: only what differs is a change.

use super::change;
use crate::builder::{Given, client, internal, server};

/// gateway calls catalog, which takes `own` ms, by these names.
fn page(call: &str, answer: &str, own: i64) -> Vec<Given> {
    vec![
        server(1, 0, "gateway page", 0..own + 6),
        client(2, 1, &format!("gateway {call}"), 1..own + 5).attribute("peer.service", "catalog"),
        server(3, 2, &format!("catalog {answer}"), 2..own + 4),
        client(4, 3, "catalog SELECT", 3..4).attribute("peer.service", "store"),
    ]
}

#[test]
fn an_operation_of_another_name_is_the_same_but_for_what_it_takes() {
    let same = change(page("GET", "list", 10), page("GET v2", "list v2", 10));
    assert!(same.rows().is_empty(), "{:?}", same.rows());
    let slower = change(page("GET", "list", 10), page("GET v2", "list v2", 14));
    assert_eq!(slower.rows(), ["catalog: list v2 Slower +4.000"]);
    let slower = change(page("GET", "list", 10), page("GET", "list v2", 14));
    assert_eq!(slower.rows(), ["catalog: list v2 Slower +4.000"]);
}

#[test]
fn calls_through_a_new_layer_are_the_same_but_for_what_that_takes() {
    let before = page("GET", "list", 10);
    let after = vec![
        server(1, 0, "gateway page", 0..20),
        client(2, 1, "gateway GET", 1..19).attribute("peer.service", "proxy"),
        server(5, 2, "proxy forward", 2..18),
        client(6, 5, "proxy GET", 3..17).attribute("peer.service", "catalog"),
        server(3, 6, "catalog list", 4..16),
        client(4, 3, "catalog SELECT", 5..6).attribute("peer.service", "store"),
    ];
    // 16 -> 20 ms: the proxy's own 2 and 2 more ways of 1 ms each; the catalog takes its 11 ms and the store's one as before.
    let there = change(before, after);
    let services = there.services();
    assert!(!services.iter().any(|line| line.starts_with("catalog: ") || line.starts_with("store")), "{services:?}");
    assert!(there.rows().contains(&"proxy: forward Slower +2.000".to_owned()), "{:?}", there.rows());
    assert!(!there.rows().iter().any(|row| row.contains("Calls")), "{:?}", there.rows());
}

#[test]
fn spans_that_only_one_window_has_of_an_answer_are_no_calls() {
    let without = || page("GET", "list", 10).into_iter().take(2).collect::<Vec<_>>();
    let there = change(without(), page("GET", "list", 10));
    assert!(!there.rows().iter().any(|row| row.contains("Calls")), "{:?}", there.rows());
    assert!((there.change_ms()).abs() < 1e-9);
}

#[test]
fn other_work_in_its_stead_is_not_the_same() {
    // A call that is gone and one of another service and three times as often that is new.
    let before = vec![server(1, 0, "shop page", 0..10), internal(2, 1, "shop render", 1..9)];
    let mut after = vec![server(1, 0, "shop page", 0..14)];
    after.extend((0..3).map(|call| {
        client(2 + call, 1, "shop SELECT", 1 + 4 * call.cast_signed()..5 + 4 * call.cast_signed())
            .attribute("peer.service", "store")
    }));
    let rows = change(before, after).rows();
    assert_eq!(rows, ["shop: page > shop: SELECT Calls +12.000", "shop: page > shop: render Calls -8.000"]);
}
