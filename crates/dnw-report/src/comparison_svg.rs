//! Accuracy over budget as a static SVG, for example for a README.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::comparison::{ComparedRun, Comparison};
use crate::page::escape;
use crate::picture::{self, number};

/// The colours of the rules in order of appearance, as on the comparison page.
const COLOURS: [&str; 8] = [
    picture::POSITIVE,
    picture::NEGATIVE,
    "#0a8f6c",
    "#b8569a",
    "#6b7686",
    "#3aa6d8",
    "#b4540a",
    "#7a5fd0",
];

const WIDTH: f32 = 760.0;
const HEIGHT: f32 = 400.0;
const LEFT: f32 = 62.0;
const RIGHT: f32 = 200.0;
const TOP: f32 = 52.0;
const BOTTOM: f32 = 54.0;

/// Draws test accuracy over density: one dot per run, a line through the mean of each rule, a band from the worst
/// seed to the best.
///
/// The density axis is logarithmic if densities differ by more than a factor of four. Runs without possible edges
/// or without an evaluation are omitted.
pub fn comparison_svg(comparison: &Comparison) -> String {
    let runs: Vec<&ComparedRun> = comparison
        .runs
        .iter()
        .filter(|run| run.edges_possible > 0 && run.accuracy().is_some())
        .collect();
    let mut svg = picture::open(
        WIDTH,
        HEIGHT,
        "Test accuracy over the share of edges that are real",
    );
    svg.push_str("<text class=\"ink\" x=\"22\" y=\"32\" font-size=\"15\" font-weight=\"600\">Test accuracy over budget</text>");
    if !runs.is_empty() {
        let axes = Axes::around(&runs);
        axes.draw(&mut svg, &runs);
        draw_rules(&mut svg, &runs, &axes);
    }
    svg.push_str("</svg>\n");
    svg
}

fn density(run: &ComparedRun) -> f64 {
    run.edges_real as f64 / run.edges_possible as f64
}

struct Axes {
    from: f64,
    to: f64,
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axes {
    fn around(runs: &[&ComparedRun]) -> Self {
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        let (from, to) = ends(&mut runs.iter().map(|run| density(run)));
        let (low, high) = ends(&mut runs.iter().map(|run| run.test_accuracy));
        let logarithmic = from > 0.0 && to / from > 4.0;
        let margin = (to - from) * 0.1 + 0.005;
        let (from, to) = if logarithmic {
            (from / 1.25, to * 1.25)
        } else {
            ((from - margin).max(0.0), to + margin)
        };
        let air = ((high - low) * 0.08).max(0.002);
        Self {
            from,
            to,
            low: low - air,
            high: (high + air).min(1.0),
            logarithmic,
        }
    }

    fn x(&self, density: f64) -> f32 {
        let share = if self.logarithmic {
            (density / self.from).ln() / (self.to / self.from).ln()
        } else {
            (density - self.from) / (self.to - self.from)
        };
        LEFT + share as f32 * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, accuracy: f64) -> f32 {
        HEIGHT
            - BOTTOM
            - ((accuracy - self.low) / (self.high - self.low)) as f32 * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, svg: &mut String, runs: &[&ComparedRun]) {
        let step = round_step((self.high - self.low) / 5.0);
        let mut tick = (self.low / step).ceil();
        while tick * step <= self.high {
            let value = tick * step;
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{1}\" y2=\"{1}\"/><text class=\"soft\" x=\"{2}\" y=\"{3}\" font-size=\"12\" text-anchor=\"end\">{4}</text>",
                number(WIDTH - RIGHT),
                number(self.y(value)),
                number(LEFT - 8.0),
                number(self.y(value) + 4.0),
                percent(value),
            );
            tick += 1.0;
        }
        let mut densities: Vec<f64> = runs.iter().map(|run| density(run)).collect();
        densities.sort_by(f64::total_cmp);
        densities.dedup();
        let mut last = f32::NEG_INFINITY;
        for density in densities {
            let x = self.x(density);
            if x - last < 46.0 {
                continue;
            }
            last = x;
            let _ = write!(
                svg,
                "<text class=\"soft\" x=\"{}\" y=\"{}\" font-size=\"12\" text-anchor=\"middle\">{}</text>",
                number(x),
                number(HEIGHT - BOTTOM + 18.0),
                percent(density),
            );
        }
        let note = if self.logarithmic {
            " (logarithmic)"
        } else {
            ""
        };
        let _ = write!(
            svg,
            "<text class=\"soft\" x=\"{}\" y=\"{}\" font-size=\"12\" text-anchor=\"middle\">real edges of the possible ones{note}</text>",
            number((LEFT + WIDTH - RIGHT) / 2.0),
            number(HEIGHT - 14.0),
        );
    }
}

fn draw_rules(svg: &mut String, runs: &[&ComparedRun], axes: &Axes) {
    let mut rules: Vec<&str> = Vec::new();
    for run in runs {
        if !rules.contains(&run.rule.as_str()) {
            rules.push(&run.rule);
        }
    }
    let mut labels = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        // Densities are compared by their bits: equal budgets of equal networks have equal densities.
        let mut budgets: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for run in runs.iter().filter(|run| run.rule == *rule) {
            budgets
                .entry(density(run).to_bits())
                .or_default()
                .push(run.test_accuracy);
        }
        let (mut upper, mut lower, mut mean) = (Vec::new(), Vec::new(), Vec::new());
        for (bits, accuracies) in &budgets {
            let x = number(axes.x(f64::from_bits(*bits)));
            let best = accuracies.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let worst = accuracies.iter().copied().fold(f64::INFINITY, f64::min);
            let middle = axes.y(accuracies.iter().sum::<f64>() / accuracies.len() as f64);
            upper.push(format!("{x} {}", number(axes.y(best))));
            lower.push(format!("{x} {}", number(axes.y(worst))));
            mean.push((x, middle));
        }
        lower.reverse();
        let _ = write!(
            svg,
            "<path fill=\"{colour}\" opacity=\".14\" d=\"M{}Z\"/>",
            [upper, lower].concat().join("L")
        );
        let line: Vec<String> = mean
            .iter()
            .map(|(x, y)| format!("{x} {}", number(*y)))
            .collect();
        let _ = write!(
            svg,
            "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.4\" stroke-linejoin=\"round\" d=\"M{}\"/>",
            line.join("L")
        );
        if let Some((_, y)) = mean.last() {
            labels.push((*y, *rule, colour));
        }
    }
    for run in runs {
        let colour =
            COLOURS[rules.iter().position(|rule| *rule == run.rule).unwrap_or(0) % COLOURS.len()];
        let _ = write!(
            svg,
            "<circle cx=\"{}\" cy=\"{}\" r=\"3.6\" fill=\"{colour}\"><title>{}: {:.2}%</title></circle>",
            number(axes.x(density(run))),
            number(axes.y(run.test_accuracy)),
            escape(&run.name),
            run.test_accuracy * 100.0,
        );
    }
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = f32::NEG_INFINITY;
    for (y, rule, colour) in labels {
        let lines = broken(rule, 26);
        free = (y + 4.0).max(free + 18.0);
        for line in &lines {
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{}\" font-size=\"12.5\" font-weight=\"600\" fill=\"{colour}\">{}</text>",
                number(WIDTH - RIGHT + 12.0),
                number(free),
                escape(line),
            );
            free += 15.0;
        }
        free -= 15.0;
    }
}

/// A percentage with at most one decimal.
fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    format!("{}%", text.strip_suffix(".0").unwrap_or(&text))
}

/// Breaks text into lines of about `most` characters, because SVG text does not wrap.
fn broken(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > most {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The smallest value of 1, 2, 2.5 or 5 times a power of ten that is at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn every_run_has_a_dot_even_if_it_collapsed() {
        let comparison = synthetic::comparison();
        let svg = comparison_svg(&comparison);
        assert_eq!(svg.matches("<circle").count(), comparison.runs.len());
        assert!(svg.contains("dnw-199-s2"));
    }

    #[test]
    fn an_empty_comparison_is_a_valid_svg() {
        let nothing = Comparison {
            runs: vec![],
            overlap: vec![],
            command: String::new(),
        };
        assert!(comparison_svg(&nothing).ends_with("</svg>\n"));
    }

    #[test]
    fn a_line_breaks_between_words() {
        assert_eq!(
            broken("largest magnitude, shrinking budget", 18),
            ["largest magnitude,", "shrinking budget"]
        );
    }
}
