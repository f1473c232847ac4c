//! Updates, masked weights, rectified sums.

use dnw_cube::sgd::{self, SgdStep};
use dnw_cube::{Buffer, add_relu, masked};
use dnw_kernels::sgd as on_cpu;

use super::{STORE, client, close, floats, normal, read};

#[test]
fn updates_equal_those_on_the_cpu() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(6));
    for entries in [1, 2, 5, 6, 64, 1000, 70_001] {
        for decay in [None, Some(0.01)] {
            let step = on_cpu::SgdStep {
                rate: 0.1,
                momentum: 0.9,
                decay,
            };
            let on_gpu = SgdStep {
                rate: 0.1,
                momentum: 0.9,
                decay: decay.unwrap_or(0.0),
            };
            let (mut weights, mut velocity) = (normal(&mut random, entries), vec![0.0; entries]);
            let of_weights = floats(&client, &weights);
            // Whatever is in it is not read by the first update.
            let of_velocity = floats(&client, &vec![f32::NAN; entries]);
            for update in 0..3 {
                let mut gradient = normal(&mut random, entries);
                let of_gradient = floats(&client, &gradient);
                sgd::step(
                    &client,
                    on_gpu,
                    &of_weights,
                    &of_gradient,
                    &of_velocity,
                    update == 0,
                );
                match update {
                    0 => {
                        on_cpu::first_step(step, &mut weights, &mut gradient);
                        velocity = gradient;
                    }
                    _ => on_cpu::step(step, &mut weights, &gradient, &mut velocity),
                }
            }
            close("weights", &read(&client, &of_weights), &weights);
            close("velocity", &read(&client, &of_velocity), &velocity);
        }
    }
}

#[test]
fn a_masked_weight_is_zero_where_its_mask_is() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(7));
    for entries in [1, 33, 1025] {
        let weights = normal(&mut random, entries);
        let real: Vec<u32> = (0..entries).map(|_| u32::from(random.bool())).collect();
        let found = Buffer::uninitialised(&client, entries);
        masked::mask(
            &client,
            &floats(&client, &weights),
            &Buffer::from_slice(&client, &real),
            STORE,
            &found,
        );
        let expected = weights.iter().zip(&real);
        let expected: Vec<f32> = expected
            .map(|(&weight, &real)| if real == 0 { 0.0 } else { weight })
            .collect();
        assert_eq!(read(&client, &found), expected);
    }
}

#[test]
fn rectified_sums_and_their_gradients_equal_those_of_loops() {
    let (client, mut random) = (client(), fastrand::Rng::with_seed(10));
    for entries in [1, 6, 1024] {
        let [a, b, dy] = [(); 3].map(|()| normal(&mut random, entries));
        let sums: Vec<f32> = a.iter().zip(&b).map(|(a, b)| (a + b).max(0.0)).collect();
        let expected: Vec<f32> = sums
            .iter()
            .zip(&dy)
            .map(|(&y, &dy)| if y > 0.0 { dy } else { 0.0 })
            .collect();
        let [y, dx] = [(); 2].map(|()| Buffer::uninitialised(&client, entries));
        add_relu::forward(&client, &floats(&client, &a), &floats(&client, &b), &y);
        add_relu::backward(&client, &y, &floats(&client, &dy), &dx);
        assert_eq!(read(&client, &y), sums);
        assert_eq!(read(&client, &dx), expected);
    }
}
