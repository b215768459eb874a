//! What the choice of windows sees of the data: requests, their entry operations, and what each says about services.

use super::Prepared;
use crate::compare::paths::CostTable;
use crate::normalize::{Forest, Need, SpanFlags, Stretch};
use crate::window::{Data, Root, Signal, SignalKind, Window};

/// Services with series of their own, those that requests wait for most: further ones would cost these their power.
const MAX_SERVICES: usize = 64;

/// Requests to choose windows among.
#[derive(Debug)]
pub(super) struct DataSet {
    range: Window,
    roots: Vec<Root>,
    entries: Vec<String>,
    signals: Vec<Signal>,
}

impl DataSet {
    pub(super) fn data(&self) -> Data<'_> {
        Data { range: self.range, roots: &self.roots, entries: &self.entries, signals: &self.signals }
    }

    /// The requests of these traces, in their order; with what they say about services where that is of use.
    pub(super) fn new(prepared: &Prepared, traces: &[u32], with_signals: bool) -> Self {
        let forest = &prepared.forest;
        let range = Window::covering(traces.iter().map(|&trace| {
            let (start_ns, end_ns) = forest.covers(trace);
            (start_ns, end_ns.saturating_sub(start_ns))
        }));
        // A profile says what its spans covered.
        let kept =
            prepared.profile.as_ref().filter(|_| traces.first().is_some_and(|&trace| forest.is_summed(trace as usize)));
        let range = kept.map_or(range, |kept| Some(kept.window));
        let tops: Vec<(u32, usize)> =
            traces.iter().filter_map(|&trace| Some((trace, forest.first_top(trace as usize)?))).collect();
        let mut by_name: Vec<u32> = tops.iter().map(|&(_, top)| forest.operation[top]).collect();
        by_name.sort_unstable();
        by_name.dedup();
        by_name.sort_by_key(|&operation| forest.sort_key(forest.operations[operation as usize]));
        let mut entry_of = vec![0_u32; forest.operations.len()];
        for (entry, &operation) in (0_u32..).zip(&by_name) {
            entry_of[operation as usize] = entry;
        }
        let roots = tops
            .iter()
            .map(|&(trace, top)| Root {
                start_unix_ns: forest.root_start_ns[trace as usize],
                duration_ns: forest.end_ns[top] - forest.start_ns[top],
                is_error: forest.flags[top].has(SpanFlags::FAILED),
                entry: entry_of[forest.operation[top] as usize],
            })
            .collect();
        let name = |&operation: &u32| {
            let operation = forest.operations[operation as usize];
            format!("{}: {}", forest.services[operation.service as usize].name, forest.operation_name(operation))
        };
        Self {
            range: range.unwrap_or(Window { start_unix_ns: 0, end_unix_ns: 0 }),
            roots,
            entries: by_name.iter().map(name).collect(),
            signals: if with_signals { signals(forest, prepared.costs(), &tops) } else { Vec::new() },
        }
    }
}

/// One request's account of one service.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    time_ns: f64,
    n_calls: f64,
    has_failed: bool,
    is_present: bool,
}

fn signals(forest: &Forest, table: &CostTable, tops: &[(u32, usize)]) -> Vec<Signal> {
    let services = busiest(forest, table, tops);
    let mut place = vec![None; forest.services.len()];
    for (at, &service) in services.iter().enumerate() {
        place[service as usize] = Some(at);
    }
    let name = |service: u32| forest.services[service as usize].name.clone();
    let mut signals: Vec<Signal> = services
        .iter()
        .flat_map(|&service| {
            [SignalKind::SelfTime, SignalKind::Failures, SignalKind::Calls].map(|kind| Signal {
                kind,
                name: name(service),
                observations: Vec::new(),
            })
        })
        .collect();
    let mut accounts = vec![Account::default(); services.len()];
    let mut touched: Vec<usize> = Vec::new();
    let traces: Vec<u32> = tops.iter().map(|&(trace, _)| trace).collect();
    let mut root = 0_u32;
    let mut add = |stretch: &Stretch<'_>, trace: u32| {
        let mut account = |service: u32, add: &dyn Fn(&mut Account)| {
            if let Some(at) = place[service as usize] {
                let account = &mut accounts[at];
                if !account.is_present {
                    account.is_present = true;
                    touched.push(at);
                }
                add(account);
            }
        };
        for cost in table.costs_of(trace as usize) {
            let (service, time_ns) = blamed(forest, table, cost.path, cost);
            account(service, &|account| account.time_ns += time_ns);
        }
        let own = stretch.forest;
        for span in own.spans_of(stretch.local(trace)) {
            let operation = forest.operations[own.operation[span] as usize];
            let has_failed = own.flags[span].has(SpanFlags::FAILED);
            let count = |account: &mut Account| {
                account.n_calls += 1.0;
                account.has_failed |= has_failed;
            };
            account(operation.service, &count);
            if let Some(peer) = operation.peer.filter(|&peer| forest.services[peer as usize].is_inferred) {
                account(peer, &count);
            }
        }
        for at in touched.drain(..) {
            let Account { time_ns, n_calls, has_failed, .. } = std::mem::take(&mut accounts[at]);
            let values = [time_ns, f64::from(u8::from(has_failed)), n_calls];
            for (signal, value) in signals[3 * at..3 * at + 3].iter_mut().zip(values) {
                signal.observations.push((root, value));
            }
        }
        root += 1;
    };
    // Windows are looked for in spans only, so all of these traces have theirs.
    forest.each_stretch(&traces, Need::Links, |stretch, traces| {
        for &trace in traces {
            add(stretch, trace);
        }
    });
    signals
}

/// The service that a row of the cost table is laid at, and its nanoseconds: what a client span does not share with its
/// answer is its peer's.
fn blamed(forest: &Forest, table: &CostTable, path: u32, cost: &crate::compare::paths::PathCost) -> (u32, f64) {
    let operation = forest.operations[table.paths.list[path as usize].operation as usize];
    let time_ns = cost.self_ns as f64 + cost.before_ns as f64 + cost.wait_ns as f64;
    (operation.peer.unwrap_or(operation.service), time_ns)
}

/// The services that requests wait for most, by time and name.
fn busiest(forest: &Forest, table: &CostTable, tops: &[(u32, usize)]) -> Vec<u32> {
    let mut time_ns = vec![0.0; forest.services.len()];
    for &(trace, _) in tops {
        for cost in table.costs_of(trace as usize) {
            let (service, own_ns) = blamed(forest, table, cost.path, cost);
            time_ns[service as usize] += own_ns;
        }
    }
    let mut services: Vec<u32> = (0..u32::try_from(forest.services.len()).unwrap_or(u32::MAX)).collect();
    let name = |service: u32| forest.services[service as usize].name.as_str();
    services.sort_by(|&left, &right| {
        time_ns[right as usize].total_cmp(&time_ns[left as usize]).then_with(|| name(left).cmp(name(right)))
    });
    services.truncate(MAX_SERVICES);
    services
}
