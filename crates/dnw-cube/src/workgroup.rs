//! What the threads of a workgroup do together.

use cubecl::prelude::*;

/// The sum over the threads of a workgroup, in a fixed order: the upper half is added to the lower half repeatedly.
#[cube]
pub(crate) fn sum_of_workgroup(value: f32, shared: &mut [f32], #[comptime] threads: u32) -> f32 {
    shared[UNIT_POS as usize] = value;
    sync_cube();
    let mut half = comptime!(threads / 2).runtime();
    while half > 0 {
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] += other;
        }
        sync_cube();
        half /= 2;
    }
    let sum = shared[0];
    sync_cube();
    sum
}
