//! Text for a terminal of any width: no line is wider, and what it says is the same.

use crate::builder::{Given, client, frame, server};
use crate::program::{INCIDENTS, Run, run_in, run_with};
use std::path::{Path, PathBuf};
use suspect::report::graph::Level;
use suspect::report::text::{escape, width};
use suspect::span::AttributeSelection;
use suspect::{analysis, canonical, ingest, inspect, normalize, report, trace, window};

const WIDTHS: [usize; 4] = [40, 80, 100, 160];

fn datasets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets")
}

/// What the arguments give on standard output in each width, in colour, as [`strip`] sees it.
#[track_caller]
fn in_each_width(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let texts = WIDTHS.map(|columns| {
        let given = columns.to_string();
        let Run { status, stdout, stderr } =
            run_in(folder, &[arguments, &["--width", &given, "--color", "always"]].concat());
        assert!(matches!(status, Some(0 | 1 | 3)), "{arguments:?} {stderr}");
        assert!(stdout.contains("\u{1b}[") || arguments[0] == "simulate" || arguments[0] == "profile", "{stdout}");
        assert_within(&strip(&stdout), columns);
        assert_within(&strip(&stderr), columns);
        strip(&stdout)
    });
    texts.into()
}

fn strip(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[track_caller]
fn assert_within(text: &str, columns: usize) {
    for line in text.lines() {
        assert!(width(line) <= columns, "{} columns instead of {columns}: {line}", width(line));
        assert_eq!(line, escape(line), "something drives the terminal");
        assert_eq!(line.trim_end(), line, "blanks that nobody sees");
    }
}

/// The numbers in a text, each as it is written, in no order; a window is two.
fn figures(text: &str) -> Vec<String> {
    let text = text.replace("..", " ");
    let words = text.split_whitespace().map(|word| word.trim_matches(['(', ')', ',', ';', ':', '.']));
    let mut figures: Vec<String> = words.filter(|word| word.parse::<f64>().is_ok()).map(ToOwned::to_owned).collect();
    figures.sort_unstable();
    figures
}

#[track_caller]
fn assert_same_figures(texts: &[String]) {
    let first = figures(&texts[0]);
    assert!(first.len() > 3, "{}", texts[0]);
    for (text, columns) in texts.iter().zip(WIDTHS) {
        assert_eq!(figures(text), first, "{columns} columns:\n{text}");
    }
}

/// The same of what is rendered here.
#[track_caller]
fn rendered(render: impl Fn(usize) -> String) -> Vec<String> {
    let texts = WIDTHS.map(|columns| {
        let text = strip(&render(columns));
        assert_within(&text, columns);
        text
    });
    texts.into()
}

#[test]
fn the_bundled_incidents_are_shown_in_any_width_with_the_same_figures() {
    for incident in INCIDENTS {
        let paths = [datasets().join("incidents").join(incident).join("spans")];
        let options = ingest::Options { attributes: AttributeSelection::All, columns: Vec::new() };
        let ingested = ingest::read(&paths, &options, &|_, _| ()).expect("spans");
        let inspection = inspect::summarize(&ingested).expect("an inspection");
        assert_same_figures(&rendered(|columns| report::inspect::render(&inspection, columns)));
        let prepared = analysis::prepare(None, ingested);
        let (windows, selection) = prepared.select(&window::Options::default()).expect("windows");
        let analysis = analysis::analyze(&prepared, &windows, &selection).expect("an analysis");
        let texts = rendered(|columns| report::analysis::text(&analysis, columns));
        assert_same_figures(&texts);
        let accused: Vec<_> = analysis.services.iter().filter(|service| service.is_significant).take(5).collect();
        for (service, text) in accused.iter().flat_map(|service| texts.iter().map(move |text| (service, text))) {
            let [ms, low, high] =
                [service.contribution.ms, service.contribution.interval_ms[0], service.contribution.interval_ms[1]]
                    .map(suspect::time::format_ms);
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(&format!("{}. {}", service.rank, service.service)), "{text}");
            assert!(words.contains(&format!("{ms} ms a request (")) && words.contains(&low) && words.contains(&high));
        }
        let graph = &analysis.graph;
        assert_same_figures(&rendered(|columns| report::graph_text::text(graph, Level::Service, columns)));
        assert_same_figures(&rendered(|columns| report::graph_text::text(graph, Level::Operation, columns)));
        let mut again = ingest::read(&paths, &options, &|_, _| ()).expect("spans");
        let (forest, _) = normalize::forest(&mut again.frame);
        for place in [0, forest.n_traces() / 2] {
            let document = trace::document(&again.frame, &forest, place);
            assert_same_figures(&rendered(|columns| report::trace::render(&document, columns)));
        }
    }
}

#[test]
fn an_account_a_gate_a_profile_and_an_evaluation_fit_any_width_with_the_same_figures() {
    let incidents = datasets().join("incidents");
    let spans = incidents.join("n-plus-one").join("spans");
    let spans = spans.to_str().expect("a path");
    let folder = tempfile::tempdir().expect("a folder");
    run_in(folder.path(), &["profile", spans, "-o", "all.suspect"]).complete();
    let explained = in_each_width(folder.path(), &["analyze", spans, "--explain", "1"]);
    assert_same_figures(&explained);
    assert_same_figures(&in_each_width(folder.path(), &["profile", "--show", "all.suspect"]));
    let windows = ["--baseline", "..18:29:33", "--regression", "18:29:34.."];
    let gate = [&["gate", spans, "--today", "2026-11-28"][..], &windows].concat();
    assert_same_figures(&in_each_width(folder.path(), &gate));
    // Seconds a case are the clock's.
    let cases = incidents.to_str().expect("a path");
    let texts = in_each_width(folder.path(), &["eval", cases, "--jobs", "2"]);
    assert!(texts.iter().all(|text| text.contains("AC@1") && text.contains("traffic_mix")), "{texts:?}");
    let simulated = ["simulate", "made", "--requests", "300", "--services", "3", "--fault", "slower", "--force"];
    assert_same_figures(&in_each_width(folder.path(), &simulated));
}

#[test]
fn more_room_shows_more_of_long_names_and_draws_more() {
    let spans = datasets().join("incidents/slow-dependency/spans");
    let spans = spans.to_str().expect("a path");
    let folder = tempfile::tempdir().expect("a folder");
    run_in(folder.path(), &["analyze", spans, "-q", "--json", "analysis.json"]).complete();
    let texts = in_each_width(folder.path(), &["report", "analysis.json"]);
    let drawn = |text: &String| text.matches(['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']).count();
    let [narrow, .., wide] = [0, 1, 2, 3].map(|index| drawn(&texts[index]));
    assert!(wide > 2 * narrow, "{narrow} {wide}");
    assert!(drawn(&texts[3]) > drawn(&texts[2]) && drawn(&texts[2]) > drawn(&texts[1]));
    let lines = |text: &String| text.lines().count();
    assert!(lines(&texts[3]) < lines(&texts[2]) && lines(&texts[2]) < lines(&texts[1]));
    let documents = serde_json::from_str::<serde_json::Value>(
        &std::fs::read_to_string(folder.path().join("analysis.json")).expect("a file"),
    );
    let document = documents.expect("JSON");
    let id = document["suspects"][0]["exemplars"][0]["trace_id"].as_str().expect("an exemplar");
    let trees = in_each_width(folder.path(), &["trace", id, spans]);
    assert!(trees[1].contains('…') && !trees[3].contains('…'), "{}\n{}", trees[1], trees[3]);
}

/// Names that a terminal, a table and a person have trouble with.
fn hostile_names() -> [String; 6] {
    [
        "x".repeat(10_000),
        "SELECT long ".repeat(900),
        "שלום عالم \u{202e}gnp.exe".to_owned(),
        "支払いサービス決済処理確認".repeat(40),
        "a\u{1b}[31m\u{7}\r\n\tb\u{0}\u{9b}2J".to_owned(),
        format!("e{} 👩‍👩‍👧 ©\u{fe0f}\u{20e3}", "\u{301}".repeat(300)),
    ]
}

/// Requests through services with hostile names; the last one takes 5 ms in the first hour and 25 ms in the second.
fn hostile_spans() -> Vec<Given> {
    let names = hostile_names();
    let mut spans = Vec::new();
    for number in 0..80_i64 {
        let own = if number < 40 { 5 } else { 25 } + number % 3;
        // A server's span and a client's of each service, each a millisecond inside the one before.
        for (level, name) in (0..).zip(&names) {
            for (id, make) in [(2 * level + 1, server as fn(_, _, &str, _) -> Given), (2 * level + 2, client)] {
                let inset = i64::try_from(id).expect("few spans");
                let span = make(id, id - 1, "", inset..own + 40 - inset);
                spans.push(span.named(name, &format!("{name} {id}")).trace(number + 1).later(number * 1_000));
            }
        }
    }
    spans
}

#[test]
fn hostile_names_fit_any_width_in_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    canonical::write(&frame(&hostile_spans()), &folder.path().join("spans.parquet"), false).expect("a file");
    let windows = ["--baseline", "..+40s", "--regression", "+40s.."];
    let analyze = [&["analyze", "spans.parquet", "--json", "analysis.json"][..], &windows].concat();
    let analysed = in_each_width(folder.path(), &analyze);
    let document = std::fs::read_to_string(folder.path().join("analysis.json")).expect("a file");
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!(document["verdict"], "regression");
    let services = document["services"].as_array().expect("services");
    let accused: Vec<_> = services.iter().filter(|service| service["is_significant"] == true).collect();
    assert!(!accused.is_empty());
    for text in &analysed {
        for service in &accused {
            let ms = suspect::time::format_ms(service["contribution"]["ms"].as_f64().expect("a number"));
            assert!(text.contains(&format!("+{ms} ms a request")), "{ms}\n{text}");
            assert!(text.contains(&format!("{}. ", service["rank"])), "{text}");
        }
        // Both ends of a long name tell.
        assert!(text.lines().count() < 1_000, "{} lines", text.lines().count());
    }
    let commands: [&[&str]; 7] = [
        &["report", "analysis.json"],
        &["inspect", "spans.parquet"],
        &["trace", "1", "spans.parquet"],
        &["graph", "spans.parquet", "--format", "terminal"],
        &["graph", "spans.parquet", "--format", "terminal", "--level", "operation"],
        &["analyze", "spans.parquet", "--explain", "1", windows[0], windows[1], windows[2], windows[3]],
        &["gate", "spans.parquet", "--today", "2026-11-28", windows[0], windows[1], windows[2], windows[3]],
    ];
    for arguments in commands {
        in_each_width(folder.path(), arguments);
    }
}

#[test]
fn messages_are_broken_for_a_width_that_is_asked_for_and_whole_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = format!("{}/no.json", "folder-with-a-long-name".repeat(4));
    let whole = run_in(folder.path(), &["inspect", &name]);
    assert!(whole.stderr.lines().next().is_some_and(|line| line.contains(&name)), "{}", whole.stderr);
    let broken = run_in(folder.path(), &["inspect", &name, "--width", "60"]);
    assert_within(&broken.stderr, 60);
    let joined = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(joined(&broken.stderr), joined(&whole.stderr));
}

#[test]
fn the_width_is_the_one_asked_for_else_that_of_columns_else_100() {
    let spans = datasets().join("incidents/slow-dependency/spans");
    let spans = spans.to_str().expect("a path");
    let folder = tempfile::tempdir().expect("a folder");
    run_in(folder.path(), &["analyze", spans, "-q", "--json", "analysis.json"]).complete();
    let report = |arguments: &[&str], columns: &str| {
        let environment = [("COLUMNS", columns)];
        let environment = if columns.is_empty() { &[][..] } else { &environment };
        run_with(folder.path(), &[&["report", "analysis.json"], arguments].concat(), environment).complete()
    };
    let asked = |columns: &str| report(&["--width", columns], "");
    assert_eq!(report(&[], ""), asked("100"));
    assert_eq!(report(&[], "72"), asked("72"));
    assert_eq!(report(&["--width", "120"], "72"), asked("120"));
    // Too few or too many are taken as the least and the most that are of use; what is no number says nothing.
    assert_eq!(report(&[], "7"), asked("40"));
    assert_eq!(report(&[], "900"), asked("200"));
    for nothing in ["0", "-3", "wide", "99999999999999999999999"] {
        assert_eq!(report(&[], nothing), asked("100"), "{nothing}");
    }
    // Whoever reads a file has another terminal.
    report(&["-o", "text"], "72");
    let file = std::fs::read_to_string(folder.path().join("text")).expect("a file");
    assert_eq!(file, asked("100"));
    let refused = run_in(folder.path(), &["report", "analysis.json", "--width", "39"]);
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("40"), "{}", refused.stderr);
}

/// In a terminal that `script` makes, which is not everywhere.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_tells_its_own_width() {
    let Ok(found) = std::process::Command::new("script").arg("--version").output() else { return };
    if !String::from_utf8_lossy(&found.stdout).contains("util-linux") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let spans = datasets().join("incidents/slow-dependency/spans");
    let command = format!(
        "stty rows 24 cols 64; '{}' inspect '{}' --color never",
        env!("CARGO_BIN_EXE_suspect"),
        spans.display()
    );
    let output = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(&folder)
        .env_remove("COLUMNS")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8").replace('\r', "");
    let asked = run_in(folder.path(), &["inspect", spans.to_str().expect("a path"), "--width", "64"]).complete();
    assert!(text.contains(&asked), "{text}\n{asked}");
}
