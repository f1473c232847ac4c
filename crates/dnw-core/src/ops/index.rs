//! The index of a wiring, made again only when the wiring has changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dnw_kernels::{EdgeIndex, words_of};

/// The index that was made last, and of which mask.
///
/// Masks change in many ways: a choice, a file, a move to another device. So none of them has to say so: the mask that an
/// operation is given is compared with the one that the index was made of, which costs a thousandth of the operation. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexCache(Arc<Mutex<Option<Made>>>);

#[derive(Debug)]
struct Made {
    sizes: [usize; 2],
    /// A bit an entry.
    mask: Vec<u64>,
    index: Arc<EdgeIndex>,
}

impl IndexCache {
    /// The index of a mask `[targets, sources]`, a byte each.
    pub(crate) fn index(&self, sizes: [usize; 2], mask: &[u8]) -> Arc<EdgeIndex> {
        let _span = tracing::trace_span!("index of edges").entered();
        // What was made is taken out while it is looked at: threads that wait for each other's parts of a kernel may begin another
        // one meanwhile, which must not find the door locked by its own thread.
        let before = self.place().take();
        let words = words_of(mask);
        let made = match before {
            Some(made) if made.sizes == sizes && made.mask == words => made,
            before => {
                // Nobody has it any more, unless two passes of a model are under way.
                let old = before.and_then(|made| Arc::into_inner(made.index));
                Made {
                    sizes,
                    index: Arc::new(EdgeIndex::from_words(sizes[0], sizes[1], &words, old)),
                    mask: words,
                }
            }
        };
        let index = made.index.clone();
        *self.place() = Some(made);
        index
    }

    fn place(&self) -> MutexGuard<'_, Option<Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
