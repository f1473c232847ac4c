//! From a run to the file of a compiled model.

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_circuit::{Circuit, Op, Views, count, prune};
use dnw_compiler::{Passes, compile};
use dnw_core::WiringError;
use dnw_data::{DataError, Source, TestTransform};
use dnw_models::{Classifier, ModelError, NoCircuit, UseModel};
use dnw_onnx::ImportError;
use dnw_runtime::file::{FileError, Precision, read, write};
use dnw_runtime::plan::{Input, Plan};
use dnw_runtime::{Model, PlanError};

use crate::recipe::{Recipe, RecipeError};
use crate::run::{Facts, RunError, RunFolder, load_weights};

/// What is to be compiled, how.
#[derive(Clone, Debug)]
pub struct Compile<'a> {
    /// The run.
    pub folder: &'a RunFolder,
    /// Which weights: `best` or `last`.
    pub which: &'a str,
    /// What weights are stored as.
    pub precision: Precision,
    /// Where the network is built, without autodiff.
    pub device: &'a Device,
}

/// A compiled run.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The file.
    pub bytes: Vec<u8>,
    /// What the file holds, with weights as they are stored.
    pub plan: Plan,
    /// Parameters and multiply-adds of the network.
    pub count: Views,
    /// Edges that could have been real.
    pub possible_edges: usize,
    /// Channels that were removed because they cannot change the result.
    pub removed_channels: usize,
    /// Bytes that a session of one thread needs for feature maps.
    pub session_bytes: usize,
    /// Whether the ONNX model that was compiled has the channels of its images last. The file has them first.
    pub channels_last: bool,
    /// Whether the feature maps of the ONNX model that was compiled are quantised. Here they are clipped to the same ranges, and not rounded.
    pub quantised: bool,
}

/// Why a run cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The network has no circuit.
    #[error("this network cannot be compiled: {0}")]
    Circuit(#[from] NoCircuit),
    /// The run's data set is not known.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The weights cannot be stored.
    #[error(transparent)]
    File(#[from] FileError),
    /// The ONNX model cannot be read.
    #[error(transparent)]
    Onnx(#[from] ImportError),
    /// A list has another length than the image has channels.
    #[error("the {what} has {found} numbers, and the images of the model have {channels} channels")]
    Channels {
        /// The list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The channels.
        channels: usize,
    },
    /// The compiler made a plan that cannot be executed.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Compiled {
    /// Compiles a circuit.
    pub(super) fn new(
        circuit: &Circuit,
        input: Input,
        precision: Precision,
    ) -> Result<Self, CompileError> {
        let plan = compile(circuit, input, Passes::default());
        let bytes = write(&plan, precision);
        // What can be written and not be read, such as weights that are not finite, is better found out here.
        let plan = read(&bytes)?;
        let model = Model::new(plan.clone())?;
        let count = count(circuit).total;
        Ok(Self {
            bytes,
            plan,
            possible_edges: usize::try_from(count.dense.edges).unwrap_or(usize::MAX),
            count,
            removed_channels: channels(circuit) - channels(&prune(circuit)),
            session_bytes: model.session_bytes(),
            channels_last: false,
            quantised: false,
        })
    }
}

impl Compile<'_> {
    /// Compiles the run.
    ///
    /// # Errors
    /// [`CompileError`] if the run cannot be read, its network has no fixed circuit, or its weights are not finite.
    pub fn run(self) -> Result<Compiled, CompileError> {
        let (circuit, input) = self.network()?;
        let facts = self.folder.read_facts()?;
        let compiled = Compiled::new(&circuit, input, self.precision)?;
        Ok(Compiled {
            possible_edges: facts.edges_possible,
            ..compiled
        })
    }

    /// The run's network, and what its images must look like.
    pub(super) fn network(&self) -> Result<(Circuit, Input), CompileError> {
        let facts = self.folder.read_facts()?;
        let recipe = self.folder.read_recipe()?;
        let input = input(&recipe, &facts)?;
        Ok((self.circuit(&recipe, &facts)?, input))
    }

    fn circuit(&self, recipe: &Recipe, facts: &Facts) -> Result<Circuit, CompileError> {
        let damaged = |error: &dyn std::fmt::Display| {
            RunError::damaged(self.folder.path().join("recipe.toml"), error)
        };
        let write = WriteCircuit {
            recipe,
            facts,
            weights: &self.folder.weights(self.which),
        };
        let classes = facts.classes.len();
        let built: Result<_, ModelError> =
            recipe.model.build(facts.image, classes, self.device, write);
        // The run was made with this recipe, so that a network that cannot be made means that the recipe is no longer that one.
        match built.map_err(|error| damaged(&error))? {
            Ok(circuit) => Ok(circuit),
            Err(Failure::Recipe(error)) => Err(damaged(&error).into()),
            Err(Failure::Wiring(error)) => Err(damaged(&error).into()),
            Err(Failure::Compile(error)) => Err(error),
        }
    }
}

/// Channels of all convolutions.
fn channels(circuit: &Circuit) -> usize {
    let convolutions = circuit
        .steps()
        .iter()
        .filter(|step| matches!(step.op, Op::Conv { .. } | Op::Depthwise { .. }));
    convolutions.map(|step| step.shape[0]).sum()
}

/// What the file says of its images.
fn input(recipe: &Recipe, facts: &Facts) -> Result<Input, CompileError> {
    let source = Source::named(&recipe.data)?;
    // A network that was trained elsewhere was trained on the published data.
    let (mean, deviation) = match facts.mean.is_empty() {
        true => source.statistics()?,
        false => (facts.mean.clone(), facts.std.clone()),
    };
    let transforms = recipe.transforms.unwrap_or_else(|| source.transforms());
    Ok(Input {
        name: recipe.name.clone(),
        shape: facts.image,
        mean,
        deviation,
        resize: match transforms.test {
            TestTransform::ResizeCentreCrop { resize, .. } => resize,
            _ => 0,
        },
        classes: facts.classes.clone(),
    })
}

struct WriteCircuit<'a> {
    recipe: &'a Recipe,
    facts: &'a Facts,
    weights: &'a std::path::Path,
}

enum Failure {
    Recipe(RecipeError),
    Wiring(WiringError),
    Compile(CompileError),
}

impl<E: Into<CompileError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Compile(error.into())
    }
}

impl UseModel for WriteCircuit<'_> {
    type Output = Result<Circuit, Failure>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        // Wired only so that the model has places for the stored wirings; which edges it begins with does not matter.
        let wire = self.recipe.wire(1, self.facts.classes.len());
        let mut model = wire
            .map_err(Failure::Recipe)?
            .attach(model)
            .map_err(Failure::Wiring)?;
        load_weights(&mut *model, self.weights)?;
        Ok(model.circuit(self.facts.image)?)
    }
}
