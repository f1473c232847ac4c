//! What each gradient keeps until the backward pass, in bytes as the allocator sees them.
#![cfg(feature = "flex")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};
use dnw_ode::{Adaptive, Control, Gradient, Integrator, Solution, solvers};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), SeqCst) + layout.size();
        PEAK.fetch_max(live, SeqCst);
        // SAFETY: the caller's promise about `layout` is the one asked for.
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

/// The counters are the process', so one test at a time.
static TURN: Mutex<()> = Mutex::new(());

const ENTRIES: usize = 1 << 16;
/// Bytes of a state.
const STATE: usize = 4 * ENTRIES;

fn field(_: f64, y: Tensor<1>, p: &[Tensor<1>]) -> Tensor<1> {
    (y.clone() * p[0].clone()).tanh() - y
}

/// Solves; gives the solution and what it keeps, and then the peak of the backward pass, both in states.
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
    // A state each, give or take the allocation's rounding.
    assert!((32..64).contains(&growth(Gradient::Checkpointed)));
    assert!(growth(Gradient::Adjoint) <= 2);
}

#[test]
fn rejected_steps_keep_no_memory() {
    let _turn = TURN.lock();
    let constant = |steps| measured(Gradient::Through, Control::Constant { steps }, 1e-3).1;
    let per_step = (constant(8) - constant(2)) / 6;
    // Every attempt is far beyond the end until one is short enough, so that one alone is accepted.
    let control = Control::Adaptive(Adaptive::new(1e-3, 1e-3).with_first_step(1e3));
    let (solution, kept, _) = measured(Gradient::Through, control, 1e-3);
    assert!(solution.rejected >= 4 && solution.accepted == 1);
    assert!(
        kept <= 2 * per_step,
        "{kept} states kept, {per_step} a step"
    );
}

#[test]
fn a_loss_that_is_dropped_leaves_nothing_behind() {
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
