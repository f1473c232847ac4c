//! What was written is what is read.

use dnw_runtime::file::{Precision, read, write};
use dnw_runtime::plan::*;
use proptest::prelude::*;

use crate::{plans, sums};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_plan_with_weights_of_32_bits_is_read_as_it_was(seed: u64) {
        let plan = plans::plan(seed);
        prop_assert_eq!(read(&write(&plan, Precision::F32)).unwrap(), plan);
    }

    #[test]
    fn weights_that_were_rounded_once_stay_as_they_are(seed: u64) {
        for precision in [Precision::F16, Precision::Int8] {
            let once = read(&write(&plans::plan(seed), precision)).unwrap();
            let twice = read(&write(&once, Precision::F32)).unwrap();
            prop_assert_eq!(once, twice);
        }
    }

    #[test]
    fn rows_of_any_kind_are_read_as_they_were(rows: Vec<u32>, distance: u32, count in 0_u32..200) {
        let mut rows = rows;
        rows.extend((0..count).map(|i| i.wrapping_mul(distance)));
        rows.extend((0..count).map(|i| i / 9 * 1000 + i % 3 * (distance % 7) + i % 9));
        let plan = only(Op::Sums(Sums {
            rows,
            starts: vec![0],
..sums::empty_sums()
}));
        prop_assert_eq!(read(&write(&plan, Precision::F32)).unwrap(), plan);
    }

    #[test]
    fn edges_of_any_kind_are_read_as_they_were(
        sources: Vec<u32>,
        mut starts in proptest::collection::vec(prop_oneof![any::<u32>(), 0_u32..20], 0..20),
        sorted: bool,
    ) {
        if sorted {
            starts.sort_unstable();
        }
        let plan = only(Op::Linear(Linear {
            from: Maps::default(),
            to: Maps::default(),
            weights: vec![0.5; sources.len()],
            bias: vec![0.25; starts.len()],
            edges: Some(Edges { starts, sources }),
            relu: true,
        }));
        prop_assert_eq!(read(&write(&plan, Precision::F32)).unwrap(), plan);
    }
}

/// A plan of one step.
pub fn only(op: Op) -> Plan {
    Plan {
        input: Input::default(),
        image: Maps::default(),
        output: Maps::default(),
        arena: 0,
        constants: vec![],
        steps: vec![Step {
            layer: "layer".to_owned(),
            reason: "reason".to_owned(),
            op,
        }],
    }
}
