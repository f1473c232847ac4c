//! Memory of the process and the device.

use burn::tensor::Device;
use serde::Serialize;

/// Memory in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// Resident memory before the network is built: program, libraries, driver.
    pub program: Option<u64>,
    /// Peak resident memory during training; only on Linux.
    pub peak: Option<u64>,
    /// Memory reserved by the device's allocator after training. It never frees memory, so this is its peak. `None` if tensors are in the
    /// memory of the process.
    pub pool: Option<u64>,
}

impl Memory {
    /// Records the memory before the network is built.
    pub fn before() -> Self {
        Self {
            program: status("VmRSS:"),
            peak: None,
            pool: None,
        }
    }

    /// Resets the peak.
    pub fn begin() {
        // Linux resets the peak of a process this way; elsewhere the peak includes the setup.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }

    /// Records the peaks.
    pub fn end(&mut self, device: &Device) {
        self.peak = status("VmHWM:");
        self.pool = device.memory_pool_usage().map(|pool| pool.bytes_reserved);
    }
}

/// A line of Linux's status of this process, in bytes.
fn status(label: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with(label))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
