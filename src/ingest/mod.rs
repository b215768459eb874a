//! Exports in, [`SpanFrame`] out: finds the files, sees through compression, recognises each format by its content
//! and reads it, in parallel, into batches of columns.
//!
//! A parser turns bytes into spans through a [`Sink`], which checks ids and times and counts what it sets aside. It
//! never fails on a record: it skips it and says where. Only a file that cannot be read at all is an error, and it
//! ends that file, not the run.

mod discover;
mod divide;
mod jaeger;
mod jaeger_tags;
mod json;
mod otlp_json;
mod otlp_proto;
mod otlp_value;
mod records;
mod seen;
mod shapes;
mod sink;
mod sniff;
mod source;
mod stamp;
mod stretch;
mod table;
mod values;
mod wire;
mod zipkin;

pub use sink::{RawSpan, Sink};
pub use stretch::HELD_BYTES;

use crate::diagnostics::SourceReport;
use crate::error::Error;
use crate::span::{AttributeSelection, SpanBatch, SpanFrame};
use crate::store::{self, Ahead, Failure, Object};
use crate::time::TimeRange;
use discover::{Found, Origin};
use rayon::prelude::*;
use sniff::Format;
use source::{Closed, Part, Source};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stretch::Rest;

/// Reads every span under `paths`: files, folders (recursively), globs and `-` for standard input, formats mixed; each of
/// these may be an address on a server ([`crate::store`]).
///
/// `progress` is told bytes done and bytes in total, on disk or on the way from a server, from any thread; the total grows when standard input has
/// been read. Files are read in parallel, and large ones in parallel parts; the order of spans is that of paths and of
/// records in them, whatever the number of threads. Of each of the files that are read at a time, one a thread, memory holds plain content of up to
/// [`HELD_BYTES`], of others a stretch, but one JSON document or array, or a compressed table, as a whole.
///
/// # Errors
/// [`Error::Io`] or [`Error::Remote`] if none of the paths exists. A file that cannot be read is no error of the run: its report says why.
pub fn read(paths: &[PathBuf], options: &Options, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Ingested, Error> {
    read_with(paths, options, progress, None)
}

/// Takes batches of spans as they are read, from any thread; place is the number of the source and of the part of it.
pub trait Keeper: Sync {
    /// Takes a batch, or leaves it.
    fn keep(&self, place: (u32, u32), batch: &mut SpanBatch);

    /// Drops what was taken of a source, which turned out to be broken.
    fn forget(&self, source: u32);

    /// Whether there is no more use in reading.
    fn has_failed(&self) -> bool;

    /// Bytes of text that may be held at once; a record that is longer is, all the same.
    fn held_bytes(&self) -> usize {
        HELD_BYTES
    }

    /// The windows in which a trace has to start for its spans to be of any use; `None` if all are.
    ///
    /// Asked of the only file that is read, if it can leave out others, with the range of time that its spans cover.
    fn windows(&self, _range: TimeRange) -> Option<Vec<TimeRange>> {
        None
    }
}

/// [`read`], where `keeper` may take the spans: they are then not in the frame.
///
/// # Errors
/// As [`read`].
pub fn read_with(
    paths: &[PathBuf],
    options: &Options,
    progress: &(dyn Fn(u64, u64) + Sync),
    keeper: Option<&dyn Keeper>,
) -> Result<Ingested, Error> {
    let found = discover::discover(paths)?;
    let meter = Meter {
        done: AtomicU64::new(0),
        total: AtomicU64::new(found.iter().map(|found| found.n_bytes).sum()),
        progress,
    };
    let ahead = Ahead::new(found.iter().filter_map(Found::as_object).collect());
    let sources = (0_u32..).zip(&found).collect::<Vec<_>>();
    let is_alone = found.len() == 1;
    let held_bytes = keeper.map_or(HELD_BYTES, Keeper::held_bytes);
    let read: Vec<_> = sources
        .into_par_iter()
        .map(|(source, found)| read_one(found, options, held_bytes, &meter, &ahead, Kept { keeper, source, is_alone }))
        .collect();
    gather(read)
}

/// Reads the spans of one file's content, which is in memory; `name` is for messages.
///
/// # Errors
/// None that [`read`] would not have; what is wrong with the content is in its report.
pub fn read_bytes(name: &str, bytes: Vec<u8>, options: &Options) -> Result<Ingested, Error> {
    read_bytes_holding(name, bytes, options, HELD_BYTES)
}

/// [`read_bytes`], of which not more than `held_bytes` are held once they are decompressed, if the format allows that, but a record has to
/// fit.
///
/// # Errors
/// As [`read_bytes`].
pub fn read_bytes_holding(name: &str, bytes: Vec<u8>, options: &Options, held_bytes: usize) -> Result<Ingested, Error> {
    let (n_bytes, origin) = (bytes.len() as u64, Origin::Memory(bytes));
    let found =
        Found { name: name.to_owned(), origin, walked: false, n_bytes, stamp: None, problem: None, passed_over: None };
    let (meter, ahead) = (Meter::unwatched(), Ahead::new(Vec::new()));
    gather(vec![read_one(&found, options, held_bytes, &meter, &ahead, Kept::NOBODY)])
}

/// What one input gave: its report, its parts, and the failure of a server to give it, which the report tells, too.
type Read = (SourceReport, Vec<Part>, Option<Failure>);

fn gather(read: Vec<Read>) -> Result<Ingested, Error> {
    let mut sources = Vec::with_capacity(read.len());
    let mut batches = Vec::new();
    let mut first_failure = None;
    for (mut report, parts, failure) in read {
        if let Some(failure) = failure {
            first_failure.get_or_insert_with(|| failure.into_error(Path::new(&report.path)));
        }
        for (batch, part) in parts {
            // A table reader knows more of the format than its first bytes tell.
            if !part.format.is_empty() {
                report.format.clone_from(&part.format);
            }
            report.absorb(part);
            batches.push(batch);
        }
        if report.n_other_signals > 0 {
            report.notes.push(format!("documents of logs or metrics, which hold no spans: {}", report.n_other_signals));
        }
        sources.push(report);
    }
    // As for files: a path that leads to nothing is an error if there is nothing else.
    match first_failure {
        Some(error) if sources.iter().all(|source| source.error.is_some()) => Err(error),
        _ => Ok(Ingested { frame: SpanFrame::from_batches(batches), sources }),
    }
}

/// Whether reading `paths` reads `file`: it is named by them, or lies in one of their folders and holds spans.
///
/// A file that an earlier run wrote into a folder of spans holds none. What is not on this machine is not looked at.
#[must_use]
pub fn reads(paths: &[PathBuf], file: &Path) -> bool {
    let paths: Vec<PathBuf> = paths.iter().filter(|path| !store::is_remote(path)).cloned().collect();
    let (Ok(real), Ok(found)) = (file.canonicalize(), discover::discover(&paths)) else { return false };
    let is_same = |found: &&Found| found.path().is_some_and(|path| path.canonicalize().is_ok_and(|path| path == real));
    found.iter().find(is_same).is_some_and(|found| !found.walked || holds_spans(found))
}

/// The format of spans that a file with this content has, if it is one of those that are read.
#[must_use]
pub fn recognise_spans(content: &[u8]) -> Option<&'static str> {
    sniff::recognise(content).ok().map(Format::describe)
}

fn holds_spans(found: &Found) -> bool {
    let options = Options { attributes: AttributeSelection::Keys(Vec::new()), columns: Vec::new() };
    read_one(found, &options, HELD_BYTES, &Meter::unwatched(), &Ahead::new(Vec::new()), Kept::NOBODY)
        .1
        .iter()
        .any(|(batch, _)| !batch.spans.start_unix_ns.is_empty())
}

/// Who takes the batches of a source.
#[derive(Clone, Copy)]
struct Kept<'a> {
    keeper: Option<&'a dyn Keeper>,
    source: u32,
    /// Whether it is the only source, so that no other has spans of its traces.
    is_alone: bool,
}

impl Kept<'_> {
    const NOBODY: Self = Self { keeper: None, source: 0, is_alone: true };

    /// Offers a part of the source, whose number is `part`.
    fn offer(&self, part: usize, batch: &mut SpanBatch) {
        if let Some(keeper) = self.keeper.filter(|_| !batch.spans.is_empty()) {
            keeper.keep((self.source, u32::try_from(part).unwrap_or(u32::MAX)), batch);
        }
    }

    fn forget(&self) {
        if let Some(keeper) = self.keeper {
            keeper.forget(self.source);
        }
    }

    fn has_failed(&self) -> bool {
        self.keeper.is_some_and(Keeper::has_failed)
    }

    fn windows(&self, range: TimeRange) -> Option<Vec<TimeRange>> {
        self.keeper.filter(|_| self.is_alone)?.windows(range)
    }
}

struct Meter<'a> {
    done: AtomicU64,
    total: AtomicU64,
    progress: &'a (dyn Fn(u64, u64) + Sync),
}

impl Meter<'_> {
    /// A meter that nobody looks at.
    fn unwatched() -> Self {
        Self { done: AtomicU64::new(0), total: AtomicU64::new(0), progress: &|_, _| () }
    }

    fn add(&self, n_bytes: u64) {
        let done = self.done.fetch_add(n_bytes, Ordering::Relaxed) + n_bytes;
        (self.progress)(done, self.total.load(Ordering::Relaxed).max(done));
    }
}

/// Reads one input; the report holds what concerns the input as a whole, the parts the rest.
fn read_one(
    found: &Found,
    options: &Options,
    held_bytes: usize,
    meter: &Meter,
    ahead: &Arc<Ahead>,
    kept: Kept,
) -> Read {
    let mut report = SourceReport { path: found.name.clone(), n_bytes: found.n_bytes, ..SourceReport::default() };
    if kept.has_failed() {
        return (report, Vec::new(), None);
    }
    if let Some(problem) = &found.problem {
        report.error = Some(problem.clone());
        return (report, Vec::new(), None);
    }
    if let Some(what) = found.passed_over {
        report.notes.push(format!("{what} in a folder is passed over; by its name it is read"));
        return (report, Vec::new(), None);
    }
    // What comes from a server is counted as it arrives, which takes longer than parsing it.
    let is_object = matches!(found.origin, Origin::Object(_));
    let fetch = |object: &Object| ahead.take(object, &|n_bytes| meter.add(n_bytes));
    let mut source = match source::open(found, held_bytes, &mut report, fetch) {
        Ok(source) => source,
        Err(closed) => {
            report.error = Some(format!("cannot read: {closed}"));
            if !is_object {
                meter.add(found.n_bytes);
            }
            let failure = if let Closed::Remote(failure) = closed { Some(failure) } else { None };
            return (report, Vec::new(), failure);
        }
    };
    let is_counted = is_object && source.parts.is_none();
    meter.total.fetch_add(report.n_bytes.saturating_sub(found.n_bytes), Ordering::Relaxed);
    let told = AtomicU64::new(0);
    let n_content = source.bytes.len().max(1) as u64;
    let n_raw = source.rest.as_ref().map(Rest::n_raw);
    // Parsers count decompressed bytes; the meter shows bytes on disk.
    let done = |n_bytes: usize| {
        if is_counted {
            return;
        }
        if let Some(n_raw) = &n_raw {
            let now = n_raw.load(Ordering::Relaxed);
            meter.add(now.saturating_sub(told.fetch_max(now, Ordering::Relaxed)));
            return;
        }
        let share = u128::from(report.n_bytes) * n_bytes as u128 / u128::from(n_content);
        let share = u64::try_from(share).unwrap_or(0);
        told.fetch_add(share, Ordering::Relaxed);
        meter.add(share);
    };
    let in_pieces = source.path.is_some() && source.bytes.is_empty();
    let (format, parts) = parse(&mut source, found, options, &done, kept);
    if let Some(rest) = &mut source.rest {
        rest.tell(&mut report);
    }
    if !is_counted {
        meter.add(report.n_bytes.saturating_sub(told.load(Ordering::Relaxed)));
    }
    let parts = stamp::check(found.stamp, found.path(), in_pieces, &mut report, parts);
    let parts = match parts {
        Ok(mut parts) => {
            // Those that were not offered as they were read.
            for (part, (batch, _)) in parts.iter_mut().enumerate() {
                kept.offer(part, batch);
            }
            parts
        }
        Err(refusal) => {
            kept.forget();
            match refusal {
                Refusal::NotSpans(note) => report.notes.push(note),
                Refusal::Broken(reason) => _ = report.error.get_or_insert(reason),
            }
            Vec::new()
        }
    };
    format.map_or("", Format::describe).clone_into(&mut report.format);
    (report, parts, None)
}

/// Why a file gives no spans.
enum Refusal {
    /// It is something else, which is no fault in a folder.
    NotSpans(String),
    /// It is a fault.
    Broken(String),
}

fn parse(
    source: &mut Source,
    found: &Found,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
    kept: Kept,
) -> (Option<Format>, Result<Vec<Part>, Refusal>) {
    if source.bytes.is_empty() && source.path.is_none() {
        return (None, Err(Refusal::NotSpans("empty".to_owned())));
    }
    if source.bytes.starts_with(sniff::BOM) {
        source.bytes.drain(..sniff::BOM.len());
    }
    // Whether a line is one of many is seen at its end.
    if source.is_one_line() && matches!(source.bytes.trim_ascii_start().first(), Some(b'{' | b'[')) {
        source.hold();
    }
    let format = match recognise(source) {
        Ok(Some(format)) => format,
        Ok(None) => return (None, Err(Refusal::NotSpans("empty".to_owned()))),
        Err(what) if found.walked => return (None, Err(Refusal::NotSpans(format!("not spans: {what}")))),
        Err(what) => return (None, Err(Refusal::Broken(format!("found {what}, expected {EXPECTED}")))),
    };
    let parts = match format {
        Format::Json(flavour, true) => Ok(records::read_lines(source, flavour, options, done, kept)),
        Format::Json(flavour, false) => Ok(records::read_documents(source, flavour, options, done, kept)),
        Format::BareProto => Ok(records::read_bare_proto(source, options, done, kept)),
        Format::Framed => Ok(records::read_framed(source, options, done, kept)),
        Format::JsonRows => {
            source.hold();
            table::read_json_rows(source, options, done, kept)
        }
        Format::Parquet => table::read_parquet(source, options, kept),
        Format::ArrowIpc => table::read_arrow_ipc(source, options),
        Format::Csv => {
            source.hold();
            table::read_csv(source, options, done, kept)
        }
    };
    match parts {
        Ok(parts) => (Some(format), Ok(parts)),
        // A table of something else is no fault in a folder.
        Err(error @ Error::Column { .. }) if found.walked => {
            (None, Err(Refusal::NotSpans(format!("not spans: {error}"))))
        }
        Err(Error::Format { reason, .. }) => (Some(format), Err(Refusal::Broken(reason))),
        Err(error) => {
            let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
            (Some(format), Err(Refusal::Broken(format!("{error}{hint}"))))
        }
    }
}

/// The format of a source, `None` if it is empty, else what was found instead.
fn recognise(source: &Source) -> Result<Option<Format>, String> {
    if !source.bytes.is_empty() {
        return sniff::recognise(&source.bytes).map(Some);
    }
    // A table that stays on disk.
    let mut head = Vec::new();
    if let Some(path) = &source.path {
        use std::io::Read as _;
        let file = std::fs::File::open(path).map_err(|error| format!("an unreadable file ({error})"))?;
        file.take(16).read_to_end(&mut head).map_err(|error| format!("an unreadable file ({error})"))?;
    }
    if head.is_empty() { Ok(None) } else { sniff::recognise(&head).map(Some) }
}

/// Formats read, for the message about one that is not.
const EXPECTED: &str = "spans as OTLP JSON or protobuf, Jaeger JSON, Zipkin JSON, Parquet, Arrow IPC, CSV or JSON rows";

/// For the program: a library that panics on a damaged table, which becomes the error of that file, does not write to standard error besides.
pub fn hush_caught_panics() {
    table::hush_caught_panics();
}

/// What to read and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Attributes to keep.
    pub attributes: AttributeSelection,
    /// The user's `--columns`, `field=COLUMN[:unit]` each; applies to tables of unknown shape.
    pub columns: Vec<ColumnChoice>,
}

/// One `--columns` item: which column of a table holds a span field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnChoice {
    /// Span field, such as `trace_id` or `duration`.
    pub field: String,
    /// Column of the table.
    pub column: String,
    /// Unit of a time or duration: `s`, `ms`, `us` or `ns`.
    pub unit: Option<String>,
}

/// Spans read and how the reading went.
#[derive(Debug)]
pub struct Ingested {
    /// All spans, in the order of paths and of records in them.
    pub frame: SpanFrame,
    /// A report a file, in the same order.
    pub sources: Vec<SourceReport>,
}
