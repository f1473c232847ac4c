//! The wired product beside the dense one, over shapes and densities.

use std::hint::black_box;
use std::time::Instant;

use dnw_kernels::EdgeIndex;
use dnw_kernels::product::{self, Layout, ProductShape};
use serde::Serialize;

use crate::{dense, edges, numbers};

/// The densities that products are measured at.
pub const DENSITIES: [f64; 8] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0];
/// Real edges into each target where the number of nodes grows.
pub const EDGES_A_NODE: usize = 16;
/// A sample takes no less than this, seconds, so that a short product is made several times.
const SAMPLE: f64 = 0.004;

/// The shapes of which the density is varied: two that the first kernels were measured on, a level of the tiny classifier's graph, and
/// the last stage of MobileNetV1 at 32 x 32, where maps have few pixels.
pub const SHAPES: [ProductShape; 4] = [
    shape(32, 512, 512, 192),
    shape(64, 576, 192, 64),
    shape(64, 192, 192, 64),
    shape(32, 2048, 1024, 4),
];

/// The shapes of which the number of nodes is varied, at [`EDGES_A_NODE`].
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

/// Which product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// To the targets, over real edges.
    Forward,
    /// To the sources, over real edges.
    InputGradient,
    /// To the edges, over all of them.
    WeightGradient,
}

/// What grows along the measurements that a case belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Growing {
    /// The share of edges that are real.
    Density,
    /// The nodes, with as many real edges into each.
    Nodes,
}

/// What is measured, on which shape.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Case {
    /// Which product.
    pub operation: Operation,
    /// Of which measurements.
    pub growing: Growing,
    /// Images in the batch.
    pub images: usize,
    /// Rows of the weight.
    pub targets: usize,
    /// Columns of the weight.
    pub sources: usize,
    /// Pixels of a channel.
    pub pixels: usize,
    /// The share of the edges that are real.
    pub density: f64,
}

/// Milliseconds of a case in one round after the other.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Of the kernel.
    pub ours_ms: Vec<f64>,
    /// Of the dense product, made right after.
    pub gemm_ms: Vec<f64>,
}

impl Case {
    /// A product of this shape, of whose edges such a share is real.
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
        // Every hallucinated edge learns, so that density changes nothing here.
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

/// The numbers that a case is measured on.
pub struct Bench {
    case: Case,
    index: EdgeIndex,
    x: Vec<f32>,
    weight: Vec<f32>,
    dy: Vec<f32>,
    out: Vec<f32>,
}

impl Bench {
    /// Numbers and edges for a case.
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
            x: numbers(1, inputs),
            weight: numbers(2, edges_of_all),
            dy: numbers(3, outputs),
            out: vec![0.0; out],
            case,
        }
    }

    /// The kernel, once.
    pub fn ours(&mut self) {
        let shape = self.case.shape();
        let (x, w, dy) = (&self.x, &self.weight, &self.dy);
        match self.case.operation {
            // With the edges' weights picked from the whole weight, as each pass does.
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

    /// The dense product, once.
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

    /// Both in turn, so many times.
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

/// Milliseconds, once after once untimed; of something short the mean of several.
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
