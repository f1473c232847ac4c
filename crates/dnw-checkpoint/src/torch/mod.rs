//! `.pt` files: a pickle that lists the tensors, and the storages that it mentions.
//!
//! The two formats differ in where these lie ([`archive`], [`legacy`]). What is done with them is the same: the tensors in
//! the saved dictionaries are listed ([`listing`]), each is checked against its storage, and then the elements are copied
//! ([`tensors`]).

mod archive;
mod legacy;
mod listing;
mod tensors;

pub use archive::read as read_archive;
pub use legacy::read as read_legacy;
