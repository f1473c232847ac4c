//! Saving and loading between devices keeps the bits of weights and wirings.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::store::{ModuleSnapshot, ModuleStore, SafetensorsStore};
use burn::tensor::{Device, TensorData};
use dnw_core::{Budget, Wire, Wired, Wiring, rules};
use dnw_models::{GraphClassifier, GraphClassifierConfig};

use crate::TestDevice;
use crate::case::{Case, Failure, Outcome, ensure};
use crate::compare::close_to;
use crate::model::{parameters, with_random_weights};
use crate::test_device::reference_device;
use crate::tolerance::EXACT;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("saving::a_file_of_the_device_loads_on_flex", |target| {
            through_a_file(&target.autodiff(), &reference_device())
        }),
        Case::new("saving::a_file_of_flex_loads_on_the_device", |target| {
            through_a_file(&reference_device(), &target.autodiff())
        }),
        Case::new("saving::a_record_of_the_device_loads_on_flex", |target| {
            through_a_record(&target.autodiff(), &reference_device())
        }),
        Case::new("saving::a_record_of_flex_loads_on_the_device", |target| {
            through_a_record(&reference_device(), &target.autodiff())
        }),
        Case::new("saving::a_model_moves_to_flex_and_back", to_flex_and_back),
    ]
}

type Model = Wired<GraphClassifier>;

/// A model with random weights. Its rule stores numbers of its own in the wiring.
fn model(device: &Device, seed: u64) -> Result<Model, Failure> {
    let config = GraphClassifierConfig {
        fold: 2,
        levels: vec![7, 6],
        wires: None,
        outputs: 5,
        grid: 2,
        edge_std: 0.1,
    };
    let model = with_random_weights(config.init([1, 8, 8], 10, device)?, seed);
    Ok(Wire::new(rules::st3(0.0), Budget::Density(0.3))
        .over(4)
        .attach(model)?)
}

struct State {
    floats: BTreeMap<String, TensorData>,
    wirings: Vec<(String, Wiring)>,
}

fn state(model: &Model) -> State {
    let wirings = model.tensors().into_iter();
    State {
        floats: parameters(model),
        wirings: wirings.map(|t| (t.name, t.wiring)).collect(),
    }
}

fn check_same(found: &State, expected: &State) -> Outcome {
    ensure(found.wirings == expected.wirings, || {
        "the wirings differ".into()
    })?;
    ensure(found.floats.keys().eq(expected.floats.keys()), || {
        "the names of the parameters differ".into()
    })?;
    for ((path, found), expected) in found.floats.iter().zip(expected.floats.values()) {
        close_to(&format!("`{path}`"), found, expected, EXACT)?;
    }
    Ok(())
}

fn check_different(a: &State, b: &State) -> Outcome {
    ensure(a.wirings != b.wirings, || {
        "two seeds have the same wiring, so the test proves nothing".into()
    })
}

fn through_a_file(from: &Device, to: &Device) -> Outcome {
    let saved = model(from, 1)?;
    let mut store = SafetensorsStore::from_bytes(None);
    store
        .collect_from(&saved)
        .map_err(|error| Failure::wrong(error.to_string()))?;
    let bytes = store
        .get_bytes()
        .map_err(|error| Failure::wrong(error.to_string()))?;
    let mut loaded = model(to, 2)?;
    let expected = state(&saved);
    check_different(&state(&loaded), &expected)?;
    let mut store = SafetensorsStore::from_bytes(Some(bytes));
    let result = loaded
        .load_from(&mut store)
        .map_err(|error| Failure::wrong(error.to_string()))?;
    ensure(
        result.errors.is_empty() && result.missing.is_empty(),
        || format!("it loads with {result:?}"),
    )?;
    check_same(&state(&loaded), &expected)?;
    check_usable(&loaded, to)
}

fn through_a_record(from: &Device, to: &Device) -> Outcome {
    let (saved, fresh) = (model(from, 1)?, model(to, 2)?);
    let expected = state(&saved);
    check_different(&state(&fresh), &expected)?;
    let loaded = fresh.load_record(saved.into_record());
    check_same(&state(&loaded), &expected)?;
    check_usable(&loaded, to)
}

fn to_flex_and_back(target: &TestDevice) -> Outcome {
    let (device, flex) = (target.autodiff(), reference_device());
    let saved = model(&device, 1)?;
    let expected = state(&saved);
    let moved = saved.fork(&flex);
    check_same(&state(&moved), &expected)?;
    check_usable(&moved, &flex)?;
    let back = moved.fork(&device);
    check_same(&state(&back), &expected)?;
    check_usable(&back, &device)
}

/// A loaded model is on the requested device: it takes images from there, and can select its edges again.
fn check_usable(model: &Model, device: &Device) -> Outcome {
    use dnw_models::Classifier;
    let images = crate::random::upload(&[0.5; 64], [1, 1, 8, 8], device);
    let logits: Vec<f32> = model.forward(images).into_data().iter().collect();
    ensure(logits.iter().all(|x| x.is_finite()), || {
        format!("the logits are {logits:?}")
    })?;
    model.clone().rewire()?;
    Ok(())
}
