//! What a run leaves behind for the page.
//!
//! Everything that moves is either a column of numbers ([`Curves`]) or a compact byte string
//! ([`Blob`]): a wiring is a bitset, its history is delta-coded swaps, weights are 16-bit integers
//! with one scale per frame. The page decodes the same bytes in JavaScript.

use serde::{Deserialize, Serialize};

/// The version of the layout below; the page refuses another.
pub const RECORDING_VERSION: u32 = 1;

/// One recorded run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    /// Always [`RECORDING_VERSION`] when written by this crate.
    pub version: u32,
    /// What was run, where, with what.
    pub run: RunFacts,
    /// What it was trained on.
    pub data: DataFacts,
    /// What came out.
    pub outcome: Outcome,
    /// Optimizer updates made. The time axis of the page runs from 0 (before the first) to this.
    pub updates: u64,
    /// Loss, accuracy and swaps over the run.
    pub curves: Curves,
    /// The nodes, when the network is one that can be drawn as nodes and edges.
    pub nodes: Vec<Node>,
    /// The wired weights, in the order in which the data passes through them.
    pub layers: Vec<Layer>,
    /// A few test images, how they were classified over time and what the nodes saw.
    pub samples: Option<Samples>,
}

/// What was run, where, with what.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunFacts {
    /// The run's short name (its folder's name).
    pub name: String,
    /// The recipe's name.
    pub recipe: String,
    /// The resolved recipe as TOML text.
    pub recipe_text: String,
    /// The command line that makes the run again.
    pub command: String,
    /// The rule that chose the edges, in words.
    pub rule: String,
    /// The seed of weights, order and augmentation.
    pub seed: u64,
    /// Program name and version, library versions, device, threads: label and value, in reading order.
    pub environment: Vec<(String, String)>,
    /// Wall-clock seconds of training.
    pub seconds: f64,
    /// Whether the run reached its planned end.
    pub finished: bool,
}

/// What the network was trained on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DataFacts {
    /// The data set's name.
    pub name: String,
    /// The classes' names.
    pub classes: Vec<String>,
    /// Images in the training part.
    pub train_images: usize,
    /// Images in the test part.
    pub test_images: usize,
}

/// What came out of the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Share of test images classified right, 0 to 1, at the last evaluation.
    pub test_accuracy: f64,
    /// The best evaluation.
    pub best_test_accuracy: f64,
    /// Edges that are real at the end.
    pub edges_real: usize,
    /// Edges that could be.
    pub edges_possible: usize,
    /// Parameters that take part in the forward pass at the end.
    pub parameters: usize,
}

/// Loss, accuracy and swaps over the run. Columns of equal length inside each part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Curves {
    /// Training, averaged over the updates since the entry before.
    pub train: TrainCurve,
    /// Evaluations on the test part.
    pub test: TestCurve,
}

/// The training columns.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrainCurve {
    /// The update at which the entry was written.
    pub update: Vec<u64>,
    /// Mean loss.
    pub loss: Vec<f32>,
    /// Mean accuracy, 0 to 1.
    pub accuracy: Vec<f32>,
    /// Swaps in all layers since the entry before (edges added).
    pub swaps: Vec<u32>,
    /// Learning rate.
    pub learning_rate: Vec<f32>,
    /// Real edges in all layers.
    pub real: Vec<u32>,
}

/// The evaluation columns.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TestCurve {
    /// The update after which the evaluation was made.
    pub update: Vec<u64>,
    /// Mean loss.
    pub loss: Vec<f32>,
    /// Accuracy, 0 to 1.
    pub accuracy: Vec<f32>,
    /// Confusion matrix, row-major `[true class, predicted class]`, per evaluation.
    pub confusion: Vec<Vec<u32>>,
}

/// A node of the network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// The column in which it is drawn, from 0 (input).
    pub level: u32,
    /// What it is.
    pub kind: NodeKind,
    /// Its own 3 x 3 (or k x k) kernel at the end of the run, row-major; empty when it has none.
    pub kernel: Vec<f32>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// It takes the data.
    Input,
    /// It lies between.
    Hidden,
    /// It gives the result.
    Output,
}

/// One wired weight tensor `[targets, sources, ..]`, flattened row-major to `entries`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layer {
    /// Its path in the model, such as `graph.weight`.
    pub name: String,
    /// The tensor's shape.
    pub shape: Vec<usize>,
    /// The node that each target (row) is; empty when the layer is not drawn as nodes.
    pub target_nodes: Vec<u32>,
    /// The node that each source (column) is; empty when the layer is not drawn as nodes.
    pub source_nodes: Vec<u32>,
    /// Which entries are legal edges, a bitset (see [`Blob::from_bits`]); `None` when all are.
    pub legal: Option<Blob>,
    /// How many entries are legal.
    pub possible: usize,
    /// The budget at the end of the run.
    pub budget: usize,
    /// The wiring before the first update, a bitset.
    pub initial: Blob,
    /// How the wiring changed, see [`crate::history`].
    pub history: Blob,
    /// The updates at which weights were recorded, ascending.
    pub frames: Vec<u64>,
    /// The weights: little-endian `i16`, `[frames, entries]`; the value is `q / 32767 * scale[frame]`.
    pub weights: Blob,
    /// One scale per frame.
    pub scale: Vec<f32>,
    /// The smallest |w| among the real edges, per frame.
    pub threshold: Vec<f32>,
}

/// A few test images and what became of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Samples {
    /// Image shape `[channels, height, width]`.
    pub shape: [usize; 3],
    /// Pixels, `u8`, `[images, channels, height, width]`.
    pub pixels: Blob,
    /// The true class of each image.
    pub labels: Vec<u32>,
    /// The updates at which the images were classified, ascending.
    pub frames: Vec<u64>,
    /// Class probabilities times 255, `u8`, `[frames, images, classes]`.
    pub probabilities: Blob,
    /// What the nodes gave, when the network is drawn as nodes.
    pub features: Option<Features>,
}

/// Feature maps of every node on every sample image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Features {
    /// Height of a map.
    pub height: usize,
    /// Width of a map.
    pub width: usize,
    /// The updates at which they were recorded, ascending.
    pub frames: Vec<u64>,
    /// `i8`, `[frames, images, nodes, height, width]`; the value is `q / 127 * scale[frame, node]`.
    pub values: Blob,
    /// Little-endian `f32`, `[frames, nodes]`.
    pub scale: Blob,
}

/// Bytes, base64 in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    /// Packs booleans into a bitset: entry `i` is bit `i % 8` (least significant first) of byte `i / 8`.
    pub fn from_bits(bits: impl IntoIterator<Item = bool>) -> Self {
        let mut bytes = Vec::new();
        for (i, bit) in bits.into_iter().enumerate() {
            if i % 8 == 0 {
                bytes.push(0);
            }
            if bit {
                bytes[i / 8] |= 1 << (i % 8);
            }
        }
        Self(bytes)
    }

    /// Little-endian 16-bit integers.
    pub fn from_i16(values: impl IntoIterator<Item = i16>) -> Self {
        Self(values.into_iter().flat_map(i16::to_le_bytes).collect())
    }

    /// Little-endian 32-bit floats.
    pub fn from_f32(values: impl IntoIterator<Item = f32>) -> Self {
        Self(values.into_iter().flat_map(f32::to_le_bytes).collect())
    }
}

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine;
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine;
        let text = String::deserialize(deserializer)?;
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bitset_keeps_each_flag_at_its_place(flags in proptest::collection::vec(any::<bool>(), 0..100)) {
            let blob = Blob::from_bits(flags.iter().copied());
            prop_assert_eq!(blob.0.len(), flags.len().div_ceil(8));
            for (i, flag) in flags.iter().enumerate() {
                prop_assert_eq!(blob.0[i / 8] & (1 << (i % 8)) != 0, *flag);
            }
        }

        #[test]
        fn bytes_survive_json(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let json = serde_json::to_string(&Blob(bytes.clone())).unwrap();
            prop_assert_eq!(serde_json::from_str::<Blob>(&json).unwrap().0, bytes);
        }
    }

    #[test]
    fn numbers_are_little_endian() {
        assert_eq!(Blob::from_i16([1, -2]).0, [1, 0, 0xfe, 0xff]);
        assert_eq!(Blob::from_f32([1.0]).0, [0, 0, 0x80, 0x3f]);
    }

    #[test]
    fn text_that_is_not_base64_is_an_error() {
        assert!(serde_json::from_str::<Blob>("\"not base64!\"").is_err());
    }
}
