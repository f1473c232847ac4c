//! What a file may ask for, whatever its size.
//!
//! Most counts are bounded by the bytes that are left: each element takes some. A few bytes can stand for many numbers only in runs and in names
//! that many steps share; these have fixed limits. [`PER_BYTE`] and [`BESIDES`] follow from all of them.

/// Numbers of the arena, and so the largest size and offset.
pub(super) const ARENA: u64 = 1 << 31;

/// Steps of a network; also its constants, and the terms of an addition.
pub(super) const STEPS: u64 = 1 << 16;

/// Names of classes.
pub(super) const CLASSES: u64 = 1 << 18;

/// Numbers that are stored as runs, in the whole file.
pub(super) const RUNS: u64 = 1 << 24;

/// Bytes of layers and reasons, each counted as often as a step has it.
pub(super) const TEXT: u64 = 1 << 24;

/// Layers and reasons.
pub(super) const NAMES: u64 = 1 << 17;

/// Sections of a file.
pub(super) const SECTIONS: u32 = 64;

/// What reading allocates at most for each byte of a file. Weights of one byte become four, and each has the index of its source, of four bytes
/// too; other elements take less.
pub const PER_BYTE: usize = 12;

/// What reading allocates at most besides, whatever the file's size: mostly the numbers of runs, which pieces hold twice.
pub const BESIDES: usize = 256 << 20;
