//! Measures wired products against dense ones, over shapes and densities.

use std::hint::black_box;
use std::time::Instant;

use dnw_kernels::EdgeIndex;
use dnw_kernels::product::{self, Layout, ProductShape};
use serde::Serialize;

use crate::{dense, edges, random_values};

/// The measured densities.
pub const DENSITIES: [f64; 8] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0];
/// Real edges into each target in the cases with a growing number of nodes.
pub const EDGES_A_NODE: usize = 16;
/// The minimum duration of a sample in seconds: short products are repeated.
const SAMPLE: f64 = 0.004;

/// The shapes with varying density: two from the first measurements of the kernels, a level of the tiny classifier's graph, and the last
/// stage of MobileNetV1 at 32 x 32, with few pixels per feature map.
pub const SHAPES: [ProductShape; 4] = [
    shape(32, 512, 512, 192),
    shape(64, 576, 192, 64),
    shape(64, 192, 192, 64),
    shape(32, 2048, 1024, 4),
];

/// The shapes with a varying number of nodes, with [`EDGES_A_NODE`] edges each.
pub const NODES: [ProductShape; 6] = [
    shape(16, 64, 64, 64),
    shape(16, 128, 128, 64),
    shape(16, 256, 256, 64),
    shape(16, 512, 512, 64),
    shape(16, 1024, 1024, 64),
    shape(16, 2048, 2048, 64),
];

const fn shape(images: usize, targets: usize, sources: usize, pixels: usize) -> ProductShape {
    ProductShape {
        images,
        targets,
        sources,
        pixels,
        layout: Layout::TargetsFirst,
    }
}

/// The kind of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The forward pass, over real edges.
    Forward,
    /// The gradient of the input, over real edges.
    InputGradient,
    /// The gradient of the weight, over all edges.
    WeightGradient,
}

/// The varied quantity of a series of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Growing {
    /// The density.
    Density,
    /// The number of nodes, with a constant number of real edges into each.
    Nodes,
}

/// A measured product and its shape.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Case {
    /// The kind of product.
    pub operation: Operation,
    /// The series.
    pub growing: Growing,
    /// Images in the batch.
    pub images: usize,
    /// Rows of the weight.
    pub targets: usize,
    /// Columns of the weight.
    pub sources: usize,
    /// Pixels of a feature map.
    pub pixels: usize,
    /// The density.
    pub density: f64,
}

/// The durations of a case in milliseconds, round by round.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Those of the wired product.
    pub ours_ms: Vec<f64>,
    /// Those of the dense product, measured right after.
    pub gemm_ms: Vec<f64>,
}

impl Case {
    /// A product of this shape and density.
    pub fn new(operation: Operation, growing: Growing, shape: ProductShape, density: f64) -> Self {
        Self {
            operation,
            growing,
            images: shape.images,
            targets: shape.targets,
            sources: shape.sources,
            pixels: shape.pixels,
            density,
        }
    }

    /// Its shape.
    pub fn shape(&self) -> ProductShape {
        shape(self.images, self.targets, self.sources, self.pixels)
    }
}

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in SHAPES {
        for operation in [Operation::Forward, Operation::InputGradient] {
            let of = |density| Case::new(operation, Growing::Density, shape, density);
            cases.extend(DENSITIES.map(of));
        }
        // Hallucinated edges learn too, so the density does not matter.
        let growing = Growing::Density;
        cases.push(Case::new(Operation::WeightGradient, growing, shape, 1.0));
    }
    for shape in NODES {
        let density = EDGES_A_NODE as f64 / shape.sources as f64;
        let growing = Growing::Nodes;
        cases.push(Case::new(Operation::Forward, growing, shape, density));
    }
    cases
}

/// The data of a case.
pub struct Bench {
    case: Case,
    index: EdgeIndex,
    x: Vec<f32>,
    weight: Vec<f32>,
    dy: Vec<f32>,
    out: Vec<f32>,
}

impl Bench {
    /// Random data and edges for a case.
    pub fn new(case: Case) -> Self {
        let shape = case.shape();
        let inputs = shape.images * shape.sources * shape.pixels;
        let outputs = shape.images * shape.targets * shape.pixels;
        let edges_of_all = shape.targets * shape.sources;
        let out = match case.operation {
            Operation::Forward => outputs,
            Operation::InputGradient => inputs,
            Operation::WeightGradient => edges_of_all,
        };
        Self {
            index: edges(shape.targets, shape.sources, case.density),
            x: random_values(1, inputs),
            weight: random_values(2, edges_of_all),
            dy: random_values(3, outputs),
            out: vec![0.0; out],
            case,
        }
    }

    /// Computes the wired product once.
    pub fn ours(&mut self) {
        let shape = self.case.shape();
        let (x, w, dy) = (&self.x, &self.weight, &self.dy);
        match self.case.operation {
            // Including the gather of the edges' weights, as in each forward pass.
            Operation::Forward => {
                let edges = self.index.weights(w);
                product::forward(shape, x, &edges, &self.index, &mut self.out);
            }
            Operation::InputGradient => {
                let edges = self.index.weights(w);
                product::input_gradient(shape, dy, &edges, &self.index, &mut self.out);
            }
            Operation::WeightGradient => product::weight_gradient(shape, x, dy, &mut self.out),
        }
        black_box(&mut self.out);
    }

    /// Computes the dense product once.
    pub fn gemm(&mut self) {
        let shape = self.case.shape();
        let (x, w, dy) = (&self.x, &self.weight, &self.dy);
        match self.case.operation {
            Operation::Forward => dense::forward(shape, x, w, &mut self.out),
            Operation::InputGradient => dense::input_gradient(shape, dy, w, &mut self.out),
            Operation::WeightGradient => dense::weight_gradient(shape, x, dy, &mut self.out),
        }
        black_box(&mut self.out);
    }

    /// Measures both alternately, `times` times.
    pub fn compare(&mut self, times: usize) -> Compared {
        let mut compared = Compared {
            ours_ms: Vec::new(),
            gemm_ms: Vec::new(),
        };
        for _ in 0..times {
            compared.ours_ms.push(sample(|| self.ours()));
            compared.gemm_ms.push(sample(|| self.gemm()));
        }
        compared
    }
}

/// A duration in milliseconds, after one untimed run; the mean of several runs if they are short.
fn sample(mut work: impl FnMut()) -> f64 {
    work();
    let (began, mut made) = (Instant::now(), 0);
    loop {
        work();
        made += 1;
        let taken = began.elapsed().as_secs_f64();
        if taken >= SAMPLE {
            return 1e3 * taken / f64::from(made);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_measured_at_every_density() {
        let cases = cases();
        assert_eq!(
            cases.len(),
            SHAPES.len() * (2 * DENSITIES.len() + 1) + NODES.len()
        );
        let of_nodes = cases.iter().filter(|case| case.growing == Growing::Nodes);
        for case in of_nodes {
            assert_eq!(case.density * case.sources as f64, EDGES_A_NODE as f64);
        }
    }

    #[test]
    fn a_case_of_density_one_has_every_edge() {
        let case = Case::new(Operation::Forward, Growing::Density, shape(1, 9, 8, 4), 1.0);
        let mut bench = Bench::new(case);
        assert_eq!(bench.index.len(), 72);
        let compared = bench.compare(3);
        assert_eq!((compared.ours_ms.len(), compared.gemm_ms.len()), (3, 3));
    }
}
