//! Formatting of numbers.

/// A number with thousands separators.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Real and possible edges; a network without wired tensors is dense.
pub fn edges(real: usize, possible: usize) -> String {
    if possible == 0 {
        return "none, the network is dense".to_owned();
    }
    let share = 100.0 * real as f64 / possible as f64;
    format!("{real} real of {possible} possible ({share:.1} %)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_needs_possible_edges() {
        assert_eq!(edges(298, 2480), "298 real of 2480 possible (12.0 %)");
        assert_eq!(edges(0, 7), "0 real of 7 possible (0.0 %)");
        assert_eq!(edges(0, 0), "none, the network is dense");
    }
}
