//! Which recipe a file fits, told from names and shapes alone.

use std::collections::{HashMap, HashSet};

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_checkpoint::{Tensor, quoted};
use dnw_core::Ranking;
use dnw_models::{Classifier, ModelConfig, Place, Published, UseModel};

use super::ImportError;
use crate::counting::published_data;
use crate::data::Source;
use crate::masks::{Masks, is_sparse};
use crate::recipe::{Recipe, entries};

/// The most classes that a file may have: labels are 16 bits wide.
const MOST_CLASSES: usize = 1 << 16;
/// Differences that a message names before it counts the rest.
const MOST_NAMED: usize = 20;

/// How a file's tensors differ from those that a network has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// What the network has and the file lacks.
    pub missing: Vec<String>,
    /// What the file has and the network lacks.
    pub unknown: Vec<String>,
    /// Name, shape in the file and shape in the network of what both have.
    pub shapes: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// How many tensors are the same.
    fitting: usize,
}

impl Differences {
    /// Between a file's tensors and those of a network wired so.
    fn between(tensors: &Named<'_>, network: &[Place], recipe: &Recipe, masks: Masks) -> Self {
        let mut differences = Self::default();
        let mut wanted: Vec<(String, &Place)> = network
            .iter()
            .map(|place| (place.name.clone(), place))
            .collect();
        let sparse = network.iter().filter(|p| is_sparse(&recipe.wiring, p));
        let named = sparse.filter_map(|place| Some((place.mask_name()?, place)));
        let named: Vec<_> = named.collect();
        let is_masked = match masks {
            Masks::Absent => false,
            Masks::Needed => true,
            // All or none.
            Masks::Optional => named
                .iter()
                .any(|(name, _)| tensors.contains_key(name.as_str())),
        };
        if is_masked {
            wanted.extend(named);
        }
        for (name, place) in &wanted {
            match tensors.get(name.as_str()) {
                None => differences.missing.push(name.clone()),
                Some(found) if place.takes(&found.shape) => differences.fitting += 1,
                Some(found) => {
                    let (found, wanted) = (found.shape.clone(), place.shape.clone());
                    differences.shapes.push((name.clone(), found, wanted));
                }
            }
        }
        let known: HashSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let unknown = tensors.keys().filter(|name| !known.contains(*name));
        differences
            .unknown
            .extend(unknown.map(|name| (*name).to_owned()));
        differences.unknown.sort_unstable();
        differences
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.missing.len() + self.unknown.len() + self.shapes.len()
    }

    /// Whether the file has anything by a name of the network's.
    fn has_common_names(&self) -> bool {
        self.fitting + self.shapes.len() > 0
    }

    /// A tensor of another size is nearer than one of another name.
    fn distance(&self) -> usize {
        2 * (self.missing.len() + self.unknown.len()) + self.shapes.len()
    }
}

impl std::fmt::Display for Differences {
    /// Names the first of each kind, so that a long list of one kind does not hide another.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |name: &String| format!("`{}`", quoted(name));
        let missing: Vec<String> = self.missing.iter().map(name).collect();
        let unknown: Vec<String> = self.unknown.iter().map(name).collect();
        let shape = |(at, found, wanted): &(String, Vec<usize>, Vec<usize>)| {
            let (at, found, wanted) = (name(at), sides(found), sides(wanted));
            format!("{at} is {found} instead of {wanted}")
        };
        let shapes: Vec<String> = self.shapes.iter().map(shape).collect();
        let kinds = [
            ("the file lacks ", missing),
            ("there is no place for ", unknown),
            ("", shapes),
        ];
        let kinds = kinds.into_iter().filter(|(_, all)| !all.is_empty());
        let mut kinds: Vec<_> = kinds.collect();
        let mut left = MOST_NAMED;
        let mut sentences = Vec::new();
        while let Some((what, all)) = (!kinds.is_empty()).then(|| kinds.remove(0)) {
            // What one kind leaves goes to the next.
            let shown = all.len().min(left / (kinds.len() + 1)).max(1);
            left = left.saturating_sub(shown);
            let more = match all.len() - shown {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            sentences.push(format!("{what}{}{more}", all[..shown].join(", ")));
        }
        f.write_str(&sentences.join("; "))
    }
}

fn sides(shape: &[usize]) -> String {
    match shape {
        [] => "a single number".into(),
        shape => {
            let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
            sides.join(" x ")
        }
    }
}

/// A file's tensors by their names.
type Named<'t> = HashMap<&'t str, &'t Tensor>;

/// A recipe held against a file.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub(super) recipe: Recipe,
    /// Channels, height and width of the images that the network takes.
    pub(super) image: [usize; 3],
    /// The classes' names, as many as the file's classifier has.
    pub(super) classes: Vec<String>,
    pub(super) differences: Differences,
    /// Whether they are as many as the data set has.
    has_all_classes: bool,
    /// Whether the file's masks keep as many edges as the recipe.
    has_budget: bool,
    masks: Masks,
}

/// The recipe that was found.
pub(super) struct Choice {
    pub(super) fit: Fit,
    /// Others that fit as well.
    pub(super) others: Vec<String>,
}

/// What decides the tensors of a network: its configuration, the images, how many classes there are.
type Key = (ModelConfig, [usize; 3], usize);

/// Holds recipes against a file.
pub(super) struct Fitting<'a> {
    tensors: Named<'a>,
    changes: &'a [String],
    device: &'a Device,
    /// The tensors of each network that was met: many recipes share one.
    met: Vec<(Key, Vec<Place>)>,
}

impl<'a> Fitting<'a> {
    pub(super) fn new(tensors: &'a [Tensor], changes: &'a [String], device: &'a Device) -> Self {
        Self {
            tensors: tensors.iter().map(|t| (t.name.as_str(), t)).collect(),
            changes,
            device,
            met: Vec::new(),
        }
    }

    /// The recipe of this name, with the changes, held against the file.
    pub(super) fn with(&mut self, name: &str) -> Result<Fit, ImportError> {
        let recipe = Recipe::named(name, self.changes)?;
        let masks = Masks::of(&recipe.wiring.rule()?);
        let known = Source::named(&recipe.data)?.known();
        let (image, _, _) = published_data(&recipe)?;
        let classifier = Published::of(&recipe.model).name_of(recipe.model.classifier());
        let found = self.tensors.get(classifier.as_str());
        let found = found.filter(|tensor| !tensor.data.is_empty());
        let found = found.and_then(|tensor| tensor.shape.first().copied());
        let found = found.filter(|classes| (1..=MOST_CLASSES).contains(classes));
        let classes = found.unwrap_or(known.classes.len());
        let has_all_classes = classes == known.classes.len();
        let network = self.network(&recipe.model, image, classes)?;
        let network = &self.met[network].1;
        let differences = Differences::between(&self.tensors, network, &recipe, masks);
        Ok(Fit {
            image,
            classes: if has_all_classes {
                known.classes
            } else {
                (0..classes).map(|class| class.to_string()).collect()
            },
            has_budget: self.has_budget(&recipe, network, classes),
            recipe,
            differences,
            has_all_classes,
            masks,
        })
    }

    /// Whether each mask of the file keeps the edges that the recipe's budget says, as far as the budget alone says it.
    fn has_budget(&self, recipe: &Recipe, network: &[Place], classes: usize) -> bool {
        let own = recipe.wiring.prune_rate;
        let own = own.and_then(|rate| recipe.model.budgets(rate, classes).ok());
        let own = own.unwrap_or_default();
        let (Ranking::AllEntries, Ok(budget)) = (recipe.wiring.ranking, recipe.wiring.budget())
        else {
            return true;
        };
        network.iter().all(|place| {
            let mask = place.mask_name();
            let Some(mask) = mask.and_then(|name| self.tensors.get(name.as_str())) else {
                return true;
            };
            let named = own.iter().find(|(path, _)| *path == place.path);
            let budget = named.map_or(budget, |(_, budget)| *budget);
            let real = mask.data.iter().filter(|&&real| real == 1.0).count();
            budget.resolve(&place.path, mask.data.len()).ok() == Some(real)
        })
    }

    /// Where the published tensors of a network are among those that were met.
    fn network(
        &mut self,
        model: &ModelConfig,
        image: [usize; 3],
        classes: usize,
    ) -> Result<usize, ImportError> {
        struct Places(Published);

        impl UseModel for Places {
            type Output = Vec<Place>;

            fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> Self::Output {
                self.0.places(&model)
            }
        }

        let key = (model.clone(), image, classes);
        if let Some(place) = self.met.iter().position(|(met, _)| *met == key) {
            return Ok(place);
        }
        let places = Places(Published::of(model));
        let places = model.build(image, classes, self.device, places)?;
        self.met.push((key, places));
        Ok(self.met.len() - 1)
    }

    /// Every recipe that comes with the program, the short ones left out, held against the file.
    fn all(&mut self) -> Result<Vec<Fit>, ImportError> {
        let (mut fits, mut refused) = (Vec::new(), None);
        for entry in entries().iter().filter(|e| !e.name.ends_with("-short")) {
            match self.with(&entry.name) {
                Ok(fit) => fits.push(fit),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            // A change that no recipe can take is a mistake in the change.
            Some(error) if fits.is_empty() => Err(error),
            _ => Ok(fits),
        }
    }

    /// The recipe that fits best: of those whose tensors are the file's, one for files with masks of as many edges if it has masks, one for
    /// data with as many classes, the published method itself, the one that is listed first. If none fits, the nearest.
    pub(super) fn best(&mut self) -> Result<Result<Choice, Option<Fit>>, ImportError> {
        let mut fits = self.all()?;
        let is_masked = self.tensors.keys().any(|name| name.ends_with(".mask"));
        let natural = if is_masked {
            Masks::Needed
        } else {
            Masks::Absent
        };
        let likeness = |fit: &Fit| {
            let unlike = (fit.masks != natural, !fit.has_all_classes);
            (unlike, !fit.has_budget)
        };
        let is_other_rule = |fit: &Fit| fit.recipe.wiring.rule != "dnw";
        fits.sort_by_key(|fit| {
            let distance = fit.differences.distance();
            (distance, likeness(fit), is_other_rule(fit))
        });
        let mut fits = fits.into_iter();
        Ok(match fits.next() {
            Some(fit) if fit.differences.count() == 0 => {
                let alike = likeness(&fit);
                let others = fits.filter(|o| o.differences.count() == 0 && likeness(o) == alike);
                let others = others.map(|other| other.recipe.name).collect();
                Ok(Choice { fit, others })
            }
            nearest => Err(nearest.filter(|fit| fit.differences.has_common_names())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_differences_names_some_of_each_kind_and_counts_the_rest() {
        let names = |kind: &str, n: usize| (0..n).map(|i| format!("{kind}{i}")).collect();
        let differences = Differences {
            missing: names("m", 3),
            unknown: names("u", 100),
            shapes: vec![("s".into(), vec![], vec![4, 2])],
            fitting: 0,
        };
        let text = differences.to_string();
        assert!(text.starts_with("the file lacks `m0`, `m1`, `m2`; there is no place for `u0`"));
        assert!(text.contains("`u7` and 92 more; `s` is a single number instead of 4 x 2"));
        assert_eq!(text.matches('`').count(), 2 * 12);
        assert_eq!(differences.count(), 104);
    }

    #[test]
    fn names_from_a_file_are_printed_without_control_characters() {
        let differences = Differences {
            unknown: vec!["a\u{1b}[2J\n".into()],
            ..Differences::default()
        };
        let text = differences.to_string();
        assert!(text.chars().all(|c| !c.is_control()), "{text}");
    }
}
