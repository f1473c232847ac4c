//! Reads damaged model files, and executes those that are still models.
//!
//! ```sh
//! cargo run -p dnw-runtime --example fuzz_file -- --cases 1000000
//! ```
//!
//! Each case is a valid file with random changes, whose checksums are right again. Reading it must not panic, and must not allocate more than the
//! reader states. If a plan comes out, `Model` must accept or refuse it, and a model of moderate size is executed. The cases depend on `--seed`
//! alone; a panic names the case, and `--case N` repeats it.

use std::error::Error;

use dnw_runtime::Model;
use dnw_runtime::file::{self, BESIDES, PER_BYTE};

#[path = "../tests/file/bytes.rs"]
mod bytes;
#[path = "../tests/file/fuzzing.rs"]
mod fuzzing;
#[path = "../../dnw-checkpoint/tests/checkpoint/live_memory.rs"]
mod live_memory;
#[path = "../tests/file/mutation.rs"]
mod mutation;
#[path = "../tests/file/networks.rs"]
mod networks;
#[path = "../tests/file/plans.rs"]
mod plans;
#[path = "../tests/file/random.rs"]
mod random;

use fuzzing::{execute, try_cases};
use live_memory::most_during;
use random::Random;

/// Cases that share a valid file.
const PER_FILE: u64 = 64;

/// Models with more feature maps are not executed: a file may ask for gigabytes of them.
const EXECUTED: usize = 1 << 24;

#[derive(Default)]
struct Seen {
    refused: u64,
    no_models: u64,
    models: u64,
    executed: u64,
    most_memory: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut seen = Seen::default();
    let mut files = (u64::MAX, Vec::new(), Vec::new());
    try_cases(100_000, |seed, case| {
        if files.0 != case / PER_FILE {
            let random = &mut Random(seed ^ (case / PER_FILE) << 32);
            let mut file = || mutation::valid_file(random);
            files = (case / PER_FILE, file(), file());
        }
        let random = &mut Random(seed ^ case << 20 ^ 0x5eed);
        try_file(&mutation::changed(random, &files.1, &files.2), &mut seen);
    })?;
    println!(
        "{} refused, {} read but no models, {} models ({} executed); most memory: {} bytes",
        seen.refused, seen.no_models, seen.models, seen.executed, seen.most_memory
    );
    Ok(())
}

fn try_file(bytes: &[u8], seen: &mut Seen) {
    let (read, memory) = most_during(|| file::read(bytes));
    assert!(
        memory <= PER_BYTE * bytes.len() + BESIDES,
        "reading {} bytes allocated {memory}",
        bytes.len()
    );
    seen.most_memory = seen.most_memory.max(memory);
    let Ok(plan) = read else {
        seen.refused += 1;
        return;
    };
    let Ok(model) = Model::new(plan) else {
        seen.no_models += 1;
        return;
    };
    seen.models += 1;
    let numbers = model.image_len().max(model.output_len());
    if model.session_bytes() > EXECUTED || numbers > EXECUTED {
        return;
    }
    seen.executed += 1;
    execute(&model);
}
