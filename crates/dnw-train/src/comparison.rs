//! Several run folders, for the comparison page.

use dnw_core::{Allocation, Ranking, Unit, Wiring};
use dnw_report::{ComparedRun, Comparison};

use crate::recipe::Recipe;
use crate::recording::{budget_in_words, curves, updates_made};
use crate::run::{RunError, RunFolder};

/// Reads run folders for the comparison page. `command` is the command that creates the page.
///
/// # Errors
/// [`RunError`] if a file is missing or damaged.
pub fn compare(folders: &[RunFolder], command: String) -> Result<Comparison, RunError> {
    let read = folders
        .iter()
        .map(read_run)
        .collect::<Result<Vec<_>, _>>()?;
    let overlap = read
        .iter()
        .map(|(_, a)| read.iter().map(|(_, b)| overlap(a, b)).collect())
        .collect();
    let mut runs: Vec<ComparedRun> = read.into_iter().map(|(run, _)| run).collect();
    name_groups(&mut runs, &keys(folders)?);
    Ok(Comparison {
        runs,
        overlap,
        command,
    })
}

/// The recipe of each run without the seed. Runs with the same recipe form a group.
fn keys(folders: &[RunFolder]) -> Result<Vec<Vec<String>>, RunError> {
    let lines = |folder: &RunFolder| {
        let recipe = Recipe {
            seed: 0,
            about: String::new(),
            ..folder.read_recipe()?
        };
        Ok(recipe.to_toml().lines().map(str::to_owned).collect())
    };
    folders.iter().map(lines).collect()
}

/// Adds to the names of groups what distinguishes them from other groups of the same name.
fn name_groups(runs: &mut [ComparedRun], keys: &[Vec<String>]) {
    let names: Vec<String> = runs.iter().map(|run| run.group.clone()).collect();
    for (i, run) in runs.iter_mut().enumerate() {
        let namesakes = (0..keys.len()).filter(|&j| names[j] == names[i] && keys[j] != keys[i]);
        let mut own: Vec<&String> = namesakes
            .flat_map(|j| keys[i].iter().filter(move |line| !keys[j].contains(line)))
            .collect();
        own.sort();
        own.dedup();
        for line in own {
            run.group.push_str(&format!(", {line}"));
        }
    }
}

/// The last wiring of each tensor.
type Wirings = Vec<(String, Wiring)>;

fn read_run(folder: &RunFolder) -> Result<(ComparedRun, Wirings), RunError> {
    let facts = folder.read_facts()?;
    let recipe = folder.read_recipe()?;
    let mut wirings = Vec::new();
    let mut swaps = 0;
    for tensor in &facts.tensors {
        // The tensors of valid facts have countable entries.
        let history = folder.read_history(&tensor.name, tensor.entries().unwrap_or(0))?;
        swaps += history.added();
        wirings.push((tensor.name.clone(), history.last()));
    }
    let metrics = folder.read_metrics(facts.classes.len())?;
    let rule = rule_in_words(&recipe);
    let run = ComparedRun {
        name: folder.name(),
        group: format!("{}: {rule}, {}", recipe.name, budget_in_words(&recipe)),
        rule,
        recipe: recipe.name.clone(),
        seed: recipe.seed,
        edges_real: facts.edges_real,
        edges_possible: facts.edges_possible,
        test_accuracy: facts.test_accuracy,
        swaps,
        dead_nodes: facts.dead_nodes.unwrap_or(0),
        curves: curves(&metrics, updates_made(&facts, &metrics)),
    };
    Ok((run, wirings))
}

/// The rule, with the settings that are not the default.
fn rule_in_words(recipe: &Recipe) -> String {
    let mut words = recipe.wiring.rule.clone();
    if recipe.wiring.ranking == Ranking::AllEntries {
        words.push_str(", all entries ranked");
    }
    if let Some(allocation) = recipe
        .wiring
        .allocation
        .filter(|a| *a != Allocation::PerTensor)
    {
        words.push_str(match allocation {
            Allocation::ErdosRenyiKernel => ", Erdős–Rényi-kernel",
            Allocation::Global => ", global budget",
            _ => "",
        });
    }
    match recipe.wiring.unit {
        None | Some(Unit::Edge) => {}
        Some(Unit::FanIn) => words.push_str(", constant fan-in"),
        Some(unit) => {
            words.push_str(", ");
            words.push_str(&unit.to_string());
        }
    }
    words
}

/// Edges in both divided by edges in either; `None` if the tensors differ, or neither has an edge.
fn overlap(a: &Wirings, b: &Wirings) -> Option<f32> {
    let (mut both, mut either) = (0, 0);
    if a.len() != b.len() {
        return None;
    }
    for ((a_name, a), (b_name, b)) in a.iter().zip(b) {
        if a_name != b_name || a.entries() != b.entries() {
            return None;
        }
        both += a.intersection(b).count();
        either += a.union(b).count();
    }
    (either > 0).then(|| both as f32 / either as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_differ_in_more_than_their_seed_are_separate_groups() {
        let run = |name: &str| {
            let mut run = dnw_report::synthetic::comparison().runs.remove(0);
            run.group = name.into();
            run
        };
        let mut runs = [run("a"), run("a"), run("a"), run("b")];
        let key = |epochs: &str| vec![format!("epochs = {epochs}"), "batch = 8".into()];
        name_groups(&mut runs, &[key("4"), key("10"), key("4"), key("10")]);
        let names = runs.map(|run| run.group);
        assert_eq!(
            names,
            ["a, epochs = 4", "a, epochs = 10", "a, epochs = 4", "b"]
        );
    }

    #[test]
    fn overlap_is_the_share_of_common_edges_of_equal_networks() {
        let wirings = |entries, edges: &[usize]| {
            vec![(
                "w".to_owned(),
                Wiring::from_entries(entries, edges.iter().copied()),
            )]
        };
        assert_eq!(
            overlap(&wirings(5, &[0, 1]), &wirings(5, &[1, 2])),
            Some(1.0 / 3.0)
        );
        assert_eq!(overlap(&wirings(5, &[0, 1]), &wirings(6, &[1, 2])), None);
        assert_eq!(overlap(&Vec::new(), &Vec::new()), None, "both are dense");
    }
}
