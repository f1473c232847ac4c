//! Executes single steps.

mod pixels;
mod pointwise;
mod pools;
mod sums;

use dnw_kernels::inference::{
    self, DepthwiseShape, Kernel, Lines, MapLines, Matrix, activate, copy_every, pad_lines,
};

use crate::memory::Arena;
use crate::part::Part;
use crate::plan::{Activation, CopyPixels, Depthwise, Linear, Op, Pad, Step};
use sums::PreparedSums;

/// A step with everything computed that does not depend on the image.
#[derive(Debug)]
pub(crate) struct Prepared {
    layer: String,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Pad(Pad),
    Sums(PreparedSums),
    Depthwise(Depthwise, inference::Depthwise, Option<Activation>),
    Linear(Linear),
    Pool(crate::plan::PoolMaps),
    Norm(crate::plan::NormMaps),
    Add(crate::plan::AddMaps),
    Copy(CopyPixels),
    Activation(crate::plan::ActivateMaps),
    /// An activation that the step before has taken over.
    Absorbed,
    Product(crate::plan::MultiplyMaps),
    Softmax(crate::plan::SoftmaxMaps),
    PixelNorm(crate::plan::PixelNorm),
    Resample(crate::plan::ResampleMaps),
    Unfold(crate::plan::UnfoldMaps),
}

impl Prepared {
    fn new(step: Step) -> Self {
        let work = match step.op {
            Op::Pad(pad) => Work::Pad(pad),
            Op::Sums(sums) => Work::Sums(PreparedSums::new(sums)),
            Op::Depthwise(depthwise) => {
                let [.., height, width] = depthwise.from.shape;
                let shape = DepthwiseShape {
                    map: [height, width],
                    output: [depthwise.to.shape[1], depthwise.to.shape[2]],
                    kernel: depthwise.window.kernel,
                    stride: depthwise.window.stride,
                    padding: depthwise.window.padding,
                    dilation: depthwise.window.dilation,
                };
                Work::Depthwise(depthwise, inference::Depthwise::new(shape), None)
            }
            Op::Linear(linear) => Work::Linear(linear),
            Op::Pool(pool) => Work::Pool(pool),
            Op::Norm(norm) => Work::Norm(norm),
            Op::Add(add) => Work::Add(add),
            Op::Copy(copy) => Work::Copy(copy),
            Op::Activation(activate) => Work::Activation(activate),
            Op::Product(product) => Work::Product(product),
            Op::Softmax(softmax) => Work::Softmax(softmax),
            Op::PixelNorm(norm) => Work::PixelNorm(norm),
            Op::Resample(resample) => Work::Resample(resample),
            Op::Unfold(unfold) => Work::Unfold(unfold),
        };
        Self {
            layer: step.layer,
            work,
        }
    }

    /// All steps of a plan. An activation in place becomes part of the step before, which applies it while its output is in the cache.
    pub(crate) fn all(steps: Vec<Step>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::with_capacity(steps.len());
        for step in steps {
            let absorbed = match (&step.op, all.last_mut().map(|last| &mut last.work)) {
                (Op::Activation(next), Some(Work::Sums(sums))) => sums.absorb(next),
                (Op::Activation(next), Some(Work::Depthwise(before, _, activation))) => {
                    let fits = next.from == before.to && next.to == before.to;
                    if fits {
                        *activation = Some(next.activation);
                    }
                    fits
                }
                _ => false,
            };
            all.push(match absorbed {
                true => Self {
                    layer: step.layer,
                    work: Work::Absorbed,
                },
                false => Self::new(step),
            });
        }
        all
    }

    pub(crate) fn layer(&self) -> &str {
        &self.layer
    }

    pub(crate) fn operation(&self) -> &'static str {
        match &self.work {
            Work::Pad(_) => "padding",
            Work::Sums(sums) => sums.operation(),
            Work::Depthwise(..) => "depthwise convolution",
            Work::Linear(linear) if linear.edges.is_some() => "sparse linear",
            Work::Linear(_) => "dense linear",
            Work::Pool(_) => "pool",
            Work::Norm(_) => "norm",
            Work::Add(_) => "sum",
            Work::Copy(_) => "copy",
            Work::Activation(_) => "activation",
            Work::Absorbed => "activation, in the step before",
            Work::Product(_) => "product",
            Work::Softmax(_) => "softmax",
            Work::PixelNorm(_) => "norm of pixels",
            Work::Resample(_) => "resampling",
            Work::Unfold(_) => "depth to space",
        }
    }

    /// Numbers of scratch memory that each thread needs.
    pub(crate) fn scratch(&self) -> usize {
        match &self.work {
            Work::Sums(sums) => sums.scratch(),
            Work::Depthwise(_, layout, _) => layout.scratch(),
            Work::Pool(pool) => pools::shape(pool).scratch(),
            Work::Resample(resample) => resample.from.shape[2],
            _ => 0,
        }
    }

    /// About how many vectors of sixteen numbers the step loads: what its time grows with.
    #[cfg(feature = "threads")]
    pub(crate) fn vectors(&self) -> usize {
        use crate::plan::VECTOR;
        match &self.work {
            Work::Pad(pad) => {
                // A line takes as long as twelve vectors, whatever its length; one line for each remainder of a stride.
                let [channels, height, _] = pad.from.shape;
                let lines = channels * height * pad.layout.window.stride[1];
                12 * lines + 2 * pad.from.len() / VECTOR
            }
            Work::Sums(sums) => sums.vectors(),
            Work::Depthwise(x, ..) => {
                let taps = x.window.kernel[0] * x.window.kernel[1];
                taps * x.to.len() / VECTOR
            }
            Work::Linear(x) if x.edges.is_some() => x.weights.len() / 4,
            Work::Linear(x) => x.weights.len() / VECTOR,
            Work::Pool(x) => 4 * x.from.len() / VECTOR,
            Work::Norm(x) => 4 * x.from.len() / VECTOR,
            Work::Add(x) => x.from.len() * x.to.len() / VECTOR,
            Work::Activation(x) => 4 * x.from.len() / VECTOR,
            Work::Product(x) => 2 * x.from.len() / VECTOR,
            Work::PixelNorm(x) => 4 * x.from.len() / VECTOR,
            Work::Resample(x) => 16 * x.to.len() / VECTOR,
            Work::Unfold(x) => 4 * x.to.len() / VECTOR,
            // One thread does all.
            Work::Copy(_) | Work::Softmax(_) | Work::Absorbed => 0,
        }
    }

    /// Executes a thread's part of the step.
    ///
    /// # Safety
    /// The arena is that of the plan, which was checked; the other threads have other parts of the same step.
    pub(crate) unsafe fn execute(&self, arena: Arena, scratch: &mut [f32], part: Part) {
        match &self.work {
            // SAFETY: in all cases as the caller promises: parts are different channels or pixels of the output, and the check has made
            // sure that no input overlaps it.
            Work::Pad(x) => unsafe { pad(x, arena, part) },
            // SAFETY: as above.
            Work::Sums(x) => unsafe { x.execute(arena, scratch, part) },
            // SAFETY: as above.
            Work::Depthwise(x, layout, activation) => unsafe {
                depthwise(x, layout, *activation, arena, scratch, part);
            },
            // SAFETY: as above.
            Work::Linear(x) => unsafe { linear(x, arena, part) },
            // SAFETY: as above.
            Work::Pool(x) => unsafe { pools::pool(x, arena, scratch, part) },
            // SAFETY: as above.
            Work::Norm(x) => unsafe { pointwise::norm(x, arena, part) },
            // SAFETY: as above.
            Work::Add(x) => unsafe { pointwise::add(x, arena, part) },
            // SAFETY: as above.
            Work::Copy(x) => unsafe { copy(x, arena, part) },
            // SAFETY: as above; an output that is the input is read and written channel by channel.
            Work::Activation(x) => unsafe { pointwise::activation(x, arena, part) },
            // SAFETY: as above.
            Work::Product(x) => unsafe { pointwise::product(x, arena, part) },
            // SAFETY: as above.
            Work::Softmax(x) => unsafe { pointwise::softmax(x, arena, part) },
            // SAFETY: as above; parts are different pixels of all channels.
            Work::PixelNorm(x) => unsafe { pixels::norm(x, arena, part) },
            // SAFETY: as above.
            Work::Resample(x) => unsafe { pixels::resample(x, arena, scratch, part) },
            // SAFETY: as above.
            Work::Unfold(x) => unsafe { pixels::unfold(x, arena, part) },
            Work::Absorbed => {}
        }
    }
}

unsafe fn pad(pad: &Pad, arena: Arena, part: Part) {
    let layout = pad.layout;
    let [channels, height, width] = pad.from.shape;
    let ([sy, sx], [py, px]) = (layout.window.stride, layout.window.padding);
    let numbers = layout.rows_per_channel() * layout.row;
    for channel in part.range(channels) {
        // SAFETY: as for `execute`.
        let (x, rows) = unsafe {
            (
                arena.channel(pad.from, channel),
                arena.write(pad.to + channel * numbers, numbers),
            )
        };
        for (i, row) in rows.chunks_exact_mut(layout.row).enumerate() {
            // The first line and the first pixel whose padded coordinates have these remainders.
            let [above, skip] = [(i / layout.rows[1], sy, py), (i % layout.rows[1], sx, px)].map(
                |(remainder, stride, padding)| (remainder + stride - padding % stride) % stride,
            );
            let first = (above + py) / sy * layout.line + (skip + px) / sx;
            let lines = MapLines {
                numbers: x.get(above * width + skip..).unwrap_or_default(),
                lines: height.saturating_sub(above).div_ceil(sy),
                distance: sy * width,
                width: width.saturating_sub(skip),
                stride: sx,
            };
            pad_lines(lines, row, first, layout.line);
        }
    }
}

unsafe fn depthwise(
    depthwise: &Depthwise,
    layout: &inference::Depthwise,
    activation: Option<Activation>,
    arena: Arena,
    scratch: &mut [f32],
    part: Part,
) {
    let taps = depthwise.window.kernel[0] * depthwise.window.kernel[1];
    scratch[..layout.scratch()].fill(0.0);
    let (from, pixels) = (depthwise.from, depthwise.to.pixels());
    for channel in part.range(depthwise.to.shape[0]) {
        // SAFETY: as for `execute`.
        let (x, out) = unsafe {
            (
                arena.read(from.at + channel * from.stride, from.stride),
                arena.channel_mut(depthwise.to, channel),
            )
        };
        let weights = &depthwise.weights[channel * taps..][..taps];
        let lines = Lines {
            numbers: x,
            line: from.shape[2],
        };
        let kernel = Kernel {
            weights,
            bias: depthwise.bias[channel],
            relu: depthwise.relu,
        };
        layout.run(lines, kernel, scratch, out);
        if let Some(activation) = activation {
            activate(activation, &mut out[..pixels]);
        }
    }
}

unsafe fn linear(linear: &Linear, arena: Arena, part: Part) {
    let (sources, targets) = (linear.from.shape[0], linear.to.shape[0]);
    let own = part.range(targets);
    // SAFETY: as for `execute`.
    let (x, out) = unsafe {
        (
            arena.read(linear.from.at, sources),
            arena.write(linear.to.at + own.start, own.len()),
        )
    };
    match &linear.edges {
        None => {
            let matrix = Matrix {
                weights: &linear.weights,
                bias: &linear.bias,
                columns: sources,
            };
            inference::dense_rows(matrix, own, x, out);
        }
        Some(edges) => {
            for (target, out) in own.zip(&mut *out) {
                let own = edges.starts[target] as usize..edges.starts[target + 1] as usize;
                let pairs = edges.sources[own.clone()].iter().zip(&linear.weights[own]);
                // In four parts, so that four additions are under way.
                let mut sums = [0.0f32; 4];
                for (i, (&source, w)) in pairs.enumerate() {
                    sums[i % 4] += w * x[source as usize];
                }
                *out = sums[0] + sums[1] + (sums[2] + sums[3]) + linear.bias[target];
            }
        }
    }
    if linear.relu {
        out.iter_mut().for_each(|x| *x = pointwise::rectified(*x));
    }
}

unsafe fn copy(copy: &CopyPixels, arena: Arena, part: Part) {
    // Pieces may write into the same channel, but each number only once; one thread copies all.
    if part.index > 0 {
        return;
    }
    for piece in &copy.pieces {
        let (stride, len) = (piece.stride as usize, piece.len as usize);
        // SAFETY: as for `execute`.
        let (from, to) = unsafe {
            (
                arena.read(piece.from as usize, (len - 1) * stride + 1),
                arena.write(piece.to as usize, len),
            )
        };
        copy_every(stride, from, to);
    }
}
