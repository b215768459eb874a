//! Slow ways between services, and whose they are.

use super::change;
use crate::builder::{Given, client, server};

/// gateway calls a, then b, and each calls c; `gap` is what a call takes beyond its answer of 10 ms (20 ms for a and b).
///
/// In order: gateway -> a, gateway -> b, a -> c, b -> c.
fn diamond(gap: [i64; 4]) -> Vec<Given> {
    let mut spans = Vec::new();
    let mut now = 0;
    for (name, id, outer, inner) in [("a", 10, gap[0], gap[2]), ("b", 20, gap[1], gap[3])] {
        // The middle service has 10 ms of its own, c has 10 ms; half of a gap is the way there, half the way back.
        let middle = now + outer / 2..now + outer / 2 + inner + 20;
        let call = middle.start + 5..middle.end - 5;
        let answer = call.start + inner / 2..call.start + inner / 2 + 10;
        spans.extend([
            client(id, 1, &format!("gateway GET {name}"), now..now + outer + inner + 20),
            server(id + 1, id, &format!("{name} work"), middle),
            client(id + 2, id + 1, &format!("{name} GET c"), call),
            server(id + 3, id + 2, "c work", answer),
        ]);
        now += outer + inner + 20;
    }
    spans.insert(0, server(1, 0, "gateway page", 0..now));
    spans
}

#[test]
fn a_slow_network_at_a_callee_is_found_by_its_two_callers() {
    // a -> c and b -> c rise by 3 ms before the answer and 3 after it. Both edges into c rose: c is worth 6 either way, its callers 3.
    let outcome = change(diamond([2, 2, 2, 2]), diamond([2, 2, 8, 8]));
    assert_eq!(outcome.rows(), ["a -> c at c Network +6.000", "b -> c at c Network +6.000"]);
    assert_eq!(outcome.services(), ["c +12.000"]);
}

#[test]
fn a_slow_network_at_a_service_in_the_middle_is_found_by_the_edges_on_both_sides() {
    // gateway -> a and a -> c rise by 3 ms either way. a: its only edge on each side rose, worth 3. The other ends, gateway and c:
    // one edge of two, worth 3 / 2.
    let outcome = change(diamond([2, 2, 2, 2]), diamond([8, 2, 8, 2]));
    assert_eq!(outcome.rows(), ["a -> c at a Network +6.000", "gateway -> a at a Network +6.000"]);
    assert_eq!(outcome.services(), ["a +12.000"]);
}

#[test]
fn a_slow_network_at_a_caller_is_found_by_all_its_callees() {
    // gateway -> a and gateway -> b rise by 3 ms either way. gateway: both edges, worth 6. a and b: worth 3.
    let outcome = change(diamond([2, 2, 2, 2]), diamond([8, 8, 2, 2]));
    assert_eq!(outcome.rows(), ["gateway -> a at gateway Network +6.000", "gateway -> b at gateway Network +6.000"]);
    assert_eq!(outcome.services(), ["gateway +12.000"]);
}

/// The only call of gateway and to catalog: ms before the answer, of catalog's own, after the answer.
fn only_edge(before: i64, own: i64, after: i64) -> Vec<Given> {
    let (begin, end) = (1 + before, 1 + before + own);
    vec![
        server(1, 0, "gateway page", 0..end + after + 1),
        client(2, 1, "gateway GET", 1..end + after),
        server(3, 2, "catalog list", begin..end),
    ]
}

#[test]
fn an_edge_that_is_the_only_one_of_both_its_ends_is_split_by_where_the_gap_lies() {
    // A longer gap after the answer is the callee's: it was late to send it.
    let late_answer = change(only_edge(1, 10, 1), only_edge(1, 10, 8));
    assert_eq!(late_answer.rows(), ["gateway -> catalog at catalog Network +7.000"]);
    // One before it is the caller's as long as the callee works as fast as before: it was late to ask.
    let late_request = change(only_edge(1, 10, 1), only_edge(8, 10, 1));
    assert_eq!(late_request.rows(), ["gateway -> catalog at gateway Network +7.000"]);
    // A callee that is slower in its own work, too, was late to begin with it: 1 ms is more than a tenth of 7.
    let busy = change(only_edge(1, 10, 1), only_edge(8, 11, 1));
    assert_eq!(busy.rows(), ["catalog: list Slower +1.000", "gateway -> catalog at catalog Network +7.000"]);
    assert_eq!(busy.services(), ["catalog +8.000"]);
}

#[test]
fn slower_answers_of_one_of_two_databases_are_its_own_and_those_of_both_are_the_callers_network() {
    let queries = |mysql: i64, redis: i64| {
        vec![
            server(1, 0, "shop page", 0..mysql + redis + 2),
            client(2, 1, "shop SELECT", 1..1 + mysql).attribute("db.system.name", "mysql"),
            client(3, 1, "shop GET", 1 + mysql..1 + mysql + redis).attribute("db.system.name", "redis"),
        ]
    };
    let one = change(queries(2, 2), queries(9, 2));
    assert_eq!(one.rows(), ["mysql: SELECT Peer +7.000"]);
    // Both edges of shop rose: it is worth 14, each database 7.
    let both = change(queries(2, 2), queries(9, 9));
    assert_eq!(both.rows(), ["shop -> mysql at shop Network +7.000", "shop -> redis at shop Network +7.000"]);
    assert_eq!(both.services(), ["shop +14.000"]);
}

#[test]
fn a_database_without_spans_is_charged_for_its_slower_answers() {
    let query = |took: i64| {
        vec![
            server(1, 0, "shop page", 0..took + 2),
            client(2, 1, "shop SELECT", 1..took + 1)
                .attribute("db.system.name", "postgresql")
                .attribute("db.namespace", "shop")
                .attribute("server.address", "10.0.0.7"),
        ]
    };
    let outcome = change(query(2), query(9));
    assert_eq!(outcome.rows(), ["postgresql:shop: SELECT Peer +7.000"]);
    assert_eq!(outcome.services(), ["postgresql:shop +7.000"]);
    let database = outcome.forest.services.iter().find(|service| service.name == "postgresql:shop");
    assert!(database.is_some_and(|service| service.is_inferred));
}
