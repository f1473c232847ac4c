//! The cost of training: memory of a device by part, time of an update, bytes between devices.
//!
//! A cost model, computed from the network's circuit ([`counting`](crate::counting)) and a few rates of the machine. It is compared with
//! measurements: memory in `tests/memory.rs`, memory and time by `cargo xtask bench-backends`. `docs/scaling.md` has the results for whole
//! runs.

use crate::counting::Cost;

/// Bytes of a 32-bit float, the type of all trained tensors.
const FLOAT: u64 = 4;

/// The most values that the dense product packs of its factors, measured.
const PACKED: u64 = 1_280_000;

/// How a device computes the products of graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// With this project's kernels: forward and input gradient over real edges, weight gradient over all edges.
    OfRealEdges,
    /// As dense products of masked weights.
    Masked,
}

/// Memory of one device in training, in bytes.
///
/// The parts are needed at different times; see [`peak`](Self::peak).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The weights of all possible edges, and all other parameters.
    pub weights: u64,
    /// A gradient for each, also for hallucinated edges.
    pub gradients: u64,
    /// The momentum buffers.
    pub momentum: u64,
    /// The masks: one byte per entry.
    pub masks: u64,
    /// The products of weights and masks, and what their gradients need.
    pub effective: u64,
    /// Activations that are kept for the backward pass, and the batch.
    pub activations: u64,
    /// Temporaries of operations: the gradient of the largest feature map, parts of the largest tensor's gradient.
    pub workspace: u64,
    /// The new weights, while the optimizer also has the old ones.
    pub update: u64,
    /// The weights, their scores and the temporaries of the selection, on the host.
    pub selection: u64,
}

impl Memory {
    /// The memory of one device that trains with batches of this size.
    pub fn of(cost: &Cost, batch: usize, products: Products) -> Self {
        let parameters = FLOAT * cost.count.total.dense.parameters();
        let entries = cost.entries;
        let wired = entries.in_layers + entries.in_graphs;
        let image: usize = cost.image.iter().product();
        let batch = batch as u64;
        let common = Self {
            weights: parameters,
            gradients: parameters,
            momentum: parameters,
            masks: wired,
            activations: FLOAT * batch * (cost.work.kept + 2 * image as u64),
            ..Self::default()
        };
        let largest_map = batch * cost.work.largest_map;
        match products {
            // Kernels keep a copy of each mask to detect changes. They write gradients to their final place, and updates and masks in place. A
            // selection needs a bit per entry.
            Products::OfRealEdges => Self {
                effective: wired,
                workspace: FLOAT * (largest_map + (2 * entries.largest_of_levels).min(PACKED)),
                selection: entries.largest / 8,
                ..common
            },
            // A weight is multiplied by its mask; the product and the factor are kept. The gradient of each level's part is a gradient of the whole
            // tensor, which is added to the others. The optimizer creates new weights beside the old ones.
            Products::Masked => Self {
                effective: 2 * FLOAT * wired,
                workspace: FLOAT * (largest_map + 2 * entries.largest_of_levels),
                update: parameters + 3 * FLOAT * entries.largest,
                // For all tensors: weights, in vectors that grew by doubling, and scores. For one at a time: keys, 4 bytes, and indices, 8, in such vectors
                // too, and the half that the last doubling copies.
                selection: (2 * FLOAT + FLOAT) * wired + (2 * 12 + 4) * entries.largest,
                ..common
            },
        }
    }

    /// The peak: at the end of the backward pass, at the end of the optimizer, or in the selection. The selection counts if tensors are in host
    /// memory, as on CPUs.
    pub fn peak(&self, includes_selection: bool) -> u64 {
        let always = self.weights + self.momentum + self.masks;
        let backward = self.activations + self.workspace + self.effective.max(self.gradients);
        let selection = if includes_selection {
            self.selection
        } else {
            0
        };
        always + backward.max(self.gradients + self.update).max(selection)
    }
}

impl Cost {
    /// The approximate memory in bytes of a training on the CPU with batches of this size, without the program: the peak of the
    /// [model](Memory).
    pub fn training_bytes(&self, batch: usize) -> u64 {
        Memory::of(self, batch, Products::OfRealEdges).peak(true)
    }
}

/// The speed of a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Multiply-adds per second in dense products, forward and backward.
    pub products: f64,
    /// Values per second read or written by elementwise operations.
    pub numbers: f64,
    /// Weights per second updated and ranked.
    pub weights: f64,
}

/// Seconds of one update on one device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seconds {
    /// Convolutions and linear layers.
    pub products: f64,
    /// Norms, ReLUs, depthwise kernels, sums.
    pub maps: f64,
    /// The optimizer and the selection of edges.
    pub weights: f64,
}

impl Seconds {
    /// The time for a batch of this size.
    pub fn of(cost: &Cost, batch: usize, products: Products, rates: Rates) -> Self {
        let work = &cost.work;
        // One product in the forward pass, two in the backward pass.
        let dense = 3 * work.dense_products;
        let made = match products {
            Products::Masked => dense,
            Products::OfRealEdges => dense - 2 * (work.graph_products - work.real_products),
        };
        let batch = batch as f64;
        Self {
            products: batch * made as f64 / rates.products,
            maps: batch * work.moved as f64 / rates.numbers,
            weights: cost.count.total.dense.parameters() as f64 / rates.weights,
        }
    }

    /// The sum.
    pub fn total(&self) -> f64 {
        self.products + self.maps + self.weights
    }
}

/// Bytes that each of `devices` sends (and receives) to average the gradients of an update with a ring all-reduce: 2 (n - 1) / n of all
/// (Patarasuk and Yuan, *Bandwidth optimal all-reduce algorithms for clusters of workstations*, 2009).
///
/// In DNW gradients are dense: every possible edge has one.
pub fn exchanged(cost: &Cost, devices: usize, bytes_a_number: u64) -> u64 {
    let all = cost.count.total.dense.parameters() * bytes_a_number;
    match devices {
        0 | 1 => 0,
        n => 2 * (n as u64 - 1) * all / n as u64,
    }
}

/// Bytes of a checkpoint to resume from: weights, masks, momentum buffers.
pub fn checkpoint_bytes(cost: &Cost) -> u64 {
    let entries = cost.entries;
    2 * FLOAT * cost.count.total.dense.parameters() + entries.in_layers + entries.in_graphs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counting::{cost, published_data};
    use crate::recipe::Recipe;
    use burn::tensor::Device;

    fn cost_of(name: &str, changes: &[&str]) -> Cost {
        let changes: Vec<String> = changes.iter().map(|&change| change.into()).collect();
        let recipe = Recipe::named(name, &changes).unwrap();
        let (image, classes, _) = published_data(&recipe).unwrap();
        cost(&recipe, image, classes, None, &Device::flex()).unwrap()
    }

    /// A simulated ring: each part goes round once to be summed and once to be distributed.
    #[test]
    fn a_ring_of_devices_sends_the_computed_number_of_bytes() {
        let cost = cost_of("mnist", &[]);
        let numbers = cost.count.total.dense.parameters();
        for devices in [1, 2, 3, 8] {
            let part = numbers as f64 / devices as f64;
            let rounds = 2 * (devices - 1);
            let sent = (0..rounds).map(|_| 4.0 * part).sum::<f64>();
            let expected = exchanged(&cost, devices, 4) as f64;
            assert!(
                (sent - expected).abs() <= 1.0,
                "{devices}: {sent} and {expected}"
            );
        }
    }

    #[test]
    fn a_budget_changes_the_computation_but_not_the_exchanged_bytes() {
        let [few, many] = ["0.99", "0.5"].map(|rate| {
            let rate = format!("wiring.prune-rate={rate}");
            cost_of("cifar10-tiny-static-dnw", &[&rate])
        });
        assert_eq!(exchanged(&few, 8, 4), exchanged(&many, 8, 4));
        let rates = Rates {
            products: 1e9,
            numbers: 1e9,
            weights: 1e9,
        };
        let seconds = |cost, products| Seconds::of(cost, 64, products, rates).products;
        let masked = [&few, &many].map(|cost| seconds(cost, Products::Masked));
        assert_eq!(masked[0], masked[1]);
        let real = [&few, &many].map(|cost| seconds(cost, Products::OfRealEdges));
        assert!(real[0] < real[1] && real[1] < masked[1], "{real:?}");
        // The gradient of the weight is dense for every budget.
        assert!(real[0] > masked[0] / 3.0, "{real:?}");
    }

    /// 12,044,288 edges, 1,069,504 weights, 12,968 in norms and biases: the network of Wortsman et al., table 4.
    #[test]
    fn a_mobilenet_has_the_published_number_of_weights() {
        let cost = cost_of("imagenet-mobilenet-dnw-x0.225", &[]);
        let memory = Memory::of(&cost, 64, Products::Masked);
        assert_eq!(memory.weights, 4 * (12_044_288 + 1_069_504 + 12_968));
        assert_eq!(
            (memory.gradients, memory.momentum),
            (memory.weights, memory.weights)
        );
        assert_eq!(
            (cost.entries.in_graphs, cost.entries.in_layers),
            (12_044_288, 0)
        );
        let larger = Memory::of(&cost, 128, Products::Masked);
        assert_eq!(larger.activations, 2 * memory.activations);
        assert_eq!(larger.update, memory.update);
    }
}
