//! Files that appear under their name whole or not at all, several of them together, and leave nothing behind when the program
//! is interrupted.
//!
//! A file is written beside its place, as `.suspect-XXXXXX.tmp`, and renamed into it. Until then its path is on a list of the whole
//! process: whoever handles an interrupt calls [`remove_all`] and ends the process. A path joins the list in the same step in which its
//! file appears, and several files get their names in one step, so an interrupt at any moment finds all old files or all new ones. What only
//! a kill leaves behind is known by its name, and hidden, so that `ingest` passes over it; the next run that writes into that folder removes it,
//! see `leftovers`.

mod folder;
mod leftovers;

pub use folder::{Folder, Pile, remove_leftovers};

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

/// Files that are being written, and folders made for them.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The name of an unfinished file is random between these.
const PREFIX: &str = ".suspect-";
const SUFFIX: &str = ".tmp";

/// New files that may be taken for leftovers by others before one is given up.
const MAX_CLAIMS: usize = 10;

/// Links that one path may lead through, as Linux has it.
const MAX_LINKS: usize = 40;

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A set of paths is whole whatever panicked while it was locked.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    builder
}

/// A new file, with the permissions that any new file has.
fn create(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).open(path)
}

/// A path's place on the list.
#[derive(Debug)]
struct Listed(PathBuf);

impl Drop for Listed {
    fn drop(&mut self) {
        unfinished().remove(&self.0);
    }
}

/// A file that is being written; dropped before it is placed it is gone.
#[derive(Debug)]
pub struct ScratchFile {
    // Dropped first: the file is gone, or has its name, before it leaves the list.
    file: NamedTempFile,
    listed: Listed,
    path: PathBuf,
    target: PathBuf,
}

impl ScratchFile {
    /// An empty file that will be at `path`; a link there stays a link, and its target is replaced.
    ///
    /// Unfinished files that killed runs left in that folder are removed.
    ///
    /// # Errors
    /// If it cannot be created in that folder.
    pub fn new(path: &Path) -> io::Result<Self> {
        let target = real_path(path);
        leftovers::remove(folder_of(&target));
        // Held until the path is on the list.
        let mut unfinished = unfinished();
        for _ in 0..MAX_CLAIMS {
            let file = builder().make_in(folder_of(&target), create)?;
            // Somebody who tidies up may take it for a leftover before it is locked.
            if leftovers::claim(file.as_file(), file.path()) {
                let listed = Listed(file.path().to_path_buf());
                unfinished.insert(listed.0.clone());
                return Ok(Self { file, listed, path: path.to_owned(), target });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where it will be, as the user named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file to write to.
    pub fn as_file_mut(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Gives it its name, in place of a file there only if `replace`.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if there is a file and it must stay; any error of the rename.
    pub fn place(self, replace: bool) -> io::Result<()> {
        let Self { file, listed, target, .. } = self;
        let placed = if replace { file.persist(&target) } else { file.persist_noclobber(&target) };
        let result = placed.map(drop).map_err(|error| error.error);
        drop(listed);
        result
    }
}

/// Gives all files their names, in place of what is there, or none of them.
///
/// What they replace is kept under a second name until all are in place. A file system that has no hard links cannot do that; there, what was
/// replaced before an error stays replaced.
///
/// # Errors
/// The error of the rename that failed, with the path as the user named it.
pub fn place_all(files: Vec<ScratchFile>) -> Result<(), (PathBuf, io::Error)> {
    // Leave the list after it is unlocked again.
    let mut listed = Vec::with_capacity(files.len());
    // An interrupt waits until all are in place.
    let _unfinished = unfinished();
    let is_alone = files.len() == 1;
    // Locked before it has a second name, so that nobody takes that for a leftover.
    let mut shared = Vec::new();
    let mut placed: Vec<(PathBuf, bool, Option<NamedTempFile<()>>)> = Vec::with_capacity(files.len());
    for scratch in files {
        let ScratchFile { file, listed: entry, path, target } = scratch;
        listed.push(entry);
        let metadata = fs::symlink_metadata(&target);
        let existed = metadata.is_ok();
        if !is_alone && metadata.is_ok_and(|metadata| metadata.is_file()) {
            shared.extend(leftovers::share(&target));
        }
        let old = (existed && !is_alone)
            .then(|| builder().make_in(folder_of(&target), |name| fs::hard_link(&target, name)).ok())
            .flatten();
        if let Err(error) = file.persist(&target) {
            for (target, existed, old) in placed.into_iter().rev() {
                restore(&target, existed, old);
            }
            return Err((path, error.error));
        }
        placed.push((target, existed, old));
    }
    Ok(())
}

fn restore(target: &Path, existed: bool, old: Option<NamedTempFile<()>>) {
    // There is already an error to tell; a second one would not help.
    match old {
        Some(old) => drop(old.persist(target)),
        None if !existed => drop(fs::remove_file(target)),
        None => {}
    }
}

/// Folders made for files; dropped before they are kept, those that are empty are gone.
#[derive(Debug, Default)]
pub struct ScratchFolders(Vec<Listed>);

impl ScratchFolders {
    /// Makes `folder` and those above it that are not there.
    ///
    /// # Errors
    /// If one of them cannot be made.
    pub fn make(&mut self, folder: &Path) -> io::Result<()> {
        let folder = real_path(folder);
        let missing: Vec<&Path> = folder.ancestors().take_while(|above| !above.exists()).collect();
        for &path in missing.iter().rev() {
            let mut unfinished = unfinished();
            match fs::create_dir(path) {
                Ok(()) => {
                    let listed = Listed(path.to_owned());
                    unfinished.insert(listed.0.clone());
                    self.0.push(listed);
                }
                // Somebody else was quicker, or it is a way through it such as `new/..`.
                Err(_) if path.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// They stay.
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for ScratchFolders {
    fn drop(&mut self) {
        while let Some(listed) = self.0.pop() {
            _ = fs::remove_dir(&listed.0);
        }
    }
}

/// Writes to a file that cannot be replaced; an interrupt waits until it is done.
pub fn uninterrupted<T>(write: impl FnOnce() -> T) -> T {
    let _unfinished = unfinished();
    write()
}

/// Deletes all that is being written, for a process that is about to end: nothing can be placed from here on.
pub fn remove_all() {
    let unfinished = unfinished();
    // A folder sorts before what is in it.
    for path in unfinished.iter().rev() {
        // What is gone already got its name, or was deleted, in this moment.
        if fs::remove_file(path).is_err() {
            _ = fs::remove_dir(path);
        }
    }
    // Never unlocked: a file that another thread would create now would stay.
    std::mem::forget(unfinished);
}

/// What `path` leads to, if something is there that is neither file nor folder: a file must not take its place.
#[must_use]
pub fn special(path: &Path) -> Option<&'static str> {
    let kind = fs::metadata(path).ok()?.file_type();
    special_kind(kind)
}

/// What a file of this type is called if it is neither file nor folder nor link.
#[must_use]
pub fn special_kind(kind: fs::FileType) -> Option<&'static str> {
    if kind.is_file() || kind.is_dir() || kind.is_symlink() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some("a device")
}

/// The one place that `path` names, whatever links and `.` are in it, whether a file is there or not.
#[must_use]
pub fn real_path(path: &Path) -> PathBuf {
    // The folder of a bare name is empty.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    follow(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), MAX_LINKS)
}

fn follow(path: &Path, n_links: usize) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    // A link to what is not there yet.
    if let Ok(link) = fs::read_link(path)
        && n_links > 0
    {
        return follow(&folder_of(path).join(link), n_links - 1);
    }
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => follow(folder, n_links).join(name),
        _ => path.to_owned(),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
