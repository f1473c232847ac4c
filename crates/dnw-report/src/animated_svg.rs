//! The wiring during training as an animated SVG.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::ReportError;
use crate::page::escape;
use crate::picture::{self, Area, Layout, count, number, shortest};
use crate::recording::Recording;
use crate::replay::{RealEdge, caption, drawn_layers, real_edges};

const WIDTH: f32 = 760.0;
const HEIGHT: f32 = 430.0;
const MARGIN: f32 = 26.0;
const SECONDS_PER_FRAME: f32 = 0.3;

/// Draws an animated SVG of `frames` updates from the start of training to the end, which pauses at the end and
/// repeats.
///
/// It uses SVG animations and no script, so that it also plays as an image in a README. With 400 real edges and 30
/// frames it has about 400 kilobytes; more frames or edges need more.
///
/// # Errors
/// [`ReportError::NoNodes`] if the run's network is not drawn as nodes; another [`ReportError`] if the
/// recording is inconsistent.
pub fn animated_wiring_svg(recording: &Recording, frames: usize) -> Result<String, ReportError> {
    let layers = drawn_layers(recording)?;
    let moments = moments(recording.updates, frames.clamp(2, 240));
    let wirings: Vec<Vec<RealEdge>> = moments
        .iter()
        .map(|&update| real_edges(&layers, update))
        .collect();
    let clock = Clock::new(moments.len());
    let area = Area {
        left: 40.0,
        top: 62.0,
        width: WIDTH - 80.0,
        height: HEIGHT - 102.0,
    };
    let layout = Layout::new(recording, area);
    // With fewer real edges each is drawn wider.
    let scales: Vec<f32> = wirings
        .iter()
        .map(|edges| 1.15 / (1.0 + (edges.len().max(1) as f32 / 100.0).log10().max(0.0) * 0.45))
        .collect();
    let tracks = tracks(&wirings);

    let label = format!(
        "The wiring of {} while it is discovered",
        recording.run.name
    );
    let mut svg = picture::open(WIDTH, HEIGHT, &label);
    svg.push_str("<g fill=\"none\" stroke-opacity=\".45\">");
    draw_passing(&mut svg, &layout, &tracks, &scales, &clock);
    svg.push_str("</g><g fill=\"none\" stroke-opacity=\".8\">");
    draw_lasting(&mut svg, &layout, &tracks, &scales, &clock);
    svg.push_str("</g>");
    draw_nodes(&mut svg, recording, &layout, &wirings, &clock);
    draw_captions(&mut svg, recording, &moments, &wirings, &clock);
    let done: Vec<f32> = moments
        .iter()
        .map(|&update| update as f32 / recording.updates.max(1) as f32 * (WIDTH - 2.0 * MARGIN))
        .collect();
    let bar = format!(
        "x=\"{MARGIN}\" y=\"{}\" width=\"{}\" height=\"4\" rx=\"2\"",
        number(HEIGHT - 22.0),
        number(WIDTH - 2.0 * MARGIN)
    );
    let moving = clock.animation("width", &done);
    let _ = writeln!(
        svg,
        "<rect class=\"track\" {bar}/><rect class=\"bar\" {bar}>{moving}</rect></svg>"
    );
    Ok(svg)
}

/// The updates of the frames: more of them early, when most edges swap.
fn moments(updates: u64, frames: usize) -> Vec<u64> {
    (0..frames)
        .map(|frame| {
            let share = frame as f64 / (frames - 1) as f64;
            (share.powf(1.5) * updates as f64).round() as u64
        })
        .collect()
}

/// The timing attributes of every animation, and the frames of the pause at the end.
struct Clock {
    timing: String,
    rest: usize,
}

impl Clock {
    fn new(frames: usize) -> Self {
        let rest = frames.div_ceil(4);
        let seconds = (frames + rest) as f32 * SECONDS_PER_FRAME;
        Self {
            timing: format!("dur=\"{}s\" repeatCount=\"indefinite\"", number(seconds)),
            rest,
        }
    }

    /// An animation of one value per frame. Frames that linear interpolation reproduces are omitted.
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

    /// A discrete animation; empty if the value is constant.
    fn switching(&self, attribute: &str, values: &[bool]) -> String {
        let last = values[values.len() - 1];
        if values.iter().all(|&value| value == last) {
            return String::new();
        }
        let all = values
            .iter()
            .copied()
            .chain(std::iter::repeat_n(last, self.rest));
        let list: Vec<&str> = all.map(|value| if value { "1" } else { "0" }).collect();
        format!(
            "<animate attributeName=\"{attribute}\" calcMode=\"discrete\" {} values=\"{}\"/>",
            self.timing,
            list.join(";")
        )
    }
}

/// An edge that is real in some frame.
struct Track {
    ends: (usize, usize),
    /// Per frame the weight relative to the layer's largest |w|; 0 if the edge is not real.
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

    /// The line width per frame. A width of zero draws nothing, so that the width also shows whether the edge is real.
    fn widths(&self, scales: &[f32]) -> Vec<f32> {
        let width = |size: f32, scale: f32| {
            if size == 0.0 {
                0.0
            } else {
                (0.4 + 2.6 * size.abs()) * scale
            }
        };
        self.sizes
            .iter()
            .zip(scales)
            .map(|(&size, &scale)| width(size, scale))
            .collect()
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

/// Draws the edges that are real at the end: each has its own width over time.
fn draw_lasting(
    svg: &mut String,
    layout: &Layout,
    tracks: &[Track],
    scales: &[f32],
    clock: &Clock,
) {
    for track in tracks.iter().filter(|track| track.lasts()) {
        let widths = track.widths(scales);
        let (class, curve) = (track.class(), layout.curve(track.ends.0, track.ends.1));
        let _ = write!(
            svg,
            "<path class=\"{class}\" stroke-width=\"{}\" d=\"{curve}\">{}</path>",
            shortest(widths[widths.len() - 1], 1),
            clock.animation("stroke-width", &widths)
        );
    }
}

/// Draws the edges that are not real at the end. With a shrinking budget there are thousands, so edges with the same
/// lifetime and style share a path.
fn draw_passing(
    svg: &mut String,
    layout: &Layout,
    tracks: &[Track],
    scales: &[f32],
    clock: &Clock,
) {
    let mut paths: BTreeMap<(Vec<bool>, &str, String), String> = BTreeMap::new();
    for track in tracks.iter().filter(|track| !track.lasts()) {
        let widths = track.widths(scales);
        let seen: Vec<bool> = widths.iter().map(|&width| width > 0.0).collect();
        let frames = seen.iter().filter(|&&real| real).count() as f32;
        let mean = widths.iter().sum::<f32>() / frames;
        let width = shortest((mean * 2.5).round().max(1.0) / 2.5, 1);
        let path = paths.entry((seen, track.class(), width)).or_default();
        path.push_str(&layout.curve(track.ends.0, track.ends.1));
    }
    for ((seen, class, width), path) in paths {
        let values: Vec<f32> = seen.iter().map(|&real| f32::from(u8::from(real))).collect();
        let animation = clock.animation("opacity", &values);
        let _ = write!(
            svg,
            "<path class=\"{class}\" stroke-width=\"{width}\" opacity=\"0\" d=\"{path}\">{animation}</path>"
        );
    }
}

fn draw_nodes(
    svg: &mut String,
    recording: &Recording,
    layout: &Layout,
    wirings: &[Vec<RealEdge>],
    clock: &Clock,
) {
    let alive: Vec<Vec<bool>> = wirings
        .iter()
        .map(|edges| {
            picture::alive(
                recording,
                &edges.iter().map(|edge| edge.ends).collect::<Vec<_>>(),
            )
        })
        .collect();
    for (node, &(x, y)) in layout.place.iter().enumerate() {
        let place = format!(
            "cx=\"{}\" cy=\"{}\" r=\"{}\"",
            number(x),
            number(y),
            number(layout.radius)
        );
        let values: Vec<bool> = alive.iter().map(|alive| alive[node]).collect();
        let end = u8::from(values[values.len() - 1]);
        let switching = clock.switching("opacity", &values);
        let _ = write!(
            svg,
            "<circle class=\"dead\" {place}/><circle class=\"live\" {place} opacity=\"{end}\">{switching}</circle>"
        );
    }
}

fn draw_captions(
    svg: &mut String,
    recording: &Recording,
    moments: &[u64],
    wirings: &[Vec<RealEdge>],
    clock: &Clock,
) {
    for (frame, (&update, edges)) in moments.iter().zip(wirings).enumerate() {
        let shown: Vec<bool> = (0..moments.len()).map(|other| other == frame).collect();
        let end = u8::from(shown[shown.len() - 1]);
        let _ = write!(
            svg,
            "<g opacity=\"{end}\">{}<text class=\"ink\" x=\"{MARGIN}\" y=\"32\" font-size=\"16\" font-weight=\"600\">update {}</text><text class=\"soft\" x=\"{}\" y=\"32\" font-size=\"14\" text-anchor=\"end\">{}</text></g>",
            clock.switching("opacity", &shown),
            count(update),
            number(WIDTH - MARGIN),
            escape(&caption(recording, edges.len(), update)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Size};

    #[test]
    fn an_animation_of_four_hundred_edges_is_small() {
        let recording = synthetic::recording(&Size::medium());
        let svg = animated_wiring_svg(&recording, 24).unwrap();
        assert!(svg.len() < 600_000, "{} bytes", svg.len());
    }

    #[test]
    fn values_on_a_line_are_reduced_to_its_ends() {
        let clock = Clock::new(4);
        let animation = clock.animation("width", &[0.0, 1.0, 2.0, 3.0]);
        assert!(animation.contains("values=\"0;3;3\""), "{animation}");
        assert!(clock.switching("opacity", &[true, true]).is_empty());
    }
}
