//! Batches, prepared on background threads.
//!
//! The images of a batch and their augmentation are a pure function of (seed, epoch, batch), so threads
//! share only the plan. A batch consists of pieces, numbered through the epoch: thread `t` of `T` prepares
//! pieces `t`, `t + T`, `t + 2T`, .. and the reader receives from the threads in turn. The bytes and their
//! order are the same for any number of threads, and a run can start in the middle of an epoch.
//!
//! Memory is bounded for any data set: each thread has at most [`AHEAD`] pieces in its queue and one in
//! progress, each of about [`PIECE_BYTES`] bytes or one image.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use crate::part::bad_image;
use crate::transform::Shown;
use crate::{
    Augment, BadImage, DataError, ImageError, Order, Part, Rng, ShiftCrop, TestTransform,
    TrainTransform,
};

/// Pieces that a thread prepares ahead of the reader.
const AHEAD: usize = 2;
/// The approximate size of a piece.
const PIECE_BYTES: usize = 8 << 20;

/// A batch of normalised images.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[n, channels, height, width]`, row-major, normalised: `(byte / 255 - mean) / std`.
    pub images: Vec<f32>,
    /// The labels, `[n]`.
    pub labels: Vec<i32>,
    /// The index of each image in its part, `[n]`.
    pub indices: Vec<u32>,
    /// The index of the batch in the epoch, from 0.
    pub index: usize,
}

impl Batch {
    /// The number of images; at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one image")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }
}

/// Everything that determines the batches.
pub(crate) struct Plan {
    pub part: Arc<dyn Part>,
    /// Channels, height and width of the images.
    pub shape: [usize; 3],
    /// For each channel, the normalised value of each byte.
    pub tables: Arc<[[f32; 256]]>,
    pub show: Show,
    pub order: Order,
    pub batch_size: usize,
}

/// Whether images are prepared for training or evaluation.
pub(crate) enum Show {
    /// For this epoch of a training with this seed.
    Training(Training, u64, u64),
    Evaluation(TestTransform),
}

/// How images are changed in training, in this order.
#[derive(Clone)]
pub(crate) struct Training {
    pub transform: TrainTransform,
    /// The transform's shift, which is made after normalisation.
    pub shift: Option<ShiftCrop>,
    pub augment: Arc<dyn Augment>,
}

/// Some images of a batch that follow each other.
#[derive(Default)]
struct Piece {
    images: Vec<f32>,
    bad: Vec<BadImage>,
}

impl Plan {
    fn image_len(&self) -> usize {
        self.shape.iter().product()
    }

    fn piece_size(&self) -> usize {
        let most = PIECE_BYTES / (size_of::<f32>() * self.image_len());
        most.clamp(1, self.batch_size)
    }

    fn pieces_per_batch(&self) -> usize {
        self.batch_size.div_ceil(self.piece_size())
    }

    /// The images of a batch, as indices in the part.
    fn batch(&self, index: usize) -> &[u32] {
        let order = self.order.indices();
        let start = index * self.batch_size;
        &order[start..(start + self.batch_size).min(order.len())]
    }

    /// Piece `number` of the epoch; it may be empty in an incomplete last batch.
    fn piece(&self, number: usize) -> Piece {
        let per_batch = self.pieces_per_batch();
        let mut pieces = self.batch(number / per_batch).chunks(self.piece_size());
        let indices = pieces.nth(number % per_batch).unwrap_or_default();
        let image = self.image_len();
        let mut piece = Piece {
            images: vec![0.0; indices.len() * image],
            bad: Vec::new(),
        };
        for (slot, &index) in piece.images.chunks_exact_mut(image).zip(indices) {
            if let Err(problem) = self.image(index, slot) {
                piece
                    .bad
                    .push(bad_image(&*self.part, index as usize, problem));
            }
        }
        piece
    }

    /// Writes image `index`, normalised, into `slot`.
    fn image(&self, index: u32, slot: &mut [f32]) -> Result<(), ImageError> {
        let picture = self.part.picture(index as usize)?;
        match &self.show {
            Show::Evaluation(transform) => self.normalise(transform.show(picture), slot),
            Show::Training(training, seed, epoch) => {
                let mut rng = Rng::for_image(*seed, *epoch, index);
                self.normalise(training.transform.show(picture, &mut rng), slot)?;
                if let Some(shift) = &training.shift {
                    shift.apply(slot, self.shape, &mut rng);
                }
                training.augment.apply(slot, self.shape, &mut rng);
                Ok(())
            }
        }
    }

    fn normalise(&self, shown: Shown<'_>, slot: &mut [f32]) -> Result<(), ImageError> {
        let [_, height, width] = self.shape;
        if shown.shape != self.shape {
            return Err(ImageError::Size {
                found: [shown.shape[1], shown.shape[2]],
                wanted: [height, width],
            });
        }
        let plane = height * width;
        let planes = slot
            .chunks_exact_mut(plane)
            .zip(shown.pixels.chunks_exact(plane));
        for ((values, bytes), table) in planes.zip(self.tables.iter()) {
            for (value, &byte) in values.iter_mut().zip(bytes) {
                *value = table[usize::from(byte)];
            }
            if shown.mirrored {
                for row in values.chunks_exact_mut(width) {
                    row.reverse();
                }
            }
        }
        Ok(())
    }
}

/// The batches of one epoch, in order; after an error there are no more.
///
/// An item is [`DataError::BadImages`] if images of the batch cannot be read or decoded. Dropping the
/// iterator early stops and joins the threads. A panic in an [`Augment`] is propagated to the reader.
pub struct Batches {
    plan: Arc<Plan>,
    workers: Vec<Worker>,
    next: usize,
    end: usize,
    turn: usize,
}

struct Worker {
    pieces: Receiver<Piece>,
    thread: JoinHandle<()>,
}

impl Batches {
    pub(crate) fn start(
        plan: Plan,
        batches: std::ops::Range<usize>,
        threads: usize,
    ) -> Result<Self, DataError> {
        // Workers are added one by one to a value whose drop joins them, in case a later one fails to start.
        let mut this = Self {
            plan: Arc::new(plan),
            workers: Vec::new(),
            next: batches.start,
            end: batches.end,
            turn: 0,
        };
        let per_batch = this.plan.pieces_per_batch();
        let pieces = batches.start * per_batch..batches.end * per_batch;
        let threads = threads.min(pieces.len());
        for first in pieces.clone().take(threads) {
            let plan = Arc::clone(&this.plan);
            let (sender, receiver) = sync_channel(AHEAD);
            let work = move || {
                for number in (first..pieces.end).step_by(threads) {
                    if sender.send(plan.piece(number)).is_err() {
                        return; // The reader was dropped.
                    }
                }
            };
            let thread = thread::Builder::new()
                .name(format!("batches-{}", this.workers.len()))
                .spawn(work)
                .map_err(DataError::Thread)?;
            this.workers.push(Worker {
                pieces: receiver,
                thread,
            });
        }
        Ok(this)
    }

    /// The next piece: from the next thread, or prepared on this one.
    fn piece(&mut self, number: usize) -> Piece {
        let Some(worker) = self.workers.get(self.turn) else {
            return self.plan.piece(number);
        };
        match worker.pieces.recv() {
            Ok(piece) => {
                self.turn = (self.turn + 1) % self.workers.len();
                piece
            }
            // A thread only ends before its last piece because of a panic.
            Err(_) => {
                self.end = self.next;
                let worker = self.workers.swap_remove(self.turn);
                match worker.thread.join() {
                    Err(panic) => resume_unwind(panic),
                    Ok(()) => unreachable!("a loader thread ended before its last piece"),
                }
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.end {
            return None;
        }
        let index = self.next;
        let per_batch = self.plan.pieces_per_batch();
        let mut whole = Piece::default();
        for number in index * per_batch..(index + 1) * per_batch {
            let mut piece = self.piece(number);
            whole.bad.append(&mut piece.bad);
            if whole.images.is_empty() {
                whole.images = piece.images;
                let length = self.plan.batch(index).len() * self.plan.image_len();
                whole.images.reserve_exact(length - whole.images.len());
            } else {
                whole.images.extend(piece.images);
            }
        }
        if !whole.bad.is_empty() {
            self.end = self.next;
            return Some(Err(DataError::bad_images(whole.bad)));
        }
        self.next += 1;
        let indices = self.plan.batch(index).to_vec();
        let labels = self.plan.part.labels();
        let label = |&image: &u32| i32::from(labels[image as usize]);
        Some(Ok(Batch {
            images: whole.images,
            labels: indices.iter().map(label).collect(),
            indices,
            index,
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches {}

impl Drop for Batches {
    fn drop(&mut self) {
        // All receivers are dropped first, so that threads blocked on a full channel end.
        let threads: Vec<_> = self.workers.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // A panic here concerns a batch that was not requested.
            let _ = thread.join();
        }
    }
}
