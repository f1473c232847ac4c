//! The types of numbers that a training can be asked to compute in.

use std::fmt;
use std::str::FromStr;

/// In which numbers a network is computed while it is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats of 11 significant bits, with a scaled loss.
    F16,
    /// 16-bit floats of 8 significant bits and the range of 32-bit ones.
    Bf16,
    /// Norms in `f32`, everything else in `bf16`, or in `f16` where a device does not have that.
    Mixed,
}

impl Precision {
    /// All of them.
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

/// A name that is that of no [`Precision`].
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
    fn names_are_read_and_others_refused_with_those_there_are() {
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
