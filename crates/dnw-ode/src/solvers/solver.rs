//! What a solver is, whichever it is.

/// An explicit Runge-Kutta method: its Butcher tableau, and what goes with it.
///
/// One step of length `h` from `(t, y)` finds the slopes
/// `k_i = f(t + c_i h, y + h sum_j a_ij k_j)` and ends at `y + h sum_i b_i k_i`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solver {
    /// The usual name, in lower case.
    pub name: &'static str,
    /// The global error is of the order `h` to this power.
    pub order: u32,
    /// `c`: when each slope is taken, as a share of the step. The first is 0.
    pub times: &'static [f64],
    /// `a`: row i holds the weights of the slopes before slope i (row 0 is empty).
    pub stages: &'static [&'static [f64]],
    /// `b`: the weight of each slope in the step.
    pub weights: &'static [f64],
    /// `b` minus the weights of the embedded method: the slopes so weighted estimate the step's error. Without them
    /// a solver makes constant steps only.
    pub error: Option<&'static [f64]>,
    /// The slopes so weighted reach the middle of the step, accurate to fourth order; the state inside a step is
    /// then a quartic. Without them it is the cubic through both ends and their slopes.
    pub middle: Option<&'static [f64]>,
    /// Whether the last slope is that of the state at the step's end, and so is the next step's first.
    pub first_same_as_last: bool,
}

impl Solver {
    /// The weight of each slope in the state at the share `x` of a step: `y(t + x h) = y + h sum_i w_i(x) k_i`.
    ///
    /// The last slope must be that at the step's end: where the solver does not take it itself, one weight more
    /// than it has slopes is returned.
    ///
    /// The quartic is the one through both ends, their slopes and the middle (Shampine 1986, *Some practical
    /// Runge-Kutta formulas*); the cubic is Hermite's. All of these are sums of slopes, so one sum does for each.
    pub(crate) fn weights_at(&self, x: f64) -> Vec<f64> {
        let (x2, x3, x4) = (x * x, x * x * x, x * x * x * x);
        // Of the end's state, the middle's, the first slope and the last one.
        let (end, middle, first, last) = match self.middle {
            Some(_) => (
                -5.0 * x2 + 14.0 * x3 - 8.0 * x4,
                16.0 * x2 - 32.0 * x3 + 16.0 * x4,
                x - 4.0 * x2 + 5.0 * x3 - 2.0 * x4,
                x2 - 3.0 * x3 + 2.0 * x4,
            ),
            None => (3.0 * x2 - 2.0 * x3, 0.0, x - 2.0 * x2 + x3, x3 - x2),
        };
        let mut weights: Vec<f64> = self.weights.iter().map(|b| end * b).collect();
        for (weight, m) in weights.iter_mut().zip(self.middle.unwrap_or_default()) {
            *weight += middle * m;
        }
        if !self.first_same_as_last {
            weights.push(0.0);
        }
        weights[0] += first;
        *weights.last_mut().expect("a solver has slopes") += last;
        weights
    }
}
