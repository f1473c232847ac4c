//! A training from beginning to end, with everything that it leaves in its folder.

use std::time::Instant;

use burn::module::ModuleDisplay;
use dnw_models::{Classifier, UseModel};

use crate::data::DataSet;
use crate::recipe::Recipe;
use crate::run::{Facts, RunFolder, Status};
use crate::run_writer::RunWriter;
use crate::training::{Evaluation, Execution, Training, TrainingError, Update};

mod error;

pub use error::RunnerError;

/// Whoever watches a training.
pub trait Watcher {
    /// It begins.
    fn begins(&mut self, facts: &Facts);

    /// An update was made.
    fn updated(&mut self, update: &Update);

    /// An epoch, counted from 1, was evaluated.
    fn evaluated(&mut self, epoch: u64, evaluation: &Evaluation, facts: &Facts);

    /// Whether to stop after this update.
    fn stops(&self) -> bool;
}

/// Everything that a run is made of besides its model.
pub struct Runner<'a> {
    /// What is trained, how.
    pub recipe: &'a Recipe,
    /// On what.
    pub data: &'a DataSet,
    /// On which devices and how; the model is on the first.
    pub execution: &'a Execution,
    /// Where everything is kept.
    pub folder: &'a RunFolder,
    /// The command line that makes the run again.
    pub command: String,
    /// Program, libraries, device, threads: label and value.
    pub environment: Vec<(String, String)>,
    /// Whoever watches.
    pub watcher: &'a mut dyn Watcher,
}

impl UseModel for Runner<'_> {
    type Output = Result<Facts, RunnerError>;

    /// Trains the model. However it ends, the folder says how, and is readable.
    fn with<M: Classifier + ModuleDisplay + 'static>(mut self, model: M) -> Self::Output {
        let mut training = Training::begin(model, self.recipe, self.data, self.execution)?;
        let mut facts = training.on_device(|| self.first_facts(&training))?;
        self.folder.write_recipe(self.recipe)?;
        let mut writer =
            training.on_device(|| RunWriter::begin(self.folder, &training, self.data))??;
        // Last, because a folder with facts is a run, and a run can be shown.
        self.folder.write_facts(&facts)?;
        self.watcher.begins(&facts);
        let began = Instant::now();
        let ended = self.train(&mut training, &mut writer, &mut facts, began);
        facts.seconds = began.elapsed().as_secs_f64();
        facts.updates = training.updates_made();
        let ended = match ended {
            Ok(()) => keep_the_end(&training, writer),
            // What broke off is not written over the last sound weights.
            Err(error) => {
                let _ = writer.flush();
                Err(error)
            }
        };
        facts.status = match &ended {
            Ok(()) if training.is_finished() => Status::Finished,
            Ok(()) => Status::Stopped,
            Err(error) => Status::Failed(error.to_string()),
        };
        self.folder.write_facts(&facts)?;
        ended.map(|()| facts)
    }
}

fn keep_the_end<M: Classifier>(
    training: &Training<M>,
    writer: RunWriter<'_>,
) -> Result<(), RunnerError> {
    Ok(training.on_device(|| writer.end(training))??)
}

impl Runner<'_> {
    fn train<M: Classifier>(
        &mut self,
        training: &mut Training<M>,
        writer: &mut RunWriter<'_>,
        facts: &mut Facts,
        began: Instant,
    ) -> Result<(), RunnerError> {
        while !training.is_finished() {
            let mut stops = false;
            for batch in training.batches()? {
                let update = training.step(&batch?)?;
                training.on_device(|| writer.keep(training, &update))??;
                self.watcher.updated(&update);
                stops = self.watcher.stops();
                if stops {
                    break;
                }
            }
            let found = training.evaluate(self.data)?;
            let epoch = training
                .updates_made()
                .div_ceil(training.updates_per_epoch());
            if !found.loss.is_finite() {
                // JSON has no such numbers, and weights that give one are not worth the place of the last good ones.
                let update = training.updates_made();
                return Err(TrainingError::TestLoss {
                    update,
                    epoch,
                    loss: found.loss,
                }
                .into());
            }
            training.on_device(|| facts.count(&training.model))?;
            // While a budget shrinks, the network before is not yet the one asked for, however well it does.
            let is_best = facts.best_epoch == 0
                || facts.edges_real < facts.best_edges_real
                || found.accuracy > facts.best_test_accuracy;
            if is_best {
                (facts.best_test_accuracy, facts.best_epoch) = (found.accuracy, epoch);
                facts.best_edges_real = facts.edges_real;
            }
            (facts.test_accuracy, facts.test_loss) = (found.accuracy, found.loss);
            facts.updates = training.updates_made();
            facts.seconds = began.elapsed().as_secs_f64();
            training.on_device(|| writer.evaluated(training, epoch, &found, is_best))??;
            self.folder.write_facts(facts)?;
            self.watcher.evaluated(epoch, &found, facts);
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
