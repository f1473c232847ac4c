//! Moving models between backends.

use std::mem::discriminant;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, Device, Tensor, TensorData};

/// Moves the masks of a model to `device`, through the host if the backends differ. All other tensors stay
/// where they are.
///
/// Call it before [`Module::fork`] and [`Module::to_device`], as [`Wired`](crate::Wired) does. Backends store
/// booleans in different sizes, and Burn 0.22.1 moves them between backends unconverted, which the target
/// backend rejects.
#[must_use]
pub fn carry_masks<M: Module>(model: M, device: &Device) -> M {
    model.map(&mut Masks(device))
}

struct Masks<'a>(&'a Device);

impl ModuleMapper for Masks<'_> {
    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        param.map(|mask| {
            let backend = |device: &Device| discriminant(device.clone().inner().as_dispatch());
            if backend(&mask.device()) == backend(self.0) {
                return mask;
            }
            let shape = mask.dims();
            let elements: Vec<bool> = mask.into_data().iter().collect();
            Tensor::from_data(TensorData::new(elements, shape), self.0)
        })
    }
}
