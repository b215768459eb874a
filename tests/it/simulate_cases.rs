//! Cases that somebody tries the tool or a gate on: a fault that does something whatever the seed, the same system without it, and no leftovers of
//! another system.

use crate::program::{Run, run_in};
use std::fs;
use std::path::Path;
use suspect::simulate::generate::{self, Options};
use suspect::simulate::{self, FaultKind, Model, Scenario, Sink, Span};

/// Takes spans and keeps none.
struct Nobody;

impl<'m> Sink<'m> for Nobody {
    fn trace(&mut self, _: &[Span<'m>]) -> Result<(), suspect::error::Error> {
        Ok(())
    }
}

#[test]
fn a_fault_finds_something_to_aim_at_in_every_system() {
    for (kind, seed, services, depth) in [
        (FaultKind::ColdCache, 5, 10, 4),
        (FaultKind::ColdCache, 6, 10, 4),
        (FaultKind::ColdCache, 8, 4, 3),
        (FaultKind::ColdCache, 13, 4, 3),
        (FaultKind::LostParallelism, 2, 4, 3),
        (FaultKind::EarlyReturn, 2, 2, 2),
    ] {
        // One that may need the same of the system beside it.
        let beside = if kind == FaultKind::ColdCache { FaultKind::LostParallelism } else { FaultKind::ColdCache };
        let faults = vec![kind, FaultKind::Slower, beside];
        let mut scenario = generate::scenario(&Options { seed, services, depth, fan_out: 3, faults });
        scenario.duration_s = 120.0;
        let model = Model::new(&scenario).expect("a model");
        let truth = simulate::run(&model, &mut Nobody, &|_, _| ()).expect("nothing fails").truth;
        assert_eq!(truth.causes[0].kind, kind.as_str());
        assert!(truth.causes[0].added.ms.abs() > 1e-3, "{kind:?} {seed}: {:?}", truth.causes[0]);
        if kind == FaultKind::ColdCache {
            let service = truth.causes[0].service.as_deref().expect("a service");
            assert!(service.ends_with("cache"), "{service} is at fault");
        }
    }
}

#[test]
fn a_fault_that_would_do_nothing_is_refused_with_line_and_what_it_lacks() {
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/simulate/example.toml"));
    let plain = example.expect("the example");
    let plain = plain.split("\n[[fault]]").next().expect("a system");
    let scenario = Scenario::parse(plain).expect("a scenario");
    let service = scenario.services[0].name.get_ref();
    for (text, expected) in [
        ("kind = \"slower\"", "a fault of kind `slower` without `factor` or `add_ms` does nothing"),
        ("kind = \"error\"", "without `ratio` does nothing"),
        ("kind = \"timeout\"\nratio = 0.1", "without `ratio` and `add_ms` does nothing"),
        ("kind = \"n_plus_one\"", "without a `count` above 1 does nothing"),
        (
            "kind = \"slower\"\nadd_ms = 5\nonset = 0.5\nend = 0.5",
            "`end` is 0.5, expected a share of the time after `onset`, 0.5",
        ),
    ] {
        let text = format!("{plain}\n[[fault]]\nservice = \"{service}\"\n{text}\n");
        let scenario = Scenario::parse(&text).expect("a scenario");
        let told = Model::new(&scenario).expect_err(expected).describe(&text);
        assert!(told.starts_with("line ") && told.contains(expected), "{told}");
    }
    let early = plain.replacen("start_unix_s = ", "start_unix_s = -", 1);
    assert_ne!(early, plain);
    let told = Model::new(&Scenario::parse(&early).expect("a scenario")).expect_err("before the epoch");
    assert!(told.message.contains("expected 0 to"), "{}", told.message);
}

#[test]
fn a_fault_from_the_start_has_no_baseline_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = run(folder.path(), &["simulate", "--example"]).complete();
    let at = example.find("onset = 0.5").expect("an onset");
    fs::write(folder.path().join("shop.toml"), example[..at].to_owned() + "onset = 0.0" + &example[at + 11..])
        .expect("written");
    let simulated = run(folder.path(), &["simulate", "out", "--scenario", "shop.toml", "--requests", "300"]);
    assert_eq!(simulated.status, Some(0), "{}", simulated.stderr);
    assert!(simulated.stderr.contains("a fault is there from the start"), "{}", simulated.stderr);
    assert!(!simulated.stdout.contains("--baseline"), "{}", simulated.stdout);
    let label = fs::read_to_string(folder.path().join("out/case.json")).expect("a label");
    let label: serde_json::Value = serde_json::from_str(&label).expect("JSON");
    assert!(
        label["baseline"].is_null() && label["root_cause_services"].as_array().is_some_and(|all| !all.is_empty()),
        "{label}"
    );
}

fn run(folder: &Path, arguments: &[&str]) -> Run {
    run_in(folder, arguments)
}

#[test]
fn a_gate_is_tried_on_runs_of_one_system_with_and_without_its_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulate = |name: &str, more: &[&str]| {
        let plain = ["simulate", name, "--seed", "11", "--fault", "lost_parallelism", "--requests", "1500"];
        run(folder.path(), &[&plain, more].concat()).complete();
        let text = fs::read_to_string(folder.path().join(name).join("case.json")).expect("a label");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    let main = simulate("main", &["--without-faults"]);
    assert_eq!(
        (main["fault_type"].as_str(), main["root_cause_services"].as_array().map(Vec::len)),
        (Some("none"), Some(0))
    );
    let candidate = simulate("candidate", &["--run", "2"]);
    simulate("again", &["--run", "3", "--without-faults"]);
    let bytes = |name: &str| fs::read(folder.path().join(name).join("spans.parquet")).expect("spans");
    assert_ne!(bytes("main"), bytes("again"));
    let gate = |name: &str, more: &[&str]| {
        let spans = format!("{name}/spans.parquet");
        run(folder.path(), &[&["gate", &spans, "--baseline-data", "main/spans.parquet"], more].concat())
    };
    let again = gate("again", &[]);
    assert_eq!(again.status, Some(0), "{}", again.stdout);
    let window = candidate["regression"].as_array().expect("a window");
    let found = gate("candidate", &["--regression", &format!("{}..{}", window[0], window[1])]);
    assert_eq!(found.status, Some(1), "{}", found.stdout);
    let service = candidate["root_cause_services"][0].as_str().expect("a service");
    assert!(found.stdout.contains(service), "{service}: {}", found.stdout);
}

#[test]
fn a_folder_holds_the_spans_of_one_system() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulate = |more: &[&str]| run(folder.path(), &[&["simulate", "out", "--requests", "50"], more].concat());
    simulate(&[]).complete();
    fs::remove_file(folder.path().join("out/case.json")).expect("removed");
    let other = simulate(&["--format", "csv"]);
    assert_eq!(other.status, Some(2));
    assert!(other.stderr.contains("spans.parquet` exists"), "{}", other.stderr);
    simulate(&["--format", "csv", "--force"]).complete();
    let mut names: Vec<String> = fs::read_dir(folder.path().join("out"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["case.json", "spans.csv"]);
}
