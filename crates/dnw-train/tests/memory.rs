//! What training holds in memory beside what [`dnw_train::scaling`] says, in a process of its own because it counts all of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::ModuleDisplay;
use burn::tensor::Device;
use dnw_models::{Classifier, UseModel};
use dnw_train::counting::cost;
use dnw_train::data::{DataSet, Images};
use dnw_train::recipe::Recipe;
use dnw_train::scaling::{Memory, Products};
use dnw_train::training::Training;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing. The provided
// `realloc` and `alloc_zeroed` are made of these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        PEAK.fetch_max(live, Ordering::SeqCst);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: `pointer` came from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The most bytes that two updates hold beside what there was before the network was made.
struct Train<'a> {
    recipe: &'a Recipe,
    data: &'a DataSet,
    device: &'a Device,
}

impl UseModel for Train<'_> {
    type Output = usize;

    fn with<M: Classifier + ModuleDisplay + 'static>(self, model: M) -> usize {
        let mut training =
            Training::begin(model, self.recipe, self.data, self.device).expect("it fits");
        let batch = training.batches().expect("there are some").next();
        let batch = batch.expect("there is one").expect("it is sound");
        PEAK.store(LIVE.load(Ordering::SeqCst), Ordering::SeqCst);
        for _ in 0..2 {
            training.step(&batch).expect("it trains");
        }
        PEAK.load(Ordering::SeqCst)
    }
}

/// Bytes measured and predicted.
fn memory(recipe: &str, image: [usize; 3], classes: usize, batch: usize) -> (f64, f64) {
    let changes = [format!("batch={batch}"), "wiring.rule=dnw".to_owned()];
    let recipe = Recipe::named(recipe, &changes).expect("there is one");
    let pixels = vec![7; batch * image.iter().product::<usize>()];
    let labels = (0..batch).map(|i| (i % classes) as u16).collect();
    let images = Images::new(image, pixels, labels).expect("they are sound");
    let names = (0..classes).map(|class| class.to_string()).collect();
    let statistics = (vec![0.5; image[0]], vec![0.3; image[0]]);
    let data = DataSet::new("flat", names, images.clone(), images, statistics);
    let data = data.expect("it is sound");
    let device = Device::flex().autodiff();
    let before = LIVE.load(Ordering::SeqCst);
    let train = Train {
        recipe: &recipe,
        data: &data,
        device: &device,
    };
    let peak = recipe.model.build(image, classes, &device, train);
    let measured = peak.expect("it can be built") - before;
    let cost = cost(&recipe, image, classes, None, &Device::flex()).expect("it can be counted");
    let predicted = Memory::of(&cost, batch, Products::OfRealEdges).peak(true);
    println!(
        "{}, batch {batch}: {:.1} MB measured, {:.1} MB predicted; {:?}",
        recipe.name,
        measured as f64 / 1e6,
        predicted as f64 / 1e6,
        Memory::of(&cost, batch, Products::OfRealEdges)
    );
    (measured as f64, predicted as f64)
}

#[test]
fn memory_is_predicted_within_a_third() {
    let small = [3, 32, 32];
    let cases = [
        ("mnist", [1, 28, 28], 10, 64),
        ("cifar10-tiny-static-dnw", small, 10, 8),
        ("cifar10-tiny-static-dnw", small, 10, 64),
        ("cifar10-tiny-discrete-dnw", small, 10, 32),
        ("cifar10-mobilenet-dnw-x0.225", small, 10, 2),
    ];
    let far: Vec<_> = cases
        .into_iter()
        .filter(|&(recipe, image, classes, batch)| {
            let (measured, predicted) = memory(recipe, image, classes, batch);
            !(0.75..4.0 / 3.0).contains(&(predicted / measured))
        })
        .collect();
    assert!(far.is_empty(), "{far:?}");
}
