//! Kills trainings at random instants, resumes them, and compares every file with that of a run without a pause.
//!
//! Checkpoints are written every few updates, so many kills come while one is written; others come before the run has begun, or while it is
//! being resumed.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Args;

use crate::program;

/// The options.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// How many kills
    #[arg(long, default_value_t = 100, value_name = "N")]
    kills: usize,
    /// The program [default: `dnw`, built in release mode]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Trainings at once, with one thread each
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
    /// The seed of the instants [default: from the clock]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Kinds of trainings, each with the changes of the digits recipe and further options, separated by spaces.
const KINDS: [(&str, &str); 13] = [
    ("dnw-shrinking", "--epochs 6"),
    (
        "sparse-momentum",
        "--epochs 5 --set wiring.rule=sparse-momentum",
    ),
    (
        "resnet",
        "--set batch=60 --epochs 2 --set model.kind=resnet --set model.depth=18 --set model.width=4 --set model.stem=small \
         --set wiring.plain-layers=true --set wiring.rule=rigl --set wiring.settings.every=5",
    ),
    (
        "lottery-ticket",
        "--epochs 3 --set wiring.rule=lottery-ticket --set second-phase.epochs=3 --set second-phase.learning-rate=0.02",
    ),
    (
        "mobilenet",
        "--set batch=60 --epochs 3 --set model.kind=mobilenet-dense --set model.width=0.1 --set wiring.plain-layers=true",
    ),
    (
        "str",
        "--epochs 5 --set wiring.rule=str --set optimizer.schedule=constant",
    ),
    (
        "targeted-dropout",
        "--epochs 5 --set wiring.rule=targeted-dropout",
    ),
    (
        "lenet",
        "--epochs 8 --set model.kind=lenet --set model.hidden=[30,20] --set wiring.rule=set --set wiring.settings.every=9",
    ),
    (
        "ac-dc",
        "--epochs 5 --set wiring.rule=ac-dc --set optimizer.momentum=0",
    ),
    (
        "f16",
        "--epochs 3 --precision f16 --set wiring.rule=feather",
    ),
    (
        "devices",
        "--epochs 3 --devices flex,flex --micro-batch 5 --set wiring.rule=l1-anneal",
    ),
    (
        "gradual-pruning",
        "--epochs 5 --set wiring.rule=gradual-pruning --set wiring.settings.every=6",
    ),
    // The loss is NaN until the rate has been halved several times.
    (
        "roll-back",
        "--epochs 5 --on-divergence roll-back --set optimizer.learning-rate=1e5 --set optimizer.warm-up=0 --set optimizer.schedule=constant",
    ),
];

/// The kills per kind at which another kind is worth its run without a pause.
const KILLS_PER_KIND: usize = 4;

/// What came of the kills.
#[derive(Debug, Default)]
struct Count {
    kills: usize,
    /// Before there was a run.
    before: usize,
    /// While a checkpoint was written.
    writing: usize,
    /// Runs that were killed at least once, finished and compared.
    runs: usize,
}

/// Random numbers (SplitMix64).
struct Random(u64);

impl Random {
    /// A number from 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Kills and resumes until all kills are made.
pub fn run(args: &KillArgs) -> Result<(), String> {
    let program = match &args.program {
        Some(program) => program
            .canonicalize()
            .map_err(|error| format!("{}: {error}", program.display()))?,
        None => program::build()?,
    };
    let seed = args
        .seed
        .unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
    println!("seed {seed}");
    let began = Instant::now();
    let kinds = (args.kills / KILLS_PER_KIND).clamp(1, KINDS.len());
    let waiting = Mutex::new(KINDS[..kinds].iter().enumerate());
    let total = Mutex::new(Count::default());
    let work = || -> Result<(), String> {
        loop {
            let Some((number, kind)) = waiting.lock().unwrap().next() else {
                return Ok(());
            };
            // Together the shares are all kills.
            let kills = (args.kills + number) / kinds;
            let mut random = Random(seed.wrapping_add(number as u64));
            let count = of_kind(&program, kind, kills, &mut random)?;
            println!(
                "{:<18} {} kills, {} before the run began, {} while a checkpoint was written; {} runs, no file differs ({:.0} s)",
                kind.0,
                count.kills,
                count.before,
                count.writing,
                count.runs,
                began.elapsed().as_secs_f64()
            );
            let mut total = total.lock().unwrap();
            total.kills += count.kills;
            total.before += count.before;
            total.writing += count.writing;
            total.runs += count.runs;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let mut ended = threads.into_iter().map(|thread| thread.join());
        ended.try_for_each(|ended| ended.unwrap_or_else(|_| Err("a thread panicked".into())))
    })?;
    let total = total.into_inner().unwrap();
    println!(
        "{} kills of {} runs of {kinds} kinds, {} before the run began, {} while a checkpoint was written: no run lost, no byte different, in {:.0} s",
        total.kills,
        total.runs,
        total.before,
        total.writing,
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Makes the kills of one kind of training.
fn of_kind(
    program: &Path,
    (name, options): &(&str, &str),
    kills: usize,
    random: &mut Random,
) -> Result<Count, String> {
    let mut begin = vec![
        "train",
        "digits",
        "--out",
        "run",
        "--quiet",
        "--threads",
        "1",
    ];
    begin.extend(["--checkpoint-every", "3steps"]);
    begin.extend(options.split_whitespace());
    let resume = ["train", "--resume", "run", "--quiet", "--threads", "1"];
    let whole = tempfile::tempdir().map_err(|error| error.to_string())?;
    let began = Instant::now();
    finish(start(program, &begin, whole.path())?, name)?;
    let duration = began.elapsed();
    let expected = files(&whole.path().join("run"))?;

    let mut count = Count::default();
    while count.kills < kills {
        let mut place = tempfile::tempdir().map_err(|error| error.to_string())?;
        // What went wrong can be looked at.
        place.disable_cleanup(true);
        let run = place.path().join("run");
        let mut was_killed = false;
        loop {
            let command = match run.join("run.json").exists() {
                true => &resume[..],
                false => &begin[..],
            };
            let mut child = start(program, command, place.path())?;
            if count.kills < kills {
                let after = duration.mul_f64(0.5 * random.share());
                if killed(&mut child, after)? {
                    count.kills += 1;
                    was_killed = true;
                    count.before += usize::from(!run.join("run.json").exists());
                    count.writing += usize::from(is_writing(&run.join("checkpoints")));
                    continue;
                }
            }
            finish(child, &format!("{name} in {}", place.path().display()))?;
            break;
        }
        let found = files(&run)?;
        let mut names = expected.keys().chain(found.keys());
        if let Some(differs) = names.find(|name| expected.get(*name) != found.get(*name)) {
            let place = place.path().display();
            return Err(format!("{name}: `{differs}` differs, in {place}"));
        }
        count.runs += usize::from(was_killed);
        place.disable_cleanup(false);
    }
    Ok(count)
}

fn start(program: &Path, arguments: &[&str], folder: &Path) -> Result<Child, String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))
}

/// Waits for the end of a program, which must be a success.
fn finish(child: Child, what: &str) -> Result<(), String> {
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{what}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// Kills a program after this time (SIGKILL on Unix); false if it ended before.
fn killed(child: &mut Child, after: Duration) -> Result<bool, String> {
    std::thread::sleep(after);
    if child
        .try_wait()
        .map_err(|error| error.to_string())?
        .is_some()
    {
        return Ok(false);
    }
    child.kill().map_err(|error| error.to_string())?;
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok(!status.success())
}

/// Whether the write of a checkpoint was interrupted.
fn is_writing(checkpoints: &Path) -> bool {
    let entries = fs::read_dir(checkpoints).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with(".writing-"))
}

/// All files of a run, without the seconds that it took.
fn files(run: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut files = BTreeMap::new();
    let mut waiting = vec![run.to_owned()];
    while let Some(folder) = waiting.pop() {
        let entries =
            fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let name = path
                .strip_prefix(run)
                .unwrap_or(&path)
                .display()
                .to_string();
            let mut bytes =
                fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            if ["run.json", "report.html"].contains(&name.as_str()) {
                bytes = without_seconds(&String::from_utf8_lossy(&bytes)).into_bytes();
            }
            files.insert(name, bytes);
        }
    }
    Ok(files)
}

fn without_seconds(text: &str) -> String {
    let mut parts = text.split("\"seconds\":");
    let mut without = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        without += part.trim_start_matches(|c: char| c == ' ' || c == '.' || c.is_ascii_digit());
    }
    without
}
