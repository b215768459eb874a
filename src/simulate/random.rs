//! Random numbers by key: a draw depends on what it is for, never on what was drawn before it.
//!
//! The key of a draw is made of the seed, the request, the path of calls to it and its purpose. To switch a fault off then
//! changes no other draw, so that two runs differ by the fault alone. Keys are mixed by the finaliser of `SplitMix64`
//! (Steele, Lea and Flood, 2014), and a key is the seed of that generator where a law needs more than one number.

use rand_core::{Infallible, TryRng};

/// Increment of `SplitMix64`: 2^64 over the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn finalise(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The key of `part` below `key`.
#[must_use]
pub fn mix(key: u64, part: u64) -> u64 {
    finalise(key.rotate_left(23) ^ finalise(part.wrapping_add(GOLDEN)).wrapping_mul(GOLDEN))
}

/// A number in `[0, 1)` with 53 random bits.
#[must_use]
pub fn uniform(key: u64) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    (finalise(key.wrapping_add(GOLDEN)) >> 11) as f64 * STEP
}

/// A stream of numbers by one key, for laws that draw several.
#[derive(Clone, Copy, Debug)]
pub struct Keyed(pub u64);

impl Keyed {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        finalise(self.0)
    }
}

impl TryRng for Keyed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}
