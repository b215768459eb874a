//! Kinds, peers and operation identities.

use super::{
    Forest, Operation, Repairs, Service,
    attributes::{Facts, NONE},
    link::NO_PARENT,
    template,
};
use crate::span::{Dictionary, SpanFrame, SpanKind};
use hashbrown::HashMap;

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Kind of every span; where the source names none, from service boundaries.
///
/// A span that is a root or whose parent belongs to another service answers a call. Within a service, a span whose only child belongs
/// to another service, or that has no child and names a peer, asks one. Anything else is internal.
pub(super) fn infer_kinds(frame: &SpanFrame, forest: &Forest, facts: &Facts, repairs: &mut Repairs) -> Vec<SpanKind> {
    let spans = &frame.spans;
    let declared = |span: usize| SpanKind::from_code(u64::from(spans.kind[forest.row[span] as usize]));
    let mut kinds: Vec<SpanKind> = (0..forest.n_spans()).map(declared).collect();
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

/// Gives every span its operation, and every client or producer span its peer.
pub(super) fn name_operations(frame: &mut SpanFrame, forest: &mut Forest, facts: &Facts, repairs: &mut Repairs) {
    let (folded, folded_services) = template::fold(&frame.spans.service, &frame.spans.operation, &mut frame.names);
    repairs.folded_services = folded_services.iter().map(|&service| frame.names.get(service).to_owned()).collect();
    repairs.folded_services.sort_unstable();

    let answer = answers(frame, forest);
    let callee = Callees::learn(frame, forest, facts, &answer);
    let mut services = Services::default();
    // Services that report spans come first, so that a peer's name finds the service of that name.
    for &service in &frame.spans.service {
        services.reporting(service, &frame.names);
    }
    let mut index = Map::<Operation, u32>::default();
    let mut last = None;
    forest.operation.reserve_exact(forest.row.len());
    for (span, &row) in forest.row.iter().enumerate() {
        let row = row as usize;
        let (service, name) = (frame.spans.service[row], frame.spans.operation[row]);
        let name = if folded.is_empty() { name } else { folded.get(&(service, name)).copied().unwrap_or(name) };
        let kind = forest.kinds[span];
        let peer = if matches!(kind, SpanKind::Client | SpanKind::Producer) {
            match callee.of(answer[span], facts.peer[row], service, name) {
                Callee::Service(peer) => Some(services.reporting(peer, &frame.names)),
                Callee::Peer(peer) => Some(services.peer(facts.peers.get(peer))),
                Callee::Unknown => None,
            }
        } else {
            None
        };
        let operation = Operation { service: services.reporting(service, &frame.names), name, kind, peer };
        let code = match last {
            Some((known, code)) if known == operation => code,
            _ => *index.entry(operation).or_insert_with(|| {
                forest.operations.push(operation);
                u32::try_from(forest.operations.len() - 1).unwrap_or(u32::MAX)
            }),
        };
        last = Some((operation, code));
        forest.operation.push(code);
    }
    forest.services = services.list;
}

/// For each client or producer span the service code of the child that answers it, or [`NONE`].
fn answers(frame: &SpanFrame, forest: &Forest) -> Vec<u32> {
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

enum Callee {
    /// Code of a service that reports spans.
    Service(u32),
    /// Code of a peer text.
    Peer(u32),
    Unknown,
}

/// Which service answers a call, learned from the calls that were answered.
struct Callees {
    by_peer: Map<u32, u32>,
    by_operation: Map<(u32, u32), u32>,
}

impl Callees {
    fn learn(frame: &SpanFrame, forest: &Forest, facts: &Facts, answer: &[u32]) -> Self {
        let mut by_peer = Map::<(u32, u32), u64>::default();
        let mut by_operation = Map::<((u32, u32), u32), u64>::default();
        for (span, &service) in answer.iter().enumerate().filter(|&(_, &service)| service != NONE) {
            let row = forest.row[span] as usize;
            let peer = facts.peer[row];
            if peer == NONE {
                let caller = (frame.spans.service[row], frame.spans.operation[row]);
                *by_operation.entry((caller, service)).or_default() += 1;
            } else {
                *by_peer.entry((peer, service)).or_default() += 1;
            }
        }
        Self { by_peer: majority(by_peer), by_operation: majority(by_operation) }
    }

    /// The service whose span answers the call; else the one that usually answers this peer, or this operation.
    fn of(&self, answer: u32, peer: u32, service: u32, name: u32) -> Callee {
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

#[derive(Default)]
struct Services {
    list: Vec<Service>,
    by_name: Map<String, u32>,
    by_code: Map<u32, u32>,
    by_peer: Map<String, u32>,
    last: Option<(u32, u32)>,
}

impl Services {
    /// Index of the service that reports spans under name code `code`.
    fn reporting(&mut self, code: u32, names: &Dictionary) -> u32 {
        if let Some((known, index)) = self.last
            && known == code
        {
            return index;
        }
        let index = if let Some(&index) = self.by_code.get(&code) {
            index
        } else {
            let index = self.add(names.get(code), false);
            self.by_code.insert(code, index);
            index
        };
        self.last = Some((code, index));
        index
    }

    /// Index of the service that callers call `peer`: the one of that name or of that first DNS label, else an inferred one.
    fn peer(&mut self, peer: &str) -> u32 {
        if let Some(&index) = self.by_peer.get(peer) {
            return index;
        }
        let label = peer.split('.').next().unwrap_or(peer);
        let known = self.by_name.get(peer).or_else(|| self.by_name.get(label)).copied();
        let index = known.unwrap_or_else(|| self.add(peer, true));
        self.by_peer.insert(peer.to_owned(), index);
        index
    }

    fn add(&mut self, name: &str, is_inferred: bool) -> u32 {
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(Service { name: name.to_owned(), is_inferred });
        self.by_name.insert(name.to_owned(), index);
        index
    }
}
