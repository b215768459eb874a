//! Calls that are made because a cache had no answer, and belong to the cache.
//!
//! ```text
//! hit    |-caller-[ cache ]----|        miss    |-caller-[ cache ][ store ]----|
//! ```
//!
//! Where a caller asks a cache as often as before and a call beside that, never made more often than the cache is asked, became more frequent, more
//! lookups miss: the cache lost its content, its room or its lifetime of entries. The same calls by new code of the caller look alike in that; so the call must
//! have been made in the baseline, too, by less than all visits that ask the cache, and beside one cache only.

use super::attribute::UNCHANGED;
use super::paths::{NO_PATH, Paths};
use super::sums::Sums;
use crate::normalize::Forest;
use crate::span::SpanKind;

/// Lookups may be fewer than misses by so much: spans get lost.
const LOST: f64 = 1.02;

/// For each path the path of the cache whose misses it answers, or [`NO_PATH`].
pub(super) fn caches(forest: &Forest, paths: &Paths, windows: [&Sums; 2]) -> Vec<u32> {
    let mut caches = vec![NO_PATH; paths.len()];
    let cache_of = |path: usize| {
        let operation = forest.operations[paths.list[path].operation as usize];
        operation.peer.filter(|&peer| operation.kind == SpanKind::Client && forest.services[peer as usize].is_cache)
    };
    let mut lookups: Vec<(u32, usize)> = (0..paths.len())
        .filter(|&path| paths.list[path].parent != NO_PATH && !paths.list[path].is_retry && cache_of(path).is_some())
        .map(|path| (paths.list[path].parent, path))
        .collect();
    if lookups.is_empty() {
        return caches;
    }
    lookups.sort_unstable();
    // Calls a visit of the caller.
    let rates = |path: usize| {
        let parent = paths.list[path].parent as usize;
        windows.map(|sums| sums.n_calls[path] / sums.n_visits[parent])
    };
    for (path, own) in paths.list.iter().enumerate().filter(|(path, own)| !own.is_retry && cache_of(*path).is_none()) {
        let first = lookups.partition_point(|&(parent, _)| parent < own.parent);
        let mut beside = lookups[first..].iter().take_while(|&&(parent, _)| parent == own.parent);
        let (Some(&(_, lookup)), None) = (beside.next(), beside.next()) else { continue };
        let ([asked_before, asked_after], [before, after]) = (rates(lookup), rates(path));
        let is_asked_alike = asked_after <= asked_before * UNCHANGED && asked_before <= asked_after * UNCHANGED;
        let is_changed = after > before * UNCHANGED || before > after * UNCHANGED;
        let are_misses = before <= asked_before * LOST && after <= asked_after * LOST;
        if is_asked_alike && is_changed && are_misses && before > 0.0 && after > 0.0 {
            caches[path] = u32::try_from(lookup).unwrap_or(NO_PATH);
        }
    }
    caches
}
