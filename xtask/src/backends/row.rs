//! Measurements of one network on one device.

use serde::{Deserialize, Serialize};

use crate::machine::machine;

/// All measurements of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Processor, cores, system.
    pub machine: String,
    /// The rows, in the order of the table.
    pub rows: Vec<Row>,
}

/// One network on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The request.
    #[serde(rename = "asked")]
    pub request: Request,
    /// The outcome.
    pub outcome: Outcome,
}

/// A request to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The device.
    pub device: String,
    /// The network.
    pub model: String,
    /// Images per batch; `None` for the network's own number.
    pub batch: Option<usize>,
    /// Threads; `None` for one per core.
    pub threads: Option<usize>,
    /// Rounds.
    pub rounds: usize,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The measurements.
    Measured(Box<Measured>),
    /// An error message: the device is missing, or its driver reports an error.
    Refused(String),
    /// A signal, or an exit without a message.
    Crashed(String),
    /// No result within this many seconds.
    OutOfTime(u64),
}

/// The output of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The device's full name.
    pub device: String,
    /// The vendor's name for it.
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
    /// Edges that swapped.
    pub swapped: u64,
    /// Memory.
    pub memory: Memory,
    /// The loss.
    pub loss: Loss,
    /// The prediction of the cost model.
    pub predicted: Predicted,
}

/// The prediction of the cost model for a training step, and the rates of the device that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// Bytes, without the program.
    pub bytes: u64,
    /// Seconds.
    pub seconds: f64,
    /// Multiply-adds per second.
    pub products: f64,
    /// Values read or written per second.
    pub numbers: f64,
    /// Weights ranked per second.
    pub weights: f64,
}

/// Times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The first run.
    pub first: f64,
    /// The lower quartile of the other runs.
    pub lower: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub upper: f64,
    /// The number of runs.
    pub rounds: usize,
    /// Images per second.
    pub images_per_second: f64,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The process before the network is created.
    pub program: Option<u64>,
    /// The peak of the process in training.
    pub peak: Option<u64>,
    /// The device's allocator.
    pub pool: Option<u64>,
}

/// The loss of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Before the first update.
    pub first: f64,
    /// Updates between the two.
    pub updates: usize,
    /// After them.
    pub then: f64,
}

impl Results {
    /// No results yet, on this machine.
    pub fn new() -> Self {
        Self {
            machine: machine(),
            rows: Vec::new(),
        }
    }

    /// Whether there are measurements for this request.
    pub fn has(&self, request: &Request) -> bool {
        let is_same = |row: &&Row| row.request == *request;
        let row = self.rows.iter().find(is_same);
        row.is_some_and(|row| matches!(row.outcome, Outcome::Measured(_)))
    }

    /// Replaces the row of the same network and device, or appends the row.
    pub fn put(&mut self, row: Row) {
        let same = |other: &&mut Row| {
            other.request.device == row.request.device && other.request.model == row.request.model
        };
        match self.rows.iter_mut().find(same) {
            Some(place) => *place = row,
            None => self.rows.push(row),
        }
    }

    /// Keeps only the requested rows, in this order.
    pub fn retain_in_order(&mut self, requests: &[Request]) {
        let find = |request: &Request| {
            self.rows
                .iter()
                .find(|row| row.request == *request)
                .cloned()
        };
        self.rows = requests.iter().filter_map(find).collect();
    }
}
