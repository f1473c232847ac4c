//! Checks of plans, after which executing them cannot leave the arena.

use std::ops::Range;

use crate::PlanError;
use crate::plan::{
    Activation, BLOCK, Depthwise, Function, Linear, Maps, Op, Padded, Plan, PoolMaps, Sums, VECTOR,
    Window,
};

/// The largest arena, so that indices fit in 32 bits.
pub(crate) const LARGEST_ARENA: usize = 1 << 31;

/// The largest window of a pool that is larger than its map.
const LARGEST_WINDOW: usize = 1 << 16;

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
        finite(&input.mean) && finite(&input.deviation),
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
        require(finite(&constant.values), "a constant is not finite")?;
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
        Op::Pool(pool) => check_pool(pool, arena),
        Op::Activation(activate) => {
            maps(activate.from, arena)?;
            output(activate.to, arena)?;
            in_place_or_disjoint(activate.to, activate.from)?;
            require(
                activate.from.shape == activate.to.shape,
                "an activation changes the shape",
            )?;
            check_activation(activate.activation)
        }
        Op::Product(product) => {
            maps(product.from, arena)?;
            maps(product.by, arena)?;
            output(product.to, arena)?;
            in_place_or_disjoint(product.to, product.from)?;
            disjoint(&written(product.to), &read(product.by))?;
            let [channels, ..] = product.from.shape;
            let by = product.by.shape;
            let fits = by == product.from.shape || by == [channels, 1, 1];
            require(
                fits && product.to.shape == product.from.shape,
                "the factors of a product have different shapes",
            )
        }
        Op::Softmax(softmax) => {
            maps(softmax.from, arena)?;
            output(softmax.to, arena)?;
            disjoint(&written(softmax.to), &read(softmax.from))?;
            require(
                softmax.from.shape == softmax.to.shape,
                "a softmax changes the shape",
            )
        }
        Op::Norm(norm) => {
            maps(norm.from, arena)?;
            output(norm.to, arena)?;
            disjoint(&written(norm.to), &read(norm.from))?;
            require(norm.from.shape == norm.to.shape, "a norm changes the shape")?;
            let channels = norm.to.shape[0];
            let fits = norm.scale.len() == channels && norm.shift.len() == channels;
            require(fits, "a norm has other channels than its maps")?;
            let numbers = finite(&norm.scale) && finite(&norm.shift);
            let epsilon = norm.epsilon.is_none_or(|e| e.is_finite() && e >= 0.0);
            require(numbers && epsilon, "a norm is not finite")
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

fn check_pool(pool: &PoolMaps, arena: usize) -> Result<(), String> {
    maps(pool.from, arena)?;
    output(pool.to, arena)?;
    disjoint(&written(pool.to), &read(pool.from))?;
    let Window {
        kernel,
        stride,
        padding,
        dilation,
    } = pool.window;
    require(dilation == [1, 1], "a pool has a dilation")?;
    require(
        pool.to.shape[0] == pool.from.shape[0],
        "the output of a pool has another shape",
    )?;
    for side in 0..2 {
        let size = pool.from.shape[side + 1];
        // What a thread needs as scratch memory grows with the window.
        let most = size.saturating_add(padding[side]).max(LARGEST_WINDOW);
        let small =
            (1..=most).contains(&kernel[side]) && (1..=LARGEST_ARENA).contains(&stride[side]);
        require(small, "a window is empty or too large")?;
        // The start of the last window, before the end of the map.
        let last = (pool.to.shape[side + 1] - 1).checked_mul(stride[side]);
        let inside = last.is_some_and(|last| {
            padding[side] < kernel[side] && last < size + padding[side]
        });
        require(inside, "a window of a pool has no pixel inside the map")?;
    }
    Ok(())
}

fn check_activation(activation: Activation) -> Result<(), String> {
    let valid = match activation.function {
        Function::Clip { low, high } => low.is_finite() && high.is_finite() && low <= high,
        Function::LeakyRelu { slope } => slope.is_finite(),
        Function::HardSigmoid { slope, shift } => slope.is_finite() && shift.is_finite(),
        Function::Sigmoid => true,
    };
    require(
        valid,
        "the constants of an activation are not finite or not in order",
    )
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
    let blocks = targets.div_ceil(sums.block);
    let places = blocks * sums.block;
    let fits = sums.channels.len() == places && sums.bias.len() == places;
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
        finite(&sums.weights) && finite(&sums.bias),
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
        finite(&then.weights) && finite(&then.bias),
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
        finite(&depthwise.weights) && finite(&depthwise.bias),
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
        finite(&linear.weights) && finite(&linear.bias),
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

fn require(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

fn finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// That maps lie inside the arena, with a stride that vectors can be written to.
fn maps(maps: Maps, arena: usize) -> Result<(), String> {
    let [channels, height, width] = maps.shape;
    let bounded = height
        .checked_mul(width)
        .is_some_and(|pixels| channels > 0 && (1..=LARGEST_ARENA).contains(&pixels));
    require(bounded, "some maps are empty or too large")?;
    let usual = Maps::new(maps.at, maps.shape).stride;
    require(
        maps.stride == usual,
        "some maps have another stride than theirs",
    )?;
    let len = channels
        .checked_mul(usual)
        .filter(|&len| len <= LARGEST_ARENA);
    range(maps.at, len.ok_or("some maps are too large")?, arena).map(|_| ())
}

/// That maps to which whole vectors are written lie inside the arena.
fn output(to: Maps, arena: usize) -> Result<(), String> {
    maps(to, arena)?;
    range(to.at, to.len(), arena).map(|_| ())
}

/// The numbers that a step writes.
fn written(maps: Maps) -> Range<usize> {
    maps.at..maps.at + maps.len()
}

/// The numbers that a step reads.
fn read(maps: Maps) -> Range<usize> {
    maps.at..maps.at + maps.shape[0] * maps.stride
}

fn range(at: usize, len: usize, arena: usize) -> Result<Range<usize>, String> {
    let end = at.checked_add(len).filter(|&end| end <= arena);
    end.map(|end| at..end)
        .ok_or_else(|| "a step leaves the memory of the feature maps".to_owned())
}

fn disjoint(to: &Range<usize>, from: &Range<usize>) -> Result<(), String> {
    require(
        to.end <= from.start || from.end <= to.start,
        "a step overwrites what it reads",
    )
}

/// That a step, each of whose numbers depends on one number of the input, writes over it exactly or not at all.
fn in_place_or_disjoint(to: Maps, from: Maps) -> Result<(), String> {
    match to == from {
        true => Ok(()),
        false => disjoint(&written(to), &read(from)),
    }
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

/// That these are the starts of rows with so many entries.
fn csr(starts: &[u32], rows: usize, entries: usize) -> Result<(), String> {
    let ascending = starts.windows(2).all(|pair| pair[0] <= pair[1]);
    let ends =
        starts.first() == Some(&0) && starts.last().map(|&end| end as usize) == Some(entries);
    require(
        starts.len() == rows + 1 && ascending && ends,
        "the edges are not counted right",
    )
}

/// Vectors of an output whose lines have this distance.
pub(crate) fn vectors(height: usize, width: usize, line: usize) -> Option<usize> {
    let numbers = (height - 1).checked_mul(line)?.checked_add(width)?;
    Some(numbers.div_ceil(VECTOR)).filter(|&vectors| vectors <= LARGEST_ARENA)
}
