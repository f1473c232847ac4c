//! Tests of checkpoints: from PyTorch, malicious ones written by hand, and random ones.

#[path = "checkpoint/archives.rs"]
mod archives;
#[path = "checkpoint/by_hand.rs"]
mod by_hand;
#[path = "checkpoint/damage.rs"]
mod damage;
#[path = "checkpoint/hostile_pickles.rs"]
mod hostile_pickles;
#[path = "checkpoint/hostile_sizes.rs"]
mod hostile_sizes;
#[path = "checkpoint/kinds.rs"]
mod kinds;
#[path = "checkpoint/live_memory.rs"]
mod live_memory;
#[path = "checkpoint/masked.rs"]
mod masked;
#[path = "checkpoint/model_states.rs"]
mod model_states;
#[path = "checkpoint/objects.rs"]
mod objects;
#[path = "checkpoint/real_files.rs"]
mod real_files;
#[path = "checkpoint/round_trips.rs"]
mod round_trips;
#[path = "checkpoint/sparse.rs"]
mod sparse;
