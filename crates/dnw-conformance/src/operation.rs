//! An operation as a device does it beside the same in loops.

use burn::tensor::{Device, Tensor, TensorData};

use crate::UnderTest;
use crate::case::{Case, Shortfall, Verdict};
use crate::compare::close;
use crate::loops;
use crate::numbers::{Numbers, on_drawings, upload};
use crate::tolerance::Allowed;

/// One tensor that goes in.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    /// As the device gets it.
    pub(crate) values: Vec<f32>,
    /// As the loops get it, where that is something else: of a wired weight they see the real edges, and zeros. Their gradient to
    /// that is the device's to what it got, which is what the method asks for.
    pub(crate) effective: Option<Vec<f32>>,
}

impl Input {
    pub(crate) fn new(name: &'static str, values: Vec<f32>) -> Self {
        Self {
            name,
            values,
            effective: None,
        }
    }

    /// A weight of which only the entries in `real` take part.
    pub(crate) fn wired(name: &'static str, values: Vec<f32>, real: &dnw_core::Wiring) -> Self {
        let of = |(i, &w): (usize, &f32)| if real.contains(i) { w } else { 0.0 };
        let effective = Some(values.iter().enumerate().map(of).collect());
        Self {
            name,
            values,
            effective,
        }
    }
}

/// What a device made of the inputs.
pub(crate) struct Made {
    pub(crate) forward: Tensor<1>,
    /// The tensors whose gradients are asked for, by the inputs' names, flattened.
    pub(crate) learned: Vec<(&'static str, Learned)>,
}

/// Gives the gradient of one tensor once there are any.
pub(crate) type Learned = Box<dyn Fn(&burn::tensor::Gradients) -> Option<TensorData>>;

/// Where the gradient of a tensor is found.
pub(crate) fn learned<const D: usize>(tensor: Tensor<D>) -> Learned {
    Box::new(move |gradients| tensor.grad(gradients).map(Tensor::into_data))
}

type OnDevice = dyn Fn(&Device, &[Input]) -> Result<Made, Shortfall>;
type InLoops = dyn Fn(&[Vec<f64>]) -> Vec<f64>;

/// An operation at one drawing of its shapes and numbers.
pub(crate) struct Operation {
    /// The shapes, for people.
    pub(crate) shapes: String,
    pub(crate) inputs: Vec<Input>,
    /// On a device with autodiff, from the inputs' values in their order.
    pub(crate) device: Box<OnDevice>,
    /// In loops, from what is effective of the inputs.
    pub(crate) loops: Box<InLoops>,
}

/// What of an operation is looked at.
#[derive(Clone, Copy)]
enum Part {
    Forward,
    Gradient(&'static str),
}

/// The cases of an operation: forward, and the gradient to each of these inputs.
pub(crate) fn cases(
    subject: &'static str,
    gradients: &'static [&'static str],
    allowed: Allowed,
    drawings: u64,
    draw: fn(&mut Numbers) -> Operation,
) -> Vec<Case> {
    let case = |name: String, part: Part| {
        Case::new(name, move |under: &UnderTest| {
            on_drawings(under.drawings(drawings), |numbers| {
                let operation = draw(numbers);
                let direction = numbers.normal(1 << 14);
                let verdict = operation.check(under, part, &direction, allowed);
                verdict.map_err(|s| s.within(&operation.shapes))
            })
        })
    };
    let forward = case(format!("{subject}::forward"), Part::Forward);
    let gradients = gradients.iter().map(|input| {
        case(
            format!("{subject}::gradient_to_{input}"),
            Part::Gradient(input),
        )
    });
    std::iter::once(forward).chain(gradients).collect()
}

impl Operation {
    fn check(&self, under: &UnderTest, part: Part, direction: &[f32], allowed: Allowed) -> Verdict {
        let device = under.learning();
        let made = (self.device)(&device, &self.inputs)?;
        let effective = |input: &Input| {
            let values = input.effective.as_ref().unwrap_or(&input.values);
            values.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()
        };
        let inputs: Vec<Vec<f64>> = self.inputs.iter().map(effective).collect();
        match part {
            Part::Forward => {
                let expected = (self.loops)(&inputs);
                close("the result", &made.forward.into_data(), &expected, allowed)
            }
            Part::Gradient(name) => {
                let [n] = made.forward.dims();
                let along = upload(&direction[..n], [n], &device);
                let gradients = (made.forward * along).sum().backward();
                let (_, learned) = made
                    .learned
                    .iter()
                    .find(|(known, _)| *known == name)
                    .expect("a gradient that is asked for");
                let Some(found) = learned(&gradients) else {
                    return Err(Shortfall::wrong(format!("there is no gradient to {name}")));
                };
                let which = self
                    .inputs
                    .iter()
                    .position(|input| input.name == name)
                    .expect("of an input");
                let loss = |inputs: &[Vec<f64>]| {
                    let y = (self.loops)(inputs);
                    y.iter()
                        .zip(direction)
                        .map(|(y, d)| y * f64::from(*d))
                        .sum()
                };
                let expected = loops::gradient(loss, &inputs, which);
                close(
                    &format!("the gradient to {name}"),
                    &found,
                    &expected,
                    allowed,
                )
            }
        }
    }
}
