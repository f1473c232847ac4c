//! Models with random weights from the host, and reading their gradients and parameters.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::Device;
use burn::tensor::{Gradients, Int, Tensor, TensorData};

use crate::random::Random;

/// The model with random parameters that depend only on the seed and the paths of the parameters, not on the device: weights uniform in
/// -1/sqrt(fan in)..1/sqrt(fan in), the scale and the running variance of norms around 1, everything else around 0. Wirings are unchanged.
pub(crate) fn with_random_weights<M: Module>(model: M, seed: u64) -> M {
    model.map(&mut RandomWeights {
        seed,
        path: Vec::new(),
    })
}

struct RandomWeights {
    seed: u64,
    path: Vec<(String, bool)>,
}

impl ModuleMapper for RandomWeights {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path
            .push((name.to_owned(), container == "Reparameterization"));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.path.iter().any(|(_, of_wiring)| *of_wiring) {
            return param;
        }
        let path: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
        let path = path.join(".");
        // FNV-1a: any hash does, as long as it is the same everywhere.
        let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let mut random = Random::new(hash ^ self.seed);
        let dims = param.base().dims();
        let count = dims.iter().product();
        let values = if D == 1 {
            let (low, high) = match path.rsplit('.').next() {
                Some("gamma" | "running_var") => (0.7, 1.3),
                _ => (-0.3, 0.3),
            };
            random.uniform(count, low, high)
        } else {
            // Burn stores linear weights as [inputs, outputs].
            let fan_in = if D == 2 { dims[0] } else { count / dims[0] };
            let bound = 1.0 / (fan_in as f32).sqrt();
            random.uniform(count, -bound, bound)
        };
        param.map(|old| {
            let new = Tensor::from_data(TensorData::new(values, dims), &old.device());
            new.set_require_grad(old.is_require_grad())
        })
    }
}

/// The gradients of the model, by the path of the parameter.
pub(crate) fn gradients<M: Module>(model: &M, grads: &Gradients) -> BTreeMap<String, TensorData> {
    let mut collect = Collect {
        read: |param: &dyn Read| param.gradient(grads),
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    model.visit(&mut collect);
    collect.found
}

/// The float tensors of the model, those of wirings included, by path.
pub(crate) fn parameters<M: Module>(model: &M) -> BTreeMap<String, TensorData> {
    let mut collect = Collect {
        read: |param: &dyn Read| Some(param.value()),
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    model.visit(&mut collect);
    collect.found
}

/// A parameter of any number of dimensions.
trait Read {
    fn gradient(&self, grads: &Gradients) -> Option<TensorData>;
    fn value(&self) -> TensorData;
}

impl<const D: usize> Read for Param<Tensor<D>> {
    fn gradient(&self, grads: &Gradients) -> Option<TensorData> {
        self.base().grad(grads).map(Tensor::into_data)
    }

    fn value(&self) -> TensorData {
        self.base().into_data()
    }
}

struct Collect<F> {
    read: F,
    path: Vec<String>,
    found: BTreeMap<String, TensorData>,
}

impl<F: Fn(&dyn Read) -> Option<TensorData>> ModuleVisitor for Collect<F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(data) = (self.read)(param) {
            self.found.insert(self.path.join("."), data);
        }
    }
}

/// The cross-entropy of logits and labels.
pub(crate) fn cross_entropy(logits: Tensor<2>, labels: &[i64], device: &Device) -> Tensor<1> {
    let labels = TensorData::new(labels.to_vec(), [labels.len()]);
    let labels = Tensor::<1, Int>::from_data(labels, device);
    CrossEntropyLossConfig::new()
        .init(device)
        .forward(logits, labels)
}
