//! The rows as a table in Markdown.

use std::fmt::Write;

use super::row::{Measured, Outcome, Recorded, Row, Timing};
use crate::text::{in_a_cell, three_digits};

/// The table, with the machine above it and below it how far losses agree.
pub fn markdown(recorded: &Recorded) -> String {
    let mut text = format!("Machine: {}.\n\n", recorded.machine);
    text.push_str(
        "| network, batch | device | training step, ms | images/s | first step, s | forward, ms | rewiring, ms | memory, MB | loss |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in &recorded.rows {
        match &row.outcome {
            Outcome::Measured(found) => {
                let _ = writeln!(
                    text,
                    "| {}, {} | {} | {} | {} | {} | {} | {} | {} | {:.5} |",
                    row.asked.model,
                    found.batch,
                    row.asked.device,
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
                    row.asked.model,
                    row.asked.device,
                    in_a_cell(&how(other))
                );
            }
        }
    }
    text.push('\n');
    text.push_str(&notes(recorded));
    text
}

/// What the model of costs (`dnw_train::scaling`) says beside what was measured.
pub fn predictions(recorded: &Recorded) -> String {
    let mut text = String::from(
        "| network, batch | device | step predicted, ms | measured | ratio | memory predicted, MB | measured | ratio |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in &recorded.rows {
        let Outcome::Measured(found) = &row.outcome else {
            continue;
        };
        // Where the device has an allocator of its own, what the process holds is mostly the driver.
        let memory = found.memory;
        let held = memory.pool.or(memory
            .peak
            .zip(memory.program)
            .map(|(peak, program)| peak.saturating_sub(program)));
        let predicted = found.predicted;
        let ratio = |of: f64, to: f64| three_digits(of / to);
        let (measured, times) = match held {
            Some(held) => (
                format!("{:.0}", held as f64 / 1e6),
                ratio(predicted.bytes as f64, held as f64),
            ),
            None => ("?".into(), "?".into()),
        };
        let _ = writeln!(
            text,
            "| {}, {} | {} | {} | {} | {} | {:.0} | {measured} | {times} |",
            row.asked.model,
            found.batch,
            row.asked.device,
            three_digits(1e3 * predicted.seconds),
            three_digits(1e3 * found.step.median),
            ratio(predicted.seconds, found.step.median),
            predicted.bytes as f64 / 1e6,
        );
    }
    text
}

/// One row as a line.
pub fn in_short(row: &Row) -> String {
    match &row.outcome {
        Outcome::Measured(found) => format!(
            "{} ms a training step, {} images/s",
            three_digits(1e3 * found.step.median),
            three_digits(found.step.images_per_second)
        ),
        other => how(other),
    }
}

/// Why there are no numbers.
pub fn how(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(_) => "measured".into(),
        Outcome::Refused(why) => format!("refused: {why}"),
        Outcome::Crashed(how) => format!("crashed: {how}"),
        Outcome::OutOfTime(seconds) => format!("ended after {seconds} s without a result"),
    }
}

/// How the columns are to be read, who measured, how far the losses agree.
fn notes(recorded: &Recorded) -> String {
    let measured: Vec<(&Row, &Measured)> = recorded
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
        "Medians, in brackets the quartiles; the first step, with everything that is compiled and tried out then, is not among them. \
         Memory: the most that was resident in the process while it trained, and what the device's allocator had reserved besides. \
         Loss: of the one batch after {} updates, from the same weights and images everywhere.\n",
        any.loss.updates
    );
    let mut devices: Vec<String> = Vec::new();
    for (row, found) in &measured {
        let device = match found.adapter.starts_with("CPU") {
            true => format!("{} ({} threads)", row.asked.device, found.threads),
            false => format!("{} ({})", row.asked.device, found.adapter),
        };
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    let _ = writeln!(text, "\nDevices: {}.", devices.join(", "));
    if let Some((difference, model, device, than)) = worst_difference(&measured) {
        let _ = writeln!(
            text,
            "\nLosses agree to {difference:.1e} of themselves; furthest apart are {device} and {than} on {model}."
        );
    }
    text
}

/// The largest share by which a device's loss differs from that of the first device that measured the same on the same batch, with
/// network and devices.
fn worst_difference<'a>(
    measured: &[(&'a Row, &'a Measured)],
) -> Option<(f64, &'a str, &'a str, &'a str)> {
    let mut worst: Option<(f64, &str, &str, &str)> = None;
    for (row, found) in measured {
        let first = measured
            .iter()
            .find(|(other, of)| other.asked.model == row.asked.model && of.batch == found.batch);
        let Some((other, first)) = first.filter(|(other, _)| other.asked != row.asked) else {
            continue;
        };
        let difference = (found.loss.then / first.loss.then - 1.0).abs();
        if worst.is_none_or(|(most, ..)| difference > most) {
            worst = Some((
                difference,
                &row.asked.model,
                &row.asked.device,
                &other.asked.device,
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
    use crate::backends::row::{Asked, Loss, Memory, Predicted};

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
        let asked = Asked {
            device: device.into(),
            model: model.into(),
            batch: None,
            threads: None,
            rounds: 5,
        };
        Row { asked, outcome }
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

    /// Two networks on three devices, one of which does not do well.
    pub(crate) fn recorded() -> Recorded {
        let gpu = "A GPU of 8 | 16";
        Recorded {
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
    fn every_row_is_a_line_of_nine_cells_whatever_came_of_it() {
        let text = markdown(&recorded());
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
        let text = markdown(&recorded());
        let said =
            "Losses agree to 1.0e-5 of themselves; furthest apart are wgpu:cpu and flex on mnist.";
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn predictions_stand_beside_what_was_measured() {
        let text = predictions(&recorded());
        assert_eq!(text.lines().count(), 2 + 3, "{text}");
        assert!(
            text.contains("| mnist, 64 | flex | 40.0 | 20.0 | 2.00 | 196 | 392 | 0.500 |"),
            "{text}"
        );
        // A pool is the device's own memory, and the process's says nothing of it.
        assert!(
            text.contains("| mnist, 64 | wgpu:cpu | 1000 | 500 | 2.00 | 196 | 99 | 1.98 |"),
            "{text}"
        );
    }

    #[test]
    fn a_machine_on_which_nothing_works_still_gets_a_table() {
        let mut nothing = recorded();
        nothing
            .rows
            .retain(|row| !matches!(row.outcome, Outcome::Measured(_)));
        let text = markdown(&nothing);
        assert!(text.ends_with("Nothing could be measured.\n"), "{text}");
        assert!(!text.contains("NaN"));
    }
}
