//! The kernels for inference, compared with plain loops on random shapes.

use dnw_kernels::inference::{
    BLOCK, ChannelMaps, Depthwise, DepthwiseShape, Kernel, Lines, MapLines, Matrix, NONE, NormMap,
    PoolShape, RowSums, SharedRows, TOGETHER, Target, dense_rows, max_pool, means, norm_maps,
    pad_lines, sum_pool, sum_rows, sum_rows_together,
};
use proptest::prelude::*;

const LANES: usize = 16;

/// Numbers from -1 to 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Sums over blocks of `block` targets, which read rows of one memory and are written behind it.
struct Case {
    block: usize,
    starts: Vec<u32>,
    offsets: Vec<u32>,
    weights: Vec<f32>,
    biases: Vec<f32>,
    residual: bool,
    relu: bool,
    vectors: usize,
    strip: usize,
    /// Rows that are read, then residuals, then outputs.
    memory: Vec<f32>,
    read: usize,
}

impl Case {
    fn new(block: usize, terms_of_blocks: &[usize], vectors: usize, seed: u64) -> Self {
        let rows = 9;
        // Rows start anywhere, not only where vectors do.
        let read = rows * vectors * LANES + 5;
        let targets = block * terms_of_blocks.len();
        let mut starts = vec![0];
        for terms in terms_of_blocks {
            starts.push(starts[starts.len() - 1] + *terms as u32);
        }
        let terms = starts[starts.len() - 1] as usize;
        let end = (read - vectors * LANES) as u64;
        let offset = |i: usize| {
            ((seed
                .wrapping_add(i as u64)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                >> 20)
                % (end + 1)) as u32
        };
        Self {
            block,
            starts,
            offsets: (0..terms * if block == TOGETHER { TOGETHER } else { 1 })
                .map(offset)
                .collect(),
            weights: numbers(terms * block, seed ^ 1),
            biases: numbers(targets, seed ^ 2),
            residual: seed.is_multiple_of(3),
            relu: seed.is_multiple_of(2),
            vectors,
            strip: 1 + seed as usize % 20,
            memory: numbers(read + 2 * targets * vectors * LANES, seed ^ 3),
            read,
        }
    }

    fn targets(&self) -> usize {
        self.biases.len()
    }

    fn residual(&self, target: usize) -> usize {
        self.read + target * self.vectors * LANES
    }

    fn output(&self, target: usize) -> usize {
        self.residual(self.targets() + target)
    }

    /// The last target is none if there are several.
    fn is_target(&self, target: usize) -> bool {
        self.block == 1 || target + 1 < self.targets()
    }

    /// Sets about one weight in two to zero.
    fn without_some_edges(mut self, seed: u64) -> Self {
        let drawn = numbers(self.weights.len(), seed ^ 4);
        let absent = self.weights.iter_mut().zip(drawn).filter(|(_, x)| *x < 0.0);
        absent.for_each(|(weight, _)| *weight = 0.0);
        self
    }

    /// The terms in the form in which targets share some of their rows.
    fn shared(&self) -> SharedRows {
        let mut rows = self.offsets.clone();
        rows.sort_unstable();
        rows.dedup();
        let (weights, _) = self.weights.as_chunks::<BLOCK>();
        SharedRows::new(&rows, self.vectors, self.starts.len() - 1, |block, all| {
            let own = self.starts[block] as usize..self.starts[block + 1] as usize;
            for (offset, weights) in self.offsets[own.clone()].iter().zip(&weights[own]) {
                let row = rows.binary_search(offset).unwrap();
                (0..BLOCK).for_each(|i| all[row][i] += weights[i]);
            }
        })
    }

    fn run(&self) -> Vec<f32> {
        self.run_with(|sums, targets| {
            let blocks = 0..self.starts.len() - 1;
            // SAFETY: every row, residual and output lies in the memory, and outputs lie behind all that is read.
            unsafe {
                match self.block {
                    1 => sum_rows::<1>(sums, blocks, targets, self.vectors),
                    TOGETHER => sum_rows_together(sums, blocks, targets, self.vectors),
                    _ => sum_rows::<BLOCK>(sums, blocks, targets, self.vectors),
                }
            }
        })
    }

    /// The blocks in two parts, as threads compute them.
    fn run_shared(&self) -> Vec<f32> {
        let (shared, blocks) = (self.shared(), self.starts.len() - 1);
        self.run_with(|sums, targets| {
            for part in [0..blocks / 2, blocks / 2..blocks] {
                let targets = &targets[BLOCK * part.start..];
                // SAFETY: as above.
                unsafe { shared.sum(sums, part, targets, self.vectors) };
            }
        })
    }

    fn run_with(&self, sum: impl FnOnce(RowSums<'_>, &[Target])) -> Vec<f32> {
        let mut memory = self.memory.clone();
        let targets: Vec<Target> = (0..self.targets())
            .map(|target| Target {
                out: if self.is_target(target) {
                    self.output(target) as u32
                } else {
                    NONE
                },
                residual: if self.residual {
                    self.residual(target) as u32
                } else {
                    NONE
                },
                bias: self.biases[target],
            })
            .collect();
        let start = memory.as_mut_ptr();
        let sums = RowSums {
            source: start,
            residuals: start,
            out: start,
            starts: &self.starts,
            offsets: &self.offsets,
            weights: &self.weights,
            relu: self.relu,
            activation: None,
            strip: self.strip,
        };
        sum(sums, &targets);
        memory
    }

    /// The memory afterwards, in `f64`.
    fn expected(&self) -> Vec<f64> {
        let mut memory: Vec<f64> = self.memory.iter().copied().map(f64::from).collect();
        for target in (0..self.targets()).filter(|&target| self.is_target(target)) {
            let terms = self.starts[target / self.block] as usize
                ..self.starts[target / self.block + 1] as usize;
            for i in 0..self.vectors * LANES {
                let mut sum = f64::from(self.biases[target]);
                for term in terms.clone() {
                    let weight = self.weights[term * self.block + target % self.block];
                    let row = match self.block {
                        TOGETHER => self.offsets[term * TOGETHER + target % TOGETHER],
                        _ => self.offsets[term],
                    };
                    sum += f64::from(weight) * f64::from(self.memory[row as usize + i]);
                }
                if self.residual {
                    sum += f64::from(self.memory[self.residual(target) + i]);
                }
                memory[self.output(target) + i] = if self.relu { sum.max(0.0) } else { sum };
            }
        }
        memory
    }
}

fn close(found: &[f32], expected: &[f64], scale: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let apart = (f64::from(*found) - expected).abs();
        prop_assert!(
            apart <= 2e-6 * scale,
            "{} instead of {} at {}",
            found,
            expected,
            i
        );
    }
    Ok(())
}

/// The windows of a depthwise convolution: each pair is of height and width.
#[derive(Clone, Copy)]
struct Windows {
    map: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
}

impl Windows {
    /// Those of a square kernel that keep the width for a stride of 1.
    fn square(map: [usize; 2], radius: usize, stride: usize, above: usize) -> Self {
        Self {
            map,
            kernel: [2 * radius + 1; 2],
            stride: [stride; 2],
            padding: [above, radius],
            dilation: [1, 1],
        }
    }
}

/// Compares a depthwise convolution with plain loops. Lines of its input are `x_more` longer than the map; `room`: more than the output can be
/// written.
fn depthwise(windows: Windows, x_more: usize, room: bool, seed: u64) -> Result<(), TestCaseError> {
    let Windows {
        map,
        kernel,
        stride,
        padding,
        dilation,
    } = windows;
    let reach = |i: usize| (kernel[i] - 1) * dilation[i] + 1;
    let padded = |i: usize| map[i] + 2 * padding[i];
    prop_assume!((0..2).all(|i| reach(i) <= padded(i)));
    let output = [0, 1].map(|i| (padded(i) - reach(i)) / stride[i] + 1);
    let layout = Depthwise::new(DepthwiseShape {
        map,
        output,
        kernel,
        stride,
        padding,
        dilation,
    });
    let line = map[1] + x_more;
    let x = numbers(map[0] * line, seed);
    let weights = numbers(kernel[0] * kernel[1], seed ^ 1);
    let mut scratch = vec![0.0; layout.scratch()];
    let pixels = output[0] * output[1];
    let mut out = vec![
        9.0;
        if room {
            pixels.next_multiple_of(LANES)
        } else {
            pixels
        }
    ];
    let relu = seed.is_multiple_of(2);
    let kernel_of_channel = Kernel {
        weights: &weights,
        bias: 0.5,
        relu,
    };
    // Twice: the second channel must not see what the first has left in the scratch memory.
    layout.run(
        Lines {
            numbers: &numbers(x.len(), seed ^ 2),
            line,
        },
        kernel_of_channel,
        &mut scratch,
        &mut out,
    );
    layout.run(
        Lines { numbers: &x, line },
        kernel_of_channel,
        &mut scratch,
        &mut out,
    );
    let mut expected = Vec::new();
    for at in 0..pixels {
        let (oy, ox) = (at / output[1], at % output[1]);
        let mut sum = 0.5;
        for (tap, &weight) in weights.iter().enumerate() {
            let y = oy * stride[0] + tap / kernel[1] * dilation[0];
            let x_ = ox * stride[1] + tap % kernel[1] * dilation[1];
            if (padding[0]..padding[0] + map[0]).contains(&y)
                && (padding[1]..padding[1] + map[1]).contains(&x_)
            {
                let pixel = x[(y - padding[0]) * line + x_ - padding[1]];
                sum += f64::from(weight) * f64::from(pixel);
            }
        }
        expected.push(if relu { sum.max(0.0) } else { sum });
    }
    close(&out[..pixels], &expected, 25.0)?;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn sums_of_rows_are_those_of_plain_loops(
        terms in prop::collection::vec(0usize..12, 1..6),
        vectors in 1usize..40,
        block in prop::sample::select(vec![1, BLOCK, TOGETHER]),
        seed: u64,
    ) {
        let case = Case::new(block, &terms, vectors, seed);
        close(&case.run(), &case.expected(), 12.0)?;
    }

    #[test]
    fn sums_whose_targets_share_some_rows_are_those_of_plain_loops(
        terms in prop::collection::vec(0usize..40, 1..6),
        vectors in prop_oneof![1usize..8, 1usize..80],
        seed: u64,
    ) {
        let case = Case::new(BLOCK, &terms, vectors, seed).without_some_edges(seed);
        close(&case.run_shared(), &case.expected(), 40.0)?;
    }

    #[test]
    fn depthwise_convolutions_are_those_of_plain_loops(
        map in [1usize..40, 1usize..40],
        kernel in prop_oneof![Just([3usize, 3]), Just([5, 5]), [1usize..5, 1usize..5]],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..4, 0usize..4],
        dilation in [1usize..3, 1usize..3],
        x_more in 0usize..4,
        room: bool,
        seed: u64,
    ) {
        depthwise(Windows { map, kernel, stride, padding, dilation }, x_more, room, seed)?;
    }

    #[test]
    fn depthwise_convolutions_of_the_usual_shapes_are_those_of_plain_loops(
        map in [1usize..80, 1usize..80],
        radius in 1usize..3,
        stride in 1usize..3,
        above in 0usize..3,
        x_more in 0usize..4,
        room: bool,
        seed: u64,
    ) {
        depthwise(Windows::square(map, radius, stride, above), x_more, room, seed)?;
    }

    #[test]
    fn depthwise_convolutions_of_small_maps_are_those_of_plain_loops(
        map in [1usize..24, 1usize..14],
        radius in 1usize..3,
        above in 0usize..5,
        x_more in 0usize..2,
        room: bool,
        seed: u64,
    ) {
        depthwise(Windows::square(map, radius, 1, above), x_more, room, seed)?;
    }

    #[test]
    fn padded_lines_are_those_of_plain_loops(
        lines in 0usize..9,
        width in 0usize..70,
        stride in 1usize..4,
        gap in 0usize..5,
        first in 0usize..100,
        zeros in 0usize..40,
        cut in 0usize..30,
        seed: u64,
    ) {
        let distance = width + gap;
        let numbers = numbers(lines * distance, seed);
        let line = width.div_ceil(stride) + zeros;
        let mut expected = vec![0.0; (first + lines * line + 20).saturating_sub(cut)];
        for i in 0..lines {
            for (j, x) in numbers[i * distance..][..width].iter().step_by(stride).enumerate() {
                if let Some(to) = expected.get_mut(first + i * line + j) {
                    *to = *x;
                }
            }
        }
        let mut row = vec![7.0; expected.len()];
        let map = MapLines { numbers: &numbers, lines, distance, width, stride };
        pad_lines(map, &mut row, first, line);
        prop_assert_eq!(row, expected);
    }

    #[test]
    fn dense_products_are_those_of_plain_loops(
        rows in 1usize..20,
        columns in 1usize..100,
        first in 0usize..20,
        seed: u64,
    ) {
        let (weights, bias) = (numbers(rows * columns, seed), numbers(rows, seed ^ 1));
        let x = numbers(columns, seed ^ 2);
        let own = first.min(rows - 1)..rows;
        let mut out = vec![0.0; own.len()];
        dense_rows(Matrix { weights: &weights, bias: &bias, columns }, own.clone(), &x, &mut out);
        let expected: Vec<f64> = own
            .map(|row| {
                let products = weights[row * columns..][..columns].iter().zip(&x);
                products.map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>() + f64::from(bias[row])
            })
            .collect();
        close(&out, &expected, 100.0)?;
    }

    #[test]
    fn norms_are_those_of_plain_loops(
        maps in 1usize..10,
        pixels in 1usize..70,
        epsilon in proptest::option::of(0.001f32..1.0),
        relu: bool,
        seed: u64,
    ) {
        let x = numbers(maps * pixels, seed);
        let (scale, shift) = (numbers(maps, seed ^ 1), numbers(maps, seed ^ 2));
        let mut out = vec![9.0; x.len()];
        let pairs = x.chunks(pixels).zip(out.chunks_mut(pixels)).enumerate();
        let mut all: Vec<NormMap<'_>> = pairs
            .map(|(n, (x, out))| NormMap { x, scale: scale[n], shift: shift[n], out })
            .collect();
        norm_maps(&mut all, epsilon, relu);
        let mut expected = Vec::new();
        for (n, map) in x.chunks(pixels).enumerate() {
            let mean_of = |f: &dyn Fn(f64) -> f64| {
                map.iter().map(|&x| f(f64::from(x))).sum::<f64>() / pixels as f64
            };
            let (mut mean, mut deviation) = (0.0, 1.0);
            if let Some(epsilon) = epsilon {
                mean = mean_of(&|x| x);
                deviation = (mean_of(&|x| (x - mean).powi(2)) + f64::from(epsilon)).sqrt();
            }
            expected.extend(map.iter().map(|&x| {
                let y = (f64::from(x) - mean) / deviation * f64::from(scale[n]) + f64::from(shift[n]);
                if relu { y.max(0.0) } else { y }
            }));
        }
        close(&out, &expected, 40.0)?;
    }

    /// To the bit: columns are combined line by line, then the columns of each window.
    #[test]
    fn windows_of_pools_are_those_of_a_plain_loop(
        map in [1usize..24, 1usize..40],
        kernel in [1usize..8, 1usize..8],
        stride in [1usize..6, 1usize..6],
        padding in [0usize..3, 0usize..3],
        seed: u64,
    ) {
        let padding = [0, 1].map(|side| padding[side].min(kernel[side] / 2));
        let fits = (0..2).all(|side| map[side] + 2 * padding[side] >= kernel[side]);
        prop_assume!(fits);
        let output = [0, 1].map(|side| (map[side] + 2 * padding[side] - kernel[side]) / stride[side] + 1);
        let shape = PoolShape { map, output, kernel, stride, padding };
        let x = numbers(map[0] * map[1], seed);
        let [mut sums, mut maxima] = [(); 2].map(|()| vec![9.0; output[0] * output[1]]);
        let mut scratch = vec![9.0; shape.scratch()];
        sum_pool(shape, &x, &mut scratch, &mut sums);
        max_pool(shape, &x, &mut scratch, &mut maxima);
        for at in 0..sums.len() {
            let [top, left] = [at / output[1] * stride[0], at % output[1] * stride[1]];
            let (mut sum, mut most) = (0.0, f32::NEG_INFINITY);
            for column in (left..left + kernel[1]).filter_map(|column| column.checked_sub(padding[1])) {
                let lines = (top..top + kernel[0]).filter_map(|line| line.checked_sub(padding[0]));
                let inside = lines.filter(|&line| line < map[0] && column < map[1]);
                let pixels = || inside.clone().map(|line| x[line * map[1] + column]);
                sum += pixels().fold(0.0, |sum, x| sum + x);
                most = pixels().fold(most, f32::max);
            }
            prop_assert_eq!((sums[at], maxima[at]), (sum, most), "output {}", at);
        }
    }

    /// To the bit: sixteen lanes, of which the upper half is added to the lower half until one is left.
    #[test]
    fn means_of_maps_are_those_of_a_plain_loop(
        pixels in 1usize..70,
        gap in 0usize..20,
        maps in 0usize..11,
        stride in 1usize..4,
        seed: u64,
    ) {
        let x = numbers(maps * (pixels + gap), seed);
        let mut out = vec![9.0; maps * stride];
        means(ChannelMaps { numbers: &x, stride: pixels + gap, pixels }, &mut out, stride);
        for (map, out) in x.chunks(pixels + gap).zip(out.chunks(stride)) {
            let mut lanes = [0.0; LANES];
            for (i, x) in map[..pixels].iter().enumerate() {
                lanes[i % LANES] += x;
            }
            for width in [8, 4, 2, 1] {
                for i in 0..width {
                    lanes[i] += lanes[i + width];
                }
            }
            prop_assert_eq!(out[0].to_bits(), (lanes[0] / pixels as f32).to_bits());
            prop_assert!(out[1..].iter().all(|&x| x == 9.0));
        }
    }

    /// The window is the map, or larger.
    #[test]
    fn the_largest_pixel_of_a_map_is_that_of_a_plain_loop(
        map in [1usize..12, 1usize..30],
        beyond in [0usize..3, 0usize..3],
        seed: u64,
    ) {
        let shape = PoolShape {
            map,
            output: [1, 1],
            kernel: [map[0] + beyond[0], map[1] + beyond[1]],
            stride: [1, 1],
            padding: [0, 0],
        };
        let mut x = numbers(map[0] * map[1], seed);
        if seed.is_multiple_of(4) {
            x.iter_mut().for_each(|x| *x -= 2.0);
        }
        let mut out = [9.0];
        max_pool(shape, &x, &mut vec![0.0; shape.scratch()], &mut out);
        prop_assert_eq!(out[0], x.iter().copied().fold(f32::MIN, f32::max));
    }
}
