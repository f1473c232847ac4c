//! Axes, shapes and the places of elements.

/// Rows, columns or repeated channels of one step: what a few bytes of a hostile file can ask for.
pub const MOST_PLACES: usize = 1 << 20;

/// A non-negative axis of a tensor of this rank.
pub fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 {
        axis.checked_add(rank)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|_| axis < rank)
}

/// The shape to which both shapes are repeated.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| match (axis + dims.len()).checked_sub(rank) {
        Some(at) => dims[at],
        None => 1,
    };
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// For each element of a tensor of the shape `dims`, in row-major order, the sum of its coordinates times these strides.
pub fn places(dims: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut places = vec![0];
    for (&size, &stride) in dims.iter().zip(strides) {
        places = places
            .iter()
            .flat_map(|&place| (0..size).map(move |i| place + i * stride))
            .collect();
    }
    places
}

/// The distance of neighbours along each axis.
pub fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}

/// The indices of a slice along an axis of this size: start, end and step as in ONNX.
pub fn slice(start: i64, end: i64, step: i64, size: usize) -> Option<Vec<usize>> {
    let size = i64::try_from(size).ok()?;
    if step == 0 {
        return None;
    }
    let clamp = |at: i64, low: i64, high: i64| {
        let at = if at < 0 { at.saturating_add(size) } else { at };
        at.clamp(low, high)
    };
    let (mut at, end) = match step > 0 {
        true => (clamp(start, 0, size), clamp(end, 0, size)),
        false => (clamp(start, -1, size - 1), clamp(end, -1, size - 1)),
    };
    let mut indices = Vec::new();
    while if step > 0 { at < end } else { at > end } {
        indices.push(usize::try_from(at).ok()?);
        at = at.saturating_add(step);
    }
    Some(indices)
}
