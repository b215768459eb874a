//! Profiles of several recordings become one of them all.

use super::dictionaries::{Renumbering, settle};
use super::{About, Profile};
use crate::compare::limits::Limits;
use crate::compare::paths::{Failure, NO_EXCEPTION, NO_PATH, Path};
use crate::error::Error;
use crate::normalize::{Operation, Repairs};
use hashbrown::HashMap;
use std::collections::BTreeSet;

/// The profile of all of `profiles`' traces, whatever their order.
///
/// # Errors
/// [`Error::Usage`] if two hold the same trace, whose calls would count twice in the sums, or were narrowed or keep attributes differently.
pub fn merge(profiles: Vec<Profile>, max_cells: usize) -> Result<Profile, Error> {
    let mut profiles = profiles.into_iter();
    let mut merged = profiles.next().unwrap_or_default();
    for profile in profiles {
        merged.absorb(profile)?;
    }
    Ok(settle(merged, max_cells))
}

impl Profile {
    fn absorb(&mut self, mut other: Self) -> Result<(), Error> {
        if self.about.only != other.about.only {
            let words = |only: &[String]| if only.is_empty() { "all requests".to_owned() } else { only.join(", ") };
            return Err(Error::Usage {
                message: format!(
                    "one profile is of {} and another of {}",
                    words(&self.about.only),
                    words(&other.about.only)
                ),
                hint: "merge profiles that were made with the same `--entry` and `--where`".to_owned(),
            });
        }
        let asked = |profile: &Self| profile.calls.as_ref().map(|calls| calls.asked.clone());
        if asked(self) != asked(&other) {
            let words = |asked: Option<Vec<String>>| match asked.as_deref() {
                None => "no attributes".to_owned(),
                Some([]) => "all attributes that tell calls apart".to_owned(),
                Some(keys) => format!("the attributes {}", keys.join(", ")),
            };
            return Err(Error::Usage {
                message: format!("one profile keeps {} and another {}", words(asked(self)), words(asked(&other))),
                hint: "merge profiles that were made with the same `--attributes`".to_owned(),
            });
        }
        let n_all = [self.n_all_traces(), other.n_all_traces()];
        count_unweighted([(&mut self.about.repairs, n_all[0]), (&mut other.about.repairs, n_all[1])]);
        self.dictionaries(&other).apply(&mut other);
        self.absorb_traces(&other)?;
        self.absorb_table(&other);
        self.graph.absorb(&other.graph);
        self.values.absorb(&other.values);
        if let (Some(calls), Some(others)) = (&mut self.calls, &other.calls) {
            calls.absorb(others);
        }
        for (&ends, calls) in &other.grounds {
            self.grounds.entry(ends).or_default().absorb(calls);
        }
        self.start_unix_ns = self.start_unix_ns.min(other.start_unix_ns);
        self.end_unix_ns = self.end_unix_ns.max(other.end_unix_ns);
        for (&weight, &count) in &other.weights {
            let known = self.weights.entry(weight).or_default();
            *known = known.saturating_add(count);
        }
        self.below = self.below.min(other.below);
        self.n_spans_left_out = self.n_spans_left_out.saturating_add(other.n_spans_left_out);
        self.about.absorb(other.about);
        Ok(())
    }

    /// Adds the names of `other`, and says which numbers they have here.
    fn dictionaries(&mut self, other: &Self) -> Renumbering {
        let code = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let mut known: HashMap<String, u32> =
            self.names.iter().enumerate().map(|(index, name)| (name.clone(), code(index))).collect();
        let mut numbers = Renumbering { names: Vec::new(), services: Vec::new(), operations: Vec::new() };
        for name in &other.names {
            let fresh = code(self.names.len());
            let index = *known.entry(name.clone()).or_insert(fresh);
            if index == fresh {
                self.names.push(name.clone());
            }
            numbers.names.push(index);
        }
        let mut known: HashMap<String, u32> =
            self.services.iter().enumerate().map(|(index, service)| (service.name.clone(), code(index))).collect();
        for service in &other.services {
            let index = *known.entry(service.name.clone()).or_insert(code(self.services.len()));
            match self.services.get_mut(index as usize) {
                Some(own) => own.join(service),
                None => self.services.push(service.clone()),
            }
            numbers.services.push(index);
        }
        let mut known: HashMap<Operation, u32> =
            self.operations.iter().enumerate().map(|(index, &operation)| (operation, code(index))).collect();
        for &operation in &other.operations {
            let operation = numbers.operation(operation);
            let fresh = code(self.operations.len());
            let index = *known.entry(operation).or_insert(fresh);
            if index == fresh {
                self.operations.push(operation);
            }
            numbers.operations.push(index);
        }
        numbers
    }

    fn absorb_traces(&mut self, other: &Self) -> Result<(), Error> {
        let first_request = self.requests.len();
        for trace in 0..u32::try_from(other.traces.len()).unwrap_or(u32::MAX) {
            let n_known = self.ids.len();
            let id = other.ids.text(trace);
            self.ids.intern(&id);
            if self.ids.len() == n_known {
                return Err(Error::Usage {
                    message: format!("trace `{id}` is in two of the profiles"),
                    hint: "its calls would count twice: merge profiles of different recordings, or make one of all the spans"
                        .to_owned(),
                });
            }
        }
        self.traces.extend_from_slice(&other.traces);
        self.requests.extend_from_slice(&other.requests);
        self.offsets.extend(other.offsets.iter().skip(1).map(|offset| offset + first_request));
        Ok(())
    }

    fn absorb_table(&mut self, other: &Self) {
        let first = u32::try_from(self.table.costs.n_traces()).unwrap_or(u32::MAX);
        let (table, others) = (&mut self.table, &other.table);
        let mut paths: Vec<u32> = Vec::with_capacity(others.paths.len());
        for path in &others.paths.list {
            let parent = if path.parent == NO_PATH { NO_PATH } else { paths[path.parent as usize] };
            paths.push(table.paths.intern(Path { parent, ..*path }));
        }
        let path = |index: u32| paths[index as usize];
        for trace in 0..others.costs.n_traces() {
            table.push_from(others, trace, path);
        }
        let first_exception = u32::try_from(table.kept.exceptions.len()).unwrap_or(u32::MAX);
        let failure = |&(trace, failure): &(u32, Failure)| {
            let is_known = failure.exception != NO_EXCEPTION;
            let exception = if is_known { failure.exception + first_exception } else { NO_EXCEPTION };
            (first + trace, Failure { path: path(failure.path), exception, ..failure })
        };
        table.failures.extend(others.failures.iter().map(failure));
        table.survived.extend(others.survived.iter().map(failure));
        for (list, others) in table.places_mut().into_iter().zip(others.places()) {
            list.extend(others.iter().map(|&(trace, own)| (first + trace, path(own))));
        }
        table.kept.clients.extend(others.kept.clients.iter().map(|&(trace, calls)| (first + trace, calls)));
        table.kept.exceptions.extend(others.kept.exceptions.iter().cloned());
        for (&pair, &(after_ns, n_calls)) in &others.kept.starts {
            let (sum, count) = table.kept.starts.entry(pair).or_default();
            *sum = sum.saturating_add(after_ns);
            *count = count.saturating_add(n_calls);
        }
        let mut bands = table.limits.bands().clone();
        for (&operation, &(shortest, longest)) in others.limits.bands() {
            let band = bands.entry(operation).or_insert((shortest, longest));
            *band = (band.0.min(shortest), band.1.max(longest));
        }
        table.limits = Limits::default();
        table.limits.absorb(bands);
    }
}

impl About {
    fn absorb(&mut self, mut other: Self) {
        self.sources.append(&mut other.sources);
        self.sort();
        add_repairs(&mut self.repairs, &other.repairs);
        self.set_aside.absorb(&other.set_aside);
        self.n_traces_aside = self.n_traces_aside.saturating_add(other.n_traces_aside);
    }
}

/// Where only one of two data sets, with so many traces, says that it was sampled, the weight of the other's traces is unknown.
pub fn count_unweighted([(left, n_left), (right, n_right)]: [(&mut Repairs, u64); 2]) {
    if left.n_weighted_traces > 0 && right.n_weighted_traces == 0 {
        right.n_unweighted_traces = n_right;
    } else if right.n_weighted_traces > 0 && left.n_weighted_traces == 0 {
        left.n_unweighted_traces = n_left;
    }
}

/// Adds what linking other spans repaired.
pub fn add_repairs(repairs: &mut Repairs, other: &Repairs) {
    let Repairs {
        n_duplicates,
        n_shared_ids,
        n_conflicting_ids,
        n_orphans,
        n_cycles,
        n_rootless_traces,
        n_detached,
        n_extended,
        n_inferred_kinds,
        folded_services,
        folded_apart,
        skew,
        n_weighted_traces,
        n_unweighted_traces,
    } = other;
    for (own, other) in [
        (&mut repairs.n_duplicates, n_duplicates),
        (&mut repairs.n_shared_ids, n_shared_ids),
        (&mut repairs.n_conflicting_ids, n_conflicting_ids),
        (&mut repairs.n_orphans, n_orphans),
        (&mut repairs.n_cycles, n_cycles),
        (&mut repairs.n_rootless_traces, n_rootless_traces),
        (&mut repairs.n_detached, n_detached),
        (&mut repairs.n_extended, n_extended),
        (&mut repairs.n_inferred_kinds, n_inferred_kinds),
        (&mut repairs.n_weighted_traces, n_weighted_traces),
        (&mut repairs.n_unweighted_traces, n_unweighted_traces),
    ] {
        *own = own.saturating_add(*other);
    }
    let [own, others] = [&repairs.folded_services, folded_services].map(|names| names.iter().collect::<BTreeSet<_>>());
    let apart: BTreeSet<&String> =
        own.symmetric_difference(&others).copied().chain(&repairs.folded_apart).chain(folded_apart).collect();
    let apart = apart.into_iter().cloned().collect();
    let folded: BTreeSet<&String> = own.union(&others).copied().collect();
    repairs.folded_services = folded.into_iter().cloned().collect();
    repairs.folded_apart = apart;
    repairs.skew.extend(skew.iter().cloned());
    repairs.skew.sort_by_key(|pair| (std::cmp::Reverse(pair.n_corrected), pair.n_calls, pair.offset_ns));
}
