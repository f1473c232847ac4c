//! The progress of a training: a bar on a terminal, lines otherwise.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use dnw_device::Opened;
use dnw_train::run::{Facts, RollBack};
use dnw_train::runner::Callback;
use dnw_train::training::{Evaluation, Update};
use indicatif::{ProgressBar, ProgressStyle};

use super::numbers::edges;
use super::output::note;
use super::stop::Stop;
use super::watchdog::Watchdog;

/// The number of updates in the moving averages.
const AVERAGED_UPDATES: f64 = 50.0;

/// Shows the progress of a training, and stops it on request.
pub struct Progress {
    shown: Shown,
    stop: Stop,
    watchdog: Watchdog,
    began: Instant,
    device: String,
    epochs: u64,
    /// The command that continues the run.
    resume: String,
    /// What to say at the start.
    notes: Vec<String>,
    /// Updates made before this program.
    before: u64,
    loss: f64,
    accuracy: f64,
    swaps: f64,
    images: usize,
}

enum Shown {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

impl Progress {
    /// Shows nothing if `quiet`, a bar if standard error is a terminal, lines otherwise. Names `devices` and the command `resume` at
    /// the start.
    pub fn new(
        quiet: bool,
        devices: &[Opened],
        epochs: u64,
        stop: Stop,
        watchdog: Watchdog,
        resume: &str,
    ) -> Self {
        let shown = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Shown::Nothing,
            (false, false) => Shown::Lines,
            (false, true) => Shown::Bar(ProgressBar::no_length()),
        };
        let nan = f64::NAN;
        Self {
            shown,
            stop,
            watchdog,
            began: Instant::now(),
            device: devices
                .iter()
                .map(Opened::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            epochs,
            resume: resume.to_owned(),
            notes: Vec::new(),
            before: 0,
            loss: nan,
            accuracy: nan,
            swaps: nan,
            images: 0,
        }
    }

    /// Adds lines to say at the start.
    pub fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }
}

/// Updates an exponential moving average; the first value replaces NaN.
fn mix(mean: &mut f64, value: f64) {
    *mean = if mean.is_nan() {
        value
    } else {
        *mean + (value - *mean) / AVERAGED_UPDATES
    };
}

fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    if seconds >= 3600 {
        format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    } else {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

impl Callback for Progress {
    fn on_begin(&mut self, facts: &Facts) {
        self.began = Instant::now();
        self.watchdog.reset(facts.updates);
        let about = format!(
            "{} training and {} test images; edges: {}; {} updates\non {}\nif it stops, `{}` continues it",
            facts.train_images,
            facts.test_images,
            edges(facts.edges_real, facts.edges_possible),
            facts.planned_updates,
            self.device,
            self.resume
        );
        self.before = facts.updates;
        if !matches!(self.shown, Shown::Nothing) {
            self.notes.iter().for_each(note);
        }
        match &self.shown {
            Shown::Nothing => {}
            Shown::Lines => note(&about),
            Shown::Bar(bar) => {
                note(&about);
                bar.set_length(facts.planned_updates);
                bar.set_position(facts.updates);
                bar.reset_eta();
                let style = ProgressStyle::with_template(
                    "{bar:24.cyan/blue} {percent:>3}%  {msg}  {eta} left",
                );
                bar.set_style(
                    style
                        .unwrap_or_else(|_| ProgressStyle::default_bar())
                        .progress_chars("━╸─"),
                );
                bar.enable_steady_tick(Duration::from_millis(200));
            }
        }
    }

    fn on_update(&mut self, update: &Update) {
        self.watchdog.reset(update.update);
        self.images += update.images;
        mix(&mut self.loss, f64::from(update.loss));
        mix(
            &mut self.accuracy,
            update.right as f64 / update.images.max(1) as f64,
        );
        mix(&mut self.swaps, update.rewiring.added() as f64);
        if let Shown::Bar(bar) = &self.shown {
            let speed = self.images as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
            bar.set_message(format!(
                "loss {:.3}  accuracy {:.1} %  {:.1} swaps/update  {speed:.0} images/s",
                self.loss,
                100.0 * self.accuracy,
                self.swaps
            ));
            bar.set_position(update.update);
        }
    }

    fn on_evaluation(&mut self, epoch: u64, evaluation: &Evaluation, facts: &Facts) {
        self.watchdog.reset(facts.updates);
        let elapsed = self.began.elapsed().as_secs_f64();
        let made = facts.updates.saturating_sub(self.before).max(1);
        let left = elapsed * (facts.planned_updates - facts.updates) as f64 / made as f64;
        let line = format!(
            "epoch {epoch:>3}/{}  test accuracy {:.2} %  loss {:.4}  {:.1} swaps/update  {} edges real  {} left",
            self.epochs,
            100.0 * evaluation.accuracy,
            evaluation.loss,
            self.swaps,
            facts.edges_real,
            clock(left)
        );
        match &self.shown {
            Shown::Nothing => {}
            Shown::Lines => note(line),
            Shown::Bar(bar) => {
                bar.println(line);
                if facts.updates == facts.planned_updates {
                    bar.finish_and_clear();
                }
            }
        }
    }

    fn on_roll_back(&mut self, roll_back: &RollBack) {
        self.watchdog.reset(roll_back.to);
        match &self.shown {
            Shown::Nothing => {}
            Shown::Lines => note(roll_back),
            Shown::Bar(bar) => bar.println(roll_back.to_string()),
        }
    }

    fn should_stop(&self) -> bool {
        self.stop.is_requested()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
