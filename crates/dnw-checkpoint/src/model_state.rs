//! The model's tensors among those of a training checkpoint.
//!
//! Programs keep the model under `state_dict`, `model`, `model_state_dict` and other keys, next to the epoch, the optimizer and averaged
//! copies, and wrappers of modules put prefixes before its names. Whoever knows the model's own names tries each location in
//! [`Checkpoint::locations`]; [`Checkpoint::model_state`] takes the most likely one.

use crate::checkpoint::{join, refuse_duplicates};
use crate::masked::{self, Unified};
use crate::{Checkpoint, CheckpointError, Reason, Section, Skipped, Tensor};

/// The usual paths of the model's dictionary, the most likely first.
const USUAL: [&str; 5] = ["state_dict", "model", "model_state_dict", "net", ""];

/// The dictionaries that are tried at most: those with the most tensors. An optimizer has one for each parameter.
const MOST_SECTIONS: usize = 16;

/// The prefixes that are tried at most, one inside another.
const MOST_PREFIXES: usize = 8;

/// Parts of names that wrappers of modules add: `torch.compile`, FSDP and activation checkpointing anywhere, since submodules are wrapped too.
const WRAPPERS: [&str; 3] = [
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];

/// The prefix of `DataParallel` and `DistributedDataParallel`.
const PARALLEL: &str = "module.";

/// Buffers without learned values, by the last part of the name: a constant tensor of the published tiny networks, and the batch
/// counters of norms and of averaged models.
const BUFFERS: [&str; 3] = ["zeros", "num_batches_tracked", "n_averaged"];

/// A model's tensors, with the names of its own program.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelState {
    /// The tensors, in the file's order, with distinct names. The mask of `X.weight` is `X.mask`, in whatever form the file has it.
    pub tensors: Vec<Tensor>,
    /// Everything else in the file, with the names of the file.
    pub skipped: Vec<Skipped>,
    /// The weights that a parametrization masks whose mask the file does not have.
    pub unmasked: Vec<String>,
}

/// Where a model's tensors may be in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelLocation {
    /// The index of the dictionary in [`Checkpoint::sections`].
    section: usize,
    /// What is removed from the beginning of its names; names without it are not the model's.
    prefix: String,
    /// Whether each part `module` is removed from the names: single layers may be wrapped by `DataParallel`.
    has_parallel_parts: bool,
}

impl Checkpoint {
    /// Where the model's tensors may be, the most likely location first: each dictionary, the largest and those with the usual names first;
    /// and in each, what is left when a common beginning of its names is removed, one part after the other. At most 256 locations.
    ///
    /// The most likely prefix is that of the known wrappers alone; a model may well call one of its own parts `module` or `model`.
    pub fn locations(&self) -> Vec<ModelLocation> {
        let largest = self.sections.iter().map(|s| s.tensors.len()).max();
        let half = largest.unwrap_or(0).div_ceil(2);
        let mut order: Vec<usize> = (0..self.sections.len()).collect();
        order.sort_by_key(|&section| {
            let Section { path, tensors } = &self.sections[section];
            let usual = USUAL.iter().position(|usual| usual == path);
            let small = tensors.len() < half;
            let size = if small { usize::MAX - tensors.len() } else { 0 };
            (small, size, usual.unwrap_or(USUAL.len()))
        });
        order.truncate(MOST_SECTIONS);
        let mut locations = Vec::new();
        for section in order {
            let names = self.sections[section].tensors.iter();
            let names: Vec<String> = names.map(|tensor| unwrapped(&tensor.name)).collect();
            let mut prefixes = prefixes(&names);
            // As many as all names share and are those of a wrapper; the others are guesses.
            let known = prefixes.iter().rposition(|prefix| {
                prefix.split_inclusive('.').all(|part| part == PARALLEL)
                    && names.iter().all(|name| name.starts_with(prefix))
            });
            if let Some(known) = known {
                let likely = prefixes.remove(known);
                prefixes.insert(0, likely);
            }
            let inside = format!(".{PARALLEL}");
            let has_parallel_parts = names.iter().any(|name| name.contains(&inside));
            for prefix in prefixes {
                let location = ModelLocation {
                    section,
                    prefix,
                    has_parallel_parts: false,
                };
                locations.push(location.clone());
                if has_parallel_parts {
                    locations.push(ModelLocation {
                        has_parallel_parts,
                        ..location
                    });
                }
            }
        }
        locations
    }

    /// The model's tensors at a location, by name and shape: their data are left out.
    pub fn outline(&self, location: &ModelLocation) -> Vec<Tensor> {
        let tensors = self.sections[location.section].tensors.iter();
        let mut tensors: Vec<Tensor> = tensors
            .filter_map(|tensor| {
                let name = location.name_of(&tensor.name)?;
                Some(Tensor {
                    name,
                    shape: tensor.shape.clone(),
                    data: Vec::new(),
                })
            })
            .filter(|tensor| !is_buffer(&tensor.name))
            .collect();
        masked::unify(&mut tensors);
        tensors
    }

    /// The model's tensors at the most likely location.
    ///
    /// # Errors
    /// [`CheckpointError::NoModel`] if no dictionary has tensors.
    pub fn model_state(self) -> Result<ModelState, CheckpointError> {
        match self.locations().first() {
            Some(location) => self.model_state_at(location),
            None => Err(CheckpointError::NoModel {
                skipped: self
                    .skipped
                    .iter()
                    .take(5)
                    .map(Skipped::to_string)
                    .collect(),
            }),
        }
    }

    /// The model's tensors at a location of this checkpoint. Masks have the names of [`ModelState::tensors`]; `zeros`,
    /// `num_batches_tracked` and `n_averaged` are skipped.
    ///
    /// # Errors
    /// [`CheckpointError::Duplicate`] if two tensors have the same name without what is removed from it.
    pub fn model_state_at(self, location: &ModelLocation) -> Result<ModelState, CheckpointError> {
        let Self {
            mut sections,
            mut skipped,
        } = self;
        let model = sections.remove(location.section);
        let skip = |name: &str, reason| Skipped {
            name: join(&model.path, name),
            reason,
        };
        let mut tensors = Vec::with_capacity(model.tensors.len());
        for mut tensor in model.tensors {
            match location.name_of(&tensor.name) {
                _ if is_buffer(&tensor.name) => skipped.push(skip(&tensor.name, Reason::Buffer)),
                None => skipped.push(skip(&tensor.name, Reason::OutsideModel)),
                Some(name) => {
                    tensor.name = name;
                    tensors.push(tensor);
                }
            }
        }
        let Unified {
            applied,
            copies,
            mut unmasked,
        } = masked::unify(&mut tensors);
        skipped.extend(applied.iter().map(|name| skip(name, Reason::Applied)));
        skipped.extend(copies.iter().map(|name| skip(name, Reason::OutsideModel)));
        unmasked.retain(|weight| match take_mask(&mut sections, weight) {
            Some(mask) => {
                tensors.push(mask);
                false
            }
            None => true,
        });
        refuse_duplicates("", tensors.iter().map(|tensor| tensor.name.as_str()))?;

        for section in &sections {
            skipped.extend(section.tensors.iter().map(|tensor| Skipped {
                name: join(&section.path, &tensor.name),
                reason: Reason::OutsideModel,
            }));
        }
        Ok(ModelState {
            tensors,
            skipped,
            unmasked,
        })
    }
}

/// The mask of a weight in the state of a sparsifier in the same file.
fn take_mask(sections: &mut [Section], weight: &str) -> Option<Tensor> {
    let state = format!("state.{weight}");
    let name = masked::mask_name(weight)?;
    let is_state = |path: &str| {
        let before = path.strip_suffix(&state);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    let section = sections
        .iter_mut()
        .find(|section| is_state(&section.path))?;
    let place = section.tensors.iter().position(|t| t.name == "mask")?;
    Some(Tensor {
        name,
        ..section.tensors.remove(place)
    })
}

impl ModelLocation {
    /// The model's own name of a tensor of this section, if it is the model's.
    fn name_of(&self, name: &str) -> Option<String> {
        let name = unwrapped(name);
        let name = name.strip_prefix(&self.prefix)?;
        Some(match self.has_parallel_parts {
            true => name.replace(&format!(".{PARALLEL}"), "."),
            false => name.to_owned(),
        })
    }
}

/// The name without what wrappers put into it.
fn unwrapped(name: &str) -> String {
    let parts: Vec<&str> = name
        .split('.')
        .filter(|part| !WRAPPERS.contains(part))
        .collect();
    parts.join(".")
}

/// The prefixes that most names have: none, then the first part that more than half of the names share, and so on inward.
fn prefixes(names: &[String]) -> Vec<String> {
    let mut prefixes = vec![String::new()];
    let mut inside: Vec<&str> = names.iter().map(String::as_str).collect();
    while prefixes.len() < MOST_PREFIXES {
        let firsts = inside
            .iter()
            .filter_map(|name| Some(name.split_once('.')?.0));
        // The majority, if there is one, survives when unequal pairs are removed (Boyer and Moore 1981).
        let mut majority = None;
        let mut lead = 0;
        for first in firsts {
            match majority {
                Some(of) if of == first => lead += 1,
                _ if lead == 0 => (majority, lead) = (Some(first), 1),
                _ => lead -= 1,
            }
        }
        let Some(first) = majority else { break };
        let inner = inside.iter();
        let inner = inner.filter_map(|name| name.strip_prefix(first)?.strip_prefix('.'));
        let left: Vec<&str> = inner.collect();
        if 2 * left.len() <= inside.len() {
            break;
        }
        let prefix = format!("{}{first}.", prefixes[prefixes.len() - 1]);
        prefixes.push(prefix);
        inside = left;
    }
    prefixes
}

fn is_buffer(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    BUFFERS.contains(&last)
}
