//! `.pt` files: a pickle that describes the tensors, and their storages.
//!
//! The two formats differ in the location of these ([`archive`], [`legacy`]). The rest is the same: the tensors in the saved
//! dictionaries are listed ([`listing`]), each is checked against its storage ([`loaded`]), and then the elements are copied ([`tensors`]). Sparse tensors become dense ones and masks
//! ([`sparse`]).

mod archive;
mod legacy;
mod listing;
mod loaded;
mod sparse;
mod tensors;

pub use archive::read as read_archive;
pub use legacy::read as read_legacy;
