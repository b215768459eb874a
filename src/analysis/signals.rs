//! What the choice of windows sees of the data: requests, their entry operations, and what each says about services.

use super::Prepared;
use crate::compare::paths::{CostTable, PathCost};
use crate::normalize::{Forest, Need, SpanFlags, Stretch};
use crate::window::{Data, Root, Signal, SignalKind, Values, Window};
use rayon::prelude::*;
use std::sync::Arc;

/// Services with series of their own, those that requests wait for most: further ones would cost these their power.
const MAX_SERVICES: usize = 64;

/// Requests to choose windows among.
#[derive(Debug)]
pub(super) struct DataSet {
    range: Window,
    roots: Vec<Root>,
    weights: Vec<f64>,
    entries: Vec<String>,
    signals: Vec<Signal>,
}

impl DataSet {
    pub(super) fn data(&self) -> Data<'_> {
        Data {
            range: self.range,
            roots: &self.roots,
            weights: &self.weights,
            entries: &self.entries,
            signals: &self.signals,
        }
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
            weights: tops.iter().map(|&(trace, _)| forest.weight[trace as usize]).collect(),
            entries: by_name.iter().map(name).collect(),
            signals: if with_signals { signals(forest, prepared.costs(), &tops) } else { Vec::new() },
        }
    }
}

/// One request's account of one service.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    time_ns: f64,
    n_calls: u32,
    has_failed: bool,
    is_present: bool,
}

/// Accounts of one service, a column each.
#[derive(Clone, Debug, Default)]
struct Accounts {
    roots: Vec<u32>,
    time_ns: Vec<f64>,
    has_failed: Vec<bool>,
    n_calls: Vec<u32>,
}

impl Accounts {
    fn push(&mut self, root: u32, account: Account) {
        self.roots.push(root);
        self.time_ns.push(account.time_ns);
        self.has_failed.push(account.has_failed);
        self.n_calls.push(account.n_calls);
    }

    fn append(&mut self, mut others: Self) {
        self.roots.append(&mut others.roots);
        self.time_ns.append(&mut others.time_ns);
        self.has_failed.append(&mut others.has_failed);
        self.n_calls.append(&mut others.n_calls);
    }

    fn signals(self, name: &str) -> [Signal; 3] {
        let roots: Arc<[u32]> = self.roots.into();
        [
            (SignalKind::SelfTime, Values::Numbers(self.time_ns)),
            (SignalKind::Failures, Values::Flags(self.has_failed)),
            (SignalKind::Calls, Values::Counts(self.n_calls)),
        ]
        .map(|(kind, values)| Signal { kind, name: name.to_owned(), roots: Arc::clone(&roots), values })
    }
}

fn signals(forest: &Forest, table: &CostTable, tops: &[(u32, usize)]) -> Vec<Signal> {
    let services = busiest(forest, table, tops);
    let mut place = vec![None; forest.services.len()];
    for (at, &service) in services.iter().enumerate() {
        place[service as usize] = Some(at);
    }
    let traces: Vec<u32> = tops.iter().map(|&(trace, _)| trace).collect();
    let mut accounts = vec![Accounts::default(); services.len()];
    let mut n_done = 0;
    // Windows are looked for in spans only, so all of these traces have theirs.
    forest.each_stretch(&traces, Need::Links, |stretch, traces| {
        let chunk = traces.len().div_ceil(rayon::current_num_threads() * 4).max(64);
        let account = |(index, own): (usize, &[u32])| {
            let mut accounts = vec![Accounts::default(); services.len()];
            let mut of_trace = vec![Account::default(); services.len()];
            let mut touched = Vec::new();
            for (root, &trace) in (n_done + index * chunk..).zip(own) {
                account_trace(stretch, table, &place, trace, &mut of_trace, &mut touched);
                for at in touched.drain(..) {
                    let root = u32::try_from(root).unwrap_or(u32::MAX);
                    accounts[at].push(root, std::mem::take(&mut of_trace[at]));
                }
            }
            accounts
        };
        let parts: Vec<Vec<Accounts>> = traces.par_chunks(chunk).enumerate().map(account).collect();
        for part in parts {
            accounts.iter_mut().zip(part).for_each(|(accounts, part)| accounts.append(part));
        }
        n_done += traces.len();
    });
    let name = |&service: &u32| forest.services[service as usize].name.as_str();
    services.iter().zip(accounts).flat_map(|(service, accounts)| accounts.signals(name(service))).collect()
}

/// Adds what a trace says of the services that have a place to `accounts`, which are empty, and these places to `touched`.
fn account_trace(
    stretch: &Stretch<'_>,
    table: &CostTable,
    place: &[Option<usize>],
    trace: u32,
    accounts: &mut [Account],
    touched: &mut Vec<usize>,
) {
    let forest = stretch.forest;
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
        let (service, time_ns) = blamed(forest, table, &cost);
        account(service, &|account| account.time_ns += time_ns as f64);
    }
    for span in forest.spans_of(stretch.local(trace)) {
        let operation = forest.operations[forest.operation[span] as usize];
        let has_failed = forest.flags[span].has(SpanFlags::FAILED);
        let count = |account: &mut Account| {
            account.n_calls = account.n_calls.saturating_add(1);
            account.has_failed |= has_failed;
        };
        account(operation.service, &count);
        if let Some(peer) = operation.peer.filter(|&peer| forest.services[peer as usize].is_inferred) {
            account(peer, &count);
        }
    }
}

/// The service that a row of the cost table is laid at, and its nanoseconds: what a client span does not share with its
/// answer is its peer's.
fn blamed(forest: &Forest, table: &CostTable, cost: &PathCost) -> (u32, i128) {
    let operation = forest.operations[table.paths.list[cost.path as usize].operation as usize];
    let time_ns = i128::from(cost.self_ns) + i128::from(cost.before_ns) + i128::from(cost.wait_ns);
    (operation.peer.unwrap_or(operation.service), time_ns)
}

/// The services that requests wait for most, by time and name.
fn busiest(forest: &Forest, table: &CostTable, tops: &[(u32, usize)]) -> Vec<u32> {
    let add = |mut time_ns: Vec<i128>, &(trace, _): &(u32, usize)| {
        for cost in table.costs_of(trace as usize) {
            let (service, own_ns) = blamed(forest, table, &cost);
            time_ns[service as usize] += own_ns;
        }
        time_ns
    };
    let none = || vec![0_i128; forest.services.len()];
    let chunk = tops.len().div_ceil(rayon::current_num_threads()).max(1);
    let time_ns = tops.par_chunks(chunk).map(|tops| tops.iter().fold(none(), add)).reduce(none, |mut left, right| {
        left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
        left
    });
    let mut services: Vec<u32> = (0..u32::try_from(forest.services.len()).unwrap_or(u32::MAX)).collect();
    let name = |service: u32| forest.services[service as usize].name.as_str();
    services.sort_by_key(|&service| (std::cmp::Reverse(time_ns[service as usize]), name(service)));
    services.truncate(MAX_SERVICES);
    services
}
