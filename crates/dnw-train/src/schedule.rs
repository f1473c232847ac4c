//! The learning rate as a function of the update.
//!
//! Burn's schedulers have a counter. Here the rate is a pure function of the update, so no state has to be saved.

use crate::recipe::{OptimizerRecipe, RateShape};

/// The learning rate of every update.
#[derive(Clone, Debug)]
pub struct Rate {
    recipe: OptimizerRecipe,
    updates_per_epoch: f64,
    phases: Vec<(u64, f64)>,
}

impl Rate {
    /// The rate over phases, each with a number of updates and a largest rate. Each phase starts the schedule again.
    pub fn new(recipe: &OptimizerRecipe, phases: &[(u64, f64)], updates_per_epoch: u64) -> Self {
        Self {
            recipe: recipe.clone(),
            updates_per_epoch: updates_per_epoch as f64,
            phases: phases.to_vec(),
        }
    }

    /// The rate of update `update`, counted from 0.
    pub fn at(&self, update: u64) -> f64 {
        let (mut update, mut phases) = (update, self.phases.iter().peekable());
        loop {
            match phases.next() {
                Some(&(length, _)) if update >= length && phases.peek().is_some() => {
                    update -= length;
                }
                Some(&(length, largest)) => {
                    return self.within(update as f64, length as f64, largest);
                }
                None => return 0.0,
            }
        }
    }

    /// Whether a phase other than the first begins after this number of updates.
    pub(crate) fn begins_a_phase(&self, updates: u64) -> bool {
        let mut begins = 0;
        self.phases.iter().any(|(length, _)| {
            let is_here = begins > 0 && begins == updates;
            begins += length;
            is_here
        })
    }

    /// The rate at an update of a phase with `length` updates.
    fn within(&self, update: f64, length: f64, largest: f64) -> f64 {
        let OptimizerRecipe {
            schedule,
            step_at,
            step_factor,
            ..
        } = &self.recipe;
        let warm_up = self.recipe.warm_up * self.updates_per_epoch;
        if update < warm_up {
            return largest * (update + 1.0) / warm_up.ceil();
        }
        match schedule {
            RateShape::Constant => largest,
            RateShape::Step => {
                let passed = step_at
                    .iter()
                    .filter(|&&epoch| update >= epoch * self.updates_per_epoch);
                largest * step_factor.powi(passed.count() as i32)
            }
            RateShape::Cosine => {
                let share = (update - warm_up) / (length - warm_up).max(1.0);
                largest * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * share.min(1.0)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    fn rate(schedule: &str, changes: &[&str]) -> Rate {
        let mut all = vec![
            format!("optimizer.schedule={schedule}"),
            "optimizer.learning-rate=1.0".into(),
        ];
        all.push("optimizer.warm-up=0".into());
        all.extend(changes.iter().map(|c| (*c).to_owned()));
        Rate::new(
            &Recipe::named("digits", &all).unwrap().optimizer,
            &[(1000, 1.0)],
            100,
        )
    }

    #[test]
    fn a_second_phase_restarts_the_schedule_with_its_own_rate() {
        let optimizer = Recipe::named("digits", &["optimizer.warm-up=0".into()])
            .unwrap()
            .optimizer;
        let rate = Rate::new(&optimizer, &[(400, 1.0), (600, 0.01)], 100);
        assert_eq!((rate.at(0), rate.at(400)), (1.0, 0.01));
        assert!((rate.at(200) - 0.5).abs() < 1e-12 && (rate.at(700) - 0.005).abs() < 1e-12);
        assert!(rate.at(399) < 1e-4 && rate.at(999) < 1e-4);
    }

    #[test]
    fn a_cosine_schedule_starts_at_the_rate_and_ends_near_zero() {
        let rate = rate("cosine", &[]);
        assert_eq!(rate.at(0), 1.0);
        assert!((rate.at(500) - 0.5).abs() < 1e-12);
        assert!(rate.at(999) < 1e-5);
    }

    #[test]
    fn a_warm_up_precedes_the_schedule() {
        let rate = rate("cosine", &["optimizer.warm-up=2"]);
        assert!((rate.at(0) - 1.0 / 200.0).abs() < 1e-12);
        assert_eq!((rate.at(199), rate.at(200)), (1.0, 1.0));
        assert!((rate.at(600) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_step_schedule_multiplies_at_its_epochs() {
        let rate = rate("step", &["optimizer.step-at=[5, 8]"]);
        assert_eq!((rate.at(499), rate.at(500)), (1.0, 0.1));
        assert!((rate.at(800) - 0.01).abs() < 1e-12);
    }
}
