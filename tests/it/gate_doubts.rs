//! What a gate must not pass in silence: failures in few requests, fewer calls, a baseline that is not there or is the candidate; and what it must
//! not fail for: other traffic, and what the policy accepts.

use crate::builder::{Given, client, server};
use crate::evidence::{analyze, page};
use crate::program::run_in;
use jiff::civil::date;
use serde_json::Value;
use std::fs;
use std::path::Path;
use suspect::analysis::Analysis;
use suspect::gate::policy::{Measure, Of, Policy};
use suspect::gate::{Gate, State, Verdict, judge};

fn judged(analysis: &Analysis, policy: &str) -> Gate {
    let policy = Policy::parse(policy, Path::new("gate.toml")).expect("a policy");
    judge(analysis, &policy, date(2026, 11, 29), false).expect("a verdict")
}

/// So many pages, the first of which fail.
fn failing(n_requests: i64, n_failing: i64) -> Vec<Vec<Given>> {
    let of = |number: i64| -> Vec<Given> {
        let page = page("GET /", 60 + number % 3);
        if number * 7 % n_requests < n_failing { page.into_iter().map(Given::failed).collect() } else { page }
    };
    (0..n_requests).map(of).collect()
}

#[test]
fn failures_that_are_hardly_chance_do_not_pass_though_too_few_to_fail() {
    let all_errors = "[[rule]]\nof = \"all\"\nmeasure = \"errors\"\nmore_than = 0.5\n";
    let many = "[[rule]]\nmeasure = \"typical\"\n";
    // One-sided chances of Fisher's test: 0.003 and 0.001.
    for (n_requests, n_failing) in [(60, 8), (400, 10)] {
        let analysis = analyze(&failing(n_requests, 0), &failing(n_requests, n_failing));
        let gate = judged(&analysis, &format!("{all_errors}{many}"));
        assert_eq!(gate.verdict, Verdict::Inconclusive, "{}", gate.summary);
        assert!(gate.doubts[0].contains("points of all requests fail (95 % interval"), "{:?}", gate.doubts);
        // Whoever asks only for this needs no more.
        assert_eq!(judged(&analysis, &format!("{all_errors}[[forbid]]\nedge = \"a -> b\"\n")).verdict, Verdict::Failed);
    }
    let none = judged(&analyze(&failing(40, 0), &failing(40, 0)), all_errors);
    assert_eq!(none.verdict, Verdict::Inconclusive, "{}", none.summary);
    let told = "a rise of failing requests by 5 points cannot be ruled out";
    assert!(none.doubts.iter().any(|doubt| doubt.starts_with(told)), "{:?}", none.doubts);
    // What chance does, and what nobody asked about.
    let by_chance = analyze(&failing(400, 4), &failing(400, 6));
    assert_eq!(judged(&by_chance, all_errors).verdict, Verdict::Passed);
    let other = analyze(&failing(60, 0), &failing(60, 8));
    assert_eq!(judged(&other, "[[rule]]\nof = \"all\"\nmeasure = \"mean\"\n").verdict, Verdict::Passed);
}

#[test]
fn other_requests_are_no_more_failures() {
    // One in ten requests of one entry fails, none of the other; their shares are exchanged.
    let mixed = |n_failing_kind: i64| -> Vec<Vec<Given>> {
        let of = |number: i64| -> Vec<Given> {
            let is_of_kind = number % 10 < n_failing_kind;
            let page = page(if is_of_kind { "POST /" } else { "GET /" }, 60);
            if is_of_kind && number / 10 % 10 == 0 { page.into_iter().map(Given::failed).collect() } else { page }
        };
        (0..2_000).map(of).collect()
    };
    let analysis = analyze(&mixed(2), &mixed(8));
    let whole = &analysis.degradation;
    assert!((whole.error_ratio_change - 0.06).abs() < 1e-9, "{whole:?}");
    assert!(whole.adjusted_error_ratio_change.abs() < 1e-9, "{whole:?}");
    assert!(whole.adjusted_error_ratio_interval[0] < 0.0 && whole.adjusted_error_ratio_interval[1] > 0.0);
    let gate = judged(&analysis, "[[rule]]\nof = \"all\"\nmeasure = \"errors\"\nmore_than = 0.5\n");
    assert_eq!(gate.verdict, Verdict::Passed, "{}", gate.summary);
}

#[test]
fn an_entry_with_a_handful_of_requests_is_not_judged_by_their_being_alike() {
    let rare = |n_rare: usize, own: i64, fails: bool| -> Vec<Vec<Given>> {
        let rare = (0..n_rare).map(|_| {
            let page = page("POST /rare", own);
            if fails { page.into_iter().map(Given::failed).collect() } else { page }
        });
        (0..100).map(|number| page("GET /", 60 + number % 3)).chain(rare).collect()
    };
    for (before, after) in [(1, 1), (1, 3), (3, 1), (2, 2)] {
        let analysis = analyze(&rare(before, 20, false), &rare(after, 160, true));
        let entry = analysis.entries.iter().find(|entry| entry.operation == "POST /rare").expect("the entry");
        assert!((entry.change_ms - 140.0).abs() < 1e-9, "{entry:?}");
        let [low, high] = entry.change_interval_ms;
        assert!(low < 0.0 && high > 140.0 && entry.p.mean > 0.05, "{entry:?}");
        let [low, high] = entry.error_ratio_interval;
        assert!(low < 0.0 && high >= 1.0 && entry.p.errors > 0.05, "{entry:?}");
        let gate = judged(&analysis, "[[rule]]\nof = \"entry\"\nmeasure = \"mean\"\n");
        assert!(gate.findings.is_empty() && gate.verdict != Verdict::Failed, "{}", gate.summary);
    }
    // Many that are alike are known well.
    let analysis = analyze(&rare(40, 20, false), &rare(40, 160, true));
    let entry = analysis.entries.iter().find(|entry| entry.operation == "POST /rare").expect("the entry");
    assert!(entry.change_interval_ms[0] > 130.0 && entry.error_ratio_interval[0] > 0.8, "{entry:?}");
}

#[test]
fn work_that_is_no_longer_done_is_told_and_may_fail() {
    let pages = |asks: bool| -> Vec<Vec<Given>> {
        let more = [client(7, 1, "gateway ask", 1..2), server(8, 7, "audit log", 1..2)];
        let of = |number: i64| [page("GET /", 60 + number % 3), if asks { more.to_vec() } else { Vec::new() }].concat();
        (0..200).map(of).collect()
    };
    let analysis = analyze(&pages(true), &pages(false));
    let gate = judge(&analysis, &Policy::default(), date(2026, 11, 29), false).expect("a verdict");
    assert_eq!(gate.verdict, Verdict::Passed, "{}", gate.summary);
    let found = gate.findings.iter().find(|finding| finding.name == "gateway -> audit").expect("the edge");
    assert_eq!((found.state, found.measure), (State::Warned, Measure::FewerCalls));
    assert!((found.baseline - 1.0).abs() < 1e-9 && (found.change - 1.0).abs() < 1e-9, "{found:?}");
    let told = "gateway -> audit is called less often: -1.00 calls a request";
    assert!(found.description.starts_with(told), "{}", found.description);
    assert!(found.description.ends_with(", -100.0 % of 1.00 calls a request"), "{}", found.description);
    for text in [
        suspect::report::gate::text(&gate, 200),
        suspect::report::gate::junit(&gate).replace("&gt;", ">"),
        suspect::report::gate::sarif(&gate, "gate.toml"),
        suspect::report::gate::annotations(&gate),
    ] {
        assert!(text.contains(told), "{text}");
    }
    let markdown = suspect::report::gate::markdown(&gate);
    assert!(markdown.contains("| fewer calls | -1.00 calls a request (-100.0 %) |"), "{markdown}");
    let fails = judged(&analysis, "[[rule]]\nof = \"edge\"\nmeasure = \"fewer_calls\"\nmore_than = 0.5\n");
    assert_eq!(fails.verdict, Verdict::Failed);
    assert_eq!(fails.rules[0].rule, "any edge: calls not under -0.5 calls a request");
    let more = judged(&analyze(&pages(false), &pages(true)), "[[rule]]\nof = \"edge\"\nmeasure = \"fewer_calls\"\n");
    assert_eq!(more.verdict, Verdict::Passed);
}

const ACCEPTED: &str =
    "[[allow]]\nname = \"catalog: list\"\nmeasure = \"mean\"\nreason = \"on purpose\"\nuntil = 2027-01-31\n";

#[test]
fn what_an_accepted_operation_adds_is_taken_off_what_it_belongs_to() {
    // The catalog takes 30 ms longer; so does the gateway by `more`.
    let pages = |own: i64, more: i64| -> Vec<Vec<Given>> {
        let of = |number: i64| {
            let mut page = page("GET /", own + number % 3);
            page[0] = server(1, 0, "gateway GET /", 0..own + number % 3 + 4 + more);
            page
        };
        (0..200).map(of).collect()
    };
    let analysis = analyze(&pages(60, 0), &pages(90, 0));
    let gate = judged(&analysis, ACCEPTED);
    assert_eq!(gate.verdict, Verdict::Passed, "{}", gate.summary);
    assert!(gate.warnings.iter().any(|warning| warning.contains("the built-in rules hold")), "{:?}", gate.warnings);
    let whole = gate.findings.iter().find(|finding| finding.of == Of::All).expect("all requests");
    assert_eq!((whole.state, whole.measure), (State::Allowed, Measure::Mean));
    assert!((whole.change - 30.0).abs() < 1e-9, "{whole:?}");
    assert_eq!(whole.allowed_because.as_deref(), Some("30.0 ms of it are accepted of catalog: list"));
    let service = "[[rule]]\nof = \"service\"\nmeasure = \"mean\"\nmore_than = 1\n";
    assert_eq!(judged(&analysis, &format!("{service}{ACCEPTED}")).verdict, Verdict::Passed);
    // An entry needs an exception of its own.
    let entry = "[[rule]]\nof = \"entry\"\nmeasure = \"mean\"\nmore_than = 1\n";
    assert_eq!(judged(&analysis, &format!("{entry}{ACCEPTED}")).verdict, Verdict::Failed);
    // The name of a service is that of what it does, too.
    let of_service = ACCEPTED.replace("catalog: list", "catalog");
    for rules in ["", service] {
        let gate = judged(&analysis, &format!("{rules}{of_service}"));
        assert_eq!((gate.verdict, &gate.exceptions), (Verdict::Passed, &Vec::new()), "{rules} {}", gate.summary);
    }
    let dear = |name: &str| format!("{name}\nmeasure = \"mean\"\nmore_than = 1\n{of_service}");
    let gate = judged(&analysis, &dear("[[rule]]\nof = \"operation\""));
    let reasons: Vec<_> = gate.findings.iter().map(|finding| (finding.name.as_str(), finding.state)).collect();
    assert_eq!(reasons, [("catalog: list", State::Allowed)], "{}", gate.summary);
    // What takes a part off a finding is of use though no finding has its name.
    for exception in [&of_service, ACCEPTED] {
        let gate = judged(&analysis, &format!("[[rule]]\nof = \"all\"\nmeasure = \"mean\"\n{exception}"));
        assert_eq!((gate.findings.len(), gate.findings[0].state), (1, State::Allowed));
        assert_eq!(gate.exceptions, Vec::<String>::new());
    }
    let idle = of_service.replace("catalog", "gateway: GET /");
    let gate = judged(&analysis, &format!("[[rule]]\nof = \"all\"\nmeasure = \"mean\"\n{idle}"));
    assert!(
        gate.verdict == Verdict::Failed && gate.exceptions[0].contains("matches no finding"),
        "{:?}",
        gate.exceptions
    );
    // What comes beside it is found, and by itself.
    let gate = judged(&analyze(&pages(60, 0), &pages(90, 20)), ACCEPTED);
    assert_eq!(gate.verdict, Verdict::Failed);
    let whole = gate.findings.iter().find(|finding| finding.of == Of::All).expect("all requests");
    assert_eq!(whole.state, State::Failed);
    assert!((whole.change - 20.0).abs() < 1e-9, "{whole:?}");
    assert!(whole.description.ends_with("; beyond 30.0 ms that are accepted"), "{}", whole.description);
}

#[test]
fn an_exception_for_calls_does_not_allow_what_is_forbidden() {
    let analysis = analyze(&failing(100, 0), &failing(100, 0));
    let forbid = "[[forbid]]\nedge = \"gateway -> catalog\"\n";
    let allow = |measure: &str| {
        format!("{forbid}[[allow]]\nname = \"gateway -> *\"\n{measure}reason = \"known\"\nuntil = 2027-01-31\n")
    };
    assert_eq!(judged(&analysis, &allow("measure = \"calls\"\n")).verdict, Verdict::Failed);
    assert_eq!(judged(&analysis, &allow("")).verdict, Verdict::Passed);
    // Nor does one for a service.
    for name in ["gateway", "catalog"] {
        assert_eq!(judged(&analysis, &allow("").replace("gateway -> *", name)).verdict, Verdict::Failed, "{name}");
    }
}

#[test]
fn the_program_wants_a_baseline_that_is_another_run_and_files_that_are_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |side: &str, first: i64| {
        let pages = (first..first + 100).map(|number| (number, page("GET /", 60 + number % 3)));
        let spans = pages.flat_map(|(number, page)| {
            page.into_iter().map(move |span| span.trace(1_000 + number).later(number * 1_000).zipkin())
        });
        fs::create_dir_all(folder.path().join(side)).expect("a folder");
        let text = Value::Array(spans.collect()).to_string();
        fs::write(folder.path().join(side).join(format!("{first}.json")), text).expect("written");
    };
    write("main", 0);
    write("candidate", 1_000);
    let gate = |arguments: &[&str]| run_in(folder.path(), &[&["gate", "candidate", "--quiet"], arguments].concat());
    let alone = gate(&[]);
    assert_eq!(alone.status, Some(2));
    assert!(alone.stderr.contains("there is no baseline to compare the candidate with"), "{}", alone.stderr);
    assert!(alone.stderr.contains("--baseline-data main/"), "{}", alone.stderr);
    let against = ["--baseline-data", "main"];
    assert_eq!(gate(&against).status, Some(0));
    for flag in ["--junit", "--sarif", "--markdown"] {
        let stream = gate(&[&against[..], &[flag, "-"]].concat());
        assert_eq!(stream.status, Some(2));
        assert!(stream.stderr.contains(&format!("`{flag} -` is no file")), "{}", stream.stderr);
    }
    for command in ["profile", "convert"] {
        let stream = run_in(folder.path(), &[command, "main", "--quiet", "-o", "-"]);
        assert_eq!(stream.status, Some(2), "{command}");
        assert!(stream.stderr.contains("`--output -` is no file"), "{}", stream.stderr);
    }
    assert!(!folder.path().join("-").exists());
    // The candidate's folder also holds the baseline.
    write("candidate", 0);
    let mixed = gate(&against);
    assert_eq!(mixed.status, Some(3), "{}", mixed.stdout);
    assert!(mixed.stdout.contains("100 of the candidate's 200 traces are in the baseline's data"), "{}", mixed.stdout);
    run_in(folder.path(), &["profile", "main", "--quiet", "-o", "main.suspect"]).complete();
    let profiled = gate(&["--baseline-data", "main.suspect"]);
    assert_eq!(profiled.status, Some(3));
    assert!(profiled.stdout.contains("100 of the candidate's 200 traces are in the baseline's data"));
}

#[test]
fn parts_that_only_lack_spans_fail_no_build_and_accuse_nobody() {
    // Nothing changed, but of every tenth request the catalog's span is lost, or the gateway's client span.
    let pages = |lost: Option<usize>| -> Vec<Vec<Given>> {
        let of = |number: i64| -> Vec<Given> {
            let mut page = page("GET /", 60 + number % 3);
            if let Some(place) = lost.filter(|_| number % 10 == 0) {
                page.remove(place);
            }
            page
        };
        (0..400).map(of).collect()
    };
    for lost in [2, 1] {
        let analysis = analyze(&pages(None), &pages(Some(lost)));
        let windows = &analysis.windows;
        assert!(windows.baseline.missing_ratio.abs() < 1e-9, "{windows:?}");
        assert!((windows.regression.missing_ratio - 0.1).abs() < 1e-9, "{windows:?}");
        assert_ne!(analysis.verdict, suspect::rank::Verdict::Regression, "{}", analysis.summary);
        let gate = judged(
            &analysis,
            "[[rule]]\nmeasure = \"mean\"\nmore_than = 0.1\n[[rule]]\nmeasure = \"calls\"\nmore_than = 0.01\n",
        );
        assert_eq!(gate.verdict, Verdict::Inconclusive, "{}", gate.summary);
        assert!(gate.findings.iter().all(|finding| finding.state != State::Failed), "{:?}", gate.findings);
        assert!(gate.doubts[0].starts_with("spans are lost: of 10.0 % of the calls"), "{:?}", gate.doubts);
    }
    // As many lost on both sides move nothing; and what requests take as a whole does not hang on spans below them.
    let alike = analyze(&pages(Some(2)), &pages(Some(2)));
    assert!(analysis_warnings(&alike).all(|warning| !warning.starts_with("spans are lost")));
    let slower: Vec<Vec<Given>> = (0..400).map(|number| page("GET /", 90 + number % 3)).collect();
    let gate =
        judged(&analyze(&pages(Some(2)), &slower), "[[rule]]\nof = \"all\"\nmeasure = \"mean\"\nmore_than = 1\n");
    assert_eq!(gate.verdict, Verdict::Failed, "{}", gate.summary);
}

fn analysis_warnings(analysis: &Analysis) -> impl Iterator<Item = &String> {
    analysis.diagnostics.warnings.iter()
}
