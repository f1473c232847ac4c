//! What can be wrong with a recipe.

use dnw_core::WiringError;
use dnw_core::rules::{self, SettingError};

use super::budget_table::BudgetTableError;
use super::list::entries;

/// A key of a recipe that nothing looks at.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}` has no effect: {why}")]
#[non_exhaustive]
pub struct Unused {
    /// The key, such as `wiring.density`.
    pub key: &'static str,
    /// Why nothing looks at it.
    pub why: String,
    /// What would make it count, or do what it is for.
    pub instead: String,
}

impl Unused {
    /// What to do about it.
    pub fn help(&self) -> String {
        format!("leave `{}` out, or {}", self.key, self.instead)
    }
}

/// Why a recipe cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// No recipe of that name.
    #[error("there is no recipe `{name}`")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// A file with a recipe cannot be read.
    #[error("cannot read the recipe `{path}`: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// No rule of that name, or a setting that it cannot have.
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
        /// The keys that could stand there.
        known: Vec<String>,
    },
    /// `--set` without `=`.
    #[error("`--set {text}` does not say a value")]
    Set {
        /// What was given.
        text: String,
    },
    /// A value out of its range.
    #[error("`{key}` is {value}: it must be {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A key that nothing looks at.
    #[error("{0}")]
    NoEffect(#[from] Unused),
    /// A word where only some words have a meaning.
    #[error("`{key}` is `{value}`, which is none of its values")]
    Choice {
        /// The key.
        key: String,
        /// The word.
        value: String,
        /// The words that have a meaning there.
        known: Vec<String>,
    },
    /// A value of another type.
    #[error("`{key}` holds {found} where {expected} is needed")]
    Type {
        /// The key, or the table that it is in.
        key: String,
        /// The value.
        found: String,
        /// What is needed.
        expected: String,
    },
    /// A key that is needed is not there.
    #[error("the key `{key}` is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// A key is changed inside something that has no keys.
    #[error("`{key}` holds a value and has no keys of its own")]
    NoTable {
        /// The key.
        key: String,
    },
    /// The text is not TOML.
    #[error("line {line} is not TOML: {reason}")]
    Text {
        /// The line, counted from 1.
        line: usize,
        /// What the reader says.
        reason: String,
    },
}

/// The nearest of some names, if one is near.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7)
        .map(|(_, candidate)| candidate)
}

/// Three names of recipes like the one asked for, and where all are: there are more than a line shows.
fn recipes_like(name: &str) -> String {
    let mut known: Vec<(f64, &str)> = entries()
        .iter()
        .map(|entry| (likeness(name, &entry.name), entry.name.as_str()))
        .collect();
    known.sort_by(|a, b| b.0.total_cmp(&a.0));
    let [first, second, third] = [0, 1, 2].map(|i| known[i].1);
    format!("did you mean `{first}`, `{second}` or `{third}`? `dnw recipes` lists all")
}

/// How like a name is to that of a recipe: as a whole, and how well each of its parts is found there, as in `resnet50-90`.
fn likeness(name: &str, recipe: &str) -> f64 {
    let name = name.to_lowercase();
    let parts = |name: &str| -> Vec<String> {
        let parts = name.split(|c: char| !c.is_alphanumeric() && c != '.');
        let parts = parts.filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (asked, there) = (parts(&name), parts(recipe));
    let found = asked.iter().map(|part| {
        let alike = there.iter().map(|known| strsim::jaro_winkler(part, known));
        alike.fold(0.0, f64::max)
    });
    found.sum::<f64>() / asked.len().max(1) as f64 + strsim::jaro_winkler(&name, recipe)
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
            Self::Choice { value, known, .. } => {
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
