//! Keys of a recipe that have no effect.
//!
//! Whoever sets a density expects that density. A rule that decides by itself how many edges stay would pass over it without a word.

use dnw_core::rules;
use dnw_core::{Allocation, Rule};

use super::{OptimizerRecipe, RateShape, RecipeError, Unused, WiringRecipe};

/// Whether one of some changes `key=value` gives this key, by itself or in a table.
pub(super) fn is_given(key: &str, changes: &[String]) -> bool {
    changes.iter().any(|change| {
        let given = change.split('=').next().unwrap_or("").trim();
        let rest = key.strip_prefix(given);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

const BUDGETS: [&str; 3] = ["wiring.density", "wiring.prune-rate", "wiring.edges"];

/// Whether a change `key=value` gives a budget.
pub(super) fn is_budget(change: &str) -> bool {
    let key = change.split('=').next().unwrap_or("").trim();
    BUDGETS.contains(&key)
}

/// Refuses changes that give several budgets, of which one would take the place of the other.
pub(super) fn check_budgets(changes: &[String]) -> Result<(), RecipeError> {
    let key = |change: &String| change.split('=').next().unwrap_or("").trim().to_owned();
    let keys: Vec<String> = changes.iter().map(key).collect();
    let mut given = BUDGETS.to_vec();
    given.retain(|budget| keys.iter().any(|key| key == budget));
    match given[..] {
        [] | [_] => Ok(()),
        _ => Err(RecipeError::Value {
            key: "wiring",
            value: format!("given {}", given.join(" and ")),
            expected: "given exactly one of density, prune-rate and edges",
        }),
    }
}

/// The keys of the table of a recipe that have no effect.
///
/// # Errors
/// [`RecipeError`] if the recipe has no rule.
pub(super) fn keys(
    wiring: &WiringRecipe,
    optimizer: &OptimizerRecipe,
    has_second_phase: bool,
    table: &toml::Table,
) -> Result<Vec<Unused>, RecipeError> {
    let mut unused = Vec::new();
    let mut add = |key: &'static str, why: &str, instead: &str| {
        if is_in(table, key) {
            unused.push(Unused {
                key,
                why: why.to_owned(),
                instead: instead.to_owned(),
            });
        }
    };
    let rule = wiring.rule()?;
    if let Some((why, instead)) = decided(&wiring.rule, &rule) {
        for key in BUDGETS {
            add(key, &why, &instead);
        }
        add("wiring.budget-file", &why, &instead);
        add("wiring.budget-column", &why, &instead);
        // To `str`, another allocation is another way to decide.
        add("wiring.allocation", &why, &instead);
    } else if wiring.budget_file.is_none() {
        add(
            "wiring.budget-column",
            "there is no table of budgets",
            "name one with `wiring.budget-file`",
        );
    }
    if rule.allocation == Allocation::Moving && rule.growth.is_none() {
        add(
            "wiring.allocation",
            &format!(
                "under the rule `{}` no edges grow that could move",
                rule.name
            ),
            "choose `global`",
        );
    }
    if !rule.schedule.uses_budget() {
        let why = format!("the rule `{}` keeps every edge", rule.name);
        for key in ["wiring.dense", "wiring.unit"] {
            add(key, &why, ANOTHER_RULE);
        }
    }
    if has_second_phase {
        add(
            "wiring.settings.switch",
            "`second-phase.epochs` says when the second phase begins",
            "leave `second-phase` out",
        );
    }
    if optimizer.schedule != RateShape::Step {
        let why = "the learning rate does not move in steps";
        let instead = "set `optimizer.schedule=step`";
        if !optimizer.step_at.is_empty() {
            add("optimizer.step-at", why, instead);
        }
        // Every recipe that was written out has it.
        if optimizer.step_factor != 0.1 {
            add("optimizer.step-factor", why, instead);
        }
    }
    if optimizer.weight_decay == 0.0 && !optimizer.norms_decay {
        add(
            "optimizer.norms-decay",
            "there is no weight decay",
            "set `optimizer.weight-decay`",
        );
    }
    Ok(unused)
}

const ANOTHER_RULE: &str = "choose another rule with `wiring.rule`";

/// Why no budget has an effect, and what to do instead.
fn decided(name: &str, rule: &Rule) -> Option<(String, String)> {
    if rule.schedule.uses_budget() && rule.allocation != Allocation::Free {
        let sets = rule.unit.sets_budget();
        return sets.then(|| {
            let why = format!("the unit {} says how many edges stay", rule.unit);
            (why, "choose another with `wiring.unit=edge`".to_owned())
        });
    }
    if !rule.schedule.uses_budget() {
        let why = format!("the rule `{name}` keeps every edge");
        return Some((why, ANOTHER_RULE.to_owned()));
    }
    let why = format!("the rule `{name}` decides by itself how many edges stay");
    let named = rules::ALL.iter().find(|named| named.name == name);
    let settings = named.map_or(&[][..], |named| named.settings);
    let instead = match settings.contains(&"threshold-start") {
        true => format!(
            "change how many stay with `wiring.settings.threshold-start`, or {ANOTHER_RULE}"
        ),
        false => "choose another `wiring.allocation`".to_owned(),
    };
    Some((why, instead))
}

/// Removes a key from a table.
pub(super) fn remove(table: &mut toml::Table, key: &str) {
    match key.split_once('.') {
        None => {
            table.remove(key);
        }
        Some((parent, key)) => {
            if let Some(inner) = table.get_mut(parent).and_then(toml::Value::as_table_mut) {
                remove(inner, key);
            }
        }
    }
}

/// Whether a table has a key.
fn is_in(table: &toml::Table, key: &str) -> bool {
    match key.split_once('.') {
        None => table.contains_key(key),
        Some((parent, key)) => {
            let inner = table.get(parent).and_then(toml::Value::as_table);
            inner.is_some_and(|inner| is_in(inner, key))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::recipe::{Recipe, RecipeError, entries};

    fn resolve(changes: &[&str]) -> Result<(Recipe, Vec<&'static str>), RecipeError> {
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        let (recipe, unused) = Recipe::resolve("digits", &changes)?;
        Ok((recipe, unused.iter().map(|unused| unused.key).collect()))
    }

    #[test]
    fn a_given_key_without_effect_is_refused_with_a_remedy_that_works() {
        let table = "wiring={rule='str', density=0.1}";
        for (changes, key, remedy) in [
            (
                &["wiring.rule=str", "wiring.density=0.05"][..],
                "wiring.density",
                "wiring.rule=dnw",
            ),
            (
                &["wiring.edges=30", "wiring.rule=str"],
                "wiring.edges",
                "wiring.rule=rigl",
            ),
            (
                &["wiring.unit=2-of-4", "wiring.density=0.02"],
                "wiring.density",
                "wiring.unit=edge",
            ),
            (
                &["wiring.unit=1-of-2", "wiring.prune-rate=0.5"],
                "wiring.prune-rate",
                "wiring.unit=edge",
            ),
            (
                &["wiring.unit=2-of-4", "wiring.allocation=global"],
                "wiring.allocation",
                "wiring.unit=edge",
            ),
            (
                &["wiring.rule=complete", "wiring.density=0.5"],
                "wiring.density",
                "wiring.rule=dnw",
            ),
            (
                &["wiring.rule=complete", "wiring.unit=fan-in"],
                "wiring.unit",
                "wiring.rule=dnw",
            ),
            (
                &["wiring.rule=complete", "wiring.dense=['fc.weight']"],
                "wiring.dense",
                "wiring.rule=dnw",
            ),
            (
                &["wiring.rule=str", "wiring.budget-file=a.csv"],
                "wiring.budget-file",
                "wiring.rule=dnw",
            ),
            (
                &["wiring.budget-column=90"],
                "wiring.budget-column",
                "wiring.budget-file=a.csv",
            ),
            (
                &["wiring.allocation=moving"],
                "wiring.allocation",
                "wiring.allocation=global",
            ),
            (
                &["optimizer.step-at=[3]"],
                "optimizer.step-at",
                "optimizer.schedule=step",
            ),
            (
                &["optimizer.step-factor=0.2"],
                "optimizer.step-factor",
                "optimizer.schedule=step",
            ),
            (
                &["optimizer.weight-decay=0", "optimizer.norms-decay=false"],
                "optimizer.norms-decay",
                "optimizer.weight-decay=0.1",
            ),
            (
                &[
                    "wiring.rule=fine-tune",
                    "wiring.settings.switch=0.3",
                    "second-phase={epochs=3, learning-rate=0.1}",
                ],
                "wiring.settings.switch",
                "",
            ),
            (&[table], "wiring.density", ""),
        ] {
            let error = resolve(changes).unwrap_err();
            let RecipeError::NoEffect(unused) = &error else {
                panic!("{changes:?}: {error}");
            };
            assert_eq!(unused.key, key, "{changes:?}");
            assert!(error.to_string().contains("no effect"), "{error}");
            assert!(error.help().contains(key), "{}", error.help());
            // The first remedy: to leave it out.
            let without: Vec<&str> = changes
                .iter()
                .copied()
                .filter(|change| !change.starts_with(&format!("{key}=")) && *change != table)
                .collect();
            assert!(resolve(&without).is_ok(), "{changes:?} without {key}");
            // The second: what makes it count, where the help names such a change.
            if !remedy.is_empty() {
                let what = remedy.split('=').next().unwrap();
                assert!(error.help().contains(what), "{}", error.help());
                let mut with = changes.to_vec();
                with.push(remedy);
                assert!(resolve(&with).is_ok(), "{changes:?} with {remedy}");
            }
        }
    }

    #[test]
    fn what_the_recipe_itself_says_is_only_named_and_dropped() {
        let (recipe, unused) = resolve(&["wiring.rule=str"]).unwrap();
        assert_eq!(unused, ["wiring.density"]);
        assert_eq!(recipe.wiring.density, None);
        assert_eq!(
            resolve(&["wiring.unit=2-of-4"]).unwrap().1,
            ["wiring.density"]
        );
        for changes in [
            &[][..],
            &["wiring.rule=rigl"],
            &["wiring.unit=fan-in"],
            &["wiring.edges=30"],
        ] {
            assert!(resolve(changes).unwrap().1.is_empty(), "{changes:?}");
        }
    }

    #[test]
    fn no_recipe_names_anything_by_itself() {
        for entry in entries() {
            let (_, unused) = Recipe::resolve(&entry.name, &[]).unwrap();
            assert!(unused.is_empty(), "{}: {unused:?}", entry.name);
        }
    }

    #[test]
    fn two_budgets_are_one_too_many() {
        let error = resolve(&["wiring.edges=30", "wiring.density=0.1"]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("wiring.density and wiring.edges"), "{text}");
        let again = resolve(&["wiring.density=0.3", "wiring.density=0.1"]).unwrap();
        assert_eq!(
            again.0.wiring.density,
            Some(0.1),
            "the last of one key counts"
        );
    }

    #[test]
    fn a_text_of_ones_own_is_read_strictly_and_that_of_a_run_is_not() {
        let text = Recipe::named("digits", &[]).unwrap().to_toml();
        assert!(
            Recipe::read_strictly(&text, &[]).is_ok(),
            "as `dnw recipes digits` shows it"
        );
        let own = text.replace("rule = \"dnw-shrinking\"", "rule = \"str\"");
        assert_ne!(own, text);
        let error = Recipe::read_strictly(&own, &[]).unwrap_err();
        assert!(error.to_string().contains("`wiring.density`"), "{error}");
        assert_eq!(Recipe::read(&own, &[]).unwrap().wiring.density, None);
    }
}
