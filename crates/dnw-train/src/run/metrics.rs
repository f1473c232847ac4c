//! Loss, accuracy and swaps, one JSON object per line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RunError;
use super::position::{Appended, Position};

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Metric {
    /// Training since the previous line of this kind.
    Train {
        /// Updates made.
        update: u64,
        /// Mean loss.
        loss: f64,
        /// Share of correctly classified images, 0 to 1.
        accuracy: f64,
        /// Edges added.
        swaps: u64,
        /// The learning rate of the last update.
        learning_rate: f64,
        /// Real edges after the last update.
        real: u64,
    },
    /// An evaluation on the test images.
    Test {
        /// Updates made.
        update: u64,
        /// Epochs made.
        epoch: u64,
        /// Mean loss.
        loss: f64,
        /// Accuracy, 0 to 1.
        accuracy: f64,
        /// Images per true class and predicted class, row-major.
        confusion: Vec<u32>,
    },
}

/// All lines of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(pub Vec<Metric>);

impl Metrics {
    /// Reads the file. A last line without newline is incomplete and is left out.
    pub(super) fn read(path: &Path) -> Result<Self, RunError> {
        let failed = |source| RunError::unreadable(path, source);
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let (mut metrics, mut line) = (Vec::new(), String::new());
        while reader.read_line(&mut line).map_err(failed)? > 0 && line.ends_with('\n') {
            let number = metrics.len() + 1;
            let metric = serde_json::from_str(&line)
                .map_err(|error| RunError::no_json(path, Some(number), &error))?;
            metrics.push(metric);
            line.clear();
        }
        Ok(Self(metrics))
    }

    /// What is invalid in the metrics of a run with this number of classes, if anything.
    pub(super) fn problem(&self, classes: usize) -> Option<String> {
        let (mut train, mut test) = (0, 0);
        for (number, metric) in (1..).zip(&self.0) {
            let (before, update) = match metric {
                Metric::Train { update, .. } => (&mut train, *update),
                Metric::Test {
                    update, confusion, ..
                } => {
                    if confusion.len() != classes * classes {
                        let cells = confusion.len();
                        return Some(format!(
                            "line {number} has a table of {cells} cells for {classes} classes"
                        ));
                    }
                    (&mut test, *update)
                }
            };
            if update < *before {
                return Some(format!(
                    "line {number} is of update {update}, which came before update {before}"
                ));
            }
            *before = update;
        }
        None
    }
}

/// Appends metrics to a file.
#[derive(Debug)]
pub(crate) struct MetricsWriter(Appended);

impl MetricsWriter {
    pub(crate) fn create(path: PathBuf) -> Result<Self, RunError> {
        Appended::create(path).map(Self)
    }

    /// Goes on from a position, which removes what comes after it.
    pub(crate) fn resume(path: PathBuf, position: &Position) -> Result<Self, RunError> {
        Appended::cut(path, position).map(Self)
    }

    /// Appends a line in one write.
    pub(crate) fn append(&mut self, metric: &Metric) -> Result<(), RunError> {
        let mut line = serde_json::to_string(metric)
            .map_err(|error| RunError::damaged(self.0.path(), error))?;
        line.push('\n');
        self.0.append(line.as_bytes())
    }

    /// Waits until all lines are on the disk.
    pub(crate) fn sync(&mut self) -> Result<Position, RunError> {
        self.0.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_ends_within_a_line_is_read_up_to_the_line_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let metric = |update| Metric::Train {
            update,
            loss: 0.5,
            accuracy: 0.25,
            swaps: 3,
            learning_rate: 0.1,
            real: 40,
        };
        let mut writer = MetricsWriter::create(path.clone()).unwrap();
        writer.append(&metric(1)).unwrap();
        writer.append(&metric(2)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let lines = whole[..cut].iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(
                Metrics::read(&path).unwrap().0,
                [metric(1), metric(2)][..lines]
            );
        }
        std::fs::write(&path, b"no json\n").unwrap();
        assert!(matches!(
            Metrics::read(&path),
            Err(RunError::Damaged { .. })
        ));
    }
}
