//! The integration loop over an interval.
//!
//! It is independent of the gradient, which observes the steps.

use crate::control::{Adaptive, Control};
use crate::error::OdeError;
use crate::solvers::Solver;
use crate::state::{State, Tolerance};

/// Solver, control, limit and interval of an integration (backwards in time if `end < start`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub solver: Solver,
    pub control: Control,
    /// The maximum number of evaluations of the slope.
    pub limit: usize,
    pub start: f64,
    pub end: f64,
}

/// The state at the end of an interval, and statistics.
pub(crate) struct Integrated<S> {
    pub state: S,
    pub evaluations: usize,
    pub accepted: usize,
    pub rejected: usize,
}

/// An accepted step from the state at `t` with length `step`. The fraction `used` is less than 1 only if the interval ends within the
/// step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub t: f64,
    pub step: f64,
    pub used: f64,
}

/// Observes the steps of an integration.
pub(crate) trait Watch<S> {
    /// Called for each accepted step, with the state at its beginning.
    fn accepted(&mut self, _step: Step, _state: &S) {}

    /// Called when states and slopes computed from this slope are dropped: those of a rejected step, or of the estimate of the first step.
    fn discarded(&mut self, _slope: &S) {}
}

/// An observer that does nothing.
pub(crate) struct Unwatched;

impl<S> Watch<S> for Unwatched {}

/// Integrates from `plan.start` to `plan.end`.
pub(crate) fn integrate<S: State>(
    plan: &Plan,
    state: S,
    slope: impl FnMut(f64, &S) -> Result<S, OdeError>,
    watch: &mut impl Watch<S>,
) -> Result<Integrated<S>, OdeError> {
    plan.check()?;
    let mut counted = Counted {
        slope,
        evaluations: 0,
        plan,
    };
    let (state, accepted, rejected) = if plan.start == plan.end {
        (state, 0, 0)
    } else {
        match plan.control {
            Control::Constant { steps } => plan.constant(steps, state, &mut counted, watch)?,
            Control::Adaptive(control) => plan.adaptive(&control, state, &mut counted, watch)?,
        }
    };
    Ok(Integrated {
        state,
        evaluations: counted.evaluations,
        accepted,
        rejected,
    })
}

/// Evaluates slopes, counts them and checks the limit and their shapes.
struct Counted<'a, F> {
    slope: F,
    evaluations: usize,
    plan: &'a Plan,
}

impl<F> Counted<'_, F> {
    fn at<S: State>(&mut self, t: f64, state: &S) -> Result<S, OdeError>
    where
        F: FnMut(f64, &S) -> Result<S, OdeError>,
    {
        if self.evaluations == self.plan.limit {
            return Err(OdeError::TooManyEvaluations {
                limit: self.plan.limit,
                t,
                end: self.plan.end,
            });
        }
        self.evaluations += 1;
        let slope = (self.slope)(t, state)?;
        state.check(&slope)?;
        Ok(slope)
    }
}

/// The slopes of one step, and the state at its end.
pub(crate) struct Attempt<S> {
    slopes: Vec<S>,
    end: S,
}

impl<S: State> Attempt<S> {
    /// The error relative to the tolerance.
    fn error_ratio(&self, step: f64, state: &S, error: &[f64], tolerance: Tolerance) -> f64 {
        // Only a decision depends on it, so no autodiff graph is needed.
        let slopes: Vec<S> = self.slopes.iter().map(S::untracked).collect();
        let factors: Vec<f64> = error.iter().map(|weight| weight * step).collect();
        let error = S::sum(&factors, &slopes).expect("an error estimate has weights");
        error.norm(&state.untracked(), &self.end.untracked(), tolerance)
    }

    /// The state at the used fraction of the step that began at `state`.
    pub fn reached(
        mut self,
        solver: &Solver,
        step: Step,
        state: &S,
        slope: impl FnOnce(f64, &S) -> Result<S, OdeError>,
    ) -> Result<S, OdeError> {
        if step.used == 1.0 {
            return Ok(self.end);
        }
        if !solver.first_same_as_last {
            self.slopes.push(slope(step.t + step.step, &self.end)?);
        }
        Ok(state.advance(step.step, &solver.weights_at(step.used), &self.slopes))
    }
}

/// Computes one step from `state`, where the slope is `first`.
pub(crate) fn attempt<S: State>(
    solver: &Solver,
    t: f64,
    step: f64,
    state: &S,
    first: S,
    mut slope: impl FnMut(f64, &S) -> Result<S, OdeError>,
) -> Result<Attempt<S>, OdeError> {
    let mut slopes = vec![first];
    let mut reached = None;
    for (time, weights) in solver.times.iter().zip(solver.stages).skip(1) {
        let stage = state.advance(step, weights, &slopes);
        slopes.push(slope(t + time * step, &stage)?);
        reached = Some(stage);
    }
    let end = match reached {
        // The last slope is that at the end of the step.
        Some(stage) if solver.first_same_as_last => stage,
        _ => state.advance(step, solver.weights, &slopes),
    };
    Ok(Attempt { slopes, end })
}

impl Plan {
    /// Checks the settings.
    pub fn check(&self) -> Result<(), OdeError> {
        if self.limit == 0 {
            return Err(OdeError::Setting {
                what: "the limit of evaluations",
                expected: "positive",
                found: 0.0,
            });
        }
        if matches!(self.control, Control::Adaptive(_)) {
            self.error_weights()?;
        }
        for (what, found) in [("the start", self.start), ("the end", self.end)] {
            if !found.is_finite() {
                return Err(OdeError::Setting {
                    what,
                    expected: "finite",
                    found,
                });
            }
        }
        self.control.check()
    }

    fn error_weights(&self) -> Result<&'static [f64], OdeError> {
        let solver = self.solver.name;
        self.solver
            .error
            .ok_or(OdeError::NoErrorEstimate { solver })
    }

    fn constant<S: State>(
        &self,
        steps: usize,
        mut state: S,
        slope: &mut Counted<'_, impl FnMut(f64, &S) -> Result<S, OdeError>>,
        watch: &mut impl Watch<S>,
    ) -> Result<(S, usize, usize), OdeError> {
        let step = (self.end - self.start) / steps as f64;
        let mut known = None;
        for n in 0..steps {
            let t = self.start + n as f64 * step;
            let first = match known.take() {
                Some(slope) => slope,
                None => slope.at(t, &state)?,
            };
            let made = attempt(&self.solver, t, step, &state, first, |t, s| slope.at(t, s))?;
            watch.accepted(Step { t, step, used: 1.0 }, &state);
            state = made.end;
            if self.solver.first_same_as_last {
                known = made.slopes.into_iter().next_back();
            }
        }
        // Checked once at the end, because reading a value from the device in each step would synchronise it.
        if state.untracked().all_finite() {
            Ok((state, steps, 0))
        } else {
            Err(OdeError::NonFinite { t: self.start })
        }
    }

    fn adaptive<S: State>(
        &self,
        control: &Adaptive,
        mut state: S,
        slope: &mut Counted<'_, impl FnMut(f64, &S) -> Result<S, OdeError>>,
        watch: &mut impl Watch<S>,
    ) -> Result<(S, usize, usize), OdeError> {
        let solver = &self.solver;
        let error = self.error_weights()?;
        let direction = (self.end - self.start).signum();
        let (mut t, mut accepted, mut rejected) = (self.start, 0, 0);
        let mut first = slope.at(t, &state)?;
        let length = match control.first_step {
            Some(length) => length,
            None => {
                let length = control.first_step(solver.order, &state, &first, |length| {
                    let probe =
                        state.advance(direction * length, &[1.0], std::slice::from_ref(&first));
                    slope.at(t + direction * length, &probe)
                })?;
                watch.discarded(&first);
                length
            }
        };
        let mut step = direction * length;
        if !step.is_finite() || step == 0.0 {
            return Err(OdeError::NonFinite { t });
        }
        let mut finite = true;
        loop {
            if t + step == t {
                return Err(match finite {
                    true => OdeError::StepUnderflow { t, step },
                    false => OdeError::NonFinite { t },
                });
            }
            let made = attempt(solver, t, step, &state, first.clone(), |t, s| {
                slope.at(t, s)
            })?;
            let ratio = made.error_ratio(step, &state, error, control.tolerance());
            finite = ratio.is_finite();
            let next = control.next_step(step, ratio, solver.order);
            if ratio <= 1.0 {
                accepted += 1;
                let after = t + step;
                if (after - self.end) * direction >= 0.0 {
                    let used = f64::min((self.end - t) / step, 1.0);
                    let last = Step { t, step, used };
                    watch.accepted(last, &state);
                    let end = made.reached(solver, last, &state, |t, s| slope.at(t, s))?;
                    return match end.untracked().all_finite() {
                        true => Ok((end, accepted, rejected)),
                        false => Err(OdeError::NonFinite { t }),
                    };
                }
                watch.accepted(Step { t, step, used: 1.0 }, &state);
                let Attempt { mut slopes, end } = made;
                first = match solver.first_same_as_last {
                    true => slopes.pop().expect("a solver has slopes"),
                    false => slope.at(after, &end)?,
                };
                (t, state) = (after, end);
            } else {
                rejected += 1;
                drop(made);
                watch.discarded(&first);
            }
            step = next;
        }
    }
}
