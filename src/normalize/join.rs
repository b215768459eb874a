//! A forest of spans, joined with traces of which only their requests were kept; and the numbers of services and operations.

use super::known::Known;
use super::{Forest, NO_PARENT, Operation, Service, SpanFlags};
use crate::span::{SpanFrame, TraceKey};
use hashbrown::HashMap;
use std::sync::Arc;

/// A request of a trace whose spans were not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Index in [`Summed::operations`].
    pub operation: u32,
    /// Start, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// Its duration, nanoseconds.
    pub duration_ns: i64,
    /// Whether it failed.
    pub has_failed: bool,
    /// Whether it is a root, not a fragment or detached work.
    pub is_root: bool,
    /// Row in the frame.
    pub row: u32,
}

/// Traces whose spans were not kept, in the order of a forest: by start and id.
#[derive(Clone, Debug, Default)]
pub struct Summed {
    /// Names of operations.
    pub names: Vec<String>,
    /// Services.
    pub services: Vec<Service>,
    /// Operations; their names are indices in `names`.
    pub operations: Vec<Operation>,
    /// Each trace: index in the frame, id, start, weight, number of spans.
    pub traces: Vec<(u32, TraceKey, i64, f64, u64)>,
    /// Requests of trace `t` are `requests[offsets[t]..offsets[t + 1]]`.
    pub offsets: Vec<usize>,
    /// Their requests.
    pub requests: Vec<Request>,
}

/// Where things are after joining.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// New index of each service.
    pub services: Vec<u32>,
    /// New index of each operation.
    pub operations: Vec<u32>,
    /// New index of each trace.
    pub traces: Vec<u32>,
}

impl Forest {
    /// Adds traces whose spans were not kept; `key` is the id of each trace of the forest.
    pub fn join(&mut self, summed: &Summed, key: impl Fn(u32) -> TraceKey) -> Joined {
        let services = self.join_services(&summed.services);
        let operations = self.join_operations(summed, &services);
        let own = (0..self.n_traces()).map(|trace| (self.root_start_ns[trace], key(self.trace[trace]), false, trace));
        let others = summed.traces.iter().enumerate().map(|(trace, &(_, key, start, ..))| (start, key, true, trace));
        let mut order: Vec<_> = own.chain(others).collect();
        order.sort_unstable();
        let mut joined = Self {
            operations: std::mem::take(&mut self.operations),
            services: std::mem::take(&mut self.services),
            names: std::mem::take(&mut self.names),
            away: self.away.take(),
            offsets: vec![0],
            ..Self::default()
        };
        let mut traces = vec![0; summed.traces.len()];
        let places = joined.away.as_mut().map(|away| std::mem::take(&mut away.places));
        for (place, (start_ns, _, is_summed, trace)) in (0_u32..).zip(order) {
            joined.root_start_ns.push(start_ns);
            if is_summed {
                traces[trace] = place;
                joined.push_summed(summed, trace, &operations);
            } else {
                joined.push_own(self, trace);
            }
            if let (Some(away), Some(places)) = (&mut joined.away, &places) {
                away.places.push(if is_summed { u32::MAX } else { places[trace] });
            }
            joined.offsets.push(joined.row.len());
        }
        *self = joined;
        let settled = self.settle();
        Joined {
            services: services.into_iter().map(|index| settled.services[index as usize]).collect(),
            operations: operations.into_iter().map(|index| settled.operations[index as usize]).collect(),
            traces,
        }
    }

    /// Calls of traces as spans of which only links and operations are known: of each, traces one after the other, the position of its
    /// parent, whether it begins a request, and its operation.
    #[must_use]
    pub fn of_calls(&self, offsets: Vec<usize>, calls: impl Iterator<Item = (u32, bool, u32)>) -> Self {
        let mut forest = Self {
            offsets,
            operations: Arc::clone(&self.operations),
            services: Arc::clone(&self.services),
            names: Arc::clone(&self.names),
            ..Self::default()
        };
        for (row, (parent, is_top, operation)) in (0_u32..).zip(calls) {
            let mut flags = SpanFlags::default();
            if is_top && parent != NO_PARENT {
                flags.set(SpanFlags::DETACHED);
            }
            forest.row.push(row);
            forest.parent.push(parent);
            forest.operation.push(operation);
            forest.flags.push(flags);
        }
        let n_calls = forest.row.len();
        (forest.start_ns, forest.end_ns) = (vec![0; n_calls], vec![0; n_calls]);
        forest
    }

    /// Takes over the services and operations that were learnt, and numbers them by name; `frame` has the names.
    pub(super) fn number(&mut self, mut known: Known, frame: &SpanFrame) {
        let merged = known.services.merged();
        self.services = Arc::new(known.services.list);
        self.names = Arc::new(frame.names.iter().map(str::to_owned).collect());
        let named =
            |operation: Operation| Operation { peer: operation.peer.map(|peer| merged[peer as usize]), ..operation };
        self.operations = Arc::new(known.operations.into_iter().map(named).collect());
        let is_left: Vec<bool> = merged.iter().zip(0..).map(|(&merged, own)| merged == own).collect();
        self.settle_but(&is_left);
    }

    /// Numbers services, operations and their names by name, those that report spans before inferred ones, so that
    /// no sum is taken in the order in which they were read; returns the new numbers of the old.
    fn settle(&mut self) -> Joined {
        self.settle_but(&vec![true; self.services.len()])
    }

    /// The same without the services that `is_left` says are gone, which no operation names any more.
    fn settle_but(&mut self, is_left: &[bool]) -> Joined {
        let code = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let mut order: Vec<u32> = (0..code(self.services.len())).filter(|&index| is_left[index as usize]).collect();
        order.sort_by_key(|&index| {
            let service = &self.services[index as usize];
            (service.is_inferred, &service.name)
        });
        let mut services = vec![u32::MAX; self.services.len()];
        for (place, &old) in (0_u32..).zip(&order) {
            services[old as usize] = place;
        }
        self.services = Arc::new(order.iter().map(|&index| self.services[index as usize].clone()).collect());
        let mut used: Vec<u32> = self.operations.iter().map(|operation| operation.name).collect();
        used.sort_unstable();
        used.dedup();
        used.sort_by_key(|&name| self.name(name));
        let names: HashMap<u32, u32> = used.iter().copied().zip(0_u32..).collect();
        self.names = Arc::new(used.iter().map(|&name| self.name(name).to_owned()).collect());
        let renumbered = |operation: &Operation| Operation {
            service: services[operation.service as usize],
            name: names.get(&operation.name).copied().unwrap_or(u32::MAX),
            kind: operation.kind,
            peer: operation.peer.map(|peer| services[peer as usize]),
        };
        let own: Vec<Operation> = self.operations.iter().map(renumbered).collect();
        let mut order: Vec<u32> = (0..code(own.len())).collect();
        order.sort_by_key(|&index| own[index as usize]);
        let mut operations = vec![0; order.len()];
        let mut sorted: Vec<Operation> = Vec::with_capacity(order.len());
        for index in order {
            let operation = own[index as usize];
            // Two names of one peer make one operation.
            if sorted.last() != Some(&operation) {
                sorted.push(operation);
            }
            operations[index as usize] = code(sorted.len() - 1);
        }
        self.operations = Arc::new(sorted);
        let away = self.away.iter_mut().flat_map(|away| &mut away.operations);
        for operation in self.operation.iter_mut().chain(away) {
            *operation = operations[*operation as usize];
        }
        Joined { services, operations, traces: Vec::new() }
    }

    fn push_summed(&mut self, summed: &Summed, trace: usize, operations: &[u32]) {
        let (index, _, _, weight, n_spans) = summed.traces[trace];
        self.trace.push(index);
        self.weight.push(weight);
        self.summed.push(Some(n_spans));
        for request in &summed.requests[summed.offsets[trace]..summed.offsets[trace + 1]] {
            let operation = operations[request.operation as usize];
            let mut flags = SpanFlags::default();
            if request.has_failed {
                flags.set(SpanFlags::FAILED);
            }
            if !request.is_root {
                flags.set(SpanFlags::ORPHAN);
            }
            self.row.push(request.row);
            self.parent.push(NO_PARENT);
            self.operation.push(operation);
            self.start_ns.push(request.start_ns);
            self.end_ns.push(request.start_ns.saturating_add(request.duration_ns));
            self.flags.push(flags);
            self.kinds.push(self.operations[operation as usize].kind);
        }
    }

    fn push_own(&mut self, own: &Self, trace: usize) {
        let spans = own.spans_of(trace);
        self.trace.push(own.trace[trace]);
        self.weight.push(own.weight[trace]);
        self.summed.push(own.summed.get(trace).copied().flatten());
        self.row.extend_from_slice(&own.row[spans.clone()]);
        self.parent.extend_from_slice(&own.parent[spans.clone()]);
        self.operation.extend_from_slice(&own.operation[spans.clone()]);
        self.start_ns.extend_from_slice(&own.start_ns[spans.clone()]);
        self.end_ns.extend_from_slice(&own.end_ns[spans.clone()]);
        self.flags.extend_from_slice(&own.flags[spans.clone()]);
        self.kinds.extend_from_slice(&own.kinds[spans]);
    }

    /// A service is known by its name; it reports spans if it does in either.
    fn join_services(&mut self, others: &[Service]) -> Vec<u32> {
        let own = self.services.iter().enumerate();
        let mut known: HashMap<String, usize> = own.map(|(index, service)| (service.name.clone(), index)).collect();
        others
            .iter()
            .map(|other| {
                let index = *known.entry(other.name.clone()).or_insert(self.services.len());
                let services = Arc::make_mut(&mut self.services);
                match services.get_mut(index) {
                    Some(service) => service.join(other),
                    None => services.push(other.clone()),
                }
                u32::try_from(index).unwrap_or(u32::MAX)
            })
            .collect()
    }

    fn join_operations(&mut self, summed: &Summed, services: &[u32]) -> Vec<u32> {
        let code = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let own = self.names.iter().enumerate();
        let mut known: HashMap<String, u32> = own.map(|(index, name)| (name.clone(), code(index))).collect();
        let mut names = Vec::with_capacity(summed.names.len());
        for name in &summed.names {
            let fresh = code(self.names.len());
            let index = *known.entry(name.clone()).or_insert(fresh);
            if index == fresh {
                Arc::make_mut(&mut self.names).push(name.clone());
            }
            names.push(index);
        }
        let own = self.operations.iter().enumerate();
        let mut known: HashMap<Operation, u32> = own.map(|(index, &operation)| (operation, code(index))).collect();
        summed
            .operations
            .iter()
            .map(|operation| {
                let operation = Operation {
                    service: services[operation.service as usize],
                    name: names[operation.name as usize],
                    kind: operation.kind,
                    peer: operation.peer.map(|peer| services[peer as usize]),
                };
                let fresh = code(self.operations.len());
                let index = *known.entry(operation).or_insert(fresh);
                if index == fresh {
                    Arc::make_mut(&mut self.operations).push(operation);
                }
                index
            })
            .collect()
    }
}
