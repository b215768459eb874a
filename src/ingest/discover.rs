use super::stamp::Stamp;
use crate::error::Error;
use crate::scratch::special_kind;
use crate::store;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// An input to read, or a path that leads to none.
#[derive(Debug)]
pub(super) struct Found {
    /// How the user names it.
    pub(super) name: String,
    /// Where it is.
    pub(super) origin: Origin,
    /// Whether it was met in a folder, not named.
    pub(super) walked: bool,
    /// Size on disk, 0 if not known.
    pub(super) n_bytes: u64,
    /// The file as it is now.
    pub(super) stamp: Option<Stamp>,
    /// Why it cannot be read, if that is known already.
    pub(super) problem: Option<String>,
    /// What it is, if it is not read because it is no file.
    pub(super) passed_over: Option<&'static str>,
}

/// Where an input's bytes come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Stdin,
    File(PathBuf),
    /// Here already.
    Memory(Vec<u8>),
    /// On a server.
    Object(Box<store::Object>),
    /// Nowhere: an address that leads to nothing.
    Nowhere(PathBuf),
}

/// Expands files, folders, globs and `-` to the inputs they stand for.
///
/// A path may be an address on a server, see [`store::list`]. Order is that of the arguments; a folder or glob is sorted by path, hidden entries are passed over. An input that is
/// reached twice counts where it is reached first.
///
/// # Errors
/// [`Error::Io`] or [`Error::Remote`] with the first path if none of them exists.
pub(super) fn discover(paths: &[PathBuf]) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    let mut first_missing = None;
    for path in paths {
        if path.as_os_str() == "-" {
            found.push(Found {
                name: "-".into(),
                origin: Origin::Stdin,
                walked: false,
                n_bytes: 0,
                stamp: None,
                problem: None,
                passed_over: None,
            });
        } else if store::is_remote(path) {
            match store::list(path) {
                Ok(objects) => found.extend(objects.into_iter().map(Found::object)),
                Err(failure) => {
                    found.push(Found::nowhere(path, format!("cannot read: {}", failure.line())));
                    first_missing.get_or_insert_with(|| failure.into_error(path));
                }
            }
        } else if path.exists() {
            walk(path, &mut found);
        } else if let Some(failure) = store::unknown(path) {
            found.push(Found::nowhere(path, format!("cannot read: {}", failure.line())));
            first_missing.get_or_insert_with(|| failure.into_error(path));
        } else if !glob(path, &mut found) {
            let source = std::fs::metadata(path).err().unwrap_or_else(|| io::ErrorKind::NotFound.into());
            found.push(Found::problem(path, format!("cannot read: {source}")));
            first_missing.get_or_insert_with(|| Error::Io { action: "read", path: path.clone(), source });
        }
    }
    if let Some(missing) = first_missing
        && found.iter().all(|found| found.problem.is_some())
    {
        return Err(missing);
    }
    let mut seen = BTreeSet::new();
    found.retain(|found| {
        let real = match &found.origin {
            Origin::Stdin | Origin::Memory(_) => None,
            Origin::File(path) => Some(path.canonicalize().unwrap_or_else(|_| path.clone())),
            Origin::Object(object) => Some(object.identity()),
            Origin::Nowhere(path) => Some(path.clone()),
        };
        seen.insert(real)
    });
    Ok(found)
}

impl Found {
    /// The object to be fetched for it, if it is on a server.
    pub(super) fn as_object(&self) -> Option<store::Object> {
        match &self.origin {
            Origin::Object(object) if self.problem.is_none() => Some((**object).clone()),
            _ => None,
        }
    }

    /// Where it is, if it is a file.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path) => Some(path),
            _ => None,
        }
    }

    fn file(path: &Path, walked: bool) -> Self {
        let n_bytes = path.metadata().map_or(0, |metadata| metadata.len());
        let (name, origin) = (path.display().to_string(), Origin::File(path.into()));
        Self { name, origin, walked, n_bytes, stamp: Stamp::of(path), problem: None, passed_over: None }
    }

    fn object(object: store::Object) -> Self {
        let (name, walked, n_bytes) = (object.name.clone(), object.is_walked, object.n_bytes);
        let problem = object.problem.as_ref().map(|problem| format!("cannot read: {problem}"));
        let origin = Origin::Object(Box::new(object));
        Self { name, origin, walked, n_bytes, stamp: None, problem, passed_over: None }
    }

    fn nowhere(path: &Path, problem: String) -> Self {
        Self {
            name: store::shown(path),
            origin: Origin::Nowhere(path.into()),
            walked: false,
            n_bytes: 0,
            stamp: None,
            problem: Some(problem),
            passed_over: None,
        }
    }

    fn problem(path: &Path, problem: String) -> Self {
        Self {
            name: path.display().to_string(),
            origin: Origin::File(path.into()),
            walked: false,
            n_bytes: 0,
            stamp: None,
            problem: Some(problem),
            passed_over: None,
        }
    }
}

fn walk(path: &Path, found: &mut Vec<Found>) {
    if !path.is_dir() {
        return found.push(Found::file(path, false));
    }
    let entries = walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name())) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => found.push(Found::file(entry.path(), true)),
            // To wait for whoever writes to it is for those who name it.
            Ok(entry) => found.extend(special_kind(entry.file_type()).map(|what| Found {
                passed_over: Some(what),
                n_bytes: 0,
                ..Found::file(entry.path(), true)
            })),
            // A link back to a folder above leads to nothing new.
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(error) => {
                let at = error.path().unwrap_or(path).to_owned();
                let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                found.push(Found::problem(&at, format!("cannot list: {reason}")));
            }
        }
    }
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Adds the files and folders that match the pattern; whether there is any.
fn glob(pattern: &Path, found: &mut Vec<Found>) -> bool {
    let Some(text) = pattern.to_str().filter(|text| text.contains(['*', '?', '[', '{'])) else { return false };
    let glob = globset::GlobBuilder::new(text.trim_start_matches("./")).literal_separator(true).build();
    let Ok(matcher) = glob.map(|glob| glob.compile_matcher()) else { return false };
    // The part without wildcards is where the walk begins.
    let is_plain = |part: &std::path::Component| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
    let fixed: PathBuf = pattern.components().take_while(is_plain).collect();
    let base = if fixed.as_os_str().is_empty() { Path::new(".") } else { &fixed };
    // Without `**` a match is exactly as deep as the pattern.
    let depth =
        if text.contains("**") { usize::MAX } else { pattern.components().count() - fixed.components().count() };
    let before = found.len();
    let entries = walkdir::WalkDir::new(base).follow_links(true).max_depth(depth).sort_by_file_name().into_iter();
    let mut inside: Option<PathBuf> = None;
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name())).flatten() {
        let path = entry.path().strip_prefix(".").unwrap_or(entry.path());
        if inside.as_ref().is_some_and(|folder| path.starts_with(folder)) || !matcher.is_match(path) {
            continue;
        }
        if entry.file_type().is_dir() {
            inside = Some(path.to_owned());
            walk(path, found);
        } else {
            // As the shell would expand it: every match is named by the user.
            found.push(Found::file(path, false));
        }
    }
    found.len() > before
}
