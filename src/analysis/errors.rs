//! Failures in the document's words: where they began, what passed them on, what survived them.

use super::build::{names, operation, pair, ratio};
use super::document::{EntryFailures, ErrorKind, ErrorPart, Errors, ExceptionSeen, Operation, Pair};
use super::evidence::Evidence;
use crate::compare::paths::{Failure, FailureKind, NO_PATH};
use crate::compare::ratio::{self, Ratio};
use crate::profile::each_exception;
use crate::stats;
use std::collections::BTreeMap;

/// Entry operations listed of a part.
const N_ENTRIES: usize = 10;

/// What identifies a part; the kind is given of origins only.
type Key = (Operation, Option<ErrorKind>);

/// One count: a part in a trace of a window, below an entry.
struct Count {
    trace: u32,
    window: usize,
    entry: u32,
    n_failures: f64,
    /// Who to ask for an exception: an index of the table's failures.
    failure: Option<usize>,
    limit_ns: Option<i64>,
}

type Counts = BTreeMap<Key, Vec<Count>>;

fn error_kind(kind: FailureKind) -> ErrorKind {
    match kind {
        FailureKind::Own => ErrorKind::Fails,
        FailureKind::Unanswered => ErrorKind::LeftNoSpan,
        FailureKind::TimedOut => ErrorKind::Timeout,
    }
}

/// The three lists, those that changed most first.
pub(super) fn errors(evidence: Evidence<'_>) -> Errors {
    let traces = Traces::new(evidence);
    let exceptions = Exceptions::new(evidence);
    let lists = [
        traces.originates(evidence),
        traces.passing(evidence, &evidence.table.propagated),
        traces.passing(evidence, &evidence.table.swallowed),
    ];
    let mut parts: Vec<(usize, ErrorPart, f64)> = Vec::new();
    for (list, counts) in lists.into_iter().enumerate() {
        for (key, counts) in counts {
            let (part, p) = traces.part(evidence, &exceptions, key, &counts);
            parts.push((list, part, p));
        }
    }
    let p: Vec<f64> = parts.iter().map(|&(_, _, p)| p).collect();
    let mut errors = Errors { originates: Vec::new(), propagates: Vec::new(), swallowed: Vec::new() };
    for ((list, mut part, _), q) in parts.into_iter().zip(stats::false_discovery_rates(&p)) {
        part.q = q;
        [&mut errors.originates, &mut errors.propagates, &mut errors.swallowed][list].push(part);
    }
    for list in [&mut errors.originates, &mut errors.propagates, &mut errors.swallowed] {
        list.sort_by(|left, right| right.change.abs().total_cmp(&left.change.abs()));
    }
    errors
}

/// How most of the failures that begin with a subject began, in the regression.
pub(super) fn main_kind(evidence: Evidence<'_>, subject: u32) -> FailureKind {
    let counts = FailureKind::ALL.map(|kind| {
        let failures = &evidence.comparison.regression.n_failures[kind as usize];
        let subjects = evidence.comparison.attribution.failure_subjects.iter().zip(failures);
        subjects.filter(|(subjects, _)| subjects[kind as usize] == subject).map(|(_, count)| count).sum::<f64>()
    });
    let mut main = FailureKind::Own;
    for kind in FailureKind::ALL {
        if counts[kind as usize] > counts[main as usize] {
            main = kind;
        }
    }
    main
}

/// The traces of both windows with what they weigh.
struct Traces {
    window: Vec<Option<usize>>,
    /// Requests of the scope, a trace.
    n_requests: Vec<f64>,
    /// Every trace with no failure, a window.
    none: [Ratio; 2],
    /// Top of each path.
    top: Vec<u32>,
    /// Requests of each top, a window.
    by_entry: BTreeMap<u32, [f64; 2]>,
}

impl Traces {
    fn new(evidence: Evidence<'_>) -> Self {
        let (table, comparison) = (evidence.table, evidence.comparison);
        let paths = &table.paths.list;
        let mut top: Vec<u32> = Vec::with_capacity(paths.len());
        for (index, path) in (0_u32..).zip(paths) {
            top.push(if path.parent == NO_PATH { index } else { top[path.parent as usize] });
        }
        let mut window = vec![None; evidence.forest.n_traces()];
        let mut n_requests = vec![0.0; evidence.forest.n_traces()];
        let mut none = [Ratio::default(); 2];
        for (side, traces) in [&evidence.selection.baseline, &evidence.selection.regression].into_iter().enumerate() {
            for &trace in traces {
                let is_request = |path: u32| {
                    let path = paths[path as usize];
                    path.parent == NO_PATH && path.scope == comparison.scope
                };
                let costs = table.costs_of(trace as usize).calls().filter(|cost| is_request(cost.path));
                let requests: f64 = costs.map(|cost| f64::from(cost.n_visits)).sum();
                window[trace as usize] = Some(side);
                n_requests[trace as usize] = requests;
                none[side].add(0.0, requests, evidence.forest.weight[trace as usize]);
            }
        }
        let mut by_entry = BTreeMap::<u32, [f64; 2]>::new();
        for (index, path) in (0_u32..).zip(paths).filter(|(_, path)| path.parent == NO_PATH) {
            if path.scope == comparison.scope {
                let requests = by_entry.entry(path.operation).or_default();
                requests[0] += comparison.baseline.n_visits[index as usize];
                requests[1] += comparison.regression.n_visits[index as usize];
            }
        }
        Self { window, n_requests, none, top, by_entry }
    }

    fn count(&self, evidence: Evidence<'_>, trace: u32, path: u32) -> Option<Count> {
        let paths = &evidence.table.paths.list;
        let is_counted = paths[path as usize].scope == evidence.comparison.scope;
        let window = self.window[trace as usize].filter(|_| is_counted)?;
        let entry = paths[self.top[path as usize] as usize].operation;
        Some(Count { trace, window, entry, n_failures: 1.0, failure: None, limit_ns: None })
    }

    fn originates(&self, evidence: Evidence<'_>) -> Counts {
        let (table, attribution) = (evidence.table, &evidence.comparison.attribution);
        let mut counts = Counts::new();
        let key = |subject: u32, kind: FailureKind| -> Key {
            let (service, name, _) = names(evidence, subject);
            let blamed = attribution.blamed[subject as usize];
            // Of a peer that never reports spans there is none to miss.
            let never_reports = evidence.forest.services[blamed as usize].is_inferred;
            let is_failure = kind == FailureKind::Unanswered && never_reports;
            let kind = error_kind(if is_failure { FailureKind::Own } else { kind });
            (Operation { service, operation: name.unwrap_or_default() }, Some(kind))
        };
        // Names are made once a subject and kind.
        let mut keys = BTreeMap::<(u32, FailureKind), Key>::new();
        for (place, &(trace, failure)) in table.failures.iter().enumerate() {
            let Failure { path, kind, operation, .. } = failure;
            let Some(mut own) = self.count(evidence, trace, path) else { continue };
            let is_unanswered = kind == FailureKind::Unanswered;
            let shares = if is_unanswered { attribution.failure_shares(path, own.window) } else { &[] };
            for &(subject, share) in shares {
                let kind = main_kind_of(&mut keys, evidence, subject);
                let key = keys.entry((subject, kind)).or_insert_with(|| key(subject, kind)).clone();
                own.n_failures -= share;
                counts.entry(key).or_default().push(Count { n_failures: share, ..own });
            }
            if own.n_failures <= 1e-9 {
                continue;
            }
            own.failure = Some(place);
            own.limit_ns = (kind == FailureKind::TimedOut).then(|| table.limits.of(operation)).flatten();
            let subject = attribution.failure_subjects[path as usize][kind as usize];
            let key = keys.entry((subject, kind)).or_insert_with(|| key(subject, kind)).clone();
            counts.entry(key).or_default().push(own);
        }
        counts
    }

    fn passing(&self, evidence: Evidence<'_>, list: &[(u32, u32)]) -> Counts {
        let mut counts = Counts::new();
        for &(trace, path) in list {
            if let Some(own) = self.count(evidence, trace, path) {
                let name = operation(evidence, evidence.table.paths.list[path as usize].operation);
                counts.entry((name, None)).or_default().push(own);
            }
        }
        counts
    }

    /// One part and the chance of its change.
    fn part(
        &self,
        evidence: Evidence<'_>,
        exceptions: &Exceptions,
        (name, kind): Key,
        counts: &[Count],
    ) -> (ErrorPart, f64) {
        let mut by_trace = BTreeMap::<u32, f64>::new();
        let mut by_entry = BTreeMap::<u32, [f64; 2]>::new();
        let mut n_failures = [0.0; 2];
        for own in counts {
            *by_trace.entry(own.trace).or_default() += own.n_failures;
            let weighted = own.n_failures * evidence.forest.weight[own.trace as usize];
            by_entry.entry(own.entry).or_default()[own.window] += weighted;
            n_failures[own.window] += weighted;
        }
        let mut windows = self.none;
        for (trace, count) in by_trace {
            let weight = evidence.forest.weight[trace as usize];
            if let Some(window) = self.window[trace as usize] {
                windows[window].count(count, self.n_requests[trace as usize], weight);
            }
        }
        let (change, p) = ratio::change(windows);
        let part = ErrorPart {
            service: name.service,
            operation: name.operation,
            kind,
            per_request: pair(windows.map(|window| window.value())),
            change: change.value,
            interval: change.interval(),
            q: 1.0,
            n_failures: pair(n_failures),
            limit_ms: counts.iter().filter_map(|own| own.limit_ns).max().map(|limit| limit as f64 / 1e6),
            exception: exceptions.seen(counts),
            entries: self.entries(evidence, by_entry),
        };
        (part, p)
    }

    fn entries(&self, evidence: Evidence<'_>, by_entry: BTreeMap<u32, [f64; 2]>) -> Vec<EntryFailures> {
        let entry = |(entry, failures): (u32, [f64; 2])| {
            let requests = self.by_entry.get(&entry).copied().unwrap_or_default();
            let name = operation(evidence, entry);
            let per_request = [0, 1].map(|window: usize| ratio(failures[window], requests[window]));
            EntryFailures {
                service: name.service,
                operation: name.operation,
                n_failures: pair(failures),
                per_request: pair(per_request),
            }
        };
        let mut entries: Vec<EntryFailures> = by_entry.into_iter().map(entry).collect();
        entries.sort_by(|left, right| {
            let change = |entry: &EntryFailures| (entry.n_failures.regression - entry.n_failures.baseline).abs();
            let name = |entry: &EntryFailures| (entry.service.clone(), entry.operation.clone());
            change(right).total_cmp(&change(left)).then_with(|| name(left).cmp(&name(right)))
        });
        entries.truncate(N_ENTRIES);
        entries
    }
}

/// How most failures of a subject that others' unanswered calls point to began, remembered in `keys`' order of asking.
fn main_kind_of(keys: &mut BTreeMap<(u32, FailureKind), Key>, evidence: Evidence<'_>, subject: u32) -> FailureKind {
    let known = keys.range((subject, FailureKind::Own)..=(subject, FailureKind::TimedOut)).next();
    // A pass over the paths, so not for every failure.
    known.map_or_else(|| main_kind(evidence, subject), |(&(_, kind), _)| kind)
}

/// Type and message of the exceptions of all failures.
struct Exceptions {
    texts: Vec<(String, String)>,
    /// Index in `texts` of each failure of the table, if it tells of an exception.
    of: Vec<Option<u32>>,
}

impl Exceptions {
    fn new(evidence: Evidence<'_>) -> Self {
        let table = evidence.table;
        let mut texts = BTreeMap::<(String, String), u32>::new();
        let mut of = vec![None; table.failures.len()];
        let add = |place: usize, text: Option<(String, String)>| {
            let fresh = u32::try_from(texts.len()).unwrap_or(u32::MAX);
            of[place] = text.map(|text| *texts.entry(text).or_insert(fresh));
        };
        each_exception(evidence.frame, evidence.forest, table, add);
        let mut list = vec![<(String, String)>::default(); texts.len()];
        for (text, place) in texts {
            list[place as usize] = text;
        }
        Self { texts: list, of }
    }

    /// The exception seen most often with a part's failures in the regression, or in the baseline if it has none there.
    fn seen(&self, counts: &[Count]) -> Option<ExceptionSeen> {
        let mut seen = BTreeMap::<&(String, String), [u64; 2]>::new();
        for own in counts {
            if let Some(text) = own.failure.and_then(|failure| self.of[failure]) {
                seen.entry(&self.texts[text as usize]).or_default()[own.window] += 1;
            }
        }
        most_seen(&seen)
    }
}

fn most_seen(seen: &BTreeMap<&(String, String), [u64; 2]>) -> Option<ExceptionSeen> {
    // By type first: messages often hold what differs from call to call.
    let mut kinds = BTreeMap::<&str, [u64; 2]>::new();
    for ((kind, _), counts) in seen {
        let sum = kinds.entry(kind).or_default();
        (0..2).for_each(|window| sum[window] += counts[window]);
    }
    let order = |counts: [u64; 2]| (counts[1], counts[0]);
    let (kind, counts) = kinds.into_iter().rev().max_by_key(|&(_, counts)| order(counts))?;
    let own = seen.iter().rev().filter(|((known, _), _)| known == kind);
    let ((_, message), _) = own.max_by_key(|&(_, &counts)| order(counts))?;
    Some(ExceptionSeen {
        exception: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
        message: Some(message.clone()).filter(|message| !message.is_empty()),
        n_failures: Pair { baseline: counts[0] as f64, regression: counts[1] as f64 },
    })
}
