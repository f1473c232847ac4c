//! What a step of a compiled model is, as numbers.

use dnw_runtime::plan::{BLOCK, Op, Step, Sums};

/// Facts about a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFacts {
    /// `[channels, height, width]` of its output.
    pub shape: [usize; 3],
    /// Weights that are not zero, if it has weights.
    pub edges: usize,
    /// The weights that it would have without sparsity, between the sources that it reads and its targets.
    pub possible: usize,
    /// Multiplications of weights with pixels, for one image, without those of zeros.
    pub multiply_adds: usize,
    /// Bytes of weights and indices that it reads, in memory.
    pub bytes: usize,
    /// Bytes of feature maps that it reads and writes, each counted once.
    pub maps: usize,
}

impl StepFacts {
    /// The facts of a step.
    pub fn of(step: &Step) -> Self {
        let facts = |shape: [usize; 3], edges: usize, possible: usize, words: usize| Self {
            shape,
            edges,
            possible,
            multiply_adds: edges * shape[1] * shape[2],
            bytes: 4 * words,
            maps: 4 * numbers(&step.op),
        };
        match &step.op {
            Op::Sums(sums) => {
                let targets = sums.to.shape[0];
                let words = sums.rows.len()
                    + sums.starts.len()
                    + sums.terms.len()
                    + sums.weights.len()
                    + sums.bias.len()
                    + sums.channels.len();
                let possible = targets * sums.rows.len();
                let edges = real(&sums.weights);
                let [height, width] = sums.map;
                // A depthwise convolution that follows is computed in the same step.
                let kernels = sums.then.as_ref();
                let kernels = kernels.map_or([0; 2], |k| [real(&k.weights), k.weights.len()]);
                let all = words + kernels[1] + kernels[1].min(targets);
                let [_, rows, columns] = sums.to.shape;
                Self {
                    multiply_adds: edges * height * width + kernels[0] * rows * columns,
                    ..facts(sums.to.shape, edges, possible, all)
                }
            }
            Op::Linear(linear) => {
                let indices = linear.edges.as_ref();
                let indices = indices.map_or(0, |edges| edges.starts.len() + edges.sources.len());
                let words = indices + linear.weights.len() + linear.bias.len();
                let possible = linear.from.shape[0] * linear.to.shape[0];
                facts(linear.to.shape, real(&linear.weights), possible, words)
            }
            Op::Depthwise(depthwise) => {
                let weights = depthwise.weights.len();
                let words = weights + depthwise.bias.len();
                facts(depthwise.to.shape, real(&depthwise.weights), weights, words)
            }
            Op::Norm(norm) => facts(norm.to.shape, 0, 0, norm.scale.len() + norm.shift.len()),
            Op::Pad(pad) => facts(pad.from.shape, 0, 0, 0),
            Op::Pool(pool) => facts(pool.to.shape, 0, 0, 0),
            Op::Add(add) => facts(add.to.shape, 0, 0, 0),
            Op::Activation(activate) => facts(activate.to.shape, 0, 0, 0),
            Op::Product(product) => facts(product.to.shape, 0, 0, 0),
            Op::Softmax(softmax) => facts(softmax.to.shape, 0, 0, 0),
            Op::PixelNorm(norm) => facts(norm.to.shape, 0, 0, norm.scale.len() + norm.shift.len()),
            Op::Unfold(unfold) => facts(unfold.to.shape, 0, 0, 0),
            Op::Resample(resample) => {
                let taps = resample.rows.inputs.len() + resample.columns.inputs.len();
                facts(resample.to.shape, 0, 0, 2 * taps)
            }
            Op::Copy(copy) => facts(copy.to.shape, 0, 0, 4 * copy.pieces.len()),
        }
    }

    /// The share of the possible weights that are not zero; `None` if there are none.
    pub fn density(&self) -> Option<f64> {
        (self.possible > 0).then(|| self.edges as f64 / self.possible as f64)
    }
}

/// Numbers of feature maps that an operation reads and writes.
fn numbers(op: &Op) -> usize {
    match op {
        Op::Sums(sums) => {
            // Rows may overlap, as the taps of a kernel do.
            let row = sums.map[0] * sums.line;
            let mut rows = sums.rows.clone();
            rows.sort_unstable();
            let gaps = rows.windows(2).map(|pair| (pair[1] - pair[0]) as usize);
            let read = gaps.map(|gap| gap.min(row)).sum::<usize>() + row.min(row * rows.len());
            let residual = sums.residual.len() * sums.map[0] * sums.map[1];
            read + sums.to.len() + residual
        }
        Op::Pad(x) => x.from.len() + x.from.shape[0] * x.layout.rows_per_channel() * x.layout.row,
        Op::Add(x) => (x.from.len() + 1) * x.to.len(),
        Op::Product(x) => x.from.len() + x.by.len() + x.to.len(),
        Op::Copy(x) => x.pieces.iter().map(|piece| 2 * piece.len as usize).sum(),
        Op::Linear(x) => x.from.len() + x.to.len(),
        Op::Depthwise(x) => x.from.len() + x.to.len(),
        Op::Norm(x) => x.from.len() + x.to.len(),
        Op::Pool(x) => x.from.len() + x.to.len(),
        Op::Activation(x) => x.from.len() + x.to.len(),
        Op::Softmax(x) => x.from.len() + x.to.len(),
        Op::PixelNorm(x) => x.from.len() + x.to.len(),
        Op::Unfold(x) => x.from.len() + x.to.len(),
        Op::Resample(x) => x.from.len() + x.to.len(),
    }
}

fn real(weights: &[f32]) -> usize {
    weights.iter().filter(|&&weight| weight != 0.0).count()
}

/// The same layer as if it had been trained in blocks of [`BLOCK`] targets, with as many edges: what such a wiring would cost. `None` if it is
/// already computed in blocks or too small for one. What it computes is of no use.
pub fn in_blocks(sums: &Sums) -> Option<Sums> {
    let targets = sums.starts.len().checked_sub(1)?;
    if sums.block != 1 || targets < BLOCK {
        return None;
    }
    let (mut starts, mut terms) = (vec![0], Vec::new());
    for first in (0..targets).step_by(BLOCK) {
        let last = (first + BLOCK).min(targets);
        let edges = sums.starts[first] as usize..sums.starts[last] as usize;
        let mut rows = sums.terms[edges.clone()].to_vec();
        rows.sort_unstable();
        rows.dedup();
        // As many edges as there were, spread over the rows that were read. There are enough: no target has two edges from one row.
        let wanted = edges.len().div_ceil(last - first);
        terms.extend((0..wanted).map(|i| rows[i * rows.len() / wanted]));
        starts.push(u32::try_from(terms.len()).ok()?);
    }
    let places = targets.next_multiple_of(BLOCK);
    let mut channels = sums.channels.clone();
    channels.resize(places, u32::MAX);
    let mut bias = sums.bias.clone();
    bias.resize(places, 0.0);
    let then = sums.then.clone().map(|mut kernels| {
        let [height, width] = kernels.window.kernel;
        kernels.weights.resize(places * height * width, 0.0);
        kernels.bias.resize(places, 0.0);
        kernels
    });
    Some(Sums {
        block: BLOCK,
        starts,
        weights: vec![0.01; terms.len() * BLOCK],
        terms,
        bias,
        channels,
        then,
        ..sums.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnw_runtime::plan::Maps;

    /// Five targets that read up to four rows of sixteen pixels.
    fn sums() -> Sums {
        Sums {
            block: 1,
            rows: vec![0, 16, 32, 48],
            starts: vec![0, 2, 3, 3, 7, 8],
            terms: vec![0, 1, 2, 0, 1, 2, 3, 3],
            weights: vec![1.0, 2.0, 0.0, 4.0, 5.0, 6.0, 7.0, 8.0],
            bias: vec![0.0; 5],
            map: [4, 4],
            line: 4,
            channels: vec![0, 1, 2, 3, 4],
            to: Maps::new(64, [5, 4, 4]),
            residual: vec![],
            relu: false,
            then: None,
        }
    }

    #[test]
    fn zeros_are_no_edges() {
        let step = Step {
            layer: String::new(),
            reason: String::new(),
            op: Op::Sums(sums()),
        };
        let facts = StepFacts::of(&step);
        assert_eq!((facts.edges, facts.possible), (7, 20));
        assert_eq!(facts.multiply_adds, 7 * 16);
        assert_eq!(facts.density(), Some(0.35));
        // Four rows and five outputs of sixteen numbers.
        assert_eq!(facts.maps, 4 * 16 * (4 + 5));
    }

    #[test]
    fn blocks_have_as_many_edges_and_only_rows_that_were_read() {
        let blocks = in_blocks(&sums()).unwrap();
        // Seven edges of four targets are two rows, one edge of one target is one.
        assert_eq!(blocks.starts, [0, 2, 3]);
        assert_eq!(blocks.terms, [0, 2, 3]);
        assert_eq!(blocks.weights.len(), 12);
        assert_eq!(blocks.channels[4..], [4, u32::MAX, u32::MAX, u32::MAX]);
        assert_eq!(in_blocks(&blocks), None);
    }
}
