//! Changes to a recipe's table, and what its reader complains about in words of this program.
//!
//! The reader speaks of Rust types, which say nothing to somebody who wrote a recipe.

use super::RecipeError;

/// TOML text as a table.
pub(super) fn table(text: &str) -> Result<toml::Table, RecipeError> {
    text.parse().map_err(|error| syntax_error(text, &error))
}

/// Makes changes to a table. Another rule, which takes the settings of the old one with it, comes first: not those that are given with
/// it.
pub(super) fn set_all(table: &mut toml::Table, changes: &[String]) -> Result<(), RecipeError> {
    let names_the_rule = |change: &&String| {
        let key = change.split('=').next().unwrap_or("");
        key.trim() == "wiring.rule"
    };
    let (first, then): (Vec<_>, Vec<_>) = changes.iter().partition(names_the_rule);
    for change in first.into_iter().chain(then) {
        set(table, change)?;
    }
    Ok(())
}

/// Changes a key of a table, `a.b=value`; the value is read as TOML and, where it is none, as text. A budget takes the place
/// of the one that was there, another kind of model or transform the place of the whole model or transform, another rule that of its
/// settings, other data that of the transforms.
fn set(table: &mut toml::Table, change: &str) -> Result<(), RecipeError> {
    let refused = || RecipeError::Set {
        text: change.to_owned(),
    };
    let (path, value) = change.split_once('=').ok_or_else(refused)?;
    let (path, value) = (path.trim(), value.trim());
    if path.is_empty() || value.is_empty() {
        return Err(refused());
    }
    let value = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let keys: Vec<&str> = path.split('.').collect();
    let (last, parents) = keys.split_last().unwrap_or((&"", &[]));
    let mut place = table;
    for key in parents {
        let entry = place
            .entry((*key).to_owned())
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        place = entry.as_table_mut().ok_or_else(|| RecipeError::NoTable {
            key: (*key).to_owned(),
        })?;
    }
    if parents == ["wiring"] && *last == "rule" && place.get("rule") != Some(&value) {
        place.remove("settings");
    }
    const BUDGETS: [&str; 3] = ["density", "prune-rate", "edges"];
    if parents == ["wiring"] && BUDGETS.contains(last) {
        place.retain(|key, _| !BUDGETS.iter().any(|budget| **budget == *key));
    }
    if *last == "kind" && place.get("kind") != Some(&value) {
        place.clear();
    }
    if parents.is_empty() && *last == "data" && place.get("data") != Some(&value) {
        // How images are shown is a matter of the images: others begin as their publication says.
        place.remove("transforms");
    }
    place.insert((*last).to_owned(), value);
    Ok(())
}

/// Text that is no TOML.
fn syntax_error(text: &str, error: &toml::de::Error) -> RecipeError {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.bytes().take(start);
    let reason = error.message().lines().collect::<Vec<_>>().join(", ");
    RecipeError::Text {
        line: 1 + before.filter(|&byte| byte == b'\n').count(),
        reason,
    }
}

/// A table that is no recipe.
pub(super) fn type_error(error: &toml::de::Error) -> RecipeError {
    let message = error.message();
    let names: Vec<String> = message
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    let shown = error.to_string();
    let place = shown
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'))
        .unwrap_or("");
    let inside = |key: &str| {
        if place.is_empty() {
            key.to_owned()
        } else {
            format!("{place}.{key}")
        }
    };
    match (message, names.as_slice()) {
        (message, [key, known @ ..]) if message.starts_with("unknown field") => {
            RecipeError::UnknownKey {
                key: key.clone(),
                known: known.to_vec(),
            }
        }
        (message, [value, known @ ..]) if message.starts_with("unknown variant") => {
            // The reader of a model forgets which of its keys it was at; only its kind is a choice.
            let key = if place == "model" {
                "model.kind"
            } else {
                place
            };
            RecipeError::Choice {
                key: key.to_owned(),
                value: value.clone(),
                known: known.to_vec(),
            }
        }
        (message, [key, ..]) if message.starts_with("missing field") => {
            RecipeError::Missing { key: inside(key) }
        }
        (message, [value, ..]) if message.contains("is no unit") => RecipeError::Choice {
            key: place.to_owned(),
            value: value.clone(),
            known: ["edge", "fan-in", "block-4", "2-of-4"]
                .map(str::to_owned)
                .to_vec(),
        },
        _ => {
            let complaint = message
                .split_once(": ")
                .map_or(message, |(_, complaint)| complaint);
            let (found, expected) = complaint
                .split_once(", expected ")
                .unwrap_or((complaint, "something else"));
            let key = if place.is_empty() {
                "the recipe"
            } else {
                place
            };
            RecipeError::Type {
                key: key.to_owned(),
                found: value_in_words(found),
                expected: type_in_words(expected),
            }
        }
    }
}

/// ``integer `3` `` as `3`.
fn value_in_words(found: &str) -> String {
    // Text keeps its quotes, so that one sees that it is taken for text.
    if let Some(at) = found.find('"') {
        return found[at..].to_owned();
    }
    match found.split_once('`') {
        Some((_, value)) => value.trim_end_matches('`').to_owned(),
        None if found == "sequence" => "a list".to_owned(),
        None if found == "map" => "a table of keys".to_owned(),
        None => found.to_owned(),
    }
}

/// A Rust type as what one writes for it.
fn type_in_words(expected: &str) -> String {
    let words = match expected {
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more,",
        "f32" | "f64" => "a number",
        "a sequence" => "a list such as [20, 20]",
        "a boolean" => "true or false",
        "a string" => "a text",
        "variant identifier" => "a name",
        _ if expected.starts_with("struct") || expected.contains("enum") => "a table of keys",
        _ => expected,
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use crate::recipe::{Recipe, RecipeError};

    fn complaint(change: &str) -> String {
        Recipe::named("digits", &[change.to_owned()])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn complaints_name_the_key_and_speak_of_no_rust_types() {
        assert_eq!(
            complaint("epochs=many"),
            "`epochs` holds \"many\" where a whole number, 0 or more, is needed"
        );
        assert_eq!(
            complaint("seed=-1"),
            "`seed` holds -1 where a whole number, 0 or more, is needed"
        );
        assert_eq!(
            complaint("wiring=3"),
            "`wiring` holds 3 where a table of keys is needed"
        );
        assert_eq!(
            complaint("optimizer.step-at=3"),
            "`optimizer.step-at` holds 3 where a list such as [20, 20] is needed"
        );
        assert_eq!(
            complaint("optimizer.momentum=much"),
            "`optimizer.momentum` holds \"much\" where a number is needed"
        );
        assert_eq!(
            complaint("optimizer.norms-decay=1"),
            "`optimizer.norms-decay` holds 1 where true or false is needed"
        );
        assert_eq!(
            complaint("wiring.unit=pair"),
            "`wiring.unit` is `pair`, which is none of its values"
        );
        assert_eq!(
            complaint("epochs.x=1"),
            "`epochs` holds a value and has no keys of its own"
        );
        assert_eq!(
            complaint("model.kind=lenet"),
            "the key `model.hidden` is missing"
        );
        for change in [
            "=3",
            "epochs=",
            "model.levels=[1, a]",
            "model=3",
            "data=[1]",
            "model.kind=3",
            "wiring.rule=1",
        ] {
            let complaint = complaint(change);
            for jargon in [
                "usize",
                "u64",
                "struct",
                "enum",
                "invalid type",
                "variant",
                "\n",
            ] {
                assert!(!complaint.contains(jargon), "{change}: {complaint}");
            }
        }
    }

    #[test]
    fn another_kind_of_model_takes_the_place_of_the_whole_model() {
        let changes = ["model.kind=lenet", "model.hidden=[30, 10]", "data=mnist"].map(String::from);
        assert!(Recipe::named("digits", &changes).is_ok());
    }

    #[test]
    fn text_that_is_no_toml_is_answered_with_its_line() {
        let error = Recipe::read("name = \"a\"\nepochs = = 3\n", &[]).unwrap_err();
        assert!(
            matches!(error, RecipeError::Text { line: 2, .. }),
            "{error}"
        );
    }
}
