//! The same bits on every machine.

use dnw_kernels::settings::InstructionSet;

use crate::shell::{Answer, Shell};

/// The README's hash of the main job's weights.
fn of_readme() -> String {
    let readme = include_str!("../../../../README.md");
    let is_hash = |text: &&str| text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit());
    let mut hashes = readme.split('`').filter(is_hash);
    let hash = hashes.next().expect("a hash").to_owned();
    assert_eq!(hashes.next(), None, "one hash");
    hash
}

#[test]
fn the_main_job_has_the_weights_of_the_readme_and_says_so() {
    let shell = Shell::new();
    let text = shell.run("--device flex --out run").succeeded();
    let json = shell
        .run("--device flex --out again --json --quiet --threads 1")
        .succeeded();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    // Where there are no fused multiply-adds the bits are others, which must be said as well.
    let is_expected =
        cfg!(target_arch = "aarch64") || InstructionSet::widest() != InstructionSet::Baseline;
    assert_eq!(json["weights_as_in_readme"], is_expected);
    assert_eq!(json["weights_sha256"] == of_readme().as_str(), is_expected);
    let line = text
        .stdout
        .lines()
        .find(|line| line.starts_with("weights"))
        .unwrap();
    assert_eq!(
        line.contains("the bits of the README"),
        is_expected,
        "{line}"
    );
    assert!(
        line.contains(&json["weights_sha256"].as_str().unwrap()[..16]),
        "{line}"
    );
    // Another training has no bits in the README.
    let other = shell.run("--device flex --out other --epochs 1");
    assert!(!other.stdout.contains("weights"), "{}", other.stdout);
}

#[test]
fn what_cannot_be_vouched_for_is_refused() {
    let shell = Shell::new();
    let with = |options: &str| -> Answer {
        let line = format!(
            "train digits --device flex --deterministic --quiet --epochs 1 --out run {options}"
        );
        shell.run(line.trim())
    };
    for (options, named) in [
        ("--precision bf16", "16-bit precision"),
        ("--kernels reference", "plain tensors"),
        ("--set wiring.rule=feather", "powers or exponentials"),
    ] {
        with(options).refused(&["--deterministic", named, "docs/determinism.md"]);
    }
    let devices = shell.run("train digits --devices flex,flex --deterministic --out run");
    devices.refused(&["--deterministic", "`--device flex`"]);
    let mut command = shell.command([
        "train",
        "digits",
        "--device",
        "flex",
        "--deterministic",
        "--out",
        "run",
    ]);
    let products: Answer = command
        .env("DNW_PRODUCTS", "dense")
        .output()
        .unwrap()
        .into();
    products.refused(&["--deterministic", "DNW_PRODUCTS", "unset it"]);
    let mut command = shell.command([
        "train",
        "digits",
        "--device",
        "flex",
        "--deterministic",
        "--out",
        "run",
    ]);
    let baseline: Answer = command.env("DNW_SIMD", "baseline").output().unwrap().into();
    if cfg!(target_arch = "x86_64") {
        baseline.refused(&["--deterministic", "fused multiply-adds", "AVX2"]);
    }
    assert!(shell.files(".").is_empty(), "nothing is written");
    if InstructionSet::widest() != InstructionSet::Baseline {
        with("").succeeded();
    }
}
