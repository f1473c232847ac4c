//! The checksum of a section.
//!
//! It has to find damage at gigabytes a second in plain Rust; it is no protection against a person who changes a file on purpose.

/// An odd number without pattern: the golden ratio in 64 bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The checksum of these bytes.
///
/// They are read as little-endian words of eight bytes, the last one filled up with zeros. The state starts as their count. For each word it is
/// xored with the word, multiplied by [`FACTOR`] and xored with its own upper half.
///
/// Each of these steps is a bijection of the state (the factor is odd, and a number can be recovered from itself xored with its upper half),
/// and for a given state a bijection of the word. So two inputs of one length that differ in one word have different states after that word and
/// after all that follow: a change within one word is always found, and any other one but for a chance of 2^-64.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64;
    let mut add = |word: [u8; 8]| {
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
        state ^= state >> 32;
    };
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().for_each(|&word| add(word));
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        add(word);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_can_be_undone() {
        // The inverse of an odd number modulo 2^64, by Newton's method.
        let mut inverse = 1_u64;
        for _ in 0..6 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(FACTOR.wrapping_mul(inverse)));
        }
        let word = 0x0123_4567_89ab_cdef_u64;
        let state = checksum(&word.to_le_bytes());
        let product = state ^ (state >> 32);
        assert_eq!(product.wrapping_mul(inverse) ^ 8, word);
    }

    #[test]
    fn zeros_at_the_end_are_not_the_filling_of_the_last_word() {
        assert_ne!(checksum(&[1]), checksum(&[1, 0]));
        assert_ne!(checksum(&[]), checksum(&[0]));
    }
}
