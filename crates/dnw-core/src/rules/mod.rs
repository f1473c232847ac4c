//! The rules, one short file each.
//!
//! A new rule is one file here and one entry in [`ALL`].

mod ac_dc;
mod complete;
mod dnw;
mod feather;
mod gradual;
mod l1_anneal;
mod no_update;
mod random;
mod rigl;
mod set;
mod settings;
mod sparse_momentum;
mod st3;
mod str_learned;
mod targeted_dropout;
mod two_phases;

pub use ac_dc::ac_dc;
pub use complete::complete;
pub use dnw::{dnw, dnw_scaled, dnw_shrinking};
pub use feather::feather;
pub use gradual::gradual_pruning;
pub use l1_anneal::l1_anneal;
pub use no_update::no_update;
pub use random::{random, static_erk};
pub use rigl::rigl;
pub use set::set;
pub use settings::{SettingError, Settings};
pub use sparse_momentum::sparse_momentum;
pub use st3::{st3, st3_normalised};
pub use str_learned::str_learned;
pub use targeted_dropout::{targeted_dropout, targeted_dropout_per_output};
pub use two_phases::{fine_tune, lottery_ticket};

use crate::Rule;
use crate::schedule::Phases;

/// A rule with a name.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Named {
    /// The name.
    pub name: &'static str,
    /// The source.
    pub paper: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// The names of the [`Settings`] that it reads.
    pub settings: &'static [&'static str],
    make: fn(&Settings) -> Rule,
}

impl Named {
    /// The rule with these settings.
    ///
    /// # Errors
    /// [`SettingError`] if a setting is not read by the rule, or out of its range.
    pub fn rule(&self, settings: &Settings) -> Result<Rule, SettingError> {
        settings.check(self.name, self.settings)?;
        Ok((self.make)(settings))
    }
}

const EXCHANGE: &[&str] = &["every", "turnover", "until"];
const DROPOUT: &[&str] = &["drop-probability", "rises-over"];

/// The settings of exchange rules: updates between exchanges, exchanged share, end of the exchange; by
/// default those of Evci et al. (2020, appendix).
fn exchange(settings: &Settings) -> (u64, f64, f64) {
    (
        settings.every.unwrap_or(100),
        settings.turnover.unwrap_or(0.3),
        settings.until.unwrap_or(0.75),
    )
}

/// The drop probability, and the share of the run over which it rises.
fn dropout(settings: &Settings) -> (f64, f64) {
    (
        settings.drop_probability.unwrap_or(0.95),
        settings.rises_over.unwrap_or(0.0),
    )
}

/// Every rule by its name.
pub const ALL: &[Named] = &[
    Named {
        name: "dnw",
        paper: "Wortsman et al. 2019",
        about: "the k largest weights after every update; all edges learn",
        settings: &[],
        make: |_| dnw(),
    },
    Named {
        name: "dnw-shrinking",
        paper: "this project",
        about: "dnw with a budget that shrinks from every edge over the first half of the run",
        settings: &["until"],
        make: |settings| dnw_shrinking(settings.until.unwrap_or(0.5)),
    },
    Named {
        name: "dnw-scaled",
        paper: "after Glandorf et al. 2023",
        about: "dnw in which hallucinated edges learn at half the rate",
        settings: &["hallucinated-gradient"],
        make: |settings| dnw_scaled(settings.hallucinated_gradient.unwrap_or(0.5) as f32),
    },
    Named {
        name: "complete",
        paper: "the dense network",
        about: "every edge real",
        settings: &[],
        make: |_| complete(),
    },
    Named {
        name: "random",
        paper: "Wortsman et al. 2019",
        about: "edges drawn once, fixed",
        settings: &[],
        make: |_| random(),
    },
    Named {
        name: "static",
        paper: "Evci et al. 2020",
        about: "edges drawn once, fixed, spread over tensors by Erdős–Rényi-kernel",
        settings: &[],
        make: |_| static_erk(),
    },
    Named {
        name: "no-update",
        paper: "Wortsman et al. 2019",
        about: "the k largest weights after every update; only real edges learn",
        settings: &[],
        make: |_| no_update(),
    },
    Named {
        name: "l1-anneal",
        paper: "Wortsman et al. 2019",
        about: "complete under a rising L1 penalty; the k largest weights stay at the end",
        settings: &["penalty"],
        make: |settings| l1_anneal(settings.penalty.unwrap_or(1e-4)),
    },
    Named {
        name: "targeted-dropout",
        paper: "Gomez et al. 2019",
        about: "edges outside the k largest are dropped at random in training, and all in evaluation",
        settings: DROPOUT,
        make: |settings| {
            let (probability, rises_over) = dropout(settings);
            targeted_dropout(probability, rises_over)
        },
    },
    Named {
        name: "targeted-dropout-per-output",
        paper: "Gomez et al. 2019",
        about: "targeted dropout that ranks the edges into each target among themselves",
        settings: DROPOUT,
        make: |settings| {
            let (probability, rises_over) = dropout(settings);
            targeted_dropout_per_output(probability, rises_over)
        },
    },
    Named {
        name: "lottery-ticket",
        paper: "Frankle and Carbin 2019",
        about: "complete first; its k largest weights are the wiring of a second training from the same start",
        settings: &["switch"],
        make: |settings| lottery_ticket(settings.switch.unwrap_or(0.5)),
    },
    Named {
        name: "fine-tune",
        paper: "Han et al. 2015",
        about: "complete first; its k largest weights are trained on",
        settings: &["switch"],
        make: |settings| fine_tune(settings.switch.unwrap_or(0.5)),
    },
    Named {
        name: "gradual-pruning",
        paper: "Zhu and Gupta 2017",
        about: "the smallest weights leave along a cubic; only real edges learn",
        settings: &["every", "until"],
        make: |settings| {
            gradual_pruning(
                settings.every.unwrap_or(100),
                settings.until.unwrap_or(0.75),
            )
        },
    },
    Named {
        name: "set",
        paper: "Mocanu et al. 2018",
        about: "the weakest real edges are exchanged for random ones",
        settings: EXCHANGE,
        make: |settings| {
            let (every, turnover, until) = exchange(settings);
            set(every, turnover, until)
        },
    },
    Named {
        name: "rigl",
        paper: "Evci et al. 2020",
        about: "the weakest real edges are exchanged for those of largest gradient",
        settings: EXCHANGE,
        make: |settings| {
            let (every, turnover, until) = exchange(settings);
            rigl(every, turnover, until)
        },
    },
    Named {
        name: "sparse-momentum",
        paper: "Dettmers and Zettlemoyer 2019",
        about: "the weakest real edges are exchanged for those of largest mean gradient, in the tensors where it is largest",
        settings: EXCHANGE,
        make: |settings| {
            let (every, turnover, until) = exchange(settings);
            sparse_momentum(every, turnover, until)
        },
    },
    Named {
        name: "st-3",
        paper: "Vanholder et al. 2023",
        about: "one shrinking budget for the model, soft threshold; all edges learn",
        settings: &["until"],
        make: |settings| st3(settings.until.unwrap_or(1.0)),
    },
    Named {
        name: "st-3-normalised",
        paper: "Vanholder et al. 2023",
        about: "st-3 that ranks weights over the standard deviation of their tensor",
        settings: &["until"],
        make: |settings| st3_normalised(settings.until.unwrap_or(1.0)),
    },
    Named {
        name: "feather",
        paper: "Glandorf et al. 2023",
        about: "one shrinking budget for the model, a threshold between soft and hard; hallucinated edges learn at half the rate",
        settings: &["until", "power", "hallucinated-gradient"],
        make: |settings| {
            feather(
                settings.until.unwrap_or(0.5),
                settings.power.unwrap_or(3.0) as f32,
                settings.hallucinated_gradient.unwrap_or(0.5) as f32,
            )
        },
    },
    Named {
        name: "ac-dc",
        paper: "Peste et al. 2021",
        about: "alternating dense and sparse phases",
        settings: &["warm-up", "phase", "until"],
        make: |settings| {
            ac_dc(Phases {
                warm_up: settings.warm_up.unwrap_or(0.1),
                length: settings.phase.unwrap_or(0.05),
                end: settings.until.unwrap_or(0.85),
            })
        },
    },
    Named {
        name: "str",
        paper: "Kusupati et al. 2020",
        about: "a learned threshold per tensor decides how many edges stay",
        settings: &["threshold-start"],
        make: |settings| str_learned(settings.threshold_start.unwrap_or(-6.0) as f32),
    },
];

/// The rule called `name` with these settings.
///
/// # Errors
/// [`SettingError`] if the rule does not exist, or a setting is not one of its own or out of range.
pub fn by_name(name: &str, settings: &Settings) -> Result<Rule, SettingError> {
    match ALL.iter().find(|known| known.name == name) {
        Some(named) => named.rule(settings),
        None => Err(SettingError::UnknownRule {
            name: name.to_owned(),
        }),
    }
}
