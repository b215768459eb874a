//! What is learnt of all traces together, and what each trace then becomes by it.
//!
//! Linking a trace asks for nothing but its own records. Four things do: whose clocks disagree, which names have ids in them, which service
//! answers a call that left no answer, and which services report spans at all. They are learnt from [`Draft`]s, one of all spans or one
//! after the other of parts of them, and only then are drafts finished. The result does not depend on the parts.

use super::attributes::{Facts, Texts, facts};
use super::peer::{Answers, Callee, Callees, Services, answers, infer_kinds};
use super::skew::{self, Clocks, SkewedPair};
use super::template::Names;
use super::{Forest, Operation, Repairs, SpanFlags, detach, extend, gather, weigh};
use crate::span::{SpanFrame, SpanKind};
use hashbrown::HashMap;

/// Linked spans whose operations and clocks are still as their own spans say.
pub(super) struct Draft {
    pub(super) forest: Forest,
    facts: Facts,
    answer: Vec<u32>,
    /// What linking these spans repaired.
    repairs: Repairs,
}

/// What is learnt of all drafts, and the numbers of services and operations.
#[derive(Debug, Default)]
pub(super) struct Known {
    texts: Texts,
    names: Names,
    /// Whether the name with this code is that of a service that reports spans.
    reports: Vec<bool>,
    answers: Answers,
    clocks: Clocks,
    has_weights: bool,
    callees: Callees,
    skew: Vec<SkewedPair>,
    pub(super) services: Services,
    pub(super) operations: Vec<Operation>,
    index: HashMap<Operation, u32, foldhash::fast::FixedState>,
    pub(super) repairs: Repairs,
}

impl Draft {
    /// Links the spans of `frame`; those of traces from `first_of_second` on are another recording's.
    pub(super) fn new(frame: &SpanFrame, first_of_second: Option<u32>, known: &mut Known) -> Self {
        let mut repairs = Repairs::default();
        let mut forest = Forest::default();
        let (mut facts, ()) =
            rayon::join(|| facts(frame, &mut known.texts), || gather(frame, &mut forest, &mut repairs));
        if let Some(first) = first_of_second {
            facts.tell_hosts_apart(|row| frame.spans.trace[row] >= first);
        }
        forest.kinds = infer_kinds(frame, &forest, &facts, &mut repairs);
        let answer = answers(frame, &forest);
        Self { forest, facts, answer, repairs }
    }
}

impl Known {
    /// Learns from a draft of `frame`.
    pub(super) fn learn(&mut self, frame: &SpanFrame, draft: &Draft) {
        let Self { reports, names, answers, clocks, .. } = self;
        let learn_names = || {
            reports.resize(reports.len().max(frame.names.len()), false);
            for &service in &frame.spans.service {
                reports[service as usize] = true;
            }
            names.add(&frame.spans.service, &frame.spans.operation);
            answers.add(frame, &draft.forest, &draft.facts, &draft.answer);
        };
        rayon::join(learn_names, || clocks.add_outside(&draft.forest, &draft.facts.host));
        self.has_weights |= !draft.facts.weight.is_empty();
    }

    /// Whether clocks may disagree, so that each draft has to be shown to [`Known::learn_clocks`], too.
    pub(super) fn has_doubtful_clocks(&self) -> bool {
        self.clocks.is_in_doubt()
    }

    /// Learns by how much clocks disagree, when all drafts were learnt from.
    pub(super) fn learn_clocks(&mut self, draft: &Draft) {
        self.clocks.add_offsets(&draft.forest, &draft.facts.host);
    }

    /// Draws the conclusions, before the first draft is finished; `frame` has the names of all.
    pub(super) fn settle(&mut self, frame: &SpanFrame) {
        self.callees = std::mem::take(&mut self.answers).settle();
        self.skew = std::mem::take(&mut self.clocks).pairs();
        let name = |code: u32| frame.names.get(code);
        self.repairs.folded_services = self.names.folded().map(|service| name(service).to_owned()).collect();
        self.repairs.folded_services.sort_unstable();
        // Services that report spans come first, so that a peer's name finds the service of that name.
        let reports = (0_u32..).zip(&self.reports).filter(|&(_, &reports)| reports);
        let mut reporting: Vec<u32> = reports.map(|(code, _)| code).collect();
        reporting.sort_unstable_by_key(|&code| name(code));
        for code in reporting {
            self.services.reporting(code, &frame.names);
        }
    }

    /// The forest of a draft; its operations have numbers of all drafts.
    pub(super) fn finish(&mut self, frame: &mut SpanFrame, draft: Draft) -> Forest {
        let Draft { mut forest, facts, answer, mut repairs } = draft;
        skew::correct(&mut forest, &facts.host, &mut self.skew);
        let (rows, kinds) = (std::mem::take(&mut forest.row), std::mem::take(&mut forest.kinds));
        let repair = || {
            for (flags, &row) in forest.flags.iter_mut().zip(&rows) {
                if facts.failed[row as usize] {
                    flags.set(SpanFlags::FAILED);
                }
            }
            repairs.n_extended = extend(&mut forest, &kinds);
            detach(&mut forest, &kinds, &mut repairs);
        };
        let ((), operation) = rayon::join(repair, || self.operations_of(frame, &rows, &kinds, &facts, &answer));
        (forest.row, forest.kinds, forest.operation) = (rows, kinds, operation);
        weigh(&mut forest, &facts.weight, self.has_weights, &mut repairs);
        self.repairs.add(&repairs);
        forest
    }

    /// The operation of every span, with the peer of every client or producer span; `rows` and `kinds` are those of the forest.
    fn operations_of(
        &mut self,
        frame: &mut SpanFrame,
        rows: &[u32],
        kinds: &[SpanKind],
        facts: &Facts,
        answer: &[u32],
    ) -> Vec<u32> {
        let mut last = None;
        let mut operations = Vec::with_capacity(rows.len());
        for (span, (&row, &kind)) in rows.iter().zip(kinds).enumerate() {
            let row = row as usize;
            let (service, name) = (frame.spans.service[row], frame.spans.operation[row]);
            let name = self.names.fold(service, name, &mut frame.names);
            let peer = if matches!(kind, SpanKind::Client | SpanKind::Producer) {
                match self.callees.of(answer[span], facts.peer[row], service, name) {
                    Callee::Service(peer) => Some(self.services.reporting(peer, &frame.names)),
                    Callee::Peer(peer) => Some(self.services.peer(peer, &self.texts)),
                    Callee::Unknown => None,
                }
            } else {
                None
            };
            let service = self.services.reporting(service, &frame.names);
            let operation = Operation { service, name, kind, peer };
            let code = match last {
                Some((known, code)) if known == operation => code,
                _ => *self.index.entry(operation).or_insert_with(|| {
                    self.operations.push(operation);
                    u32::try_from(self.operations.len() - 1).unwrap_or(u32::MAX)
                }),
            };
            last = Some((operation, code));
            operations.push(code);
        }
        operations
    }

    /// What was repaired in all drafts.
    pub(super) fn take_repairs(&mut self) -> Repairs {
        let mut repairs = std::mem::take(&mut self.repairs);
        repairs.skew = skew::corrected(std::mem::take(&mut self.skew));
        repairs
    }
}
