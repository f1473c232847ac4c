//! Which side of a weight is the output of its layer.

use std::collections::BTreeMap;

use burn::module::{Module, Param, ParamGroup};
use burn::nn::attention::{MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::conv::{
    Conv1d, Conv1dConfig, Conv3d, Conv3dConfig, ConvTranspose1d, ConvTranspose1dConfig,
    ConvTranspose2d, ConvTranspose2dConfig, ConvTranspose3d, ConvTranspose3dConfig,
};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, LinearLayout, Lstm, LstmConfig};
use burn::tensor::{Distribution, Tensor};
use dnw_core::{Budget, Layout, Rule, Unit, Wire, WiringError, rules};

use super::device;

const TWO_OF_FOUR: Unit = Unit::NOfM { keep: 2, of: 4 };

fn wire(unit: Unit) -> Wire {
    let rule = Rule {
        unit,
        ..rules::dnw()
    };
    Wire::new(rule, Budget::Density(0.25)).weights(ParamGroup::all())
}

/// Which input and output an entry of a weight joins, found by what the layer computes: the output to which a
/// weight of one at this entry alone carries an input of one.
fn joined<M: Module>(
    entries: usize,
    inputs: usize,
    with: impl Fn(usize) -> M,
    outputs_of: impl Fn(&M, usize) -> Vec<f32>,
) -> Vec<(usize, usize)> {
    let of_entry = |entry: usize| {
        let layer = with(entry);
        (0..inputs).find_map(|input| {
            let reached = outputs_of(&layer, input).iter().position(|y| *y != 0.0);
            reached.map(|output| (input, output))
        })
    };
    (0..entries).map(|entry| of_entry(entry).unwrap()).collect()
}

fn one_hot<const D: usize>(entry: usize, dims: [usize; D]) -> Tensor<D> {
    let mut values = vec![0.0f32; dims.iter().product()];
    values[entry] = 1.0;
    Tensor::<1>::from_floats(values.as_slice(), &device()).reshape(dims)
}

/// Wires a layer by both units and compares with the pairs that it joins.
fn check<M: Module>(
    layer: M,
    pairs: &[(usize, usize)],
    [inputs, outputs]: [usize; 2],
    groups: usize,
) {
    let kernel = pairs.len() * groups / (inputs * outputs);
    let model = wire(Unit::FanIn).attach(layer.clone()).unwrap();
    let mut per_output = vec![0; outputs];
    for edge in model.tensors()[0].wiring.iter() {
        per_output[pairs[edge].1] += 1;
    }
    let (least, most) = (per_output.iter().min(), per_output.iter().max());
    assert!(most.unwrap() - least.unwrap() <= 1, "{per_output:?}");

    let model = wire(TWO_OF_FOUR).attach(layer).unwrap();
    let mut kept = BTreeMap::new();
    for edge in model.tensors()[0].wiring.iter() {
        let (input, output) = pairs[edge];
        *kept.entry((output, input / 4)).or_insert(0) += 1;
    }
    assert_eq!(kept.len(), outputs * inputs / groups / 4);
    assert!(kept.values().all(|kept| *kept == 2 * kernel), "{kept:?}");
}

#[test]
fn transposed_convolutions_have_their_outputs_second_and_groups() {
    for (inputs, outputs, groups) in [(8, 4, 1), (8, 6, 1), (16, 6, 2), (8, 8, 2)] {
        let config = ConvTranspose2dConfig::new([inputs, outputs], [1, 3]).with_groups(groups);
        let layer: ConvTranspose2d = config.init(&device());
        let dims = layer.weight.dims();
        let with = |entry| ConvTranspose2d {
            weight: Param::from_tensor(one_hot(entry, dims)),
            bias: None,
            ..layer.clone()
        };
        let outputs_of = |layer: &ConvTranspose2d, input| {
            let y = layer.forward(one_hot(input, [1, inputs, 1, 1]));
            y.sum_dim(3).to_data().iter::<f32>().collect()
        };
        let pairs = joined(dims.iter().product(), inputs, with, outputs_of);
        check(layer, &pairs, [inputs, outputs], groups);
    }
}

#[test]
fn plain_convolutions_have_their_outputs_first() {
    for (inputs, outputs, groups) in [(8, 6, 1), (8, 6, 2)] {
        let config = Conv1dConfig::new(inputs, outputs, 1).with_groups(groups);
        let layer: Conv1d = config.init(&device());
        let dims = layer.weight.dims();
        let with = |entry| Conv1d {
            weight: Param::from_tensor(one_hot(entry, dims)),
            bias: None,
            ..layer.clone()
        };
        let outputs_of = |layer: &Conv1d, input| {
            let y = layer.forward(one_hot(input, [1, inputs, 1]));
            y.to_data().iter::<f32>().collect()
        };
        let pairs = joined(dims.iter().product(), inputs, with, outputs_of);
        check(layer, &pairs, [inputs, outputs], groups);
    }
}

#[test]
fn linear_layers_have_their_outputs_second_in_either_layout() {
    for layout in [LinearLayout::Row, LinearLayout::Col] {
        let layer = LinearConfig::new(8, 6).with_layout(layout).init(&device());
        let with = |entry| Linear {
            weight: Param::from_tensor(one_hot(entry, [8, 6])),
            bias: None,
        };
        let outputs_of = |layer: &Linear, input| {
            let y = layer.forward(one_hot(input, [1, 8]));
            y.to_data().iter::<f32>().collect()
        };
        let pairs = joined(48, 8, with, outputs_of);
        check(layer, &pairs, [8, 6], 1);
    }
}

/// A layer of one's own, which nothing is known about; an embedding; a transposed convolution without bias.
#[derive(Module, Debug)]
struct Unknown {
    own: Param<Tensor<2>>,
    table: Embedding,
    up: ConvTranspose1d,
}

fn unknown() -> Unknown {
    let own = Tensor::random([8, 4], Distribution::Default, &device());
    Unknown {
        own: Param::from_tensor(own),
        table: EmbeddingConfig::new(8, 4).init(&device()),
        up: ConvTranspose1dConfig::new([8, 4], 3)
            .with_bias(false)
            .init(&device()),
    }
}

#[test]
fn a_side_that_cannot_be_known_is_refused_until_it_is_declared_or_the_tensor_is_dense() {
    for unit in [Unit::FanIn, TWO_OF_FOUR, Unit::Block { targets: 2 }] {
        let mut wire = wire(unit);
        let mut refused = Vec::new();
        let model = loop {
            match wire.clone().attach(unknown()) {
                Err(WiringError::Layout { tensor, .. }) => {
                    // Each remedy that the error names takes this tensor out of it.
                    wire = match tensor.as_str() {
                        "own" => wire.layout_for("own", Layout::TargetsFirst),
                        "up.weight" => {
                            wire.layout_for("up.weight", Layout::SourcesFirst { groups: 1 })
                        }
                        _ => wire.budget_for(tensor.clone(), Budget::Density(1.0)),
                    };
                    refused.push(tensor);
                }
                made => break made.unwrap(),
            }
        };
        assert_eq!(refused, ["own", "table.weight", "up.weight"], "{unit}");
        let [own, table, up] = model.tensors().try_into().unwrap();
        assert_eq!((own.shape.targets, own.shape.sources), (8, 4));
        assert_eq!(table.wiring.count(), 32);
        assert_eq!((up.shape.targets, up.shape.sources), (4, 8));
    }
    let edges = wire(Unit::Edge).attach(unknown()).unwrap();
    assert_eq!(edges.tensors()[0].wiring.count(), 8);
}

#[test]
fn it_is_refused_before_the_first_update_even_if_edges_leave_later() {
    let rule = Rule {
        unit: Unit::FanIn,
        ..rules::gradual_pruning(1, 1.0)
    };
    let wire = Wire::new(rule, Budget::Density(0.25)).weights(ParamGroup::all());
    let error = wire.over(10).attach(unknown()).unwrap_err().to_string();
    assert!(
        error.contains("`own`") && error.contains("layout_for") && error.contains("fan-in"),
        "{error}"
    );
}

#[test]
fn a_declared_layout_must_fit() {
    let attach = |name: &str, groups| {
        let wire = wire(Unit::Edge).layout_for(name, Layout::SourcesFirst { groups });
        wire.attach(unknown()).unwrap_err()
    };
    for groups in [0, 3, usize::MAX] {
        let error = attach("up.weight", groups);
        assert!(
            matches!(error, WiringError::Groups { sources: 8, .. }),
            "{error}"
        );
    }
    assert!(matches!(
        attach("down", 1),
        WiringError::UnknownTensor { .. }
    ));
}

/// Recurrent and attention layers consist of linear layers; three dimensions are as two.
#[derive(Module, Debug)]
struct Parts {
    recurrent: Lstm,
    attention: MultiHeadAttention,
    volume: Conv3d,
    up: ConvTranspose3d,
}

#[test]
fn layers_made_of_others_and_layers_of_more_dimensions_are_known() {
    let model = Parts {
        recurrent: LstmConfig::new(8, 12, true).init(&device()),
        attention: MultiHeadAttentionConfig::new(16, 4).init(&device()),
        volume: Conv3dConfig::new([8, 12], [2, 2, 2])
            .with_groups(2)
            .init(&device()),
        up: ConvTranspose3dConfig::new([8, 12], [2, 2, 2])
            .with_groups(2)
            .init(&device()),
    };
    let model = wire(Unit::FanIn).attach(model).unwrap();
    for tensor in model.tensors() {
        let shape = &tensor.shape;
        let expected = match tensor.name.split('.').next().unwrap() {
            "recurrent" if tensor.name.contains("input_transform") => (12, 8, 1),
            "recurrent" => (12, 12, 1),
            "attention" => (16, 16, 1),
            _ => (12, 4, 8),
        };
        let found = (shape.targets, shape.sources, shape.kernel);
        assert_eq!(found, expected, "{}", tensor.name);
        let mut per_target = vec![0; shape.targets];
        for entry in tensor.wiring.iter() {
            per_target[shape.edge(entry).0] += 1;
        }
        let each = shape.sources * shape.kernel / 4;
        assert!(per_target.iter().all(|n| *n == each), "{}", tensor.name);
    }
    // Four gates of two linear layers; query, key, value, output; two convolutions.
    assert_eq!(model.tensors().len(), 4 * 2 + 4 + 2);
}
