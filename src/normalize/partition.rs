//! Spans that do not fit into memory, by trace in a temporary folder: each partition holds whole traces.
//!
//! Batches come in any order from any thread, are cut by a hash of their traces' ids, and lie compressed in the files of their partitions.
//! A partition is read back as the frame that its spans alone would have made.

use crate::error::Error;
use crate::scratch::{Folder, Pile};
use crate::span::bytes::Bytes;
use crate::span::{AttributeKey, Dictionary, SpanFrame, TraceKey};
use crate::time::TimeRange;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// zstd's fastest level: spans shrink to a third at the speed of a disk.
const LEVEL: i32 = 1;

/// Where a batch stands among all: its data set, its source in that and its place in the source.
pub type Place = (u32, u32, u32);

/// A batch's spans of one partition.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    place: Place,
    at: u64,
    n_bytes: usize,
    n_content: usize,
}

/// The partitions.
#[derive(Debug)]
pub struct Partitions {
    folder: Arc<Folder>,
    piles: Vec<Option<Pile>>,
    chunks: Vec<Mutex<Vec<Chunk>>>,
    /// A count that the values of each key have at least.
    distinct: Mutex<BTreeMap<AttributeKey, u32>>,
    forgotten: BTreeSet<(u32, u32)>,
    /// Windows in which traces have to start, if spans of others are of no use.
    windows: Option<Vec<TimeRange>>,
    /// Spans and bytes on the heap that they took before they were written, and bytes written.
    totals: Mutex<[u64; 3]>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compresses what goes to the folder.
pub(super) fn pack(content: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(content, LEVEL)
}

/// What was packed.
pub(super) fn unpack(packed: &[u8], n_content: usize) -> io::Result<Vec<u8>> {
    zstd::bulk::decompress(packed, n_content)
}

/// The error of the folder.
pub(super) fn failed(folder: &Folder, action: &'static str) -> impl Fn(io::Error) -> Error {
    let path: PathBuf = folder.path().parent().unwrap_or(folder.path()).to_owned();
    let free = folder.room();
    move |source| {
        if source.kind() == io::ErrorKind::StorageFull {
            return Error::NoRoom { path: path.clone(), needed: None, free };
        }
        Error::Io { action, path: path.clone(), source }
    }
}

impl Partitions {
    /// So many partitions, empty.
    ///
    /// # Errors
    /// If their files cannot be created.
    pub fn new(folder: Arc<Folder>, n_partitions: usize) -> Result<Self, Error> {
        let piles: io::Result<Vec<Option<Pile>>> =
            (0..n_partitions).map(|index| Pile::new(&folder, &format!("partition-{index}")).map(Some)).collect();
        let piles = piles.map_err(failed(&folder, "write"))?;
        let chunks = piles.iter().map(|_| Mutex::default()).collect();
        let (distinct, forgotten, totals) = (Mutex::default(), BTreeSet::new(), Mutex::default());
        Ok(Self { folder, piles, chunks, distinct, forgotten, windows: None, totals })
    }

    /// The folder that they lie in.
    #[must_use]
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Number of partitions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.piles.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.piles.is_empty()
    }

    /// Spans, bytes that they would take on the heap, and bytes in the folder.
    #[must_use]
    pub fn totals(&self) -> [u64; 3] {
        *lock(&self.totals)
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// [`Error::NoRoom`] and any error of writing.
    pub fn add(&self, place: Place, frame: &SpanFrame) -> Result<(), Error> {
        {
            let mut distinct = lock(&self.distinct);
            for (key, count) in frame.attributes.distinct() {
                let known = distinct.entry(key).or_default();
                *known = count.max(*known);
            }
        }
        let parts = self.split(frame);
        let packed: io::Result<Vec<(usize, Vec<u8>)>> = parts
            .par_iter()
            .map(|part| {
                let mut content = Vec::new();
                part.write_to(&mut content);
                Ok((content.len(), pack(&content)?))
            })
            .collect();
        let packed = packed.map_err(failed(&self.folder, "write"))?;
        let mut n_written = 0;
        for (partition, ((n_content, bytes), part)) in packed.iter().zip(&parts).enumerate() {
            let Some(pile) = self.piles[partition].as_ref().filter(|_| !part.spans.is_empty()) else { continue };
            let at = pile.append(bytes).map_err(failed(&self.folder, "write"))?;
            n_written += bytes.len() as u64;
            lock(&self.chunks[partition]).push(Chunk { place, at, n_bytes: bytes.len(), n_content: *n_content });
        }
        let mut totals = lock(&self.totals);
        totals[0] += frame.spans.len() as u64;
        totals[1] += frame.n_bytes() as u64;
        totals[2] += n_written;
        Ok(())
    }

    fn split(&self, frame: &SpanFrame) -> Vec<SpanFrame> {
        let of_trace: Vec<usize> = (0..u32::try_from(frame.traces.len()).unwrap_or(u32::MAX))
            .map(|trace| partition_of(frame.traces.key(trace), self.len()))
            .collect();
        let mut rows = vec![Vec::new(); self.len()];
        for (row, &trace) in (0_u32..).zip(&frame.spans.trace) {
            rows[of_trace[trace as usize]].push(row);
        }
        frame.scatter(&rows)
    }

    /// Leaves out all batches of a source, which turned out to be broken.
    pub fn forget(&mut self, set: u32, source: u32) {
        self.forgotten.insert((set, source));
    }

    /// Leaves out the spans of traces that cannot start in these windows.
    pub fn only(&mut self, windows: Option<Vec<TimeRange>>) {
        self.windows = windows;
    }

    /// The spans of a partition, with the codes that `names` has and gets, and the first trace of the second data set; a trace id
    /// that both sets have names two traces.
    ///
    /// # Errors
    /// Any error of reading.
    pub fn load(&self, partition: usize, names: Dictionary) -> Result<(SpanFrame, u32), Error> {
        let mut chunks = lock(&self.chunks[partition]).clone();
        chunks.retain(|chunk| !self.forgotten.contains(&(chunk.place.0, chunk.place.1)));
        chunks.sort_unstable_by_key(|chunk| chunk.place);
        let second = chunks.partition_point(|chunk| chunk.place.0 == 0);
        let mut frame = SpanFrame { names, ..SpanFrame::default() };
        self.append(partition, &chunks[..second], &mut frame)?;
        frame = self.in_windows(frame);
        let first_of_second = u32::try_from(frame.traces.len()).unwrap_or(u32::MAX);
        if second < chunks.len() {
            let mut other = SpanFrame::default();
            self.append(partition, &chunks[second..], &mut other)?;
            frame.append_apart(self.in_windows(other));
        }
        Ok((frame, first_of_second))
    }

    fn in_windows(&self, frame: SpanFrame) -> SpanFrame {
        match &self.windows {
            Some(windows) => frame.that_may_start_in(windows),
            None => frame,
        }
    }

    fn append(&self, partition: usize, chunks: &[Chunk], frame: &mut SpanFrame) -> Result<(), Error> {
        let failed = failed(&self.folder, "read");
        let Some(pile) = &self.piles[partition] else { return Ok(()) };
        for chunks in chunks.chunks(rayon::current_num_threads().max(1) * 2) {
            let read: io::Result<Vec<SpanFrame>> = chunks
                .par_iter()
                .map(|chunk| {
                    let content = unpack(&pile.read(chunk.at, chunk.n_bytes)?, chunk.n_content)?;
                    SpanFrame::read(&mut Bytes(&content)).map_err(io::Error::other)
                })
                .collect();
            read.map_err(&failed)?.into_iter().for_each(|part| frame.append(part));
        }
        Ok(())
    }

    /// Removes a partition that is not needed any more.
    pub fn remove(&mut self, partition: usize) {
        self.piles[partition] = None;
        lock(&self.chunks[partition]).clear();
    }

    /// Each key of all batches, in order, with a count that its values have at least.
    #[must_use]
    pub fn distinct(&self) -> Vec<(AttributeKey, u32)> {
        lock(&self.distinct).iter().map(|(key, &count)| (key.clone(), count)).collect()
    }
}

/// The partition that a trace belongs to.
fn partition_of(key: TraceKey, n_partitions: usize) -> usize {
    use std::hash::BuildHasher;
    // Ids may be counters, and whoever made them may know them.
    let hash = foldhash::quality::FixedState::with_seed(0x5AF3).hash_one(key.0);
    usize::try_from(hash % n_partitions.max(1) as u64).unwrap_or(0)
}
