//! Budgets by layer, from a CSV table.
//!
//! The format is that of the authors of STR (`STR_Budgets_ResNet50.csv`): a row per layer, named `Layer 3 - layer1.0.conv2`. After parameters
//! and operations there is one column per network, with the layer's sparsity in percent. The row `Overall` heads each column with the
//! sparsity of the whole network.

use std::path::{Path, PathBuf};

use dnw_core::Budget;

/// The largest table in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Budgets by layer of one or more networks.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetTable {
    path: PathBuf,
    /// Sparsity of the whole network in percent, one per column; `None` if the row has none.
    overall: Vec<Option<f64>>,
    /// Layers and their sparsities in percent, one per column.
    layers: Vec<(String, Vec<Option<f64>>)>,
}

/// Why a table of budgets cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetTableError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: {reason}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// No row names a layer.
    #[error("`{path}` names no layer", path = path.display())]
    NoLayers {
        /// The file.
        path: PathBuf,
    },
    /// There are several columns, and none has the requested header.
    #[error("`{path}` has no column for {requested}", path = path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The requested column.
        requested: String,
        /// The columns, by the sparsity of the whole network in percent.
        known: Vec<f64>,
    },
    /// A value is not a sparsity.
    #[error("`{path}` gives `{layer}` a sparsity of {found}, which is not between 0 and 100 percent", path = path.display())]
    Sparsity {
        /// The file.
        path: PathBuf,
        /// The layer.
        layer: String,
        /// The value.
        found: String,
    },
}

impl BudgetTableError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Read { .. } => "give `wiring.budget-file` the path of a CSV file".into(),
            Self::NoLayers { .. } => {
                "rows are named `Layer 1 - conv1` or `conv1`, and hold sparsities in percent".into()
            }
            Self::Column { known, .. } => {
                let known: Vec<String> = known.iter().map(f64::to_string).collect();
                format!("set `wiring.budget-column` to one of {}", known.join(", "))
            }
            Self::Sparsity { .. } => "correct the table".into(),
        }
    }
}

impl BudgetTable {
    /// Reads a table.
    ///
    /// # Errors
    /// [`BudgetTableError::Read`] if the file cannot be read or is not CSV; [`BudgetTableError::NoLayers`] if no row names a layer.
    pub fn open(path: &Path) -> Result<Self, BudgetTableError> {
        let refused = |reason: String| BudgetTableError::Read {
            path: path.to_owned(),
            reason,
        };
        let size = std::fs::metadata(path)
            .map_err(|error| refused(error.to_string()))?
            .len();
        if size > MAX_BYTES {
            return Err(refused(format!(
                "it has {size} bytes, a table of budgets at most {MAX_BYTES}"
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        Self::read(path, &text)
    }

    fn read(path: &Path, text: &str) -> Result<Self, BudgetTableError> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut first = 1;
        let mut overall = Vec::new();
        let mut layers = Vec::new();
        for row in reader.records() {
            let row = row.map_err(|error| BudgetTableError::Read {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
            let name = row.get(0).unwrap_or("");
            if name == "Metric" {
                let sparsity = row.iter().position(|head| head.starts_with("Sparsity"));
                first = sparsity.unwrap_or(first);
                continue;
            }
            let layer = name.split_once(" - ").map_or(name, |(_, layer)| layer);
            let is_summary = name.is_empty() || name == "Backbone" || name.starts_with("AP -");
            if is_summary {
                continue;
            }
            let cells = row.iter().skip(first);
            let read = |cell: &str| -> Result<Option<f64>, BudgetTableError> {
                if cell.is_empty() {
                    return Ok(None);
                }
                let sparsity = cell
                    .parse::<f64>()
                    .ok()
                    .filter(|s| (0.0..100.0).contains(s));
                sparsity
                    .map(Some)
                    .ok_or_else(|| BudgetTableError::Sparsity {
                        path: path.to_owned(),
                        layer: layer.to_owned(),
                        found: cell.to_owned(),
                    })
            };
            let cells = cells.map(read).collect::<Result<Vec<_>, _>>()?;
            if name == "Overall" {
                overall = cells;
            } else {
                layers.push((format!("{layer}.weight"), cells));
            }
        }
        if layers.is_empty() {
            return Err(BudgetTableError::NoLayers {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            overall,
            layers,
        })
    }

    /// The budgets of the column with this sparsity of the whole network in percent, by tensor. If there is only one column, it need not be
    /// named.
    ///
    /// # Errors
    /// [`BudgetTableError::Column`] if there is no such column.
    pub fn column(&self, overall: Option<f64>) -> Result<Vec<(String, Budget)>, BudgetTableError> {
        let columns = self
            .layers
            .iter()
            .map(|(_, cells)| cells.len())
            .max()
            .unwrap_or(0);
        let column = match overall {
            None if columns == 1 => Some(0),
            None => None,
            Some(requested) => self
                .overall
                .iter()
                .position(|head| *head == Some(requested)),
        };
        let column = column.ok_or_else(|| BudgetTableError::Column {
            path: self.path.clone(),
            requested: overall.map_or("no sparsity in particular".into(), |s| {
                format!("{s} percent")
            }),
            known: self.overall.iter().flatten().copied().collect(),
        })?;
        let budget = |(name, cells): &(String, Vec<Option<f64>>)| {
            let sparsity = cells.get(column).copied().flatten()?;
            Some((name.clone(), Budget::PruneRate(sparsity / 100.0)))
        };
        Ok(self.layers.iter().filter_map(budget).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Metric,Params,FLOPs,Sparsity (%),,\n\
                         Overall,100,200,80,90.5,\n\
                         Backbone,90,190,82,91,\n\
                         Layer 1 - conv1,10,20,50,60,\n\
                         Layer 2 - layer1.0.conv1,10,20,70,75.25,\n\
                         Layer 3 - fc,10,20,40,45,\n\
                         AP - average pool before fc,0,100,100,100,\n";

    fn read(text: &str) -> Result<BudgetTable, BudgetTableError> {
        BudgetTable::read(Path::new("budgets.csv"), text)
    }

    #[test]
    fn a_column_is_found_by_the_sparsity_of_the_whole_network() {
        let column = read(TABLE).unwrap().column(Some(90.5)).unwrap();
        let expected = [
            ("conv1.weight", 0.6),
            ("layer1.0.conv1.weight", 0.7525),
            ("fc.weight", 0.45),
        ];
        let expected = expected.map(|(name, rate)| (name.to_owned(), Budget::PruneRate(rate)));
        assert_eq!(column, expected);
    }

    #[test]
    fn a_table_of_one_column_needs_no_header() {
        let column = read("conv1,50\nfc,25\n").unwrap().column(None).unwrap();
        assert_eq!(column[1], ("fc.weight".to_owned(), Budget::PruneRate(0.25)));
    }

    #[test]
    fn invalid_tables_are_refused_with_a_reason() {
        let column = |requested| read(TABLE).unwrap().column(requested).unwrap_err();
        assert!(column(Some(91.0)).help().contains("80, 90.5"));
        assert!(matches!(column(None), BudgetTableError::Column { .. }));
        assert!(matches!(
            read("").unwrap_err(),
            BudgetTableError::NoLayers { .. }
        ));
        for cell in ["100", "-1", "many", "NaN"] {
            let error = read(&format!("fc,{cell}\n")).unwrap_err();
            assert!(
                error.to_string().contains("`fc`") && error.to_string().contains(cell),
                "{error}"
            );
        }
    }
}
