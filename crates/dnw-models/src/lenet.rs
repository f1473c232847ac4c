//! LeNet-300-100 of wired linear layers (LeCun et al. 1998; the classic of pruning papers).

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation};
use dnw_circuit::Circuit;
use dnw_core::{DnwLinear, DnwLinearConfig};
use serde::{Deserialize, Serialize};

use crate::circuit::CircuitWriter;
use crate::{Classifier, Drawing, ModelError, NoCircuit};

/// Configuration of a [`LeNet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LeNetConfig {
    /// Widths of the two hidden layers, 300 and 100 in the original.
    pub hidden: [usize; 2],
}

/// Three wired linear layers with ReLU between them.
#[derive(Module, Debug)]
pub struct LeNet {
    /// Pixels to the first hidden layer.
    pub fc1: DnwLinear,
    /// First to second hidden layer.
    pub fc2: DnwLinear,
    /// Second hidden layer to classes.
    pub fc3: DnwLinear,
}

impl LeNetConfig {
    /// Builds the model for images `[channels, height, width]`.
    ///
    /// # Errors
    /// [`ModelError::Zero`] if a width is zero.
    pub fn init(
        &self,
        image: [usize; 3],
        classes: usize,
        device: &Device,
    ) -> Result<LeNet, ModelError> {
        let [first, second] = self.hidden;
        if first == 0 || second == 0 {
            return Err(ModelError::Zero { field: "hidden" });
        }
        Ok(LeNet {
            fc1: DnwLinearConfig::new(image.iter().product(), first).init(device),
            fc2: DnwLinearConfig::new(first, second).init(device),
            fc3: DnwLinearConfig::new(second, classes).init(device),
        })
    }
}

impl Classifier for LeNet {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = activation::relu(self.fc1.forward(images.flatten::<2>(1, 3)));
        self.fc3.forward(activation::relu(self.fc2.forward(x)))
    }

    fn circuit(&self, image: [usize; 3]) -> Result<Circuit, NoCircuit> {
        let mut writer = CircuitWriter::new(image)?;
        let mut x = writer.steps.flatten(writer.steps.input())?;
        let layers = [("fc1", &self.fc1), ("fc2", &self.fc2), ("fc3", &self.fc3)];
        for (i, (name, layer)) in layers.into_iter().enumerate() {
            writer.steps.layer(name);
            if i > 0 {
                x = writer.steps.relu(x)?;
            }
            let layer = Linear {
                weight: layer.weight.clone(),
                bias: layer.bias.clone(),
            };
            x = writer.linear(name, x, &layer)?;
        }
        writer.finish(x)
    }

    fn drawing(&self) -> Option<Drawing> {
        let [inputs, first] = self.fc1.weight.base().dims();
        let [second, classes] = self.fc3.weight.base().dims();
        let sizes = [inputs, first, second, classes];
        Some(Drawing::of_layers(
            &sizes,
            &["fc1.weight", "fc2.weight", "fc3.weight"],
        ))
    }
}
