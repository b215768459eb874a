//! Rows of the cost table, packed: there are nearly as many as spans, and most numbers in them are small.

use super::paths::PathCost;
use crate::packed::{folded, n_bytes, put, take, unfolded};
use rayon::prelude::*;
use std::iter::FusedIterator;

/// Bytes from which the next trace begins a piece of its own, so that a longer list is not copied as it grows.
const PIECE_BYTES: usize = 1 << 24;

/// Rows of traces, a trace after the other; a row takes some ten bytes.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    pieces: Vec<Piece>,
    n_rows: usize,
}

/// Rows of consecutive traces.
#[derive(Clone, Debug, Default)]
struct Piece {
    /// Its first trace.
    first: usize,
    /// Where the bytes of each of its traces start; they end where those of the next start.
    starts: Vec<u32>,
    bytes: Vec<u8>,
}

impl Piece {
    /// Begins the next trace. Only the last of a piece ends beyond [`PIECE_BYTES`], so none starts far beyond.
    fn start(&mut self) {
        self.starts.push(offset(self.bytes.len()));
    }

    fn rows(&self, place: usize) -> Rows<'_> {
        let start = self.starts[place] as usize;
        let end = self.starts.get(place + 1).map_or(self.bytes.len(), |&end| end as usize);
        Rows { bytes: &self.bytes[start..], n_left: end - start, next_path: 0 }
    }
}

fn offset(n_bytes: usize) -> u32 {
    u32::try_from(n_bytes).unwrap_or(u32::MAX)
}

impl Costs {
    /// Adds the rows of the next trace.
    pub fn push(&mut self, rows: impl IntoIterator<Item = PathCost>) {
        let piece = self.open();
        piece.start();
        let mut n_rows = 0;
        let mut next_path = 0;
        for row in rows {
            write(row, next_path, &mut piece.bytes);
            next_path = row.path.wrapping_add(1);
            n_rows += 1;
        }
        self.n_rows += n_rows;
    }

    /// The piece that the next trace goes to.
    fn open(&mut self) -> &mut Piece {
        let first = self.n_traces();
        match self.pieces.last_mut() {
            Some(piece) if piece.bytes.len() < PIECE_BYTES => {}
            last => {
                if let Some(piece) = last {
                    piece.bytes.shrink_to_fit();
                    piece.starts.shrink_to_fit();
                }
                self.pieces.push(Piece { first, ..Piece::default() });
            }
        }
        let last = self.pieces.len() - 1;
        &mut self.pieces[last]
    }

    /// Traces below `n_traces` that are not here yet have no rows.
    pub fn fill(&mut self, n_traces: usize) {
        if self.n_traces() < n_traces {
            let piece = self.open();
            let end = offset(piece.bytes.len());
            piece.starts.resize(n_traces - piece.first, end);
        }
    }

    /// Adds the traces of `others` after all so far, as they are.
    pub fn append(&mut self, others: Self) {
        for mut piece in others.pieces {
            piece.first = self.n_traces();
            self.pieces.push(piece);
        }
        self.n_rows += others.n_rows;
    }

    /// Number of traces.
    #[must_use]
    pub fn n_traces(&self) -> usize {
        self.pieces.last().map_or(0, |piece| piece.first + piece.starts.len())
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        let of_piece = |piece: &Piece| piece.bytes.capacity() + piece.starts.capacity() * size_of::<u32>();
        self.pieces.iter().map(of_piece).sum()
    }

    /// Rows of trace `trace`, as they were added.
    #[must_use]
    pub fn of(&self, trace: usize) -> Rows<'_> {
        let piece = &self.pieces[self.pieces.partition_point(|piece| piece.first <= trace) - 1];
        piece.rows(trace - piece.first)
    }

    /// The same rows with other paths, in order of these: `code` of a piece's place and a path, where pieces are what was appended.
    #[must_use]
    pub fn recoded(self, code: impl Fn(usize, u32) -> u32 + Sync) -> Self {
        let n_rows = self.n_rows;
        let recode = |(place, piece): (usize, Piece)| {
            let mut result =
                Piece { first: piece.first, starts: Vec::with_capacity(piece.starts.len()), bytes: Vec::new() };
            result.bytes.reserve_exact(piece.bytes.len());
            let mut rows = Vec::new();
            for trace in 0..piece.starts.len() {
                rows.clear();
                rows.extend(piece.rows(trace).map(|row| PathCost { path: code(place, row.path), ..row }));
                rows.sort_unstable_by_key(|row| row.path);
                result.start();
                let mut next_path = 0;
                for &row in &rows {
                    write(row, next_path, &mut result.bytes);
                    next_path = row.path.wrapping_add(1);
                }
            }
            result.bytes.shrink_to_fit();
            result
        };
        Self { pieces: self.pieces.into_par_iter().enumerate().map(recode).collect(), n_rows }
    }

    /// Number of pieces.
    #[must_use]
    pub fn n_pieces(&self) -> usize {
        self.pieces.len()
    }
}

impl PartialEq for Costs {
    fn eq(&self, other: &Self) -> bool {
        let n_traces = self.n_traces();
        n_traces == other.n_traces() && (0..n_traces).all(|trace| self.of(trace).eq(other.of(trace)))
    }
}

/// Rows of one trace.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    /// From the next row on, and beyond the trace's end.
    bytes: &'a [u8],
    /// Bytes of the rows left.
    n_left: usize,
    next_path: u32,
}

/// How often a trace takes a path, without what it spends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathCalls {
    /// See [`PathCost::path`].
    pub path: u32,
    /// See [`PathCost::n_calls`].
    pub n_calls: u32,
    /// See [`PathCost::n_visits`].
    pub n_visits: u32,
}

impl<'a> Rows<'a> {
    /// The same rows without their times, which is faster by half.
    #[must_use]
    pub fn calls(self) -> Calls<'a> {
        Calls(self)
    }

    /// The lengths and the short numbers of the next row, if there is one; the long ones are what comes next.
    #[inline]
    fn head(&mut self) -> Option<(u64, PathCalls)> {
        if self.n_left == 0 {
            return None;
        }
        let before = self.bytes.len();
        let header = take(3, &mut self.bytes);
        let short = |at: u32| SHORT[(header >> at & 3) as usize];
        let path = self.next_path.wrapping_add(take_u32(short(16), &mut self.bytes));
        let (mut n_calls, mut n_visits) = (1, 1);
        // Most calls are single and visited.
        if header >> 18 != 0 {
            n_calls = take_u32(short(18), &mut self.bytes).wrapping_add(1);
            n_visits = n_calls.wrapping_sub(take_u32(short(20), &mut self.bytes));
        }
        self.next_path = path.wrapping_add(1);
        self.n_left -= before - self.bytes.len() + n_long(header);
        Some((header, PathCalls { path, n_calls, n_visits }))
    }
}

impl Iterator for Rows<'_> {
    type Item = PathCost;

    #[inline]
    fn next(&mut self) -> Option<PathCost> {
        let (header, PathCalls { path, n_calls, n_visits }) = self.head()?;
        let mut long = |at: u32| match (header >> at & 0xF).to_le_bytes()[0] {
            0 => 0,
            n_bytes => unfolded(take(n_bytes, &mut self.bytes)),
        };
        let [self_ns, before_ns, wait_ns, beyond_ns] = [0, 4, 8, 12].map(&mut long);
        let call_ns = blamed_ns(self_ns, before_ns, wait_ns).wrapping_add(beyond_ns);
        Some(PathCost { path, n_calls, n_visits, self_ns, before_ns, wait_ns, call_ns })
    }
}

impl FusedIterator for Rows<'_> {}

/// Calls of one trace.
#[derive(Clone, Debug)]
pub struct Calls<'a>(Rows<'a>);

impl Iterator for Calls<'_> {
    type Item = PathCalls;

    #[inline]
    fn next(&mut self) -> Option<PathCalls> {
        let (header, calls) = self.0.head()?;
        self.0.bytes = &self.0.bytes[n_long(header)..];
        Some(calls)
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "of four bytes at most")]
fn take_u32(n_bytes: u8, bytes: &mut &[u8]) -> u32 {
    take(n_bytes, bytes) as u32
}

/// Bytes of the four long numbers of a row.
#[inline]
fn n_long(header: u64) -> usize {
    let pairs = (header & 0x0F0F) + (header >> 4 & 0x0F0F);
    ((pairs + (pairs >> 8)) & 0xFF) as usize
}

/// Bytes of a short number, by what the header says.
const SHORT: [u8; 4] = [0, 1, 2, 4];

/// A row after one whose path is the one before `next_path`: how long each number is, then the numbers.
///
/// Most rows have one call, visited, of a path not far from the last, which took what was blamed on it.
fn write(row: PathCost, next_path: u32, bytes: &mut Vec<u8>) {
    let shorts =
        [row.path.wrapping_sub(next_path), row.n_calls.wrapping_sub(1), row.n_calls.wrapping_sub(row.n_visits)];
    let beyond_ns = row.call_ns.wrapping_sub(blamed_ns(row.self_ns, row.before_ns, row.wait_ns));
    let longs = [row.self_ns, row.before_ns, row.wait_ns, beyond_ns].map(folded);
    let codes = shorts.map(|value| n_bytes(u64::from(value)).min(3));
    let mut header = 0;
    for (value, at) in longs.into_iter().zip([0, 4, 8, 12]) {
        header |= u64::from(n_bytes(value)) << at;
    }
    for (code, at) in codes.into_iter().zip([16, 18, 20]) {
        header |= u64::from(code) << at;
    }
    put(header, 3, bytes);
    for (value, code) in shorts.into_iter().zip(codes) {
        put(u64::from(value), SHORT[usize::from(code)], bytes);
    }
    for value in longs {
        put(value, n_bytes(value), bytes);
    }
}

fn blamed_ns(self_ns: i64, before_ns: i64, wait_ns: i64) -> i64 {
    self_ns.wrapping_add(before_ns).wrapping_add(wait_ns)
}

#[cfg(test)]
mod tests {
    use super::{Costs, PIECE_BYTES, PathCost};

    /// A row of numbers from all over their ranges.
    fn row(seed: u64) -> PathCost {
        let random = |stream: u64| crate::stats::random(stream, seed, 0);
        let long = |stream: u64| (random(stream) >> (random(stream + 10) % 65).min(63)).cast_signed();
        let short =
            |stream: u64| u32::try_from(random(stream) >> (32 + random(stream + 10) % 32)).expect("of 32 bits at most");
        PathCost {
            path: short(1),
            n_calls: short(2),
            n_visits: short(3),
            self_ns: long(4),
            before_ns: if seed.is_multiple_of(3) { 0 } else { -long(5) },
            wait_ns: if seed.is_multiple_of(2) { 0 } else { long(6) },
            call_ns: long(7),
        }
    }

    #[test]
    fn rows_come_back_as_they_were_in_any_order_and_of_any_size() {
        let traces: Vec<Vec<PathCost>> =
            (0..2_000_u64).map(|trace| (0..trace % 7).map(|place| row(10 * trace + place)).collect()).collect();
        let ends = [i64::MIN, i64::MAX, 0, -1].map(|ns| PathCost {
            path: u32::MAX,
            n_calls: 0,
            n_visits: u32::MAX,
            self_ns: ns,
            before_ns: ns,
            wait_ns: i64::MIN,
            call_ns: -(ns / 2),
        });
        let mut costs = Costs::default();
        for rows in &traces {
            costs.push(rows.iter().copied());
        }
        costs.push(ends);
        costs.fill(2_003);
        assert_eq!(costs.n_traces(), 2_003);
        for (trace, rows) in traces.iter().enumerate() {
            assert_eq!(&costs.of(trace).collect::<Vec<_>>(), rows, "{trace}");
            let calls = |row: &PathCost| (row.path, row.n_calls, row.n_visits);
            let without_times = costs.of(trace).calls().map(|row| (row.path, row.n_calls, row.n_visits));
            assert_eq!(without_times.collect::<Vec<_>>(), rows.iter().map(calls).collect::<Vec<_>>(), "{trace}");
        }
        assert_eq!(costs.of(2_000).collect::<Vec<_>>(), ends);
        assert_eq!((costs.of(2_001).count(), costs.of(2_002).count()), (0, 0));
        assert_eq!(costs.n_rows(), traces.iter().map(Vec::len).sum::<usize>() + 4);
    }

    #[test]
    fn new_paths_put_rows_in_their_order() {
        let mut costs = Costs::default();
        costs.push([3, 1, 2].map(|path| PathCost { path, self_ns: i64::from(path), ..PathCost::default() }));
        let recoded = costs.recoded(|_, path| 10 - path);
        assert_eq!(recoded.of(0).map(|row| (row.path, row.self_ns)).collect::<Vec<_>>(), [(7, 3), (8, 2), (9, 1)]);
    }

    #[test]
    fn a_usual_row_takes_ten_bytes_and_a_long_table_is_not_copied() {
        let mut costs = Costs::default();
        let usual = |path| PathCost {
            path,
            n_calls: 1,
            n_visits: 1,
            self_ns: 3_000_000,
            before_ns: 0,
            wait_ns: 0,
            call_ns: 9_000_000,
        };
        for _ in 0..PIECE_BYTES / 100 {
            costs.push((0..12).map(usual));
        }
        assert!(costs.n_pieces() > 1);
        let bytes_a_row = costs.n_bytes() as f64 / costs.n_rows() as f64;
        assert!(bytes_a_row < 11.0, "{bytes_a_row}");
        assert!(costs.of(costs.n_traces() - 1).eq((0..12).map(usual)));
    }
}
