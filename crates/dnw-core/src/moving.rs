//! Models from one backend to another.

use std::mem::discriminant;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, Device, Tensor, TensorData};

/// The model with its masks on `device`, by way of the host where that is another backend's; everything else stays where it is.
///
/// To be called before [`Module::fork`] and [`Module::to_device`], as [`Wired`](crate::Wired) does by itself. Backends store yes and no
/// as numbers of different sizes, and Burn 0.22.1 moves them between backends as they are, which the other one then refuses.
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
            let yes: Vec<bool> = mask.into_data().iter().collect();
            Tensor::from_data(TensorData::new(yes, shape), self.0)
        })
    }
}
