//! Tests of files from PyTorch; the program is in `samples/README.md`.

use std::path::{Path, PathBuf};

use dnw_checkpoint::{Checkpoint, CheckpointError, Reason, Tensor, read};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/checkpoint/samples")
        .join(name)
}

/// The sample in both formats.
fn both(name: &str) -> Checkpoint {
    let [archive, legacy] = ["zip", "legacy"].map(|format| {
        let path = sample(&format!("{name}.{format}.pt"));
        read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    assert_eq!(archive, legacy);
    archive
}

fn counting(from: f32, by: f32, count: usize) -> Vec<f32> {
    (0..count).map(|n| from + by * n as f32).collect()
}

#[test]
fn the_model_of_a_training_checkpoint_has_its_own_names() {
    let state = both("training").model_state().unwrap();
    // The third and the eighth tensor of the state dictionary are `zeros` and a count of batches.
    let expected = [
        ("0.weight", vec![3, 2, 1, 1], 0),
        ("1.weight", vec![3], 2),
        ("1.bias", vec![3], 3),
        ("1.running_mean", vec![3], 4),
        ("1.running_var", vec![3], 5),
        ("2.weight", vec![4, 3, 1, 1], 7),
        ("2.bias", vec![4], 8),
    ]
    .map(|(name, shape, place)| Tensor {
        name: name.into(),
        data: counting(-(place as f32), 0.125, shape.iter().product()),
        shape,
    });
    assert_eq!(state.tensors, expected);
}

#[test]
fn other_content_of_a_training_checkpoint_is_listed_as_skipped() {
    let state = both("training").model_state().unwrap();
    let notes: Vec<_> = state.skipped.iter().map(ToString::to_string).collect();
    for expected in [
        "`epoch`: a whole number, not a tensor",
        "`arch`: text, not a tensor",
        "`best_acc1`: a number, not a tensor",
        "`curr_acc1`: nothing, not a tensor",
        "`input`: a tuple, not a tensor",
        "`optimizer.param_groups`: a list, not a tensor",
        "`state_dict.module.1.num_batches_tracked`: a tensor of int64",
        "`state_dict.module.0.zeros`: a buffer without anything learned",
        "`optimizer.state.0.momentum_buffer`: a tensor outside the model",
        "`optimizer.state.4.momentum_buffer`: a tensor outside the model",
    ] {
        assert!(notes.iter().any(|note| note == expected), "{notes:#?}");
    }
    assert_eq!(notes.len(), 13, "{notes:#?}");
}

#[test]
fn every_element_type_and_layout_is_read() {
    let checkpoint = both("elements");
    let at = |path: &str, name: &str| {
        let section = checkpoint.sections.iter().find(|s| s.path == path).unwrap();
        let tensor = section.tensors.iter().find(|t| t.name == name).unwrap();
        (tensor.shape.clone(), tensor.data.clone())
    };
    let top = |name| at("", name);
    let all = |value: &dyn Fn(usize) -> f32| (vec![2, 3, 4], (0..24).map(value).collect());

    assert_eq!(top("float64"), all(&|n| (n as f64 / 3.0) as f32));
    assert_eq!(top("float32"), all(&|n| n as f32 / 3.0));
    assert_eq!(top("float16"), all(&|n| n as f32 / 2.0));
    assert_eq!(top("bfloat16"), all(&|n| n as f32 / 2.0));
    assert_eq!(top("int16"), all(&|n| -(n as f32)));
    assert_eq!(top("int8"), all(&|n| -(n as f32)));
    assert_eq!(top("uint8"), all(&|n| n as f32 + 200.0));
    assert_eq!(top("bool"), all(&|n| if n > 11 { 1.0 } else { 0.0 }));
    assert_eq!(top("same"), all(&|n| n as f32));

    let mut transposed = Vec::new();
    for k in 0..4 {
        for row in 0..6 {
            transposed.push((row * 4 + k) as f32);
        }
    }
    assert_eq!(top("transposed"), (vec![4, 2, 3], transposed));
    assert_eq!(top("sliced"), (vec![1, 2, 2], vec![17.0, 18.0, 21.0, 22.0]));
    assert_eq!(top("every_second"), (vec![12], counting(1.0, 2.0, 12)));
    let expanded = vec![7.0, 7.0, 7.0, 8.0, 8.0, 8.0];
    assert_eq!(top("expanded"), (vec![2, 3], expanded));
    assert_eq!(top("number"), (vec![], vec![5.0]));
    assert_eq!(top("empty"), (vec![0, 4], vec![]));
    assert_eq!(top("parameter"), (vec![3, 4], counting(0.0, 1.0, 12)));
    assert_eq!(at("nested.list", "0"), (vec![1], vec![1.0]));
    assert_eq!(at("nested.list.2", "deep"), (vec![2], vec![0.0, 0.0]));

    for name in ["int64", "int32"] {
        let note = checkpoint.skipped.iter().find(|s| s.name == name).unwrap();
        assert_eq!(note.reason, Reason::Elements(name.into()));
    }
    let notes = checkpoint.skipped.iter().map(|note| note.name.as_str());
    assert_eq!(
        notes.collect::<Vec<_>>(),
        ["nested.list.1", "nested.plain", "int64", "int32"]
    );
}

#[test]
fn tensors_keep_the_order_of_the_file() {
    let checkpoint = both("elements");
    let names: Vec<_> = checkpoint.sections[0]
        .tensors
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    assert_eq!(names[..4], ["float64", "float32", "float16", "bfloat16"]);
    assert_eq!(names[names.len() - 2..], ["parameter", "same"]);
}

#[test]
fn objects_of_custom_classes_beside_the_model_are_skipped() {
    for format in ["zip", "legacy"] {
        let checkpoint = read(&sample(&format!("meters.{format}.pt"))).unwrap();
        assert_eq!(checkpoint.sections[0].path, "model");
        assert_eq!(checkpoint.sections[0].tensors[0].data, [1.0]);
        assert_eq!(
            checkpoint.skipped[0].to_string(),
            "`meters`: a list, not a tensor"
        );
    }
}

#[test]
fn the_error_for_a_missing_file_names_it() {
    let error = read(&sample("absent.pt")).unwrap_err();
    assert!(matches!(error, CheckpointError::Read { .. }));
    assert!(error.to_string().contains("absent.pt"), "{error}");
    let error = read(&sample("README.md")).unwrap_err();
    assert!(matches!(error, CheckpointError::UnknownFormat));
}

/// Trainings recorded with PyTorch 2.6, each with its start as `.pt` and as safetensors. The records are not part
/// of the repository; `DNW_PARITY` names their folder.
#[test]
fn recorded_trainings_have_the_same_initial_tensors_in_both_formats() {
    let folder = std::env::var_os("DNW_PARITY").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/parity"),
        PathBuf::from,
    );
    let Ok(records) = folder.read_dir() else {
        eprintln!("skipped: there is no folder {}", folder.display());
        return;
    };
    let mut compared = 0;
    for record in records {
        let record = record.unwrap().path();
        if !record.is_dir() {
            continue;
        }
        let [pickled, twin] = ["initial.pt", "initial.safetensors"].map(|name| {
            let checkpoint = read(&record.join(name));
            let checkpoint =
                checkpoint.unwrap_or_else(|error| panic!("{record:?} {name}: {error}"));
            let mut state = checkpoint.model_state().unwrap();
            state.tensors.sort_by(|a, b| a.name.cmp(&b.name));
            state.tensors
        });
        assert!(pickled.len() > 10);
        assert_eq!(pickled, twin, "{record:?}");
        compared += 1;
    }
    assert!(compared > 0, "{} holds no records", folder.display());
}
