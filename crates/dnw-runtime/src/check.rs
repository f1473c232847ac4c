//! Checks of plans, after which executing them cannot leave the arena.

mod pixels;
mod places;

use crate::PlanError;
use crate::finite::all_finite;
use crate::plan::{BLOCK, Depthwise, Linear, Maps, Op, Padded, Plan, Sums, VECTOR, Window};
use places::{LARGEST_ARENA, csr, disjoint, maps, output, range, read, require, written};

/// Checks that no step reads or writes outside the arena or overwrites what it reads, and that all tensors fit each other.
pub(crate) fn check(plan: &Plan) -> Result<(), PlanError> {
    let within = |layer: &str, result: Result<(), String>| {
        result.map_err(|what| PlanError {
            layer: layer.to_owned(),
            what,
        })
    };
    within("input", check_frame(plan))?;
    for step in &plan.steps {
        within(&step.layer, check_op(&step.op, plan.arena))?;
    }
    Ok(())
}

fn check_frame(plan: &Plan) -> Result<(), String> {
    let input = &plan.input;
    require(
        plan.arena <= LARGEST_ARENA,
        "the feature maps are too large",
    )?;
    require(
        plan.image.shape == input.shape,
        "the image has another shape than its maps",
    )?;
    let all = [&input.mean, &input.deviation];
    let per_channel = |values: &Vec<f32>| values.is_empty() || values.len() == input.shape[0];
    require(
        all.iter().all(|v| per_channel(v)),
        "the mean or deviation is not per channel",
    )?;
    require(
        all_finite(&input.mean) && all_finite(&input.deviation),
        "the mean or deviation is not finite",
    )?;
    require(!input.deviation.contains(&0.0), "a deviation is zero")?;
    output(plan.image, plan.arena)?;
    maps(plan.output, plan.arena)?;
    let outputs = plan.output.shape[0] * plan.output.pixels();
    let named = input.classes.is_empty() || input.classes.len() == outputs;
    require(named, "there are other numbers of class names and outputs")?;
    for constant in &plan.constants {
        output(constant.maps, plan.arena)?;
        let values = constant.maps.shape[0] * constant.maps.pixels();
        require(
            constant.values.len() == values,
            "a constant has another number of values than its shape",
        )?;
        require(all_finite(&constant.values), "a constant is not finite")?;
    }
    Ok(())
}

fn check_op(op: &Op, arena: usize) -> Result<(), String> {
    match op {
        Op::Pad(pad) => {
            maps(pad.from, arena)?;
            let layout = layout(pad.layout.window, [pad.from.shape[1], pad.from.shape[2]])?;
            require(
                layout == pad.layout,
                "the layout of the padded rows is not the window's",
            )?;
            let numbers = pad.from.shape[0]
                .checked_mul(layout.rows_per_channel())
                .and_then(|rows| rows.checked_mul(layout.row));
            let to = range(
                pad.to,
                numbers.ok_or("the padded rows are too large")?,
                arena,
            )?;
            disjoint(&to, &read(pad.from))
        }
        Op::Sums(sums) => check_sums(sums, arena),
        Op::Depthwise(depthwise) => check_depthwise(depthwise, arena),
        Op::Linear(linear) => check_linear(linear, arena),
        Op::Pool(pool) => pixels::check_pool(pool, arena),
        Op::Activation(activate) => pixels::check_activate(activate, arena),
        Op::Product(product) => pixels::check_product(product, arena),
        Op::Softmax(softmax) => pixels::check_softmax(softmax, arena),
        Op::PixelNorm(norm) => pixels::check_pixel_norm(norm, arena),
        Op::Resample(resample) => pixels::check_resample(resample, arena),
        Op::Unfold(unfold) => pixels::check_unfold(unfold, arena),
        Op::Norm(norm) => {
            let affine = [&norm.scale[..], &norm.shift];
            pixels::check_norm([norm.from, norm.to], affine, norm.epsilon, arena)
        }
        Op::Add(add) => {
            output(add.to, arena)?;
            require(!add.from.is_empty(), "a sum has no terms")?;
            for &(coefficient, from) in &add.from {
                maps(from, arena)?;
                require(
                    from.shape == add.to.shape,
                    "the terms of a sum have different shapes",
                )?;
                require(coefficient.is_finite(), "a coefficient is not finite")?;
                disjoint(&written(add.to), &read(from))?;
            }
            Ok(())
        }
        Op::Copy(copy) => {
            output(copy.to, arena)?;
            let to = written(copy.to);
            for piece in &copy.pieces {
                let [from, stride, first, len] =
                    [piece.from, piece.stride, piece.to, piece.len].map(|x| x as usize);
                require(len > 0 && stride > 0, "a copied piece is empty")?;
                let reads = (len - 1).checked_mul(stride).and_then(|x| x.checked_add(1));
                let reads = range(from, reads.ok_or("a copied piece is too large")?, arena)?;
                let writes = range(first, len, arena)?;
                require(
                    to.start <= writes.start && writes.end <= to.end,
                    "a copy leaves its maps",
                )?;
                disjoint(&to, &reads)?;
            }
            Ok(())
        }
    }
}

fn check_sums(sums: &Sums, arena: usize) -> Result<(), String> {
    output(sums.to, arena)?;
    let targets = sums.to.shape[0];
    let [height, width] = sums.map;
    let pixels = height
        .checked_mul(width)
        .filter(|&pixels| pixels > 0 && pixels <= LARGEST_ARENA);
    require(pixels.is_some(), "some maps are empty or too large")?;
    let to = written(sums.to);
    require(
        sums.block == 1 || sums.block == BLOCK,
        "a block has another number of targets than 1 or 4",
    )?;
    let places = sums.channels.len();
    let blocks = places / sums.block;
    let fits = places.is_multiple_of(sums.block) && sums.bias.len() == places;
    require(fits, "there are other numbers of biases and targets")?;
    let mut seen = vec![false; targets];
    for &channel in sums.channels.iter().filter(|&&channel| channel != u32::MAX) {
        let seen = seen
            .get_mut(channel as usize)
            .ok_or("a target is outside its maps")?;
        require(!*seen, "two targets are one channel")?;
        *seen = true;
    }
    require(seen.iter().all(|seen| *seen), "a channel is no target")?;
    csr(&sums.starts, blocks, sums.terms.len())?;
    let weights = sums.terms.len().checked_mul(sums.block);
    require(
        weights == Some(sums.weights.len()),
        "there are other numbers of weights and edges",
    )?;
    require(
        all_finite(&sums.weights) && all_finite(&sums.bias),
        "a weight is not finite",
    )?;
    require(
        sums.line >= width,
        "lines of rows are shorter than the output's",
    )?;
    let reads = vectors(height, width, sums.line).ok_or("the output is too large")? * VECTOR;
    for &row in &sums.rows {
        disjoint(&to, &range(row as usize, reads, arena)?)?;
    }
    let outside = sums
        .terms
        .iter()
        .any(|&term| term as usize >= sums.rows.len());
    require(!outside, "an edge comes from outside the layer")?;
    check_then(sums, places)?;
    let residuals = sums.residual.len();
    require(
        residuals == 0 || residuals == targets,
        "there are other numbers of residuals and targets",
    )?;
    let reads = Maps::new(0, [1, height, width]).stride;
    for &residual in &sums.residual {
        disjoint(&to, &range(residual as usize, reads, arena)?)?;
    }
    Ok(())
}

/// The convolution that follows sums.
fn check_then(sums: &Sums, places: usize) -> Result<(), String> {
    let output = [sums.to.shape[1], sums.to.shape[2]];
    let Some(then) = &sums.then else {
        return require(
            output == sums.map,
            "the output has another shape than the sums",
        );
    };
    let window = then.window;
    let shape = layout(window, sums.map)?.output;
    require(
        output == shape,
        "the output of a convolution has another shape",
    )?;
    require(
        window.reads_lines(),
        "a convolution of sums has a large padding or a dilation",
    )?;
    let taps = window.kernel[0].checked_mul(window.kernel[1]);
    let weights = taps.and_then(|taps| taps.checked_mul(places));
    let fits = weights == Some(then.weights.len()) && then.bias.len() == places;
    require(
        fits,
        "a depthwise convolution has other channels than its sums",
    )?;
    require(
        all_finite(&then.weights) && all_finite(&then.bias),
        "a weight is not finite",
    )
}

fn check_depthwise(depthwise: &Depthwise, arena: usize) -> Result<(), String> {
    let Depthwise {
        from, to, window, ..
    } = depthwise;
    maps(*from, arena)?;
    output(*to, arena)?;
    disjoint(&written(*to), &read(*from))?;
    let reached = layout(*window, [from.shape[1], from.shape[2]])?.output;
    let expected = [from.shape[0], reached[0], reached[1]];
    require(
        to.shape == expected,
        "the output of a convolution has another shape",
    )?;
    let taps = window.kernel[0].checked_mul(window.kernel[1]);
    let weights = taps.and_then(|taps| taps.checked_mul(to.shape[0]));
    let fits = weights == Some(depthwise.weights.len()) && depthwise.bias.len() == to.shape[0];
    require(
        fits,
        "a depthwise convolution has other channels than its maps",
    )?;
    require(
        all_finite(&depthwise.weights) && all_finite(&depthwise.bias),
        "a weight is not finite",
    )
}

fn check_linear(linear: &Linear, arena: usize) -> Result<(), String> {
    maps(linear.from, arena)?;
    output(linear.to, arena)?;
    disjoint(&written(linear.to), &read(linear.from))?;
    let (sources, targets) = (linear.from.shape[0], linear.to.shape[0]);
    let flat = linear.from.pixels() == 1 && linear.to.pixels() == 1;
    require(
        flat,
        "a linear layer reads or writes maps of several pixels",
    )?;
    require(
        linear.bias.len() == targets,
        "there are other numbers of biases and targets",
    )?;
    require(
        all_finite(&linear.weights) && all_finite(&linear.bias),
        "a weight is not finite",
    )?;
    let weights = match &linear.edges {
        None => targets.checked_mul(sources),
        Some(edges) => {
            csr(&edges.starts, targets, edges.sources.len())?;
            let outside = edges
                .sources
                .iter()
                .any(|&source| source as usize >= sources);
            require(!outside, "an edge comes from outside the layer")?;
            Some(edges.sources.len())
        }
    };
    require(
        weights == Some(linear.weights.len()),
        "there are other numbers of weights and edges",
    )
}

fn layout(window: Window, map: [usize; 2]) -> Result<Padded, String> {
    let layout = Padded::new(window, map).ok_or("a window does not fit into its maps")?;
    // Sizes of a line and of all taps, with which offsets are computed.
    let sizes = [
        layout.row,
        layout.flat_output(),
        window.kernel[0],
        window.kernel[1],
        window.padding[0],
        window.padding[1],
    ];
    let rows = layout.rows[0]
        .checked_mul(layout.rows[1])
        .and_then(|rows| rows.checked_mul(layout.row));
    let small = rows.is_some_and(|rows| rows <= LARGEST_ARENA)
        && sizes.iter().all(|&size| size <= LARGEST_ARENA);
    require(small, "a window is too large")?;
    Ok(layout)
}

/// Vectors of an output whose lines have this distance.
pub(crate) fn vectors(height: usize, width: usize, line: usize) -> Option<usize> {
    let numbers = (height - 1).checked_mul(line)?.checked_add(width)?;
    Some(numbers.div_ceil(VECTOR)).filter(|&vectors| vectors <= LARGEST_ARENA)
}
