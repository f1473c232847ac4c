//! The precision of a training.

use std::fmt;
use std::str::FromStr;

/// The type of floats in the forward and backward pass of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats with 11 significant bits, with a scaled loss.
    F16,
    /// 16-bit floats with 8 significant bits and the range of 32-bit floats.
    Bf16,
    /// Norms in `f32`, everything else in `bf16`, or in `f16` if a device does not support that.
    Mixed,
}

impl Precision {
    /// Every precision.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::Mixed];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of no [`Precision`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no precision `{0}`: there are f32, f16, bf16, mixed")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, UnknownPrecision> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| UnknownPrecision(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_precision_is_an_error_that_lists_the_known_ones() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse(), Ok(precision));
        }
        let refused = "fp8".parse::<Precision>().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "there is no precision `fp8`: there are f32, f16, bf16, mixed"
        );
    }
}
