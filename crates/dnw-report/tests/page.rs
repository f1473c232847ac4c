//! Tests of the pages in a headless browser.

mod browser;

#[path = "page/recorded.rs"]
mod recorded;
#[path = "page/screenshots.rs"]
mod screenshots;

use browser::Page;
use dnw_report::synthetic::{self, Size};
use dnw_report::{comparison_page, explorer_page};

fn explorer(size: &Size) -> String {
    explorer_page(&synthetic::recording(size)).expect("a synthetic recording is consistent")
}

fn silent(page: &mut Page<'_>) {
    let errors = page.errors();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Opens the explorer of a synthetic recording, if there is a browser, and checks that it logs no error.
fn with_explorer(size: &Size, hash: &str, test: impl FnOnce(&mut Page<'_>)) {
    let Some(mut browser) = browser::start() else {
        return;
    };
    let mut page = browser.open(&explorer(size), hash, 1280, 900);
    test(&mut page);
    silent(&mut page);
}

/// A hash of the pixels of the edges.
const PICTURE: &str = "(() => {
  const canvas = document.getElementById('edges-flat');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0, inked = 0;
  for (let i = 0; i < data.length; i++) { sum = (sum * 31 + data[i]) >>> 0; inked += i % 4 === 3 && data[i] > 0; }
  return [sum, inked];
})()";

#[test]
fn the_slider_changes_the_picture() {
    with_explorer(&Size::small(), "", |page| {
        let end = page.eval(PICTURE);
        assert!(end[1].as_f64() > Some(500.0), "something is drawn: {end}");
        page.eval("(() => { const s = document.getElementById('slider'); s.value = 30; s.dispatchEvent(new Event('input')); })()");
        page.settle();
        assert_eq!(page.number("dnw.state().t"), 30.0);
        let early = page.eval(PICTURE);
        assert_ne!(early[0], end[0]);
    });
}

#[test]
fn playing_moves_time_and_pausing_stops_it() {
    with_explorer(&Size::small(), "#t=0&speed=4", |page| {
        page.eval("document.getElementById('play').click()");
        page.wait_for("dnw.state().t > 5");
        page.eval("document.getElementById('play').click()");
        page.settle();
        let stopped = page.number("dnw.state().t");
        page.settle();
        assert_eq!(page.number("dnw.state().t"), stopped);
    });
}

#[test]
fn the_keyboard_plays_steps_and_selects() {
    with_explorer(&Size::small(), "#t=100", |page| {
        page.press("ArrowRight", "ArrowRight", 39);
        assert_eq!(page.number("dnw.state().t"), 101.0);
        page.press("ArrowLeft", "ArrowLeft", 37);
        page.press(",", "Comma", 188);
        assert_eq!(page.number("dnw.state().t"), 99.0);
        page.press(" ", "Space", 32);
        page.wait_for("dnw.state().playing && dnw.state().t > 100");
        page.press(" ", "Space", 32);
        assert_eq!(page.eval("dnw.state().playing"), false);
        page.press("Home", "Home", 36);
        assert_eq!(page.number("dnw.state().t"), 0.0);
        page.eval("document.getElementById('nodes').focus()");
        page.press("ArrowDown", "ArrowDown", 40);
        page.press("ArrowDown", "ArrowDown", 40);
        page.press("ArrowRight", "ArrowRight", 39);
        assert!(
            page.number("dnw.state().node") >= 6.0,
            "the selection moved to the second column"
        );
        assert_eq!(page.number("dnw.state().t"), 0.0, "time did not change");
        assert_eq!(
            page.eval("/in/.test(document.getElementById('card').textContent)"),
            true
        );
        page.press("Escape", "Escape", 27);
        assert!(page.eval("dnw.state().node").is_null());
        page.press("?", "Slash", 191);
        assert_eq!(page.eval("document.getElementById('help').open"), true);
    });
}

#[test]
fn a_click_on_a_node_opens_its_card_and_its_edges_open_theirs() {
    with_explorer(&Size::small(), "", |page| {
        page.eval("dnw.set({ node: 12 })");
        assert_eq!(
            page.eval("document.querySelector('#card h2').textContent"),
            "Node 12"
        );
        // The first node with an edge.
        page.eval("(() => { for (let node = 0; node < 36 && !document.querySelector('.edge-row'); node++) dnw.set({ node }); })()");
        page.eval("document.querySelector('.edge-row').click()");
        page.settle();
        assert!(page.eval("dnw.state().edge").is_array());
        assert!(
            page.eval("document.querySelector('#card h2').textContent")
                .as_str()
                .is_some_and(|text| text.contains('→'))
        );
        page.eval("scrollTo(0, 0)");
        let spot = page.eval("(() => { const b = document.getElementById('nodes').getBoundingClientRect(); return [b.left, b.top, b.height]; })()");
        let (left, top, height) = (
            spot[0].as_f64().unwrap(),
            spot[1].as_f64().unwrap(),
            spot[2].as_f64().unwrap(),
        );
        page.click(left + 46.0, top + 30.0 + (height - 48.0) / 2.0 - 20.0);
        assert_eq!(page.eval("dnw.state().edge"), serde_json::Value::Null);
        assert!(
            page.number("dnw.state().node") < 6.0,
            "an input node was selected"
        );
    });
}

#[test]
fn the_url_restores_time_selection_and_theme() {
    let Some(mut browser) = browser::start() else {
        return;
    };
    let html = explorer(&Size::small());
    let mut page = browser.open(
        &html,
        "#t=77&node=9&theme=dark&hall=1&trace=1&image=2",
        1280,
        900,
    );
    let state = page.eval("dnw.state()");
    assert_eq!(state["t"], 77);
    assert_eq!(state["node"], 9);
    assert_eq!(state["hall"], true);
    assert_eq!(state["image"], 2);
    assert_eq!(page.eval("document.documentElement.dataset.theme"), "dark");
    page.eval("dnw.set({ t: 50, node: null, edge: [0, 3] })");
    page.wait_for("location.hash.includes('t=50') && location.hash.includes('edge=0.3') && !location.hash.includes('node=')");
    page.eval("location.hash = '#t=12&theme=light'");
    page.wait_for("dnw.state().t === 12 && dnw.state().edge === null");
    page.settle();
    assert_eq!(page.eval("document.documentElement.dataset.theme"), "light");
    page.eval("location.hash = '#t=nonsense&node=99999&edge=7.7&view=cube'");
    page.wait_for("dnw.state().node === null && dnw.state().view === 'auto'");
    silent(&mut page);
}

#[test]
fn a_phone_shows_everything_without_scrolling_sideways() {
    let Some(mut browser) = browser::start() else {
        return;
    };
    for (size, hash) in [
        (Size::small(), ""),
        (Size::small(), "#node=12"),
        (Size::small(), "#edge=0.3"),
        (Size::wide(), ""),
    ] {
        let mut page = browser.open(&explorer(&size), hash, 375, 812);
        let overflow = page.number("document.documentElement.scrollWidth - innerWidth");
        assert!(overflow <= 0.0, "{overflow} pixels too wide at {hash:?}");
        page.eval("document.getElementById('play').click()");
        page.eval("document.getElementById('play').click()");
        silent(&mut page);
    }
    let mut page = browser.open(
        &comparison_page(&synthetic::comparison()).unwrap(),
        "",
        375,
        812,
    );
    let overflow = page.number("document.documentElement.scrollWidth - innerWidth");
    assert!(
        overflow <= 0.0,
        "the comparison is {overflow} pixels too wide"
    );
}

#[test]
fn fifty_thousand_edges_are_drawn_and_played() {
    with_explorer(&Size::large(), "", |page| {
        page.resize(1400, 900);
        assert!(page.number("dnw.state().real") >= 50_000.0);
        page.eval("dnw.drawTime(2)");
        let average = page.number("dnw.drawTime(8)");
        let renderer = page.eval("dnw.renderer()");
        let strokes = page.number("dnw.strokes()");
        eprintln!(
            "{strokes} strokes drawn in {average:.1} ms on average ({renderer}, headless, no GPU)"
        );
        assert!(average > 0.0 && strokes > 0.0, "nothing was drawn");

        // Without a GPU only some strokes are drawn while playing, to keep the frame rate; when paused all are drawn.
        page.eval("dnw.set({ t: 0 })");
        page.eval("document.getElementById('play').click()");
        page.wait_for("dnw.pace().frames > 40");
        let frames = page.number("dnw.pace().frames");
        let began = std::time::Instant::now();
        std::thread::sleep(std::time::Duration::from_millis(1500));
        let rate = (page.number("dnw.pace().frames") - frames) / began.elapsed().as_secs_f64();
        let share = page.number("dnw.pace().share");
        eprintln!(
            "{rate:.0} frames a second while it plays, showing {:.0} % of the strokes",
            100.0 * share
        );
        // How many depends on the machine and what else runs on it.
        assert!(rate > 0.0, "no frame was drawn while it plays");
        page.eval("document.getElementById('play').click()");
        page.wait_for("!dnw.state().playing && dnw.pace().shown === dnw.strokes()");
    });
}

#[test]
fn over_a_thousand_nodes_are_shown_as_a_matrix() {
    with_explorer(&Size::wide(), "", |page| {
        assert_eq!(page.eval("dnw.state().matrix"), true);
        let inked = "(() => { const c = document.getElementById('matrix'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return new Set(new Uint32Array(d.buffer)).size; })()";
        assert!(page.number(inked) > 10.0, "the matrix has colours");
        page.press("m", "KeyM", 77);
        assert_eq!(
            page.eval("dnw.state().matrix"),
            false,
            "the wiring on request"
        );
        page.eval("dnw.set({ view: 'auto', layer: 2 })");
        assert_eq!(
            page.eval(
                "document.getElementById('stage-caption').textContent.startsWith('fc3.weight')"
            ),
            true
        );
    });
}

#[test]
fn a_run_without_nodes_layers_or_samples_still_opens() {
    let Some(mut browser) = browser::start() else {
        return;
    };
    let mut recording = synthetic::recording(&Size::small());
    recording.samples = None;
    recording.nodes.clear();
    for layer in &mut recording.layers {
        layer.target_nodes.clear();
        layer.source_nodes.clear();
    }
    let mut page = browser.open(&explorer_page(&recording).unwrap(), "", 1280, 900);
    assert_eq!(page.eval("dnw.state().matrix"), true);
    page.eval("dnw.set({ edge: [0, 5] })");
    silent(&mut page);
    drop(page);
    // Convolutions have several entries for each pair of a source and a target.
    assert_eq!(recording.layers[0].shape, [30, 26]);
    recording.layers[0].shape = vec![10, 26, 3, 1];
    let mut page = browser.open(&explorer_page(&recording).unwrap(), "#edge=0.80", 1280, 900);
    let title = page.eval("document.querySelector('#card h2').textContent");
    assert_eq!(title, "Source 0 → target 1 [2]");
    silent(&mut page);
    drop(page);
    recording.layers.clear();
    recording.curves.test = Default::default();
    recording.curves.train.loss[3] = f32::NAN;
    let mut page = browser.open(&explorer_page(&recording).unwrap(), "", 1280, 900);
    page.eval("dnw.seek(10)");
    silent(&mut page);
}

#[test]
fn the_exported_picture_has_every_real_edge() {
    with_explorer(&Size::small(), "#t=240", |page| {
        let svg = page.eval("dnw.svg()");
        let paths = svg.as_str().expect("a picture").matches("<path").count();
        assert!(paths >= 60, "{paths} edges");
        page.eval("document.getElementById('png').click()");
        page.eval("document.getElementById('svg').click()");
        page.eval("dnw.set({ view: 'matrix' })");
        let svg = page.eval("dnw.svg()");
        let cells = svg.as_str().expect("a picture").matches("<rect").count();
        assert!(cells >= 60, "{cells} cells");
    });
}

#[test]
fn a_screen_reader_text_describes_the_state_once_time_stops() {
    with_explorer(&Size::small(), "#t=120", |page| {
        let said = "document.getElementById('live').textContent";
        page.wait_for(&format!("{said} !== ''"));
        let words = page.eval(said);
        let words = words.as_str().expect("words");
        assert!(words.starts_with("Update 120 of 240, loss "), "{words}");
        assert!(words.contains("60 of 480 edges real"), "{words}");
    });
}

#[test]
fn the_comparison_opens_sorts_and_hides() {
    let Some(mut browser) = browser::start() else {
        return;
    };
    let comparison = synthetic::comparison();
    let mut page = browser.open(
        &comparison_page(&comparison).unwrap(),
        "#sort=-test_accuracy&hidden=0.1",
        1400,
        900,
    );
    assert_eq!(
        page.number("document.querySelectorAll('#runs tbody tr').length"),
        comparison.runs.len() as f64
    );
    assert_eq!(
        page.number("document.querySelectorAll('#budget .dot').length"),
        comparison.runs.len() as f64
    );
    assert_eq!(
        page.number("document.querySelectorAll('#groups [aria-pressed=false]').length"),
        2.0
    );
    page.eval("document.querySelector('#groups button').click()");
    page.wait_for("document.querySelectorAll('#groups [aria-pressed=false]').length === 1");
    silent(&mut page);
}

#[test]
fn webgl_draws_the_same_picture() {
    let Some(mut browser) = browser::start() else {
        return;
    };
    let mut page = browser.open(&explorer(&Size::small()), "#theme=light", 900, 700);
    // The mean darkness of each of 12 x 8 parts of the picture.
    let parts = "(() => {
      const source = document.getElementById(dnw.renderer() === '2d' ? 'edges-flat' : 'edges-deep');
      const copy = document.createElement('canvas');
      copy.width = source.width; copy.height = source.height;
      const context = copy.getContext('2d');
      context.drawImage(source, 0, 0);
      const { data, width, height } = context.getImageData(0, 0, copy.width, copy.height);
      const parts = new Array(96).fill(0);
      for (let i = 3; i < data.length; i += 4) {
        const at = (i - 3) / 4;
        parts[Math.floor(Math.floor(at / width) / height * 8) * 12 + Math.floor(at % width / width * 12)] += data[i] / 255;
      }
      return parts;
    })()";
    let flat = page.eval(parts);
    page.eval("dnw.force('webgl')");
    if page.eval("dnw.renderer()") == "2d" {
        eprintln!("skipped: this browser has no WebGL");
        return;
    }
    let deep = page.eval(parts);
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part.as_f64().unwrap())
            .collect()
    };
    let (flat, deep) = (numbers(&flat), numbers(&deep));
    let difference: f64 = flat.iter().zip(&deep).map(|(a, b)| (a - b).abs()).sum();
    let ink: f64 = flat.iter().sum();
    assert!(
        ink > 1000.0 && difference < ink * 0.15,
        "{difference} of {ink} pixels differ"
    );
    silent(&mut page);
}
