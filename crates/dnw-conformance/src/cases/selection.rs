//! Choosing the real edges of weights that lie on the device.

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Tensor;
use dnw_core::{Budget, Wire, Wired, WiringError};

use crate::UnderTest;
use crate::case::{Case, Shortfall, Verdict, ensure};
use crate::loops::largest;
use crate::numbers::{Numbers, on_drawings, upload};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("selection::exactly_k_and_the_largest", |under| {
            on_drawings(8, |numbers| {
                let n = numbers.size(2..=400);
                let weights = numbers.normal(n);
                check_choice(under, &weights, numbers.size(1..=n))
            })
        }),
        Case::new("selection::of_equal_weights_the_later_stays", |under| {
            on_drawings(8, |numbers| {
                let n = numbers.size(2..=120);
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
                let weights: Vec<f32> = (0..n).map(|_| numbers.one_of(&few)).collect();
                check_choice(under, &weights, numbers.size(1..=n))
            })
        }),
        Case::new("selection::budgets_of_nothing_one_and_all", budgets),
        Case::new("selection::threshold_and_nearest", |under| {
            on_drawings(4, |numbers| thresholds(under, numbers))
        }),
        Case::new("selection::not_a_number_is_refused", not_a_number),
        Case::new("selection::after_an_update_as_on_the_host", |under| {
            on_drawings(4, |numbers| after_an_update(under, numbers))
        }),
    ]
}

/// A row of weights.
fn row(under: &UnderTest, weights: &[f32]) -> Linear {
    let device = under.learning();
    let shape = [1, weights.len()];
    let mut layer = LinearConfig::new(1, weights.len())
        .with_bias(false)
        .init(&device);
    layer.weight = Param::from_tensor(upload(weights, shape, &device));
    layer
}

fn wire(under: &UnderTest, weights: &[f32], budget: Budget) -> Result<Wired<Linear>, WiringError> {
    let wire = Wire::dnw(budget).weights(ParamGroup::all());
    wire.attach(row(under, weights))
}

fn check_choice(under: &UnderTest, weights: &[f32], k: usize) -> Verdict {
    let model = wire(under, weights, Budget::Edges(k))?;
    let found = model.tensors().remove(0);
    let what = format!("{k} of {} weights", weights.len());
    let bits = |weights: &[f32]| weights.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
    ensure(bits(&found.weights) == bits(weights), || {
        format!("{what}: the weights read are not those written")
    })?;
    ensure(found.wiring.count() == k, || {
        format!("{what}: {} are real", found.wiring.count())
    })?;
    let expected = by_magnitude(weights, k);
    ensure(found.wiring.iter().eq(expected.iter().copied()), || {
        format!(
            "{what}: the entries {:?} are real, not {expected:?}",
            found.wiring.iter().collect::<Vec<_>>()
        )
    })
}

/// The entries that a stable ascending sort by magnitude leaves when its first are dropped, ascending.
fn by_magnitude(weights: &[f32], k: usize) -> Vec<usize> {
    largest(weights, k).iter().collect()
}

fn budgets(under: &UnderTest) -> Verdict {
    let weights = [0.5, -2.0, 0.0, 1.0];
    check_choice(under, &weights, 1)?;
    check_choice(under, &weights, 4)?;
    for edges in [0, 5] {
        let refused = matches!(
            wire(under, &weights, Budget::Edges(edges)),
            Err(WiringError::Budget { .. })
        );
        ensure(refused, || format!("{edges} of 4 edges are not refused"))?;
    }
    Ok(())
}

/// A selection as it is reported: its weakest real edge and its strongest other.
fn thresholds(under: &UnderTest, numbers: &mut Numbers) -> Verdict {
    let n = numbers.size(5..=60);
    let weights = numbers.normal(n);
    let k = numbers.size(1..=n - 1);
    let mut model = wire(under, &weights, Budget::Edges(k))?;
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
            "{k} of {n}: the same weights chosen again swap {:?}",
            tensor.swaps
        )
    })
}

fn not_a_number(under: &UnderTest) -> Verdict {
    let weights = [0.5, f32::NAN, 0.25, 1.0];
    let named = |error: Option<WiringError>| match error {
        Some(WiringError::NotANumber { tensor, entry: 1 }) if tensor == "weight" => Ok(()),
        other => Err(Shortfall::Wrong(format!("it is answered by {other:?}"))),
    };
    named(wire(under, &weights, Budget::Edges(2)).err())?;
    // One that the device makes: the square root of a negative number.
    let mut model = wire(under, &[4.0, -9.0, 25.0, 1.0], Budget::Edges(2))?;
    let before = model.tensors().remove(0).wiring;
    model = model.map(&mut Roots);
    named(model.rewire().err())?;
    ensure(model.tensors().remove(0).wiring == before, || {
        "a refused choice changed the wiring".into()
    })
}

/// Takes the square root of every number.
struct Roots;

impl ModuleMapper for Roots {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let learns = old.is_require_grad();
            old.sqrt().detach().set_require_grad(learns)
        })
    }
}

/// The device makes an update; the selection equals that from its weights read back.
fn after_an_update(under: &UnderTest, numbers: &mut Numbers) -> Verdict {
    let n = numbers.size(20..=80);
    let k = numbers.size(1..=n - 1);
    let model = wire(under, &numbers.normal(n), Budget::Edges(k))?;
    let device = under.learning();
    let x = upload(&[1.0], [1, 1], &device);
    let slope = upload(&numbers.normal(n), [1, n], &device);
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
