//! The wired layers, the wired product, and what an edge contributes under each threshold function.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{LinearConfig, PaddingConfig2d};
use burn::tensor::Tensor;
use dnw_core::graph::{GraphConfig, GraphSpec, Outputs, ScalarNodes};
use dnw_core::{Budget, DnwLinear, Forward, MaskedConv2d, Rule, Wire, Wired, Wiring, rules};

use crate::UnderTest;
use crate::case::{Case, Shortfall, Verdict};
use crate::compare::close;
use crate::loops::{self, Conv, largest};
use crate::numbers::{Numbers, on_drawings, upload};
use crate::operation::{self, Input, Made, Operation, learned};
use crate::tolerance::{EFFECTIVE_WEIGHTS, SUMS};

pub(crate) fn cases() -> Vec<Case> {
    let mut all = operation::cases(
        "layers::masked_conv2d",
        &["input", "weight", "bias"],
        SUMS,
        10,
        masked_conv2d,
    );
    all.extend(operation::cases(
        "layers::dnw_linear",
        &["input", "weight", "bias"],
        SUMS,
        6,
        dnw_linear,
    ));
    all.extend(operation::cases(
        "layers::wired_product",
        &["input", "weight"],
        SUMS,
        8,
        wired_product,
    ));
    all.extend(effective_weights());
    all
}

/// Gives the only wired tensor these weights and lets the rule choose.
pub(crate) fn put_weights<M: Module>(model: &mut Wired<M>, weights: &[f32]) -> Verdict {
    let name = model.names()[0].clone();
    model.set_weights(BTreeMap::from([(name, weights.to_vec())]))?;
    model.rewire()?;
    Ok(())
}

/// A layer whose real edges are not what they should be.
fn check_wiring(found: &Wiring, expected: &Wiring) -> Verdict {
    crate::case::ensure(found == expected, || {
        let [extra, missing] =
            [found.difference(expected), expected.difference(found)].map(|w| w.count());
        format!("the real edges are not the largest weights: {extra} others, {missing} missing")
    })
}

fn masked_conv2d(numbers: &mut Numbers) -> Operation {
    let groups = numbers.one_of(&[1, 1, 2, 3]);
    let (sources, targets) = (groups * numbers.size(1..=3), groups * numbers.size(1..=3));
    let kernel = [numbers.one_of(&[1, 2, 3, 5]), numbers.one_of(&[1, 3, 3])];
    let conv = Conv {
        stride: [numbers.size(1..=3), numbers.size(1..=2)],
        padding: [numbers.size(0..=2), numbers.size(0..=1)],
        dilation: [numbers.size(1..=2), 1],
        groups,
    };
    let x_shape = [
        numbers.size(1..=3),
        sources,
        numbers.size(9..=11),
        numbers.size(5..=8),
    ];
    let w_shape = [targets, sources / groups, kernel[0], kernel[1]];
    let entries: usize = w_shape.iter().product();
    let weights = numbers.normal(entries);
    let k = numbers.size(1..=entries);
    let real = largest(&weights, k);
    let inputs = vec![
        Input::new("input", numbers.normal(x_shape.iter().product())),
        Input::wired("weight", weights, &real),
        Input::new("bias", numbers.normal(targets)),
    ];
    let [oh, ow] = conv.sides([x_shape[2], x_shape[3]], kernel);
    Operation {
        shapes: format!("input {x_shape:?}, weight {w_shape:?} with {k} real edges, {conv:?}"),
        inputs,
        device: Box::new(move |device, inputs| {
            let x = upload(&inputs[0].values, x_shape, device).require_grad();
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
            plain.weight = Param::from_tensor(upload(&inputs[1].values, w_shape, device));
            plain.bias = Some(Param::from_tensor(upload(
                &inputs[2].values,
                [targets],
                device,
            )));
            let layer = MaskedConv2d::from_conv(plain, Some(Budget::Edges(k)))?;
            check_wiring(&layer.wiring(), &real)?;
            let bias = layer.bias.as_ref().map(Param::val).expect("it has one");
            Ok(Made {
                forward: layer.forward(x.clone()).flatten(0, 3),
                learned: vec![
                    ("input", learned(x)),
                    ("weight", learned(layer.weight.base())),
                    ("bias", learned(bias)),
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

fn dnw_linear(numbers: &mut Numbers) -> Operation {
    let (d_input, d_output) = (numbers.size(1..=12), numbers.size(1..=9));
    let x_shape = [numbers.size(1..=4), numbers.size(1..=3), d_input];
    let entries = d_input * d_output;
    let weights = numbers.normal(entries);
    let k = numbers.size(1..=entries);
    let real = largest(&weights, k);
    Operation {
        shapes: format!("input {x_shape:?}, weight [{d_input}, {d_output}] with {k} real edges"),
        inputs: vec![
            Input::new("input", numbers.normal(x_shape.iter().product())),
            Input::wired("weight", weights, &real),
            Input::new("bias", numbers.normal(d_output)),
        ],
        device: Box::new(move |device, inputs| {
            let x = upload(&inputs[0].values, x_shape, device).require_grad();
            let mut plain = LinearConfig::new(d_input, d_output).init(device);
            plain.weight =
                Param::from_tensor(upload(&inputs[1].values, [d_input, d_output], device));
            plain.bias = Some(Param::from_tensor(upload(
                &inputs[2].values,
                [d_output],
                device,
            )));
            let layer = DnwLinear::from_linear(plain, Some(Budget::Edges(k)))?;
            check_wiring(&layer.wiring(), &real)?;
            let bias = layer.bias.as_ref().map(Param::val).expect("it has one");
            Ok(Made {
                forward: layer.forward(x.clone()).flatten(0, 2),
                learned: vec![
                    ("input", learned(x)),
                    ("weight", learned(layer.weight.base())),
                    ("bias", learned(bias)),
                ],
            })
        }),
        loops: Box::new(|inputs| loops::linear(&inputs[0], &inputs[1], &inputs[2])),
    }
}

/// The wired 1 x 1 product, as a graph of two levels computes it whose input nodes pass on what they are given.
fn wired_product(numbers: &mut Numbers) -> Operation {
    let (sources, targets) = (numbers.size(1..=9), numbers.size(1..=9));
    let x_shape = [
        numbers.size(1..=4),
        sources,
        numbers.size(1..=6),
        numbers.size(1..=7),
    ];
    let entries = sources * targets;
    let weights = numbers.normal(entries);
    let k = numbers.size(1..=entries);
    let real = largest(&weights, k);
    Operation {
        shapes: format!("input {x_shape:?}, {targets} targets, {k} real edges"),
        inputs: vec![
            Input::new("input", numbers.normal(x_shape.iter().product())),
            Input::wired("weight", weights, &real),
        ],
        device: Box::new(move |device, inputs| {
            let x = upload(&inputs[0].values, x_shape, device).require_grad();
            let spec = GraphSpec::levels(vec![sources], Outputs::OwnLevel(targets))?;
            let nodes = ScalarNodes::new(&spec, device);
            let graph = GraphConfig::new(spec).init(nodes, device);
            let mut graph = Wire::dnw(Budget::Edges(k)).attach(graph)?;
            put_weights(&mut graph, &inputs[1].values)?;
            check_wiring(&graph.wiring(), &real)?;
            Ok(Made {
                forward: graph.forward(x.clone()).flatten(0, 3),
                learned: vec![
                    ("input", learned(x)),
                    ("weight", learned(graph.weight.base())),
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

/// A rule made anew.
pub(crate) type MakeRule = fn() -> Rule;

/// The output of an edge in training and in evaluation.
fn effective_weights() -> Vec<Case> {
    let effective_weights: [(&str, MakeRule); 4] = [
        ("weight", rules::dnw),
        ("soft_threshold", || rules::st3(0.0)),
        ("power_threshold", || rules::feather(0.0, 3.0, 0.5)),
        ("learned_threshold", || rules::str_learned(-1.0)),
    ];
    effective_weights
        .map(|(name, rule)| {
            Case::new(format!("layers::effective_weight::{name}"), move |under| {
                on_drawings(3, |numbers| check_effective_weight(under, &rule(), numbers))
            })
        })
        .into()
}

fn check_effective_weight(under: &UnderTest, rule: &Rule, numbers: &mut Numbers) -> Verdict {
    let (inputs, outputs) = (numbers.size(3..=9), numbers.size(3..=9));
    let weights = numbers.normal(inputs * outputs);
    let k = numbers.size(1..=weights.len() - 1);
    let real = match rule.forward {
        Forward::LearnedThreshold { start } => {
            let threshold = sigmoid(f64::from(start));
            Wiring::from_mask(weights.iter().map(|w| f64::from(w.abs()) > threshold))
        }
        _ => largest(&weights, k),
    };
    let device = under.learning();
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
    let gives = |w: f64| {
        let size = w.abs();
        let left = match rule.forward {
            Forward::SoftThreshold => size - strongest,
            Forward::PowerThreshold { power } => {
                let p = f64::from(power);
                (size.powf(p) - strongest.powf(p)).max(0.0).powf(1.0 / p)
            }
            Forward::LearnedThreshold { start } => size - sigmoid(f64::from(start)),
            _ => size,
        };
        left.max(0.0) * w.signum()
    };
    let given = |(i, &w): (usize, &f32)| {
        if real.contains(i) {
            gives(f64::from(w))
        } else {
            0.0
        }
    };
    let expected: Vec<f64> = weights.iter().enumerate().map(given).collect();
    let what = format!("what the edges of [{inputs}, {outputs}] with {k} real ones give");
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
    // The gradient goes straight through to every entry, at the rule's rate where the edge is hallucinated; a learned
    // threshold's goes to the edges above it only.
    let direction = numbers.normal(weights.len());
    let along = upload(&direction, [inputs, outputs], &device);
    let gradients = (value * along).sum().backward();
    let found = layer.weight.base().grad(&gradients);
    let found = found.ok_or_else(|| Shortfall::wrong("there is no gradient to the weight"))?;
    let scale = match rule.forward {
        Forward::PowerThreshold { .. } => 0.5,
        Forward::LearnedThreshold { .. } => 0.0,
        _ => 1.0,
    };
    let learns = |(i, &d): (usize, &f32)| f64::from(d) * if real.contains(i) { 1.0 } else { scale };
    let expected: Vec<f64> = direction.iter().enumerate().map(learns).collect();
    let found: Tensor<2> = found;
    close(
        "the gradient to the weight",
        &found.into_data(),
        &expected,
        EFFECTIVE_WEIGHTS,
    )
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
