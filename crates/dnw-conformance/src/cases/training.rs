//! Ten training steps of the network of the recipe `mnist`.

use burn::optim::GradientsParams;
use burn::optim::grad_clipping::GradientClippingConfig;
use burn::tensor::{Device, TensorData};
use dnw_core::optim::Sgd;
use dnw_core::{Budget, Rule, Wire, rules};
use dnw_models::{Classifier, GraphClassifierConfig};

use super::layers::MakeRule;
use crate::TestDevice;
use crate::case::{Case, Failure, Outcome, ensure};
use crate::compare::close;
use crate::model::{cross_entropy, with_random_weights};
use crate::random::{Random, upload};
use crate::test_device::reference_device;
use crate::tolerance::LOSSES;

const STEPS: u64 = 10;
const BATCH: usize = 16;
const SIDE: usize = 28;

pub(crate) fn cases() -> Vec<Case> {
    let rules: [(&str, MakeRule); 2] = [
        ("dnw", rules::dnw),
        ("dnw_shrinking", || rules::dnw_shrinking(0.5)),
    ];
    rules
        .map(|(name, rule)| {
            Case::new(
                format!("training::mnist_network::ten_steps_by_{name}"),
                move |target| check(target, rule),
            )
        })
        .into()
}

/// `BATCH` images of 28 x 28 and their labels: a stroke whose angle depends on the class, with noise.
fn batch(random: &mut Random) -> (Vec<f32>, Vec<i64>) {
    let labels: Vec<i64> = (0..BATCH).map(|_| random.size(0..=9) as i64).collect();
    let mut pixels = Vec::with_capacity(BATCH * SIDE * SIDE);
    for &label in &labels {
        let angle = label as f32 * std::f32::consts::PI / 10.0;
        let (sine, cosine) = angle.sin_cos();
        for (at, noise) in random.normal(SIDE * SIDE).into_iter().enumerate() {
            let (y, x) = ((at / SIDE) as f32 - 13.5, (at % SIDE) as f32 - 13.5);
            let stroke = (x * sine - y * cosine).abs() < 3.0;
            pixels.push(if stroke { 2.0 } else { -0.4 } + 0.3 * noise);
        }
    }
    (pixels, labels)
}

/// The loss of each step.
fn losses(device: &Device, rule: &Rule) -> Result<Vec<f32>, Failure> {
    let config = GraphClassifierConfig {
        fold: 2,
        levels: vec![20, 20, 20],
        wires: None,
        outputs: 24,
        grid: 3,
        edge_std: 0.05,
    };
    let model = with_random_weights(config.init([1, SIDE, SIDE], 10, device)?, 3);
    let wire = Wire::new(rule.clone(), Budget::Density(0.08)).over(STEPS);
    let mut model = wire.attach(model)?;
    let optimizer = Sgd::new(0.9).with_weight_decay(Some(5e-4)).init();
    let mut optimizer = optimizer.with_grad_clipping(GradientClippingConfig::Norm(1.0).init());
    let mut random = Random::new(4);
    let mut losses = Vec::new();
    for _ in 0..STEPS {
        let (pixels, labels) = batch(&mut random);
        let images = upload(&pixels, [BATCH, 1, SIDE, SIDE], device);
        let loss = cross_entropy(model.forward(images), &labels, device);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        losses.push(loss.into_scalar::<f32>());
        let gradients = model.prepare(gradients);
        model.update(|model| optimizer.step(0.1, model, gradients))?;
    }
    Ok(losses)
}

fn check(target: &TestDevice, rule: MakeRule) -> Outcome {
    let rule = rule();
    let expected = losses(&reference_device(), &rule)?;
    let found = losses(&target.autodiff(), &rule)?;
    ensure(expected[9] < 0.9 * expected[0], || {
        format!("on flex ten steps learn nothing: {expected:?}")
    })?;
    let wide: Vec<f64> = expected.iter().map(|&x| f64::from(x)).collect();
    let found = TensorData::new(found, [STEPS as usize]);
    close("the losses", &found, &wide, target.against_flex(LOSSES))
}
