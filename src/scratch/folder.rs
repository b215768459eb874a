//! A folder for what does not fit into memory.
//!
//! It is named `.suspect-spans-XXXXXX` and holds a file `lock`, which this process keeps locked, and piles of bytes. All of it is on
//! the list of unfinished files, so an interrupt removes it. What a kill leaves behind is a folder whose lock nobody holds: the next run that
//! is given the same place removes it. A system that has no locks on files keeps leftovers.

use super::{Listed, real_path, unfinished};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const PREFIX: &str = ".suspect-spans-";
const LOCK: &str = "lock";
/// Left free on the disk whatever is written: other programs need some, too.
const RESERVE_BYTES: u64 = 256 << 20;
/// Of a small disk, this part of what was free.
const RESERVE_SHARE: u64 = 20;

/// The folder; dropped, it is gone with all that is in it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Bytes that may be written in all.
    room: u64,
    used: Mutex<u64>,
    // Kept locked until the end.
    _lock: File,
    listed: Vec<Listed>,
}

impl Folder {
    /// A new folder in `parent`, in which at most `quota` bytes will be written, if that is given, and never so many that the disk is full.
    ///
    /// # Errors
    /// If it cannot be created there.
    pub fn new(parent: &Path, quota: Option<u64>) -> io::Result<Self> {
        let parent = real_path(parent);
        // Somebody who tidies up may take a folder for a leftover before it is locked.
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..10 {
            match Self::locked(&parent, quota) {
                Ok(Some(folder)) => return Ok(folder),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && parent.is_dir() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn locked(parent: &Path, quota: Option<u64>) -> io::Result<Option<Self>> {
        let free = fs4::available_space(parent)?;
        let reserve = RESERVE_BYTES.min(free / RESERVE_SHARE);
        let room = quota.unwrap_or(u64::MAX).min(free - reserve);
        // Held until all is on the list.
        let mut unfinished = unfinished();
        let path = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?.keep();
        let list = |path: PathBuf, unfinished: &mut std::collections::BTreeSet<PathBuf>| {
            unfinished.insert(path.clone());
            Listed(path)
        };
        let mut listed = vec![list(path.clone(), &mut unfinished)];
        let lock = File::options().create_new(true).write(true).open(path.join(LOCK));
        let lock = lock.inspect_err(|_| _ = fs::remove_dir(&path));
        if lock.is_ok() {
            listed.push(list(path.join(LOCK), &mut unfinished));
        }
        drop(unfinished);
        let lock = lock?;
        let is_own = match lock.try_lock() {
            Ok(()) => path.join(LOCK).exists(),
            Err(TryLockError::WouldBlock) => false,
            // Without locks nobody tidies up.
            Err(TryLockError::Error(_)) => true,
        };
        let folder = Self { path, room, used: Mutex::default(), _lock: lock, listed };
        Ok(is_own.then_some(folder))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that may still be written.
    #[must_use]
    pub fn room(&self) -> u64 {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let free = fs4::available_space(&self.path)
            .map_or(u64::MAX, |free| free.saturating_sub(RESERVE_BYTES.min(free / RESERVE_SHARE)));
        self.room.saturating_sub(used).min(free)
    }

    /// Takes room for bytes that are about to be written.
    fn take(&self, n_bytes: u64) -> io::Result<()> {
        if self.room() < n_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) += n_bytes;
        Ok(())
    }

    fn give(&self, n_bytes: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(n_bytes);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.path);
        self.listed.clear();
    }
}

/// A file of the folder that only grows; gone when dropped.
#[derive(Debug)]
pub struct Pile {
    folder: Arc<Folder>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    n_bytes: u64,
    listed: Listed,
}

impl Pile {
    /// A new one with this name.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn new(folder: &Arc<Folder>, name: &str) -> io::Result<Self> {
        let path = folder.path.join(name);
        let mut unfinished = unfinished();
        let file = File::options().create_new(true).read(true).write(true).open(&path)?;
        unfinished.insert(path.clone());
        let inner = Inner { file, n_bytes: 0, listed: Listed(path) };
        Ok(Self { folder: Arc::clone(folder), inner: Mutex::new(inner) })
    }

    /// Writes bytes at the end and says where they begin.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] if there is no room; any error of writing.
    pub fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.folder.take(bytes.len() as u64)?;
        let at = inner.n_bytes;
        inner.file.seek(SeekFrom::Start(at))?;
        inner.file.write_all(bytes)?;
        inner.n_bytes += bytes.len() as u64;
        Ok(at)
    }

    /// So many bytes from there.
    ///
    /// # Errors
    /// Any error of reading.
    pub fn read(&self, at: u64, n_bytes: usize) -> io::Result<Vec<u8>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.file.seek(SeekFrom::Start(at))?;
        let mut bytes = vec![0; n_bytes];
        inner.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Pile {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        _ = fs::remove_file(&inner.listed.0);
        self.folder.give(inner.n_bytes);
    }
}

/// Removes what killed runs left in `parent`: folders whose lock nobody holds. Returns how many.
#[must_use]
pub fn remove_leftovers(parent: &Path) -> usize {
    let Ok(entries) = fs::read_dir(real_path(parent)) else { return 0 };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| remove_leftover(&entry.path()))
        .count()
}

fn remove_leftover(folder: &Path) -> bool {
    match File::options().write(true).open(folder.join(LOCK)) {
        // Whoever makes a folder makes its lock at once; one without has nothing in it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::remove_dir(folder).is_ok(),
        Err(_) => false,
        Ok(lock) => lock.try_lock().is_ok() && fs::remove_dir_all(folder).is_ok(),
    }
}
