//! One order of services, operations, paths and traces, by names, starts and ids; and the sample of traces that fits.

use super::{Profile, hash};
use crate::compare::kept::Kept;
use crate::compare::limits::Limits;
use crate::compare::paths::{Codes, CostTable, NO_EXCEPTION, Path, Paths};
use crate::normalize::Operation;
use crate::span::TraceIds;
use hashbrown::HashSet;
use std::collections::BTreeMap;

/// Exceptions whose message is kept, those with the smallest hashes of it; of others only the type. Messages that hold an id are all different.
const MAX_MESSAGES: usize = 1_000;

fn code(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// New index of each item when they are put in `order`.
fn inverse(order: &[u32]) -> Vec<u32> {
    let mut new = vec![0; order.len()];
    for (place, &old) in (0_u32..).zip(order) {
        new[old as usize] = place;
    }
    new
}

/// Where everything goes.
pub(super) struct Renumbering {
    pub(super) names: Vec<u32>,
    pub(super) services: Vec<u32>,
    pub(super) operations: Vec<u32>,
}

impl Renumbering {
    pub(super) fn operation(&self, operation: Operation) -> Operation {
        Operation {
            service: self.services[operation.service as usize],
            name: self.names[operation.name as usize],
            kind: operation.kind,
            peer: operation.peer.map(|peer| self.services[peer as usize]),
        }
    }

    /// The sums and the table in the new numbers; the dictionaries and traces are left.
    pub(super) fn apply(&self, profile: &mut Profile) {
        let operation = |index: u32| self.operations[index as usize];
        let service = |index: u32| self.services[index as usize];
        for request in &mut profile.requests {
            request.operation = operation(request.operation);
        }
        let table = &mut profile.table;
        let mut paths = Paths::default();
        for path in &table.paths.list {
            paths.intern(Path { operation: operation(path.operation), ..*path });
        }
        table.paths = paths;
        for (_, failure) in &mut table.failures {
            failure.operation = operation(failure.operation);
        }
        let mut limits = Limits::default();
        limits.absorb(table.limits.bands().iter().map(|(&index, &band)| (operation(index), band)));
        table.limits = limits;
        for (_, calls) in &mut table.kept.clients {
            calls.operation = operation(calls.operation);
        }
        table.kept.clients.sort_unstable();
        let starts = std::mem::take(&mut table.kept.starts);
        table.kept.starts =
            starts.into_iter().map(|((parent, child), sums)| ((operation(parent), operation(child)), sums)).collect();
        profile.graph = profile.graph.renumbered(&self.services, &self.operations);
        profile.values = profile.values.renumbered(&self.services);
        if let Some(calls) = &mut profile.calls {
            calls.renumber(&self.operations);
        }
        let grounds = std::mem::take(&mut profile.grounds);
        profile.grounds =
            grounds.into_iter().map(|((from, to), calls)| ((service(from), service(to)), calls)).collect();
    }
}

/// Puts everything in its one order and keeps the sample of traces that fits.
pub(super) fn settle(mut profile: Profile, max_cells: usize) -> Profile {
    cut(&mut profile, max_cells);
    sort_names(&mut profile);
    profile.table.sort_paths(&Codes::default(), |operation| operation);
    sort_traces(&mut profile);
    sort_exceptions(&mut profile.table);
    let all: Vec<u32> = (0..code(profile.traces.len())).collect();
    profile.calls = profile.calls.map(|calls| calls.pick(&all));
    profile
}

fn sort_names(profile: &mut Profile) {
    let mut names: Vec<u32> = (0..code(profile.names.len())).collect();
    names.sort_by_key(|&index| &profile.names[index as usize]);
    let mut services: Vec<u32> = (0..code(profile.services.len())).collect();
    services.sort_by_key(|&index| &profile.services[index as usize].name);
    let mut numbers = Renumbering { names: inverse(&names), services: inverse(&services), operations: Vec::new() };
    let renamed: Vec<Operation> = profile.operations.iter().map(|&operation| numbers.operation(operation)).collect();
    let mut operations: Vec<u32> = (0..code(renamed.len())).collect();
    operations.sort_by_key(|&index| renamed[index as usize]);
    numbers.operations = inverse(&operations);
    numbers.apply(profile);
    profile.names = names.iter().map(|&index| std::mem::take(&mut profile.names[index as usize])).collect();
    profile.services = services.iter().map(|&index| profile.services[index as usize].clone()).collect();
    profile.operations = operations.iter().map(|&index| renamed[index as usize]).collect();
}

/// Cells of a trace: rows of the table, or of calls told apart.
fn n_cells(profile: &Profile, trace: usize) -> usize {
    let n_calls = profile.calls.as_ref().map_or(0, |calls| calls.rows_of(trace).len());
    profile.table.n_rows_of(trace).max(n_calls).max(1)
}

/// The bound of hashes below which the cells of the traces are few enough; none if all are. Traces are told by hash and number of cells.
pub(super) fn bound(mut traces: Vec<(u64, usize)>, max_cells: usize) -> u64 {
    traces.sort_unstable();
    let mut room = max_cells;
    let first_out = traces.iter().find(|&&(_, n_cells)| {
        let fits = room >= n_cells;
        room = room.saturating_sub(n_cells);
        !fits
    });
    // One trace at least, so that there is something to compare with.
    let least = traces.first().map_or(0, |&(hash, _)| hash.saturating_add(1));
    first_out.map_or(u64::MAX, |&(hash, _)| hash.max(least))
}

/// Lowers the bound of hashes until the cells of the traces below it are few enough, and drops the others.
fn cut(profile: &mut Profile, max_cells: usize) {
    let hashes: Vec<u64> = (0..code(profile.traces.len())).map(|trace| hash(profile.ids.key(trace))).collect();
    let cells = hashes.iter().enumerate().map(|(trace, &hash)| (hash, n_cells(profile, trace)));
    profile.below = profile.below.min(bound(cells.collect(), max_cells));
    if profile.below < u64::MAX {
        let kept: Vec<u32> = (0..code(hashes.len())).filter(|&trace| hashes[trace as usize] < profile.below).collect();
        let spans = |profile: &Profile| profile.traces.iter().map(|trace| trace.n_spans).sum::<u64>();
        let before = spans(profile);
        keep(profile, &kept);
        profile.n_spans_left_out += before - spans(profile);
    }
}

/// The items of the traces that have a place, in order of places.
fn placed<T: Copy>(list: &[(u32, T)], place: &[Option<u32>]) -> Vec<(u32, T)> {
    let mut list: Vec<(u32, T)> =
        list.iter().filter_map(|&(trace, item)| Some((place[trace as usize]?, item))).collect();
    // Stable: the order within a trace is that of its spans.
    list.sort_by_key(|&(trace, _)| trace);
    list
}

/// Keeps the traces `order`, in this order.
fn keep(profile: &mut Profile, order: &[u32]) {
    let mut place = vec![None; profile.traces.len()];
    let (mut ids, mut traces) = (TraceIds::default(), Vec::with_capacity(order.len()));
    let (mut offsets, mut requests) = (vec![0], Vec::with_capacity(profile.requests.len()));
    let table = &profile.table;
    let mut own = CostTable::default();
    for (new, &old) in (0_u32..).zip(order) {
        place[old as usize] = Some(new);
        ids.intern(&profile.ids.text(old));
        traces.push(profile.traces[old as usize]);
        requests.extend_from_slice(profile.requests_of(old as usize));
        offsets.push(requests.len());
        own.push_from(table, old as usize, |path| path);
    }
    own.failures = placed(&table.failures, &place);
    own.survived = placed(&table.survived, &place);
    for (list, others) in own.places_mut().into_iter().zip(table.places()) {
        *list = placed(others, &place);
    }
    own.kept = Kept {
        clients: placed(&table.kept.clients, &place),
        starts: table.kept.starts.clone(),
        exceptions: table.kept.exceptions.clone(),
    };
    own.paths = std::mem::take(&mut profile.table.paths);
    own.limits = profile.table.limits.clone();
    profile.table = own;
    profile.calls = profile.calls.take().map(|calls| calls.pick(order));
    (profile.ids, profile.traces, profile.offsets, profile.requests) = (ids, traces, offsets, requests);
}

fn sort_traces(profile: &mut Profile) {
    let mut order: Vec<u32> = (0..code(profile.traces.len())).collect();
    let key = |&trace: &u32| (profile.traces[trace as usize].start_ns, profile.ids.key(trace));
    if !order.is_sorted_by_key(key) {
        order.sort_by_key(key);
        keep(profile, &order);
    }
}

/// Exceptions in order, those of the traces that are kept; rare messages are dropped where there are too many.
fn sort_exceptions(table: &mut CostTable) {
    let used: HashSet<u32> =
        table.failures.iter().map(|(_, failure)| failure.exception).filter(|&code| code != NO_EXCEPTION).collect();
    let mut messages: Vec<&str> = table
        .kept
        .exceptions
        .iter()
        .enumerate()
        .filter(|(index, _)| used.contains(&code(*index)))
        .map(|(_, (_, message))| message.as_str())
        .filter(|message| !message.is_empty())
        .collect();
    let hash_of = |message: &str| {
        // FNV-1a, the same in every version.
        message
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
    };
    messages.sort_by_key(|message| (hash_of(message), *message));
    messages.dedup();
    let bound = messages.get(MAX_MESSAGES).map(|message| (hash_of(message), (*message).to_owned()));
    let short = |(kind, message): &(String, String)| {
        let is_kept = bound.as_ref().is_none_or(|bound| (hash_of(message), message) < (bound.0, &bound.1));
        (kind.clone(), if is_kept { message.clone() } else { String::new() })
    };
    let texts: Vec<(String, String)> = table.kept.exceptions.iter().map(short).collect();
    let mut sorted: BTreeMap<&(String, String), u32> = BTreeMap::new();
    sorted
        .extend(texts.iter().enumerate().filter(|(index, _)| used.contains(&code(*index))).map(|(_, text)| (text, 0)));
    for (place, slot) in (0_u32..).zip(sorted.values_mut()) {
        *slot = place;
    }
    for (_, failure) in &mut table.failures {
        if let Some(text) = texts.get(failure.exception as usize) {
            failure.exception = sorted.get(text).copied().unwrap_or(NO_EXCEPTION);
        }
    }
    table.kept.exceptions = sorted.into_keys().cloned().collect();
}
