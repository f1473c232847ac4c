//! A complete training, and the files of its run folder.

use std::time::{Duration, Instant};

use burn::module::ModuleDisplay;
use dnw_models::{Classifier, UseModel};

use crate::checkpoints::{CheckpointPolicy, Pace};
use crate::data::DataSet;
use crate::divergence::OnDivergence;
use crate::recipe::Recipe;
use crate::resuming::{self, Resume, ResumeError};
use crate::run::{Checkpoint, Facts, Origin, RollBack, RunFolder, RunState, Scores, Status};
use crate::run_writer::RunWriter;
use crate::training::{Evaluation, Execution, Training, TrainingError, Update};

mod error;
mod roll_back;

pub use error::RunnerError;

/// Follows a training, and can stop it.
pub trait Callback {
    /// The training begins.
    fn on_begin(&mut self, facts: &Facts);

    /// An update was made.
    fn on_update(&mut self, update: &Update);

    /// An epoch, counted from 1, was evaluated.
    fn on_evaluation(&mut self, epoch: u64, evaluation: &Evaluation, facts: &Facts);

    /// The training had diverged, and goes on from an earlier state.
    fn on_roll_back(&mut self, _: &RollBack) {}

    /// Whether to stop the training after this update.
    fn should_stop(&self) -> bool;
}

/// A run without its model.
pub struct Runner<'a> {
    /// What to train, and how.
    pub recipe: &'a Recipe,
    /// The data.
    pub data: &'a DataSet,
    /// The devices and settings; the model is on the first device.
    pub execution: &'a Execution,
    /// The run folder.
    pub folder: &'a RunFolder,
    /// The command line of the run.
    pub command: String,
    /// Program, libraries, device, threads: label and value.
    pub environment: Vec<(String, String)>,
    /// When checkpoints are written, and how many are kept.
    pub checkpoints: CheckpointPolicy,
    /// What to do when the training diverges.
    pub on_divergence: OnDivergence,
    /// The run to go on with, of the same folder; `None` to begin one.
    pub resume: Option<Resume>,
    /// Follows the run.
    pub callback: &'a mut dyn Callback,
}

/// A run in progress.
struct Progress<'a> {
    writer: RunWriter<'a>,
    facts: Facts,
    origin: Origin,
    pace: Pace,
    /// The update of the checkpoint to roll back to.
    good: Option<u64>,
    /// Seconds of training before this program.
    before: f64,
    began: Instant,
}

impl Progress<'_> {
    /// Counts updates and seconds.
    fn count<M: Classifier>(&mut self, training: &Training<M>) {
        self.facts.updates = training.updates_made();
        self.facts.seconds = self.before + self.began.elapsed().as_secs_f64();
    }
}

impl UseModel for Runner<'_> {
    type Output = Result<Facts, RunnerError>;

    /// Trains the model. The run folder is readable however the training ends, and says how. A run that did not finish can be resumed.
    fn with<M: Classifier + ModuleDisplay + 'static>(mut self, model: M) -> Self::Output {
        let mut training = Training::begin(model, self.recipe, self.data, self.execution)?;
        let mut run = match self.resume.take() {
            None => self.begin(&training)?,
            Some(resume) => self.go_on(&mut training, resume)?,
        };
        self.callback.on_begin(&run.facts);
        let result = loop {
            match self.train(&mut training, &mut run) {
                Err(RunnerError::Training(error)) => {
                    if let Err(error) = self.roll_back(&mut training, &mut run, error) {
                        break Err(error);
                    }
                }
                result => break result,
            }
        };
        run.count(&training);
        let Progress {
            mut writer,
            mut facts,
            ..
        } = run;
        let result = match result {
            Ok(()) => match training.on_device(|| writer.end(&training)) {
                Ok(written) => written.map_err(RunnerError::from),
                Err(error) => Err(error.into()),
            },
            // A failed training does not overwrite the last good weights.
            Err(error) => {
                let _ = writer.flush();
                Err(error)
            }
        };
        facts.status = match &result {
            Ok(()) if training.is_finished() => Status::Finished,
            Ok(()) => Status::Stopped,
            Err(error) => Status::Failed(error.to_string()),
        };
        self.folder.write_facts(&facts)?;
        if facts.status == Status::Finished {
            self.folder.remove_checkpoints()?;
        }
        result.map(|()| facts)
    }
}

impl<'a> Runner<'a> {
    /// Begins a run.
    fn begin<M: Classifier>(&self, training: &Training<M>) -> Result<Progress<'a>, RunnerError> {
        let facts = training.on_device(|| self.first_facts(training))?;
        self.folder.write_recipe(self.recipe)?;
        let writer =
            training.on_device(|| RunWriter::begin(self.folder, training, self.data))??;
        let mut run = Progress {
            writer,
            facts,
            origin: resuming::origin(self.recipe, self.data, &self.environment),
            pace: Pace::new(self.checkpoints.every, Duration::ZERO),
            good: None,
            before: 0.0,
            began: Instant::now(),
        };
        // So that there is a checkpoint whenever there is a run.
        self.checkpoint(training, &mut run)?;
        // Last, because a folder with facts is a run that can be shown.
        self.folder.write_facts(&run.facts)?;
        run.began = Instant::now();
        Ok(run)
    }

    /// Goes on with a run.
    fn go_on<M: Classifier>(
        &self,
        training: &mut Training<M>,
        resume: Resume,
    ) -> Result<Progress<'a>, RunnerError> {
        let origin = resuming::origin(self.recipe, self.data, &self.environment);
        resuming::check(&resume, &origin, &self.data.name)?;
        let checkpoint = resume.checkpoint;
        let update = checkpoint.update();
        let restored = training.restore(checkpoint.record.clone());
        restored.map_err(|source| ResumeError::Checkpoint { update, source })?;
        let facts = self.facts_at(training, &checkpoint, &self.folder.read_facts()?)?;
        let writer = training
            .on_device(|| RunWriter::resume(self.folder, training, self.data, &checkpoint))??;
        self.folder.write_facts(&facts)?;
        Ok(Progress {
            writer,
            before: facts.seconds,
            facts,
            origin: checkpoint.state.origin,
            pace: Pace::new(self.checkpoints.every, Duration::ZERO),
            // A run that began without roll backs has none.
            good: checkpoint.state.good.or(Some(update)),
            began: Instant::now(),
        })
    }

    /// The facts of a run at a checkpoint to which the training was restored. The run stays the one that `begun` names.
    fn facts_at<M: Classifier>(
        &self,
        training: &Training<M>,
        checkpoint: &Checkpoint,
        begun: &Facts,
    ) -> Result<Facts, RunnerError> {
        let scores = &checkpoint.state.scores;
        Ok(Facts {
            command: begun.command.clone(),
            environment: begun.environment.clone(),
            updates: checkpoint.update(),
            seconds: f64::from_bits(scores.seconds),
            test_accuracy: f64::from_bits(scores.test_accuracy),
            test_loss: f64::from_bits(scores.test_loss),
            best_test_accuracy: f64::from_bits(scores.best_test_accuracy),
            best_epoch: scores.best_epoch,
            best_edges_real: scores.best_edges_real,
            roll_backs: checkpoint.state.roll_backs.clone(),
            ..training.on_device(|| self.first_facts(training))?
        })
    }

    /// Writes a checkpoint, unless the state is not finite: such a checkpoint must not replace the last good one. Mostly the next loss says so.
    ///
    /// Between two epochs, and at the start, it becomes the one to roll back to, if the run does that.
    fn checkpoint<M: Classifier>(
        &self,
        training: &Training<M>,
        run: &mut Progress<'_>,
    ) -> Result<(), RunnerError> {
        let began = Instant::now();
        run.count(training);
        let (update, per_epoch) = (training.updates_made(), training.updates_per_epoch());
        let becomes_good = self.rolls_back() && update.is_multiple_of(per_epoch);
        let record = training.to_record()?;
        if let Some(tensor) = record.not_finite() {
            run.pace = Pace::new(self.checkpoints.every, began.elapsed());
            let failed = TrainingError::NotFinite {
                update,
                epoch: update.div_ceil(per_epoch),
                tensor: tensor.to_owned(),
            };
            return if becomes_good {
                Err(failed.into())
            } else {
                Ok(())
            };
        }
        if becomes_good {
            run.good = Some(update);
        }
        let facts = &run.facts;
        let state = RunState {
            origin: run.origin.clone(),
            scores: Scores {
                seconds: facts.seconds.to_bits(),
                test_accuracy: facts.test_accuracy.to_bits(),
                test_loss: facts.test_loss.to_bits(),
                best_test_accuracy: facts.best_test_accuracy.to_bits(),
                best_epoch: facts.best_epoch,
                best_edges_real: facts.best_edges_real,
            },
            files: run.writer.state()?,
            good: run.good.filter(|_| self.rolls_back()),
            roll_backs: facts.roll_backs.clone(),
        };
        Checkpoint::write(self.folder, record, state, self.checkpoints.keep.get())?;
        run.pace = Pace::new(self.checkpoints.every, began.elapsed());
        Ok(())
    }

    /// Whether the run rolls back when it diverges.
    fn rolls_back(&self) -> bool {
        self.on_divergence == OnDivergence::RollBack
    }

    fn train<M: Classifier>(
        &mut self,
        training: &mut Training<M>,
        run: &mut Progress<'_>,
    ) -> Result<(), RunnerError> {
        while !training.is_finished() {
            let mut stops = false;
            for batch in training.batches()? {
                let update = training.step(&batch?)?;
                training.on_device(|| run.writer.update(training, &update))??;
                self.callback.on_update(&update);
                stops = self.callback.should_stop();
                // At the end of an epoch after its evaluation, which would not be made again. If a run is stopped within an epoch,
                // before its evaluation, which a run that is not stopped does not make.
                let ends_epoch = update.update.is_multiple_of(training.updates_per_epoch());
                if !ends_epoch && (stops || run.pace.is_due(update.update, None)) {
                    self.checkpoint(training, run)?;
                }
                if stops {
                    break;
                }
            }
            let found = training.evaluate(self.data)?;
            let (update, per_epoch) = (training.updates_made(), training.updates_per_epoch());
            let epoch = update.div_ceil(per_epoch);
            if !found.loss.is_finite() {
                // JSON has no such numbers, and weights with such a loss must not replace the last good ones.
                return Err(TrainingError::TestLoss {
                    update,
                    epoch,
                    loss: found.loss,
                }
                .into());
            }
            let facts = &mut run.facts;
            training.on_device(|| facts.count(&training.model))?;
            // While a budget shrinks, networks with more edges than requested do not count, however accurate.
            let is_best = facts.best_epoch == 0
                || facts.edges_real < facts.best_edges_real
                || found.accuracy > facts.best_test_accuracy;
            if is_best {
                (facts.best_test_accuracy, facts.best_epoch) = (found.accuracy, epoch);
                facts.best_edges_real = facts.edges_real;
            }
            (facts.test_accuracy, facts.test_loss) = (found.accuracy, found.loss);
            run.count(training);
            let writer = &mut run.writer;
            training.on_device(|| writer.evaluated(training, epoch, &found, is_best))??;
            self.folder.write_facts(&run.facts)?;
            self.callback.on_evaluation(epoch, &found, &run.facts);
            let is_due = stops || self.rolls_back() || run.pace.is_due(update, Some(epoch));
            if is_due && update.is_multiple_of(per_epoch) && !training.is_finished() {
                self.checkpoint(training, run)?;
            }
            if stops {
                break;
            }
        }
        Ok(())
    }

    fn first_facts<M: Classifier>(&self, training: &Training<M>) -> Facts {
        Facts {
            command: self.command.clone(),
            environment: self.environment.clone(),
            classes: self.data.classes.clone(),
            train_images: self.data.train.len(),
            test_images: self.data.test.len(),
            image: self.data.shape(),
            mean: self.data.mean.clone(),
            std: self.data.std.clone(),
            planned_updates: training.updates(),
            updates_per_epoch: training.updates_per_epoch(),
            ..Facts::of(&training.model)
        }
    }
}
