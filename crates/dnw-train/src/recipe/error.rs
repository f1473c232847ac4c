//! Errors of recipes.

use dnw_core::WiringError;
use dnw_core::rules::{self, SettingError};

use super::budget_table::BudgetTableError;
use super::list::entries;

/// A key of a recipe that has no effect.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}` has no effect: {reason}")]
#[non_exhaustive]
pub struct Unused {
    /// The key, such as `wiring.density`.
    pub key: &'static str,
    /// Why it has no effect.
    pub reason: String,
    /// A change that makes it take effect, or that replaces it.
    pub alternative: String,
}

impl Unused {
    /// What to do about it.
    pub fn help(&self) -> String {
        format!("leave `{}` out, or {}", self.key, self.alternative)
    }
}

/// Why a recipe cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// No recipe of that name.
    #[error("there is no recipe `{name}`")]
    Unknown {
        /// The requested name.
        name: String,
    },
    /// The file of a recipe cannot be read.
    #[error("cannot read the recipe `{path}`: {reason}")]
    File {
        /// The file.
        path: String,
        /// The system's error.
        reason: String,
    },
    /// There is no rule of that name, or the rule does not have the setting.
    #[error("{0}")]
    Rule(#[from] SettingError),
    /// A budget does not fit the network.
    #[error(transparent)]
    Budget(#[from] WiringError),
    /// A per-layer budget cannot be read or does not fit.
    #[error(transparent)]
    BudgetTable(#[from] BudgetTableError),
    /// A key that recipes do not have.
    #[error("a recipe has no key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// The known keys.
        known: Vec<String>,
    },
    /// `--set` without `=`.
    #[error("`--set {text}` has no value")]
    Set {
        /// The argument.
        text: String,
    },
    /// A value is out of range.
    #[error("`{key}` is {value}: it must be {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        expected: &'static str,
    },
    /// A key has no effect.
    #[error("{0}")]
    NoEffect(#[from] Unused),
    /// A name that is not one of the possible values of a key.
    #[error("`{key}` is `{value}`, which is not one of its values")]
    UnknownValue {
        /// The key.
        key: String,
        /// The name.
        value: String,
        /// The possible values.
        known: Vec<String>,
    },
    /// A value has the wrong type.
    #[error("`{key}` holds {found} where {expected} is needed")]
    Type {
        /// The key, or the table that contains it.
        key: String,
        /// The value.
        found: String,
        /// The expected type.
        expected: String,
    },
    /// A required key is missing.
    #[error("the key `{key}` is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// A change to a key inside a value that is not a table.
    #[error("`{key}` is a value, not a table")]
    NoTable {
        /// The key.
        key: String,
    },
    /// The text is not TOML.
    #[error("line {line} is not TOML: {reason}")]
    Text {
        /// The line, counted from 1.
        line: usize,
        /// The parser's message.
        reason: String,
    },
}

/// The most similar name, if one is similar.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity > 0.7)
        .map(|(_, candidate)| candidate)
}

/// The three most similar names of recipes, and how to list all.
fn recipes_like(name: &str) -> String {
    let mut known: Vec<(f64, &str)> = entries()
        .iter()
        .map(|entry| (similarity(name, &entry.name), entry.name.as_str()))
        .collect();
    known.sort_by(|a, b| b.0.total_cmp(&a.0));
    let [first, second, third] = [0, 1, 2].map(|i| known[i].1);
    format!("did you mean `{first}`, `{second}` or `{third}`? `dnw recipes` lists all")
}

/// The similarity of a name to that of a recipe: as a whole, and of each of its parts, as in `resnet50-90`.
fn similarity(name: &str, recipe: &str) -> f64 {
    let name = name.to_lowercase();
    let parts = |name: &str| -> Vec<String> {
        let parts = name.split(|c: char| !c.is_alphanumeric() && c != '.');
        let parts = parts.filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (requested, known) = (parts(&name), parts(recipe));
    let similarities = requested.iter().map(|part| {
        let similarities = known.iter().map(|known| strsim::jaro_winkler(part, known));
        similarities.fold(0.0, f64::max)
    });
    similarities.sum::<f64>() / requested.len().max(1) as f64 + strsim::jaro_winkler(&name, recipe)
}

fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let all: Vec<&str> = known.clone().into_iter().collect();
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`? There are {}", all.join(", ")),
        None => format!("there are {}", all.join(", ")),
    }
}

impl RecipeError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Unknown { name } => recipes_like(name),
            Self::File { .. } => {
                "give the path of a TOML file with `from = \"NAME\"` and what differs, or the name of a recipe; `dnw recipes` lists them".into()
            }
            Self::Rule(SettingError::UnknownRule { name }) => {
                did_you_mean(name, rules::ALL.iter().map(|named| named.name))
            }
            Self::Rule(SettingError::NotRead { known: [], .. }) => {
                "leave it out: the rule has no settings".into()
            }
            Self::Rule(SettingError::NotRead { key, known, .. }) => {
                did_you_mean(key, known.iter().copied())
            }
            Self::BudgetTable(error) => error.help(),
            Self::NoEffect(unused) => unused.help(),
            Self::Budget(_) => "give `wiring` a budget that fits".into(),
            Self::UnknownKey { key, known } => did_you_mean(key, known.iter().map(String::as_str)),
            Self::UnknownValue { value, known, .. } => {
                did_you_mean(value, known.iter().map(String::as_str))
            }
            Self::Set { .. } | Self::NoTable { .. } => {
                "write it as `--set optimizer.learning-rate=0.1`".into()
            }
            Self::Missing { key } => format!(
                "give it with `--set {key}=VALUE`; `dnw recipes` lists recipes that have every key"
            ),
            Self::Value { .. } | Self::Type { .. } | Self::Text { .. } | Self::Rule(_) => {
                "`dnw recipes NAME` shows a recipe with every key and its value".into()
            }
        }
    }
}
