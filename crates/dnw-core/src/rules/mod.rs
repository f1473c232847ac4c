//! The rules, one short file each.
//!
//! A further one is a file beside these and a line in [`ALL`]; no other rule is touched.

mod complete;
mod dnw;
mod no_update;
mod random;

pub use complete::complete;
pub use dnw::{dnw, dnw_shrinking};
pub use no_update::no_update;
pub use random::random;

use crate::Rule;

/// A rule's name, how it is made, and one line that says what it does.
pub type Named = (&'static str, fn() -> Rule, &'static str);

/// Every rule by its name, with one line that says what it does.
pub const ALL: &[Named] = &[
    (
        "dnw",
        dnw,
        "the k largest weights after every update; all edges learn (Wortsman et al. 2019)",
    ),
    (
        "dnw-shrinking",
        || dnw_shrinking(0.5),
        "dnw with a budget that shrinks from every edge over the first half of the run",
    ),
    ("random", random, "edges drawn once, fixed"),
    ("complete", complete, "every edge real"),
    (
        "no-update",
        no_update,
        "the k largest weights after every update; only real edges learn",
    ),
];

/// The rule called `name`.
pub fn by_name(name: &str) -> Option<Rule> {
    ALL.iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, make, _)| make())
}
