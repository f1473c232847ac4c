//! Times the steps of networks of the usual shapes with random weights:
//! `cargo run --release -p dnw-compiler --example step_times -- mobilenet 0.225 --threads 1`. `--no-fuse`
//! and the like switch passes off, `--strips` switches one on, `--unit block-4`, `n-of-m` or `fan-in` makes wirings of that unit with about as
//! many edges (one of each group of sources; two of four instead of one of two), `--out FILE` writes the model.
//!
//! Where a network's time goes depends on its shape and density, not on what it has learned.

use std::error::Error;
use std::time::{Duration, Instant};

use dnw_circuit::{Block, Circuit, CircuitBuilder, CircuitError, Tensor, ValueId, Window, count};
use dnw_compiler::{Passes, compile};
use dnw_runtime::file::{Precision, write};
use dnw_runtime::plan::Input;
use dnw_runtime::{Model, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("mobilenet", String::as_str);
    let width: f64 = arguments.get(1).map_or(Ok(0.225), |text| text.parse())?;
    let option = |name: &str| {
        let at = arguments.iter().position(|a| a == name);
        let value = |at: usize| arguments.get(at + 1).ok_or(format!("{name} has no value"));
        at.map(value).transpose()
    };
    let threads = option("--threads")?.map_or(Ok(1), |text| text.parse())?;
    let network = || {
        Network::new(
            [3, 224, 224],
            option("--unit")?.map_or("edge", String::as_str),
        )
    };
    let circuit = match name {
        "mobilenet" => network()?.mobilenet(width)?,
        "dense-mobilenet" => network()?.dense_mobilenet(width)?,
        "resnet50" => network()?.resnet50(width)?,
        other => {
            return Err(format!(
                "no network `{other}`: there are mobilenet, dense-mobilenet and resnet50"
            )
            .into());
        }
    };
    let alive = count(&circuit).total.alive;
    let started = Instant::now();
    let mut passes = Passes::default();
    for (name, pass) in passes.by_name() {
        let asked = |option: String| arguments.contains(&option);
        *pass = *pass && !asked(format!("--no-{name}")) || asked(format!("--{name}"));
    }
    let plan = compile(&circuit, Input::default(), passes);
    if let Some(path) = option("--out")? {
        std::fs::write(path, write(&plan, Precision::F32))?;
    }
    let compiled = started.elapsed();
    let reasons: Vec<String> = plan.steps.iter().map(|step| step.reason.clone()).collect();
    let arena = plan.arena;
    let model = Model::new(plan)?;
    println!(
        "{name} {width}: {:.1}M live multiply-adds, compiled in {compiled:.1?}, arena {} KiB",
        alive.multiply_adds as f64 / 1e6,
        arena / 256
    );
    let mut session = Session::new(&model, threads);
    let image: Vec<f32> = (0..model.image_len())
        .map(|i| (i % 251) as f32 / 251.0 - 0.5)
        .collect();
    let mut output = vec![0.0; model.output_len()];
    let mut whole = Vec::new();
    let mut steps = vec![Vec::new(); reasons.len()];
    for _ in 0..60 {
        let started = Instant::now();
        session.run(&image, &mut output)?;
        whole.push(started.elapsed());
        session.run_with(&image, &mut output, |step, run| {
            let started = Instant::now();
            run();
            steps[step].push(started.elapsed());
        })?;
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let total = median(&mut whole);
    println!(
        "fastest {:.2?}, median {total:.2?}, {:.1} billion multiply-adds a second",
        whole[0],
        alive.multiply_adds as f64 / total.as_nanos() as f64
    );
    println!("  fastest    median");
    for (((layer, operation), reason), times) in model.steps().zip(&reasons).zip(&mut steps) {
        let median = median(times);
        println!(
            "{:>9.1} {:>9.1} us  {layer:<12} {operation:<22} {reason}",
            times[0].as_nanos() as f64 / 1e3,
            median.as_nanos() as f64 / 1e3
        );
    }
    Ok(())
}

struct Network {
    unit: String,
    circuit: CircuitBuilder,
    x: ValueId,
    layers: usize,
    noise: u64,
}

impl Network {
    fn new(image: [usize; 3], unit: &str) -> Result<Self, Box<dyn Error>> {
        let circuit = CircuitBuilder::new(image)?;
        Ok(Self {
            unit: unit.to_owned(),
            x: circuit.input(),
            circuit,
            layers: 0,
            noise: 1,
        })
    }

    fn random(&mut self) -> f64 {
        self.noise = self
            .noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 11) as f64 / (1u64 << 53) as f64
    }

    fn name(&mut self) -> String {
        self.layers += 1;
        let name = format!("layer{}", self.layers);
        self.circuit.layer(&name);
        name
    }

    /// A weight of which this part is real.
    fn weight(&mut self, shape: [usize; 4], density: f64) -> Result<Block, CircuitError> {
        let name = format!("{}.weight", self.name());
        let entries: usize = shape.iter().product();
        let scale = (6.0 / (density * entries as f64 / shape[0] as f64)).sqrt();
        let values = (0..entries)
            .map(|_| ((self.random() - 0.5) * scale) as f32)
            .collect();
        let real = self.real_edges(shape, density);
        let tensor = self
            .circuit
            .tensor(Tensor::edges(name, shape, values, real))?;
        Ok(self.circuit.whole(tensor))
    }

    /// The real edges among those of a weight, in units.
    fn real_edges(
        &mut self,
        [targets, sources, height, width]: [usize; 4],
        density: f64,
    ) -> Vec<bool> {
        let (kernel, row) = (height * width, sources * height * width);
        let mut real = vec![density == 1.0; targets * row];
        if density == 1.0 {
            return real;
        }
        // Entries that compete, of which the first in a random order stay.
        let mut compete = |network: &mut Self, mut entries: Vec<Vec<usize>>, stay: usize| {
            for i in 0..stay.min(entries.len()) {
                let other = i + (network.random() * (entries.len() - i) as f64) as usize;
                entries.swap(i, other);
                entries[i].iter().for_each(|&entry| real[entry] = true);
            }
        };
        let one = |entry: usize| vec![entry];
        match self.unit.as_str() {
            "fan-in" => {
                let stay = (density * row as f64).round().max(1.0) as usize;
                for target in 0..targets {
                    compete(
                        self,
                        (target * row..(target + 1) * row).map(one).collect(),
                        stay,
                    );
                }
            }
            "block-4" => {
                let places =
                    (0..targets.div_ceil(4)).flat_map(|block| (0..row).map(move |i| (block, i)));
                let blocks = places.map(|(block, i)| {
                    let own = 4 * block..targets.min(4 * block + 4);
                    own.map(|target| target * row + i).collect()
                });
                let blocks: Vec<Vec<usize>> = blocks.collect();
                let stay = (density * blocks.len() as f64).round() as usize;
                compete(self, blocks, stay);
            }
            "n-of-m" => {
                let group = (1.0 / density).round() as usize;
                let divides = |of: &usize| sources.is_multiple_of(*of);
                let of = (1..=group.min(sources)).rev().find(divides).unwrap_or(1);
                // Half of the edges are two of four, as sparse matrix units compute them.
                let (stay, of) = if of == 2 && divides(&4) {
                    (2, 4)
                } else {
                    (1, of)
                };
                for target in 0..targets {
                    for group in 0..sources / of {
                        for tap in 0..kernel {
                            let entry = |i: usize| target * row + (group * of + i) * kernel + tap;
                            compete(self, (0..of).map(entry).map(one).collect(), stay);
                        }
                    }
                }
            }
            _ => real
                .iter_mut()
                .for_each(|real| *real = self.random() < density),
        }
        real
    }

    /// A convolution and its norm.
    fn conv(
        &mut self,
        x: ValueId,
        targets: usize,
        kernel: usize,
        stride: usize,
        density: f64,
    ) -> Result<ValueId, CircuitError> {
        let [sources, ..] = self.circuit.shape(x);
        let weight = self.weight([targets, sources, kernel, kernel], density)?;
        let y = self
            .circuit
            .conv(x, weight, None, Window::square(stride, kernel / 2))?;
        self.norm(y)
    }

    fn norm(&mut self, x: ValueId) -> Result<ValueId, CircuitError> {
        let [channels, ..] = self.circuit.shape(x);
        let name = format!("norm{}", self.layers);
        let mut whole = |tensor: Tensor| {
            let tensor = self.circuit.tensor(tensor)?;
            Ok::<Block, CircuitError>(self.circuit.whole(tensor))
        };
        let mean = whole(Tensor::statistic(
            format!("{name}.mean"),
            vec![0.0; channels],
        ))?;
        let variance = whole(Tensor::statistic(
            format!("{name}.variance"),
            vec![1.0; channels],
        ))?;
        let gamma = whole(Tensor::norm(format!("{name}.gamma"), vec![1.0; channels]))?;
        let beta = whole(Tensor::norm(format!("{name}.beta"), vec![0.1; channels]))?;
        self.circuit
            .batch_norm(x, [mean, variance], [gamma, beta], 1e-5)
    }

    fn depthwise(&mut self, x: ValueId, stride: usize) -> Result<ValueId, CircuitError> {
        let [channels, ..] = self.circuit.shape(x);
        let weight = self.weight([channels, 1, 3, 3], 1.0)?;
        self.circuit
            .depthwise(x, weight, None, Window::square(stride, 1))
    }

    fn classifier(mut self, x: ValueId) -> Result<Circuit, CircuitError> {
        let x = self.circuit.global_average(x)?;
        let [sources, ..] = self.circuit.shape(x);
        let weight = self.weight([1000, sources, 1, 1], 1.0)?;
        let logits = self.circuit.linear(x, weight, None)?;
        self.circuit.finish(logits)
    }

    /// MobileNetV1 as chained graphs, with the published budgets of edges.
    fn mobilenet(mut self, width: f64) -> Result<Circuit, CircuitError> {
        let x = self.conv(self.x, 32, 3, 2, 1.0)?;
        let (mut x, mut inputs) = (x, 32);
        for (nodes, stride, levels) in [
            (64, 1, 1),
            (128, 2, 2),
            (256, 2, 2),
            (512, 2, 6),
            (1024, 2, 2),
        ] {
            let dense = inputs * nodes + (levels - 1) * nodes * nodes;
            // Edges may skip levels: into each level from all before it.
            let possible: usize = (0..levels)
                .map(|level| nodes * (inputs + level * nodes))
                .sum();
            let density = width * width * dense as f64 / possible as f64;
            let mut activations = Vec::new();
            let mut gathered = x;
            for level in 0..levels {
                let active = self.circuit.relu(gathered)?;
                activations.push(self.depthwise(active, if level == 0 { stride } else { 1 })?);
                let all = self.circuit.concat(&activations)?;
                let [sources, ..] = self.circuit.shape(all);
                let weight = self.weight([nodes, sources, 1, 1], density)?;
                let sums = self.circuit.conv(all, weight, None, Window::default())?;
                gathered = self.norm(sums)?;
            }
            (x, inputs) = (gathered, nodes);
        }
        let x = self.circuit.relu(x)?;
        self.classifier(x)
    }

    fn dense_mobilenet(mut self, width: f64) -> Result<Circuit, CircuitError> {
        let channels = |n: usize| ((n as f64 * width) as usize).max(8);
        let x = self.conv(self.x, channels(32), 3, 2, 1.0)?;
        let mut x = self.circuit.relu(x)?;
        let mut pairs = vec![(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)];
        pairs.extend([(512, 1); 5]);
        pairs.extend([(1024, 2), (1024, 1)]);
        for (targets, stride) in pairs {
            let deep = self.depthwise(x, stride)?;
            let deep = self.norm(deep)?;
            let deep = self.circuit.relu(deep)?;
            let wide = self.conv(deep, channels(targets), 1, 1, 1.0)?;
            x = self.circuit.relu(wide)?;
        }
        self.classifier(x)
    }

    /// ResNet-50 of which this part of each convolution is real.
    fn resnet50(mut self, density: f64) -> Result<Circuit, CircuitError> {
        let x = self.conv(self.x, 64, 7, 2, density)?;
        let x = self.circuit.relu(x)?;
        let mut x = self.circuit.max_pool(x, [3, 3], [2, 2], [1, 1])?;
        for (planes, blocks, stride) in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)] {
            for block in 0..blocks {
                let stride = if block == 0 { stride } else { 1 };
                let y = self.conv(x, planes, 1, 1, density)?;
                let y = self.circuit.relu(y)?;
                let y = self.conv(y, planes, 3, stride, density)?;
                let y = self.circuit.relu(y)?;
                let y = self.conv(y, 4 * planes, 1, 1, density)?;
                let shortcut = if block == 0 {
                    self.conv(x, 4 * planes, 1, stride, density)?
                } else {
                    x
                };
                let sum = self.circuit.add(&[y, shortcut])?;
                x = self.circuit.relu(sum)?;
            }
        }
        self.classifier(x)
    }
}
