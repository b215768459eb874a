//! How much memory a run may take, and where spans go that do not fit.

use super::progress::{Progress, Unit};
use crate::analysis;
use crate::diagnostics::SourceReport;
use crate::error::Error;
use crate::ingest::{self, Keeper};
use crate::normalize::{Partitions, Place};
use crate::scratch::{Folder, remove_leftovers};
use crate::span::{SpanBatch, SpanFrame};
use crate::time::TimeRange;
use crate::window::GivenWindows;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Share of the machine's memory that is taken without a limit of the user's.
const DEFAULT_PERCENT: f64 = 70.0;
/// The spans read are a fourth of what their analysis takes at its peak.
const READ_SHARE: u64 = 4;
/// Text that is read takes an eighth of the limit: what becomes of it is there beside it.
const HELD_SHARE: u64 = 8;
/// But not less than is worth cutting into pieces.
const LEAST_HELD_BYTES: usize = 4 << 20;
/// A partition or bucket takes an eighth of the limit at most, and up to eight times its spans while it is worked on: an allocator keeps some
/// of that, beside which all that is kept of each trace has to fit.
const PARTITION_SHARE: u64 = 64;
/// More would be files with little in them.
const MAX_PARTITIONS: u64 = 256;

/// Memory and where to go without.
#[derive(Debug, Default, clap::Args)]
pub struct MemoryArgs {
    /// Memory to take, such as 512MiB, 4GB or 50%; spans that do not fit go to `--temp-dir` [default: 70%]
    ///
    /// Percent are of what the machine, or the container, has. The result is the same with any limit. What is kept of each trace has to
    /// fit, some 40 to 70 bytes a span.
    #[arg(long, value_name = "SIZE", value_parser = parse_limit, help_heading = "Memory", hide_short_help = true)]
    pub memory_limit: Option<Limit>,
    /// Folder for spans that do not fit into memory [default: the system's]
    #[arg(long, value_name = "DIR", help_heading = "Memory", hide_short_help = true)]
    pub temp_dir: Option<PathBuf>,
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many bytes.
    Bytes(u64),
    /// Of what there is.
    Percent(f64),
}

/// Reads `512MiB`, `4GB`, `1.5g`, `1000000` or `50%`.
///
/// # Errors
/// A sentence that says what would be right.
pub fn parse_limit(text: &str) -> Result<Limit, String> {
    let wrong = || "expected a size such as `512MiB` or `4GB`, or a share such as `50%`".to_owned();
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim().to_ascii_lowercase();
    if unit == "%" {
        let is_share = number > 0.0 && number <= 100.0;
        return if is_share { Ok(Limit::Percent(number)) } else { Err("expected a share of 0 to 100 %".to_owned()) };
    }
    let power = |base: f64, power: i32| Some(base.powi(power));
    let factor = match unit.as_str() {
        "" | "b" => Some(1.0),
        "k" | "kib" => power(1024.0, 1),
        "m" | "mib" => power(1024.0, 2),
        "g" | "gib" => power(1024.0, 3),
        "t" | "tib" => power(1024.0, 4),
        "kb" => power(1000.0, 1),
        "mb" => power(1000.0, 2),
        "gb" => power(1000.0, 3),
        "tb" => power(1000.0, 4),
        _ => None,
    };
    let bytes = number * factor.ok_or_else(wrong)?;
    if !(1.0..1e18).contains(&bytes) {
        return Err(wrong());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 1 and 1e18")]
    Ok(Limit::Bytes(bytes as u64))
}

/// Memory of the machine, or of the control group that the process is in if that has less; `read` gives the content of a file.
///
/// `None` where the system does not tell.
pub fn available(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next().unwrap_or(""), parts.next().unwrap_or("/"));
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return Vec::new(),
        };
        // Each group is in those above it; in a container the path may be that outside.
        let inside = Path::new(path.trim_start_matches('/'));
        let folders = inside.ancestors().map(|folder| Path::new(root).join(folder).join(file));
        folders.filter_map(|file| read(&file)?.trim().parse::<u64>().ok()).collect()
    });
    machine.into_iter().chain(limits).min()
}

impl MemoryArgs {
    /// Bytes that may be taken; no limit where the system does not tell what it has.
    fn limit(&self) -> u64 {
        let percent = match self.memory_limit {
            Some(Limit::Bytes(bytes)) => return bytes,
            Some(Limit::Percent(percent)) => percent,
            None => DEFAULT_PERCENT,
        };
        let all = available(&|path| std::fs::read_to_string(path).ok());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of what there is")]
        all.map_or(u64::MAX, |all| (all as f64 * percent / 100.0) as u64)
    }

    /// Where spans are kept; removes what killed runs left in the temporary folder.
    pub(super) fn collector(&self) -> Collector {
        let folder = self.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        _ = remove_leftovers(&folder);
        Collector::new(self.limit(), folder, None)
    }
}

/// Keeps spans in memory, and in partitions on the disk when they become too many.
#[derive(Debug)]
pub struct Collector {
    limit: u64,
    folder: PathBuf,
    quota: Option<u64>,
    is_again: bool,
    state: Mutex<State>,
    /// Bytes read and in total, of the data set that is read.
    progress: [AtomicU64; 2],
    wanted: Option<GivenWindows>,
    /// The windows, and the stretches in which traces have to start, once a file is read that can leave out others.
    windows: OnceLock<([TimeRange; 2], Vec<TimeRange>)>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<Place, SpanBatch>,
    n_bytes: u64,
    n_spans: [u64; 2],
    partitions: Option<Arc<Partitions>>,
    forgotten: Vec<(u32, u32)>,
    failure: Option<Error>,
}

/// What was collected.
#[derive(Debug)]
pub enum Collected {
    /// The spans of the baseline's own data, and of the others.
    Memory(Box<[SpanFrame; 2]>),
    /// Both in partitions, and into how many parts they are to be sorted.
    Partitions(Box<Partitions>, usize),
}

impl Collector {
    /// A collector that may take `limit` bytes, and at most `quota` in a folder below `folder`.
    #[must_use]
    pub fn new(limit: u64, folder: PathBuf, quota: Option<u64>) -> Self {
        let progress = [const { AtomicU64::new(0) }; 2];
        let (state, windows) = (Mutex::default(), OnceLock::new());
        Self { limit, folder, quota, is_again: false, state, progress, wanted: None, windows }
    }

    /// Reads once more what was read, with all spans in the folder, if `is_again`.
    pub(super) fn again(mut self, is_again: bool) -> Self {
        self.is_again = is_again;
        self
    }

    /// Whether what there is to say of the files was said.
    pub(super) fn is_again(&self) -> bool {
        self.is_again
    }

    /// Keeps only spans of traces that may start in these windows, where a file allows to read no others.
    pub(super) fn only(mut self, wanted: Option<GivenWindows>) -> Self {
        self.wanted = wanted;
        self
    }

    /// The windows, if spans of other traces were left out.
    pub(super) fn windows(&self) -> Option<[TimeRange; 2]> {
        self.windows.get().map(|(windows, _)| *windows)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that may be taken.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Spans of a data set so far.
    #[must_use]
    pub fn n_spans(&self, set: u32) -> u64 {
        self.state().n_spans[set as usize]
    }

    /// Reads a data set: 0 is the baseline's own.
    ///
    /// # Errors
    /// As [`ingest::read`], and [`Error::NoRoom`].
    pub fn read(
        &self,
        set: u32,
        paths: &[PathBuf],
        options: &ingest::Options,
        is_shown: bool,
    ) -> Result<Vec<SourceReport>, Error> {
        let progress = Progress::new("reading", Unit::Bytes, is_shown);
        let tell = |done: u64, total: u64| {
            self.progress[0].store(done, Ordering::Relaxed);
            self.progress[1].store(total, Ordering::Relaxed);
            progress.update(done, total);
        };
        let result = ingest::read_with(paths, options, &tell, Some(&OfSet { collector: self, set }));
        progress.finish();
        if let Some(error) = self.state().failure.take() {
            return Err(error);
        }
        Ok(result?.sources)
    }

    /// Bytes on the heap that all spans would take, by those read so far.
    fn expected(&self, n_bytes: u64) -> u64 {
        let [done, total] = self.progress.each_ref().map(|count| count.load(Ordering::Relaxed));
        // A table's bytes are counted when it is done; its columns are packed.
        let all = if done == 0 { total.saturating_mul(4) } else { scaled(n_bytes, total, done) };
        all.max(n_bytes)
    }

    fn keep(&self, place: Place, batch: SpanBatch) -> Result<(), Error> {
        let frame = SpanFrame::from_batches([batch]);
        let mut state = self.state();
        state.n_bytes += frame.n_bytes() as u64;
        state.n_spans[place.0 as usize] += frame.spans.len() as u64;
        state.held.insert(place, frame.into());
        let is_little = !self.is_again && state.n_bytes <= self.limit / READ_SHARE;
        if state.partitions.is_none() && is_little { Ok(()) } else { self.put_away(state) }
    }

    /// Writes what is held to the folder.
    fn put_away(&self, mut state: MutexGuard<'_, State>) -> Result<(), Error> {
        let is_first = state.partitions.is_none();
        let partitions = if let Some(partitions) = &state.partitions {
            Arc::clone(partitions)
        } else {
            let failed = |source| Error::Io { action: "create a folder in", path: self.folder.clone(), source };
            let folder = Arc::new(Folder::new(&self.folder, self.quota).map_err(failed)?);
            let n_partitions = n_parts(self.expected(state.n_bytes), self.limit, 2);
            Arc::clone(state.partitions.insert(Arc::new(Partitions::new(folder, n_partitions)?)))
        };
        let held = std::mem::take(&mut state.held);
        drop(state);
        // Not while the state is locked: other batches may be taken while these are packed.
        for (place, batch) in held {
            let added = partitions.add(place, &SpanFrame::from_batches([batch]));
            added.map_err(|error| self.with_needed(error, &partitions))?;
        }
        if is_first { self.check_room(&partitions) } else { Ok(()) }
    }

    /// Bytes that all spans will take in the folder, by those that were written; before that a third of what they take in memory.
    fn needed(&self, partitions: &Partitions) -> u64 {
        let [_, n_heap, n_written] = partitions.totals();
        let n_held = self.state().n_bytes.max(n_heap);
        if n_written == 0 { self.expected(n_held) / 3 } else { scaled(self.expected(n_held), n_written, n_heap) }
    }

    /// The error, with what is needed if it is that there is no room.
    fn with_needed(&self, error: Error, partitions: &Partitions) -> Error {
        match error {
            Error::NoRoom { path, free, .. } => {
                let free = free + partitions.totals()[2];
                Error::NoRoom { path, needed: Some(self.needed(partitions).max(free + 1)), free }
            }
            error => error,
        }
    }

    /// Whether all will fit into the folder, by what the first spans took.
    fn check_room(&self, partitions: &Partitions) -> Result<(), Error> {
        let (needed, n_written) = (self.needed(partitions), partitions.totals()[2]);
        let free = partitions.folder().room() + n_written;
        let path = || partitions.folder().path().parent().unwrap_or(&self.folder).to_owned();
        if needed > free { Err(Error::NoRoom { path: path(), needed: Some(needed), free }) } else { Ok(()) }
    }

    /// All that was kept.
    ///
    /// # Errors
    /// [`Error::NoRoom`] and any error of the folder.
    pub fn finish(self) -> Result<Collected, Error> {
        let state = self.state();
        // What the spans take is little, and what their analysis takes may be much.
        if state.partitions.is_none() && analysis::is_too_much(state.n_spans.iter().sum(), self.limit) {
            self.put_away(state)?;
        } else {
            drop(state);
        }
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_left = |place: &Place| !state.forgotten.contains(&(place.0, place.1));
        let needed = self.windows.get().map(|(_, needed)| needed);
        let Some(partitions) = state.partitions else {
            let mut frames = [SpanFrame::default(), SpanFrame::default()];
            let mut held: [Vec<SpanBatch>; 2] = Default::default();
            for (place, batch) in state.held {
                if is_left(&place) {
                    held[place.0 as usize].push(batch);
                }
            }
            for (frame, held) in frames.iter_mut().zip(held) {
                *frame = SpanFrame::from_batches(held);
                if let Some(needed) = needed {
                    *frame = std::mem::take(frame).that_may_start_in(needed);
                }
            }
            return Ok(Collected::Memory(Box::new(frames)));
        };
        let path = partitions.folder().path().to_owned();
        let shared = |_| Error::Io { action: "close", path, source: std::io::ErrorKind::Other.into() };
        let mut partitions = Arc::try_unwrap(partitions).map_err(shared)?;
        for (set, source) in state.forgotten {
            partitions.forget(set, source);
        }
        partitions.only(needed.cloned());
        let [_, n_bytes, _] = partitions.totals();
        Ok(Collected::Partitions(Box::new(partitions), n_parts(n_bytes, self.limit, 1)))
    }
}

/// Into how many parts so many bytes are cut, `least` or more, so that one fits into its share of the limit.
fn n_parts(n_bytes: u64, limit: u64, least: u64) -> usize {
    let n_parts = n_bytes.saturating_mul(PARTITION_SHARE) / limit.max(1);
    usize::try_from(n_parts.clamp(least, MAX_PARTITIONS)).unwrap_or(1)
}

/// `value * over / under` without overflow.
fn scaled(value: u64, over: u64, under: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(over) / u128::from(under.max(1))).unwrap_or(u64::MAX)
}

/// Takes the batches of one data set.
struct OfSet<'a> {
    collector: &'a Collector,
    set: u32,
}

impl Keeper for OfSet<'_> {
    fn keep(&self, place: (u32, u32), batch: &mut SpanBatch) {
        let batch = std::mem::take(batch);
        if self.has_failed() {
            return;
        }
        if let Err(error) = self.collector.keep((self.set, place.0, place.1), batch) {
            self.collector.state().failure.get_or_insert(error);
        }
    }

    fn forget(&self, source: u32) {
        self.collector.state().forgotten.push((self.set, source));
    }

    fn held_bytes(&self) -> usize {
        let share = usize::try_from(self.collector.limit / HELD_SHARE).unwrap_or(usize::MAX);
        share.clamp(LEAST_HELD_BYTES, ingest::HELD_BYTES)
    }

    fn has_failed(&self) -> bool {
        self.collector.state().failure.is_some()
    }

    fn windows(&self, range: TimeRange) -> Option<Vec<TimeRange>> {
        let wanted = self.collector.wanted.as_ref()?;
        let windows = wanted.resolve(range)?;
        Some(self.collector.windows.get_or_init(|| (windows, wanted.needed(windows))).1.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{Collector, Keeper, Limit, OfSet, available, parse_limit};
    use std::path::Path;

    #[test]
    fn sizes_are_read_in_both_bases_and_shares_in_percent() {
        let sizes =
            [("512MiB", 512 << 20), ("4GB", 4_000_000_000), ("1.5g", 3 << 29), ("1000", 1_000), ("2 kib", 2_048)];
        for (text, bytes) in sizes {
            assert_eq!(parse_limit(text), Ok(Limit::Bytes(bytes)), "{text}");
        }
        assert_eq!(parse_limit("50%"), Ok(Limit::Percent(50.0)));
        for text in ["", "MiB", "0", "-1GB", "101%", "0%", "4 parsecs", "1e3"] {
            assert!(parse_limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_that_is_held_shrinks_with_the_limit() {
        let held = |limit: u64| {
            let collector = Collector::new(limit, std::env::temp_dir(), None);
            OfSet { collector: &collector, set: 1 }.held_bytes()
        };
        assert_eq!([1 << 20, 80 << 20, 4 << 30].map(held), [4 << 20, 10 << 20, 128 << 20]);
    }

    #[test]
    fn the_least_of_machine_and_groups_counts_and_groups_without_a_limit_do_not() {
        let memory = |files: &[(&str, &str)]| {
            let read = |path: &Path| {
                files.iter().find(|(known, _)| Path::new(known) == path).map(|(_, text)| (*text).to_owned())
            };
            available(&read)
        };
        let machine = ("/proc/meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\n");
        assert_eq!(memory(&[]), None);
        assert_eq!(memory(&[machine]), Some(1_024_000));
        let v2 = ("/proc/self/cgroup", "0::/a/b\n");
        let above = ("/sys/fs/cgroup/a/memory.max", "5000\n");
        assert_eq!(memory(&[machine, v2, ("/sys/fs/cgroup/a/b/memory.max", "max\n"), above]), Some(5_000));
        // In a container its own group is the root of what it sees.
        assert_eq!(memory(&[machine, v2, ("/sys/fs/cgroup/memory.max", "7000\n")]), Some(7_000));
        let v1 = ("/proc/self/cgroup", "3:cpu:/x\n2:memory,hugetlb:/x\n");
        let limit = ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "6000\n");
        assert_eq!(memory(&[machine, v1, limit]), Some(6_000));
        let none = ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(memory(&[machine, v1, none]), Some(1_024_000));
    }
}
