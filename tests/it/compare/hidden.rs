//! Calls that no request waited for, because another ran as long.

use super::outcome;
use crate::builder::{Given, client, internal, server};
use suspect::compare::paths::{PathCost, Scope};

/// A page that asks for stock, which takes `stock_ms`, and for the price, which takes 41 ms, at once; then work whose caller is missing.
fn page_of_two(stock_ms: i64) -> Vec<Given> {
    vec![
        server(1, 0, "web page", 0..200),
        client(2, 1, "web stock", 10..12 + stock_ms),
        server(3, 2, "stock reserve", 11..11 + stock_ms),
        internal(4, 3, "stock query", 12..14),
        client(5, 1, "web price", 10..53),
        server(6, 5, "price get", 11..52),
        server(7, 99, "batch run", 300..310),
    ]
}

#[test]
fn calls_that_nobody_waited_for_count_in_the_usual_call() {
    let outcome = outcome(
        &(0..30).map(|n| page_of_two(20 + 2 * n)).collect::<Vec<_>>(),
        &(0..30).map(|n| page_of_two(40 + 4 * n)).collect::<Vec<_>>(),
    );
    let rows = |trace: usize| {
        let path = |path: u32| outcome.table.paths.list[path as usize];
        let name = |code: u32| outcome.operation(path(code).operation);
        let row = |cost: PathCost| {
            assert_eq!(path(cost.path).scope, Scope::Request, "{}", name(cost.path));
            format!("{} {}", name(cost.path), (cost.self_ns + cost.before_ns) / 1_000_000)
        };
        let hidden = outcome.table.hidden.of(trace).map(row).collect::<Vec<_>>();
        (outcome.table.costs_of(trace).any(|cost| cost.n_visits > 0 && name(cost.path) == "stock: reserve"), hidden)
    };
    // Of 20 ms, where the price takes 41: the way there and back, the call itself, and what it calls.
    assert_eq!(rows(0), (false, ["web: stock 2", "stock: reserve 18", "stock: query 2"].map(str::to_owned).to_vec()));
    // Of 78 ms all is waited for, and the price is not.
    assert_eq!(rows(29), (true, ["web: price 2", "price: get 41"].map(str::to_owned).to_vec()));
    let reserve = (0..u32::MAX).find(|&subject| outcome.subject(subject) == "stock: reserve").expect("a subject");
    let shift = outcome.comparison.shifts.subjects[reserve as usize].expect("enough calls");
    // Twice as long, but for the 2 ms of the query: the median of all ratios of 38 + 4 n to 18 + 2 n is that of their middles.
    assert!((shift.share.value - (96.0 / 47.0 - 1.0)).abs() < 0.03, "{:?}", shift.share);
}
