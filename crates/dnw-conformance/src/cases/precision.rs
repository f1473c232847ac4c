//! Half precision, where the device supports it.

use burn::tensor::{DType, FloatDType};

use crate::TestDevice;
use crate::case::{Case, Failure, Outcome};
use crate::compare::close;
use crate::loops;
use crate::random::{for_seeds, upload};
use crate::tolerance::{BFLOAT, HALF, Tolerance};

pub(crate) fn cases() -> Vec<Case> {
    let types = [
        ("f16", FloatDType::F16, DType::F16, HALF),
        ("bf16", FloatDType::BF16, DType::BF16, BFLOAT),
    ];
    types
        .map(|(name, float, dtype, tolerance)| {
            Case::new(format!("precision::{name}::product"), move |target| {
                if !target.device.supports_dtype(dtype) {
                    let reason = format!("{} does not support {name}", target.name);
                    return Err(Failure::Unsupported(reason));
                }
                product(target, float, tolerance)
            })
        })
        .into()
}

/// A matrix product in half precision, cast back to 32 bits.
fn product(target: &TestDevice, float: FloatDType, tolerance: Tolerance) -> Outcome {
    for_seeds(3, |random| {
        let [m, k, n] = [random.size(1..=9), random.size(1..=12), random.size(1..=9)];
        let (a, b) = (random.normal(m * k), random.normal(k * n));
        let [left, right] = [(&a, [m, k]), (&b, [k, n])]
            .map(|(x, shape)| upload(x, shape, &target.device).cast(float));
        let found = left.matmul(right).cast(FloatDType::F32).into_data();
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let expected = loops::linear(&wide(&a), &wide(&b), &vec![0.0; n]);
        close(
            &format!("[{m}, {k}] times [{k}, {n}]"),
            &found,
            &expected,
            tolerance,
        )
    })
}
