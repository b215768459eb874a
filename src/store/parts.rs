//! A large Parquet object of which only what its reader needs is fetched: into a file of its size that has holes.

use super::connect::{MAX_RETRIES, STALL_TIMEOUT, pause, wait};
use super::failure::{Failure, Kind};
use super::list::Object;
use super::spill::Spill;
use futures_util::StreamExt;
use object_store::{GetOptions, GetRange, ObjectStore};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Fetched from the end at once: the footers of most files.
const TAIL: u64 = 1 << 20;
/// Fetched from the start: what a file is known by.
const HEAD: u64 = 16;
/// What lies between two parts is fetched with them if it is no longer than this: as much as comes in while a request is answered.
const MAX_GAP: u64 = 1 << 20;
/// Parts fetched at a time, for each who waits.
const AT_A_TIME: usize = 4;
const MAGIC: &[u8] = b"PAR1";

/// The object's file and what is in it.
#[derive(Debug)]
pub struct Parts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    object: Object,
    store: Arc<dyn ObjectStore>,
    /// Of the object that the first part came from.
    version: Option<String>,
    file: Mutex<Spill>,
    /// What has been fetched: ascending, apart.
    present: Mutex<Vec<Range<u64>>>,
}

impl Parts {
    /// The ends of an object of at least two of [`TAIL`]; `None` if it is not Parquet by these.
    pub(super) async fn open(object: &Object) -> Result<Option<Self>, Failure> {
        let Some(store) = object.store.clone() else { return Ok(None) };
        let n_bytes = object.n_bytes;
        let mut shared = Shared {
            object: object.clone(),
            store,
            version: None,
            file: Mutex::new(Spill::sized(n_bytes)?),
            present: Mutex::default(),
        };
        shared.version = shared.patiently(n_bytes.saturating_sub(TAIL)..n_bytes).await?;
        let tail = shared.lock().read_at(n_bytes - 8, 8)?;
        let Some((length, MAGIC)) = tail.split_at_checked(4) else { return Ok(None) };
        let length = u64::from(u32::from_le_bytes(length.try_into().unwrap_or_default()));
        let Some(footer) = (n_bytes - 8).checked_sub(length) else { return Ok(None) };
        shared.patiently(0..HEAD.min(n_bytes)).await?;
        if !shared.lock().read_at(0, 4)?.starts_with(MAGIC) {
            return Ok(None);
        }
        if footer < n_bytes.saturating_sub(TAIL) {
            shared.patiently(footer..n_bytes - TAIL).await?;
        }
        *shared.present.get_mut().unwrap_or_else(PoisonError::into_inner) =
            vec![0..HEAD.min(n_bytes), footer.min(n_bytes.saturating_sub(TAIL))..n_bytes];
        Ok(Some(Self(Arc::new(shared))))
    }

    /// Where the file can be opened while this is not dropped.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.0.lock().path().to_owned()
    }

    /// Bytes of the object.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.0.object.n_bytes
    }

    /// Fetches these ranges, if they are not there yet.
    ///
    /// # Errors
    /// A [`Failure`] that says why they could not be had, or that the object is another one by now.
    pub fn need(&self, ranges: impl Iterator<Item = Range<u64>>) -> Result<(), Failure> {
        let missing = missing(ranges, &self.0.present(), self.n_bytes());
        if missing.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&self.0);
        let wanted = missing.clone();
        wait(async move {
            let mut fetches = futures_util::stream::iter(wanted.into_iter().map(|range| shared.patiently(range)))
                .buffer_unordered(AT_A_TIME);
            while let Some(result) = fetches.next().await {
                result?;
            }
            Ok(())
        })?;
        let mut present = self.0.present();
        present.extend(missing);
        *present = joined(std::mem::take(&mut *present), 0);
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Spill> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self) -> MutexGuard<'_, Vec<Range<u64>>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks again if the answer breaks off.
    async fn patiently(&self, range: Range<u64>) -> Result<Option<String>, Failure> {
        let mut n_retries = 0;
        loop {
            match self.fetch(range.clone()).await {
                Err(failure) if failure.kind == Kind::Passing && n_retries < MAX_RETRIES => {
                    n_retries += 1;
                    tokio::time::sleep(pause(n_retries)).await;
                }
                Err(failure) if failure.kind == Kind::Passing => return Err(failure.after(n_retries + 1)),
                result => return result,
            }
        }
    }

    /// Writes a range to its place, and says which version of the object it is of.
    async fn fetch(&self, range: Range<u64>) -> Result<Option<String>, Failure> {
        let address = &self.object.address;
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: self.version.clone(),
            ..GetOptions::default()
        };
        let answer = tokio::time::timeout(STALL_TIMEOUT, self.store.get_opts(&self.object.key, options)).await;
        let answer = answer.map_err(|_| Failure::stalled(address))?.map_err(|error| match error {
            object_store::Error::Precondition { .. } => Failure::of("it was replaced while it was read"),
            error => Failure::of_request(address, &error),
        })?;
        let version = answer.meta.e_tag.clone();
        let mut stream = answer.into_stream();
        let mut at = range.start;
        loop {
            match tokio::time::timeout(STALL_TIMEOUT, stream.next()).await {
                Ok(Some(Ok(part))) => {
                    self.lock().write_at(at, &part)?;
                    at += part.len() as u64;
                }
                Ok(Some(Err(error))) => return Err(Failure::of_request(address, &error)),
                Ok(None) if at == range.end => return Ok(version),
                Ok(None) => return Err(Failure { kind: Kind::Passing, ..Failure::of("the answer broke off") }),
                Err(_) => return Err(Failure::stalled(address)),
            }
        }
    }
}

/// What of `ranges` is not in `present`, in few pieces.
fn missing(ranges: impl Iterator<Item = Range<u64>>, present: &[Range<u64>], n_bytes: u64) -> Vec<Range<u64>> {
    let wanted = ranges.map(|range| range.start.min(n_bytes)..range.end.min(n_bytes));
    let is_there = |range: &Range<u64>| present.iter().any(|own| own.start <= range.start && range.end <= own.end);
    let wanted: Vec<Range<u64>> = wanted.filter(|range| range.start < range.end && !is_there(range)).collect();
    joined(wanted, MAX_GAP)
}

/// Ranges ascending, those joined that are no farther apart than `gap`.
fn joined(mut ranges: Vec<Range<u64>>, gap: u64) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::{MAX_GAP, joined, missing};
    use std::ops::Range;

    #[test]
    fn ranges_that_are_there_are_not_asked_for_and_near_ones_come_together() {
        assert_eq!(joined(vec![5..7, 0..2, 2..3, 6..6], 0), [0..3, 5..7]);
        let far = 10 + 2 * MAX_GAP;
        let ranges = [far..far + 5, 0..4, 8..10, 100..100];
        let of = |present: &[Range<u64>], n_bytes: u64| missing(ranges.iter().cloned(), present, n_bytes);
        assert_eq!(of(&[], u64::MAX), [0..10, far..far + 5]);
        assert_eq!(of(&[0..4, far - 1..far + 4], u64::MAX), [8..10, far..far + 5]);
        assert_eq!(of(&[0..4, 8..10, far - 1..far + 6], u64::MAX), []);
        assert_eq!(of(&[], far + 1), [0..10, far..far + 1], "the object ends there");
    }
}
