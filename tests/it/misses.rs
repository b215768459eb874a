//! A cache that lacks what it is asked for, told apart from a caller that calls more: traces worked by hand, each rule with an innocent twin.

use crate::builder::{Given, analysed, client, server};
use suspect::analysis::{Analysis, Suspect};
use suspect::report;

/// A page whose lookups are followed by `n_calls` of 5 ms each to the store; all else takes 3 ms.
fn page(lookups: &[&Given], n_calls: i64) -> Vec<Given> {
    let begin = lookups.iter().fold(2, |begin, _| begin + 1);
    let mut spans = vec![server(1, 0, "shop page", 0..begin + 1 + 5 * n_calls)];
    spans.extend(lookups.iter().zip(1..).map(|(lookup, place)| (*lookup).clone().later(place)));
    spans.extend((0..n_calls).zip(20..).map(|(call, id)| {
        let start = begin + 5 * call;
        client(id, 1, "shop SELECT", start..start + 5).attribute("peer.service", "store")
    }));
    spans
}

fn lookup(id: u64, peer: &str, product: &str) -> Given {
    client(id, 1, "shop GET", 0..1).attribute("peer.service", peer).attribute("db.system.name", product)
}

/// Twenty pages before and after, of which so many take the second form.
fn compared(forms: [&[Given]; 2], n_second: [usize; 2]) -> Analysis {
    let window = |n: usize| (0..20).map(|trace| forms[usize::from(trace * n % 20 < n)].to_vec()).collect::<Vec<_>>();
    let [before, after] = n_second.map(window);
    analysed(&before, &after)
}

/// Four pages of twenty ask the store, then sixteen.
fn colder(lookups: &[&Given]) -> Analysis {
    compared([&page(lookups, 0), &page(lookups, 1)], [4, 16])
}

fn first(analysis: &Analysis) -> (&str, &str) {
    let Suspect { service, kind, .. } = &analysis.suspects[0];
    (service, kind)
}

#[test]
fn calls_for_what_a_cache_lacks_are_the_cache_s_and_the_report_says_so() {
    let analysis = colder(&[&lookup(2, "copies", "redis")]);
    assert_eq!(first(&analysis), ("copies", "cache misses"));
    let suspect = &analysis.suspects[0];
    // 12 of 20 pages more, 5 ms each.
    assert!((suspect.contribution.ms - 3.0).abs() < 1e-9, "{suspect:?}");
    assert_eq!(suspect.operation.as_deref(), Some("GET"));
    let reason = "more lookups of copies: GET miss and lead to store: SELECT, +3.00 ms a request; shop: page calls store: SELECT 0.80 times a visit instead of 0.20";
    assert!(suspect.reason.contains(reason), "{}", suspect.reason);
    let text = report::analysis::text(&analysis, report::WIDTH);
    assert!(text.contains("new code there that makes little of its"), "{text}");
    assert!(text.lines().any(|line| line.contains("cache misses") && line.contains("+3.00")), "{text}");
}

#[test]
fn a_cache_is_known_by_its_product_or_its_name_and_a_warmer_one_makes_requests_faster() {
    assert_eq!(first(&colder(&[&lookup(2, "redis-cart", "")])), ("redis-cart", "cache misses"));
    assert_eq!(first(&colder(&[&lookup(2, "copies", "Memcached")])), ("copies", "cache misses"));
    assert_eq!(first(&colder(&[&lookup(2, "copies", "postgresql")])), ("shop", "more calls"));
    let lookup = lookup(2, "copies", "redis");
    let warmer = compared([&page(&[&lookup], 0), &page(&[&lookup], 1)], [16, 4]);
    let row = &warmer.decomposition.rows[0];
    assert_eq!((row.service.as_deref(), row.contribution_ms.round()), (Some("copies"), -3.0), "{row:?}");
}

#[test]
fn what_is_stored_after_a_miss_is_the_cache_s_too() {
    let copies = lookup(2, "copies", "redis");
    let mut miss = page(&[&copies], 1);
    // The page takes 10 ms and asks the store until the eighth.
    miss.push(client(30, 1, "shop SET", 8..9).attribute("peer.service", "copies").attribute("db.system", "redis"));
    let analysis = compared([&page(&[&copies], 0), &miss], [4, 16]);
    assert_eq!(first(&analysis), ("copies", "cache misses"));
    let sum: f64 = analysis
        .decomposition
        .rows
        .iter()
        .filter(|row| row.service.as_deref() == Some("copies"))
        .map(|row| row.contribution_ms)
        .sum();
    assert!((sum - 0.6 * 6.0).abs() < 1e-9, "{:?}", analysis.decomposition.rows);
}

#[test]
fn a_caller_that_calls_more_keeps_its_calls() {
    let (copies, others) = (lookup(2, "copies", "redis"), lookup(3, "others", "redis"));
    let one = [&copies];
    // Never before.
    let new = compared([&page(&one, 0), &page(&one, 1)], [0, 16]);
    assert_eq!(first(&new), ("shop", "new call"));
    // More often than the cache is asked.
    let many = compared([&page(&one, 0), &page(&one, 4)], [4, 16]);
    assert_eq!(first(&many).0, "shop");
    // The cache is asked more often, too.
    let both = compared([&page(&[], 0), &page(&one, 1)], [4, 16]);
    assert_eq!(first(&both).0, "shop");
    // What a service is asked for has more reasons than a cache.
    let mut asked = page(&one, 1);
    asked.push(server(40, 20, "store SELECT", 4..7));
    assert_eq!(first(&compared([&page(&one, 0), &asked], [4, 16])), ("shop", "more calls"));
    // Which of two caches has no answer cannot be told.
    assert_eq!(first(&colder(&[&copies, &others])), ("shop", "more calls"));
}
