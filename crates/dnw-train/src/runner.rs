//! A training from beginning to end, with everything that it leaves in its folder.

use std::time::Instant;

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_device::guard::guarded;
use dnw_models::{Classifier, UseModel};

use crate::data::{DataError, DataSet};
use crate::keeper::Keeper;
use crate::recipe::Recipe;
use crate::run::{Facts, RunError, RunFolder, Status};
use crate::training::{Evaluation, Training, TrainingError, Update, evaluate};

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

/// Why a run could not be made or went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// The training could not go on.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The folder could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The data could not be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device failed.
    #[error("the device {device} failed after update {update}: {message}")]
    Device {
        /// The device.
        device: String,
        /// Updates made before.
        update: u64,
        /// What its driver or its server says.
        message: String,
    },
}

/// Everything that a run is made of besides its model.
pub struct Runner<'a> {
    /// What is trained, how.
    pub recipe: &'a Recipe,
    /// On what.
    pub data: &'a DataSet,
    /// Where tensors live, with autodiff.
    pub device: &'a Device,
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
        let mut training = Training::begin(model, self.recipe, self.data, self.device)?;
        let mut facts = self.first_facts(&training);
        self.folder.write_recipe(self.recipe)?;
        let mut keeper = Keeper::begin(self.folder, &training, self.data)?;
        // Last, because a folder with facts is a run, and a run can be shown.
        self.folder.write_facts(&facts)?;
        self.watcher.begins(&facts);
        let began = Instant::now();
        // A driver that fails, or a server that goes away, is a panic in Burn. The model may be half-way through an update then,
        // so nothing of it is read or written any more.
        let ended = guarded(|| self.train(&mut training, &mut keeper, &mut facts, began));
        let ended = ended.unwrap_or_else(|message| {
            Err(RunnerError::Device {
                device: self.device_name(),
                update: training.updates_made(),
                message,
            })
        });
        facts.status = match &ended {
            Ok(()) if training.is_finished() => Status::Finished,
            Ok(()) => Status::Stopped,
            Err(error) => Status::Failed(error.to_string()),
        };
        facts.seconds = began.elapsed().as_secs_f64();
        facts.updates = training.updates_made();
        if ended.is_err() {
            // What broke off is not written over the last sound weights.
            let _ = keeper.flush();
        } else {
            keeper.end(&training)?;
        }
        self.folder.write_facts(&facts)?;
        ended.map(|()| facts)
    }
}

impl Runner<'_> {
    fn train<M: Classifier>(
        &mut self,
        training: &mut Training<M>,
        keeper: &mut Keeper<'_>,
        facts: &mut Facts,
        began: Instant,
    ) -> Result<(), RunnerError> {
        while !training.is_finished() {
            let mut stops = false;
            for batch in training.batches()? {
                let update = training.step(&batch?)?;
                keeper.keep(training, &update)?;
                self.watcher.updated(&update);
                stops = self.watcher.stops();
                if stops {
                    break;
                }
            }
            let found = evaluate(&*training.model, self.data, &self.device.clone().inner())?;
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
            facts.count(&training.model);
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
            keeper.evaluated(training, epoch, &found, is_best)?;
            self.folder.write_facts(facts)?;
            self.watcher.evaluated(epoch, &found, facts);
            if stops {
                break;
            }
        }
        Ok(())
    }

    fn device_name(&self) -> String {
        let mut entries = self.environment.iter();
        let device = entries.find(|(label, _)| label == "device");
        device.map_or_else(|| format!("{:?}", self.device), |(_, name)| name.clone())
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
