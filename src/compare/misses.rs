//! Calls that are made because a cache had no answer, and belong to the cache.
//!
//! ```text
//! hit    |-caller-[ cache ]----|        miss    |-caller-[ cache ][ store ]----|
//! ```
//!
//! Where a caller asks a cache as often as before, and beside that a database, never more often than the cache, and that became more frequent, more
//! lookups miss: the cache lost its content, its room or its lifetime of entries; so it is with what the caller then stores in the cache. New code of the
//! caller would look alike. So the database must have been asked in the baseline, too, and beside one cache only; and it must be known from its
//! callers alone, since what other services are asked for has more reasons than a cache.

use super::attribute::UNCHANGED;
use super::paths::{NO_PATH, Paths};
use super::sums::Sums;
use crate::normalize::Forest;
use crate::span::SpanKind;

/// Lookups may be fewer than misses by so much: spans get lost.
const LOST: f64 = 1.02;

/// For each path the path of the lookups whose misses it answers, or [`NO_PATH`].
pub(super) fn lookups(forest: &Forest, paths: &Paths, windows: [&Sums; 2]) -> Vec<u32> {
    let mut lookups = vec![NO_PATH; paths.len()];
    // Whom a path asks that leaves no spans; first tries only.
    let peer = |path: u32| {
        let own = &paths.list[path as usize];
        let operation = forest.operations[own.operation as usize];
        let is_call = operation.kind == SpanKind::Client && !own.is_retry && own.parent != NO_PATH;
        operation.peer.filter(|&peer| is_call && forest.services[peer as usize].is_inferred)
    };
    let mut calls: Vec<(u32, u32)> = (0..)
        .zip(&paths.list)
        .filter(|&(path, _)| peer(path).is_some())
        .map(|(path, own)| (own.parent, path))
        .collect();
    calls.sort_unstable();
    // Calls a visit of the caller.
    let rates = |path: u32| {
        let parent = paths.list[path as usize].parent as usize;
        windows.map(|sums| sums.n_calls[path as usize] / sums.n_visits[parent])
    };
    for beside in calls.chunk_by(|left, right| left.0 == right.0) {
        let caches = || {
            let paths = beside.iter().map(|&(_, path)| path);
            paths.filter(|&path| peer(path).is_some_and(|peer| forest.services[peer as usize].is_cache))
        };
        let Some(cache) = caches().next().and_then(peer) else { continue };
        if caches().any(|path| peer(path) != Some(cache)) {
            continue;
        }
        let are_alike =
            |[before, after]: [f64; 2]| after <= before * UNCHANGED && before <= after * UNCHANGED && before > 0.0;
        let asked = caches().map(|path| (path, rates(path))).filter(|&(_, rates)| are_alike(rates));
        let Some((lookup, asked)) = asked.max_by(|left, right| left.1[0].total_cmp(&right.1[0])) else { continue };
        for &(_, path) in beside {
            let own = rates(path);
            let are_misses = own.iter().zip(asked).all(|(own, asked)| *own > 0.0 && *own <= asked * LOST);
            if are_misses && !are_alike(own) {
                lookups[path as usize] = lookup;
            }
        }
    }
    lookups
}
