//! The file: a head of 32 bytes, then the profile as [zstd](https://facebook.github.io/zstd/).
//!
//! ```text
//! SUSPECTP  version u32  zero u32  length u64  checksum u64  zstd ...
//! ```
//!
//! Numbers are little-endian; length and checksum (FNV-1a) are of the bytes before compression. A file of another version is refused: a
//! profile is cheap to make again.

use super::Profile;
use super::layout;
use crate::error::Error;
use std::io::Read;
use std::path::Path;

/// The first bytes of a profile.
pub const MAGIC: &[u8; 8] = b"SUSPECTP";
/// Version of the format.
pub const FORMAT_VERSION: u32 = 4;
/// Length of the head.
const HEAD: usize = 32;
/// Slow enough to be small: a million cells take 2 s.
const LEVEL: i32 = 12;
/// No more content than this for each byte of the file: a thousand is what zstd makes of zeros in its blocks.
const MAX_RATIO: u64 = 4_000;

/// What helps against most.
const AGAIN: &str = "make it again with `suspect profile`, or copy it again";

/// Whether a file that begins with these bytes is a profile.
#[must_use]
pub fn is_profile(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// The profile as a file's bytes, the same for the same profile.
///
/// # Errors
/// [`Error::Io`] if zstd fails, which only want of memory makes it do.
pub fn write(profile: &Profile) -> Result<Vec<u8>, Error> {
    let content = layout::encode(profile);
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&(content.len() as u64).to_le_bytes());
    file.extend_from_slice(&checksum(&content).to_le_bytes());
    let packed = zstd::bulk::compress(&content, LEVEL).map_err(|source| Error::Io {
        action: "compress",
        path: "the profile".into(),
        source,
    })?;
    file.extend_from_slice(&packed);
    Ok(file)
}

/// The profile in a file's bytes; `path` is for messages.
///
/// # Errors
/// [`Error::Profile`] for bytes that are no profile, cut off, changed, or of another version.
pub fn read(bytes: &[u8], path: &Path) -> Result<Profile, Error> {
    let broken = |reason: &str, hint: &str| Error::Profile {
        path: path.to_owned(),
        reason: reason.to_owned(),
        hint: hint.to_owned(),
    };
    if !is_profile(bytes) {
        return Err(broken("it is no profile", "make one with `suspect profile SPANS -o FILE`"));
    }
    let word = |at: usize| bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes);
    let head = (word(8), word(16), word(24));
    let (Some(version), Some(length), Some(expected)) = head else {
        return Err(broken("it ends early", AGAIN));
    };
    if version != u64::from(FORMAT_VERSION) {
        let reason = format!("it has format version {version}, and this program reads {FORMAT_VERSION}");
        return Err(broken(&reason, "make it again with this `suspect profile`, or use the version that made it"));
    }
    let packed = &bytes[HEAD..];
    if length > (packed.len() as u64).saturating_mul(MAX_RATIO) {
        return Err(broken("it claims more content than it can hold", AGAIN));
    }
    // Grows with what is there; one byte more shows content beyond its length.
    let mut content = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(packed);
    let result = decoder.and_then(|decoder| decoder.single_frame().take(length + 1).read_to_end(&mut content));
    if result.is_err() || content.len() as u64 != length || checksum(&content) != expected {
        return Err(broken("it is cut off or damaged", AGAIN));
    }
    let profile = layout::decode(&content).map_err(|reason| broken(reason, AGAIN))?;
    // Nothing may follow the one frame.
    if zstd::zstd_safe::find_frame_compressed_size(packed).ok() != Some(packed.len()) {
        return Err(broken("something follows its end", AGAIN));
    }
    if profile.traces.is_empty() {
        return Err(broken("it holds no trace", "make it again from spans"));
    }
    Ok(profile)
}
