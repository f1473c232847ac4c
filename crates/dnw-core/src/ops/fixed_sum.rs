//! Sums in an order that is the same on every machine.

use std::ops::AddAssign;

/// Partial sums: as many as the widest vectors have lanes, so that vectors of every width add in the same order.
const PARTS: usize = 16;

/// The sum of a term for each value.
pub(super) fn sum_of<T>(values: &[f32], term: impl Fn(f32) -> T) -> T
where
    T: AddAssign + Copy + Default,
{
    let (parts, rest) = values.as_chunks::<PARTS>();
    let mut sums = [T::default(); PARTS];
    for part in parts {
        for (sum, &value) in sums.iter_mut().zip(part) {
            *sum += term(value);
        }
    }
    let mut all = T::default();
    let rest = rest.iter().map(|&value| term(value));
    sums.into_iter().chain(rest).for_each(|sum| all += sum);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_term() {
        for length in [0u32, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (1..=length).map(|value| value as f32).collect();
            let expected = f64::from(length * (length + 1));
            assert_eq!(sum_of(&values, |value| 2.0 * f64::from(value)), expected);
        }
    }
}
