//! Pools and means.

use super::kit::{Kit, With};

const PIXELS: [f32; 5] = [1.0, 2.0, 3.0, 4.0, 5.0];

fn pool(operator: &str, attributes: &[(&str, With<'_>)]) -> Kit {
    Kit::new([1, 1, 5]).node(operator, "x -> y", attributes)
}

fn line<'a>(
    kernel: &'a [i64],
    strides: &'a [i64],
    pads: &'a [i64],
) -> Vec<(&'static str, With<'a>)> {
    vec![
        ("kernel_shape", With::Ints(kernel)),
        ("strides", With::Ints(strides)),
        ("pads", With::Ints(pads)),
    ]
}

#[test]
fn windows_may_reach_beyond_the_end() {
    let shape = || line(&[1, 2], &[1, 2], &[0; 4]);
    assert_eq!(pool("MaxPool", &shape()).run(&PIXELS), [2.0, 4.0]);
    let mut up = shape();
    up.push(("ceil_mode", With::Int(1)));
    assert_eq!(pool("MaxPool", &up).run(&PIXELS), [2.0, 4.0, 5.0]);
    assert_eq!(pool("AveragePool", &up).run(&PIXELS), [1.5, 3.5, 5.0]);
    // The third window would begin in the padding behind the end, so there is none: [., 1], [2, 3], [4, 5].
    let mut padded = line(&[1, 2], &[1, 2], &[0, 1, 0, 1]);
    padded.push(("ceil_mode", With::Int(1)));
    assert_eq!(pool("MaxPool", &padded).run(&PIXELS), [1.0, 3.0, 5.0]);
}

#[test]
fn averages_count_their_padding_or_do_not() {
    let shape = || line(&[1, 3], &[1, 2], &[0, 1, 0, 1]);
    assert_eq!(pool("AveragePool", &shape()).run(&PIXELS), [1.5, 3.0, 4.5]);
    let mut counting = shape();
    counting.push(("count_include_pad", With::Int(1)));
    assert_eq!(pool("AveragePool", &counting).run(&PIXELS), [1.0, 3.0, 3.0]);
    // As the older exporter writes it: a padding before the pool.
    let before = Kit::new([1, 1, 5])
        .ints("p", &[0, 0, 0, 1, 0, 0, 0, 1])
        .node("Pad", "x, p -> q", &[])
        .node("AveragePool", "q -> y", &line(&[1, 3], &[1, 2], &[0; 4]));
    assert_eq!(before.run(&PIXELS), [1.0, 3.0, 3.0]);
    assert_eq!(before.import().unwrap().circuit.steps().len(), 2);
    let mut both = line(&[1, 2], &[1, 3], &[0, 1, 0, 1]);
    both.push(("ceil_mode", With::Int(1)));
    both.push(("count_include_pad", With::Int(1)));
    // Seven padded pixels: windows at 0, 3 and 6, of which the last reaches beyond but begins in the padding.
    assert_eq!(pool("AveragePool", &both).run(&PIXELS), [0.5, 3.5]);
}

#[test]
fn means_and_maxima_over_all_pixels() {
    let image = [1.0, 3.0, 10.0, 20.0];
    let run = |operator: &str, names: &str, opset: i64, attributes: &[(&str, With<'_>)]| {
        let kit = Kit::new([2, 1, 2]).opset(opset).ints("axes", &[-1, -2]);
        kit.node(operator, names, attributes).run(&image)
    };
    assert_eq!(run("GlobalAveragePool", "x -> y", 17, &[]), [2.0, 15.0]);
    assert_eq!(run("GlobalMaxPool", "x -> y", 17, &[]), [3.0, 20.0]);
    let axes = [("axes", With::Ints(&[2, 3])), ("keepdims", With::Int(0))];
    assert_eq!(run("ReduceMean", "x -> y", 13, &axes), [2.0, 15.0]);
    assert_eq!(run("ReduceMean", "x, axes -> y", 18, &[]), [2.0, 15.0]);
    assert_eq!(run("ReduceMax", "x, axes -> y", 18, &[]), [3.0, 20.0]);
    // Over channels, as spatial attention has it.
    let axes = [("axes", With::Ints(&[1]))];
    assert_eq!(run("ReduceMean", "x -> y", 13, &axes), [5.5, 11.5]);
}
