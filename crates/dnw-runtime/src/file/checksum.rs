//! The checksum of a section.
//!
//! It has to find damage at gigabytes a second in plain Rust; it is no protection against a person who changes a file on purpose.

/// An odd number without pattern: the golden ratio in 64 bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Words that are added at the same time, to states of their own: a multiplication need not wait for the one before.
const STATES: usize = 4;

/// The checksum of these bytes.
///
/// They are read as little-endian words of eight bytes, filled up with zeros to a multiple of four words. There are four states: the first starts
/// as the number of bytes, the others as zero. Each word is added to the state of its place modulo four: the state is xored with the word,
/// multiplied by [`FACTOR`] and xored with its own upper half. In the end the second, third and fourth state are added to the first as if they
/// were words.
///
/// Each of these steps is a bijection of the state (the factor is odd, and a number can be recovered from itself xored with its upper half),
/// and for a given state a bijection of the word. So two inputs of one length that differ in one word have different states after that word and
/// after all that follow: a change within one word is always found, and any other one but for a chance of 2^-64.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let mut states = [0; STATES];
    states[0] = bytes.len() as u64;
    let mut add_all = |block: &[u8; 8 * STATES]| {
        for (state, word) in states.iter_mut().zip(block.as_chunks::<8>().0) {
            *state = add(*state, u64::from_le_bytes(*word));
        }
    };
    let (blocks, rest) = bytes.as_chunks::<{ 8 * STATES }>();
    blocks.iter().for_each(&mut add_all);
    if !rest.is_empty() {
        let mut block = [0; 8 * STATES];
        block[..rest.len()].copy_from_slice(rest);
        add_all(&block);
    }
    let [first, others @ ..] = states;
    others.into_iter().fold(first, add)
}

fn add(state: u64, word: u64) -> u64 {
    let product = (state ^ word).wrapping_mul(FACTOR);
    product ^ (product >> 32)
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
        let (state, word) = (0x89ab_cdef_0123_4567, 0x0123_4567_89ab_cdef_u64);
        let added = add(state, word);
        let product = added ^ (added >> 32);
        assert_eq!(product.wrapping_mul(inverse) ^ state, word);
        assert_eq!(product.wrapping_mul(inverse) ^ word, state);
    }

    #[test]
    fn zeros_at_the_end_are_not_the_filling_of_the_last_word() {
        assert_ne!(checksum(&[1]), checksum(&[1, 0]));
        assert_ne!(checksum(&[]), checksum(&[0]));
    }

    #[test]
    fn words_that_are_exchanged_are_found() {
        let words: Vec<u8> = (0_u64..16).flat_map(u64::to_le_bytes).collect();
        for i in 0..16 {
            for j in 0..i {
                let mut changed = words.clone();
                (0..8).for_each(|byte| changed.swap(8 * i + byte, 8 * j + byte));
                assert_ne!(checksum(&changed), checksum(&words), "{i} and {j}");
            }
        }
    }
}
