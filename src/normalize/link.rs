//! One trace's records become a tree: duplicates dropped, parents found, cycles cut.

use crate::span::{SpanColumns, SpanKind};
use std::cmp::Reverse;

/// No parent: a root, or the top of a fragment.
pub const NO_PARENT: u32 = u32::MAX;

/// What linking repaired, counted over all traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "numbers of things are named so everywhere")]
pub(super) struct LinkCounts {
    pub(super) n_duplicates: u64,
    pub(super) n_shared_ids: u64,
    pub(super) n_conflicting_ids: u64,
    pub(super) n_orphans: u64,
    pub(super) n_cycles: u64,
}

impl LinkCounts {
    /// Counts a span that is the top of a fragment: it names itself, or a parent that is not here.
    fn cut(&mut self, is_orphan: bool, record: &Record) {
        let is_cycle = is_orphan && record.parent_id == record.id;
        self.n_cycles += u64::from(is_cycle);
        self.n_orphans += u64::from(is_orphan && !is_cycle);
    }
}

/// The spans kept of one trace, sorted by start, and the position of each one's parent among them.
#[derive(Debug, Default)]
pub(super) struct Linked {
    pub(super) rows: Vec<u32>,
    pub(super) parents: Vec<u32>,
    /// Whether a span without parent names one that is not here.
    pub(super) orphan: Vec<bool>,
}

/// Room to link one trace after the other in.
#[derive(Debug, Default)]
pub(super) struct Room {
    records: Vec<Record>,
    by_id: Vec<(u64, u32)>,
}

/// Kind, service and operation, as codes.
type Names = (u8, u32, u32);
/// Start, duration, id, names and row.
type Place = (i64, Reverse<i64>, u64, Names, u32);

/// What linking looks at of a record, brought together from the columns once.
#[derive(Clone, Copy, Debug)]
struct Record {
    start_ns: i64,
    duration_ns: i64,
    id: u64,
    parent_id: u64,
    names: Names,
    row: u32,
}

impl Record {
    fn new(spans: &SpanColumns, row: u32) -> Self {
        let at = row as usize;
        Self {
            start_ns: spans.start_unix_ns[at],
            duration_ns: spans.duration_ns[at],
            id: spans.span_id[at],
            parent_id: spans.parent_span_id[at],
            names: (spans.kind[at], spans.service[at], spans.operation[at]),
            row,
        }
    }

    fn kind(&self) -> SpanKind {
        SpanKind::from_code(u64::from(self.names.0))
    }

    /// Records of one span have these in common.
    fn identity(&self) -> (u64, Names) {
        (self.id, self.names)
    }

    /// The order of a trace's spans: by start, the longest first.
    fn place(&self) -> Place {
        (self.start_ns, Reverse(self.duration_ns), self.id, self.names, self.row)
    }
}

/// Links the records `rows` of one trace and appends them to `out`; parents are positions within the trace.
pub(super) fn link(spans: &SpanColumns, rows: &[u32], counts: &mut LinkCounts, room: &mut Room, out: &mut Linked) {
    let Room { records, by_id } = room;
    records.clear();
    records.extend(rows.iter().map(|&row| Record::new(spans, row)));
    let index = |records: &[Record], by_id: &mut Vec<(u64, u32)>| {
        by_id.clear();
        by_id.extend(records.iter().map(|record| record.id).zip(0..));
        by_id.sort_unstable();
    };
    // Exports are mostly in order of time already, and then this is a look at each.
    records.sort_unstable_by_key(Record::place);
    index(records, by_id);
    let first = out.parents.len();
    if by_id.windows(2).all(|pair| pair[0].0 != pair[1].0) {
        link_distinct(records, by_id, counts, out);
    } else {
        let n_records = records.len();
        // The longest record of a span stands first, so that a partial export yields to the complete one.
        records.sort_unstable_by_key(|record| {
            (record.identity(), Reverse(record.duration_ns), record.start_ns, record.row)
        });
        records.dedup_by_key(|record| record.identity());
        counts.n_duplicates += (n_records - records.len()) as u64;
        records.sort_unstable_by_key(Record::place);
        index(records, by_id);
        link_repeated(records, by_id, counts, out);
    }
    // Parents before their children leave no cycle.
    if (0_u32..).zip(&out.parents[first..]).any(|(position, &parent)| parent != NO_PARENT && parent >= position) {
        counts.n_cycles += cut_cycles(&mut out.parents[first..], &mut out.orphan[first..]);
    }
    out.rows.extend(records.iter().map(|record| record.row));
}

/// Links spans of which no two have one id; `by_id` is their ids and positions, sorted.
fn link_distinct(records: &[Record], by_id: &[(u64, u32)], counts: &mut LinkCounts, out: &mut Linked) {
    for (position, record) in (0..).zip(records) {
        let found = by_id.binary_search_by_key(&record.parent_id, |&(id, _)| id).ok().map(|index| by_id[index].1);
        // Nothing is its own parent: that is the shortest of cycles.
        let parent = found.filter(|&parent| parent != position && record.parent_id != 0);
        let is_orphan = parent.is_none() && record.parent_id != 0;
        counts.cut(is_orphan, record);
        out.parents.push(parent.unwrap_or(NO_PARENT));
        out.orphan.push(is_orphan);
    }
}

/// The same where ids repeat.
fn link_repeated(records: &[Record], by_id: &[(u64, u32)], counts: &mut LinkCounts, out: &mut Linked) {
    let kind = |position: u32| records[position as usize].kind();
    let by_id = SameId::index(by_id, kind);
    for (position, record) in (0..).zip(records) {
        let own = SameId::find(&by_id, record.id);
        // Zipkin lets the server half of a call reuse the client half's id: the client half is then its parent.
        let client_half =
            if kind(position) == SpanKind::Server { own.and_then(|same| known(same.client)) } else { None };
        if client_half.is_some() {
            counts.n_shared_ids += 1;
        } else if own.is_some_and(|same| {
            let is_client_half = same.client == position && same.server[0] != NO_PARENT;
            same.first[0] != position && !is_client_half
        }) {
            counts.n_conflicting_ids += 1;
        }
        // Children of a shared id belong to its server half; nothing is its own parent.
        let by_link = || {
            let same = SameId::find(&by_id, record.parent_id)?;
            let other =
                |candidates: [u32; 2]| candidates.into_iter().find(|&parent| parent != position).and_then(known);
            other(same.server).or_else(|| other(same.first))
        };
        let parent = client_half.or_else(|| if record.parent_id == 0 { None } else { by_link() });
        let is_orphan = parent.is_none() && record.parent_id != 0;
        counts.cut(is_orphan, record);
        out.parents.push(parent.unwrap_or(NO_PARENT));
        out.orphan.push(is_orphan);
    }
}

/// The spans of a trace that have one id, as positions in order of start; [`NO_PARENT`] where there is none.
///
/// Ids repeat by Zipkin's habit, by fault or by malice. The first of each kind is all that linking asks for, so that a
/// trace whose spans all have one id costs no square of time.
struct SameId {
    id: u64,
    /// The first two spans.
    first: [u32; 2],
    /// The first two server spans.
    server: [u32; 2],
    /// The first client span.
    client: u32,
}

impl SameId {
    /// One entry an id, sorted by id; `by_id` is ids and positions, sorted.
    fn index(by_id: &[(u64, u32)], kind: impl Fn(u32) -> SpanKind) -> Vec<Self> {
        let kind = &kind;
        let group = |group: &[(u64, u32)]| {
            let all = || group.iter().map(|&(_, position)| position);
            let of_kind = |wanted| all().filter(move |&position| kind(position) == wanted);
            let nth = |n: usize| all().nth(n).unwrap_or(NO_PARENT);
            let server = |n: usize| of_kind(SpanKind::Server).nth(n).unwrap_or(NO_PARENT);
            let client = of_kind(SpanKind::Client).next().unwrap_or(NO_PARENT);
            Self { id: group[0].0, first: [nth(0), nth(1)], server: [server(0), server(1)], client }
        };
        by_id.chunk_by(|left, right| left.0 == right.0).map(group).collect()
    }

    fn find(by_id: &[Self], id: u64) -> Option<&Self> {
        by_id.binary_search_by_key(&id, |same| same.id).ok().map(|index| &by_id[index])
    }
}

fn known(position: u32) -> Option<u32> {
    (position != NO_PARENT).then_some(position)
}

/// Makes the first span of every cycle of parents the top of a fragment; returns how many cycles there were.
fn cut_cycles(parents: &mut [u32], orphan: &mut [bool]) -> u64 {
    // 0 is unseen; otherwise one more than the start of the walk that saw the span.
    let mut seen = vec![0_u32; parents.len()];
    let mut n_cycles = 0;
    for start in 0..parents.len() {
        let mark = u32::try_from(start).unwrap_or(u32::MAX - 1) + 1;
        let mut position = start;
        while seen[position] == 0 {
            seen[position] = mark;
            let parent = parents[position];
            if parent == NO_PARENT {
                break;
            }
            if seen[parent as usize] == mark {
                // Spans are sorted by start: of the cycle's spans, the walk cuts above the earliest.
                let mut earliest = parent as usize;
                let mut member = parents[parent as usize] as usize;
                while member != parent as usize {
                    earliest = earliest.min(member);
                    member = parents[member] as usize;
                }
                parents[earliest] = NO_PARENT;
                orphan[earliest] = true;
                n_cycles += 1;
                break;
            }
            position = parent as usize;
        }
    }
    n_cycles
}
