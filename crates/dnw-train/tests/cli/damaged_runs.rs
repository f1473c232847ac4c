//! Damaged run folders.

use std::fs;

use serde_json::{Value, json};

use crate::shell::Shell;

/// The commands that read a run.
const EVERY: [&str; 3] = ["eval", "report", "compare"];
/// Those that read all of its files.
const READ_ALL: [&str; 2] = ["report", "compare"];

/// A file of a run, and the commands that read it.
struct RunFile<'a> {
    shell: &'a Shell,
    file: &'a str,
    commands: &'a [&'a str],
}

fn run_file<'a>(shell: &'a Shell, file: &'a str, commands: &'a [&'a str]) -> RunFile<'a> {
    RunFile {
        shell,
        file,
        commands,
    }
}

impl RunFile<'_> {
    /// With this content, each of the commands fails with an error that contains these words.
    #[track_caller]
    fn refused(&self, content: impl AsRef<[u8]>, words: &[&str]) {
        self.refused_with(Some(content.as_ref()), words);
    }

    /// Without the file, each of the commands fails with an error that contains these words.
    #[track_caller]
    fn refused_if_missing(&self, words: &[&str]) {
        self.refused_with(None, words);
    }

    #[track_caller]
    fn refused_with(&self, content: Option<&[u8]>, words: &[&str]) {
        let path = self.shell.path("run").join(self.file);
        let whole = fs::read(&path).unwrap();
        match content {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let before = self.shell.files(".");
        for command in self.commands {
            self.shell.dnw(&[command, "run"]).refused(words);
        }
        assert_eq!(self.shell.files("."), before, "nothing is written");
        fs::write(&path, whole).unwrap();
    }

    /// With each of these values at its place in the JSON file, the file is damaged.
    #[track_caller]
    fn refused_json(&self, changes: impl IntoIterator<Item = (&'static str, Value)>) {
        let file: Value = serde_json::from_slice(&whole(self.shell, self.file)).unwrap();
        for (place, value) in changes {
            let mut changed = file.clone();
            *changed.pointer_mut(place).unwrap() = value;
            let words = format!("{}` is damaged", self.file);
            self.refused(changed.to_string(), &[&words]);
        }
    }
}

fn whole(shell: &Shell, file: &str) -> Vec<u8> {
    fs::read(shell.path("run").join(file)).unwrap()
}

#[test]
fn facts_that_are_missing_cut_or_absurd() {
    let shell = Shell::with_run();
    let file = run_file(&shell, "run.json", &READ_ALL);
    run_file(&shell, "run.json", &EVERY).refused_if_missing(&["no run folder", "run.json"]);
    let facts = whole(&shell, "run.json");
    file.refused(&facts[..facts.len() / 2], &["run.json` is damaged"]);
    file.refused(b"", &["run.json` is damaged"]);
    file.refused(b"\xff\xfe", &["it is not text"]);
    file.refused(b"[".repeat(100_000), &["run.json` is damaged"]);

    let huge = json!(u64::MAX);
    file.refused_json([
        ("/format", json!(2)),
        ("/tensors/0/dims", json!([u64::MAX, 2])),
        ("/tensors/0/dims", json!([1u64 << 32, 1u64 << 32])),
        ("/tensors/0/dims", json!([1u64 << 20, 1u64 << 20])),
        ("/tensors/0/dims", json!([])),
        ("/tensors/0/dims", json!([0, 5])),
        ("/tensors/0/dims/0", huge.clone()),
        ("/tensors/0/name", json!("../../secret")),
        ("/tensors/0/name", json!("/etc/passwd")),
        ("/tensors/0/name", json!("")),
        ("/tensors/0/budget", huge.clone()),
        ("/tensors/0/possible", huge.clone()),
        ("/image", json!([u64::MAX, u64::MAX, 2])),
        ("/image", json!([1, 0, 8])),
        ("/test_accuracy", json!(1e300)),
        ("/edges_real", huge.clone()),
        ("/edges_possible", huge.clone()),
        ("/updates", huge.clone()),
        ("/status", json!("asleep")),
    ]);
}

#[test]
fn a_recipe_that_is_missing_cut_or_changed() {
    let shell = Shell::with_run();
    let file = run_file(&shell, "recipe.toml", &EVERY);
    let recipe = String::from_utf8(whole(&shell, "recipe.toml")).unwrap();
    file.refused_if_missing(&["recipe.toml", "missing"]);
    file.refused(&recipe.as_bytes()[..60], &["recipe.toml` is damaged"]);
    file.refused(b"\xc3\x28", &["it is not text"]);
    file.refused(b"a = [".repeat(50_000), &["recipe.toml` is damaged"]);
    for (from, to) in [
        ("epochs = 2", "epochs = \"two\""),
        ("epochs = 2", "epoch = 2"),
        ("levels = [6, 6]", "levels = [600000000, 6]"),
        ("rule = ", "role = "),
    ] {
        assert!(recipe.contains(from), "{recipe}");
        file.refused(recipe.replace(from, to), &["recipe.toml` is damaged"]);
    }
    // Valid recipes, but not of this run.
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
        run_file(&shell, "recipe.toml", &["eval"]).refused(recipe.replace(from, to), words);
    }
}

#[test]
fn metrics_that_hold_something_else() {
    let shell = Shell::with_run();
    let file = run_file(&shell, "metrics.jsonl", &READ_ALL);
    file.refused_if_missing(&["metrics.jsonl"]);
    let metrics = String::from_utf8(whole(&shell, "metrics.jsonl")).unwrap();
    let lines: Vec<&str> = metrics.lines().collect();
    let with = |line: &str| [lines[0], line, ""].join("\n");
    file.refused(with("garbage"), &["metrics.jsonl` is damaged", "line 2"]);
    file.refused(b"\xff\n", &["it is not text"]);
    let test =
        r#"{"kind":"test","update":4,"epoch":1,"loss":1.0,"accuracy":0.5,"confusion":[1,2,3]}"#;
    file.refused(with(test), &["line 2", "3 cells for 10 classes"]);
    let backwards = [lines[1], lines[0], ""].join("\n");
    file.refused(backwards, &["metrics.jsonl` is damaged"]);

    // A file that ends within a line is that of an interrupted run.
    fs::write(
        shell.path("run/metrics.jsonl"),
        &metrics[..metrics.len() - 9],
    )
    .unwrap();
    shell.run("report run").succeeded();
}

#[test]
fn weights_that_are_missing_cut_or_of_another_network() {
    let shell = Shell::with_run();
    let file = "weights/last.safetensors";
    let weights = whole(&shell, file);
    let last = run_file(&shell, file, &["eval"]);
    last.refused_if_missing(&["last.safetensors"]);
    let damaged = |bytes: &[u8], words: &[&str]| {
        last.refused(
            bytes,
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

    // Changes of the header that keep its length.
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

    // A wiring holds booleans; any other byte is invalid.
    let tensors = safetensors::SafeTensors::deserialize(&weights).unwrap();
    let wiring = tensors
        .tensors()
        .into_iter()
        .find(|(_, view)| view.dtype() == safetensors::Dtype::BOOL);
    let inside = wiring.expect("a wiring").1.data().as_ptr() as usize - weights.as_ptr() as usize;
    let mut odd = weights.clone();
    odd[inside] = 7;
    damaged(&odd, &["yes and no"]);

    // The weights of another network.
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
        .run("eval run --weights best")
        .refused(&["best.safetensors` is damaged", "--weights last"]);
}

#[test]
fn histories_frames_samples_and_drawings_that_are_something_else() {
    let shell = Shell::with_run();
    let file = "wiring/graph.weight.history";
    let history = whole(&shell, file);
    let history_file = run_file(&shell, file, &READ_ALL);
    history_file.refused_if_missing(&["graph.weight.history", "missing"]);
    history_file.refused(b"", &["history` is damaged"]);
    history_file.refused(&history[..7], &["history` is damaged"]);
    history_file.refused(
        b"DNWX\x01 something",
        &["history` is damaged", "does not begin"],
    );
    // A first wiring that claims 2^32 entries.
    let huge = b"DNWH\x01\x06\0\0\0\x80\x80\x80\x80\x10\x01";
    history_file.refused(huge, &["history` is damaged"]);
    // A history that ends within a record is that of an interrupted run.
    fs::write(shell.path("run").join(file), &history[..history.len() - 1]).unwrap();
    shell.run("report run").succeeded();
    fs::write(shell.path("run").join(file), &history).unwrap();

    let [frame, samples_file, drawing_file] = [
        "frames/00000003.safetensors",
        "samples.safetensors",
        "drawing.json",
    ]
    .map(|file| run_file(&shell, file, &["report"]));
    let bytes = whole(&shell, frame.file);
    frame.refused(
        &bytes[..bytes.len() / 2],
        &["00000003.safetensors` is damaged"],
    );
    frame.refused(b"", &["00000003.safetensors` is damaged"]);
    let samples = whole(&shell, "samples.safetensors");
    frame.refused(
        &samples,
        &[
            "00000003.safetensors` is damaged",
            "weights of `graph.weight`",
        ],
    );

    samples_file.refused_if_missing(&["samples.safetensors", "missing"]);
    samples_file.refused(&samples[..40], &["samples.safetensors` is damaged"]);
    samples_file.refused(&bytes, &["lacks labels or pixels"]);

    let drawing = String::from_utf8(whole(&shell, "drawing.json")).unwrap();
    drawing_file.refused(&drawing.as_bytes()[..50], &["drawing.json` is damaged"]);
    drawing_file.refused_json([
        ("/nodes/0/0", json!(u32::MAX)),
        ("/tensors/0/1/end", json!(u64::MAX)),
        ("/tensors/0/1/start", json!(999)),
        ("/tensors/0/2/end", json!(2)),
    ]);

    // A run without the folder of frames is damaged.
    fs::remove_dir_all(shell.path("run/frames")).unwrap();
    shell.run("report run").refused(&["run/frames"]);
}

#[test]
fn one_damaged_run_among_several_is_named() {
    let shell = Shell::new();
    for out in ["runs/a", "runs/b"] {
        shell.train(out, &[]).succeeded();
    }
    fs::write(shell.path("runs/b/metrics.jsonl"), "{}\n").unwrap();
    shell
        .run("compare runs")
        .refused(&["runs/b/metrics.jsonl` is damaged"]);
    assert!(!shell.path("compare.html").exists());
}
