//! The rows as a table in Markdown.

use std::fmt::Write;

use super::row::{Measured, Outcome, Results, Row, Timing};
use crate::text::{escape_cell, three_digits};

/// The table. Above it is the machine, below it how well losses agree.
pub fn markdown(results: &Results) -> String {
    let mut text = format!("Machine: {}.\n\n", results.machine);
    text.push_str(
        "| network, batch | device | training step, ms | images/s | first step, s | forward, ms | rewiring, ms | memory, MB | loss |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in &results.rows {
        match &row.outcome {
            Outcome::Measured(found) => {
                let _ = writeln!(
                    text,
                    "| {}, {} | {} | {} | {} | {} | {} | {} | {} | {:.5} |",
                    row.request.model,
                    found.batch,
                    row.request.device,
                    milliseconds(&found.step),
                    three_digits(found.step.images_per_second),
                    three_digits(found.step.first),
                    milliseconds(&found.forward),
                    milliseconds(&found.rewire),
                    memory(found),
                    found.loss.then,
                );
            }
            other => {
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | | | | | | |",
                    row.request.model,
                    row.request.device,
                    escape_cell(&describe(other))
                );
            }
        }
    }
    text.push('\n');
    text.push_str(&notes(results));
    text
}

/// The predictions of the cost model (`dnw_train::scaling`) and the measurements.
pub fn predictions(results: &Results) -> String {
    let mut text = String::from(
        "| network, batch | device | step predicted, ms | measured | ratio | memory predicted, MB | measured | ratio |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in &results.rows {
        let Outcome::Measured(found) = &row.outcome else {
            continue;
        };
        // If the device has its own allocator, the memory of the process is mostly the driver.
        let memory = found.memory;
        let bytes = memory.pool.or(memory
            .peak
            .zip(memory.program)
            .map(|(peak, program)| peak.saturating_sub(program)));
        let predicted = found.predicted;
        let ratio = |of: f64, to: f64| three_digits(of / to);
        let (measured, times) = match bytes {
            Some(bytes) => (
                format!("{:.0}", bytes as f64 / 1e6),
                ratio(predicted.bytes as f64, bytes as f64),
            ),
            None => ("?".into(), "?".into()),
        };
        let _ = writeln!(
            text,
            "| {}, {} | {} | {} | {} | {} | {:.0} | {measured} | {times} |",
            row.request.model,
            found.batch,
            row.request.device,
            three_digits(1e3 * predicted.seconds),
            three_digits(1e3 * found.step.median),
            ratio(predicted.seconds, found.step.median),
            predicted.bytes as f64 / 1e6,
        );
    }
    text
}

/// A row as a line.
pub fn summary(row: &Row) -> String {
    match &row.outcome {
        Outcome::Measured(found) => format!(
            "{} ms a training step, {} images/s",
            three_digits(1e3 * found.step.median),
            three_digits(found.step.images_per_second)
        ),
        other => describe(other),
    }
}

/// The outcome in words.
pub fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(_) => "measured".into(),
        Outcome::Refused(reason) => format!("refused: {reason}"),
        Outcome::Crashed(reason) => format!("crashed: {reason}"),
        Outcome::OutOfTime(seconds) => format!("ended after {seconds} s without a result"),
    }
}

/// What the columns mean, which devices were measured, and how well losses agree.
fn notes(results: &Results) -> String {
    let measured: Vec<(&Row, &Measured)> = results
        .rows
        .iter()
        .filter_map(|row| match &row.outcome {
            Outcome::Measured(found) => Some((row, &**found)),
            _ => None,
        })
        .collect();
    let Some((_, any)) = measured.first() else {
        return "Nothing could be measured.\n".into();
    };
    let mut text = format!(
        "Medians, with quartiles in brackets. They exclude the first step, which includes compiling and tuning. Memory: the peak resident \
         memory of the process in training, plus what the device's allocator reserved. Loss: after {} updates from the same weights and \
         images on every device.\n",
        any.loss.updates
    );
    let mut devices: Vec<String> = Vec::new();
    for (row, found) in &measured {
        let device = match found.adapter.starts_with("CPU") {
            true => format!("{} ({} threads)", row.request.device, found.threads),
            false => format!("{} ({})", row.request.device, found.adapter),
        };
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    let _ = writeln!(text, "\nDevices: {}.", devices.join(", "));
    if let Some((difference, model, device, than)) = worst_difference(&measured) {
        let _ = writeln!(
            text,
            "\nThe largest relative difference of losses is {difference:.1e}: {device} and {than} on {model}."
        );
    }
    text
}

/// The largest relative difference between the loss of a device and that of the first device for the same network and batch: the
/// difference, the network, and the devices.
fn worst_difference<'a>(
    measured: &[(&'a Row, &'a Measured)],
) -> Option<(f64, &'a str, &'a str, &'a str)> {
    let mut worst: Option<(f64, &str, &str, &str)> = None;
    for (row, found) in measured {
        let first = measured.iter().find(|(other, of)| {
            other.request.model == row.request.model && of.batch == found.batch
        });
        let Some((other, first)) = first.filter(|(other, _)| other.request != row.request) else {
            continue;
        };
        let difference = (found.loss.then / first.loss.then - 1.0).abs();
        if worst.is_none_or(|(most, ..)| difference > most) {
            worst = Some((
                difference,
                &row.request.model,
                &row.request.device,
                &other.request.device,
            ));
        }
    }
    worst
}

/// Median and quartiles.
fn milliseconds(timing: &Timing) -> String {
    let of = |seconds: f64| three_digits(1e3 * seconds);
    format!(
        "{} ({} to {})",
        of(timing.median),
        of(timing.lower),
        of(timing.upper)
    )
}

fn memory(found: &Measured) -> String {
    let megabytes = |bytes: u64| format!("{:.0}", bytes as f64 / 1e6);
    match (
        found.memory.peak.map(megabytes),
        found.memory.pool.map(megabytes),
    ) {
        (Some(peak), Some(pool)) => format!("{peak} + {pool}"),
        (Some(peak), None) => peak,
        (None, Some(pool)) => format!("? + {pool}"),
        (None, None) => "?".into(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::backends::row::{Loss, Memory, Predicted, Request};

    fn timing(median: f64) -> Timing {
        Timing {
            first: 10.0 * median,
            lower: 0.9 * median,
            median,
            upper: 1.2 * median,
            rounds: 5,
            images_per_second: 64.0 / median,
        }
    }

    fn row(device: &str, model: &str, outcome: Outcome) -> Row {
        let request = Request {
            device: device.into(),
            model: model.into(),
            batch: None,
            threads: None,
            rounds: 5,
        };
        Row { request, outcome }
    }

    fn measured(device: &str, adapter: &str, step: f64, loss: f64, pool: Option<u64>) -> Outcome {
        Outcome::Measured(Box::new(Measured {
            device: device.into(),
            adapter: adapter.into(),
            batch: 64,
            threads: 2,
            open: 0.001,
            step: timing(step),
            forward: timing(step / 4.0),
            rewire: timing(step / 50.0),
            swapped: 12,
            memory: Memory {
                program: Some(20_000_000),
                peak: Some(412_000_000),
                pool,
            },
            loss: Loss {
                first: 2.4,
                updates: 3,
                then: loss,
            },
            predicted: Predicted {
                bytes: 196_000_000,
                seconds: 2.0 * step,
                products: 2.5e10,
                numbers: 1e9,
                weights: 1e7,
            },
        }))
    }

    /// Two networks on three devices, one of which fails.
    pub(crate) fn results() -> Results {
        let gpu = "A GPU of 8 | 16";
        Results {
            machine: "a machine, 2 threads".into(),
            rows: vec![
                row(
                    "flex",
                    "mnist",
                    measured("flex", "CPU, 2 threads", 0.02, 2.0, None),
                ),
                row(
                    "wgpu:cpu",
                    "mnist",
                    measured("wgpu:cpu", gpu, 0.5, 2.00002, Some(99_000_000)),
                ),
                row(
                    "cuda:0",
                    "mnist",
                    Outcome::Refused("no `cuda:0` | here".into()),
                ),
                row(
                    "flex",
                    "tiny-static",
                    measured("flex", "CPU, 2 threads", 0.2, 2.2, None),
                ),
                row(
                    "wgpu:cpu",
                    "tiny-static",
                    Outcome::Crashed("signal: 11 (SIGSEGV)\nand more".into()),
                ),
                row("cuda:0", "tiny-static", Outcome::OutOfTime(600)),
            ],
        }
    }

    #[test]
    fn every_row_is_a_line_of_nine_cells_whatever_the_outcome() {
        let text = markdown(&results());
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(lines.len(), 2 + 6);
        for line in &lines {
            let cells = line.replace("\\|", "").matches('|').count() - 1;
            assert_eq!(cells, 9, "{line}");
        }
        assert!(
            text.contains(
                "| mnist, 64 | flex | 20.0 (18.0 to 24.0) | 3200 | 0.200 | 5.00 (4.50 to 6.00) |"
            ),
            "{text}"
        );
        assert!(text.contains("| 412 + 99 |"), "{text}");
        assert!(text.contains("refused: no `cuda:0` \\| here"), "{text}");
        assert!(
            text.contains("crashed: signal: 11 (SIGSEGV) and more"),
            "{text}"
        );
        assert!(
            text.contains("ended after 600 s without a result"),
            "{text}"
        );
    }

    #[test]
    fn losses_are_compared_with_those_of_the_first_device_of_the_same_network() {
        let text = markdown(&results());
        let note =
            "The largest relative difference of losses is 1.0e-5: wgpu:cpu and flex on mnist.";
        assert!(text.contains(note), "{text}");
    }

    #[test]
    fn predictions_are_compared_with_measurements() {
        let text = predictions(&results());
        assert_eq!(text.lines().count(), 2 + 3, "{text}");
        assert!(
            text.contains("| mnist, 64 | flex | 40.0 | 20.0 | 2.00 | 196 | 392 | 0.500 |"),
            "{text}"
        );
        // A pool is the device's own memory, which the process's memory does not include.
        assert!(
            text.contains("| mnist, 64 | wgpu:cpu | 1000 | 500 | 2.00 | 196 | 99 | 1.98 |"),
            "{text}"
        );
    }

    #[test]
    fn a_machine_on_which_nothing_works_gets_a_table() {
        let mut nothing = results();
        nothing
            .rows
            .retain(|row| !matches!(row.outcome, Outcome::Measured(_)));
        let text = markdown(&nothing);
        assert!(text.ends_with("Nothing could be measured.\n"), "{text}");
        assert!(!text.contains("NaN"));
    }
}
