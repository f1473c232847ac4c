//! Reads damaged files of one or more formats for some time.
//!
//! ```sh
//! cargo run --release -p dnw-fuzz -- pt onnx --seconds 3600
//! ```
//!
//! `first-message --program target/release/dnw` sends first messages to a server of that program.
//!
//! The cases depend on `--seed` alone. A case that panics, allocates too much or takes too long is written to `fuzz-failures/`, and the
//! program ends with an error; `--case N` repeats it. Without a format all are tried, one after the other.

use std::error::Error;
use std::fs::{self, File};
use std::io::{IsTerminal, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use dnw_fuzz::{Format, Outcome, all, named, start_server, stop_server};

#[path = "../../dnw-checkpoint/tests/checkpoint/live_memory.rs"]
mod live_memory;

use live_memory::most_during;

/// Reads damaged files, to find panics, hangs and memory out of proportion.
#[derive(Parser)]
#[command(name = "dnw-fuzz")]
struct Args {
    /// Formats; all if none is named
    formats: Vec<String>,
    /// Seconds of processor time for each format, for `first-message` those of the server (of the clock, where the system does not say it)
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Cases for each format at most
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    cases: u64,
    /// What the cases depend on
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only this case
    #[arg(long)]
    case: Option<u64>,
    /// Only write the valid files of each format to a folder of its name in this folder, as a corpus for `cargo fuzz`
    #[arg(long, value_name = "FOLDER")]
    write_seeds: Option<PathBuf>,
    /// For `first-message`: the `dnw` with the feature `remote` whose server is tried
    #[arg(long, value_name = "DNW")]
    program: Option<PathBuf>,
    /// Where inputs that fail are written
    #[arg(long, default_value = "fuzz-failures")]
    failures: PathBuf,
}

/// A case that takes longer fails: files are some kilobytes.
const MOST_SECONDS: u64 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let formats = match args.formats.is_empty() {
        true => all(),
        false => {
            let files = all();
            let names = files.iter().map(|format| format.name);
            let known = names
                .chain(["first-message"])
                .collect::<Vec<_>>()
                .join(", ");
            let find = |name: &String| {
                named(name)
                    .ok_or_else(|| format!("there is no format `{name}`: name one of {known}"))
            };
            args.formats.iter().map(find).collect::<Result<_, _>>()?
        }
    };
    if let Some(folder) = &args.write_seeds {
        return write_seeds(&formats, folder);
    }
    match &args.program {
        Some(program) => start_server(program)?,
        None if formats.iter().any(|format| format.name == "first-message") => {
            return Err(
                "`first-message` needs `--program`, a `dnw` with the feature `remote`".into(),
            );
        }
        None => {}
    }
    let tried = try_formats(formats, &args);
    stop_server();
    tried
}

fn try_formats(formats: Vec<Format>, args: &Args) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(&args.failures)?;
    // Without the stack, whatever RUST_BACKTRACE says: its symbols take more memory than a picture whose decoder panicked may.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    println!(
        "| format | files | read | refused | processor time, s | slowest, ms | most memory, kB |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for format in formats {
        println!("{}", try_format(&format, args)?);
    }
    // Only if nothing is in it.
    let _ = fs::remove_dir(&args.failures);
    Ok(())
}

fn write_seeds(formats: &[Format], folder: &Path) -> Result<(), Box<dyn Error>> {
    for format in formats {
        let folder = folder.join(format.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (format.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}

/// Tries one format; returns a row of the table.
fn try_format(format: &Format, args: &Args) -> Result<String, Box<dyn Error>> {
    let seeds = (format.seeds)();
    for (number, seed) in seeds.iter().enumerate() {
        if (format.read)(seed) == Outcome::Refused {
            return Err(format!("valid file {number} of `{}` was refused", format.name).into());
        }
    }
    let mut watchdog = Watchdog::start(format.name, &args.failures)?;
    let (begun, busy_before) = (Instant::now(), (format.processor_time)());
    let busy = || {
        (format.processor_time)()
            .zip(busy_before)
            .map_or(begun.elapsed(), |(now, before)| now - before)
    };
    let limit = Duration::from_secs(args.seconds);
    let (mut read, mut refused, mut memory) = (0_u64, 0_u64, 0);
    let mut slowest = Duration::ZERO;
    let mut shown = Instant::now();
    let is_terminal = std::io::stderr().is_terminal();
    let first = args.case.unwrap_or(0);
    let last = args.case.map_or(args.cases, |case| case + 1);
    for case in first..last {
        // Asking the system takes as long as some short cases.
        if args.case.is_none() && case % 16 == 0 && busy() >= limit {
            break;
        }
        let bytes = format.case(args.seed, case, &seeds);
        watchdog.begin(args.seed, case)?;
        let started = Instant::now();
        let tried = catch_unwind(AssertUnwindSafe(|| most_during(|| (format.read)(&bytes))));
        let fail = |what: String| -> Box<dyn Error> {
            let path = args
                .failures
                .join(format!("{}-{}-{case}", format.name, args.seed));
            let kept = match fs::write(&path, &bytes) {
                Ok(()) => format!("it is in {}", path.display()),
                Err(error) => format!("it could not be written: {error}"),
            };
            format!(
                "{}, case {case} of seed {}: {what}; {kept}",
                format.name, args.seed
            )
            .into()
        };
        let (outcome, most) = tried.map_err(|_| fail("reading panicked".into()))?;
        slowest = slowest.max(started.elapsed());
        memory = memory.max(most);
        let bound = (format.most_memory)(bytes.len());
        if most > bound {
            return Err(fail(format!(
                "{most} bytes were allocated for {} bytes, the bound is {bound}",
                bytes.len()
            )));
        }
        match outcome {
            Outcome::Read => read += 1,
            Outcome::Refused => refused += 1,
        }
        if is_terminal && shown.elapsed() > Duration::from_secs(1) {
            shown = Instant::now();
            let left = limit.saturating_sub(busy()).as_secs();
            eprint!(
                "\r{}: {} files, {left} s left ",
                format.name,
                read + refused
            );
            std::io::stderr().flush()?;
        }
    }
    watchdog.end();
    if is_terminal {
        eprint!("\r\x1b[K");
    }
    Ok(format!(
        "| {} | {} | {read} | {refused} | {:.0} | {:.1} | {} |",
        format.name,
        read + refused,
        busy().as_secs_f64(),
        slowest.as_secs_f64() * 1e3,
        memory / 1000
    ))
}

/// Ends the program when a case does not end, and leaves its number on disk, also if the program is killed by a full stack.
struct Watchdog {
    path: PathBuf,
    /// Stays open: opening it took a quarter of the time of short cases.
    file: File,
}

/// The case that is tried and when it began; the number of all beginnings shows that it is still the same.
static BEGUN: AtomicU64 = AtomicU64::new(0);

impl Watchdog {
    fn start(name: &str, failures: &Path) -> std::io::Result<Self> {
        let path = failures.join(format!("{name}.running"));
        let file = File::create(&path)?;
        let shown = path.clone();
        std::thread::spawn(move || {
            loop {
                let before = BEGUN.load(Ordering::Relaxed);
                std::thread::sleep(Duration::from_secs(MOST_SECONDS));
                if shown.exists() && before > 0 && BEGUN.load(Ordering::Relaxed) == before {
                    eprintln!("the case in {} does not end", shown.display());
                    std::process::exit(1);
                }
                if !shown.exists() && before > 0 {
                    break;
                }
            }
        });
        Ok(Self { path, file })
    }

    fn begin(&mut self, seed: u64, case: u64) -> std::io::Result<()> {
        BEGUN.fetch_add(1, Ordering::Relaxed);
        self.file.rewind()?;
        // Cases count up, so nothing of a longer line stays.
        self.file
            .write_all(format!("--seed {seed} --case {case}\n").as_bytes())
    }

    fn end(self) {
        let _ = fs::remove_file(self.path);
    }
}
