//! What the program says a network costs, and what its wiring is worth.

use crate::shell::Shell;

fn number(value: &serde_json::Value, path: &str) -> u64 {
    value
        .pointer(path)
        .and_then(serde_json::Value::as_u64)
        .unwrap_or_else(|| panic!("{path} of {value}"))
}

#[test]
fn the_edges_of_a_run_are_counted_as_its_facts_have_them() {
    let shell = Shell::with_run();
    let count = shell.run("count run --json").succeeded().json();
    let facts = shell.facts("run");
    assert_eq!(
        number(&count, "/total/nominal/edges"),
        facts["edges_real"].as_u64().unwrap()
    );
    for kind in ["edges", "weights", "norms", "biases", "multiply_adds"] {
        let of = |view: &str| number(&count, &format!("/total/{view}/{kind}"));
        assert!(
            of("alive") <= of("nominal") && of("nominal") <= of("dense"),
            "{kind}: {count}"
        );
        let layers = count["layers"].as_array().unwrap();
        let sum: u64 = layers
            .iter()
            .map(|layer| number(layer, &format!("/nominal/{kind}")))
            .sum();
        assert_eq!(sum, of("nominal"), "{kind}");
    }
    shell
        .run("count run")
        .succeeded()
        .prints(&["total", "alive"]);
}

/// The edges that section 4.2 of the paper keeps of MobileNetV1's stages at width 0.225, and the parameters of the dense networks.
#[test]
fn recipes_count_as_published() {
    let shell = Shell::new();
    let count = |recipe: &str| shell.dnw(&["count", recipe, "--json"]).succeeded().json();
    let mobilenet = count("cifar10-mobilenet-dnw-x0.225");
    let stages = mobilenet["layers"].as_array().unwrap().iter();
    let stages = stages.filter(|layer| layer["layer"].as_str().unwrap().starts_with("stages."));
    let edges: Vec<u64> = stages
        .map(|stage| number(stage, "/nominal/edges"))
        .collect();
    assert_eq!(edges, [104, 1245, 4977, 72_991, 79_627]);
    let dense = count("imagenet-mobilenet-dense-x0.25");
    let (parameters, operations) = ("/total/dense/weights", "/total/dense/multiply_adds");
    assert!(
        (450_000..550_000).contains(&number(&dense, parameters)),
        "0.5M"
    );
    assert!(
        (40_500_000..41_500_000).contains(&number(&dense, operations)),
        "41M"
    );
}

#[test]
fn a_dry_run_says_what_a_training_comes_to_and_prints_a_recipe_that_reads_back() {
    let shell = Shell::new();
    let answer = shell.run("train cifar10-tiny-static-dnw --dry-run");
    let answer = answer.succeeded().prints(&[
        "32,000 of 640,000 edges",
        "50000 training images",
        "15,520 in 160 epochs",
        "multiply-adds",
        "MB (estimated) to train",
    ]);
    let again = dnw_train::recipe::Recipe::read(&answer.stdout, &[]).unwrap();
    let named = dnw_train::recipe::Recipe::named("cifar10-tiny-static-dnw", &[]).unwrap();
    assert_eq!(again, named);
    assert!(shell.files(".").is_empty(), "nothing is written");
}

#[test]
fn a_dry_run_says_the_memory_of_so_many_images_at_once() {
    let shell = Shell::new();
    let memory = |flags: &[&str]| {
        let answer = shell.dnw(&[&["--dry-run"], flags].concat()).succeeded();
        let line = answer
            .stdout
            .lines()
            .find(|line| line.contains("MB (estimated) to train"));
        line.unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    assert!(memory(&[]).contains("with a batch at once"));
    assert!(memory(&["--micro-batch", "5"]).contains("with 5 images at once"));
    assert!(memory(&["--devices", "flex,flex,flex"]).contains("with 6 images at once"));
}

#[test]
fn scaling_is_told_by_part_for_one_device_and_for_eight() {
    let shell = Shell::new();
    let answer = shell.run("count imagenet-mobilenet-dnw-x0.225 --scaling");
    answer.succeeded().prints(&[
        "625,500 updates of 512 images",
        "| images of a batch | 512 | 64 |",
        "| weights | 53 | 53 |",
        "| exchanged in an update, 32-bit | 0 | 92 |",
        "| exchanged in an update, 16-bit | 0 | 46 |",
    ]);
}

#[test]
fn what_cannot_be_counted_is_said() {
    let shell = Shell::with_run();
    shell
        .run("count cifar10-tiny")
        .refused(&["no recipe `cifar10-tiny`", "did you mean `cifar10-tiny"]);
    shell
        .run("count run --side 7")
        .refused(&["7 x 7 cannot be folded"]);
}

#[test]
fn a_wiring_is_evaluated_with_shared_and_with_redrawn_weights() {
    let shell = Shell::with_run();
    let eval = ["eval", "run", "--weight-agnostic"];
    let json = || {
        shell
            .dnw(&[&eval[..], &["--json"]].concat())
            .succeeded()
            .json()
    };
    let found = json();
    let rows = found["weight_agnostic"].as_array().unwrap();
    assert_eq!(rows.len(), 6 + 5);
    assert!(
        rows.iter()
            .all(|row| (0.0..=1.0).contains(&row["test_accuracy"].as_f64().unwrap()))
    );
    assert_eq!(
        found["test_accuracy"],
        shell.facts("run")["test_accuracy"],
        "the run itself is evaluated first"
    );
    assert_eq!(found, json(), "redrawn weights are those of their seeds");
    let words = ["all -2", "redrawn with seed 4"];
    shell.dnw(&eval).succeeded().prints(&words);
}
