//! A bar chart of training steps.

use std::fmt::Write;

use super::row::{Measured, Outcome, Results, Row};
use super::table::describe;
use crate::text::{escape_svg, three_digits};

/// The background is part of the chart, so that it is readable on light and dark pages. It is dark if the reader prefers dark.
const STYLE: &str = "<style>\
.paper{fill:#fff;stroke:#e2e0d9}.ink{fill:#1b2330}.soft{fill:#5d6675}.grid{stroke:#e2e0d9}\
.step{fill:#1b72c4}.forward{fill:#e07b12}.rewire{fill:#0a8f6c}\
@media(prefers-color-scheme:dark){.paper{fill:#161b22;stroke:#2a313b}.ink{fill:#e8ebf0}.soft{fill:#9aa4b2}.grid{stroke:#2a313b}\
.step{fill:#57a8f2}.forward{fill:#f59a3c}.rewire{fill:#3fc79a}}\
text{font-family:Inter,system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}</style>";

const WIDTH: f64 = 760.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 84.0;
const TOP: f64 = 84.0;
/// The height of a device.
const LINE: f64 = 27.0;
/// The height of a heading.
const HEADING: f64 = 30.0;
/// The bars of a device: class, name and height.
const BARS: [(&str, &str, f64); 3] = [
    ("step", "training step", 9.0),
    ("forward", "forward", 5.0),
    ("rewire", "rewiring", 5.0),
];

/// The milliseconds of every row on a logarithmic axis, network by network. A row without measurements gives the reason.
pub fn svg(results: &Results) -> String {
    let models = models(results);
    let height = TOP + HEADING * models.len() as f64 + LINE * results.rows.len() as f64 + 40.0;
    let axis = Axis::around(results);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\"><title>Milliseconds by network and device</title>{STYLE}\
         <rect class=\"paper\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\
         <text class=\"ink\" x=\"22\" y=\"32\" font-size=\"15\" font-weight=\"600\">Milliseconds, logarithmic</text>",
        WIDTH - 1.0,
        height - 1.0
    );
    legend(&mut svg);
    axis.draw(&mut svg, height - 40.0);
    let mut y = TOP;
    for model in models {
        y += HEADING;
        let rows = results.rows.iter().filter(|row| row.request.model == model);
        let rows: Vec<&Row> = rows.collect();
        let batch = rows.iter().find_map(|row| measured(row));
        let batch = batch.map_or_else(String::new, |found| format!(", batch {}", found.batch));
        let _ = write!(
            svg,
            "<text class=\"ink\" x=\"22\" y=\"{:.1}\" font-size=\"13\" font-weight=\"600\">{}{batch}</text>",
            y - 8.0,
            escape_svg(&model)
        );
        for row in rows {
            draw(&mut svg, row, &axis, y);
            y += LINE;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The networks in the order in which they appear.
fn models(results: &Results) -> Vec<String> {
    let mut models: Vec<String> = Vec::new();
    for row in &results.rows {
        if !models.contains(&row.request.model) {
            models.push(row.request.model.clone());
        }
    }
    models
}

fn measured(row: &Row) -> Option<&Measured> {
    match &row.outcome {
        Outcome::Measured(found) => Some(found),
        _ => None,
    }
}

/// Milliseconds in the order of the bars.
fn milliseconds(found: &Measured) -> [f64; 3] {
    [&found.step, &found.forward, &found.rewire].map(|timing| 1e3 * timing.median)
}

fn legend(svg: &mut String) {
    let mut x = LEFT;
    for (class, name, _) in BARS {
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"47\" width=\"12\" height=\"9\"/>\
             <text class=\"soft\" x=\"{}\" y=\"56\" font-size=\"12\">{name}</text>",
            x + 18.0
        );
        x += 120.0;
    }
}

fn draw(svg: &mut String, row: &Row, axis: &Axis, y: f64) {
    let _ = write!(
        svg,
        "<text class=\"soft\" x=\"{}\" y=\"{:.1}\" font-size=\"12\" text-anchor=\"end\">{}</text>",
        LEFT - 10.0,
        y + 13.0,
        escape_svg(&row.request.device)
    );
    let Some(found) = measured(row) else {
        let mut reason = describe(&row.outcome).replace(['\n', '\r'], " ");
        if let Some((end, _)) = reason.char_indices().nth(72) {
            reason.truncate(end);
            reason.push_str(" ...");
        }
        let _ = write!(
            svg,
            "<text class=\"soft\" x=\"{}\" y=\"{:.1}\" font-size=\"12\" font-style=\"italic\">{}</text>",
            LEFT + 4.0,
            y + 13.0,
            escape_svg(&reason)
        );
        return;
    };
    let mut top = y;
    for ((class, name, height), value) in BARS.into_iter().zip(milliseconds(found)) {
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height}\"><title>{}: {name} {} ms</title></rect>",
            axis.x(value) - LEFT,
            escape_svg(&row.request.device),
            three_digits(value)
        );
        top += height;
    }
    let step = milliseconds(found)[0];
    let _ = write!(
        svg,
        "<text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\">{} ms</text>",
        axis.x(step) + 6.0,
        y + 9.0,
        three_digits(step)
    );
}

/// A logarithmic axis over whole powers of ten.
struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    fn around(results: &Results) -> Self {
        let values = results
            .rows
            .iter()
            .filter_map(measured)
            .flat_map(milliseconds);
        let powers = values.filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) = powers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), power| {
            (low.min(power), high.max(power))
        });
        if low > high {
            return Self { low: 0, high: 1 };
        }
        let low = low.floor() as i32;
        Self {
            low,
            high: (high.ceil() as i32).max(low + 1),
        }
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn draw(&self, svg: &mut String, bottom: f64) {
        for power in self.low..=self.high {
            let value = 10f64.powi(power);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
                 <text class=\"soft\" x=\"{0:.1}\" y=\"{1}\" font-size=\"12\" text-anchor=\"middle\">{value}</text>",
                self.x(value),
                bottom + 18.0
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::table::tests::results;

    #[test]
    fn every_row_has_bars_or_a_reason() {
        let svg = svg(&results());
        for (class, ..) in BARS {
            // One for each of the three measured rows, and one of the legend.
            assert_eq!(
                svg.matches(&format!("<rect class=\"{class}\"")).count(),
                4,
                "{class}"
            );
        }
        assert!(svg.contains("crashed: signal: 11"));
        assert!(svg.contains("ended after 600 s"));
        assert!(svg.contains("mnist, batch 64"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn the_axis_is_logarithmic() {
        let axis = Axis { low: -1, high: 3 };
        let step = axis.x(1.0) - axis.x(0.1);
        assert!((axis.x(1000.0) - axis.x(100.0) - step).abs() < 1e-9);
        assert!((axis.x(20.0) - axis.x(2.0) - step).abs() < 1e-9);
        let around = Axis::around(&results());
        assert_eq!((around.low, around.high), (-1, 3));
    }

    #[test]
    fn messages_of_devices_are_escaped() {
        let mut hostile = results();
        hostile.rows[2].outcome = Outcome::Refused("<script>\"&".repeat(20));
        let svg = svg(&hostile);
        assert!(!svg.contains("<script>"));
        let nothing = Results {
            rows: Vec::new(),
            ..hostile
        };
        assert!(super::svg(&nothing).ends_with("</svg>\n"));
    }
}
