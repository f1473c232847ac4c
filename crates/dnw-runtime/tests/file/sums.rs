use dnw_runtime::plan::{Maps, Sums};

/// Sums without targets and edges.
pub fn empty_sums() -> Sums {
    Sums {
        block: 1,
        rows: vec![],
        starts: vec![],
        terms: vec![],
        weights: vec![],
        bias: vec![],
        map: [0, 0],
        line: 0,
        channels: vec![],
        to: Maps::default(),
        residual: vec![],
        relu: false,
        then: None,
    }
}
