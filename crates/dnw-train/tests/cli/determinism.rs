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

/// Whether this machine is one of those that have the README's bits.
fn is_vouched_for() -> bool {
    cfg!(target_arch = "x86_64") && InstructionSet::widest() != InstructionSet::Baseline
}

#[test]
fn the_main_job_has_the_weights_of_the_readme_and_says_so() {
    let shell = Shell::new();
    let text = shell.run("--device flex --out run").succeeded();
    let json = shell
        .run("--device flex --out again --json --quiet --threads 1")
        .succeeded();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let hash = json["weights_sha256"].as_str().unwrap();
    let has_bits = hash == of_readme();
    if is_vouched_for() {
        assert!(has_bits, "{hash}");
    }
    // It says what it has, whichever that is.
    assert_eq!(json["weights_as_in_readme"], has_bits);
    let mut lines = text.stdout.lines();
    let line = lines.find(|line| line.starts_with("weights")).unwrap();
    assert_eq!(line.contains("the bits of the README"), has_bits, "{line}");
    assert!(line.contains(&hash[..16]), "{line}");
    // Another training has no bits in the README.
    let other = shell.run("--device flex --out other --epochs 1");
    assert!(!other.stdout.contains("weights"), "{}", other.stdout);
}

#[test]
fn what_cannot_be_vouched_for_is_refused() {
    let shell = Shell::new();
    let with = |options: &str, [variable, value]: [&str; 2]| -> Answer {
        let line = format!("train digits --deterministic --quiet --epochs 1 --out run {options}");
        let mut command = shell.command(line.split(' '));
        command.env(variable, value).output().unwrap().into()
    };
    let flex = "--device flex";
    let none = ["DNW_SIMD", ""];
    for (options, variable, named) in [
        ("--devices flex,flex", none, "`--device flex`"),
        ("--device flex --precision bf16", none, "16-bit precision"),
        ("--device flex --kernels reference", none, "plain tensors"),
        (flex, ["DNW_PRODUCTS", "dense"], "DNW_PRODUCTS"),
    ] {
        with(options, variable).refused(&["--deterministic", named, "docs/determinism.md"]);
    }
    if cfg!(target_arch = "x86_64") {
        with(flex, ["DNW_SIMD", "baseline"]).refused(&["fused multiply-adds", "AVX2"]);
    }
    if is_vouched_for() {
        let feather = with("--device flex --set wiring.rule=feather", none);
        feather.refused(&["powers or exponentials", "docs/determinism.md"]);
    }
    assert!(shell.files(".").is_empty(), "nothing is written");
    if is_vouched_for() {
        with(flex, none).succeeded();
    }
}
