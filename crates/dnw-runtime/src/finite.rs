//! Whether numbers are finite.

/// Whether all numbers are finite. All are looked at, in vectors: that is faster than to stop at the first that is not.
pub(crate) fn all_finite(values: &[f32]) -> bool {
    !values
        .iter()
        .fold(false, |other, value| other | !value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_that_is_not_finite_is_found_anywhere() {
        for len in [0, 1, 3, 16, 37] {
            let values = vec![f32::MAX; len];
            assert!(all_finite(&values));
            for at in 0..len {
                for other in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut values = values.clone();
                    values[at] = other;
                    assert!(!all_finite(&values), "{other} at {at} of {len}");
                }
            }
        }
    }
}
