//! Elements of constants: converted, selected, repeated.

use std::rc::Rc;

use super::shapes::{places, strides};
use crate::ImportError;
use crate::constant::{Constant, Data};
use crate::node::Node;

pub fn cast(node: &Node, x: &Rc<Constant>) -> Rc<Constant> {
    // Floats of any size are floats here, everything else is an integer.
    let to_float = matches!(node.int("to"), Some(1 | 10 | 11 | 16));
    let data = match (&x.data, to_float) {
        (Data::Floats(values), false) if node.int("to") == Some(9) => {
            Data::Ints(values.iter().map(|&x| i64::from(x != 0.0)).collect())
        }
        (Data::Floats(values), false) => Data::Ints(values.iter().map(|&x| x as i64).collect()),
        (Data::Ints(_), true) => Data::Floats(x.to_floats()),
        _ => return x.clone(),
    };
    Rc::new(Constant::new(x.dims.clone(), data))
}

pub fn unary(node: &Node, x: &Constant) -> Rc<Constant> {
    let operator = node.operator.as_str();
    if let (Some(ints), "Neg" | "Abs" | "Floor" | "Ceil" | "Relu") = (x.as_ints(), operator) {
        let of = |x: i64| match operator {
            "Neg" => x.wrapping_neg(),
            "Abs" => x.saturating_abs(),
            "Relu" => x.max(0),
            _ => x,
        };
        return Constant::ints(x.dims.clone(), ints.iter().map(|&x| of(x)).collect());
    }
    let of = |x: f32| match operator {
        "Neg" => -x,
        "Sqrt" => x.sqrt(),
        "Reciprocal" => 1.0 / x,
        "Floor" => x.floor(),
        "Ceil" => x.ceil(),
        "Exp" => x.exp(),
        "Abs" => x.abs(),
        "Relu" => x.max(0.0),
        _ => 1.0 / (1.0 + (-x).exp()),
    };
    Constant::floats(x.dims.clone(), x.to_floats().into_iter().map(of).collect())
}

/// The first where the condition is not zero, else the second.
pub fn choose<T: Copy>(condition: &[f32], a: &[T], b: &[T]) -> Vec<T> {
    let pairs = condition.iter().zip(a.iter().zip(b));
    pairs
        .map(|(&c, (&a, &b))| if c != 0.0 { a } else { b })
        .collect()
}

/// The blocks of each input after those of the one before, `outer` times.
pub fn joined<T: Copy>(
    outer: usize,
    inputs: &[Rc<Constant>],
    of: impl Fn(&Constant) -> Vec<T>,
) -> Vec<T> {
    let all: Vec<Vec<T>> = inputs.iter().map(|input| of(input)).collect();
    let mut values = Vec::new();
    for block in 0..outer {
        for own in &all {
            let size = own.len() / outer;
            values.extend(&own[block * size..(block + 1) * size]);
        }
    }
    values
}

pub fn sizes(node: &Node, constant: Option<&Rc<Constant>>) -> Result<Vec<usize>, ImportError> {
    let ints = constant.and_then(|c| c.as_ints()).unwrap_or_default();
    let sizes: Option<Vec<usize>> = ints.iter().map(|&n| usize::try_from(n).ok()).collect();
    sizes
        .filter(|sizes| sizes.len() <= 64)
        .ok_or_else(|| node.invalid(format!("its shape is {ints:?}")))
}

/// The elements at these places.
pub fn pick(x: &Constant, dims: Vec<usize>, places: &[usize]) -> Rc<Constant> {
    let data = match &x.data {
        Data::Floats(values) => Data::Floats(places.iter().map(|&at| values[at]).collect()),
        Data::Ints(values) => Data::Ints(places.iter().map(|&at| values[at]).collect()),
    };
    Rc::new(Constant::new(dims, data))
}

/// These indices along an axis.
pub fn take(x: &Constant, axis: usize, indices: &[usize]) -> Rc<Constant> {
    let own = strides(&x.dims);
    let outer = places(&x.dims[..axis], &own[..axis]);
    let inner: usize = x.dims[axis + 1..].iter().product();
    let mut all = Vec::new();
    for start in outer {
        for index in indices {
            let first = start + index * own[axis];
            all.extend(first..first + inner);
        }
    }
    let mut dims = x.dims.clone();
    dims[axis] = indices.len();
    pick(x, dims, &all)
}

/// The constant repeated to a shape that fits it.
pub fn expand(x: &Constant, dims: &[usize]) -> Rc<Constant> {
    let missing = dims.len().saturating_sub(x.dims.len());
    let own = strides(&x.dims);
    let strides: Vec<usize> = (0..dims.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(at) if x.dims[at] > 1 => own[at],
            _ => 0,
        })
        .collect();
    pick(x, dims.to_vec(), &places(dims, &strides))
}

/// Means, sums or extremes along axes.
pub fn reduce(node: &Node, x: &Constant, axes: &[usize]) -> Rc<Constant> {
    let is_reduced = |axis: usize| axes.contains(&axis);
    let own = strides(&x.dims);
    let part = |reduced: bool| {
        let axes = (0..x.dims.len()).filter(|&axis| is_reduced(axis) == reduced);
        let axes: Vec<usize> = axes.collect();
        let of = |values: &[usize]| axes.iter().map(|&axis| values[axis]).collect::<Vec<_>>();
        places(&of(&x.dims), &of(&own))
    };
    let (outputs, run) = (part(false), part(true));
    let values = x.to_floats();
    let reduced = outputs.iter().map(|output| {
        let own = run.iter().map(|place| f64::from(values[output + place]));
        (match node.operator.as_str() {
            "ReduceMax" => own.fold(f64::NEG_INFINITY, f64::max),
            "ReduceMin" => own.fold(f64::INFINITY, f64::min),
            "ReduceSum" => own.sum(),
            _ => own.sum::<f64>() / run.len() as f64,
        }) as f32
    });
    let reduced: Vec<f32> = reduced.collect();
    let keeps = node.int("keepdims").unwrap_or(1) != 0;
    let dims = (0..x.dims.len()).filter(|&axis| keeps || !is_reduced(axis));
    let dims = dims.map(|axis| if is_reduced(axis) { 1 } else { x.dims[axis] });
    let dims = dims.collect();
    match &x.data {
        Data::Ints(_) => Constant::ints(dims, reduced.iter().map(|&x| x as i64).collect()),
        Data::Floats(_) => Constant::floats(dims, reduced),
    }
}

/// A batch norm, with the batch's own statistics if no mean and variance are given.
pub fn standardised(
    x: &Constant,
    [scale, shift]: [&Rc<Constant>; 2],
    statistics: Option<[Vec<f32>; 2]>,
    epsilon: f32,
) -> Option<Rc<Constant>> {
    let channels = *x.dims.get(1)?;
    let (scale, shift) = (scale.to_floats(), shift.to_floats());
    let given = statistics.iter().flatten();
    let lengths = given.chain([&scale, &shift]).map(Vec::len);
    if lengths.into_iter().any(|length| length != channels) {
        return None;
    }
    let (inner, values) = (x.dims[2..].iter().product::<usize>(), x.to_floats());
    let mut normed = values.clone();
    for channel in 0..channels {
        let places: Vec<usize> = (0..x.dims[0])
            .flat_map(|image| {
                let first = (image * channels + channel) * inner;
                first..first + inner
            })
            .collect();
        let count = places.len() as f64;
        let mean = places.iter().map(|&at| f64::from(values[at])).sum::<f64>() / count;
        let squares = places
            .iter()
            .map(|&at| (f64::from(values[at]) - mean).powi(2));
        let mut of = [mean, squares.sum::<f64>() / count];
        if let Some(given) = &statistics {
            of = [&given[0], &given[1]].map(|values| f64::from(values[channel]));
        }
        let [mean, variance] = of;
        let deviation = (variance + f64::from(epsilon)).sqrt();
        for at in places {
            let standard = (f64::from(values[at]) - mean) / deviation;
            normed[at] = (standard * f64::from(scale[channel])) as f32 + shift[channel];
        }
    }
    Some(Constant::floats(x.dims.clone(), normed))
}
