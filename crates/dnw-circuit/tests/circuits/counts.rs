//! Small graphs whose counts were computed by hand.

use dnw_circuit::{
    Block, Circuit, CircuitBuilder, Kind, Liveness, Op, Tally, Tensor, ValueId, Window, count,
    interpret, prune,
};

use crate::{Made, edges, ones, whole};

/// Nodes 0, 1 | 2, 3, 4 | 5, 6 with a 3 x 3 kernel each but for the outputs 5 and 6, on an image of 2 channels and 4 x 4
/// pixels; a dense classifier reads both outputs. Real edges: 0 -> 2 -> 5, 1 -> 3, 4 -> 5.
///
/// Node 2 is alive. Node 3 has no edge out, so that along paths node 1 is dead too. Node 4 has no edge in, so that it adds a constant to 5.
/// Node 6 has no edge in.
fn levels() -> Made<Circuit> {
    let mut b = CircuitBuilder::new([2, 4, 4])?;
    // Rows are nodes 2 to 6, columns nodes 0 to 4.
    let entry = |target: usize, source: usize| (target - 2) * 5 + source;
    let real = [entry(2, 0), entry(5, 2), entry(3, 1), entry(5, 4)];
    let weight = b.tensor(edges("graph.weight", [5, 5, 1, 1], &real))?;
    let kernels = b.tensor(ones("graph.kernel", [5, 1, 3, 3]))?;
    let shifts = b.tensor(Tensor::norm("graph.beta", vec![0.5; 5]))?;
    let scales = b.tensor(Tensor::norm("graph.gamma", vec![1.0; 5]))?;
    let node_function = |b: &mut CircuitBuilder, x, nodes: std::ops::Range<usize>| {
        let norm = [scales, shifts].map(|norm| Block::rows(norm, nodes.clone()));
        let normed = b.instance_norm(x, norm, 1e-5)?;
        let active = b.relu(normed)?;
        b.depthwise(
            active,
            Block::rows(kernels, nodes),
            None,
            Window::square(1, 1),
        )
    };
    b.layer("graph");
    let input = b.input();
    let first = node_function(&mut b, input, 0..2)?;
    let gathered = b.conv(
        first,
        Block::new(weight, 0..3, 0..2),
        None,
        Window::default(),
    )?;
    let second = node_function(&mut b, gathered, 2..5)?;
    let activations = b.concat(&[first, second])?;
    let outputs = b.conv(
        activations,
        Block::new(weight, 3..5, 0..5),
        None,
        Window::default(),
    )?;
    b.layer("classifier");
    let pooled = b.global_average(outputs)?;
    let classifier = whole(&mut b, ones("fc.weight", [10, 2, 1, 1]))?;
    let bias = whole(&mut b, Tensor::bias("fc.bias", vec![0.25; 10]))?;
    let logits = b.linear(pooled, classifier, Some(bias))?;
    b.finish(logits)
}

#[test]
fn a_graph_of_levels_has_the_counts_of_the_paper() -> Made<()> {
    let count = count(&levels()?);
    let layers: Vec<&str> = count.rows.iter().map(|row| row.layer.as_str()).collect();
    assert_eq!(layers, ["graph", "classifier"]);
    let (graph, classifier) = (count.rows[0].views, count.rows[1].views);

    // 25 entries; 5 kernels of 9. Multiply-adds on 16 pixels: 5 * 9 + (3 * 2 + 2 * 5) entries in use.
    let dense = Tally {
        edges: 25,
        weights: 45,
        norms: 10,
        biases: 0,
        multiply_adds: 16 * (45 + 16),
    };
    assert_eq!(graph.dense, dense);
    // 4 real edges. Nodes with a real edge out: 0, 1, 2, 4.
    let nominal = Tally {
        edges: 4,
        weights: 36,
        norms: 8,
        biases: 0,
        multiply_adds: 16 * (36 + 4),
    };
    assert_eq!(graph.nominal, nominal);
    // Alive: 0 -> 2 -> 5.
    let alive = Tally {
        edges: 2,
        weights: 18,
        norms: 4,
        biases: 0,
        multiply_adds: 16 * (18 + 2),
    };
    assert_eq!(graph.alive, alive);

    // 2 inputs and 10 classes, of which input 5 only has an edge in.
    let dense = Tally {
        weights: 20,
        biases: 10,
        multiply_adds: 20,
        ..Tally::default()
    };
    assert_eq!(classifier.dense, dense);
    let live = Tally {
        weights: 10,
        multiply_adds: 10,
        ..dense
    };
    assert_eq!((classifier.nominal, classifier.alive), (live, live));
    assert_eq!(count.total.nominal.weights_and_edges(), 50);
    assert_eq!(count.total.nominal.parameters(), 68);
    Ok(())
}

#[test]
fn one_pass_in_each_direction_finds_chains_of_dead_nodes() -> Made<()> {
    let circuit = levels()?;
    let activations: Vec<ValueId> = circuit
        .values()
        .filter(|&value| matches!(circuit.step(value).op, Op::Depthwise { .. }))
        .collect();
    let [first, second] = activations[..] else {
        panic!("two levels")
    };
    let paths = Liveness::along_paths(&circuit);
    assert_eq!(paths.used(first), [true, false]); // node 1 leads to 3, which has no edge out
    assert_eq!(paths.varies(second), [true, true, false]);
    assert_eq!(paths.used(second), [true, false, true]);
    assert_eq!(paths.alive(second).collect::<Vec<_>>(), [0]);
    let near = Liveness::one_step(&circuit);
    assert_eq!(near.used(first), [true, true]); // node 1 has an edge out
    Ok(())
}

#[test]
fn a_constant_node_is_folded_into_a_feature_map_because_of_the_padding() -> Made<()> {
    let circuit = levels()?;
    let pruned = prune(&circuit);
    // Node 4 has no edge in, so that its norm outputs its shift of 0.5 at every pixel, and its kernel of ones sums the neighbours: 4
    // pixels at corners, 6 at edges, 9 inside.
    let folded: Vec<&Vec<f64>> = pruned
        .steps()
        .iter()
        .filter_map(|step| match &step.op {
            Op::Constant(maps) => Some(maps),
            _ => None,
        })
        .collect();
    let map = [
        2.0, 3.0, 3.0, 2.0, //
        3.0, 4.5, 4.5, 3.0, //
        3.0, 4.5, 4.5, 3.0, //
        2.0, 3.0, 3.0, 2.0,
    ];
    assert_eq!(folded, [&map.to_vec()]);
    let shapes: Vec<(&str, [usize; 4])> = pruned
        .tensors()
        .iter()
        .map(|tensor| (tensor.name(), tensor.shape()))
        .collect();
    let expected = [
        ("graph.weight", [2, 2, 1, 1]),
        ("graph.kernel", [2, 1, 3, 3]),
        ("graph.beta", [2, 1, 1, 1]),
        ("graph.gamma", [2, 1, 1, 1]),
        ("fc.weight", [10, 1, 1, 1]),
        ("fc.bias", [10, 1, 1, 1]),
    ];
    assert_eq!(shapes, expected);
    Ok(())
}

#[test]
fn the_parameters_of_a_recurrent_weight_count_once_and_its_multiply_adds_every_step() -> Made<()> {
    // Three nodes, of which the first is the input and the last the result, run for three steps on 2 x 2 pixels. Real:
    // 0 -> 1 -> 2 and 2 -> 0.
    let mut b = CircuitBuilder::new([1, 2, 2])?;
    b.layer("graph");
    let weight = whole(&mut b, edges("graph.weight", [3, 3, 1, 1], &[2, 3, 7]))?;
    let rest = b.zeros([2, 2, 2])?;
    let mut state = b.concat(&[b.input(), rest])?;
    for _ in 0..3 {
        state = b.conv(state, weight.clone(), None, Window::default())?;
    }
    let result = b.select(state, [2])?;
    let circuit = b.finish(result)?;
    let views = count(&circuit).total;
    assert_eq!(
        (views.dense.edges, views.dense.multiply_adds),
        (9, 3 * 9 * 4)
    );
    assert_eq!(
        (views.nominal.edges, views.nominal.multiply_adds),
        (3, 3 * 3 * 4)
    );
    // After one step the image is in node 1, after two in node 2, after three back in node 0: the result is constant.
    assert_eq!(views.alive, Tally::default());
    assert_eq!(interpret(&circuit, &[1.0; 4])?, [0.0; 4]);
    assert_eq!(interpret(&prune(&circuit), &[1.0; 4])?, [0.0; 4]);

    // With two steps, the image passes one edge in each.
    let twice = circuit.values().nth(4).expect("the state after two steps");
    let circuit = circuit.with_output(twice)?;
    let alive = count(&circuit).total.alive;
    assert_eq!((alive.edges, alive.multiply_adds), (2, 2 * 4));
    assert_eq!(interpret(&prune(&circuit), &[7.0; 4])?[8..], [7.0; 4]);
    Ok(())
}

#[test]
fn an_edge_that_no_step_reads_is_in_the_nominal_count_only() -> Made<()> {
    let mut b = CircuitBuilder::new([1, 2, 2])?;
    let weight = b.tensor(edges("weight", [2, 2, 1, 1], &[0, 3]))?;
    let output = b.conv(
        b.input(),
        Block::new(weight, [0], [0]),
        None,
        Window::default(),
    )?;
    let views = count(&b.finish(output)?).total;
    assert_eq!(
        (views.nominal.edges, views.nominal.multiply_adds),
        (2, 2 * 4)
    );
    assert_eq!((views.alive.edges, views.alive.multiply_adds), (1, 4));
    Ok(())
}

#[test]
fn a_count_round_trips_through_json() -> Made<()> {
    let count = count(&levels()?);
    let text = serde_json::to_string(&count).expect("valid JSON");
    assert!(
        text.contains(r#"{"layer":"classifier","dense":{"edges":0,"weights":20"#),
        "{text}"
    );
    assert_eq!(
        serde_json::from_str::<dnw_circuit::Count>(&text).expect("the same count"),
        count
    );
    Ok(())
}

#[test]
fn means_and_variances_are_not_parameters() -> Made<()> {
    let mut b = CircuitBuilder::new([3, 2, 2])?;
    let tensors = [
        Tensor::statistic("mean", vec![0.0; 3]),
        Tensor::statistic("variance", vec![1.0; 3]),
        Tensor::norm("gamma", vec![1.0; 3]),
        Tensor::norm("beta", vec![0.0; 3]),
    ];
    assert_eq!(tensors[0].kind(), Kind::Statistic);
    let [mean, variance, gamma, beta] =
        tensors.map(|tensor| b.tensor(tensor).map(|id| b.whole(id)));
    let normed = b.batch_norm(b.input(), [mean?, variance?], [gamma?, beta?], 1e-5)?;
    let dense = count(&b.finish(normed)?).total.dense;
    assert_eq!(
        dense,
        Tally {
            norms: 6,
            ..Tally::default()
        }
    );
    Ok(())
}
