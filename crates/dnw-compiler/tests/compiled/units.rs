//! Wide layers whose real edges come in each unit that training has.

use dnw_circuit::{Circuit, CircuitBuilder, CircuitError, Tensor, Window};

/// How the real edges of a layer lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// Anywhere.
    Edge,
    /// As many in each target.
    FanIn,
    /// In blocks of four targets.
    Block,
    /// Some of every four sources.
    OfFour(usize),
}

pub const UNITS: [Unit; 5] = [
    Unit::Edge,
    Unit::FanIn,
    Unit::Block,
    Unit::OfFour(1),
    Unit::OfFour(2),
];

/// A layer behind a dense one.
#[derive(Clone, Copy, Debug)]
pub struct Wide {
    pub unit: Unit,
    pub sources: usize,
    pub targets: usize,
    pub kernel: usize,
    pub stride: usize,
    pub map: [usize; 2],
    pub density: f64,
    /// The sources are added to the targets if there are as many of them.
    pub residual: bool,
    pub seed: u64,
}

pub struct Random(pub u64);

impl Random {
    /// From 0 to 1.
    pub fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }

    pub fn weights(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.next() - 0.5) as f32).collect()
    }

    /// So many of the numbers below `of`.
    fn some(&mut self, count: usize, of: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..of).collect();
        (0..count.min(of))
            .map(|_| all.swap_remove((self.next() * all.len() as f64) as usize))
            .collect()
    }
}

impl Wide {
    fn real(&self, random: &mut Random) -> Vec<bool> {
        let taps = self.kernel * self.kernel;
        let row = self.sources * taps;
        let mut real = vec![false; self.targets * row];
        for target in 0..self.targets {
            let own = target * row;
            match self.unit {
                Unit::Edge => {
                    (own..own + row).for_each(|entry| real[entry] = random.next() < self.density)
                }
                Unit::FanIn => {
                    let stay = (self.density * row as f64) as usize;
                    random
                        .some(stay, row)
                        .iter()
                        .for_each(|i| real[own + i] = true);
                }
                Unit::Block if target % 4 == 0 => {
                    (0..row).for_each(|i| real[own + i] = random.next() < self.density);
                }
                Unit::Block => real.copy_within(own - row..own, own),
                Unit::OfFour(stay) => {
                    for group in 0..self.sources / 4 {
                        for tap in 0..taps {
                            let stays = random.some(stay, 4);
                            stays
                                .iter()
                                .for_each(|i| real[own + (4 * group + i) * taps + tap] = true);
                        }
                    }
                }
            }
        }
        real
    }

    pub fn circuit(&self) -> Result<Circuit, CircuitError> {
        let random = &mut Random(self.seed);
        let [height, width] = self.map;
        let mut circuit = CircuitBuilder::new([3, height, width])?;
        let first = Tensor::edges(
            "first",
            [self.sources, 3, 1, 1],
            random.weights(3 * self.sources),
            vec![true; 3 * self.sources],
        );
        let first = circuit.tensor(first)?;
        let x = circuit.input();
        let x = circuit.conv(x, circuit.whole(first), None, Window::default())?;
        let shape = [self.targets, self.sources, self.kernel, self.kernel];
        let real = self.real(random);
        let wide = circuit.tensor(Tensor::edges(
            "wide",
            shape,
            random.weights(real.len()),
            real,
        ))?;
        let bias = circuit.tensor(Tensor::bias("bias", random.weights(self.targets)))?;
        let window = Window::square(self.stride, self.kernel / 2);
        let (wide, bias) = (circuit.whole(wide), circuit.whole(bias));
        let mut y = circuit.conv(x, wide, Some(bias), window)?;
        if self.residual && circuit.shape(x) == circuit.shape(y) {
            y = circuit.add(&[y, x])?;
        }
        let y = circuit.relu(y)?;
        circuit.finish(y)
    }

    pub fn image(&self) -> Vec<f32> {
        let mut random = Random(self.seed ^ 1);
        random.weights(3 * self.map[0] * self.map[1])
    }
}
