//! A random subset of a part.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{ImageError, Order, Part, Picture};

/// A random subset of a part, in the part's order.
#[derive(Clone, Debug)]
pub(crate) struct Subset {
    part: Arc<dyn Part>,
    indices: Vec<u32>,
    labels: Vec<u16>,
}

impl Subset {
    /// A random subset of a part, independent of the seed of a run. Smaller subsets are contained in larger ones.
    ///
    /// # Panics
    /// If the part has fewer.
    pub(crate) fn draw(part: Arc<dyn Part>, images: usize) -> Self {
        // This epoch number is not used by runs, which count from 0.
        let order = Order::shuffled(part.len() as u32, 0, u64::MAX);
        let mut indices = order.indices()[..images].to_vec();
        indices.sort_unstable();
        let labels = indices
            .iter()
            .map(|&index| part.labels()[index as usize])
            .collect();
        Self {
            part,
            indices,
            labels,
        }
    }

    fn index(&self, index: usize) -> usize {
        self.indices[index] as usize
    }
}

impl Part for Subset {
    fn labels(&self) -> &[u16] {
        &self.labels
    }

    fn channels(&self) -> usize {
        self.part.channels()
    }

    fn size(&self) -> Option<[usize; 2]> {
        self.part.size()
    }

    fn picture(&self, index: usize) -> Result<Picture<'_>, ImageError> {
        self.part.picture(self.index(index))
    }

    fn place(&self, index: usize) -> PathBuf {
        self.part.place(self.index(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_images_are_among_more_and_each_keeps_its_label() {
        let digits = crate::digits::open().unwrap();
        let (few, many) = (
            Subset::draw(Arc::clone(&digits.train), 100),
            Subset::draw(Arc::clone(&digits.train), 700),
        );
        assert!(few.indices.iter().all(|index| many.indices.contains(index)));
        assert!(few.indices.windows(2).all(|pair| pair[0] < pair[1]));
        for (i, &index) in few.indices.iter().enumerate() {
            assert_eq!(few.labels()[i], digits.train.labels()[index as usize]);
            let pixels = |part: &dyn Part, i| part.picture(i).unwrap().pixels.to_vec();
            assert_eq!(pixels(&few, i), pixels(&*digits.train, index as usize));
        }
    }

    #[test]
    fn more_images_than_there_are_cannot_be_drawn() {
        let digits = || crate::digits::open().unwrap();
        assert_eq!(digits().with_train_images(100).unwrap().train.len(), 100);
        for images in [0, 1443] {
            let error = digits().with_train_images(images).unwrap_err();
            assert!(error.to_string().contains("1442"), "{error}");
        }
    }
}
