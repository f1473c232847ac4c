//! How much memory the process and the device hold.

use burn::tensor::Device;
use serde::Serialize;

/// Bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// Resident in the process before its network was made: program, libraries, driver.
    pub program: Option<u64>,
    /// The most that was resident in the process while it trained, of which the system tells on Linux alone.
    pub peak: Option<u64>,
    /// What the device's allocator had reserved after training; it gives nothing back by itself, so that is the most it needed. None
    /// where tensors lie in the process's own memory.
    pub pool: Option<u64>,
}

impl Memory {
    /// Before a network is made.
    pub fn before() -> Self {
        Self {
            program: status("VmRSS:"),
            peak: None,
            pool: None,
        }
    }

    /// Forgets the peaks of what was done to get ready.
    pub fn begin() {
        // The kernel's way to reset the peak of a process; where there is none, the peak includes getting ready.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }

    /// Notes the peaks since.
    pub fn end(&mut self, device: &Device) {
        self.peak = status("VmHWM:");
        self.pool = device.memory_pool_usage().map(|pool| pool.bytes_reserved);
    }
}

/// A line of what Linux says about this process, in bytes.
fn status(label: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with(label))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
