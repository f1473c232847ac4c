//! How much memory a loader holds on to, in a process of its own because it counts all of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dnw_data::{self as data, Loader};

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

const MIB: usize = 1 << 20;

#[test]
fn a_folder_larger_than_what_lies_ready_is_never_held_as_a_whole() {
    const IMAGES: usize = 600;
    let root = tempfile::tempdir().unwrap();
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 90)
        .encode(&[90; 3 * 64 * 48], 64, 48, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    for (part, images) in [("train", IMAGES), ("val", 2)] {
        for index in 0..images {
            let class = root.path().join(part).join(["a", "b"][index % 2]);
            fs::create_dir_all(&class).unwrap();
            fs::write(class.join(format!("{index}.jpg")), &jpeg).unwrap();
        }
    }
    let set = data::open("imagenet", Some(root.path())).unwrap();
    let image = 4 * 3 * 224 * 224;
    let batch = 32;
    let loader = Loader::train(&set, batch).unwrap().with_threads(2);

    let before = LIVE.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    let mut images = 0;
    for batch in loader.epoch(0, 0, 0).unwrap() {
        if images == 0 {
            // The threads get as far ahead as they may.
            std::thread::sleep(Duration::from_millis(300));
        }
        images += batch.unwrap().len();
    }
    assert_eq!(images, IMAGES);
    let held = PEAK.load(Ordering::SeqCst) - before;
    // Two threads with three pieces of 8 MiB each, the batch in pieces and as a whole.
    let most = 2 * 3 * 8 * MIB + 2 * batch * image + 16 * MIB;
    assert!(held < most, "{} MiB of {}", held / MIB, most / MIB);
    assert!(IMAGES * image > 3 * most, "all images would be far more");
}
