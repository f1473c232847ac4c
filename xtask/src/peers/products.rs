//! Wired products and their measurements.

use serde::{Deserialize, Serialize};

use super::roofline::Roofline;
use super::statistics::Spread;

/// The operation of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The output.
    Forward,
    /// The gradient of the input.
    InputGradient,
    /// The gradient of the weight.
    WeightGradient,
}

/// The quantity that grows in a series of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Growing {
    /// The density.
    Density,
    /// The number of nodes.
    Nodes,
}

/// A product to measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The operation.
    pub operation: Operation,
    /// The series that it belongs to.
    pub growing: Growing,
    /// Images in the batch.
    pub images: usize,
    /// Rows of the weight.
    pub targets: usize,
    /// Columns of the weight.
    pub sources: usize,
    /// Pixels per channel.
    pub pixels: usize,
    /// The share of edges that are real.
    pub density: f64,
}

impl Case {
    /// Multiply-adds of the real edges, approximately, since they are random.
    fn multiply_adds(&self) -> u64 {
        let all = (self.images * self.targets * self.sources * self.pixels) as f64;
        (all * self.density) as u64
    }

    /// The least time of the product on this machine, in milliseconds, by the faster of two methods.
    ///
    /// Edge by edge, each edge reads its row from the level that holds all rows: the feature maps of an image, or of the whole batch if a map
    /// is smaller than a vector. Densely, the machine runs at its peak. Both read and write each value once, weights included. (An
    /// implementation that used a row for several targets while it is in a register would read less.)
    pub fn least_ms(&self, roofline: &Roofline) -> f64 {
        let channels = [self.sources, self.targets].map(|n| n * self.pixels);
        let maps = self.images * channels.iter().sum::<usize>();
        let once = |weights: usize| {
            let bytes = (maps + weights) * size_of::<f32>();
            bytes as f64 / roofline.level(bytes / roofline.threads).triad
        };
        let weights = self.targets * self.sources;
        let terms = (self.images * self.pixels * weights) as f64;
        let dense = once(weights).max(terms / roofline.multiply_adds);
        let images = if self.pixels < 16 { self.images } else { 1 };
        let rows = images
            * match self.operation {
                Operation::Forward => channels[0],
                Operation::InputGradient => channels[1],
                // Every edge learns.
                Operation::WeightGradient => return 1e3 * dense,
            };
        let read = terms * self.density * size_of::<f32>() as f64;
        let from = roofline.level(rows * size_of::<f32>());
        // A weight and an index each.
        let real = (2.0 * weights as f64 * self.density) as usize;
        1e3 * dense.min(once(real).max(read / from.read))
    }
}

/// A kernel compared with the dense product. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelRow {
    /// The product.
    #[serde(flatten)]
    pub case: Case,
    /// Threads of each side.
    pub threads: usize,
    /// Rounds.
    pub rounds: usize,
    /// Our median.
    pub ours_ms: f64,
    /// The median of the dense product of the `gemm` crate.
    pub gemm_ms: f64,
    /// Its time divided by ours: the median over rounds.
    pub ratio: f64,
    /// The quartiles of all these.
    pub spread: KernelSpread,
    /// Our share of the machine's peak.
    pub share_of_peak: f64,
}

/// The quartiles of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelSpread {
    /// Of ours.
    pub ours_ms: Spread,
    /// Of the dense product.
    pub gemm_ms: Spread,
    /// Of the ratio.
    pub ratio: Spread,
}

impl KernelRow {
    /// From the times of the same rounds, in milliseconds.
    pub fn new(case: Case, roofline: &Roofline, ours: &[f64], gemm: &[f64]) -> Self {
        let spread = KernelSpread {
            ours_ms: Spread::of(ours),
            gemm_ms: Spread::of(gemm),
            ratio: Spread::of_ratios(gemm, ours),
        };
        Self {
            case,
            threads: roofline.threads,
            rounds: ours.len(),
            ours_ms: spread.ours_ms.median,
            gemm_ms: spread.gemm_ms.median,
            ratio: spread.ratio.median,
            share_of_peak: roofline.share(case.multiply_adds(), spread.ours_ms.median),
            spread,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::peers::roofline::tests::roofline;

    pub(crate) fn kernels() -> Vec<KernelRow> {
        let case = |growing, sources, density| Case {
            operation: Operation::Forward,
            growing,
            images: 4,
            targets: sources,
            sources,
            pixels: 64,
            density,
        };
        let rows = [
            (case(Growing::Density, 512, 0.01), 1.0),
            (case(Growing::Density, 512, 0.1), 5.0),
            (case(Growing::Density, 512, 1.0), 12.0),
            (case(Growing::Nodes, 64, 0.25), 0.2),
            (case(Growing::Nodes, 512, 0.03125), 1.6),
        ];
        let row = |(case, ours): (Case, f64)| {
            let gemm = 10.0 * (case.sources as f64 / 512.0).powi(2);
            KernelRow::new(case, &roofline(), &[ours; 3], &[gemm; 3])
        };
        rows.map(row).into()
    }

    #[test]
    fn the_least_time_is_that_of_the_faster_method() {
        let at = |density: f64| {
            let mut case = kernels()[0].case;
            case.density = density;
            case.least_ms(&roofline())
        };
        let is = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}");
        // A megabyte of values, once, at 10 GB/s.
        is(at(0.0), 0.1048576);
        // An image's channels, 128 KiB, fit in no cache: 671,088 multiply-adds read four bytes each at 20 GB/s.
        is(at(0.01), 0.134217728);
        // All 67 million multiply-adds at 100 billion a second are faster than edge by edge.
        is(at(0.1), 0.67108864);
        is(at(1.0), 0.67108864);
    }
}
