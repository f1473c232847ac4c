//! Stochastic gradient descent in one pass over the weights.
//!
//! Burn's own [`Sgd`](burn::optim::Sgd) runs each of its operations over whole tensors: it reads weights
//! twice, gradients and momentum buffers three times, and writes five tensors. On CPU backends this optimizer
//! reads each element once and updates in place, with bit-identical results.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use crate::{ops, surveys};

pub use crate::ops::clip_norm;

/// Stochastic gradient descent with momentum and weight decay: `v <- momentum v + (g + decay w)`,
/// `w <- w - rate v`. The momentum buffer starts as the first gradient, without dampening, as in PyTorch.
///
/// ```
/// use dnw_core::optim::Sgd;
///
/// let optimizer = Sgd::new(0.9).with_weight_decay(Some(1e-4)).init();
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    momentum: f32,
    weight_decay: Option<f32>,
}

impl Sgd {
    /// An optimizer with this momentum, which may be zero, and no weight decay.
    pub fn new(momentum: f64) -> Self {
        Self {
            momentum: momentum as f32,
            weight_decay: None,
        }
    }

    /// Sets the weight decay: `decay` times the weights is added to their gradient.
    #[must_use]
    pub fn with_weight_decay(mut self, decay: Option<f64>) -> Self {
        self.weight_decay = decay.map(|decay| decay as f32);
        self
    }

    /// The optimizer of a module.
    pub fn init(self) -> burn::optim::ModuleOptimizer {
        burn::optim::ModuleOptimizer::from(self)
    }
}

/// The optimizer state of a parameter.
#[derive(Clone, Debug)]
pub struct SgdState<const D: usize> {
    velocity: Option<Tensor<D>>,
}

/// Burn's derive macro for this works in its own crate only.
impl<const D: usize> RecordState for SgdState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        if let Some(velocity) = &self.velocity {
            out.push_tensor(prefix, "velocity", velocity.to_data());
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let velocity = src.take_tensor(prefix, "velocity");
        let velocity = velocity.map(|data| Tensor::from_data(data, device));
        Some(Self { velocity })
    }
}

impl Optimizer for Sgd {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<SgdState<D>>,
    ) -> (Tensor<D>, Option<SgdState<D>>) {
        let velocity = state.and_then(|state| state.velocity);
        let sgd = ops::SgdStep {
            learning_rate: rate,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
        };
        // The first update makes no survey.
        let request = velocity.as_ref().and_then(|_| surveys::take(&weights));
        let (name, survey) = match request {
            Some(of) => (Some(of.name), Some((of.real, of.top_k))),
            None => (None, None),
        };
        let (weights, velocity, surveyed) = ops::sgd_step(weights, gradient, velocity, sgd, survey);
        if let (Some(name), Some(surveyed)) = (name, surveyed) {
            surveys::store(name, surveyed);
        }
        let velocity = (self.momentum != 0.0).then_some(velocity);
        (weights, Some(SgdState { velocity }))
    }

    fn to_device<const D: usize>(state: SgdState<D>, device: &Device) -> SgdState<D> {
        SgdState {
            velocity: state.velocity.map(|velocity| velocity.to_device(device)),
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::decay::WeightDecayConfig;
    use burn::optim::momentum::MomentumConfig;
    use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
    use burn::tensor::Distribution;

    /// The weights of a layer after some updates, and the optimizer.
    fn trained(
        mut optimizer: ModuleOptimizer,
        mut layer: Linear,
        updates: u32,
    ) -> (Linear, ModuleOptimizer) {
        for update in 0..updates {
            let x = Tensor::<2>::full(
                [3, 70],
                0.1 * update as f32 - 0.2,
                &layer.weight.val().device(),
            );
            let loss = layer.forward(x).powi_scalar(2).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &layer);
            layer = optimizer.step(0.03, layer, gradients);
        }
        (layer, optimizer)
    }

    fn bits(layer: &Linear) -> Vec<u32> {
        let bits = |data: burn::tensor::TensorData| {
            data.iter::<f32>().map(f32::to_bits).collect::<Vec<_>>()
        };
        let bias = layer.bias.as_ref().map(|bias| bits(bias.val().to_data()));
        [bits(layer.weight.val().to_data()), bias.unwrap_or_default()].concat()
    }

    fn layer() -> Linear {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(70, 41).init(&device);
        let weight =
            Tensor::random([70, 41], Distribution::Normal(0.0, 1.0), &device).require_grad();
        Linear {
            weight: burn::module::Param::from_tensor(weight),
            ..layer
        }
    }

    #[test]
    fn updates_are_bit_identical_to_burns_optimizer() {
        let start = layer();
        for decay in [None, Some(1e-3)] {
            let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
            let burns = SgdConfig::new()
                .with_momentum(Some(momentum))
                .with_weight_decay(decay.map(|decay: f64| WeightDecayConfig::new(decay as f32)));
            let (expected, _) = trained(burns.init(), start.clone(), 5);
            let (found, _) = trained(
                Sgd::new(0.9).with_weight_decay(decay).init(),
                start.clone(),
                5,
            );
            assert_eq!(bits(&found), bits(&expected));
        }
    }

    #[test]
    fn the_state_survives_a_record() {
        let (start, updates) = (layer(), 3);
        let (half, optimizer) = trained(Sgd::new(0.9).init(), start, updates);
        let again = Sgd::new(0.9).init().load_record(optimizer.to_record());
        let (expected, _) = trained(optimizer, half.clone(), updates);
        let (found, _) = trained(again, half, updates);
        assert_eq!(bits(&found), bits(&expected));
    }
}
