//! The recording of a run, which is the data of the explorer page.
//!
//! Data that changes over time is either a column of numbers ([`Curves`]) or a compact byte string ([`Blob`]): a wiring
//! is a bitset, its history is delta-coded swaps, weights are small integers with one scale per frame. The page
//! decodes the same bytes in JavaScript.

use serde::{Deserialize, Serialize};

/// The version of this layout. The page rejects other versions.
pub const RECORDING_VERSION: u32 = 2;

/// One recorded run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    /// Always [`RECORDING_VERSION`] when written by this crate.
    pub version: u32,
    /// The facts of the run.
    pub run: RunFacts,
    /// The data set.
    pub data: DataFacts,
    /// The final results.
    pub outcome: Outcome,
    /// The number of optimizer steps. The time axis of the page goes from 0, before the first, to this.
    pub updates: u64,
    /// Loss, accuracy and swaps over the run.
    pub curves: Curves,
    /// The nodes; empty if the network cannot be drawn as nodes and edges.
    pub nodes: Vec<Node>,
    /// The wired weights, in forward order.
    pub layers: Vec<Layer>,
    /// Some test images, their predictions over time and the nodes' feature maps.
    pub samples: Option<Samples>,
}

/// The facts of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunFacts {
    /// The run's short name (its folder's name).
    pub name: String,
    /// The recipe's name.
    pub recipe: String,
    /// The resolved recipe as TOML text.
    pub recipe_text: String,
    /// The command line that reproduces the run.
    pub command: String,
    /// The rule that selects the edges, in words.
    pub rule: String,
    /// The seed of initial weights, batch order and augmentation.
    pub seed: u64,
    /// Program name and version, library versions, device, threads: pairs of label and value, in display order.
    pub environment: Vec<(String, String)>,
    /// Wall-clock seconds of training.
    pub seconds: f64,
    /// Whether the run reached its planned end.
    pub finished: bool,
}

/// The data set of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DataFacts {
    /// The data set's name.
    pub name: String,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Number of training images.
    pub train_images: usize,
    /// Number of test images.
    pub test_images: usize,
}

/// The final results of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Test accuracy, 0 to 1, at the last evaluation.
    pub test_accuracy: f64,
    /// The best test accuracy.
    pub best_test_accuracy: f64,
    /// Edges that are real at the end.
    pub edges_real: usize,
    /// Possible edges.
    pub edges_possible: usize,
    /// Parameters that take part in the forward pass at the end.
    pub parameters: usize,
}

/// Loss, accuracy and swaps over the run. The columns of each part have equal length.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Curves {
    /// Training, averaged over the updates since the previous entry.
    pub train: TrainCurve,
    /// Evaluations on the test set.
    pub test: TestCurve,
}

/// The training columns.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrainCurve {
    /// The update of the entry.
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
    /// The update of the evaluation.
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
    /// The level, which is the column in which it is drawn, from 0 (input).
    pub level: u32,
    /// Its kind.
    pub kind: NodeKind,
    /// Its own 3 x 3 (or k x k) kernel at the end of the run, row-major; empty when it has none.
    pub kernel: Vec<f32>,
}

/// The kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// An input node.
    Input,
    /// A node between inputs and outputs.
    Hidden,
    /// An output node.
    Output,
}

/// One wired weight tensor `[targets, sources, ..]`, flattened row-major to `entries`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layer {
    /// Its path in the model, such as `graph.weight`.
    pub name: String,
    /// The tensor's shape.
    pub shape: Vec<usize>,
    /// The node of each target (row); empty if the layer is not drawn as nodes.
    pub target_nodes: Vec<u32>,
    /// The node of each source (column); empty if the layer is not drawn as nodes.
    pub source_nodes: Vec<u32>,
    /// Which entries are legal edges, a bitset (see [`Blob::from_bits`]); `None` when all are.
    pub legal: Option<Blob>,
    /// The number of legal entries.
    pub possible: usize,
    /// The budget at the end of the run.
    pub budget: usize,
    /// The wiring before the first update, a bitset.
    pub initial: Blob,
    /// The swaps, in the format of [`crate::history`].
    pub history: Blob,
    /// The updates at which weights were recorded, ascending.
    pub frames: Vec<u64>,
    /// The weights of the legal entries, `[frames, possible]`, in the format of [`crate::weights`].
    pub weights: Blob,
    /// One scale per frame.
    pub scale: Vec<f32>,
    /// The smallest |w| among the real edges, per frame.
    pub threshold: Vec<f32>,
}

/// Some test images and their predictions over time.
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
    /// The nodes' feature maps, if the network is drawn as nodes.
    pub features: Option<Features>,
}

/// Feature maps of every node on every sample image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Features {
    /// Height of a feature map.
    pub height: usize,
    /// Width of a feature map.
    pub width: usize,
    /// The updates at which they were recorded, ascending.
    pub frames: Vec<u64>,
    /// `i8`, `[frames, images, nodes, height, width]`; the value is `q / 127 * scale[frame, node]`.
    pub values: Blob,
    /// Little-endian `f32`, `[frames, nodes]`.
    pub scale: Blob,
}

/// Bytes, encoded as base64 in JSON.
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

    /// Encodes 16-bit integers as little-endian.
    pub fn from_i16(values: impl IntoIterator<Item = i16>) -> Self {
        Self(values.into_iter().flat_map(i16::to_le_bytes).collect())
    }

    /// Encodes 32-bit floats as little-endian.
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
        fn a_bitset_stores_each_flag_at_its_index(flags in proptest::collection::vec(any::<bool>(), 0..100)) {
            let blob = Blob::from_bits(flags.iter().copied());
            prop_assert_eq!(blob.0.len(), flags.len().div_ceil(8));
            for (i, flag) in flags.iter().enumerate() {
                prop_assert_eq!(blob.0[i / 8] & (1 << (i % 8)) != 0, *flag);
            }
        }

        #[test]
        fn bytes_round_trip_through_json(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
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
