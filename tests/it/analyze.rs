//! From files to the answer: the bundled incidents, whose causes are known.

use crate::program::{assert_readable, run_in};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use suspect::analysis::{self, Analysis, Attributes, DecompositionRow};
use suspect::canonical;
use suspect::ingest;
use suspect::rank::Verdict;
use suspect::report;
use suspect::span::{AttributeTable, SpanColumns, SpanFrame};
use suspect::window;

/// A folder of the bundled data.
fn datasets(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets").join(path)
}

/// An incident and what the analysis says of it.
struct Incident {
    name: String,
    /// Its `spans`.
    spans: PathBuf,
    culprits: Vec<String>,
    /// Labelled windows, as `--baseline` and `--regression` take them.
    windows: [String; 2],
    /// From the first span's start to the last span's end, nanoseconds since the Unix epoch.
    range_ns: [i64; 2],
    /// With the labelled windows.
    labelled: Analysis,
    /// With none.
    automatic: Analysis,
}

fn labels(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("case.json")).expect("a label");
    serde_json::from_str(&text).expect("JSON")
}

fn labelled_windows(case: &Value) -> [String; 2] {
    ["baseline", "regression"].map(|window| format!("{}..{}", case[window][0], case[window][1]))
}

fn analyze(paths: &[PathBuf], windows: Option<&[String; 2]>) -> Analysis {
    let prepared = prepare(paths);
    select_and_analyze(&prepared, windows)
}

fn prepare(paths: &[PathBuf]) -> analysis::Prepared {
    let options = ingest::Options { attributes: Attributes::default().selection(), columns: Vec::new() };
    analysis::prepare(None, ingest::read(paths, &options, &|_, _| ()).expect("files"))
}

fn select_and_analyze(prepared: &analysis::Prepared, windows: Option<&[String; 2]>) -> Analysis {
    let options = windows.map_or_else(window::Options::default, |[baseline, regression]| window::Options {
        baseline: Some(baseline.clone()),
        regression: Some(regression.clone()),
    });
    let (windows, selection) = prepared.select(&options).expect("windows with traces");
    analysis::analyze(prepared, &windows, &selection).expect("an analysis")
}

fn load(folder: &Path) -> Incident {
    let case = labels(folder);
    let windows = labelled_windows(&case);
    let spans = folder.join("spans");
    let prepared = prepare(std::slice::from_ref(&spans));
    let columns = &prepared.frame.spans;
    let ends = columns.start_unix_ns.iter().zip(&columns.duration_ns).map(|(start, duration)| start + duration);
    let range_ns = [columns.start_unix_ns.iter().copied().min(), ends.max()].map(|bound| bound.expect("a span"));
    let texts = case["root_cause_services"].as_array().expect("a list").iter();
    Incident {
        name: folder.file_name().expect("a name").to_string_lossy().into_owned(),
        culprits: texts.map(|text| text.as_str().expect("a name").to_owned()).collect(),
        labelled: select_and_analyze(&prepared, Some(&windows)),
        automatic: select_and_analyze(&prepared, None),
        spans,
        windows,
        range_ns,
    }
}

/// All incidents, each read once for all tests.
static INCIDENTS: LazyLock<Vec<Incident>> = LazyLock::new(|| {
    let entries = fs::read_dir(datasets("incidents")).expect("incidents");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.retain(|folder| folder.join("case.json").is_file());
    folders.sort();
    folders.iter().map(|folder| load(folder)).collect()
});

fn incident(name: &str) -> &'static Incident {
    INCIDENTS.iter().find(|incident| incident.name == name).expect("an incident of this name")
}

/// Incidents with a culprit.
fn with_culprit() -> impl Iterator<Item = &'static Incident> {
    INCIDENTS.iter().filter(|incident| !incident.culprits.is_empty())
}

fn both(incident: &Incident) -> [(&'static str, &Analysis); 2] {
    [("labelled windows", &incident.labelled), ("no windows", &incident.automatic)]
}

fn first(analysis: &Analysis) -> Option<&str> {
    analysis.services.first().map(|service| service.service.as_str())
}

#[test]
fn every_bundled_culprit_comes_first_with_and_without_windows() {
    assert!(with_culprit().count() >= 6, "the bundled incidents are there");
    let mut missed = Vec::new();
    for incident in with_culprit() {
        for (windows, analysis) in both(incident) {
            let is_found = first(analysis).is_some_and(|first| incident.culprits.iter().any(|known| known == first));
            if !is_found || analysis.verdict != Verdict::Regression {
                let got = (analysis.verdict, first(analysis));
                missed.push(format!("{}, {windows}: {got:?} instead of {:?}", incident.name, incident.culprits));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn a_culprit_is_named_with_evidence_that_can_be_looked_up() {
    for incident in with_culprit() {
        let analysis = &incident.labelled;
        let suspect = analysis.suspects.first().expect("a suspect");
        assert_eq!(Some(suspect.service.as_str()), first(analysis), "{}", incident.name);
        assert_eq!(suspect.rank, 1);
        assert!(suspect.operation.is_some() != suspect.edge.is_some(), "{suspect:?}");
        assert!(!suspect.reason.is_empty() && !suspect.exemplars.is_empty(), "{}: {suspect:?}", incident.name);
        let service = &analysis.services[0];
        assert!(service.is_significant && service.stability > 0.9, "{}: {service:?}", incident.name);
        assert!((analysis.confidence - service.stability).abs() < 1e-12);
        assert!(analysis.summary.contains(&service.service), "{}", analysis.summary);
    }
    let error = incident("error");
    let exemplar = &error.labelled.suspects[0].exemplars[0].trace_id;
    let shown = run_in(&error.spans, &["trace", exemplar, "."]).complete();
    assert!(shown.contains(exemplar.as_str()), "{shown}");
}

#[test]
fn operations_that_are_labelled_are_among_the_suspects_of_their_service() {
    for name in ["n-plus-one", "slow-release"] {
        let labels = labels(&datasets("incidents").join(name));
        let operation = labels["root_cause_operations"][0].as_str().expect("an operation");
        let first = &incident(name).labelled.suspects[0];
        assert_eq!(first.operation.as_deref(), Some(operation), "{name}");
    }
}

#[test]
fn what_happened_to_the_culprit_is_said_in_the_incidents_own_words() {
    let kind = |name: &str| incident(name).labelled.services[0].kind.as_str();
    assert_eq!(kind("n-plus-one"), "N+1");
    assert_eq!(kind("network-delay"), "network");
    assert_eq!(kind("slow-release"), "slower");
    assert_eq!(kind("slow-dependency"), "slower");
    assert_eq!(kind("error"), "errors");
    assert!(incident("slow-dependency").labelled.services[0].is_inferred);
}

#[test]
fn two_windows_of_the_same_traffic_accuse_nobody() {
    for (windows, analysis) in both(incident("fault-free")) {
        assert_ne!(analysis.verdict, Verdict::Regression, "{windows}: {}", analysis.summary);
        assert_ne!(analysis.verdict, Verdict::TrafficMix, "{windows}: {}", analysis.summary);
        assert!(analysis.suspects.is_empty(), "{windows}: {:?}", analysis.suspects);
    }
}

#[test]
fn other_requests_than_before_accuse_nobody() {
    for (windows, analysis) in both(incident("traffic-mix")) {
        assert_eq!(analysis.verdict, Verdict::TrafficMix, "{windows}: {}", analysis.summary);
        assert!(analysis.suspects.is_empty() && analysis.services.is_empty(), "{windows}");
        let mix = analysis.decomposition.rows.iter().find(|row| row.service.is_none()).expect("a row of the mix");
        assert!(mix.contribution_percent > 80.0, "{windows}: {mix:?}");
    }
}

#[test]
fn an_incident_told_backwards_is_an_improvement_and_accuses_nobody() {
    // N+1 calls that are gone again are no missing calls.
    for name in ["n-plus-one", "slow-dependency", "network-delay"] {
        let incident = incident(name);
        let [baseline, regression] = incident.windows.clone();
        let analysis = analyze(std::slice::from_ref(&incident.spans), Some(&[regression, baseline]));
        assert_ne!(analysis.verdict, Verdict::Regression, "{name}: {}", analysis.summary);
        assert!(analysis.suspects.is_empty(), "{name}");
    }
}

#[test]
fn rows_sum_to_the_change_and_spans_to_those_read() {
    for incident in INCIDENTS.iter() {
        for (windows, analysis) in both(incident) {
            let what = format!("{}, {windows}", incident.name);
            let decomposition = &analysis.decomposition;
            let rows: f64 = decomposition.rows.iter().map(|row| row.contribution_ms).sum();
            assert!((rows - decomposition.change_ms).abs() < 1e-6, "{what}: {rows}");
            assert!(decomposition.residual_ms.abs() < 1e-6, "{what}: {}", decomposition.residual_ms);
            let mean = &analysis.degradation.mean_ms;
            assert!((mean.regression - mean.baseline - decomposition.change_ms).abs() < 1e-6, "{what}");
            let diagnostics = &analysis.diagnostics;
            let counted = diagnostics.n_spans_analysed + diagnostics.set_aside.total();
            assert_eq!(diagnostics.n_spans_read, counted, "{what}");
            let in_windows = analysis.windows.baseline.n_spans + analysis.windows.regression.n_spans;
            assert_eq!(diagnostics.n_spans_analysed, in_windows, "{what}");
            assert!(in_windows > 10_000, "{what}: {in_windows}");
        }
        // Without windows most spans are in one of them: the doubt about the onset lies between, and other changes.
        let diagnostics = &incident.automatic.diagnostics;
        let n_outside = diagnostics.set_aside.total() as f64;
        assert!(n_outside <= 0.4 * diagnostics.n_spans_read as f64, "{}: {n_outside}", incident.name);
        assert!(incident.labelled.diagnostics.set_aside.total() > 0, "{}", incident.name);
    }
}

#[test]
fn windows_that_nobody_gave_lie_within_the_data() {
    for incident in INCIDENTS.iter() {
        let windows = &incident.automatic.windows;
        assert!(windows.baseline.start_unix_ns >= incident.range_ns[0], "{}", incident.name);
        assert!(windows.baseline.end_unix_ns <= windows.regression.start_unix_ns, "{}", incident.name);
        let beyond = windows.regression.end_unix_ns - incident.range_ns[1];
        // Normalisation may move a span by the difference of two clocks.
        assert!(beyond <= 10_000_000, "{}: {beyond} ns", incident.name);
    }
}

#[test]
fn the_split_that_nobody_gave_lies_where_the_fault_began() {
    for incident in with_culprit() {
        let case = labels(incident.spans.parent().expect("a folder"));
        let injected = case["inject_time_unix_nano"].as_i64().expect("a time");
        let split = incident.automatic.windows.regression.start_unix_ns;
        let off_s = (split - injected) as f64 / 1e9;
        // Of 220 s, some of which the fault takes to act.
        assert!(off_s.abs() < 30.0, "{}: {off_s} s", incident.name);
    }
}

/// Arguments of `analyze` with the labelled windows, as JSON.
fn arguments<'a>(paths: &[&'a str], windows: &'a [String; 2]) -> Vec<&'a str> {
    let mut arguments = vec!["analyze"];
    arguments.extend(paths);
    arguments.extend(["--baseline", windows[0].as_str(), "--regression", windows[1].as_str(), "--format", "json"]);
    arguments
}

/// The document up to the list of files, which is its end.
#[track_caller]
fn without_sources(json: &str) -> &str {
    let (before, _) = json.split_once("\"sources\": [").expect("a list of files");
    assert!(before.contains("\"schema_version\"") && before.contains("\"n_spans_read\""));
    before
}

#[test]
fn the_program_prints_the_document_with_all_its_keys() {
    let incident = incident("error");
    let path = incident.spans.to_str().expect("UTF-8");
    let printed = run_in(Path::new("."), &arguments(&[path], &incident.windows)).complete();
    assert_eq!(printed, report::json(&incident.labelled));
    let json: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["verdict"], "regression");
    for pointer in [
        "/summary",
        "/confidence",
        "/windows/baseline/start",
        "/windows/baseline/start_unix_ns",
        "/windows/regression/end",
        "/windows/regression/n_traces",
        "/windows/choice/by",
        "/windows/warnings",
        "/degradation/mean_ms/baseline",
        "/degradation/p95_ms/regression",
        "/degradation/change_ms",
        "/degradation/interval_ms/1",
        "/degradation/error_ratio/regression",
        "/decomposition/residual_ms",
        "/decomposition/rows/0/cause",
        "/decomposition/rows/0/contribution_ms",
        "/entries/0/operation",
        "/services/0/rank",
        "/services/0/service",
        "/services/0/score",
        "/services/0/contribution/ms",
        "/services/0/contribution/interval_ms/0",
        "/suspects/0/reason",
        "/suspects/0/exemplars/0/trace_id",
        "/suspects/0/paths/0/hops/0/service",
        "/errors/originates/0/per_request/regression",
        "/graph/service_edges/0",
        "/diagnostics/n_spans_read",
        "/diagnostics/set_aside",
        "/diagnostics/sources/0/path",
    ] {
        assert!(json.pointer(pointer).is_some_and(|value| !value.is_null()), "{pointer}");
    }
    let ranks: Vec<u64> =
        json["services"].as_array().expect("a list").iter().filter_map(|s| s["rank"].as_u64()).collect();
    assert_eq!(ranks, (1..=ranks.len() as u64).collect::<Vec<_>>());
}

#[test]
fn the_number_of_threads_changes_no_byte_of_the_document() {
    let incident = incident("n-plus-one");
    let path = incident.spans.to_str().expect("UTF-8");
    let expected = report::json(&incident.labelled);
    for threads in ["1", "2"] {
        let printed =
            run_in(Path::new("."), &[&arguments(&[path], &incident.windows)[..], &["--threads", threads]].concat())
                .complete();
        assert!(printed == expected, "{threads} threads");
    }
}

/// Decompressed lines of the incident's file of OTLP JSON lines.
fn json_lines(incident: &Incident) -> Vec<String> {
    let path = incident.spans.join("traces.otlp.jsonl.zst");
    let bytes = zstd::decode_all(fs::File::open(path).expect("a file")).expect("zstd");
    String::from_utf8(bytes).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
fn the_same_spans_in_other_files_and_another_order_give_the_same_document() {
    let incident = incident("error");
    let folder = tempfile::tempdir().expect("a folder");
    // The last lines come first, in a folder of their own; the protobuf file comes last.
    let lines = json_lines(incident);
    let (head, tail) = lines.split_at(lines.len() / 3);
    fs::create_dir(folder.path().join("a")).expect("a folder");
    fs::write(folder.path().join("a/1.jsonl"), tail.join("\n")).expect("a file");
    fs::write(folder.path().join("a/2.jsonl"), head.join("\n")).expect("a file");
    let protobuf = "traces.otlp.binpb.zst";
    fs::copy(incident.spans.join(protobuf), folder.path().join(protobuf)).expect("a file");
    let printed = run_in(folder.path(), &arguments(&["a", protobuf], &incident.windows)).complete();
    let expected = report::json(&incident.labelled);
    for (actual, expected) in without_sources(&printed).lines().zip(without_sources(&expected).lines()) {
        assert_eq!(actual, expected);
    }
    assert_eq!(without_sources(&printed).len(), without_sources(&expected).len());
}

#[test]
fn a_file_given_twice_counts_once() {
    let incident = incident("error");
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["traces.otlp.binpb.zst", "traces.otlp.jsonl.zst"] {
        fs::copy(incident.spans.join(name), folder.path().join(name)).expect("a file");
    }
    fs::copy(incident.spans.join("traces.otlp.jsonl.zst"), folder.path().join("again.jsonl.zst")).expect("a file");
    let once = &incident.labelled;
    let twice = analyze(&[folder.path().to_path_buf()], Some(&incident.windows));
    let n_again = twice.diagnostics.sources[0].n_spans;
    assert!(twice.diagnostics.sources[0].path.ends_with("again.jsonl.zst") && n_again > 0);
    let duplicates = twice.diagnostics.set_aside.0.get(&suspect::diagnostics::SetAsideReason::Duplicate);
    assert_eq!(duplicates, Some(&n_again));
    assert_eq!(twice.diagnostics.n_spans_read, once.diagnostics.n_spans_read + n_again);
    assert_same_answer(&twice, once);
}

fn row(row: &DecompositionRow) -> (String, u64) {
    let name = format!("{:?} {:?} {:?} {:?} {:?}", row.cause, row.service, row.operation, row.edge, row.callee);
    (name, row.contribution_ms.to_bits())
}

/// Equal to the last bit.
#[track_caller]
fn assert_same_answer(left: &Analysis, right: &Analysis) {
    assert_eq!(left.verdict, right.verdict);
    assert_eq!(left.summary, right.summary);
    let services = |analysis: &Analysis| -> Vec<_> {
        analysis.services.iter().map(|service| (service.service.clone(), service.contribution)).collect()
    };
    assert_eq!(services(left), services(right));
    let rows = |analysis: &Analysis| -> Vec<_> { analysis.decomposition.rows.iter().map(row).collect() };
    assert_eq!(rows(left), rows(right));
}

#[test]
fn a_converted_incident_gives_the_same_answer_to_the_last_bit() {
    let incident = incident("slow-dependency");
    let folder = tempfile::tempdir().expect("a folder");
    let path = incident.spans.to_str().expect("UTF-8");
    run_in(folder.path(), &["convert", path, "-o", "spans.parquet"]).complete();
    let converted = analyze(&[folder.path().join("spans.parquet")], Some(&incident.windows));
    assert_same_answer(&converted, &incident.labelled);
}

#[test]
fn jaeger_and_zipkin_renditions_name_the_same_culprit() {
    let mut n_renditions = 0;
    for entry in fs::read_dir(datasets("renditions")).expect("renditions") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        for format in ["jaeger", "zipkin"].map(|format| folder.join(format)).into_iter().filter(|path| path.is_dir()) {
            n_renditions += 1;
            let original = incident(&name);
            let analysis = analyze(std::slice::from_ref(&format), Some(&labelled_windows(&labels(&folder))));
            assert_eq!(analysis.verdict, original.labelled.verdict, "{}", format.display());
            assert_eq!(first(&analysis), first(&original.labelled), "{}", format.display());
            let n_analysed = [&analysis, &original.labelled].map(|analysis| analysis.diagnostics.n_spans_analysed);
            assert_eq!(n_analysed[0], n_analysed[1], "{}", format.display());
        }
    }
    assert!(n_renditions >= 2, "the renditions are there");
}

/// The spans that `keep` chooses by their start.
fn part(frame: &SpanFrame, keep: impl Fn(i64) -> bool) -> SpanFrame {
    let spans = &frame.spans;
    let rows: Vec<usize> = (0..spans.len()).filter(|&row| keep(spans.start_unix_ns[row])).collect();
    let pick = |values: &[u32]| rows.iter().map(|&row| values[row]).collect::<Vec<u32>>();
    let pick_id = |values: &[u64]| rows.iter().map(|&row| values[row]).collect::<Vec<u64>>();
    let pick_code = |values: &[u8]| rows.iter().map(|&row| values[row]).collect::<Vec<u8>>();
    let pick_time = |values: &[i64]| rows.iter().map(|&row| values[row]).collect::<Vec<i64>>();
    let mut attributes = AttributeTable::default();
    attributes.values = frame.attributes.values.clone();
    for (key, column) in frame.attributes.sorted() {
        let index = attributes.column_index(key.scope, &key.key);
        for (row, value) in column.iter() {
            if let Ok(new) = rows.binary_search(&(row as usize)) {
                attributes.push(index, u32::try_from(new).expect("few rows"), value);
            }
        }
    }
    SpanFrame {
        spans: SpanColumns {
            trace: pick(&spans.trace),
            span_id: pick_id(&spans.span_id),
            parent_span_id: pick_id(&spans.parent_span_id),
            service: pick(&spans.service),
            operation: pick(&spans.operation),
            kind: pick_code(&spans.kind),
            status: pick_code(&spans.status),
            start_unix_ns: pick_time(&spans.start_unix_ns),
            duration_ns: pick_time(&spans.duration_ns),
        },
        names: frame.names.clone(),
        traces: frame.traces.clone(),
        span_ids: frame.span_ids.clone(),
        attributes,
    }
}

#[test]
fn two_sets_of_data_without_windows_name_the_culprit() {
    let incident = incident("network-delay");
    let folder = tempfile::tempdir().expect("a folder");
    let frame = prepare(std::slice::from_ref(&incident.spans)).frame;
    let windows = &incident.labelled.windows;
    // No request lasts as long as the pause between the windows.
    let middle = i64::midpoint(windows.baseline.end_unix_ns, windows.regression.start_unix_ns);
    let (old, new) = (part(&frame, |start| start < middle), part(&frame, |start| start >= middle));
    assert_eq!(old.spans.len() + new.spans.len(), frame.spans.len());
    canonical::write(&old, &folder.path().join("old.parquet"), false).expect("a file");
    canonical::write(&new, &folder.path().join("new.parquet"), false).expect("a file");
    let run = run_in(folder.path(), &["analyze", "new.parquet", "--baseline-data", "old.parquet", "--format", "json"]);
    let analysis: Analysis = serde_json::from_str(&run.complete()).expect("a document");
    assert_eq!(analysis.verdict, Verdict::Regression);
    assert_eq!(first(&analysis), first(&incident.labelled));
    assert_eq!(analysis.diagnostics.n_spans_read, frame.spans.len() as u64);
    assert_eq!(analysis.diagnostics.n_spans_analysed, frame.spans.len() as u64);
    // The other way round nothing got worse.
    let run = run_in(folder.path(), &["analyze", "old.parquet", "--baseline-data", "new.parquet", "--format", "json"]);
    let analysis: Analysis = serde_json::from_str(&run.complete()).expect("a document");
    assert!(analysis.services.iter().all(|service| Some(service.service.as_str()) != first(&incident.labelled)));
}

#[test]
fn a_report_for_people_begins_with_the_verdict_and_fits_the_terminal() {
    for incident in INCIDENTS.iter() {
        for (_, analysis) in both(incident) {
            let text = anstream::adapter::strip_str(&report::analysis::text(analysis, report::WIDTH)).to_string();
            assert_readable(&text);
            let word = match analysis.verdict {
                Verdict::Regression => "REGRESSION",
                Verdict::TrafficMix => "TRAFFIC MIX",
                Verdict::NoSignificantChange => "NO SIGNIFICANT CHANGE",
                Verdict::Inconclusive => "INCONCLUSIVE",
            };
            assert_eq!(text.lines().next(), Some(word), "{}", incident.name);
            for service in analysis.services.iter().filter(|service| service.is_significant).take(3) {
                assert!(text.contains(&service.service), "{}: {}", incident.name, service.service);
            }
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let incident = incident("error");
    let path = incident.spans.to_str().expect("UTF-8");
    let with = |when| {
        let windows = &incident.windows;
        let arguments = ["analyze", path, "--baseline", &windows[0], "--regression", &windows[1], "--color", when];
        run_in(Path::new("."), &arguments).complete()
    };
    let (plain, coloured) = (with("never"), with("always"));
    assert!(coloured.contains('\u{1b}') && !plain.contains('\u{1b}'));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}
