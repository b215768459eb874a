use super::failure::Failure;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file in the temporary folder that no name is left of, whatever ends the process.
///
/// Where the system lets an open file be opened again without its name (Linux), the name is taken away at once; elsewhere
/// when this is dropped.
#[derive(Debug)]
pub struct Spill {
    file: File,
    path: PathBuf,
    /// Removes the name.
    named: Option<tempfile::TempPath>,
}

impl Spill {
    /// A file with these bytes.
    pub(super) fn holding(bytes: &[u8]) -> Result<Self, Failure> {
        let file = tempfile::Builder::new().prefix(".suspect-").tempfile().map_err(|error| full(&error))?;
        let (file, name) = file.into_parts();
        let mut spill = Self { path: name.to_path_buf(), file, named: Some(name) };
        spill.forget_name();
        spill.append(bytes)?;
        Ok(spill)
    }

    /// A file of this length, which takes no room yet where files can have holes.
    pub(super) fn sized(n_bytes: u64) -> Result<Self, Failure> {
        let spill = Self::holding(&[])?;
        spill.file.set_len(n_bytes).map_err(|error| full(&error))?;
        Ok(spill)
    }

    /// Writes at a place.
    pub(super) fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.write_all(bytes));
        written.map_err(|error| full(&error))
    }

    /// What stands at a place.
    pub(super) fn read_at(&mut self, at: u64, n_bytes: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = vec![0; n_bytes];
        let read = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map(|()| bytes).map_err(|error| full(&error))
    }

    /// Writes at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| full(&error))
    }

    /// Where it can be opened while this is not dropped.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(target_os = "linux")]
    fn forget_name(&mut self) {
        use std::os::fd::AsRawFd;
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        if File::open(&path).is_ok() {
            self.path = path;
            self.named = None;
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn forget_name(&mut self) {}
}

fn full(error: &std::io::Error) -> Failure {
    let folder = std::env::temp_dir();
    let reason = format!("cannot keep it in `{}`: {error}", folder.display());
    Failure { hint: "`TMPDIR` names a folder with more room".to_owned(), ..Failure::of(reason) }
}
