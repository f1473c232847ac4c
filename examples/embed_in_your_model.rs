//! Learned wiring in your own Burn model.
//!
//! A convolutional network with a custom training loop learns to classify bars, crosses and rings. Four lines, each ending in
//! `// dnw`, let it discover its wiring: 20 % of the weights are real at any time, and training decides which.
//!
//! 1. `use dnw_core::{Budget, ParamGroup, Wire};`
//! 2. `let wire = Wire::dnw(Budget::Density(0.2)).weights(ParamGroup::all());`
//! 3. `let mut model = wire.attach(Net::new(&device))?;` instead of `let mut model = Net::new(&device);`
//! 4. `let rewiring = model.rewire()?;` after each optimizer step.
//!
//! The lines that end in `// shown` only count swaps for the output. Run it with
//!
//! ```text
//! cargo run -p dnw-examples --example embed_in_your_model [--features FEATURE] [DEVICE]
//! ```
//!
//! `DEVICE` is a device name: `auto` (without one), `flex`, `ndarray`, `wgpu`, `wgpu:discrete`, `wgpu:cpu`, `vulkan`,
//! `metal`, `cuda:0`, `rocm:0`, `libtorch`, `remote:ws://127.0.0.1:3000`. `FEATURE` is the part before the colon; `flex` is enabled by
//! default. Nothing else depends on the device. It fails if the network has not learned its task.

#![recursion_limit = "256"]

use std::error::Error;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig, momentum::MomentumConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use dnw_core::{Budget, ParamGroup, Wire}; // dnw
use dnw_examples::{CLASSES, Shape, ShapeBatcher, device_from_arguments, shapes};

/// A network of Burn layers, without anything about wirings.
#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    pool: MaxPool2d,
    hidden: Linear,
    head: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new([1, 16], [5, 5]).init(device),
            pool: MaxPool2dConfig::new([3, 3]).with_strides([3, 3]).init(),
            hidden: LinearConfig::new(256, 32).init(device),
            head: LinearConfig::new(32, CLASSES.len()).init(device),
        }
    }

    /// `[batch, 1, 16, 16]` to `[batch, classes]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.conv.forward(images)));
        let x = relu(self.hidden.forward(x.flatten(1, 3)));
        self.head.forward(x)
    }
}

/// The accuracy of the model on `shapes`.
fn accuracy(model: &Net, shapes: &[Shape], device: &Device) -> f64 {
    let batch = ShapeBatcher.batch(shapes.to_vec(), device);
    let named = model.forward(batch.images).argmax(1).flatten(0, 1);
    let right = named.equal(batch.labels).int().sum().into_scalar::<i64>();
    right as f64 / shapes.len() as f64
}

const EPOCHS: usize = 10;
const BATCH: usize = 32;
const LOWEST_ACCURACY: f64 = 0.9;

fn main() -> Result<(), Box<dyn Error>> {
    let cpu_or_gpu = device_from_arguments()?;
    let device = cpu_or_gpu.clone().autodiff();
    device.seed(1);
    let (training, held_back) = (shapes(1, 1024), shapes(2, 512));

    let wire = Wire::dnw(Budget::Density(0.2)).weights(ParamGroup::all()); // dnw
    let mut model = wire.attach(Net::new(&device))?; // dnw
    let momentum = MomentumConfig::new();
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let loss = CrossEntropyLossConfig::new().init(&device);

    println!(
        "accuracy before training {:.3}",
        accuracy(&model.valid(), &held_back, &cpu_or_gpu)
    );
    for epoch in 1..=EPOCHS {
        let mut swaps = 0; // shown
        for shapes in training.chunks(BATCH) {
            let batch = ShapeBatcher.batch(shapes.to_vec(), &device);
            let loss = loss.forward(model.forward(batch.images), batch.labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.05, model, gradients);
            let rewiring = model.rewire()?; // dnw
            swaps += rewiring.added(); // shown
        }
        let accuracy = accuracy(&model.valid(), &held_back, &cpu_or_gpu);
        println!("epoch {epoch}: accuracy {accuracy:.3}, {swaps} swaps");
    }
    let trained = accuracy(&model.valid(), &held_back, &cpu_or_gpu);

    println!("\nreal / possible edges");
    for tensor in model.tensors() {
        let (real, possible) = (tensor.wiring.count(), tensor.candidates.count());
        println!("  {:<14} {real:>5} / {possible}", tensor.name);
    }

    // Back to a plain Burn module: `Net` itself, with dense weights that contain zeros.
    let dense: Net = model.valid().into_model().materialize();
    let weights = dense.hidden.weight.val();
    let zeros = weights
        .clone()
        .equal_elem(0.0)
        .int()
        .sum()
        .into_scalar::<i64>();
    println!(
        "\nmaterialized: {zeros} of the {} hidden weights are zero",
        weights.shape().num_elements()
    );
    let dense_accuracy = accuracy(&dense, &held_back, &cpu_or_gpu);
    assert_eq!(
        dense_accuracy, trained,
        "the dense model equals the wired one"
    );
    assert!(
        trained >= LOWEST_ACCURACY,
        "accuracy {trained} is under {LOWEST_ACCURACY}"
    );

    typed::run(&device)
}

/// The alternative: wired layer types in the model, with their own budgets.
mod typed {
    use burn::tensor::Distribution;
    use dnw_core::{DnwLinear, DnwLinearConfig, MaskedConv2d, MaskedConv2dConfig};

    use super::*;

    /// The first convolution is dense; the other layers have their own budgets.
    #[derive(Module, Debug)]
    struct TypedNet {
        stem: Conv2d,
        conv: MaskedConv2d,
        head: DnwLinear,
    }

    impl TypedNet {
        fn forward(&self, images: Tensor<4>) -> Tensor<2> {
            let x = relu(self.stem.forward(images));
            let x = relu(self.conv.forward(x));
            self.head.forward(x.mean_dims(&[2, 3]).flatten(1, 3))
        }
    }

    pub(super) fn run(device: &Device) -> Result<(), Box<dyn Error>> {
        let tenth = Some(Budget::Density(0.1));
        let net = TypedNet {
            stem: Conv2dConfig::new([1, 8], [3, 3]).init(device),
            conv: MaskedConv2dConfig::new([8, 16], [3, 3])
                .with_budget(tenth)
                .init(device),
            head: DnwLinearConfig::new(16, 4)
                .with_budget(Some(Budget::Edges(12)))
                .init(device),
        };
        // This budget is for wired layers without their own.
        let mut model = Wire::dnw(Budget::Density(1.0)).attach(net)?;
        let images = Tensor::random([8, 1, 16, 16], Distribution::Default, device);
        let loss = model.forward(images).powi_scalar(2).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = SgdConfig::new().init().step(0.05, model, gradients);
        model.rewire()?;
        let (conv, head) = (model.conv.wiring(), model.head.wiring());
        println!(
            "typed layers: conv {} / {}, head {} / {} edges real",
            conv.count(),
            conv.entries(),
            head.count(),
            head.entries()
        );
        Ok(())
    }
}
