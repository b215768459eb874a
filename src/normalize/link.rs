//! One trace's records become a tree: duplicates dropped, parents found, cycles cut.

use crate::span::{SpanColumns, SpanKind};

/// No parent: a root, or the top of a fragment.
pub const NO_PARENT: u32 = u32::MAX;

/// What linking repaired, counted over all traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkCounts {
    pub(super) n_duplicates: u64,
    pub(super) n_shared_ids: u64,
    pub(super) n_conflicting_ids: u64,
    pub(super) n_orphans: u64,
    pub(super) n_cycles: u64,
}

/// The spans kept of one trace, sorted by start, and the position of each one's parent among them.
#[derive(Debug, Default)]
pub(super) struct Linked {
    pub(super) rows: Vec<u32>,
    pub(super) parents: Vec<u32>,
    /// Whether a span without parent names one that is not here.
    pub(super) orphan: Vec<bool>,
}

/// Links the records `rows` of one trace and appends them to `out`; parents are positions within the trace.
pub(super) fn link(spans: &SpanColumns, rows: &mut Vec<u32>, counts: &mut LinkCounts, out: &mut Linked) {
    let at = |row: u32| row as usize;
    // The longest record of a span stands first, so that a partial export yields to the complete one.
    let identity =
        |row: u32| (spans.span_id[at(row)], spans.kind[at(row)], spans.service[at(row)], spans.operation[at(row)]);
    rows.sort_unstable_by_key(|&row| {
        (identity(row), std::cmp::Reverse(spans.duration_ns[at(row)]), spans.start_unix_ns[at(row)], row)
    });
    let n_records = rows.len();
    rows.dedup_by_key(|row| identity(*row));
    counts.n_duplicates += (n_records - rows.len()) as u64;
    rows.sort_unstable_by_key(|&row| {
        (spans.start_unix_ns[at(row)], std::cmp::Reverse(spans.duration_ns[at(row)]), identity(row), row)
    });

    // Positions by span id; of several with one id the first to start comes first.
    let mut by_id: Vec<(u64, u32)> =
        (0_u32..).zip(rows.iter()).map(|(position, &row)| (spans.span_id[at(row)], position)).collect();
    by_id.sort_unstable();
    let with_id = |id: u64| {
        let first = by_id.partition_point(|&(known, _)| known < id);
        by_id[first..].iter().take_while(move |&&(known, _)| known == id).map(|&(_, position)| position)
    };
    let kind = |position: u32| SpanKind::from_code(u64::from(spans.kind[at(rows[position as usize])]));

    let first = out.parents.len();
    for position in 0..u32::try_from(rows.len()).unwrap_or(u32::MAX) {
        let row = at(rows[position as usize]);
        let (own_id, parent_id) = (spans.span_id[row], spans.parent_span_id[row]);
        // Zipkin lets the server half of a call reuse the client half's id: the client half is then its parent.
        let shares_id = kind(position) == SpanKind::Server;
        let client_half = if shares_id { with_id(own_id).find(|&other| kind(other) == SpanKind::Client) } else { None };
        if client_half.is_some() {
            counts.n_shared_ids += 1;
        } else if with_id(own_id).next() != Some(position)
            && !with_id(own_id).any(|other| kind(other) == SpanKind::Server)
        {
            counts.n_conflicting_ids += 1;
        }
        // Children of a shared id belong to its server half.
        let by_link = || {
            let mut parents = with_id(parent_id).filter(|&parent| parent != position);
            let earliest = parents.next()?;
            Some(
                std::iter::once(earliest)
                    .chain(parents)
                    .find(|&parent| kind(parent) == SpanKind::Server)
                    .unwrap_or(earliest),
            )
        };
        let parent = client_half.or_else(|| if parent_id == 0 { None } else { by_link() });
        let is_orphan = parent.is_none() && parent_id != 0;
        counts.n_orphans += u64::from(is_orphan);
        out.parents.push(parent.unwrap_or(NO_PARENT));
        out.orphan.push(is_orphan);
    }
    counts.n_cycles += cut_cycles(&mut out.parents[first..], &mut out.orphan[first..]);
    out.rows.extend_from_slice(rows);
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
