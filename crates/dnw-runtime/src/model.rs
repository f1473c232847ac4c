//! Models: plans that were checked and can be executed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::check::check;
use crate::execute::Prepared;
use crate::file::{self, FileError};
use crate::memory::{prefer_huge_pages, room_for_huge_pages};
use crate::plan::{Input, Plan};
use crate::{LoadError, PlanError};

/// A compiled network. Clones share its memory, and any number of threads can use it at once, each with a
/// [`Session`](crate::Session) of its own.
#[derive(Clone, Debug)]
pub struct Model(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    /// Without the steps.
    pub(crate) plan: Plan,
    pub(crate) steps: Vec<Prepared>,
    /// Numbers of scratch memory that each thread needs.
    pub(crate) scratch: usize,
}

/// Bytes that show what kind of file it is.
const START: u64 = 4096;

/// Bytes of feature maps that a model from a file may need at most, unless a program allows more: one gibibyte.
pub const MOST_SESSION_BYTES: usize = 1 << 30;

impl Model {
    /// Loads a file that `dnw compile` wrote. Of a file of another kind only the start is read.
    ///
    /// # Errors
    /// [`LoadError`] if the file cannot be read, is no model, is damaged, or holds a network that cannot be executed or needs more than
    /// [`MOST_SESSION_BYTES`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::load_within(path, MOST_SESSION_BYTES)
    }

    /// As [`load`](Self::load), for a network whose sessions of one thread need at most so many bytes of feature maps.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_within(path: impl AsRef<Path>, bytes: usize) -> Result<Self, LoadError> {
        Self::read_file(path.as_ref())?.within(bytes)
    }

    fn read_file(path: &Path) -> Result<Self, LoadError> {
        let io = |error: io::Error| LoadError::Io {
            path: path.to_owned(),
            error,
        };
        let mut file = File::open(path).map_err(io)?;
        let mut bytes = Vec::new();
        (&file).take(START).read_to_end(&mut bytes).map_err(io)?;
        if let Err(error @ (FileError::Empty | FileError::OtherFormat { .. })) = file::read(&bytes)
        {
            return Err(error.into());
        }
        let size = file.metadata().map_err(io)?.len();
        let left = usize::try_from(size.saturating_sub(bytes.len() as u64)).unwrap_or(usize::MAX);
        // So that huge pages reach beyond the end.
        let room = room_for_huge_pages(left);
        bytes
            .try_reserve_exact(left.saturating_add(room))
            .map_err(|_| io(io::ErrorKind::OutOfMemory.into()))?;
        prefer_huge_pages(bytes.spare_capacity_mut());
        file.read_to_end(&mut bytes).map_err(io)?;
        let plan = file::read(&bytes)?;
        // The bytes are not needed while the plan is prepared.
        drop(bytes);
        Ok(Self::new(plan)?)
    }

    /// Reads a model from the bytes of its file, for example one that is part of a program (`include_bytes!`).
    ///
    /// # Errors
    /// [`LoadError`] as for [`load`](Self::load), but for reading the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        Self::new(file::read(bytes)?)?.within(MOST_SESSION_BYTES)
    }

    /// The same model, if a session of one thread needs at most so many bytes of feature maps ([`session_bytes`](Self::session_bytes)): a file from
    /// a stranger can ask for gigabytes.
    ///
    /// # Errors
    /// [`LoadError::Memory`] if it needs more.
    pub fn within(self, bytes: usize) -> Result<Self, LoadError> {
        match self.session_bytes() {
            needed if needed > bytes => Err(LoadError::Memory {
                needed,
                limit: bytes,
            }),
            _ => Ok(self),
        }
    }

    /// Checks a plan.
    ///
    /// # Errors
    /// [`PlanError`] if a step reads or writes outside the arena, overwrites what it reads, or its tensors do not fit each other.
    pub fn new(mut plan: Plan) -> Result<Self, PlanError> {
        check(&plan)?;
        let steps = Prepared::all(std::mem::take(&mut plan.steps));
        let scratch = steps.iter().map(Prepared::scratch).max().unwrap_or(0);
        Ok(Self(Arc::new(Inner {
            plan,
            steps,
            scratch,
        })))
    }

    /// What an image must look like.
    pub fn input(&self) -> &Input {
        &self.0.plan.input
    }

    /// Numbers of an image.
    pub fn image_len(&self) -> usize {
        self.input().shape.iter().product()
    }

    /// Mean and deviation of a channel: an input is `(pixel - mean) / deviation`, where pixels lie from 0 to 1.
    pub fn normalisation(&self, channel: usize) -> [f32; 2] {
        let Input {
            mean, deviation, ..
        } = self.input();
        // Empty lists are zeros and ones.
        let of = |list: &[f32], otherwise| list.get(channel).copied().unwrap_or(otherwise);
        [of(mean, 0.0), of(deviation, 1.0)]
    }

    /// Numbers of an image's result: the classes of a classifier.
    pub fn output_len(&self) -> usize {
        self.0.plan.output.shape.iter().product()
    }

    /// The layer and the operation of each step, in the order of execution. A layer can have several steps.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (&str, &'static str)> {
        let steps = self.0.steps.iter();
        steps.map(|step| (step.layer(), step.operation()))
    }

    /// Bytes that a session of one thread needs for feature maps.
    pub fn session_bytes(&self) -> usize {
        let numbers = self.0.plan.arena.saturating_add(self.0.scratch);
        numbers.saturating_mul(4)
    }
}
