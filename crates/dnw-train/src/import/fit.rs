//! Finds the recipe that fits a file, by tensor names, shapes and zeros.

use std::collections::HashMap;

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_checkpoint::Tensor;
use dnw_core::{Budget, Ranking};
use dnw_models::{Classifier, ModelConfig, Place, Published, UseModel};

use super::ImportError;
use super::differences::{Differences, Named};
use crate::counting::published_data;
use crate::data::Source;
use crate::masks::{Masks, is_wired, zeros_are_mask};
use crate::recipe::{Recipe, entries};

/// The most classes of a file: labels are 16 bits wide.
const MAX_CLASSES: usize = 1 << 16;
/// A recipe compared with a file.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub(super) recipe: Recipe,
    /// Channels, height and width of the input images.
    pub(super) image: [usize; 3],
    /// The names of the classes, as many as the file's classifier has.
    pub(super) classes: Vec<String>,
    pub(super) differences: Differences,
    /// Whether there are as many as in the data set.
    has_all_classes: bool,
    /// Whether the file's masks and zeros keep as many edges as the recipe.
    has_budget: bool,
    masks: Masks,
}

/// The best fit.
pub(super) struct BestFit {
    pub(super) fit: Fit,
    /// Other recipes that fit equally well.
    pub(super) others: Vec<String>,
}

/// What determines the tensors of a network: its configuration, the images, the number of classes.
type Key = (ModelConfig, [usize; 3], usize);

/// Compares recipes with a file.
pub(super) struct Fitting<'a> {
    changes: &'a [String],
    device: &'a Device,
    /// The recipes read so far, by name.
    recipes: HashMap<String, Recipe>,
    /// The tensors of the networks built so far; many recipes share a network.
    networks: Vec<(Key, Vec<Place>)>,
}

/// A file's tensors by their names.
pub(super) fn by_name(tensors: &[Tensor]) -> Named<'_> {
    tensors.iter().map(|t| (t.name.as_str(), t)).collect()
}

impl<'a> Fitting<'a> {
    pub(super) fn new(changes: &'a [String], device: &'a Device) -> Self {
        Self {
            changes,
            device,
            recipes: HashMap::new(),
            networks: Vec::new(),
        }
    }

    fn recipe(&mut self, name: &str) -> Result<Recipe, ImportError> {
        if let Some(recipe) = self.recipes.get(name) {
            return Ok(recipe.clone());
        }
        let recipe = Recipe::named(name, self.changes)?;
        self.recipes.insert(name.to_owned(), recipe.clone());
        Ok(recipe)
    }

    /// Compares the recipe of this name, with the changes, with the file.
    pub(super) fn with(&mut self, tensors: &Named<'_>, name: &str) -> Result<Fit, ImportError> {
        let recipe = self.recipe(name)?;
        let masks = Masks::of(&recipe.wiring.rule()?);
        let known = Source::named(&recipe.data)?.known();
        let (image, _, _) = published_data(&recipe)?;
        let classifier = Published::of(&recipe.model).name_of(recipe.model.classifier());
        let found = tensors.get(classifier.as_str());
        let found = found.filter(|tensor| !tensor.shape.contains(&0));
        let found = found.and_then(|tensor| tensor.shape.first().copied());
        let found = found.filter(|classes| (1..=MAX_CLASSES).contains(classes));
        let classes = found.unwrap_or(known.classes.len());
        let has_all_classes = classes == known.classes.len();
        let network = self.network(&recipe.model, image, classes)?;
        let network = &self.networks[network].1;
        let differences = Differences::between(tensors, network, &recipe, masks);
        Ok(Fit {
            image,
            classes: if has_all_classes {
                known.classes
            } else {
                (0..classes).map(|class| class.to_string()).collect()
            },
            has_budget: has_budget(tensors, &recipe, network, classes),
            recipe,
            differences,
            has_all_classes,
            masks,
        })
    }

    /// The index of a network in `networks`; builds it if it is new.
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
        if let Some(place) = self.networks.iter().position(|(known, _)| *known == key) {
            return Ok(place);
        }
        let places = Places(Published::of(model));
        let places = model.build(image, classes, self.device, places)?;
        self.networks.push((key, places));
        Ok(self.networks.len() - 1)
    }

    /// Compares every recipe except the short ones with the file.
    fn all(&mut self, tensors: &Named<'_>) -> Result<Vec<Fit>, ImportError> {
        let (mut fits, mut refused) = (Vec::new(), None);
        for entry in entries().iter().filter(|e| !e.name.ends_with("-short")) {
            match self.with(tensors, &entry.name) {
                Ok(fit) => fits.push(fit),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            // A change that no recipe accepts is a mistake in the change.
            Some(error) if fits.is_empty() => Err(error),
            _ => Ok(fits),
        }
    }

    /// The distance of the file from the recipe of this name, or from the nearest recipe.
    pub(super) fn distance(
        &mut self,
        tensors: &Named<'_>,
        name: Option<&str>,
    ) -> Result<usize, ImportError> {
        let fits = match name {
            Some(name) => vec![self.with(tensors, name)?],
            None => self.all(tensors)?,
        };
        let distances = fits.iter().map(|fit| fit.differences.distance());
        Ok(distances.min().unwrap_or(usize::MAX))
    }

    /// The best fit. Of the recipes whose tensors equal the file's, it prefers one for data with as many classes, one with the budget of the
    /// file's masks or zeros, one for files with masks if it has masks, the published method itself, the first in the list. If none fits, the
    /// nearest.
    pub(super) fn best(
        &mut self,
        tensors: &Named<'_>,
    ) -> Result<Result<BestFit, Option<Fit>>, ImportError> {
        let mut fits = self.all(tensors)?;
        let is_masked = tensors.keys().any(|name| name.ends_with(".mask"));
        let expected = if is_masked {
            Masks::Needed
        } else {
            Masks::Absent
        };
        let mismatch = |fit: &Fit| {
            let sizes = (!fit.has_all_classes, !fit.has_budget);
            (sizes, fit.masks != expected)
        };
        let is_other_rule = |fit: &Fit| fit.recipe.wiring.rule != "dnw";
        fits.sort_by_key(|fit| {
            let distance = fit.differences.distance();
            (distance, mismatch(fit), is_other_rule(fit))
        });
        let mut fits = fits.into_iter();
        Ok(match fits.next() {
            Some(fit) if fit.differences.count() == 0 => {
                let best = mismatch(&fit);
                let others = fits.filter(|o| o.differences.count() == 0 && mismatch(o) == best);
                let others = others.map(|other| other.recipe.name).collect();
                Ok(BestFit { fit, others })
            }
            nearest => Err(nearest.filter(|fit| fit.differences.has_common_names())),
        })
    }
}

/// Whether each tensor whose mask or zeros give its number of edges has as many as the recipe's budget. Programs round differently, so a
/// two-hundredth of a tensor may differ.
fn has_budget(tensors: &Named<'_>, recipe: &Recipe, network: &[Place], classes: usize) -> bool {
    let own = recipe.wiring.prune_rate;
    let own = own.and_then(|rate| recipe.model.budgets(rate, classes).ok());
    let own = own.unwrap_or_default();
    let may_lack_legal_edges = match &recipe.model {
        ModelConfig::Lenet(_) | ModelConfig::Resnet(_) | ModelConfig::MobilenetDense(_) => false,
        _ => recipe.wiring.ranking != Ranking::AllEntries,
    };
    let Ok(budget) = recipe.wiring.budget() else {
        return true;
    };
    if may_lack_legal_edges || recipe.wiring.allocation.is_some() {
        return true;
    }
    network.iter().all(|place| {
        let Some((real, entries)) = edges_in_file(tensors, place) else {
            return true;
        };
        if !is_wired(&recipe.wiring, place) {
            return false;
        }
        let named = own.iter().find(|(path, _)| *path == place.path);
        let is_dense = recipe.wiring.dense.contains(&place.path);
        let budget = match named {
            _ if is_dense => Budget::Density(1.0),
            Some((_, budget)) => *budget,
            None => budget,
        };
        let kept = budget.resolve(&place.path, entries);
        kept.is_ok_and(|kept| kept.abs_diff(real) <= (entries / 200).max(1))
    })
}

/// The number of edges of a tensor by the file's mask or zeros, and of possible edges.
fn edges_in_file(tensors: &Named<'_>, place: &Place) -> Option<(usize, usize)> {
    let mask = place
        .mask_name()
        .and_then(|name| tensors.get(name.as_str()));
    if let Some(mask) = mask {
        let real = mask.data.iter().filter(|&&real| real == 1.0).count();
        return Some((real, mask.data.len()));
    }
    let data = &tensors.get(place.name.as_str())?.data;
    let zeros = data.iter().filter(|&&x| x == 0.0).count();
    zeros_are_mask(zeros, data.len()).then(|| (data.len() - zeros, data.len()))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    /// Whether a file whose first convolution keeps this share of its weights has the budget of a recipe.
    fn fits(name: &str, kept_of_ten: usize) -> bool {
        let entries = 64 * 3 * 7 * 7;
        let data = (0..entries).map(|entry| f32::from(u8::from(entry % 10 < kept_of_ten)));
        let conv1 = Tensor {
            name: "conv1.weight".into(),
            shape: vec![64, 3, 7, 7],
            data: data.collect(),
        };
        let device = Device::flex();
        let mut fitting = Fitting::new(&[], &device);
        let tensors = [conv1];
        fitting.with(&by_name(&tensors), name).unwrap().has_budget
    }

    #[test]
    fn the_zeros_of_a_file_distinguish_recipes_of_one_network() {
        assert!(fits("imagenet-resnet50-all-80", 2));
        assert!(fits("imagenet-resnet50-all-50", 5));
        for other in ["all-70", "all-90", "first-dense-80", "dense"] {
            assert!(!fits(&format!("imagenet-resnet50-{other}"), 2), "{other}");
        }
        // A file without zeros fits any budget.
        assert!(fits("imagenet-resnet50-all-70", 10));
        assert!(fits("imagenet-resnet50-dense", 10));
    }
}
