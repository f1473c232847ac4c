//! What `run.sh` wrote: a line of JSON per result.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// A line of `results.jsonl`. A step has any number of results, and then a line on how it ended.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Line {
    /// The step's name, such as `bench/wgpu=wgpu:cpu/resnet50/64/f32`.
    pub step: String,
    /// A result.
    pub result: Option<Value>,
    /// The exit code.
    pub exit: Option<i32>,
    /// How long the step took.
    pub seconds: Option<f64>,
    /// The most memory of the GPU in use during the step, where the driver tells.
    pub gpu_memory_mib: Option<f64>,
    /// What it said last, if it failed.
    #[serde(default)]
    pub error: String,
    /// Why it was not made.
    pub skipped: Option<String>,
}

/// The lines of a folder.
///
/// # Errors
/// If there are none.
pub fn read(folder: &Path) -> Result<Vec<Line>, String> {
    let path = folder.join("results.jsonl");
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = parse(&text);
    match lines.is_empty() {
        true => Err(format!("{} has no results", path.display())),
        false => Ok(lines),
    }
}

/// The lines of a text. One that is cut off, as the last of a machine that was taken away, is left out. A step that was made again replaces
/// its former lines.
pub fn parse(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            continue;
        };
        // A step ends with a line that has no result, so its next line is of another time.
        let ended = lines
            .iter()
            .any(|other| other.step == line.step && other.result.is_none());
        if ended {
            lines.retain(|other| other.step != line.step);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_made_again_replaces_the_former_and_a_cut_line_is_left_out() {
        let text = r#"{"step":"a","result":{"n":1}}
{"step":"a","exit":124,"seconds":9,"gpu_memory_mib":null,"error":"ended after 9 s"}
{"step":"b","skipped":"no time was left"}
{"step":"a","result":{"n":2}}
{"step":"a","result":{"n":3}}
{"step":"a","exit":0,"seconds":4,"gpu_memory_mib":512,"error":""}
{"step":"b","result":{"n":4"#;
        let lines = parse(text);
        let steps: Vec<&str> = lines.iter().map(|line| line.step.as_str()).collect();
        assert_eq!(steps, ["b", "a", "a", "a"]);
        assert_eq!(
            lines[1].result.as_ref().and_then(|r| r["n"].as_i64()),
            Some(2)
        );
        assert_eq!(
            (lines[3].exit, lines[3].gpu_memory_mib),
            (Some(0), Some(512.0))
        );
    }
}
