//! What is trained, how: a recipe.
//!
//! Recipes are TOML files, embedded in the program or a user's own, and changes to them. A key that is not known is an error that names the nearest one
//! that is; `--set key=value` changes any key before the recipe is read, so that a changed recipe passes the
//! same checks.

use std::path::Path;

use dnw_core::{Wire, rules};
use dnw_models::ModelConfig;
use serde::{Deserialize, Serialize};

use crate::data::{DataError, DataSet, Transforms};
use crate::run::MOST_EDGES;

mod budget_table;
mod error;
mod list;
mod optimizer;
mod own;
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
    /// How many of the training images are used, drawn once and the same for every seed; all where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images: Option<usize>,
    /// How many of the test images are used, drawn likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_images: Option<usize>,
    /// The network.
    pub model: ModelConfig,
    /// Which edges are real.
    pub wiring: WiringRecipe,
    /// How weights learn.
    pub optimizer: OptimizerRecipe,
    /// The second phase of a rule that has two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_phase: Option<SecondPhase>,
    /// How images are shown, in training and when the network is judged; without it, as the data set's publication says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transforms: Option<Transforms>,
}

impl Recipe {
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
        if let Some(second) = &self.second_phase {
            let named = rules::ALL
                .iter()
                .find(|named| named.name == self.wiring.rule);
            let has_two = named.is_none_or(|named| named.settings.contains(&"switch"));
            check(
                has_two,
                "second-phase",
                format!("given for the rule {}", self.wiring.rule),
                "left out, or the rule one that has two phases",
            )?;
            check(
                (1..=MOST_EPOCHS).contains(&second.epochs),
                "second-phase.epochs",
                second.epochs.to_string(),
                "at least 1 and at most a million",
            )?;
            let rate = second.learning_rate;
            check(
                rate > 0.0 && rate.is_finite(),
                "second-phase.learning-rate",
                rate.to_string(),
                "a positive number",
            )?;
        }
        let edges = self.model.most_edges();
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

    /// How the model for so many classes is wired over a run of so many updates.
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

    /// The data that the recipe asks for, shown as it says; `root` is the folder of its files.
    ///
    /// # Errors
    /// [`DataError`] if there is none, or it cannot be shown so.
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

    /// Passes over the training part, all phases together.
    pub fn all_epochs(&self) -> u64 {
        self.epochs + self.second_phase.as_ref().map_or(0, |second| second.epochs)
    }

    /// The phases of a run with so many updates in an epoch: updates and largest learning rate of each. A rule that has two, of which
    /// nothing else is said, divides the run at its switch.
    pub fn phases(&self, updates_per_epoch: u64) -> Vec<(u64, f64)> {
        let rate = self.optimizer.learning_rate;
        let first = self.epochs * updates_per_epoch;
        if let Some(second) = &self.second_phase {
            return vec![
                (first, rate),
                (second.epochs * updates_per_epoch, second.learning_rate),
            ];
        }
        let named = rules::ALL
            .iter()
            .find(|named| named.name == self.wiring.rule);
        if named.is_some_and(|named| named.settings.contains(&"switch")) {
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
    fn every_embedded_recipe_reads_and_writes_back() {
        for entry in entries() {
            let recipe = Recipe::named(&entry.name, &[]).unwrap();
            assert!(!recipe.about.is_empty());
            let again = Recipe::read(&recipe.to_toml(), &[]).unwrap();
            assert_eq!(again, recipe, "{}", entry.name);
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
    fn another_rule_takes_its_settings_with_it_in_whatever_order_they_are_given() {
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
    fn a_rule_of_two_phases_may_give_each_its_length_and_rate() {
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
