//! The recipes that come with the program, by name.

use std::sync::LazyLock;

/// The recipe of the main job.
pub const MAIN_JOB: &str = "digits";

/// A recipe that comes with the program: a text and changes to it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The TOML text that it begins from.
    pub text: &'static str,
    /// Changes to that, `key=value`.
    pub changes: Vec<String>,
    /// The published result, where there is one: top-1 accuracy in percent.
    pub published: Option<&'static str>,
}

/// Every recipe, in the order in which they are shown.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        let own = [
            ("digits", include_str!("../../recipes/digits.toml")),
            ("mnist", include_str!("../../recipes/mnist.toml")),
            (
                "mnist-lenet",
                include_str!("../../recipes/mnist-lenet.toml"),
            ),
        ];
        own.into_iter()
            .map(|(name, text)| entry(name, text, &[], None))
            .collect()
    });
    &ENTRIES
}

fn entry(
    name: &str,
    text: &'static str,
    changes: &[&str],
    published: Option<&'static str>,
) -> Entry {
    Entry {
        name: name.to_owned(),
        text,
        changes: changes.iter().map(|change| (*change).to_owned()).collect(),
        published,
    }
}
