//! A data set: its training and test part, and their metadata.

use std::sync::Arc;

use crate::fingerprint::fingerprint;
use crate::part::bad_image;
use crate::subset::Subset;
use crate::{DataError, Part, Transforms};

/// A data set: its training and test part, and their metadata.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DataSet {
    /// Its name.
    pub name: String,
    /// The names of the classes; a label is an index.
    pub classes: Vec<String>,
    /// The training images.
    pub train: Arc<dyn Part>,
    /// The test images.
    pub test: Arc<dyn Part>,
    /// Mean of each channel, in units where white is 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, in units where white is 1.
    pub std: Vec<f32>,
    transforms: Transforms,
    shape: [usize; 3],
}

impl DataSet {
    /// Combines two parts whose images all have the same size, without transforms.
    ///
    /// # Shapes
    /// `statistics`: mean and standard deviation, each one value per channel.
    ///
    /// # Errors
    /// As [`transformed`](Self::transformed).
    pub fn new(
        name: &str,
        classes: Vec<String>,
        train: impl Part + 'static,
        test: impl Part + 'static,
        statistics: (Vec<f32>, Vec<f32>),
    ) -> Result<Self, DataError> {
        let transforms = Transforms::default();
        Self::transformed(name, classes, train, test, statistics, transforms)
    }

    /// Combines two parts, with `transforms`.
    ///
    /// # Shapes
    /// `statistics`: mean and standard deviation, each one value per channel.
    ///
    /// # Errors
    /// [`DataError::NoImages`] if a part has none, [`DataError::Transform`] if a transform does not fit the
    /// images, [`DataError::PartsDiffer`] if the parts' images differ in shape, [`DataError::LabelRange`] if
    /// a label is out of range, [`DataError::Statistics`] if the statistics are not a finite mean and a
    /// positive deviation for each channel.
    pub fn transformed(
        name: &str,
        classes: Vec<String>,
        train: impl Part + 'static,
        test: impl Part + 'static,
        statistics: (Vec<f32>, Vec<f32>),
        transforms: Transforms,
    ) -> Result<Self, DataError> {
        for part in [&train as &dyn Part, &test] {
            if part.len() == 0 || u32::try_from(part.len()).is_err() {
                return Err(DataError::NoImages);
            }
            let out_of_range = |&label: &u16| usize::from(label) >= classes.len();
            if let Some(index) = part.labels().iter().position(out_of_range) {
                return Err(DataError::LabelRange {
                    index,
                    label: part.labels()[index],
                    classes: classes.len(),
                });
            }
        }
        let shape = shape(&train, &test, transforms)?;
        let (mean, std) = statistics;
        let channels = shape[0];
        let sound = mean.len() == channels
            && std.len() == channels
            && mean.iter().all(|mean| mean.is_finite())
            && std.iter().all(|std| std.is_finite() && *std > 0.0);
        if !sound {
            return Err(DataError::Statistics { channels });
        }
        Ok(Self {
            name: name.to_owned(),
            classes,
            train: Arc::new(train),
            test: Arc::new(test),
            mean,
            std,
            transforms,
            shape,
        })
    }

    /// The same images with other transforms.
    ///
    /// # Errors
    /// [`DataError::Transform`] if a transform does not fit the images, [`DataError::PartsDiffer`] if the
    /// parts' images would then differ in shape.
    pub fn with_transforms(mut self, transforms: Transforms) -> Result<Self, DataError> {
        self.shape = shape(&*self.train, &*self.test, transforms)?;
        self.transforms = transforms;
        Ok(self)
    }

    /// Limits the training images to a random subset, which is independent of the seed of a run.
    ///
    /// # Errors
    /// [`DataError::Subset`] if the number is zero or larger than the part.
    pub fn with_train_images(mut self, images: usize) -> Result<Self, DataError> {
        self.train = subset(self.train, images, "training")?;
        Ok(self)
    }

    /// Limits the test images to a random subset, which is independent of the seed of a run.
    ///
    /// # Errors
    /// As [`with_train_images`](Self::with_train_images).
    pub fn with_test_images(mut self, images: usize) -> Result<Self, DataError> {
        self.test = subset(self.test, images, "test")?;
        Ok(self)
    }

    /// The transforms.
    pub fn transforms(&self) -> Transforms {
        self.transforms
    }

    /// Channels, height and width of every image after its transform.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// A hash by which a run recognises its data: 64 hexadecimal digits. Classes, labels and statistics count, and the images: in memory
    /// every pixel, otherwise the names of the files and the sizes of up to 4096 of them. Transforms do not count.
    pub fn fingerprint(&self) -> String {
        let names = std::iter::once(&self.name).chain(&self.classes);
        fingerprint(
            names.map(String::as_str),
            self.mean.iter().chain(&self.std),
            [&*self.train, &*self.test],
        )
    }

    /// Test image `index` after its transform, before normalisation: `[channels, height, width]`, the
    /// [`shape`](Self::shape).
    ///
    /// # Panics
    /// If `index` is out of range.
    ///
    /// # Errors
    /// [`DataError::BadImages`] if it cannot be read or decoded.
    pub fn test_image(&self, index: usize) -> Result<Vec<u8>, DataError> {
        match self.test.picture(index) {
            Ok(picture) => Ok(self.transforms.test.show(picture).pixels.into_owned()),
            Err(problem) => {
                let bad = bad_image(&*self.test, index, problem);
                Err(DataError::bad_images(vec![bad]))
            }
        }
    }

    /// The value of a black pixel of each channel after normalisation: `-mean / std`.
    pub fn black(&self) -> Vec<f32> {
        self.mean
            .iter()
            .zip(&self.std)
            .map(|(mean, std)| (0.0 - mean) / std)
            .collect()
    }
}

/// Channels, height and width of the images of both parts after the transforms.
fn shape(
    train: &dyn Part,
    test: &dyn Part,
    transforms: Transforms,
) -> Result<[usize; 3], DataError> {
    let [height, width] = transforms.train.size(train.size())?;
    let shown = [train.channels(), height, width];
    let [height, width] = transforms.test.size(test.size())?;
    let judged = [test.channels(), height, width];
    if shown == judged {
        Ok(shown)
    } else {
        Err(DataError::PartsDiffer {
            train: shown,
            test: judged,
        })
    }
}

/// The ten decimal digits as class names.
pub(crate) fn ten_digits() -> Vec<String> {
    (0..10).map(|digit: u8| digit.to_string()).collect()
}

/// A random subset of a part.
fn subset(
    part: Arc<dyn Part>,
    asked: usize,
    name: &'static str,
) -> Result<Arc<dyn Part>, DataError> {
    let all = part.len();
    if !(1..=all).contains(&asked) {
        return Err(DataError::Subset {
            part: name,
            asked,
            all,
        });
    }
    Ok(Arc::new(Subset::draw(part, asked)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Images;

    fn data(pixels: [u8; 4], labels: [u16; 2]) -> DataSet {
        let images = |pixels: &[u8]| Images::new([1, 1, 2], pixels.to_vec(), labels.to_vec());
        let classes = vec!["a".to_owned(), "b".to_owned()];
        let (train, test) = (images(&pixels).unwrap(), images(&[1, 2, 3, 4]).unwrap());
        DataSet::new("own", classes, train, test, (vec![0.5], vec![0.25])).unwrap()
    }

    #[test]
    fn equal_data_have_equal_fingerprints_and_a_changed_pixel_or_label_shows() {
        let first = data([0, 9, 8, 7], [0, 1]).fingerprint();
        assert_eq!(first.len(), 64);
        assert_eq!(data([0, 9, 8, 7], [0, 1]).fingerprint(), first);
        assert_ne!(data([0, 9, 8, 6], [0, 1]).fingerprint(), first);
        assert_ne!(data([0, 9, 8, 7], [1, 1]).fingerprint(), first);
    }
}
