//! Batches, made ready on background threads.
//!
//! Which images a batch holds and how they are shown is a pure function of (seed, epoch, batch), so
//! threads share nothing but the plan. A batch is made in pieces, numbered through the epoch: thread `t`
//! of `T` makes pieces `t`, `t + T`, `t + 2T`, .. and the reader takes from the threads in turn. The
//! bytes and their order are the same for any number of threads, and a run can start in the middle of
//! an epoch.
//!
//! However large the data are, what lies ready is bounded: of each thread, [`AHEAD`] pieces in its queue and
//! one in its hands, each of about [`PIECE_BYTES`] bytes or one image.

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

/// Pieces that one thread makes ahead of the reader.
const AHEAD: usize = 2;
/// A piece holds so many images as take about this much memory.
const PIECE_BYTES: usize = 8 << 20;

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

/// All that a batch is a function of.
pub(crate) struct Plan {
    pub part: Arc<dyn Part>,
    /// Channels, height, width of an image of a batch.
    pub shape: [usize; 3],
    /// For each channel, what each byte is after normalisation.
    pub tables: Arc<[[f32; 256]]>,
    pub show: Show,
    pub order: Order,
    pub batch_size: usize,
}

/// As what images are shown.
pub(crate) enum Show {
    /// In this epoch of a training with this seed.
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

    /// The images of a batch, as indices into the part.
    fn batch(&self, index: usize) -> &[u32] {
        let order = self.order.indices();
        let start = index * self.batch_size;
        &order[start..(start + self.batch_size).min(order.len())]
    }

    /// Piece `number` of the epoch; in a last batch that is not full, it may hold nothing.
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
/// iterator early stops and joins the threads. A panic in an [`Augment`] goes on in the reader.
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
        // Workers are added one by one to the value whose drop joins them, should a later one fail.
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
                        return; // The reader is gone.
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

    /// The next piece: from the thread whose turn it is, or made here.
    fn piece(&mut self, number: usize) -> Piece {
        let Some(worker) = self.workers.get(self.turn) else {
            return self.plan.piece(number);
        };
        match worker.pieces.recv() {
            Ok(piece) => {
                self.turn = (self.turn + 1) % self.workers.len();
                piece
            }
            // A thread only ends before its last piece by a panic.
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
        // All receivers go first: a thread that waits with a full channel then ends.
        let threads: Vec<_> = self.workers.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // A panic in there concerns a batch that nobody asked for.
            let _ = thread.join();
        }
    }
}
