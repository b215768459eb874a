//! Walks the messages of an Arrow file or stream before it is decoded.
//!
//! The decoder allocates what a message says it needs. In a damaged file that may be petabytes, and a failed
//! allocation ends the process, which no error handling mends; so every length is held against the file first.

use arrow_ipc::{CompressionType, Message, RecordBatch, root_as_footer, root_as_message};
use std::io::{Error, Read, Seek, SeekFrom};

/// The first bytes of the file format, and its last; a stream begins with a message.
pub(super) const FILE_MAGIC: &[u8; 6] = b"ARROW1";
/// What marks a message since Arrow 0.15; before, its length came first.
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// Largest buffer of one column of one batch that is decompressed: offsets of 32 bits reach half as far.
const MAX_BUFFER: u64 = 1 << 32;

/// How many bytes one compressed byte can stand for, by the formats' limits on runs.
fn max_ratio(codec: CompressionType) -> u64 {
    // LZ4 counts a match by 255 a byte; a zstd block of 4 bytes repeats one byte 128 KiB times.
    if codec == CompressionType::LZ4_FRAME { 255 } else { 1 << 15 }
}

/// Where the last whole message of a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) end: u64,
    /// Whether the input ends within a message.
    pub(super) truncated: bool,
}

/// Checks the messages from byte `start` to the end of the stream; an error says what is wrong where.
pub(super) fn stream(input: &mut (impl Read + Seek), start: u64) -> Result<Extent, String> {
    let total = input.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    let mut at = start;
    loop {
        match message(input, at, total).map_err(|reason| format!("at byte {at}: {reason}"))? {
            Step::Message { end } => at = end,
            Step::End { end } => return Ok(Extent { end, truncated: false }),
            Step::Cut => return Ok(Extent { end: at, truncated: total > at }),
        }
    }
}

/// Checks the batches that the footer of a file lists; `None` if the file has no footer.
pub(super) fn file(input: &mut (impl Read + Seek)) -> Result<Option<()>, String> {
    let total = input.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    let Some(footer) = footer(input, total) else { return Ok(None) };
    let Ok(footer) = root_as_footer(&footer) else { return Ok(None) };
    for block in footer.dictionaries().into_iter().chain(footer.recordBatches()).flatten() {
        let place = u64::try_from(block.offset()).ok().zip(u64::try_from(block.bodyLength()).ok());
        let end = place.zip(u64::try_from(block.metaDataLength()).ok()).and_then(|((offset, body), metadata)| {
            offset.checked_add(metadata)?.checked_add(body).filter(|&end| end <= total)
        });
        let (Some((at, _)), Some(_)) = (place, end) else {
            return Err(format!("its footer places a batch at byte {}, beyond its end", block.offset()));
        };
        match message(input, at, total).map_err(|reason| format!("at byte {at}: {reason}"))? {
            Step::Message { .. } => {}
            Step::End { .. } | Step::Cut => return Err(format!("at byte {at}: no whole Arrow message")),
        }
    }
    Ok(Some(()))
}

/// The footer of a file, which ends with its length and the magic.
fn footer(input: &mut (impl Read + Seek), total: u64) -> Option<Vec<u8>> {
    input.seek(SeekFrom::Start(total.checked_sub(10)?)).ok()?;
    let length = u64::from(u32::from_le_bytes(four(input).ok()?));
    let mut magic = [0; FILE_MAGIC.len()];
    input.read_exact(&mut magic).ok().filter(|()| magic == *FILE_MAGIC)?;
    input.seek(SeekFrom::Start((total - 10).checked_sub(length)?)).ok()?;
    let mut footer = vec![0; usize::try_from(length).ok()?];
    input.read_exact(&mut footer).ok()?;
    Some(footer)
}

/// What stands at some place of a stream.
enum Step {
    /// A message, whose body ends here.
    Message { end: u64 },
    /// The mark of the end.
    End { end: u64 },
    /// The begin of a message, or nothing.
    Cut,
}

/// Checks the message at byte `at` of an input of `total` bytes.
fn message(input: &mut (impl Read + Seek), at: u64, total: u64) -> Result<Step, String> {
    let failed = |error: Error| error.to_string();
    if total.saturating_sub(at) < 8 {
        return Ok(Step::Cut);
    }
    input.seek(SeekFrom::Start(at)).map_err(failed)?;
    let mut word = four(input).map_err(failed)?;
    let mut head = 4;
    if word == CONTINUATION {
        word = four(input).map_err(failed)?;
        head = 8;
    }
    let length = u64::from(u32::from_le_bytes(word));
    if length == 0 {
        return Ok(Step::End { end: at + head });
    }
    let body = at + head + length;
    if body > total {
        return Ok(Step::Cut);
    }
    let mut metadata = vec![0; usize::try_from(length).unwrap_or(0)];
    input.read_exact(&mut metadata).map_err(failed)?;
    let message = root_as_message(&metadata).map_err(|error| format!("no Arrow message: {}", one_line(error)))?;
    let body_length = u64::try_from(message.bodyLength()).map_err(|_| "a body of negative length".to_owned())?;
    let Some(end) = body.checked_add(body_length).filter(|&end| end <= total) else { return Ok(Step::Cut) };
    if let Some(batch) = batch_of(&message) {
        check_buffers(input, batch, body, body_length)?;
    }
    Ok(Step::Message { end })
}

fn one_line(error: impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
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
