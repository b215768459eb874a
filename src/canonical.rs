//! STAND-IN until the canonical writer is merged.

use crate::{error::Error, span::SpanFrame};
use std::path::Path;

/// Writes nothing.
pub fn write(_frame: &SpanFrame, path: &Path, _force: bool) -> Result<(), Error> {
    let source = std::io::Error::other("not yet wired");
    Err(Error::Io { action: "write", path: path.to_owned(), source })
}
