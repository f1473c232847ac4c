//! The running averages of batch norms, which copies of a model update as they compute.
//!
//! Burn keeps a running average behind a lock that all clones of a model share, together with the last update of each thread. So a copy that
//! computes on its own needs its own averages (`Module::valid`, then `Module::train`, creates them), and the updated values must be copied
//! back.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

/// The position of a traversal in a module: the names of fields, and the type of the container of each.
#[derive(Default)]
pub(super) struct Path(Vec<(String, String)>);

impl Path {
    pub(super) fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.to_owned(), container.to_owned()));
    }

    pub(super) fn exit(&mut self) {
        self.0.pop();
    }

    /// Whether this is a running average of a batch norm. Burn shows these to traversals as parameters without gradient.
    pub(super) fn is_running_average(&self) -> bool {
        let is_one = |name: &str| name == "running_mean" || name == "running_var";
        matches!(self.0.last(), Some((name, of)) if of == "Struct:BatchNorm" && is_one(name))
    }

    /// Whether this belongs to a norm.
    pub(super) fn is_in_norm(&self) -> bool {
        let norms = ["Struct:BatchNorm", "Struct:InstanceNorm"];
        matches!(self.0.last(), Some((_, of)) if norms.contains(&of.as_str()))
    }
}

/// The running averages of a model, in the order of its fields, each `[channels]`.
#[derive(Default)]
pub(super) struct Averages(Vec<Tensor<1>>);

impl Averages {
    /// The averages of a model after its last forward pass.
    pub(super) fn of<M: Module>(model: &M) -> Self {
        let mut read = Read::default();
        // `valid` includes updates that a thread has not handed over yet.
        model.valid().visit(&mut read);
        Self(read.found)
    }

    /// The number of averages.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The weighted mean over several copies of a model. The weights add up to one.
    ///
    /// If all copies agree, the mean equals them to the bit.
    pub(super) fn mean(copies: Vec<(Self, f64)>, device: &Device) -> Self {
        let mut copies = copies.into_iter();
        let Some((Self(first), _)) = copies.next() else {
            return Self::default();
        };
        let mut means: Vec<_> = first.into_iter().map(|of| of.to_device(device)).collect();
        let firsts = means.clone();
        for (Self(averages), weight) in copies {
            for ((mean, first), average) in means.iter_mut().zip(&firsts).zip(averages) {
                let away = average.to_device(device) - first.clone();
                *mean = mean.clone() + away * weight;
            }
        }
        Self(means)
    }

    /// Replaces the averages of a model, and of all its clones.
    pub(super) fn put<M: Module>(self, model: &M) {
        if !self.0.is_empty() {
            let averages = self.0.into_iter();
            model.clone().map(&mut Put {
                averages,
                path: Path::default(),
            });
        }
    }
}

#[derive(Default)]
struct Read {
    found: Vec<Tensor<1>>,
    path: Path,
}

impl ModuleVisitor for Read {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.path.is_running_average() {
            self.found.push(param.val().reshape([-1]));
        }
    }
}

struct Put<I> {
    averages: I,
    path: Path,
}

impl<I: Iterator<Item = Tensor<1>>> ModuleMapper for Put<I> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let new = match self.path.is_running_average() {
            true => self.averages.next(),
            false => None,
        };
        match new {
            // In training they are on the autodiff device, where the layer reads them.
            Some(new) => param.map(|old| {
                let new = match old.is_autodiff() {
                    true => Tensor::from_inner(new),
                    false => new,
                };
                new.reshape(old.dims())
            }),
            None => param,
        }
    }
}
