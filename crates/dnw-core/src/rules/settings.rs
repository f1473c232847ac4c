//! Settings of the named rules.

use serde::{Deserialize, Serialize};

/// The settings of a named rule; one that is `None` has the default of the rule's paper.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// Updates between selections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// The share of the run after which the budget is reached, or no edge is exchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
    /// The share of the real edges that is exchanged at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turnover: Option<f64>,
    /// The probability with which a hallucinated edge is dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_probability: Option<f64>,
    /// The share of the run over which the drop probability rises from zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rises_over: Option<f64>,
    /// The strength of an L1 penalty at the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty: Option<f64>,
    /// The factor on the gradient of hallucinated edges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hallucinated_gradient: Option<f64>,
    /// The power of a threshold between soft (1) and hard (infinite).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
    /// The initial `s` of a learned threshold, which is `sigmoid(s)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_start: Option<f64>,
    /// The share of the run after which the second phase begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<f64>,
    /// The length of a dense or sparse phase, as a share of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<f64>,
    /// The share of the run before the first sparse phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<f64>,
}

/// Why a rule cannot be created.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// There is no rule of that name.
    #[error("there is no rule `{name}`")]
    UnknownRule {
        /// The name.
        name: String,
    },
    /// The setting is not one of the rule.
    #[error("the rule `{rule}` has no setting `{key}`")]
    NotRead {
        /// The rule.
        rule: &'static str,
        /// The setting.
        key: &'static str,
        /// The settings that it reads.
        known: &'static [&'static str],
    },
    /// A setting lies outside its range.
    #[error("`{key}` is {value}: it must be {expected}")]
    Range {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
}

impl Settings {
    /// Every setting that is set: its name, its value, and the valid range if the value is outside it.
    fn entries(&self) -> Vec<(&'static str, f64, Option<&'static str>)> {
        type Range = (fn(f64) -> bool, &'static str);
        const COUNT: Range = (|x| x >= 1.0, "at least 1");
        const SHARE: Range = (|x| x > 0.0 && x <= 1.0, "above 0 and at most 1");
        const PART: Range = (|x| (0.0..=1.0).contains(&x), "0 to 1");
        const POSITIVE: Range = (|x| x >= 0.0 && x.is_finite(), "at least 0");
        const POWER: Range = (|x| x >= 1.0 && x.is_finite(), "at least 1");
        const NUMBER: Range = (f64::is_finite, "a number");
        let all: [(&'static str, Option<f64>, Range); 12] = [
            ("every", self.every.map(|n| n as f64), COUNT),
            ("until", self.until, SHARE),
            ("turnover", self.turnover, SHARE),
            ("drop-probability", self.drop_probability, PART),
            ("rises-over", self.rises_over, PART),
            ("penalty", self.penalty, POSITIVE),
            (
                "hallucinated-gradient",
                self.hallucinated_gradient,
                POSITIVE,
            ),
            ("power", self.power, POWER),
            ("threshold-start", self.threshold_start, NUMBER),
            ("switch", self.switch, SHARE),
            ("phase", self.phase, SHARE),
            ("warm-up", self.warm_up, PART),
        ];
        let set = all
            .into_iter()
            .filter_map(|(key, value, (fits, expected))| {
                let value = value?;
                Some((key, value, (!fits(value)).then_some(expected)))
            });
        set.collect()
    }

    /// Checks that the rule reads every setting that is set, and that each is in its range.
    pub(super) fn check(
        &self,
        rule: &'static str,
        known: &'static [&'static str],
    ) -> Result<(), SettingError> {
        for (key, value, expected) in self.entries() {
            if !known.contains(&key) {
                return Err(SettingError::NotRead { rule, key, known });
            }
            if let Some(expected) = expected {
                return Err(SettingError::Range {
                    key,
                    value,
                    expected,
                });
            }
        }
        Ok(())
    }
}
