//! What was asked and what came of it.

use serde::{Deserialize, Serialize};

use crate::machine::machine;

/// Everything measured on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Processor, cores, system.
    pub machine: String,
    /// The rows, in the order of the table.
    pub rows: Vec<Row>,
}

/// One network on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was asked.
    pub asked: Asked,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a worker is asked to measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The device.
    pub device: String,
    /// The network.
    pub model: String,
    /// Images in a batch; the network's own number where there is none.
    pub batch: Option<usize>,
    /// Threads; as many as cores where there is none.
    pub threads: Option<usize>,
    /// Rounds.
    pub rounds: usize,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// With numbers.
    Measured(Box<Measured>),
    /// With a sentence: the device is not there, or its driver says no.
    Refused(String),
    /// By a signal, or without a word.
    Crashed(String),
    /// Not by itself, within so many seconds.
    OutOfTime(u64),
}

/// What the worker prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The device's full name.
    pub device: String,
    /// What its maker calls it.
    pub adapter: String,
    /// Images in a batch.
    pub batch: usize,
    /// Threads on the CPU.
    pub threads: usize,
    /// Seconds to open the device.
    pub open: f64,
    /// A training step.
    pub step: Timing,
    /// A forward pass.
    pub forward: Timing,
    /// A selection of edges.
    pub rewire: Timing,
    /// Edges that swapped in it.
    pub swapped: u64,
    /// Bytes.
    pub memory: Memory,
    /// The loss of the one batch.
    pub loss: Loss,
    /// What the model of costs says.
    pub predicted: Predicted,
}

/// What the model of costs says of a training step, and the rates of the device that it says it from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// Bytes beside the program.
    pub bytes: u64,
    /// Seconds.
    pub seconds: f64,
    /// Multiply-adds a second.
    pub products: f64,
    /// Numbers a second, read or written.
    pub numbers: f64,
    /// Weights a second, moved and ranked.
    pub weights: f64,
}

/// Seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The first time.
    pub first: f64,
    /// The lower quartile of the other times.
    pub lower: f64,
    /// The middle one.
    pub median: f64,
    /// The upper quartile.
    pub upper: f64,
    /// How many.
    pub rounds: usize,
    /// Images in a second.
    pub images_per_second: f64,
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Of the process before the network.
    pub program: Option<u64>,
    /// The most of the process in training.
    pub peak: Option<u64>,
    /// Of the device's allocator.
    pub pool: Option<u64>,
}

/// The loss of the one batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Before the first update.
    pub first: f64,
    /// Updates between the two.
    pub updates: usize,
    /// After them.
    pub then: f64,
}

impl Recorded {
    /// Nothing yet, on this machine.
    pub fn here() -> Self {
        Self {
            machine: machine(),
            rows: Vec::new(),
        }
    }

    /// Whether there are numbers for this, with the same settings.
    pub fn has_measured(&self, asked: &Asked) -> bool {
        let is_it = |row: &&Row| row.asked == *asked;
        let row = self.rows.iter().find(is_it);
        row.is_some_and(|row| matches!(row.outcome, Outcome::Measured(_)))
    }

    /// Puts a row in the place of the one of the same network and device, or at the end.
    pub fn put(&mut self, row: Row) {
        let same = |other: &&mut Row| {
            other.asked.device == row.asked.device && other.asked.model == row.asked.model
        };
        match self.rows.iter_mut().find(same) {
            Some(place) => *place = row,
            None => self.rows.push(row),
        }
    }

    /// Keeps the rows asked for, in that order.
    pub fn keep_in_order(&mut self, asked: &[Asked]) {
        let find = |asked: &Asked| self.rows.iter().find(|row| row.asked == *asked).cloned();
        self.rows = asked.iter().filter_map(find).collect();
    }
}
