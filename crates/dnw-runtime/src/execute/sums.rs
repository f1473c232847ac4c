//! Weighted sums of rows.

mod shared;
mod strips;
mod together;

use dnw_kernels::inference::{
    BLOCK, Kernel, Lines, NONE, RowSums, SharedRows, TOGETHER, Target, activate, sum_rows,
    sum_rows_together,
};

use super::pointwise::rectified;
use crate::memory::Arena;
use crate::part::Part;
use crate::plan::{ActivateMaps, Activation, Kernels, Maps, Sums, VECTOR};
use shared::shared_rows;
use strips::{Strip, strips};
use together::Blocks;

/// The fewest numbers of a line that is written without a copy: a loop over edges begins and ends for each line.
const LONG_LINE: usize = 6 * VECTOR;

/// The fewest vectors of a row in a share, if shares divide rows: a loop over edges begins and ends once for each.
const FEWEST_OF_SHARE: usize = 3;

/// Sums with the offset of each term.
#[derive(Debug)]
pub(super) struct PreparedSums {
    /// Targets of a block.
    block: usize,
    terms: Terms,
    targets: Vec<Target>,
    to: Maps,
    /// Where the map of each channel starts; empty if none is added.
    residual: Vec<u32>,
    relu: bool,
    /// The step behind it, if that is a function of each output.
    pub(super) activation: Option<Activation>,
    map: [usize; 2],
    line: usize,
    then: Option<Kernels>,
    output: Output,
}

/// The terms of all targets.
#[derive(Debug)]
enum Terms {
    /// In blocks of 1, of [`BLOCK`], which have the same rows, or of [`TOGETHER`], which do not.
    Rows {
        /// For each block the number of terms before it; one more than there are blocks.
        starts: Vec<u32>,
        /// For each term its row, or those of all targets of the block.
        offsets: Vec<u32>,
        /// For each term the weight of each target.
        weights: Vec<f32>,
    },
    /// In blocks of [`BLOCK`], which have some of their rows in common.
    Shared(SharedRows),
}

impl Terms {
    /// For each block the number of terms before it; one more than there are blocks.
    fn starts(&self) -> &[u32] {
        match self {
            Self::Rows { starts, .. } => starts,
            Self::Shared(rows) => rows.starts(),
        }
    }
}

/// How sums become outputs.
#[derive(Debug)]
enum Output {
    /// Vectors are written to the output at once: its lines follow each other, as those of rows do. So many vectors of each row, in strips of
    /// so many.
    Direct { vectors: usize, strip: usize },
    /// As [`Direct`](Self::Direct), one line of all targets after the other: there is padding between the lines of rows. A line fills so many vectors.
    EachLine { vectors: usize },
    /// Some lines of a target are summed in scratch memory, and copied or convolved from there.
    Lines(Vec<Strip>),
}

impl PreparedSums {
    pub(super) fn new(sums: Sums) -> Self {
        let to = sums.to;
        let is_direct =
            sums.then.is_none() && sums.line == to.shape[2] && to.stride.is_multiple_of(VECTOR);
        let shared = shared_rows(&sums);
        let width = to.shape[2];
        let is_each_line = !is_direct
            && sums.then.is_none()
            && shared.is_none()
            && sums.map[1] == width
            && width.is_multiple_of(VECTOR)
            && width >= LONG_LINE;
        let output = if is_direct {
            Output::Direct {
                vectors: to.stride / VECTOR,
                strip: strips::vectors_in_cache(&sums, to.stride / VECTOR),
            }
        } else if is_each_line {
            Output::EachLine {
                vectors: width / VECTOR,
            }
        } else {
            Output::Lines(strips(&sums))
        };
        let target = |place: usize| {
            let channel = sums.channels[place];
            let residual = sums.residual.get(channel as usize);
            Target {
                out: match channel {
                    u32::MAX => NONE,
                    channel => (to.at + channel as usize * to.stride) as u32,
                },
                residual: residual
                    .copied()
                    .filter(|_| is_direct || is_each_line)
                    .unwrap_or(NONE),
                bias: sums.bias[place],
            }
        };
        let of_all = || (0..sums.channels.len()).map(target);
        let (block, targets, terms) = if let Some(rows) = shared {
            let places = sums.channels.len().next_multiple_of(BLOCK);
            let targets = of_all().chain(std::iter::repeat(Target::NONE));
            (BLOCK, targets.take(places).collect(), Terms::Shared(rows))
        } else if let Some(blocks) = Blocks::new(&sums) {
            let places = blocks.order.into_iter();
            let targets = places.map(|place| place.map_or(Target::NONE, target));
            let terms = Terms::Rows {
                starts: blocks.starts,
                offsets: blocks.rows,
                weights: blocks.weights,
            };
            (TOGETHER, targets.collect(), terms)
        } else {
            let targets = of_all().collect();
            let mut offsets = sums.terms;
            for term in &mut offsets {
                *term = sums.rows[*term as usize];
            }
            let terms = Terms::Rows {
                starts: sums.starts,
                offsets,
                weights: sums.weights,
            };
            (sums.block, targets, terms)
        };
        Self {
            block,
            terms,
            targets,
            to,
            residual: sums.residual,
            relu: sums.relu,
            activation: None,
            map: sums.map,
            line: sums.line,
            then: sums.then,
            output,
        }
    }

    /// Takes over the step behind it, if that is a function of its output and nothing else. True if it did.
    pub(super) fn absorb(&mut self, next: &ActivateMaps) -> bool {
        let fits = next.from == self.to && next.to == self.to && self.then.is_none();
        if fits {
            self.activation = Some(next.activation);
        }
        fits
    }

    pub(super) fn operation(&self) -> &'static str {
        match (self.block, &self.then) {
            _ if matches!(self.terms, Terms::Shared(_)) => "sparse sums of four targets",
            (1, None) => "sparse sums",
            (1, Some(_)) => "sparse sums, then depthwise",
            // Nothing follows these.
            (TOGETHER, _) => "sparse sums of eight targets",
            (_, None) => "sums of four targets",
            (_, Some(_)) => "sums of four targets, then depthwise",
        }
    }

    /// Vectors that are loaded.
    #[cfg(feature = "threads")]
    pub(super) fn vectors(&self) -> usize {
        let vectors = match &self.output {
            Output::Direct { vectors, .. } => *vectors,
            Output::EachLine { vectors } => vectors * self.to.shape[1],
            Output::Lines(strips) => strips.iter().map(|strip| strip.vectors).sum(),
        };
        let weights = match &self.terms {
            Terms::Rows { weights, .. } => weights.len(),
            Terms::Shared(rows) => rows.edges(),
        };
        weights * vectors
    }

    pub(super) fn scratch(&self) -> usize {
        match &self.output {
            Output::Direct { .. } | Output::EachLine { .. } => 0,
            Output::Lines(strips) => {
                let most = |of: &dyn Fn(&Strip) -> usize| strips.iter().map(of).max().unwrap_or(0);
                self.block * most(&|strip| strip.vectors * VECTOR) + most(&Strip::scratch)
            }
        }
    }

    /// # Safety
    /// As for [`Prepared::execute`](super::Prepared::execute).
    pub(super) unsafe fn execute(&self, arena: Arena, scratch: &mut [f32], part: Part) {
        let starts = self.terms.starts();
        let blocks = starts.len() - 1;
        // Where rows stay in the cache strip by strip, shares have different strips: so each thread reads a part of each row only.
        let (pixels, part) = match self.output {
            Output::Direct { vectors, strip }
                if strip < vectors && vectors >= FEWEST_OF_SHARE * part.shares =>
            {
                let (share, own) = part.in_share();
                (share.range(vectors), own)
            }
            Output::Direct { vectors, .. } => (0..vectors, part),
            _ => (0..0, part),
        };
        // By terms, which is what takes time.
        let terms = starts[blocks] as usize;
        let end = |index: usize| {
            let most = (terms * index / part.of) as u32;
            match index == part.of {
                true => blocks,
                false => starts[..blocks].partition_point(|&start| start < most),
            }
        };
        let own = end(part.index)..end(part.index + 1);
        let (offsets, weights) = match &self.terms {
            Terms::Rows {
                offsets, weights, ..
            } => (&offsets[..], &weights[..]),
            Terms::Shared(_) => Default::default(),
        };
        let mut sums = RowSums {
            source: arena.start,
            residuals: arena.start,
            out: arena.start,
            starts,
            offsets,
            weights,
            relu: self.relu,
            activation: self.activation,
            strip: usize::MAX,
        };
        let targets = &self.targets[self.block * own.start..];
        match &self.output {
            &Output::Direct { strip, .. } => {
                let first = pixels.start * VECTOR;
                // SAFETY: the check of the plan: rows and maps have all these pixels.
                unsafe {
                    let strips = RowSums {
                        source: arena.start.add(first),
                        residuals: arena.start.add(first),
                        out: arena.start.add(first),
                        strip,
                        ..sums
                    };
                    self.sum(strips, own, targets, pixels.len());
                }
            }
            &Output::EachLine { vectors } => {
                let [_, height, width] = self.to.shape;
                for y in 0..height {
                    // SAFETY: the check of the plan: these are lines of rows and of maps.
                    unsafe {
                        let line = RowSums {
                            source: arena.start.add(y * self.line),
                            residuals: arena.start.add(y * width),
                            out: arena.start.add(y * width),
                            ..sums
                        };
                        self.sum(line, own.clone(), targets, vectors);
                    }
                }
            }
            Output::Lines(strips) => {
                // A residual comes before the ReLU and the activation.
                if !self.residual.is_empty() {
                    (sums.relu, sums.activation) = (false, None);
                }
                for strip in strips {
                    // SAFETY: as the caller promises.
                    unsafe { self.lines(strip, sums, own.clone(), arena, scratch) };
                }
            }
        }
    }

    /// `targets` are those of `blocks`.
    unsafe fn sum(
        &self,
        sums: RowSums<'_>,
        blocks: std::ops::Range<usize>,
        targets: &[Target],
        vectors: usize,
    ) {
        // SAFETY: as the caller promises.
        unsafe {
            let starts = match &self.terms {
                Terms::Shared(rows) => return rows.sum(sums, blocks, targets, vectors),
                Terms::Rows { starts, .. } => &starts[blocks.start..=blocks.end],
            };
            let (sums, blocks) = (RowSums { starts, ..sums }, 0..blocks.len());
            match self.block {
                1 => sum_rows::<1>(sums, blocks, targets, vectors),
                TOGETHER => sum_rows_together(sums, blocks, targets, vectors),
                _ => sum_rows::<BLOCK>(sums, blocks, targets, vectors),
            }
        }
    }

    /// Sums some lines of all targets.
    unsafe fn lines(
        &self,
        strip: &Strip,
        sums: RowSums<'_>,
        blocks: std::ops::Range<usize>,
        arena: Arena,
        scratch: &mut [f32],
    ) {
        let numbers = strip.vectors * VECTOR;
        let (summed, scratch) = scratch.split_at_mut(self.block * numbers);
        scratch[..strip.scratch()].fill(0.0);
        for block in blocks {
            let mut targets = [Target::NONE; TOGETHER];
            let these = &self.targets[block * self.block..][..self.block];
            for (i, (target, own)) in targets.iter_mut().zip(these).enumerate() {
                target.bias = own.bias;
                if own.out != NONE {
                    target.out = (i * numbers) as u32;
                }
            }
            let one = RowSums {
                // SAFETY: the check of the plan: rows are longer than this.
                source: unsafe { sums.source.add(strip.first) },
                out: summed.as_mut_ptr(),
                ..sums
            };
            // SAFETY: the check of the plan; scratch memory holds a block.
            unsafe { self.sum(one, block..block + 1, &targets[..self.block], strip.vectors) };
            for (i, own) in these.iter().enumerate().filter(|(_, own)| own.out != NONE) {
                let summed = &mut summed[i * numbers + strip.skip..(i + 1) * numbers];
                let channel = (own.out as usize - self.to.at) / self.to.stride;
                if let Some(&residual) = self.residual.get(channel) {
                    let at = residual as usize + strip.lines.start * self.map[1];
                    // SAFETY: as for `execute`.
                    let residual = unsafe { arena.read(at, strip.lines.len() * self.map[1]) };
                    self.add_lines(residual, summed);
                    if let Some(activation) = self.activation {
                        activate(activation, summed);
                    }
                }
                // SAFETY: as for `execute`.
                let map = unsafe { arena.write(own.out as usize, self.to.stride) };
                let out = &mut map[strip.output.start * self.to.shape[2]..];
                if let (Some(then), Some(layout)) = (&self.then, &strip.layout) {
                    let taps = then.window.kernel[0] * then.window.kernel[1];
                    let target = block * self.block + i;
                    let weights = &then.weights[target * taps..][..taps];
                    let lines = Lines {
                        numbers: summed,
                        line: self.line,
                    };
                    let kernel = Kernel {
                        weights,
                        bias: then.bias[target],
                        relu: then.relu,
                    };
                    layout.run(lines, kernel, scratch, out);
                } else {
                    let width = self.map[1];
                    for (y, line) in summed.chunks(self.line).take(strip.lines.len()).enumerate() {
                        out[y * width..][..width].copy_from_slice(&line[..width]);
                    }
                }
            }
        }
    }

    /// Adds lines without padding to sums, and applies the ReLU.
    fn add_lines(&self, residual: &[f32], summed: &mut [f32]) {
        for (line, residual) in summed
            .chunks_mut(self.line)
            .zip(residual.chunks_exact(self.map[1]))
        {
            line.iter_mut().zip(residual).for_each(|(x, r)| *x += r);
            if self.relu {
                line.iter_mut().for_each(|x| *x = rectified(*x));
            }
        }
    }
}
