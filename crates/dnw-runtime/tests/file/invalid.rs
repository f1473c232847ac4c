//! Files with right checksums that a faulty or newer program wrote.

use dnw_runtime::file::{FileError, Precision, read, write};
use dnw_runtime::plan::*;

use crate::bytes::{File, Section, seal, varint};
use crate::live_memory::most_during;
use crate::networks;
use crate::round_trip::only;
use crate::sums;

const INPUT: usize = 0;
const NAMES: usize = 1;
const PLAN: usize = 2;
const WEIGHTS: usize = 3;

fn file() -> File {
    File::parse(&write(&networks::network(3), Precision::F32))
}

fn error(file: &[u8]) -> FileError {
    let (read, memory) = most_during(|| read(file));
    let error = read.expect_err("the file is wrong");
    assert!(memory < 1 << 20, "{memory} bytes were allocated: {error}");
    let sentence = error.to_string();
    assert!(!sentence.contains('\n') && !sentence.ends_with('.'));
    error
}

/// The error of a file with other bytes in a section.
fn error_of_section(plan: &Plan, section: usize, bytes: Vec<u8>) -> FileError {
    let mut file = File::parse(&write(plan, Precision::F32));
    file.sections[section].bytes = bytes;
    error(&file.assemble())
}

#[test]
fn a_newer_major_version_is_refused() {
    let mut newer = file();
    newer.version = [2, 0];
    let error = error(&newer.assemble());
    assert!(matches!(error, FileError::Newer { found: [2, 0], .. }));
    assert!(error.to_string().contains("update the program"));
    // Whatever follows: another major version may have another header.
    let mut bytes = newer.assemble();
    bytes.truncate(40);
    assert!(matches!(self::error(&bytes), FileError::Newer { .. }));
}

#[test]
fn a_newer_minor_version_is_read_as_far_as_its_sections_allow() {
    let plan = networks::network(3);
    let further = |kind, flags| Section {
        kind,
        flags,
        bytes: b"something new".to_vec(),
    };
    let mut newer = file();
    newer.version = [1, 9];
    assert_eq!(read(&newer.assemble()), Ok(plan.clone()));
    newer.sections.push(further(5, 1));
    newer.sections.push(further(77, 1));
    assert_eq!(read(&newer.assemble()), Ok(plan));
    newer.sections.push(further(78, 0));
    let required = error(&newer.assemble());
    assert!(matches!(required, FileError::Newer { found: [1, 9], .. }));
    newer.version = [1, 0];
    assert!(matches!(error(&newer.assemble()), FileError::Table { .. }));
}

#[test]
fn a_flipped_bit_in_a_skipped_section_is_found_too() {
    let mut newer = file();
    newer.sections.push(Section {
        kind: 9,
        flags: 1,
        bytes: vec![0; 16],
    });
    let mut bytes = newer.assemble();
    *bytes.last_mut().unwrap() = 1;
    assert!(matches!(error(&bytes), FileError::Damaged { part } if part.contains('9')));
}

#[test]
fn an_operation_of_a_newer_version_is_told_from_one_that_cannot_be() {
    let plan = only(Op::Add(AddMaps {
        from: vec![],
        to: Maps::default(),
        relu: false,
    }));
    let mut changed = File::parse(&write(&plan, Precision::F32));
    // No term, no maps, no ReLU: the operation is seven bytes before the end.
    let bytes = &mut changed.sections[PLAN].bytes;
    let at = bytes.len() - 8;
    assert_eq!(bytes[at], 7);
    bytes[at] = 200;
    let invalid = error(&changed.assemble());
    assert!(invalid.to_string().contains("operation 200 does not exist"));
    changed.version = [1, 99];
    assert!(matches!(
        error(&changed.assemble()),
        FileError::Newer { .. }
    ));
}

#[test]
fn a_table_that_contradicts_itself_is_refused() {
    let whole = file();
    let table = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.assemble();
        change(&mut bytes);
        seal(&mut bytes);
        error(&bytes).to_string()
    };
    let entry = |i: usize| 24 + 32 * i;
    // Offset of the plan: one byte earlier, later, far away.
    assert!(table(&|bytes| bytes[entry(PLAN) + 8] -= 1).contains("overlap"));
    assert!(table(&|bytes| bytes[entry(PLAN) + 8] += 1).contains("overlap"));
    assert!(table(&|bytes| bytes[entry(PLAN) + 15] = 0xff).contains("overlap"));
    // Lengths.
    assert!(table(&|bytes| bytes[entry(WEIGHTS) + 16] -= 1).contains("damaged"));
    assert!(table(&|bytes| bytes[entry(WEIGHTS) + 16] += 1).contains("behind the file"));
    assert!(table(&|bytes| bytes[entry(INPUT) + 23] = 0xff).contains("behind the file"));
    // Kinds.
    assert!(table(&|bytes| bytes[entry(NAMES)] = 1).contains("order"));
    assert!(table(&|bytes| bytes[entry(INPUT)] = 0).contains("order"));
    // The number of sections.
    assert!(table(&|bytes| bytes[12..16].fill(0xff)).contains("header"));
}

#[test]
fn each_section_must_be_there_and_end_where_its_content_does() {
    let whole = file();
    for section in [INPUT, NAMES, PLAN, WEIGHTS] {
        let mut without = whole.clone();
        let removed = without.sections.remove(section);
        let missing = error(&without.assemble()).to_string();
        assert!(missing.contains("is missing"), "{missing}");

        let mut longer = whole.clone();
        longer.sections[section].bytes.push(0x80);
        assert!(matches!(
            error(&longer.assemble()),
            FileError::Invalid { .. }
        ));

        for length in 0..removed.bytes.len() {
            let mut shorter = whole.clone();
            shorter.sections[section].bytes.truncate(length);
            error(&shorter.assemble());
        }
    }
}

#[test]
fn sections_in_another_order_are_refused() {
    let mut swapped = file();
    swapped.sections.swap(INPUT, NAMES);
    assert!(error(&swapped.assemble()).to_string().contains("order"));
}

#[test]
fn counts_that_promise_terabytes_are_refused_before_anything_is_allocated() {
    let huge = varint(1 << 40);
    let plan = only(Op::Copy(CopyPixels {
        to: Maps::default(),
        pieces: vec![],
    }));
    let valid = File::parse(&write(&plan, Precision::F32));
    // The arena; image and output of five numbers each; constants; steps; a step; four empty lists.
    let bytes = &valid.sections[PLAN].bytes;
    let step = 11 + 1 + 1;
    assert_eq!(bytes.len(), step + 3 + 5 + 4);
    for at in [0, 1, 11, 12, 13, 16, 21, 22] {
        let mut changed = bytes.clone();
        changed.splice(at..=at, huge.clone());
        error_of_section(&plan, PLAN, changed);
    }
    // A name, and the length of the numbers in the description of the input.
    error_of_section(&plan, NAMES, huge.clone());
    error_of_section(&plan, INPUT, huge.clone());
    error_of_section(&plan, WEIGHTS, huge);
    // A number of more than 64 bits, and one with a byte that adds nothing.
    error_of_section(&plan, NAMES, vec![0xff; 10]);
    error_of_section(&plan, NAMES, vec![0x80, 0]);
}

#[test]
fn runs_of_more_numbers_than_any_network_has_are_refused() {
    let plan = only(Op::Sums(sums::empty_sums()));
    let valid = File::parse(&write(&plan, Precision::F32));
    let bytes = &valid.sections[PLAN].bytes;
    // The step's names and tag; the block; no starts; no terms; then the rows.
    let rows = 13 + 3 + 1 + 1 + 1;
    assert_eq!(bytes[rows], 0);
    let count = (1 << 24) + 1;
    let run = [varint(count), varint(1), varint(count), varint(0)].concat();
    let mut changed = bytes.clone();
    changed.splice(rows..=rows, run);
    let error = error_of_section(&plan, PLAN, changed);
    assert!(error.to_string().contains("at most 16777216"), "{error}");
}

#[test]
fn a_name_that_many_steps_share_is_refused_where_it_would_fill_the_memory() {
    let step = Step {
        layer: "a".repeat(1 << 18),
        reason: String::new(),
        op: Op::Add(AddMaps {
            from: vec![],
            to: Maps::default(),
            relu: false,
        }),
    };
    let mut plan = only(step.op.clone());
    plan.steps = vec![step; 65];
    let file = write(&plan, Precision::F32);
    assert!(file.len() < 1 << 19);
    let error = read(&file).unwrap_err();
    assert!(matches!(
        error,
        FileError::Limit {
            what: "bytes of names",
            ..
        }
    ));
}

#[test]
fn more_terms_than_weights_are_refused() {
    let plan = only(Op::Sums(Sums {
        starts: vec![0, 2],
        terms: vec![0, 0],
        weights: vec![1.0],
        bias: vec![0.0],
        ..sums::empty_sums()
    }));
    let error = error(&write(&plan, Precision::F32)).to_string();
    assert!(
        error.contains("2 elements cannot be here, at most 1 can"),
        "{error}"
    );
}

#[test]
fn a_weight_that_is_not_finite_names_its_layer() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for precision in [Precision::F32, Precision::F16, Precision::Int8] {
            let mut plan = only(Op::Linear(Linear {
                from: Maps::default(),
                to: Maps::default(),
                edges: None,
                weights: vec![1.0, 2.0, value, 3.0, 4.0, 5.0],
                bias: vec![0.0],
                relu: false,
            }));
            plan.steps[0].layer = "head.fc".to_owned();
            let error = error(&write(&plan, precision)).to_string();
            assert!(
                error.starts_with("layer `head.fc` has the weight"),
                "{error}"
            );
            assert!(error.contains("diverged"));
        }
    }
}

#[test]
fn any_other_number_that_is_not_finite_is_refused_too() {
    let norm = |scale, epsilon| {
        only(Op::Norm(NormMaps {
            from: Maps::default(),
            to: Maps::default(),
            epsilon,
            scale: vec![scale],
            shift: vec![0.0],
            relu: false,
        }))
    };
    let mut mean = norm(1.0, None);
    mean.input.mean = vec![f32::NAN];
    let mut constant = norm(1.0, None);
    constant.constants.push(Constant {
        maps: Maps::default(),
        values: vec![f32::INFINITY],
    });
    let plans = [
        (norm(f32::NAN, None), "layer"),
        (norm(1.0, Some(f32::NAN)), "layer"),
        (mean, "the description of the input"),
        (constant, "a constant"),
    ];
    for (plan, place) in plans {
        let error = error(&write(&plan, Precision::F32)).to_string();
        assert!(error.starts_with(place), "{error}");
    }
}
