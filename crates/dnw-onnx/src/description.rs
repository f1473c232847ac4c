//! What an image must look like, as entries of a model's metadata.

use std::collections::BTreeMap;

/// What an image must look like. A model's metadata has each part under `dnw.` and its name; numbers are separated by spaces, class names
/// by line ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// The name of the network; empty if unknown.
    pub name: String,
    /// Subtracted from each channel's pixels, which lie from 0 to 1; empty if unknown.
    pub mean: Vec<f32>,
    /// What each channel is divided by then; empty if unknown.
    pub deviation: Vec<f32>,
    /// The pixels of the shorter side before the centre is cropped; 0 if the picture is resized to height and width without a crop.
    pub resize: usize,
    /// The names of the outputs; empty if unknown.
    pub classes: Vec<String>,
}

impl Description {
    /// Reads the entries that fit a network with this many channels and outputs; the others are left out.
    pub(crate) fn read(
        metadata: &BTreeMap<String, String>,
        channels: usize,
        outputs: usize,
    ) -> Self {
        let entry = |key: &str| metadata.get(&format!("dnw.{key}"));
        let numbers = |key: &str| {
            let text = entry(key).map_or("", String::as_str);
            let numbers = text.split_whitespace().map(|n| n.parse::<f32>().ok());
            let numbers: Vec<f32> = numbers.collect::<Option<_>>().unwrap_or_default();
            let fits = numbers.len() == channels && numbers.iter().all(|n| n.is_finite());
            if fits { numbers } else { Vec::new() }
        };
        let classes: Vec<String> = entry("classes")
            .map(|text| text.lines().map(str::to_owned).collect())
            .unwrap_or_default();
        let deviation = numbers("deviation");
        Self {
            name: entry("name").cloned().unwrap_or_default(),
            mean: numbers("mean"),
            deviation: if deviation.contains(&0.0) {
                Vec::new()
            } else {
                deviation
            },
            resize: entry("resize")
                .and_then(|text| text.parse().ok())
                .filter(|&resize: &usize| resize <= 1 << 20)
                .unwrap_or(0),
            classes: if classes.len() == outputs {
                classes
            } else {
                Vec::new()
            },
        }
    }

    /// The entries.
    pub fn entries(&self) -> Vec<(String, String)> {
        let numbers = |numbers: &[f32]| {
            let numbers: Vec<String> = numbers.iter().map(f32::to_string).collect();
            numbers.join(" ")
        };
        let entries = [
            ("name", self.name.clone()),
            ("mean", numbers(&self.mean)),
            ("deviation", numbers(&self.deviation)),
            ("resize", self.resize.to_string()),
            // A name of several lines would be two.
            ("classes", {
                let lines = self
                    .classes
                    .iter()
                    .map(|class| class.replace(['\n', '\r'], " "));
                lines.collect::<Vec<_>>().join("\n")
            }),
        ];
        let some = entries.into_iter().filter(|(_, value)| !value.is_empty());
        some.map(|(key, value)| (format!("dnw.{key}"), value))
            .collect()
    }
}
