use crate::error::Error;
use crate::scratch::{self, ScratchFile, ScratchFolders};
use clap::ValueEnum;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Where a result goes and in what form.
#[derive(Debug, clap::Args)]
pub struct OutputArgs {
    /// Text for people or JSON for programs
    #[arg(long, value_name = "FORMAT", default_value = "terminal", help_heading = "Output")]
    pub format: Format,
    /// Write to FILE, whole or not at all, instead of to standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
}

/// Form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people, as wide as the terminal or `--width`.
    Terminal,
    /// One JSON document with a `schema_version`.
    Json,
}

/// The files that one run writes: all are prepared before the first is seen.
///
/// A reader sees the old content of a file or the new. Dropped before [`Outputs::finish`], nothing was written. Devices and
/// pipes are written to at the end.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    // Dropped before the folders that were made for them.
    files: Vec<ScratchFile>,
    streams: Vec<(PathBuf, Vec<u8>)>,
    folders: ScratchFolders,
}

impl Outputs {
    /// Prepares a file with these bytes.
    pub(super) fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        if path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            self.streams.push((path.to_owned(), bytes.to_owned()));
            return Ok(());
        }
        let mut file = ScratchFile::new(path).map_err(|source| failed(path, source))?;
        file.as_file_mut().write_all(bytes).map_err(|source| failed(path, source))?;
        self.files.push(file);
        Ok(())
    }

    /// Takes a file that was written elsewhere.
    pub(super) fn add_file(&mut self, file: ScratchFile) {
        self.files.push(file);
    }

    /// Makes a folder for files that are added after it.
    pub(super) fn add_folder(&mut self, path: &Path) -> Result<(), Error> {
        self.folders.make(path).map_err(|source| failed(path, source))
    }

    /// Shows all files, or none.
    pub(super) fn finish(self) -> Result<(), Error> {
        for (path, bytes) in &self.streams {
            match std::fs::write(path, bytes) {
                // The reader has seen enough.
                Err(source) if source.kind() != ErrorKind::BrokenPipe => return Err(failed(path, source)),
                _ => {}
            }
        }
        scratch::place_all(self.files).map_err(|(path, source)| failed(&path, source))?;
        self.folders.keep();
        Ok(())
    }
}

/// Writes one file.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut outputs = Outputs::default();
    outputs.add(path, bytes)?;
    outputs.finish()
}

pub(super) fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::Io { action: "write", path: path.to_owned(), source }
}
