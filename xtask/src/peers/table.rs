//! The results as tables in Markdown.

use std::fmt::Write;

use super::products::{Growing, KernelRow, Operation};
use super::results::{Memory, Results, SelectionRow, TrainingRow};
use super::roofline::Roofline;
use super::statistics::Spread;
use crate::text::{escape_cell, three_digits};

/// A table for each kind of measurement that there is.
pub fn markdown(results: &Results) -> String {
    let mut text = format!("Machine: {}.", results.machine);
    if let Some(framework) = &results.framework {
        let _ = write!(text, " Peer: {framework}.");
    }
    let _ = writeln!(text, " Command: `{}`.\n", results.command);
    text.push_str(&roofline(&results.roofline));
    if !results.rows.is_empty() {
        text.push_str(&training(&results.rows));
        text.push_str(&memory(&results.rows));
    }
    if !results.selection.is_empty() {
        text.push_str(&selection(&results.selection));
    }
    if !results.kernels.is_empty() {
        text.push_str(&density(&results.kernels, &results.roofline));
        text.push_str(&nodes(&results.kernels));
    }
    text
}

fn roofline(limits: &Roofline) -> String {
    let mut text = format!(
        "### Limits of the machine\n\n{} threads, {}: {} billion multiply-adds a second.\n\n\
         | level | per thread | read, GB/s | a = b + s c, GB/s |\n| --- | ---: | ---: | ---: |\n",
        limits.threads,
        limits.instructions,
        three_digits(1e-9 * limits.multiply_adds)
    );
    for level in &limits.levels {
        let size = level
            .bytes
            .map_or_else(String::new, |bytes| format!("{} KiB", bytes >> 10));
        let of = |rate: f64| three_digits(1e-9 * rate);
        let (name, read, triad) = (&level.name, of(level.read), of(level.triad));
        let _ = writeln!(text, "| {name} | {size} | {read} | {triad} |");
    }
    text
}

fn training(rows: &[TrainingRow]) -> String {
    let mut text = String::from(
        "\n### A training step\n\n\
         Forward, backward, optimizer and selection of edges; milliseconds, median (quartiles) over rounds in turn. Ratios are medians of \
         those within a round.\n\n\
         | network, batch | threads | ours, on | ours | PyTorch DNW | PyTorch, fixed mask | ratio | ratio, fixed mask | share of peak |\n\
         | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let spread = &row.spread;
        let _ = writeln!(
            text,
            "| {}, {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            escape_cell(&row.model),
            row.batch,
            row.threads,
            escape_cell(&row.backend),
            with_quartiles(&spread.ours_ms),
            with_quartiles(&spread.torch_dnw_ms),
            with_quartiles(&spread.torch_fixed_ms),
            with_quartiles(&spread.ratio),
            with_quartiles(&spread.ratio_fixed),
            percent(row.share_of_peak),
        );
    }
    text
}

/// The memory of the training processes.
fn memory(rows: &[TrainingRow]) -> String {
    let known: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, row.memory?)))
        .collect();
    if known.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n### Memory of training\n\n\
         Peak resident memory of the process in MB; in brackets what was added after the network was created: activations, gradients, momentum \
         buffers, temporaries.\n\n\
         | network, batch | ours | PyTorch DNW | PyTorch, fixed mask |\n| --- | ---: | ---: | ---: |\n",
    );
    for (row, sides) in known {
        let mb = |bytes: u64| bytes >> 20;
        let cell = |memory: &Memory| {
            format!(
                "{} ({})",
                mb(memory.peak),
                mb(memory.peak.saturating_sub(memory.before))
            )
        };
        let [ours, dnw, fixed] = sides.each_ref().map(cell);
        let model = escape_cell(&row.model);
        let _ = writeln!(
            text,
            "| {model}, {} | {ours} | {dnw} | {fixed} |",
            row.batch
        );
    }
    text
}

fn selection(rows: &[SelectionRow]) -> String {
    let mut text = String::from(
        "\n### A selection of edges\n\n\
         Milliseconds, median (quartiles) over rounds in turn.\n\n\
         | weights, selected | threads | ours | PyTorch argsort, as published | PyTorch kthvalue | ratio | ratio, kthvalue |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let spread = &row.spread;
        let _ = writeln!(
            text,
            "| {}, {} | {} | {} | {} | {} | {} | {} |",
            row.weights,
            row.edges,
            row.threads,
            with_quartiles(&spread.ours_ms),
            with_quartiles(&spread.torch_sort_ms),
            with_quartiles(&spread.torch_kthvalue_ms),
            with_quartiles(&spread.ratio),
            with_quartiles(&spread.ratio_kthvalue),
        );
    }
    text
}

/// The ratio of the dense product's time to ours, by product and density, and our share of the roofline.
fn density(rows: &[KernelRow], limits: &Roofline) -> String {
    let rows = rows
        .iter()
        .filter(|row| row.case.growing == Growing::Density);
    let rows: Vec<&KernelRow> = rows.collect();
    let ratios = "\n### Products compared with those of the `gemm` crate\n\n\
         The ratio of the dense product's time to ours, by density; the first column is the dense product in milliseconds.\n\n\
         | product | gemm, ms |";
    let gemm = |same: &[&KernelRow]| {
        let gemm: Vec<f64> = same.iter().map(|row| row.gemm_ms).collect();
        three_digits(Spread::of(&gemm).median)
    };
    let roofline = "\nOur share of the roofline: the least time on this machine divided by the measured time. The first column is the ratio of the dense \
         product to the roofline at density 0.1, 0.05 and 0.01: the largest possible ratio while each edge reads its row.\n\n\
         | product | at most |";
    let at_most = |same: &[&KernelRow]| {
        let at = |density: f64| same.iter().find(|row| row.case.density == density);
        let most = [0.1, 0.05, 0.01].map(at).map(|row| {
            let most = |row: &&KernelRow| three_digits(row.gemm_ms / row.case.least_ms(limits));
            row.map_or_else(String::new, most)
        });
        let known: Vec<String> = most.into_iter().filter(|cell| !cell.is_empty()).collect();
        known.join(", ")
    };
    let share = |row: &KernelRow| percent(row.case.least_ms(limits) / row.ours_ms);
    let mut text = by_density(&rows, ratios, gemm, |row| three_digits(row.ratio));
    text.push_str(&by_density(&rows, roofline, at_most, share));
    text
}

/// A row for each product: a cell for all densities, then one for each density.
fn by_density(
    rows: &[&KernelRow],
    head: &str,
    of_all: impl Fn(&[&KernelRow]) -> String,
    cell: impl Fn(&KernelRow) -> String,
) -> String {
    let mut densities: Vec<f64> = rows.iter().map(|row| row.case.density).collect();
    densities.sort_by(f64::total_cmp);
    densities.dedup();
    let (mut text, mut line) = (head.to_owned(), String::from("| --- | ---: |"));
    for density in &densities {
        let _ = write!(text, " {density} |");
        line.push_str(" ---: |");
    }
    let _ = writeln!(text, "\n{line}");
    let mut done: Vec<String> = Vec::new();
    for row in rows {
        let name = name(row);
        if done.contains(&name) {
            continue;
        }
        let same = rows.iter().filter(|other| self::name(other) == name);
        let same: Vec<&KernelRow> = same.copied().collect();
        let _ = write!(text, "| {name} | {} |", of_all(&same));
        for density in &densities {
            let at = same.iter().find(|row| row.case.density == *density);
            let cell = at.map_or_else(String::new, |row| cell(row));
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
        done.push(name);
    }
    text
}

/// The name of a product.
pub fn name(row: &KernelRow) -> String {
    let case = &row.case;
    let operation = match case.operation {
        Operation::Forward => "forward",
        Operation::InputGradient => "input gradient",
        Operation::WeightGradient => "weight gradient, all edges",
    };
    format!("{}, {operation}", shape(row))
}

/// The shape of a product.
pub fn shape(row: &KernelRow) -> String {
    let case = &row.case;
    format!(
        "{} -> {}, {} pixels, batch {}",
        case.sources, case.targets, case.pixels, case.images
    )
}

fn nodes(rows: &[KernelRow]) -> String {
    let rows = rows.iter().filter(|row| row.case.growing == Growing::Nodes);
    let mut text = String::from(
        "\n### Products by number of nodes\n\n\
         A constant number of real edges into each node; milliseconds of the forward product, median (quartiles).\n\n\
         | product | edges into a node | ours | gemm | ratio |\n| --- | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let edges = row.case.density * row.case.sources as f64;
        let _ = writeln!(
            text,
            "| {} | {edges:.0} | {} | {} | {} |",
            shape(row),
            with_quartiles(&row.spread.ours_ms),
            with_quartiles(&row.spread.gemm_ms),
            with_quartiles(&row.spread.ratio)
        );
    }
    text
}

/// Median and quartiles.
fn with_quartiles(spread: &Spread) -> String {
    let [median, lower, upper] = [spread.median, spread.lower, spread.upper].map(three_digits);
    format!("{median} ({lower} to {upper})")
}

fn percent(share: f64) -> String {
    format!("{} %", three_digits(100.0 * share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::results::tests::results;

    #[test]
    fn every_table_has_a_line_for_each_row_with_as_many_cells_as_its_header() {
        let text = markdown(&results());
        let mut tables = 0;
        for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
            let cells: Vec<usize> = table
                .lines()
                .map(|line| line.matches('|').count())
                .collect();
            assert!(
                cells.len() > 2 && cells.iter().all(|&count| count == cells[0]),
                "{table}"
            );
            tables += 1;
        }
        assert_eq!(tables, 7, "{text}");
        let memory = "| tiny-static, 64 | 30 (20) | 400 (20) | 500 (20) |";
        assert!(text.contains(memory), "{text}");
        let training = "| tiny-static, 64 | 2 | flex | 55.0 (52.5 to 278) | 220 (210 to 1110) | 121 (110 to 510) \
                        | 4.00 (4.00 to 4.00) | 2.00 (1.90 to 2.10) | 18.2 % |";
        assert!(text.contains(training), "{text}");
        assert!(
            text.contains(
                "| 512 -> 512, 64 pixels, batch 4, forward | 10.0 | 10.0 | 2.00 | 0.833 |"
            ),
            "{text}"
        );
        assert!(
            text.contains("| 64 -> 64, 64 pixels, batch 4 | 16 |"),
            "{text}"
        );
        assert!(text.contains("| memory |  | 20.0 | 10.0 |"), "{text}");
        assert!(
            text.contains("Peer: PyTorch 2.6.0. Command: `cargo xtask bench-peers`."),
            "{text}"
        );
    }

    #[test]
    fn what_was_not_measured_has_no_table() {
        let mut partial = results();
        partial.rows.clear();
        partial.kernels.clear();
        partial.framework = None;
        let text = markdown(&partial);
        assert!(text.contains("A selection of edges") && !text.contains("A training step"));
        assert!(!text.contains("Products") && !text.contains("Peer"));
    }
}
