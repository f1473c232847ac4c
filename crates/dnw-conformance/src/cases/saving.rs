//! Weights and wirings between devices: the same bits.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::store::{ModuleSnapshot, ModuleStore, SafetensorsStore};
use burn::tensor::{Device, TensorData};
use dnw_core::{Budget, Wire, Wired, Wiring, rules};
use dnw_models::{GraphClassifier, GraphClassifierConfig};

use crate::UnderTest;
use crate::case::{Case, Shortfall, Verdict, ensure};
use crate::compare::alike;
use crate::model::{filled, parameters};
use crate::tolerance::EXACT;
use crate::under_test::reference;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("saving::a_file_of_the_device_loads_on_flex", |under| {
            through_a_file(&under.learning(), &reference())
        }),
        Case::new("saving::a_file_of_flex_loads_on_the_device", |under| {
            through_a_file(&reference(), &under.learning())
        }),
        Case::new("saving::a_record_of_the_device_loads_on_flex", |under| {
            through_a_record(&under.learning(), &reference())
        }),
        Case::new("saving::a_record_of_flex_loads_on_the_device", |under| {
            through_a_record(&reference(), &under.learning())
        }),
        Case::new("saving::a_model_moves_to_flex_and_back", moves),
    ]
}

type Model = Wired<GraphClassifier>;

/// A model whose edges are drawn by `seed`, of a rule with numbers of its own in the wiring.
fn model(device: &Device, seed: u64) -> Result<Model, Shortfall> {
    let config = GraphClassifierConfig {
        fold: 2,
        levels: vec![7, 6],
        wires: None,
        outputs: 5,
        grid: 2,
        edge_std: 0.1,
    };
    let model = filled(config.init([1, 8, 8], 10, device)?, seed);
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

fn same(found: &State, expected: &State) -> Verdict {
    ensure(found.wirings == expected.wirings, || {
        "the wiring is another".into()
    })?;
    ensure(found.floats.keys().eq(expected.floats.keys()), || {
        "there are other parameters".into()
    })?;
    for ((path, found), expected) in found.floats.iter().zip(expected.floats.values()) {
        alike(&format!("`{path}`"), found, expected, EXACT)?;
    }
    Ok(())
}

fn differs(a: &State, b: &State) -> Verdict {
    ensure(a.wirings != b.wirings, || {
        "two seeds have one wiring, so loading proves nothing".into()
    })
}

fn through_a_file(from: &Device, to: &Device) -> Verdict {
    let saved = model(from, 1)?;
    let mut store = SafetensorsStore::from_bytes(None);
    store
        .collect_from(&saved)
        .map_err(|error| Shortfall::Wrong(error.to_string()))?;
    let bytes = store
        .get_bytes()
        .map_err(|error| Shortfall::Wrong(error.to_string()))?;
    let mut loaded = model(to, 2)?;
    let expected = state(&saved);
    differs(&state(&loaded), &expected)?;
    let mut store = SafetensorsStore::from_bytes(Some(bytes));
    let result = loaded
        .load_from(&mut store)
        .map_err(|error| Shortfall::Wrong(error.to_string()))?;
    ensure(
        result.errors.is_empty() && result.missing.is_empty(),
        || format!("it loads with {result:?}"),
    )?;
    same(&state(&loaded), &expected)?;
    works(&loaded, to)
}

fn through_a_record(from: &Device, to: &Device) -> Verdict {
    let (saved, fresh) = (model(from, 1)?, model(to, 2)?);
    let expected = state(&saved);
    differs(&state(&fresh), &expected)?;
    let loaded = fresh.load_record(saved.into_record());
    same(&state(&loaded), &expected)?;
    works(&loaded, to)
}

fn moves(under: &UnderTest) -> Verdict {
    let (there, here) = (under.learning(), reference());
    let made = model(&there, 1)?;
    let expected = state(&made);
    let moved = made.fork(&here);
    same(&state(&moved), &expected)?;
    works(&moved, &here)?;
    let back = moved.fork(&there);
    same(&state(&back), &expected)?;
    works(&back, &there)
}

/// A loaded model is on the requested device: it accepts images from there, and selects its edges again.
fn works(model: &Model, device: &Device) -> Verdict {
    use dnw_models::Classifier;
    let images = crate::numbers::upload(&[0.5; 64], [1, 1, 8, 8], device);
    let scores: Vec<f32> = model.forward(images).into_data().iter().collect();
    ensure(scores.iter().all(|x| x.is_finite()), || {
        format!("it gives {scores:?}")
    })?;
    model.clone().rewire()?;
    Ok(())
}
