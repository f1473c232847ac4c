//! The model's tensors among the others.

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

/// The names of the model among these sections, and the notes.
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
fn the_model_lies_under_state_dict_else_model_else_at_the_top() {
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
fn a_part_of_the_model_called_model_is_no_wrapper() {
    assert_eq!(
        model(&[section("", &["model.weight", "head.weight"])]).0,
        ["model.weight", "head.weight"]
    );
}

#[test]
fn a_prefix_that_all_names_share_is_taken_off_once() {
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
fn buffers_without_anything_learned_are_left_out_and_noted() {
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
fn a_file_without_a_model_says_where_its_tensors_are() {
    let checkpoint = Checkpoint {
        sections: vec![section("ema.weights", &["a"]), section("x", &["b"])],
        skipped: Vec::new(),
    };
    let error = checkpoint.model_state().unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("(only under `ema.weights`, `x`)"),
        "{error}"
    );
    let error = Checkpoint::default().model_state().unwrap_err();
    assert!(matches!(error, CheckpointError::NoModel { .. }));
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let checkpoint = Checkpoint {
        sections: vec![section("", &["a", "a"])],
        skipped: Vec::new(),
    };
    assert!(matches!(
        checkpoint.model_state(),
        Err(CheckpointError::Duplicate { name }) if name == "a"
    ));
}
