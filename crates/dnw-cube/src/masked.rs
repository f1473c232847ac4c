//! Weights with their hallucinated edges set to zero.

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use crate::buffer::{Buffer, WORKGROUP_SIZE, workgroups};

/// Writes the weights of the real edges to `masked`, and zero elsewhere. `real`: elements of type `store`, nonzero for real edges.
///
/// # Panics
/// If the lengths differ.
pub fn mask(client: &Client, weights: &Buffer, real: &Buffer, store: ElemType, masked: &Buffer) {
    assert_eq!(real.length(), weights.length(), "length of the mask");
    assert_eq!(masked.length(), weights.length(), "length of the output");
    if weights.length() == 0 {
        return;
    }
    // SAFETY: threads beyond the last entry return at once.
    unsafe {
        mask_entries::launch_unchecked(
            client,
            workgroups(weights.length()),
            CubeDim::new_1d(WORKGROUP_SIZE),
            weights.arg(1),
            real.arg(1),
            masked.arg(1),
            store,
        );
    }
}

#[cube(launch_unchecked)]
fn mask_entries<B: Int>(
    weights: &[f32],
    real: &[B],
    masked: &mut [f32],
    #[define(B)] _store: ElemType,
) {
    if ABSOLUTE_POS >= masked.len() {
        terminate!();
    }
    let mut kept = 0.0f32;
    if u32::cast_from(real[ABSOLUTE_POS]) != 0 {
        kept = weights[ABSOLUTE_POS];
    }
    masked[ABSOLUTE_POS] = kept;
}
