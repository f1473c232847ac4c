//! ONNX models: exported, compiled again, and used.

use std::fs;

use dnw_circuit::{CircuitBuilder, CircuitError, Tensor, Window};
use dnw_onnx::{Description, ExportOptions, export};

use crate::shell::Shell;

#[test]
fn an_exported_network_is_compiled_to_the_one_that_the_run_is() {
    let shell = Shell::with_run();
    for options in ["", " --sparse-initializers", " --external-weights"] {
        let export = format!("export run --onnx model.onnx{options}");
        let exported = shell.run(&export).succeeded().stdout;
        assert!(exported.ends_with("model.onnx\n"), "{exported}");
        let is_external = options.contains("external");
        assert_eq!(exported.contains("model.onnx.data"), is_external);
        let compiled = shell
            .run("compile model.onnx -o model.dnw --json")
            .succeeded()
            .json();
        // Its name, its images and its classes come with it.
        assert_eq!(compiled["network"], "digits");
        assert_eq!(compiled["classes"].as_array().unwrap().len(), 10);
        let verified = shell.run("verify model.dnw run --json").succeeded().json();
        assert_eq!(verified["passes"], true);
        assert_eq!(verified["accuracy_of_model"], verified["accuracy_of_run"]);
        assert!(verified["relative_difference"].as_f64().unwrap() < 1e-4);
    }
    // All commands for compiled models have it.
    shell.run("predict model.dnw").succeeded();
    shell.run("explain model.dnw --seconds 0.01").succeeded();
    shell
        .run("bench model.dnw --seconds 0.01 --threads 1 --batch 1")
        .succeeded();
    // With another description of its images and smaller weights.
    let other = "compile model.onnx -o small.dnw --weights int8 --mean 0.5 --deviation 0.25 --resize 9 --json";
    let small = shell.run(other).succeeded().json();
    assert_eq!(small["weights"], "int8");
    shell.run("predict small.dnw").succeeded();
}

#[test]
fn what_cannot_be_compiled_is_said_with_a_remedy() {
    let shell = Shell::with_run();
    shell.run("export run --onnx model.onnx").succeeded();
    let refused = |line: &str, what: &str, help: &str| {
        let answer = shell.run(line);
        assert_ne!(answer.code, Some(0), "{line}");
        assert!(answer.stderr.contains(what), "{line}: {}", answer.stderr);
        assert!(answer.stderr.contains(help), "{line}: {}", answer.stderr);
        assert!(!shell.path("x.dnw").exists());
    };
    let bytes = fs::read(shell.path("model.onnx")).unwrap();
    fs::write(shell.path("short.onnx"), &bytes[..bytes.len() / 2]).unwrap();
    refused(
        "compile short.onnx -o x.dnw",
        "cannot be decoded",
        "cut short",
    );
    fs::write(shell.path("empty.onnx"), []).unwrap();
    refused("compile empty.onnx -o x.dnw", "it is empty", "help:");
    refused("compile missing.onnx -o x.dnw", "missing.onnx", "help:");
    refused(
        "compile model.onnx -o x.dnw --mean 0.5,0.5",
        "2 numbers",
        "for each channel",
    );
    refused(
        "compile model.onnx -o x.dnw --recipe digits",
        "no recipe",
        "--recipe",
    );
    refused(
        "compile model.onnx -o x.dnw --image 1x99x99",
        "images of another size",
        "leave the size",
    );
    refused("compile model.onnx -o x.dnw --image 99", "3x224x224", "");
    refused(
        "compile run -o x.dnw --mean 0.5",
        "their own description",
        "--mean",
    );
    refused("export run --onnx a.onnx --masks", "--masks", "");
    refused("export run --out a --external-weights", "--onnx", "");
}

/// Keras's classifiers end in a softmax: a second one would make all classes nearly equal.
#[test]
fn a_softmax_at_the_end_is_not_applied_again() {
    let shell = Shell::new();
    let network = |has_softmax: bool| -> Result<Vec<u8>, CircuitError> {
        let mut circuit = CircuitBuilder::new([1, 8, 8])?;
        let weights = (0..640).map(|i| (i as f32).sin()).collect();
        let weights = circuit.tensor(Tensor::weight("weight", [10, 1, 8, 8], weights))?;
        let weights = circuit.whole(weights);
        let mut x = circuit.conv(circuit.input(), weights, None, Window::default())?;
        if has_softmax {
            x = circuit.softmax(x)?;
        }
        let exported = export(
            &circuit.finish(x)?,
            &Description::default(),
            ExportOptions::default(),
        );
        Ok(exported.model)
    };
    let tops = [false, true].map(|has_softmax| {
        fs::write(shell.path("x.onnx"), network(has_softmax).unwrap()).unwrap();
        shell.run("compile x.onnx -o x.dnw").succeeded();
        let found = shell.run("predict x.dnw --json").succeeded().stdout;
        let first: serde_json::Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
        first["top"][0].clone()
    });
    assert_eq!(tops[0]["class"], tops[1]["class"]);
    let [logits, softmax] = tops.map(|top| top["probability"].as_f64().unwrap());
    assert!((logits - softmax).abs() < 1e-5, "{logits} and {softmax}");
    assert!(logits > 0.2, "{logits}: a second softmax would show");
}
