use super::discover::{Found, Origin};
use super::sniff;
use crate::diagnostics::SourceReport;
use crate::error::Error;
use crate::span::SpanBatch;
use crate::store::{Body, Failure, Object, Parts, Spill};
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One input after decompression.
#[derive(Debug)]
pub(crate) struct Source {
    /// How the user names it: its path, or `-`.
    pub(crate) name: String,
    /// The file on disk if it is not compressed, so that a table reader can read only the columns it needs.
    pub(crate) path: Option<PathBuf>,
    /// The content, decompressed; empty for a Parquet or Arrow file that has a `path`.
    pub(crate) bytes: Vec<u8>,
    /// Keeps what is at `path`, if it is no file of the user's.
    pub(crate) spill: Option<Spill>,
    /// Fetches what is at `path`, if it is not there yet.
    pub(crate) parts: Option<Parts>,
}

impl Source {
    /// Makes sure that these bytes are at `path`.
    ///
    /// # Errors
    /// [`Error::Remote`] if they cannot be fetched.
    pub(crate) fn need(&self, ranges: impl Iterator<Item = Range<u64>>) -> Result<(), Error> {
        let Some(parts) = &self.parts else { return Ok(()) };
        parts.need(ranges).map_err(|failure| failure.into_error(Path::new(&self.name)))
    }
}

/// Why an input cannot be read.
#[derive(Debug)]
pub(super) enum Closed {
    Io(io::Error),
    Remote(Failure),
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Remote(failure) => f.write_str(&failure.line()),
        }
    }
}

/// Spans of one source or of a part of it, in record order, and how reading them went.
pub(crate) type Part = (SpanBatch, SourceReport);

/// Bytes of a large file that are read at once.
const PIECE_BYTES: usize = 4 << 20;

/// Largest window that a zstd frame may ask for, as `zstd --long=31` writes it: 2 GiB.
const MAX_ZSTD_WINDOW_LOG: u32 = 31;

/// Reads an input and sees through gzip and zstd; `fetch` waits for an object on a server.
///
/// Size and compression go into the report, as does a compressed stream that ends early or breaks; what came before is
/// in the source.
pub(super) fn open(
    found: &Found,
    report: &mut SourceReport,
    fetch: impl Fn(&Object) -> Result<Body, Failure>,
) -> Result<Source, Closed> {
    let failed = Closed::Io;
    let mut source = Source { name: found.name.clone(), path: None, bytes: Vec::new(), spill: None, parts: None };
    match &found.origin {
        Origin::Nowhere(_) => return Err(Closed::Io(io::ErrorKind::NotFound.into())),
        Origin::File(path) => read_file(path, &mut source, report).map_err(failed)?,
        Origin::Stdin => {
            let mut raw = Vec::new();
            report.n_bytes = io::stdin().lock().read_to_end(&mut raw).map_err(failed)? as u64;
            decompress(raw, &mut source, report);
        }
        Origin::Memory(bytes) => {
            report.n_bytes = bytes.len() as u64;
            decompress(bytes.clone(), &mut source, report);
        }
        Origin::Object(object) => match fetch(object).map_err(Closed::Remote)? {
            Body::Memory(raw) => {
                report.n_bytes = raw.len() as u64;
                decompress(raw, &mut source, report);
            }
            Body::File(spill) => {
                read_file(spill.path(), &mut source, report).map_err(failed)?;
                source.spill = source.path.is_some().then_some(spill);
            }
            Body::Parts(parts) => {
                source.path = Some(parts.path());
                report.n_bytes = parts.n_bytes();
                source.parts = Some(parts);
            }
        },
    }
    Ok(source)
}

fn read_file(path: &Path, source: &mut Source, report: &mut SourceReport) -> io::Result<()> {
    source.path = Some(path.to_owned());
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut raw = Vec::with_capacity(8);
    file.by_ref().take(8).read_to_end(&mut raw)?;
    if metadata.is_file() && is_table(&raw) {
        report.n_bytes = metadata.len();
        return Ok(());
    }
    if metadata.is_file() && metadata.len() > 2 * PIECE_BYTES as u64 {
        raw = read_pieces(&file, usize::try_from(metadata.len()).unwrap_or(0))?;
        file.seek(SeekFrom::Start(raw.len() as u64))?;
    } else {
        raw.reserve_exact(usize::try_from(metadata.len()).unwrap_or(0).saturating_sub(raw.len()));
    }
    file.read_to_end(&mut raw)?;
    report.n_bytes = raw.len() as u64;
    if !metadata.is_file() {
        source.path = None;
    }
    decompress(raw, source, report);
    Ok(())
}

/// The first `n_bytes` of a file, or as many as there are, read on all cores: to find memory for them takes as long as to copy them.
#[cfg(unix)]
fn read_pieces(file: &File, n_bytes: usize) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0; n_bytes];
    let read_piece = |(index, piece): (usize, &mut [u8])| {
        let begin = index * PIECE_BYTES;
        let mut n_read = 0;
        while n_read < piece.len() {
            match file.read_at(&mut piece[n_read..], (begin + n_read) as u64) {
                Ok(0) => break,
                Ok(n) => n_read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok((n_read < piece.len()).then_some(begin + n_read))
    };
    let ends: Vec<Option<usize>> =
        bytes.par_chunks_mut(PIECE_BYTES).enumerate().map(read_piece).collect::<io::Result<_>>()?;
    // It became shorter meanwhile.
    if let Some(end) = ends.into_iter().flatten().min() {
        bytes.truncate(end);
    }
    Ok(bytes)
}

#[cfg(not(unix))]
fn read_pieces(_: &File, _: usize) -> io::Result<Vec<u8>> {
    Ok(Vec::new())
}

/// Whether a file that begins so is read from disk by column.
fn is_table(head: &[u8]) -> bool {
    head.starts_with(sniff::PARQUET) || head.starts_with(sniff::ARROW_FILE) || head.starts_with(sniff::ARROW_STREAM)
}

fn decompress(raw: Vec<u8>, source: &mut Source, report: &mut SourceReport) {
    // A skippable frame may come first, as in the files of pzstd.
    let skippable = matches!(raw.get(..4), Some([0x50..=0x5F, 0x2A, 0x4D, 0x18]));
    let result = if raw.starts_with(&sniff::GZIP) {
        "gzip".clone_into(&mut report.compression);
        flate2::read::MultiGzDecoder::new(raw.as_slice()).read_to_end(&mut source.bytes)
    } else if raw.starts_with(&sniff::ZSTD) || skippable {
        "zstd".clone_into(&mut report.compression);
        read_zstd(&raw, &mut source.bytes)
    } else {
        source.bytes = raw;
        return;
    };
    source.path = None;
    let Err(error) = result else { return };
    let read = format!("{} stream {{}} after {} bytes of content", report.compression, source.bytes.len());
    if error.kind() == io::ErrorKind::UnexpectedEof {
        report.truncated = true;
        report.notes.push(read.replace("{}", "ends early"));
    } else {
        report.error = Some(format!("{}: {error}", read.replace("{}", "breaks")));
    }
}

fn read_zstd(raw: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
    decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
    decoder.read_to_end(out)
}
