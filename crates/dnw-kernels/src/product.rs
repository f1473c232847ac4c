//! The wired product: every target sums over its real edges.
//!
//! `y[n, t, p] = sum over real edges (t, s) of w[t, s] x[n, s, p]` (Wortsman et al. 2019, section 2). The
//! gradient of `x` passes through the real edges only. The gradient of `w` is that of the dense product: every entry
//! has one.

use crate::EdgeIndex;
use crate::dense::{self, OutputLayout, Rows};
use crate::layout::transpose;
use crate::pool::Buffer;
use crate::wired::WeightedEdges;

/// The sizes of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductShape {
    /// Images in the batch.
    pub images: usize,
    /// Target channels.
    pub targets: usize,
    /// Source channels.
    pub sources: usize,
    /// Pixels of a feature map.
    pub pixels: usize,
    /// The layout of the weight and its index.
    pub layout: Layout,
}

/// The layout of a weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[targets, sources]`, as in convolutions.
    #[default]
    TargetsFirst,
    /// `[sources, targets]`, as in Burn's linear layers. The targets of the index are the sources of the product then.
    SourcesFirst,
}

impl ProductShape {
    fn row(&self) -> usize {
        self.images * self.pixels
    }

    fn check(&self, x: &[f32], y: &[f32], index: Option<&EdgeIndex>) {
        assert_eq!(x.len(), self.sources * self.row(), "length of x");
        assert_eq!(y.len(), self.targets * self.row(), "length of y");
        if let Some(index) = index {
            let sizes = match self.layout {
                Layout::TargetsFirst => [self.targets, self.sources],
                Layout::SourcesFirst => [self.sources, self.targets],
            };
            assert_eq!(
                [index.targets(), index.sources()],
                sizes,
                "edges of another weight"
            );
        }
    }

    fn by_channel(&self, batch: &[f32], channels: usize) -> Buffer {
        let mut rows = Buffer::uninitialised(batch.len());
        transpose(batch, [self.images, channels], self.pixels, &mut rows);
        rows
    }

    fn by_image(&self, rows: &[f32], channels: usize, batch: &mut [f32]) {
        transpose(rows, [channels, self.images], self.pixels, batch);
    }
}

/// Computes the wired product.
///
/// # Shapes
/// `x`: `[images, sources, pixels]`; `y`: `[images, targets, pixels]`; `weights`: the weights of the real edges ([`EdgeIndex::weights`]).
///
/// # Panics
/// If a length does not fit `shape`.
pub fn forward(shape: ProductShape, x: &[f32], weights: &[f32], index: &EdgeIndex, y: &mut [f32]) {
    shape.check(x, y, Some(index));
    let into_rows = shape.layout == Layout::TargetsFirst;
    let edges = WeightedEdges::new(index, weights);
    sum_edges(
        shape,
        [shape.sources, shape.targets],
        into_rows,
        edges,
        x,
        y,
    );
}

/// Writes the gradient of `x` to `dx`, through the real edges only.
///
/// # Shapes
/// `dy`: `[images, targets, pixels]`; `dx`: `[images, sources, pixels]`; `weights`: as in [`forward`].
///
/// # Panics
/// If a length does not fit `shape`.
pub fn input_gradient(
    shape: ProductShape,
    dy: &[f32],
    weights: &[f32],
    index: &EdgeIndex,
    dx: &mut [f32],
) {
    shape.check(dx, dy, Some(index));
    let into_rows = shape.layout == Layout::SourcesFirst;
    let edges = WeightedEdges::new(index, weights);
    sum_edges(
        shape,
        [shape.targets, shape.sources],
        into_rows,
        edges,
        dy,
        dx,
    );
}

/// Sums over the real edges from `x`, `[images, from, pixels]`, to `y`, `[images, to, pixels]`: into the rows of the weight's layout, or out of
/// them.
fn sum_edges(
    shape: ProductShape,
    [from, to]: [usize; 2],
    into_rows: bool,
    edges: WeightedEdges<'_>,
    x: &[f32],
    y: &mut [f32],
) {
    let (images, pixels) = (shape.images, shape.pixels);
    if edges.prefers_image_major(images, pixels) {
        return match into_rows {
            true => edges.into_targets_by_image(images, pixels, x, y),
            false => edges.into_sources_by_image(images, pixels, x, y),
        };
    }
    let x = shape.by_channel(x, from);
    let mut sums = Buffer::uninitialised(y.len());
    match into_rows {
        true => edges.into_targets(0..to, 0..from, &x, shape.row(), &mut sums, false),
        false => edges.into_sources(0..to, 0..from, &x, shape.row(), &mut sums, false),
    }
    shape.by_image(&sums, to, y);
}

/// Writes the gradient of **every** entry of the weight, real or hallucinated: `dw[t, s] = sum over n, p of dy[n, t, p] x[n, s, p]`.
///
/// # Shapes
/// `x`: `[images, sources, pixels]`; `dy`: `[images, targets, pixels]`; `dw`: in the layout of [`Layout`].
///
/// # Panics
/// If a length does not fit `shape`.
pub fn weight_gradient(shape: ProductShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    shape.check(x, dy, None);
    assert_eq!(dw.len(), shape.targets * shape.sources, "length of dw");
    let (x, dy) = (
        shape.by_channel(x, shape.sources),
        shape.by_channel(dy, shape.targets),
    );
    let row = shape.row();
    let (x, dy) = (
        Rows::new(&x, shape.sources, row),
        Rows::new(&dy, shape.targets, row),
    );
    let (a, b) = match shape.layout {
        Layout::TargetsFirst => (dy, x),
        Layout::SourcesFirst => (x, dy),
    };
    let output = OutputLayout {
        start: 0,
        row: b.rows,
        column: 1,
    };
    dense::outer(a, b, row, dw, output, false);
}
