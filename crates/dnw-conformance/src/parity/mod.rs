//! The published models against recorded runs of an independent PyTorch implementation.
//!
//! A record holds the weights before the first step, a few batches, and the results of the other program: logits, all gradients of the first
//! step, the loss of each step, the weights after the last. Logits and gradients must agree within 1e-4 absolute plus 1e-3 relative (ten
//! times that where an equation is solved), losses within 1e-3 relative.

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
