//! Random circuits.
//!
//! A circuit is built from a list of genes: each gene adds a step if that step fits and is skipped otherwise. So every list of genes is a
//! circuit, and a failing one shrinks to few steps. Many steps read random blocks of the same few tensors.

use dnw_circuit::{
    Activation, Block, Circuit, CircuitBuilder, CircuitError, Function, Pool, Taps, Tensor,
    TensorId, ValueId, Window,
};
use proptest::prelude::*;

/// A proposed step.
#[derive(Clone, Copy, Debug)]
pub struct Gene {
    step: u8,
    from: u8,
    seed: u64,
}

/// The kind of circuit.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Density of the wired weights.
    pub density: f64,
    /// Monotone: no value is negative, kernels are real as a whole and there are no instance norms, so that every value grows with everything
    /// that it can depend on.
    pub growing: bool,
    /// Every weight is wired.
    pub wired_only: bool,
}

/// A recipe for a circuit.
#[derive(Clone, Debug)]
pub struct Recipe {
    image: [usize; 3],
    genes: Vec<Gene>,
    density: f64,
    seed: u64,
}

pub fn recipes() -> impl Strategy<Value = Recipe> {
    let gene = (any::<u8>(), any::<u8>(), any::<u64>());
    let gene = gene.prop_map(|(step, from, seed)| Gene { step, from, seed });
    let density = prop_oneof![Just(0.0), Just(1.0), 0.0..0.4f64, 0.0..1.0f64];
    (
        (1usize..4, 1usize..8, 1usize..8),
        prop::collection::vec(gene, 0..16),
        density,
        any::<u64>(),
    )
        .prop_map(|((channels, height, width), genes, density, seed)| Recipe {
            image: [channels, height, width],
            genes,
            density,
            seed,
        })
}

impl Recipe {
    /// The circuit.
    pub fn circuit(&self) -> Circuit {
        self.grow(false, false)
    }

    /// The same with every edge real.
    pub fn complete(&self) -> Circuit {
        Self {
            density: 1.0,
            ..self.clone()
        }
        .grow(false, false)
    }

    /// The same steps as a monotone circuit.
    pub fn growing(&self) -> Circuit {
        self.grow(true, false)
    }

    /// The same steps with every weight wired.
    pub fn wired_only(&self) -> Circuit {
        self.grow(false, true)
    }

    /// An image for the circuit, with values from 0 to 1.
    pub fn image(&self, seed: u64) -> Vec<f32> {
        let mut noise = Noise(self.seed ^ seed);
        let pixels = self.image.iter().product();
        (0..pixels).map(|_| noise.unit() as f32).collect()
    }

    fn grow(&self, growing: bool, wired_only: bool) -> Circuit {
        let style = Style {
            density: self.density,
            growing,
            wired_only,
        };
        Growth::new(self, style)
            .and_then(|growth| growth.run(&self.genes))
            .expect("genes that do not fit are skipped")
    }
}

/// Pseudorandom numbers (splitmix64).
pub struct Noise(pub u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Rows and columns of the shared tensors, and the maximum number of channels of a value.
const MOST: usize = 12;

struct Growth {
    builder: CircuitBuilder,
    style: Style,
    noise: Noise,
    values: Vec<ValueId>,
    /// Wired weights with kernels of 1 x 1 and 3 x 3.
    shared: [TensorId; 2],
    /// Scales and shifts.
    norms: [TensorId; 2],
}

type Grown = Result<Option<ValueId>, CircuitError>;

impl Growth {
    fn new(recipe: &Recipe, style: Style) -> Result<Self, CircuitError> {
        let mut builder = CircuitBuilder::new(recipe.image)?;
        let mut noise = Noise(recipe.seed);
        let mut shared = Vec::new();
        for side in [1, 3] {
            let name = format!("shared{side}");
            let edges = edges(name, [MOST, MOST, side, side], style, &mut noise);
            shared.push(builder.tensor(edges)?);
        }
        let scales = (0..MOST).map(|_| 0.5 + noise.unit() as f32).collect();
        let shifts = (0..MOST).map(|_| number(style, &mut noise)).collect();
        let norms = [
            builder.tensor(Tensor::norm("scales", scales))?,
            builder.tensor(Tensor::norm("shifts", shifts))?,
        ];
        Ok(Self {
            values: vec![builder.input()],
            builder,
            style,
            noise,
            shared: [shared[0], shared[1]],
            norms,
        })
    }

    fn run(mut self, genes: &[Gene]) -> Result<Circuit, CircuitError> {
        for (at, gene) in genes.iter().enumerate() {
            self.noise = Noise(gene.seed);
            self.builder.layer(format!("layer{}", at / 2));
            // Most steps follow the one before.
            let from = usize::from(gene.from);
            let x = match from % 3 {
                0 => self.values[from / 3 % self.values.len()],
                _ => self.values[self.values.len() - 1],
            };
            if let Some(value) = self.step(at, gene.step % 28, x)? {
                self.values.push(value);
            }
        }
        self.builder.finish(self.values[self.values.len() - 1])
    }

    fn step(&mut self, at: usize, step: u8, x: ValueId) -> Grown {
        let shape @ [channels, height, width] = self.builder.shape(x);
        match step {
            0..4 => self.shared_conv(x, usize::from(step % 2)),
            4 => {
                let targets = 1 + self.noise.below(MOST);
                let bias = self.bias(at, targets)?;
                let (side, window) = self.window([height, width]);
                let weight = self.weight(at, [targets, channels, side, side])?;
                let weight = self.builder.whole(weight);
                self.builder.conv(x, weight, bias, window).map(Some)
            }
            5 | 6 => {
                let bias = self.bias(at, channels)?;
                let (side, window) = self.window([height, width]);
                let weight = self.weight(at, [channels, 1, side, side])?;
                let weight = self.builder.whole(weight);
                self.builder.depthwise(x, weight, bias, window).map(Some)
            }
            7 => {
                if channels % 2 != 0 {
                    return Ok(None);
                }
                let targets = 2 * (1 + self.noise.below(4));
                let bias = self.bias(at, targets)?;
                let (side, window) = self.window([height, width]);
                let weight = self.weight(at, [targets, channels / 2, side, side])?;
                let weight = self.builder.whole(weight);
                self.builder
                    .grouped_conv(x, weight, bias, window, 2)
                    .map(Some)
            }
            8 => self.batch_norm(at, x, channels),
            9 if self.style.growing => Ok(None),
            9 => {
                let affine = self.affine(channels);
                self.builder.instance_norm(x, affine, 1e-3).map(Some)
            }
            10 => self.builder.relu(x).map(Some),
            11 => {
                let alike = self
                    .values
                    .iter()
                    .filter(|&&y| self.builder.shape(y) == shape);
                let alike: Vec<ValueId> = alike.copied().collect();
                let mut terms = Vec::new();
                for _ in 0..1 + self.noise.below(3) {
                    let a = f64::from(number(self.style, &mut self.noise));
                    terms.push((a, alike[self.noise.below(alike.len())]));
                }
                terms.push((1.0, x));
                self.builder.sum(&terms).map(Some)
            }
            12 => {
                let fits = |&&y: &&ValueId| {
                    let [more, h, w] = self.builder.shape(y);
                    [h, w] == [height, width] && channels + more <= MOST
                };
                let alike: Vec<ValueId> = self.values.iter().filter(fits).copied().collect();
                if alike.is_empty() {
                    return Ok(None);
                }
                let other = alike[self.noise.below(alike.len())];
                self.builder.concat(&[other, x]).map(Some)
            }
            13 => {
                if channels >= MOST {
                    return Ok(None);
                }
                let more = 1 + self.noise.below(MOST - channels);
                let maps = (0..more * height * width)
                    .map(|_| f64::from(number(self.style, &mut self.noise)));
                let maps = maps.collect();
                let constant = self.builder.constant([more, height, width], maps)?;
                self.builder.concat(&[constant, x]).map(Some)
            }
            14 => {
                let number = 1 + self.noise.below(MOST);
                let selected = (0..number).map(|_| self.noise.below(channels));
                let selected: Vec<usize> = selected.collect();
                self.builder.select(x, selected).map(Some)
            }
            15 => {
                let [top, left] = [self.noise.below(height), self.noise.below(width)];
                let size = [
                    1 + self.noise.below(height - top),
                    1 + self.noise.below(width - left),
                ];
                self.builder.crop(x, [top, left], size).map(Some)
            }
            16 => {
                let kernel = [height.min(2), width.min(3)];
                let stride = [1 + self.noise.below(2); 2];
                match self.noise.below(3) {
                    0 => self.builder.average_pool(x, kernel, stride),
                    1 => self.builder.max_pool(x, kernel, stride, [kernel[0] / 2, 0]),
                    _ => self.builder.global_average(x),
                }
                .map(Some)
            }
            17 if channels * height * width <= MOST => self.builder.flatten(x).map(Some),
            18 if 4 * channels <= MOST && height % 2 == 0 && width % 2 == 0 => {
                self.builder.fold(x, 2).map(Some)
            }
            19 => self.activation(x),
            20 if self.style.growing => Ok(None),
            20 => {
                let fits = |&&y: &&ValueId| {
                    let other = self.builder.shape(y);
                    other == shape || other == [channels, 1, 1]
                };
                let fitting: Vec<ValueId> = self.values.iter().filter(fits).copied().collect();
                let by = fitting[self.noise.below(fitting.len())];
                // Not unbounded: products of products grow fast.
                let clip = Function::Clip {
                    low: -1.0,
                    high: 1.5,
                };
                let by = self.builder.activation(by, Activation::plain(clip))?;
                self.builder.product(x, by).map(Some)
            }
            21 => self.uneven_pool(x, [height, width]).map(Some),
            22 if !self.style.growing => self.builder.softmax(x).map(Some),
            23 => {
                // As in squeeze-and-excitation, before a product.
                let mean = self.builder.global_average(x)?;
                if self.style.growing {
                    return Ok(Some(mean));
                }
                let gate = Activation::plain(Function::Sigmoid);
                let gate = self.builder.activation(mean, gate)?;
                self.builder.product(x, gate).map(Some)
            }
            24 => {
                let [rows, columns] = [height, width].map(|size| self.taps(size));
                self.builder.resample(x, rows, columns).map(Some)
            }
            25 if !self.style.growing => {
                // Other channels, each of several, a part of one, or both.
                let all = channels * height * width;
                let divides = |&count: &usize| all.is_multiple_of(count);
                let counts: Vec<usize> = (1..=MOST).filter(divides).collect();
                let count = counts[self.noise.below(counts.len())];
                let rows: Vec<usize> = (1..=all / count)
                    .filter(|rows| (all / count).is_multiple_of(*rows))
                    .collect();
                let rows = rows[self.noise.below(rows.len())];
                let shape = [count, rows, all / count / rows];
                self.builder.reshape(x, shape).map(Some)
            }
            26 if !self.style.growing && channels % 4 == 0 && height * width <= 16 => {
                self.builder.unfold(x, 2).map(Some)
            }
            27 if !self.style.growing => {
                let affine = self.affine(channels);
                self.builder.pixel_norm(x, affine, 1e-2).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Sums of an axis. In a monotone circuit each has an input.
    fn taps(&mut self, size: usize) -> Taps {
        let outputs = 1 + self.noise.below(2 * size);
        let outputs = (0..outputs).map(|_| {
            let inputs = usize::from(self.style.growing) + self.noise.below(3);
            let inputs = (0..inputs).map(|_| {
                let weight = f64::from(number(self.style, &mut self.noise));
                (self.noise.below(size), weight)
            });
            inputs.collect()
        });
        Taps::new(outputs.collect())
    }

    /// A random activation; only those that grow everywhere in a monotone circuit.
    fn activation(&mut self, x: ValueId) -> Grown {
        let slope = 0.1 + 0.3 * self.noise.unit();
        let functions = [
            Function::LeakyRelu { slope },
            Function::Clip {
                low: 0.0,
                high: 0.75,
            },
            Function::HardSigmoid { slope, shift: 0.5 },
            Function::Sigmoid,
            Function::Normal,
            Function::Softplus,
            Function::Abs,
            Function::Exp,
            Function::Ln,
            Function::Sqrt,
            Function::Reciprocal,
        ];
        let count = if self.style.growing {
            1
        } else {
            functions.len()
        };
        let function = functions[self.noise.below(count)];
        let gated = !self.style.growing && self.noise.below(2) == 0;
        let activation = Activation { function, gated };
        let mut x = x;
        if let Function::Exp | Function::Ln | Function::Sqrt | Function::Reciprocal = function {
            // Where they are defined, and not steep.
            let (low, high) = (0.5, 2.0);
            let clip = Activation::plain(Function::Clip { low, high });
            x = self.builder.activation(x, clip)?;
        }
        self.builder.activation(x, activation).map(Some)
    }

    /// A pool whose windows may reach beyond every side. In a monotone circuit each pixel is in a window.
    fn uneven_pool(&mut self, x: ValueId, size: [usize; 2]) -> Result<ValueId, CircuitError> {
        let pools = [Pool::Average, Pool::InnerAverage, Pool::Max];
        let count = if self.style.growing { 2 } else { 3 };
        let pool = pools[self.noise.below(count)];
        let kernel = [0; 2].map(|_| 1 + self.noise.below(3));
        let stride = kernel.map(|kernel| 1 + self.noise.below(kernel));
        let padding = kernel.map(|kernel| self.noise.below(kernel));
        let most: [usize; 2] = std::array::from_fn(|i| (size[i] + padding[i] - 1) / stride[i] + 1);
        self.builder.pool(x, pool, kernel, stride, padding, most)
    }

    /// A convolution by a random block of a shared tensor.
    fn shared_conv(&mut self, x: ValueId, which: usize) -> Grown {
        let [channels, ..] = self.builder.shape(x);
        let targets = 1 + self.noise.below(MOST);
        let first_row = self.noise.below(MOST - targets + 1);
        let first_column = self.noise.below(MOST - channels + 1);
        let block = Block::new(
            self.shared[which],
            first_row..first_row + targets,
            first_column..first_column + channels,
        );
        self.builder
            .conv(x, block, None, Window::square(1, which))
            .map(Some)
    }

    fn batch_norm(&mut self, at: usize, x: ValueId, channels: usize) -> Grown {
        let means = (0..channels).map(|_| match self.style.growing {
            true => 0.0,
            false => number(self.style, &mut self.noise),
        });
        let means = Tensor::statistic(format!("means{at}"), means.collect());
        let variances = (0..channels).map(|_| 0.5 + self.noise.unit() as f32);
        let variances = Tensor::statistic(format!("variances{at}"), variances.collect());
        let means = self.builder.tensor(means)?;
        let variances = self.builder.tensor(variances)?;
        let gathered = [self.builder.whole(means), self.builder.whole(variances)];
        let affine = self.affine(channels);
        self.builder.batch_norm(x, gathered, affine, 1e-5).map(Some)
    }

    fn affine(&mut self, channels: usize) -> [Block; 2] {
        let first = self.noise.below(MOST - channels + 1);
        self.norms
            .map(|norm| Block::rows(norm, first..first + channels))
    }

    fn bias(&mut self, at: usize, targets: usize) -> Result<Option<Block>, CircuitError> {
        if self.noise.below(2) == 0 {
            return Ok(None);
        }
        let values = (0..targets).map(|_| number(self.style, &mut self.noise));
        let bias = Tensor::bias(format!("bias{at}"), values.collect());
        let bias = self.builder.tensor(bias)?;
        Ok(Some(self.builder.whole(bias)))
    }

    /// A weight of its own for a step, wired or not.
    fn weight(&mut self, at: usize, shape: [usize; 4]) -> Result<TensorId, CircuitError> {
        let name = format!("weight{at}");
        let wired = self.noise.below(2) == 0;
        let mut edges = edges(name.clone(), shape, self.style, &mut self.noise);
        if !wired && !self.style.wired_only {
            edges = Tensor::weight(name, shape, edges.values().to_vec());
        }
        self.builder.tensor(edges)
    }

    /// A kernel size and a window in which the kernel's centre is inside the feature maps.
    fn window(&mut self, size: [usize; 2]) -> (usize, Window) {
        let stride = [1 + self.noise.below(2), 1 + self.noise.below(2)];
        let dilation = 1 + self.noise.below(2);
        let padding = self.noise.below(dilation + 1);
        let reach = 2 * dilation + 1;
        if self.noise.below(2) == 0 || size.iter().any(|side| side + 2 * padding < reach) {
            return (
                1,
                Window {
                    stride,
                    ..Window::default()
                },
            );
        }
        let window = Window {
            stride,
            padding: [padding; 2],
            dilation: [dilation; 2],
        };
        (3, window)
    }
}

fn number(style: Style, noise: &mut Noise) -> f32 {
    match style.growing {
        true => 0.1 + noise.unit() as f32,
        false => 2.0 * noise.unit() as f32 - 1.0,
    }
}

/// Wired weights that keep values at about the same magnitude.
fn edges(name: String, shape: [usize; 4], style: Style, noise: &mut Noise) -> Tensor {
    let [rows, columns, height, width] = shape;
    let area = height * width;
    let scale = 1.0 / ((columns * area) as f32).sqrt();
    let values = (0..rows * columns * area).map(|_| scale * number(style, noise));
    let values = values.collect();
    let mut real = Vec::new();
    for _ in 0..rows * columns {
        let whole = noise.unit() < style.density;
        real.extend((0..area).map(|_| {
            let alone = noise.unit() < style.density;
            if style.growing { whole } else { alone }
        }));
    }
    Tensor::edges(name, shape, values, real)
}
