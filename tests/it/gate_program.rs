//! `suspect gate` as a build runs it: its flags, its status, what it tells GitHub, and the workflows of the README.

use crate::builder::Given;
use crate::evidence::{analyze, page};
use crate::program::{Run, run_in, run_with};
use serde_json::Value;
use std::fs;
use std::path::Path;
use suspect::gate::policy::{EXAMPLE, Policy};
use suspect::gate::{Gate, judge};
use suspect::report;

const README: &str = include_str!("../../README.md");

/// A folder with Zipkin spans of 100 requests a side, in `main` and `candidate`; the candidate's catalog takes 90 ms instead of 60.
fn runs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (side, own) in [("main", 60), ("candidate", 90)] {
        let requests = (0..100).map(|number| (number, page("GET /", own + number % 3)));
        let spans = requests.flat_map(|(number, page)| {
            page.into_iter().map(move |span| span.trace(1_000 + number).later(number * 1_000).zipkin())
        });
        fs::create_dir(folder.path().join(side)).expect("a folder");
        let text = Value::Array(spans.collect()).to_string();
        fs::write(folder.path().join(side).join("spans.json"), text).expect("written");
    }
    folder
}

fn gate(folder: &Path, more: &[&str]) -> Run {
    run_in(
        folder,
        &[&["gate", "candidate", "--baseline-data", "main", "--quiet", "--today", "2026-11-25"], more].concat(),
    )
}

#[test]
fn flags_win_over_the_policy_and_a_limit_without_a_rule_is_a_rule() {
    let folder = runs();
    let policy = |text: &str| fs::write(folder.path().join("gate.toml"), text).expect("written");
    policy("[[rule]]\nmeasure = \"mean\"\nmore_than = 31");
    assert_eq!(gate(folder.path(), &["--policy", "gate.toml"]).status, Some(0));
    assert_eq!(gate(folder.path(), &["--policy", "gate.toml", "--max-increase-ms", "29"]).status, Some(1));
    policy("[[rule]]\nmeasure = \"calls\"\nlevel = \"warn\"");
    assert_eq!(gate(folder.path(), &["--policy", "gate.toml"]).status, Some(0));
    assert_eq!(gate(folder.path(), &["--policy", "gate.toml", "--max-increase-percent", "49"]).status, Some(1));
    assert_eq!(gate(folder.path(), &["--policy", "gate.toml", "--max-increase-percent", "51"]).status, Some(0));
    let forbidden = gate(folder.path(), &["--policy", "gate.toml", "--forbid-edge", "gateway->cat*"]);
    assert_eq!(forbidden.status, Some(1));
    assert!(forbidden.stdout.contains("gateway -> catalog is forbidden"), "{}", forbidden.stdout);
}

#[test]
fn input_that_is_broken_in_part_does_not_pass_in_silence() {
    let folder = runs();
    fs::remove_dir_all(folder.path().join("candidate")).expect("removed");
    fs::create_dir(folder.path().join("candidate")).expect("a folder");
    let whole = fs::read_to_string(folder.path().join("main/spans.json")).expect("spans");
    // Requests like the baseline's, not the same.
    let whole = whole.replace("\"traceId\":\"", "\"traceId\":\"a");
    fs::write(folder.path().join("candidate/spans.json"), &whole).expect("written");
    assert_eq!(gate(folder.path(), &[]).status, Some(0));
    fs::write(folder.path().join("candidate/more.json"), &whole[..whole.len() / 2]).expect("written");
    let partial = gate(folder.path(), &[]);
    assert_eq!(partial.status, Some(3), "{}", partial.stdout);
    assert!(partial.stdout.contains("some of the input could not be read"), "{}", partial.stdout);
    assert_eq!(gate(folder.path(), &["--inconclusive", "pass"]).status, Some(0));
    assert_eq!(gate(folder.path(), &["--inconclusive", "fail"]).status, Some(1));
}

#[test]
fn github_is_told_at_the_run_and_in_the_summary_and_json_stays_json() {
    let folder = runs();
    fs::write(folder.path().join("summary.md"), "before\n").expect("written");
    let environment = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "summary.md")];
    let arguments = ["gate", "candidate", "--baseline-data", "main", "--quiet", "--markdown", "comment.md"];
    let run = run_with(folder.path(), &arguments, &environment);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    let annotations: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("::")).collect();
    assert!(annotations[0].starts_with("::error title=suspect gate failed::catalog: list adds"), "{annotations:?}");
    assert!(annotations[1].starts_with("::error title=catalog%3A list::"), "{annotations:?}");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("written");
    assert_eq!(read("summary.md"), format!("before\n{}", read("comment.md")));
    let json = run_with(folder.path(), &[&arguments[..5], &["--format", "json"]].concat(), &environment);
    assert_eq!(serde_json::from_str::<Value>(&json.stdout).expect("JSON")["verdict"], "failed");
}

#[test]
fn the_json_of_a_gate_is_valid_by_the_schema_of_its_type() {
    let schema = serde_json::to_value(schemars::schema_for!(Gate)).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let pages = |own: i64| -> Vec<Vec<Given>> { (0..100).map(|number| page("GET /", own + number % 3)).collect() };
    for own in [60, 90] {
        let today = jiff::civil::date(2026, 11, 25);
        let gate = judge(&analyze(&pages(60), &pages(own)), &Policy::default(), today, false).expect("a verdict");
        let text = report::json(&gate);
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let faults: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(serde_json::from_str::<Gate>(&text).expect("a gate"), gate);
    }
    assert!(!validator.is_valid(&serde_json::json!({ "schema_version": 1 })));
}

/// All texts of a YAML document, line by line.
fn lines(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.extend(text.lines().map(str::to_owned)),
        Value::Array(values) => values.iter().for_each(|value| lines(value, found)),
        Value::Object(values) => values.values().for_each(|value| lines(value, found)),
        _ => {}
    }
}

#[test]
fn the_workflows_of_the_readme_are_yaml_and_their_gate_runs() {
    let runs = runs();
    let workflows: Vec<&str> =
        README.split("```yaml\n").skip(1).map(|rest| rest.split_once("\n```").expect("an end").0).collect();
    assert_eq!(workflows.len(), 2);
    for workflow in workflows {
        let yaml: Value = serde_saphyr::from_str(workflow).expect("YAML");
        let mut found = Vec::new();
        lines(&yaml, &mut found);
        let commands: Vec<&str> = found
            .iter()
            .filter_map(|line| line.split_once("suspect gate traces/"))
            .map(|(_, arguments)| arguments.split(" || ").next().unwrap_or(arguments))
            .collect();
        assert_eq!(commands.len(), 1, "{found:?}");
        let folder = tempfile::tempdir().expect("a folder");
        for side in ["main", "candidate"] {
            let spans = folder.path().join("traces").join(side);
            fs::create_dir_all(&spans).expect("a folder");
            let traces = if side == "main" { "\"traceId\":\"" } else { "\"traceId\":\"a" };
            let text = fs::read_to_string(runs.path().join("main/spans.json")).expect("spans");
            fs::write(spans.join("spans.json"), text.replace("\"traceId\":\"", traces)).expect("written");
        }
        fs::write(folder.path().join("gate.toml"), EXAMPLE).expect("written");
        let arguments = format!("traces/{}", commands[0]);
        let arguments: Vec<&str> = std::iter::once("gate").chain(arguments.split_whitespace()).collect();
        let run = run_in(folder.path(), &arguments);
        assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
        // What the workflow keeps or uploads is what the command writes.
        for name in ["gate.xml", "gate.md", "gate.sarif"] {
            let is_written = folder.path().join(name).is_file();
            assert_eq!(is_written, arguments.contains(&name), "{name}");
        }
    }
}

#[test]
fn a_limit_that_is_none_is_refused_by_its_flag() {
    let folder = runs();
    for (flag, value, expected) in [
        ("--max-error-increase", "500", "expected points of all requests, from 0 to 100"),
        ("--max-increase-ms", "nan", "expected milliseconds, 0 or more"),
    ] {
        let run = gate(folder.path(), &[flag, value]);
        assert_eq!(run.status, Some(2), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("`{flag} ")) && run.stderr.contains(expected), "{}", run.stderr);
    }
}
