//! The runs behind `docs/mnist.md`.

use crate::study::{Part, Study, seeded};

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
    let of_rule = |rule: &str| format!("wiring.rule={rule}");
    let mut budgets = Vec::new();
    for density in ["0.03", "0.05", "0.10", "0.15", "0.30"] {
        for rule in rules {
            let name = format!("{density}-{rule}");
            let changes = [format!("wiring.density={density}"), of_rule(rule)];
            budgets.extend(seeded("mnist", &name, Some(EPOCHS), &changes));
        }
    }
    let lenet = rules.map(|rule| seeded("mnist-lenet", rule, None, &[of_rule(rule)]));
    let ranking = ["dnw", "dnw-shrinking"].map(|rule| {
        let name = format!("all-entries-{rule}");
        // As many edges as the runs that rank legal edges only keep at density 0.05.
        let changes = [
            "wiring.ranking=all-entries".into(),
            of_rule(rule),
            "wiring.edges=149".into(),
        ];
        seeded("mnist", &name, Some(EPOCHS), &changes)
    });
    let default = ["dnw-shrinking", "random"];
    let default = default.map(|rule| seeded("mnist", rule, None, &[of_rule(rule)]));
    let part = |name, runs| Part {
        name,
        plotted: false,
        runs,
        compared_with: Vec::new(),
    };
    vec![
        part("default", default.into_iter().flatten().collect()),
        Part {
            plotted: true,
            ..part("budgets", budgets)
        },
        part("lenet", lenet.into_iter().flatten().collect()),
        Part {
            compared_with: vec![("budgets", "0.05-dnw")],
            ..part("ranking", ranking.into_iter().flatten().collect())
        },
    ]
}
