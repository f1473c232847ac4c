//! The runs behind `docs/rules.md`: every rule on the MNIST network.

use std::fmt::Write;
use std::path::Path;

use crate::program;
use crate::study::{Part, SEEDS, Study, StudyArgs, run, seeded};

/// Epochs: fewer than the recipe's ten, so that about 170 runs fit into two hours on two cores.
const EPOCHS: u64 = 2;

/// Part and density for each share pruned, in percent.
const PRUNED: [(&str, u32, &str); 3] = [
    ("pruned-90", 90, "0.10"),
    ("pruned-95", 95, "0.05"),
    ("pruned-98", 98, "0.02"),
];

/// The initial thresholds of STR. It has no budget, so these are chosen to end near the densities above.
const STR_STARTS: [&str; 3] = ["-3.2", "-2.8", "-2.25"];

/// Rules that equal another rule on a network with one wired tensor.
const SAME_ON_ONE_TENSOR: [(&str, &str); 2] = [("static", "random"), ("st-3-normalised", "st-3")];

/// The names of all rules, as the program lists them.
fn rules() -> Result<Vec<String>, String> {
    let listed = program::output(&program::build()?, &["rules", "--json"])?;
    let listed: Vec<serde_json::Value> =
        serde_json::from_str(&listed).map_err(|error| format!("dnw rules --json: {error}"))?;
    Ok(listed
        .iter()
        .filter_map(|rule| rule["name"].as_str().map(str::to_owned))
        .collect())
}

/// Every rule, three budgets, three seeds.
fn study(rules: &[String]) -> Study {
    let parts = PRUNED
        .iter()
        .zip(STR_STARTS)
        .map(|(&(name, _, density), start)| {
            let mut runs = Vec::new();
            for rule in rules {
                if SAME_ON_ONE_TENSOR.iter().any(|(same, _)| same == rule) {
                    continue;
                }
                let mut set = vec![format!("wiring.rule={rule}")];
                match rule.as_str() {
                    "complete" => {}
                    "str" => set.push(format!("wiring.settings.threshold-start={start}")),
                    _ => set.push(format!("wiring.density={density}")),
                }
                runs.extend(seeded("mnist", rule, Some(EPOCHS), &set));
            }
            Part {
                name,
                plotted: false,
                runs,
                compared_with: Vec::new(),
            }
        });
    Study {
        name: "rules",
        parts: parts.collect(),
    }
}

/// Trains the missing runs and writes the table.
pub fn table(args: &StudyArgs) -> Result<(), String> {
    let rules = rules()?;
    let study = study(&rules);
    run(&study, args)?;
    let mut text = String::from("| rule |");
    for (_, percent, _) in PRUNED {
        let _ = write!(text, " {percent} % pruned |");
    }
    text.push_str("\n| --- | --- | --- | --- |\n");
    for rule in &rules {
        let equal = SAME_ON_ONE_TENSOR.iter().find(|(same, _)| same == rule);
        let runs = equal.map_or(rule.as_str(), |(_, run)| run);
        let _ = write!(text, "| `{rule}` |");
        for part in &study.parts {
            let _ = write!(
                text,
                " {} |",
                cell(&args.folder(&study).join(part.name), runs)?
            );
        }
        text.push('\n');
    }
    let path = program::root().join("docs/rules/table.md");
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Mean and range of a rule's accuracies in percent, and the number of edges if the rule has no budget.
fn cell(folder: &Path, rule: &str) -> Result<String, String> {
    let mut accuracies = Vec::new();
    let mut edges = Vec::new();
    for seed in SEEDS {
        let path = folder.join(format!("{rule}-seed-{seed}/run.json"));
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok("not run".into());
        };
        let facts: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        accuracies.push(100.0 * facts["test_accuracy"].as_f64().unwrap_or(f64::NAN));
        edges.push(facts["edges_real"].as_u64().unwrap_or(0));
    }
    let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    let least = accuracies.iter().copied().fold(f64::INFINITY, f64::min);
    let most = accuracies.iter().copied().fold(0.0, f64::max);
    let edges = match rule {
        "str" | "complete" => format!(
            ", {} to {} edges",
            edges.iter().min().unwrap_or(&0),
            edges.iter().max().unwrap_or(&0)
        ),
        _ => String::new(),
    };
    Ok(format!("{mean:.2} ({least:.2} to {most:.2}{edges})"))
}
