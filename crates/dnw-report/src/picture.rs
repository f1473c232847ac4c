//! Layout and style of the SVG pictures: node positions, edge curves, colours.
//!
//! The layout is that of `assets/layout.js`, so that pictures and the page look the same.

use std::fmt::Write;

use crate::recording::Recording;

pub(crate) const POSITIVE: &str = "#1b72c4";
pub(crate) const NEGATIVE: &str = "#e07b12";

/// A picture has its own background, so that it is readable on light and dark pages. The background follows the
/// reader's colour scheme.
pub(crate) const STYLE: &str = "<style>\
.paper{fill:#fff;stroke:#e2e0d9}.ink{fill:#1b2330}.soft{fill:#5d6675}.p{stroke:#1b72c4}.n{stroke:#e07b12}\
.grid{stroke:#e2e0d9}.live{fill:#5d6675}.dead{fill:#fff;stroke:#98a0ad;stroke-dasharray:2 1.5}.bar{fill:#1b72c4}.track{fill:#e2e0d9}\
@media(prefers-color-scheme:dark){.paper{fill:#161b22;stroke:#2a313b}.ink{fill:#e8ebf0}.soft{fill:#9aa4b2}.p{stroke:#57a8f2}.n{stroke:#f59a3c}\
.grid{stroke:#2a313b}.live{fill:#9aa4b2}.dead{fill:#161b22;stroke:#66707f}.bar{fill:#57a8f2}.track{fill:#2a313b}}\
text{font-family:Inter,system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}</style>";

const CLOSEST: f32 = 5.0;
const WIDEST: f32 = 44.0;

/// The positions of the nodes in a box.
pub(crate) struct Layout {
    pub(crate) place: Vec<(f32, f32)>,
    pub(crate) radius: f32,
}

/// A rectangle: left, top, width, height.
#[derive(Clone, Copy)]
pub(crate) struct Area {
    pub(crate) left: f32,
    pub(crate) top: f32,
    pub(crate) width: f32,
    pub(crate) height: f32,
}

impl Layout {
    pub(crate) fn new(recording: &Recording, area: Area) -> Self {
        let count = recording
            .nodes
            .iter()
            .map(|node| node.level as usize + 1)
            .max()
            .unwrap_or(0);
        let mut levels = vec![Vec::new(); count];
        for (index, node) in recording.nodes.iter().enumerate() {
            levels[node.level as usize].push(index);
        }
        let most = (area.height / CLOSEST).floor().max(1.0) as usize;
        let mut place = vec![(0.0, 0.0); recording.nodes.len()];
        let mut gap = WIDEST;
        for (l, level) in levels
            .iter()
            .enumerate()
            .filter(|(_, level)| !level.is_empty())
        {
            let columns = level.len().div_ceil(most);
            let rows = level.len().div_ceil(columns);
            let step = (area.height / rows as f32).min(WIDEST);
            gap = gap.min(step);
            let centre = if count > 1 {
                area.width * l as f32 / (count - 1) as f32
            } else {
                area.width / 2.0
            };
            for (i, &node) in level.iter().enumerate() {
                let column = (i / rows) as f32 - (columns as f32 - 1.0) / 2.0;
                let row = (i % rows) as f32 - (rows as f32 - 1.0) / 2.0;
                place[node] = (
                    area.left + centre + column * CLOSEST * 1.4,
                    area.top + area.height / 2.0 + row * step,
                );
            }
        }
        Self {
            place,
            radius: (gap * 0.28).clamp(1.2, 6.0),
        }
    }

    /// The curve from one node to another, as SVG path data.
    pub(crate) fn curve(&self, source: usize, target: usize) -> String {
        let ((x0, y0), (x1, y1)) = (self.place[source], self.place[target]);
        let reach = x1 - x0;
        let (out, back) = if reach > 2.0 {
            (reach * 0.42, reach * 0.42)
        } else {
            // An edge within a column, or to an earlier one, is drawn as a loop.
            let bow = 34.0 + reach.abs() * 0.25;
            (bow, if reach < -2.0 { bow } else { -bow })
        };
        // Relative coordinates, because they dominate the size of a picture with many edges.
        format!(
            "M{} {}c{} 0 {} {} {} {}",
            number(x0),
            number(y0),
            number(out),
            number(reach - back),
            number(y1 - y0),
            number(reach),
            number(y1 - y0)
        )
    }
}

/// Which nodes are on a path of `edges`, pairs of (source, target), from an input to an output.
pub(crate) fn alive(recording: &Recording, edges: &[(usize, usize)]) -> Vec<bool> {
    use crate::recording::NodeKind;
    let of_kind = |kind: NodeKind| -> Vec<bool> {
        recording
            .nodes
            .iter()
            .map(|node| node.kind == kind)
            .collect()
    };
    let mut outgoing = vec![Vec::new(); recording.nodes.len()];
    let mut incoming = vec![Vec::new(); recording.nodes.len()];
    for &(source, target) in edges {
        outgoing[source].push(target);
        incoming[target].push(source);
    }
    let forward = spread(of_kind(NodeKind::Input), &outgoing);
    let backward = spread(of_kind(NodeKind::Output), &incoming);
    forward
        .iter()
        .zip(&backward)
        .map(|(&a, &b)| a && b)
        .collect()
}

fn spread(mut reached: Vec<bool>, neighbours: &[Vec<usize>]) -> Vec<bool> {
    let mut waiting: Vec<usize> = (0..reached.len()).filter(|&node| reached[node]).collect();
    while let Some(node) = waiting.pop() {
        for &next in &neighbours[node] {
            if !std::mem::replace(&mut reached[next], true) {
                waiting.push(next);
            }
        }
    }
    reached
}

/// Formats a number with at most one decimal, without trailing zeros.
pub(crate) fn number(value: f32) -> String {
    let mut text = format!("{value:.1}");
    if let Some(whole) = text.strip_suffix(".0") {
        text.truncate(whole.len());
    }
    if text == "-0" { "0".into() } else { text }
}

/// Formats a number with at most `decimals` decimals, without trailing zeros.
pub(crate) fn shortest(value: f32, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    match text.strip_prefix("0.") {
        Some(fraction) => format!(".{fraction}"),
        None => text.to_owned(),
    }
}

/// Formats `12345` as `12,345`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The opening SVG element with view box, style and background.
pub(crate) fn open(width: f32, height: f32, label: &str) -> String {
    let mut svg = String::new();
    let (w, h) = (number(width), number(height));
    // Writing to a `String` cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" aria-label=\"{}\">{STYLE}<rect class=\"paper\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"10\"/>",
        crate::page::escape(label),
        number(width - 1.0),
        number(height - 1.0)
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Size};

    #[test]
    fn all_nodes_have_different_positions() {
        let recording = synthetic::recording(&Size::small());
        let layout = Layout::new(
            &recording,
            Area {
                left: 0.0,
                top: 0.0,
                width: 300.0,
                height: 200.0,
            },
        );
        for a in 0..layout.place.len() {
            for b in 0..a {
                assert_ne!(layout.place[a], layout.place[b], "nodes {a} and {b}");
            }
        }
    }

    #[test]
    fn numbers_are_written_without_trailing_zeros() {
        assert_eq!(
            [number(3.04), number(-0.01), number(2.55)],
            ["3", "0", "2.5"]
        );
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn a_node_without_a_path_to_an_output_is_dead() {
        let mut recording = synthetic::recording(&Size::small());
        recording.nodes.truncate(3);
        recording.nodes[1].kind = crate::NodeKind::Hidden;
        recording.nodes[2].kind = crate::NodeKind::Output;
        assert_eq!(alive(&recording, &[(0, 1), (0, 2)]), [true, false, true]);
    }
}
