//! Small circuits whose numbers were worked out by hand.

use dnw_circuit::{
    Block, Circuit, CircuitBuilder, CircuitError, Kind, Liveness, Op, Tally, Tensor, ValueId,
    Window, count, interpret, prune,
};

type Made<T> = Result<T, CircuitError>;

/// A wired weight of ones with these real entries.
fn edges(name: &str, shape: [usize; 4], real: &[usize]) -> Tensor {
    let entries = shape.iter().product();
    let real = (0..entries).map(|entry| real.contains(&entry)).collect();
    Tensor::edges(name, shape, vec![1.0; entries], real)
}

fn ones(name: &str, shape: [usize; 4]) -> Tensor {
    Tensor::weight(name, shape, vec![1.0; shape.iter().product()])
}

/// Adds a tensor of which all is read.
fn whole(builder: &mut CircuitBuilder, tensor: Tensor) -> Made<Block> {
    let tensor = builder.tensor(tensor)?;
    Ok(builder.whole(tensor))
}

/// One step over one value, and what it makes of an image.
fn run(
    image: [usize; 3],
    pixels: &[f32],
    step: impl FnOnce(&mut CircuitBuilder, ValueId) -> Made<ValueId>,
) -> Made<Vec<f64>> {
    let mut builder = CircuitBuilder::new(image)?;
    let input = builder.input();
    let output = step(&mut builder, input)?;
    interpret(&builder.finish(output)?, pixels)
}

#[test]
fn a_convolution_pads_with_zeros_and_strides() -> Made<()> {
    // 1 2 3      The kernel adds all nine pixels around its place. Its places are the four corners:
    // 4 5 6      1+2+4+5 = 12, 2+3+5+6 = 16, 4+5+7+8 = 24, 5+6+8+9 = 28; and one more from the bias.
    // 7 8 9
    let pixels: Vec<f32> = (1..10).map(|pixel| pixel as f32).collect();
    let result = run([1, 3, 3], &pixels, |builder, x| {
        let weight = whole(builder, ones("weight", [1, 1, 3, 3]))?;
        let bias = whole(builder, Tensor::bias("bias", vec![1.0]))?;
        builder.conv(x, weight, Some(bias), Window::square(2, 1))
    })?;
    assert_eq!(result, [13.0, 17.0, 25.0, 29.0]);
    Ok(())
}

#[test]
fn a_dilated_kernel_leaves_pixels_out() -> Made<()> {
    // A row of five; taps two pixels apart, weights 1, 10, 100: 1 + 10 * 3 + 100 * 5.
    let result = run([1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0], |builder, x| {
        let weight = Tensor::weight("weight", [1, 1, 1, 3], vec![1.0, 10.0, 100.0]);
        let weight = whole(builder, weight)?;
        let window = Window {
            dilation: [1, 2],
            ..Window::default()
        };
        builder.depthwise(x, weight, None, window)
    })?;
    assert_eq!(result, [531.0]);
    Ok(())
}

#[test]
fn groups_keep_to_themselves() -> Made<()> {
    // Channels 1, 2 | 3, 4 of one pixel. Targets: 1 * 1 + 10 * 2 | 100 * 3 + 1000 * 4.
    let result = run([4, 1, 1], &[1.0, 2.0, 3.0, 4.0], |builder, x| {
        let weight = Tensor::weight("weight", [2, 2, 1, 1], vec![1.0, 10.0, 100.0, 1000.0]);
        let weight = whole(builder, weight)?;
        builder.grouped_conv(x, weight, None, Window::default(), 2)
    })?;
    assert_eq!(result, [21.0, 4300.0]);
    Ok(())
}

#[test]
fn norms_normalise() -> Made<()> {
    // Instance: mean 4, mean square deviation (9 + 1 + 1 + 9) / 4 = 5; with epsilon 4 the root is 3.
    let instance = run([1, 2, 2], &[1.0, 3.0, 5.0, 7.0], |builder, x| {
        let gamma = whole(builder, Tensor::norm("gamma", vec![6.0]))?;
        let beta = whole(builder, Tensor::norm("beta", vec![1.0]))?;
        builder.instance_norm(x, [gamma, beta], 4.0)
    })?;
    assert_eq!(instance, [-5.0, -1.0, 3.0, 7.0]);
    // Batch: mean 1, variance 3, epsilon 1: (5 - 1) / 2 * 6 + 1.
    let batch = run([1, 1, 1], &[5.0], |builder, x| {
        let gamma = whole(builder, Tensor::norm("gamma", vec![6.0]))?;
        let beta = whole(builder, Tensor::norm("beta", vec![1.0]))?;
        let mean = whole(builder, Tensor::statistic("mean", vec![1.0]))?;
        let variance = whole(builder, Tensor::statistic("variance", vec![3.0]))?;
        builder.batch_norm(x, [mean, variance], [gamma, beta], 1.0)
    })?;
    assert_eq!(batch, [13.0]);
    Ok(())
}

#[test]
fn pixels_are_pooled_cropped_folded_and_flattened() -> Made<()> {
    let pixels: Vec<f32> = (0..16).map(|pixel| pixel as f32 - 8.0).collect();
    let image = [1, 4, 4];
    // -8 -7 -6 -5     The largest of each 3 x 3 window at stride 2, one pixel of padding, which is never the largest.
    // -4 -3 -2 -1
    //  0  1  2  3
    //  4  5  6  7
    let largest = run(image, &pixels, |b, x| b.max_pool(x, [3, 3], [2, 2], [1, 1]))?;
    assert_eq!(largest, [-3.0, -1.0, 5.0, 7.0]);
    let mean = run(image, &pixels, |b, x| b.average_pool(x, [2, 2], [2, 2]))?;
    assert_eq!(mean, [-5.5, -3.5, 2.5, 4.5]);
    let all = run(image, &pixels, CircuitBuilder::global_average)?;
    assert_eq!(all, [-0.5]);
    let window = run(image, &pixels, |b, x| b.crop(x, [1, 2], [2, 1]))?;
    assert_eq!(window, [-2.0, 2.0]);
    let flat = run([2, 1, 2], &[1.0, 2.0, 3.0, 4.0], CircuitBuilder::flatten)?;
    assert_eq!(flat, [1.0, 2.0, 3.0, 4.0]);
    // Two channels of 2 x 4. Channel 0 becomes the top-left, top-right, bottom-left and bottom-right pixels of its two blocks.
    let pixels: Vec<f32> = (0..16).map(|pixel| pixel as f32).collect();
    let folded = run([2, 2, 4], &pixels, |b, x| b.fold(x, 2))?;
    let blocks = [0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15];
    assert_eq!(folded, blocks.map(f64::from));
    Ok(())
}

#[test]
fn sums_weigh_and_selections_reorder() -> Made<()> {
    let result = run([2, 1, 1], &[1.0, -4.0], |builder, x| {
        let positive = builder.relu(x)?;
        // 2 (1, -4) - 3 (1, 0) = (-1, -8)
        let sum = builder.sum(&[(2.0, x), (-3.0, positive)])?;
        let both = builder.concat(&[sum, x])?;
        builder.select(both, [3, 1, 1, 0])
    })?;
    assert_eq!(result, [-4.0, -8.0, -8.0, -1.0]);
    Ok(())
}

/// Nodes 0, 1 | 2, 3, 4 | 5, 6 with a 3 x 3 kernel each but for the outputs 5 and 6, on an image of 2 channels and 4 x 4
/// pixels; a dense classifier reads both outputs. Real edges: 0 -> 2 -> 5, 1 -> 3, 4 -> 5.
///
/// Node 2 is alive. Nothing leaves 3, so by paths 1 is dead too; nothing enters 4, which gives a constant to 5. Nothing enters 6.
fn levels() -> Made<Circuit> {
    let mut b = CircuitBuilder::new([2, 4, 4])?;
    // Rows are nodes 2 to 6, columns nodes 0 to 4.
    let entry = |target: usize, source: usize| (target - 2) * 5 + source;
    let real = [entry(2, 0), entry(5, 2), entry(3, 1), entry(5, 4)];
    let weight = b.tensor(edges("graph.weight", [5, 5, 1, 1], &real))?;
    let kernels = b.tensor(ones("graph.kernel", [5, 1, 3, 3]))?;
    let shifts = b.tensor(Tensor::norm("graph.beta", vec![0.5; 5]))?;
    let scales = b.tensor(Tensor::norm("graph.gamma", vec![1.0; 5]))?;
    let fire = |b: &mut CircuitBuilder, x, nodes: std::ops::Range<usize>| {
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
    let first = fire(&mut b, input, 0..2)?;
    let gathered = b.conv(
        first,
        Block::new(weight, 0..3, 0..2),
        None,
        Window::default(),
    )?;
    let second = fire(&mut b, gathered, 2..5)?;
    let fired = b.concat(&[first, second])?;
    let outputs = b.conv(
        fired,
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
fn a_graph_of_levels_costs_what_the_paper_counts() -> Made<()> {
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
fn one_pass_forward_and_one_back_see_through_chains_of_dead_nodes() -> Made<()> {
    let circuit = levels()?;
    let fired: Vec<ValueId> = circuit
        .values()
        .filter(|&value| matches!(circuit.step(value).op, Op::Depthwise { .. }))
        .collect();
    let [first, second] = fired[..] else {
        panic!("two levels fire")
    };
    let paths = Liveness::along_paths(&circuit);
    assert_eq!(paths.used(first), [true, false]); // 1 leads to 3, which leads nowhere
    assert_eq!(paths.varies(second), [true, true, false]);
    assert_eq!(paths.used(second), [true, false, true]);
    assert_eq!(paths.alive(second).collect::<Vec<_>>(), [0]);
    let near = Liveness::one_step(&circuit);
    assert_eq!(near.used(first), [true, true]); // 1 has an edge out
    Ok(())
}

#[test]
fn a_constant_node_is_folded_into_a_map_because_padding_shows_at_the_rim() -> Made<()> {
    let circuit = levels()?;
    let pruned = prune(&circuit);
    // Node 4 gathers nothing, so its norm gives its shift of 0.5 everywhere, and its kernel of ones adds what lies around: 4
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
fn a_weight_that_every_time_shares_counts_once_but_runs_every_time() -> Made<()> {
    // Three nodes, of which the first takes the image and the last is the result, fire three times on 2 x 2 pixels. Real:
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
    // After one time the image is in node 1, after two in node 2, after three back in node 0: the result is constant.
    assert_eq!(views.alive, Tally::default());
    assert_eq!(interpret(&circuit, &[1.0; 4])?, [0.0; 4]);
    assert_eq!(interpret(&prune(&circuit), &[1.0; 4])?, [0.0; 4]);

    // Had there been two times, the image would have come over one edge at each.
    let twice = circuit.values().nth(4).expect("the state after two times");
    let circuit = circuit.with_output(twice)?;
    let alive = count(&circuit).total.alive;
    assert_eq!((alive.edges, alive.multiply_adds), (2, 2 * 4));
    assert_eq!(interpret(&prune(&circuit), &[7.0; 4])?[8..], [7.0; 4]);
    Ok(())
}

#[test]
fn an_edge_that_no_step_reads_holds_budget_and_does_nothing() -> Made<()> {
    let mut b = CircuitBuilder::new([1, 2, 2])?;
    let weight = b.tensor(edges("weight", [2, 2, 1, 1], &[0, 3]))?;
    let output = b.conv(
        b.input(),
        Block::new(weight, [0], [0]),
        None,
        Window::default(),
    )?;
    let views = count(&b.finish(output)?).total;
    assert_eq!((views.nominal.edges, views.nominal.multiply_adds), (2, 4));
    assert_eq!((views.alive.edges, views.alive.multiply_adds), (1, 4));
    Ok(())
}

#[test]
fn a_count_survives_being_written() -> Made<()> {
    let count = count(&levels()?);
    let text = serde_json::to_string(&count).expect("numbers and names");
    assert!(
        text.contains(r#"{"layer":"classifier","dense":{"edges":0,"weights":20"#),
        "{text}"
    );
    assert_eq!(
        serde_json::from_str::<dnw_circuit::Count>(&text).expect("as written"),
        count
    );
    Ok(())
}

/// What a step says that does not fit an image of 2 channels and 4 x 4 pixels.
fn refusal(step: impl FnOnce(&mut CircuitBuilder, ValueId) -> Made<ValueId>) -> String {
    let mut builder = CircuitBuilder::new([2, 4, 4]).expect("an image");
    builder.layer("here");
    let input = builder.input();
    step(&mut builder, input)
        .expect_err("it does not fit")
        .to_string()
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let said = refusal(|b, x| {
        let weight = whole(b, ones("w", [3, 4, 1, 1]))?;
        b.conv(x, weight, None, Window::default())
    });
    assert_eq!(said, "`here` needs 2 columns, but has 4");
    let said = refusal(|b, x| {
        let weight = b.tensor(ones("w", [3, 2, 1, 1]))?;
        b.conv(x, Block::new(weight, 0..4, 0..2), None, Window::default())
    });
    assert_eq!(said, "`here` reads row 3 of `w`, which has 3");
    let said = refusal(|b, x| {
        let weight = whole(b, ones("w", [1, 2, 5, 5]))?;
        b.conv(x, weight, None, Window::default())
    });
    assert_eq!(
        said,
        "`here` does not fit maps of 4 x 4: the window is larger"
    );
    let said = refusal(|b, x| {
        let weight = whole(b, ones("w", [1, 2, 1, 1]))?;
        b.linear(x, weight, None)
    });
    assert_eq!(
        said,
        "`here` does not fit maps of 4 x 4: a linear layer takes single pixels"
    );
    let said = refusal(|b, x| {
        let [gamma, beta] = [
            whole(b, Tensor::norm("g", vec![1.0; 2]))?,
            whole(b, Tensor::bias("b", vec![1.0; 2]))?,
        ];
        b.instance_norm(x, [gamma, beta], 1e-5)
    });
    assert_eq!(
        said,
        "`here` takes `b` for a norm's scale or shift, which it was not made as"
    );
    let said = refusal(|b, x| {
        let half = b.crop(x, [0, 0], [2, 4])?;
        b.add(&[x, half])
    });
    assert_eq!(
        said,
        "`here` joins values of shapes [2, 4, 4] and [2, 2, 4]"
    );
    let said = refusal(|b, x| b.crop(x, [usize::MAX, 0], [2, 1]));
    assert_eq!(
        said,
        "`here` does not fit maps of 4 x 4: the crop leaves them"
    );
    let said = refusal(|b, x| b.fold(x, 3));
    assert_eq!(
        said,
        "`here` does not fit maps of 4 x 4: blocks of pixels do not divide them"
    );
    let said = refusal(|b, x| b.max_pool(x, [2, 2], [1, 1], [2, 0]));
    assert_eq!(
        said,
        "`here` does not fit maps of 4 x 4: the padding is more than half the window"
    );
    let said = refusal(|b, x| b.select(x, [0, 2]));
    assert_eq!(said, "`here` reads channel 2 of `input`, which has 2");
    let said = refusal(|b, _| b.add(&[]));
    assert_eq!(said, "`here` has no inputs");
    let said = refusal(|b, _| b.zeros([1, 0, 1]));
    assert_eq!(said, "`here` has no channels or pixels");
    let said = refusal(|b, x| {
        b.tensor(ones("w", [1, 1, 1, 1]))?;
        b.tensor(ones("w", [1, 1, 1, 1]))?;
        Ok(x)
    });
    assert!(
        said.starts_with("there are two tensors named `w`"),
        "{said}"
    );
}

#[test]
fn tensors_must_fill_their_shape_and_images_the_circuit() -> Made<()> {
    let mut b = CircuitBuilder::new([1, 1, 1])?;
    let short = Tensor::weight("w", [2, 2, 1, 1], vec![0.0; 3]);
    assert!(matches!(
        b.tensor(short),
        Err(CircuitError::Entries {
            what: "values",
            found: 3,
            ..
        })
    ));
    let endless = Tensor::weight("w", [usize::MAX, 2, 1, 1], vec![]);
    assert!(matches!(
        b.tensor(endless),
        Err(CircuitError::Entries { .. })
    ));
    let unsure = Tensor::edges("w", [2, 1, 1, 1], vec![0.0; 2], vec![true]);
    assert!(matches!(
        b.tensor(unsure),
        Err(CircuitError::Entries { found: 1, .. })
    ));
    let circuit = b.clone().finish(b.input())?;
    let expected = CircuitError::Image {
        expected: [1, 1, 1],
        found: 2,
    };
    assert_eq!(interpret(&circuit, &[0.0; 2]), Err(expected));
    Ok(())
}

#[test]
fn sizes_that_multiply_too_far_are_refused_before_anything_is_allocated() -> Made<()> {
    let half = 1 << 32;
    let image = CircuitBuilder::new([half, half, 1]).err();
    assert!(
        matches!(image, Some(CircuitError::TooLarge { .. })),
        "{image:?}"
    );
    // Maps of 2^50 pixels are numbers that exist, but 2^13 times 9 multiplications of them are not.
    let mut b = CircuitBuilder::new([1, 1 << 25, 1 << 25])?;
    let zeros = b.zeros([half, half, 1]);
    assert!(matches!(zeros, Err(CircuitError::TooLarge { .. })));
    let weight = whole(&mut b, ones("w", [1 << 13, 1, 3, 3]))?;
    let heavy = b.conv(b.input(), weight, None, Window::square(1, 1));
    assert!(
        matches!(heavy, Err(CircuitError::TooLarge { .. })),
        "{heavy:?}"
    );
    let weight = whole(&mut b, ones("k", [1, 1, 2, 2]))?;
    let far = Window {
        dilation: [usize::MAX; 2],
        padding: [usize::MAX; 2],
        ..Window::default()
    };
    let far = b.depthwise(b.input(), weight, None, far);
    assert!(matches!(far, Err(CircuitError::TooLarge { .. })), "{far:?}");
    Ok(())
}

#[test]
fn means_and_variances_are_no_parameters() -> Made<()> {
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
