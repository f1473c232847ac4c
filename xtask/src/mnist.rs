//! The runs behind `docs/mnist.md`.

use crate::study::{Part, SEEDS, Study, planned};

/// Epochs of the graph's runs: fewer than the recipe's, so that all of them fit into an hour on two cores.
const EPOCHS: u64 = 4;

/// Budgets, LeNet, rankings and the recipe itself.
pub fn study() -> Study {
    Study {
        name: "mnist",
        parts: parts(),
    }
}

fn parts() -> Vec<Part> {
    let rules = ["random", "dnw", "dnw-shrinking"];
    let mut budgets = Vec::new();
    for density in ["0.03", "0.05", "0.10", "0.15", "0.30"] {
        for rule in rules {
            for seed in SEEDS {
                let set = [
                    format!("wiring.density={density}"),
                    format!("wiring.rule={rule}"),
                ];
                budgets.push(planned(
                    "mnist",
                    format!("{density}-{rule}"),
                    seed,
                    Some(EPOCHS),
                    &set,
                ));
            }
        }
    }
    let mut lenet = Vec::new();
    for rule in rules {
        for seed in SEEDS {
            lenet.push(planned(
                "mnist-lenet",
                rule.to_owned(),
                seed,
                None,
                &[format!("wiring.rule={rule}")],
            ));
        }
    }
    let mut ranking = Vec::new();
    for rule in ["dnw", "dnw-shrinking"] {
        for seed in SEEDS {
            // As many edges as the runs that rank legal edges only keep at density 0.05.
            let set = [
                "wiring.ranking=all-entries".into(),
                format!("wiring.rule={rule}"),
                "wiring.edges=149".into(),
            ];
            ranking.push(planned(
                "mnist",
                format!("all-entries-{rule}"),
                seed,
                Some(EPOCHS),
                &set,
            ));
        }
    }
    let mut default = Vec::new();
    for rule in ["dnw-shrinking", "random"] {
        for seed in SEEDS {
            default.push(planned(
                "mnist",
                rule.to_owned(),
                seed,
                None,
                &[format!("wiring.rule={rule}")],
            ));
        }
    }
    let part = |name, runs| Part {
        name,
        plotted: false,
        runs,
        beside: Vec::new(),
    };
    vec![
        part("default", default),
        Part {
            plotted: true,
            ..part("budgets", budgets)
        },
        part("lenet", lenet),
        Part {
            beside: vec![("budgets", "0.05-dnw")],
            ..part("ranking", ranking)
        },
    ]
}
