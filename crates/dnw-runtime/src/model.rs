//! Models: plans that were checked and can be executed.

use std::sync::Arc;

use crate::PlanError;
use crate::check::check;
use crate::execute::Prepared;
use crate::plan::{Input, Plan};

/// A compiled network. Clones share its memory, and any number of threads can use it at once, each with a
/// [`Session`](crate::Session) of its own.
#[derive(Clone, Debug)]
pub struct Model(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    /// Without the steps.
    pub(crate) plan: Plan,
    pub(crate) steps: Vec<Prepared>,
    /// Numbers of scratch memory that each thread needs.
    pub(crate) scratch: usize,
}

impl Model {
    /// Checks a plan.
    ///
    /// # Errors
    /// [`PlanError`] if a step reads or writes outside the arena, overwrites what it reads, or its tensors do not fit each other.
    pub fn new(mut plan: Plan) -> Result<Self, PlanError> {
        check(&plan)?;
        let steps: Vec<Prepared> = std::mem::take(&mut plan.steps)
            .into_iter()
            .map(Prepared::new)
            .collect();
        let scratch = steps.iter().map(Prepared::scratch).max().unwrap_or(0);
        Ok(Self(Arc::new(Inner {
            plan,
            steps,
            scratch,
        })))
    }

    /// What an image must look like.
    pub fn input(&self) -> &Input {
        &self.0.plan.input
    }

    /// Numbers of an image.
    pub fn image_len(&self) -> usize {
        self.input().shape.iter().product()
    }

    /// Numbers of an image's result: the classes of a classifier.
    pub fn output_len(&self) -> usize {
        self.0.plan.output.shape.iter().product()
    }

    /// The layer and the operation of each step, in the order of execution. A layer can have several steps.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (&str, &'static str)> {
        let steps = self.0.steps.iter();
        steps.map(|step| (step.layer(), step.operation()))
    }

    /// Bytes that a session of one thread needs for feature maps.
    pub fn session_bytes(&self) -> usize {
        4 * (self.0.plan.arena + self.0.scratch)
    }
}
