//! Tests of masks in other programs' forms, of names in wrappers, and of where a model is.

use dnw_checkpoint::{Checkpoint, ModelState, Reason, Section, Tensor};

fn tensor(name: &str, shape: &[usize], data: &[f32]) -> Tensor {
    Tensor {
        name: name.into(),
        shape: shape.to_vec(),
        data: data.to_vec(),
    }
}

fn checkpoint(sections: &[(&str, &[Tensor])]) -> Checkpoint {
    let section = |(path, tensors): &(&str, &[Tensor])| Section {
        path: (*path).into(),
        tensors: tensors.to_vec(),
    };
    Checkpoint {
        sections: sections.iter().map(section).collect(),
        skipped: Vec::new(),
    }
}

fn model(tensors: &[Tensor]) -> ModelState {
    checkpoint(&[("", tensors)]).model_state().unwrap()
}

/// Names of one number each.
fn named(names: &[&str]) -> Vec<Tensor> {
    names
        .iter()
        .map(|name| tensor(name, &[1], &[1.0]))
        .collect()
}

fn names(tensors: &[Tensor]) -> Vec<&str> {
    tensors.iter().map(|tensor| tensor.name.as_str()).collect()
}

#[test]
fn each_form_of_a_mask_becomes_the_same() {
    let (weight, mask) = ([1.0, 2.0], [0.0, 1.0]);
    for (weight_name, mask_name) in [
        ("a.fc.weight_orig", "a.fc.weight_mask"),
        (
            "a.fc.parametrizations.weight.original",
            "a.fc.parametrizations.weight.0.mask",
        ),
        (
            "a.fc.parametrizations.weight.original",
            "a.fc.parametrizations.weight.2.mask",
        ),
        ("a.fc.weight", "a.fc.weight_mask"),
        ("a.fc.weight", "a.fc.mask"),
        ("a.fc.weight", "a.fc._mask"),
        ("a.fc.weight", "a.fc._nni_wrapper.weight_mask"),
        (
            "a.fc.weight",
            "__nncf_hooks.post_hooks.a.fc:weight__0.0.binary_mask",
        ),
    ] {
        let state = model(&[
            tensor("b.bias", &[1], &[0.0]),
            tensor(weight_name, &[1, 2], &weight),
            tensor(mask_name, &[1, 2], &mask),
        ]);
        let expected = [
            tensor("b.bias", &[1], &[0.0]),
            tensor("a.fc.weight", &[1, 2], &weight),
            tensor("a.fc.mask", &[1, 2], &mask),
        ];
        assert_eq!(state.tensors, expected, "{mask_name}");
    }
}

#[test]
fn a_threshold_beside_a_weight_is_subtracted_from_it() {
    // The sigmoid of 0 is a half.
    let state = model(&[
        tensor("fc.weight", &[2, 2], &[0.75, -0.5, -2.0, 0.25]),
        tensor("fc.sparseThreshold", &[1, 1], &[0.0]),
        tensor("fc.bias", &[2], &[0.1, 0.2]),
    ]);
    let expected = [
        tensor("fc.weight", &[2, 2], &[0.25, 0.0, -1.5, 0.0]),
        tensor("fc.bias", &[2], &[0.1, 0.2]),
    ];
    assert_eq!(state.tensors, expected);
    assert_eq!(state.skipped[0].name, "fc.sparseThreshold");
}

#[test]
fn second_copies_of_weights_are_passed_over() {
    let state = model(&named(&[
        "0.weight",
        "0._nni_wrapper.weight",
        "2.weight",
        "2._mask",
        "2._init_weights",
        "3._init_weights",
    ]));
    let skipped: Vec<&str> = state.skipped.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        skipped,
        ["2._mask", "0._nni_wrapper.weight", "2._init_weights"]
    );
    assert_eq!(
        names(&state.tensors),
        ["0.weight", "2.weight", "3._init_weights"]
    );
}

#[test]
fn single_layers_in_a_wrapper_are_one_of_the_locations() {
    let tensors = named(&["conv.module.weight", "conv.module.bias", "fc.weight"]);
    let file = checkpoint(&[("", &tensors)]);
    let outlines: Vec<Vec<String>> = file
        .locations()
        .iter()
        .map(|location| file.outline(location).into_iter().map(|t| t.name).collect())
        .collect();
    assert_eq!(
        outlines[0],
        ["conv.module.weight", "conv.module.bias", "fc.weight"]
    );
    assert_eq!(outlines[1], ["conv.weight", "conv.bias", "fc.weight"]);
}

#[test]
fn a_parametrized_weight_without_a_mask_is_read_as_it_is() {
    let state = model(&named(&["fc.bias", "fc.parametrizations.weight.original"]));
    assert_eq!(names(&state.tensors), ["fc.bias", "fc.weight"]);
    assert_eq!(state.unmasked, ["fc.weight"]);
}

#[test]
fn the_masks_in_a_sparsifiers_state_are_those_of_the_model() {
    let weights = [
        tensor("fc1.parametrizations.weight.original", &[1, 2], &[1.0, 2.0]),
        tensor("fc2.parametrizations.weight.original", &[1, 2], &[3.0, 4.0]),
    ];
    let mask = [tensor("mask", &[1, 2], &[0.0, 1.0])];
    let file = checkpoint(&[("model", &weights), ("sparsifier.state.fc1.weight", &mask)]);
    let state = file.model_state().unwrap();
    assert_eq!(
        names(&state.tensors),
        ["fc1.weight", "fc2.weight", "fc1.mask"]
    );
    assert_eq!(state.tensors[2].data, [0.0, 1.0]);
    assert_eq!(state.unmasked, ["fc2.weight"]);
    assert_eq!(state.skipped, []);
}

#[test]
fn a_weight_orig_without_a_mask_is_not_a_pruned_one() {
    let spectral = ["fc.weight_orig", "fc.weight_u", "fc.weight_v"];
    assert_eq!(names(&model(&named(&spectral)).tensors), spectral);
}

#[test]
fn the_mask_of_a_bias_is_written_into_it() {
    let state = model(&[
        tensor("fc.bias_orig", &[2], &[3.0, 4.0]),
        tensor("fc.bias_mask", &[2], &[1.0, 0.0]),
    ]);
    assert_eq!(state.tensors, [tensor("fc.bias", &[2], &[3.0, 0.0])]);
    assert_eq!(state.skipped[0].reason, Reason::Applied);
    assert_eq!(state.skipped[0].name, "fc.bias_mask");
}

#[test]
fn what_wrappers_put_into_names_is_removed() {
    for (wrapped, plain) in [
        (
            ["_orig_mod.fc.weight", "_orig_mod.fc.bias"],
            ["fc.weight", "fc.bias"],
        ),
        (
            ["module._orig_mod.fc.weight", "module._orig_mod.fc.bias"],
            ["fc.weight", "fc.bias"],
        ),
        (
            ["_orig_mod.module.fc.weight", "_orig_mod.module.fc.bias"],
            ["fc.weight", "fc.bias"],
        ),
        (["module.module.a", "module.module.b"], ["a", "b"]),
        (
            ["conv.weight", "block._checkpoint_wrapped_module.fc.weight"],
            ["conv.weight", "block.fc.weight"],
        ),
        (
            [
                "_fsdp_wrapped_module.conv.weight",
                "_fsdp_wrapped_module.fc._fsdp_wrapped_module.bias",
            ],
            ["conv.weight", "fc.bias"],
        ),
    ] {
        assert_eq!(names(&model(&named(&wrapped)).tensors), plain);
    }
    // An averaged model has a counter beside the names with a prefix.
    let averaged = ["n_averaged", "module.fc.weight", "module.fc.bias"];
    assert_eq!(names(&model(&named(&averaged)).tensors).len(), 2);
}

#[test]
fn a_prefix_of_most_names_is_one_of_the_locations() {
    let tensors = named(&[
        "net.body.conv.weight",
        "net.body.conv.bias",
        "net.fc.weight",
        "loss.scale",
    ]);
    let file = checkpoint(&[("state_dict", &tensors)]);
    let outlines: Vec<Vec<String>> = file
        .locations()
        .iter()
        .map(|location| file.outline(location).into_iter().map(|t| t.name).collect())
        .collect();
    assert_eq!(outlines[0].len(), 4, "nothing is removed at first");
    assert_eq!(
        outlines[1],
        ["body.conv.weight", "body.conv.bias", "fc.weight"]
    );
    assert_eq!(outlines[2], ["conv.weight", "conv.bias"]);
    let location = &file.locations()[1];
    let state = file.model_state_at(location).unwrap();
    assert_eq!(
        names(&state.tensors),
        ["body.conv.weight", "body.conv.bias", "fc.weight"]
    );
    assert_eq!(state.skipped[0].name, "state_dict.loss.scale");
    assert_eq!(state.skipped[0].reason, Reason::OutsideModel);
}

#[test]
fn a_stray_tensor_beside_the_models_dictionary_is_not_the_model() {
    let weights = named(&["fc1.weight", "fc1.bias", "fc2.weight"]);
    for path in ["model_state_dict", "ema.weights", "checkpoint.net"] {
        let file = checkpoint(&[("", &named(&["loss"])), (path, &weights)]);
        let state = file.model_state().unwrap();
        assert_eq!(state.tensors, weights, "{path}");
        assert_eq!(state.skipped[0].name, "loss");
    }
    // Of two that are equally large, the one with the usual name.
    let copies = [
        ("state_dict_ema", &weights[..]),
        ("state_dict", &weights[..]),
    ];
    let first = &checkpoint(&copies).locations()[0];
    let state = checkpoint(&copies).model_state_at(first).unwrap();
    assert!(
        state
            .skipped
            .iter()
            .all(|s| s.name.starts_with("state_dict_ema."))
    );
}

#[test]
fn an_optimizer_with_many_dictionaries_does_not_multiply_the_locations() {
    let weights = named(&["fc1.weight", "fc1.bias", "fc2.weight"]);
    let mut sections = vec![("model".to_owned(), weights)];
    for parameter in 0..200 {
        sections.push((format!("optimizer.state.{parameter}"), named(&["exp_avg"])));
    }
    let sections: Vec<(&str, &[Tensor])> = sections
        .iter()
        .map(|(path, tensors)| (path.as_str(), &tensors[..]))
        .collect();
    let file = checkpoint(&sections);
    assert!(file.locations().len() <= 256);
    assert_eq!(file.outline(&file.locations()[0])[0].name, "fc1.weight");
}
