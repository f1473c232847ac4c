//! `dnw explain`: what each layer of a compiled model is and costs, and what would make it faster.

use std::fmt::Write;
use std::time::Duration;

use dnw_runtime::Model;
use dnw_runtime::plan::{BLOCK, Op};
use dnw_train::compiled::timing::step_times;
use dnw_train::compiled::{ModelFile, Roofline, StepFacts, in_blocks};

use super::super::compiled_args::ExplainArgs;
use super::super::failure::Failure;
use super::super::numbers::grouped;
use super::super::output::{line, print_bytes};
use super::bench::made_on;
use super::compile::network;

/// Layers that are named as the slowest.
const SLOWEST: usize = 3;
/// A saving of less than this share of the whole time is not worth another training.
const WORTH_IT: f64 = 0.03;

/// Explains a model.
pub fn explain(args: &ExplainArgs) -> Result<u8, Failure> {
    let file = ModelFile::open(&args.model)?;
    let how_long = Duration::from_secs_f64(args.seconds);
    let threads = args.threads as usize;
    let times = step_times(&file.model, threads, how_long);
    let facts: Vec<StepFacts> = file.plan.steps.iter().map(StepFacts::of).collect();
    let weights: usize = facts.iter().map(|facts| facts.bytes).sum();
    let limits = Roofline::measure(file.model.session_bytes() + weights);
    let steps = file.plan.steps.iter().zip(file.model.steps());
    let rows: Vec<Row<'_>> = steps
        .zip(facts)
        .zip(&times)
        .map(|(((step, (_, operation)), facts), &seconds)| Row {
            layer: &step.layer,
            operation,
            reason: &step.reason,
            // At most 1: a step that an earlier one has taken over takes no time, and maps may lie in a nearer cache than was measured.
            roofline: (limits.least_seconds(&facts, threads) / seconds.max(1e-9)).min(1.0),
            facts,
            seconds,
        })
        .collect();
    let blocks = time_in_blocks(&file, threads, how_long);
    let advice = advice(&rows, blocks.as_deref());
    match args.json {
        true => print_json(args, &rows, limits, &advice)?,
        false => print_bytes(lines(&file, &rows, limits, &advice).as_bytes())?,
    }
    Ok(0)
}

struct Row<'a> {
    layer: &'a str,
    operation: &'a str,
    reason: &'a str,
    facts: StepFacts,
    seconds: f64,
    /// The least time that it could take, divided by what it takes.
    roofline: f64,
}

/// The time of each step of single edges if all these had been trained in blocks; `None` if there are none.
fn time_in_blocks(
    file: &ModelFile,
    threads: usize,
    how_long: Duration,
) -> Option<Vec<Option<f64>>> {
    let mut plan = file.plan.clone();
    let mut changed = Vec::new();
    for step in &mut plan.steps {
        let blocks = match &step.op {
            Op::Sums(sums) => in_blocks(sums),
            _ => None,
        };
        changed.push(blocks.is_some());
        if let Some(blocks) = blocks {
            step.op = Op::Sums(blocks);
        }
    }
    let model = Model::new(plan).ok().filter(|_| changed.contains(&true))?;
    let times = step_times(&model, threads, how_long).into_iter();
    let times = times.zip(changed);
    Some(
        times
            .map(|(time, changed)| changed.then_some(time))
            .collect(),
    )
}

/// What would make the network faster, a sentence each.
fn advice(rows: &[Row<'_>], blocks: Option<&[Option<f64>]>) -> Vec<String> {
    let total: f64 = rows.iter().map(|row| row.seconds).sum();
    let mut advice = Vec::new();
    let mut layers: Vec<(&str, f64)> = Vec::new();
    for row in rows {
        match layers.iter_mut().find(|(layer, _)| *layer == row.layer) {
            Some((_, seconds)) => *seconds += row.seconds,
            None => layers.push((row.layer, row.seconds)),
        }
    }
    layers.sort_by(|a, b| b.1.total_cmp(&a.1));
    if layers.len() > SLOWEST {
        layers.truncate(SLOWEST);
        let share: f64 = layers.iter().map(|(_, seconds)| seconds).sum::<f64>() / total;
        let names: Vec<String> = layers
            .iter()
            .map(|(layer, _)| format!("`{layer}`"))
            .collect();
        advice.push(format!(
            "{} take {:.0} % of the time: fewer edges there count most",
            names.join(", "),
            100.0 * share
        ));
    }
    if let Some(blocks) = blocks {
        let saved: Vec<(&str, f64)> = rows
            .iter()
            .zip(blocks)
            // Other steps only differ by the accuracy of the measurement.
            .filter_map(|(row, seconds)| Some((row.layer, row.seconds - (*seconds)?)))
            .filter(|(_, saved)| *saved > 0.0)
            .collect();
        let sum: f64 = saved.iter().map(|(_, saved)| saved).sum();
        advice.push(if sum > WORTH_IT * total {
            let best = saved.iter().max_by(|a, b| a.1.total_cmp(&b.1));
            let best = best.map_or("", |(layer, _)| *layer);
            format!(
                "trained in blocks of {BLOCK} targets with as many edges (`--set wiring.unit=block-{BLOCK}`), it would take {:.0} us instead of {:.0}; `{best}` gains most",
                1e6 * (total - sum),
                1e6 * total
            )
        } else {
            format!(
                "no unit would make it faster: blocks of {BLOCK} targets take as long, and n of m and a constant fan-in cost as much as single edges"
            )
        });
    }
    let without_weights = rows.iter().filter(|row| row.facts.edges == 0);
    let moved: f64 = without_weights.map(|row| row.seconds).sum();
    if moved > 0.2 * total {
        advice.push(format!(
            "{:.0} % of the time is spent on steps without edges (padding, norms, pools, copies), which fewer edges do not make faster",
            100.0 * moved / total
        ));
    }
    advice
}

fn lines(file: &ModelFile, rows: &[Row<'_>], limits: Roofline, advice: &[String]) -> String {
    let model = &file.model;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}\non {}\n",
        network(model.input(), model.output_len()),
        made_on()
    );
    let widest = |length: fn(&Row<'_>) -> usize, title: &str| {
        let lengths = rows.iter().map(length);
        lengths.max().unwrap_or(0).max(title.len())
    };
    let layer = widest(|row| row.layer.len(), "layer");
    let operation = widest(|row| row.operation.len(), "operation");
    let _ = writeln!(
        text,
        "{:<layer$} {:<operation$} {:>14} {:>10} {:>7} {:>10} {:>10} {:>6} {:>8} {:>8}  why",
        "layer",
        "operation",
        "output",
        "edges",
        "density",
        "bytes",
        "us",
        "share",
        "G madd/s",
        "roofline"
    );
    let total: f64 = rows.iter().map(|row| row.seconds).sum();
    let mut last = "";
    for row in rows {
        let [channels, height, width] = row.facts.shape;
        let density = row.facts.density();
        let density = density.map_or(String::new(), |share| format!("{:.1}%", 100.0 * share));
        let edges = match row.facts.edges {
            0 => String::new(),
            edges => grouped(edges as u64),
        };
        let rate = match row.facts.multiply_adds {
            0 => String::new(),
            n => format!("{:.2}", n as f64 / row.seconds / 1e9),
        };
        let _ = writeln!(
            text,
            "{:<layer$} {:<operation$} {:>14} {edges:>10} {density:>7} {:>10} {:>10.2} {:>5.1}% {rate:>8} {:>7.0}%  {}",
            if row.layer == last { "" } else { row.layer },
            row.operation,
            format!("{channels}x{height}x{width}"),
            grouped(row.facts.bytes as u64),
            1e6 * row.seconds,
            100.0 * row.seconds / total,
            100.0 * row.roofline,
            row.reason
        );
        last = row.layer;
    }
    let sum = |of: fn(&StepFacts) -> usize| rows.iter().map(|row| of(&row.facts)).sum::<usize>();
    let _ = writeln!(
        text,
        "\nin all         {:.2} us, {} weights, {} multiply-adds, {} bytes of weights and indices, {} bytes of feature maps",
        1e6 * total,
        grouped(sum(|facts| facts.edges) as u64),
        grouped(sum(|facts| facts.multiply_adds) as u64),
        grouped(sum(|facts| facts.bytes) as u64),
        grouped(model.session_bytes() as u64)
    );
    let _ = writeln!(
        text,
        "roofline       the least time of a step by what one thread did in short loops just now, divided by its time: {:.1} billion multiply-adds a second, {:.1} GB a second read from {:.1} MB",
        1e-9 * limits.multiply_adds,
        1e-9 * limits.bytes,
        1e-6 * limits.from as f64
    );
    for sentence in advice {
        let _ = writeln!(text, "faster         {sentence}");
    }
    text
}

fn print_json(
    args: &ExplainArgs,
    rows: &[Row<'_>],
    limits: Roofline,
    advice: &[String],
) -> Result<(), Failure> {
    let total: f64 = rows.iter().map(|row| row.seconds).sum();
    let layers = rows.iter().map(|row| {
        serde_json::json!({
            "layer": row.layer,
            "operation": row.operation,
            "reason": row.reason,
            "output": row.facts.shape,
            "edges": row.facts.edges,
            "density": row.facts.density(),
            "multiply_adds": row.facts.multiply_adds,
            "bytes": row.facts.bytes,
            "bytes_of_maps": row.facts.maps,
            "roofline": row.roofline,
            "seconds": row.seconds,
            "share": row.seconds / total,
        })
    });
    let result = serde_json::json!({
        "model": args.model.to_string_lossy(),
        "made_on": made_on(),
        "threads": args.threads,
        "limits": {
            "multiply_adds_per_second": limits.multiply_adds,
            "bytes_per_second": limits.bytes,
            "bytes_read": limits.from,
        },
        "seconds": total,
        "steps": layers.collect::<Vec<_>>(),
        "faster": advice,
    });
    line(format!("{result:#}"))
}
