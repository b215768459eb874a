//! What a rule is about: names as the gate prints them, edges as one thing, teams, calls wherever they are made; and a rule that guards nothing
//! says so.

use crate::builder::{Given, client, internal, server};
use crate::evidence::{analyze, page};
use crate::teams::{self, analysed};
use crate::whose::mesh;
use jiff::civil::date;
use std::path::Path;
use suspect::analysis::Analysis;
use suspect::gate::policy::{Measure, Policy};
use suspect::gate::{Finding, Gate, State, Verdict, judge};

fn judged(analysis: &Analysis, policy: &str) -> Gate {
    let policy = Policy::parse(policy, Path::new("gate.toml")).expect("a policy");
    judge(analysis, &policy, date(2026, 11, 29), false).expect("a verdict")
}

fn failed<'a>(gate: &'a Gate, name: &str) -> &'a Finding {
    let is_own = |finding: &&Finding| finding.name == name && finding.state == State::Failed;
    gate.findings.iter().find(is_own).unwrap_or_else(|| panic!("{name} is not in {:?}", gate.findings))
}

fn rule(of: &str, name: &str, measure: &str) -> String {
    format!("[[rule]]\nof = \"{of}\"\nname = '{name}'\nmeasure = \"{measure}\"\n")
}

/// A page beside which another service loads so many items, which nobody waits for as the catalog takes longer.
fn beside(n_items: i64) -> Vec<Given> {
    let mut spans = page("GET /", 60);
    spans.push(client(4, 1, "gateway recommend", 2..30));
    spans.push(server(5, 4, "recommender GET", 3..29));
    spans.extend(
        (0..n_items).map(|item| internal(10 + item.cast_unsigned(), 5, "recommender load", 4 + 3 * item..6 + 3 * item)),
    );
    spans
}

#[test]
fn calls_count_where_nobody_waits_for_them() {
    let before: Vec<_> = (0..100).map(|_| beside(1)).collect();
    let after: Vec<_> = (0..100).map(|number| beside(7 + number % 2)).collect();
    let gate = judged(&analyze(&before, &after), &rule("operation", "*", "calls"));
    let load = failed(&gate, "recommender: load");
    assert!((load.baseline - 1.0).abs() < 1e-9 && (load.change - 6.5).abs() < 1e-9, "{load:?}");
    assert_eq!(gate.findings.len(), 1, "{:?}", gate.findings);
    // Which branch is waited for changes no count.
    let slower: Vec<_> = (0..100)
        .map(|number| {
            let mut spans = beside(1 + number % 2);
            spans.extend([client(40, 1, "gateway ask", 2..62), server(41, 40, "ads GET", 3..61)]);
            spans
        })
        .collect();
    let without: Vec<_> = (0..100).map(|number| beside(1 + number % 2)).collect();
    let gate = judged(&analyze(&without, &slower), &rule("operation", "recommender*", "calls"));
    assert_eq!((gate.verdict, gate.findings.len()), (Verdict::Passed, 0), "{:?}", gate.findings);
}

#[test]
fn other_requests_are_no_more_calls() {
    let mixed =
        |n_pages: usize| -> Vec<Vec<Given>> {
            (0..200)
                .map(|number| {
                    if number % 10 < n_pages { page("GET /", 60) } else { vec![server(1, 0, "gateway health", 0..64)] }
                })
                .collect()
        };
    let gate =
        judged(&analyze(&mixed(3), &mixed(7)), &(rule("operation", "*", "calls") + &rule("service", "*", "calls")));
    assert_eq!((gate.verdict, gate.findings.len()), (Verdict::Passed, 0), "{:?}", gate.findings);
    let account = |analysis: &Analysis| {
        let own = analysis.operations.iter().find(|account| account.operation.as_deref() == Some("list"));
        own.expect("an account").calls_per_request
    };
    let analysis = analyze(&mixed(3), &mixed(7));
    assert!((account(&analysis).baseline - 0.3).abs() < 1e-9 && (account(&analysis).regression - 0.7).abs() < 1e-9);
}

#[test]
fn requests_that_cannot_be_compared_do_not_pass() {
    let pages = |entry: &str, own: i64| -> Vec<_> { (0..200).map(|number| page(entry, own + number % 3)).collect() };
    let renamed = judged(&analyze(&pages("GET /v1", 60), &pages("GET /v2", 600)), "");
    assert_eq!(renamed.verdict, Verdict::Inconclusive, "{}", renamed.summary);
    assert!(renamed.doubts[0].starts_with("100 % of the baseline's requests are to entries"), "{:?}", renamed.doubts);
    // A new entry that few use does not keep the others from being judged.
    let few = |n: usize| -> Vec<_> { [pages("GET /v1", 60), pages("GET /v2", 60)[..n].to_vec()].concat() };
    assert_eq!(judged(&analyze(&pages("GET /v1", 60), &few(20)), "").verdict, Verdict::Passed);
    assert_eq!(judged(&analyze(&pages("GET /v1", 60), &few(100)), "").verdict, Verdict::Inconclusive);
}

#[test]
fn names_are_taken_as_the_gate_prints_them_and_one_that_matches_nothing_is_told() {
    let pages = |own: i64| -> Vec<_> {
        let renamed = |span: Given| {
            span.renamed(|name| if name == "catalog" { "cat[1] {a,b}\\!".to_owned() } else { name.to_owned() })
        };
        (0..200).map(|number| page("GET /{id}", own + number % 3).into_iter().map(renamed).collect()).collect()
    };
    let slower = analyze(&pages(60), &pages(90));
    for name in ["cat[1] {a,b}\\!: list", "cat[1]*", "cat?1? {a,b}\\!: li*"] {
        failed(&judged(&slower, &rule("operation", name, "mean")), "cat[1] {a,b}\\!: list");
    }
    failed(&judged(&slower, &rule("entry", "gateway: GET /{id}", "mean")), "gateway: GET /{id}");
    let allowed = rule("operation", "*", "mean")
        + "[[allow]]\nname = 'cat[1] {a,b}\\!: list'\nreason = 'known'\nuntil = 2027-01-01\n";
    assert_eq!(judged(&slower, &allowed).verdict, Verdict::Passed);
    // Misspelt, it guards nothing.
    let typo = judged(&slower, &rule("service", "gatewy", "mean"));
    assert_eq!(typo.verdict, Verdict::Inconclusive, "{}", typo.summary);
    assert_eq!(typo.doubts, ["no rule of level `fail` is about anything in the data"]);
    let warning = "rule `service gatewy: mean not over +0 ms` is about nothing in the data; near it are `gateway`";
    assert!(typo.warnings.iter().any(|found| found.starts_with(warning)), "{:?}", typo.warnings);
    let warned = judged(&slower, &(rule("service", "gatewy", "mean") + "level = \"warn\"\n"));
    assert_eq!((warned.verdict, warned.doubts.len()), (Verdict::Passed, 0), "{:?}", warned.doubts);
    let beside = judged(&slower, &(rule("service", "gatewy", "mean") + &rule("service", "gateway", "mean")));
    assert_eq!(beside.verdict, Verdict::Passed, "{}", beside.summary);
    assert!(beside.warnings.iter().any(|found| found.starts_with(warning)), "{:?}", beside.warnings);
}

#[test]
fn a_service_without_a_name_is_told_as_such() {
    let pages = |own: i64| -> Vec<_> {
        let renamed =
            |span: Given| span.renamed(|name| if name == "catalog" { String::new() } else { name.to_owned() });
        (0..200).map(|number| page("GET /", own + number % 3).into_iter().map(renamed).collect()).collect()
    };
    let slower = analyze(&pages(60), &pages(90));
    let gate = judged(&slower, &rule("service", "*", "mean"));
    assert!(failed(&gate, "(no name)").description.starts_with("(no name) adds to a request"), "{gate:?}");
    failed(&judged(&slower, &rule("operation", "(no name): list", "mean")), "(no name): list");
}

#[test]
fn an_edge_is_one_thing_however_it_is_written_and_whoever_is_to_blame() {
    // The way from a to c and back is 6 ms longer each, and no other way of either: the first is put down to a, the second to c.
    let ways = |way: i64| -> Vec<Vec<Given>> {
        (0..200)
            .map(|number| 1 + number % 3)
            .map(|usual| mesh([usual + way, usual, usual, usual], [1 + way, 1, 1, 1]))
            .collect()
    };
    let analysis = analyze(&ways(0), &ways(6));
    let told = "calls from a to c spend 12.0 ms more on their way";
    assert!(analysis.summary.starts_with(told), "{}", analysis.summary);
    let halves: Vec<&str> = analysis
        .operations
        .iter()
        .filter(|account| account.edge.as_ref().is_some_and(|edge| edge.caller == "a" && edge.callee == "c"))
        .map(|account| account.service.as_str())
        .collect();
    assert_eq!(halves.len(), 2, "{halves:?}");
    for name in ["a -> c", "a->c", "a  ->  ?"] {
        let gate = judged(&analysis, &format!("{}more_than = 11\n", rule("edge", name, "mean")));
        let found = failed(&gate, "a -> c");
        assert!((found.change - 12.0).abs() < 1e-9, "{found:?}");
        assert_eq!(gate.findings.len(), 1, "{:?}", gate.findings);
        assert_eq!(judged(&analysis, &format!("[[forbid]]\nedge = '{name}'\n")).verdict, Verdict::Failed);
    }
    // Clocks that drift apart move 5.9 ms from c's end of the way to a's, each of them sure: of the edge 0.1 ms are left, which prove nothing.
    let mut drifted = analysis.clone();
    for account in &mut drifted.operations {
        if account.edge.as_ref().is_some_and(|edge| edge.caller == "a" && edge.callee == "c") {
            let ms = if account.service == "a" { 6.0 } else { -5.9 };
            account.contribution.ms = ms;
            account.contribution.interval_ms = [ms - 0.02, ms + 0.02];
            account.p.mean = 1e-100;
            account.p.mean_apart = Some(if ms > 0.0 { 1e-8 } else { 1.0 });
        }
    }
    assert_eq!(judged(&drifted, &rule("edge", "a -> c", "mean")).findings, []);
}

#[test]
fn an_operation_that_takes_no_longer_itself_is_told_by_what_it_does_otherwise() {
    // Each page asks for one more item; none of them takes longer.
    let window = |n_items: i64| -> Vec<Vec<Given>> {
        let item = |number: i64| {
            let (id, at) = (10 + 2 * number.cast_unsigned(), 2 + 12 * number);
            [client(id, 1, "gateway ask", at..at + 10), server(id + 1, id, "catalog item", at + 1..at + 9)]
        };
        let page = |extra: i64| -> Vec<Given> {
            let spans = std::iter::once(server(1, 0, "gateway page", 0..4 + extra + 12 * n_items));
            spans.chain((0..n_items).flat_map(item)).collect()
        };
        (0..100).map(|number| page(number % 3)).collect()
    };
    let gate = judged(&analyze(&window(1), &window(2)), &rule("operation", "*", "mean"));
    let told = &failed(&gate, "gateway: page").description;
    assert!(told.starts_with("gateway: page adds to a request on average, by more calls: +"), "{told}");
    let slow = |own: i64| -> Vec<_> { (0..100).map(|number| page("GET /", own + number % 3)).collect() };
    let slower = judged(&analyze(&slow(60), &slow(90)), &rule("operation", "*", "mean"));
    assert!(slower.findings[0].description.contains(" adds to a request on average: +"), "{:?}", slower.findings);
}

#[test]
fn a_new_dependency_is_seen_by_the_rule_that_is_about_operations_too() {
    let pages = |with: bool| -> Vec<Vec<Given>> {
        let more = [client(7, 1, "gateway ask", 1..2), server(8, 7, "audit log", 1..2)];
        (0..100).map(|_| [page("GET /", 60), if with { more.to_vec() } else { Vec::new() }].concat()).collect()
    };
    let gate = judged(&analyze(&pages(false), &pages(true)), "[[rule]]\nmeasure = \"new_dependency\"\n");
    assert_eq!(failed(&gate, "gateway -> audit").measure, Measure::NewDependency);
}

#[test]
fn a_team_is_judged_by_all_measures_and_called() {
    let took: teams::Took = |number, is_regression| [10 + number % 3 + 20 * i64::from(is_regression), 10];
    let owners = "[[service]]\nmatch = \"cart\"\nteam = \"carts\"\ncontact = \"#carts\"\n";
    let analysis = analysed(&teams::requests(took), owners);
    let gate = judged(&analysis, &rule("team", "*", "mean"));
    let found = failed(&gate, "carts");
    assert!((found.change - 20.0).abs() < 1e-9, "{found:?}");
    assert_eq!(found.owner.as_ref().and_then(|owner| owner.contact.as_deref()), Some("#carts"));
    assert!(!found.trace_ids.is_empty());
    // All requests take 20 ms more, the slowest as well, whose few are no proof.
    let team = analysis.teams.iter().find(|team| team.team.as_deref() == Some("carts")).expect("the team");
    assert!((team.tail_ms - 20.0).abs() < 1e-9, "{team:?}");
    for measure in ["tail", "calls"] {
        assert_eq!(judged(&analysis, &rule("team", "carts", measure)).rules[0].n_tested, 1, "{measure}");
    }
    assert_eq!(judged(&analysis, &rule("team", "carts", "calls")).verdict, Verdict::Passed);
    let unknown = judged(&analysed(&teams::requests(took), ""), &rule("team", "*", "mean"));
    assert_eq!(unknown.verdict, Verdict::Inconclusive);
    assert!(unknown.doubts.iter().any(|doubt| doubt.contains("no team is known")), "{:?}", unknown.doubts);
}

#[test]
fn a_team_with_failures_of_old_is_judged_by_its_percent() {
    // One in ten requests fails in the catalog before, four after.
    let mut spans = Vec::new();
    for (window, n_failing) in [(0, 1), (1, 4)] {
        for number in 0..60 {
            let own =
                page("GET /", 60).into_iter().map(|span| if number % 10 < n_failing { span.failed() } else { span });
            spans.extend(
                own.map(|span| span.trace(1 + number + 1_000 * window).later(1_000 * number + 3_600_000 * window)),
            );
        }
    }
    let analysis = analysed(&spans, "[[service]]\nmatch = \"catalog\"\nteam = \"catalogue\"\n");
    for (percent, verdict) in [(200, Verdict::Failed), (400, Verdict::Passed)] {
        let gate = judged(&analysis, &format!("{}more_than_percent = {percent}\n", rule("team", "*", "errors")));
        assert_eq!(gate.verdict, verdict, "{percent}: {:?}", gate.findings);
        for found in &gate.findings {
            assert!((found.baseline - 10.0).abs() < 1e-9 && (found.change - 30.0).abs() < 1e-9, "{found:?}");
        }
    }
}

/// A page whose first try of the catalog fails at once in every fifth request, if it does.
fn failing_early(number: i64, does_fail: bool, own: i64) -> Vec<Given> {
    if does_fail && number % 5 == 0 {
        page("GET /", 2).into_iter().map(Given::failed).collect()
    } else {
        page("GET /", own + number % 7)
    }
}

#[test]
fn a_build_that_stops_failing_early_is_no_slower_for_that() {
    let window = |does_fail: bool, own: i64| -> Vec<_> {
        (0..200).map(|number| failing_early(number, does_fail, own)).collect()
    };
    let fixed = analyze(&window(true, 60), &window(false, 60));
    // 0.8 of 63 ms and 0.2 of 2 become 63.
    assert!((fixed.degradation.change_ms - 12.2).abs() < 0.2, "{:?}", fixed.degradation);
    assert_eq!(fixed.verdict, suspect::rank::Verdict::NoSignificantChange, "{}", fixed.summary);
    assert!(fixed.summary.contains("those that succeed took"), "{}", fixed.summary);
    let gate = judge(&fixed, &Policy::default(), date(2026, 11, 29), false).expect("a verdict");
    assert_eq!(gate.verdict, Verdict::Passed, "{}", gate.summary);
    // What got slower besides is found.
    let slower = analyze(&window(true, 60), &window(false, 75));
    assert_eq!(slower.verdict, suspect::rank::Verdict::Regression, "{}", slower.summary);
    let gate = judge(&slower, &Policy::default(), date(2026, 11, 29), false).expect("a verdict");
    failed(&gate, "catalog: list");
    // Fewer failures that each take longer, and hold up their request, are no gain.
    let slowly = |number: i64, does_fail: bool, took: i64| {
        let spans = page("GET /", if does_fail { took } else { 60 + number % 7 });
        spans.into_iter().map(|span| if does_fail { span.failed() } else { span }).collect::<Vec<_>>()
    };
    let before: Vec<_> = (0..200).map(|number| slowly(number, number % 3 == 0, 2)).collect();
    let after: Vec<_> = (0..200).map(|number| slowly(number, number % 6 == 0, 400)).collect();
    let held_up = analyze(&before, &after);
    assert_eq!(held_up.verdict, suspect::rank::Verdict::Regression, "{}", held_up.summary);
    // The other way round failures are what it is about.
    let broken = analyze(&window(false, 60), &window(true, 60));
    assert!(broken.summary.contains("catalog fails"), "{}", broken.summary);
    assert_eq!(broken.degradation.without_failures, None);
}
