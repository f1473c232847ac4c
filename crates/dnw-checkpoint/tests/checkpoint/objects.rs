//! Tests of values that are no tensors: they are listed and do not matter, unless the model needs them.

use dnw_checkpoint::{Checkpoint, Reason};

use crate::by_hand::{Pickle, Tensor, archive, floats, legacy};

/// Reads a dictionary with a tensor under `weight` and `value` under `x`, in both formats.
fn beside(value: impl Fn(Pickle) -> Pickle) -> Checkpoint {
    let saved = Pickle::new().raw(b"}").text("weight");
    let saved = saved.tensor(&Tensor::default()).raw(b"s").text("x");
    let saved = value(saved).raw(b"s.");
    let storages = [("0", 6, floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))];
    let checkpoint = dnw_checkpoint::parse(&archive(&saved, &storages)).unwrap();
    let before = dnw_checkpoint::parse(&legacy(&saved, &storages)).unwrap();
    assert_eq!(checkpoint, before);
    checkpoint
}

/// Reads such a dictionary, sees that the tensor is there, and gives what `x` was skipped as.
#[track_caller]
fn skipped_as(value: impl Fn(Pickle) -> Pickle) -> String {
    let checkpoint = beside(value);
    let [section] = &checkpoint.sections[..] else {
        panic!("{checkpoint:?}");
    };
    assert_eq!(section.tensors.len(), 1);
    assert_eq!(section.tensors[0].data, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let [skipped] = &checkpoint.skipped[..] else {
        panic!("{checkpoint:?}");
    };
    assert_eq!(skipped.name, "x");
    let Reason::Plain(kind) = &skipped.reason else {
        panic!("{skipped:?}");
    };
    kind.to_string()
}

/// `numpy.dtype('f8', False, True)` with its state, as pickles have it.
fn dtype(pickle: Pickle) -> Pickle {
    pickle
        .global("numpy", "dtype")
        .text("f8")
        .raw(b"\x89\x88\x87R(K\x03")
        .text("<")
        .raw(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")
}

#[test]
fn numpy_values_are_skipped() {
    for module in ["numpy.core.multiarray", "numpy._core.multiarray"] {
        let scalar = skipped_as(|pickle| {
            let bytes = pickle.global(module, "scalar");
            let bytes = dtype(bytes).global("_codecs", "encode");
            bytes.text("abcdefgh").text("latin1").raw(b"\x86R\x86R")
        });
        assert_eq!(scalar, format!("an object of `{module}.scalar`"));
        let array = skipped_as(|pickle| {
            let made = pickle.global(module, "_reconstruct");
            let made = made.global("numpy", "ndarray").raw(b"K\x00\x85C\x01b\x87R");
            dtype(made.raw(b"(K\x01K\x01\x85")).raw(b"\x89C\x08abcdefghtb")
        });
        assert_eq!(array, format!("an object of `{module}._reconstruct`"));
    }
}

#[test]
fn objects_of_other_classes_are_skipped_whatever_makes_them() {
    let called = skipped_as(|p| {
        p.global("posix", "system")
            .text("touch owned")
            .raw(b"\x85R")
    });
    assert_eq!(called, "an object of `posix.system`");
    let new = skipped_as(|p| p.global("argparse", "Namespace").raw(b")\x81}b"));
    assert_eq!(new, "an object of `argparse.Namespace`");
    let keywords = skipped_as(|p| p.global("train", "Options").raw(b")}\x92(NNtb"));
    assert_eq!(keywords, "an object of `train.Options`");
    let by_stack = skipped_as(|p| p.text("pathlib").text("PosixPath").raw(b"\x93)R"));
    assert_eq!(by_stack, "an object of `pathlib.PosixPath`");
    let filled = skipped_as(|p| p.global("train", "Meters").raw(b")\x81(NNu(NNe"));
    assert_eq!(filled, "an object of `train.Meters`");
    let name = skipped_as(|p| p.global("torch", "float32x"));
    assert_eq!(name, "the name `torch.float32x`");
    assert_eq!(skipped_as(|p| p.raw(b"\x8f(K\x01K\x02\x90")), "a set");
    assert_eq!(skipped_as(|p| p.raw(b"(K\x01\x91")), "a set");
    assert_eq!(skipped_as(|p| p.raw(b"\x96\x02\0\0\0\0\0\0\0ab")), "bytes");
    let default = |p: Pickle| p.global("collections", "defaultdict");
    let default = |p| {
        default(p)
            .global("__builtin__", "list")
            .raw(b"\x85RK\x01Ns")
    };
    assert_eq!(skipped_as(default), "a dictionary");
}

#[test]
fn an_object_that_holds_tensors_is_opaque_too() {
    let module = |p: Pickle| p.global("net", "Net").raw(b")\x81}").text("weight");
    let kind = skipped_as(|p| module(p).tensor(&Tensor::default()).raw(b"sb"));
    assert_eq!(kind, "an object of `net.Net`");
    let quantized = skipped_as(|p| {
        let p = p.global("torch._utils", "_rebuild_qtensor");
        p.raw(b"(").storage("QInt8Storage", "7", 4).raw(b"K\x00tR")
    });
    assert_eq!(quantized, "an object of `torch._utils._rebuild_qtensor`");
}

#[test]
fn parameters_and_tensors_with_attributes_are_tensors() {
    let attributes = |p: Pickle| p.raw(b"}").text("is_norm").raw(b"\x88s");
    let hooks = |p: Pickle| {
        p.raw(b"\x88")
            .global("collections", "OrderedDict")
            .raw(b")R")
    };
    let parameter = beside(|p| {
        let p = p
            .global("torch._utils", "_rebuild_parameter_with_state")
            .raw(b"(");
        attributes(hooks(p.tensor(&Tensor::default()))).raw(b"tR")
    });
    let from_type = beside(|p| {
        let p = p.global("torch._tensor", "_rebuild_from_type_v2").raw(b"(");
        let p = p.global("torch._utils", "_rebuild_tensor_v2");
        let p = p.global("torch", "Tensor").raw(b"(");
        let p = p
            .storage("FloatStorage", "0", 6)
            .int(0)
            .ints(&[2, 3])
            .ints(&[3, 1]);
        attributes(hooks(p).raw(b"t")).raw(b"tR")
    });
    for checkpoint in [parameter, from_type] {
        let tensors = &checkpoint.sections[0].tensors;
        assert_eq!(tensors[1].name, "x");
        assert_eq!(tensors[1].data, tensors[0].data);
        assert_eq!(checkpoint.skipped, []);
    }
}

#[test]
fn an_ordered_dictionary_of_pairs_is_read() {
    let tensors = beside(|p| {
        let p = p
            .global("collections", "OrderedDict")
            .raw(b"(](](")
            .text("fc");
        p.tensor(&Tensor::default()).raw(b"ee").raw(b"tR")
    });
    let paths: Vec<&str> = tensors.sections.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(paths, ["", "x"]);
    assert_eq!(tensors.sections[1].tensors[0].name, "fc");
}
