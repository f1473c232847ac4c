//! The data loader.

use std::sync::Arc;

use crate::batches::{Batches, Plan, Show, Training};
use crate::preparation::normalised;
use crate::{
    Augment, DataError, DataSet, NoAugment, Order, Part, ShiftCrop, TestTransform, TrainTransform,
};

/// Prepares the batches of one part of a data set.
#[derive(Clone)]
pub struct Loader {
    part: Arc<dyn Part>,
    shape: [usize; 3],
    tables: Arc<[[f32; 256]]>,
    train: Training,
    test: TestTransform,
    batch_size: usize,
    drop_last: bool,
    threads: usize,
}

impl Loader {
    /// A loader of `batch_size` training images per batch; the last batch of an epoch may be smaller.
    ///
    /// It has one background thread if images are in memory, otherwise as many as computing threads.
    ///
    /// # Errors
    /// [`DataError::BatchTooLarge`] if there are fewer training images, [`DataError::BatchZero`] if
    /// `batch_size` is zero.
    pub fn train(data: &DataSet, batch_size: usize) -> Result<Self, DataError> {
        if batch_size > data.train.len() {
            return Err(DataError::BatchTooLarge {
                batch: batch_size,
                images: data.train.len(),
            });
        }
        Self::new(data, &data.train, batch_size)
    }

    /// A loader of `batch_size` test images per batch, or of one smaller batch if there are fewer. Threads as in
    /// [`train`](Self::train).
    ///
    /// # Errors
    /// [`DataError::BatchZero`] if `batch_size` is zero.
    pub fn test(data: &DataSet, batch_size: usize) -> Result<Self, DataError> {
        Self::new(data, &data.test, batch_size)
    }

    fn new(data: &DataSet, part: &Arc<dyn Part>, batch_size: usize) -> Result<Self, DataError> {
        if batch_size == 0 {
            return Err(DataError::BatchZero);
        }
        let table = |(&mean, &std): (&f32, &f32)| normalised(mean, std);
        let transforms = data.transforms();
        Ok(Self {
            part: Arc::clone(part),
            shape: data.shape(),
            tables: data.mean.iter().zip(&data.std).map(table).collect(),
            train: Training {
                transform: transforms.train,
                shift: match transforms.train {
                    TrainTransform::ShiftCrop { shift, mirror } => {
                        Some(ShiftCrop::new(shift, data).with_mirror(mirror))
                    }
                    _ => None,
                },
                augment: Arc::new(NoAugment),
            },
            test: transforms.test,
            batch_size,
            drop_last: false,
            threads: match part.size() {
                Some(_) => 1,
                None => rayon::current_num_threads(),
            },
        })
    }

    /// Sets the augmentation of [`epoch`](Self::epoch), after the data set's
    /// [transform](DataSet::transforms); [`in_order`](Self::in_order) has none.
    pub fn with_augment(mut self, augment: impl Augment + 'static) -> Self {
        self.train.augment = Arc::new(augment);
        self
    }

    /// Sets whether [`epoch`](Self::epoch) drops an incomplete last batch.
    pub fn with_drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// Sets the number of background threads; with 0, batches are prepared on the reader's thread.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The number of batches of an [`epoch`](Self::epoch).
    pub fn batches_per_epoch(&self) -> usize {
        if self.drop_last {
            self.part.len() / self.batch_size
        } else {
            self.part.len().div_ceil(self.batch_size)
        }
    }

    /// The shuffled and augmented batches of an epoch from `first_batch` on, determined by `seed` and `epoch`.
    ///
    /// # Errors
    /// [`DataError::FirstBatch`] if `first_batch` exceeds [`batches_per_epoch`](Self::batches_per_epoch),
    /// [`DataError::Transform`] if the transform does not fit the images, [`DataError::Thread`] if a thread
    /// cannot be started.
    pub fn epoch(&self, seed: u64, epoch: u64, first_batch: usize) -> Result<Batches, DataError> {
        let batches = self.batches_per_epoch();
        if first_batch > batches {
            return Err(DataError::FirstBatch {
                first: first_batch,
                batches,
            });
        }
        self.train.transform.size(self.part.size())?;
        let order = Order::shuffled(self.part.len() as u32, seed, epoch);
        let show = Show::Training(self.train.clone(), seed, epoch);
        Batches::start(self.plan(order, show), first_batch..batches, self.threads)
    }

    /// Every image once, in index order, with the evaluation transform; the last batch may be smaller.
    ///
    /// # Errors
    /// [`DataError::Transform`] if the transform does not fit the images, [`DataError::Thread`] if a thread
    /// cannot be started.
    pub fn in_order(&self) -> Result<Batches, DataError> {
        self.test.size(self.part.size())?;
        let order = Order::sequential(self.part.len() as u32);
        let batches = self.part.len().div_ceil(self.batch_size);
        let plan = self.plan(order, Show::Evaluation(self.test));
        Batches::start(plan, 0..batches, self.threads)
    }

    fn plan(&self, order: Order, show: Show) -> Plan {
        Plan {
            part: Arc::clone(&self.part),
            shape: self.shape,
            tables: Arc::clone(&self.tables),
            show,
            order,
            batch_size: self.batch_size,
        }
    }
}
