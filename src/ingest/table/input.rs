//! Bytes of a Parquet file for its reader: from disk piece by piece, or from memory.

use crate::error::Error;
use crate::ingest::source::Source;
use bytes::{Buf, Bytes};
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Where the bytes of a table lie.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Path(PathBuf),
    Memory(Bytes),
}

impl Input {
    /// The file of `source`, or its bytes if it has none.
    pub(super) fn new(source: &Source) -> Self {
        match &source.path {
            Some(path) => Self::Path(path.clone()),
            None => Self::Memory(Bytes::copy_from_slice(&source.bytes)),
        }
    }

    /// Opens it for one reader: handles on one open file share its position, so each thread needs its own.
    pub(super) fn open(&self) -> Result<Opened, Error> {
        match self {
            Self::Memory(bytes) => Ok(Opened::Memory(bytes.clone())),
            Self::Path(path) => File::open(path).map(Opened::File).map_err(|source| Error::Io {
                action: "read",
                path: path.clone(),
                source,
            }),
        }
    }
}

/// An open [`Input`].
#[derive(Debug)]
pub(super) enum Opened {
    File(File),
    Memory(Bytes),
}

impl Length for Opened {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => file.len(),
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }
}

impl ChunkReader for Opened {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(match self {
            Self::File(file) => Box::new(file.get_read(start)?),
            Self::Memory(bytes) => {
                let mut rest = bytes.clone();
                rest.advance(usize::try_from(start)?.min(bytes.len()));
                Box::new(rest.reader())
            }
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        // A damaged footer may ask for any range; it must not be allocated before it is known to exist.
        let end = start.checked_add(length as u64).filter(|&end| end <= self.len());
        let Some(end) = end else {
            let message = format!("{length} bytes at {start} lie beyond the end of the file");
            return Err(parquet::errors::ParquetError::EOF(message));
        };
        match self {
            Self::File(file) => file.get_bytes(start, length),
            Self::Memory(bytes) => Ok(bytes.slice(usize::try_from(start)?..usize::try_from(end)?)),
        }
    }
}
