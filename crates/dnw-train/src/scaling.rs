//! Costs of training: memory of a device by part, time of an update, bytes between devices.
//!
//! A model of costs, from the network as a circuit ([`counting`](crate::counting)) and a few rates of the machine. It is
//! compared with measurements: of memory in `tests/memory.rs`, of both by `cargo xtask bench-backends`, which prints what was
//! predicted beside what was found. `docs/scaling.md` has the results for whole runs.

use crate::counting::Cost;

/// Bytes of a 32-bit float, of which everything is made that is trained.
const FLOAT: u64 = 4;

/// Numbers that the dense product packs of its factors at most, measured.
const PACKED: u64 = 1_280_000;

/// How a device computes the products of graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// By this project's kernels: forward and for the input's gradient over real edges only, for the weight's over all.
    OfRealEdges,
    /// As dense products of masked weights.
    Masked,
}

/// Memory of one device while training, bytes.
///
/// The parts are held at different moments; [`peak`](Self::peak) says when most is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The weight of every possible edge, and all other parameters.
    pub weights: u64,
    /// A gradient for each: hallucinated edges learn, too.
    pub gradients: u64,
    /// What the optimizer remembers of each.
    pub momentum: u64,
    /// Which edges are real: one byte an entry.
    pub masks: u64,
    /// Weights times their masks, and what is kept for their gradient.
    pub effective: u64,
    /// Maps kept from the forward to the backward pass, and the batch itself.
    pub activations: u64,
    /// What operations need while they run: the gradient of the largest map, parts of the largest tensor's gradient.
    pub workspace: u64,
    /// The new weights beside the old while the optimizer runs.
    pub update: u64,
    /// The weights, their scores and what chooses among those, on the host.
    pub choice: u64,
}

impl Memory {
    /// Of one device that trains batches of so many images.
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
            // Kernels keep a copy of each mask to see whether it has changed, and write gradients where they belong, updates and masks
            // in place. A selection needs a bit an entry.
            Products::OfRealEdges => Self {
                effective: wired,
                workspace: FLOAT * (largest_map + (2 * entries.largest_of_levels).min(PACKED)),
                choice: entries.largest / 8,
                ..common
            },
            // A weight is multiplied by its mask: the product is kept, and the factor. Of each level's part a gradient of the whole
            // tensor is made and added to that of the others. The optimizer makes new weights beside the old.
            Products::Masked => Self {
                effective: 2 * FLOAT * wired,
                workspace: FLOAT * (largest_map + 2 * entries.largest_of_levels),
                update: parameters + 3 * FLOAT * entries.largest,
                // Of all tensors weights, in vectors that grew by doubling, and scores; of one at a time keys, 4 bytes, and
                // places, 8, in such vectors too, and the half that the last doubling copies.
                choice: (2 * FLOAT + FLOAT) * wired + (2 * 12 + 4) * entries.largest,
                ..common
            },
        }
    }

    /// The most that is held at once: when the backward pass is nearly through, when the optimizer is, or when edges are selected. The
    /// selection counts where tensors lie in the host's memory, as they do on the CPU.
    pub fn peak(&self, with_choice: bool) -> u64 {
        let always = self.weights + self.momentum + self.masks;
        let backward = self.activations + self.workspace + self.effective.max(self.gradients);
        let choice = if with_choice { self.choice } else { 0 };
        always + backward.max(self.gradients + self.update).max(choice)
    }
}

impl Cost {
    /// About how many bytes a training on the CPU with batches of so many images needs, beside the program itself: the
    /// [model's](Memory) peak.
    pub fn training_bytes(&self, batch: usize) -> u64 {
        Memory::of(self, batch, Products::OfRealEdges).peak(true)
    }
}

/// How fast a device is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Multiply-adds a second of dense products, forward and backward.
    pub products: f64,
    /// Numbers a second that are read or written in passing over maps.
    pub numbers: f64,
    /// Weights a second that the optimizer moves and the rule ranks.
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
    /// For a batch of so many images.
    pub fn of(cost: &Cost, batch: usize, products: Products, rates: Rates) -> Self {
        let work = &cost.work;
        // One product forward, two backward.
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

    /// All of it.
    pub fn total(&self) -> f64 {
        self.products + self.maps + self.weights
    }
}

/// Bytes that each of `devices` sends (and receives) to average the gradients of one update, by a ring: 2 (n - 1) / n of them
/// (Patarasuk and Yuan, *Bandwidth optimal all-reduce algorithms for clusters of workstations*, 2009).
///
/// In DNW the gradients are dense: every possible edge has one, real or not.
pub fn exchanged(cost: &Cost, devices: usize, bytes_a_number: u64) -> u64 {
    let all = cost.count.total.dense.parameters() * bytes_a_number;
    match devices {
        0 | 1 => 0,
        n => 2 * (n as u64 - 1) * all / n as u64,
    }
}

/// Bytes of what a run has to write to go on from where it is: weights, masks, and what the optimizer remembers.
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

    /// A ring, played through: parts go round once to be summed and once more to be had by all.
    #[test]
    fn a_ring_of_devices_sends_as_many_bytes_as_are_said() {
        let cost = cost_of("mnist", &[]);
        let numbers = cost.count.total.dense.parameters();
        for devices in [1, 2, 3, 8] {
            let part = numbers as f64 / devices as f64;
            let rounds = 2 * (devices - 1);
            let sent = (0..rounds).map(|_| 4.0 * part).sum::<f64>();
            let said = exchanged(&cost, devices, 4) as f64;
            assert!((sent - said).abs() <= 1.0, "{devices}: {sent} and {said}");
        }
    }

    #[test]
    fn a_budget_changes_what_is_computed_and_not_what_is_exchanged() {
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
        // The gradient of the weight is dense whatever the budget is.
        assert!(real[0] > masked[0] / 3.0, "{real:?}");
    }

    /// 12,044,288 edges, 1,069,504 weights, 12,968 in norms and biases: the network of Wortsman et al., table 4.
    #[test]
    fn a_mobilenet_has_the_weights_that_its_paper_gives_it() {
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
