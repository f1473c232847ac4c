//! What is asked for and cannot be had: a sentence with its remedy, and nothing is written.

use std::fs;

use crate::shell::Shell;

#[test]
fn a_name_that_is_not_known_is_answered_with_the_nearest() {
    let shell = Shell::new();
    for (arguments, words) in [
        ("train digit", &["`digit`", "did you mean `digits`, `"][..]),
        ("train mnst", &["did you mean `mnist`, `mnist-lenet` or `"]),
        ("train xyz", &["no recipe `xyz`", "`dnw recipes` lists all"]),
        ("recipes digts", &["did you mean `digits`, `"]),
        (
            "train --set epoch=3",
            &["no key `epoch`", "did you mean `epochs`?"],
        ),
        (
            "train --set optimizer.lerning-rate=1",
            &["did you mean `learning-rate`?"],
        ),
        ("train --set model.level=[3]", &["did you mean `levels`?"]),
        (
            "train --set model.kind=lent",
            &["`model.kind` is `lent`", "did you mean `lenet`?"],
        ),
        (
            "train --set wiring.rule=dmw",
            &["no rule `dmw`", "did you mean `dnw`?"],
        ),
        ("train --set wiring.unit=fanin", &["did you mean `fan-in`?"]),
        (
            "train --set data=mnst",
            &["no data set `mnst`", "did you mean `mnist`?"],
        ),
        (
            "train --device flx",
            &["no device `flx`", "did you mean `flex`?"],
        ),
        ("data check mnits", &["did you mean `mnist`?"]),
        ("data fetch nmist", &["did you mean `mnist`?"]),
    ] {
        shell.run(arguments).refused(words);
    }
    assert!(shell.files(".").is_empty(), "nothing is written");
}

#[test]
fn a_value_that_does_not_fit_is_refused_before_anything_is_written() {
    let shell = Shell::new();
    for (change, words) in [
        ("epochs=0", &["`epochs` is 0", "at least 1"][..]),
        (
            "epochs=9000000000000000000",
            &["`epochs`", "at most a million"],
        ),
        (
            "epochs=many",
            &["`epochs` holds \"many\"", "a whole number"],
        ),
        ("epochs", &["has no value"]),
        ("=1", &["has no value"]),
        ("epochs.x=1", &["`epochs` is a value, not a table"]),
        ("seed=-1", &["`seed` holds -1", "a whole number"]),
        ("batch=0", &["`batch` is 0"]),
        (
            "batch=1443",
            &["a batch of 1443 is larger than the data", "at most 1442"],
        ),
        ("batch=9000000000000000000", &["larger than the data"]),
        (
            "wiring.edges=0",
            &["budget of 0 edges", "graph.weight", "wiring.density"],
        ),
        (
            "wiring.edges=181",
            &["budget of 181 edges", "180 candidate edges"],
        ),
        ("wiring.edges=9000000000000000000", &["180 candidate edges"]),
        ("wiring.density=0", &["`wiring.density` is 0"]),
        ("wiring.density=1.5", &["`wiring.density` is 1.5"]),
        ("wiring.density=nan", &["`wiring.density` is NaN"]),
        (
            "wiring.prune-rate=1.0",
            &["`wiring.prune-rate` is 1", "below 1"],
        ),
        ("wiring.prune-rate=nan", &["`wiring.prune-rate` is NaN"]),
        ("wiring.unit=3-of-7", &["3-of-7", "do not divide"]),
        ("wiring.unit=4-of-2", &["`4-of-2`"]),
        ("wiring.settings.turnover=0.3", &["no setting `turnover`"]),
        (
            "wiring.budget-file=nowhere.csv",
            &["cannot read `nowhere.csv`"],
        ),
        (
            "second-phase.epochs=3",
            &["`second-phase.learning-rate` is missing"],
        ),
        (
            "optimizer.step-at=[nan]",
            &["`optimizer.step-at`", "epochs"],
        ),
        ("wiring.settings.until=0", &["no setting `until`"]),
        ("model.fold=3", &["8 x 8 cannot be folded by 3", "model."]),
        ("model.fold=0", &["`fold` must be at least 1"]),
        ("model.fold=9000000000000000000", &["cannot be folded"]),
        ("model.grid=5", &["grid of 5 x 5"]),
        ("model.outputs=0", &["no output nodes"]),
        ("model.levels=[3, 0]", &["level 2 has no nodes"]),
        (
            "model.levels=[100000000, 100000000]",
            &["`model`", "at most"],
        ),
        ("model.outputs=9000000000000000000", &["`model`", "at most"]),
        (
            "model.edge-std=nan",
            &["`model.edge-std` is NaN", "a positive number"],
        ),
        ("model.kind=lenet", &["`model.hidden` is missing"]),
        ("model.kind=tiny-static", &["at least 32 x 32 pixels"]),
        (
            "optimizer.learning-rate=0",
            &["`optimizer.learning-rate` is 0", "positive"],
        ),
        ("optimizer.momentum=1", &["`optimizer.momentum` is 1"]),
        (
            "transforms.train.shift=8",
            &["shift of 8 pixels leaves nothing", "8x8"],
        ),
        ("transforms.train.shift=70000", &["transforms"]),
    ] {
        shell.train("run", &["--set", change]).refused(words);
    }
    shell.run("--threads 0").refused(&["0 threads"]);
    shell
        .run("--threads 100000000")
        .refused(&["100000000 threads", "1024"]);
    shell.run("--epochs 0").refused(&["`epochs` is 0"]);
    assert!(shell.files(".").is_empty(), "nothing is written");
}

#[test]
fn a_given_setting_without_effect_is_refused_and_one_of_the_recipe_is_named() {
    let shell = Shell::new();
    let digits = |changes: &[&str]| {
        let mut arguments = vec!["train", "digits", "--dry-run"];
        arguments.extend(changes.iter().flat_map(|change| ["--set", *change]));
        shell.dnw(&arguments)
    };
    digits(&["wiring.rule=str", "wiring.density=0.05"]).refused(&[
        "`wiring.density` has no effect",
        "the rule `str` decides",
        "leave `wiring.density` out",
        "threshold-start",
    ]);
    digits(&["wiring.unit=2-of-4", "wiring.density=0.02"]).refused(&[
        "`wiring.density` has no effect",
        "2-of-4",
        "wiring.unit=edge",
    ]);
    digits(&["wiring.density=0.02", "wiring.edges=30"])
        .refused(&["wiring.density and wiring.edges", "exactly one"]);
    shell
        .run("count digits --set optimizer.step-at=[2]")
        .refused(&[
            "`optimizer.step-at` has no effect",
            "optimizer.schedule=step",
        ]);
    for changes in [
        &["wiring.rule=str"][..],
        &["wiring.unit=2-of-4", "model.levels=[21, 21, 21]"],
    ] {
        let answer = digits(changes).succeeded();
        let note = "note: the recipe's `wiring.density` has no effect";
        assert!(answer.stderr.starts_with(note), "{answer:?}");
        assert_eq!(answer.stderr.lines().count(), 1, "{answer:?}");
        assert!(!answer.stdout.contains("density ="), "{answer:?}");
    }
    assert!(digits(&["wiring.rule=rigl"]).succeeded().stderr.is_empty());
    assert!(shell.files(".").is_empty(), "nothing is written");
}

#[test]
fn the_remedy_for_a_layer_that_does_not_divide_is_one() {
    let shell = Shell::new();
    let resnet = |dense: &[&str]| {
        let changes = ["model.depth=18", "wiring.unit=2-of-4", "transforms={}"];
        let changes = changes.iter().chain(dense);
        let set = changes.flat_map(|change| ["--set", *change]);
        let arguments = ["count", "imagenet-resnet50-all-50", "--side", "64"];
        shell.dnw(&arguments.into_iter().chain(set).collect::<Vec<_>>())
    };
    let remedy = "wiring.dense=[\"conv1.weight\"]";
    resnet(&[]).refused(&["conv1.weight", "3 sources", "2-of-4", remedy]);
    resnet(&[remedy]).succeeded();
}

#[test]
fn a_device_that_was_not_built_in_says_how_to_build_it() {
    if cfg!(feature = "wgpu") {
        println!("skipped: the device wgpu is built in");
        return;
    }
    Shell::new()
        .run("--device wgpu")
        .refused(&["without the device `wgpu`", "--features wgpu"]);
}

#[test]
fn usage_that_makes_no_sense_is_answered_by_the_usage() {
    let shell = Shell::new();
    for arguments in [
        "--sead 1",
        "trian",
        "train digits mnist",
        "--seed -1",
        "--seed 9223372036854775808",
        "--epochs x",
        "compare",
        "eval",
        "eval x --weights worst",
        "report x --moving 3",
        "completions cmd",
        "data check",
    ] {
        let answer = shell.run(arguments);
        assert_eq!(answer.code, Some(2), "{arguments:?}: {answer:?}");
        assert!(
            answer.stderr.starts_with("error: ") && answer.stdout.is_empty(),
            "{answer:?}"
        );
        assert!(!answer.stderr.contains("panicked"), "{answer:?}");
    }
    shell
        .run("--seed 9223372036854775807 --dry-run")
        .succeeded();
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let shell = Shell::with_run();
    fs::write(shell.path("file"), "here").unwrap();
    for out in ["file", "file/run", "file/a/b"] {
        shell
            .train(out, &[])
            .refused(&[&format!("cannot write `{out}`"), "--out"]);
    }
    for arguments in [
        "report run --out file/page.html",
        "report run --out missing/page.html",
        "report run --svg file/wiring.svg",
        "compare run --out file/page.html",
        "compare run --markdown missing/table.md",
        "compare run --svg missing/plot.svg",
        // A folder cannot become a file.
        "report run --out run",
    ] {
        shell.run(arguments).refused(&["cannot write `"]);
    }
    assert_eq!(fs::read(shell.path("file")).unwrap(), b"here");
    // The main job's numbered folders cannot be made where a file is called `runs`.
    fs::write(shell.path("runs"), "here").unwrap();
    shell.run("--epochs 1").refused(&["cannot write `runs`"]);
}

#[test]
fn a_folder_without_a_run_is_named_and_one_with_a_run_suggested() {
    let shell = Shell::new();
    shell.train("runs/good", &[]).succeeded();
    for command in ["eval", "report", "compare"] {
        shell
            .dnw(&[command, "nowhere"])
            .refused(&["no folder `nowhere`"]);
        shell
            .dnw(&[command, "runs/bad"])
            .refused(&["no folder `runs/bad`", "such as `runs/good`"]);
    }
    for command in ["eval", "report"] {
        shell
            .dnw(&[command, "runs"])
            .refused(&["`runs`", "such as `runs/good`"]);
    }
}

/// The three nearest are enough; there are too many recipes for a line.
#[test]
fn a_recipe_of_another_name_is_answered_with_three_in_a_short_line() {
    let shell = Shell::new();
    for (asked, family) in [
        ("resnet50", "imagenet-resnet50-"),
        ("resnet50-90", "imagenet-resnet50-"),
        ("ImageNet_ResNet50_dense", "imagenet-resnet50-"),
        ("cifar-mobilenet", "cifar10-mobilenet-"),
        ("cifar10-tiny-continous-dnw", "cifar10-tiny-continuous-"),
        ("mobilenet-0.225", "mobilenet-"),
        ("mnist-lennet", "mnist"),
    ] {
        let answer = shell.dnw(&["train", asked]).refused(&["`dnw recipes`"]);
        let help = answer.stderr.lines().nth(1).unwrap();
        let named: Vec<&str> = help.split('`').skip(1).step_by(2).collect();
        assert_eq!(named.len(), 4, "three and the command: {help}");
        assert!(named[0].contains(family), "{asked}: {help}");
        assert!(help.len() < 160, "{help}");
    }
}

#[test]
fn a_setting_of_the_kernels_that_has_no_effect_is_refused_before_anything_is_done() {
    let shell = Shell::new();
    let with = |variable: &str, value: &str| -> crate::shell::Answer {
        let mut command = shell.command(["train", "digits", "--out", "run"]);
        command.env(variable, value).output().unwrap().into()
    };
    for value in ["sse9", "AVX2", "avx2 ", "512"] {
        let named = format!("`{value}`");
        with("DNW_SIMD", value).refused(&["DNW_SIMD", &named, "`baseline`", "unset"]);
    }
    for value in ["sparse", "Edges", "1"] {
        let named = format!("`{value}`");
        with("DNW_PRODUCTS", value).refused(&["DNW_PRODUCTS", &named, "`edges` or `dense`"]);
    }
    // What the machine has is in the list, and what is in no list is refused.
    let listed = with("DNW_SIMD", "?").stderr;
    for wide in ["avx2", "avx512"] {
        let mut command = shell.command(["rules"]);
        let answer: crate::shell::Answer = command.env("DNW_SIMD", wide).output().unwrap().into();
        if listed.contains(&format!("`{wide}`")) {
            answer.succeeded();
        } else {
            answer.refused(&[wide, "this machine lacks"]);
        }
    }
    assert!(shell.files(".").is_empty(), "nothing is written");
    for (variable, value) in [
        ("DNW_SIMD", ""),
        ("DNW_SIMD", "baseline"),
        ("DNW_PRODUCTS", ""),
        ("DNW_PRODUCTS", "dense"),
    ] {
        let mut command = shell.command(["rules"]);
        let answer: crate::shell::Answer = command.env(variable, value).output().unwrap().into();
        answer.succeeded();
    }
}
