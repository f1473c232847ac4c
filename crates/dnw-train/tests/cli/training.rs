//! What a training prints and leaves.

use std::fs;

use dnw_train::recipe::Recipe;

use crate::shell::{SHORT, Shell};

/// Files that say when and how long, and so differ between runs that are otherwise the same.
const WITH_TIME: [&str; 2] = ["run.json", "report.html"];

#[test]
fn the_same_command_gives_the_same_bits_and_another_seed_others() {
    let shell = Shell::new();
    for (out, seed) in [("a", "3"), ("b", "3"), ("c", "4")] {
        shell.train(out, &["--seed", seed]).succeeded();
    }
    let (a, b, c) = (shell.files("a"), shell.files("b"), shell.files("c"));
    assert_eq!(a.len(), b.len());
    for (name, bytes) in &a {
        let inside = name.strip_prefix("a/").unwrap();
        if !WITH_TIME.contains(&inside) {
            assert_eq!(bytes, &b[&format!("b/{inside}")], "{inside}");
        }
    }
    for inside in [
        "weights/last.safetensors",
        "metrics.jsonl",
        "wiring/graph.weight.history",
    ] {
        assert_ne!(
            a[&format!("a/{inside}")],
            c[&format!("c/{inside}")],
            "{inside}"
        );
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let shell = Shell::new();
    shell.train("one", &["--threads", "1"]).succeeded();
    shell.train("three", &["--threads", "3"]).succeeded();
    let weights = "weights/last.safetensors";
    assert_eq!(
        shell.files("one")[&format!("one/{weights}")],
        shell.files("three")[&format!("three/{weights}")]
    );
}

#[test]
fn a_profile_says_what_a_step_costs_and_changes_nothing() {
    let shell = Shell::new();
    shell.train("plain", &[]).succeeded();
    let answer = shell.train("seen", &["--profile"]).succeeded();
    let (plain, seen) = (shell.files("plain"), shell.files("seen"));
    let weights = "weights/last.safetensors";
    assert_eq!(
        plain[&format!("plain/{weights}")],
        seen[&format!("seen/{weights}")]
    );
    let text = |file: &str| String::from_utf8(seen[&format!("seen/{file}")].clone()).unwrap();
    let table = text("profile.txt");
    for part in [
        "step ",
        "  forward ",
        "  backward ",
        "  selection of edges ",
    ] {
        assert!(table.contains(part), "{table}");
        assert!(answer.stdout.contains(part), "{}", answer.stdout);
    }
    assert!(text("profile.folded").contains("\nstep;backward "));
}

#[test]
fn json_is_one_object_and_quiet_is_silent() {
    let shell = Shell::new();
    let answer = shell.train("run", &["--json"]).succeeded();
    assert_eq!(answer.stderr, "");
    let result = answer.json();
    let accuracy = result["test_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.1 && accuracy <= 1.0, "{accuracy}");
    assert_eq!(
        (result["recipe"].as_str(), result["seed"].as_u64()),
        (Some("digits"), Some(0))
    );
    assert_eq!(
        (result["status"].as_str(), result["updates"].as_u64()),
        (Some("finished"), Some(8))
    );
    assert!(result["edges_real"].as_u64() < result["edges_possible"].as_u64());
    assert!(shell.path(result["report"].as_str().unwrap()).is_file());
}

#[test]
fn progress_goes_to_standard_error_and_the_result_to_standard_output() {
    let shell = Shell::new();
    let answer = shell
        .dnw(&[&["train", "digits", "--out", "run"], &SHORT[..]].concat())
        .succeeded();
    let starts: Vec<&str> = answer
        .stdout
        .lines()
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    assert_eq!(
        starts,
        [
            "test accuracy",
            "edges",
            "time",
            "made on",
            "run",
            "watch it"
        ],
        "{answer:?}"
    );
    assert!(answer.stdout.contains("run/report.html"));
    let epochs = answer
        .stderr
        .lines()
        .filter(|line| line.starts_with("epoch"));
    assert_eq!(epochs.count(), 2, "{answer:?}");
}

#[test]
fn the_bare_command_trains_the_main_job_and_says_what_else_there_is() {
    let shell = Shell::new();
    let answer = shell.dnw(&SHORT).succeeded();
    assert!(
        answer.stdout.contains("dnw recipes") && answer.stdout.contains("dnw --help"),
        "{answer:?}"
    );
    assert!(shell.path("runs/digits-1/report.html").is_file());
}

#[test]
fn numbered_runs_never_overwrite_each_other() {
    let shell = Shell::new();
    let run = || {
        shell
            .dnw(&[&["train", "digits", "--json", "--quiet"], &SHORT[..]].concat())
            .succeeded()
            .json()
    };
    assert_eq!(run()["run"], "runs/digits-1");
    let first = shell.files("runs/digits-1");
    assert_eq!(run()["run"], "runs/digits-2");
    assert_eq!(shell.files("runs/digits-1"), first);
}

#[test]
fn a_used_folder_is_refused_and_stays_as_it_is() {
    let shell = Shell::with_run();
    let before = shell.files("run");
    shell
        .train("run", &[])
        .refused(&["`run`", "not empty", "--out"]);
    assert_eq!(shell.files("run"), before);

    fs::create_dir(shell.path("notes")).unwrap();
    fs::write(shell.path("notes/mine.txt"), "keep me").unwrap();
    shell.train("notes", &[]).refused(&["`notes`"]);
    assert_eq!(shell.files("notes").len(), 1);

    fs::create_dir(shell.path("empty")).unwrap();
    shell.train("empty", &[]).succeeded();
}

#[test]
fn a_dry_run_prints_a_recipe_that_reads_back_and_writes_nothing() {
    let shell = Shell::new();
    let changes = [
        "--set",
        "wiring.edges=33",
        "--seed",
        "9",
        "--epochs",
        "4",
        "--dry-run",
    ];
    let answer = shell
        .dnw(&[&["train", "mnist"], &changes[..]].concat())
        .succeeded();
    let recipe = Recipe::read(&answer.stdout, &[]).unwrap();
    assert_eq!(
        (recipe.name.as_str(), recipe.seed, recipe.epochs),
        ("mnist", 9, 4)
    );
    assert_eq!(
        (recipe.wiring.edges, recipe.wiring.density),
        (Some(33), None)
    );
    assert!(shell.files(".").is_empty());
}

#[test]
fn the_data_folder_may_be_named_in_the_environment_and_an_empty_name_is_none() {
    let shell = Shell::new();
    for arguments in [
        &["--dry-run"][..],
        &["train", "--dry-run"],
        &["data"],
        &["data", "list"],
    ] {
        for value in ["somewhere", ""] {
            let answer: crate::shell::Answer = shell
                .command(arguments)
                .env("DNW_DATA", value)
                .output()
                .unwrap()
                .into();
            answer.succeeded();
        }
    }
    let train = ["train", "mnist", "--out", "run"];
    let missing = |value: &str| -> crate::shell::Answer {
        shell
            .command(train)
            .env("DNW_DATA", value)
            .output()
            .unwrap()
            .into()
    };
    missing("somewhere").refused(&["`somewhere`"]);
    missing("").refused(&["`data`"]);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_text_is_a_path_all_the_same() {
    use std::os::unix::ffi::OsStrExt;
    let shell = Shell::new();
    let out = std::ffi::OsStr::from_bytes(b"run-\xff");
    let mut command = shell.command(["train", "--json", "--quiet"]);
    let output = command.args(SHORT).arg("--out").arg(out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(shell.path(out).join("report.html").is_file());
}

/// A dense network has no edges to have a share of.
#[test]
fn nothing_that_is_said_of_a_dense_network_is_a_share_of_no_edges() {
    let shell = Shell::new();
    let dense = [
        "train",
        "digits",
        "--set",
        "model.kind=mobilenet-dense",
        "--set",
        "model.width=0.1",
        "--set",
        "wiring.rule=complete",
        "--epochs",
        "1",
        "--set",
        "train-images=64",
        "--out",
        "run",
    ];
    let dry = shell
        .dnw(&[&dense[..], &["--dry-run"]].concat())
        .succeeded();
    let trained = shell.dnw(&dense).succeeded();
    for said in [&dry.stdout, &trained.stdout, &trained.stderr] {
        assert!(said.contains("none, the network is dense"), "{said}");
    }
    let count = shell.run("count run").succeeded();
    let mut compare = vec!["compare", "run", "--out", "page.html"];
    compare.extend(["--markdown", "table.md", "--svg", "plot.svg"]);
    let compared = shell.dnw(&compare).succeeded();
    assert!(compared.stdout.contains("| dense |"), "{compared:?}");
    let json = shell.run("compare run --out page.html --json").succeeded();
    json.json();
    let answers = [&dry, &trained, &count, &compared, &json];
    let mut texts: Vec<String> = answers
        .iter()
        .flat_map(|answer| [answer.stdout.clone(), answer.stderr.clone()])
        .collect();
    for file in ["run/run.json", "table.md", "plot.svg"] {
        texts.push(fs::read_to_string(shell.path(file)).unwrap());
    }
    for text in texts {
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}

#[test]
fn the_record_of_a_run_says_what_its_bits_depend_on() {
    let shell = Shell::new();
    shell.train("plain", &[]).succeeded();
    let reference = ["--kernels", "reference"];
    shell.train("reference", &reference).succeeded();
    let narrow = shell
        .command(
            [
                &["train", "digits", "--json", "--out", "narrow"],
                &SHORT[..],
            ]
            .concat(),
        )
        .env("DNW_SIMD", "baseline")
        .env("DNW_PRODUCTS", "edges")
        .output();
    let narrow = crate::shell::Answer::from(narrow.unwrap()).succeeded();
    let of = |run: &str, label: &str| -> String {
        let facts = shell.facts(run);
        let entries = facts["environment"].as_array().unwrap().iter();
        let found: Vec<_> = entries.filter(|entry| entry[0] == label).collect();
        assert_eq!(found.len(), 1, "{label}: {facts}");
        found[0][1].as_str().unwrap().to_owned()
    };
    assert_eq!(of("plain", "dnw"), env!("CARGO_PKG_VERSION"));
    let build = of("plain", "build");
    let system = format!("{} {}", std::env::consts::ARCH, std::env::consts::OS);
    assert!(build.starts_with("debug") || build.starts_with("release"));
    assert!(build.contains(&system), "{build}");
    assert!(of("plain", "kernels").starts_with("fastest, with "));
    assert!(of("reference", "kernels").starts_with("reference"));
    let kernels = of("narrow", "kernels");
    assert!(kernels.contains("DNW_PRODUCTS=edges"), "{kernels}");
    // The machine is the same, whatever instructions are asked for.
    assert_eq!(of("narrow", "CPU"), of("plain", "CPU"));
    assert_eq!(narrow.json()["environment"]["kernels"], kernels.as_str());
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    {
        let linux = fs::read_to_string("/proc/cpuinfo").unwrap();
        let name = linux.lines().find(|line| line.starts_with("model name"));
        let name = name.unwrap().split(':').nth(1).unwrap().trim();
        let flags = linux
            .lines()
            .find(|line| line.starts_with("flags"))
            .unwrap();
        let has = |flag: &str| flags.split_whitespace().any(|it| it == flag);
        let cpu = of("plain", "CPU");
        let words: Vec<&str> = name.split_whitespace().collect();
        assert!(cpu.starts_with(&words.join(" ")), "{cpu}");
        assert_eq!(cpu.contains("AVX-512"), has("avx512bw") && has("avx512dq"));
        assert_eq!(
            kernels,
            "fastest, with SSE2, products by DNW_PRODUCTS=edges"
        );
        let page = fs::read_to_string(shell.path("narrow/report.html")).unwrap();
        assert!(page.contains(&cpu) && page.contains(&kernels));
    }
}
