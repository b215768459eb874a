//! Numbers in as few bytes as they need, their lengths told apart from them.

/// Bytes that `value` needs, 0 to 8.
#[must_use]
#[inline]
pub fn n_bytes(value: u64) -> u8 {
    8 - value.leading_zeros().to_le_bytes()[0] / 8
}

/// Appends the lowest `n_bytes` bytes of `value`, the lowest first.
#[inline]
pub fn put(value: u64, n_bytes: u8, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&value.to_le_bytes()[..usize::from(n_bytes)]);
}

/// Takes a number of `n_bytes` bytes, 8 at most, off the front of `bytes`, which begin with it.
#[must_use]
#[inline]
pub fn take(n_bytes: u8, bytes: &mut &[u8]) -> u64 {
    let n = usize::from(n_bytes);
    let value = match bytes.first_chunk::<8>() {
        Some(&all) => u64::from_le_bytes(all) & MASK[n],
        None => bytes[..n].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)),
    };
    *bytes = &bytes[n..];
    value
}

/// The lowest bytes, by how many.
const MASK: [u64; 9] = {
    let mut mask = [u64::MAX; 9];
    let mut n = 0;
    while n < 8 {
        mask[n] = (1 << (8 * n)) - 1;
        n += 1;
    }
    mask
};

/// A number that is small if `value` is near zero on either side.
#[must_use]
#[inline]
pub fn folded(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// The number that [`folded`] made this of.
#[must_use]
#[inline]
pub fn unfolded(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::{folded, n_bytes, put, take, unfolded};

    #[test]
    fn numbers_come_back_from_as_many_bytes_as_they_need() {
        let numbers = [0, 1, -1, 127, -128, 128, 1 << 40, -(1 << 55), i64::MAX, i64::MIN];
        let lengths = numbers.map(|number| n_bytes(folded(number)));
        assert_eq!(lengths, [0, 1, 1, 1, 1, 2, 6, 7, 8, 8]);
        let mut bytes = Vec::new();
        for (number, length) in numbers.into_iter().zip(lengths) {
            put(folded(number), length, &mut bytes);
        }
        let mut left = bytes.as_slice();
        assert_eq!(lengths.map(|length| unfolded(take(length, &mut left))), numbers);
        assert!(left.is_empty());
    }
}
