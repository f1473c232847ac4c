//! A plot of the times of products by density and by number of nodes.

use std::fmt::Write;

use super::products::{Growing, KernelRow, Operation};
use super::results::Results;
use super::table::shape;
use crate::text::{escape_svg, three_digits};

/// The background is part of the picture, so that it is readable on light and dark pages. It is dark if the reader prefers dark.
const STYLE: &str = "<style>\
.paper{fill:#fff;stroke:#e2e0d9}.ink{fill:#1b2330}.soft{fill:#5d6675}.grid{stroke:#e2e0d9}.same{stroke:#5d6675;stroke-dasharray:5 4}\
polyline{fill:none;stroke-width:2.2;stroke-linejoin:round}circle{stroke:none}\
.c0{stroke:#1b72c4;fill:#1b72c4}.c1{stroke:#e07b12;fill:#e07b12}.c2{stroke:#0a8f6c;fill:#0a8f6c}.c3{stroke:#a8509f;fill:#a8509f}\
@media(prefers-color-scheme:dark){.paper{fill:#161b22;stroke:#2a313b}.ink{fill:#e8ebf0}.soft{fill:#9aa4b2}.grid{stroke:#2a313b}\
.same{stroke:#9aa4b2}.c0{stroke:#57a8f2;fill:#57a8f2}.c1{stroke:#f59a3c;fill:#f59a3c}.c2{stroke:#3fc79a;fill:#3fc79a}\
.c3{stroke:#d182c9;fill:#d182c9}}polyline.line{fill:none}\
text{font-family:Inter,system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}</style>";

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 300.0;
/// Colours of lines.
const COLOURS: usize = 4;

/// A line: its name and its points.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Two panels: time relative to the dense product by density, and time by number of nodes.
pub fn svg(results: &Results) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\
         <title>How wired products grow with density and with nodes</title>{STYLE}\
         <rect class=\"paper\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"10\"/>",
        WIDTH - 1.0,
        HEIGHT - 1.0
    );
    let density = Panel {
        left: 62.0,
        right: 410.0,
        title: "Time of the wired product relative to the dense one",
        below: "share of edges that are real",
        ticks: one_two_five,
        has_one: true,
    };
    density.draw(&mut svg, &by_density(&results.kernels));
    let nodes = Panel {
        left: 492.0,
        right: 840.0,
        title: "Milliseconds, with a constant number of edges into each node",
        below: "nodes on each side of the product",
        ticks: doubling,
        has_one: false,
    };
    nodes.draw(&mut svg, &by_nodes(&results.kernels));
    svg.push_str("</svg>\n");
    svg
}

/// Forward products: for each shape our time relative to the dense product, by density.
fn by_density(rows: &[KernelRow]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let is_shown = |row: &&KernelRow| {
        row.case.growing == Growing::Density && row.case.operation == Operation::Forward
    };
    for row in rows.iter().filter(is_shown) {
        let (name, point) = (shape(row), (row.case.density, 1.0 / row.ratio));
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => lines.push(Line {
                name,
                points: vec![point],
            }),
        }
    }
    lines
}

/// Milliseconds of our product and of the dense one, by number of nodes.
fn by_nodes(rows: &[KernelRow]) -> Vec<Line> {
    let rows = rows.iter().filter(|row| row.case.growing == Growing::Nodes);
    let rows: Vec<&KernelRow> = rows.collect();
    let Some(first) = rows.first() else {
        return Vec::new();
    };
    let points = |of: fn(&KernelRow) -> f64| {
        let point = |row: &&KernelRow| (row.case.sources as f64, of(row));
        rows.iter().map(point).collect()
    };
    let edges = first.case.density * first.case.sources as f64;
    vec![
        Line {
            name: format!("wired, {edges:.0} real edges into each node"),
            points: points(|row| row.ours_ms),
        },
        Line {
            name: "dense, of the gemm crate".into(),
            points: points(|row| row.gemm_ms),
        },
    ]
}

/// A plot with logarithmic axes.
struct Panel {
    left: f64,
    right: f64,
    title: &'static str,
    below: &'static str,
    /// Possible ticks of the x axis.
    ticks: fn() -> Vec<f64>,
    /// Whether to draw a line at 1, where both are equally fast.
    has_one: bool,
}

impl Panel {
    fn draw(&self, svg: &mut String, lines: &[Line]) {
        let _ = write!(
            svg,
            "<text class=\"ink\" x=\"{}\" y=\"36\" font-size=\"14\" font-weight=\"600\">{}</text>",
            self.left - 40.0,
            self.title
        );
        let points = || lines.iter().flat_map(|line| line.points.iter());
        let across = Axis::of(
            points().map(|point| point.0),
            (self.ticks)(),
            [self.left, self.right],
        );
        let heights = points().map(|point| point.1);
        let one = self.has_one.then_some(1.0);
        let up = Axis::of(heights.chain(one), one_two_five(), [BOTTOM, TOP]);
        self.grid(svg, &across, &up);
        for (place, line) in lines.iter().enumerate() {
            let colour = place % COLOURS;
            let mut corners = String::new();
            let mut marks = String::new();
            for &(x, y) in &line.points {
                let (at, height) = (across.coordinate(x), up.coordinate(y));
                let _ = write!(corners, "{at:.1},{height:.1} ");
                let _ = write!(
                    marks,
                    "<circle class=\"c{colour}\" cx=\"{at:.1}\" cy=\"{height:.1}\" r=\"3.2\"><title>{}: {} at {}</title></circle>",
                    escape_svg(&line.name),
                    three_digits(y),
                    three_digits(x)
                );
            }
            let _ = write!(
                svg,
                "<polyline class=\"c{colour} line\" points=\"{}\"/>{marks}",
                corners.trim_end()
            );
            let y = BOTTOM + 54.0 + 16.0 * place as f64;
            let _ = write!(
                svg,
                "<circle class=\"c{colour}\" cx=\"{}\" cy=\"{}\" r=\"4\"/><text class=\"soft\" x=\"{}\" y=\"{y}\" font-size=\"12\">{}</text>",
                self.left + 4.0,
                y - 4.0,
                self.left + 16.0,
                escape_svg(&line.name)
            );
        }
    }

    fn grid(&self, svg: &mut String, across: &Axis, up: &Axis) {
        for &value in &up.ticks {
            let y = up.coordinate(value);
            let class = if self.has_one && value == 1.0 {
                "same"
            } else {
                "grid"
            };
            let _ = write!(
                svg,
                "<line class=\"{class}\" x1=\"{}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"soft\" x=\"{}\" y=\"{:.1}\" font-size=\"12\" text-anchor=\"end\">{value}</text>",
                self.left,
                self.right,
                self.left - 8.0,
                y + 4.0
            );
        }
        for &value in &across.ticks {
            let x = across.coordinate(value);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
                 <text class=\"soft\" x=\"{x:.1}\" y=\"{}\" font-size=\"12\" text-anchor=\"middle\">{value}</text>",
                BOTTOM + 18.0
            );
        }
        let _ = write!(
            svg,
            "<text class=\"soft\" x=\"{}\" y=\"{}\" font-size=\"12\" text-anchor=\"middle\">{}</text>",
            (self.left + self.right) / 2.0,
            BOTTOM + 35.0,
            self.below
        );
    }
}

/// A logarithmic axis between two coordinates.
struct Axis {
    ticks: Vec<f64>,
    ends: [f64; 2],
}

impl Axis {
    /// An axis around these values, with as many of the ticks as they need.
    fn of(values: impl Iterator<Item = f64>, candidates: Vec<f64>, ends: [f64; 2]) -> Self {
        let (low, high) = values
            .filter(|value| *value > 0.0 && value.is_finite())
            .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), value| {
                (low.min(value), high.max(value))
            });
        let (low, high) = if low > high { (0.1, 1.0) } else { (low, high) };
        let first = candidates.iter().rposition(|tick| *tick <= 1.0001 * low);
        let last = candidates.iter().position(|tick| 1.0001 * tick >= high);
        let first = first.unwrap_or(0);
        let last = last.unwrap_or(candidates.len() - 1).max(first + 1);
        Self {
            ticks: candidates[first..=last.min(candidates.len() - 1)].to_vec(),
            ends,
        }
    }

    fn coordinate(&self, value: f64) -> f64 {
        let (low, high) = (self.ticks[0], self.ticks[self.ticks.len() - 1]);
        let share = (value / low).ln() / (high / low).ln();
        self.ends[0] + share.clamp(0.0, 1.0) * (self.ends[1] - self.ends[0])
    }
}

/// 1, 2 and 5 of every power of ten.
fn one_two_five() -> Vec<f64> {
    // Parsed from text, so that they print without rounding errors.
    let tick = |power, digit| format!("{digit}e{power}").parse().unwrap_or(1.0);
    let powers = -9..=9;
    powers
        .flat_map(|power| [1, 2, 5].map(|digit| tick(power, digit)))
        .collect()
}

/// Powers of two.
fn doubling() -> Vec<f64> {
    (0..=30).map(|power| f64::from(1 << power)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::results::tests::results;

    #[test]
    fn every_measurement_is_a_point() {
        let results = results();
        let lines = by_density(&results.kernels);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].points, [(0.01, 0.1), (0.1, 0.5), (1.0, 1.2)]);
        let svg = svg(&results);
        // Three of density, two of nodes for each of two lines, and one for each name.
        assert_eq!(svg.matches("<circle ").count(), 3 + 4 + 3);
        assert_eq!(svg.matches("<polyline ").count(), 3);
        assert!(svg.contains("512 -&gt; 512, 64 pixels, batch 4"));
        assert!(svg.contains("wired, 16 real edges into each node"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn an_axis_is_logarithmic() {
        let axis = Axis::of([0.011, 0.97].into_iter(), one_two_five(), [0.0, 100.0]);
        assert_eq!(axis.ticks, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]);
        let nodes = Axis::of([64.0, 500.0].into_iter(), doubling(), [0.0, 100.0]);
        assert_eq!(nodes.ticks, [64.0, 128.0, 256.0, 512.0]);
        let step = axis.coordinate(0.2) - axis.coordinate(0.1);
        assert!((axis.coordinate(0.8) - axis.coordinate(0.4) - step).abs() < 1e-9);
        assert_eq!((axis.coordinate(0.01), axis.coordinate(1.0)), (0.0, 100.0));
    }

    #[test]
    fn without_measurements_the_picture_is_empty_and_valid() {
        let mut nothing = results();
        nothing.kernels.clear();
        let svg = svg(&nothing);
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("<polyline "));
    }
}
