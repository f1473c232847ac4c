//! Keys of a recipe that have no effect.
//!
//! A user who sets a density expects it to be used. A rule that decides the number of edges by itself would ignore it silently.

use dnw_core::rules;
use dnw_core::{Allocation, Rule};

use super::{OptimizerRecipe, RateShape, RecipeError, Unused, WiringRecipe};

/// Whether one of the changes `key=value` sets this key, directly or in a table.
pub(super) fn is_given(key: &str, changes: &[String]) -> bool {
    changes.iter().any(|change| {
        let changed = change.split('=').next().unwrap_or("").trim();
        let rest = key.strip_prefix(changed);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

const BUDGETS: [&str; 3] = ["wiring.density", "wiring.prune-rate", "wiring.edges"];

/// Whether a change `key=value` sets a budget.
pub(super) fn is_budget(change: &str) -> bool {
    let key = change.split('=').next().unwrap_or("").trim();
    BUDGETS.contains(&key)
}

/// Refuses changes that set several budgets, since one would replace the other.
pub(super) fn check_budgets(changes: &[String]) -> Result<(), RecipeError> {
    let key = |change: &String| change.split('=').next().unwrap_or("").trim().to_owned();
    let keys: Vec<String> = changes.iter().map(key).collect();
    let mut changed = BUDGETS.to_vec();
    changed.retain(|budget| keys.iter().any(|key| key == budget));
    match changed[..] {
        [] | [_] => Ok(()),
        _ => Err(RecipeError::Value {
            key: "wiring",
            value: format!("given {}", changed.join(" and ")),
            expected: "given exactly one of density, prune-rate and edges",
        }),
    }
}

/// The keys of a recipe's table that have no effect.
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
    let mut add = |key: &'static str, reason: &str, alternative: &str| {
        if is_in(table, key) {
            unused.push(Unused {
                key,
                reason: reason.to_owned(),
                alternative: alternative.to_owned(),
            });
        }
    };
    let rule = wiring.rule()?;
    if let Some((reason, alternative)) = decided(&wiring.rule, &rule) {
        for key in BUDGETS {
            add(key, &reason, &alternative);
        }
        add("wiring.budget-file", &reason, &alternative);
        add("wiring.budget-column", &reason, &alternative);
        // For `str`, another allocation changes the decision.
        add("wiring.allocation", &reason, &alternative);
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
        let reason = format!("the rule `{}` keeps every edge", rule.name);
        for key in ["wiring.dense", "wiring.unit"] {
            add(key, &reason, ANOTHER_RULE);
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
        let reason = "the learning rate does not move in steps";
        let alternative = "set `optimizer.schedule=step`";
        if !optimizer.step_at.is_empty() {
            add("optimizer.step-at", reason, alternative);
        }
        // Every saved recipe has this key.
        if optimizer.step_factor != 0.1 {
            add("optimizer.step-factor", reason, alternative);
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

/// Why a budget has no effect, and what to do instead; `None` if it has one.
fn decided(name: &str, rule: &Rule) -> Option<(String, String)> {
    if rule.schedule.uses_budget() && rule.allocation != Allocation::Free {
        let sets = rule.unit.sets_budget();
        return sets.then(|| {
            let reason = format!("the unit {} says how many edges stay", rule.unit);
            (reason, "choose another with `wiring.unit=edge`".to_owned())
        });
    }
    if !rule.schedule.uses_budget() {
        let reason = format!("the rule `{name}` keeps every edge");
        return Some((reason, ANOTHER_RULE.to_owned()));
    }
    let reason = format!("the rule `{name}` decides by itself how many edges stay");
    let named = rules::ALL.iter().find(|named| named.name == name);
    let settings = named.map_or(&[][..], |named| named.settings);
    let alternative = match settings.contains(&"threshold-start") {
        true => format!(
            "change how many stay with `wiring.settings.threshold-start`, or {ANOTHER_RULE}"
        ),
        false => "choose another `wiring.allocation`".to_owned(),
    };
    Some((reason, alternative))
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
    fn a_change_without_effect_is_refused_with_a_remedy_that_works() {
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
    fn keys_of_the_recipe_without_effect_are_reported_and_removed() {
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
    fn every_key_of_an_unchanged_recipe_has_an_effect() {
        for entry in entries() {
            let (_, unused) = Recipe::resolve(&entry.name, &[]).unwrap();
            assert!(unused.is_empty(), "{}: {unused:?}", entry.name);
        }
    }

    #[test]
    fn two_budgets_are_refused() {
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
    fn a_users_text_is_read_strictly_and_that_of_a_run_is_not() {
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
