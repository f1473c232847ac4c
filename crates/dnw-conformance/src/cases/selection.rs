//! Selecting the real edges of weights on the device.

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Tensor;
use dnw_core::{Budget, Wire, Wired, WiringError};

use crate::TestDevice;
use crate::case::{Case, Failure, Outcome, ensure};
use crate::loops::largest;
use crate::random::{Random, for_seeds, upload};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("selection::exactly_k_and_the_largest", |target| {
            for_seeds(8, |random| {
                let n = random.size(2..=400);
                let weights = random.normal(n);
                check_selection(target, &weights, random.size(1..=n))
            })
        }),
        Case::new("selection::of_equal_weights_the_later_stays", |target| {
            for_seeds(8, |random| {
                let n = random.size(2..=120);
                let few = [
                    -2.0,
                    -1.0,
                    -0.0,
                    0.0,
                    1.0,
                    2.0,
                    1e-40,
                    f32::MIN_POSITIVE,
                    f32::MAX,
                ];
                let weights: Vec<f32> = (0..n).map(|_| random.choose(&few)).collect();
                check_selection(target, &weights, random.size(1..=n))
            })
        }),
        Case::new("selection::budgets_of_none_one_and_all", budgets),
        Case::new("selection::threshold_and_nearest", |target| {
            for_seeds(4, |random| thresholds(target, random))
        }),
        Case::new("selection::not_a_number_is_refused", not_a_number),
        Case::new("selection::after_an_update_as_on_the_host", |target| {
            for_seeds(4, |random| after_an_update(target, random))
        }),
    ]
}

/// A linear layer with one input and these weights.
fn layer(target: &TestDevice, weights: &[f32]) -> Linear {
    let device = target.autodiff();
    let shape = [1, weights.len()];
    let mut layer = LinearConfig::new(1, weights.len())
        .with_bias(false)
        .init(&device);
    layer.weight = Param::from_tensor(upload(weights, shape, &device));
    layer
}

fn wire(
    target: &TestDevice,
    weights: &[f32],
    budget: Budget,
) -> Result<Wired<Linear>, WiringError> {
    let wire = Wire::dnw(budget).weights(ParamGroup::all());
    wire.attach(layer(target, weights))
}

fn check_selection(target: &TestDevice, weights: &[f32], k: usize) -> Outcome {
    let model = wire(target, weights, Budget::Edges(k))?;
    let found = model.tensors().remove(0);
    let what = format!("{k} of {} weights", weights.len());
    let bits = |weights: &[f32]| weights.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
    ensure(bits(&found.weights) == bits(weights), || {
        format!("{what}: the weights that are read differ from those written")
    })?;
    ensure(found.wiring.count() == k, || {
        format!("{what}: {} are real", found.wiring.count())
    })?;
    let expected = largest(weights, k);
    ensure(found.wiring == expected, || {
        let [found, expected] = [&found.wiring, &expected].map(|w| w.iter().collect::<Vec<_>>());
        format!("{what}: the entries {found:?} are real, not {expected:?}")
    })
}

fn budgets(target: &TestDevice) -> Outcome {
    let weights = [0.5, -2.0, 0.0, 1.0];
    check_selection(target, &weights, 1)?;
    check_selection(target, &weights, 4)?;
    for edges in [0, 5] {
        let refused = matches!(
            wire(target, &weights, Budget::Edges(edges)),
            Err(WiringError::Budget { .. })
        );
        ensure(refused, || format!("{edges} of 4 edges are not refused"))?;
    }
    Ok(())
}

/// The reported threshold and nearest magnitude: the weakest real edge and the strongest hallucinated one.
fn thresholds(target: &TestDevice, random: &mut Random) -> Outcome {
    let n = random.size(5..=60);
    let weights = random.normal(n);
    let k = random.size(1..=n - 1);
    let mut model = wire(target, &weights, Budget::Edges(k))?;
    let tensor = model.rewire()?.tensors.remove(0);
    let mut sizes: Vec<f32> = weights.iter().map(|w| w.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    let (threshold, nearest) = (sizes[n - k], sizes[n - k - 1]);
    ensure(
        tensor.threshold == threshold && tensor.nearest == Some(nearest),
        || {
            format!(
                "{k} of {n}: threshold {} and nearest {:?}, not {threshold} and {nearest}",
                tensor.threshold, tensor.nearest
            )
        },
    )?;
    ensure(tensor.swaps.is_empty(), || {
        format!(
            "{k} of {n}: selecting again from the same weights swaps {:?}",
            tensor.swaps
        )
    })
}

fn not_a_number(target: &TestDevice) -> Outcome {
    let weights = [0.5, f32::NAN, 0.25, 1.0];
    let check_error = |error: Option<WiringError>| match error {
        Some(WiringError::NotANumber { tensor, entry: 1 }) if tensor == "weight" => Ok(()),
        other => Err(Failure::Wrong(format!(
            "expected an error that names entry 1 of `weight`, got {other:?}"
        ))),
    };
    check_error(wire(target, &weights, Budget::Edges(2)).err())?;
    // A NaN that the device computes: the square root of a negative number.
    let mut model = wire(target, &[4.0, -9.0, 25.0, 1.0], Budget::Edges(2))?;
    let before = model.tensors().remove(0).wiring;
    model = model.map(&mut Roots);
    check_error(model.rewire().err())?;
    ensure(model.tensors().remove(0).wiring == before, || {
        "a refused selection changed the wiring".into()
    })
}

/// Takes the square root of every number.
struct Roots;

impl ModuleMapper for Roots {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let require_grad = old.is_require_grad();
            old.sqrt().detach().set_require_grad(require_grad)
        })
    }
}

/// After an update on the device, the selection equals the one from the weights on the host.
fn after_an_update(target: &TestDevice, random: &mut Random) -> Outcome {
    let n = random.size(20..=80);
    let k = random.size(1..=n - 1);
    let model = wire(target, &random.normal(n), Budget::Edges(k))?;
    let device = target.autodiff();
    let x = upload(&[1.0], [1, 1], &device);
    let slope = upload(&random.normal(n), [1, n], &device);
    let loss = (model.forward(x) * slope).sum();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let mut model = SgdConfig::new().init().step(0.7, model, gradients);
    model.rewire()?;
    let found = model.tensors().remove(0);
    let expected = largest(&found.weights, k);
    ensure(found.wiring == expected, || {
        format!("{k} of {n}: the real edges are not the largest weights after the update")
    })
}
