//! Tests of models as circuits.

use burn::module::{Module, ModuleDisplay, ParamGroup};
use burn::tensor::{Device, Distribution, Tensor};
use dnw_circuit::{count, interpret, prune};
use dnw_compiler::{Passes, compile};
use dnw_core::{Budget, Ranking, Wire};
use dnw_models::{
    Classifier, MobileNetDenseConfig, ModelConfig, NoCircuit, SolverName, TinyContinuousConfig,
    UseModel,
};
use dnw_runtime::plan::Input;
use dnw_runtime::{Model as Compiled, Session};

use crate::{every_model, tiny_continuous, with};

#[test]
fn a_circuit_and_its_compiled_plan_have_the_output_of_their_model() {
    struct Interpret {
        all_entries: bool,
        drawn: bool,
    }

    impl UseModel for Interpret {
        type Output = ();

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) {
            let device = Device::flex().autodiff();
            let mut wire = Wire::dnw(Budget::Density(0.4));
            if self.all_entries {
                wire = wire.ranking(Ranking::AllEntries);
            }
            let model = match wire.clone().attach(model.clone()) {
                Ok(model) => model,
                // Burn layers are wired by `Wire`.
                Err(_) => wire.weights(ParamGroup::all()).attach(model).unwrap(),
            };
            let random = |device: &Device| {
                Tensor::<4>::random([4, 3, 32, 32], Distribution::Normal(0.0, 1.0), device)
            };
            // Updates the running statistics of batch norms.
            for _ in 0..3 {
                model.forward(random(&device));
            }
            let model = model.valid();
            let images = random(&Device::flex());
            let logits: Vec<f32> = model.forward(images.clone()).to_data().iter().collect();
            let circuit = match model.circuit([3, 32, 32]) {
                Ok(circuit) => circuit,
                Err(error) => {
                    assert_eq!(error, NoCircuit::StepsFollowImage);
                    return;
                }
            };
            let pruned = prune(&circuit);
            let plan = compile(&circuit, Input::default(), Passes::default());
            let mut session = Session::new(&Compiled::new(plan).unwrap(), 1);
            let images: Vec<f32> = images.to_data().iter().collect();
            for (image, logits) in images.chunks(3 * 32 * 32).zip(logits.chunks(10)).take(2) {
                let found = interpret(&circuit, image).unwrap();
                assert_eq!(found.len(), 10);
                for (a, b) in found.iter().zip(logits) {
                    let allowed = 1e-4 * (1.0 + a.abs());
                    assert!(
                        (a - f64::from(*b)).abs() < allowed,
                        "{found:?} is not {logits:?}"
                    );
                }
                // Relative to the largest logit, as rounding is.
                let mut compiled = [0.0; 10];
                session.run(image, &mut compiled).unwrap();
                let largest = logits.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
                for (a, b) in compiled.iter().zip(logits) {
                    assert!(
                        (a - b).abs() < 1e-4 * largest,
                        "compiled: {compiled:?} is not {logits:?}"
                    );
                }
                for (a, b) in interpret(&pruned, image).unwrap().iter().zip(&found) {
                    assert!(
                        (a - b).abs() < 1e-6 * (1.0 + b.abs()),
                        "pruned: {a} is not {b}"
                    );
                }
            }
            // Edges of random wires that are real only by the published ranking are not in the circuit.
            let tensors = model.tensors();
            let edges: usize = tensors.iter().map(|t| t.wiring.count()).sum();
            let active: usize = tensors.iter().map(|t| t.active().count()).sum();
            let counted = count(&circuit).total.nominal.edges as usize;
            assert!(counted == edges || self.drawn && (active..edges).contains(&counted));
            for other in [[5, 32, 32], [3, 0, 32]] {
                let circuit = model.circuit(other);
                assert!(matches!(circuit, Err(NoCircuit::Circuit(_))), "{other:?}");
            }
            // Some models accept images of any size, the others return an error.
            let _ = model.circuit([3, 2, 2]);
        }
    }

    let mut models = every_model();
    for solver in [SolverName::Rk4, SolverName::Dopri5] {
        models.push(ModelConfig::TinyContinuous(TinyContinuousConfig {
            solver,
            steps: Some(2),
            ..tiny_continuous()
        }));
    }
    for config in models {
        for all_entries in [false, true] {
            eprintln!("{config:?} {all_entries}");
            let drawn = matches!(&config, ModelConfig::Graph(graph) if graph.wires.is_some());
            let user = Interpret { all_entries, drawn };
            with(&config, &Device::flex().autodiff(), user);
        }
    }
}

#[test]
fn the_dense_baselines_have_the_published_multiply_adds() {
    struct Millions;

    impl UseModel for Millions {
        type Output = u64;

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> u64 {
            let circuit = model.circuit([3, 224, 224]).unwrap();
            (count(&circuit).total.dense.multiply_adds + 500_000) / 1_000_000
        }
    }

    // Howard et al. 2017, table 6.
    for (width, millions) in [(0.25, 41), (0.5, 149), (1.0, 569)] {
        let config = ModelConfig::MobilenetDense(MobileNetDenseConfig { width });
        let image = [3, 224, 224];
        let found = config.build(image, 1000, &Device::flex(), Millions);
        assert_eq!(found.unwrap(), millions);
    }
}
