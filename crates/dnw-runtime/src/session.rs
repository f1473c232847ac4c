//! Sessions: the memory and threads with which a model is executed.

use crate::execute::Part;
use crate::memory::{Aligned, Arena};
use crate::model::Inner;
use crate::{Model, RunError};

/// Executes a model, with memory for the feature maps of one image. A session is used by one thread at a time; several sessions share their
/// model.
#[derive(Debug)]
pub struct Session {
    model: Model,
    arena: Aligned,
    /// The scratch memory of each thread.
    scratch: Vec<Aligned>,
    #[cfg(feature = "threads")]
    threads: Option<crate::threads::Threads>,
}

impl Session {
    /// A session that computes each image with this many threads, at least one; without the feature `threads` always with one. Results do not
    /// depend on the number.
    pub fn new(model: &Model, threads: usize) -> Self {
        let inner = &model.0;
        let parts = if cfg!(feature = "threads") {
            threads.max(1)
        } else {
            1
        };
        let mut arena = Aligned::zeros(inner.plan.arena);
        for constant in &inner.plan.constants {
            write_maps(constant.maps, &constant.values, arena.as_mut_slice());
        }
        Self {
            model: model.clone(),
            arena,
            scratch: (0..parts).map(|_| Aligned::zeros(inner.scratch)).collect(),
            #[cfg(feature = "threads")]
            threads: (parts > 1).then(|| crate::threads::Threads::new(parts - 1)),
        }
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
        if let Some(threads) = &mut self.threads {
            let parts = self.scratch.len();
            let scratch: Vec<Arena> = self
                .scratch
                .iter_mut()
                .map(|s| Arena::new(s.as_mut_slice()))
                .collect();
            threads.run(&|index| {
                let len = inner.scratch.next_multiple_of(crate::plan::VECTOR);
                // SAFETY: each thread has an index of its own.
                let scratch = unsafe { scratch[index].write(0, len) };
                // SAFETY: the plan was checked, the arena is its own; parts are different.
                unsafe { step.execute(arena, scratch, Part { index, of: parts }) };
            });
            return;
        }
        let scratch = self.scratch[0].as_mut_slice();
        // SAFETY: the plan was checked, and the arena is its own.
        unsafe { step.execute(arena, scratch, Part { index: 0, of: 1 }) };
    }
}

fn write_maps(maps: crate::plan::Maps, values: &[f32], arena: &mut [f32]) {
    let pixels = maps.pixels();
    for (channel, values) in values.chunks_exact(pixels).enumerate() {
        arena[maps.at + channel * maps.stride..][..pixels].copy_from_slice(values);
    }
}

fn read_maps(maps: crate::plan::Maps, arena: &[f32], values: &mut [f32]) {
    let pixels = maps.pixels();
    for (channel, values) in values.chunks_exact_mut(pixels).enumerate() {
        values.copy_from_slice(&arena[maps.at + channel * maps.stride..][..pixels]);
    }
}
