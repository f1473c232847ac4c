//! Pruned networks of torchvision and timm, compared with ONNX Runtime, tract and rten: `cargo xtask bench-peers zoo`; and single layers that
//! are dense in most networks: `cargo xtask bench-peers layers`.
//!
//! The peers' program builds, prunes and exports a network; our example `compile_onnx` compiles the file. Each side runs the same image in
//! a process of its own, and the logits are compared before anything is measured. Files are removed when a network is done.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::args::{PeerArgs, What};
use super::inference::{RUST_RUNTIMES, Ready, Results, difference, output, rust_runtime, show};
use super::peer::Peer;
use super::python;
use super::rounds::Rounds;
use super::statistics::Spread;
use crate::program;
use crate::text::three_digits;

/// Architectures, as torchvision and timm name them.
const ARCHITECTURES: [&str; 12] = [
    "resnet18",
    "resnet50",
    "vgg16_bn",
    "mobilenetv1_100",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "shufflenet_v2_x1_0",
    "regnet_y_400mf",
    "regnet_x_400mf",
    "squeezenet1_1",
];
/// Percent pruned, how the budget is spread, and torch's exporter.
const PRUNINGS: [&str; 4] = [
    "80-erk-script",
    "90-erk-script",
    "95-erk-script",
    "90-uniform-dynamo",
];
/// Layers, as `onnx_zoo.py` names them: the first convolutions of MobileNet, of the dense MobileNet x0.25, of ResNet and of VGG; the depthwise
/// convolutions of MobileNetV1 and two of EfficientNet; the classifiers of MobileNet x0.25, MobileNet, EfficientNet, ResNet-50 and VGG-16.
const LAYERS: [&str; 17] = [
    "convolution_3_2_3_32_224",
    "convolution_3_2_3_8_224",
    "convolution_7_2_3_64_224",
    "convolution_3_1_3_64_224",
    "depthwise_3_1_32_112_8",
    "depthwise_3_1_128_56_8",
    "depthwise_3_1_256_28_8",
    "depthwise_3_1_512_14_8",
    "depthwise_3_1_1024_7_8",
    "depthwise_3_2_128_112_4",
    "depthwise_5_1_240_28_8",
    "depthwise_5_1_672_14_8",
    "linear_256_1000",
    "linear_1024_1000",
    "linear_1280_1000",
    "linear_2048_1000",
    "linear_25088_4096",
];
/// The largest difference of logits, relative to the largest.
const LARGEST_DIFFERENCE: f64 = 1e-4;

/// A network.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    network: String,
    /// Milliseconds of an image over rounds.
    ours: Spread,
    theirs: Spread,
    /// Their time divided by ours within a round.
    ratio: Spread,
    /// The largest difference of a logit, divided by the largest logit.
    difference: f64,
    our_bytes: u64,
    their_bytes: u64,
    /// tract and rten, those that execute the file.
    #[serde(default)]
    runtimes: Vec<Runtime>,
}

/// What a Rust program would use.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Runtime {
    name: String,
    ms: Spread,
    /// Its time divided by ours within a round.
    ratio: Spread,
    /// The largest difference of a logit from those of ONNX Runtime.
    difference: f64,
}

/// Measures, prints the table and writes the requested files.
pub fn run(args: &PeerArgs, command: String) -> Result<(), String> {
    let (every, prunings): (&[&str], &[&str]) = match args.what {
        Some(What::Layers) => (&LAYERS, &["0-uniform-script"]),
        _ => (&ARCHITECTURES, &PRUNINGS),
    };
    let every = every.iter().flat_map(|name| {
        prunings
            .iter()
            .map(move |pruning| format!("{name}-{pruning}"))
    });
    let names: Vec<String> = match args.zoo.as_slice() {
        [] => every.collect(),
        names => names.to_vec(),
    };
    let python = match &args.python {
        Some(path) => path.clone(),
        None => python::zoo_interpreter()?,
    };
    let [compiler, worker, runtimes] = match args.no_build {
        true => [
            program::built("examples/compile_onnx")?,
            program::built("examples/time_model")?,
            program::rust_runtimes()?,
        ],
        false => [
            program::build_with(&["-p", "dnw-onnx", "--example", "compile_onnx"])?,
            program::build_with(&["-p", "dnw-runtime", "--example", "time_model"])?,
            program::build_rust_runtimes()?,
        ],
    };
    let bench = Bench {
        args,
        python,
        compiler,
        worker,
        runtimes,
        folder: program::target()?.join("peers-zoo"),
    };
    let mut results = Results::new(args, command);
    for (at, name) in names.iter().enumerate() {
        let remaining = format!(", networks remaining: {}", names.len() - at - 1);
        let measured = bench.measure(name, &remaining);
        bench.remove(name);
        let (peer, row) = measured?;
        results.peer = peer;
        results.rows.push(row);
        results.save(args)?;
    }
    show(&markdown(&results), args)
}

struct Bench<'a> {
    args: &'a PeerArgs,
    python: PathBuf,
    compiler: PathBuf,
    worker: PathBuf,
    /// Runs tract and rten.
    runtimes: PathBuf,
    folder: PathBuf,
}

impl Bench<'_> {
    fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{name}.{ending}"))
    }

    fn remove(&self, name: &str) {
        for ending in ["onnx", "onnx.data", "input", "dnw"] {
            let _ = std::fs::remove_file(self.file(name, ending));
        }
    }

    fn script(&self, command: &str) -> Command {
        let mut script = Command::new(&self.python);
        script.arg(python::zoo_script()).arg(command);
        script.arg("--out").arg(&self.folder);
        script
    }

    fn measure(&self, name: &str, remaining: &str) -> Result<(String, Row), String> {
        eprintln!("{name}: pruning and exporting");
        output(self.script("write").args(["--models", name]))?;
        let (onnx, compiled) = (self.file(name, "onnx"), self.file(name, "dnw"));
        output(Command::new(&self.compiler).arg(&onnx).arg(&compiled))?;
        let threads = self.args.threads().to_string();
        let mut ours = Command::new(&self.worker);
        ours.arg(&compiled)
            .arg(self.file(name, "input"))
            .arg(&threads);
        let mut theirs = self.script("answer");
        theirs.args(["--model", name, "--threads", &threads]);
        let mut peers = vec![
            Peer::start("ours", &mut ours)?,
            Peer::start("ONNX Runtime", &mut theirs)?,
        ];
        let mut ready: Vec<Ready> = peers.iter().map(Peer::ready).collect::<Result<_, _>>()?;
        let difference = difference(&ready[0].logits, &ready[1].logits)?;
        if difference.is_nan() || difference > LARGEST_DIFFERENCE {
            return Err(format!(
                "{name}: a logit differs from ONNX Runtime's by {difference:.1e} of the largest; a measurement would mean nothing"
            ));
        }
        // Not every runtime executes every file; those that do not are named and left out.
        for runtime in RUST_RUNTIMES {
            let model = [onnx.as_path(), &self.file(name, "input")];
            let started = rust_runtime(&self.runtimes, runtime, model, self.args.threads());
            match started.and_then(|peer| Ok((peer.ready()?, peer))) {
                Ok((said, peer)) => {
                    ready.push(said);
                    peers.push(peer);
                }
                Err(error) => eprintln!("{name}: {error}"),
            }
        }
        let mut rounds = Rounds::start(name.to_owned(), peers)?;
        rounds.run(self.args.rounds as usize, remaining, |_| Ok(()))?;
        let size =
            |ending: &str| std::fs::metadata(self.file(name, ending)).map_or(0, |file| file.len());
        let runtimes = ready.iter().enumerate().skip(2).map(|(at, said)| {
            let times = rounds.times(at);
            Ok::<_, String>(Runtime {
                name: said.framework.clone(),
                ms: Spread::of(times),
                ratio: Spread::of_ratios(times, rounds.times(0)),
                difference: super::inference::difference(&said.logits, &ready[1].logits)?,
            })
        });
        let row = Row {
            network: name.to_owned(),
            runtimes: runtimes.collect::<Result<_, _>>()?,
            ours: Spread::of(rounds.times(0)),
            theirs: Spread::of(rounds.times(1)),
            ratio: Spread::of_ratios(rounds.times(1), rounds.times(0)),
            difference,
            our_bytes: size("dnw"),
            their_bytes: size("onnx") + size("onnx.data"),
        };
        Ok((ready[1].framework.clone(), row))
    }
}

fn markdown(results: &Results<Row>) -> String {
    let Results { threads, rows, .. } = results;
    let mut text = results.caption();
    let _ = writeln!(
        text,
        "Batch 1, threads: {threads}. Milliseconds of an image, of 224 x 224 for whole networks, median over rounds in turn. The ratio is the peer's time divided by ours, the \
         median (quartiles) of those within a round; above 1 ours is faster. The difference is the largest of a logit, relative to the largest.\n\n\
         | network, pruned %, allocation, exporter | ours | ONNX Runtime | ratio | difference | file, ours | file, ONNX | other runtimes, ratio |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    );
    let megabytes = |bytes: u64| three_digits(1e-6 * bytes as f64);
    for row in rows {
        let others = row.runtimes.iter().map(
            |Runtime {
                 name, ms, ratio, ..
             }| {
                let [ms, ratio] = [ms.median, ratio.median].map(three_digits);
                format!("{name} {ms}, {ratio}")
            },
        );
        let others: Vec<String> = others.collect();
        let ratio = [row.ratio.median, row.ratio.lower, row.ratio.upper].map(three_digits);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} ({} to {}) | {:.0e} | {} MB | {} MB | {} |",
            row.network,
            three_digits(row.ours.median),
            three_digits(row.theirs.median),
            ratio[0],
            ratio[1],
            ratio[2],
            row.difference,
            megabytes(row.our_bytes),
            megabytes(row.their_bytes),
            others.join("; "),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_ratio_and_as_many_cells_as_the_header() {
        let spread = |median: f64| Spread {
            median,
            lower: median,
            upper: median,
        };
        let text = markdown(&Results {
            machine: "a machine".to_owned(),
            command: "a command".to_owned(),
            peer: "ONNX Runtime".to_owned(),
            threads: 1,
            batch: 1,
            rows: vec![Row {
                network: "resnet18-90-erk-script".to_owned(),
                ours: spread(4.0),
                theirs: spread(10.0),
                ratio: spread(2.5),
                difference: 2e-6,
                our_bytes: 3_000_000,
                their_bytes: 46_000_000,
                runtimes: vec![Runtime {
                    name: "tract".to_owned(),
                    ms: spread(20.0),
                    ratio: spread(5.0),
                    difference: 1e-6,
                }],
            }],
        });
        assert!(
            text.contains("| 4.00 | 10.0 | 2.50 (2.50 to 2.50) | 2e-6 |"),
            "{text}"
        );
        assert!(text.contains("| tract 20.0, 5.00 |"), "{text}");
        let table = text.lines().filter(|line| line.starts_with('|'));
        let cells: Vec<usize> = table.map(|line| line.matches('|').count()).collect();
        assert_eq!(cells, [9; 3], "{text}");
    }
}
