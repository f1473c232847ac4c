//! A user's recipe, as a TOML file.
//!
//! It names a recipe of the program in `from` and contains only what differs. Without `from` it has every key.

use std::path::Path;

use super::reading;
use super::{Recipe, RecipeError, Unused, entries, unused};

/// The largest file in bytes. Recipes have about two kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// Whether a recipe is the path of a file, and not a name.
pub(super) fn is_file(recipe: &str) -> bool {
    let path = Path::new(recipe);
    path.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("toml"))
        || path.components().count() > 1
}

/// The recipe in a file, with changes `key=value`, and the keys of its base recipe that no longer have an effect.
///
/// # Errors
/// [`RecipeError::File`] if the file cannot be read, [`RecipeError::Unknown`] if `from` names no recipe, and the errors of
/// [`Recipe::named`].
pub(super) fn read(path: &str, changes: &[String]) -> Result<(Recipe, Vec<Unused>), RecipeError> {
    let text = text(Path::new(path)).map_err(|error| RecipeError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let mut table = reading::table(&text)?;
    let stem = Path::new(path).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy().into_owned();
    let (mut recipe, unused) = match table.remove("from") {
        None => {
            let recipe = Recipe::read_strictly(&text, changes)?;
            (recipe, Vec::new())
        }
        Some(toml::Value::String(from)) => {
            let base = entries().iter().find(|known| known.name == from);
            let base = base.ok_or(RecipeError::Unknown { name: from })?;
            let mut own = Vec::new();
            flatten(&table, "", &mut own);
            unused::check_budgets(&own)?;
            unused::check_budgets(changes)?;
            // A budget from the command line replaces the one of the file.
            if changes.iter().any(|change| unused::is_budget(change)) {
                own.retain(|change| !unused::is_budget(change));
            }
            own.extend_from_slice(changes);
            Recipe::changed(base.text, &base.changes, &own)?
        }
        Some(other) => {
            return Err(RecipeError::Type {
                key: "from".into(),
                found: other.to_string(),
                expected: "the name of a recipe".into(),
            });
        }
    };
    if !table.contains_key("name") {
        recipe.name = stem;
    }
    if recipe.name.is_empty()
        || recipe.name.contains(['/', '\\', '\0'])
        || recipe.name.starts_with('.')
    {
        return Err(RecipeError::Value {
            key: "name",
            value: recipe.name,
            expected: "a file name, since runs are named after it",
        });
    }
    Ok((recipe, unused))
}

fn text(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(std::io::Error::other("it is too large for a recipe"));
    }
    Ok(text)
}

/// A table as changes `key=value`. Keys that replace others come first: data, the kind of model, the transform.
fn flatten(table: &toml::Table, before: &str, changes: &mut Vec<String>) {
    let mut keys: Vec<(&String, &toml::Value)> = table.iter().collect();
    keys.sort_by_key(|(key, _)| !matches!(key.as_str(), "data" | "kind" | "rule"));
    for (key, value) in keys {
        let path = format!("{before}{key}");
        match value {
            toml::Value::Table(inner) => flatten(inner, &format!("{path}."), changes),
            value => changes.push(format!("{path}={value}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a recipe from a file of this name.
    fn recipe(name: &str, text: &str, changes: &[&str]) -> Result<Recipe, RecipeError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
        Recipe::named(path.to_str().unwrap(), &changes)
    }

    #[test]
    fn a_file_contains_only_what_differs() {
        let text = "from = \"digits\"\nepochs = 7\n[wiring]\ndensity = 0.3\n[optimizer]\nlearning-rate = 0.25\n";
        let own = recipe("mine.toml", text, &[]).unwrap();
        let changes = [
            "epochs=7",
            "wiring.density=0.3",
            "optimizer.learning-rate=0.25",
        ];
        let base = Recipe::named("digits", &changes.map(String::from)).unwrap();
        assert_eq!(own.name, "mine");
        assert_eq!(
            Recipe {
                name: base.name.clone(),
                ..own
            },
            base
        );
    }

    #[test]
    fn changes_on_the_command_line_override_the_file() {
        let text = "from = \"digits\"\nname = \"mine\"\n[wiring]\ndensity = 0.3\n";
        let own = recipe("a.toml", text, &["wiring.edges=50", "epochs=2"]).unwrap();
        assert_eq!(
            (own.wiring.edges, own.wiring.density, own.epochs),
            (Some(50), None, 2)
        );
        assert_eq!(own.name, "mine");
    }

    #[test]
    fn another_kind_of_model_replaces_the_model_in_any_order() {
        let text = "from = \"digits\"\n[model]\nhidden = [30, 10]\nkind = \"lenet\"\n";
        let own = recipe("lenet.toml", text, &[]).unwrap();
        let changes = ["model.kind=lenet", "model.hidden=[30, 10]"].map(String::from);
        assert_eq!(own.model, Recipe::named("digits", &changes).unwrap().model);
    }

    #[test]
    fn a_complete_recipe_needs_no_base_recipe() {
        let base = Recipe::named("mnist-lenet", &[]).unwrap();
        let own = recipe("mnist-lenet.toml", &base.to_toml(), &[]).unwrap();
        assert_eq!(own, base);
    }

    #[test]
    fn mistakes_in_a_file_are_named() {
        let error = |text: &str| recipe("a.toml", text, &[]).unwrap_err().to_string();
        assert!(error("from = \"digit\"").contains("no recipe `digit`"));
        assert!(error("from = 3").contains("`from` holds 3"));
        assert!(error("from = \"digits\"\nepoch = 3").contains("no key `epoch`"));
        assert!(error("from = \"digits\"\nepochs = = 3").contains("line 2 is not TOML"));
        assert!(
            error("from = \"digits\"\n[wiring]\ndensity = 0.1\nedges = 5")
                .contains("density and wiring.edges")
        );
        assert!(
            error("from = \"digits\"\n[wiring]\nrule = \"str\"\ndensity = 0.1")
                .contains("no effect")
        );
        assert!(error("from = \"digits\"\nname = \"../x\"").contains("a file name"));
        let missing = Recipe::named("nowhere/a.toml", &[]).unwrap_err();
        assert!(matches!(missing, RecipeError::File { .. }), "{missing}");
    }
}
