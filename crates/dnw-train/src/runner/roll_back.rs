//! Going on after a divergence.

use dnw_models::Classifier;

use super::{Progress, Runner, RunnerError};
use crate::divergence::{OnDivergence, exhausted};
use crate::resuming::ResumeError;
use crate::run::{Checkpoint, RollBack, halved};
use crate::run_writer::RunWriter;
use crate::training::{Training, TrainingError};

impl<'a> Runner<'a> {
    /// Goes back to the last good checkpoint and halves the learning rate, if the run diverged and rolls back. Otherwise returns the error.
    ///
    /// The checkpoint is that of the last epoch's end, or of the start. Others are written at times that depend on the clock, and a run that is
    /// resumed has others, so going back to them would have other bits.
    pub(super) fn roll_back<M: Classifier>(
        &mut self,
        training: &mut Training<M>,
        run: &mut Progress<'a>,
        error: TrainingError,
    ) -> Result<(), RunnerError> {
        let (Some(failed), Some(to)) = (error.diverged(), run.good) else {
            return Err(error.into());
        };
        // A run that is stopped within an epoch is evaluated there, which one that is not stopped is not.
        let is_extra = matches!(error, TrainingError::TestLoss { .. })
            && !failed.is_multiple_of(training.updates_per_epoch());
        if self.on_divergence == OnDivergence::Stop || is_extra {
            return Err(error.into());
        }
        if let Some(times) = exhausted(&run.facts.roll_backs, failed) {
            return Err(RunnerError::Diverged {
                source: Box::new(error),
                times,
                rate: halved(training.rate_halvings),
            });
        }
        let roll_back = RollBack {
            failed,
            reason: error.to_string(),
            to,
            rate_halvings: training.rate_halvings + 1,
        };
        let checkpoint = Checkpoint::at(self.folder, to)?;
        let restored = training.restore(checkpoint.record.clone());
        restored.map_err(|source| ResumeError::Checkpoint { update: to, source })?;
        training.rate_halvings = roll_back.rate_halvings;
        let mut roll_backs = std::mem::take(&mut run.facts.roll_backs);
        roll_backs.push(roll_back.clone());
        run.facts = self.facts_at(training, &checkpoint, &run.facts)?;
        run.facts.roll_backs = roll_backs;
        run.writer = training
            .on_device(|| RunWriter::resume(self.folder, training, self.data, &checkpoint))??;
        run.count(training);
        self.folder.write_facts(&run.facts)?;
        self.callback.on_roll_back(&roll_back);
        Ok(())
    }
}
