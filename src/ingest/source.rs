use super::discover::{Found, Origin};
use super::sniff;
use super::stretch::{Counting, Rest};
use crate::diagnostics::SourceReport;
use crate::error::Error;
use crate::span::SpanBatch;
use crate::store::{Body, Failure, Object, Parts, Spill};
use flate2::bufread::GzDecoder;
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One input after decompression.
#[derive(Debug)]
pub(crate) struct Source {
    /// How the user names it: its path, or `-`.
    pub(crate) name: String,
    /// The file on disk if it is not compressed, so that a table reader can read only the columns it needs.
    pub(crate) path: Option<PathBuf>,
    /// The content, decompressed, or the first of it if there is a `rest`; empty for a Parquet or Arrow file that has a `path`.
    pub(crate) bytes: Vec<u8>,
    /// What follows, if it is too long to be held.
    pub(crate) rest: Option<Rest>,
    /// Content up to this size is held as a whole, if it is not compressed.
    pub(crate) held_bytes: usize,
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

impl From<io::Error> for Closed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
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

/// First bytes of an input that tell how it is compressed.
const HEAD_BYTES: usize = 8;

/// Bytes of a compressed input that are taken at a time.
const PACKED_BYTES: usize = 1 << 18;

/// Largest window that a zstd frame may ask for, as `zstd --long=31` writes it: 2 GiB.
const MAX_ZSTD_WINDOW_LOG: u32 = 31;

/// Opens an input and sees through gzip and zstd; `fetch` waits for an object on a server.
///
/// Content of up to `held_bytes` is read, of more the first. Size and compression go into the report, as does a compressed stream that
/// ends early or breaks; what came before is in the source.
pub(super) fn open(
    found: &Found,
    held_bytes: usize,
    report: &mut SourceReport,
    fetch: impl Fn(&Object) -> Result<Body, Failure>,
) -> Result<Source, Closed> {
    let mut source = Source {
        name: found.name.clone(),
        path: None,
        bytes: Vec::new(),
        rest: None,
        held_bytes,
        spill: None,
        parts: None,
    };
    match &found.origin {
        Origin::Nowhere(_) => return Err(Closed::Io(io::ErrorKind::NotFound.into())),
        Origin::File(path) => read_file(path, &mut source, report)?,
        Origin::Stdin => begin(io::stdin(), &mut source, report)?,
        Origin::Memory(bytes) => {
            report.n_bytes = bytes.len() as u64;
            begin(Cursor::new(bytes.clone()), &mut source, report)?;
        }
        Origin::Object(object) => match fetch(object).map_err(Closed::Remote)? {
            Body::Memory(raw) => {
                report.n_bytes = raw.len() as u64;
                begin(Cursor::new(raw), &mut source, report)?;
            }
            Body::File(spill) => {
                read_file(spill.path(), &mut source, report)?;
                source.spill = (source.path.is_some() || source.rest.is_some()).then_some(spill);
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

fn read_file(path: &Path, source: &mut Source, report: &mut SourceReport) -> Result<(), Closed> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut head = Vec::with_capacity(HEAD_BYTES);
    file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let n_bytes = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if metadata.is_file() {
        source.path = Some(path.to_owned());
        report.n_bytes = metadata.len();
        if is_table(&head) {
            return Ok(());
        }
    }
    if !metadata.is_file() || n_bytes > source.held_bytes || compression(&head).is_some() {
        return begin(Cursor::new(head).chain(file), source, report);
    }
    let mut raw = if n_bytes > 2 * PIECE_BYTES { read_pieces(&file, n_bytes)? } else { Vec::with_capacity(n_bytes) };
    file.seek(SeekFrom::Start(raw.len() as u64))?;
    file.read_to_end(&mut raw)?;
    report.n_bytes = raw.len() as u64;
    source.bytes = raw;
    Ok(())
}

/// The members of a gzip stream, one after the other; zeros after a member are padding, as tapes and block devices have it.
struct Members<R: BufRead>(Option<GzDecoder<R>>);

impl<R: BufRead> Members<R> {
    fn new(raw: R) -> Self {
        Self(Some(GzDecoder::new(raw)))
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let n_bytes = member.read(out)?;
            if n_bytes > 0 || out.is_empty() {
                return Ok(n_bytes);
            }
            let Some(mut raw) = self.0.take().map(GzDecoder::into_inner) else { break };
            if !pass_zeros(&mut raw)? {
                self.0 = Some(GzDecoder::new(raw));
            }
        }
        Ok(0)
    }
}

/// Passes over zeros; whether there is nothing else.
fn pass_zeros(raw: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let held = raw.fill_buf()?;
        let n_zeros = held.iter().take_while(|&&byte| byte == 0).count();
        let (is_end, is_other) = (held.is_empty(), n_zeros < held.len());
        raw.consume(n_zeros);
        if is_end || is_other {
            return Ok(is_end);
        }
    }
}

/// Reads the first of the content, all of it if it is not long.
fn begin(
    mut raw: impl Read + Send + Sync + 'static,
    source: &mut Source,
    report: &mut SourceReport,
) -> Result<(), Closed> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    raw.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let compression = compression(&head);
    let n_raw = Arc::default();
    let raw = Counting { inner: Cursor::new(head).chain(raw), n_bytes: Arc::clone(&n_raw) };
    let reader: Box<dyn Read + Send + Sync> = match compression {
        None => Box::new(raw),
        Some("gzip") => Box::new(Members::new(io::BufReader::with_capacity(PACKED_BYTES, raw))),
        Some(_) => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(io::BufReader::with_capacity(PACKED_BYTES, raw))?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    };
    if let Some(compression) = compression {
        compression.clone_into(&mut report.compression);
        source.path = None;
    }
    let mut rest = Rest::new(reader, n_raw);
    // Of a long file more would only be in the way, and what is compressed is parsed while more of it is decompressed.
    let n_first = match compression {
        Some(_) => source.held_bytes / 32,
        None if report.n_bytes > source.held_bytes as u64 => source.held_bytes / 4,
        None => source.held_bytes,
    };
    rest.fill(&mut source.bytes, n_first.max(1));
    if compression.is_none()
        && let Some(error) = rest.failure()
    {
        return Err(error.into());
    }
    if rest.is_end() {
        rest.tell(report);
    } else {
        source.rest = Some(rest);
    }
    Ok(())
}

/// How a content that begins so is compressed.
fn compression(head: &[u8]) -> Option<&'static str> {
    // A skippable frame may come first, as in the files of pzstd.
    let is_skippable = matches!(head.get(..4), Some([0x50..=0x5F, 0x2A, 0x4D, 0x18]));
    if head.starts_with(&sniff::GZIP) {
        Some("gzip")
    } else {
        (head.starts_with(&sniff::ZSTD) || is_skippable).then_some("zstd")
    }
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
