//! The valid values of a recipe's keys.

use dnw_models::ModelConfig;

use super::{Recipe, RecipeError};
use crate::run::MAX_EDGES;

/// The most epochs that a recipe may have. Their updates can still be counted.
const MAX_EPOCHS: u64 = 1_000_000;

impl Recipe {
    /// Refuses values out of range.
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        epochs("epochs", self.epochs)?;
        check(self.batch > 0, "batch", self.batch, "at least 1")?;
        let optimizer = &self.optimizer;
        positive("optimizer.learning-rate", optimizer.learning_rate)?;
        share("optimizer.momentum", optimizer.momentum)?;
        share("optimizer.label-smoothing", optimizer.label_smoothing)?;
        let at_least_zero =
            |key, x: f64, expected| check(x >= 0.0 && x.is_finite(), key, x, expected);
        at_least_zero(
            "optimizer.weight-decay",
            optimizer.weight_decay,
            "at least 0",
        )?;
        at_least_zero("optimizer.step-factor", optimizer.step_factor, "at least 0")?;
        at_least_zero(
            "optimizer.warm-up",
            optimizer.warm_up,
            "a number of epochs, at least 0",
        )?;
        for &epoch in &optimizer.step_at {
            let is_epoch = (0.0..=MAX_EPOCHS as f64).contains(&epoch);
            check(is_epoch, "optimizer.step-at", epoch, "made of epochs")?;
        }
        if let Some(norm) = optimizer.clip_norm {
            check(norm > 0.0, "optimizer.clip-norm", norm, "positive")?;
        }
        if let Some(second) = &self.second_phase {
            check(
                self.wiring.has_two_phases() != Some(false),
                "second-phase",
                format!("given for the rule {}", self.wiring.rule),
                "left out, or the rule one that has two phases",
            )?;
            epochs("second-phase.epochs", second.epochs)?;
            positive("second-phase.learning-rate", second.learning_rate)?;
        }
        let edges = self.model.most_edges();
        check(
            edges <= MAX_EDGES,
            "model",
            format!("a network of about {edges}"),
            "a network of at most 134217728 possible edges",
        )?;
        if let ModelConfig::Graph(graph) = &self.model {
            positive("model.edge-std", graph.edge_std)?;
        }
        self.wiring.budget()?;
        self.wiring.rule()?;
        Ok(())
    }
}

fn check(
    is_valid: bool,
    key: &'static str,
    value: impl ToString,
    expected: &'static str,
) -> Result<(), RecipeError> {
    if is_valid {
        return Ok(());
    }
    Err(RecipeError::Value {
        key,
        value: value.to_string(),
        expected,
    })
}

fn epochs(key: &'static str, epochs: u64) -> Result<(), RecipeError> {
    let is_valid = (1..=MAX_EPOCHS).contains(&epochs);
    check(is_valid, key, epochs, "at least 1 and at most a million")
}

fn positive(key: &'static str, x: f64) -> Result<(), RecipeError> {
    check(x > 0.0 && x.is_finite(), key, x, "a positive number")
}

fn share(key: &'static str, x: f64) -> Result<(), RecipeError> {
    check((0.0..1.0).contains(&x), key, x, "at least 0 and below 1")
}
