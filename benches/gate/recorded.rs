//! The bundled incident in which nothing is wrong, dealt to two sides; and how one of its operations becomes slower.

use std::collections::BTreeMap;
use std::path::PathBuf;
use suspect::analysis::{self, Analysis, Attributes, Options, Prepared};
use suspect::compare::Selection;
use suspect::normalize::{Forest, NO_PARENT};
use suspect::span::{AttributeSelection, SpanKind};
use suspect::stats::random;
use suspect::window::{self, Windows};
use suspect::{ingest, ingest::Ingested, normalize};

/// How long consecutive requests stay together.
const STRETCH_NS: i64 = 5_000_000_000;
/// Operations that are worth slowing down add so much to a request.
const MIN_OWN_MS: f64 = 1.0;

/// The incident as it was and, as a second data set, with an operation slower, or as it was again.
pub(crate) struct Recorded {
    prepared: Prepared,
    windows: Windows,
}

impl Recorded {
    /// With an operation slower by a factor.
    pub(crate) fn read(slowdown: Option<(&str, f64)>) -> Self {
        let mut prepared = analysis::prepare(Some(spans()), spans());
        if let Some((name, factor)) = slowdown {
            slow_down(&mut prepared, name, factor);
        }
        let windows = prepared.select(&window::Options::default()).expect("windows").0;
        Self { prepared, windows }
    }

    /// Operations of servers that add 1 ms or more to a request.
    pub(crate) fn operations(&self) -> Vec<String> {
        let analysis = self.pair(0);
        let own = analysis.operations.iter().filter(|account| account.own_ms.baseline >= MIN_OWN_MS);
        let mut names: Vec<String> = own
            .filter_map(|account| Some(format!("{}: {}", account.service, account.operation.as_ref()?)))
            .filter(|name| !spans_of(&self.prepared.forest, name).is_empty())
            .collect();
        names.sort();
        names
    }

    /// Two sides, each stretch of time falling to one of them at random.
    pub(crate) fn pair(&self, pair: u64) -> Analysis {
        let mut sides = Selection { baseline: Vec::new(), regression: Vec::new() };
        let forest = &self.prepared.forest;
        for (trace, start) in (0..).zip(&forest.root_start_ns) {
            let stretch = start.div_euclid(STRETCH_NS).cast_unsigned();
            let is_first = random(0xdea1, pair, stretch).is_multiple_of(2);
            match (is_first, is_of_second(&self.prepared, trace)) {
                (true, false) => sides.baseline.push(trace),
                (false, true) => sides.regression.push(trace),
                _ => {}
            }
        }
        let options = Options { attributes: Attributes::None, ..Options::default() };
        analysis::analyze_with(&self.prepared, &self.windows, &sides, &options).expect("an analysis")
    }
}

fn is_of_second(prepared: &Prepared, trace: u32) -> bool {
    prepared.first_of_second.is_some_and(|first| prepared.forest.trace[trace as usize] >= first)
}

fn spans_of(forest: &Forest, name: &str) -> Vec<usize> {
    let is_own = forest.operations.iter().map(|operation| {
        let service = &forest.services[operation.service as usize].name;
        operation.kind == SpanKind::Server && format!("{service}: {}", forest.operation_name(*operation)) == name
    });
    let is_own: Vec<bool> = is_own.collect();
    (0..forest.n_spans()).filter(|&span| is_own[forest.operation[span] as usize]).collect()
}

fn spans() -> Ingested {
    let paths = [PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("datasets/incidents/fault-free/spans")];
    let attributes = AttributeSelection::Keys(normalize::required_attributes());
    let options = ingest::Options { attributes, columns: Vec::new() };
    ingest::read(&paths, &options, &|_, _| ()).expect("the bundled incident can be read")
}

/// Makes the calls of an operation in the second data set longer: what a span spends by itself, outside its children, grows by the factor, at
/// its end. Those that waited for it end as much later, and what began after it begins as much later.
fn slow_down(prepared: &mut Prepared, name: &str, factor: f64) {
    let slowed = spans_of(&prepared.forest, name);
    let mut by_trace: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for trace in 0..prepared.forest.n_traces() {
        let spans = prepared.forest.spans_of(trace);
        let first = slowed.partition_point(|&span| span < spans.start);
        let own: Vec<usize> = slowed[first..].iter().copied().take_while(|&span| span < spans.end).collect();
        if u32::try_from(trace).is_ok_and(|trace| is_of_second(prepared, trace)) && !own.is_empty() {
            by_trace.insert(trace, own);
        }
    }
    let forest = &mut prepared.forest;
    for (trace, mut own) in by_trace {
        // From the last to the first, so that what is moved is not moved again by what began later.
        own.sort_by_key(|&span| std::cmp::Reverse(forest.end_ns[span]));
        for span in own {
            let added_ns = by_itself_ns(forest, trace, span) * (factor - 1.0);
            #[allow(clippy::cast_possible_truncation, reason = "a share of a span's duration")]
            let added_ns = added_ns as i64;
            let (spans, end_ns) = (forest.spans_of(trace), forest.end_ns[span]);
            let mut waits = vec![false; spans.len()];
            let mut above = forest.parent[span];
            while above != NO_PARENT && !waits[above as usize] {
                waits[above as usize] = true;
                above = forest.parent[spans.start + above as usize];
            }
            for other in spans.clone() {
                if forest.start_ns[other] >= end_ns && other != span {
                    forest.start_ns[other] += added_ns;
                    forest.end_ns[other] += added_ns;
                } else if other == span || waits[other - spans.start] && forest.end_ns[other] >= end_ns {
                    forest.end_ns[other] += added_ns;
                }
            }
        }
    }
}

/// Time of a span that none of its children covers.
fn by_itself_ns(forest: &Forest, trace: usize, span: usize) -> f64 {
    let spans = forest.spans_of(trace);
    let place = u32::try_from(span - spans.start).expect("a place within a trace");
    let (start_ns, end_ns) = (forest.start_ns[span], forest.end_ns[span]);
    let mut children: Vec<(i64, i64)> = spans
        .filter(|&child| forest.parent[child] == place)
        .map(|child| (forest.start_ns[child].clamp(start_ns, end_ns), forest.end_ns[child].clamp(start_ns, end_ns)))
        .collect();
    children.sort_unstable();
    let (mut covered_ns, mut until_ns) = (0, start_ns);
    for (start, end) in children {
        covered_ns += (end - start.max(until_ns)).max(0);
        until_ns = until_ns.max(end);
    }
    (end_ns - start_ns - covered_ns) as f64
}
