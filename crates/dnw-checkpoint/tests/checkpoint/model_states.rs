//! Tests of finding the model's tensors.

use dnw_checkpoint::{Checkpoint, CheckpointError, Reason, Section, Skipped, Tensor};

fn section(path: &str, names: &[&str]) -> Section {
    let tensor = |name: &&str| Tensor {
        name: (*name).to_owned(),
        shape: vec![1],
        data: vec![path.len() as f32],
    };
    Section {
        path: path.into(),
        tensors: names.iter().map(tensor).collect(),
    }
}

/// The names of the model's tensors in these sections, and what was skipped.
fn model(sections: &[Section]) -> (Vec<String>, Vec<Skipped>) {
    let checkpoint = Checkpoint {
        sections: sections.to_vec(),
        skipped: Vec::new(),
    };
    let state = checkpoint.model_state().unwrap();
    let names = state.tensors.into_iter().map(|tensor| tensor.name);
    (names.collect(), state.skipped)
}

#[test]
fn the_model_is_in_state_dict_otherwise_in_model_otherwise_outermost() {
    let (top, wrapped, named) = (
        section("", &["a"]),
        section("state_dict", &["b"]),
        section("model", &["c"]),
    );
    let all = [top.clone(), named.clone(), wrapped];
    assert_eq!(model(&all).0, ["b"]);
    assert_eq!(model(&[top.clone(), named]).0, ["c"]);
    assert_eq!(model(&[section("optimizer.state.0", &["x"]), top]).0, ["a"]);
}

#[test]
fn a_submodule_named_model_is_not_a_wrapper() {
    assert_eq!(
        model(&[section("", &["model.weight", "head.weight"])]).0,
        ["model.weight", "head.weight"]
    );
}

#[test]
fn a_prefix_of_all_names_is_removed_once() {
    assert_eq!(
        model(&[section("", &["module.conv.weight", "module.module.bias"])]).0,
        ["conv.weight", "module.bias"]
    );
    assert_eq!(
        model(&[section("", &["module.conv.weight", "fc.weight"])]).0,
        ["module.conv.weight", "fc.weight"]
    );
}

#[test]
fn buffers_without_learned_values_are_skipped() {
    let names = [
        "module.zeros",
        "module.norm.0.num_batches_tracked",
        "module.graph.zeros",
        "module.zeros.weight",
        "module.nonzeros",
    ];
    let (kept, skipped) = model(&[
        section("state_dict", &names),
        section("optimizer.state.0", &["momentum_buffer"]),
    ]);
    assert_eq!(kept, ["zeros.weight", "nonzeros"]);
    let note = |name: &str, reason| Skipped {
        name: name.into(),
        reason,
    };
    assert_eq!(
        skipped,
        [
            note("state_dict.module.zeros", Reason::Buffer),
            note(
                "state_dict.module.norm.0.num_batches_tracked",
                Reason::Buffer
            ),
            note("state_dict.module.graph.zeros", Reason::Buffer),
            note("optimizer.state.0.momentum_buffer", Reason::OutsideModel),
        ]
    );
}

#[test]
fn the_error_for_a_file_without_tensors_says_what_is_there() {
    let checkpoint = Checkpoint {
        sections: Vec::new(),
        skipped: vec![Skipped {
            name: "step".into(),
            reason: Reason::Elements("int64".into()),
        }],
    };
    let error = checkpoint.model_state().unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("(it holds `step`: a tensor of int64)"),
        "{error}"
    );
    let error = Checkpoint::default().model_state().unwrap_err();
    assert!(matches!(error, CheckpointError::NoModel { .. }));
}

#[test]
fn duplicate_names_are_refused() {
    let checkpoint = Checkpoint {
        sections: vec![section("", &["a", "a"])],
        skipped: Vec::new(),
    };
    assert!(matches!(
        checkpoint.model_state(),
        Err(CheckpointError::Duplicate { name }) if name == "a"
    ));
}
