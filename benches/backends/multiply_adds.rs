//! The multiply-adds of a training step, independent of the implementation.

use dnw_circuit::{Block, Circuit, Op};
use serde::Serialize;

/// The multiply-adds of a training step: forward and for the gradient of the input over real edges, for the gradient of the weight over all
/// possible edges, because hallucinated edges learn too. Norms, ReLUs and pools are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MultiplyAdds {
    /// Over real edges.
    pub forward: u64,
    /// Over real edges, except those from the image, which needs no gradient.
    pub input_gradient: u64,
    /// Over all edges that a step reads.
    pub weight_gradient: u64,
}

impl MultiplyAdds {
    /// The multiply-adds of one image.
    pub fn of_an_image(circuit: &Circuit) -> Self {
        let mut sum = Self::default();
        for step in circuit.steps() {
            let (Op::Conv { weight, .. } | Op::Depthwise { weight, .. }) = &step.op else {
                continue;
            };
            let pixels = (step.shape[1] * step.shape[2]) as u64;
            let (real, all) = entries(circuit, weight);
            sum.forward += real * pixels;
            sum.weight_gradient += all * pixels;
            let reads_the_image = circuit.step(step.inputs[0]).op == Op::Input;
            if !reads_the_image {
                sum.input_gradient += real * pixels;
            }
        }
        sum
    }

    /// The multiply-adds of a batch.
    pub fn times(self, images: usize) -> Self {
        let times = |one: u64| one * images as u64;
        Self {
            forward: times(self.forward),
            input_gradient: times(self.input_gradient),
            weight_gradient: times(self.weight_gradient),
        }
    }
}

/// The number of real and of all entries that a step reads.
fn entries(circuit: &Circuit, block: &Block) -> (u64, u64) {
    let tensor = circuit.tensor(block.tensor);
    let [_, columns, height, width] = tensor.shape();
    let area = height * width;
    let mut real = 0;
    for row in &block.rows {
        for column in &block.columns {
            let first = (row * columns + column) * area;
            real += (first..first + area)
                .filter(|&entry| tensor.is_real(entry))
                .count() as u64;
        }
    }
    (real, (block.rows.len() * block.columns.len() * area) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::ModuleDisplay;
    use burn::tensor::Device;
    use dnw_models::{Classifier, UseModel};
    use dnw_train::counting::cost;
    use dnw_train::recipe::Recipe;

    struct Count<'a>(&'a Recipe);

    impl UseModel for Count<'_> {
        type Output = MultiplyAdds;

        fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> MultiplyAdds {
            let wire = self.0.wire(1, 10).expect("a wiring");
            let model = wire.attach(model).expect("it can be wired");
            let circuit = model.circuit([3, 32, 32]).expect("it is a circuit");
            MultiplyAdds::of_an_image(&circuit)
        }
    }

    #[test]
    fn counts_equal_the_cost_model_plus_the_depthwise_kernels() {
        let recipe = Recipe::named("cifar10-tiny-static-dnw", &[]).expect("a recipe");
        let (image, device) = ([3, 32, 32], Device::flex());
        let known = cost(&recipe, image, 10, None, &device).expect("it can be counted");
        device.seed(recipe.seed);
        let found = recipe
            .model
            .build(image, 10, &device, Count(&recipe))
            .expect("a model");
        let (work, dense) = (known.work, known.count.total.dense.multiply_adds);
        let depthwise = found.weight_gradient - work.dense_products;
        let hallucinated = work.graph_products - work.real_products;
        assert_eq!(found.forward, found.weight_gradient - hallucinated);
        // 800 nodes and 16 channels of the stem have 3 x 3 kernels on 8 x 8 feature maps.
        assert_eq!(depthwise, (800 + 16) * 9 * 64);
        assert!(found.weight_gradient <= dense, "{found:?} of {dense}");
        // Only the first convolution reads the image: 16 channels of 3 x 3 x 3 on 16 x 16 feature maps.
        assert_eq!(found.forward - found.input_gradient, 16 * 27 * 256);
        assert_eq!(found.times(3).forward, 3 * found.forward);
    }
}
