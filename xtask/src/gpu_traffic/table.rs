//! Launches and bytes beside what two GPUs need at least for them.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::traffic::Traffic;
use crate::text::three_digits;

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What its step has to do.
    pub bounds: Bounds,
    /// What its step does.
    pub traffic: Traffic,
}

/// The least work of a step, as the worker counts it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    model: String,
    batch: usize,
    image: usize,
    multiply_adds: MultiplyAdds,
    parameters: u64,
    outputs: u64,
    bytes: u64,
}

/// Multiply-adds of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct MultiplyAdds {
    forward: u64,
    input_gradient: u64,
    weight_gradient: u64,
}

/// A GPU, by what its maker says.
struct Gpu {
    name: &'static str,
    /// Operations a second in 32-bit floats without matrix units; a multiply-add is two.
    operations: f64,
    /// Bytes a second.
    bytes: f64,
}

const GPUS: [Gpu; 2] = [
    Gpu {
        name: "H100 (67 TFLOP/s, 3.35 TB/s)",
        operations: 67e12,
        bytes: 3.35e12,
    },
    Gpu {
        name: "integrated (2 TFLOP/s, 100 GB/s)",
        operations: 2e12,
        bytes: 100e9,
    },
];

impl Bounds {
    fn operations(&self) -> f64 {
        let MultiplyAdds {
            forward,
            input_gradient,
            weight_gradient,
        } = self.multiply_adds;
        2.0 * (forward + input_gradient + weight_gradient) as f64
    }
}

/// Milliseconds that a GPU needs at least to compute and to move so much.
fn milliseconds(gpu: &Gpu, operations: f64, bytes: f64) -> f64 {
    1e3 * (operations / gpu.operations).max(bytes / gpu.bytes)
}

/// The tables.
pub fn markdown(rows: &[Row], before: &[Row]) -> String {
    let mut text = String::from(
        "| network, batch, image | launches | before | bytes moved, MB | before | submissions | before |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    let moved = |traffic: &Traffic| traffic.read + traffic.written;
    for row in rows {
        let same = |other: &&Row| {
            other.bounds.model == row.bounds.model && other.bounds.batch == row.bounds.batch
        };
        let old = before.iter().find(same).map(|row| &row.traffic);
        let column = |of: &dyn Fn(&Traffic) -> f64| {
            let old = old.map_or_else(String::new, |old| format!("{:.0}", of(old)));
            format!("{:.0} | {old}", of(&row.traffic))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            name(row),
            column(&|traffic| traffic.launches),
            column(&|traffic| moved(traffic) / 1e6),
            column(&|traffic| traffic.submits),
        );
    }
    text.push_str("\n| network, batch, image | operations, billions | least bytes, MB |");
    for gpu in &GPUS {
        let _ = write!(text, " {}: least ms | for the bytes moved, ms |", gpu.name);
    }
    text.push_str("\n| --- | ---: | ---: |");
    text.push_str(&" ---: | ---: |".repeat(GPUS.len()));
    text.push('\n');
    for row in rows {
        let (operations, least) = (row.bounds.operations(), row.bounds.bytes as f64);
        let _ = write!(
            text,
            "| {} | {} | {:.0} |",
            name(row),
            three_digits(operations / 1e9),
            least / 1e6
        );
        for gpu in &GPUS {
            let _ = write!(
                text,
                " {} | {} |",
                three_digits(milliseconds(gpu, operations, least)),
                three_digits(milliseconds(gpu, operations, moved(&row.traffic))),
            );
        }
        text.push('\n');
    }
    text
}

fn name(row: &Row) -> String {
    let Bounds {
        model,
        batch,
        image,
        ..
    } = &row.bounds;
    format!("{model}, {batch}, {image} px")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(launches: f64) -> Row {
        let bounds = r#"{"model":"one","batch":8,"image":32,"multiply_adds":{"forward":1000000000,"input_gradient":0,
            "weight_gradient":9000000000},"parameters":5,"outputs":6,"bytes":335000000}"#;
        Row {
            bounds: serde_json::from_str(bounds).expect("the worker's form"),
            traffic: Traffic {
                launches,
                read: 500e6,
                written: 170e6,
                copies: 1.0,
                submits: 2.0,
            },
        }
    }

    #[test]
    fn a_gpu_needs_the_longer_of_computing_and_moving() {
        let text = markdown(&[row(10.0)], &[row(40.0)]);
        let has = |line: &str| assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        has("| one, 8, 32 px | 10 | 40 | 670 | 670 | 2 | 2 |");
        // 20 billion operations need 0.3 ms on the one GPU and 10 ms on the other; 335 MB need 0.1 ms and 3.35 ms.
        has("| one, 8, 32 px | 20.0 | 335 | 0.299 | 0.299 | 10.0 | 10.0 |");
    }

    #[test]
    fn without_earlier_counts_their_columns_are_empty() {
        let text = markdown(&[row(10.0)], &[]);
        assert!(
            text.contains("| one, 8, 32 px | 10 |  | 670 |  | 2 |  |"),
            "{text}"
        );
    }
}
