use super::address::Address;
use super::connect::{MAX_RETRIES, STALL_TIMEOUT, pause};
use super::failure::{Failure, Kind};
use super::http;
use super::list::Object;
use super::parts::Parts;
use super::spill::Spill;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::ObjectStoreExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// An object of more bytes waits on disk, so that what is fetched ahead stays small.
const MAX_IN_MEMORY: usize = 16 << 20;

/// The content of an object.
#[derive(Debug)]
pub enum Body {
    /// A small one.
    Memory(Vec<u8>),
    /// A large one, in a file that is gone when this is dropped.
    File(Spill),
    /// A large one of columns, in such a file, as far as it was asked for.
    Parts(Parts),
}

/// Fetches an object, a large Parquet one only as far as it is asked for; `n_arrived` grows by the bytes that have come in.
///
/// A server that fails is asked again; so is one that breaks off within the object, from the object's start.
pub(super) async fn download(object: &Object, n_arrived: &AtomicU64) -> Result<Body, Failure> {
    if object.n_bytes > MAX_IN_MEMORY as u64
        && object.key.as_ref().ends_with(".parquet")
        && let Some(parts) = Parts::open(object).await?
    {
        return Ok(Body::Parts(parts));
    }
    let mut n_retries = 0;
    loop {
        let mut stream = open(object).await?;
        match receive(&object.address, &mut stream, n_arrived).await {
            Err(failure) if failure.kind == Kind::Passing && n_retries < MAX_RETRIES => {
                n_retries += 1;
                tokio::time::sleep(pause(n_retries)).await;
            }
            // Each of them was answered, if not to the end.
            Err(failure) if failure.kind == Kind::Passing => return Err(failure.after(n_retries + 1)),
            result => return result,
        }
    }
}

/// The object's bytes as they come in.
type Stream = BoxStream<'static, Result<Bytes, Failure>>;

async fn open(object: &Object) -> Result<Stream, Failure> {
    let address = object.address.clone();
    let Some(store) = &object.store else {
        let body = http::get(&address, None).await?;
        let broken = move |error| Failure::of_http(&address, &error, &address.bucket, 0);
        return Ok(body.map(move |part| part.map_err(&broken)).boxed());
    };
    let answer = tokio::time::timeout(STALL_TIMEOUT, store.get(&object.key)).await;
    let answer = answer.map_err(|_| Failure::stalled(&address))?;
    let stream = answer.map_err(|error| Failure::of_request(&address, &error))?.into_stream();
    Ok(stream.map(move |part| part.map_err(|error| Failure::of_request(&address, &error))).boxed())
}

async fn receive(address: &Address, stream: &mut Stream, n_arrived: &AtomicU64) -> Result<Body, Failure> {
    let mut memory = Vec::new();
    let mut file: Option<Spill> = None;
    let mut n_bytes = 0;
    let result = loop {
        let part = match tokio::time::timeout(STALL_TIMEOUT, stream.next()).await {
            Ok(Some(Ok(part))) => part,
            Ok(Some(Err(failure))) => break Err(failure),
            Ok(None) => break Ok(()),
            Err(_) => break Err(Failure::stalled(address)),
        };
        n_arrived.fetch_add(part.len() as u64, Ordering::Relaxed);
        n_bytes += part.len() as u64;
        if file.is_none() && memory.len() + part.len() > MAX_IN_MEMORY {
            match Spill::holding(&memory) {
                Ok(spill) => file = Some(spill),
                Err(failure) => break Err(failure),
            }
            memory = Vec::new();
        }
        match &mut file {
            None => memory.extend_from_slice(&part),
            Some(file) => {
                if let Err(failure) = file.append(&part) {
                    break Err(failure);
                }
            }
        }
    };
    if let Err(failure) = result {
        // They will come again.
        n_arrived.fetch_sub(n_bytes, Ordering::Relaxed);
        return Err(failure);
    }
    Ok(file.map_or(Body::Memory(memory), Body::File))
}
