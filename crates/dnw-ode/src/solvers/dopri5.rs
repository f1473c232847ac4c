use super::Solver;

/// Dormand and Prince's method of order 5 (1980, *A family of embedded Runge-Kutta formulae*). The embedded method of
/// order 4 and the midpoint weights are Shampine's (1986, *Some practical Runge-Kutta formulas*), as in torchdiffeq; his error
/// estimate is two thirds of Dormand and Prince's own.
pub const DOPRI5: Solver = Solver {
    name: "dopri5",
    order: 5,
    times: &[0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0],
    stages: &[
        &[],
        &[1.0 / 5.0],
        &[3.0 / 40.0, 9.0 / 40.0],
        &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
        &[
            19372.0 / 6561.0,
            -25360.0 / 2187.0,
            64448.0 / 6561.0,
            -212.0 / 729.0,
        ],
        &[
            9017.0 / 3168.0,
            -355.0 / 33.0,
            46732.0 / 5247.0,
            49.0 / 176.0,
            -5103.0 / 18656.0,
        ],
        &WEIGHTS,
    ],
    weights: &[
        WEIGHTS[0], WEIGHTS[1], WEIGHTS[2], WEIGHTS[3], WEIGHTS[4], WEIGHTS[5], 0.0,
    ],
    error: Some(&[
        WEIGHTS[0] - 1951.0 / 21600.0,
        0.0,
        WEIGHTS[2] - 22642.0 / 50085.0,
        WEIGHTS[3] - 451.0 / 720.0,
        WEIGHTS[4] + 12231.0 / 42400.0,
        WEIGHTS[5] - 649.0 / 6300.0,
        -1.0 / 60.0,
    ]),
    middle: Some(&[
        6025192743.0 / 30085553152.0 / 2.0,
        0.0,
        51252292925.0 / 65400821598.0 / 2.0,
        -2691868925.0 / 45128329728.0 / 2.0,
        187940372067.0 / 1594534317056.0 / 2.0,
        -1776094331.0 / 19743644256.0 / 2.0,
        11237099.0 / 235043384.0 / 2.0,
    ]),
    first_same_as_last: true,
};

const WEIGHTS: [f64; 6] = [
    35.0 / 384.0,
    0.0,
    500.0 / 1113.0,
    125.0 / 192.0,
    -2187.0 / 6784.0,
    11.0 / 84.0,
];
