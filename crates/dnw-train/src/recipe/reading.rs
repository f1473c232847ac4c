//! Changes to a recipe's table, and parse errors in terms of recipes.
//!
//! The parser's messages name Rust types, which mean nothing to the author of a recipe.

use super::RecipeError;

/// Parses TOML text as a table.
pub(super) fn table(text: &str) -> Result<toml::Table, RecipeError> {
    text.parse().map_err(|error| syntax_error(text, &error))
}

/// Applies changes to a table. A new rule comes first, because it removes the settings of the old one, but not settings in the same
/// changes.
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

/// Changes a key of a table, `a.b=value`. The value is parsed as TOML, or else taken as text. A budget replaces the previous budget, another
/// kind of model or transform the whole model or transform, another rule the settings of the old rule, other data the
/// transforms.
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
        // Transforms depend on the data: other data begin with those of their publication.
        place.remove("transforms");
    }
    place.insert((*last).to_owned(), value);
    Ok(())
}

/// The error for text that is not TOML.
fn syntax_error(text: &str, error: &toml::de::Error) -> RecipeError {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.bytes().take(start);
    let reason = error.message().lines().collect::<Vec<_>>().join(", ");
    RecipeError::Text {
        line: 1 + before.filter(|&byte| byte == b'\n').count(),
        reason,
    }
}

/// The error for a table that is not a recipe.
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
            // The parser does not say which key of a model it was at; only the kind is one of several names.
            let key = if place == "model" {
                "model.kind"
            } else {
                place
            };
            RecipeError::UnknownValue {
                key: key.to_owned(),
                value: value.clone(),
                known: known.to_vec(),
            }
        }
        (message, [key, ..]) if message.starts_with("missing field") => {
            RecipeError::Missing { key: inside(key) }
        }
        (message, [value, ..]) if message.contains("is no unit") => RecipeError::UnknownValue {
            key: place.to_owned(),
            value: value.clone(),
            known: ["edge", "fan-in", "block-4", "2-of-4"]
                .map(str::to_owned)
                .to_vec(),
        },
        _ => {
            let error_of = message
                .split_once(": ")
                .map_or(message, |(_, error_of)| error_of);
            let (found, expected) = error_of
                .split_once(", expected ")
                .unwrap_or((error_of, "something else"));
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
    // Text keeps its quotes, so that the reader sees that it is text.
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

/// A Rust type in terms of TOML.
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

    fn error_of(change: &str) -> String {
        Recipe::named("digits", &[change.to_owned()])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn errors_name_the_key_and_no_rust_types() {
        assert_eq!(
            error_of("epochs=many"),
            "`epochs` holds \"many\" where a whole number, 0 or more, is needed"
        );
        assert_eq!(
            error_of("seed=-1"),
            "`seed` holds -1 where a whole number, 0 or more, is needed"
        );
        assert_eq!(
            error_of("wiring=3"),
            "`wiring` holds 3 where a table of keys is needed"
        );
        assert_eq!(
            error_of("optimizer.step-at=3"),
            "`optimizer.step-at` holds 3 where a list such as [20, 20] is needed"
        );
        assert_eq!(
            error_of("optimizer.momentum=much"),
            "`optimizer.momentum` holds \"much\" where a number is needed"
        );
        assert_eq!(
            error_of("optimizer.norms-decay=1"),
            "`optimizer.norms-decay` holds 1 where true or false is needed"
        );
        assert_eq!(
            error_of("wiring.unit=pair"),
            "`wiring.unit` is `pair`, which is not one of its values"
        );
        assert_eq!(error_of("epochs.x=1"), "`epochs` is a value, not a table");
        assert_eq!(
            error_of("model.kind=lenet"),
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
            let error_of = error_of(change);
            for jargon in [
                "usize",
                "u64",
                "struct",
                "enum",
                "invalid type",
                "variant",
                "\n",
            ] {
                assert!(!error_of.contains(jargon), "{change}: {error_of}");
            }
        }
    }

    #[test]
    fn another_kind_of_model_replaces_the_whole_model() {
        let changes = ["model.kind=lenet", "model.hidden=[30, 10]", "data=mnist"].map(String::from);
        assert!(Recipe::named("digits", &changes).is_ok());
    }

    #[test]
    fn invalid_toml_is_an_error_that_names_the_line() {
        let error = Recipe::read("name = \"a\"\nepochs = = 3\n", &[]).unwrap_err();
        assert!(
            matches!(error, RecipeError::Text { line: 2, .. }),
            "{error}"
        );
    }
}
