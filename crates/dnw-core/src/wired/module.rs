//! A wired model is a Burn module with the parameters of the model.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::Device;

use super::{MODEL_IS_SET, Wired};
use crate::carry_masks;

impl<M: Module> Wired<M> {
    fn with(self, model: M) -> Self {
        Self {
            model: Some(model),
            ..self
        }
    }

    /// The model, and what puts one back into the rest.
    fn split(mut self) -> (M, impl FnOnce(M) -> Self) {
        let model = self.model.take().expect(MODEL_IS_SET);
        (model, |model| self.with(model))
    }
}

impl<M: Module> Module for Wired<M> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        (**self).collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        let (model, back) = self.split();
        back(carry_masks(model, device).fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        let (model, back) = self.split();
        back(carry_masks(model, device).to_device(device))
    }

    fn train(self) -> Self {
        let (model, back) = self.split();
        back(Module::train(model))
    }

    fn valid(&self) -> Self {
        self.clone().with((**self).valid())
    }

    fn materialize(self) -> Self {
        let (model, back) = self.split();
        back(model.materialize())
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        (**self).visit(visitor);
    }

    fn map<P: ModuleMapper>(self, mapper: &mut P) -> Self {
        let (model, back) = self.split();
        back(model.map(mapper))
    }
}

impl<M: ModuleDisplay> ModuleDisplayDefault for Wired<M> {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .add("model", &**self)
            .add_debug_attribute("rule", &self.rule.name)
            .optional()
    }
}

impl<M: ModuleDisplay> ModuleDisplay for Wired<M> {}
