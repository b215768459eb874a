//! The dependency graph as the script draws it: each service and call with its size, colour and figures, ready to show.

use super::Page;
use super::names::shorten;
use super::numbers::{amount, ms, percent, points, signed_ms};
use crate::analysis::{Analysis, Contribution, Operation, Pair, excludes_zero};
use crate::topology::{ByWindow, CallStats, NodeStats, Status};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Services drawn, and calls between them: more is no picture. The busiest.
pub(super) const MAX_NODES: usize = 400;
const MAX_EDGES: usize = 2_000;
/// Characters of a name on a box, and in full.
const MAX_LABEL: usize = 28;
const MAX_NAME: usize = 90;
/// A smaller change of the share of failing requests has no colour.
const MIN_FAILURES: f64 = 0.005;
/// A smaller one would be shown as none.
pub(super) const LEAST_FAILURES: f64 = 0.000_05;
/// Suspects whose ways from the entries are shown.
const MAX_WAYS: usize = 5;

#[derive(Debug, Serialize)]
pub(super) struct GraphData {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
}

/// A service.
#[derive(Debug, Serialize)]
pub(super) struct Node {
    /// Name, cut to the box, and cut less.
    label: String,
    pub(super) name: String,
    /// Second line of the box.
    note: String,
    /// What else is said to who does not see it.
    words: String,
    /// Traffic, from 0 to 1.
    size: f64,
    /// -3 to 3: how much it takes away or adds, of time or of failures; 0 where that cannot be told from none.
    tone: i8,
    pub(super) status: &'static str,
    inferred: bool,
    /// Number of it as a suspect, and place of its first part among the suspects.
    rank: Option<u32>,
    part: Option<u32>,
    /// How much it is shown while others are collapsed: 2 for what adds and takes away, suspects and the ways to them, 1 for what
    /// else is new or gone.
    changed: u8,
    tags: Vec<&'static str>,
    /// Name, baseline, regression.
    pub(super) figures: Vec<[String; 3]>,
    /// Milliseconds that it adds to a request.
    #[serde(skip)]
    pub(super) adds_ms: f64,
    /// What it adds to the share of requests that fail.
    #[serde(skip)]
    pub(super) adds_failures: f64,
}

/// Calls of one service to another.
#[derive(Debug, Serialize)]
pub(super) struct Edge {
    /// Places of the two in [`GraphData::nodes`].
    pub(super) from: usize,
    pub(super) to: usize,
    /// Pixels.
    width: f64,
    tone: i8,
    pub(super) status: &'static str,
    /// On the line, where there is something to say.
    note: String,
    words: String,
    /// Calls and latency in short.
    pub(super) figures: String,
    /// Milliseconds that it adds to a request.
    #[serde(skip)]
    pub(super) adds_ms: f64,
}

/// What a service or a way adds, and what of it is told from none.
#[derive(Clone, Copy, Default)]
struct Added {
    value: f64,
    certain: f64,
}

impl Added {
    fn new(value: f64, interval: [f64; 2]) -> Self {
        Self { value, certain: if excludes_zero(interval) { value } else { 0.0 } }
    }

    fn add(&mut self, other: Self) {
        self.value += other.value;
        self.certain += other.certain;
    }
}

/// What each service and each way adds to a request, by the rows of the decomposition. Calls that are made more or less often
/// count for the way that they take, and for the service blamed.
struct Adds<'a> {
    services: BTreeMap<&'a str, Added>,
    /// Change of the share of failing requests that began with each service.
    failures: BTreeMap<&'a str, Added>,
    ways: BTreeMap<(&'a str, &'a str), Added>,
}

impl<'a> Adds<'a> {
    fn of(analysis: &'a Analysis) -> Self {
        let mut adds = Self { services: BTreeMap::new(), failures: BTreeMap::new(), ways: BTreeMap::new() };
        // A service as a whole has a row of its own beside those of its parts.
        let accounts = analysis.operations.iter().filter(|own| own.operation.is_none() && own.edge.is_none());
        let ranked = analysis.services.iter().map(|own| (own.service.as_str(), &own.contribution));
        let wholes: BTreeMap<&str, &Contribution> =
            ranked.chain(accounts.map(|own| (own.service.as_str(), &own.contribution))).collect();
        let of_failures = |own: &Contribution| Added::new(own.front_error_ratio(), own.error_ratio_interval);
        adds.failures = wholes.iter().map(|(service, own)| (*service, of_failures(own))).collect();
        for row in &analysis.decomposition.rows {
            let Some(service) = row.service.as_deref() else { continue };
            let added = Added::new(row.contribution_ms, row.interval_ms);
            adds.services.entry(service).or_default().add(added);
            let way = match (&row.edge, &row.callee) {
                (Some(edge), _) => Some((edge.caller.as_str(), edge.callee.as_str())),
                (None, Some(Operation { service: callee, .. })) if callee != service => {
                    Some((service, callee.as_str()))
                }
                _ => None,
            };
            if let Some(way) = way {
                adds.ways.entry(way).or_default().add(added);
            }
        }
        // A sum may be told from none where none of its rows is.
        for (service, added) in &mut adds.services {
            if let Some(own) = wholes.get(service) {
                *added = Added::new(added.value, own.interval_ms);
            }
        }
        adds
    }
}

fn windows<T>(change: &ByWindow<T>) -> [Option<&T>; 2] {
    match change {
        ByWindow::Pair { baseline, regression, .. } => [baseline.as_ref(), regression.as_ref()],
        ByWindow::All { all } => [Some(all), Some(all)],
    }
}

fn status<T>(change: &ByWindow<T>) -> &'static str {
    match change.status() {
        Some(Status::New) => "new",
        Some(Status::Gone) => "gone",
        Some(Status::Both) | None => "both",
    }
}

/// Weighted calls a request in each window.
fn per_request(analysis: &Analysis, calls: [f64; 2]) -> Pair {
    let windows = &analysis.windows;
    let ratio = |calls: f64, n_requests: f64| if n_requests > 0.0 { calls / n_requests } else { 0.0 };
    Pair {
        baseline: ratio(calls[0], windows.baseline.n_requests),
        regression: ratio(calls[1], windows.regression.n_requests),
    }
}

/// How strong the colour of what is told from none is.
fn tone(added: Added, largest: f64) -> i8 {
    let part = added.certain.abs() / largest;
    let size = match part {
        0.5.. => 3,
        0.2.. => 2,
        0.05.. => 1,
        _ => 0,
    };
    if added.certain < 0.0 { -size } else { size }
}

/// Colour and effect in words: of time, of failures or of both, what is the worse first.
fn effect(time: Added, failures: Added, largest: (f64, f64)) -> (i8, String) {
    let of_time = tone(time, largest.0);
    let of_failures = if failures.value.abs() < MIN_FAILURES { 0 } else { tone(failures, largest.1) };
    let fails = format!("{} points fail", points(failures.value));
    let takes = format!("{} ms", signed_ms(time.value));
    let leads = of_failures.abs() > of_time.abs() || (of_failures > 0 && of_failures >= of_time);
    match (of_failures, of_time) {
        (0, _) => (of_time, takes),
        (_, 0) => (of_failures, fails),
        _ if leads => (of_failures, format!("{fails}, {takes}")),
        _ => (of_time, format!("{takes}, {fails}")),
    }
}

pub(super) fn of(page: &Page<'_>) -> GraphData {
    let analysis = page.analysis;
    let adds = Adds::of(analysis);
    let own = adds.services.values().chain(adds.ways.values()).map(|adds| adds.certain.abs());
    let largest = own.fold(analysis.degradation.floor_ms, f64::max).max(f64::MIN_POSITIVE);
    let own = adds.failures.values().map(|adds| adds.certain.abs());
    let most_failures = own.fold(MIN_FAILURES, f64::max);
    let kept = kept(analysis);
    let mut nodes: Vec<(&str, Node)> = Vec::new();
    let busiest = analysis.graph.services.iter().map(|row| traffic(windows(&row.change))).fold(1.0, f64::max);
    let mut rows: Vec<_> = analysis.graph.services.iter().collect();
    if rows.len() > MAX_NODES {
        rows.sort_by(|left, right| {
            let key = |service: &str| kept.contains(service);
            let by_traffic = traffic(windows(&right.change)).total_cmp(&traffic(windows(&left.change)));
            key(&right.service).cmp(&key(&left.service)).then(by_traffic).then_with(|| left.service.cmp(&right.service))
        });
        rows.truncate(MAX_NODES);
        rows.sort_by(|left, right| left.service.cmp(&right.service));
    }
    for row in rows {
        let time = adds.services.get(row.service.as_str()).copied().unwrap_or_default();
        let [before, after] = windows(&row.change);
        let calls =
            per_request(analysis, [before, after].map(|stats| stats.map_or(0.0, |stats| stats.calls.weighted_calls)));
        let status = status(&row.change);
        let failures = adds.failures.get(row.service.as_str()).copied().unwrap_or_default();
        let (tone, effect) = effect(time, failures, (largest, most_failures));
        let first = analysis.suspects.iter().find(|suspect| suspect.service == row.service);
        let (rank, part) = (first.map(|suspect| suspect.service_rank), first.map(|suspect| suspect.rank));
        let mut tags = Vec::new();
        tags.extend(row.is_entry.then_some("entry"));
        tags.extend(row.is_inferred.then_some("no spans of its own"));
        tags.extend((status != "both").then_some(status));
        let name = shorten(if row.service.trim().is_empty() { "(no name)" } else { &row.service }, MAX_NAME);
        let note = match status {
            "both" => effect,
            word => format!("{word}, {effect}"),
        };
        let accused = rank.map_or_else(String::new, |rank| format!(", suspect {rank}"));
        let label = format!("{}{}", if row.is_entry { "▸ " } else { "" }, shorten(&name, MAX_LABEL));
        let full = if label.ends_with(&name) { String::new() } else { format!("{name}, ") };
        let words =
            format!("{full}{} to {} calls a request{accused}", amount(calls.baseline), amount(calls.regression));
        let windows = [before, after].map(|stats| stats.map(|stats| &stats.calls));
        let figures = figures(calls, windows, time.value, failures.value);
        nodes.push((
            &row.service,
            Node {
                label,
                name,
                note,
                words,
                size: (traffic([before, after]) / busiest).sqrt(),
                tone,
                status,
                inferred: row.is_inferred,
                rank,
                part,
                changed: if tone != 0 || rank.is_some() || kept.contains(row.service.as_str()) {
                    2
                } else {
                    u8::from(status != "both")
                },
                tags,
                figures,
                adds_ms: time.value,
                adds_failures: failures.value,
            },
        ));
    }
    let places: BTreeMap<&str, usize> =
        nodes.iter().enumerate().map(|(place, (service, _))| (*service, place)).collect();
    let mut edges = edges(analysis, &adds, largest, &places);
    for edge in edges.iter().filter(|edge| edge.tone != 0 || edge.status != "both") {
        for end in [edge.from, edge.to] {
            let shown = if edge.tone != 0 { 2 } else { 1 };
            nodes[end].1.changed = nodes[end].1.changed.max(shown);
        }
    }
    // That a way is new says nothing where its end is.
    for edge in edges.iter_mut().filter(|edge| edge.tone == 0) {
        if [edge.from, edge.to].iter().any(|&end| nodes[end].1.status == edge.status) {
            edge.note.clear();
        }
    }
    GraphData { nodes: nodes.into_iter().map(|(_, node)| node).collect(), edges }
}

fn traffic(windows: [Option<&NodeStats>; 2]) -> f64 {
    windows.into_iter().flatten().map(|stats| stats.calls.weighted_calls).fold(0.0, f64::max)
}

/// Services that are shown whether or not they changed: on the way to the first suspects.
fn kept(analysis: &Analysis) -> BTreeSet<&str> {
    let mut kept = BTreeSet::new();
    for suspect in analysis.suspects.iter().take(MAX_WAYS) {
        kept.insert(suspect.service.as_str());
        kept.extend(suspect.edge.iter().flat_map(|edge| [edge.caller.as_str(), edge.callee.as_str()]));
        kept.extend(suspect.paths.iter().flat_map(|path| &path.hops).map(|hop| hop.service.as_str()));
    }
    if kept.is_empty() {
        kept.extend(analysis.graph.services.iter().filter(|row| row.is_entry).map(|row| row.service.as_str()).take(8));
    }
    kept
}

fn figures(
    calls: Pair,
    [before, after]: [Option<&CallStats>; 2],
    adds_ms: f64,
    adds_failures: f64,
) -> Vec<[String; 3]> {
    let row = |name: &str, value: fn(&CallStats) -> String| {
        let show = |stats: Option<&CallStats>| stats.map_or_else(|| "–".to_owned(), value);
        [name.to_owned(), show(before), show(after)]
    };
    let mut rows = vec![
        ["Calls a request".to_owned(), amount(calls.baseline), amount(calls.regression)],
        row("Mean, ms", |stats| ms(stats.mean_ms)),
        row("Median, ms", |stats| ms(stats.p50_ms)),
        row("p95, ms", |stats| ms(stats.p95_ms)),
        row("Failing", |stats| percent(stats.error_ratio)),
    ];
    if let (Some(before), Some(after)) = (before, after) {
        let change = after.error_ratio - before.error_ratio;
        if change.abs() >= 0.000_5 {
            rows.push(["Failing, points".to_owned(), String::new(), points(change)]);
        }
    }
    rows.push(["Adds, ms a request".to_owned(), String::new(), signed_ms(adds_ms)]);
    if adds_failures.abs() >= LEAST_FAILURES {
        rows.push(["Adds, points of errors".to_owned(), String::new(), points(adds_failures)]);
    }
    rows
}

fn edges(analysis: &Analysis, adds: &Adds<'_>, largest: f64, places: &BTreeMap<&str, usize>) -> Vec<Edge> {
    let calls = |row: &crate::topology::EdgeRow| {
        windows(&row.change).map(|stats| stats.map_or(0.0, |stats| stats.weighted_calls))
    };
    let most = |row: &crate::topology::EdgeRow| calls(row).into_iter().fold(0.0, f64::max);
    let busiest = analysis.graph.service_edges.iter().map(most).fold(1.0, f64::max);
    let mut rows: Vec<_> = analysis.graph.service_edges.iter().collect();
    rows.sort_by(|left, right| {
        most(right)
            .total_cmp(&most(left))
            .then_with(|| (&left.caller, &left.callee).cmp(&(&right.caller, &right.callee)))
    });
    rows.truncate(MAX_EDGES);
    rows.sort_by(|left, right| (&left.caller, &left.callee).cmp(&(&right.caller, &right.callee)));
    let edge = |row: &crate::topology::EdgeRow| {
        let (from, to) = (*places.get(row.caller.as_str())?, *places.get(row.callee.as_str())?);
        let added = adds.ways.get(&(row.caller.as_str(), row.callee.as_str())).copied().unwrap_or_default();
        let adds_ms = added.value;
        let [before, after] = windows(&row.change);
        let per_request = per_request(analysis, calls(row));
        let mean = |stats: Option<&CallStats>| stats.map_or_else(|| "–".to_owned(), |stats| ms(stats.mean_ms));
        let figures = format!(
            "{} → {} calls a request, {} → {} ms",
            amount(per_request.baseline),
            amount(per_request.regression),
            mean(before),
            mean(after)
        );
        let (status, tone) = (status(&row.change), tone(added, largest));
        let note = match (status, tone) {
            ("both", 0) => String::new(),
            ("both", _) => format!("{} ms", signed_ms(adds_ms)),
            (word, 0) => word.to_owned(),
            (word, _) => format!("{word}, {} ms", signed_ms(adds_ms)),
        };
        let names = [&row.caller, &row.callee].map(|name| shorten(name, MAX_NAME));
        Some(Edge {
            from,
            to,
            width: ((1.0 + 5.0 * (most(row) / busiest).sqrt()) * 10.0).round() / 10.0,
            tone,
            status,
            words: format!("{} to {}: {figures}; {} ms a request on the way", names[0], names[1], signed_ms(adds_ms)),
            note,
            figures,
            adds_ms,
        })
    };
    rows.into_iter().filter_map(edge).collect()
}
