use super::failure::Failure;
use std::fs::File;
use std::io::Write;
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
