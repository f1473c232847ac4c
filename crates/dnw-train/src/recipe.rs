//! What is trained, how: a recipe.
//!
//! Recipes are TOML files embedded in the program. A key that is not known is an error that names the nearest one
//! that is; `--set key=value` changes any key before the recipe is read, so that a changed recipe passes the
//! same checks.

use std::path::Path;

use dnw_core::{Budget, Ranking, Rule, Unit, Wire, rules};
use dnw_models::ModelConfig;
use serde::{Deserialize, Serialize};

use crate::data::{DataError, DataSet, Transforms};
use crate::run::MOST_EDGES;
use crate::schedule::RateShape;

mod reading;

/// The embedded recipes: name and TOML text.
pub const RECIPES: &[(&str, &str)] = &[
    ("digits", include_str!("../recipes/digits.toml")),
    ("mnist", include_str!("../recipes/mnist.toml")),
    ("mnist-lenet", include_str!("../recipes/mnist-lenet.toml")),
];

/// The recipe of the main job.
pub const MAIN_JOB: &str = "digits";

/// The most passes over the data that a recipe may ask for; what they come to can then be counted.
const MOST_EPOCHS: u64 = 1_000_000;

/// What is trained, how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// The recipe's name; runs are named after it.
    #[serde(default)]
    pub name: String,
    /// What it is, in one line.
    #[serde(default)]
    pub about: String,
    /// The data set.
    pub data: String,
    /// Seed of weights, order of the data and augmentation.
    pub seed: u64,
    /// Passes over the training part.
    pub epochs: u64,
    /// Images per update.
    pub batch: usize,
    /// The network.
    pub model: ModelConfig,
    /// Which edges are real.
    pub wiring: WiringRecipe,
    /// How weights learn.
    pub optimizer: OptimizerRecipe,
    /// How images are changed while training.
    #[serde(default)]
    pub augmentation: AugmentationRecipe,
    /// How images are shown, in training and in evaluation; without it, as the data set's publication says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transforms: Option<Transforms>,
}

/// Which edges are real. Exactly one of `density`, `prune-rate` and `edges` says how many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WiringRecipe {
    /// The rule's name, one of [`rules::ALL`].
    pub rule: String,
    /// The kept share of each tensor's candidate edges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub density: Option<f64>,
    /// The dropped share, with the published rounding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune_rate: Option<f64>,
    /// The kept number per tensor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edges: Option<usize>,
    /// Which entries compete: `legal-edges` or `all-entries`.
    #[serde(default)]
    pub ranking: Ranking,
    /// What swaps as one: `edge` or `fan-in`.
    #[serde(default)]
    pub unit: Unit,
    /// The share of the run over which a shrinking budget shrinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrink_share: Option<f64>,
}

/// Stochastic gradient descent as PyTorch defines it, and its schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptimizerRecipe {
    /// The largest learning rate.
    pub learning_rate: f64,
    /// Share of the last step that is kept.
    #[serde(default)]
    pub momentum: f64,
    /// Share of a weight that is added to its gradient.
    #[serde(default)]
    pub weight_decay: f64,
    /// How the rate moves: `constant`, `step` or `cosine`.
    #[serde(default)]
    pub schedule: RateShape,
    /// Epochs over which the rate rises from near zero.
    #[serde(default)]
    pub warm_up: f64,
    /// Epochs at which a `step` schedule multiplies the rate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_at: Vec<f64>,
    /// What a `step` schedule multiplies it by.
    #[serde(default = "tenth")]
    pub step_factor: f64,
    /// Share of the target that is spread over all classes.
    #[serde(default)]
    pub label_smoothing: f64,
    /// The largest norm that a tensor's gradient may have; no limit where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
}

fn tenth() -> f64 {
    0.1
}

/// How images are changed while training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AugmentationRecipe {
    /// Pixels by which an image may be shifted each way.
    pub shift: u16,
    /// Whether half of the images are mirrored.
    pub mirror: bool,
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
    /// No rule of that name.
    #[error("there is no rule `{name}`")]
    UnknownRule {
        /// The name asked for.
        name: String,
    },
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
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7)
        .map(|(_, candidate)| candidate)
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
            Self::Unknown { name } => did_you_mean(name, RECIPES.iter().map(|(name, _)| *name)),
            Self::UnknownRule { name } => {
                did_you_mean(name, rules::ALL.iter().map(|(name, ..)| *name))
            }
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
            Self::Value { .. } | Self::Type { .. } | Self::Text { .. } => {
                "`dnw recipes NAME` shows a recipe with every key and its value".into()
            }
        }
    }
}

impl Recipe {
    /// The embedded recipe called `name`, with changes `key=value`.
    ///
    /// # Errors
    /// [`RecipeError`] if there is none, a change names an unknown key, or a value does not fit.
    pub fn named(name: &str, changes: &[String]) -> Result<Self, RecipeError> {
        let known = RECIPES.iter().find(|(known, _)| *known == name);
        let (_, text) = known.ok_or_else(|| RecipeError::Unknown {
            name: name.to_owned(),
        })?;
        let mut recipe = Self::read(text, changes)?;
        recipe.name = name.to_owned();
        Ok(recipe)
    }

    /// A recipe from TOML text, with changes `key=value`.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn read(text: &str, changes: &[String]) -> Result<Self, RecipeError> {
        let mut table: toml::Table = text
            .parse()
            .map_err(|error| reading::syntax_error(text, &error))?;
        for change in changes {
            reading::set(&mut table, change)?;
        }
        let recipe: Self = table
            .try_into()
            .map_err(|error| reading::type_error(&error))?;
        recipe.check()?;
        Ok(recipe)
    }

    /// The data set, shown as the recipe says; `root` is the data folder.
    ///
    /// # Errors
    /// [`DataError`] if it cannot be had or not be shown so.
    pub fn open_data(&self, root: Option<&Path>) -> Result<DataSet, DataError> {
        let data = crate::data::open(&self.data, root)?;
        match self.transforms {
            Some(transforms) => data.with_transforms(transforms),
            None => Ok(data),
        }
    }

    /// The recipe as TOML text.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is made of plain values")
    }

    fn check(&self) -> Result<(), RecipeError> {
        let check = |ok: bool, key, value: String, expected| {
            if ok {
                Ok(())
            } else {
                Err(RecipeError::Value {
                    key,
                    value,
                    expected,
                })
            }
        };
        let o = &self.optimizer;
        let epochs = (1..=MOST_EPOCHS).contains(&self.epochs);
        check(
            epochs,
            "epochs",
            self.epochs.to_string(),
            "at least 1 and at most a million",
        )?;
        check(
            self.batch > 0,
            "batch",
            self.batch.to_string(),
            "at least 1",
        )?;
        let rate = o.learning_rate;
        check(
            rate > 0.0 && rate.is_finite(),
            "optimizer.learning-rate",
            rate.to_string(),
            "a positive number",
        )?;
        let within = |x: f64| (0.0..1.0).contains(&x);
        check(
            within(o.momentum),
            "optimizer.momentum",
            o.momentum.to_string(),
            "at least 0 and below 1",
        )?;
        check(
            within(o.label_smoothing),
            "optimizer.label-smoothing",
            o.label_smoothing.to_string(),
            "at least 0 and below 1",
        )?;
        let decay = o.weight_decay;
        check(
            decay >= 0.0 && decay.is_finite(),
            "optimizer.weight-decay",
            decay.to_string(),
            "at least 0",
        )?;
        check(
            o.warm_up >= 0.0 && o.warm_up.is_finite(),
            "optimizer.warm-up",
            o.warm_up.to_string(),
            "a number of epochs, at least 0",
        )?;
        if let Some(epoch) = o
            .step_at
            .iter()
            .find(|epoch| !(0.0..=MOST_EPOCHS as f64).contains(*epoch))
        {
            check(
                false,
                "optimizer.step-at",
                epoch.to_string(),
                "made of epochs",
            )?;
        }
        let factor = o.step_factor;
        check(
            factor >= 0.0 && factor.is_finite(),
            "optimizer.step-factor",
            factor.to_string(),
            "at least 0",
        )?;
        if let Some(norm) = o.clip_norm {
            check(
                norm > 0.0,
                "optimizer.clip-norm",
                norm.to_string(),
                "positive",
            )?;
        }
        if let Some(share) = self.wiring.shrink_share {
            check(
                share > 0.0 && share <= 1.0,
                "wiring.shrink-share",
                share.to_string(),
                "above 0 and at most 1",
            )?;
        }
        let edges = most_edges(&self.model);
        let expected = "a network of at most 134217728 possible edges";
        check(
            edges <= MOST_EDGES,
            "model",
            format!("a network of about {edges}"),
            expected,
        )?;
        if let ModelConfig::Graph(graph) = &self.model {
            let std = graph.edge_std;
            check(
                std > 0.0 && std.is_finite(),
                "model.edge-std",
                std.to_string(),
                "a positive number",
            )?;
        }
        self.wiring.budget()?;
        self.wiring.rule()?;
        Ok(())
    }

    /// How the model is wired over a run of so many updates.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn wire(&self, updates: u64) -> Result<Wire, RecipeError> {
        Ok(Wire::new(self.wiring.rule()?, self.wiring.budget()?)
            .ranking(self.wiring.ranking)
            .seed(self.seed)
            .over(updates))
    }
}

impl WiringRecipe {
    /// The budget.
    ///
    /// # Errors
    /// [`RecipeError::Value`] unless exactly one key gives it.
    pub fn budget(&self) -> Result<Budget, RecipeError> {
        let given = [
            self.density.map(Budget::Density),
            self.prune_rate.map(Budget::PruneRate),
            self.edges.map(Budget::Edges),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(budget), None) => Ok(budget),
            (first, _) => Err(RecipeError::Value {
                key: "wiring",
                value: if first.is_some() {
                    "given several budgets"
                } else {
                    "given no budget"
                }
                .into(),
                expected: "given exactly one of density, prune-rate and edges",
            }),
        }
    }

    /// The rule.
    ///
    /// # Errors
    /// [`RecipeError::UnknownRule`] if there is none of that name.
    pub fn rule(&self) -> Result<Rule, RecipeError> {
        let known = rules::by_name(&self.rule);
        let rule = known.ok_or_else(|| RecipeError::UnknownRule {
            name: self.rule.clone(),
        })?;
        let rule = match (self.shrink_share, self.rule.as_str()) {
            (Some(share), "dnw-shrinking") => rules::dnw_shrinking(share),
            _ => rule,
        };
        Ok(Rule {
            unit: self.unit,
            ..rule
        })
    }
}

/// About how many edges a network could have, whatever the images are, so that a mistyped size is refused before memory is
/// taken for it.
fn most_edges(model: &ModelConfig) -> usize {
    let sum = |sizes: &[usize]| {
        sizes
            .iter()
            .fold(0usize, |sum, &size| sum.saturating_add(size))
    };
    let square = |nodes: usize| nodes.saturating_mul(nodes);
    match model {
        ModelConfig::Graph(graph) => square(sum(&graph.levels).saturating_add(graph.outputs)),
        ModelConfig::Lenet(lenet) => square(sum(&lenet.hidden)),
        ModelConfig::TinyStatic(tiny) => square(
            tiny.level
                .saturating_mul(tiny.levels)
                .saturating_add(tiny.stem),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_recipe_reads_and_writes_back() {
        for (name, _) in RECIPES {
            let recipe = Recipe::named(name, &[]).unwrap();
            assert!(!recipe.about.is_empty());
            assert_eq!(
                Recipe::read(&recipe.to_toml(), &[]).unwrap(),
                recipe,
                "{name}"
            );
        }
    }

    #[test]
    fn a_change_reaches_its_key_and_a_budget_takes_the_place_of_another() {
        let changes = [
            "wiring.edges=40",
            "model.levels=[3, 4]",
            "data=mnist",
            "optimizer.momentum=0.5",
        ];
        let recipe = Recipe::named("digits", &changes.map(String::from)).unwrap();
        assert_eq!(recipe.wiring.budget().unwrap(), Budget::Edges(40));
        assert_eq!(
            (recipe.data.as_str(), recipe.optimizer.momentum),
            ("mnist", 0.5)
        );
        let ModelConfig::Graph(graph) = recipe.model else {
            panic!("a graph")
        };
        assert_eq!(graph.levels, [3, 4]);
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest() {
        let help = |result: Result<Recipe, RecipeError>| result.unwrap_err().help();
        let change = |change: &str| Recipe::named("digits", &[change.to_owned()]);
        assert!(help(Recipe::named("mnst", &[])).contains("did you mean `mnist`"));
        assert!(help(change("optimizer.lerning-rate=1")).contains("`learning-rate`"));
        assert!(help(change("epoch=1")).contains("`epochs`"));
        assert!(help(change("model.level=[1]")).contains("`levels`"));
        assert!(help(change("wiring.rule=dmw")).contains("`dnw`"));
        assert!(help(change("epochs")).contains("--set"));
        assert!(help(change("wiring.unit=fanin")).contains("`fan-in`"));
        assert!(help(change("model.kind=lenett")).contains("`lenet`"));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for change in [
            "epochs=0",
            "batch=0",
            "optimizer.learning-rate=-1",
            "optimizer.learning-rate=nan",
            "optimizer.momentum=1.0",
            "wiring.shrink-share=0",
            "epochs=many",
            "wiring.ranking=some",
            "epochs=9000000000000000000",
            "model.edge-std=nan",
            "model.levels=[100000000, 100000000]",
            "model.levels=[4000000000, 4000000000]",
            "model.outputs=9000000000000000000",
        ] {
            assert!(
                Recipe::named("digits", &[change.to_owned()]).is_err(),
                "{change}"
            );
        }
    }
}
