//! Every file of the corpus, and some thousand changed ones of each format, are read or refused without a panic or much memory.

use std::fs;
use std::path::Path;

use dnw_fuzz::{Format, Outcome, all, attempt, named};

#[path = "../../dnw-checkpoint/tests/checkpoint/live_memory.rs"]
mod live_memory;

use live_memory::most_during;

/// Cases of each format; reading a run takes milliseconds.
fn cases(format: &Format) -> u64 {
    match format.name {
        "checkpoint" => 40,
        "run" => 3_000,
        "jpeg" | "png" | "onnx" | "cifar-binary" | "cifar-python" | "cifar-archive" => 500,
        _ => 5_000,
    }
}

#[test]
fn changed_files_are_read_or_refused() {
    for format in all() {
        let seeds = (format.seeds)();
        let (mut read, mut refused) = (0, 0);
        for case in 0..cases(&format) {
            let bytes = format.case(17, case, &seeds);
            let (outcome, memory) = most_during(|| (format.read)(&bytes));
            let most = (format.most_memory)(bytes.len());
            assert!(
                memory <= most,
                "{} case {case}: {memory} of {most} bytes",
                format.name
            );
            match outcome {
                Outcome::Read => read += 1,
                Outcome::Refused => refused += 1,
            }
        }
        // Changes that are all refused at once, or never, reach nothing.
        let all = read + refused;
        assert!(
            read > all / 200 && refused > all / 200,
            "{}: {read} of {all} were read",
            format.name
        );
    }
}

#[test]
fn valid_files_are_read() {
    for format in all() {
        for (number, seed) in (format.seeds)().iter().enumerate() {
            assert_eq!(
                (format.read)(seed),
                Outcome::Read,
                "{} {number}",
                format.name
            );
        }
    }
}

#[test]
fn every_file_of_the_corpus_is_read_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut files = 0;
    for folder in fs::read_dir(corpus).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let format = named(&name).unwrap_or_else(|| panic!("no format is called {name}"));
        for file in fs::read_dir(folder.path()).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            let ((), memory) = most_during(|| attempt(&name, &bytes));
            assert!(
                memory <= 2 * (format.most_memory)(bytes.len()),
                "{name}: {memory} bytes"
            );
            files += 1;
        }
    }
    assert!(files > 0);
}
