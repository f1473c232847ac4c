//! What was found, as tables in Markdown.

use std::fmt::Write;

use super::found::{
    Found, Growing, Held, KernelRow, Operation, Roofline, SelectionRow, TrainingRow,
};
use super::statistics::Spread;
use crate::text::{in_a_cell, three_digits};

/// All tables of which there are rows.
pub fn markdown(found: &Found) -> String {
    let mut text = format!("Machine: {}.", found.machine);
    if let Some(framework) = &found.framework {
        let _ = write!(text, " Peer: {framework}.");
    }
    let _ = writeln!(text, " Command: `{}`.\n", found.command);
    text.push_str(&roofline(&found.roofline));
    if !found.rows.is_empty() {
        text.push_str(&training(&found.rows));
        text.push_str(&memory(&found.rows));
    }
    if !found.selection.is_empty() {
        text.push_str(&selection(&found.selection));
    }
    if !found.kernels.is_empty() {
        text.push_str(&density(&found.kernels, &found.roofline));
        text.push_str(&nodes(&found.kernels));
    }
    text
}

fn roofline(limits: &Roofline) -> String {
    let mut text = format!(
        "### Limits of the machine\n\n{} threads, {}: {} billion multiply-adds a second.\n\n\
         | level | a thread's | read, GB/s | a = b + s c, GB/s |\n| --- | ---: | ---: | ---: |\n",
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
            in_a_cell(&row.model),
            row.batch,
            row.threads,
            in_a_cell(&row.backend),
            of(&spread.ours_ms),
            of(&spread.torch_dnw_ms),
            of(&spread.torch_fixed_ms),
            of(&spread.ratio),
            of(&spread.ratio_fixed),
            percent(row.share_of_peak),
        );
    }
    text
}

/// What the processes of training steps hold.
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
         The most that a process ever had resident, in MB, and in brackets what of it came after its network was made: activations, \
         gradients, velocities, and what was in its way there.\n\n\
         | network, batch | ours | PyTorch DNW | PyTorch, fixed mask |\n| --- | ---: | ---: | ---: |\n",
    );
    for (row, sides) in known {
        let mb = |bytes: u64| bytes >> 20;
        let side = |held: &Held| {
            format!(
                "{} ({})",
                mb(held.peak),
                mb(held.peak.saturating_sub(held.before))
            )
        };
        let [ours, dnw, fixed] = sides.each_ref().map(side);
        let model = in_a_cell(&row.model);
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
         | weights, chosen | threads | ours | PyTorch argsort, as published | PyTorch kthvalue | ratio | ratio, kthvalue |\n\
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
            of(&spread.ours_ms),
            of(&spread.torch_sort_ms),
            of(&spread.torch_kthvalue_ms),
            of(&spread.ratio),
            of(&spread.ratio_kthvalue),
        );
    }
    text
}

/// The dense product's time over ours, by product and density, and our share of the roofline.
fn density(rows: &[KernelRow], limits: &Roofline) -> String {
    let rows = rows
        .iter()
        .filter(|row| row.case.growing == Growing::Density);
    let rows: Vec<&KernelRow> = rows.collect();
    let beside = "\n### Products beside those of the `gemm` crate\n\n\
         How many times as long the dense product takes, by the share of edges that are real; beside it the dense product, milliseconds.\n\n\
         | product | gemm, ms |";
    let gemm = |of_it: &[&KernelRow]| {
        let gemm: Vec<f64> = of_it.iter().map(|row| row.gemm_ms).collect();
        three_digits(Spread::of(&gemm).median)
    };
    let roofline = "\nThe share of the roofline that ours reaches: what the product takes at least on this machine, in what it takes. \
         Beside it how many times as long as the roofline the dense product of density 0.1, 0.05, 0.01 takes, which is what a ratio could be \
         at most while each edge brings its row.\n\n\
         | product | at most |";
    let at_most = |of_it: &[&KernelRow]| {
        let at = |density: f64| of_it.iter().find(|row| row.case.density == density);
        let most = [0.1, 0.05, 0.01].map(at).map(|row| {
            let most = |row: &&KernelRow| three_digits(row.gemm_ms / limits.product_ms(&row.case));
            row.map_or_else(String::new, most)
        });
        let known: Vec<String> = most.into_iter().filter(|cell| !cell.is_empty()).collect();
        known.join(", ")
    };
    let share = |row: &KernelRow| percent(limits.product_ms(&row.case) / row.ours_ms);
    let mut text = by_density(&rows, beside, gemm, |row| three_digits(row.ratio));
    text.push_str(&by_density(&rows, roofline, at_most, share));
    text
}

/// A line for each product, with a cell for each density behind one for all of them.
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
        let of_it = rows.iter().filter(|other| self::name(other) == name);
        let of_it: Vec<&KernelRow> = of_it.copied().collect();
        let _ = write!(text, "| {name} | {} |", of_all(&of_it));
        for density in &densities {
            let at = of_it.iter().find(|row| row.case.density == *density);
            let cell = at.map_or_else(String::new, |row| cell(row));
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
        done.push(name);
    }
    text
}

/// What a product is called.
pub fn name(row: &KernelRow) -> String {
    let case = &row.case;
    let operation = match case.operation {
        Operation::Forward => "forward",
        Operation::InputGradient => "input gradient",
        Operation::WeightGradient => "weight gradient, every edge",
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
        "\n### Products as nodes grow\n\n\
         As many real edges into each node; milliseconds of the forward product, median (quartiles).\n\n\
         | product | edges into a node | ours | gemm | ratio |\n| --- | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let edges = row.case.density * row.case.sources as f64;
        let _ = writeln!(
            text,
            "| {} | {edges:.0} | {} | {} | {} |",
            shape(row),
            of(&row.spread.ours_ms),
            of(&row.spread.gemm_ms),
            of(&row.spread.ratio)
        );
    }
    text
}

/// Median and quartiles.
fn of(spread: &Spread) -> String {
    let [median, lower, upper] = [spread.median, spread.lower, spread.upper].map(three_digits);
    format!("{median} ({lower} to {upper})")
}

fn percent(share: f64) -> String {
    format!("{} %", three_digits(100.0 * share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::found::tests::found;

    #[test]
    fn every_table_has_a_line_for_each_row_with_as_many_cells_as_its_head() {
        let text = markdown(&found());
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
        let mut little = found();
        little.rows.clear();
        little.kernels.clear();
        little.framework = None;
        let text = markdown(&little);
        assert!(text.contains("A selection of edges") && !text.contains("A training step"));
        assert!(!text.contains("Products") && !text.contains("Peer"));
    }
}
