use super::{Part, Refusal};
use crate::diagnostics::SourceReport;
use std::path::Path;
use std::time::SystemTime;

/// A file as it was when it was listed: whoever writes to it while it is read makes spans of which half is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    n_bytes: u64,
    modified: Option<SystemTime>,
    /// Device and number, where files have them.
    id: Option<[u64; 2]>,
}

const REMOVED: &str = "was removed";

impl Stamp {
    /// `None` for what is no plain file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        #[cfg(unix)]
        let id = Some([std::os::unix::fs::MetadataExt::dev(&metadata), std::os::unix::fs::MetadataExt::ino(&metadata)]);
        #[cfg(not(unix))]
        let id = None;
        Some(Self { n_bytes: metadata.len(), modified: metadata.modified().ok(), id })
    }

    /// What became of the file since then, if it is not the same any more.
    fn change(self, path: &Path) -> Option<String> {
        let Some(now) = Self::of(path) else { return Some(REMOVED.to_owned()) };
        let sizes = format!("from {} to {} bytes", self.n_bytes, now.n_bytes);
        if now == self {
            None
        } else if now.id != self.id {
            Some("was replaced by another file".to_owned())
        } else if now.n_bytes < self.n_bytes {
            Some(format!("became shorter, {sizes},"))
        } else if now.n_bytes > self.n_bytes {
            Some(format!("grew {sizes}"))
        } else {
            Some("was written to".to_owned())
        }
    }
}

/// Says in the report if the file is not what it was when it was listed.
///
/// Text was read in one go, so what was there counts, and a file that is gone since was read as a whole; of one in whose place there is another it
/// is not known which was read. A table is read piece by piece, and pieces of two files fit nowhere.
pub(super) fn check(
    stamp: Option<Stamp>,
    path: Option<&Path>,
    in_pieces: bool,
    report: &mut SourceReport,
    parts: Result<Vec<Part>, Refusal>,
) -> Result<Vec<Part>, Refusal> {
    let Some(change) = stamp.zip(path).and_then(|(stamp, path)| stamp.change(path)) else { return parts };
    let message = format!("it {change} while it was read");
    if in_pieces {
        return Err(Refusal::Broken(format!("{message}; try again when nobody writes to it")));
    }
    if change == REMOVED {
        report.notes.push(message);
    } else {
        report.error.get_or_insert(message);
    }
    parts
}
