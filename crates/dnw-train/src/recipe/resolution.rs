//! Creating a recipe from a text and changes to it.

use super::{Recipe, RecipeError, Unused, entries, file, reading, unused};

impl Recipe {
    /// The embedded recipe called `name`, or the one in the TOML file at this path, with changes `key=value`. A file names its base recipe in
    /// `from`, and contains only what differs; without `from` it has every key.
    ///
    /// # Errors
    /// [`RecipeError`] if there is no such recipe, a change names an unknown key or one without effect, or a value is not allowed.
    pub fn named(name: &str, changes: &[String]) -> Result<Self, RecipeError> {
        Ok(Self::resolve(name, changes)?.0)
    }

    /// Like [`named`](Self::named). Also returns the keys of the embedded recipe that have no effect because of the changes; they are removed
    /// from the recipe.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn resolve(name: &str, changes: &[String]) -> Result<(Self, Vec<Unused>), RecipeError> {
        if file::is_file(name) {
            return file::read(name, changes);
        }
        let known = entries().iter().find(|known| known.name == name);
        let known = known.ok_or_else(|| RecipeError::Unknown {
            name: name.to_owned(),
        })?;
        unused::check_budgets(changes)?;
        let (mut recipe, unused) = Self::changed(known.text, &known.changes, changes)?;
        recipe.name = name.to_owned();
        Ok((recipe, unused))
    }

    /// A recipe from TOML text, with changes `key=value`. Keys of the text that have no effect are ignored.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn read(text: &str, changes: &[String]) -> Result<Self, RecipeError> {
        unused::check_budgets(changes)?;
        Ok(Self::changed(text, &[], changes)?.0)
    }

    /// A recipe from a user's TOML text: like [`read`](Self::read), but a key of the text without effect is an error.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn read_strictly(text: &str, changes: &[String]) -> Result<Self, RecipeError> {
        let mut table = reading::table(text)?;
        reading::set_all(&mut table, changes)?;
        let (recipe, _) = Self::changed(text, &[], changes)?;
        match Self::of(&table)?.unused(&table)?.into_iter().next() {
            Some(unused) => Err(unused.into()),
            None => Ok(recipe),
        }
    }

    /// A recipe from TOML text with its own changes and the user's, and the keys that these leave without effect.
    pub(super) fn changed(
        text: &str,
        own: &[String],
        changes: &[String],
    ) -> Result<(Self, Vec<Unused>), RecipeError> {
        let mut table = reading::table(text)?;
        reading::set_all(&mut table, own)?;
        // Only the changed text must be complete.
        let before = Self::of(&table).and_then(|recipe| recipe.unused(&table));
        let before = before.unwrap_or_default();
        reading::set_all(&mut table, changes)?;
        let recipe = Self::of(&table)?;
        let all = recipe.unused(&table)?;
        if let Some(changed) = all
            .iter()
            .find(|unused| unused::is_given(unused.key, changes))
        {
            return Err(changed.clone().into());
        }
        for unused in &all {
            unused::remove(&mut table, unused.key);
        }
        let recipe = match all.is_empty() {
            true => recipe,
            false => Self::of(&table)?,
        };
        let new = all.into_iter().filter(|unused| !before.contains(unused));
        Ok((recipe, new.collect()))
    }

    /// The keys of this recipe's table that have no effect.
    fn unused(&self, table: &toml::Table) -> Result<Vec<Unused>, RecipeError> {
        unused::keys(
            &self.wiring,
            &self.optimizer,
            self.second_phase.is_some(),
            table,
        )
    }

    /// A checked recipe.
    fn of(table: &toml::Table) -> Result<Self, RecipeError> {
        let recipe: Self = table
            .clone()
            .try_into()
            .map_err(|error| reading::type_error(&error))?;
        recipe.check()?;
        Ok(recipe)
    }
}
