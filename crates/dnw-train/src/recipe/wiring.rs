//! The wiring of a recipe.

use std::path::PathBuf;

use burn::module::ParamGroup;
use dnw_core::rules::{self, Settings};
use dnw_core::{Allocation, Budget, Ranking, Rule, Unit, Wire};
use serde::{Deserialize, Serialize};

use super::budget_table::BudgetTable;
use super::{RecipeError, SecondPhase};

/// Which edges are real. At most one of `density`, `prune-rate` and `edges` gives the budget; none is needed if the rule or the unit decides
/// it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WiringRecipe {
    /// The rule's name, one of [`rules::ALL`].
    pub rule: String,
    /// The share of each tensor's candidate edges to keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub density: Option<f64>,
    /// The share to drop, with the published rounding. A MobileNet's stages keep as many edges as the network of width 1 - rate has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune_rate: Option<f64>,
    /// The number of edges to keep per tensor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edges: Option<usize>,
    /// The allocation of the budget to tensors, if not the rule's own: `per-tensor`, `erdos-renyi-kernel` or `global`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation: Option<Allocation>,
    /// A table of budgets by layer, in the format of the authors of STR, instead of one budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_file: Option<PathBuf>,
    /// The column of the table: its overall sparsity in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_column: Option<f64>,
    /// Names of tensors that stay dense.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dense: Vec<String>,
    /// Whether to wire the weights of plain layers too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_layers: bool,
    /// Which entries are ranked: `legal-edges` or `all-entries`.
    #[serde(default)]
    pub ranking: Ranking,
    /// The unit that swaps as one, if not the rule's own: `edge`, `fan-in`, `block-4`, `2-of-4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// Settings of the rule.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settings: Settings,
}

fn is_default(settings: &Settings) -> bool {
    *settings == Settings::default()
}

impl WiringRecipe {
    /// The budget of every tensor without its own.
    ///
    /// # Errors
    /// [`RecipeError::Value`] unless exactly one key gives the budget, or none is needed.
    pub fn budget(&self) -> Result<Budget, RecipeError> {
        let budgets = [
            self.density.map(Budget::Density),
            self.prune_rate.map(Budget::PruneRate),
            self.edges.map(Budget::Edges),
        ];
        let mut budgets = budgets.into_iter().flatten();
        let refused = |value: &str, expected| RecipeError::Value {
            key: "wiring",
            value: value.into(),
            expected,
        };
        match (budgets.next(), budgets.next(), self.budget_without_keys()) {
            (Some(budget), None, _) => match budget {
                Budget::PruneRate(rate) if !(0.0..1.0).contains(&rate) => Err(RecipeError::Value {
                    key: "wiring.prune-rate",
                    value: rate.to_string(),
                    expected: "at least 0 and below 1, or no edge would be left",
                }),
                Budget::Density(density) if !(density > 0.0 && density <= 1.0) => {
                    Err(RecipeError::Value {
                        key: "wiring.density",
                        value: density.to_string(),
                        expected: "above 0 and at most 1",
                    })
                }
                budget => Ok(budget),
            },
            (None, _, Some(budget)) => Ok(budget),
            (None, _, None) => Err(refused(
                "given no budget",
                "given exactly one of density, prune-rate and edges",
            )),
            _ => Err(refused(
                "given several budgets",
                "given exactly one of density, prune-rate and edges",
            )),
        }
    }

    /// The budget if the rule or the unit decides it, or a table has one for every tensor.
    fn budget_without_keys(&self) -> Option<Budget> {
        match (self.unit, self.rule.as_str()) {
            (Some(Unit::NOfM { keep, of }), _) => Some(Budget::Density(keep as f64 / of as f64)),
            (_, "complete" | "str") => Some(Budget::Density(1.0)),
            _ if self.budget_file.is_some() => Some(Budget::Density(1.0)),
            _ => None,
        }
    }

    /// The rule.
    ///
    /// # Errors
    /// [`RecipeError::Rule`] if there is no rule of that name, or it does not have a setting.
    pub fn rule(&self) -> Result<Rule, RecipeError> {
        let rule = rules::by_name(&self.rule, &self.settings)?;
        Ok(Rule {
            unit: self.unit.unwrap_or(rule.unit),
            allocation: self.allocation.unwrap_or(rule.allocation),
            ..rule
        })
    }

    /// Whether the rule has two phases; `None` if there is no such rule.
    pub(super) fn has_two_phases(&self) -> Option<bool> {
        let named = rules::ALL.iter().find(|named| named.name == self.rule);
        named.map(|named| named.settings.contains(&"switch"))
    }

    /// The rule of a run whose second phase has this share of all epochs.
    fn rule_in_phases(
        &self,
        epochs: u64,
        second: Option<&SecondPhase>,
    ) -> Result<Rule, RecipeError> {
        let Some(second) = second else {
            return self.rule();
        };
        let switch = Some(epochs as f64 / (epochs + second.epochs) as f64);
        let settings = Settings {
            switch,
            ..self.settings.clone()
        };
        Self {
            settings,
            ..self.clone()
        }
        .rule()
    }

    /// How to wire a model, with these budgets for tensors of the model, by a rule that may have a second phase.
    ///
    /// # Errors
    /// Those of [`rule`](Self::rule) and [`budget`](Self::budget); [`RecipeError::BudgetTable`] if a table cannot be used.
    pub(super) fn wire(
        &self,
        epochs: u64,
        second: Option<&SecondPhase>,
        own: Vec<(String, Budget)>,
    ) -> Result<Wire, RecipeError> {
        let rule = self.rule_in_phases(epochs, second)?;
        let mut wire = Wire::new(rule, self.budget()?).ranking(self.ranking);
        if self.rule == "complete" {
            wire = wire.or_dense();
        }
        if self.plain_layers {
            wire = wire.weights(ParamGroup::all());
        }
        for (name, budget) in own {
            wire = wire.budget_for(name, budget);
        }
        if let Some(path) = &self.budget_file {
            for (name, budget) in BudgetTable::open(path)?.column(self.budget_column)? {
                wire = wire.budget_for(name, budget);
            }
        }
        for name in &self.dense {
            wire = wire.budget_for(name, Budget::Density(1.0));
        }
        Ok(wire)
    }
}
