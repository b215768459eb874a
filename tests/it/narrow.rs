//! Questions about a part of the data, and two parts that ran side by side.

use crate::builder::{Given, client, frame, server};
use suspect::analysis::{self, Analysis, Prepared, Question};
use suspect::diagnostics::SetAsideReason;
use suspect::error::Error;
use suspect::ingest::Ingested;
use suspect::window::{Options, WindowChoice};

/// A request a second to `gateway GET /` (20 ms) or, each third, `gateway: x POST /a:b` (30 ms); both call `cart`, whose
/// 10 ms are 40 in version 1.5, which answers each second request.
fn side_by_side() -> Vec<Given> {
    let mut spans = Vec::new();
    for trace in 1..=120_i64 {
        let is_new = trace % 2 == 0;
        let (cart_ms, version) = if is_new { (40, "1.5") } else { (10, "1.4") };
        let (name, own_ms) = if trace % 3 == 0 { ("gateway POST /a:b", 20) } else { ("gateway GET /", 10) };
        let tenant = if trace % 5 == 0 { "acme" } else { "umbrella" };
        // A wobble, so that there is something to tell from chance.
        let cart_ms = cart_ms + trace % 7;
        spans.extend(
            [
                server(1, 0, name, 0..cart_ms + own_ms).attribute("tenant", tenant),
                client(2, 1, "gateway cart", 5..5 + cart_ms),
                server(3, 2, "cart GET /cart", 5..5 + cart_ms).resource("service.version", version),
            ]
            .map(|span| span.trace(trace).later(trace * 1_000)),
        );
    }
    spans
}

fn prepared(spans: &[Given]) -> Prepared {
    analysis::prepare(None, Ingested { frame: frame(spans), sources: Vec::new() })
}

fn ask(spans: &[Given], question: &Question, options: &Options) -> Result<Analysis, Error> {
    let mut prepared = prepared(spans);
    prepared.narrow(question)?;
    let (windows, selection) = prepared.select(options)?;
    let analysis = analysis::analyze(&prepared, &windows, &selection)?;
    let diagnostics = &analysis.diagnostics;
    assert_eq!(diagnostics.n_spans_analysed + diagnostics.set_aside.total(), spans.len() as u64);
    Ok(analysis)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn halves() -> Options {
    Options { baseline: Some("..+60s".to_owned()), regression: Some("+60s..".to_owned()) }
}

#[track_caller]
fn refused(question: &Question) -> (String, String) {
    match ask(&side_by_side(), question, &halves()) {
        Err(error) => (error.to_string(), error.hint().unwrap_or_default()),
        Ok(analysis) => panic!("{:?}", analysis.windows),
    }
}

#[test]
fn versions_side_by_side_are_told_apart_and_the_slow_one_is_found() {
    let question = Question {
        baseline: texts(&["service.version=1.4"]),
        regression: texts(&["service.version=1.5"]),
        ..Question::default()
    };
    let analysis = ask(&side_by_side(), &question, &Options::default()).expect("an analysis");
    assert_eq!(analysis.windows.choice, WindowChoice::Attributes);
    assert_eq!((analysis.windows.baseline.n_traces, analysis.windows.regression.n_traces), (60, 60));
    assert_eq!(analysis.services[0].service, "cart");
    assert!((analysis.degradation.change_ms - 30.0).abs() < 1.0, "{:?}", analysis.degradation);
    assert!(analysis.windows.description.contains("service.version=1.4"), "{}", analysis.windows.description);
    // The version that requests begin with is the baseline, and `--compare` says the same in a word.
    let compared = Question { compare: Some("service.version".to_owned()), ..Question::default() };
    let compared = ask(&side_by_side(), &compared, &Options::default()).expect("an analysis");
    assert_eq!(compared.degradation.change_ms.to_bits(), analysis.degradation.change_ms.to_bits());
}

#[test]
fn one_side_alone_is_compared_with_all_others_and_within_windows() {
    let question = Question { regression: texts(&["tenant=acme"]), ..Question::default() };
    let analysis = ask(&side_by_side(), &question, &Options::default()).expect("an analysis");
    assert_eq!((analysis.windows.baseline.n_traces, analysis.windows.regression.n_traces), (96, 24));
    let later = ask(&side_by_side(), &question, &halves()).expect("an analysis");
    let [before, after] = [&later.windows.baseline, &later.windows.regression];
    assert!(before.n_traces < 96 / 2 + 3 && after.n_traces <= 13, "{before:?} {after:?}");
    assert!(later.diagnostics.set_aside.0.contains_key(&SetAsideReason::OutsideWindows));
}

#[test]
fn a_trace_on_both_sides_or_on_neither_is_set_aside_counted_and_said() {
    let question = Question {
        baseline: texts(&["service.version=1.4"]),
        regression: texts(&["tenant=acme"]),
        ..Question::default()
    };
    let analysis = ask(&side_by_side(), &question, &Options::default()).expect("an analysis");
    // Of 120, 24 are of acme, every second of them of 1.4; 48 are of neither.
    let set_aside = &analysis.diagnostics.set_aside.0;
    assert_eq!(set_aside.get(&SetAsideReason::BothSides), Some(&(12 * 3)));
    assert_eq!(set_aside.get(&SetAsideReason::NeitherSide), Some(&(48 * 3)));
    let warnings = analysis.windows.warnings.join("; ");
    assert!(warnings.contains("12 traces are on both sides") && warnings.contains("48 traces are on neither"));
}

#[test]
fn conditions_on_one_side_must_all_hold_and_intrinsic_names_are_attributes_too() {
    let question = Question {
        baseline: texts(&["service.version=1.4", "name=POST /a:b"]),
        regression: texts(&[
            "service.version=1.5",
            "name=POST /a:b",
            "service.name=cart",
            "kind=SERVER",
            "status=UNSET",
        ]),
        ..Question::default()
    };
    let analysis = ask(&side_by_side(), &question, &Options::default()).expect("an analysis");
    assert_eq!((analysis.windows.baseline.n_traces, analysis.windows.regression.n_traces), (20, 20));
}

#[test]
fn an_entry_narrows_the_question_by_name_by_glob_and_with_colons_in_names() {
    for (entry, n_traces) in [
        ("gateway", 120),
        ("gateway:GET /", 80),
        ("gateway:POST /a:b", 40),
        ("gate*:POST*", 40),
        ("*", 120),
        ("gateway:GET ?", 80),
    ] {
        let question = Question { entries: texts(&[entry]), ..Question::default() };
        let analysis = ask(&side_by_side(), &question, &halves()).expect(entry);
        let windows = &analysis.windows;
        assert_eq!(windows.baseline.n_traces + windows.regression.n_traces, n_traces, "{entry}");
        let n_aside = analysis.diagnostics.set_aside.0.get(&SetAsideReason::OtherEntry).copied();
        assert_eq!(n_aside.unwrap_or(0), (120 - n_traces) * 3, "{entry}");
        assert_eq!(windows.only, [format!("requests to {entry}")]);
    }
    let mut colons = side_by_side();
    colons.push(server(1, 0, "a:b GET", 0..5).trace(500));
    let question = Question { entries: texts(&["a:b:GET"]), ..Question::default() };
    let mut prepared = prepared(&colons);
    prepared.narrow(&question).expect("a service whose name holds a colon");
}

#[test]
fn an_entry_that_is_none_is_refused_with_those_there_are() {
    let (message, hint) = refused(&Question { entries: texts(&["cart"]), ..Question::default() });
    assert_eq!(message, "no request begins at `--entry cart`");
    assert_eq!(hint, "requests begin at `gateway:GET /`, `gateway:POST /a:b`");
}

#[test]
fn a_condition_keeps_the_traces_with_a_span_that_meets_it() {
    let question = Question { conditions: texts(&["tenant=acme", "service.version=1.5"]), ..Question::default() };
    let analysis = ask(&side_by_side(), &question, &halves()).expect("an analysis");
    assert_eq!(analysis.windows.baseline.n_traces + analysis.windows.regression.n_traces, 12);
    assert_eq!(analysis.diagnostics.set_aside.0.get(&SetAsideReason::ConditionNotMet), Some(&(108 * 3)));
    assert_eq!(analysis.windows.only, ["traces with tenant=acme", "traces with service.version=1.5"]);
}

#[test]
fn unknown_keys_and_values_are_refused_with_what_there_is() {
    let condition = |text: &str| Question { conditions: texts(&[text]), ..Question::default() };
    let (message, hint) = refused(&condition("service.versoin=1.5"));
    assert_eq!(message, "no span has the attribute `service.versoin` of `--where service.versoin=1.5`");
    assert!(hint.starts_with("the nearest of the attributes there are: `service.version`"), "{hint}");
    let (message, hint) = refused(&condition("service.version=1.6"));
    assert_eq!(message, "no span has `service.version` = `1.6`");
    assert_eq!(hint, "its values are `1.4`, `1.5`");
    let (message, hint) = refused(&condition("tenant"));
    assert_eq!(message, "`--where tenant` is no condition");
    assert!(hint.contains("ATTR=VALUE"), "{hint}");
    let (message, _) = refused(&condition("=1"));
    assert!(message.contains("is no condition"), "{message}");
}

#[test]
fn compare_wants_exactly_two_values_and_says_what_to_type_otherwise() {
    let compare = |key: &str| Question { compare: Some(key.to_owned()), ..Question::default() };
    let (message, hint) = refused(&compare("name"));
    assert!(message.starts_with("`name` has 4 values, not two: "), "{message}");
    assert!(hint.contains("--baseline-where 'name="), "{hint}");
    let (message, hint) = refused(&Question { conditions: texts(&["tenant=acme"]), ..compare("tenant") });
    assert_eq!(message, "`tenant` has one value only: `acme`");
    assert!(hint.contains("--baseline START..END"), "{hint}");
    let (message, _) = refused(&Question { baseline: texts(&["tenant=acme"]), ..compare("tenant") });
    assert_eq!(message, "`--compare` chooses both sides itself");
}

#[test]
fn what_no_trace_meets_at_once_is_refused() {
    let question =
        Question { entries: texts(&["gateway:POST /a:b"]), conditions: texts(&["name=GET /"]), ..Question::default() };
    let (message, _) = refused(&question);
    assert_eq!(message, "no trace meets `--entry` and every `--where` at once");
    let question = Question { baseline: texts(&["kind=SERVER"]), ..Question::default() };
    let (message, _) = refused(&question);
    assert!(message.contains("no trace is on the side of"), "{message}");
}
