//! Differences between a file's tensors and a network's.

use std::collections::{HashMap, HashSet};

use dnw_checkpoint::{Tensor, quoted};
use dnw_models::Place;

use crate::masks::{Masks, is_sparse, zeros_are_mask};
use crate::recipe::Recipe;

/// How many differences a message names before it counts the rest.
const MAX_NAMED: usize = 20;

/// Differences between a file's tensors and a network's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Tensors of the network that the file lacks.
    pub missing: Vec<String>,
    /// Tensors of the file that the network lacks.
    pub unknown: Vec<String>,
    /// Name, shape in the file and shape in the network, of tensors that both have.
    pub shapes: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// The number of equal tensors.
    fitting: usize,
}

impl Differences {
    /// Compares a file's tensors with those of a network with this wiring.
    pub(super) fn between(
        tensors: &Named<'_>,
        network: &[Place],
        recipe: &Recipe,
        masks: Masks,
    ) -> Self {
        let mut differences = Self::default();
        let mut wanted: Vec<(String, &Place)> = network
            .iter()
            .map(|place| (place.name.clone(), place))
            .collect();
        let named = network.iter();
        let named = named.filter_map(|place| Some((place.mask_name()?, place)));
        let (masked, unmasked): (Vec<_>, Vec<_>) =
            named.partition(|(name, _)| tensors.contains_key(name.as_str()));
        // A file with masks or zeros for some tensors has none for dense ones.
        let says_wiring = !masked.is_empty()
            || network.iter().any(|place| {
                let weight = tensors.get(place.name.as_str());
                is_sparse(&recipe.wiring, place) && weight.is_some_and(|t| may_have_zeros(t))
            });
        if masks == Masks::Needed && !says_wiring {
            let sparse = unmasked.into_iter();
            wanted.extend(sparse.filter(|(_, place)| is_sparse(&recipe.wiring, place)));
        }
        wanted.extend(masked);
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

    /// The number of differences.
    pub fn count(&self) -> usize {
        self.missing.len() + self.unknown.len() + self.shapes.len()
    }

    /// Whether any names are common.
    pub(super) fn has_common_names(&self) -> bool {
        self.fitting + self.shapes.len() > 0
    }

    /// A distance in which another shape is nearer than another name.
    pub(super) fn distance(&self) -> usize {
        2 * (self.missing.len() + self.unknown.len()) + self.shapes.len()
    }
}

impl std::fmt::Display for Differences {
    /// Names the first of each kind, so that many of one kind do not hide another.
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
        let mut left = MAX_NAMED;
        let mut sentences = Vec::new();
        while let Some((what, all)) = (!kinds.is_empty()).then(|| kinds.remove(0)) {
            // Places that one kind does not use go to the next.
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

/// Whether a tensor's zeros may be its mask; unknown if its data were skipped.
fn may_have_zeros(tensor: &Tensor) -> bool {
    let zeros = tensor.data.iter().filter(|&&x| x == 0.0).count();
    tensor.data.is_empty() || zeros_are_mask(zeros, tensor.data.len())
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
pub(super) type Named<'t> = HashMap<&'t str, &'t Tensor>;

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
