//! The results: the JSON file.

use serde::{Deserialize, Serialize};

use super::products::KernelRow;
use super::roofline::Roofline;
use super::statistics::Spread;

/// All measurements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Processor, cores, system.
    pub machine: String,
    /// The command that measures it again.
    pub command: String,
    /// Name and version of the peer, if measured.
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

/// Multiply-adds of a training step.
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
    /// Their sum.
    pub fn total(&self) -> u64 {
        self.forward + self.input_gradient + self.weight_gradient
    }
}

/// A training step of one network: forward, backward, optimizer, selection of edges. Times in milliseconds.
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
    /// Our median.
    pub ours_ms: f64,
    /// The median of PyTorch's step as published.
    pub torch_dnw_ms: f64,
    /// The median of PyTorch's step with a fixed mask: no selection.
    pub torch_fixed_ms: f64,
    /// PyTorch's time divided by ours: the median over rounds.
    pub ratio: f64,
    /// The same for the fixed mask.
    pub ratio_fixed: f64,
    /// The quartiles of all of these.
    pub spread: TrainingSpread,
    /// The multiply-adds of the method.
    pub multiply_adds: MultiplyAdds,
    /// Our share of the machine's peak.
    pub share_of_peak: f64,
    /// Memory of each side: ours, PyTorch as published, PyTorch with a fixed mask.
    #[serde(default)]
    pub memory: Option<[Memory; 3]>,
}

/// Resident memory of a process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// With its network, before the first step.
    pub before: u64,
    /// The peak.
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

/// A network that is ready to be measured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Network {
    /// The device.
    pub device: String,
    /// Its name.
    pub model: String,
    /// Images in a batch.
    pub batch: usize,
    /// Threads.
    pub threads: usize,
    /// The multiply-adds of the method.
    pub multiply_adds: MultiplyAdds,
}

impl TrainingRow {
    /// From the times of the same rounds, in milliseconds.
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

/// A selection of the largest weights. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectionRow {
    /// Weights.
    pub weights: usize,
    /// How many of them are selected.
    pub edges: usize,
    /// Threads of each side.
    pub threads: usize,
    /// Rounds.
    pub rounds: usize,
    /// Our median.
    pub ours_ms: f64,
    /// The median of PyTorch's sort, the published method.
    pub torch_sort_ms: f64,
    /// The median of PyTorch's `kthvalue`.
    pub torch_kthvalue_ms: f64,
    /// The sort's time divided by ours: the median over rounds.
    pub ratio: f64,
    /// The same for `kthvalue`.
    pub ratio_kthvalue: f64,
    /// The quartiles of all of these.
    pub spread: SelectionSpread,
}

/// The quartiles of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectionSpread {
    /// Of ours.
    pub ours_ms: Spread,
    /// Of the sort.
    pub torch_sort_ms: Spread,
    /// Of `kthvalue`.
    pub torch_kthvalue_ms: Spread,
    /// Of the ratio to the sort.
    pub ratio: Spread,
    /// Of the ratio to `kthvalue`.
    pub ratio_kthvalue: Spread,
}

impl SelectionRow {
    /// From the times of the same rounds, in milliseconds.
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::peers::products::tests::kernels;
    use crate::peers::roofline::tests::roofline;

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

    /// A row of each kind.
    pub(crate) fn results() -> Results {
        let rounds: [&[f64]; 3] = [
            &[50.0, 55.0, 500.0],
            &[200.0, 220.0, 2000.0],
            &[100.0, 121.0, 900.0],
        ];
        Results {
            machine: "a machine, 2 threads".into(),
            command: "cargo xtask bench-peers".into(),
            framework: Some("PyTorch 2.6.0".into()),
            roofline: roofline(),
            rows: vec![TrainingRow {
                memory: Some([30, 400, 500].map(|mb| Memory {
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
    fn the_json_has_its_documented_fields() {
        let json = serde_json::to_value(results()).expect("plain values");
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
    fn results_can_be_read_again() {
        let text = serde_json::to_string(&results()).expect("plain values");
        assert_eq!(
            serde_json::from_str::<Results>(&text).expect("valid JSON"),
            results()
        );
    }
}
