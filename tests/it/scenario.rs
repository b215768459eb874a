//! Scenarios that cannot be are told by line, key, value and what would be right.

use crate::program::run_in;
use crate::simulate::{fault, pair};
use std::fs;
use suspect::simulate::{Model, Scenario};

#[test]
fn a_scenario_that_cannot_be_read_is_told_by_line_and_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = [
        ("requests_per_s = 50", "requests_per_s = -1", "line 1, `requests_per_s`: -1 is not from 0"),
        ("duration_s = 400", "duration_s = \"long\"", "line 2, `duration_s`: "),
        ("entry_weight = 1", "entry_wait = 1", "line 8, `entry_wait`: unknown field"),
        ("service = \"back\"", "service = \"bakc\"", "line 11, `service`: no service `bakc`"),
        ("operation = \"answer\"", "operation = \"answr\"", "line 12, `operation`: no operation `answr`"),
        ("name = \"back\"", "name = \"front\"", "line 16, `name`: a second service `front`"),
        ("name = \"back\"", "name = \"ba\\u0000ck\"", "line 16, `name`: `ba\\0ck` holds a NUL character"),
        ("duration_s = 400", "duration_s = \"long\"", "expected a number"),
        ("requests_per_s = 50", "seed = -1", "expected a whole number, 0 or more"),
    ];
    for (right, wrong, expected) in cases {
        let text = pair("", "", "", "").replace(right, wrong);
        fs::write(folder.path().join("shop.toml"), text).expect("a file");
        let run = run_in(folder.path(), &["simulate", "out", "--scenario", "shop.toml"]);
        assert_eq!(run.status, Some(2), "{wrong}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{wrong}: {}", run.stderr);
        assert!(!folder.path().join("out/case.json").exists());
    }
}

/// What is wrong with a scenario.
#[track_caller]
fn problem(text: &str) -> String {
    let problem = Scenario::parse(text).and_then(|scenario| Model::new(&scenario).map(drop));
    problem.expect_err("it cannot be").describe(text)
}

#[test]
fn a_number_that_cannot_be_is_told_by_its_line_its_key_and_what_would_be_right() {
    let mixture = "work = { law = \"mixture\", parts = [\n  { weight = 2, of = { law = \"constant\", ms = 1 } },\n  \
                   { weight = 1, of = { law = \"gamma\", shape = 1.0, mean_ms = -2.0 } },\n] }\n\
                   [[service.operation]]\nname = \"more\"\n";
    let slower = |text: &str| fault(&format!("kind = \"slower\"\nadd_ms = 5\n{text}"));
    let cases = [
        (pair("start_unix_s = 99999999999999", "", "", ""), "start_unix_s = ", "99999999999999, expected 0 to"),
        (pair("", "repeat = 100000000", "", ""), "repeat = ", "100000000, expected 1 to 10000"),
        (pair("", "retries = 4000000000", "", ""), "retries = ", "4000000000, expected 0 to 100"),
        (pair("", "", "hosts = 0", ""), "hosts = ", "0, expected 1 to 10000"),
        (pair("", "", "", &slower("end = 0.4")), "end = ", "0.4, expected a share of the time after `onset`, 0.5"),
        (pair("", "", "hosts = 3", &slower("host = 9")), "host = ", "9, expected 0 to 2"),
        (pair("", "", "", &fault("kind = \"n_plus_one\"\ncount = 2000")), "count = ", "2000, expected at most 1000"),
        (
            pair("", "", "", "").replace("name = \"answer\"\n", &format!("name = \"answer\"\n{mixture}")),
            "mean_ms = ",
            "-2",
        ),
        (
            pair("", "network = { law = \"log_normal\", median_ms = 2.0, sigma = 500.0 }", "", "")
                .replace("network = { law = \"constant\", ms = 0.5 }\n", ""),
            "sigma = ",
            "500, expected a number from 0 to 10",
        ),
    ];
    for (text, wrong, expected) in cases {
        let line = text[..text.find(wrong).expect("it is there")].matches('\n').count() + 1;
        let key = wrong.trim_end_matches(" = ");
        let told = problem(&text);
        assert!(told.starts_with(&format!("line {line}, `{key}`: `{key}` is {expected}")), "{told}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("shop.toml"), b"seed = 1\n\xff\xfe").expect("a file");
    let run = run_in(folder.path(), &["simulate", "out", "--scenario", "shop.toml"]);
    assert!(run.stderr.contains("line 2: found bytes that are no UTF-8 text"), "{}", run.stderr);
}

#[test]
fn a_fault_with_keys_that_its_kind_does_not_know_is_refused() {
    for (kind, key) in [
        ("kind = \"slower\"\nadd_ms = 5", "count = 7"),
        ("kind = \"slower\"\nadd_ms = 5", "caller = \"front\""),
        ("kind = \"error\"\nratio = 0.5", "factor = 1.0"),
        ("kind = \"n_plus_one\"\ncount = 3", "host = 0"),
    ] {
        let text = pair("", "", "", &fault(&format!("{kind}\n{key}")));
        let line = text[..text.find(key).expect("it is there")].matches('\n').count() + 1;
        let (key, _) = key.split_once(" = ").expect("a key");
        let told = problem(&text);
        assert!(told.starts_with(&format!("line {line}, `{key}`: a fault of kind")), "{told}");
        assert!(told.contains("its keys are `kind`, `service`, `operation`, `onset`, `end`"), "{told}");
    }
}

#[test]
fn a_fault_that_could_do_nothing_is_refused() {
    let unasked = "[[service]]\nname = \"idle\"\n[[service.operation]]\nname = \"wait\"\n\
                   work = { law = \"constant\", ms = 1.0 }\n[[fault]]\nservice = \"idle\"\nkind = \"slower\"\nadd_ms = 5";
    let front = |kind: &str| format!("[[fault]]\nservice = \"front\"\nkind = \"{kind}\"");
    for text in [
        pair("", "", "", &front("lost_parallelism")),
        pair("", "", "", &fault("kind = \"cold_cache\"")),
        pair("", "", "", &fault("kind = \"early_return\"\nratio = 0.5")),
        pair("", "probability = 0", "", &fault("kind = \"network_delay\"\nadd_ms = 5")),
        pair("", "", "", unasked),
    ] {
        assert!(problem(&text).contains("finds nothing here that it could touch"), "{text}");
    }
    let told = problem(&pair("", "", "", &fault("kind = \"cold_cache\"\nratio = 1")));
    assert!(told.contains("without a `ratio` below 1 does nothing"), "{told}");
}

#[test]
fn a_fault_in_single_brackets_is_told_with_the_brackets_that_are_right() {
    let text = pair("", "", "", "") + "\n[fault]\nkind = \"slower\"\nadd_ms = 5\n";
    let line = text.lines().position(|line| line == "[fault]").expect("it is there") + 1;
    let told = problem(&text);
    assert!(
        told.starts_with(&format!("line {line}")) && told.contains("found `[fault]`, expected `[[fault]]`"),
        "{told}"
    );
}
