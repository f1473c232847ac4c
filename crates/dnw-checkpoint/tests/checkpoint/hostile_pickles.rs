//! Tests of pickles that contain something other than tensors.

use dnw_checkpoint::CheckpointError;

use crate::by_hand::{Pickle, Tensor, floats, legacy_head, refused, refused_file, refused_with};

#[track_caller]
fn assert_forbidden(saved: Pickle, expected: &str) {
    let error = refused(&saved);
    assert!(
        matches!(error, CheckpointError::Forbidden { .. }),
        "{error:?}"
    );
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[track_caller]
fn assert_damaged(saved: Pickle, expected: &str) {
    let error = refused(&saved);
    assert!(matches!(error, CheckpointError::Pickle { .. }), "{error:?}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[track_caller]
fn assert_over_limit(saved: Pickle, expected: &str) {
    let error = refused(&saved);
    assert!(matches!(error, CheckpointError::Limit { .. }), "{error:?}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_call_in_the_first_pickles_is_refused() {
    let hostile = Pickle::new()
        .global("builtins", "eval")
        .text("1")
        .raw(b"\x85R.");
    let error = refused_file(&hostile.0);
    assert!(error.to_string().contains("magic number"), "{error}");
    let magic = &legacy_head()[..15];
    let error = refused_file(&[magic, &hostile.0].concat());
    assert!(error.to_string().contains("version"), "{error}");
}

#[test]
fn a_file_that_is_one_object_is_refused_by_the_name_of_its_class() {
    let saved = Pickle::new()
        .global("posix", "system")
        .text("touch /tmp/owned")
        .raw(b"\x85R.");
    assert_eq!(
        refused(&saved).to_string(),
        "the file holds an object of `posix.system`, not a dictionary of tensors"
    );
    let named = Pickle::new().global("\x1b[2J", "x").raw(b".");
    assert_eq!(
        refused(&named).to_string(),
        "the file holds the name `\\u{1b}[2J.x`, not a dictionary of tensors"
    );
}

#[test]
fn instructions_that_checkpoints_do_not_need_are_refused() {
    for (bytes, name) in [
        (&b"(iposix\nsystem\n"[..], "INST (0x69)"),
        (b"(ccollections\nOrderedDict\no", "OBJ (0x6f)"),
        (b"\x82\x01", "EXT1 (0x82)"),
        (b"\x84\x01\0\0\0", "EXT4 (0x84)"),
        (b"Pkey\n", "PERSID (0x50)"),
        (b"\x97", "NEXT_BUFFER (0x97)"),
    ] {
        assert_forbidden(
            Pickle::dictionary("x", |pickle| pickle.raw(bytes)),
            &format!("the instruction {name} at byte "),
        );
    }
    assert_forbidden(
        Pickle::new().raw(b"\xff"),
        "the unknown instruction 0xff at byte 2",
    );
}

#[test]
fn a_call_of_anything_but_a_name_is_refused() {
    let call =
        |callee: &'static [u8]| Pickle::dictionary("x", |pickle| pickle.raw(callee).raw(b")R"));
    assert_forbidden(call(b"K\x01"), "a call of a whole number at byte");
    assert_forbidden(call(b"U\x06system"), "a call of text at byte");
    assert_forbidden(
        call(b"ctorch\nFloatStorage\n"),
        "a call of the element type float32 at byte",
    );
    let of_tensor = Pickle::dictionary("x", |pickle| pickle.tensor(&Tensor::default()).raw(b")R"));
    assert_forbidden(of_tensor, "a call of a tensor at byte");
}

#[test]
fn only_dictionaries_and_objects_can_have_a_state() {
    let build =
        |object: fn(Pickle) -> Pickle| Pickle::dictionary("x", |pickle| object(pickle).raw(b"}b"));
    assert_forbidden(
        build(|pickle| pickle.tensor(&Tensor::default())),
        "setting the state of a tensor at byte",
    );
    assert_forbidden(
        build(|pickle| pickle.global("torch", "Size")),
        "setting the state of a name at byte",
    );
}

#[test]
fn known_functions_only_accept_pytorch_s_arguments() {
    let odd = |bytes: &'static [u8]| Pickle::dictionary("x", |pickle| pickle.raw(bytes));
    assert_damaged(
        odd(b"ccollections\nOrderedDict\nK\x01\x85R"),
        "made of something that is not pairs",
    );
    assert_damaged(odd(b"ctorch\nSize\nN\x85R"), "a shape is no tuple");
    assert_damaged(
        odd(b"ctorch._utils\n_rebuild_parameter\nN\x88}\x87R"),
        "is no tensor",
    );
    assert_damaged(
        odd(b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR"),
        "has no storage",
    );
    assert_damaged(odd(b"ctorch._utils\n_rebuild_tensor_v2\n]R"), "no tuple");
    assert_damaged(odd(b"(NNNNNtQ"), "persistent id");
    assert_damaged(odd(b"NQ"), "persistent id");
    // A view into another storage, as PyTorch wrote before 0.4.
    let view = Pickle::dictionary("x", |pickle| {
        pickle
            .raw(b"(")
            .text("storage")
            .global("torch", "FloatStorage")
            .text("0")
            .text("cpu")
            .int(6)
            .ints(&[1, 2, 3])
            .raw(b"tQ")
    });
    assert_damaged(view, "persistent id");
}

#[test]
fn empty_memo_slots_are_an_error() {
    assert_damaged(Pickle::new().raw(b"h\x05."), "place 5 of the memo is empty");
    assert_damaged(Pickle::new().raw(b"j\xff\xff\xff\xff."), "place 4294967295");
    assert_damaged(Pickle::new().raw(b"q\0."), "not there");
    assert_over_limit(
        Pickle::new().raw(b"}r\xff\xff\xff\xff."),
        "4294967296 places in the pickle's memo",
    );
}

#[test]
fn a_stack_underflow_is_an_error() {
    for bytes in [
        &b"."[..],
        b"0.",
        b"1.",
        b"t.",
        b"a.",
        b"e.",
        b"s.",
        b"u.",
        b"R.",
        b"b.",
        b"Q.",
        b"\x85.",
        b"\x87.",
        b"\x93.",
        b"}(a.",
        b"}(s.",
        b"]N(a.",
        b"]N(.",
        b"NN.",
        b"}(Nu.",
        b"NNa.",
        b"NNNs.",
    ] {
        assert_damaged(Pickle::new().raw(bytes), "the pickle is damaged");
    }
}

#[test]
fn values_below_an_open_mark_cannot_be_popped() {
    assert_damaged(
        Pickle::new().raw(b"]N(at."),
        "takes a value that is not there",
    );
    assert_damaged(
        Pickle::new().raw(b"]NN(\x85t."),
        "takes a value that is not there",
    );
}

#[test]
fn lengths_are_checked_against_the_remaining_bytes() {
    for bytes in [
        &b"X\xff\xff\xff\xff"[..],
        b"B\xff\xff\xff\x7f",
        b"\x8d\0\0\0\0\0\0\0\x80",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",
        b"T\xff\xff\xff\x7f",
        b"\x8c\x7f",
        b"\x8a\xff",
        b"G\0",
        b"J\0",
        b"\x95\0",
    ] {
        assert_damaged(Pickle::new().raw(bytes), "more bytes, there are");
    }
    assert_damaged(Pickle::new().raw(b"\x8b\xff\xff\xff\xff"), "a length of -1");
    assert_damaged(Pickle::new().raw(b"T\0\0\0\x80"), "a length of -2147483648");
    assert_damaged(Pickle::new().raw(b"c").raw([b'a'; 5000]), "has no end");
    assert_damaged(Pickle::new().raw(b"X\x01\0\0\0\xff"), "UTF-8");
}

#[test]
fn other_protocols_are_refused() {
    assert_damaged(Pickle(b"\x80\x06}.".into()), "protocol 6");
    assert_damaged(Pickle(b"\x80\x00}.".into()), "protocol 0");
}

#[test]
fn nesting_depth_is_limited() {
    let deep = Pickle::dictionary("x", |pickle| pickle.raw([b']'; 20_000]).raw([b'a'; 19_999]));
    assert_over_limit(deep, "containers within one another");
}

#[test]
fn a_container_that_contains_itself_is_an_error() {
    let list = Pickle::dictionary("x", |pickle| pickle.raw(b"]q\0h\0a"));
    assert_over_limit(list, "one that holds itself");
    let dictionary = Pickle::new().raw(b"}q\0").text("x").raw(b"h\0s.");
    assert_over_limit(dictionary, "one that holds itself");
}

#[test]
fn exponentially_shared_lists_are_an_error() {
    // 10^20 entries if each reference were visited.
    let bomb = Pickle::dictionary("x", |pickle| {
        (0..20)
            .fold(pickle.raw(b"]q\x000"), |pickle, level| {
                let mentions = [b'h', level].repeat(10);
                pickle
                    .raw(b"](")
                    .raw(mentions)
                    .raw([b'e', b'q', level + 1, b'0'])
            })
            .raw([b'h', 20])
    });
    assert_over_limit(bomb, "entries of containers");
}

#[test]
fn the_total_length_of_names_is_limited() {
    // 20000 references, with two bytes each, to a name of 1000 bytes.
    let saved = Pickle::new()
        .raw(b"}(")
        .text(&"n".repeat(1000))
        .raw(b"q\0N")
        .raw(b"h\0N".repeat(20_000))
        .raw(b"u.");
    let error = refused(&saved);
    assert!(error.to_string().contains("bytes of names"), "{error}");
    let long = Pickle::dictionary(&"n".repeat(2000), |pickle| pickle.raw(b"N"));
    assert!(
        refused(&long)
            .to_string()
            .contains("has a name of 2001 bytes"),
        "{}",
        refused(&long)
    );
}

#[test]
fn the_number_of_values_is_limited() {
    assert_over_limit(
        Pickle::new().raw([b'N'; 100_000]),
        "65537 values on the pickle's stack",
    );
    assert_over_limit(
        Pickle::new().raw([b'('; 100_000]),
        "65537 values on the pickle's stack",
    );
    assert_over_limit(
        Pickle::new().raw(b"N0".repeat(1_100_000)),
        "1000001 values in the pickle",
    );
}

#[test]
fn the_saved_object_must_be_a_dictionary() {
    let tensor = Pickle::new().tensor(&Tensor::default()).raw(b".");
    let storage = ("0", 6, floats(&[0.0; 6]));
    let error = refused_with(&tensor, &[storage]);
    assert_eq!(
        error.to_string(),
        "the file holds a tensor, not a dictionary of tensors"
    );
    assert!(matches!(
        refused(&Pickle::new().raw(b"]q\0h\0a.")),
        CheckpointError::NoDictionary { found } if found == "a list"
    ));
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let tensor = Tensor::default();
    let saved = Pickle::new()
        .raw(b"}(")
        .int(1)
        .tensor(&tensor)
        .text("1")
        .tensor(&tensor)
        .raw(b"u.");
    let error = refused_with(&saved, &[("0", 6, floats(&[0.0; 6]))]);
    assert_eq!(error.to_string(), "two tensors are called `1`");
}

#[test]
fn one_list_of_pairs_cannot_fill_many_dictionaries() {
    let list = Pickle::new()
        .raw(b"](")
        .raw(b"](NNe".repeat(20_000))
        .raw(b"eq\x010");
    let many = list
        .raw(b"ccollections\nOrderedDict\nh\x01\x85R0".repeat(60))
        .raw(b"}.");
    assert_over_limit(many, "pairs of dictionaries");
}

#[test]
fn a_call_with_many_arguments_is_not_copied() {
    let many = Pickle::new().raw(b"(").raw([b'N'; 20_000]).raw(b"tq\x010");
    let call = many.raw(b"ctorch\nSize\nh\x01R.");
    assert_damaged(call, "a call with 20000 arguments");
}
