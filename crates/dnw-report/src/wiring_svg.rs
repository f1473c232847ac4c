//! The wiring as a picture: a few moments side by side, or one that moves.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::ReportError;
use crate::page::escape;
use crate::picture::{self, Area, Layout, count, number};
use crate::recording::Recording;
use crate::replay::Replay;
use crate::validate;

/// The wiring at several moments side by side, drawn as the page draws it.
///
/// Each panel's caption says the update, how many edges are real and how accurate the network was. A
/// moment past the end shows the end.
///
/// # Errors
/// [`ReportError::NoNodes`] if the run's network is not drawn as nodes; another [`ReportError`] if the
/// recording does not agree with itself.
pub fn wiring_svg(recording: &Recording, moments: &[u64]) -> Result<String, ReportError> {
    let replays = drawable(recording)?;
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

/// One picture that moves through `frames` moments from start to end, rests, and starts again.
///
/// It needs no script: SVG animates it, also as an image in a README. With 400 real edges and 30 frames it takes about
/// half a megabyte; more frames or edges take more.
///
/// # Errors
/// As [`wiring_svg`].
pub fn animated_wiring_svg(recording: &Recording, frames: usize) -> Result<String, ReportError> {
    let replays = drawable(recording)?;
    let frames = frames.clamp(2, 240);
    let rest = frames.div_ceil(4);
    // More moments early on, where most edges swap.
    let moments: Vec<u64> = (0..frames)
        .map(|frame| {
            let share = frame as f64 / (frames - 1) as f64;
            (share.powf(1.5) * recording.updates as f64).round() as u64
        })
        .collect();
    let (width, height) = (760.0, 430.0);
    let seconds = (frames + rest) as f32 * 0.3;
    let timing = format!("dur=\"{}s\" repeatCount=\"indefinite\"", number(seconds));
    let clock = Clock {
        timing: &timing,
        rest,
    };
    let layout = Layout::new(
        recording,
        Area {
            left: 40.0,
            top: 62.0,
            width: width - 80.0,
            height: height - 102.0,
        },
    );
    let wirings: Vec<Vec<RealEdge>> = moments
        .iter()
        .map(|&update| real_edges(&replays, update))
        .collect();

    let mut svg = picture::open(
        width,
        height,
        &format!(
            "The wiring of {} while it is discovered",
            recording.run.name
        ),
    );
    let tracks = tracks(&wirings);
    let sum: f32 = wirings.iter().map(|edges| edges.len() as f32).sum();
    let crowd = (sum / frames as f32 / 120.0).log10().max(0.0);
    let _ = write!(
        svg,
        "<g fill=\"none\" stroke-opacity=\"{:.2}\">",
        (0.85 - 0.3 * crowd).max(0.15)
    );
    let scale = 1.0 / (1.0 + crowd * 0.5);
    draw_passing(&mut svg, &layout, &tracks, scale, &clock);
    draw_lasting(&mut svg, &layout, &tracks, scale, &clock);
    svg.push_str("</g>");
    let reach: Vec<Vec<bool>> = wirings
        .iter()
        .map(|edges| {
            picture::alive(
                recording,
                &edges.iter().map(|edge| edge.ends).collect::<Vec<_>>(),
            )
        })
        .collect();
    for (node, &(x, y)) in layout.place.iter().enumerate() {
        let (x, y, r) = (number(x), number(y), number(layout.radius));
        let _ = write!(
            svg,
            "<circle class=\"dead\" cx=\"{x}\" cy=\"{y}\" r=\"{r}\"/>"
        );
        let mut values: Vec<&str> = reach
            .iter()
            .map(|alive| if alive[node] { "1" } else { "0" })
            .collect();
        let last = values[frames - 1];
        values.extend(std::iter::repeat_n(last, rest));
        let _ = write!(
            svg,
            "<circle class=\"live\" cx=\"{x}\" cy=\"{y}\" r=\"{r}\" opacity=\"{last}\">"
        );
        if values.iter().any(|value| *value != last) {
            let _ = write!(
                svg,
                "<animate attributeName=\"opacity\" calcMode=\"discrete\" {timing} values=\"{}\"/>",
                values.join(";")
            );
        }
        svg.push_str("</circle>");
    }
    for (frame, (&update, edges)) in moments.iter().zip(&wirings).enumerate() {
        let mut values = vec!["0"; frames + rest];
        values[frame] = "1";
        if frame == frames - 1 {
            values[frame..].fill("1");
        }
        let start = if frame == frames - 1 { "1" } else { "0" };
        let _ = write!(
            svg,
            "<g opacity=\"{start}\"><animate attributeName=\"opacity\" calcMode=\"discrete\" {timing} values=\"{}\"/><text class=\"ink\" x=\"26\" y=\"32\" font-size=\"16\" font-weight=\"600\">update {}</text><text class=\"soft\" x=\"{}\" y=\"32\" font-size=\"14\" text-anchor=\"end\">{}</text></g>",
            values.join(";"),
            count(update),
            number(width - 26.0),
            escape(&caption(recording, edges.len(), update)),
        );
    }
    let track = width - 52.0;
    let mut done: Vec<String> = moments
        .iter()
        .map(|&update| number(update as f32 / recording.updates.max(1) as f32 * track))
        .collect();
    done.extend(std::iter::repeat_n(number(track), rest));
    let y = number(height - 22.0);
    let _ = writeln!(
        svg,
        "<rect class=\"track\" x=\"26\" y=\"{y}\" width=\"{0}\" height=\"4\" rx=\"2\"/><rect class=\"bar\" x=\"26\" y=\"{y}\" width=\"{0}\" height=\"4\" rx=\"2\"><animate attributeName=\"width\" {timing} values=\"{1}\"/></rect></svg>",
        number(track),
        done.join(";")
    );
    Ok(svg)
}

/// How the moving picture keeps time: the attributes of every animation and the frames of rest at the end.
struct Clock<'a> {
    timing: &'a str,
    rest: usize,
}

impl Clock<'_> {
    /// An animation through one value per frame; frames on a straight line between others are left out.
    fn animation(&self, attribute: &str, values: &[f32]) -> String {
        let steps = (values.len() + self.rest - 1) as f32;
        let mut kept = vec![0];
        for at in 1..values.len() - 1 {
            let slope = values[at] - values[at - 1];
            if (values[at + 1] - values[at] - slope).abs() > 1e-3 {
                kept.push(at);
            }
        }
        kept.push(values.len() - 1);
        let mut times: Vec<String> = kept
            .iter()
            .map(|&at| shortest(at as f32 / steps, 3))
            .collect();
        let mut list: Vec<String> = kept.iter().map(|&at| shortest(values[at], 1)).collect();
        times.push("1".into());
        list.push(shortest(values[values.len() - 1], 1));
        format!(
            "<animate attributeName=\"{attribute}\" {} keyTimes=\"{}\" values=\"{}\"/>",
            self.timing,
            times.join(";"),
            list.join(";")
        )
    }
}

/// Edges that are real at the end: each has its own width over time.
fn draw_lasting(
    svg: &mut String,
    layout: &Layout,
    tracks: &[Track],
    scale: f32,
    clock: &Clock<'_>,
) {
    for track in tracks.iter().filter(|track| track.lasts()) {
        // A width of nothing draws nothing, so one animated number says both how heavy and whether real.
        let widths: Vec<f32> = track.sizes.iter().map(|&size| width(size, scale)).collect();
        let (class, curve) = (track.class(), layout.curve(track.ends.0, track.ends.1));
        let _ = write!(
            svg,
            "<path class=\"{class}\" stroke-width=\"{}\" d=\"{curve}\">{}</path>",
            shortest(widths[widths.len() - 1], 1),
            clock.animation("stroke-width", &widths)
        );
    }
}

/// Edges that are gone at the end. With a shrinking budget there are thousands, so those that come and go
/// together and look alike share a path.
fn draw_passing(
    svg: &mut String,
    layout: &Layout,
    tracks: &[Track],
    scale: f32,
    clock: &Clock<'_>,
) {
    let mut alike: BTreeMap<(Vec<bool>, &str, String), String> = BTreeMap::new();
    for track in tracks.iter().filter(|track| !track.lasts()) {
        let seen: Vec<bool> = track.sizes.iter().map(|&size| size != 0.0).collect();
        let frames = seen.iter().filter(|&&real| real).count() as f32;
        let mean = track.sizes.iter().map(|size| size.abs()).sum::<f32>() / frames;
        let width = shortest((width(mean, scale) * 2.5).round() / 2.5, 1);
        let path = alike.entry((seen, track.class(), width)).or_default();
        path.push_str(&layout.curve(track.ends.0, track.ends.1));
    }
    for ((seen, class, width), path) in alike {
        let values: Vec<f32> = seen
            .iter()
            .map(|&real| if real { 1.0 } else { 0.0 })
            .collect();
        let animation = clock.animation("opacity", &values);
        let _ = write!(
            svg,
            "<path class=\"{class}\" stroke-width=\"{width}\" opacity=\"0\" d=\"{path}\">{animation}</path>"
        );
    }
}

fn width(size: f32, scale: f32) -> f32 {
    if size == 0.0 {
        0.0
    } else {
        (0.4 + 2.4 * size.abs()) * scale
    }
}

/// A real edge at a moment.
struct RealEdge {
    ends: (usize, usize),
    /// |w| over the layer's largest at this moment, 0 to 1.
    size: f32,
    negative: bool,
    /// Layer and entry.
    key: (usize, usize),
}

impl RealEdge {
    fn class(&self) -> &'static str {
        if self.negative { "n" } else { "p" }
    }
}

fn drawable(recording: &Recording) -> Result<Vec<Replay<'_>>, ReportError> {
    validate::recording(recording)?;
    let replays: Vec<_> = recording
        .layers
        .iter()
        .filter(|layer| !layer.target_nodes.is_empty())
        .map(Replay::new)
        .collect();
    if replays.is_empty() {
        return Err(ReportError::NoNodes(recording.run.name.clone()));
    }
    Ok(replays)
}

fn real_edges(replays: &[Replay<'_>], update: u64) -> Vec<RealEdge> {
    let mut edges = Vec::new();
    for (layer, replay) in replays.iter().enumerate() {
        let scale = replay.scale(update).max(f32::MIN_POSITIVE);
        for entry in (0..)
            .zip(replay.wiring(update))
            .filter_map(|(entry, real)| real.then_some(entry))
        {
            let weight = replay.weight(entry, update);
            edges.push(RealEdge {
                ends: replay.ends(entry),
                size: (weight.abs() / scale).clamp(0.0, 1.0),
                negative: weight < 0.0,
                key: (layer, entry),
            });
        }
    }
    edges
}

/// An edge that is real in some frame.
struct Track {
    ends: (usize, usize),
    /// Per frame |w| with its sign, over the layer's largest; 0 where the edge is not real.
    sizes: Vec<f32>,
}

impl Track {
    fn lasts(&self) -> bool {
        self.sizes.last().is_some_and(|&size| size != 0.0)
    }

    fn class(&self) -> &'static str {
        if self.sizes.iter().sum::<f32>() < 0.0 {
            "n"
        } else {
            "p"
        }
    }
}

fn tracks(wirings: &[Vec<RealEdge>]) -> Vec<Track> {
    let mut tracks = BTreeMap::new();
    for (frame, edges) in wirings.iter().enumerate() {
        for edge in edges {
            let blank = || Track {
                ends: edge.ends,
                sizes: vec![0.0; wirings.len()],
            };
            let size = edge.size.max(0.01);
            tracks.entry(edge.key).or_insert_with(blank).sizes[frame] =
                if edge.negative { -size } else { size };
        }
    }
    tracks.into_values().collect()
}

/// A number with at most so many decimals, and no zero that does not matter.
fn shortest(value: f32, decimals: usize) -> String {
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

fn caption(recording: &Recording, real: usize, update: u64) -> String {
    let mut words = format!("{} real edges", count(real as u64));
    let test = &recording.curves.test;
    let evaluated = test.update.partition_point(|&at| at <= update);
    if let Some(accuracy) = evaluated.checked_sub(1).map(|at| test.accuracy[at]) {
        let _ = write!(words, " · {:.1}% right", accuracy * 100.0);
    }
    words
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
    fn a_moving_picture_of_four_hundred_edges_stays_small() {
        let recording = synthetic::recording(&Size::medium());
        let svg = animated_wiring_svg(&recording, 24).unwrap();
        assert!(svg.len() < 600_000, "{} bytes", svg.len());
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
    fn names_stay_text() {
        let mut recording = synthetic::recording(&Size::small());
        recording.run.name = "<&\"".into();
        assert!(
            wiring_svg(&recording, &[0])
                .unwrap()
                .contains("&lt;&amp;&quot;")
        );
    }
}
