//! Device memory and launch sizes.

use cubecl::prelude::*;
use cubecl::server::Handle;

/// A contiguous array in device memory, at the beginning of a handle.
#[derive(Clone, Debug)]
pub struct Buffer {
    handle: Handle,
    length: usize,
}

impl Buffer {
    /// An array of `length` elements of `bytes` bytes each.
    ///
    /// # Panics
    /// If the memory of the handle is smaller.
    pub fn new(handle: Handle, length: usize, bytes: usize) -> Self {
        let available = handle.size_in_used() as usize;
        assert!(
            length * bytes <= available,
            "{length} elements of {bytes} bytes in a buffer of {available} bytes"
        );
        Self { handle, length }
    }

    /// An uninitialised buffer of `length` 32-bit elements.
    pub fn uninitialised(client: &Client, length: usize) -> Self {
        Self::new(client.empty(4 * length.max(1)), length, 4)
    }

    /// Copies 32-bit elements to the device.
    pub fn from_slice(client: &Client, elements: &[u32]) -> Self {
        let handle = match elements {
            [] => client.empty(4),
            _ => client.create_from_slice(u32::as_bytes(elements)),
        };
        Self::new(handle, elements.len(), 4)
    }

    /// The number of elements.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The memory's handle.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Copies the elements to the host, as 32-bit integers.
    pub fn read(&self, client: &Client) -> Vec<u32> {
        if self.length == 0 {
            return Vec::new();
        }
        let bytes = client.read_one_unchecked(self.handle.clone());
        u32::from_bytes(&bytes)[..self.length].to_vec()
    }

    /// [`read`](Self::read) of two buffers at once, so that the host waits for the GPU once.
    pub(crate) fn read_both(client: &Client, both: [&Self; 2]) -> [Vec<u32>; 2] {
        let handles = both.iter().map(|buffer| buffer.handle.clone()).collect();
        // As in `read`, a device that fails is a panic, which the training's guard catches.
        let found = client.read(handles).expect("a device that works");
        let of = |at: usize| u32::from_bytes(&found[at])[..both[at].length].to_vec();
        [of(0), of(1)]
    }

    /// The most elements of a vector, of which there is a whole number.
    pub(crate) fn lanes(&self) -> usize {
        match self.length {
            length if length.is_multiple_of(4) => 4,
            length if length.is_multiple_of(2) => 2,
            _ => 1,
        }
    }

    /// The kernel argument, as vectors of `lanes` elements.
    pub(crate) fn arg(&self, lanes: usize) -> BufferArg {
        // SAFETY: `new` checked that the memory holds `length` elements.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length / lanes) }
    }
}

/// Threads per workgroup of a one-dimensional kernel.
pub(crate) const WORKGROUP_SIZE: u32 = 256;

/// The number of workgroups for this many threads, in two dimensions if one dimension is too small.
pub(crate) fn workgroups(threads: usize) -> CubeCount {
    const MAX_PER_DIMENSION: u32 = 32_768;
    let count = u32::try_from(threads.div_ceil(WORKGROUP_SIZE as usize))
        .expect("32 bits count the workgroups");
    match count {
        ..=MAX_PER_DIMENSION => CubeCount::Static(count.max(1), 1, 1),
        _ => CubeCount::Static(MAX_PER_DIMENSION, count.div_ceil(MAX_PER_DIMENSION), 1),
    }
}
