//! Run folders that are not as they were written.

use std::fs;

use crate::shell::Shell;

const EVERY: [&str; 3] = ["eval", "report", "compare"];

/// Spoils `file` of a run, sees each of the commands refuse it in words of which these are some, and mends it.
#[track_caller]
fn refused(shell: &Shell, file: &str, spoilt: Option<&[u8]>, commands: &[&str], words: &[&str]) {
    let path = shell.path("run").join(file);
    let whole = fs::read(&path).unwrap();
    match spoilt {
        Some(bytes) => fs::write(&path, bytes).unwrap(),
        None => fs::remove_file(&path).unwrap(),
    }
    let before = shell.files(".");
    for command in commands {
        shell.dnw(&[command, "run"]).refused(words);
    }
    assert_eq!(shell.files("."), before, "nothing is written");
    fs::write(&path, whole).unwrap();
}

fn whole(shell: &Shell, file: &str) -> Vec<u8> {
    fs::read(shell.path("run").join(file)).unwrap()
}

#[test]
fn facts_that_are_missing_cut_or_absurd() {
    let shell = Shell::with_run();
    let reads = &["report", "compare"];
    refused(
        &shell,
        "run.json",
        None,
        &EVERY,
        &["no run folder", "run.json"],
    );
    let facts = whole(&shell, "run.json");
    refused(
        &shell,
        "run.json",
        Some(&facts[..facts.len() / 2]),
        reads,
        &["run.json` is damaged"],
    );
    refused(
        &shell,
        "run.json",
        Some(b""),
        reads,
        &["run.json` is damaged"],
    );
    refused(
        &shell,
        "run.json",
        Some(b"\xff\xfe"),
        reads,
        &["it is not text"],
    );
    refused(
        &shell,
        "run.json",
        Some(&b"[".repeat(100_000)),
        reads,
        &["run.json` is damaged"],
    );

    let facts: serde_json::Value = serde_json::from_slice(&facts).unwrap();
    let huge = serde_json::json!(u64::MAX);
    for (place, value) in [
        ("/format", serde_json::json!(2)),
        ("/tensors/0/dims", serde_json::json!([u64::MAX, 2])),
        (
            "/tensors/0/dims",
            serde_json::json!([1u64 << 32, 1u64 << 32]),
        ),
        (
            "/tensors/0/dims",
            serde_json::json!([1u64 << 20, 1u64 << 20]),
        ),
        ("/tensors/0/dims", serde_json::json!([])),
        ("/tensors/0/dims", serde_json::json!([0, 5])),
        ("/tensors/0/dims/0", huge.clone()),
        ("/tensors/0/name", serde_json::json!("../../secret")),
        ("/tensors/0/name", serde_json::json!("/etc/passwd")),
        ("/tensors/0/name", serde_json::json!("")),
        ("/tensors/0/budget", huge.clone()),
        ("/tensors/0/possible", huge.clone()),
        ("/image", serde_json::json!([u64::MAX, u64::MAX, 2])),
        ("/image", serde_json::json!([1, 0, 8])),
        ("/test_accuracy", serde_json::json!(1e300)),
        ("/edges_real", huge.clone()),
        ("/edges_possible", huge.clone()),
        ("/updates", huge.clone()),
        ("/status", serde_json::json!("asleep")),
    ] {
        let mut absurd = facts.clone();
        *absurd.pointer_mut(place).unwrap() = value;
        refused(
            &shell,
            "run.json",
            Some(absurd.to_string().as_bytes()),
            reads,
            &["run.json` is damaged"],
        );
    }
}

#[test]
fn a_recipe_that_is_missing_cut_or_changed() {
    let shell = Shell::with_run();
    let recipe = String::from_utf8(whole(&shell, "recipe.toml")).unwrap();
    refused(
        &shell,
        "recipe.toml",
        None,
        &EVERY,
        &["recipe.toml", "missing"],
    );
    refused(
        &shell,
        "recipe.toml",
        Some(&recipe.as_bytes()[..60]),
        &EVERY,
        &["recipe.toml` is damaged"],
    );
    refused(
        &shell,
        "recipe.toml",
        Some(b"\xc3\x28"),
        &EVERY,
        &["it is not text"],
    );
    refused(
        &shell,
        "recipe.toml",
        Some(&b"a = [".repeat(50_000)),
        &EVERY,
        &["recipe.toml` is damaged"],
    );
    for (from, to) in [
        ("epochs = 2", "epochs = \"two\""),
        ("epochs = 2", "epoch = 2"),
        ("levels = [6, 6]", "levels = [600000000, 6]"),
        ("rule = ", "role = "),
    ] {
        assert!(recipe.contains(from), "{recipe}");
        refused(
            &shell,
            "recipe.toml",
            Some(recipe.replace(from, to).as_bytes()),
            &EVERY,
            &["recipe.toml` is damaged"],
        );
    }
    // These are recipes, but not that of this run.
    for (from, to, words) in [
        (
            "levels = [6, 6]",
            "levels = [6, 7]",
            &["last.safetensors` is damaged", "shape"][..],
        ),
        (
            "fold = 2",
            "fold = 3",
            &["recipe.toml` is damaged", "cannot be folded"],
        ),
        (
            "density = 0.12",
            "edges = 999999",
            &["recipe.toml` is damaged", "999999"],
        ),
    ] {
        assert!(recipe.contains(from), "{recipe}");
        refused(
            &shell,
            "recipe.toml",
            Some(recipe.replace(from, to).as_bytes()),
            &["eval"],
            words,
        );
    }
}

#[test]
fn metrics_that_hold_something_else() {
    let shell = Shell::with_run();
    let reads = &["report", "compare"];
    refused(&shell, "metrics.jsonl", None, reads, &["metrics.jsonl"]);
    let metrics = String::from_utf8(whole(&shell, "metrics.jsonl")).unwrap();
    let lines: Vec<&str> = metrics.lines().collect();
    let with = |line: &str| [lines[0], line, ""].join("\n");
    refused(
        &shell,
        "metrics.jsonl",
        Some(with("garbage").as_bytes()),
        reads,
        &["metrics.jsonl` is damaged", "line 2"],
    );
    refused(
        &shell,
        "metrics.jsonl",
        Some(b"\xff\n"),
        reads,
        &["it is not text"],
    );
    let test =
        r#"{"kind":"test","update":4,"epoch":1,"loss":1.0,"accuracy":0.5,"confusion":[1,2,3]}"#;
    refused(
        &shell,
        "metrics.jsonl",
        Some(with(test).as_bytes()),
        reads,
        &["line 2", "3 cells for 10 classes"],
    );
    let backwards = [lines[1], lines[0], ""].join("\n");
    refused(
        &shell,
        "metrics.jsonl",
        Some(backwards.as_bytes()),
        reads,
        &["metrics.jsonl` is damaged"],
    );

    // A line that was cut while it was written is what a run that was cut off leaves.
    fs::write(
        shell.path("run/metrics.jsonl"),
        &metrics[..metrics.len() - 9],
    )
    .unwrap();
    shell.dnw(&["report", "run"]).succeeded();
}

#[test]
fn weights_that_are_missing_cut_or_of_another_network() {
    let shell = Shell::with_run();
    let file = "weights/last.safetensors";
    let weights = whole(&shell, file);
    let eval = &["eval"];
    refused(&shell, file, None, eval, &["last.safetensors"]);
    let damaged = |bytes: &[u8], words: &[&str]| {
        refused(
            &shell,
            file,
            Some(bytes),
            eval,
            &[words, &["last.safetensors` is damaged", "--weights best"]].concat(),
        );
    };
    damaged(&weights[..weights.len() - 1], &[]);
    damaged(&weights[..5], &[]);
    damaged(b"", &[]);
    damaged(
        b"PK\x03\x04 this is a zip file, not what was asked for",
        &["no safetensors file"],
    );
    let mut long = weights.clone();
    long[..8].copy_from_slice(&(8u64 << 30).to_le_bytes());
    damaged(&long, &["no safetensors file"]);
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    damaged(&long, &["no safetensors file"]);

    // The header changed in place, so that the rest stays where it is.
    let changed = |from: &str, to: &str| {
        let at = weights
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .expect(from);
        let mut bytes = weights.clone();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    damaged(
        &changed("\"graph.weight\"", "\"graph.wright\""),
        &["it lacks `graph.weight`"],
    );
    damaged(&changed("\"F32\"", "\"I32\""), &["type"]);
    damaged(&changed("\"BOOL\"", "\"I8\"  "), &["type"]);

    // A wiring holds yes and no; any other byte is neither.
    let tensors = safetensors::SafeTensors::deserialize(&weights).unwrap();
    let wiring = tensors
        .tensors()
        .into_iter()
        .find(|(_, view)| view.dtype() == safetensors::Dtype::BOOL);
    let inside = wiring.expect("a wiring").1.data().as_ptr() as usize - weights.as_ptr() as usize;
    let mut odd = weights.clone();
    odd[inside] = 7;
    damaged(&odd, &["yes and no"]);

    // The weights of another network are none of this one.
    shell
        .train("other", &["--set", "model.levels=[7, 6]"])
        .succeeded();
    damaged(
        &fs::read(shell.path("other").join(file)).unwrap(),
        &["shape"],
    );
    let best = fs::read(shell.path("run/weights/best.safetensors")).unwrap();
    fs::write(shell.path("run/weights/best.safetensors"), &best[..99]).unwrap();
    shell
        .dnw(&["eval", "run", "--weights", "best"])
        .refused(&["best.safetensors` is damaged", "--weights last"]);
}

#[test]
fn histories_frames_samples_and_drawings_that_are_something_else() {
    let shell = Shell::with_run();
    let file = "wiring/graph.weight.history";
    let history = whole(&shell, file);
    for command in ["report", "compare"] {
        refused(
            &shell,
            file,
            None,
            &[command],
            &["graph.weight.history", "missing"],
        );
        refused(
            &shell,
            file,
            Some(b""),
            &[command],
            &["history` is damaged"],
        );
        refused(
            &shell,
            file,
            Some(&history[..7]),
            &[command],
            &["history` is damaged"],
        );
        refused(
            &shell,
            file,
            Some(b"DNWX\x01 something"),
            &[command],
            &["history` is damaged", "does not begin"],
        );
        // A first wiring that says it is of 2^32 entries.
        let huge = b"DNWH\x01\x06\0\0\0\x80\x80\x80\x80\x10\x01";
        refused(
            &shell,
            file,
            Some(huge),
            &[command],
            &["history` is damaged"],
        );
    }
    // Cut in its records, it is what an interrupted run leaves.
    fs::write(shell.path("run").join(file), &history[..history.len() - 1]).unwrap();
    shell.dnw(&["report", "run"]).succeeded();
    fs::write(shell.path("run").join(file), &history).unwrap();

    let report = &["report"];
    let frame = "frames/00000003.safetensors";
    let bytes = whole(&shell, frame);
    refused(
        &shell,
        frame,
        Some(&bytes[..bytes.len() / 2]),
        report,
        &["00000003.safetensors` is damaged"],
    );
    refused(
        &shell,
        frame,
        Some(b""),
        report,
        &["00000003.safetensors` is damaged"],
    );
    let samples = whole(&shell, "samples.safetensors");
    refused(
        &shell,
        frame,
        Some(&samples),
        report,
        &[
            "00000003.safetensors` is damaged",
            "weights of `graph.weight`",
        ],
    );

    refused(
        &shell,
        "samples.safetensors",
        None,
        report,
        &["samples.safetensors", "missing"],
    );
    refused(
        &shell,
        "samples.safetensors",
        Some(&samples[..40]),
        report,
        &["samples.safetensors` is damaged"],
    );
    refused(
        &shell,
        "samples.safetensors",
        Some(&bytes),
        report,
        &["lacks labels or pixels"],
    );

    let drawing = String::from_utf8(whole(&shell, "drawing.json")).unwrap();
    refused(
        &shell,
        "drawing.json",
        Some(&drawing.as_bytes()[..50]),
        report,
        &["drawing.json` is damaged"],
    );
    let drawing: serde_json::Value = serde_json::from_str(&drawing).unwrap();
    for (place, value) in [
        ("/nodes/0/0", serde_json::json!(u32::MAX)),
        ("/tensors/0/1/end", serde_json::json!(u64::MAX)),
        ("/tensors/0/1/start", serde_json::json!(999)),
        ("/tensors/0/2/end", serde_json::json!(2)),
    ] {
        let mut absurd = drawing.clone();
        *absurd.pointer_mut(place).unwrap() = value;
        refused(
            &shell,
            "drawing.json",
            Some(absurd.to_string().as_bytes()),
            report,
            &["drawing.json` is damaged"],
        );
    }

    // Without its frames, a run still has curves; without the folder of them, it is none.
    fs::remove_dir_all(shell.path("run/frames")).unwrap();
    shell.dnw(&["report", "run"]).refused(&["run/frames"]);
}

#[test]
fn one_damaged_run_among_several_is_named() {
    let shell = Shell::new();
    for out in ["runs/a", "runs/b"] {
        shell.train(out, &[]).succeeded();
    }
    fs::write(shell.path("runs/b/metrics.jsonl"), "{}\n").unwrap();
    shell
        .dnw(&["compare", "runs"])
        .refused(&["runs/b/metrics.jsonl` is damaged"]);
    assert!(!shell.path("compare.html").exists());
}
