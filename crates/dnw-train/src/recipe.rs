//! Recipes: what to train, and how.
//!
//! A recipe is a TOML file, embedded in the program or written by the user, with changes to it. An unknown key is an error that names the
//! nearest known key. `--set key=value` changes a key before the recipe is parsed, so that a changed recipe passes the same checks.

use std::path::Path;

use dnw_core::Wire;
use dnw_models::ModelConfig;
use serde::{Deserialize, Serialize};

use crate::data::{DataError, DataSet, Transforms};

mod budget_table;
mod check;
mod error;
mod file;
mod list;
mod optimizer;
mod reading;
mod resolution;
mod second_phase;
mod unused;
mod wiring;

pub use budget_table::{BudgetTable, BudgetTableError};
pub use error::{RecipeError, Unused};
pub use list::{Entry, MAIN_JOB, entries};
pub use optimizer::{OptimizerRecipe, RateShape};
pub use second_phase::SecondPhase;
pub use wiring::WiringRecipe;

/// What to train, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// The recipe's name; runs are named after it.
    #[serde(default)]
    pub name: String,
    /// A description of one line.
    #[serde(default)]
    pub about: String,
    /// The data set.
    pub data: String,
    /// The seed of the weights, the order of the data and the augmentation.
    pub seed: u64,
    /// Epochs.
    pub epochs: u64,
    /// Images per update.
    pub batch: usize,
    /// The number of training images to use, selected at random but independently of the seed; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images: Option<usize>,
    /// The number of test images to use, selected likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_images: Option<usize>,
    /// The network.
    pub model: ModelConfig,
    /// Which edges are real.
    pub wiring: WiringRecipe,
    /// The optimizer and the learning rate.
    pub optimizer: OptimizerRecipe,
    /// The second phase, for a rule that has two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_phase: Option<SecondPhase>,
    /// The transforms of images in training and in evaluation; by default those of the data set's publication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transforms: Option<Transforms>,
}

impl Recipe {
    /// The recipe as TOML text.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is made of plain values")
    }

    /// How to wire the model, for this number of classes and of updates.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn wire(&self, updates: u64, classes: usize) -> Result<Wire, RecipeError> {
        let own = match self.wiring.prune_rate {
            Some(rate) => self.model.budgets(rate, classes)?,
            None => Vec::new(),
        };
        let wire = self
            .wiring
            .wire(self.epochs, self.second_phase.as_ref(), own)?;
        Ok(wire.seed(self.seed).over(updates))
    }

    /// Opens the data of the recipe, with its transforms. `root` is the folder with the files.
    ///
    /// # Errors
    /// [`DataError`] if there is none, or the transforms do not fit it.
    pub fn open_data(&self, root: Option<&Path>) -> Result<DataSet, DataError> {
        let data = crate::data::open(&self.data, root)?;
        let data = match self.transforms {
            Some(transforms) => data.with_transforms(transforms)?,
            None => data,
        };
        let data = match self.train_images {
            Some(images) => data.with_train_images(images)?,
            None => data,
        };
        match self.test_images {
            Some(images) => data.with_test_images(images),
            None => Ok(data),
        }
    }

    /// The epochs of all phases together.
    pub fn all_epochs(&self) -> u64 {
        self.epochs + self.second_phase.as_ref().map_or(0, |second| second.epochs)
    }

    /// The phases of a run: the number of updates and the largest learning rate of each. A rule with two phases divides the run at its switch,
    /// unless the recipe has a second phase.
    pub fn phases(&self, updates_per_epoch: u64) -> Vec<(u64, f64)> {
        let rate = self.optimizer.learning_rate;
        let first = self.epochs * updates_per_epoch;
        if let Some(second) = &self.second_phase {
            return vec![
                (first, rate),
                (second.epochs * updates_per_epoch, second.learning_rate),
            ];
        }
        if self.wiring.has_two_phases() == Some(true) {
            let share = self.wiring.settings.switch.unwrap_or(0.5);
            let until = (share * first as f64).round() as u64;
            return vec![(until, rate), (first - until, rate)];
        }
        vec![(first, rate)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnw_core::Budget;

    #[test]
    fn every_embedded_recipe_round_trips() {
        for entry in entries() {
            let recipe = Recipe::named(&entry.name, &[]).unwrap();
            assert!(!recipe.about.is_empty());
            let again = Recipe::read(&recipe.to_toml(), &[]).unwrap();
            assert_eq!(again, recipe, "{}", entry.name);
        }
    }

    #[test]
    fn a_change_sets_its_key_and_a_budget_replaces_another() {
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
    fn an_error_suggests_the_nearest_name() {
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
    fn another_rule_removes_the_old_settings_in_any_order() {
        let changes = |changes: &[&str]| {
            let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
            Recipe::named("digits", &changes)
        };
        let given = ["wiring.settings.turnover=0.2", "wiring.rule=rigl"];
        let recipe = changes(&given).unwrap();
        assert_eq!(recipe.wiring.settings.turnover, Some(0.2));
        let text = changes(&["wiring.settings.until=0.4"]).unwrap().to_toml();
        let random = Recipe::read(&text, &["wiring.rule=random".into()]).unwrap();
        assert_eq!(random.wiring.settings, Default::default());
    }

    #[test]
    fn each_phase_of_a_rule_may_have_its_length_and_rate() {
        let changes = [
            "wiring.rule=fine-tune",
            "second-phase.epochs=20",
            "second-phase.learning-rate=0.001",
        ];
        let recipe = Recipe::named("digits", &changes.map(String::from)).unwrap();
        assert_eq!(recipe.all_epochs(), 80);
        assert_eq!(recipe.phases(10), [(600, 0.05), (200, 0.001)]);
        let halves = Recipe::named("digits", &["wiring.rule=lottery-ticket".into()]).unwrap();
        assert_eq!(halves.phases(10), [(300, 0.05), (300, 0.05)]);
        let one = Recipe::named("digits", &[]).unwrap();
        assert_eq!(one.phases(10), [(600, 0.05)]);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for change in [
            "epochs=0",
            "batch=0",
            "optimizer.learning-rate=-1",
            "optimizer.learning-rate=nan",
            "optimizer.momentum=1.0",
            "wiring.settings.until=0",
            "wiring.settings.turnover=0.5",
            "wiring.density=0",
            "wiring.prune-rate=1.0",
            "wiring.prune-rate=nan",
            "second-phase.epochs=3",
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
