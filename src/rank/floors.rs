//! From where on a change of the latency is worth reporting: a share of all requests' mean, or what is large in the requests that it concerns.
//!
//! A payment that takes five times as long is worth a word, also where one request in fifty is a payment and the mean over all hardly moves, or
//! where the mean is that of a job of three hours. So the floor of an operation, edge or service is no higher than a tenth of the mean of the
//! entry operations whose requests reach it, and than a millisecond for each of these, spread over all requests as the change itself is.

use super::floor_ns;
use crate::compare::attribute::{Attribution, tops};
use crate::compare::paths::{NO_PATH, Paths, Scope};
use crate::compare::sums::Sums;

/// Share of the mean of the requests concerned that is worth reporting.
const OF_CONCERNED: f64 = 0.1;
/// Nanoseconds for each request concerned that are.
const EACH_NS: f64 = 1e6;

/// Floors of the units of one view of the latency, nanoseconds per request.
pub(super) struct Floors {
    pub(super) services: Vec<f64>,
    pub(super) subjects: Vec<f64>,
}

/// What is known of the requests of one entry.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// Share of all requests, both windows together.
    share: f64,
    /// Their part of the mean over all requests, nanoseconds.
    part_ns: f64,
}

impl Floors {
    /// The same floor for all.
    pub(super) fn all(floor: f64, n_services: usize, n_subjects: usize) -> Self {
        Self { services: vec![floor; n_services], subjects: vec![floor; n_subjects] }
    }

    /// The floors in a view whose sums are given.
    pub(super) fn new(
        (paths, scope): (&Paths, Scope),
        attribution: &Attribution,
        n_services: usize,
        windows: [&Sums; 2],
        baseline_mean_ns: f64,
    ) -> Self {
        let general = floor_ns(baseline_mean_ns);
        let mut result = Self::all(general, n_services, attribution.subjects.len());
        let n_tops = windows.map(|sums| tops(paths, sums, scope));
        if n_tops.contains(&0.0) {
            return result;
        }
        let mut entries = vec![Entry::default(); paths.len()];
        let mut reached: Vec<(u32, u32)> = Vec::new();
        for (own, (index, path)) in (0_u32..).zip(paths.list.iter().enumerate()) {
            if path.scope != scope {
                continue;
            }
            let top = attribution.top(own);
            let entry = &mut entries[top as usize];
            for (sums, n_tops) in windows.into_iter().zip(n_tops) {
                entry.part_ns += (sums.self_ns[index] + sums.before_ns[index] + sums.wait_ns[index]) / n_tops / 2.0;
                entry.share += if path.parent == NO_PATH { sums.n_visits[index] / n_tops / 2.0 } else { 0.0 };
            }
            reached.extend(attribution.all_rows_of(own).map(|row| (attribution.rows[row as usize].subject, top)));
        }
        let floor = |tops: &[(u32, u32)]| {
            let (share, part_ns) = tops.iter().fold((0.0, 0.0), |(share, part_ns), &(_, top)| {
                let entry = entries[top as usize];
                (share + entry.share, part_ns + entry.part_ns)
            });
            (OF_CONCERNED * part_ns).max(EACH_NS * share)
        };
        let mut lower = |reached: &mut Vec<(u32, u32)>, floors: fn(&mut Self) -> &mut Vec<f64>| {
            reached.sort_unstable();
            reached.dedup();
            for tops in reached.chunk_by(|left, right| left.0 == right.0) {
                let own = &mut floors(&mut result)[tops[0].0 as usize];
                *own = own.min(floor(tops));
            }
        };
        lower(&mut reached, |floors| &mut floors.subjects);
        for (subject, _) in &mut reached {
            *subject = attribution.blamed[*subject as usize];
        }
        lower(&mut reached, |floors| &mut floors.services);
        result
    }
}
