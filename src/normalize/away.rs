//! Spans of a forest that lie in a temporary folder, a stretch of consecutive traces at a time.
//!
//! The forest itself keeps of each trace what is asked of it again and again: its id, start, weight and tops. All else is read back in the
//! order of traces, so whoever adds up over stretches adds up in the same order as over a forest that is in memory.
//!
//! A stretch that cannot be read back is left out, and the error kept: see [`Forest::failure`]. It is for whoever shows a result to ask.

use super::partition::{failed, lock, pack, unpack};
use super::{Forest, SpanFlags};
use crate::error::Error;
use crate::scratch::{Folder, Pile};
use crate::span::bytes::{Broken, Bytes, put_list};
use crate::span::{AttributeKey, SpanFrame, SpanKind};
use rayon::prelude::*;
use std::io;
use std::sync::{Arc, Mutex};

/// What is needed of the spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Their links, times and operations.
    Links,
    /// Their ids and attributes, too.
    All,
}

/// Packed bytes in the pile.
#[derive(Clone, Copy, Debug)]
struct Packed {
    at: u64,
    n_bytes: usize,
    n_content: usize,
}

/// Where a stretch lies.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Place of its first trace among those of the spans.
    first: u32,
    links: Packed,
    frame: Packed,
}

/// All stretches.
#[derive(Debug)]
pub(super) struct Away {
    folder: Arc<Folder>,
    pile: Pile,
    pieces: Vec<Piece>,
    /// Number of the operation that the pile calls by this one.
    pub(super) operations: Vec<u32>,
    /// For each trace of the forest its place among those of the spans, or [`u32::MAX`] if a profile tells of it.
    pub(super) places: Vec<u32>,
    /// Start of the first and end of the last span of each trace, by place, nanoseconds since the Unix epoch.
    covers: Vec<(i64, i64)>,
    distinct: Vec<(AttributeKey, u32)>,
    failure: Mutex<Option<Error>>,
    /// The stretch that was read last for a single trace.
    last: Mutex<Option<(u32, Arc<Loaded>)>>,
}

/// A stretch in memory.
#[derive(Debug)]
struct Loaded {
    forest: Forest,
    frame: SpanFrame,
}

/// Consecutive traces whose spans are in memory.
#[derive(Debug)]
pub struct Stretch<'a> {
    /// Their forest, which has numbers of its own for traces: see [`Stretch::local`].
    pub forest: &'a Forest,
    frame: Option<&'a SpanFrame>,
    places: Option<(&'a [u32], u32)>,
}

impl<'a> Stretch<'a> {
    /// What [`Forest::of_calls`] made of traces; `places` are their numbers in it by their numbers in the whole forest.
    #[must_use]
    pub fn of_calls(forest: &'a Forest, places: &'a [u32]) -> Self {
        Self { forest, frame: None, places: Some((places, 0)) }
    }

    /// The number here of a trace of the whole forest.
    #[must_use]
    pub fn local(&self, trace: u32) -> usize {
        match self.places {
            None => trace as usize,
            Some((places, first)) => (places[trace as usize] - first) as usize,
        }
    }

    /// The frame of the spans: that of the whole if all are in memory.
    #[must_use]
    pub fn frame<'b>(&'b self, whole: &'b SpanFrame) -> &'b SpanFrame {
        self.frame.unwrap_or(whole)
    }
}

/// Appends the per-trace and per-span columns of a forest.
pub(super) fn write_links(forest: &Forest, out: &mut Vec<u8>) {
    put_list(&forest.offsets.iter().map(|&offset| offset as u64).collect::<Vec<_>>(), out);
    put_list(&forest.trace, out);
    put_list(&forest.root_start_ns, out);
    put_list(&forest.weight, out);
    put_list(&forest.row, out);
    put_list(&forest.parent, out);
    put_list(&forest.operation, out);
    put_list(&forest.start_ns, out);
    put_list(&forest.end_ns, out);
    put_list(&forest.flags.iter().map(|flags| flags.0).collect::<Vec<_>>(), out);
    put_list(&forest.kinds.iter().map(|&kind| kind as u8).collect::<Vec<_>>(), out);
}

pub(super) fn read_links(bytes: &mut Bytes) -> Result<Forest, Broken> {
    let offsets: Vec<u64> = bytes.list()?;
    Ok(Forest {
        offsets: offsets.into_iter().map(|offset| usize::try_from(offset).unwrap_or(usize::MAX)).collect(),
        trace: bytes.list()?,
        root_start_ns: bytes.list()?,
        weight: bytes.list()?,
        row: bytes.list()?,
        parent: bytes.list()?,
        operation: bytes.list()?,
        start_ns: bytes.list()?,
        end_ns: bytes.list()?,
        flags: bytes.list()?.into_iter().map(SpanFlags).collect(),
        kinds: bytes.list::<u8>()?.into_iter().map(|kind| SpanKind::from_code(u64::from(kind))).collect(),
        ..Forest::default()
    })
}

/// Writes stretches and keeps what the forest keeps of their traces.
pub(super) struct Writer {
    away: Away,
    kept: Forest,
}

impl Writer {
    pub(super) fn new(folder: &Arc<Folder>, distinct: Vec<(AttributeKey, u32)>) -> Result<Self, Error> {
        let pile = Pile::new(folder, "traces").map_err(failed(folder, "write"))?;
        let away = Away {
            folder: Arc::clone(folder),
            pile,
            pieces: Vec::new(),
            operations: Vec::new(),
            places: Vec::new(),
            covers: Vec::new(),
            distinct,
            failure: Mutex::default(),
            last: Mutex::default(),
        };
        Ok(Self { away, kept: Forest { offsets: vec![0], ..Forest::default() } })
    }

    fn pack(&self, content: &[u8]) -> Result<Packed, Error> {
        let failed = failed(&self.away.folder, "write");
        let bytes = pack(content).map_err(&failed)?;
        let at = self.away.pile.append(&bytes).map_err(&failed)?;
        Ok(Packed { at, n_bytes: bytes.len(), n_content: content.len() })
    }

    /// Adds the traces that come after all so far; rows of the frame are spans of the forest.
    pub(super) fn add(&mut self, forest: &Forest, frame: &SpanFrame) -> Result<(), Error> {
        let mut content = Vec::new();
        write_links(forest, &mut content);
        let links = self.pack(&content)?;
        content.clear();
        frame.write_to(&mut content);
        let frame = self.pack(&content)?;
        let first = u32::try_from(self.kept.n_traces()).unwrap_or(u32::MAX);
        self.away.pieces.push(Piece { first, links, frame });
        for trace in 0..forest.n_traces() {
            let spans = forest.spans_of(trace);
            let start = forest.start_ns[spans.clone()].iter().min().copied().unwrap_or(0);
            let end = forest.end_ns[spans.clone()].iter().max().copied().unwrap_or(start);
            self.away.covers.push((start, end));
            self.kept.trace.push(forest.trace[trace]);
            self.kept.root_start_ns.push(forest.root_start_ns[trace]);
            self.kept.weight.push(forest.weight[trace]);
            self.kept.summed.push(Some(spans.len() as u64));
            for top in spans.filter(|&span| forest.is_top(span)) {
                self.kept.row.push(u32::MAX);
                self.kept.parent.push(forest.parent[top]);
                self.kept.operation.push(forest.operation[top]);
                self.kept.start_ns.push(forest.start_ns[top]);
                self.kept.end_ns.push(forest.end_ns[top]);
                self.kept.flags.push(forest.flags[top]);
                self.kept.kinds.push(forest.kinds[top]);
            }
            self.kept.offsets.push(self.kept.row.len());
        }
        Ok(())
    }

    /// The forest; `n_operations` have numbers in what was written.
    pub(super) fn finish(mut self, n_operations: usize) -> Forest {
        let numbers = |n: usize| (0..u32::try_from(n).unwrap_or(u32::MAX)).collect();
        self.away.operations = numbers(n_operations);
        self.away.places = numbers(self.kept.n_traces());
        self.kept.away = Some(self.away);
        self.kept
    }
}

impl Away {
    /// Which stretch a trace lies in, by its place.
    fn piece(&self, place: u32) -> usize {
        self.pieces.partition_point(|piece| piece.first <= place).saturating_sub(1)
    }

    fn unpack(&self, packed: Packed) -> io::Result<Vec<u8>> {
        unpack(&self.pile.read(packed.at, packed.n_bytes)?, packed.n_content)
    }

    fn load(&self, whole: &Forest, piece: usize, need: Need) -> Option<Loaded> {
        let loaded = self.try_load(whole, self.pieces[piece], need);
        loaded
            .map_err(|source| lock(&self.failure).get_or_insert(failed(&self.folder, "read")(source)).to_string())
            .ok()
    }

    fn try_load(&self, whole: &Forest, piece: Piece, need: Need) -> io::Result<Loaded> {
        let mut forest = read_links(&mut Bytes(&self.unpack(piece.links)?)).map_err(io::Error::other)?;
        for operation in &mut forest.operation {
            *operation = self.operations[*operation as usize];
        }
        (forest.operations, forest.services) = (Arc::clone(&whole.operations), Arc::clone(&whole.services));
        forest.names = Arc::clone(&whole.names);
        let mut frame = SpanFrame::default();
        if need == Need::All {
            frame = SpanFrame::read(&mut Bytes(&self.unpack(piece.frame)?)).map_err(io::Error::other)?;
            frame.attributes.set_distinct(&self.distinct);
        }
        Ok(Loaded { forest, frame })
    }
}

impl Forest {
    /// Calls `visit` with the traces among `traces`, which ascend, whose spans are in memory at once, until all had their turn; those
    /// that only a profile tells of have none.
    pub fn each_stretch(&self, traces: &[u32], need: Need, mut visit: impl FnMut(&Stretch<'_>, &[u32])) {
        let own: Vec<u32>;
        let traces = if self.summed.is_empty() {
            traces
        } else {
            own = traces.iter().copied().filter(|&trace| !self.is_summed(trace as usize)).collect();
            &own
        };
        let Some(away) = &self.away else {
            return visit(&Stretch { forest: self, frame: None, places: None }, traces);
        };
        let mut jobs: Vec<(usize, &[u32])> = Vec::new();
        let mut rest = traces;
        while let Some(&trace) = rest.first() {
            let piece = away.piece(away.places[trace as usize]);
            let end = away.pieces.get(piece + 1).map_or(u32::MAX, |next| next.first);
            let (own, after) = rest.split_at(rest.partition_point(|&trace| away.places[trace as usize] < end));
            jobs.push((piece, own));
            rest = after;
        }
        for jobs in jobs.chunks(rayon::current_num_threads().max(1)) {
            let loaded: Vec<Option<Loaded>> = jobs.par_iter().map(|&(piece, _)| away.load(self, piece, need)).collect();
            for (&(piece, traces), loaded) in jobs.iter().zip(loaded) {
                if let Some(loaded) = loaded {
                    visit(&away.stretch(&loaded, piece), traces);
                }
            }
        }
    }

    /// Calls `visit` with the whole forest as a stretch, in which some traces may have their tops only.
    pub fn with_all(&self, visit: impl FnOnce(&Stretch<'_>)) {
        visit(&Stretch { forest: self, frame: None, places: None });
    }

    /// The same for all traces.
    pub fn each_stretch_of_all(&self, need: Need, visit: impl FnMut(&Stretch<'_>, &[u32])) {
        let traces: Vec<u32> = (0..u32::try_from(self.n_traces()).unwrap_or(u32::MAX)).collect();
        self.each_stretch(&traces, need, visit);
    }

    /// Calls `visit` with the stretch that a trace is in; `None` if only a profile tells of it.
    pub fn with_stretch<T>(&self, trace: u32, visit: impl FnOnce(&Stretch<'_>) -> T) -> Option<T> {
        if self.is_summed(trace as usize) {
            return None;
        }
        let Some(away) = &self.away else {
            return Some(visit(&Stretch { forest: self, frame: None, places: None }));
        };
        let piece = away.piece(away.places[trace as usize]);
        let known = lock(&away.last).clone().filter(|(known, _)| *known as usize == piece);
        let loaded = match known {
            Some((_, loaded)) => loaded,
            None => Arc::new(away.load(self, piece, Need::All)?),
        };
        *lock(&away.last) = Some((u32::try_from(piece).unwrap_or(u32::MAX), Arc::clone(&loaded)));
        Some(visit(&away.stretch(&loaded, piece)))
    }

    /// Start of the first and end of the last span of a trace.
    #[must_use]
    pub fn covers(&self, trace: u32) -> (i64, i64) {
        if let Some(away) = &self.away
            && let Some(&covers) = away.covers.get(away.places[trace as usize] as usize)
        {
            return covers;
        }
        let spans = self.spans_of(trace as usize);
        let start = self.start_ns[spans.clone()].iter().min().copied().unwrap_or(0);
        (start, self.end_ns[spans].iter().max().copied().unwrap_or(start))
    }

    /// All attributes of the spans, ordered by scope and key, with a count that the values of each have at least; `frame` is that of
    /// the whole.
    #[must_use]
    pub fn attributes(&self, frame: &SpanFrame) -> Vec<(AttributeKey, u32)> {
        let mut distinct = match &self.away {
            Some(away) => away.distinct.clone(),
            None => frame.attributes.distinct(),
        };
        distinct.sort_unstable();
        distinct
    }

    /// Whether spans lie in a temporary folder.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// Does both: at once if the spans are in memory, and one after the other if they lie in a folder, since then memory is short.
    pub fn both<A: Send, B: Send>(
        &self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        if self.is_away() { (first(), second()) } else { rayon::join(first, second) }
    }

    /// Why spans could not be read back, if that happened; what was computed without them is wrong.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        lock(&self.away.as_ref()?.failure).take()
    }
}

impl Away {
    fn stretch<'a>(&'a self, loaded: &'a Loaded, piece: usize) -> Stretch<'a> {
        Stretch {
            forest: &loaded.forest,
            frame: Some(&loaded.frame),
            places: Some((&self.places, self.pieces[piece].first)),
        }
    }
}
