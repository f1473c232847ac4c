//! Where the real edges are, for kernels that visit nothing else.

/// The real edges of a `[targets, sources]` matrix, by target and by source.
///
/// Both directions are kept because the forward pass gathers into targets and the input's gradient
/// gathers into sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeIndex {
    targets: usize,
    sources: usize,
    by_target: Rows,
    by_source: Rows,
}

/// Compressed rows: the columns of row `r` are `columns[starts[r]..starts[r + 1]]`, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rows {
    starts: Vec<usize>,
    columns: Vec<u32>,
}

impl Rows {
    fn new(rows: usize, edges: impl Iterator<Item = (usize, u32)> + Clone) -> Self {
        let mut starts = vec![0; rows + 1];
        for (row, _) in edges.clone() {
            starts[row + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut columns = vec![0; starts[rows]];
        for (row, column) in edges {
            columns[next[row]] = column;
            next[row] += 1;
        }
        Self { starts, columns }
    }

    fn row(&self, row: usize) -> &[u32] {
        &self.columns[self.starts[row]..self.starts[row + 1]]
    }
}

impl EdgeIndex {
    /// Indexes `edges`, pairs of (target, source) in ascending order.
    ///
    /// # Panics
    /// If an edge lies outside the matrix.
    pub fn new(
        targets: usize,
        sources: usize,
        edges: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let edges: Vec<(u32, u32)> = edges
            .into_iter()
            .inspect(|&(target, source)| assert!(target < targets && source < sources))
            .map(|(target, source)| (target as u32, source as u32))
            .collect();
        Self {
            targets,
            sources,
            by_target: Rows::new(targets, edges.iter().map(|&(t, s)| (t as usize, s))),
            by_source: Rows::new(sources, edges.iter().map(|&(t, s)| (s as usize, t))),
        }
    }

    /// Indexes the set entries of `mask`, `[targets, sources]`.
    ///
    /// # Panics
    /// If `mask` is longer than the matrix.
    pub fn from_mask(targets: usize, sources: usize, mask: impl IntoIterator<Item = bool>) -> Self {
        let real = mask.into_iter().enumerate().filter(|&(_, real)| real);
        Self::new(
            targets,
            sources,
            real.map(|(i, _)| (i / sources, i % sources)),
        )
    }

    /// Indexes the entries of `mask`, `[targets, sources]`, that are not zero.
    ///
    /// # Panics
    /// If `mask` has another length.
    pub fn from_bytes(targets: usize, sources: usize, mask: &[u8]) -> Self {
        assert_eq!(mask.len(), targets * sources, "length of the mask");
        let rows = mask.chunks_exact(sources.max(1)).enumerate();
        let edges = rows.flat_map(|(target, row)| {
            // Most words of a sparse mask are zero.
            row.chunks(8)
                .enumerate()
                .filter(|(_, word)| word.iter().any(|&byte| byte != 0))
                .flat_map(move |(i, word)| {
                    let real = word.iter().enumerate().filter(|&(_, &byte)| byte != 0);
                    real.map(move |(j, _)| (target, 8 * i + j))
                })
        });
        Self::new(targets, sources, edges)
    }

    /// Targets (rows).
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// Sources (columns).
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// How many edges are real.
    pub fn len(&self) -> usize {
        self.by_target.columns.len()
    }

    /// Whether no edge is real.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sources of `target`, ascending.
    pub fn sources_of(&self, target: usize) -> &[u32] {
        self.by_target.row(target)
    }

    /// The targets of `source`, ascending.
    pub fn targets_of(&self, source: usize) -> &[u32] {
        self.by_source.row(source)
    }
}
