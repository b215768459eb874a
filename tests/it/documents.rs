//! Documents of an analysis: JSON that fits its schema and comes back whole, tables, Markdown; and the same again from the JSON.

use crate::builder::{Given, server};
use crate::evidence::{analyze, page};
use crate::program::{INCIDENTS, run_in};
use crate::schema::assert_fits;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use std::fs;
use std::path::Path;
use suspect::analysis::{Analysis, ChangeAccount, Credit, Owner};
use suspect::rank::Verdict;
use suspect::report::markdown::{Options, markdown};
use suspect::report::schema::Document;
use suspect::report::{self};
use suspect::time::format_ms;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn incident(name: &str) -> String {
    format!("datasets/incidents/{name}")
}

#[test]
fn every_incident_fits_the_schema_comes_back_whole_and_renders_again_to_the_same_bytes() {
    for name in INCIDENTS {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |file: &str| folder.path().join(file).to_str().expect("text").to_owned();
        let outputs = |kind: &str| {
            let flags = ["--html", "--markdown", "--json", "--parquet"];
            let files = ["a.html", "a.md", "a.json", "tables"];
            flags
                .into_iter()
                .zip(files)
                .flat_map(|(flag, file)| [flag.to_owned(), path(&format!("{kind}-{file}"))])
                .collect::<Vec<_>>()
        };
        let run = |arguments: &[&str], outputs: &[String]| {
            let all: Vec<&str> = arguments.iter().copied().chain(outputs.iter().map(String::as_str)).collect();
            run_in(root(), &all).complete()
        };
        let url = "https://traces.example/t/{trace_id}";
        let first = run(&["analyze", &incident(name), "--quiet", "--trace-url", url], &outputs("first"));
        let json = fs::read_to_string(path("first-a.json")).expect("JSON");
        assert_fits(&serde_json::from_str(&json).expect("JSON"));
        assert!(!json.contains("NaN"));
        let document: Analysis = serde_json::from_str(&json).expect("an analysis");
        assert_eq!(report::json(&document), json, "{name}");
        let again = run(&["report", &path("first-a.json"), "--trace-url", url], &outputs("again"));
        assert_eq!(first, again, "{name}");
        let tables = fs::read_dir(path("first-tables")).expect("a folder");
        let mut files: Vec<String> =
            tables.map(|entry| format!("tables/{}", entry.expect("a file").file_name().to_string_lossy())).collect();
        assert_eq!(files.len(), 11);
        files.extend(["a.html", "a.md", "a.json"].map(str::to_owned));
        for file in files {
            let read = |kind: &str| fs::read(path(&format!("{kind}-{file}"))).expect("written");
            assert!(read("first") == read("again"), "{name}: {file} differs");
        }
        let markdown = fs::read_to_string(path("first-a.md")).expect("Markdown");
        assert!(markdown.contains("](<https://traces.example/t/") || document.suspects.is_empty(), "{name}");
    }
}

#[test]
fn every_other_document_is_given_and_fits_its_schema() {
    let path = incident("slow-release");
    let json = |arguments: &[&str]| {
        let run = run_in(root(), &[arguments, &["--format", "json", "--quiet"]].concat());
        let value: serde_json::Value = serde_json::from_str(&run.stdout).expect("a JSON document");
        assert_fits(&value);
        value
    };
    let explained = json(&["analyze", &path, "--explain", "cart"]);
    assert_eq!(Document::of(&explained), Some(Document::Explanation));
    assert_eq!(Document::of(&json(&["inspect", &path])), Some(Document::Inspection));
    assert_eq!(Document::of(&json(&["graph", &path])), Some(Document::Graph));
    let id = "d1245ac3c964bc306fe94eeff40454a5";
    assert_eq!(Document::of(&json(&["trace", id, &path])), Some(Document::Trace));
    assert_eq!(
        Document::of(&json(&["gate", &path, "--baseline", "..+100s", "--today", "2026-11-25"])),
        Some(Document::Gate)
    );
    assert_eq!(Document::of(&json(&["eval", "datasets/renditions"])), Some(Document::Evaluation));
    assert_fits(&serde_json::from_str(&run_in(root(), &["schema", "trace"]).complete()).expect("JSON"));
}

#[test]
fn what_is_no_analysis_is_refused_with_what_it_is_and_what_would_be_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = report::json(&slower());
    let line = whole.lines().count() / 2;
    let half: String = whole.split_inclusive('\n').take(line).collect();
    let half = half.trim_end();
    let lines = format!("it breaks off at line {line}, column {}", half.lines().last().expect("a line").len());
    let wrong_type = whole.replacen("\"verdict\": \"", "\"verdict\": \"no ", 1);
    let wrong_line = 1 + whole.lines().position(|line| line.contains("\"verdict\"")).expect("a line");
    let no_comma = whole.replacen(',', "", 1);
    let gate =
        run_in(root(), &["gate", &incident("fault-free"), "--baseline", "..+100s", "--format", "json", "--quiet"]);
    let newer = whole.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1);
    let unmarked = whole.replacen("  \"schema_version\": 1,\n", "", 1);
    let zipkin = "[{\"traceId\": \"1\", \"id\": \"2\", \"name\": \"a\"}]";
    let cases: [(&[u8], &str, &str); 15] = [
        (b"", "it is empty", "expected what `suspect analyze PATH --json FILE` writes"),
        (b" \n", "it is empty", "expected what"),
        (half.as_bytes(), &lines, "make it again with `suspect analyze PATH --json FILE`, or copy it again"),
        (b"{\"verdict\": \"regression\"", "it breaks off at line 1, column 24", "make it again"),
        (no_comma.as_bytes(), "it is no JSON: expected `,` or `}` at line 3 column 3", "make it again"),
        (wrong_type.as_bytes(), "unknown variant `no regression`, expected one of `regression`, ", "`suspect schema`"),
        (wrong_type.as_bytes(), &format!("at line {wrong_line} column"), "`suspect schema`"),
        (
            newer.as_bytes(),
            "it has `schema_version` 2, so a newer suspect wrote it; this suspect reads version 1",
            "make it again from the spans",
        ),
        (
            b"{\"schema_version\": 99}",
            "it has `schema_version` 99, so a newer suspect wrote it",
            "show it with the suspect that wrote it",
        ),
        (unmarked.as_bytes(), "it has no `schema_version`", "expected what"),
        (gate.stdout.as_bytes(), "it is what `suspect gate` gives, no analysis", "expected what"),
        (
            b"{\"schema_version\": 1, \"n\": 3}",
            "it is no whole analysis: missing field `verdict` at line 1 column 29",
            "make it again",
        ),
        (zipkin.as_bytes(), "it holds spans (Zipkin", "`suspect analyze` takes spans"),
        (b"<!DOCTYPE html><p>a report", "it is no analysis", "expected what"),
        (b"{\"verdict\": \"\xff\"}", "it is no UTF-8 text from byte 13 on", "copy it again"),
    ];
    for (bytes, expected, hint) in cases {
        fs::write(folder.path().join("a.json"), bytes).expect("written");
        let run = run_in(folder.path(), &["report", "a.json", "--html", "a.html"]);
        assert_eq!(run.status, Some(2));
        assert!(
            run.stderr.contains("error: cannot use `a.json`: ") && run.stderr.contains(expected),
            "{expected}: {}",
            run.stderr
        );
        let told = run.stderr.split_once("hint: ").unwrap_or_else(|| panic!("{expected}: {}", run.stderr)).1;
        assert!(told.contains(hint), "{expected}: {told}");
        assert!(!folder.path().join("a.html").exists());
    }
    let missing = run_in(folder.path(), &["report", "none.json"]);
    assert!(missing.stderr.contains("cannot read `none.json`"), "{}", missing.stderr);
    let aimless = run_in(folder.path(), &["report", "a.json", "--trace-url", "https://t.example/{trace_id}"]);
    assert!(aimless.stderr.contains("add `--html FILE` or `--markdown FILE`"), "{}", aimless.stderr);
}

#[test]
fn tables_hold_what_the_document_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let (json, tables) = (folder.path().join("a.json"), folder.path().join("tables"));
    let arguments = [
        "analyze",
        &incident("slow-release"),
        "--quiet",
        "--json",
        json.to_str().expect("text"),
        "--parquet",
        tables.to_str().expect("text"),
    ];
    run_in(root(), &arguments).complete();
    let analysis: Analysis = serde_json::from_str(&fs::read_to_string(json).expect("JSON")).expect("an analysis");
    let open = |name: &str| {
        let file = fs::File::open(tables.join(format!("{name}.parquet"))).expect("a table");
        SerializedFileReader::new(file).expect("Parquet")
    };
    let column = |reader: &SerializedFileReader<fs::File>, name: &str| {
        let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
        fields.iter().position(|field| field.name() == name).expect("a column")
    };
    let decomposition = open("decomposition");
    let (view, ms) = (column(&decomposition, "view"), column(&decomposition, "contribution_ms"));
    let rows = decomposition.get_row_iter(None).expect("rows").map(|row| row.expect("a row"));
    let sum: f64 = rows
        .filter(|row| row.get_string(view).expect("text") == "mean")
        .map(|row| row.get_double(ms).expect("a number"))
        .sum();
    assert!((sum + analysis.decomposition.residual_ms - analysis.decomposition.change_ms).abs() < 1e-9);
    let n_rows = |name: &str| usize::try_from(open(name).metadata().file_metadata().num_rows()).expect("small");
    assert_eq!(n_rows("suspects"), analysis.suspects.len());
    assert_eq!(n_rows("operations"), analysis.operations.len());
    assert_eq!(n_rows("edges"), analysis.graph.service_edges.len());
    assert_eq!(n_rows("time"), analysis.time[0].n_requests.len());
    assert_eq!((n_rows("teams"), n_rows("changes"), n_rows("summary")), (0, analysis.changes.len(), 1));
}

fn slower() -> Analysis {
    let window = |own: i64| (0..40).map(|number| page("GET /", own + number % 3)).collect::<Vec<Vec<Given>>>();
    analyze(&window(10), &window(90))
}

#[test]
fn the_postmortem_has_its_parts_and_leaves_to_people_what_is_theirs() {
    let text = markdown(&slower(), &Options::default());
    let headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(
        headings,
        [
            "Summary",
            "Timeline",
            "Impact",
            "Contributing causes",
            "Affected part",
            "Evidence",
            "Method and limits",
            "What went well",
            "What went wrong",
            "Decisions",
            "Action items"
        ]
    );
    assert!(text.ends_with("## Decisions\n\n## Action items\n\n"));
    assert!(text.contains("1. **catalog**: slower, +80.0 ms a request"), "{text}");
    assert!(text.contains("```mermaid\nflowchart LR\n") && text.contains("n0[\"catalog\"]"), "{text}");
    assert!(text.contains("| change of the mean |  | +80.0 ms |  |"), "{text}");
    let method =
        text.split("## Method and limits\n\n").nth(1).expect("the section").split("\n\n").next().expect("lines");
    assert_eq!(method.lines().count(), 4);
}

#[test]
fn the_postmortem_tells_what_the_incident_did_to_all_requests_and_apart_what_the_first_suspect_did() {
    // 40 pages whose catalog takes 80 ms more, and 40 checks of the gateway alone that take 20 ms more, of which 10 fail.
    let check = |number: i64, own: i64, is_failing: bool| {
        let span = server(1, 0, "gateway health", 0..own + number % 3);
        vec![if is_failing { span.failed() } else { span }]
    };
    let window = |own: i64, check_ms: i64, n_failing: i64| {
        let pages = (0..40).map(move |number| page("list", own + number % 3));
        pages.chain((0..40).map(move |number| check(number, check_ms, number < n_failing))).collect::<Vec<_>>()
    };
    let analysis = analyze(&window(10, 10, 0), &window(90, 30, 10));
    assert_eq!(analysis.suspects[0].service, "gateway");
    let text = markdown(&analysis, &Options::default());
    let impact = text.split("## Impact\n\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    // 80 requests, 50 ms more each.
    assert!(impact.contains("In all, over 80 requests of the regression: +4.0 s of latency"), "{impact}");
    assert!(impact.contains("+10 failing requests beyond the baseline's share"), "{impact}");
    assert!(impact.contains("on one side of zero: 2 of 2."), "{impact}");
    assert!(impact.contains("| gateway: list | 40 | 15.0 ms to 95.0 ms | +80.0 ms | "), "{impact}");
    assert!(impact.contains("| gateway: health | 40 | 11.0 ms to 31.0 ms | +20.0 ms | "), "{impact}");
    assert!(impact.contains("| +25.0 points | "), "{impact}");
    assert!(
        impact.contains("Of this, gateway, which comes first, adds +10.0 ms to a request on average and +12.5 points of failing requests. Its first suspect, gateway: health, hurt 40 requests"),
        "{impact}"
    );
    assert!(impact.contains("and adds +0.8 s in all"), "{impact}");
}

#[test]
fn the_timeline_says_which_change_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.md");
    let arguments = ["analyze", &incident("slow-release"), "--quiet", "--markdown", file.to_str().expect("text")];
    run_in(root(), &arguments).complete();
    let text = fs::read_to_string(file).expect("Markdown");
    let over: Vec<&str> = text.lines().filter(|line| line.contains(" is over")).collect();
    // A moment of the baseline that is no part of the incident.
    assert_eq!(over, ["| 2026-11-23T19:23:28.6Z | the change of 2026-11-23T19:22:45.66Z is over |"], "{text}");
}

#[test]
fn the_postmortem_says_how_certain_every_verdict_is_and_rounds_nothing_up_to_all() {
    let mut analysis = slower();
    analysis.confidence = 0.996;
    analysis.services[0].stability = 0.996;
    let text = markdown(&analysis, &Options::default());
    assert!(text.contains("Certainty: catalog is the first suspect in >99 % of resamples"), "{text}");
    assert!(text.contains("first in >99 % of resamples") && !text.contains("100 % of resamples"), "{text}");
    for verdict in [Verdict::NoSignificantChange, Verdict::Inconclusive, Verdict::TrafficMix] {
        analysis.verdict = verdict;
        let text = markdown(&analysis, &Options::default());
        assert!(text.contains("Certainty: catalog comes first, though it is not accused, in >99 %"), "{text}");
        assert!(text.contains("the mean changed by +80.0 ms (95 % interval "), "{text}");
    }
}

#[test]
fn what_rounds_to_zero_has_no_sign_and_counts_are_written_alike() {
    let mut analysis = slower();
    analysis.degradation.error_ratio_change = -1e-6;
    analysis.degradation.change_ms = -1e-5;
    analysis.diagnostics.n_spans_read = 9_424;
    analysis.diagnostics.n_spans_analysed = 9_424;
    for suspect in &mut analysis.suspects {
        suspect.impact.added_seconds = -0.001;
    }
    let text = markdown(&analysis, &Options::default());
    assert!(!text.contains("-0.0") && !text.contains("-0 %"), "{text}");
    assert!(text.contains("9,424 spans read, 9,424 analysed"), "{text}");
}

/// Replaces every text of a document that comes from data or from a user's file, or that may hold such a text.
fn poison(value: &mut serde_json::Value, is_text: bool, names: &[&str], next: &mut usize) {
    const KEYS: [&str; 32] = [
        "service",
        "operation",
        "caller",
        "callee",
        "summary",
        "reason",
        "description",
        "title",
        "url",
        "team",
        "contact",
        "runbook",
        "source",
        "trace_id",
        "span_id",
        "key",
        "value",
        "message",
        "exception",
        "name",
        "path",
        "error",
        "only",
        "warnings",
        "services",
        "operations",
        "overturned_by",
        "baseline_trace_ids",
        "cycles",
        "notes",
        "from",
        "to",
    ];
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                poison(value, KEYS.contains(&key.as_str()), names, next);
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(|value| poison(value, is_text, names, next)),
        serde_json::Value::String(text) if is_text => {
            names[*next % names.len()].clone_into(text);
            *next += 1;
        }
        _ => {}
    }
}

#[test]
fn whatever_the_names_markdown_makes_nothing_of_them_and_the_text_stays_in_its_lines() {
    let mut analysis = slower();
    let owner = Owner { team: "t".into(), contact: Some("c".into()), runbook: Some("r".into()), source: String::new() };
    analysis.suspects[0].owner = Some(owner.clone());
    analysis.services[0].owner = Some(owner);
    analysis.changes = vec![ChangeAccount {
        time: String::new(),
        time_unix_ns: 5,
        service: Some("s".into()),
        kind: "deploy".into(),
        title: "t".into(),
        url: Some("u".into()),
        source: "f".into(),
        credit: Credit::Credited,
        reason: "because".into(),
    }];
    let mut value = serde_json::to_value(&analysis).expect("JSON");
    let long = "y".repeat(10_000);
    let names = [
        "</script><img src=x onerror=alert(1)>",
        "a | b",
        "[x](http://evil.example)",
        "**b** _i_ ~~s~~ `c`",
        "# h\n- i\n1. j",
        "@me and #12 www.evil.example https://evil.example",
        "\u{1b}[31m\u{7}\u{202e}",
        "&lt;b&gt; <b>",
        "~~~\n```\nx",
        long.as_str(),
        "!(x)",
        "<!-- c -->",
        "$x$ \\",
        "1. one",
        "",
    ];
    for first in 0..names.len() {
        poison(&mut value, false, &names, &mut { first });
        let poisoned: Analysis = serde_json::from_value(value.clone()).expect("an analysis");
        let text = markdown(&poisoned, &Options { trace_url: None });
        let (before, rest) = text.split_once("```mermaid\n").expect("a graph");
        let (graph, after) = rest.split_once("```").expect("its end");
        crate::markdown::assert_names_make_nothing(&format!("{before}{after}"), &[]);
        for row in before.lines().chain(after.lines()).filter(|line| line.starts_with("| ")) {
            assert!(row.ends_with(" |"), "{row}");
        }
        let bars = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        let all: Vec<&str> = before.lines().chain(after.lines()).collect();
        for pair in all.windows(2).filter(|pair| pair.iter().all(|line| line.starts_with("| "))) {
            assert_eq!(bars(pair[0]), bars(pair[1]), "{pair:#?}");
        }
        assert!(graph.lines().all(|line| !line.contains('<') || line.contains("<br/>")), "{graph}");
        assert!(text.len() < 200_000, "{}", text.len());
        let plain = anstream::adapter::strip_str(&report::analysis::text(&poisoned, report::WIDTH)).to_string();
        crate::program::assert_readable(&plain);
    }
}

#[test]
fn an_entry_that_is_alone_has_the_interval_of_the_whole() {
    let window = |own: i64| {
        let trace = |number: i64| page("page", own + number * 7 % 11);
        (0..60).map(trace).collect::<Vec<_>>()
    };
    let analysis = analyze(&window(10), &window(40));
    let text = markdown(&analysis, &Options::default());
    let [low, high] = analysis.degradation.interval_ms.map(|bound| format!("+{} ms", format_ms(bound)));
    assert!(text.contains(&format!("95 % interval {low} to {high}; ")), "{text}");
    assert!(text.contains(&format!("| {low} to {high} |")), "{text}");
}
