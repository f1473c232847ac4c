//! The wiring at several updates, side by side.

use std::fmt::Write;

use crate::error::ReportError;
use crate::page::escape;
use crate::picture::{self, Area, Layout, count, number};
use crate::recording::Recording;
use crate::replay::{caption, drawn_layers, real_edges};

/// Draws the wiring at several updates side by side, as on the page.
///
/// Each panel's caption states the update, the number of real edges and the test accuracy. An update after the end
/// shows the end.
///
/// # Errors
/// [`ReportError::NoNodes`] if the run's network is not drawn as nodes; another [`ReportError`] if the
/// recording is inconsistent.
pub fn wiring_svg(recording: &Recording, moments: &[u64]) -> Result<String, ReportError> {
    let replays = drawn_layers(recording)?;
    let across = moments.len().clamp(1, 4);
    let (width, height) = (250.0, 290.0);
    let rows = moments.len().div_ceil(across).max(1);
    let mut svg = picture::open(
        width * across as f32 + 20.0,
        height * rows as f32 + 14.0,
        &format!(
            "The wiring of {} at {} moments of its training",
            recording.run.name,
            moments.len()
        ),
    );
    for (i, &moment) in moments.iter().enumerate() {
        let update = moment.min(recording.updates);
        let (left, top) = (
            10.0 + (i % across) as f32 * width,
            (i / across) as f32 * height,
        );
        let area = Area {
            left: left + 22.0,
            top: top + 58.0,
            width: width - 44.0,
            height: height - 68.0,
        };
        let layout = Layout::new(recording, area);
        let edges = real_edges(&replays, update);
        let _ = write!(
            svg,
            "<text class=\"ink\" x=\"{0}\" y=\"{1}\" font-size=\"14\" font-weight=\"600\">{2}</text><text class=\"soft\" x=\"{0}\" y=\"{3}\" font-size=\"12\">{4}</text>",
            number(left + 18.0),
            number(top + 28.0),
            escape(&format!("update {}", count(update))),
            number(top + 45.0),
            escape(&caption(recording, edges.len(), update)),
        );
        let crowd = (edges.len().max(1) as f32 / 120.0).log10().max(0.0);
        let _ = write!(
            svg,
            "<g fill=\"none\" stroke-opacity=\"{:.2}\">",
            (0.85 - 0.3 * crowd).max(0.15)
        );
        for edge in &edges {
            let _ = write!(
                svg,
                "<path class=\"{}\" stroke-width=\"{:.2}\" d=\"{}\"/>",
                edge.class(),
                (0.35 + 2.0 * edge.size) / (1.0 + crowd * 0.6),
                layout.curve(edge.ends.0, edge.ends.1)
            );
        }
        svg.push_str("</g>");
        let ends: Vec<_> = edges.iter().map(|edge| edge.ends).collect();
        for (&(x, y), alive) in layout.place.iter().zip(picture::alive(recording, &ends)) {
            let class = if alive { "live" } else { "dead" };
            let (x, y, r) = (number(x), number(y), number(layout.radius));
            let _ = write!(
                svg,
                "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{r}\"/>"
            );
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Size};

    #[test]
    fn a_panel_draws_each_real_edge_once() {
        let recording = synthetic::recording(&Size::small());
        let svg = wiring_svg(&recording, &[0, 240]).unwrap();
        assert_eq!(svg.matches("<path").count(), 2 * 60);
        assert_eq!(svg.matches("<circle").count(), 2 * 36);
        assert!(svg.contains("update 240"));
    }

    #[test]
    fn a_run_without_nodes_has_no_picture() {
        let mut recording = synthetic::recording(&Size::small());
        recording.nodes.clear();
        recording.samples = None;
        for layer in &mut recording.layers {
            layer.target_nodes.clear();
            layer.source_nodes.clear();
        }
        assert!(matches!(
            wiring_svg(&recording, &[0]),
            Err(ReportError::NoNodes(_))
        ));
    }

    #[test]
    fn names_are_escaped() {
        let mut recording = synthetic::recording(&Size::small());
        recording.run.name = "<&\"".into();
        assert!(
            wiring_svg(&recording, &[0])
                .unwrap()
                .contains("&lt;&amp;&quot;")
        );
    }
}
