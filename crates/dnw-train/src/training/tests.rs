//! Facts about the copies that compute, which nobody outside sees.

use burn::module::{Module, ModuleDisplay, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use dnw_models::{Classifier, UseModel};

use super::arithmetic::Arithmetic;
use super::averages::Averages;
use super::replica::replica;
use super::{Execution, Training};
use crate::recipe::Recipe;

/// Every tensor of a model, in the order of its fields, to the bit.
fn tensors<M: Module>(model: &M) -> Vec<TensorData> {
    #[derive(Default)]
    struct Read(Vec<TensorData>);

    impl ModuleVisitor for Read {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.base().into_data());
        }

        fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
            self.0.push(param.base().into_data());
        }
    }

    let mut read = Read::default();
    model.valid().visit(&mut read);
    read.0
}

/// Makes a few updates of a recipe on two devices and looks at the training after each.
fn watch(changes: &[&str], updates: usize, look: impl FnMut(Copies)) {
    struct Watch<'a, F>(&'a Recipe, usize, F);

    impl<F: FnMut(Copies)> UseModel for Watch<'_, F> {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(mut self, model: M) {
            let data = self.0.open_data(None).unwrap();
            let flex = dnw_device::open(&"flex".parse().unwrap()).unwrap();
            let two = Execution::over(&[flex.clone(), flex]).unwrap();
            let mut training = Training::begin(model, self.0, &data, two).unwrap();
            for batch in training.batches().unwrap().take(self.1) {
                training.step(&batch.unwrap()).unwrap();
                let devices = training.plan.execution.devices();
                let copies = devices.iter().map(|device| {
                    let plain = (*training.model).valid();
                    replica(plain, Arithmetic::default(), &device.device)
                });
                let copies: Vec<M> = copies.collect();
                let before = tensors(&*training.model);
                // What a copy computes stays its own until it is put back.
                let [channels, height, width] = data.shape();
                let device = &devices[1].device;
                let images = Tensor::ones([4, channels, height, width], device);
                let read: Vec<_> = copies.iter().map(tensors).collect();
                copies[1].forward(images);
                (self.2)(Copies {
                    model: before,
                    copies: read,
                    model_after: tensors(&*training.model),
                    copy_after: tensors(&copies[1]),
                    averages: Averages::of(&copies[1]).len(),
                });
            }
        }
    }

    let changes: Vec<_> = changes.iter().map(|change| (*change).to_owned()).collect();
    let recipe = Recipe::named("digits", &changes).unwrap();
    let device = Device::flex().autodiff();
    device.seed(recipe.seed);
    let watch = Watch(&recipe, updates, look);
    recipe.model.build([1, 8, 8], 10, &device, watch).unwrap();
}

struct Copies {
    model: Vec<TensorData>,
    copies: Vec<Vec<TensorData>>,
    /// The model and a copy after that copy has computed something.
    model_after: Vec<TensorData>,
    copy_after: Vec<TensorData>,
    /// Running averages of a copy.
    averages: usize,
}

const RESNET: &str = "model={ kind = \"resnet\", depth = 18, width = 4, stem = \"small\" }";

#[test]
fn copies_equal_the_model_to_the_bit_with_their_wirings() {
    for rule in ["dnw", "set", "rigl", "targeted-dropout", "st-3", "str"] {
        let rule = format!("wiring.rule={rule}");
        let changes = [rule.as_str(), "optimizer.warm-up=0"];
        let resnet = [&changes[..], &[RESNET, "wiring.plain-layers=true"]].concat();
        for changes in [&changes[..], &resnet] {
            watch(changes, 3, |seen| {
                for copy in &seen.copies {
                    assert_eq!(*copy, seen.model, "{changes:?}");
                }
            });
        }
    }
}

#[test]
fn a_copy_updates_its_own_running_averages() {
    watch(&[RESNET, "wiring.plain-layers=true"], 2, |seen| {
        assert_eq!(seen.averages, 2 * 20);
        assert_eq!(seen.model_after, seen.model);
        let moved = seen.copy_after.iter().zip(&seen.model);
        assert_eq!(moved.filter(|(a, b)| a != b).count(), 2 * 20);
    });
}
