//! Unfinished files that killed runs left behind.
//!
//! Whoever writes such a file keeps it locked until it has its name; a kill ends the lock. The old content that a file of several is kept
//! under is locked for sharing, for two runs may replace one file. So an unfinished file on which nobody has a lock is nobody's. A system
//! that has no locks on files keeps leftovers.

use super::{PREFIX, SUFFIX};
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Folders that this process has tidied: once is enough, and a folder may hold many files.
static TIDIED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Removes unfinished files that nobody has locked from `folder`, the first time that it is asked to.
pub(super) fn remove(folder: &Path) {
    if TIDIED.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned()) {
        remove_now(folder);
    }
}

fn remove_now(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(is_unfinished);
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            remove_unlocked(&entry.path());
        }
    }
}

/// Whether a file has a name that only we give.
fn is_unfinished(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX));
    random.is_some_and(|random| !random.is_empty() && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// What goes wrong is left to the next run.
fn remove_unlocked(path: &Path) {
    let Ok(file) = open(path) else { return };
    if file.try_lock().is_ok() {
        _ = fs::remove_file(path);
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().write(true).open(path).or_else(|_| File::open(path))
}

/// Locks a new file; false if somebody who tidies up was quicker, and it is gone or about to be.
pub(super) fn claim(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Ok(()) => path.exists(),
        Err(TryLockError::WouldBlock) => false,
        // Without locks nobody tidies up.
        Err(TryLockError::Error(_)) => true,
    }
}

/// Shares a lock on a file for as long as the result lives; none if it cannot be locked, or another has it for itself, which does as well.
pub(super) fn share(path: &Path) -> Option<File> {
    let file = open(path).ok()?;
    file.try_lock_shared().is_ok().then_some(file)
}
