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

    /// Some of its 32-bit elements. A GPU takes parts that begin at a multiple of 256 bytes.
    pub(crate) fn part(&self, first: usize, length: usize) -> Self {
        let rest = self.handle.size_in_used() - 4 * (first + length) as u64;
        let handle = self.handle.clone().offset_start(4 * first as u64);
        Self::new(handle.offset_end(rest), length, 4)
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

    /// [`read`](Self::read) of the first elements of several buffers at once, so that the host waits for the GPU once. It does not wait for
    /// nothing.
    pub(crate) fn read_beginnings<'a>(
        client: &Client,
        parts: impl Iterator<Item = (&'a Self, usize)>,
    ) -> Vec<Vec<u32>> {
        let parts: Vec<_> = parts.collect();
        let filled = parts.iter().filter(|(_, length)| *length > 0);
        let handles: Vec<_> = filled
            .map(|(buffer, length)| buffer.part(0, *length).handle)
            .collect();
        let mut found = match handles.is_empty() {
            true => Vec::new(),
            // As in `read`, a device that fails is a panic, which the training's guard catches.
            false => client.read(handles).expect("a device that works"),
        }
        .into_iter();
        let lists = parts.iter().map(|&(_, length)| match length {
            0 => Vec::new(),
            _ => {
                let bytes = found.next().expect("one for each that is filled");
                u32::from_bytes(&bytes)[..length].to_vec()
            }
        });
        lists.collect()
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
