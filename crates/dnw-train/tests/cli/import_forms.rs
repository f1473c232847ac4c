//! Files as people bring them: one network in the ways in which programs save and prune networks.

use std::collections::BTreeMap;
use std::fs;

use dnw_checkpoint::{Tensor, write_safetensors};

use crate::shell::{Answer, Shell};

/// LeNet-300-100 with drawn weights, none of them zero.
fn lenet() -> Vec<Tensor> {
    let mut state = 1u32;
    let mut draw = |name: &str, shape: &[usize]| {
        let data = (0..shape.iter().product()).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state >> 8) / f64::from(1u32 << 24) - 0.5) as f32 + 1e-9
        });
        Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            data: data.collect(),
        }
    };
    vec![
        draw("fc1.weight", &[300, 784]),
        draw("fc1.bias", &[300]),
        draw("fc2.weight", &[100, 300]),
        draw("fc2.bias", &[100]),
        draw("fc3.weight", &[10, 100]),
        draw("fc3.bias", &[10]),
    ]
}

/// The mask that keeps each third weight of a tensor.
fn thirds(tensor: &Tensor) -> Tensor {
    let kept = (0..tensor.data.len()).map(|entry| f32::from(u8::from(entry % 3 == 0)));
    Tensor {
        data: kept.collect(),
        ..tensor.clone()
    }
}

fn times(tensor: &Tensor, mask: &Tensor) -> Tensor {
    let pairs = tensor.data.iter().zip(&mask.data);
    Tensor {
        data: pairs.map(|(weight, mask)| weight * mask).collect(),
        ..tensor.clone()
    }
}

/// The network with zeros written in for two of three weights.
fn pruned() -> Vec<Tensor> {
    let zeroed = |tensor: Tensor| match tensor.shape.len() {
        2 => times(&tensor, &thirds(&tensor)),
        _ => tensor,
    };
    lenet().into_iter().map(zeroed).collect()
}

fn named(tensor: &Tensor, name: impl Into<String>) -> Tensor {
    Tensor {
        name: name.into(),
        ..tensor.clone()
    }
}

fn import(shell: &Shell, tensors: &[Tensor], more: &[&str]) -> Answer {
    fs::write(shell.path("file"), write_safetensors(tensors, &[]).unwrap()).unwrap();
    shell.dnw(&[&["import", "file", "--json", "--out", "run"], more].concat())
}

/// The weights and masks of the run, as `dnw export --masks` writes them.
fn exported(shell: &Shell) -> BTreeMap<String, Vec<f32>> {
    shell.run("export run --masks --out out").succeeded();
    let file = dnw_checkpoint::read(&shell.path("out")).unwrap();
    let tensors = file
        .sections
        .into_iter()
        .flat_map(|section| section.tensors);
    tensors.map(|tensor| (tensor.name, tensor.data)).collect()
}

#[test]
fn names_with_something_common_before_them_are_those_of_the_network() {
    for prefix in [
        "",
        "model.",
        "_orig_mod.",
        "module._orig_mod.",
        "net.encoder.",
        "trainer.student.",
    ] {
        let shell = Shell::new();
        let tensors: Vec<Tensor> = lenet()
            .iter()
            .map(|t| named(t, format!("{prefix}{}", t.name)))
            .collect();
        let imported = import(&shell, &tensors, &[]).succeeded().json();
        assert_eq!(imported["recipe"], "mnist-lenet", "{prefix}");
        assert_eq!(imported["wiring_from"], "the recipe's rule and budget");
    }
    // Something else beside the network is passed over by name.
    let shell = Shell::new();
    let mut tensors: Vec<Tensor> = lenet()
        .iter()
        .map(|t| named(t, format!("model.{}", t.name)))
        .collect();
    tensors.push(named(&tensors[1], "criterion.weights"));
    let imported = import(&shell, &tensors, &[]).succeeded();
    assert!(
        imported
            .stderr
            .contains("`criterion.weights`: a tensor outside the model"),
        "{imported:?}"
    );
}

#[test]
fn each_form_of_a_mask_is_the_wiring() {
    let expected = |shell: &Shell| {
        let exported = exported(shell);
        for tensor in lenet().iter().filter(|t| t.shape.len() == 2) {
            assert_eq!(
                exported[&format!("{}_mask", tensor.name)],
                thirds(tensor).data
            );
            let product = times(tensor, &thirds(tensor)).data;
            let (weight, mask) = (
                &exported[&format!("{}_orig", tensor.name)],
                thirds(tensor).data,
            );
            let found: Vec<f32> = weight.iter().zip(&mask).map(|(w, m)| w * m).collect();
            assert_eq!(found, product);
        }
    };
    let forms: [(&str, &str); 4] = [
        ("weight_orig", "weight_mask"),
        (
            "parametrizations.weight.original",
            "parametrizations.weight.0.mask",
        ),
        ("weight", "weight_mask"),
        ("weight", "mask"),
    ];
    for (weight, mask) in forms {
        let shell = Shell::new();
        let mut tensors = Vec::new();
        for tensor in lenet() {
            match tensor.name.strip_suffix("weight") {
                Some(layer) => {
                    tensors.push(named(&thirds(&tensor), format!("{layer}{mask}")));
                    tensors.push(named(&tensor, format!("{layer}{weight}")));
                }
                None => tensors.push(tensor),
            }
        }
        let imported = import(&shell, &tensors, &[]).succeeded().json();
        assert_eq!(imported["wiring_from"], "the file's masks", "{mask}");
        assert_eq!(imported["edges_real"], 235_200 / 3 + 10_000 + 334);
        expected(&shell);
    }
    // Zeros written in.
    let shell = Shell::new();
    let tensors = pruned();
    let imported = import(&shell, &tensors, &[]).succeeded().json();
    assert_eq!(imported["wiring_from"], "the zeros in the file's weights");
    assert_eq!(imported["edges_real"], 235_200 / 3 + 10_000 + 334);
    expected(&shell);
}

#[test]
fn layers_that_were_not_pruned_beside_others_that_were_keep_all_edges() {
    let shell = Shell::new();
    let mut tensors = lenet();
    for place in [0, 2] {
        tensors[place] = times(&tensors[place], &thirds(&tensors[place]));
    }
    let imported = import(&shell, &tensors, &[]).succeeded().json();
    assert_eq!(imported["edges_real"], 235_200 / 3 + 10_000 + 1000);
    let counted = shell.run("count run --json").succeeded().json();
    let multiply_adds = &counted["total"]["nominal"]["multiply_adds"];
    assert_eq!(*multiply_adds, 235_200 / 3 + 10_000 + 1000);
}

#[test]
fn no_real_edge_weighs_nothing() {
    // A few zeros are no mask. Of the largest two in a hundred, none is among them, but with a budget of everything they would be.
    let shell = Shell::new();
    let mut tensors = lenet();
    for tensor in &mut tensors {
        tensor
            .data
            .iter_mut()
            .step_by(50)
            .for_each(|weight| *weight = 0.0);
    }
    let imported = import(
        &shell,
        &tensors,
        &["--recipe", "mnist-lenet", "--set", "wiring.density=1.0"],
    );
    let imported = imported.succeeded().json();
    assert_eq!(imported["wiring_from"], "the recipe's rule and budget");
    assert_eq!(
        imported["edges_real"],
        235_200 + 30_000 + 1000 - 4704 - 600 - 20
    );
}

#[test]
fn a_threshold_is_not_subtracted_from_final_weights() {
    let shell = Shell::new();
    let tensors = pruned();
    let rule = ["--recipe", "mnist-lenet", "--set", "wiring.rule=st-3"];
    import(&shell, &tensors, &rule)
        .refused(&["`st-3` would subtract its threshold", "wiring.rule=dnw"]);
}

#[test]
fn a_mask_that_the_file_does_not_have_is_missed_by_name() {
    let shell = Shell::new();
    let parametrized = |t: Tensor| match t.name.strip_suffix("weight") {
        Some(layer) => named(&t, format!("{layer}parametrizations.weight.original")),
        None => t,
    };
    let tensors: Vec<Tensor> = lenet().into_iter().map(parametrized).collect();
    let imported = import(&shell, &tensors, &[]).succeeded();
    for word in ["`fc1.weight`", "no mask", "squash_mask()"] {
        assert!(imported.stderr.contains(word), "{imported:?}");
    }
}
