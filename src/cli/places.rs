//! Where a run writes, checked before any work: each result has a place of its own, and none is what the run reads.

use super::OutputArgs;
use crate::error::Error;
use crate::ingest;
use crate::scratch::real_path;
use crate::store;
use std::path::{Path, PathBuf};

/// What a run reads and what it writes, by the names that the user gave.
#[derive(Default)]
pub(super) struct Places<'a> {
    spans: Vec<PathBuf>,
    inputs: Vec<&'a Path>,
    outputs: Vec<(String, PathBuf)>,
    /// Flags of files for which `-` was given.
    streams: Vec<String>,
    folders: Vec<(String, PathBuf)>,
}

impl<'a> Places<'a> {
    /// Paths that spans are read from: files, folders, globs, standard input.
    pub(super) fn spans(mut self, paths: &[PathBuf]) -> Self {
        self.spans.extend_from_slice(paths);
        self
    }

    /// Other files that are read.
    pub(super) fn inputs(mut self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        self.inputs.extend(paths.into_iter().map(PathBuf::as_path));
        self
    }

    /// A file that `flag` names, and that standard output cannot stand for.
    pub(super) fn file(mut self, flag: &str, path: Option<&Path>) -> Self {
        if path.is_some_and(|path| path.as_os_str() == "-") {
            self.streams.push(flag.to_owned());
        }
        self.output(flag, path)
    }

    /// A file that `flag` names; `-` is standard output.
    pub(super) fn output(mut self, flag: &str, path: Option<&Path>) -> Self {
        let named = path.filter(|path| path.as_os_str() != "-");
        self.outputs.extend(named.map(|path| (format!("{flag} {}", path.display()), path.to_owned())));
        self
    }

    /// The file of `--output`.
    pub(super) fn result(self, args: &OutputArgs) -> Self {
        self.output("--output", args.output.as_deref())
    }

    /// The files `names` in the folder that `flag` names, which is made if it is not there.
    pub(super) fn folder(mut self, flag: &str, path: &Path, names: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        self.folders.push((format!("{flag} {}", path.display()), path.to_owned()));
        let files = names.into_iter().map(|name| path.join(name));
        let files = files.map(|file| (format!("{flag} {}", file.display()), file));
        self.outputs.extend(files);
        self
    }

    /// Refuses what would lose a result or an input.
    ///
    /// # Errors
    /// [`Error::Usage`] that says which two are one; [`Error::Io`] for a folder that is not there.
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some(flag) = self.streams.first() {
            let message = format!("`{flag} -` is no file, and standard output is not for it");
            return Err(usage(
                &message,
                &format!("name a file, such as `{flag} result`; `{flag} ./-` writes one named `-`"),
            ));
        }
        let folders = self.folders.iter().map(|(what, path)| (what, real_path(path))).collect::<Vec<_>>();
        let mut taken: Vec<(&String, PathBuf)> = Vec::new();
        for (what, path) in &self.outputs {
            if store::is_remote(path) {
                let message = format!("`{what}` is an address: results are written to files");
                return Err(usage(&message, "name a file, and upload it"));
            }
            let real = real_path(path);
            if let Ok(metadata) = real.metadata() {
                if metadata.is_dir() {
                    return Err(usage(&format!("`{what}` is a folder"), "name a file"));
                }
                if !metadata.is_file() {
                    // A device or a pipe takes whatever comes.
                    continue;
                }
            }
            let same = folders.iter().chain(&taken).find(|(_, other)| *other == real);
            if let Some((other, _)) = same {
                let message = format!("`{other}` and `{what}` are one file");
                return Err(usage(&message, "give each result a file of its own"));
            }
            if is_stream(&real, STDOUT) {
                let message = format!("`{what}` is the file that standard output goes to");
                return Err(usage(&message, "give each result a file of its own"));
            }
            if self.reads(path, &real) {
                return Err(usage(&format!("`{what}` is one of the inputs"), "write to another file"));
            }
            let folder = real.parent().filter(|folder| !folders.iter().any(|(_, made)| folder == made));
            let fault = folder.and_then(|folder| match folder.metadata() {
                Ok(metadata) => (!metadata.is_dir()).then(|| std::io::ErrorKind::NotADirectory.into()),
                Err(error) => Some(error),
            });
            if let Some(source) = fault {
                return Err(super::output::failed(path, source));
            }
            taken.push((what, real));
        }
        Ok(())
    }

    fn reads(&self, path: &Path, real: &Path) -> bool {
        if !real.exists() {
            return false;
        }
        let mut named = self.inputs.iter().copied().chain(self.spans.iter().map(PathBuf::as_path));
        let is_standard_input = named.clone().any(|input| input.as_os_str() == "-");
        (is_standard_input && is_stream(real, STDIN))
            || named.any(|input| real_path(input) == real)
            || ingest::reads(&self.spans, path)
    }
}

fn usage(message: &str, hint: &str) -> Error {
    Error::Usage { message: message.to_owned(), hint: hint.to_owned() }
}

const STDIN: &str = "/dev/stdin";
const STDOUT: &str = "/dev/stdout";

/// Whether a stream of this process comes from, or goes to, this file.
#[cfg(unix)]
fn is_stream(file: &Path, stream: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    id(file).is_some_and(|file| id(Path::new(stream)) == Some(file))
}

#[cfg(not(unix))]
fn is_stream(_: &Path, _: &str) -> bool {
    false
}
