//! A device's memory.

use cubecl::prelude::*;
use cubecl::server::Handle;

/// Numbers in a device's memory: so many from the handle's beginning on, without gaps.
#[derive(Clone, Debug)]
pub struct Buffer {
    handle: Handle,
    length: usize,
}

impl Buffer {
    /// Memory that holds at least `length` numbers of `bytes` bytes each.
    ///
    /// # Panics
    /// If it is smaller.
    pub fn new(handle: Handle, length: usize, bytes: usize) -> Self {
        let there = handle.size_in_used() as usize;
        assert!(
            length * bytes <= there,
            "{length} numbers of {bytes} bytes in a buffer of {there}"
        );
        Self { handle, length }
    }

    /// An uninitialised buffer of `length` 32-bit elements.
    pub fn uninitialised(client: &Client, length: usize) -> Self {
        Self::new(client.empty(4 * length.max(1)), length, 4)
    }

    /// These numbers.
    pub fn of(client: &Client, numbers: &[u32]) -> Self {
        let handle = match numbers {
            [] => client.empty(4),
            _ => client.create_from_slice(u32::as_bytes(numbers)),
        };
        Self::new(handle, numbers.len(), 4)
    }

    /// How many numbers there are.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The memory.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The numbers, read as 32-bit ones.
    pub fn read(&self, client: &Client) -> Vec<u32> {
        if self.length == 0 {
            return Vec::new();
        }
        let bytes = client.read_one_unchecked(self.handle.clone());
        u32::from_bytes(&bytes)[..self.length].to_vec()
    }

    /// For a kernel that reads vectors of so many numbers.
    pub(crate) fn arg(&self, lanes: usize) -> BufferArg {
        // SAFETY: `new` has seen that the memory holds `length` numbers.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length / lanes) }
    }
}

/// Units of a kernel that goes over a line of numbers.
pub(crate) const UNITS: u32 = 256;

/// As many groups of `UNITS` as it takes for so many units, in two dimensions where one has not enough.
pub(crate) fn groups(units: usize) -> CubeCount {
    const WIDEST: u32 = 32_768;
    let groups = u32::try_from(units.div_ceil(UNITS as usize)).expect("a device's memory ends");
    match groups {
        ..=WIDEST => CubeCount::Static(groups.max(1), 1, 1),
        _ => CubeCount::Static(WIDEST, groups.div_ceil(WIDEST), 1),
    }
}
