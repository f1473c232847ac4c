//! Every named rule learns the built-in digits.
//!
//! A few epochs of the main job's network, far from what it reaches in full: what is asked for is well above the tenth that
//! guessing gives, and that the rule leaves as many edges as it promises.

#![cfg(feature = "flex")]

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_core::rules;
use dnw_models::{Classifier, UseModel};
use dnw_train::data::DataSet;
use dnw_train::recipe::Recipe;
use dnw_train::training::{Training, evaluate};

struct Train<'a> {
    recipe: &'a Recipe,
    data: &'a DataSet,
    device: &'a Device,
}

impl UseModel for Train<'_> {
    /// Test accuracy, real edges, budget.
    type Output = (f64, usize, usize);

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let mut training = Training::begin(model, self.recipe, self.data, self.device).unwrap();
        while !training.is_finished() {
            for batch in training.batches().unwrap() {
                training.step(&batch.unwrap()).unwrap();
            }
        }
        let found = evaluate(&*training.model, self.data, &self.device.clone().inner()).unwrap();
        let tensors = training.model.tensors();
        let real = tensors.iter().map(|tensor| tensor.active().count()).sum();
        let budget = tensors.iter().map(|tensor| tensor.budget).sum();
        (found.accuracy, real, budget)
    }
}

fn train(changes: &[&str]) -> (f64, usize, usize) {
    let mut all = vec!["epochs=6".to_owned(), "optimizer.warm-up=0.5".into()];
    // Where the rule or the unit says how many edges stay, a density would be refused.
    let decides = [
        "wiring.rule=complete",
        "wiring.rule=str",
        "wiring.unit=2-of-4",
    ];
    if !changes.iter().any(|change| decides.contains(change)) {
        all.push("wiring.density=0.25".into());
    }
    all.extend(changes.iter().map(|change| (*change).to_owned()));
    let recipe = Recipe::named("digits", &all).unwrap();
    let data = recipe.open_data(None).unwrap();
    let device = Device::flex().autodiff();
    device.seed(recipe.seed);
    let train = Train {
        recipe: &recipe,
        data: &data,
        device: &device,
    };
    let classes = data.classes.len();
    recipe
        .model
        .build(data.shape(), classes, &device, train)
        .unwrap()
}

#[test]
fn every_rule_learns() {
    for named in rules::ALL {
        let rule = format!("wiring.rule={}", named.name);
        // Exchanges every hundred updates would come to five in so short a run.
        let settings: &[&str] = match named.settings.contains(&"every") {
            true => &["wiring.settings.every=20"],
            false => &[],
        };
        let (accuracy, real, budget) = train(&[&[rule.as_str()], settings].concat());
        eprintln!(
            "{:<28} {:5.1} %  {real} edges",
            named.name,
            100.0 * accuracy
        );
        assert!(accuracy > 0.6, "{}: {accuracy}", named.name);
        match named.name {
            // Its budget is every edge, of which the threshold removes some.
            "str" => assert!((1..budget).contains(&real), "{real} of {budget}"),
            _ => assert_eq!(real, budget, "{}", named.name),
        }
    }
}

#[test]
fn every_unit_learns() {
    for unit in ["fan-in", "block-2", "block-4", "2-of-4"] {
        let unit = format!("wiring.unit={unit}");
        // 2 of 4 needs sources that divide by four: an input and three levels of 21 do.
        let changes = ["wiring.rule=dnw", &unit, "model.levels=[21, 21, 21]"];
        let (accuracy, real, budget) = train(&changes);
        eprintln!(
            "{unit}: {:5.1} %  {real} of {budget} edges",
            100.0 * accuracy
        );
        assert!(accuracy > 0.6, "{unit}: {accuracy}");
        assert!(
            real <= budget && real + 4 > budget,
            "{unit}: {real} of {budget}"
        );
    }
}
