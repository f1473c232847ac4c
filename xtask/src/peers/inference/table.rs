//! The results of inference as tables in Markdown.

use std::fmt::Write;

use super::results::{Against, Results, Row, Runtime};
use crate::peers::statistics::Spread;
use crate::text::three_digits;

/// The tables.
pub fn markdown(results: &Results<Row>) -> String {
    let Results {
        threads,
        batch,
        rows,
        ..
    } = results;
    let mut text = results.caption();
    let _ = writeln!(
        text,
        "### Inference\n\nBatch {batch}, threads: {threads}. Milliseconds of an image, median over rounds in turn. A ratio is the peer's time divided \
         by ours, the median (quartiles) of those within a round; above 1 ours is faster. The difference is the largest of a logit, relative to \
         the largest logit.\n\n\
         | network | live multiply-adds | ours | dense peer | ratio | masked peer | ratio | difference | targets |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    );
    for row in rows {
        let [dense, dense_ratio] = match &row.dense {
            Some(dense) => [
                format!("{} ({})", three_digits(dense.side.ms.median), dense.network),
                quartiles(&dense.ratio),
            ],
            None => [String::new(), String::new()],
        };
        let _ = writeln!(
            text,
            "| {} | {} M | {} | {dense} | {dense_ratio} | {} | {} | {:.0e} | {} |",
            row.network,
            three_digits(1e-6 * row.multiply_adds as f64),
            three_digits(row.ours.ms.median),
            three_digits(row.masked.side.ms.median),
            quartiles(&row.masked.ratio),
            row.difference,
            targets(row),
        );
    }
    text.push_str(
        "\nOther runtimes, on the network in brackets.\n\n\
         | network | runtime | ours | peer | ratio |\n\
         | --- | --- | ---: | ---: | ---: |\n",
    );
    for row in rows {
        for Runtime { name, against } in &row.runtimes {
            let _ = writeln!(
                text,
                "| {} | {name} | {} | {} ({}) | {} |",
                row.network,
                three_digits(row.ours.ms.median),
                three_digits(against.side.ms.median),
                against.network,
                quartiles(&against.ratio),
            );
        }
    }
    text.push_str(
        "\nFiles, starts and memory. A start is from the file to the first result, in brackets the session alone; the median of several \
         processes, without starting the process itself. Memory is the peak of the process; in brackets that of the peer's without Python and its \
         libraries.\n\n\
         | network | file, ours | file, ONNX | start, ours, ms | start, peer, ms | memory, ours, MB | memory, peer, MB |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let (ours, masked) = (&row.ours, &row.masked.side);
        let megabytes = |bytes: u64| three_digits(1e-6 * bytes as f64);
        let peak = |bytes: Option<u64>| bytes.map_or_else(String::new, megabytes);
        let added = masked
            .peak_bytes
            .map(|peak| peak.saturating_sub(masked.bytes_before));
        let _ = writeln!(
            text,
            "| {} | {} MB | {} MB | {} ({}) | {} ({}) | {} | {} ({}) |",
            row.network,
            megabytes(ours.file_bytes),
            megabytes(masked.file_bytes),
            three_digits(ours.first_ms),
            three_digits(ours.session_ms),
            three_digits(masked.first_ms),
            three_digits(masked.session_ms),
            peak(ours.peak_bytes),
            peak(masked.peak_bytes),
            peak(added),
        );
    }
    text
}

fn targets(row: &Row) -> String {
    let of = |what: &str, against: &Against| {
        let reached = match against.reached()? {
            true => "reached",
            false => "not reached",
        };
        Some(format!("{} x {what}: {reached}", against.target?))
    };
    let dense = row.dense.as_ref().and_then(|dense| of("dense", dense));
    let both = dense.into_iter().chain(of("masked", &row.masked));
    both.collect::<Vec<_>>().join("; ")
}

fn quartiles(spread: &Spread) -> String {
    let [median, lower, upper] = [spread.median, spread.lower, spread.upper].map(three_digits);
    format!("{median} ({lower} to {upper})")
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::results;
    use super::*;

    #[test]
    fn every_row_has_as_many_cells_as_its_header() {
        let text = markdown(&results());
        let tables = text.split("\n\n").filter(|part| part.starts_with('|'));
        let mut count = 0;
        for table in tables {
            let cells: Vec<_> = table
                .lines()
                .map(|line| line.matches('|').count())
                .collect();
            assert_eq!(cells, [cells[0]; 4], "{table}");
            count += 1;
        }
        assert_eq!(count, 3, "{text}");
    }

    #[test]
    fn a_row_says_which_targets_are_reached() {
        let text = markdown(&results());
        let row = "| dnw-x0.225 | 42.0 M | 3.00 | 1.50 (dense-x0.25) | 0.500 (0.500 to 0.500) | 72.0 | 24.0 (22.0 to 27.0) | 2e-6 \
                   | 1 x dense: not reached; 22 x masked: reached |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| 2e-6 |  |\n"), "{text}");
    }
}
