//! Executing a compiled network allocates no memory. Alone in its program, because the allocator counts what all threads ask for.

#[path = "../../dnw-circuit/tests/circuits/random.rs"]
#[allow(dead_code)]
mod random;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use dnw_compiler::{Passes, compile};
use dnw_runtime::plan::Input;
use dnw_runtime::{Model, Session};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What [`Model::steps`] can name and these circuits have.
const OPERATIONS: [&str; 16] = [
    "padding",
    "sparse sums",
    "sparse sums, then depthwise",
    "sums of four targets",
    "sparse sums of four targets",
    "depthwise convolution",
    "sparse linear",
    "dense linear",
    "pool",
    "norm",
    "sum",
    "copy",
    "activation",
    "activation, in the step before",
    "product",
    "softmax",
];

#[test]
fn executing_any_step_on_one_or_two_threads_allocates_nothing() {
    let mut runner = TestRunner::deterministic();
    let mut executed = BTreeSet::new();
    let mut strips = Passes::default();
    strips.strips = true;
    for seed in 0..120 {
        let recipe = random::recipes().new_tree(&mut runner).unwrap().current();
        for passes in [Passes::default(), strips, Passes::none()] {
            let plan = compile(&recipe.circuit(), Input::default(), passes);
            let model = Model::new(plan).unwrap();
            executed.extend(model.steps().map(|(_, operation)| operation));
            let image = recipe.image(seed);
            let images = [image.clone(), image].concat();
            let mut output = vec![0.0; 2 * model.output_len()];
            for threads in [1, 2] {
                let mut session = Session::new(&model, threads).share_steps_from(0);
                // The first use of a lock or of the kernels may allocate.
                session.run(&images, &mut output).unwrap();
                let before = ALLOCATIONS.load(Ordering::SeqCst);
                session.run(&images, &mut output).unwrap();
                let after = ALLOCATIONS.load(Ordering::SeqCst);
                let steps: Vec<_> = model.steps().collect();
                assert_eq!(after - before, 0, "{threads} threads: {steps:?}");
            }
        }
    }
    let not_executed: Vec<_> = OPERATIONS
        .iter()
        .filter(|&o| !executed.contains(o))
        .collect();
    assert!(
        not_executed.is_empty(),
        "no circuit had {not_executed:?}, only {executed:?}"
    );
}
