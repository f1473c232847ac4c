//! Batches, made ready on background threads.
//!
//! Which images a batch holds and how they were changed is a pure function of (seed, epoch, batch),
//! so threads share nothing but the plan: thread `t` of `T` makes batches `t`, `t + T`, `t + 2T`, ..
//! and the reader takes from the threads in turn. The bytes and their order are the same for any
//! number of threads, and a run can start in the middle of an epoch.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use crate::{Augment, DataError, DataSet, Images, NoAugment, Order, Rng};

/// Batches that one thread makes ahead of the reader.
const AHEAD: usize = 2;

/// Some images, ready for a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[n, channels, height, width]`, row-major, normalised: `(byte / 255 - mean) / std`.
    pub images: Vec<f32>,
    /// `[n]`, the class of each.
    pub labels: Vec<i32>,
    /// `[n]`, which image of the part each is.
    pub indices: Vec<u32>,
    /// Which batch of the epoch this is, from 0.
    pub index: usize,
}

impl Batch {
    /// How many images it holds; at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one image")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }
}

/// Makes the batches of one part of a data set.
#[derive(Clone)]
pub struct Loader {
    images: Arc<Images>,
    tables: Arc<[[f32; 256]]>,
    augment: Arc<dyn Augment>,
    batch_size: usize,
    drop_last: bool,
    threads: usize,
}

impl Loader {
    /// Batches of `batch_size` training images: one background thread, no augmentation, the last batch
    /// of an epoch holds what is left.
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

    /// Batches of `batch_size` test images. Where there are fewer, one batch holds them all.
    ///
    /// # Errors
    /// [`DataError::BatchZero`] if `batch_size` is zero.
    pub fn test(data: &DataSet, batch_size: usize) -> Result<Self, DataError> {
        Self::new(data, &data.test, batch_size)
    }

    fn new(data: &DataSet, images: &Arc<Images>, batch_size: usize) -> Result<Self, DataError> {
        if batch_size == 0 {
            return Err(DataError::BatchZero);
        }
        let table = |(mean, std): (&f32, &f32)| {
            std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std)
        };
        Ok(Self {
            images: Arc::clone(images),
            tables: data.mean.iter().zip(&data.std).map(table).collect(),
            augment: Arc::new(NoAugment),
            batch_size,
            drop_last: false,
            threads: 1,
        })
    }

    /// How [`epoch`](Self::epoch) changes images; [`in_order`](Self::in_order) never does.
    pub fn with_augment(mut self, augment: impl Augment + 'static) -> Self {
        self.augment = Arc::new(augment);
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
            self.images.len() / self.batch_size
        } else {
            self.images.len().div_ceil(self.batch_size)
        }
    }

    /// The batches of one epoch from number `first_batch` on, shuffled and augmented as `seed` and
    /// `epoch` say.
    ///
    /// # Errors
    /// [`DataError::FirstBatch`] if `first_batch` is over [`batches_per_epoch`](Self::batches_per_epoch),
    /// [`DataError::Thread`] if a thread cannot be started.
    pub fn epoch(&self, seed: u64, epoch: u64, first_batch: usize) -> Result<Batches, DataError> {
        let batches = self.batches_per_epoch();
        if first_batch > batches {
            return Err(DataError::FirstBatch {
                first: first_batch,
                batches,
            });
        }
        let order = Order::shuffled(self.images.len() as u32, seed, epoch);
        let augment = Arc::clone(&self.augment);
        let plan = self.plan(order, augment, (seed, epoch));
        Batches::start(plan, first_batch..batches, self.threads)
    }

    /// Every image once, by index, unchanged; the last batch holds what is left. For evaluation.
    ///
    /// # Errors
    /// [`DataError::Thread`] if a thread cannot be started.
    pub fn in_order(&self) -> Result<Batches, DataError> {
        let order = Order::sequential(self.images.len() as u32);
        let plan = self.plan(order, Arc::new(NoAugment), (0, 0));
        let batches = self.images.len().div_ceil(self.batch_size);
        Batches::start(plan, 0..batches, self.threads)
    }

    fn plan(&self, order: Order, augment: Arc<dyn Augment>, (seed, epoch): (u64, u64)) -> Plan {
        Plan {
            images: Arc::clone(&self.images),
            tables: Arc::clone(&self.tables),
            augment,
            order,
            batch_size: self.batch_size,
            seed,
            epoch,
        }
    }
}

/// All that a batch is a function of.
struct Plan {
    images: Arc<Images>,
    tables: Arc<[[f32; 256]]>,
    augment: Arc<dyn Augment>,
    order: Order,
    batch_size: usize,
    seed: u64,
    epoch: u64,
}

impl Plan {
    fn batch(&self, index: usize) -> Batch {
        let order = self.order.indices();
        let start = index * self.batch_size;
        let end = (start + self.batch_size).min(order.len());
        let indices = order[start..end].to_vec();

        let shape = self.images.shape();
        let plane = shape[1] * shape[2];
        let mut images = vec![0.0; indices.len() * self.images.image_len()];
        let slots = images.chunks_exact_mut(self.images.image_len());
        for (slot, &image) in slots.zip(&indices) {
            let bytes = self.images.image(image as usize);
            let channels = slot.chunks_exact_mut(plane).zip(bytes.chunks_exact(plane));
            for ((values, bytes), table) in channels.zip(self.tables.iter()) {
                for (value, &byte) in values.iter_mut().zip(bytes) {
                    *value = table[usize::from(byte)];
                }
            }
            let mut rng = Rng::for_image(self.seed, self.epoch, image);
            self.augment.apply(slot, shape, &mut rng);
        }
        let label = |&image: &u32| i32::from(self.images.labels()[image as usize]);
        Batch {
            images,
            labels: indices.iter().map(label).collect(),
            indices,
            index,
        }
    }
}

/// The batches of one epoch, in order.
///
/// Dropping it early stops and joins the threads. A panic in an [`Augment`] goes on in the reader.
pub struct Batches {
    plan: Arc<Plan>,
    workers: Vec<Worker>,
    next: usize,
    end: usize,
    turn: usize,
}

struct Worker {
    batches: Receiver<Batch>,
    thread: JoinHandle<()>,
}

impl Batches {
    fn start(
        plan: Plan,
        batches: std::ops::Range<usize>,
        threads: usize,
    ) -> Result<Self, DataError> {
        // Workers are added one by one to the value whose drop joins them, should a later one fail.
        let mut this = Self {
            plan: Arc::new(plan),
            workers: Vec::new(),
            next: batches.start,
            end: batches.end,
            turn: 0,
        };
        let threads = threads.min(batches.len());
        for first in batches.clone().take(threads) {
            let plan = Arc::clone(&this.plan);
            let (sender, receiver) = sync_channel(AHEAD);
            let work = move || {
                for index in (first..batches.end).step_by(threads) {
                    if sender.send(plan.batch(index)).is_err() {
                        return; // The reader is gone.
                    }
                }
            };
            let thread = thread::Builder::new()
                .name(format!("batches-{}", this.workers.len()))
                .spawn(work)
                .map_err(DataError::Thread)?;
            this.workers.push(Worker {
                batches: receiver,
                thread,
            });
        }
        Ok(this)
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.next == self.end {
            return None;
        }
        let batch = match self.workers.get(self.turn) {
            None => self.plan.batch(self.next),
            Some(worker) => match worker.batches.recv() {
                Ok(batch) => batch,
                // A thread only ends before its last batch by a panic.
                Err(_) => {
                    self.end = self.next;
                    let worker = self.workers.swap_remove(self.turn);
                    match worker.thread.join() {
                        Err(panic) => resume_unwind(panic),
                        Ok(()) => unreachable!("a loader thread ended before its last batch"),
                    }
                }
            },
        };
        self.next += 1;
        self.turn = (self.turn + 1) % self.workers.len().max(1);
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches {}

impl Drop for Batches {
    fn drop(&mut self) {
        // All receivers go first: a thread that waits with a full channel then ends.
        let threads: Vec<_> = self.workers.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // A panic in there concerns a batch that nobody asked for.
            let _ = thread.join();
        }
    }
}
