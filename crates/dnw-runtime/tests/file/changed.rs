//! Files with random changes; `dnw-fuzz` tries many more.

use dnw_runtime::file::{self, BESIDES, PER_BYTE, Precision};
use dnw_runtime::{Model, Session};

use crate::live_memory::most_during;
use crate::random::Random;
use crate::{mutation, networks};

#[test]
fn changed_files_are_refused_or_models_without_a_panic_or_much_memory() {
    let random = &mut Random(17);
    let mut models = 0;
    for _ in 0..200 {
        let (file, other) = (mutation::valid_file(random), mutation::valid_file(random));
        for _ in 0..50 {
            let changed = mutation::changed(random, &file, &other);
            let (read, memory) = most_during(|| file::read(&changed));
            assert!(memory <= PER_BYTE * changed.len() + BESIDES);
            models += usize::from(read.is_ok_and(|plan| Model::new(plan).is_ok()));
        }
    }
    assert!(models > 100, "the changes are too large to reach anything");
}

#[test]
fn a_network_has_the_same_results_after_a_round_trip() {
    for seed in 0..20 {
        let plan = networks::network(seed);
        let image: Vec<f32> = (0..plan.input.shape.iter().product())
            .map(|i| (i as f32).sin())
            .collect();
        let result = |plan| {
            let model = Model::new(plan).unwrap();
            let mut output = vec![0.0; model.output_len()];
            Session::new(&model, 1).run(&image, &mut output).unwrap();
            output
        };
        let read = file::read(&file::write(&plan, Precision::F32)).unwrap();
        assert_eq!(result(read), result(plan));
    }
}
