//! Profiles: the same answer as from the spans, the same bytes from the same spans.

use crate::builder::{EPOCH_NS, Given, MS, client, frame, server, span};
use crate::program::run_in;
use serde_json::Value;
use std::path::Path;
use suspect::analysis::{self, Analysis, Attributes, BaselineData, Options, Prepared};
use suspect::diagnostics::SourceReport;
use suspect::ingest::{self, Ingested};
use suspect::profile::{self, Profile};
use suspect::span::{AttributeScope, AttributeValue, Span, SpanBatch, SpanFrame, SpanId, SpanKind, SpanStatus};
use suspect::window;

const INCIDENTS: [&str; 5] = ["cpu-contention", "error", "n-plus-one", "slow-dependency", "traffic-mix"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Spans, as read from the file `name`.
pub(crate) fn ingested(name: &str, frame: SpanFrame) -> Ingested {
    let n_spans = frame.spans.len() as u64;
    let source = SourceReport { path: name.to_owned(), n_spans, ..SourceReport::default() };
    Ingested { frame, sources: vec![source] }
}

/// The rows of `whole` in the order of `rows`, with their attributes.
fn part(whole: &SpanFrame, rows: &[usize]) -> SpanFrame {
    part_with(whole, rows, |_| true)
}

/// The same with the attributes that `keeps` names.
fn part_with(whole: &SpanFrame, rows: &[usize], keeps: fn(&str) -> bool) -> SpanFrame {
    let mut batch = SpanBatch::default();
    let mut place = vec![None; whole.spans.len()];
    for &row in rows {
        let spans = &whole.spans;
        let name = |code: u32| whole.names.get(code).to_owned();
        let span = Span {
            trace: batch.traces.intern(&whole.traces.text(spans.trace[row])).expect("an id"),
            span_id: SpanId::new(spans.span_id[row]).expect("an id"),
            parent_span_id: SpanId::new(spans.parent_span_id[row]),
            service: batch.names.intern(&name(spans.service[row])),
            operation: batch.names.intern(&name(spans.operation[row])),
            kind: SpanKind::from_code(u64::from(spans.kind[row])),
            status: SpanStatus::from_code(u64::from(spans.status[row])),
            start_unix_ns: spans.start_unix_ns[row],
            duration_ns: spans.duration_ns[row],
        };
        place[row] = Some(batch.push(span));
    }
    for (key, column) in whole.attributes.sorted().into_iter().filter(|(key, _)| keeps(&key.key)) {
        let mut values: Vec<(u32, AttributeValue)> =
            column.iter().filter_map(|(row, value)| Some((place[row as usize]?, value))).collect();
        values.sort_by_key(|&(row, _)| row);
        for (row, value) in values {
            match value {
                AttributeValue::String(code) => {
                    batch.string_attribute(row, key.scope, &key.key, whole.attributes.values.get(code));
                }
                AttributeValue::Json(code) => {
                    let code = batch.attributes.values.intern(whole.attributes.values.get(code));
                    batch.attribute(row, key.scope, &key.key, AttributeValue::Json(code));
                }
                other => batch.attribute(row, key.scope, &key.key, other),
            }
        }
    }
    SpanFrame::from_batches([batch])
}

/// The spans of a bundled incident's labelled windows.
fn incident(name: &str) -> [SpanFrame; 2] {
    let folder = root().join("datasets/incidents").join(name);
    let options = ingest::Options { attributes: Attributes::default().selection(), columns: Vec::new() };
    let mut whole = ingest::read(&[folder.join("spans")], &options, &|_, _| ()).expect("spans").frame;
    let label: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("case.json")).expect("a label")).expect("JSON");
    let (forest, _) = suspect::normalize::forest(&mut whole);
    ["baseline", "regression"].map(|window| {
        let bound = |at: usize| label[window][at].as_i64().expect("a moment");
        let inside = |&trace: &usize| (bound(0)..bound(1)).contains(&forest.root_start_ns[trace]);
        let spans = (0..forest.n_traces()).filter(inside).flat_map(|trace| forest.spans_of(trace));
        let mut rows: Vec<usize> = spans.map(|span| forest.row[span] as usize).collect();
        rows.sort_unstable();
        part(&whole, &rows)
    })
}

pub(crate) fn taken(name: &str, frame: SpanFrame, max_cells: usize) -> Profile {
    analysis::prepare(None, ingested(name, frame)).profile(None, &Attributes::All, max_cells).expect("a profile")
}

pub(crate) fn written(profile: &Profile) -> Vec<u8> {
    profile::write(profile).expect("bytes")
}

/// The profile of spans, written and read again.
pub(crate) fn profile_of(frame: SpanFrame) -> Box<Profile> {
    let bytes = written(&taken("baseline", frame, profile::MAX_CELLS));
    Box::new(profile::read(&bytes, Path::new("baseline.suspect")).expect("a profile"))
}

/// Asserts that the profile of `baseline` tells what its spans tell.
#[track_caller]
pub(crate) fn assert_same_from_profile(baseline: SpanFrame, regression: SpanFrame, attributes: Attributes) {
    let profile = analysis::prepare(None, ingested("baseline", baseline.clone()));
    let profile = profile.profile(None, &attributes, profile::MAX_CELLS).expect("a profile");
    let profile = profile::read(&written(&profile), Path::new("baseline.suspect")).expect("a profile");
    let spans = BaselineData::Spans(Box::new(ingested("baseline", baseline)));
    let from_spans = analyzed(spans, regression.clone(), attributes.clone());
    let from_profile = analyzed(BaselineData::Profile(Box::new(profile)), regression, attributes);
    assert_eq!(difference(&comparable(&from_spans), &comparable(&from_profile), ""), None);
}

fn analyzed(baseline: BaselineData, regression: SpanFrame, attributes: Attributes) -> Analysis {
    let prepared = Prepared::against(Some(baseline), ingested("regression", regression));
    let (windows, selection) = prepared.select(&window::Options::default()).expect("windows");
    analysis::analyze_with(&prepared, &windows, &selection, &Options { attributes, ..Options::default() })
        .expect("an analysis")
}

/// The document without what only spans can tell: the baseline's requests span by span, and the sentences that say so.
fn comparable(analysis: &Analysis) -> Value {
    let mut document = serde_json::to_value(analysis).expect("JSON");
    for pair in document["traces"].as_array_mut().expect("pairs") {
        pair["baseline"] = Value::Null;
    }
    let warnings = document["diagnostics"]["warnings"].as_array_mut().expect("warnings");
    warnings.retain(|warning| !warning.as_str().is_some_and(|text| text.contains("is a profile")));
    document
}

fn is_quantile(at: &str) -> bool {
    at.contains(".graph.") && ["p50_ms", "p95_ms", "p99_ms"].iter().any(|key| at.ends_with(key))
}

fn is_near(left: Option<f64>, right: Option<f64>) -> bool {
    left.zip(right).is_some_and(|(left, right)| (left - right).abs() <= 0.004 * left.abs())
}

/// The first place where two documents differ.
fn difference(left: &Value, right: &Value, at: &str) -> Option<String> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) if left.keys().eq(right.keys()) => {
            left.iter().find_map(|(key, value)| difference(value, &right[key], &format!("{at}.{key}")))
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            pairs.into_iter().find_map(|(index, (left, right))| difference(left, right, &format!("{at}[{index}]")))
        }
        _ if left == right => None,
        // Of more than 4,096 calls the graph's quantiles are of rounded durations.
        (Value::Number(left), Value::Number(right)) if is_quantile(at) && is_near(left.as_f64(), right.as_f64()) => {
            None
        }
        // Calls alike are added up before their parts are.
        (Value::Number(left), Value::Number(right)) if at.contains(".attributes[") => {
            let (own, other) = (left.as_f64().unwrap_or(f64::NAN), right.as_f64().unwrap_or(f64::NAN));
            let is_near = (own - other).abs() <= 1e-9 * own.abs();
            (!is_near).then(|| format!("{at}: {own} from spans, {other} from the profile"))
        }
        _ => Some(format!("{at}: {left} from spans, {right} from the profile")),
    }
}

#[test]
fn names_that_a_profile_folded_and_the_spans_beside_it_did_not_are_told() {
    let pages = |n_names: i64| -> SpanFrame {
        let request = |number: i64| {
            let name = format!("catalog GET /item/{}", number % n_names);
            [server(1, 0, "gateway page", 0..20), client(2, 1, "gateway GET", 1..19), server(3, 2, &name, 2..18)]
                .map(|span| span.trace(number + 1).later(number * 1_000))
        };
        crate::builder::frame(&(0..800).flat_map(request).collect::<Vec<Given>>())
    };
    for (baseline, regression, is_told) in [(400, 100, true), (100, 400, true), (400, 400, false), (100, 100, false)] {
        let profile = BaselineData::Profile(profile_of(pages(baseline)));
        let analysis = analyzed(profile, pages(regression), Attributes::None);
        let is_known = analysis.diagnostics.repairs.folded_apart == ["catalog"];
        let text = "operation names of catalog hold ids, and are folded into templates in the profile alone";
        let has_warning = analysis.diagnostics.warnings.iter().any(|warning| warning.starts_with(text));
        assert_eq!((is_known, has_warning), (is_told, is_told), "{baseline} {regression}");
    }
}

#[test]
fn a_profile_gives_the_analysis_that_its_spans_give_number_by_number() {
    let mut n_carriers = 0;
    for name in INCIDENTS {
        let [baseline, regression] = incident(name);
        let profile = profile_of(baseline.clone());
        let spans = BaselineData::Spans(Box::new(ingested("baseline", baseline)));
        let from_spans = analyzed(spans, regression.clone(), Attributes::All);
        let from_profile = analyzed(BaselineData::Profile(profile), regression, Attributes::All);
        n_carriers += from_spans.suspects.iter().map(|suspect| suspect.attributes.len()).sum::<usize>();
        let found = difference(&comparable(&from_spans), &comparable(&from_profile), name);
        assert_eq!(found, None);
        let diagnostics = &from_profile.diagnostics;
        assert_eq!(diagnostics.n_spans_read, diagnostics.n_spans_analysed + diagnostics.set_aside.total());
    }
    assert!(n_carriers > 2, "{n_carriers}");
}

/// Requests of every shape that calls have: loops, calls side by side, tries that fail and are repeated, work that nobody waits for. In the
/// regression one host is slower and one shard fails.
pub(crate) fn tangled(seed: u64, is_regression: bool) -> Vec<Given> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = |n: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(state >> 33).expect("31 bits") % n
    };
    let mut spans = Vec::new();
    for number in 0..160_i64 {
        let (trace, at) = (1 + number + if is_regression { 1_000 } else { 0 }, number * 1_000);
        let mut own: Vec<Given> = Vec::new();
        let (mut now, mut id) = (2, 1);
        for _ in 0..=below(4) {
            let (call, serve) = (id + 1, id + 2);
            id += 2;
            let host = ["cart-a", "cart-b", "cart-c"][usize::try_from(below(3)).expect("small")];
            let (begin, mut inner) = (now, now + 2);
            let mut fails = false;
            for _ in 0..below(5) {
                id += 1;
                let shard = ["north", "south"][usize::try_from(below(2)).expect("small")];
                fails = is_regression && shard == "south" && below(4) == 0;
                let took = 1 + below(3) + if is_regression && host == "cart-b" { 9 } else { 0 };
                let query = client(id, serve, "cart SELECT", inner..inner + took).attribute("shard", shard);
                let query = query.number("rows", below(300)).resource("host.name", host);
                own.push(if fails { query.failed() } else { query });
                // Side by side now and then.
                inner += if below(4) == 0 { took / 2 } else { took };
            }
            let end = inner.max(begin + 3) + 12;
            let server = server(serve, call, "cart add", begin + 1..end - 1).resource("host.name", host);
            own.push(if fails { server.failed() } else { server });
            let client = client(call, 1, "shop POST", begin..end);
            own.push(if fails { client.failed() } else { client });
            now = if below(3) == 0 { end - 2 } else { end };
        }
        let tenant = ["free", "paid"][usize::try_from(below(2)).expect("small")];
        own.push(server(1, 0, "shop page", 0..now + 20).attribute("tenant", tenant));
        if below(3) == 0 {
            own.push(span(SpanKind::Producer, id + 1, 1, "shop send", 1..2));
            own.push(span(SpanKind::Consumer, id + 2, id + 1, "mail take", 5..90).attribute("topic", tenant));
            own.push(client(id + 3, id + 2, "mail SMTP", 6..20));
        }
        spans.extend(own.into_iter().map(|span| span.trace(trace).later(at)));
    }
    spans
}

#[test]
fn carriers_are_those_of_the_spans_where_calls_are_looped_repeated_failed_and_nobody_waits_for_them() {
    for seed in 1..=8 {
        let [baseline, regression] = [false, true].map(|is_regression| frame(&tangled(seed, is_regression)));
        let spans = BaselineData::Spans(Box::new(ingested("baseline", baseline.clone())));
        let analysis = analyzed(spans, regression.clone(), Attributes::All);
        let carriers = analysis.suspects.iter().flat_map(|suspect| &suspect.attributes);
        let values: Vec<&str> = carriers.map(|carrier| carrier.value.as_str()).collect();
        assert!(values.contains(&"cart-b"), "seed {seed}: {values:?}");
        assert_same_from_profile(baseline.clone(), regression.clone(), Attributes::All);
        let asked = Attributes::Keys(vec!["shard".to_owned(), "rows".to_owned()]);
        assert_same_from_profile(baseline, regression, asked);
    }
}

#[test]
fn calls_alike_are_one_row_so_that_loops_are_small() {
    let of = |n: i64, hosts: i64| -> Profile {
        let spans: Vec<Given> = (0..n)
            .flat_map(|number| {
                let id = u64::try_from(number).expect("small") * 2 + 2;
                let host = format!("db-{}", number % hosts);
                [
                    client(id, 1, "shop call", 10 * number..10 * number + 5),
                    server(id + 1, id, "db answer", 10 * number + 1..10 * number + 4).resource("host.name", &host),
                ]
            })
            .chain([server(1, 0, "shop page", 0..10 * n)])
            .collect();
        taken("baseline", frame(&spans), profile::MAX_CELLS)
    };
    let rows = |profile: &Profile| -> Vec<(u32, i64)> {
        let calls = profile.calls.as_ref().expect("calls");
        calls.rows.iter().map(|row| (row.n_calls, row.time_ns[0] / MS)).collect()
    };
    assert_eq!(rows(&of(500, 1)), [(1, 500 * 5), (500, 500), (500, 500 * 3)]);
    assert_eq!(rows(&of(500, 2)), [(1, 500 * 5), (250, 250), (250, 250 * 3), (250, 250), (250, 250 * 3)]);
    assert!(written(&of(50_000, 1)).len() < written(&of(50, 1)).len() + 40);
}

#[test]
fn values_of_versions_and_hosts_that_come_and_go_are_known_from_a_profile() {
    let [baseline, regression] = incident("error");
    let profile = profile_of(baseline.clone());
    let spans = BaselineData::Spans(Box::new(ingested("baseline", baseline)));
    let from_spans = analyzed(spans, regression.clone(), Attributes::All);
    let from_profile = analyzed(BaselineData::Profile(profile), regression, Attributes::All);
    assert!(from_spans.new_values.iter().any(|value| value.value == "1.5.0"), "{:?}", from_spans.new_values);
    let values = |analysis: &Analysis| serde_json::to_value(&analysis.new_values).expect("JSON");
    assert_eq!(values(&from_spans), values(&from_profile));
    assert!(from_profile.diagnostics.warnings.iter().any(|warning| warning.contains("is a profile")));
}

#[test]
fn a_profile_is_the_same_bytes_from_the_same_spans_in_any_order_and_at_any_number_of_threads() {
    let [baseline, _] = incident("n-plus-one");
    let backwards: Vec<usize> = (0..baseline.spans.len()).rev().collect();
    let of = |frame: SpanFrame, n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool");
        pool.install(|| written(&taken("baseline", frame, profile::MAX_CELLS)))
    };
    let one = of(baseline.clone(), 1);
    assert_eq!(one, of(baseline.clone(), 2));
    assert_eq!(one, of(part(&baseline, &backwards), 2));
    // And it comes out as it went in.
    assert_eq!(one, written(&profile::read(&one, Path::new("-")).expect("a profile")));
}

/// The rows of every `n`-th trace from the `first` on.
fn every(frame: &SpanFrame, n: usize, first: usize) -> SpanFrame {
    let rows: Vec<usize> = (0..frame.spans.len()).filter(|&row| frame.spans.trace[row] as usize % n == first).collect();
    let part = part_with(frame, &rows, |key| {
        key.starts_with("service.version") || key.starts_with("peer.") || key.starts_with("db.")
    });
    // One host, so no clock to learn: clocks are learnt from a recording as a whole.
    let mut batch = SpanBatch::from(part);
    for row in 0..u32::try_from(rows.len()).expect("few") {
        batch.string_attribute(row, AttributeScope::Resource, "host.name", "one");
    }
    SpanFrame::from_batches([batch])
}

/// The profile of the parts together, as if they were files of one recording.
fn of_parts(parts: &[SpanFrame], max_cells: usize) -> Profile {
    let mut whole: Option<Ingested> = None;
    for (index, part) in parts.iter().enumerate() {
        let next = ingested(&format!("part {index}"), part.clone());
        match &mut whole {
            None => whole = Some(next),
            Some(whole) => {
                whole.frame.append_apart(next.frame);
                whole.sources.extend(next.sources);
            }
        }
    }
    analysis::prepare(None, whole.expect("a part")).profile(None, &Attributes::All, max_cells).expect("a profile")
}

/// Part by part, so that a failure says where.
fn assert_alike(left: &Profile, right: &Profile) {
    assert_eq!(left.about, right.about);
    assert_eq!((&left.names, &left.services, &left.operations), (&right.names, &right.services, &right.operations));
    assert_eq!((left.below, &left.traces), (right.below, &right.traces));
    assert_eq!(left.requests, right.requests);
    assert_eq!(left.table.paths.list, right.table.paths.list);
    assert_eq!(left.table.costs, right.table.costs);
    assert_eq!((&left.table.limits, &left.table.kept), (&right.table.limits, &right.table.kept));
    assert_eq!(left.graph, right.graph);
    let [left_calls, right_calls] = [left, right].map(|profile| profile.calls.as_ref().expect("calls"));
    assert_eq!((&left_calls.rows, &left_calls.offsets), (&right_calls.rows, &right_calls.offsets));
    assert_eq!((&left_calls.columns, &left_calls.many), (&right_calls.columns, &right_calls.many));
    assert_eq!((&left.values, &left.grounds), (&right.values, &right.grounds));
}

#[test]
fn merged_profiles_are_the_profile_of_all_in_any_order_exact_or_sampled() {
    let [baseline, _] = incident("fault-free");
    let parts = [0, 1, 2].map(|first| every(&baseline, 3, first));
    for max_cells in [profile::MAX_CELLS, 500] {
        let whole = written(&of_parts(&parts, max_cells));
        let own = |index: usize| taken(&format!("part {index}"), parts[index].clone(), max_cells);
        let merged = |profiles| profile::merge(profiles, max_cells).expect("different traces");
        assert_alike(&of_parts(&parts, max_cells), &merged(vec![own(0), own(1), own(2)]));
        assert!(whole == written(&merged(vec![own(0), own(1), own(2)])));
        assert!(whole == written(&merged(vec![own(2), merged(vec![own(1), own(0)])])));
        assert!(whole == written(&merged(vec![merged(vec![own(0), own(2)]), own(1)])));
    }
    let twice = vec![taken("a", parts[0].clone(), 500_000), taken("b", parts[0].clone(), 500_000)];
    let error = profile::merge(twice, 500_000).expect_err("the same traces");
    assert!(error.to_string().contains("is in two of the profiles"), "{error}");
}

/// Requests of an entry and a callee; each lasts some other time.
pub(crate) fn requests(n: i64) -> Vec<Given> {
    (0..n)
        .flat_map(|number| {
            let ms = 20 + (number * 7_919) % 101;
            let trace = [
                server(1, 0, "shop GET /", 0..ms),
                client(2, 1, "shop call", 5..ms - 5),
                server(3, 2, "stock GET /items", 6..ms - 6),
            ];
            trace.map(|span| span.trace(1 + number).later(number * 100))
        })
        .collect()
}

#[test]
fn a_sample_stands_for_all_traces_and_says_how_uncertain_that_makes_the_mean() {
    let n = 4_000;
    let sampled = taken("all", frame(&requests(n)), 3 * 500);
    let whole = taken("all", frame(&requests(n)), profile::MAX_CELLS);
    assert_eq!((sampled.traces.len(), sampled.n_traces(), sampled.n_spans()), (500, 4_000, 12_000));
    assert!((sampled.scale() * 500.0 - 4_000.0).abs() < 1e-6);
    assert_eq!(sampled.graph, whole.graph);
    let mean = |profile: &Profile| {
        let sum: f64 = profile.requests.iter().map(|request| request.duration_ns as f64).sum();
        sum / profile.requests.len() as f64
    };
    let error = sampled.sampling_error().expect("several traces");
    // By hand: durations spread evenly over 20 to 120 ms have mean 70 and deviation 29.2, over 500 of 4,000 0.0174 of the mean.
    assert!((error - 29.15 / 70.0 / 500_f64.sqrt() * (1.0 - 1.0 / 8.0_f64).sqrt()).abs() < 0.001, "{error}");
    assert!((mean(&sampled) / mean(&whole) - 1.0).abs() < 4.0 * error);
    let regression: Vec<Given> = requests(600).into_iter().map(|span| span.later(10_000_000)).collect();
    let bytes = written(&sampled);
    let read = profile::read(&bytes, Path::new("-")).expect("a profile");
    let analysis = analyzed(BaselineData::Profile(Box::new(read)), frame(&regression), Attributes::None);
    assert!((analysis.windows.baseline.n_requests - 4_000.0).abs() < 1e-6);
    assert!(analysis.diagnostics.warnings.iter().any(|warning| warning.contains("sample of 500 of its 4000 traces")));
    let diagnostics = &analysis.diagnostics;
    assert_eq!(diagnostics.n_spans_read, 12_000 + 1_800);
    assert_eq!(diagnostics.n_spans_read, diagnostics.n_spans_analysed + diagnostics.set_aside.total());
}

#[test]
fn sampling_weights_that_only_one_side_has_are_told_of_a_profile_as_of_spans() {
    let bare = requests(200);
    let sampled: Vec<Given> = bare.iter().map(|span| span.clone().number("sample_rate", 4)).collect();
    for (baseline, regression) in [(&sampled, &bare), (&bare, &sampled)] {
        let analysis = analyzed(BaselineData::Profile(profile_of(frame(baseline))), frame(regression), Attributes::All);
        let told = "200 traces carry a sampling weight and 200 do not: those count once, which may be wrong";
        let warnings = &analysis.diagnostics.warnings;
        assert!(warnings.iter().any(|warning| warning == told), "{warnings:?}");
        assert_same_from_profile(frame(baseline), frame(regression), Attributes::All);
    }
    let part = |first: i64| {
        let of = move |span: &Given| (first..first + 100).contains(&span.number_of_trace());
        let number = |span: Given| if first == 201 { span.number("sample_rate", 4) } else { span };
        taken("part", frame(&requests(300).into_iter().filter(of).map(number).collect::<Vec<_>>()), profile::MAX_CELLS)
    };
    for order in [[1, 101, 201], [201, 1, 101], [1, 201, 101]] {
        let merged = profile::merge(order.map(part).into(), profile::MAX_CELLS).expect("different traces");
        let repairs = &merged.about.repairs;
        assert_eq!((repairs.n_weighted_traces, repairs.n_unweighted_traces), (100, 200), "{order:?}");
    }
}

#[test]
fn the_program_makes_merges_shows_and_takes_profiles_and_says_where_they_cannot_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| run_in(folder.path(), arguments);
    let data = root().join("datasets/incidents/error/spans").to_string_lossy().into_owned();
    let label: Value = serde_json::from_str(
        &std::fs::read_to_string(root().join("datasets/incidents/error/case.json")).expect("a label"),
    )
    .expect("JSON");
    let window = |name: &str| format!("{}..{}", label[name][0], label[name][1]);
    let (before, after) = (window("baseline"), window("regression"));
    run(&["profile", &data, "--window", &before, "-o", "b.suspect"]).complete();
    let report =
        run(&["analyze", &data, "--regression", &after, "--format", "json", "--quiet", "--baseline-data", "b.suspect"])
            .complete();
    let analysis: Analysis = serde_json::from_str(&report).expect("an analysis");
    assert_eq!(analysis.suspects.first().map(|suspect| suspect.service.as_str()), Some("payment"));
    assert!(run(&["profile", "--show", "b.suspect"]).complete().contains("all kept"));
    // Which attributes are looked into is what the profile was made with.
    let carriers = |profile: &str, keys: &[&str]| -> (Vec<String>, String) {
        let arguments = ["analyze", &data, "--regression", &after, "--format", "json", "--baseline-data", profile];
        let report = run(&[&arguments, keys].concat()).complete();
        let analysis: Analysis = serde_json::from_str(&report).expect("an analysis");
        let keys = analysis.suspects.iter().flat_map(|suspect| &suspect.attributes).map(|carrier| carrier.key.clone());
        (keys.collect(), analysis.diagnostics.warnings.join("\n"))
    };
    run(&["profile", &data, "--window", &before, "-o", "host.suspect", "--attributes", "host.name"]).complete();
    run(&["profile", &data, "--window", &before, "-o", "none.suspect", "--no-attributes"]).complete();
    let (all, warnings) = carriers("b.suspect", &[]);
    assert!(all.contains(&"service.version".to_owned()) && !warnings.contains("looked into"), "{all:?} {warnings}");
    let (host, warnings) = carriers("host.suspect", &[]);
    assert!(!host.contains(&"service.version".to_owned()), "{host:?}");
    assert!(warnings.contains("only `host.name` are looked into"), "{warnings}");
    let (version, warnings) = carriers("host.suspect", &["--attributes", "service.version,host.name"]);
    assert!(!version.contains(&"service.version".to_owned()), "{version:?}");
    assert!(warnings.contains("made without `service.version`"), "{warnings}");
    let (none, warnings) = carriers("none.suspect", &[]);
    assert!(none.is_empty() && warnings.contains("--no-attributes"), "{none:?} {warnings}");
    assert!(run(&["profile", "--show", "b.suspect"]).complete().contains("service.version"));
    assert!(run(&["profile", "--show", "none.suspect"]).complete().contains("not told apart by attributes"));
    for (arguments, said) in [
        (
            vec!["profile", "--merge", "b.suspect", "host.suspect", "-o", "c.suspect"],
            "another the attributes host.name",
        ),
        (vec!["profile", "--merge", "none.suspect", "b.suspect", "-o", "c.suspect"], "one profile keeps no attributes"),
        (vec!["profile", "--merge", "b.suspect", "-o", "c.suspect", "--no-attributes"], "cannot be used with"),
        (vec!["analyze", "b.suspect"], "a profile, which holds no spans"),
        (vec!["inspect", "b.suspect"], "a profile, which holds no spans"),
        (vec!["graph", "b.suspect"], "a profile, which holds no spans"),
        (vec!["analyze", &data, "--baseline-data", "b.suspect", &data], "the baseline is a profile and"),
        (vec!["analyze", &data, "--baseline", "..+1m", "--baseline-data", "b.suspect"], "which has its window"),
        (vec!["analyze", &data, "--entry", "*", "--baseline-data", "b.suspect"], "cannot be narrowed"),
        (vec!["profile", "--merge", "b.suspect", "b.suspect", "-o", "c.suspect"], "is in two of the profiles"),
        (vec!["profile", "--merge", &data, "-o", "c.suspect"], "cannot"),
    ] {
        let refused = run(&arguments);
        assert_eq!(refused.status, Some(2), "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(said), "{arguments:?}: {}", refused.stderr);
    }
}

#[test]
fn times_of_requests_are_kept_to_the_nanosecond() {
    let profile = profile_of(frame(&requests(3)));
    let times: Vec<(i64, i64)> =
        profile.requests.iter().map(|request| ((request.start_ns - EPOCH_NS) / MS, request.duration_ns)).collect();
    assert_eq!(times, [(0, 20 * MS), (100, (20 + 7_919 % 101) * MS), (200, (20 + 15_838 % 101) * MS)]);
}
