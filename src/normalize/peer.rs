//! Kinds, peers and operation identities.

use super::{
    Forest, Repairs, Service,
    attributes::{Facts, NONE, Texts},
    link::NO_PARENT,
};
use crate::span::{Dictionary, SpanFrame, SpanKind};
use hashbrown::HashMap;
use rayon::prelude::*;

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Kind of every span; where the source names none, from service boundaries.
///
/// A span that is a root or whose parent belongs to another service answers a call. Within a service, a span whose only child belongs
/// to another service, or that has no child and names a peer, asks one. Anything else is internal.
pub(super) fn infer_kinds(frame: &SpanFrame, forest: &Forest, facts: &Facts, repairs: &mut Repairs) -> Vec<SpanKind> {
    let spans = &frame.spans;
    let declared = |span: usize| SpanKind::from_code(u64::from(spans.kind[forest.row[span] as usize]));
    let mut kinds: Vec<SpanKind> = (0..forest.n_spans()).into_par_iter().map(declared).collect();
    if !kinds.contains(&SpanKind::Unspecified) {
        return kinds;
    }
    let service = |span: usize| spans.service[forest.row[span] as usize];
    // Children of each span of the trace: how many, and how many of another service.
    let mut children: Vec<(u32, u32)> = Vec::new();
    for trace in 0..forest.n_traces() {
        let range = forest.spans_of(trace);
        children.clear();
        children.resize(range.len(), (0, 0));
        for span in range.clone().filter(|&span| forest.parent[span] != NO_PARENT) {
            let parent = forest.parent[span] as usize;
            children[parent].0 += 1;
            children[parent].1 += u32::from(service(range.start + parent) != service(span));
        }
        for span in range.clone().filter(|&span| declared(span) == SpanKind::Unspecified) {
            repairs.n_inferred_kinds += 1;
            let parent = forest.parent[span];
            let enters = parent == NO_PARENT || service(range.start + parent as usize) != service(span);
            let has_peer = facts.peer[forest.row[span] as usize] != NONE;
            kinds[span] = match children[span - range.start] {
                (1, 1) | (0, 0) if enters && !has_peer => SpanKind::Server,
                (1, 1) if !enters => SpanKind::Client,
                (0, 0) if has_peer => SpanKind::Client,
                _ if enters => SpanKind::Server,
                _ => SpanKind::Internal,
            };
        }
    }
    kinds
}

/// For each client or producer span the service code of the child that answers it, or [`NONE`].
pub(super) fn answers(frame: &SpanFrame, forest: &Forest) -> Vec<u32> {
    let mut answer = vec![NONE; forest.n_spans()];
    for trace in 0..forest.n_traces() {
        let range = forest.spans_of(trace);
        for span in range.clone().filter(|&span| forest.parent[span] != NO_PARENT) {
            let parent = range.start + forest.parent[span] as usize;
            let service = |span: usize| frame.spans.service[forest.row[span] as usize];
            let asks = matches!(forest.kinds[parent], SpanKind::Client | SpanKind::Producer);
            let is_answer =
                matches!(forest.kinds[span], SpanKind::Server | SpanKind::Consumer) || service(span) != service(parent);
            if asks && is_answer && answer[parent] == NONE {
                answer[parent] = service(span);
            }
        }
    }
    answer
}

pub(super) enum Callee {
    /// Code of a service that reports spans.
    Service(u32),
    /// Code of a peer text.
    Peer(u32),
    Unknown,
}

/// How often calls were answered by a service.
#[derive(Debug, Default)]
pub(super) struct Answers {
    by_peer: Map<(u32, u32), u64>,
    by_operation: Map<((u32, u32), u32), u64>,
}

impl Answers {
    /// Adds the answered calls of a forest.
    pub(super) fn add(&mut self, frame: &SpanFrame, forest: &Forest, facts: &Facts, answer: &[u32]) {
        for (span, &service) in answer.iter().enumerate().filter(|&(_, &service)| service != NONE) {
            let row = forest.row[span] as usize;
            let peer = facts.peer[row];
            if peer == NONE {
                let caller = (frame.spans.service[row], frame.spans.operation[row]);
                *self.by_operation.entry((caller, service)).or_default() += 1;
            } else {
                *self.by_peer.entry((peer, service)).or_default() += 1;
            }
        }
    }

    /// Who answers, once all calls were added.
    pub(super) fn settle(self) -> Callees {
        Callees { by_peer: majority(self.by_peer), by_operation: majority(self.by_operation) }
    }
}

/// Which service answers a call, learned from the calls that were answered.
#[derive(Debug, Default)]
pub(super) struct Callees {
    by_peer: Map<u32, u32>,
    by_operation: Map<(u32, u32), u32>,
}

impl Callees {
    /// The service whose span answers the call; else the one that usually answers this peer, or this operation.
    pub(super) fn of(&self, answer: u32, peer: u32, service: u32, name: u32) -> Callee {
        let known = match (answer, peer) {
            (NONE, NONE) => self.by_operation.get(&(service, name)),
            (NONE, peer) => self.by_peer.get(&peer),
            (_, _) => Some(&answer),
        };
        match known {
            Some(&callee) => Callee::Service(callee),
            None if peer == NONE => Callee::Unknown,
            None => Callee::Peer(peer),
        }
    }
}

/// For each key the value that stands in more than half of its pairs.
fn majority<K: Copy + Ord + std::hash::Hash>(pairs: Map<(K, u32), u64>) -> Map<K, u32> {
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_unstable();
    pairs
        .chunk_by(|left, right| left.0.0 == right.0.0)
        .filter_map(|group| {
            let total: u64 = group.iter().map(|(_, count)| count).sum();
            group.iter().find(|(_, count)| count * 2 > total).map(|&((key, value), _)| (key, value))
        })
        .collect()
}

/// Services as they are met: those that report spans by the code of their name, the others by what their callers call them.
#[derive(Debug, Default)]
pub(super) struct Services {
    pub(super) list: Vec<Service>,
    by_name: Map<String, u32>,
    /// Index by the name's code, [`NONE`] where it is not known.
    by_code: Vec<u32>,
    by_peer: Map<u32, u32>,
}

impl Services {
    /// Index of the service that reports spans under name code `code`.
    pub(super) fn reporting(&mut self, code: u32, names: &Dictionary) -> u32 {
        let place = code as usize;
        if let Some(&index) = self.by_code.get(place).filter(|&&index| index != NONE) {
            return index;
        }
        let index = self.add(names.get(code), false);
        self.by_code.resize(self.by_code.len().max(place + 1), NONE);
        self.by_code[place] = index;
        index
    }

    /// Index of the service that callers call by the peer with code `code`: the one that reports spans under that name or that first DNS
    /// label, else an inferred one. All services that report spans are known before.
    pub(super) fn peer(&mut self, code: u32, texts: &Texts) -> u32 {
        if let Some(&index) = self.by_peer.get(&code) {
            return index;
        }
        let peer = texts.peers.get(code);
        let reporting = |name: &str| self.by_name.get(name).copied().filter(|&at| !self.list[at as usize].is_inferred);
        let known = reporting(peer).or_else(|| reporting(first_label(peer)));
        let index = known.unwrap_or_else(|| self.add(peer, true));
        self.list[index as usize].is_cache |= texts.caches.contains(&code);
        self.by_peer.insert(code, index);
        index
    }

    fn add(&mut self, name: &str, is_inferred: bool) -> u32 {
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(Service::new(name.to_owned(), is_inferred));
        self.by_name.insert(name.to_owned(), index);
        index
    }

    /// For each service the one that it is another name of: an inferred one whose first DNS label names another inferred one is that one.
    ///
    /// Found when all are known, so that the order in which they were met does not matter.
    pub(super) fn merged(&mut self) -> Vec<u32> {
        let own = (0_u32..).zip(&self.list);
        let merged = own.map(|(index, service)| {
            let short = if service.is_inferred { self.by_name.get(first_label(&service.name)) } else { None };
            short.copied().filter(|&short| self.list[short as usize].is_inferred).unwrap_or(index)
        });
        let merged: Vec<u32> = merged.collect();
        for (own, &index) in merged.iter().enumerate() {
            self.list[index as usize].is_cache |= self.list[own].is_cache;
        }
        merged
    }
}

fn first_label(peer: &str) -> &str {
    peer.split('.').next().unwrap_or(peer)
}
