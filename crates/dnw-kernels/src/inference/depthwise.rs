//! Depthwise convolutions, channel by channel.

#[cfg(target_arch = "x86_64")]
mod columns;
mod flat;
mod lines;
mod padded;
mod planes;
mod shape;

#[cfg(target_arch = "x86_64")]
use columns::ByColumns;
use flat::Flat;
use lines::LineByLine;
use planes::Planes;
pub use shape::{DepthwiseShape, Kernel, Lines};

/// How depthwise convolutions of one shape are computed. It depends on the shape alone, so results have the same bits everywhere.
#[derive(Clone, Debug)]
pub struct Depthwise(Method);

#[derive(Clone, Debug)]
enum Method {
    #[cfg(target_arch = "x86_64")]
    ByColumns(ByColumns),
    /// Line by line if there is a gap between lines; the bits are the same.
    Flat(Flat, LineByLine),
    LineByLine(LineByLine),
    Planes(Planes),
}

impl Depthwise {
    /// Prepares convolutions of this shape.
    ///
    /// # Panics
    /// If a size is zero.
    pub fn new(shape: DepthwiseShape) -> Self {
        let sizes = [
            shape.map,
            shape.output,
            shape.kernel,
            shape.stride,
            shape.dilation,
        ];
        assert!(!sizes.concat().contains(&0), "an empty convolution");
        #[cfg(target_arch = "x86_64")]
        if let Some(columns) = ByColumns::new(shape) {
            return Self(Method::ByColumns(columns));
        }
        Self(match (Flat::new(shape), LineByLine::new(shape)) {
            (Some(flat), Some(lines)) => Method::Flat(flat, lines),
            (None, Some(lines)) => Method::LineByLine(lines),
            (_, None) => Method::Planes(Planes::new(shape)),
        })
    }

    /// Numbers that [`run`](Self::run) needs as scratch memory.
    pub fn scratch(&self) -> usize {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Method::ByColumns(_) => 0,
            Method::Flat(_, lines) | Method::LineByLine(lines) => lines.scratch(),
            Method::Planes(planes) => planes.scratch(),
        }
    }

    /// Computes one channel. `out` has the output's pixels, or more: what is behind them may be written too, up to a whole vector.
    ///
    /// `scratch` is zero before the first channel, and left to this method until the last.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn run(&self, x: Lines<'_>, kernel: Kernel<'_>, scratch: &mut [f32], out: &mut [f32]) {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Method::ByColumns(columns) => columns.run(x, kernel, out),
            Method::Flat(flat, _) if x.line == flat.width() => flat.run(x, kernel, out),
            Method::Flat(_, lines) | Method::LineByLine(lines) => {
                lines.run(x, kernel, scratch, out);
            }
            Method::Planes(planes) => planes.run(x, kernel, scratch, out),
        }
    }
}
