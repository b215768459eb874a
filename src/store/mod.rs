//! Object storage: finds objects on a server by `s3://`, `gs://`, `az://` and `http(s)://` addresses, and fetches them.
//!
//! An address is a path like any other: it names an object, a folder (a prefix of keys) or a pattern; on a web server only
//! an object. Objects are fetched a few at a time ahead of who reads them, small ones into memory, large ones into a file
//! that is gone afterwards. Of large Parquet objects only what is read of them is fetched.
//!
//! Servers are tried again where that may help, and given up where it did not. What went wrong is told in the user's
//! words ([`Failure`]), and no secret of an address is part of it.

mod address;
mod ahead;
mod aws_profile;
mod connect;
mod failure;
mod fetch;
mod http;
mod list;
mod parts;
mod spill;

pub use address::{is_remote, shown, unknown};
pub use ahead::Ahead;
pub use failure::Failure;
pub use fetch::Body;
pub use list::{Object, list};
pub use parts::Parts;
pub use spill::Spill;

use crate::error::Error;
use address::{Address, Service};
use futures_util::StreamExt;
use object_store::ObjectStoreExt;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::AtomicU64;

/// The content of a file, or of the object that an address names.
///
/// # Errors
/// [`Error::Io`] and [`Error::Remote`].
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    if !is_remote(path) {
        return std::fs::read(path).map_err(failed);
    }
    let address = Address::parse(path).map_err(|reason| Failure::of(reason).into_error(path))?;
    let body = connect::wait(async move {
        let object = list::named(address).await?;
        fetch::download(&object, &AtomicU64::new(0)).await
    });
    match body.map_err(|failure| failure.into_error(path))? {
        Body::Memory(bytes) => Ok(bytes),
        Body::File(file) => std::fs::read(file.path()).map_err(failed),
        Body::Parts(parts) => {
            parts.need(std::iter::once(0..parts.n_bytes())).map_err(|failure| failure.into_error(path))?;
            std::fs::read(parts.path()).map_err(failed)
        }
    }
}

/// The first bytes of a file or object, at most `n_bytes`; empty for a folder, a pattern, a pipe, or what is not there.
///
/// # Errors
/// [`Error::Remote`] if a server cannot be reached, which would only be waited for again.
pub fn head(path: &Path, n_bytes: u64) -> Result<Vec<u8>, Error> {
    if !is_remote(path) {
        let mut head = Vec::new();
        // Only of files: a pipe could not be read again.
        let file = path.metadata().ok().filter(std::fs::Metadata::is_file).and_then(|_| std::fs::File::open(path).ok());
        let read = file.and_then(|file| file.take(n_bytes).read_to_end(&mut head).ok());
        return Ok(read.map_or_else(Vec::new, |_| head));
    }
    let Ok(address) = Address::parse(path) else { return Ok(Vec::new()) };
    let result = connect::wait(async move {
        if address.service == Service::Http {
            let mut head = Vec::new();
            let mut body = http::get(&address, Some(n_bytes)).await?;
            while let (true, Some(Ok(part))) = ((head.len() as u64) < n_bytes, body.next().await) {
                head.extend_from_slice(&part);
            }
            return Ok(head);
        }
        let object = list::named(address).await?;
        let (Some(store), 1..) = (&object.store, object.n_bytes) else { return Ok(Vec::new()) };
        let part = store.get_range(&object.key, 0..n_bytes.min(object.n_bytes)).await;
        part.map(Vec::from).map_err(|error| Failure::of_request(&object.address, &error))
    });
    match result {
        Ok(mut head) => {
            head.truncate(usize::try_from(n_bytes).unwrap_or(usize::MAX));
            Ok(head)
        }
        Err(failure) if failure.is_out_of_reach() => Err(failure.into_error(path)),
        Err(_) => Ok(Vec::new()),
    }
}
