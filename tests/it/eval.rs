//! Accuracy over labelled cases: scores worked by hand, and the command on planted cases.

use crate::program::{assert_readable, run_in};
use serde_json::json;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use suspect::eval::Scores;

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[track_caller]
fn assert_scores(scores: Scores, expected: [f64; 5]) {
    let got = [scores.ac_1, scores.ac_3, scores.ac_5, scores.avg_5, scores.mrr];
    for (got, expected) in got.into_iter().zip(expected) {
        assert!((got - expected).abs() < 1e-12, "{scores:?} is not {expected:?}");
    }
}

#[test]
fn accuracy_counts_the_culprits_among_the_first_places() {
    // Second of three: nothing at 1, all from 2 on; mean of 0, 1, 1, 1, 1.
    assert_scores(Scores::of(&names("a b c"), &names("b")), [0.0, 1.0, 1.0, 0.8, 0.5]);
    // Two culprits at 1 and 4: 1/1, 1/2, 1/2, 2/2, 2/2.
    assert_scores(Scores::of(&names("a b c d"), &names("d a")), [1.0, 0.5, 1.0, 0.8, 1.0]);
    assert_scores(Scores::of(&[], &names("a")), [0.0; 5]);
}

#[test]
fn an_order_drawn_by_lot_is_scored_by_its_expectation() {
    // One of four: 1/4, 2/4, 3/4, 1, 1; reciprocal places (1 + 1/2 + 1/3 + 1/4) / 4.
    assert_scores(Scores::by_lot(4, 1), [0.25, 0.75, 1.0, 0.7, 25.0 / 48.0]);
    // Two of three: the first culprit is first in 2 of 3 orders, second in the third.
    assert_scores(Scores::by_lot(3, 2), [2.0 / 3.0, 1.0, 1.0, (2.0 / 3.0 * 2.0 + 3.0) / 5.0, 2.0 / 3.0 + 1.0 / 6.0]);
}

/// `n` requests a second apart through `gate` to `shop`, whose own work takes `work_ms`.
fn traces(text: &mut String, first: i64, n: i64, work_ms: i64) {
    for index in first..first + n {
        let start_us = 1_700_000_000_000_000 + index * 1_000_000;
        let work_us = (work_ms + index % 3) * 1_000;
        for (id, parent, service, from, took) in [(1, "", "gate", 0, work_us + 2_000), (2, "1", "shop", 1_000, work_us)]
        {
            let parent = if parent.is_empty() { String::new() } else { format!("{index:08x}0000000{parent}") };
            let _ = writeln!(
                text,
                "{index:032x},{index:08x}0000000{id},{parent},{service},work,{},{took}",
                start_us + from
            );
        }
    }
}

fn plant(folder: &Path, name: &str, work_ms: [i64; 2], label: &serde_json::Value) {
    let mut text = "trace_id,span_id,parent_span_id,service,operation,start_time_us,duration_us\n".to_owned();
    traces(&mut text, 1, 60, work_ms[0]);
    traces(&mut text, 61, 60, work_ms[1]);
    let case = folder.join(name);
    fs::create_dir_all(&case).expect("a folder");
    fs::write(case.join("spans.csv"), text).expect("spans");
    let mut label = label.clone();
    label["baseline"] = json!([1_700_000_000_000_000_000_i64, 1_700_000_061_000_000_000_i64]);
    label["regression"] = json!([1_700_000_061_000_000_000_i64, 1_700_000_200_000_000_000_i64]);
    fs::write(case.join("case.json"), label.to_string()).expect("a label");
}

#[test]
fn cases_are_found_scored_and_summed_and_a_broken_one_is_a_miss() {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = json!({"fault_type": "slow", "root_cause_services": ["shop"], "root_cause_operations": ["work"], "quality": "A"});
    plant(&folder.path().join("planted"), "right", [10, 40], &shop);
    let gate = json!({"fault_type": "slow", "root_cause_services": ["gate"]});
    plant(&folder.path().join("planted"), "wrong-label", [10, 40], &gate);
    plant(&folder.path().join("planted"), "quiet", [10, 10], &json!({"fault_type": "none", "root_cause_services": []}));
    plant(&folder.path().join("planted"), "broken", [10, 40], &shop);
    fs::write(folder.path().join("planted/broken/case.json"), "{").expect("a label");

    let run = run_in(folder.path(), &["eval", ".", "--format", "json", "--jobs", "2"]);
    let report = run.json();
    assert_eq!(run.status, Some(1), "a case failed");
    let case = |name: &str| {
        let cases = report["cases"].as_array().expect("a list");
        cases.iter().find(|case| case["case"] == name).expect("the case").clone()
    };
    assert_eq!(case("right")["place"], 1);
    assert_eq!(case("right")["operation_place"], 1);
    assert_eq!(case("right")["verdict"], "regression");
    assert_ne!(case("wrong-label")["place"], 1);
    assert_eq!(case("quiet")["verdict"], "no_significant_change");
    assert!(case("broken")["error"].as_str().is_some_and(|error| error.contains("case.json")), "{}", case("broken"));
    let slow = &report["groups"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|group| group["fault_type"] == "slow")
        .expect("a group")
        .clone();
    assert_eq!(slow["n_cases"], 2);
    assert_eq!(slow["scores"]["suspect"]["ac_1"], 0.5);
    assert_eq!(slow["scores"]["self_time"]["ac_1"], 0.5);
    assert_eq!(slow["n_quality_a_regression"], 1);
    assert_eq!(report["overall"]["verdicts"]["failed"], 1);

    let text = run_in(folder.path(), &["eval", "."]);
    assert_readable(&text.stdout);
    assert!(text.stdout.contains("wrong-label") && text.stdout.contains("failed:"), "{}", text.stdout);
}

#[test]
fn a_folder_without_cases_is_an_error_that_says_what_a_case_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = run_in(folder.path(), &["eval", "."]);
    assert_eq!(run.status, Some(2));
    assert!(run.stderr.contains("no `case.json` below") && run.stderr.contains("hint:"), "{}", run.stderr);
}
