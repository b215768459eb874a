//! What must not matter does not: the same planted incident told in another way has the same answer.

use crate::builder::{EPOCH_NS, Given, MS, client, frame, server};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::fs;
use suspect::analysis::{self, Analysis};
use suspect::ingest::{self, Ingested};
use suspect::rank::Verdict;
use suspect::span::AttributeSelection;
use suspect::window;

/// Traces a window.
const N_TRACES: i64 = 60;
/// The regression begins this long after the baseline.
const HOUR_MS: i64 = 3_600_000;

/// What is planted: a query that takes 60 ms more and is waited for, an operation that takes 25 ms more, a payment that fails.
#[derive(Clone, Copy)]
struct Fault {
    query_ms: i64,
    orders_ms: i64,
    payment_fails: bool,
}

/// Two calls at once, of a database that left no span and of a service; nothing below 70 ms, so that all floors are shares.
fn browse(wobble: i64, fault: Fault) -> Vec<Given> {
    let query = 21..81 + wobble + fault.query_ms;
    let end = query.end + 12;
    vec![
        server(1, 0, "gateway GET /", 0..end + 13),
        client(2, 1, "gateway GET catalog", 5..end + 5),
        server(3, 2, "catalog list", 8..end + 2),
        client(4, 3, "catalog SELECT", query).attribute("db.system.name", "postgresql"),
        client(5, 3, "catalog GET price", 22..50 + wobble),
        server(6, 5, "pricing quote", 25..48 + wobble),
    ]
}

/// Two calls one after the other; the second may fail, and the request with it.
fn order(wobble: i64, fault: Fault) -> Vec<Given> {
    let place = 12..62 + wobble + fault.orders_ms;
    let pay = place.end + 9..place.end + 50;
    let spans = [
        server(1, 0, "gateway POST /order", 0..pay.end + 20),
        client(2, 1, "gateway POST orders", place.start - 3..place.end + 2),
        server(3, 2, "orders place", place),
        client(4, 1, "gateway POST payments", pay.start - 4..pay.end + 4),
        server(5, 4, "payments charge", pay),
    ];
    let fails = |index: usize| fault.payment_fails && [0, 3, 4].contains(&index);
    spans.into_iter().enumerate().map(|(index, span)| if fails(index) { span.failed() } else { span }).collect()
}

/// The incident, each trace with a wobble of its own.
fn incident(wobbles: &[i64]) -> Vec<Given> {
    let mut spans = Vec::new();
    for (index, &wobble) in (0..).zip(wobbles) {
        let (window, place) = (index / N_TRACES, index % N_TRACES);
        let is_bad = window == 1;
        let fault = Fault {
            query_ms: if is_bad { 60 } else { 0 },
            orders_ms: if is_bad { 25 } else { 0 },
            payment_fails: is_bad && place % 6 == 1,
        };
        let trace = if place % 2 == 0 { browse(wobble, fault) } else { order(wobble, fault) };
        spans.extend(trace.into_iter().map(|span| span.trace(1 + index).later(window * HOUR_MS + place * 1_000)));
    }
    spans
}

fn wobbles() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0_i64..9, 2 * 60)
}

/// The analysis of spans whose times are `scale` times as long.
fn analysed(ingested: Ingested, scale: i64) -> Analysis {
    let prepared = analysis::prepare(None, ingested);
    let at = |ms: i64| EPOCH_NS + ms * MS * scale;
    let options = window::Options {
        baseline: Some(format!("{}..{}", at(-1_000), at(HOUR_MS / 2))),
        regression: Some(format!("{}..{}", at(HOUR_MS - 1_000), at(HOUR_MS + HOUR_MS / 2))),
    };
    let (windows, selection) = prepared.select(&options).expect("windows with traces");
    analysis::analyze(&prepared, &windows, &selection).expect("an analysis")
}

fn of(spans: &[Given]) -> Analysis {
    analysed(Ingested { frame: frame(spans), sources: Vec::new() }, 1)
}

/// The answer: names in their order, and numbers beside them.
#[derive(Clone, Debug)]
struct Answer {
    verdict: Verdict,
    /// Services in the order of their places: name, score, milliseconds, share of requests that fail.
    services: Vec<(String, [f64; 3])>,
    /// Operations and edges in the order of their places.
    suspects: Vec<(String, [f64; 3])>,
    /// Rows of the decompositions of mean, typical and tail.
    rows: Vec<(String, [f64; 3])>,
}

impl Answer {
    /// `name` is what a service is called in the answer.
    fn new(analysis: &Analysis, name: impl Fn(&str) -> String) -> Self {
        let edge = |edge: Option<&analysis::Edge>| {
            edge.map(|edge| format!("{} -> {}", name(&edge.caller), name(&edge.callee))).unwrap_or_default()
        };
        let services = analysis.services.iter().map(|service| {
            let contribution = &service.contribution;
            (name(&service.service), [service.score, contribution.ms, contribution.error_ratio])
        });
        let suspects = analysis.suspects.iter().map(|suspect| {
            let operation = suspect.operation.as_deref().unwrap_or_default();
            let what = format!("{}: {operation}{}", name(&suspect.service), edge(suspect.edge.as_ref()));
            (what, [suspect.score, suspect.contribution.ms, suspect.contribution.error_ratio])
        });
        let views = [&analysis.decomposition, &analysis.typical, &analysis.tail];
        let mut rows: Vec<(String, [f64; 3])> = views
            .iter()
            .enumerate()
            .flat_map(|(view, decomposition)| decomposition.rows.iter().map(move |row| (view, row)))
            .map(|(view, row)| {
                let service = row.service.as_deref().map(&name).unwrap_or_default();
                let callee =
                    row.callee.as_ref().map(|callee| format!("{} {}", name(&callee.service), callee.operation));
                let edge = edge(row.edge.as_ref());
                let what = format!("{view} {:?} {service} {:?} {edge} {callee:?}", row.cause, row.operation);
                (what, [0.0, row.contribution_ms, 0.0])
            })
            .collect();
        rows.sort_by(|left, right| left.0.cmp(&right.0));
        Self { verdict: analysis.verdict, services: services.collect(), suspects: suspects.collect(), rows }
    }

    fn of(analysis: &Analysis) -> Self {
        Self::new(analysis, str::to_owned)
    }

    /// The same for times `scale` times as long; scores are shares and stay.
    fn scaled(mut self, scale: f64) -> Self {
        for (_, [_, ms, _]) in self.services.iter_mut().chain(&mut self.suspects).chain(&mut self.rows) {
            *ms *= scale;
        }
        self
    }

    /// The same without scores, which depend on how certain the numbers are.
    fn without_scores(mut self) -> Self {
        for (_, [score, ..]) in self.services.iter_mut().chain(&mut self.suspects) {
            *score = 0.0;
        }
        self
    }

    fn parts(&self) -> [&Vec<(String, [f64; 3])>; 3] {
        [&self.services, &self.suspects, &self.rows]
    }

    /// Whether names and their order are the same and numbers equal but for rounding.
    fn assert_is(&self, other: &Self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.verdict, other.verdict);
        for (own, others) in self.parts().into_iter().zip(other.parts()) {
            let names = |part: &[(String, [f64; 3])]| part.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            prop_assert_eq!(names(own), names(others));
            // Relative to the largest: what is nearly nothing is a difference of large sums.
            let largest = [0, 1, 2].map(|index: usize| own.iter().map(|(_, n)| n[index].abs()).fold(0.0, f64::max));
            for ((name, own), (_, others)) in own.iter().zip(others) {
                for index in 0..3 {
                    let is_close = (own[index] - others[index]).abs() <= 1e-9 * largest[index];
                    prop_assert!(is_close, "{name}: {own:?} is not {others:?}");
                }
            }
        }
        Ok(())
    }
}

/// A name that sorts among the others as before.
fn in_order(name: &str) -> String {
    if name == "postgresql" { name.to_owned() } else { format!("{name}-eu") }
}

/// A name that sorts the other way round: each letter becomes its mirror image.
fn mirrored(name: &str) -> String {
    if name == "postgresql" {
        return name.to_owned();
    }
    name.bytes().map(|letter| char::from(b'a' + b'z' - letter)).collect()
}

fn assert_renamed(spans: &[Given], name: fn(&str) -> String) -> Result<(), TestCaseError> {
    let renamed: Vec<Given> = spans.iter().map(|span| span.clone().renamed(name)).collect();
    let mut expected = Answer::new(&of(spans), name);
    expected.rows.sort_by(|left, right| left.0.cmp(&right.0));
    Answer::of(&of(&renamed)).assert_is(&expected)
}

/// Reads spans from files in which they stand in turns.
fn from_files(spans: &[Given], n_files: usize) -> Answer {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths: Vec<_> = (0..n_files)
        .map(|file| {
            let records: Vec<_> = spans.iter().skip(file).step_by(n_files).map(Given::zipkin).collect();
            let path = folder.path().join(format!("{file}.json"));
            fs::write(&path, serde_json::Value::from(records).to_string()).expect("a file");
            path
        })
        .collect();
    let options = ingest::Options { attributes: AttributeSelection::All, columns: Vec::new() };
    let ingested = ingest::read(&paths, &options, &|_, _| {}).expect("files");
    assert_eq!(ingested.frame.spans.len(), spans.len());
    Answer::of(&analysed(ingested, 1))
}

#[test]
fn the_planted_incident_is_found_whole() {
    // Without a wobble: half of all requests wait 60 ms more for the database, which takes longer than pricing beside it: 30 ms a request. The other
    // half take 25 ms more in orders: 12.5 ms. Ten of 60 fail in payments.
    let answer = Answer::of(&of(&incident(&[0; 120])));
    assert_eq!(answer.verdict, Verdict::Regression);
    let mut services: Vec<String> =
        answer.services.iter().map(|(name, [_, ms, failing])| format!("{name} {ms:.3} {failing:.3}")).collect();
    services.sort_unstable();
    assert_eq!(services, ["orders 12.500 0.000", "payments 0.000 0.167", "postgresql 30.000 0.000"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_rows_and_the_number_of_threads_do_not_matter(
        (spans, shuffled) in wobbles().prop_flat_map(|wobbles| {
            let spans = incident(&wobbles);
            (Just(spans.clone()), Just(spans).prop_shuffle())
        })
    ) {
        let text = |n_threads: usize, spans: &[Given]| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool");
            serde_json::to_string(&pool.install(|| of(spans))).expect("JSON")
        };
        let one = text(1, &spans);
        prop_assert!(one == text(4, &spans), "threads matter");
        prop_assert!(one == text(4, &shuffled), "the order of rows matters");
    }

    #[test]
    fn how_spans_are_spread_over_files_does_not_matter(wobbles in wobbles()) {
        let spans = incident(&wobbles);
        let whole = from_files(&spans, 1);
        from_files(&spans, 3).assert_is(&whole)?;
        whole.assert_is(&Answer::of(&of(&spans)))?;
    }

    #[test]
    fn ten_times_the_time_is_ten_times_the_contribution(wobbles in wobbles()) {
        let spans = incident(&wobbles);
        let longer: Vec<Given> = spans.iter().map(|span| span.clone().scaled(10)).collect();
        let answer = Answer::of(&analysed(Ingested { frame: frame(&longer), sources: Vec::new() }, 10));
        answer.assert_is(&Answer::of(&of(&spans)).scaled(10.0))?;
    }

    #[test]
    fn what_services_are_called_does_not_matter(wobbles in wobbles()) {
        let spans = incident(&wobbles);
        assert_renamed(&spans, in_order)?;
        assert_renamed(&spans, mirrored)?;
    }

    #[test]
    fn twice_the_traces_with_half_the_weight_are_the_same_requests(wobbles in wobbles()) {
        let weighed = |spans: &[Given], rate: &str| -> Vec<Given> {
            spans.iter().map(|span| span.clone().attribute("sample_rate", rate)).collect()
        };
        let spans = incident(&wobbles);
        let once = of(&weighed(&spans, "2"));
        let mut twice = weighed(&spans, "1");
        // Copies have the ids of no other trace.
        let n_spans: Vec<usize> = (0..2 * N_TRACES).map(|index| if index % 2 == 0 { 6 } else { 5 }).collect();
        let traces = (1_001..).zip(n_spans).flat_map(|(trace, n_spans)| std::iter::repeat_n(trace, n_spans));
        let copies: Vec<Given> = twice.iter().zip(traces).map(|(span, trace)| span.clone().trace(trace)).collect();
        twice.extend(copies);
        let twice = of(&twice);
        prop_assert_eq!(twice.diagnostics.n_traces, 2 * once.diagnostics.n_traces);
        prop_assert!((twice.windows.baseline.n_requests - once.windows.baseline.n_requests).abs() < 1e-9);
        // Of what is certain enough to report; where the rest stands is a matter of how certain it is.
        let certain = |analysis: &Analysis| {
            let mut analysis = analysis.clone();
            analysis.services.retain(|service| service.is_significant);
            analysis.suspects.clear();
            Answer::of(&analysis).without_scores()
        };
        prop_assert!(certain(&once).services.len() >= 3, "{:?}", certain(&once).services);
        certain(&twice).assert_is(&certain(&once))?;
    }

    #[test]
    fn a_trace_of_weight_two_is_two_traces(wobbles in wobbles()) {
        // Each third trace; the wobbles and the entries of those are not those of the others.
        let is_doubled = |span: &Given| span.number_of_trace() % 3 == 0;
        let spans = incident(&wobbles);
        let weighed = |rate: &'static str| {
            spans.iter().map(move |span| {
                let rate = if is_doubled(span) { rate } else { "1" };
                span.clone().attribute("sample_rate", rate)
            })
        };
        let once: Vec<Given> = weighed("2").collect();
        let copies = weighed("1").filter(is_doubled).map(|span| {
            let trace = span.number_of_trace();
            span.trace(1_000 + trace)
        });
        let twice: Vec<Given> = weighed("1").chain(copies).collect();
        let numbers = |spans: &[Given]| {
            let mut answer = Answer::of(&of(spans)).without_scores();
            answer.services.sort_by(|left, right| left.0.cmp(&right.0));
            answer.suspects.clear();
            answer
        };
        numbers(&twice).assert_is(&numbers(&once))?;
    }
}
