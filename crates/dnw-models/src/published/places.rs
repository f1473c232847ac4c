//! The tensors of a model's published file, determined from the model alone.
//!
//! Burn's parameters are initialised lazily, and their shapes are known before. So this is cheap: a file can be compared with many models
//! before one of them is initialised.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Tensor, TensorData};
use dnw_core::Wiring;

use super::{MASK, Published, PublishedError, is_linear, is_wiring};

/// A tensor of a model's published files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its published name.
    pub name: String,
    /// Its path in the model.
    pub path: String,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// Whether it is the weight of a wired layer, independent of `Wire`.
    pub has_edges: bool,
    /// Whether it is transposed in the model: the weight of a linear layer.
    is_transposed: bool,
}

impl Place {
    /// Whether a tensor of this shape fits. A linear layer that was a 1 x 1 convolution has two more dimensions of size one.
    pub fn takes(&self, shape: &[usize]) -> bool {
        let plain = |shape: &[usize]| match *shape {
            [targets, sources, 1, 1] if self.is_transposed => vec![targets, sources],
            _ => shape.to_vec(),
        };
        plain(shape) == plain(&self.shape)
    }

    /// The published name of its mask, for wirings that the weights do not determine.
    pub fn mask_name(&self) -> Option<String> {
        Some(format!("{}{MASK}", self.name.strip_suffix(WEIGHT)?))
    }

    /// The index in the model's tensor of an entry of the file's tensor.
    fn entry(&self, entry: usize) -> usize {
        match *self.shape {
            [targets, sources, ..] if self.is_transposed => {
                (entry % sources) * targets + entry / sources
            }
            _ => entry,
        }
    }

    /// The index in the file's tensor of an entry of the model's tensor.
    fn published_entry(&self, entry: usize) -> usize {
        match *self.shape {
            [targets, sources, ..] if self.is_transposed => {
                (entry % targets) * sources + entry / targets
            }
            _ => entry,
        }
    }
}

/// The last part of a mask's name.
const WEIGHT: &str = "weight";

impl Published {
    /// The tensors of this model's published files, in the order of its fields, without masks. It does not initialise parameters.
    pub fn places<M: Module>(&self, model: &M) -> Vec<Place> {
        let mut found = Find {
            published: self,
            path: Vec::new(),
            containers: Vec::new(),
            places: Vec::new(),
        };
        model.visit(&mut found);
        found.places
    }

    /// The wiring of a published mask, in the layout of the model's weight.
    pub(super) fn wiring_of(
        &self,
        places: &[Place],
        name: &str,
        mask: &TensorData,
    ) -> Result<(String, Wiring), PublishedError> {
        let place = places
            .iter()
            .find(|place| place.mask_name().as_deref() == Some(name));
        let Some(place) = place else {
            let names = vec![name.to_owned()];
            return Err(PublishedError::Unknown { names });
        };
        if !place.takes(mask.shape().as_slice()) {
            return Err(PublishedError::Shape {
                name: name.to_owned(),
                found: mask.shape().to_vec(),
                expected: place.shape.clone(),
            });
        }
        let mut real = Vec::new();
        for (entry, value) in mask.iter::<f32>().enumerate() {
            if value == 1.0 {
                real.push(place.entry(entry));
            } else if value != 0.0 {
                return Err(PublishedError::Mask {
                    name: name.to_owned(),
                    found: value.to_string(),
                });
            }
        }
        let entries = place.shape.iter().product();
        Ok((place.path.clone(), Wiring::from_entries(entries, real)))
    }

    /// Wirings in the published format: masks of zeros and ones, in the order of the model's fields. Wirings that the weights determine are
    /// not published.
    pub fn masks<M: Module>(
        &self,
        model: &M,
        wirings: &BTreeMap<String, Wiring>,
    ) -> Vec<(String, TensorData)> {
        let masks = self.places(model).into_iter().filter_map(|place| {
            let wiring = wirings.get(&place.path)?;
            let mut mask = vec![0.0f32; wiring.entries()];
            for entry in wiring.iter() {
                mask[place.published_entry(entry)] = 1.0;
            }
            Some((
                place.mask_name()?,
                TensorData::new(mask, place.shape.clone()),
            ))
        });
        masks.collect()
    }
}

/// Collects the places of a model's parameters.
struct Find<'a> {
    published: &'a Published,
    path: Vec<String>,
    /// The type of the module of each part of the path.
    containers: Vec<String>,
    places: Vec<Place>,
}

impl ModuleVisitor for Find<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if is_wiring(&path) {
            return;
        }
        let container = self.containers.last().map(String::as_str);
        let is_transposed = D == 2 && is_linear(container, &path);
        let mut shape = param.lazy_shape().as_slice().to_vec();
        if is_transposed {
            shape.reverse();
            if self.published.head_is_convolution {
                shape.extend([1, 1]);
            }
        }
        self.places.push(Place {
            name: self.published.name_of(&path),
            path,
            shape,
            has_edges: false,
            is_transposed,
        });
    }

    fn visit_bool<const D: usize>(&mut self, _: &Param<Tensor<D, Bool>>) {
        // The fields of a wiring follow the weight that it belongs to.
        if is_wiring(&self.path.join("."))
            && let Some(place) = self.places.last_mut()
        {
            place.has_edges = true;
        }
    }
}
