//! The measured workloads: a network, its wiring and optimizer, and images.

use clap::ValueEnum;
use dnw_benches::random_values;
use dnw_train::data::{DataError, DataSet, Images};
use dnw_train::recipe::{Recipe, RecipeError};

use crate::failure::Failure;

/// A network and its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// The 88 nodes of the recipe `mnist`, 28 x 28.
    Mnist,
    /// The published tiny classifier, static, 32 x 32.
    TinyStatic,
    /// The published tiny classifier in discrete time, 32 x 32.
    TinyDiscrete,
    /// MobileNetV1 as chained graphs, x0.225, 32 x 32.
    Mobilenet,
    /// ResNet-50 with 90 % of its weights pruned, 64 x 64, 1000 classes.
    Resnet50,
}

impl Workload {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::TinyStatic => "tiny-static",
            Self::TinyDiscrete => "tiny-discrete",
            Self::Mobilenet => "mobilenet",
            Self::Resnet50 => "resnet50",
        }
    }

    /// The default batch size: that of the short recipes, or less for networks that are slow on two cores.
    pub fn batch(self) -> usize {
        match self {
            Self::Mnist | Self::TinyStatic | Self::TinyDiscrete => 64,
            Self::Mobilenet => 32,
            Self::Resnet50 => 8,
        }
    }

    /// Channels, height, width; `side` replaces height and width of the networks that take images of any size.
    ///
    /// # Errors
    /// [`Failure`] if this network takes images of one size only.
    pub fn image(self, side: Option<usize>) -> Result<[usize; 3], Failure> {
        let own = match self {
            Self::Mnist => [1, 28, 28],
            Self::TinyStatic | Self::TinyDiscrete | Self::Mobilenet => [3, 32, 32],
            Self::Resnet50 => [3, 64, 64],
        };
        match (self, side) {
            (_, None) => Ok(own),
            (Self::Mobilenet | Self::Resnet50, Some(side)) => Ok([own[0], side, side]),
            (_, Some(_)) => Err(Failure(format!(
                "{} takes images of {} x {} only: leave `--image` out",
                self.name(),
                own[1],
                own[2]
            ))),
        }
    }

    /// The number of classes.
    pub fn classes(self) -> usize {
        match self {
            Self::Resnet50 => 1000,
            _ => 10,
        }
    }

    /// The recipe with a constant learning rate and budget, so that all steps are alike.
    ///
    /// # Errors
    /// [`RecipeError`] if the batch size is invalid.
    pub fn recipe(self, batch: usize) -> Result<Recipe, RecipeError> {
        let name = match self {
            Self::Mnist => "mnist",
            Self::TinyStatic => "cifar10-tiny-static-dnw",
            Self::TinyDiscrete => "cifar10-tiny-discrete-dnw",
            Self::Mobilenet => "cifar10-mobilenet-dnw-x0.225",
            Self::Resnet50 => "imagenet-resnet50-all-90",
        };
        let batch = format!("batch={batch}");
        let changes = [
            batch.as_str(),
            "wiring.rule=dnw",
            "epochs=10000",
            "optimizer.schedule=constant",
            "optimizer.warm-up=0",
            "optimizer.learning-rate=0.02",
        ];
        Recipe::named(name, &changes.map(str::to_owned))
    }

    /// One batch of noise images, `[channels, height, width]` each, and labels that is the same on every machine.
    ///
    /// # Errors
    /// [`DataError`] if the batch is empty.
    pub fn data(self, batch: usize, image: [usize; 3]) -> Result<DataSet, DataError> {
        let [channels, height, width] = image;
        let classes = self.classes();
        let pixels = random_values(11, batch * channels * height * width);
        let pixels = pixels.iter().map(|x| (127.5 * (x + 1.0)) as u8).collect();
        let labels = random_values(12, batch);
        let label = |x: &f32| ((x + 1.0) / 2.0 * classes as f32) as u16 % classes as u16;
        let images = Images::new(image, pixels, labels.iter().map(label).collect())?;
        let names = (0..classes).map(|class| class.to_string()).collect();
        let statistics = (vec![0.5; channels], vec![0.29; channels]);
        DataSet::new("noise", names, images.clone(), images, statistics)
    }
}
