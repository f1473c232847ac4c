//! What was found: the JSON file.

use serde::{Deserialize, Serialize};

use super::statistics::Spread;

/// Everything measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Processor, cores, system.
    pub machine: String,
    /// What makes it again.
    pub command: String,
    /// The peer's name and version, if it was measured.
    pub framework: Option<String>,
    /// The limits of the machine.
    pub roofline: Roofline,
    /// Training steps.
    pub rows: Vec<TrainingRow>,
    /// Selections of edges.
    pub selection: Vec<SelectionRow>,
    /// Products.
    pub kernels: Vec<KernelRow>,
}

/// The limits of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// Threads.
    pub threads: usize,
    /// The vector instructions.
    pub instructions: String,
    /// Multiply-adds of 32 bits a second.
    pub multiply_adds: f64,
    /// Bytes a second, level by level.
    pub levels: Vec<Level>,
    /// Bytes a second, size by size.
    pub sweep: Vec<Bandwidth>,
}

/// A cache, or memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Its name.
    pub name: String,
    /// The bytes that a thread has of it, if it is a cache.
    pub bytes: Option<usize>,
    /// Bytes a second, read.
    pub read: f64,
    /// Bytes a second, `a = b + s c`.
    pub triad: f64,
}

/// What slices of one size were read at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// Bytes of each thread.
    pub bytes: usize,
    /// Bytes a second, read.
    pub read: f64,
    /// Bytes a second, `a = b + s c`.
    pub triad: f64,
}

impl Roofline {
    /// The share of the peak that so many multiply-adds in so many milliseconds are.
    pub fn share(&self, multiply_adds: u64, milliseconds: f64) -> f64 {
        multiply_adds as f64 / (1e-3 * milliseconds) / self.multiply_adds
    }

    /// The nearest cache level that holds so many bytes for each thread.
    fn level(&self, bytes: usize) -> &Level {
        let holds = |level: &&Level| level.bytes.is_none_or(|size| bytes <= size);
        let last = self.levels.last().expect("a machine has memory");
        self.levels.iter().find(holds).unwrap_or(last)
    }

    /// Milliseconds that a product takes at least on this machine, in either of two ways. Edge by edge, where each edge brings its row from
    /// where all rows fit, which are the maps of an image, or of the whole batch where a map is less than a vector; or densely, as quickly as the machine multiplies and adds. Either reads and writes all numbers once,
    /// weights among them, from where they fit. (Of products edge by edge: one that used a row for several targets while it is in a
    /// register would bring less.)
    pub fn product_ms(&self, case: &Case) -> f64 {
        let channels = [case.sources, case.targets].map(|n| n * case.pixels);
        let maps = case.images * channels.iter().sum::<usize>();
        let once = |weights: usize| {
            let bytes = (maps + weights) * size_of::<f32>();
            bytes as f64 / self.level(bytes / self.threads).triad
        };
        let weights = case.targets * case.sources;
        let terms = (case.images * case.pixels * weights) as f64;
        let dense = once(weights).max(terms / self.multiply_adds);
        let images = if case.pixels < 16 { case.images } else { 1 };
        let rows = images
            * match case.operation {
                Operation::Forward => channels[0],
                Operation::InputGradient => channels[1],
                // Every edge learns.
                Operation::WeightGradient => return 1e3 * dense,
            };
        let brought = terms * case.density * size_of::<f32>() as f64;
        let from = self.level(rows * size_of::<f32>());
        // A weight and a place each.
        let real = (2.0 * weights as f64 * case.density) as usize;
        1e3 * dense.min(once(real).max(brought / from.read))
    }
}

/// What a training step has to multiply and add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiplyAdds {
    /// Over real edges.
    pub forward: u64,
    /// Over real edges.
    pub input_gradient: u64,
    /// Over all edges.
    pub weight_gradient: u64,
}

impl MultiplyAdds {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.forward + self.input_gradient + self.weight_gradient
    }
}

/// A training step of one network: forward, backward, optimizer, selection of edges. Milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRow {
    /// The network.
    pub model: String,
    /// Our backend.
    pub backend: String,
    /// Images in a batch.
    pub batch: usize,
    /// Threads of each side.
    pub threads: usize,
    /// Rounds.
    pub rounds: usize,
    /// Ours, the median.
    pub ours_ms: f64,
    /// PyTorch's step as published.
    pub torch_dnw_ms: f64,
    /// PyTorch's step with a fixed mask: no selection.
    pub torch_fixed_ms: f64,
    /// PyTorch's time for a step over ours: the median over rounds.
    pub ratio: f64,
    /// The same of the step with a mask that stays.
    pub ratio_fixed: f64,
    /// The quartiles of all these.
    pub spread: TrainingSpread,
    /// What the method has to compute.
    pub multiply_adds: MultiplyAdds,
    /// The share of the machine's multiply-adds that ours makes of these.
    pub share_of_peak: f64,
    /// What each side's process holds: ours, PyTorch's as published, with a fixed mask.
    #[serde(default)]
    pub memory: Option<[Held; 3]>,
}

/// Memory of a process, bytes resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// With its network, before its first step.
    pub before: u64,
    /// The most, ever.
    pub peak: u64,
}

/// The quartiles of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingSpread {
    /// Of ours.
    pub ours_ms: Spread,
    /// Of PyTorch's.
    pub torch_dnw_ms: Spread,
    /// Of PyTorch's with a fixed mask.
    pub torch_fixed_ms: Spread,
    /// Of the ratio.
    pub ratio: Spread,
    /// Of the ratio to the fixed mask.
    pub ratio_fixed: Spread,
}

/// What is known of a network before its first round.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Network {
    /// Our device.
    pub device: String,
    /// Its name.
    pub model: String,
    /// Images in a batch.
    pub batch: usize,
    /// Threads.
    pub threads: usize,
    /// What the method has to compute.
    pub multiply_adds: MultiplyAdds,
}

impl TrainingRow {
    /// From the milliseconds of the same rounds.
    pub fn new(
        network: &Network,
        roofline: &Roofline,
        [ours, torch_dnw, torch_fixed]: [&[f64]; 3],
    ) -> Self {
        let spread = TrainingSpread {
            ours_ms: Spread::of(ours),
            torch_dnw_ms: Spread::of(torch_dnw),
            torch_fixed_ms: Spread::of(torch_fixed),
            ratio: Spread::of_ratios(torch_dnw, ours),
            ratio_fixed: Spread::of_ratios(torch_fixed, ours),
        };
        Self {
            model: network.model.clone(),
            backend: network.device.clone(),
            batch: network.batch,
            threads: network.threads,
            rounds: ours.len(),
            ours_ms: spread.ours_ms.median,
            torch_dnw_ms: spread.torch_dnw_ms.median,
            torch_fixed_ms: spread.torch_fixed_ms.median,
            ratio: spread.ratio.median,
            ratio_fixed: spread.ratio_fixed.median,
            multiply_adds: network.multiply_adds,
            share_of_peak: roofline.share(network.multiply_adds.total(), spread.ours_ms.median),
            spread,
            memory: None,
        }
    }
}

/// A selection of the largest weights. Milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectionRow {
    /// Weights.
    pub weights: usize,
    /// Of which so many are selected.
    pub edges: usize,
    /// Threads of each side.
    pub threads: usize,
    /// Rounds.
    pub rounds: usize,
    /// Ours, the median.
    pub ours_ms: f64,
    /// PyTorch's sort, which is the published way.
    pub torch_sort_ms: f64,
    /// PyTorch's k-th value.
    pub torch_kthvalue_ms: f64,
    /// The sort's time over ours: the median over rounds.
    pub ratio: f64,
    /// The same of the k-th value.
    pub ratio_kthvalue: f64,
    /// The quartiles of all these.
    pub spread: SelectionSpread,
}

/// The quartiles of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectionSpread {
    /// Of ours.
    pub ours_ms: Spread,
    /// Of the sort.
    pub torch_sort_ms: Spread,
    /// Of the k-th value.
    pub torch_kthvalue_ms: Spread,
    /// Of the ratio to the sort.
    pub ratio: Spread,
    /// Of the ratio to the k-th value.
    pub ratio_kthvalue: Spread,
}

impl SelectionRow {
    /// From the milliseconds of the same rounds.
    pub fn new(
        [weights, edges]: [usize; 2],
        threads: usize,
        [ours, sort, kthvalue]: [&[f64]; 3],
    ) -> Self {
        let spread = SelectionSpread {
            ours_ms: Spread::of(ours),
            torch_sort_ms: Spread::of(sort),
            torch_kthvalue_ms: Spread::of(kthvalue),
            ratio: Spread::of_ratios(sort, ours),
            ratio_kthvalue: Spread::of_ratios(kthvalue, ours),
        };
        Self {
            weights,
            edges,
            threads,
            rounds: ours.len(),
            ours_ms: spread.ours_ms.median,
            torch_sort_ms: spread.torch_sort_ms.median,
            torch_kthvalue_ms: spread.torch_kthvalue_ms.median,
            ratio: spread.ratio.median,
            ratio_kthvalue: spread.ratio_kthvalue.median,
            spread,
        }
    }
}

/// Which product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// To the targets.
    Forward,
    /// To the sources.
    InputGradient,
    /// To the edges.
    WeightGradient,
}

/// What grows along the measurements that a product belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Growing {
    /// The share of edges that are real.
    Density,
    /// The nodes.
    Nodes,
}

/// A product.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Which one.
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

impl Case {
    /// Multiply-adds of the real edges; about, since they are drawn.
    fn multiply_adds(&self) -> u64 {
        let all = (self.images * self.targets * self.sources * self.pixels) as f64;
        (all * self.density) as u64
    }
}

/// A kernel beside the dense product. Milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelRow {
    /// Which product.
    #[serde(flatten)]
    pub case: Case,
    /// Threads of both.
    pub threads: usize,
    /// Rounds.
    pub rounds: usize,
    /// Ours, the median.
    pub ours_ms: f64,
    /// The dense product of the `gemm` crate.
    pub gemm_ms: f64,
    /// Its time over ours: the median over rounds.
    pub ratio: f64,
    /// The quartiles of all these.
    pub spread: KernelSpread,
    /// The share of the machine's multiply-adds that ours makes.
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
    /// From the milliseconds of the same rounds.
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

    pub(crate) fn roofline() -> Roofline {
        Roofline {
            threads: 2,
            instructions: "AVX-512".into(),
            multiply_adds: 1e11,
            levels: vec![
                Level {
                    name: "L1".into(),
                    bytes: Some(48 << 10),
                    read: 4e11,
                    triad: 2e11,
                },
                Level {
                    name: "memory".into(),
                    bytes: None,
                    read: 2e10,
                    triad: 1e10,
                },
            ],
            sweep: vec![Bandwidth {
                bytes: 8 << 10,
                read: 4e11,
                triad: 2e11,
            }],
        }
    }

    pub(crate) fn network() -> Network {
        Network {
            device: "flex".into(),
            model: "tiny-static".into(),
            batch: 64,
            threads: 2,
            multiply_adds: MultiplyAdds {
                forward: 1_000_000,
                input_gradient: 1_000_000,
                weight_gradient: 998_000_000,
            },
        }
    }

    fn kernels() -> Vec<KernelRow> {
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

    /// A row of each kind.
    pub(crate) fn found() -> Found {
        let rounds: [&[f64]; 3] = [
            &[50.0, 55.0, 500.0],
            &[200.0, 220.0, 2000.0],
            &[100.0, 121.0, 900.0],
        ];
        Found {
            machine: "a machine, 2 threads".into(),
            command: "cargo xtask bench-peers".into(),
            framework: Some("PyTorch 2.6.0".into()),
            roofline: roofline(),
            rows: vec![TrainingRow {
                memory: Some([30, 400, 500].map(|mb| Held {
                    before: (mb - 20) << 20,
                    peak: mb << 20,
                })),
                ..TrainingRow::new(&network(), &roofline(), rounds)
            }],
            selection: vec![SelectionRow::new([640_000, 32_000], 2, rounds)],
            kernels: kernels(),
        }
    }

    #[test]
    fn a_row_has_the_fields_that_are_promised() {
        let json = serde_json::to_value(found()).expect("plain values");
        let row = &json["rows"][0];
        assert_eq!(row["model"], "tiny-static");
        assert_eq!((&row["batch"], &row["threads"]), (&64.into(), &2.into()));
        let number = |name: &str| row[name].as_f64().expect("a number");
        assert_eq!(number("ours_ms"), 55.0);
        assert_eq!(number("torch_dnw_ms"), 220.0);
        assert_eq!(number("torch_fixed_ms"), 121.0);
        assert_eq!((number("ratio"), number("ratio_fixed")), (4.0, 2.0));
        assert_eq!(row["spread"]["ratio_fixed"]["upper"], 2.1);
        // A billion multiply-adds in 55 ms, of 100 billion in a second.
        assert!((number("share_of_peak") - 1.0 / 5.5).abs() < 1e-12);
        for name in ["machine", "command", "framework", "roofline"] {
            assert!(!json[name].is_null(), "{name}");
        }
        assert_eq!(json["selection"][0]["ratio"], 4.0);
        let kernel = &json["kernels"][1];
        assert_eq!(
            (&kernel["operation"], &kernel["ratio"]),
            (&"forward".into(), &2.0.into())
        );
    }

    #[test]
    fn a_product_takes_what_the_narrowest_of_its_ways_takes() {
        let at = |density: f64| {
            let mut case = kernels()[0].case;
            case.density = density;
            roofline().product_ms(&case)
        };
        let is = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}");
        // A megabyte of numbers, once, at 10 GB/s.
        is(at(0.0), 0.1048576);
        // An image's channels of 128 KiB fit no cache: 671,088 multiply-adds bring four bytes each at 20 GB/s.
        is(at(0.01), 0.134217728);
        // All 67 million multiply-adds at 100 billion a second are quicker than edge by edge.
        is(at(0.1), 0.67108864);
        is(at(1.0), 0.67108864);
    }

    #[test]
    fn what_is_kept_can_be_read_again() {
        let text = serde_json::to_string(&found()).expect("plain values");
        assert_eq!(
            serde_json::from_str::<Found>(&text).expect("the same"),
            found()
        );
    }
}
