//! The published models against recorded runs of an independent PyTorch implementation.
//!
//! A record holds the weights before the first step, a few batches, and what the other program made of them: logits, every
//! gradient of the first step, the loss of each step, the weights after the last. Agreement is asked for
//! within 1e-4 absolute and 1e-3 relative for logits and gradients (ten times that where an equation is solved) and 1e-3
//! relative for losses.

mod mobilenet;
mod record;
mod resnet;
mod run;
mod tiny;

use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    let networks = [tiny::cases(), mobilenet::cases(), resnet::cases()];
    networks.into_iter().flatten().collect()
}
