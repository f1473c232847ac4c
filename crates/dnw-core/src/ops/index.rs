//! The index of a wiring's real edges, built again only when the wiring has changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::backend::TensorMetadata;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use dnw_kernels::{Buffer, EdgeIndex, words_of};

use super::cpu::CpuBackend;

/// The last index, and the mask that it is of.
///
/// Masks change in many ways: a selection, a file, a move to another device. None of them has to invalidate the cache: an operation
/// compares its mask with the cached one, which costs a thousandth of the operation. Clones share the cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexCache(Arc<Mutex<Option<Cached>>>);

#[derive(Debug)]
struct Cached {
    sizes: [usize; 2],
    /// One bit per entry.
    mask: Vec<u64>,
    index: Arc<EdgeIndex>,
}

impl IndexCache {
    /// The index of a mask `[targets, sources]`, one byte per entry.
    pub(crate) fn index(&self, sizes: [usize; 2], mask: &[u8]) -> Arc<EdgeIndex> {
        let _span = tracing::trace_span!("index of edges").entered();
        // The entry is taken out while it is compared: a thread that waits for a part of this kernel may run a part of another one
        // meanwhile, which must not wait for a lock that its own thread holds.
        let before = self.entry().take();
        let words = words_of(mask);
        let cached = match before {
            Some(cached) if cached.sizes == sizes && cached.mask == words => cached,
            before => {
                // Its memory is used again, unless another pass of the model still holds it.
                let old = before.and_then(|cached| Arc::into_inner(cached.index));
                Cached {
                    sizes,
                    index: Arc::new(EdgeIndex::from_words(sizes[0], sizes[1], &words, old)),
                    mask: words,
                }
            }
        };
        let index = cached.index.clone();
        *self.entry() = Some(cached);
        index
    }

    fn entry(&self) -> MutexGuard<'_, Option<Cached>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The real edges of a weight tensor and their weights, in the order of the index.
#[derive(Clone, Debug)]
pub(super) struct Edges {
    pub(super) index: Arc<EdgeIndex>,
    pub(super) weights: Arc<Buffer>,
}

impl Edges {
    /// `weight`, `real`: `[targets, ..]`, or `[inputs, outputs]` of a linear layer.
    pub(super) fn new<B: CpuBackend>(
        weight: &FloatTensor<B>,
        real: &BoolTensor<B>,
        cache: &IndexCache,
    ) -> Self {
        let shape = real.shape();
        let rows = shape[0];
        let columns = shape.num_elements() / rows.max(1);
        let index = cache.index([rows, columns], &B::bytes(real));
        let weights = Arc::new(index.weights(B::floats(weight)));
        Self { index, weights }
    }
}
