//! What is done with a finished run, and what the program says about itself.

use std::fs;
use std::process::Stdio;

use dnw_train::recipe::{Recipe, entries};

use crate::shell::Shell;

#[test]
fn an_evaluation_gives_exactly_what_the_training_reported() {
    let shell = Shell::new();
    let trained = shell.train("run", &["--json"]).succeeded().json();
    for (weights, reported) in [("last", "test_accuracy"), ("best", "best_test_accuracy")] {
        let found = shell
            .dnw(&["eval", "run", "--weights", weights, "--json"])
            .succeeded()
            .json();
        assert_eq!(found["test_accuracy"], trained[reported], "{weights}");
        assert_eq!(found["weights"], weights);
    }
    let last = shell.run("eval run --json").succeeded().json();
    assert_eq!(last["test_loss"], trained["test_loss"]);
    let text = shell.run("eval run").succeeded();
    assert!(
        text.stdout.contains("355 test images") && text.stdout.contains("rows: true class"),
        "{text:?}"
    );
}

#[test]
fn a_random_wiring_is_that_of_the_run_and_not_drawn_again() {
    let shell = Shell::new();
    let trained = shell
        .train("run", &["--json", "--set", "wiring.rule=random"])
        .succeeded()
        .json();
    // Another seed would draw another wiring, if one were drawn.
    let path = shell.path("run/recipe.toml");
    let recipe = fs::read_to_string(&path).unwrap();
    assert!(recipe.contains("seed = 0"));
    fs::write(&path, recipe.replace("seed = 0", "seed = 77")).unwrap();
    let found = shell.run("eval run --json").succeeded().json();
    assert_eq!(found["test_accuracy"], trained["test_accuracy"]);
    assert_eq!(found["test_loss"], trained["test_loss"]);
}

#[test]
fn the_page_can_be_written_again() {
    let shell = Shell::with_run();
    let page = shell.path("run/report.html");
    let first = fs::read(&page).unwrap();
    fs::remove_file(&page).unwrap();
    let answer = shell.run("report run").succeeded();
    assert_eq!(answer.stdout, "run/report.html\n");
    assert_eq!(fs::read(&page).unwrap(), first);
    shell.run("report run --out page.html").succeeded();
    assert_eq!(fs::read(shell.path("page.html")).unwrap(), first);
}

#[test]
fn the_wiring_is_drawn_at_moments_or_moving() {
    let shell = Shell::with_run();
    for picture in [&["--at", "0,0.5,1"][..], &["--moving", "4"], &[]] {
        shell
            .dnw(&[&["report", "run", "--svg", "wiring.svg"], picture].concat())
            .succeeded();
        let svg = fs::read_to_string(shell.path("wiring.svg")).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    }
}

#[test]
fn a_comparison_is_a_page_a_plot_and_a_table() {
    let shell = Shell::new();
    for (out, seed) in [("runs/a", "1"), ("runs/b", "2")] {
        shell.train(out, &["--seed", seed]).succeeded();
    }
    shell
        .train("other", &["--set", "wiring.rule=random"])
        .succeeded();

    let answer = shell
        .run("compare runs/a runs/b other --svg plot.svg --markdown table.md")
        .succeeded();
    assert_eq!(answer.stderr, "");
    let table = fs::read_to_string(shell.path("table.md")).unwrap();
    // Two lines of heading; the seeds of one setting share a line.
    assert_eq!(table.lines().count(), 4, "{table}");
    assert_eq!(answer.stdout, format!("{table}\ncompare.html\n"));
    assert!(
        fs::read_to_string(shell.path("compare.html"))
            .unwrap()
            .contains("</html>")
    );
    assert!(
        fs::read_to_string(shell.path("plot.svg"))
            .unwrap()
            .starts_with("<svg")
    );

    // A folder of runs stands for all of them.
    let groups = shell
        .run("compare runs --json --out both.html")
        .succeeded()
        .json();
    assert_eq!(groups[0]["seeds"], serde_json::json!([1, 2]));
    assert_eq!(
        groups[0]["test_accuracy"][0],
        shell.facts("runs/a")["test_accuracy"]
    );
}

#[test]
fn help_names_every_command() {
    let shell = Shell::new();
    let help = shell.run("--help").succeeded().stdout;
    let commands = [
        "train",
        "eval",
        "report",
        "compare",
        "import",
        "export",
        "recipes",
        "data",
        "completions",
        "man",
    ];
    for command in commands {
        assert!(
            help.lines()
                .any(|line| line.trim_start().starts_with(&format!("{command} "))),
            "{command}: {help}"
        );
        let own = shell.dnw(&[command, "--help"]).succeeded().stdout;
        assert!(own.contains("Usage: dnw"), "{own}");
        let manual = shell.dnw(&["man", command]).succeeded().stdout;
        assert!(manual.contains(&format!("dnw-{command}")), "{manual}");
    }
    let manual = shell.run("man").succeeded().stdout;
    assert!(manual.contains(".TH") && commands.iter().all(|command| manual.contains(command)));
    assert!(
        shell
            .run("--version")
            .succeeded()
            .stdout
            .starts_with("dnw ")
    );
}

#[test]
fn every_shell_gets_completions() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = shell.dnw(&["completions", name]).succeeded().stdout;
        assert!(
            script.contains("compare") && script.contains("--seed") || script.contains("seed"),
            "{name}"
        );
    }
}

#[test]
fn recipes_are_listed_and_printed_so_that_they_read_back() {
    let shell = Shell::new();
    let list = shell.run("recipes").succeeded().stdout;
    for name in entries().iter().map(|entry| entry.name.as_str()) {
        assert!(list.contains(name));
        let text = shell.dnw(&["recipes", name]).succeeded().stdout;
        assert_eq!(
            Recipe::read(&text, &[]).unwrap(),
            Recipe::named(name, &[]).unwrap()
        );
    }
    assert!(
        list.contains("80.9 ± 0.6"),
        "the published result stands beside its recipe"
    );
}

#[test]
fn rules_are_listed_with_their_papers_and_settings() {
    let shell = Shell::new();
    let list = shell.run("rules").succeeded().stdout;
    let json = shell.run("rules --json").succeeded().json();
    for (i, named) in dnw_core::rules::ALL.iter().enumerate() {
        assert!(
            list.contains(named.name) && list.contains(named.paper),
            "{}",
            named.name
        );
        assert_eq!(json[i]["name"], named.name);
        assert_eq!(
            json[i]["settings"].as_array().unwrap().len(),
            named.settings.len()
        );
    }
}

#[test]
fn the_built_in_digits_are_listed_and_sound() {
    let shell = Shell::new();
    let words = ["1442 training and 355 test images, built in", "not found"];
    shell.run("data").succeeded().prints(&words);
    let check = shell.run("data check digits").succeeded();
    assert!(check.stdout.ends_with("digits is sound\n"));
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let shell = Shell::new();
    for arguments in [
        &["recipes"][..],
        &["data"],
        &["man"],
        &["completions", "bash"],
        &["--dry-run"],
    ] {
        let mut child = shell
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{arguments:?}: {output:?}"
        );
    }
}
