//! The tables of a run.

use std::fmt::Write;

use serde_json::Value;

use super::lines::Line;
use crate::text::{escape_cell, three_digits};

/// Kernels that a profile names.
const KERNELS: usize = 8;

/// All tables, in Markdown.
pub fn markdown(lines: &[Line]) -> String {
    let parts = [
        machine(lines),
        conformance(lines),
        losses(lines),
        training(lines),
        selection(lines),
        launches(lines),
        rest(lines),
    ];
    parts.concat()
}

/// The results of the steps whose name begins so.
fn results<'a>(lines: &'a [Line], prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    lines.iter().filter_map(move |line| {
        let of = line.step.starts_with(prefix);
        Some((line.step.as_str(), line.result.as_ref()?)).filter(|_| of)
    })
}

/// How a step ended, of several attempts the last.
fn end<'a>(lines: &'a [Line], step: &str) -> Option<&'a Line> {
    lines
        .iter()
        .rfind(|line| line.step == step && line.exit.is_some())
}

fn text(value: &Value) -> String {
    escape_cell(value.as_str().unwrap_or("?"))
}

fn number(value: &Value) -> String {
    value.as_f64().map_or_else(|| "?".into(), three_digits)
}

/// The part of a step's name that says which program and device: `wgpu=wgpu:cpu`.
fn device(step: &str) -> &str {
    let part = step.split('/').nth(1).unwrap_or("?");
    part.split_once('=').map_or(part, |(_, device)| device)
}

fn machine(lines: &[Line]) -> String {
    let mut text = String::new();
    // A run that was continued has them again.
    if let Some((_, settings)) = results(lines, "settings").last() {
        let _ = write!(
            text,
            "Machine: {}. Date: {}.",
            settings["machine"].as_str().unwrap_or("?"),
            settings["date"].as_str().unwrap_or("?")
        );
        if settings["quick"] == 1 {
            text.push_str(
                " With `QUICK=1`, so with small batches and images and in `f32` alone, for a software adapter.",
            );
        }
    }
    for (_, found) in results(lines, "nvidia-smi") {
        let _ = write!(text, " GPU: {}.", found["gpu"].as_str().unwrap_or("?"));
    }
    let mut adapters: Vec<String> = Vec::new();
    for (_, listing) in results(lines, "adapters/") {
        for adapter in listing["adapters"].as_array().into_iter().flatten() {
            let of = |key: &str| adapter[key].as_str().unwrap_or("?").to_owned();
            let line = format!("- `{}`: {}; {}", of("name"), of("model"), of("driver"));
            if !adapters.contains(&line) {
                adapters.push(line);
            }
        }
    }
    format!("{text}\n\n{}\n\n", adapters.join("\n"))
}

fn conformance(lines: &[Line]) -> String {
    let mut steps: Vec<&str> = results(lines, "conformance/")
        .map(|(step, _)| step)
        .collect();
    steps.dedup();
    if steps.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "| conformance of | passed | skipped | failed | s | ended |\n| --- | ---: | ---: | ---: | ---: | --- |\n",
    );
    let mut failures = String::new();
    for step in steps {
        let cases: Vec<&Value> = results(lines, step).map(|(_, case)| case).collect();
        let count = |outcome: &str| {
            cases
                .iter()
                .filter(|case| case["outcome"] == outcome)
                .count()
        };
        let ended = match end(lines, step) {
            Some(end) if end.exit == Some(0) => "complete".to_owned(),
            Some(end) => escape_cell(&end.error),
            None => "cut off".to_owned(),
        };
        let seconds: f64 = cases
            .iter()
            .filter_map(|case| case["seconds"].as_f64())
            .sum();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {seconds:.0} | {ended} |",
            device(step),
            count("passed"),
            count("skipped"),
            count("failed"),
        );
        for case in cases.iter().filter(|case| case["outcome"] == "failed") {
            let _ = writeln!(
                failures,
                "- {} on {}: {}",
                case["case"].as_str().unwrap_or("?"),
                device(step),
                self::text(&case["reason"])
            );
        }
    }
    format!("{text}\n{failures}\n")
}

/// How far the losses of the first steps are from those of flex.
fn losses(lines: &[Line]) -> String {
    let all: Vec<(&str, &Value)> = results(lines, "losses/").collect();
    let of = |found: &Value| -> Vec<f64> {
        let list = found["losses"].as_array().into_iter().flatten();
        list.filter_map(Value::as_f64).collect()
    };
    let mut text = String::new();
    for (step, found) in &all {
        if device(step) == "flex" {
            continue;
        }
        let flex = all.iter().find(|(other, flex)| {
            device(other) == "flex"
                && flex["model"] == found["model"]
                && flex["batch"] == found["batch"]
        });
        let Some((_, flex)) = flex else { continue };
        let (ours, theirs) = (of(found), of(flex));
        let apart = |(a, b): (&f64, &f64)| (a - b).abs() / b.abs();
        let first = ours.iter().zip(&theirs).map(apart).next();
        let most = ours.iter().zip(&theirs).map(apart).reduce(f64::max);
        let (Some(first), Some(most)) = (first, most) else {
            continue;
        };
        let _ = writeln!(
            text,
            "| {}, {} | {} | {} | {first:.1e} | {most:.1e} |",
            self::text(&found["model"]),
            found["batch"],
            device(step),
            ours.len(),
        );
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "| network, batch | device | steps | loss apart from flex, first step | largest |\n| --- | --- | ---: | ---: | ---: |\n{text}\n"
    )
}

/// The time of PyTorch's step of the same network, batch, image size and precision.
fn torch(lines: &[Line], like: &Value, rule: &str) -> Option<f64> {
    let same = |key: &str, found: &Value| found[key] == like[key];
    let mut found = results(lines, "torch/").filter(|(_, found)| {
        found["rule"] == rule
            && ["model", "batch", "precision", "image"]
                .iter()
                .all(|key| same(key, found))
    });
    found.next()?.1["milliseconds"].as_f64()
}

fn training(lines: &[Line]) -> String {
    let mut text = String::new();
    for (step, found) in results(lines, "bench/") {
        let ours = 1e3 * found["step"]["median"].as_f64().unwrap_or(f64::NAN);
        let peers = ["dnw", "fixed", "dense"].map(|rule| torch(lines, found, rule));
        let [dnw, fixed, dense] = peers.map(|time| time.map_or_else(String::new, three_digits));
        let ratio = peers[0].map_or_else(String::new, |time| three_digits(time / ours));
        let pool = found["memory"]["pool"].as_f64().map(|bytes| bytes / 1e6);
        let whole = end(lines, step).and_then(|end| end.gpu_memory_mib);
        let memory =
            |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.0}"));
        let _ = writeln!(
            text,
            "| {}, {} x {}, {} px, {} | {} | {} | {} | {dnw} | {fixed} | {dense} | {ratio} | {} | {} | {} |",
            self::text(&found["model"]),
            self::text(&found["precision"]),
            found["batch"],
            found["image"],
            found["step"]["rounds"],
            device(step),
            three_digits(ours),
            number(&found["step"]["first"]),
            three_digits(1e3 * found["rewire"]["median"].as_f64().unwrap_or(f64::NAN)),
            memory(pool),
            memory(whole),
        );
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "| network, precision x batch, image, rounds | device | our step, ms | our first step, s | PyTorch DNW, ms | PyTorch fixed mask, ms | \
         PyTorch dense, ms | PyTorch DNW / ours | our selection, ms | our memory, MB | GPU in use, MiB |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n{text}\n"
    )
}

fn selection(lines: &[Line]) -> String {
    let mut text = String::new();
    for (step, found) in results(lines, "selection/") {
        let (who, time) = match found["algorithm"].as_str() {
            Some(algorithm) => (
                format!("PyTorch {algorithm}, {}", self::text(&found["device"])),
                found["milliseconds"].as_f64(),
            ),
            None => (
                format!("ours, {}", device(step)),
                found["selection"]["median"].as_f64().map(|s| 1e3 * s),
            ),
        };
        let time = time.map_or_else(|| "?".into(), three_digits);
        let (weights, edges) = (&found["weights"], &found["edges"]);
        let _ = writeln!(text, "| {edges} of {weights} | {who} | {time} |");
    }
    if text.is_empty() {
        return text;
    }
    format!("| selection | by | ms |\n| --- | --- | ---: |\n{text}\n")
}

fn launches(lines: &[Line]) -> String {
    let mut text = String::new();
    for (step, found) in results(lines, "launches/") {
        let _ = writeln!(
            text,
            "{}, batch {}, on {}: {} kernel launches in a step of {} ms.\n\n\
             | kernel | launches | ms |\n| --- | ---: | ---: |",
            self::text(&found["model"]),
            found["batch"],
            device(step),
            number(&found["launches"]),
            number(&found["milliseconds"]),
        );
        let kernels = found["kernels"].as_array().map_or(&[][..], Vec::as_slice);
        for kernel in kernels.iter().take(KERNELS) {
            let name: String = text_of(kernel).chars().take(60).collect();
            let (launches, time) = (number(&kernel["launches"]), number(&kernel["milliseconds"]));
            let _ = writeln!(text, "| `{name}` | {launches} | {time} |");
        }
        let others = kernels.iter().skip(KERNELS);
        let sum = |key: &str| {
            let all = others.clone().filter_map(|kernel| kernel[key].as_f64());
            three_digits(all.sum())
        };
        let _ = writeln!(
            text,
            "| others | {} | {} |\n",
            sum("launches"),
            sum("milliseconds")
        );
    }
    text
}

fn text_of(kernel: &Value) -> String {
    text(&kernel["name"]).replace("\\|", ",")
}

/// The steps that gave nothing.
fn rest(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        if let Some(why) = &line.skipped {
            let _ = writeln!(text, "- {}: {why}", line.step);
        } else if line.exit.is_some_and(|code| code != 0) {
            let _ = writeln!(text, "- {}: {}", line.step, line.error);
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("Not measured, or not to the end:\n\n{text}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::parse;
    use super::*;

    const RECORDED: &str = r#"{"step":"adapters/wgpu","result":{"devices":["flex","wgpu:discrete"],"models":[],"adapters":[{"name":"wgpu:discrete","model":"GPU One","driver":"vulkan, 550","memory":1,"kind":"discrete"}],"failures":[]}}
{"step":"adapters/wgpu","exit":0,"seconds":1,"gpu_memory_mib":null,"error":""}
{"step":"settings","result":{"quick":0,"batches":[64,512],"backends":"wgpu=wgpu:discrete","torch":"cuda","machine":"Linux x86_64, 16 cores","date":"2026-12-01"}}
{"step":"nvidia-smi","result":{"gpu":"GPU One, 550, 81559 MiB"}}
{"step":"losses/flex/mnist","result":{"device":"flex","model":"mnist","batch":64,"losses":[2.0,1.0]}}
{"step":"losses/wgpu=wgpu:discrete/mnist","result":{"device":"wgpu:discrete","model":"mnist","batch":64,"losses":[2.0,1.01]}}
{"step":"bench/wgpu=wgpu:discrete/resnet50/64/f32","result":{"device":"wgpu:discrete","model":"resnet50","batch":64,"image":64,"precision":"f32","step":{"first":3.0,"median":0.02,"rounds":20},"rewire":{"median":0.001},"memory":{"pool":2000000000}}}
{"step":"bench/wgpu=wgpu:discrete/resnet50/64/f32","exit":0,"seconds":8,"gpu_memory_mib":2500,"error":""}
{"step":"torch/64/f32","result":{"model":"resnet50","rule":"dnw","batch":64,"image":64,"precision":"f32","milliseconds":80.0}}
{"step":"torch/64/f32","result":{"model":"resnet50","rule":"fixed","batch":64,"image":64,"precision":"f32","milliseconds":25.0}}
{"step":"torch/64/f32","result":{"model":"resnet50","rule":"dnw","batch":64,"image":224,"precision":"f32","milliseconds":900.0}}
{"step":"conformance/wgpu=wgpu:discrete","result":{"case":"a","outcome":"passed","seconds":1.0}}
{"step":"conformance/wgpu=wgpu:discrete","result":{"case":"b","outcome":"failed","reason":"1 | 2","seconds":2.0}}
{"step":"conformance/wgpu=wgpu:discrete","exit":124,"seconds":60,"gpu_memory_mib":1,"error":"ended after 60 s"}
{"step":"selection/wgpu=wgpu:discrete","result":{"device":"wgpu:discrete","weights":25000000,"edges":1250000,"selection":{"median":0.0008}}}
{"step":"selection/torch","result":{"device":"cuda","algorithm":"topk","weights":25000000,"edges":1250000,"milliseconds":2.5}}
{"step":"launches/wgpu=wgpu:discrete/resnet50/64","result":{"model":"resnet50","batch":64,"launches":1000,"milliseconds":20,"kernels":[{"name":"K | f32","launches":10,"milliseconds":5.0,"by_device":true}]}}
{"step":"bench/wgpu=wgpu:discrete/mnist/512/f32","skipped":"no time was left"}
"#;

    fn has(line: &str) {
        let text = markdown(&parse(RECORDED));
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }

    #[test]
    fn a_step_is_beside_that_of_pytorch_with_the_same_settings() {
        has(
            "| resnet50, f32 x 64, 64 px, 20 | wgpu:discrete | 20.0 | 3.00 | 80.0 | 25.0 |  | 4.00 | 1.00 | 2000 | 2500 |",
        );
    }

    #[test]
    fn losses_are_beside_those_of_flex() {
        has("| mnist, 64 | wgpu:discrete | 2 | 0.0e0 | 1.0e-2 |");
    }

    #[test]
    fn what_failed_was_cut_off_or_not_begun_is_said() {
        has("| wgpu:discrete | 1 | 0 | 1 | 3 | ended after 60 s |");
        has("- b on wgpu:discrete: 1 \\| 2");
        has("- conformance/wgpu=wgpu:discrete: ended after 60 s");
        has("- bench/wgpu=wgpu:discrete/mnist/512/f32: no time was left");
    }

    #[test]
    fn selections_launches_and_the_machine_are_named() {
        has("| 1250000 of 25000000 | ours, wgpu:discrete | 0.800 |");
        has("| 1250000 of 25000000 | PyTorch topk, cuda | 2.50 |");
        has("| `K , f32` | 10.0 | 5.00 |");
        has("Machine: Linux x86_64, 16 cores. Date: 2026-12-01. GPU: GPU One, 550, 81559 MiB.");
        has("- `wgpu:discrete`: GPU One; vulkan, 550");
    }
}
