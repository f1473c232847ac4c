//! Invalid circuits and their error messages.

use dnw_circuit::{Block, CircuitBuilder, CircuitError, Tensor, ValueId, Window, interpret};

use crate::{Made, ones, whole};

/// The error message of a step that does not fit an image of 2 channels and 4 x 4 pixels.
fn error_of(step: impl FnOnce(&mut CircuitBuilder, ValueId) -> Made<ValueId>) -> String {
    let mut builder = CircuitBuilder::new([2, 4, 4]).expect("an image");
    builder.layer("here");
    let input = builder.input();
    step(&mut builder, input)
        .expect_err("it does not fit")
        .to_string()
}

#[test]
fn errors_name_the_layer_and_the_problem() {
    let message = error_of(|b, x| {
        let weight = whole(b, ones("w", [3, 4, 1, 1]))?;
        b.conv(x, weight, None, Window::default())
    });
    assert_eq!(message, "`here` needs 2 columns, but has 4");
    let message = error_of(|b, x| {
        let weight = b.tensor(ones("w", [3, 2, 1, 1]))?;
        b.conv(x, Block::new(weight, 0..4, 0..2), None, Window::default())
    });
    assert_eq!(message, "`here` reads row 3 of `w`, which has 3");
    let message = error_of(|b, x| {
        let weight = whole(b, ones("w", [1, 2, 5, 5]))?;
        b.conv(x, weight, None, Window::default())
    });
    assert_eq!(
        message,
        "`here` does not fit feature maps of 4 x 4: the window is larger"
    );
    let message = error_of(|b, x| {
        let weight = whole(b, ones("w", [1, 2, 1, 1]))?;
        b.linear(x, weight, None)
    });
    assert_eq!(
        message,
        "`here` does not fit feature maps of 4 x 4: a linear layer needs feature maps of one pixel"
    );
    let message = error_of(|b, x| {
        let [gamma, beta] = [
            whole(b, Tensor::norm("g", vec![1.0; 2]))?,
            whole(b, Tensor::bias("b", vec![1.0; 2]))?,
        ];
        b.instance_norm(x, [gamma, beta], 1e-5)
    });
    assert_eq!(
        message,
        "`here` uses `b` as a norm's scale or shift, but the tensor is of another kind"
    );
    let message = error_of(|b, x| {
        let half = b.crop(x, [0, 0], [2, 4])?;
        b.add(&[x, half])
    });
    assert_eq!(
        message,
        "`here` has inputs of shapes [2, 4, 4] and [2, 2, 4], which do not fit each other"
    );
    let message = error_of(|b, x| b.crop(x, [usize::MAX, 0], [2, 1]));
    assert_eq!(
        message,
        "`here` does not fit feature maps of 4 x 4: the crop is not inside them"
    );
    let message = error_of(|b, x| b.fold(x, 3));
    assert_eq!(
        message,
        "`here` does not fit feature maps of 4 x 4: the block size does not divide them"
    );
    let message = error_of(|b, x| b.max_pool(x, [2, 2], [1, 1], [2, 0]));
    assert_eq!(
        message,
        "`here` does not fit feature maps of 4 x 4: the padding is more than half the window"
    );
    let message = error_of(|b, x| b.select(x, [0, 2]));
    assert_eq!(message, "`here` reads channel 2 of `input`, which has 2");
    let message = error_of(|b, _| b.add(&[]));
    assert_eq!(message, "`here` has no inputs");
    let message = error_of(|b, _| b.zeros([1, 0, 1]));
    assert_eq!(message, "`here` has no channels or pixels");
    let message = error_of(|b, x| {
        b.tensor(ones("w", [1, 1, 1, 1]))?;
        b.tensor(ones("w", [1, 1, 1, 1]))?;
        Ok(x)
    });
    assert!(
        message.starts_with("there are two tensors named `w`"),
        "{message}"
    );
}

#[test]
fn tensors_must_fit_their_shape_and_images_the_circuit() -> Made<()> {
    let mut b = CircuitBuilder::new([1, 1, 1])?;
    let short = Tensor::weight("w", [2, 2, 1, 1], vec![0.0; 3]);
    assert!(matches!(
        b.tensor(short),
        Err(CircuitError::Entries {
            what: "values",
            found: 3,
            ..
        })
    ));
    let endless = Tensor::weight("w", [usize::MAX, 2, 1, 1], vec![]);
    assert!(matches!(
        b.tensor(endless),
        Err(CircuitError::Entries { .. })
    ));
    let unsure = Tensor::edges("w", [2, 1, 1, 1], vec![0.0; 2], vec![true]);
    assert!(matches!(
        b.tensor(unsure),
        Err(CircuitError::Entries { found: 1, .. })
    ));
    let circuit = b.clone().finish(b.input())?;
    let expected = CircuitError::Image {
        expected: [1, 1, 1],
        found: 2,
    };
    assert_eq!(interpret(&circuit, &[0.0; 2]), Err(expected));
    Ok(())
}

#[test]
fn sizes_whose_product_overflows_are_an_error_before_any_allocation() -> Made<()> {
    let half = 1 << 32;
    let image = CircuitBuilder::new([half, half, 1]).err();
    assert!(
        matches!(image, Some(CircuitError::TooLarge { .. })),
        "{image:?}"
    );
    // Feature maps of 2^50 pixels are valid, but 2^13 times 9 multiplications of each overflow.
    let mut b = CircuitBuilder::new([1, 1 << 25, 1 << 25])?;
    let zeros = b.zeros([half, half, 1]);
    assert!(matches!(zeros, Err(CircuitError::TooLarge { .. })));
    let weight = whole(&mut b, ones("w", [1 << 13, 1, 3, 3]))?;
    let heavy = b.conv(b.input(), weight, None, Window::square(1, 1));
    assert!(
        matches!(heavy, Err(CircuitError::TooLarge { .. })),
        "{heavy:?}"
    );
    let weight = whole(&mut b, ones("k", [1, 1, 2, 2]))?;
    let far = Window {
        dilation: [usize::MAX; 2],
        padding: [usize::MAX; 2],
        ..Window::default()
    };
    let far = b.depthwise(b.input(), weight, None, far);
    assert!(matches!(far, Err(CircuitError::TooLarge { .. })), "{far:?}");
    Ok(())
}
