//! Wired layers against dense ones.

#![cfg(feature = "flex")]

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Distribution, Tensor, Tolerance};
use dnw_core::{Budget, DnwLinear, DnwLinearConfig, MaskedConv2d, MaskedConv2dConfig};
use proptest::prelude::*;

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// A wired convolution with some of every option.
fn config(
    groups: usize,
    stride: usize,
    dilation: usize,
    padding: usize,
    bias: bool,
) -> MaskedConv2dConfig {
    MaskedConv2dConfig::new([2 * groups, 3 * groups], [3, 2])
        .with_groups(groups)
        .with_stride([stride, 1])
        .with_dilation([1, dilation])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .with_bias(bias)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_wired_convolution_is_the_dense_one_with_zeros_and_every_entry_gets_its_gradient(
        groups in 1usize..3, stride in 1usize..3, dilation in 1usize..3, padding in 0usize..3, bias: bool,
        density in 0.1f64..1.0,
    ) {
        let device = Device::flex().autodiff();
        let layer = config(groups, stride, dilation, padding, bias).with_budget(Some(Budget::Density(density))).init(&device);
        let twin = layer.clone().into_dense();
        let entries = layer.weight.base().shape().num_elements();
        prop_assert_eq!(layer.wiring().count(), (density * entries as f64).round() as usize);
        let zeros = twin.weight.val().to_data().iter::<f32>().filter(|&w| w == 0.0).count();
        prop_assert_eq!(zeros, entries - layer.wiring().count());

        let x = random([2, 2 * groups, 7, 8], &device).require_grad();
        let (a, b) = (layer.forward(x.clone()), twin.forward(x.clone()));
        a.to_data().assert_approx_eq(&b.to_data(), Tolerance::<f32>::rel_abs(1e-4, 1e-5));
        let direction = random(a.dims(), &device);
        let [ga, gb] = [a, b].map(|y| (y * direction.clone()).sum().backward());
        // The dense twin's weight gradient is dL/d(masked weight); its input gradient knows real edges only.
        let tolerance = Tolerance::<f32>::rel_abs(1e-3, 1e-4);
        let weight = layer.weight.base().grad(&ga).unwrap();
        prop_assert!(weight.clone().abs().min().into_scalar::<f32>() >= 0.0);
        weight.to_data().assert_approx_eq(&twin.weight.val().grad(&gb).unwrap().to_data(), tolerance);
        x.grad(&ga).unwrap().to_data().assert_approx_eq(&x.grad(&gb).unwrap().to_data(), tolerance);
    }
}

#[test]
fn the_gradient_of_a_hallucinated_edge_is_the_change_that_making_it_real_would_bring() {
    let device = Device::flex().autodiff();
    let layer = DnwLinearConfig::new(4, 3)
        .with_budget(Some(Budget::Edges(5)))
        .init(&device);
    let (x, direction) = (random([6, 4], &device), random([6, 3], &device));
    let loss = |weights: Vec<f32>| {
        let w = Tensor::<1>::from_floats(weights.as_slice(), &device).reshape([4, 3]);
        let bias = layer.bias.as_ref().unwrap().val().reshape([1, 3]);
        (((x.clone().matmul(w) + bias).tanh()) * direction.clone())
            .sum()
            .into_scalar::<f32>()
    };
    let y = (layer.forward(x.clone()).tanh() * direction.clone()).sum();
    let gradient: Vec<f32> = layer
        .weight
        .base()
        .grad(&y.backward())
        .unwrap()
        .to_data()
        .iter()
        .collect();
    let masked: Vec<f32> = layer.weight.val().to_data().iter().collect();
    assert_eq!(masked.iter().filter(|&&w| w != 0.0).count(), 5);
    for entry in 0..12 {
        let moved = |h: f32| {
            let mut w = masked.clone();
            w[entry] += h;
            loss(w)
        };
        let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!(
            (gradient[entry] - difference).abs() < 1e-2 * (1.0 + difference.abs()),
            "entry {entry}"
        );
    }
}

#[test]
fn the_forward_pass_ignores_hallucinated_weights() {
    let device = Device::flex();
    let layer = MaskedConv2dConfig::new([3, 4], [3, 3])
        .with_budget(Some(Budget::Edges(20)))
        .init(&device);
    let x = random([2, 3, 8, 8], &device);
    let before = layer.forward(x.clone()).to_data();
    let real = layer.wiring();
    // A traversal of the module changes the stored weights and leaves the wiring as it is.
    let changed = layer.map(&mut GrowOthers(real.to_mask()));
    assert_eq!(changed.wiring(), real);
    changed.forward(x).to_data().assert_eq(&before, true);
}

/// Makes the weights of unset entries enormous.
struct GrowOthers(Vec<bool>);

impl ModuleMapper for GrowOthers {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 4 {
            return param;
        }
        param.map(|old| {
            let values = old.to_data();
            let grown: Vec<f32> = values
                .iter::<f32>()
                .zip(&self.0)
                .map(|(w, &keep)| if keep { w } else { 1e6 - w })
                .collect();
            Tensor::<1>::from_floats(grown.as_slice(), &old.device()).reshape(old.dims())
        })
    }
}

#[test]
fn a_layer_made_from_a_dense_one_keeps_its_weights() {
    let device = Device::flex();
    let linear = LinearConfig::new(5, 4).init(&device);
    let wired = DnwLinear::from_linear(linear.clone(), Some(Budget::Density(0.5))).unwrap();
    wired
        .weight
        .base()
        .to_data()
        .assert_eq(&linear.weight.val().to_data(), true);
    let conv = Conv2dConfig::new([2, 3], [3, 3]).init(&device);
    let wired = MaskedConv2d::from_conv(conv.clone(), None).unwrap();
    let x = random([1, 2, 5, 5], &device);
    let (wired, dense) = (wired.forward(x.clone()), conv.forward(x));
    let tolerance = Tolerance::<f32>::rel_abs(1e-4, 1e-5);
    wired
        .to_data()
        .assert_approx_eq(&dense.to_data(), tolerance);
}

#[test]
fn a_record_brings_weights_and_wiring_back() {
    let device = Device::flex();
    let make = || {
        MaskedConv2dConfig::new([2, 3], [3, 3])
            .with_budget(Some(Budget::Edges(7)))
            .init(&device)
    };
    let (a, b) = (make(), make());
    assert_ne!(a.wiring(), b.wiring());
    let loaded = b.load_record(a.clone().into_record());
    assert_eq!(loaded.wiring(), a.wiring());
    let x = random([1, 2, 5, 5], &device);
    loaded
        .forward(x.clone())
        .to_data()
        .assert_eq(&a.forward(x).to_data(), true);
}
