//! Weighted sums of rows and columns, channel by channel.

use super::add_scaled;

/// For each output of an axis the inputs that it is a weighted sum of.
#[derive(Clone, Copy, Debug)]
pub struct Taps<'a> {
    /// For each output the number of inputs before its own; one more than there are outputs.
    pub starts: &'a [u32],
    /// The inputs.
    pub inputs: &'a [u32],
    /// One for each input.
    pub weights: &'a [f32],
}

impl<'a> Taps<'a> {
    fn outputs(&self) -> usize {
        self.starts.len() - 1
    }

    /// Inputs and weights of an output.
    fn of(&self, output: usize) -> (&'a [u32], &'a [f32]) {
        let own = self.starts[output] as usize..self.starts[output + 1] as usize;
        (&self.inputs[own.clone()], &self.weights[own])
    }
}

/// Writes the sums for a map whose lines have as many numbers as `line`, which is scratch memory.
///
/// # Panics
/// If a length does not fit, or an input is outside the map.
pub fn resample(rows: Taps<'_>, columns: Taps<'_>, x: &[f32], line: &mut [f32], out: &mut [f32]) {
    let width = columns.outputs();
    // Paddings and enlargements by the nearest neighbour only copy.
    let copies = columns.inputs.len() == width
        && columns
            .starts
            .iter()
            .zip(0..)
            .all(|(&start, at)| start == at)
        && columns.weights.iter().all(|&weight| weight == 1.0);
    for row in 0..rows.outputs() {
        let own = rows.of(row);
        let at = row * width;
        // Enlarged maps repeat rows.
        if row > 0 && rows.of(row - 1) == own {
            out.copy_within(at - width..at, at);
            continue;
        }
        let len = line.len();
        let sums = match own {
            (&[only], &[1.0]) => &x[only as usize * len..][..len],
            (inputs, weights) => {
                line.fill(0.0);
                for (&input, &weight) in inputs.iter().zip(weights) {
                    add_scaled(weight, &x[input as usize * len..][..len], false, line);
                }
                &*line
            }
        };
        let out = &mut out[at..at + width];
        if copies {
            let pairs = out.iter_mut().zip(columns.inputs);
            pairs.for_each(|(out, &input)| *out = sums[input as usize]);
            continue;
        }
        for (column, out) in out.iter_mut().enumerate() {
            let (inputs, weights) = columns.of(column);
            let pairs = inputs.iter().zip(weights);
            *out = pairs.fold(0.0, |sum, (&input, weight)| {
                sum + weight * sums[input as usize]
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_summed() {
        // The second row alone, twice, then the sum of both and nothing; columns 2 and 0, and their mean.
        let rows = Taps {
            starts: &[0, 1, 2, 4, 4],
            inputs: &[1, 1, 0, 1],
            weights: &[1.0, 1.0, 1.0, 1.0],
        };
        let columns = Taps {
            starts: &[0, 1, 2, 4],
            inputs: &[2, 0, 0, 2],
            weights: &[1.0, 1.0, 0.5, 0.5],
        };
        let x = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
        let mut out = [9.0; 12];
        resample(rows, columns, &x, &mut [0.0; 3], &mut out);
        let expected = [
            30.0, 10.0, 20.0, 30.0, 10.0, 20.0, 33.0, 11.0, 22.0, 0.0, 0.0, 0.0,
        ];
        assert_eq!(out, expected);
        // Mirrored columns, copied.
        let columns = Taps {
            starts: &[0, 1, 2, 3, 4],
            inputs: &[1, 0, 1, 2],
            weights: &[1.0; 4],
        };
        let mut out = [9.0; 16];
        resample(rows, columns, &x, &mut [0.0; 3], &mut out);
        assert_eq!(out[..8], [20.0, 10.0, 20.0, 30.0, 20.0, 10.0, 20.0, 30.0]);
        assert_eq!(out[8..], [22.0, 11.0, 22.0, 33.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
