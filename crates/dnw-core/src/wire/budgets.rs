//! How many edges each tensor keeps: budgets are resolved first, together, and spread over tensors then.

use super::find::Found;
use super::{Ranking, Wire};
use crate::allocation::{erdos_renyi_kernel, fill};
use crate::wired::TensorBudget;
use crate::{Allocation, Budget, Wiring, WiringError};

impl Wire {
    /// What each tensor keeps at the end of the run.
    ///
    /// A count is refused only where it is used: the share that a tensor has of a budget for all tensors may
    /// round to zero if something else decides how many edges the tensor keeps.
    pub(super) fn resolve(&self, all: &[Found]) -> Result<Vec<TensorBudget>, WiringError> {
        let mut budgets = Vec::new();
        let mut sharing = Vec::new();
        for (i, found) in all.iter().enumerate() {
            let candidates = match self.ranking {
                Ranking::LegalEdges => found.legal.clone(),
                Ranking::AllEntries => Wiring::full(found.shape.entries()),
            };
            let count = candidates.count();
            let (real, legal) = (found.real.count(), found.legal.count());
            let unit = self.rule.unit;
            let is_used = self.rule.uses_budget() && !unit.sets_budget();
            let own = match self.budgets.get(&found.name) {
                Some(budget) => match budget.resolve(&found.name, count) {
                    Err(error) if is_used => return Err(error),
                    own => own.ok(),
                },
                None => (real < legal).then_some(real),
            };
            let dense = match own {
                Some(edges) => edges == count,
                // Of a budget that is not used, nothing follows.
                None => self.budget.is_everything() && self.rule.uses_budget(),
            };
            if let Some(&budget) = self.budgets.get(&found.name)
                && !is_used
                && !dense
            {
                let decides = match self.rule.uses_budget() {
                    true => format!("the unit {unit}"),
                    false => format!("the rule `{}`", self.rule.name),
                };
                let tensor = found.name.clone();
                return Err(WiringError::UnusedBudget {
                    tensor,
                    budget,
                    decides,
                });
            }
            if !dense && (self.rule.uses_budget() || self.rule.allocation == Allocation::Free) {
                unit.check(&found.name, &found.shape)
                    .map_err(|error| match error {
                        WiringError::Layout { tensor, unit, .. } => WiringError::Layout {
                            tensor,
                            missing: found.missing,
                            unit,
                        },
                        other => other,
                    })?;
            }
            let edges = match own {
                _ if dense || !self.rule.uses_budget() => count,
                _ if unit.sets_budget() => {
                    unit.budget(&found.name, &found.shape, &candidates, count)?
                }
                Some(edges) => edges,
                None => {
                    sharing.push(i);
                    count
                }
            };
            budgets.push(TensorBudget {
                candidates,
                count,
                edges,
                dense,
            });
        }
        self.share_out(all, &sharing, &mut budgets)?;
        Ok(budgets)
    }

    /// Sets the budgets of the tensors that share the budget for all.
    fn share_out(
        &self,
        all: &[Found],
        sharing: &[usize],
        budgets: &mut [TensorBudget],
    ) -> Result<(), WiringError> {
        let most: Vec<usize> = sharing.iter().map(|&i| budgets[i].count).collect();
        let shares = match self.rule.allocation {
            _ if sharing.is_empty() => Vec::new(),
            Allocation::ErdosRenyiKernel => {
                let total = self.total(all, sharing, &most, sharing.len())?;
                let tensors = sharing.iter().zip(&most);
                let tensors: Vec<_> = tensors.map(|(&i, &most)| (&all[i].shape, most)).collect();
                erdos_renyi_kernel(&tensors, total)
            }
            Allocation::Global => {
                let total = self.total(all, sharing, &most, 1)?;
                let sizes: Vec<f64> = most.iter().map(|&most| most as f64).collect();
                fill(&sizes, &most, total)
            }
            Allocation::PerTensor | Allocation::Moving | Allocation::Free => {
                let share = |(&i, &most): (&usize, &usize)| self.budget.resolve(&all[i].name, most);
                sharing
                    .iter()
                    .zip(&most)
                    .map(share)
                    .collect::<Result<_, _>>()?
            }
        };
        for (&i, share) in sharing.iter().zip(shares) {
            budgets[i].edges = share;
        }
        Ok(())
    }

    /// The budget of all the tensors that share it, which must leave at least `least` edges.
    fn total(
        &self,
        all: &[Found],
        sharing: &[usize],
        most: &[usize],
        least: usize,
    ) -> Result<usize, WiringError> {
        let candidates = most.iter().sum();
        if let [only] = sharing {
            return self.budget.resolve(&all[*only].name, candidates);
        }
        let budget = match self.budget {
            Budget::Edges(each) => Budget::Edges(each.saturating_mul(sharing.len())),
            share => share,
        };
        match budget.resolve("", candidates) {
            Ok(total) if total >= least => Ok(total),
            _ => Err(WiringError::SharedBudget {
                budget: self.budget,
                tensors: sharing.len(),
                least,
                candidates,
            }),
        }
    }
}
