//! `dnw compile`: a run as one small file.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;

use dnw_models::NoCircuit;
use dnw_runtime::file::Precision;
use dnw_runtime::plan::Input;
use dnw_train::compiled::{Compile, CompileError, CompileOnnx, Compiled};
use dnw_train::import::Import;
use dnw_train::run::{RunFolder, write_whole};

use super::super::compiled_args::CompileArgs;
use super::super::device::cpu;
use super::super::failure::Failure;
use super::super::import_export::notes;
use super::super::numbers::grouped;
use super::super::output::{line, note, print_bytes};

/// Compiles a run, a checkpoint or an ONNX model.
pub fn compile(args: &CompileArgs) -> Result<u8, Failure> {
    let precision = Precision::from(args.weights);
    let compiled = match is_onnx(&args.run) {
        true => compile_onnx(args, precision)?,
        false => compile_run(args, precision)?,
    };
    if compiled.channels_last {
        note(
            "the model reads images with their channels last, as Keras has them; the compiled model reads them with their channels first",
        );
    }
    if compiled.quantised {
        note(
            "the model's feature maps are quantised; the compiled model computes them with 32 bits, clipped to the same ranges and not rounded",
        );
    }
    write_whole(&args.out, &compiled.bytes)?;
    match args.json {
        true => print_json(&compiled, &args.out, precision)?,
        false => print_bytes(lines(&compiled, &args.out, precision).as_bytes())?,
    }
    Ok(0)
}

/// Whether a file is named as ONNX models are.
fn is_onnx(path: &Path) -> bool {
    let ending = path.extension();
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("onnx")) && !path.is_dir()
}

fn compile_onnx(args: &CompileArgs, precision: Precision) -> Result<Compiled, Failure> {
    if args.recipe.is_some() || !args.set.is_empty() {
        return Err(Failure::new(
            "an ONNX model has no recipe",
            "leave out `--recipe` and `--set`, which are for checkpoints",
        ));
    }
    let compile = CompileOnnx {
        file: &args.run,
        image: args.image,
        mean: args.mean.as_deref(),
        deviation: args.deviation.as_deref(),
        resize: args.resize.map(|pixels| pixels as usize),
        precision,
    };
    Ok(compile.run()?)
}

fn compile_run(args: &CompileArgs, precision: Precision) -> Result<Compiled, Failure> {
    let given = [
        args.image.is_some(),
        args.mean.is_some(),
        args.deviation.is_some(),
        args.resize.is_some(),
    ];
    if given.contains(&true) {
        return Err(Failure::new(
            "a run and a checkpoint have their own description of images",
            "leave out `--image`, `--mean`, `--deviation` and `--resize`, which are for ONNX models",
        ));
    }
    let device = cpu()?;
    // A checkpoint is imported to a folder that is gone afterwards.
    let place;
    let folder = if args.run.is_file() {
        if is_compiled(&args.run) {
            return Err(Failure::new(
                format!("`{}` is a compiled model already", args.run.display()),
                "`dnw predict` uses it; give the run to compile it again, such as with other `--weights`",
            ));
        }
        place = tempfile::tempdir().map_err(|error| {
            let help = "the environment variable TMPDIR says where temporary files go";
            Failure::new(format!("cannot make a temporary folder: {error}"), help)
        })?;
        let import = Import {
            file: &args.run,
            recipe: args.recipe.as_deref(),
            changes: &args.set,
            out: Some(&place.path().join("run")),
            command: String::new(),
            environment: Vec::new(),
            device: &device.clone().autodiff(),
        };
        let imported = import.run()?;
        notes(&imported);
        imported.folder
    } else {
        if args.recipe.is_some() || !args.set.is_empty() {
            return Err(Failure::new(
                "a run has its own recipe",
                "leave out `--recipe` and `--set`, which are for checkpoints",
            ));
        }
        RunFolder::open(&args.run)?
    };
    let compile = Compile {
        folder: &folder,
        which: args.epoch.name(),
        precision,
        device: &device,
    };
    Ok(compile.run()?)
}

/// Whether a file begins as compiled models do.
fn is_compiled(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"\x89DNW"
}

/// As `--weights` has it.
pub(super) fn name(precision: Precision) -> &'static str {
    match precision {
        Precision::F16 => "f16",
        Precision::Int8 => "int8",
        _ => "f32",
    }
}

/// The network and its images.
pub(super) fn network(input: &Input, classes: usize) -> String {
    let images = match input.shape {
        [numbers, 1, 1] => format!("vectors of {numbers} numbers"),
        [channels, height, width] => format!("images of {channels} x {height} x {width}"),
    };
    format!("{}, {images}, {classes} classes", input.name)
}

fn lines(compiled: &Compiled, out: &Path, precision: Precision) -> String {
    let Compiled {
        bytes, plan, count, ..
    } = compiled;
    let (dense, nominal, alive) = (&count.dense, &count.nominal, &count.alive);
    let possible = compiled.possible_edges as u64;
    let mut text = String::new();
    let mut say = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<15}{value}");
    };
    let number = |number: u64| grouped(number);
    let outputs: usize = plan.output.shape.iter().product();
    say("network", network(&plan.input, outputs));
    if nominal.edges > 0 {
        say(
            "edges",
            format!(
                "{} live of {} real, {} possible",
                number(alive.edges),
                number(nominal.edges),
                number(possible)
            ),
        );
    }
    say(
        "removed",
        format!(
            "{} real edges and {} channels that cannot change the result, {} hallucinated edges",
            number(nominal.edges.saturating_sub(alive.edges)),
            number(compiled.removed_channels as u64),
            number(possible.saturating_sub(nominal.edges)),
        ),
    );
    say(
        "multiply-adds",
        format!(
            "{} an image ({} dense)",
            number(alive.multiply_adds),
            number(dense.multiply_adds)
        ),
    );
    say(
        "memory",
        format!(
            "{} bytes for the feature maps of an image",
            number(compiled.session_bytes as u64)
        ),
    );
    say(
        "file",
        format!(
            "{}, {} bytes, weights in {}",
            out.display(),
            number(bytes.len() as u64),
            name(precision)
        ),
    );
    let use_it = match plan.input.shape[0] {
        1 | 3 => format!("dnw predict {}", out.display()),
        _ => "from C, Rust or Python (docs/runtime.md): it reads no pictures".to_owned(),
    };
    say("use it", use_it);
    text
}

fn print_json(compiled: &Compiled, out: &Path, precision: Precision) -> Result<(), Failure> {
    let count = &compiled.count;
    let result = serde_json::json!({
        "file": out.to_string_lossy(),
        "bytes": compiled.bytes.len(),
        "weights": name(precision),
        "network": compiled.plan.input.name,
        "image": compiled.plan.input.shape,
        "classes": compiled.plan.input.classes,
        "edges_live": count.alive.edges,
        "edges_real": count.nominal.edges,
        "edges_possible": compiled.possible_edges,
        "removed_channels": compiled.removed_channels,
        "multiply_adds": count.alive.multiply_adds,
        "multiply_adds_dense": count.dense.multiply_adds,
        "session_bytes": compiled.session_bytes,
        "steps": compiled.plan.steps.len(),
    });
    line(format!("{result:#}"))
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Self {
        const AGAIN: &str = "train the run again to another folder";
        match error {
            // Weights are chosen with another flag here, `--weights` says what they are stored as.
            CompileError::Run(error) => {
                let help = error.help().replace("`--weights ", "`--epoch ");
                Self::new(error, help)
            }
            CompileError::Data(error) => error.into(),
            CompileError::Circuit(NoCircuit::StepsFollowImage) => Self::new(
                error,
                "train it with a number of steps, such as `--set model.steps=5`; `dnw export` writes the weights of any run",
            ),
            // Its remedy follows a colon.
            CompileError::File(error) => match error.to_string().rsplit_once(": ") {
                Some((what, remedy)) => Self::new(what, remedy),
                None => Self::new(error, AGAIN),
            },
            CompileError::Onnx(error) => {
                let help = error.help();
                Self::new(error, help)
            }
            CompileError::Channels { .. } => Self::new(error, "give one number for each channel"),
            error => Self::new(error, AGAIN),
        }
    }
}
