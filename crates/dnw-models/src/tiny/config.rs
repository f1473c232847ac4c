//! The sizes of the tiny classifiers, and how they are made.

use burn::nn::LinearConfig;
use burn::tensor::Device;
use dnw_core::graph::{CyclicGraphConfig, GraphConfig, GraphSpec, ImageNodes, Outputs};
use dnw_ode::{Control, Gradient, Integrator, solvers};
use serde::{Deserialize, Serialize};

use super::{Stem, Time, Tiny, TinyCyclic, TinyStatic};
use crate::ModelError;

/// Configuration of a [`TinyStatic`]; the default is as published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TinyStaticConfig {
    /// Input nodes: the stem's channels.
    pub stem: usize,
    /// Nodes of each later level.
    pub level: usize,
    /// Later levels.
    pub levels: usize,
    /// Output nodes, the last of the last level.
    pub outputs: usize,
}

impl Default for TinyStaticConfig {
    fn default() -> Self {
        Self {
            stem: 32,
            level: 192,
            levels: 4,
            outputs: 100,
        }
    }
}

impl TinyStaticConfig {
    /// Makes the model for images `[channels, height, width]`, 32 pixels or more a side.
    ///
    /// # Errors
    /// [`ModelError`] if the image is too small, a size is zero, or the outputs do not fit.
    pub fn init(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
    ) -> Result<TinyStatic, ModelError> {
        let mut levels = vec![self.stem];
        levels.extend(std::iter::repeat_n(self.level, self.levels));
        let spec = GraphSpec::levels(levels, Outputs::InLastLevel(self.outputs))?;
        let nodes = ImageNodes::new(&spec, device);
        Ok(Tiny {
            stem: Stem::new(image, self.stem, device)?,
            graph: GraphConfig::new(spec).init(nodes, device),
            fc: LinearConfig::new(self.outputs, classes).init(device),
            time: (),
            outputs: self.outputs,
        })
    }
}

/// Configuration of a [`TinyCyclic`] in discrete time; the default is as published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TinyDiscreteConfig {
    /// Input nodes: the stem's channels.
    pub stem: usize,
    /// All nodes.
    pub nodes: usize,
    /// Output nodes, the last of all.
    pub outputs: usize,
    /// How often all nodes run.
    pub steps: usize,
}

impl Default for TinyDiscreteConfig {
    fn default() -> Self {
        Self {
            stem: 32,
            nodes: 800,
            outputs: 100,
            steps: 5,
        }
    }
}

impl TinyDiscreteConfig {
    /// Makes the model for images `[channels, height, width]`, 32 pixels or more a side.
    ///
    /// # Errors
    /// [`ModelError`] if the image is too small, a size is zero, or inputs and outputs do not fit.
    pub fn init(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
    ) -> Result<TinyCyclic, ModelError> {
        if self.steps == 0 {
            return Err(ModelError::Zero { field: "steps" });
        }
        let sizes = [self.stem, self.nodes, self.outputs];
        cyclic(sizes, Time::Steps(self.steps), image, classes, device)
    }
}

/// Configuration of a [`TinyCyclic`] in continuous time; the default is as published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TinyContinuousConfig {
    /// Input nodes: the stem's channels.
    pub stem: usize,
    /// All nodes.
    pub nodes: usize,
    /// Output nodes, the last of all.
    pub outputs: usize,
    /// How a step is made.
    pub solver: SolverName,
    /// So many steps of the same length; without it steps are as long as the tolerances allow, which `euler`, `heun` and `rk4`
    /// cannot do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Tolerated error of a step as a share of the state.
    pub rtol: f64,
    /// Tolerated error of a step besides.
    pub atol: f64,
    /// How the gradient comes back.
    pub gradient: GradientName,
    /// The most evaluations of the graph that one solution may take.
    pub limit: usize,
}

/// How a step is made: the solvers of [`dnw_ode::solvers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum SolverName {
    Euler,
    Heun,
    Rk4,
    Tsit5,
    Dopri5,
}

/// How the gradient comes back: see [`dnw_ode::Gradient`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientName {
    /// Through the solver: the memory of every step is kept.
    Through,
    /// Through the solver, making each step a second time.
    Checkpointed,
    /// By the adjoint equation: memory does not grow with the steps.
    Adjoint,
}

impl Default for TinyContinuousConfig {
    fn default() -> Self {
        Self {
            stem: 32,
            nodes: 800,
            outputs: 100,
            solver: SolverName::Dopri5,
            steps: None,
            rtol: 1e-3,
            atol: 1e-3,
            gradient: GradientName::Through,
            limit: 10_000,
        }
    }
}

impl TinyContinuousConfig {
    /// Makes the model for images `[channels, height, width]`, 32 pixels or more a side.
    ///
    /// # Errors
    /// [`ModelError`] if the image is too small, a size is zero, inputs and outputs do not fit, or the solver cannot work with these
    /// settings.
    pub fn init(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
    ) -> Result<TinyCyclic, ModelError> {
        let integrator = self.integrator();
        integrator.check()?;
        let sizes = [self.stem, self.nodes, self.outputs];
        cyclic(sizes, Time::Continuous(integrator), image, classes, device)
    }

    fn integrator(&self) -> Integrator {
        let solver = match self.solver {
            SolverName::Euler => solvers::EULER,
            SolverName::Heun => solvers::HEUN,
            SolverName::Rk4 => solvers::RK4,
            SolverName::Tsit5 => solvers::TSIT5,
            SolverName::Dopri5 => solvers::DOPRI5,
        };
        let control = match self.steps {
            Some(steps) => Control::Constant { steps },
            None => Control::adaptive(self.rtol, self.atol),
        };
        let gradient = match self.gradient {
            GradientName::Through => Gradient::Through,
            GradientName::Checkpointed => Gradient::Checkpointed,
            GradientName::Adjoint => Gradient::Adjoint,
        };
        Integrator::new(solver, control)
            .with_gradient(gradient)
            .with_limit(self.limit)
    }
}

/// A classifier whose graph has `[stem, nodes, outputs]` input nodes, nodes and output nodes.
fn cyclic(
    [stem, nodes, outputs]: [usize; 3],
    time: Time,
    image: [usize; 3],
    classes: usize,
    device: &Device,
) -> Result<TinyCyclic, ModelError> {
    if outputs == 0 {
        return Err(ModelError::Zero { field: "outputs" });
    }
    if stem.saturating_add(outputs) > nodes {
        return Err(ModelError::Nodes {
            inputs: stem,
            outputs,
            nodes,
        });
    }
    Ok(Tiny {
        stem: Stem::new(image, stem, device)?,
        graph: CyclicGraphConfig::new(nodes).init(device),
        fc: LinearConfig::new(outputs, classes).init(device),
        time,
        outputs,
    })
}
