//! Walks the messages of an Arrow stream before it is decoded.
//!
//! The decoder allocates what a message says it needs. In a damaged file that may be petabytes, and a failed
//! allocation ends the process, which no error handling mends; so every length is held against the file first.

use arrow_ipc::{CompressionType, Message, RecordBatch, root_as_message};
use std::io::{Error, Read, Seek, SeekFrom};

/// What marks a message since Arrow 0.15; before, its length came first.
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// Largest buffer of one column of one batch that is decompressed: offsets of 32 bits reach half as far.
const MAX_BUFFER: u64 = 1 << 32;

/// How many bytes one compressed byte can stand for, by the formats' limits on runs.
fn max_ratio(codec: CompressionType) -> u64 {
    // LZ4 counts a match by 255 a byte; a zstd block of 4 bytes repeats one byte 128 KiB times.
    if codec == CompressionType::LZ4_FRAME { 255 } else { 1 << 15 }
}

/// Where the last whole message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) end: u64,
    /// Whether the file ends within a message.
    pub(super) truncated: bool,
}

/// Checks the messages from byte `start` to the end of the stream; an error says what is wrong where.
pub(super) fn check(input: &mut (impl Read + Seek), start: u64) -> Result<Extent, String> {
    let total = input.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    let mut at = start;
    loop {
        let failed = |error: Error| format!("at byte {at}: {error}");
        input.seek(SeekFrom::Start(at)).map_err(failed)?;
        if total - at < 8 {
            return Ok(Extent { end: at, truncated: total > at });
        }
        let mut word = four(input).map_err(failed)?;
        let mut head = 4;
        if word == CONTINUATION {
            word = four(input).map_err(failed)?;
            head = 8;
        }
        let length = u64::from(u32::from_le_bytes(word));
        if length == 0 {
            return Ok(Extent { end: at + head, truncated: false });
        }
        let body = at + head + length;
        if body > total {
            return Ok(Extent { end: at, truncated: true });
        }
        let mut metadata = vec![0; usize::try_from(length).unwrap_or(0)];
        input.read_exact(&mut metadata).map_err(failed)?;
        let message = root_as_message(&metadata).map_err(|error| format!("at byte {at}: no Arrow message: {error}"))?;
        let body_length =
            u64::try_from(message.bodyLength()).map_err(|_| format!("at byte {at}: a body of negative length"))?;
        let Some(end) = body.checked_add(body_length).filter(|&end| end <= total) else {
            return Ok(Extent { end: at, truncated: true });
        };
        if let Some(batch) = batch_of(&message) {
            check_buffers(input, batch, body, body_length).map_err(|reason| format!("at byte {at}: {reason}"))?;
        }
        at = end;
    }
}

fn four(input: &mut impl Read) -> Result<[u8; 4], Error> {
    let mut word = [0; 4];
    input.read_exact(&mut word).map(|()| word)
}

fn batch_of<'a>(message: &Message<'a>) -> Option<RecordBatch<'a>> {
    message.header_as_record_batch().or_else(|| message.header_as_dictionary_batch().and_then(|batch| batch.data()))
}

/// Checks that each buffer lies in the body and that what it decompresses to is possible.
fn check_buffers(
    input: &mut (impl Read + Seek),
    batch: RecordBatch<'_>,
    body: u64,
    body_length: u64,
) -> Result<(), String> {
    for buffer in batch.buffers().into_iter().flatten() {
        let place = u64::try_from(buffer.offset()).ok().zip(u64::try_from(buffer.length()).ok());
        let (offset, length) = place
            .filter(|&(offset, length)| offset.checked_add(length).is_some_and(|end| end <= body_length))
            .ok_or_else(|| {
                format!("a buffer of {} bytes at {} lies outside its body", buffer.length(), buffer.offset())
            })?;
        let Some(compression) = batch.compression().filter(|_| length >= 8) else { continue };
        let mut word = [0; 8];
        input
            .seek(SeekFrom::Start(body + offset))
            .and_then(|_| input.read_exact(&mut word))
            .map_err(|e| e.to_string())?;
        // A length of -1 marks a buffer left as it is.
        let expanded = i64::from_le_bytes(word);
        let limit = (length * max_ratio(compression.codec())).min(MAX_BUFFER);
        if expanded != -1 && !u64::try_from(expanded).is_ok_and(|expanded| expanded <= limit) {
            return Err(format!("a buffer of {length} bytes claims to hold {expanded}"));
        }
    }
    Ok(())
}
