//! Tests of the memory that each gradient keeps until the backward pass, in allocated bytes.
#![cfg(feature = "flex")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};
use dnw_ode::{Adaptive, Control, Gradient, Integrator, Solution, solvers};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), SeqCst) + layout.size();
        PEAK.fetch_max(live, SeqCst);
        // SAFETY: the caller guarantees a valid `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), SeqCst);
        // SAFETY: `pointer` came from `alloc`, so from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counters are global, so tests run one at a time.
static TURN: Mutex<()> = Mutex::new(());

const ENTRIES: usize = 1 << 16;
/// Bytes of a state.
const STATE: usize = 4 * ENTRIES;

fn field(_: f64, y: Tensor<1>, p: &[Tensor<1>]) -> Tensor<1> {
    (y.clone() * p[0].clone()).tanh() - y
}

/// Solves. Returns the solution, the memory it keeps and the peak of the backward pass, both in units of a state.
fn measured(gradient: Gradient, control: Control, until: f64) -> (Solution<1>, usize, usize) {
    let device = Device::flex().autodiff();
    let state = Tensor::<1>::ones([ENTRIES], &device).require_grad();
    let weight = Tensor::<1>::full([ENTRIES], 3.0, &device).require_grad();
    let before = LIVE.load(SeqCst);
    PEAK.store(before, SeqCst);
    let solution = Integrator::new(solvers::DOPRI5, control)
        .with_gradient(gradient)
        .solve_field(
            Arc::new(field),
            state.clone(),
            std::slice::from_ref(&weight),
            0.0,
            until,
        )
        .unwrap();
    let kept = LIVE.load(SeqCst) - before;
    let gradients = solution.state.clone().sum().backward();
    assert!(state.grad(&gradients).is_some() && weight.grad(&gradients).is_some());
    let peak = PEAK.load(SeqCst) - before;
    (solution, kept / STATE, peak / STATE)
}

#[test]
fn only_the_graph_through_the_solver_grows_with_the_evaluations() {
    let _turn = TURN.lock();
    let peak = |gradient, steps| measured(gradient, Control::Constant { steps }, 1.0).2;
    let growth = |gradient| {
        let (few, many) = (peak(gradient, 8), peak(gradient, 40));
        many.saturating_sub(few)
    };
    // 32 steps more, of six evaluations that each keep more than a state.
    assert!(growth(Gradient::Through) > 32 * 6);
    // One state each, up to rounding of allocations.
    assert!((32..64).contains(&growth(Gradient::Checkpointed)));
    assert!(growth(Gradient::Adjoint) <= 2);
}

#[test]
fn rejected_steps_keep_no_memory() {
    let _turn = TURN.lock();
    let constant = |steps| measured(Gradient::Through, Control::Constant { steps }, 1e-3).1;
    let per_step = (constant(8) - constant(2)) / 6;
    // All attempts are too long until one is short enough, so that only one step is accepted.
    let control = Control::Adaptive(Adaptive::new(1e-3, 1e-3).with_first_step(1e3));
    let (solution, kept, _) = measured(Gradient::Through, control, 1e-3);
    assert!(solution.rejected >= 4 && solution.accepted == 1);
    assert!(
        kept <= 2 * per_step,
        "{kept} states kept, {per_step} per step"
    );
}

#[test]
fn a_dropped_loss_frees_all_memory() {
    let _turn = TURN.lock();
    for gradient in [Gradient::Through, Gradient::Checkpointed, Gradient::Adjoint] {
        let run = || measured(gradient, Control::Constant { steps: 4 }, 1.0);
        drop(run());
        let before = LIVE.load(SeqCst);
        for _ in 0..5 {
            drop(run());
        }
        let left = LIVE.load(SeqCst).saturating_sub(before) / STATE;
        assert_eq!(left, 0, "{gradient:?}");
    }
}
