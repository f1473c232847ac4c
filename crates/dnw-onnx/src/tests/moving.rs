//! Reshapes, transpositions, slices and concatenations, as exporters write them.

use dnw_circuit::Op;

use super::kit::{Kit, With, noise};

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().copied().map(f64::from).collect()
}

#[test]
fn channels_are_shuffled() {
    // Two groups of three become three of two: 0 3 1 4 2 5.
    let kit = Kit::new([6, 1, 2])
        .ints("five", &[0, 2, 3, 1, 2])
        .ints("four", &[0, -1, 1, 2])
        .node("Reshape", "x, five -> a", &[])
        .node(
            "Transpose",
            "a -> b",
            &[("perm", With::Ints(&[0, 2, 1, 3, 4]))],
        )
        .node("Reshape", "b, four -> y", &[]);
    let image: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let expected = [0.0, 1.0, 6.0, 7.0, 2.0, 3.0, 8.0, 9.0, 4.0, 5.0, 10.0, 11.0];
    assert_eq!(kit.run(&image), expected);
    let steps = kit.import().unwrap().circuit.steps().len();
    assert_eq!(steps, 2, "the image and a selection of channels");
}

#[test]
fn pixels_become_vectors_in_any_order() {
    // As exported from programs whose channels come last.
    let kit = Kit::new([2, 1, 3])
        .node(
            "Transpose",
            "x -> t",
            &[("perm", With::Ints(&[0, 2, 3, 1]))],
        )
        .node("Flatten", "t -> y", &[]);
    assert_eq!(
        kit.run(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
    );
}

#[test]
fn shapes_that_are_computed_from_the_image_are_folded() {
    // torch.flatten(x, 1) with an open batch, as the older exporter writes it.
    let kit = Kit::new([2, 2, 2])
        .ints("zero", &[0])
        .ints("rest", &[-1])
        .node("Shape", "x -> s", &[])
        .node("Gather", "s, zero -> n", &[("axis", With::Int(0))])
        .node("Concat", "n, rest -> shape", &[("axis", With::Int(0))])
        .node("Reshape", "x, shape -> y", &[]);
    let image = noise(1, 8);
    assert_eq!(kit.run(&image), wide(&image));
    // Half of the channels: C / 2 by integer arithmetic.
    let kit = Kit::new([4, 1, 1])
        .ints("one", &[1])
        .ints("two", &[2])
        .ints("zero", &[0])
        .node(
            "Shape",
            "x -> s",
            &[("start", With::Int(1)), ("end", With::Int(2))],
        )
        .node("Div", "s, two -> half", &[])
        .node("Slice", "x, zero, half, one -> y", &[]);
    assert_eq!(kit.run(&[1.0, 2.0, 3.0, 4.0]), [1.0, 2.0]);
}

#[test]
fn splits_and_slices_select_channels_rows_and_columns() {
    let image: Vec<f32> = (0..18).map(|i| i as f32).collect();
    let split = Kit::new([3, 2, 3])
        .ints("sizes", &[1, 2])
        .node("Split", "x, sizes -> a, b", &[("axis", With::Int(1))])
        .node("Concat", "b, a -> y", &[("axis", With::Int(1))]);
    let expected: Vec<f32> = image[6..].iter().chain(&image[..6]).copied().collect();
    assert_eq!(split.run(&image), wide(&expected));
    // Rows 1.., every second column, the last two channels backwards.
    let slice = Kit::new([3, 2, 3])
        .ints("starts", &[1, 0, -1])
        .ints("ends", &[99, 99, 0])
        .ints("axes", &[2, 3, 1])
        .ints("steps", &[1, 2, -1])
        .node("Slice", "x, starts, ends, axes, steps -> y", &[]);
    assert_eq!(slice.run(&image), [15.0, 17.0, 9.0, 11.0]);
    let old = Kit::new([3, 2, 3]).opset(9).node(
        "Slice",
        "x -> y",
        &[
            ("starts", With::Ints(&[2])),
            ("ends", With::Ints(&[3])),
            ("axes", With::Ints(&[1])),
        ],
    );
    assert_eq!(old.run(&image), wide(&image[12..]));
    let cropped = Kit::new([1, 3, 3])
        .ints("p", &[0, 0, -1, 0, 0, 0, 0, -2])
        .node("Pad", "x, p -> y", &[]);
    assert_eq!(cropped.run(&image[..9]), [3.0, 6.0]);
}

#[test]
fn channels_are_padded_and_joined_with_constants() {
    // The shortcut of CIFAR's ResNets: every second pixel, and channels of zeros on both sides.
    let kit = Kit::new([1, 1, 3])
        .ints("zero", &[0])
        .ints("end", &[3])
        .ints("axis", &[3])
        .ints("step", &[2])
        .ints("p", &[0, 1, 0, 0, 0, 2, 0, 0])
        .node("Slice", "x, zero, end, axis, step -> s", &[])
        .node("Pad", "s, p -> y", &[]);
    assert_eq!(
        kit.run(&[1.0, 2.0, 3.0]),
        [0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0]
    );
    let joined = Kit::new([1, 1, 1])
        .floats("c", &[1, 2, 1, 1], &[7.0, 8.0])
        .node("Concat", "c, x -> y", &[("axis", With::Int(-3))]);
    assert_eq!(joined.run(&[1.0]), [7.0, 8.0, 1.0]);
}

#[test]
fn blocks_of_pixels_become_channels() {
    let kit = Kit::new([2, 2, 2]).node("SpaceToDepth", "x -> y", &[("blocksize", With::Int(2))]);
    // All channels of the first pixel, then of the second.
    let image: Vec<f32> = (0..8).map(|i| i as f32).collect();
    assert_eq!(kit.run(&image), [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);
}

#[test]
fn blocks_between_reshapes_are_one_step() {
    // As PyTorch writes `pixel_unshuffle`, and its inverse.
    let moved = |image, blocks: &[i64], order: &[i64], shape: &[i64]| {
        Kit::new(image)
            .ints("blocks", blocks)
            .ints("shape", shape)
            .node("Reshape", "x, blocks -> a", &[])
            .node("Transpose", "a -> b", &[("perm", With::Ints(order))])
            .node("Reshape", "b, shape -> y", &[])
    };
    let to_channels = [0, 1, 3, 5, 2, 4];
    let fold = moved(
        [2, 4, 6],
        &[-1, 2, 2, 2, 3, 2],
        &to_channels,
        &[-1, 8, 2, 3],
    );
    let to_pixels = [0, 1, 4, 2, 5, 3];
    let unfold = moved([8, 2, 3], &[-1, 2, 2, 2, 2, 3], &to_pixels, &[-1, 2, 4, 6]);
    // The pixel (channel, row, column) goes to the channel (channel, row % 2, column % 2).
    let image = noise(3, 48);
    let mut folded = vec![0.0; 48];
    for (at, &pixel) in image.iter().enumerate() {
        let [channel, row, column] = [at / 24, at / 6 % 4, at % 6];
        let block = 4 * channel + 2 * (row % 2) + column % 2;
        folded[6 * block + 3 * (row / 2) + column / 2] = pixel;
    }
    assert_eq!(fold.run(&image), wide(&folded));
    assert_eq!(unfold.run(&folded), wide(&image));
    for (kit, expected) in [(fold, Op::Fold(2)), (unfold, Op::Unfold(2))] {
        let circuit = kit.import().unwrap().circuit;
        let moves = circuit.steps().iter().filter(|step| step.op != Op::Input);
        let moves: Vec<&Op> = moves.map(|step| &step.op).collect();
        assert_eq!(moves[0], &expected);
        assert!(!moves.iter().any(|op| matches!(op, Op::Select(_))));
    }
    // Oblong blocks are moved number by number.
    let oblong = moved(
        [1, 2, 6],
        &[-1, 1, 1, 2, 2, 3],
        &to_channels,
        &[-1, 6, 1, 2],
    );
    let expected = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11].map(|at: usize| f64::from(image[at]));
    assert_eq!(oblong.run(&image[..12]), expected);
}
