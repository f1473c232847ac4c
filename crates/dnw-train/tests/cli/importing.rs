//! Published files that become runs, and runs that become files again.

use std::fs;
use std::path::Path;

use dnw_checkpoint::write_safetensors;
use dnw_core::Wiring;
use dnw_train::run::RunFolder;

use crate::published::{MOMENTS, NARROW, TINY, distance, narrow, tensors};
use crate::shell::{SHORT, Shell};

/// Settings of the short training without those of its length.
const SIZES: &[&str] = SHORT.split_at(4).1;

/// Imports a file and returns the distance of its scores from the recorded ones; then exports it, which must write the same file.
fn imported_and_exported(arguments: &[&str], file: &Path, record: &Path, scores: &str) -> f32 {
    let shell = Shell::new();
    let import = ["import", file.to_str().unwrap(), "--out", "run"];
    shell.dnw(&[&import, arguments].concat()).succeeded();
    let distance = distance(&shell.path("run"), record, scores);
    let answer = shell
        .run("export run --raw --out again.safetensors")
        .succeeded();
    assert_eq!(answer.stdout, "again.safetensors\n");
    let again = tensors(&shell.path("again.safetensors"));
    assert_eq!(again, tensors(file), "{arguments:?}");

    let import = ["import", "again.safetensors", "--out", "second"];
    shell.dnw(&[&import, arguments].concat()).succeeded();
    let weights = |run| fs::read(shell.path(run).join("weights/last.safetensors")).unwrap();
    assert_eq!(weights("run"), weights("second"), "{arguments:?}");
    distance
}

#[test]
fn an_imported_network_gives_the_recorded_scores_and_is_exported_to_the_same_bits() {
    for (record, recipe, sizes) in NARROW {
        let arguments = [&["--recipe", recipe], sizes].concat();
        let scores_of = |arguments: &[&str], (moment, scores)| {
            let file = narrow(record, &format!("{moment}.safetensors"));
            let recorded = narrow(record, "record.safetensors");
            imported_and_exported(arguments, &file, &recorded, scores)
        };
        for moment in MOMENTS {
            let distance = scores_of(&arguments, moment);
            println!("{record}, {}: {distance} of what is allowed", moment.0);
            assert!(distance <= 1.0, "{record}, {}: {distance}", moment.0);
        }
        if !recipe.contains("random") {
            // With another wiring they would be others.
            let sparser = ["--set", "wiring.prune-rate=0.8"];
            let distance = scores_of(&[&arguments[..], &sparser].concat(), MOMENTS[1]);
            println!("{record}, another wiring: {distance}");
            assert!(distance > 1.0, "{record}: {distance}");
        }
    }
}

/// Records of the published widths, a folder each that is called as the recipe, with the files of `torch_dnw.py parity`.
#[test]
#[ignore = "needs records of about 2 GB: set DNW_FULL_RECORDS to their folder"]
fn networks_of_the_published_widths_give_the_recorded_scores() {
    let Some(records) = std::env::var_os("DNW_FULL_RECORDS") else {
        println!("skipped: DNW_FULL_RECORDS names no folder");
        return;
    };
    let mut compared = 0;
    for record in fs::read_dir(&records).unwrap() {
        let record = record.unwrap().path();
        let recipe = record.file_name().unwrap().to_str().unwrap();
        for (moment, scores) in MOMENTS {
            let pickle = record.join(format!("{moment}.pt"));
            let file = if pickle.exists() {
                pickle
            } else {
                record.join(format!("{moment}.safetensors"))
            };
            let recorded = record.join("record.safetensors");
            let distance = imported_and_exported(&["--recipe", recipe], &file, &recorded, scores);
            println!(
                "{recipe}, {}: {distance} of what is allowed",
                file.display()
            );
            assert!(distance <= 1.0, "{recipe}, {moment}: {distance}");
            compared += 1;
        }
    }
    assert!(compared > 0);
}

#[test]
fn a_published_pickle_and_the_same_tensors_as_safetensors_are_one_network() {
    let folder = std::env::var_os("DNW_PARITY").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/parity"),
        Into::into,
    );
    for (record, recipe, sizes) in NARROW {
        let pickle = folder.join(record).join("initial.pt");
        if !pickle.exists() {
            println!("skipped: there is no {}; set DNW_PARITY", pickle.display());
            return;
        }
        let shell = Shell::new();
        let files = [&pickle, &narrow(record, "initial.safetensors")];
        for (file, out) in files.iter().zip(["pickle", "safetensors"]) {
            let import = ["import", file.to_str().unwrap(), "--recipe", recipe];
            let answer = shell
                .dnw(&[&import, sizes, &["--out", out]].concat())
                .succeeded();
            assert_eq!(answer.stderr, "", "counters of norms are not worth a word");
        }
        for file in [
            "weights/last.safetensors",
            "frames/00000000.safetensors",
            "recipe.toml",
        ] {
            let bytes = |run: &str| fs::read(shell.path(run).join(file)).unwrap();
            assert_eq!(bytes("pickle"), bytes("safetensors"), "{record}: {file}");
        }
    }
}

#[test]
fn a_drawn_wiring_is_that_of_the_files_mask() {
    let shell = Shell::new();
    let file = narrow("tiny_static_random", "initial.safetensors");
    let import = [
        "import",
        file.to_str().unwrap(),
        "--recipe",
        "cifar10-tiny-static-random",
    ];
    let import = [&import, &TINY[..], &["--out", "run"]].concat();
    shell.dnw(&import).succeeded();
    let history = RunFolder::open(&shell.path("run")).unwrap();
    let history = history.read_history("graph.weight", 104 * 104).unwrap();
    let mask = &tensors(&file)["graph.mask"].data;
    let mask = Wiring::from_mask(mask.iter().map(|&real| real == 1.0));
    assert_eq!(history.first, mask.intersection(&history.legal));
}

#[test]
fn an_imported_run_can_be_shown_and_compared_but_says_that_it_was_never_evaluated() {
    let shell = Shell::new();
    let file = narrow("tiny_static_dnw", "initial.safetensors");
    for out in ["a", "b"] {
        let import = [
            "import",
            file.to_str().unwrap(),
            "--recipe",
            "cifar10-tiny-static-dnw",
        ];
        shell
            .dnw(&[&import, &TINY[..], &["--out", out]].concat())
            .succeeded();
    }
    let facts = shell.facts("a");
    assert_eq!(facts["status"], "imported");
    assert_eq!(facts["updates"], 0);
    assert_eq!(
        facts["edges_possible"],
        8 * 96 + 24 * (72 + 48 + 24) + 24 * 16
    );
    assert_eq!(facts["classes"][0], "airplane");
    shell.run("report a").succeeded();
    let page = fs::read_to_string(shell.path("a/report.html")).unwrap();
    assert!(page.contains("</html>"));
    shell.run("report a --svg wiring.svg").succeeded();
    let table = shell.run("compare a b").succeeded().stdout;
    assert!(
        table.contains("not evaluated") && !table.contains("0.00"),
        "{table}"
    );
    shell.run("eval a --weights best").refused(&["cifar10"]);
}

#[test]
fn a_run_that_is_exported_and_imported_is_judged_as_before() {
    for (rule, has_mask) in [
        ("dnw", false),
        ("random", true),
        ("rigl", true),
        ("st-3", false),
    ] {
        let shell = Shell::new();
        let rule = format!("wiring.rule={rule}");
        let trained = shell.train("run", &["--set", &rule]).succeeded();
        assert_eq!(trained.code, Some(0));
        shell
            .run("export run --raw --out file.safetensors")
            .succeeded();
        let names = tensors(&shell.path("file.safetensors"));
        assert_eq!(names.contains_key("graph.mask"), has_mask, "{rule}");
        let import = [
            "import",
            "file.safetensors",
            "--recipe",
            "digits",
            "--out",
            "again",
        ];
        shell
            .dnw(&[&import, SIZES, &["--set", &rule]].concat())
            .succeeded();
        let judged = |run: &str| {
            let found = shell.dnw(&["eval", run, "--json"]).succeeded().json();
            (found["test_loss"].clone(), found["confusion"].clone())
        };
        assert_eq!(judged("run"), judged("again"), "{rule}");
    }
}

#[test]
fn a_wiring_that_is_not_yet_what_the_weights_decide_is_said_by_a_mask() {
    let shell = Shell::new();
    let rule = ["--set", "wiring.rule=dnw-shrinking"];
    shell.train("run", &rule).succeeded();
    // The frames of the run know no wiring, so the last weights take the place of weights from the middle of it.
    let mut tensors = {
        shell
            .run("export run --raw --out end.safetensors")
            .succeeded();
        tensors(&shell.path("end.safetensors"))
    };
    assert!(!tensors.contains_key("graph.mask"));
    let weight = &tensors["graph.weight"];
    let mask = dnw_checkpoint::Tensor {
        name: "graph.mask".into(),
        shape: weight.shape.clone(),
        data: vec![1.0; weight.data.len()],
    };
    tensors.insert(mask.name.clone(), mask);
    // All entries of a mask would be more than are legal, so only these are given.
    let legal = RunFolder::open(&shell.path("run")).unwrap();
    let legal = legal
        .read_history("graph.weight", tensors["graph.weight"].data.len())
        .unwrap()
        .legal;
    let mask = tensors.get_mut("graph.mask").unwrap();
    for (entry, real) in mask.data.iter_mut().enumerate() {
        *real = f32::from(u8::from(legal.contains(entry)));
    }
    fs::write(
        shell.path("middle.safetensors"),
        write_safetensors(tensors.values(), &[]).unwrap(),
    )
    .unwrap();
    let import = [
        "import",
        "middle.safetensors",
        "--recipe",
        "digits",
        "--out",
        "middle",
        "--json",
    ];
    let import = [&import, SIZES, &rule].concat();
    let found = shell.dnw(&import).succeeded().json();
    assert_eq!(found["edges_real"], found["edges_possible"]);
    shell
        .run("export middle --raw --out again.safetensors")
        .succeeded();
    assert_eq!(
        crate::published::tensors(&shell.path("again.safetensors")),
        tensors
    );
}

#[test]
fn the_recipe_is_found_by_names_and_shapes() {
    let shell = Shell::new();
    let train = [
        "train", "digits", "--quiet", "--epochs", "1", "--out", "run",
    ];
    shell.dnw(&train).succeeded();
    shell.run("export run --out file.safetensors").succeeded();
    let found = shell.run("import file.safetensors --json");
    let found = found.succeeded().json();
    assert_eq!(found["recipe"], "digits");
    assert_eq!(found["run"], "runs/digits-1");
    shell.run("eval runs/digits-1").succeeded();
}

#[test]
fn the_layout_of_the_run_is_exported_as_it_is() {
    let shell = Shell::with_run();
    let export = [
        "export",
        "run",
        "--weights",
        "best",
        "--layout",
        "burn",
        "--out",
        "file",
    ];
    shell.dnw(&export).succeeded();
    let best = fs::read(shell.path("run/weights/best.safetensors")).unwrap();
    assert_eq!(fs::read(shell.path("file")).unwrap(), best);
}
