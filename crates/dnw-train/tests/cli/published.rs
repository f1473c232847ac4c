//! Recorded runs of an independent PyTorch program, and the networks that are imported from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::ModuleDisplay;
use burn::tensor::{Device, Tensor, TensorData};
use dnw_checkpoint::Tensor as Stored;
use dnw_models::{Classifier, ModelConfig, UseModel};
use dnw_train::recipe::Recipe;
use dnw_train::run::{RunFolder, load_weights};

/// What makes a recipe of the published widths one of the recorded, narrow ones.
pub const NARROW: [(&str, &str, &[&str]); 5] = [
    ("tiny_static_dnw", "cifar10-tiny-static-dnw", &TINY),
    ("tiny_static_random", "cifar10-tiny-static-random", &TINY),
    ("tiny_discrete_dnw", "cifar10-tiny-discrete-dnw", &CYCLIC),
    (
        "tiny_continuous_dnw",
        "cifar10-tiny-continuous-dnw",
        &CYCLIC,
    ),
    ("mobilenet_dnw", "cifar10-mobilenet-dnw-x0.225", &MOBILENET),
];

pub const TINY: [&str; 6] = [
    "--set",
    "model.stem=8",
    "--set",
    "model.level=24",
    "--set",
    "model.outputs=16",
];

const CYCLIC: [&str; 6] = [
    "--set",
    "model.stem=8",
    "--set",
    "model.nodes=104",
    "--set",
    "model.outputs=16",
];

const MOBILENET: [&str; 6] = [
    "--set",
    "model.first=8",
    "--set",
    "model.stages=[{nodes=12,stride=1,levels=1},{nodes=16,stride=2,levels=2},{nodes=24,stride=2,levels=2},\
     {nodes=32,stride=2,levels=6},{nodes=40,stride=2,levels=2}]",
    "--set",
    "wiring.prune-rate=0.5",
];

/// A file of a record that lies in the repository.
pub fn narrow(record: &str, file: &str) -> PathBuf {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dnw-conformance");
    let path = suite.join("records").join(record).join(file);
    path.canonicalize().unwrap()
}

/// The tensors of a file by their names.
pub fn tensors(path: &Path) -> BTreeMap<String, Stored> {
    let state = dnw_checkpoint::read(path).unwrap().model_state().unwrap();
    let named = state.tensors.into_iter();
    named.map(|tensor| (tensor.name.clone(), tensor)).collect()
}

/// The weights that a record holds, and the scores that the recorded network gave with them.
pub const MOMENTS: [(&str, &str); 2] = [
    ("initial", "logits_eval_before"),
    ("final", "logits_eval_after"),
];

/// How far the scores of the run at `run` for the record's first batch lie from those recorded under this name, over what is allowed:
/// 1e-4 absolute and 1e-3 relative, ten times that where an equation is solved, whose steps depend on rounding.
pub fn distance(run: &Path, record: &Path, scores: &str) -> f32 {
    let record = tensors(record);
    let recorded = &record[scores].data;
    let images = &record["images"];
    let [batch, c, h, w] = [1, 2, 3, 4].map(|axis| images.shape[axis]);
    let first = images.data[..batch * c * h * w].to_vec();
    let folder = RunFolder::open(run).unwrap();
    let (facts, recipe) = (folder.read_facts().unwrap(), folder.read_recipe().unwrap());
    assert_eq!(facts.image, [c, h, w]);
    let scores = Scores {
        images: TensorData::new(first, [batch, c, h, w]),
        weights: folder.weights("last"),
        recipe: &recipe,
        classes: facts.classes.len(),
    };
    let built = recipe
        .model
        .build(facts.image, facts.classes.len(), &Device::flex(), scores);
    let absolute = match recipe.model {
        ModelConfig::TinyContinuous(_) => 1e-3,
        _ => 1e-4,
    };
    let found = built.unwrap();
    assert_eq!(found.len(), recorded.len());
    let pairs = found.iter().zip(recorded);
    pairs
        .map(|(a, b)| (a - b).abs() / (absolute + 10.0 * absolute * b.abs()))
        .fold(
            0.0,
            |most, next| if next.is_nan() { next } else { most.max(next) },
        )
}

struct Scores<'a> {
    images: TensorData,
    weights: PathBuf,
    recipe: &'a Recipe,
    classes: usize,
}

impl UseModel for Scores<'_> {
    type Output = Vec<f32>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let wire = self.recipe.wire(1, self.classes).unwrap();
        let mut model = wire.attach(model).unwrap();
        load_weights(&mut *model, &self.weights).unwrap();
        let images = Tensor::<4>::from_data(self.images, &Device::flex());
        model.valid().forward(images).to_data().iter().collect()
    }
}
