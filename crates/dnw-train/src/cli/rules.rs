//! `dnw rules`.

use dnw_core::rules::ALL;

use super::failure::Failure;
use super::output::line;

/// Lists every rule.
pub fn rules(json: bool) -> Result<u8, Failure> {
    if json {
        let rule = |named: &dnw_core::rules::Named| {
            serde_json::json!({
                "name": named.name,
                "about": named.about,
                "paper": named.paper,
                "settings": named.settings,
            })
        };
        let all: Vec<serde_json::Value> = ALL.iter().map(rule).collect();
        line(format!("{:#}", serde_json::Value::from(all)))?;
        return Ok(0);
    }
    let wide = ALL.iter().map(|named| named.name.len()).max().unwrap_or(0);
    for named in ALL {
        line(format!(
            "{:<wide$}  {} ({})",
            named.name, named.about, named.paper
        ))?;
        if !named.settings.is_empty() {
            line(format!(
                "{:<wide$}  settings: {}",
                "",
                named.settings.join(", ")
            ))?;
        }
    }
    line(
        "\nA rule goes into any recipe with `--set wiring.rule=NAME`, a setting with `--set wiring.settings.KEY=VALUE`.",
    )?;
    Ok(0)
}
