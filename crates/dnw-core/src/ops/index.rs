//! The index of a wiring, made again only when the wiring has changed.

use std::sync::{Arc, Mutex, PoisonError};

use dnw_kernels::EdgeIndex;

/// The index that was made last, and of which mask.
///
/// Masks change in many ways: a choice, a file, a move to another device. So none of them has to say so: the mask that an
/// operation is given is compared with the one that the index was made of, which costs a thousandth of the operation. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexCache(Arc<Mutex<Option<Made>>>);

#[derive(Debug)]
struct Made {
    sizes: [usize; 2],
    mask: Vec<u8>,
    index: Arc<EdgeIndex>,
}

impl IndexCache {
    /// The index of a mask `[targets, sources]`, a byte each.
    pub(crate) fn index(&self, [targets, sources]: [usize; 2], mask: &[u8]) -> Arc<EdgeIndex> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*made
            && made.sizes == [targets, sources]
            && made.mask == mask
        {
            return made.index.clone();
        }
        let index = Arc::new(EdgeIndex::from_bytes(targets, sources, mask));
        let mut copy = made.take().map(|made| made.mask).unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(mask);
        *made = Some(Made {
            sizes: [targets, sources],
            mask: copy,
            index: index.clone(),
        });
        index
    }
}
