//! Sessions: the memory and threads with which a model is executed.

use crate::memory::{Aligned, Arena};
use crate::model::Inner;
use crate::part::Part;
use crate::plan::{Maps, VECTOR};
use crate::{Model, RunError};

/// Threads of a session at most: more would wait longer for each other than they compute.
pub const MOST_THREADS: usize = 256;

/// Executes a model, with memory for the feature maps of one image. A session is used by one thread at a time; several sessions share their
/// model.
#[derive(Debug)]
pub struct Session {
    model: Model,
    arena: Aligned,
    /// The scratch memory of all threads, a run of [`scratch_len`] for each.
    scratch: Aligned,
    #[cfg(feature = "threads")]
    threads: Option<crate::threads::Threads>,
    /// Vectors that a step loads at least if threads share it.
    #[cfg(feature = "threads")]
    least_shared: usize,
}

impl Session {
    /// A session that computes each image with this many threads, at least one and at most [`MOST_THREADS`]; with fewer if the operating system
    /// refuses to start so many, and without the feature `threads` always with one. Results do not depend on the number.
    pub fn new(model: &Model, threads: usize) -> Self {
        let inner = &model.0;
        #[cfg(feature = "threads")]
        let threads = crate::threads::Threads::new(threads.clamp(1, MOST_THREADS) - 1);
        #[cfg(feature = "threads")]
        let parts = 1 + threads.as_ref().map_or(0, crate::threads::Threads::len);
        #[cfg(not(feature = "threads"))]
        let (parts, _) = (1, threads);
        let mut arena = Aligned::zeros(inner.plan.arena);
        for constant in &inner.plan.constants {
            write_maps(constant.maps, &constant.values, arena.as_mut_slice());
        }
        Self {
            model: model.clone(),
            arena,
            scratch: Aligned::zeros(parts * scratch_len(inner)),
            #[cfg(feature = "threads")]
            threads,
            #[cfg(feature = "threads")]
            least_shared: 20_000,
        }
    }

    /// Lets threads share only steps that load at least this many vectors of sixteen numbers. By default 20,000, about ten microseconds of one
    /// thread: to wake and to await the others takes some microseconds, and far longer where other programs use the processors.
    #[cfg(feature = "threads")]
    pub fn share_steps_from(mut self, vectors: usize) -> Self {
        self.least_shared = vectors;
        self
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Computes a batch. It allocates no memory.
    ///
    /// # Shapes
    /// `input`: `[images, channels, height, width]`, normalised as [`Model::input`] says; `output`: `[images, classes]`.
    ///
    /// # Errors
    /// [`RunError`] if a length does not fit.
    pub fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), RunError> {
        self.run_with(input, output, |_, run| run())
    }

    /// Computes a batch and calls `observe` with the index of each step in [`Model::steps`] and a function that executes it, which it must
    /// call: to measure the time of each.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn run_with(
        &mut self,
        input: &[f32],
        output: &mut [f32],
        mut observe: impl FnMut(usize, &mut dyn FnMut()),
    ) -> Result<(), RunError> {
        let model = self.model.clone();
        let (pixels, results) = (model.image_len(), model.output_len());
        if input.is_empty() || !input.len().is_multiple_of(pixels) {
            return Err(RunError::Input {
                found: input.len(),
                shape: model.input().shape,
            });
        }
        let images = input.len() / pixels;
        if output.len() != images * results {
            return Err(RunError::Output {
                images,
                expected: images * results,
                found: output.len(),
            });
        }
        let inner = &*model.0;
        for (image, result) in input
            .chunks_exact(pixels)
            .zip(output.chunks_exact_mut(results))
        {
            write_maps(inner.plan.image, image, self.arena.as_mut_slice());
            for step in 0..inner.steps.len() {
                observe(step, &mut || self.step(inner, step));
            }
            read_maps(inner.plan.output, self.arena.as_mut_slice(), result);
        }
        Ok(())
    }

    fn step(&mut self, inner: &Inner, step: usize) {
        let arena = Arena::new(self.arena.as_mut_slice());
        let step = &inner.steps[step];
        #[cfg(feature = "threads")]
        if let Some(threads) = &mut self.threads
            && step.vectors() >= self.least_shared
        {
            let (parts, shares) = (threads.parts(), threads.shares());
            let len = scratch_len(inner);
            let scratch = Arena::new(self.scratch.as_mut_slice());
            threads.run(&|thread, part| {
                // SAFETY: each thread has an index of its own.
                let scratch = unsafe { scratch.write(thread * len, len) };
                let part = Part {
                    index: part,
                    of: parts,
                    shares,
                };
                // SAFETY: the plan was checked, the arena is its own; parts are different.
                unsafe { step.execute(arena, scratch, part) };
            });
            return;
        }
        let scratch = self.scratch.as_mut_slice();
        // SAFETY: the plan was checked, and the arena is its own.
        unsafe { step.execute(arena, scratch, Part::WHOLE) };
    }
}

/// Numbers of scratch memory for each thread, so that no two threads write to one cache line.
fn scratch_len(inner: &Inner) -> usize {
    inner.scratch.next_multiple_of(VECTOR)
}

fn write_maps(maps: Maps, values: &[f32], arena: &mut [f32]) {
    let pixels = maps.pixels();
    for (channel, values) in values.chunks_exact(pixels).enumerate() {
        arena[maps.at + channel * maps.stride..][..pixels].copy_from_slice(values);
    }
}

fn read_maps(maps: Maps, arena: &[f32], values: &mut [f32]) {
    let pixels = maps.pixels();
    for (channel, values) in values.chunks_exact_mut(pixels).enumerate() {
        values.copy_from_slice(&arena[maps.at + channel * maps.stride..][..pixels]);
    }
}
