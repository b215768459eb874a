//! From partitions to a forest whose spans lie in a folder: each partition's traces are linked and sorted by time into *buckets*, and the buckets
//! into stretches in the order of a forest.

use super::away::{Writer, read_links, write_links};
use super::known::{Draft, Known};
use super::partition::{Partitions, failed, pack, unpack};
use super::{Forest, Repairs};
use crate::error::Error;
use crate::scratch::Pile;
use crate::span::bytes::Bytes;
use crate::span::{Dictionary, SpanFrame, TraceIds, TraceKey};
use rayon::prelude::*;
use std::io;

/// Spans of a stretch: what is read to show one trace, and what is worth the start of a thread.
const STRETCH_SPANS: usize = 100_000;
/// Traces by which the bounds of buckets are chosen, at least.
const SAMPLE: usize = 1 << 16;

/// Start and id of a trace: its place in a forest, but for those of a second data set.
type Order = (i64, TraceKey);

/// Linked spans of partitions, by ranges of time.
struct Bucket {
    pile: Pile,
    chunks: Vec<(u64, usize, usize)>,
}

/// The forest of the spans in `partitions`, its frame, which has ids and names only, and the first trace of the second data set in it.
///
/// The numbers are those of a forest of all spans at once. Cost: two passes over the partitions, three where clocks disagree, and one over the
/// buckets; memory for one partition, or one of `n_buckets` buckets.
///
/// # Errors
/// [`Error::NoRoom`] and any error of the folder.
pub fn forest_of(
    mut partitions: Partitions,
    n_buckets: usize,
    with_second: bool,
) -> Result<(Forest, SpanFrame, Repairs, u32), Error> {
    let mut known = Known::default();
    let mut names = Dictionary::default();
    let mut sample = Sample::default();
    for partition in 0..partitions.len() {
        let (frame, first_of_second) = partitions.load(partition, std::mem::take(&mut names))?;
        let draft = Draft::new(&frame, with_second.then_some(first_of_second), &mut known);
        known.learn(&frame, &draft);
        sample.add(&draft.forest, &frame);
        names = frame.names;
    }
    if known.has_doubtful_clocks() {
        for partition in 0..partitions.len() {
            let (frame, first_of_second) = partitions.load(partition, std::mem::take(&mut names))?;
            let draft = Draft::new(&frame, with_second.then_some(first_of_second), &mut known);
            known.learn_clocks(&draft);
            names = frame.names;
        }
    }
    let mut whole = SpanFrame { names, ..SpanFrame::default() };
    known.settle(&whole);

    let bounds = sample.bounds(n_buckets);
    let folder = partitions.folder().clone();
    let bucket = |index: usize| -> Result<Bucket, Error> {
        let pile = Pile::new(&folder, &format!("bucket-{index}")).map_err(failed(&folder, "write"))?;
        Ok(Bucket { pile, chunks: Vec::new() })
    };
    let mut buckets: Vec<Bucket> = (0..=bounds.len()).map(bucket).collect::<Result<_, _>>()?;
    for partition in 0..partitions.len() {
        let (mut frame, first_of_second) = partitions.load(partition, std::mem::take(&mut whole.names))?;
        let draft = Draft::new(&frame, with_second.then_some(first_of_second), &mut known);
        let forest = known.finish(&mut frame, draft);
        whole.names = std::mem::take(&mut frame.names);
        // What the forest says better.
        let spans = &mut frame.spans;
        for codes in [&mut spans.service, &mut spans.operation] {
            codes.fill(0);
        }
        spans.parent_span_id.fill(0);
        spans.duration_ns.fill(0);
        let is_second = |trace: u32| with_second && trace >= first_of_second;
        let cuts = cut(&forest, &frame, &bounds);
        let parts = frame.scatter(&cuts.iter().map(Traces::rows).collect::<Vec<_>>());
        drop(frame);
        for (bucket, (traces, part)) in buckets.iter_mut().zip(cuts.iter().zip(parts)) {
            bucket.add(traces, &part, is_second).map_err(failed(&folder, "write"))?;
        }
        partitions.remove(partition);
    }

    let mut writer = Writer::new(&folder, partitions.distinct())?;
    let mut ids = [TraceIds::default(), TraceIds::default()];
    for bucket in buckets {
        let part = bucket.read().map_err(failed(&folder, "read"))?;
        // Its file makes room for what is written of it.
        drop(bucket);
        part.write(&mut writer, &mut ids)?;
    }
    let n_operations = known.operations.len();
    let mut forest = writer.finish(n_operations);
    let [mut first, second] = ids;
    let n_first = u32::try_from(first.len()).unwrap_or(u32::MAX);
    for trace in 0..u32::try_from(second.len()).unwrap_or(u32::MAX) {
        first.take_over(&second, trace);
    }
    for trace in &mut forest.trace {
        // The sets were told apart by the lowest bit.
        *trace = (*trace >> 1) + if *trace & 1 == 1 { n_first } else { 0 };
    }
    whole.traces = first;
    let repairs = known.take_repairs();
    forest.number(known, &whole);
    Ok((forest, whole, repairs, n_first))
}

/// Some of the traces, with what they weigh.
#[derive(Default)]
struct Sample {
    traces: Vec<(Order, u64)>,
    /// Every so many traces one is in it.
    stride: usize,
    n_seen: usize,
}

impl Sample {
    fn add(&mut self, forest: &Forest, frame: &SpanFrame) {
        self.stride = self.stride.max(1);
        for trace in 0..forest.n_traces() {
            if self.n_seen.is_multiple_of(self.stride) {
                let order = (forest.root_start_ns[trace], frame.traces.key(forest.trace[trace]));
                self.traces.push((order, forest.spans_of(trace).len() as u64));
            }
            self.n_seen += 1;
            if self.traces.len() >= 4 * SAMPLE {
                let mut index = 0;
                self.traces.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.stride *= 2;
            }
        }
    }

    /// Bounds between buckets of about as many spans each.
    fn bounds(mut self, n_buckets: usize) -> Vec<Order> {
        self.traces.sort_unstable();
        let all: u64 = self.traces.iter().map(|(_, n_spans)| n_spans).sum();
        let mut bounds: Vec<Order> = Vec::new();
        let mut below = 0_u64;
        for (order, n_spans) in self.traces {
            if below * n_buckets as u64 >= (bounds.len() as u64 + 1) * all && bounds.len() + 1 < n_buckets {
                bounds.push(order);
            }
            below += n_spans;
        }
        bounds.dedup();
        bounds
    }
}

/// The traces of `forest` between each two bounds.
fn cut<'a>(forest: &'a Forest, frame: &SpanFrame, bounds: &[Order]) -> Vec<Traces<'a>> {
    let order = |trace: usize| (forest.root_start_ns[trace], frame.traces.key(forest.trace[trace]));
    let n_traces = forest.n_traces();
    let ends = bounds.iter().map(|bound| {
        // Traces stand in this order.
        let (mut low, mut high) = (0, n_traces);
        while low < high {
            let middle = usize::midpoint(low, high);
            if order(middle) < *bound {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    });
    let mut begin = 0;
    ends.chain([n_traces])
        .map(|end| {
            let own =
                Traces { forest, list: (begin..end).map(|trace| u32::try_from(trace).unwrap_or(u32::MAX)).collect() };
            begin = end;
            own
        })
        .collect()
}

/// Some traces of a forest, in the order in which they are wanted.
struct Traces<'a> {
    forest: &'a Forest,
    list: Vec<u32>,
}

impl Traces<'_> {
    /// Rows of their spans.
    fn rows(&self) -> Vec<u32> {
        let spans = self.list.iter().flat_map(|&trace| self.forest.spans_of(trace as usize));
        spans.map(|span| self.forest.row[span]).collect()
    }

    /// A forest of them; `trace` says what their index becomes, and the rows are those of a frame of [`Traces::rows`].
    fn forest(&self, trace: impl Fn(u32) -> u32) -> Forest {
        let from = self.forest;
        let mut own = Forest { offsets: vec![0], ..Forest::default() };
        for &index in &self.list {
            let spans = from.spans_of(index as usize);
            own.trace.push(trace(from.trace[index as usize]));
            own.root_start_ns.push(from.root_start_ns[index as usize]);
            own.weight.push(from.weight[index as usize]);
            own.parent.extend_from_slice(&from.parent[spans.clone()]);
            own.operation.extend_from_slice(&from.operation[spans.clone()]);
            own.start_ns.extend_from_slice(&from.start_ns[spans.clone()]);
            own.end_ns.extend_from_slice(&from.end_ns[spans.clone()]);
            own.flags.extend_from_slice(&from.flags[spans.clone()]);
            own.kinds.extend_from_slice(&from.kinds[spans]);
            own.offsets.push(own.parent.len());
        }
        own.row = (0..u32::try_from(own.parent.len()).unwrap_or(u32::MAX)).collect();
        own
    }
}

impl Bucket {
    /// Adds traces and the frame of their spans; the index of each becomes twice that in the frame, and one more if it is of the second
    /// data set.
    fn add(&mut self, traces: &Traces<'_>, part: &SpanFrame, is_second: impl Fn(u32) -> bool) -> io::Result<()> {
        if traces.list.is_empty() {
            return Ok(());
        }
        let second: Vec<bool> =
            traces.list.iter().map(|&trace| is_second(traces.forest.trace[trace as usize])).collect();
        // In the frame of the part traces are numbered as they come.
        let mut forest = traces.forest(|_| 0);
        for (next, (trace, second)) in (0_u32..).zip(forest.trace.iter_mut().zip(second)) {
            *trace = 2 * next + u32::from(second);
        }
        let mut content = Vec::new();
        write_links(&forest, &mut content);
        part.write_to(&mut content);
        let packed = pack(&content)?;
        let at = self.pile.append(&packed)?;
        self.chunks.push((at, packed.len(), content.len()));
        Ok(())
    }

    fn read(&self) -> io::Result<Part> {
        let read = |&(at, n_bytes, n_content): &(u64, usize, usize)| -> io::Result<(Forest, SpanFrame)> {
            let content = unpack(&self.pile.read(at, n_bytes)?, n_content)?;
            let mut bytes = Bytes(&content);
            let forest = read_links(&mut bytes).map_err(io::Error::other)?;
            Ok((forest, SpanFrame::read(&mut bytes).map_err(io::Error::other)?))
        };
        let mut part = Part { forest: Forest { offsets: vec![0], ..Forest::default() }, frame: SpanFrame::default() };
        for chunks in self.chunks.chunks(rayon::current_num_threads().max(1)) {
            let parts: io::Result<Vec<_>> = chunks.par_iter().map(read).collect();
            for (forest, frame) in parts? {
                part.absorb(&forest, frame);
            }
        }
        Ok(part)
    }
}

/// A bucket in memory; traces have twice the index in the frame, and one more if they are of the second data set.
struct Part {
    forest: Forest,
    frame: SpanFrame,
}

impl Part {
    fn absorb(&mut self, forest: &Forest, frame: SpanFrame) {
        let own = &mut self.forest;
        let first_trace = u32::try_from(self.frame.traces.len()).unwrap_or(u32::MAX);
        let first_row = u32::try_from(own.row.len()).unwrap_or(u32::MAX);
        let first_offset = own.row.len();
        own.trace.extend(forest.trace.iter().map(|trace| trace + 2 * first_trace));
        own.root_start_ns.extend_from_slice(&forest.root_start_ns);
        own.weight.extend_from_slice(&forest.weight);
        own.row.extend(forest.row.iter().map(|row| row + first_row));
        own.parent.extend_from_slice(&forest.parent);
        own.operation.extend_from_slice(&forest.operation);
        own.start_ns.extend_from_slice(&forest.start_ns);
        own.end_ns.extend_from_slice(&forest.end_ns);
        own.flags.extend_from_slice(&forest.flags);
        own.kinds.extend_from_slice(&forest.kinds);
        own.offsets.extend(forest.offsets[1..].iter().map(|offset| offset + first_offset));
        self.frame.append_apart(frame);
    }

    /// Writes stretches in the order of a forest; `ids` gets the ids of each data set.
    fn write(self, writer: &mut Writer, ids: &mut [TraceIds; 2]) -> Result<(), Error> {
        let Self { forest, frame } = self;
        let mut list: Vec<u32> = (0..u32::try_from(forest.n_traces()).unwrap_or(u32::MAX)).collect();
        list.sort_unstable_by_key(|&trace| {
            let index = forest.trace[trace as usize];
            (forest.root_start_ns[trace as usize], frame.traces.key(index >> 1), index & 1)
        });
        let mut stretches: Vec<Traces<'_>> = Vec::new();
        let mut n_spans = STRETCH_SPANS;
        for trace in list {
            if n_spans >= STRETCH_SPANS {
                stretches.push(Traces { forest: &forest, list: Vec::new() });
                n_spans = 0;
            }
            n_spans += forest.spans_of(trace as usize).len();
            if let Some(stretch) = stretches.last_mut() {
                stretch.list.push(trace);
            }
        }
        let rows: Vec<Vec<u32>> = stretches.iter().map(Traces::rows).collect();
        let frames = frame.scatter(&rows);
        for (stretch, mut part) in stretches.iter().zip(frames) {
            let mut own = stretch.forest(|index| index);
            for trace in &mut own.trace {
                let set = *trace & 1;
                let index = ids[set as usize].take_over(&frame.traces, *trace >> 1);
                *trace = 2 * index + set;
            }
            (part.traces, part.names) = (TraceIds::default(), Dictionary::default());
            let spans = &mut part.spans;
            spans.trace.fill(0);
            spans.forget_linked();
            writer.add(&own, &part)?;
        }
        Ok(())
    }
}
