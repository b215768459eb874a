//! Content that is too long to be held: a stretch of it at a time, whose pieces are read side by side while the next stretch is fetched.

use super::Kept;
use super::source::Source;
use crate::diagnostics::SourceReport;
use rayon::prelude::*;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Content up to this size is held as a whole, if it is not compressed.
pub const HELD_BYTES: usize = 128 << 20;
/// Pieces into which as much as is held is cut.
const N_PIECES: usize = 16;
/// Bytes that content has room for before any of it is there, at most.
const RESERVED_BYTES: usize = HELD_BYTES / 4;
/// Fewest bytes of a piece: enough that its own dictionaries are worth their merge.
const LEAST_PIECE: usize = 1 << 18;
/// Fewest pieces of a stretch.
pub(super) const STRETCH_PIECES: usize = 4;

/// What of an input is not read yet.
pub(crate) struct Rest {
    reader: Box<dyn Read + Send + Sync>,
    /// Bytes taken from the input so far, before decompression.
    n_raw: Arc<AtomicU64>,
    /// Bytes given so far.
    n_bytes: u64,
    is_end: bool,
    failure: Option<io::Error>,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("n_bytes", &self.n_bytes).field("is_end", &self.is_end).finish_non_exhaustive()
    }
}

impl Rest {
    pub(super) fn new(reader: Box<dyn Read + Send + Sync>, n_raw: Arc<AtomicU64>) -> Self {
        Self { reader, n_raw, n_bytes: 0, is_end: false, failure: None }
    }

    /// Adds as many bytes to the content, or all that there are.
    pub(super) fn fill(&mut self, content: &mut Vec<u8>, n_bytes: usize) {
        let n_before = content.len();
        // The size of an input is not always known, nor to be believed.
        content.reserve_exact(n_bytes.min(RESERVED_BYTES));
        let read = self.reader.by_ref().take(n_bytes as u64).read_to_end(content);
        self.is_end = content.len() - n_before < n_bytes;
        self.n_bytes += (content.len() - n_before) as u64;
        self.failure = read.err();
    }

    pub(super) fn is_end(&self) -> bool {
        self.is_end
    }

    /// Bytes taken from the input so far, which grow while it is read.
    pub(super) fn n_raw(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.n_raw)
    }

    /// Why the content ended before its end.
    pub(super) fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Says in the report how the content ended, and its size if that was not known.
    pub(super) fn tell(&mut self, report: &mut SourceReport) {
        report.n_bytes = report.n_bytes.max(self.n_raw.load(Ordering::Relaxed));
        let Some(error) = self.failure.take() else { return };
        let stream =
            if report.compression.is_empty() { "it".to_owned() } else { format!("{} stream", report.compression) };
        let after = format!("after {} bytes of content", self.n_bytes);
        if !report.compression.is_empty() && error.kind() == io::ErrorKind::UnexpectedEof {
            report.truncated = true;
            report.notes.push(format!("{stream} ends early {after}"));
        } else if report.compression.is_empty() {
            report.error.get_or_insert(format!("cannot be read on {after}: {error}; the spans before are kept"));
        } else {
            report.error.get_or_insert(format!("{stream} breaks {after}: {error}"));
        }
    }
}

/// How long pieces are: the further on, the longer, so that the first are soon there and there are not too many in the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pieces {
    least: usize,
    most: usize,
}

impl Pieces {
    /// Bytes of a piece with so many bytes of the content before it; the same whatever the number of threads, as what is kept of an attribute of
    /// very many values depends on it.
    pub(super) fn bytes_at(self, begin: u64) -> usize {
        usize::try_from(begin).map_or(self.most, |begin| (begin / N_PIECES).clamp(self.least, self.most))
    }
}

/// Counts what is taken of an input.
pub(super) struct Counting<R> {
    pub(super) inner: R,
    pub(super) n_bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.inner.read(out)?;
        self.n_bytes.fetch_add(n_bytes as u64, Ordering::Relaxed);
        Ok(n_bytes)
    }
}

/// Where content may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// After so many bytes, at least one.
    After(usize),
    /// More has to be known.
    More,
    /// Nothing of what comes can be read.
    Stop,
}

/// A piece of content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// Number of the piece.
    pub(super) index: usize,
    /// Bytes of the content before it.
    pub(super) at: u64,
    pub(super) bytes: &'a [u8],
    /// Whether the content ends with it.
    pub(super) is_last: bool,
}

impl Source {
    /// How long pieces are.
    pub(super) fn pieces(&self) -> Pieces {
        let most = (self.held_bytes / N_PIECES).max(1);
        let n_pieces = if self.is_all() { N_PIECES } else { STRETCH_PIECES };
        let least = (self.bytes.len() / n_pieces).clamp(LEAST_PIECE.min(most), most);
        Pieces { least, most: if self.is_all() { least } else { most } }
    }

    /// Whether nothing follows what is held.
    pub(super) fn is_all(&self) -> bool {
        self.rest.as_ref().is_none_or(Rest::is_end)
    }

    /// Reads on until as much is held as may be.
    pub(super) fn hold(&mut self) {
        let n_bytes = self.held_bytes.saturating_sub(self.bytes.len());
        if let Some(rest) = self.rest.as_mut().filter(|rest| n_bytes > 0 && !rest.is_end()) {
            rest.fill(&mut self.bytes, n_bytes);
        }
    }

    /// Whether what is held is the start of a line, after which there may be others.
    pub(super) fn is_one_line(&self) -> bool {
        !self.is_all() && memchr::memchr(b'\n', self.bytes.trim_ascii()).is_none()
    }

    /// Reads on until it is known what follows the first line.
    pub(super) fn hold_line(&mut self) {
        let (n_bytes, mut n_seen) = (self.held_bytes.max(1), 0);
        while let Some(rest) = self.rest.as_mut().filter(|rest| !rest.is_end()) {
            match memchr::memchr(b'\n', &self.bytes[n_seen..]) {
                Some(offset) if !self.bytes[n_seen + offset..].trim_ascii_start().is_empty() => return,
                found => n_seen += found.unwrap_or(self.bytes.len() - n_seen),
            }
            rest.fill(&mut self.bytes, n_bytes);
        }
    }

    /// Reads what is left of the content, however much that is.
    pub(super) fn read_all(&mut self) {
        let Some(rest) = &mut self.rest else { return };
        while !rest.is_end() {
            rest.fill(&mut self.bytes, self.held_bytes.max(1));
        }
    }

    /// Takes the content and reads it piece by piece, in parallel; gives what was read in order.
    ///
    /// `cut` is given all that is known after the last cut, the bytes of the content before it, and whether there is no more to come; a
    /// piece that is longer than a stretch makes the stretch grow.
    pub(super) fn each_piece<T: Send>(
        &mut self,
        kept: Kept,
        cut: impl FnMut(&[u8], u64, bool) -> Cut,
        read: impl Fn(Piece) -> T + Sync,
    ) -> Vec<T> {
        let mut found = Vec::new();
        self.each_stretch(kept, cut, read, |pieces| {
            found.extend(pieces);
            true
        });
        found
    }

    /// [`Source::each_piece`], whose pieces are handed to `take` stretch by stretch.
    ///
    /// A stretch whose pieces it refuses is given back, with all that is known of what follows; the bytes before it are returned.
    pub(super) fn each_stretch<T: Send>(
        &mut self,
        kept: Kept,
        mut cut: impl FnMut(&[u8], u64, bool) -> Cut,
        read: impl Fn(Piece) -> T + Sync,
        mut take: impl FnMut(Vec<T>) -> bool,
    ) -> Option<u64> {
        let n_pieces = if kept.is_alone { 2 * rayon::current_num_threads() } else { 0 };
        let (piece_bytes, n_pieces) = (self.pieces(), n_pieces.clamp(STRETCH_PIECES, N_PIECES));
        let mut held = std::mem::take(&mut self.bytes);
        let (mut begin, mut n_cut) = (0, 0);
        let mut spare = Vec::new();
        loop {
            let is_all = self.is_all();
            let stretch_bytes = piece_bytes.bytes_at(begin) * n_pieces;
            let (mut pieces, mut at, mut is_over) = (Vec::new(), 0, is_all);
            while at < held.len() {
                match cut(&held[at..], begin + at as u64, is_all) {
                    Cut::After(n_bytes) => {
                        let end = (at + n_bytes.max(1)).min(held.len());
                        let is_last = is_all && end == held.len();
                        pieces.push(Piece { index: n_cut, at: begin + at as u64, bytes: &held[at..end], is_last });
                        n_cut += 1;
                        at = end;
                    }
                    Cut::More => break,
                    Cut::Stop => {
                        is_over = true;
                        break;
                    }
                }
            }
            let read_pieces = || pieces.into_par_iter().map(&read).collect::<Vec<T>>();
            let mut rest = self.rest.as_mut().filter(|_| !is_over && !kept.has_failed());
            is_over = rest.is_none();
            let left = &held[at..];
            let mut next = std::mem::take(&mut spare);
            next.clear();
            let fetch = || {
                if let Some(rest) = &mut rest {
                    next.extend_from_slice(left);
                    rest.fill(&mut next, stretch_bytes.max(left.len()));
                }
            };
            let ((), read) = rayon::join(fetch, read_pieces);
            if !take(read) {
                held.extend_from_slice(next.get(held.len() - at..).unwrap_or_default());
                self.bytes = held;
                return Some(begin);
            }
            if is_over {
                return None;
            }
            begin += at as u64;
            // To find memory takes as long as to fill it, but what is much longer than a stretch is let go.
            spare = std::mem::replace(&mut held, next);
            if spare.capacity() > 2 * stretch_bytes {
                spare = Vec::new();
            }
        }
    }
}

/// Cuts after the first line that ends beyond so many bytes.
pub(super) fn after_line(rest: &[u8], is_all: bool, piece_bytes: usize) -> Cut {
    let tail = rest.get(piece_bytes..).unwrap_or_default();
    match memchr::memchr(b'\n', tail) {
        Some(offset) => Cut::After(piece_bytes + offset + 1),
        None if is_all => Cut::After(rest.len()),
        None => Cut::More,
    }
}
