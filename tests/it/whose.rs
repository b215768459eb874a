//! Whose a longer way between two services is: traces worked by hand, in which one end, the other, both or the way itself got slow.

use crate::builder::{Given, analysed, client, forest, server};
use suspect::compare::edges::{EdgeGap, Gap, Whose};
use suspect::compare::paths::cost_table;
use suspect::compare::{Comparison, Selection, compare};
use suspect::normalize::Forest;

/// Edges of [`mesh`], in the order in which it makes its calls.
const EDGES: [(&str, &str); 4] = [("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")];

/// gateway calls a, then b; each calls c, then d, whose answers take 10 ms. The gaps before and after those four answers are
/// given, in ms and in the order of [`EDGES`]; those of the calls of a and b are 1 ms.
pub(crate) fn mesh(before: [i64; 4], after: [i64; 4]) -> Vec<Given> {
    let mut spans = Vec::new();
    let mut now = 1;
    for (caller, edges) in [("a", 0..2), ("b", 2..4)] {
        let call = 100 * (edges.start as u64 + 1);
        let start = now;
        now += 2;
        for edge in edges {
            let id = call + 10 * (edge as u64 + 1);
            let answer = now + before[edge]..now + before[edge] + 10;
            let callee = EDGES[edge].1;
            spans.push(client(id, call + 1, &format!("{caller} GET {callee}"), now..answer.end + after[edge]));
            spans.push(server(id + 1, id, &format!("{callee} work"), answer.clone()));
            now = answer.end + after[edge];
        }
        now += 2;
        spans.push(client(call, 1, &format!("gateway GET {caller}"), start..now));
        spans.push(server(call + 1, call, &format!("{caller} work"), start + 1..now - 1));
    }
    spans.insert(0, server(1, 0, "gateway page", 0..now + 1));
    spans
}

/// All gaps 1 ms.
fn ordinary() -> Vec<Given> {
    mesh([1; 4], [1; 4])
}

struct Outcome {
    forest: Forest,
    comparison: Comparison,
}

fn outcome(baseline: &[Vec<Given>], regression: &[Vec<Given>]) -> Outcome {
    let traces = (1..).zip(baseline.iter().chain(regression));
    let spans: Vec<Given> = traces
        .flat_map(|(trace, spans)| {
            spans.iter().map(move |span| span.clone().trace(trace).later(60_000 * trace)).collect::<Vec<_>>()
        })
        .collect();
    let (_, forest, _) = forest(&spans);
    let split = u32::try_from(baseline.len()).expect("few traces");
    let last = u32::try_from(forest.n_traces()).expect("few traces");
    let selection = Selection { baseline: (0..split).collect(), regression: (split..last).collect() };
    let comparison = compare(&forest, &cost_table(&forest), &selection);
    Outcome { forest, comparison }
}

impl Outcome {
    fn name(&self, service: u32) -> &str {
        &self.forest.services[service as usize].name
    }

    fn edge(&self, caller: &str, callee: &str) -> &EdgeGap {
        let is_it = |edge: &&EdgeGap| self.name(edge.caller) == caller && self.name(edge.callee) == callee;
        self.comparison.attribution.edges.iter().find(is_it).expect("an edge of both windows")
    }

    /// Whose the rise of each of [`EDGES`] is, before the answer.
    fn before(&self) -> [Whose; 4] {
        EDGES.map(|(caller, callee)| self.edge(caller, callee).before.whose)
    }

    /// The same after it.
    fn after(&self) -> [Whose; 4] {
        EDGES.map(|(caller, callee)| self.edge(caller, callee).after.whose)
    }

    /// Milliseconds of each service that any are blamed on.
    fn services(&self) -> Vec<String> {
        let services = self.forest.services.iter().zip(&self.comparison.services);
        let mut lines: Vec<String> = services
            .filter(|(_, estimate)| estimate.value.abs() > 1e-3)
            .map(|(service, estimate)| format!("{} {:+.3}", service.name, estimate.value / 1e6))
            .collect();
        lines.sort_unstable();
        lines
    }

    #[track_caller]
    fn assert_rows_sum_to(&self, change_ms: f64) {
        let rows: f64 = self.comparison.rows.iter().map(|row| row.value).sum();
        let change = self.comparison.change_ns.value;
        assert!((change / 1e6 - change_ms).abs() < 1e-6, "the change is {change} ns");
        assert!((rows - change).abs() < 1e-3, "rows {rows} of {change} ns");
    }
}

/// Milliseconds that the caller and the callee being slow are worth.
fn worths(gap: &Gap) -> [String; 2] {
    gap.worths.map(|ns| format!("{:.3}", ns / 1e6))
}

use Whose::{Both, Callee, Caller, Link, Nobody};

#[test]
fn a_service_whose_requests_all_leave_late_is_to_blame_as_caller() {
    // a sends 6 ms later to both c and d: worth (6 + 6) * 2/2 = 12. c and d: 6 * 1/2 = 3 each.
    let outcome = outcome(&[ordinary()], &[mesh([7, 7, 1, 1], [1; 4])]);
    assert_eq!(outcome.before(), [Caller, Caller, Nobody, Nobody]);
    assert_eq!(outcome.after(), [Nobody; 4]);
    let before = outcome.edge("a", "c").before;
    assert_eq!(worths(&before), ["12.000", "3.000"]);
    assert_eq!(before.risen, [[2, 2], [1, 2]]);
    assert_eq!(outcome.services(), ["a +12.000"]);
    outcome.assert_rows_sum_to(12.0);
}

#[test]
fn a_service_whose_answers_all_leave_late_is_to_blame_as_callee() {
    // After the answer c is late to a and to b: worth (6 + 6) * 2/2 = 12. a and b, which would hear late: 6 * 1/2 = 3 each.
    let outcome = outcome(&[ordinary()], &[mesh([1; 4], [7, 1, 7, 1])]);
    assert_eq!(outcome.after(), [Callee, Nobody, Callee, Nobody]);
    assert_eq!(outcome.before(), [Nobody; 4]);
    assert_eq!(worths(&outcome.edge("b", "c").after), ["3.000", "12.000"]);
    assert_eq!(outcome.services(), ["c +12.000"]);
    outcome.assert_rows_sum_to(12.0);
}

#[test]
fn a_service_that_hears_all_answers_late_or_takes_in_all_requests_late_is_to_blame_at_that_end() {
    // The other two ways: a takes the answers of c and d in late, c takes the requests of a and b in late.
    let hears = outcome(&[ordinary()], &[mesh([1; 4], [7, 7, 1, 1])]);
    assert_eq!(hears.after(), [Caller, Caller, Nobody, Nobody]);
    assert_eq!(hears.services(), ["a +12.000"]);
    let takes_in = outcome(&[ordinary()], &[mesh([7, 1, 7, 1], [1; 4])]);
    assert_eq!(takes_in.before(), [Callee, Nobody, Callee, Nobody]);
    assert_eq!(takes_in.services(), ["c +12.000"]);
}

#[test]
fn a_way_that_got_slow_while_all_other_edges_of_both_its_ends_did_not_is_the_link() {
    // Only a -> c: each end is worth 6 * 1/2 = 3, and each has another edge that did not rise. What must be blamed on an end goes
    // to the caller before the answer, as c works as fast as before, and to the callee after it.
    let before = outcome(&[ordinary()], &[mesh([7, 1, 1, 1], [1; 4])]);
    assert_eq!(before.before(), [Link, Nobody, Nobody, Nobody]);
    assert_eq!(before.services(), ["a +6.000"]);
    let after = outcome(&[ordinary()], &[mesh([1; 4], [7, 1, 1, 1])]);
    assert_eq!(after.after(), [Link, Nobody, Nobody, Nobody]);
    assert_eq!(after.services(), ["c +6.000"]);
    after.assert_rows_sum_to(6.0);
}

#[test]
fn a_rise_that_the_other_edges_of_both_ends_explain_is_shared_by_how_well_they_do() {
    // a sends late to c and d: 6 + 6 = 12. c takes in late from a and b: 6 + 8 = 14, no more than 1.25 * 12. So of a -> c a has
    // 12 / 26 of 6 ms = 2.769 and c 3.231. a -> d: a 12 against d 6 * 1/2. b -> c: c 14 against b 8 * 1/2.
    let outcome = outcome(&[ordinary()], &[mesh([7, 7, 9, 1], [1; 4])]);
    assert_eq!(outcome.before(), [Both, Caller, Callee, Nobody]);
    let shared = outcome.edge("a", "c").before;
    assert!(shared.is_tie());
    assert!((shared.caller_share - 12.0 / 26.0).abs() < 1e-12, "{}", shared.caller_share);
    // a: 6 + 6 * 12/26; c: 8 + 6 * 14/26.
    assert_eq!(outcome.services(), ["a +8.769", "c +11.231"]);
    outcome.assert_rows_sum_to(20.0);
}

#[test]
fn a_shared_rise_stands_in_the_document_with_both_its_rows_and_shares() {
    let analysis = analysed(&vec![ordinary(); 3], &vec![mesh([7, 7, 9, 1], [1; 4]); 3]);
    let edge = analysis.network.iter().find(|account| account.edge.caller == "a" && account.edge.callee == "c");
    let edge = edge.expect("an account of a -> c");
    assert!((edge.before_ms.baseline - 1.0).abs() < 1e-9 && (edge.before_ms.regression - 7.0).abs() < 1e-9);
    let part = edge.blamed.iter().find(|part| part.part == "before").expect("its part before the answer");
    assert_eq!((part.whose, part.service.as_str()), (Both, "c"));
    assert!((part.change_ms - 6.0).abs() < 1e-9 && (part.typical_change_ms - 6.0).abs() < 1e-9);
    assert!((part.caller_share - 12.0 / 26.0).abs() < 1e-9);
    assert!((part.caller_worth_ms - 12.0).abs() < 1e-9 && (part.callee_worth_ms - 14.0).abs() < 1e-9);

    let rows: Vec<(&str, f64)> = analysis
        .decomposition
        .rows
        .iter()
        .filter(|row| row.edge.as_ref().is_some_and(|edge| edge.caller == "a" && edge.callee == "c"))
        .filter_map(|row| Some((row.service.as_deref()?, row.contribution_ms)))
        .collect();
    assert_eq!(rows.iter().map(|(service, _)| *service).collect::<Vec<_>>(), ["c", "a"]);
    assert!((rows[0].1 - 6.0 * 14.0 / 26.0).abs() < 1e-9 && (rows[1].1 - 6.0 * 12.0 / 26.0).abs() < 1e-9);
    let sum: f64 = analysis.decomposition.rows.iter().map(|row| row.contribution_ms).sum();
    assert!((sum - analysis.decomposition.change_ms).abs() < 1e-6 && (sum - 20.0).abs() < 1e-6, "{sum}");
}

#[test]
fn a_wild_call_does_not_decide_whose_the_way_is() {
    // c takes requests in 6 ms later, in every trace: worth 12, a and b 3. One request of a to d waits 10 s: 500 ms a call. Were it
    // counted, a would be worth (6 + 500) * 1/2 = 253 and take a -> c; cut to what three of four calls take it is no rise. Of a -> d that call
    // is all there is to tell: neither a nor d waits so elsewhere.
    let slow = mesh([7, 1, 7, 1], [1; 4]);
    let mut regression = vec![slow; 20];
    regression[7] = mesh([7, 10_001, 7, 1], [1; 4]);
    let outcome = outcome(&vec![ordinary(); 20], &regression);
    assert_eq!(outcome.before(), [Callee, Link, Callee, Nobody]);
    assert_eq!(worths(&outcome.edge("a", "c").before), ["3.000", "12.000"]);
    // The mean has it all the same: 10,000 / 20 ms, beside 6 + 6.
    outcome.assert_rows_sum_to(512.0);
}

#[test]
fn a_few_calls_that_take_very_long_say_whose_they_are_where_the_others_do_not() {
    let ordinary = vec![ordinary(); 50];
    // Two of fifty requests wait 200 ms more: of both windows so few that typical calls are as before.
    let lossy = |waits: [[i64; 4]; 2]| {
        let mut requests = ordinary.clone();
        for (request, wait) in requests.iter_mut().zip(waits) {
            *request = mesh(wait.map(|wait| 1 + wait), [1; 4]);
        }
        outcome(&ordinary, &requests).before()
    };
    let (none, link) = (Whose::Nobody, Whose::Link);
    assert_eq!(lossy([[200, 0, 0, 0], [200, 0, 0, 0]]), [link, none, none, none]);
    assert_eq!(lossy([[200, 0, 0, 0], [0, 0, 200, 0]]), [Whose::Callee, none, Whose::Callee, none]);
    assert_eq!(lossy([[200, 0, 0, 0], [0, 200, 0, 0]]), [Whose::Caller, Whose::Caller, none, none]);
}

#[test]
fn a_callee_of_calls_that_nobody_waited_for_is_told_with_what_it_took_then() {
    // a asks d, which takes 5 ms and then 45; b takes 30, so that nobody waited for a.
    let page = |number: i64, d: i64| {
        let (a_end, b_end) = (6 + d, 32 + number % 3);
        vec![
            server(1, 0, "web page", 0..a_end.max(b_end) + 1),
            client(2, 1, "web ask a", 1..a_end),
            server(3, 2, "a list", 2..a_end - 1),
            client(4, 3, "a ask", 3..a_end - 2),
            server(5, 4, "d item", 3..a_end - 3),
            client(6, 1, "web ask b", 1..b_end),
            server(7, 6, "b item", 2..b_end - 1),
        ]
    };
    let window = |d: i64| -> Vec<Vec<Given>> { (0..120).map(|number| page(number, d + number % 2)).collect() };
    let analysis = analysed(&window(5), &window(45));
    let first = &analysis.suspects[0];
    assert_eq!(first.service, "d", "{}", analysis.summary);
    assert!(first.reason.contains("item itself takes 45.5 ms a call instead of 5.50 ms"), "{}", first.reason);
}

#[test]
fn a_caller_that_is_only_waited_for_when_it_calls_makes_no_more_calls() {
    // web asks b and d side by side; b asks d in every third request, before and after. Once d takes 43 ms instead of 3, b is waited for only then.
    let page = |number: i64, d: i64| {
        let (own, asks) = (10 + number % 4, number % 3 == 0);
        let b_end = 2 + own + if asks { d + 2 } else { 0 };
        let mut spans = vec![
            server(1, 0, "web page", 0..(b_end + 2).max(d + 4)),
            client(2, 1, "web ask b", 1..b_end + 1),
            server(3, 2, "b list", 2..b_end),
            client(6, 1, "web ask d", 1..d + 3),
            server(7, 6, "d item", 2..d + 2),
        ];
        if asks {
            spans.extend([client(4, 3, "b ask", 7..d + 9), server(5, 4, "d item", 8..d + 8)]);
        }
        spans
    };
    let window = |d: i64| -> Vec<Vec<Given>> { (0..120).map(|number| page(number, d)).collect() };
    let analysis = analysed(&window(3), &window(43));
    let change_ms = analysis.degradation.change_ms;
    let own = |service: &str| analysis.services.iter().find(|ranked| ranked.service == service);
    let d = own("d").expect("a suspect").contribution.ms;
    assert!(change_ms > 30.0 && (d / change_ms - 1.0).abs() < 0.05, "{d} of {change_ms}");
    assert!(own("b").is_none_or(|b| !b.is_significant), "{}", analysis.summary);
    let told: Vec<&str> = analysis.structure.iter().map(|change| change.description.as_str()).collect();
    assert!(told.iter().all(|told| !told.contains("more often")), "{told:?}");
    // Where b does ask more often, it is told.
    let more = |asks: bool| -> Vec<Vec<Given>> {
        (0..120).map(|number| page(if asks { 3 * number } else { number }, 3)).collect()
    };
    let analysis = analysed(&more(false), &more(true));
    assert_eq!(analysis.suspects[0].kind, "more calls", "{}", analysis.summary);
}

#[test]
fn requests_that_wait_for_workers_which_their_answers_keep_are_the_callee_s() {
    // shop asks audit, which asks its store; the ways are the only ones of their ends. The request comes `late` ms later, the store takes `longer`.
    let page = |late: i64, longer: i64| {
        let begin = 4 + late;
        vec![
            server(1, 0, "shop page", 0..begin + longer + 26),
            client(2, 1, "shop POST", 2..begin + longer + 24),
            server(3, 2, "audit log", begin..begin + longer + 22),
            client(4, 3, "audit SELECT", begin + 2..begin + longer + 6).attribute("peer.service", "store"),
        ]
    };
    let whose = |late: i64, longer: i64| {
        let outcome = outcome(&vec![page(0, 0); 3], &vec![page(late, longer); 3]);
        (outcome.edge("shop", "audit").before.whose, outcome.services())
    };
    assert_eq!(whose(10, 0), (Link, vec!["shop +10.000".to_owned()]));
    // Less than a tenth of the wait holds nobody up.
    assert_eq!(whose(100, 9).0, Link);
    assert_eq!(whose(10, 40), (Callee, vec!["audit +10.000".to_owned(), "store +40.000".to_owned()]));
}
