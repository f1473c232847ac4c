//! A complete training, and the files of its run folder.

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

/// Follows a training, and can stop it.
pub trait Callback {
    /// The training begins.
    fn on_begin(&mut self, facts: &Facts);

    /// An update was made.
    fn on_update(&mut self, update: &Update);

    /// An epoch, counted from 1, was evaluated.
    fn on_evaluation(&mut self, epoch: u64, evaluation: &Evaluation, facts: &Facts);

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
    /// Follows the run.
    pub callback: &'a mut dyn Callback,
}

impl UseModel for Runner<'_> {
    type Output = Result<Facts, RunnerError>;

    /// Trains the model. The run folder is readable however the training ends, and says how.
    fn with<M: Classifier + ModuleDisplay + 'static>(mut self, model: M) -> Self::Output {
        let mut training = Training::begin(model, self.recipe, self.data, self.execution)?;
        let mut facts = training.on_device(|| self.first_facts(&training))?;
        self.folder.write_recipe(self.recipe)?;
        let mut writer =
            training.on_device(|| RunWriter::begin(self.folder, &training, self.data))??;
        // Last, because a folder with facts is a run that can be shown.
        self.folder.write_facts(&facts)?;
        self.callback.on_begin(&facts);
        let began = Instant::now();
        let result = self.train(&mut training, &mut writer, &mut facts, began);
        facts.seconds = began.elapsed().as_secs_f64();
        facts.updates = training.updates_made();
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
        result.map(|()| facts)
    }
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
                training.on_device(|| writer.update(training, &update))??;
                self.callback.on_update(&update);
                stops = self.callback.should_stop();
                if stops {
                    break;
                }
            }
            let found = training.evaluate(self.data)?;
            let epoch = training
                .updates_made()
                .div_ceil(training.updates_per_epoch());
            if !found.loss.is_finite() {
                // JSON has no such numbers, and weights with such a loss must not replace the last good ones.
                let update = training.updates_made();
                return Err(TrainingError::TestLoss {
                    update,
                    epoch,
                    loss: found.loss,
                }
                .into());
            }
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
            facts.updates = training.updates_made();
            facts.seconds = began.elapsed().as_secs_f64();
            training.on_device(|| writer.evaluated(training, epoch, &found, is_best))??;
            self.folder.write_facts(facts)?;
            self.callback.on_evaluation(epoch, &found, facts);
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
