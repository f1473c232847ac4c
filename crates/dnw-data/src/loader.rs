//! From a data set to the batches of an epoch.

use std::sync::Arc;

use crate::batches::{Batches, Plan, Show, Training};
use crate::{
    Augment, DataError, DataSet, NoAugment, Order, Part, ShiftCrop, TestTransform, TrainTransform,
};

/// Makes the batches of one part of a data set.
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
    /// Batches of `batch_size` training images; the last batch of an epoch holds what is left.
    ///
    /// One background thread where images are in memory, else as many as compute.
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

    /// Batches of `batch_size` test images. Where there are fewer, one batch holds them all. Threads as for
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
        let table = |(mean, std): (&f32, &f32)| {
            std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std)
        };
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

    /// How [`epoch`](Self::epoch) changes images after the data set's
    /// [transform](DataSet::transforms); [`in_order`](Self::in_order) never does.
    pub fn with_augment(mut self, augment: impl Augment + 'static) -> Self {
        self.train.augment = Arc::new(augment);
        self
    }

    /// Whether [`epoch`](Self::epoch) leaves out a last batch that is not full.
    pub fn with_drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// Background threads; with 0, the reader's own thread makes each batch when it is asked for.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// How many batches a whole [`epoch`](Self::epoch) has.
    pub fn batches_per_epoch(&self) -> usize {
        if self.drop_last {
            self.part.len() / self.batch_size
        } else {
            self.part.len().div_ceil(self.batch_size)
        }
    }

    /// The batches of one epoch from number `first_batch` on, shuffled, and shown as in training: as `seed`
    /// and `epoch` say.
    ///
    /// # Errors
    /// [`DataError::FirstBatch`] if `first_batch` is over [`batches_per_epoch`](Self::batches_per_epoch),
    /// [`DataError::Transform`] if the part's images cannot be shown so, [`DataError::Thread`] if a thread
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

    /// Every image once, by index, shown as in evaluation; the last batch holds what is left.
    ///
    /// # Errors
    /// [`DataError::Transform`] if the part's images cannot be shown so, [`DataError::Thread`] if a thread
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
