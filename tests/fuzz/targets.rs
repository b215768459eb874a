//! What fuzzers do with bytes: they read them as a file would be read, and check what must hold of the result.
//!
//! One source for two callers: the targets of cargo-fuzz beside this file, and the replay of their findings in `tests/it/fuzz.rs`.
//! A target returns, or it has found something.

#![allow(dead_code, reason = "each caller uses a part of it")]

use std::path::Path;
use suspect::analysis::{self, ChangeList};
use suspect::blame::{BlameKind, BlameSink, Walker};
use suspect::compare::paths;
use suspect::gate::policy::Policy;
use suspect::ingest::{self, ColumnChoice, Ingested};
use suspect::normalize::{self, Forest};
use suspect::owners::Owners;
use suspect::simulate::Scenario;
use suspect::span::{AttributeScope, AttributeSelection, Span, SpanBatch, SpanFrame, SpanId, SpanKind, SpanStatus};
use suspect::time::TimeRange;
use suspect::{profile, report, time, trace, window};

/// Larger inputs find nothing that smaller ones do not.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Bytes that are held of an input that is read a stretch at a time.
const HELD_BYTES: usize = 1 << 10;
/// Traces whose documents are made of each input.
const MAX_DOCUMENTS: usize = 8;

/// A file of spans in any format, packed or not.
pub(crate) fn ingest(data: &[u8]) {
    let columns = vec![ColumnChoice { field: "duration".into(), column: "took".into(), unit: Some("ms".into()) }];
    for (attributes, columns) in
        [(AttributeSelection::All, Vec::new()), (AttributeSelection::Keys(normalize::required_attributes()), columns)]
    {
        let options = ingest::Options { attributes, columns };
        let read = |held_bytes| {
            let read = ingest::read_bytes_holding("fuzz", data.to_vec(), &options, held_bytes);
            let read = read.expect("content is no error of the run");
            let report = &read.sources[0];
            assert_eq!(read.frame.spans.len() as u64 + report.set_aside.total(), report.n_spans, "{report:?}");
            let spans = &read.frame.spans;
            for (start, duration) in spans.start_unix_ns.iter().zip(&spans.duration_ns) {
                assert!(*duration >= 0 && start.checked_add(*duration).is_some(), "{start} + {duration}");
            }
            read.frame
        };
        let frame = read(ingest::HELD_BYTES);
        // A stretch at a time.
        read(HELD_BYTES);
        if data.len() <= 4 << 10 {
            check(frame);
        }
    }
}

/// What people write by hand: owners, changes, policies, scenarios, windows. The first byte chooses.
pub(crate) fn settings(data: &[u8]) {
    let Some((&kind, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    match kind % 8 {
        0..=2 => {
            let mut files = Owners::default();
            let name = ["owners.toml", "catalog-info.yaml", "CODEOWNERS"][usize::from(kind % 8)];
            if files.add(Path::new(name), &text).is_ok() {
                for service in ["cart", "", "a/b", "payments-eu"] {
                    let _ = files.of(service);
                }
            }
        }
        3 => {
            let mut list = ChangeList::default();
            list.add(Path::new("changes"), &text);
            assert!(list.faults.len() as u64 <= list.n_skipped);
        }
        4 => {
            if let Ok(policy) = Policy::parse(&text, Path::new("gate.toml")) {
                let _ = policy.check();
            }
        }
        5 => {
            if let Err(problem) = Scenario::parse(&text) {
                let _ = problem.describe(&text);
            }
        }
        6 => {
            let day = 86_400_000_000_000;
            for (start, end) in [(0, day), (1_700_000_000_000_000_000, 1_700_000_060_000_000_000), (i64::MIN, i64::MAX)]
            {
                let data = TimeRange { start_unix_ns: start, end_unix_ns: end };
                if let Ok(window) = time::parse_window(&text, data) {
                    let _ = time::format_window(window, data);
                }
            }
        }
        _ => {
            let _ = serde_json::from_str::<analysis::Analysis>(&text)
                .map(|analysis| report::analysis::text(&analysis, report::WIDTH));
            let _ = serde_json::from_str::<suspect::eval::Label>(&text).map(|label| label.windows());
        }
    }
}

/// A saved baseline; content without a head is given the right one, for no fuzzer finds a checksum.
pub(crate) fn profile(data: &[u8]) {
    let path = Path::new("fuzz.suspect");
    let wrapped = if profile::is_profile(data) { data.to_vec() } else { with_head(data) };
    let Ok(read) = profile::read(&wrapped, path) else { return };
    let written = profile::write(&read).expect("a profile can be written");
    let again = profile::read(&written, path).expect("what was written can be read");
    assert_eq!(written, profile::write(&again).expect("a profile can be written"));
    let merged = profile::merge(vec![read], 1_000).expect("one alone");
    let baseline = analysis::BaselineData::Profile(Box::new(merged));
    let regression = Ingested { frame: random_frame(7, 12), sources: Vec::new() };
    let prepared = analysis::Prepared::against(Some(baseline), regression);
    if let Ok((windows, selection)) = prepared.select(&window::Options::default()) {
        let _ = analysis::analyze(&prepared, &windows, &selection)
            .map(|analysis| report::analysis::text(&analysis, report::WIDTH));
    }
}

/// The content of a profile behind the head that fits it, see `src/profile/file.rs`.
pub(crate) fn with_head(content: &[u8]) -> Vec<u8> {
    let checksum = content
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    let mut file = profile::MAGIC.to_vec();
    file.extend_from_slice(&profile::FORMAT_VERSION.to_le_bytes());
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&(content.len() as u64).to_le_bytes());
    file.extend_from_slice(&checksum.to_le_bytes());
    file.extend_from_slice(&zstd::bulk::compress(content, 1).expect("memory"));
    file
}

/// Spans of any shape: ten bytes each.
pub(crate) fn kernel(data: &[u8]) {
    let mut batch = SpanBatch::default();
    let codes: Vec<u32> = (0..8).map(|name| batch.names.intern(&format!("name {name}"))).collect();
    for record in data.chunks_exact(10).take(4_000) {
        let trace = batch.traces.intern(&format!("{:x}", 1 + (record[0] & 7))).expect("an id");
        let name = |byte: u8| codes[usize::from(byte & 7)];
        let start_unix_ns = moment(record[6], record[7]);
        let duration_ns = moment(record[8], record[9]).max(0).min(i64::MAX.saturating_sub(start_unix_ns));
        let row = batch.push(Span {
            trace,
            span_id: SpanId::new(1 + u64::from(record[1] & 63)).expect("not 0"),
            parent_span_id: SpanId::new(u64::from(record[2] & 63)),
            service: name(record[3]),
            operation: name(record[3] >> 3),
            kind: SpanKind::from_code(u64::from(record[4] % 6)),
            status: if record[4] & 64 == 0 { SpanStatus::Unset } else { SpanStatus::Error },
            start_unix_ns,
            duration_ns,
        });
        if record[5] & 1 != 0 {
            let key = normalize::required_attributes()
                [usize::from(record[5] >> 1) % normalize::required_attributes().len()]
            .clone();
            batch.string_attribute(
                row,
                AttributeScope::Span,
                &key,
                ["db", "10.0.0.1", "500", "name 1", ""][usize::from(record[5]) % 5],
            );
        }
    }
    check(SpanFrame::from_batches([batch]));
}

/// A time made of two bytes: near zero, usual, or at the ends of what there is.
fn moment(scale: u8, value: u8) -> i64 {
    let value = i64::from(value);
    match scale % 8 {
        0 => value,
        1 => value * 1_000,
        2 | 3 => value * 1_000_000,
        4 => 1_700_000_000_000_000_000 + value * 1_000_000,
        5 => i64::MAX - value,
        6 => i64::MIN + value,
        _ => -value * 1_000_000_000,
    }
}

/// Sums what a walk blames on spans.
#[derive(Default)]
struct Sum {
    blamed_ns: i128,
    n_visits: usize,
}

impl BlameSink for Sum {
    type Node = ();

    fn call(&mut self, _: Option<()>, _: usize, _: bool) {}

    fn visit(&mut self, (): (), _: usize) {
        self.n_visits += 1;
    }

    fn blame(&mut self, (): (), _: usize, _: BlameKind, start_ns: i64, end_ns: i64) {
        assert!(start_ns < end_ns, "an empty segment");
        self.blamed_ns += i128::from(end_ns) - i128::from(start_ns);
    }
}

/// Checks that every span is there, that requests sum to their durations by each way of asking, and that nothing panics.
pub(crate) fn check(mut frame: SpanFrame) {
    let n_rows = frame.spans.len() as u64;
    let (forest, repairs) = normalize::forest(&mut frame);
    assert_eq!(forest.n_spans() as u64 + repairs.n_duplicates, n_rows, "{repairs:?}");
    check_sums(&forest);
    for trace in 0..forest.n_traces().min(MAX_DOCUMENTS) {
        let document = trace::document(&frame, &forest, trace);
        for request in &document.requests {
            let sum: i128 = request
                .segments
                .iter()
                .map(|segment| i128::from(segment.end_unix_ns) - i128::from(segment.start_unix_ns))
                .sum();
            assert_eq!(sum, i128::from(request.duration_ns), "{request:?}");
        }
        let _ = report::trace::render(&document, report::WIDTH);
    }
    let prepared = analysis::prepare(None, Ingested { frame, sources: Vec::new() });
    let Ok((windows, selection)) = prepared.select(&window::Options::default()) else { return };
    let Ok(analysis) = analysis::analyze(&prepared, &windows, &selection) else { return };
    let rows: f64 = analysis.decomposition.rows.iter().map(|row| row.contribution_ms).sum();
    let change = analysis.decomposition.change_ms;
    let scale = analysis.decomposition.baseline_mean_ms.abs() + analysis.decomposition.regression_mean_ms.abs();
    assert!((rows - change).abs() <= 1e-6 * scale.max(1.0), "rows sum to {rows}, the change is {change}");
    let _ = report::analysis::text(&analysis, report::WIDTH);
    let _ = report::json(&analysis);
}

/// The blame walk and the cost table give each request exactly its duration.
pub(crate) fn check_sums(forest: &Forest) {
    let table = paths::cost_table(forest);
    let mut walker = Walker::default();
    for trace in 0..forest.n_traces() {
        walker.load(forest, trace);
        let spans = forest.spans_of(trace);
        let mut all_ns = 0;
        for top in spans.clone().filter(|&span| forest.is_top(span)) {
            let mut sum = Sum::default();
            walker.walk(forest, spans.start, top, &mut sum);
            let duration_ns = i128::from(forest.end_ns[top]) - i128::from(forest.start_ns[top]);
            assert_eq!(sum.blamed_ns, duration_ns, "trace {trace}, span {top}");
            assert!((1..=spans.len()).contains(&sum.n_visits), "{} visits", sum.n_visits);
            all_ns += duration_ns;
        }
        let costs = table.costs_of(trace);
        let sum_ns: i128 =
            costs.map(|cost| i128::from(cost.self_ns) + i128::from(cost.before_ns) + i128::from(cost.wait_ns)).sum();
        // Beyond what 64 bits hold a row keeps the most that they do.
        if all_ns < i128::from(i64::MAX) {
            assert_eq!(sum_ns, all_ns, "trace {trace}");
        }
    }
}

/// Numbers by seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Random traces of one to forty spans: trees, forests, cycles, spans that are their own parents, ids given twice, children that begin
/// before or end after their parents, spans without length, and times at the ends of what 64 bits hold.
pub(crate) fn random_frame(seed: u64, n_traces: u64) -> SpanFrame {
    let mut random = Random(seed);
    let mut batch = SpanBatch::default();
    let codes: Vec<u32> = (0..12).map(|name| batch.names.intern(&format!("name {name}"))).collect();
    for index in 0..n_traces {
        let trace =
            batch.traces.intern(&format!("{:x}", seed.wrapping_mul(1 << 20).wrapping_add(index + 1))).expect("an id");
        let n_spans = 1 + random.below(if random.clone().one_in(20) { 40 } else { 8 });
        let extreme = random.one_in(50);
        let origin = match random.below(4) {
            0 if extreme => i64::MIN,
            1 if extreme => i64::MAX - 1_000,
            _ => 1_700_000_000_000_000_000 + i64::try_from(index).unwrap_or(0) * 1_000_000,
        };
        for span in 0..n_spans {
            let parent = match random.below(12) {
                0 => random.below(n_spans + 2),
                1 => span + 1,
                _ => random.below(span + 1),
            };
            let start_unix_ns = origin.saturating_add(small(&mut random));
            let duration_ns = if random.one_in(15) { 0 } else { small(&mut random).max(0) };
            batch.push(Span {
                trace,
                span_id: SpanId::new(if random.one_in(40) { 1 } else { span + 1 }).expect("not 0"),
                parent_span_id: SpanId::new(parent),
                service: codes[usize::try_from(random.below(12)).unwrap_or(0)],
                operation: codes[usize::try_from(random.below(12)).unwrap_or(0)],
                kind: SpanKind::from_code(random.below(6)),
                status: if random.one_in(6) { SpanStatus::Error } else { SpanStatus::Unset },
                start_unix_ns,
                duration_ns: duration_ns.min(i64::MAX.saturating_sub(start_unix_ns)),
            });
        }
    }
    SpanFrame::from_batches([batch])
}

fn small(random: &mut Random) -> i64 {
    let range = [10, 1_000, 1_000_000, 1_000_000_000][usize::try_from(random.below(4)).unwrap_or(0)];
    i64::try_from(random.below(range)).unwrap_or(0) - if random.one_in(10) { 500 } else { 0 }
}
