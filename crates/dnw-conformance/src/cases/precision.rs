//! Numbers of fewer bits, where the device has them.

use burn::tensor::{DType, FloatDType};

use crate::UnderTest;
use crate::case::{Case, Shortfall, Verdict};
use crate::compare::close;
use crate::loops;
use crate::numbers::{on_drawings, upload};
use crate::tolerance::{Allowed, BFLOAT, HALF};

pub(crate) fn cases() -> Vec<Case> {
    let types = [
        ("f16", FloatDType::F16, DType::F16, HALF),
        ("bf16", FloatDType::BF16, DType::BF16, BFLOAT),
    ];
    types
        .map(|(name, float, dtype, allowed)| {
            Case::new(format!("precision::{name}::product"), move |under| {
                if !under.device.supports_dtype(dtype) {
                    let reason = format!("{} has no {name}", under.name);
                    return Err(Shortfall::Lacking(reason));
                }
                product(under, float, allowed)
            })
        })
        .into()
}

/// A product of matrices in fewer bits, back in 32.
fn product(under: &UnderTest, float: FloatDType, allowed: Allowed) -> Verdict {
    on_drawings(3, |numbers| {
        let [m, k, n] = [
            numbers.size(1..=9),
            numbers.size(1..=12),
            numbers.size(1..=9),
        ];
        let (a, b) = (numbers.normal(m * k), numbers.normal(k * n));
        let [left, right] = [(&a, [m, k]), (&b, [k, n])]
            .map(|(x, shape)| upload(x, shape, &under.device).cast(float));
        let found = left.matmul(right).cast(FloatDType::F32).into_data();
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let expected = loops::linear(&wide(&a), &wide(&b), &vec![0.0; n]);
        close(
            &format!("[{m}, {k}] times [{k}, {n}]"),
            &found,
            &expected,
            allowed,
        )
    })
}
