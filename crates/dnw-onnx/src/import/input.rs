//! The image that a model reads.

use std::collections::HashSet;

use crate::ImportError;
use crate::model::Model;

/// How a model's input is read.
#[derive(Debug)]
pub struct Input {
    /// The dimensions in the model, with a batch of one.
    pub dims: Vec<usize>,
    /// The batch in the model; 1 if it is open.
    pub batch: usize,
    /// The circuit's image: channels, height, width.
    pub image: [usize; 3],
    /// Whether the model has the channels last.
    pub last: bool,
}

impl Input {
    /// The input of a model: an image, a signal `[batch, channels, length]` or a vector. `image`, `[channels, height, width]`, is for sizes that the
    /// model leaves open, and for vectors and matrices of the pixels of an image.
    pub fn new(model: &Model, image: Option<[usize; 3]>) -> Result<Self, ImportError> {
        let (name, dims) = &model.image;
        let error = |what: String, help: &str| ImportError::Interface {
            what: format!("the input `{name}` {what}"),
            help: help.to_owned(),
        };
        let Some((batch, sizes)) = dims.split_first() else {
            return Err(error(
                "has no shape".to_owned(),
                "export the model with an input `[batch, channels, height, width]`",
            ));
        };
        let last = is_channels_last(model, sizes);
        let known: Option<Vec<usize>> = sizes.iter().copied().collect();
        // The sizes of the model by those of the image.
        let asked = image.map(|[c, h, w]| match (sizes.len(), &known) {
            (1, _) => vec![product(&[c, h, w])],
            // As many numbers, in another shape.
            (2, Some(known)) if product(known) == product(&[c, h, w]) => known.clone(),
            (2, _) => vec![c, h.saturating_mul(w)],
            _ if last => vec![h, w, c],
            _ => vec![c, h, w],
        });
        if !(1..=3).contains(&sizes.len()) {
            return Err(error(
                format!("has {} dimensions", dims.len()),
                "export a network with an input `[batch, channels, height, width]`, `[batch, channels, length]` or `[batch, features]`",
            ));
        }
        let mut own = Vec::new();
        for (at, &size) in sizes.iter().enumerate() {
            let asked = asked.as_ref().map(|asked| asked[at]);
            match (size, asked) {
                (Some(size), Some(asked)) if size != asked => {
                    let given = image.unwrap_or_default();
                    let given = given.map(|size| size.to_string()).join("x");
                    return Err(error(
                        format!("has images of another size than {given}"),
                        "leave the size of images out: the model has it",
                    ));
                }
                (Some(size), _) | (None, Some(size)) => own.push(size),
                (None, None) => {
                    return Err(error(
                        "has a size that the model leaves open".to_owned(),
                        "give the size of an image, such as `--image 3x224x224`",
                    ));
                }
            }
        }
        let image = match (image, &own[..]) {
            (Some(image), _) => image,
            (_, &[height, width, channels]) if last => [channels, height, width],
            (_, &[channels, height, width]) => [channels, height, width],
            (_, &[channels, length]) => [channels, 1, length],
            _ => [own[0], 1, 1],
        };
        Ok(Self {
            dims: [&[1], &own[..]].concat(),
            batch: batch.unwrap_or(1),
            image,
            // One channel is the same in both orders.
            last: last && image[0] > 1,
        })
    }
}

fn product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |all, &size| all.saturating_mul(size))
}

/// Whether a model reads `[height, width, channels]`, as those of Keras and TensorFlow Lite do: the last size is that of a picture's channels, and what is
/// read is transposed to channels first before anything but functions of each number. With one channel the exporter reshapes instead.
fn is_channels_last(model: &Model, sizes: &[Option<usize>]) -> bool {
    let &[first, _, Some(channels @ (1 | 3))] = sizes else {
        return false;
    };
    if first == Some(channels) {
        return false;
    }
    let mut pictures = HashSet::from([model.image.0.as_str()]);
    for node in &model.nodes {
        if !node
            .inputs
            .iter()
            .any(|name| pictures.contains(name.as_str()))
        {
            continue;
        }
        match node.operator.as_str() {
            "Transpose" if node.ints("perm") == Some(&[0, 3, 1, 2]) => return true,
            "Reshape" => return channels == 1,
            "Identity" | "Cast" | "Add" | "Sub" | "Mul" | "Div" | "Pad" | "Clip"
            | "QuantizeLinear" | "DequantizeLinear" => {
                pictures.extend(node.outputs.iter().map(String::as_str));
            }
            _ => return false,
        }
    }
    false
}
