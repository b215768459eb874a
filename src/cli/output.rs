use crate::error::Error;
use clap::ValueEnum;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where a result goes and in what form.
#[derive(Debug, clap::Args)]
pub struct OutputArgs {
    /// Text for people or JSON for programs
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    pub format: Format,
    /// Write to FILE, whole or not at all, instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text of at most 100 columns.
    Terminal,
    /// One JSON document with a `schema_version`.
    Json,
}

/// Replaces the file in one step, so that a reader sees the old content or the new; devices and pipes are written to.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Io { action: "write", path: path.to_owned(), source };
    // A link stays a link: its target is replaced.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if target.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return std::fs::write(&target, bytes).map_err(failed);
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Else the error would name the temporary file.
    folder.metadata().map_err(failed)?;
    let mut file = temporary_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(&target).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A file that is gone unless it is given a name.
pub(super) fn temporary_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    // What the process's umask leaves of it, as for any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".suspect-").tempfile_in(folder)
}
