//! A differentiable operation on a device, compared with the same operation in plain loops.

use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use dnw_core::Wiring;

use crate::TestDevice;
use crate::case::{Case, Failure, Outcome};
use crate::compare::close;
use crate::loops;
use crate::random::{Random, for_seeds, upload};
use crate::tolerance::Tolerance;

/// An input tensor.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    /// The values on the device.
    pub(crate) values: Vec<f32>,
    /// The values in the loops, if they differ: for a wired weight the loops see zeros in place of hallucinated edges. The gradient
    /// that the loops compute for these values must equal the device's gradient for `values` (straight-through).
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

    /// A weight whose edges in `real` are real.
    pub(crate) fn wired(name: &'static str, values: Vec<f32>, real: &Wiring) -> Self {
        let effective = |(i, &w): (usize, &f32)| if real.contains(i) { w } else { 0.0 };
        let effective = values.iter().enumerate().map(effective).collect();
        Self {
            effective: Some(effective),
            ..Self::new(name, values)
        }
    }

    /// The values as a tensor that receives a gradient.
    pub(crate) fn tensor<const D: usize>(&self, shape: [usize; D], device: &Device) -> Tensor<D> {
        upload(&self.values, shape, device).require_grad()
    }

    /// The values as a parameter of a module.
    pub(crate) fn param<const D: usize>(
        &self,
        shape: [usize; D],
        device: &Device,
    ) -> Param<Tensor<D>> {
        Param::from_tensor(upload(&self.values, shape, device))
    }
}

/// What an operation computes on a device.
pub(crate) struct Output {
    /// The result, flattened.
    pub(crate) forward: Tensor<1>,
    /// How to read the gradient of each input, by name.
    pub(crate) gradients: Vec<(&'static str, ReadGradient)>,
}

/// Reads the gradient of one tensor after the backward pass.
pub(crate) type ReadGradient = Box<dyn Fn(&Gradients) -> Option<TensorData>>;

pub(crate) fn gradient_of<const D: usize>(tensor: Tensor<D>) -> ReadGradient {
    Box::new(move |gradients| tensor.grad(gradients).map(Tensor::into_data))
}

type OnDevice = dyn Fn(&Device, &[Input]) -> Result<Output, Failure>;
type InLoops = dyn Fn(&[Vec<f64>]) -> Vec<f64>;

/// An operation with random shapes and inputs.
pub(crate) struct Operation {
    /// The shapes, for messages.
    pub(crate) shapes: String,
    pub(crate) inputs: Vec<Input>,
    /// Runs on a device with autodiff.
    pub(crate) device: Box<OnDevice>,
    /// Computes the result in loops, from the effective values of the inputs.
    pub(crate) loops: Box<InLoops>,
}

/// Creates an operation with random shapes and inputs.
pub(crate) type Sample = fn(&mut Random) -> Operation;

/// What a case compares.
#[derive(Clone, Copy)]
enum Part {
    Forward,
    Gradient(&'static str),
}

/// The cases of an operation: forward, and the gradient of each of these inputs.
pub(crate) fn cases(
    subject: &'static str,
    gradients: &'static [&'static str],
    tolerance: Tolerance,
    samples: u64,
    sample: Sample,
) -> Vec<Case> {
    let case = |name: String, part: Part| {
        Case::new(name, move |target: &TestDevice| {
            for_seeds(target.samples(samples), |random| {
                let operation = sample(random);
                let direction = random.normal(1 << 14);
                let outcome = operation.check(target, part, &direction, tolerance);
                outcome.map_err(|failure| failure.context(&operation.shapes))
            })
        })
    };
    let forward = case(format!("{subject}::forward"), Part::Forward);
    let gradients = gradients.iter().map(|input| {
        case(
            format!("{subject}::gradient_of_{input}"),
            Part::Gradient(input),
        )
    });
    std::iter::once(forward).chain(gradients).collect()
}

impl Operation {
    fn check(
        &self,
        target: &TestDevice,
        part: Part,
        direction: &[f32],
        tolerance: Tolerance,
    ) -> Outcome {
        let device = target.autodiff();
        let output = (self.device)(&device, &self.inputs)?;
        let effective = |input: &Input| {
            let values = input.effective.as_ref().unwrap_or(&input.values);
            values.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()
        };
        let inputs: Vec<Vec<f64>> = self.inputs.iter().map(effective).collect();
        match part {
            Part::Forward => {
                let expected = (self.loops)(&inputs);
                close(
                    "the result",
                    &output.forward.into_data(),
                    &expected,
                    tolerance,
                )
            }
            Part::Gradient(name) => {
                let [n] = output.forward.dims();
                let along = upload(&direction[..n], [n], &device);
                let gradients = (output.forward * along).sum().backward();
                let mut readers = output.gradients.iter();
                let reader = readers.find(|(input, _)| *input == name);
                let (_, read) = reader.expect("the case lists the gradient");
                let Some(found) = read(&gradients) else {
                    return Err(Failure::wrong(format!("there is no gradient of {name}")));
                };
                let mut names = self.inputs.iter().map(|input| input.name);
                let which = names.position(|input| input == name);
                let which = which.expect("gradients are of inputs");
                let loss = |inputs: &[Vec<f64>]| {
                    let y = (self.loops)(inputs);
                    y.iter()
                        .zip(direction)
                        .map(|(y, d)| y * f64::from(*d))
                        .sum()
                };
                let expected = loops::gradient(loss, &inputs, which);
                close(
                    &format!("the gradient of {name}"),
                    &found,
                    &expected,
                    tolerance,
                )
            }
        }
    }
}
