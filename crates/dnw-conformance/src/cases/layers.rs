//! The wired layers, the wired product, and effective weights under each threshold function.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{LinearConfig, PaddingConfig2d};
use burn::tensor::Tensor;
use dnw_core::graph::{GraphConfig, GraphSpec, Outputs, ScalarNodes};
use dnw_core::{Budget, DnwLinear, Forward, MaskedConv2d, Rule, Wire, Wired, Wiring, rules};

use crate::TestDevice;
use crate::case::{Case, Failure, Outcome};
use crate::compare::close;
use crate::loops::{self, Conv, largest};
use crate::operation::{self, Input, Operation, Output, Sample, gradient_of};
use crate::random::{Random, for_seeds, upload};
use crate::tolerance::{EFFECTIVE_WEIGHTS, SUMS};

pub(crate) fn cases() -> Vec<Case> {
    let operations: [(_, &[_], _, Sample); 3] = [
        (
            "layers::masked_conv2d",
            &["input", "weight", "bias"],
            10,
            masked_conv2d,
        ),
        (
            "layers::dnw_linear",
            &["input", "weight", "bias"],
            6,
            dnw_linear,
        ),
        (
            "layers::wired_product",
            &["input", "weight"],
            8,
            wired_product,
        ),
    ];
    let cases = operations.map(|(subject, gradients, samples, sample)| {
        operation::cases(subject, gradients, SUMS, samples, sample)
    });
    let mut all: Vec<Case> = cases.into_iter().flatten().collect();
    all.extend(effective_weights());
    all
}

/// Sets the weights of the only wired tensor and selects its real edges.
pub(crate) fn set_weights<M: Module>(model: &mut Wired<M>, weights: &[f32]) -> Outcome {
    let name = model.names()[0].clone();
    model.set_weights(BTreeMap::from([(name, weights.to_vec())]))?;
    model.rewire()?;
    Ok(())
}

/// Fails if the real edges are not the expected ones.
fn check_wiring(found: &Wiring, expected: &Wiring) -> Outcome {
    crate::case::ensure(found == expected, || {
        let [extra, missing] =
            [found.difference(expected), expected.difference(found)].map(|w| w.count());
        format!("the real edges are not the largest weights: {extra} others, {missing} missing")
    })
}

fn masked_conv2d(random: &mut Random) -> Operation {
    let groups = random.choose(&[1, 1, 2, 3]);
    let (sources, targets) = (groups * random.size(1..=3), groups * random.size(1..=3));
    let kernel = [random.choose(&[1, 2, 3, 5]), random.choose(&[1, 3, 3])];
    let conv = Conv {
        stride: [random.size(1..=3), random.size(1..=2)],
        padding: [random.size(0..=2), random.size(0..=1)],
        dilation: [random.size(1..=2), 1],
        groups,
    };
    let x_shape = [
        random.size(1..=3),
        sources,
        random.size(9..=11),
        random.size(5..=8),
    ];
    let w_shape = [targets, sources / groups, kernel[0], kernel[1]];
    let entries: usize = w_shape.iter().product();
    let weights = random.normal(entries);
    let k = random.size(1..=entries);
    let real = largest(&weights, k);
    let inputs = vec![
        Input::new("input", random.normal(x_shape.iter().product())),
        Input::wired("weight", weights, &real),
        Input::new("bias", random.normal(targets)),
    ];
    let [oh, ow] = conv.sides([x_shape[2], x_shape[3]], kernel);
    Operation {
        shapes: format!("input {x_shape:?}, weight {w_shape:?} with {k} real edges, {conv:?}"),
        inputs,
        device: Box::new(move |device, inputs| {
            let x = inputs[0].tensor(x_shape, device);
            let mut plain = Conv2dConfig::new([sources, targets], kernel)
                .with_stride(conv.stride)
                .with_dilation(conv.dilation)
                .with_groups(groups)
                .with_padding(PaddingConfig2d::Explicit(
                    conv.padding[0],
                    conv.padding[1],
                    conv.padding[0],
                    conv.padding[1],
                ))
                .init(device);
            plain.weight = inputs[1].param(w_shape, device);
            plain.bias = Some(inputs[2].param([targets], device));
            let layer = MaskedConv2d::from_conv(plain, Some(Budget::Edges(k)))?;
            check_wiring(&layer.wiring(), &real)?;
            let bias = layer.bias.as_ref().map(Param::val).expect("it has one");
            Ok(Output {
                forward: layer.forward(x.clone()).flatten(0, 3),
                gradients: vec![
                    ("input", gradient_of(x)),
                    ("weight", gradient_of(layer.weight.base())),
                    ("bias", gradient_of(bias)),
                ],
            })
        }),
        loops: Box::new(move |inputs| {
            let y = conv.apply(&inputs[0], x_shape, &inputs[1], w_shape);
            let maps = y.chunks(oh * ow).enumerate();
            maps.flat_map(|(i, map)| map.iter().map(move |y| y + inputs[2][i % targets]))
                .collect()
        }),
    }
}

fn dnw_linear(random: &mut Random) -> Operation {
    let (d_input, d_output) = (random.size(1..=12), random.size(1..=9));
    let x_shape = [random.size(1..=4), random.size(1..=3), d_input];
    let entries = d_input * d_output;
    let weights = random.normal(entries);
    let k = random.size(1..=entries);
    let real = largest(&weights, k);
    Operation {
        shapes: format!("input {x_shape:?}, weight [{d_input}, {d_output}] with {k} real edges"),
        inputs: vec![
            Input::new("input", random.normal(x_shape.iter().product())),
            Input::wired("weight", weights, &real),
            Input::new("bias", random.normal(d_output)),
        ],
        device: Box::new(move |device, inputs| {
            let x = inputs[0].tensor(x_shape, device);
            let mut plain = LinearConfig::new(d_input, d_output).init(device);
            plain.weight = inputs[1].param([d_input, d_output], device);
            plain.bias = Some(inputs[2].param([d_output], device));
            let layer = DnwLinear::from_linear(plain, Some(Budget::Edges(k)))?;
            check_wiring(&layer.wiring(), &real)?;
            let bias = layer.bias.as_ref().map(Param::val).expect("it has one");
            Ok(Output {
                forward: layer.forward(x.clone()).flatten(0, 2),
                gradients: vec![
                    ("input", gradient_of(x)),
                    ("weight", gradient_of(layer.weight.base())),
                    ("bias", gradient_of(bias)),
                ],
            })
        }),
        loops: Box::new(|inputs| loops::linear(&inputs[0], &inputs[1], &inputs[2])),
    }
}

/// The wired 1 x 1 product, computed by a graph of two levels whose input nodes are the identity.
fn wired_product(random: &mut Random) -> Operation {
    let (sources, targets) = (random.size(1..=9), random.size(1..=9));
    let x_shape = [
        random.size(1..=4),
        sources,
        random.size(1..=6),
        random.size(1..=7),
    ];
    let entries = sources * targets;
    let weights = random.normal(entries);
    let k = random.size(1..=entries);
    let real = largest(&weights, k);
    Operation {
        shapes: format!("input {x_shape:?}, {targets} targets, {k} real edges"),
        inputs: vec![
            Input::new("input", random.normal(x_shape.iter().product())),
            Input::wired("weight", weights, &real),
        ],
        device: Box::new(move |device, inputs| {
            let x = inputs[0].tensor(x_shape, device);
            let spec = GraphSpec::levels(vec![sources], Outputs::OwnLevel(targets))?;
            let nodes = ScalarNodes::new(&spec, device);
            let graph = GraphConfig::new(spec).init(nodes, device);
            let mut graph = Wire::dnw(Budget::Edges(k)).attach(graph)?;
            set_weights(&mut graph, &inputs[1].values)?;
            check_wiring(&graph.wiring(), &real)?;
            Ok(Output {
                forward: graph.forward(x.clone()).flatten(0, 3),
                gradients: vec![
                    ("input", gradient_of(x)),
                    ("weight", gradient_of(graph.weight.base())),
                ],
            })
        }),
        loops: Box::new(move |inputs| {
            let conv = Conv {
                stride: [1; 2],
                padding: [0; 2],
                dilation: [1; 2],
                groups: 1,
            };
            conv.apply(&inputs[0], x_shape, &inputs[1], [targets, sources, 1, 1])
        }),
    }
}

/// Creates a rule.
pub(crate) type MakeRule = fn() -> Rule;

/// Effective weights in training and in evaluation.
fn effective_weights() -> Vec<Case> {
    let effective_weights: [(&str, MakeRule); 4] = [
        ("weight", rules::dnw),
        ("soft_threshold", || rules::st3(0.0)),
        ("power_threshold", || rules::feather(0.0, 3.0, 0.5)),
        ("learned_threshold", || rules::str_learned(-1.0)),
    ];
    effective_weights
        .map(|(name, rule)| {
            Case::new(format!("layers::effective_weight::{name}"), move |target| {
                for_seeds(3, |random| check_effective_weight(target, &rule(), random))
            })
        })
        .into()
}

fn check_effective_weight(target: &TestDevice, rule: &Rule, random: &mut Random) -> Outcome {
    let (inputs, outputs) = (random.size(3..=9), random.size(3..=9));
    let weights = random.normal(inputs * outputs);
    let k = random.size(1..=weights.len() - 1);
    let real = match rule.forward {
        Forward::LearnedThreshold { start } => {
            let threshold = sigmoid(f64::from(start));
            Wiring::from_mask(weights.iter().map(|w| f64::from(w.abs()) > threshold))
        }
        _ => largest(&weights, k),
    };
    let device = target.autodiff();
    let mut layer = LinearConfig::new(inputs, outputs)
        .with_bias(false)
        .init(&device);
    layer.weight = Param::from_tensor(upload(&weights, [inputs, outputs], &device));
    let layer = Wire::new(rule.clone(), Budget::Edges(k))
        .weights(dnw_core::ParamGroup::all())
        .over(1)
        .attach(layer)?;
    check_wiring(&layer.tensors()[0].wiring, &real)?;
    let others = (0..weights.len()).filter(|&i| !real.contains(i));
    let strongest = others
        .map(|i| f64::from(weights[i].abs()))
        .fold(0.0, f64::max);
    let effective = |w: f64| {
        let size = w.abs();
        let excess = match rule.forward {
            Forward::SoftThreshold => size - strongest,
            Forward::PowerThreshold { power } => {
                let p = f64::from(power);
                (size.powf(p) - strongest.powf(p)).max(0.0).powf(1.0 / p)
            }
            Forward::LearnedThreshold { start } => size - sigmoid(f64::from(start)),
            _ => size,
        };
        excess.max(0.0) * w.signum()
    };
    let expected = |(i, &w): (usize, &f32)| {
        if real.contains(i) {
            effective(f64::from(w))
        } else {
            0.0
        }
    };
    let expected: Vec<f64> = weights.iter().enumerate().map(expected).collect();
    let what = format!("the effective weights of [{inputs}, {outputs}] with {k} real edges");
    let value = layer.weight.val();
    close(
        &what,
        &value.clone().into_data(),
        &expected,
        EFFECTIVE_WEIGHTS,
    )?;
    let evaluated = layer.valid().weight.val().into_data();
    close(
        &format!("in evaluation, {what}"),
        &evaluated,
        &expected,
        EFFECTIVE_WEIGHTS,
    )?;
    // The gradient reaches every entry (straight-through), scaled by the rule where the edge is hallucinated. With a learned threshold it
    // reaches only the edges above the threshold.
    let direction = random.normal(weights.len());
    let along = upload(&direction, [inputs, outputs], &device);
    let gradients = (value * along).sum().backward();
    let found = layer.weight.base().grad(&gradients);
    let found = found.ok_or_else(|| Failure::wrong("there is no gradient of the weight"))?;
    let scale = match rule.forward {
        Forward::PowerThreshold { .. } => 0.5,
        Forward::LearnedThreshold { .. } => 0.0,
        _ => 1.0,
    };
    let gradient =
        |(i, &d): (usize, &f32)| f64::from(d) * if real.contains(i) { 1.0 } else { scale };
    let expected: Vec<f64> = direction.iter().enumerate().map(gradient).collect();
    let found: Tensor<2> = found;
    close(
        "the gradient of the weight",
        &found.into_data(),
        &expected,
        EFFECTIVE_WEIGHTS,
    )
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
