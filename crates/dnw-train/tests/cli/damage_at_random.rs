//! Whatever happens to the files of a run, reading them ends in what they hold or in a typed error, never in a panic.

use std::fs;
use std::path::Path;

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_models::{Classifier, UseModel};
use dnw_train::comparison::compare;
use dnw_train::recipe::Recipe;
use dnw_train::recording::record;
use dnw_train::run::{RunError, RunFolder, load_weights};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::shell::Shell;

/// Something that happens to a file. Places are shares of its length.
#[derive(Clone, Debug)]
enum Damage {
    Flip { at: f64, bits: u8 },
    Cut { at: f64 },
    Insert { at: f64, bytes: Vec<u8> },
    Number { at: f64, number: &'static str },
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = || 0.0..1.0f64;
    // Text and headers are at the beginning, where a byte means more.
    let at = move || prop_oneof![at(), at().prop_map(|at| at * at * at)];
    let numbers = prop::sample::select(vec![
        "0",
        "-1",
        "7",
        "65536",
        "4294967296",
        "9223372036854775807",
        "18446744073709551615",
        "1e308",
        "null",
    ]);
    prop_oneof![
        3 => (at(), 1..=255u8).prop_map(|(at, bits)| Damage::Flip { at, bits }),
        1 => at().prop_map(|at| Damage::Cut { at }),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Damage::Insert { at, bytes }),
        3 => (at(), numbers).prop_map(|(at, number)| Damage::Number { at, number }),
    ]
}

impl Damage {
    fn apply(&self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        let place =
            |at: f64| ((bytes.len() as f64 * at) as usize).min(bytes.len().saturating_sub(1));
        match self {
            Self::Flip { at, bits } => {
                let at = place(*at);
                bytes[at] ^= bits;
            }
            Self::Cut { at } => bytes.truncate(place(*at)),
            Self::Insert {
                at,
                bytes: inserted,
            } => {
                let at = place(*at);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Number { at, number } => {
                let digit = |byte: &u8| byte.is_ascii_digit();
                let from = place(*at);
                if let Some(start) = bytes[from..]
                    .iter()
                    .position(digit)
                    .map(|found| from + found)
                {
                    let length = bytes[start..].iter().take_while(|byte| digit(byte)).count();
                    bytes.splice(start..start + length, number.bytes());
                }
            }
        }
        bytes
    }
}

/// Damages each file of a run at random, reads the run with `read`, and mends it.
fn survives(cases: u32, file: impl Fn(&str) -> bool, read: impl Fn(&RunFolder)) {
    let shell = Shell::with_run();
    let folder = RunFolder::open(&shell.path("run")).unwrap();
    let names: Vec<String> = shell
        .files("run")
        .into_keys()
        .filter(|name| file(name))
        .collect();
    assert!(!names.is_empty());
    read(&folder);
    for name in names {
        let path = shell.path(&name);
        let whole = fs::read(&path).unwrap();
        let config = Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        };
        let outcome = TestRunner::new(config).run(&damage(), |damage| {
            fs::write(&path, damage.apply(&whole)).unwrap();
            read(&folder);
            Ok(())
        });
        fs::write(&path, &whole).unwrap();
        if let Err(error) = outcome {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn a_damaged_run_is_shown_as_far_as_it_goes_or_refused() {
    let read = |folder: &RunFolder| {
        if let Ok(recording) = record(folder) {
            let _ = dnw_report::explorer_page(&recording);
            let _ = dnw_report::wiring_svg(&recording, &[0, recording.updates]);
        }
        if let Ok(comparison) = compare(std::slice::from_ref(folder), "dnw compare".into()) {
            let _ = dnw_report::comparison_page(&comparison);
            let _ = dnw_report::comparison_svg(&comparison);
        }
    };
    // One frame stands for all.
    let file = |name: &str| {
        let (frame, weights) = (name.contains("/frames/"), name.contains("/weights/"));
        !weights && !name.ends_with(".html") && (!frame || name.ends_with("00000000.safetensors"))
    };
    survives(150, file, read);
}

/// Loads weights into the network of a recipe.
struct Load<'a> {
    recipe: &'a Recipe,
    path: &'a Path,
}

impl UseModel for Load<'_> {
    type Output = Result<(), RunError>;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
        let mut model = self.recipe.wire(1, 10).unwrap().attach(model).unwrap();
        load_weights(&mut *model, self.path)
    }
}

#[test]
fn damaged_weights_are_loaded_or_refused() {
    let device: Device = dnw_device::open(&dnw_device::host()).unwrap().device;
    let read = |folder: &RunFolder| {
        let recipe = folder.read_recipe().unwrap();
        let load = Load {
            recipe: &recipe,
            path: &folder.weights("last"),
        };
        let _ = recipe.model.build([1, 8, 8], 10, &device, load).unwrap();
    };
    survives(300, |name| name.ends_with("last.safetensors"), read);
}
