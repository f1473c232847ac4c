//! The environment variables that select between kernels: `DNW_SIMD` and `DNW_PRODUCTS`.
//!
//! `DNW_SIMD` (`avx512`, `avx2`, `baseline`) selects narrower instructions than the machine has, so that each copy of a loop can be tested on
//! one machine, and results of one machine can be reproduced on another. `DNW_PRODUCTS` (`edges`, `dense`) computes every product in one way.
//! An empty value is none.
//!
//! A kernel never fails because of a value that it cannot use, because that would end a training in the middle. It then works as without the
//! variable and logs a warning. A program calls [`check`] when it starts, and refuses such a value there.

use std::fmt;
use std::sync::OnceLock;

/// Vector instructions that every kernel has a copy for, from narrow to wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// What the compiler's target always has: SSE2 on x86-64, NEON on AArch64.
    Baseline,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 (F, VL, BW, DQ) with fused multiply-add.
    Avx512,
}

impl InstructionSet {
    const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Baseline];

    /// The value of `DNW_SIMD` that selects it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The widest that this machine has.
    pub fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("fma")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }

    /// What the kernels of this process use: the widest, or what `DNW_SIMD` selects. It is decided once.
    pub fn in_use() -> Self {
        static IN_USE: OnceLock<InstructionSet> = OnceLock::new();
        *IN_USE.get_or_init(|| {
            let widest = Self::widest();
            usable(simd(non_empty_variable(SIMD).as_deref(), widest)).unwrap_or(widest)
        })
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline if cfg!(target_arch = "x86_64") => "SSE2",
            Self::Baseline if cfg!(target_arch = "aarch64") => "NEON",
            Self::Baseline => "the baseline of the target",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}

const SIMD: &str = "DNW_SIMD";
const PRODUCTS: &str = "DNW_PRODUCTS";

/// A value of an environment variable that the kernels cannot use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// The variable has no such value.
    #[error("the environment variable {variable} is `{value}`, which is not one of its values: it can be {}", in_words(.possible))]
    Unknown {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it can be on this machine.
        possible: Vec<&'static str>,
    },
    /// This machine lacks the instructions.
    #[error("the environment variable DNW_SIMD is `{value}`, which this machine lacks: it can be {}", in_words(.possible))]
    Lacking {
        /// The value of `DNW_SIMD`.
        value: &'static str,
        /// What it can be on this machine.
        possible: Vec<&'static str>,
    },
}

impl SettingError {
    /// What to do about it.
    pub fn help(&self) -> String {
        let (variable, without) = match self {
            Self::Unknown {
                variable: PRODUCTS, ..
            } => (PRODUCTS, "the faster way is chosen for each product"),
            _ => (SIMD, "the widest instructions of the machine are used"),
        };
        format!("set {variable} to one of these, or unset it: then {without}")
    }
}

fn in_words(values: &[&str]) -> String {
    match values {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => format!("`{}` or `{last}`", first.join("`, `")),
    }
}

/// Whether the kernels can use `DNW_SIMD` and `DNW_PRODUCTS` as they are set.
///
/// # Errors
/// [`SettingError`] for the first that they cannot use.
pub fn check() -> Result<(), SettingError> {
    simd(
        non_empty_variable(SIMD).as_deref(),
        InstructionSet::widest(),
    )?;
    products(non_empty_variable(PRODUCTS).as_deref())?;
    Ok(())
}

/// How `DNW_PRODUCTS` says that every product is computed, if it says so: true for dense. It is decided once.
#[cfg(feature = "training")]
pub(crate) fn forced_products() -> Option<bool> {
    static FORCED: OnceLock<Option<bool>> = OnceLock::new();
    *FORCED.get_or_init(|| usable(products(non_empty_variable(PRODUCTS).as_deref())))
}

/// The value of a variable; text that is not Unicode is no value of either, and is shown as well as it can be.
fn non_empty_variable(variable: &str) -> Option<String> {
    let value = std::env::var_os(variable)?;
    Some(value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

/// What a variable selects; nothing, with a warning, if it cannot be used.
fn usable<T>(selected: Result<Option<T>, SettingError>) -> Option<T> {
    selected.unwrap_or_else(|error| {
        tracing::warn!("{error}; it is ignored");
        None
    })
}

/// What a value of `DNW_SIMD` selects on a machine with instructions up to `widest`.
fn simd(
    value: Option<&str>,
    widest: InstructionSet,
) -> Result<Option<InstructionSet>, SettingError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let all = InstructionSet::ALL;
    let possible = || {
        let here = all.into_iter().filter(|&set| set <= widest);
        here.map(InstructionSet::name).collect()
    };
    match all.into_iter().find(|set| set.name() == value) {
        Some(set) if set <= widest => Ok(Some(set)),
        Some(set) => Err(SettingError::Lacking {
            value: set.name(),
            possible: possible(),
        }),
        None => Err(SettingError::Unknown {
            variable: SIMD,
            value: value.to_owned(),
            possible: possible(),
        }),
    }
}

/// What a value of `DNW_PRODUCTS` selects: true for dense.
fn products(value: Option<&str>) -> Result<Option<bool>, SettingError> {
    match value {
        None => Ok(None),
        Some("edges") => Ok(Some(false)),
        Some("dense") => Ok(Some(true)),
        Some(value) => Err(SettingError::Unknown {
            variable: PRODUCTS,
            value: value.to_owned(),
            possible: vec!["edges", "dense"],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InstructionSet::{Avx2, Avx512, Baseline};

    #[test]
    fn a_value_selects_instructions_that_the_machine_has() {
        for widest in [Baseline, Avx2, Avx512] {
            assert_eq!(simd(None, widest), Ok(None));
            assert_eq!(simd(Some("baseline"), widest), Ok(Some(Baseline)));
        }
        assert_eq!(simd(Some("avx2"), Avx2), Ok(Some(Avx2)));
        assert_eq!(simd(Some("avx2"), Avx512), Ok(Some(Avx2)));
        assert_eq!(simd(Some("avx512"), Avx512), Ok(Some(Avx512)));
        assert!(InstructionSet::in_use() <= InstructionSet::widest());
    }

    #[test]
    fn other_values_are_errors_that_list_what_the_machine_has() {
        let message = |value, widest| simd(Some(value), widest).unwrap_err().to_string();
        assert_eq!(
            message("sse9", Avx2),
            "the environment variable DNW_SIMD is `sse9`, which is not one of its values: it can be `avx2` or `baseline`"
        );
        assert_eq!(
            message("avx512", Avx2),
            "the environment variable DNW_SIMD is `avx512`, which this machine lacks: it can be `avx2` or `baseline`"
        );
        assert_eq!(
            message("avx2", Baseline),
            "the environment variable DNW_SIMD is `avx2`, which this machine lacks: it can be `baseline`"
        );
        for near in ["AVX2", " avx2", "avx-512", "0"] {
            assert!(message(near, Avx512).ends_with("it can be `avx512`, `avx2` or `baseline`"));
        }
        assert_eq!(
            products(Some("sparse")).unwrap_err().to_string(),
            "the environment variable DNW_PRODUCTS is `sparse`, which is not one of its values: it can be `edges` or `dense`"
        );
    }

    #[test]
    fn each_way_to_make_a_product_has_its_value() {
        let found = [Some("edges"), Some("dense"), None].map(products);
        assert_eq!(found, [Ok(Some(false)), Ok(Some(true)), Ok(None)]);
    }

    #[test]
    fn kernels_pass_over_a_value_that_they_cannot_use() {
        assert_eq!(usable(simd(Some("avx512"), Avx2)), None);
        assert_eq!(usable(products(Some("x"))), None);
    }
}
