use crate::diagnostics::SourceReport;
use crate::span::SpanBatch;
use std::path::PathBuf;

/// One input after decompression.
#[derive(Debug)]
pub(crate) struct Source {
    /// How the user names it: its path, or `-`.
    pub(crate) name: String,
    /// The file on disk if it is not compressed, so that a table reader can read only the columns it needs.
    pub(crate) path: Option<PathBuf>,
    /// The content, decompressed; empty for a Parquet or Arrow file that has a `path`.
    pub(crate) bytes: Vec<u8>,
}

/// Spans of one source or of a part of it, in record order, and how reading them went.
pub(crate) type Part = (SpanBatch, SourceReport);
