// The explorer: connects its parts and redraws those that a state change affects.

import { byId, el, setText } from "./elements.js";
import { count, percent, plural, short } from "./words.js";
import { asChoice, asFlag, asIndex, asNumber, createState, unsaved } from "./state.js";
import { applyTheme, onSystemTheme, otherTheme, palette } from "./theme.js";
import { openRun } from "./run.js";
import { reachOf } from "./reach.js";
import { openSamples } from "./thumbnails.js";
import { afterglow } from "./scene.js";
import { wiringView } from "./wiring.js";
import { matrixView } from "./matrix.js";
import { at, timelineView } from "./timeline.js";
import { nodeCard } from "./node_card.js";
import { edgeCard } from "./edge_card.js";
import { histogramView } from "./histogram.js";
import { layersView } from "./layers.js";
import { confusionView, samplesView } from "./samples.js";
import { showFacts } from "./facts.js";
import { exportPng, exportSvg, svgOf } from "./export.js";
import { bindKeys } from "./keys.js";

const MANY_NODES = 1000;
// While playing, everything except the main picture is updated at this interval (milliseconds).
const RELAXED = 120;

const run = openRun(JSON.parse(byId("data").textContent));
const app = { run, samples: openSamples(run.recorded), font: getComputedStyle(document.body).fontFamily };

const edgeField = {
  start: null,
  read: (text) => {
    const [layer, entry] = text.split(".").map(Number);
    return Number.isInteger(entry) && run.layers[layer] && entry >= 0 && entry < run.layers[layer].entries
      ? [layer, entry]
      : null;
  },
  write: (edge) => edge.join("."),
};

app.state = createState(
  {
    t: asNumber(run.updates, 0, run.updates),
    node: asIndex(run.nodes.length),
    edge: edgeField,
    trace: asFlag(false),
    view: asChoice("auto", ["auto", "wiring", "matrix"]),
    layer: asIndex(run.layers.length, 0),
    image: asIndex(app.samples ? app.samples.labels.length : 0, 0),
    hall: asFlag(false),
    previews: asFlag(true),
    theme: asChoice("auto", ["auto", "light", "dark"]),
    speed: asNumber(1, 0.1, 8),
    playing: unsaved(false),
  },
  (values, changed) => refresh(values, changed),
);
const { state } = app;

let reach = null;
let reachFor = "";
app.reach = () => {
  const version = run.version();
  if (version !== reachFor) {
    reach = reachOf(run);
    reachFor = version;
  }
  return reach;
};

const drawable = run.drawnLayers.length > 0;
const showsMatrix = () => {
  const { view } = state.values;
  if (!drawable) return true;
  return view === "auto" ? run.nodes.length > MANY_NODES : view === "matrix";
};
app.toggleView = () => state.set({ view: showsMatrix() && drawable ? "wiring" : "matrix" });
app.shownPicture = () => (showsMatrix() ? app.matrix : app.wiring).picture();

app.wiring = wiringView(app);
app.matrix = matrixView(app);
app.timeline = timelineView(app);
const showNode = nodeCard(app);
const showEdge = edgeCard(app);
const updateHistogram = histogramView(app);
const updateLayers = layersView(app);
const samples = samplesView(app);
const updateConfusion = confusionView(app);
const cardAtRest = [...byId("card").childNodes];

function drawStage() {
  if (!run.layers.length) return;
  if (showsMatrix()) app.matrix.draw();
  else app.wiring.draw();
}

function drawCard(values) {
  if (values.edge) showEdge();
  else if (values.node !== null) showNode();
  else {
    byId("card").replaceChildren(...cardAtRest);
    byId("moment").replaceChildren(
      ...numbersNow().map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
    );
  }
  byId("card").classList.toggle("open", Boolean(values.edge) || values.node !== null);
}

// Redrawing the details between press and release would lose the click.
let cardHeld = false;

let lastRelaxed = 0;
function refresh(values, changed) {
  if (changed.has("theme")) retheme();
  if (changed.has("t")) run.seek(values.t);
  if (changed.has("view") || changed.has("layer")) arrange();
  app.timeline.update();
  drawStage();
  setText(byId("moment-text"), shortMoment());
  const now = performance.now();
  if (values.playing && now - lastRelaxed < RELAXED) return;
  lastRelaxed = now;
  if (!cardHeld) keepFocus(byId("card"), () => drawCard(values));
  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.setAttribute("aria-pressed", String(Boolean(values[button.dataset.toggle])));
  }
  if (run.layers.length) updateHistogram();
  updateLayers();
  samples.update();
  updateConfusion();
  announce();
}

// Redrawing the details must keep the keyboard focus.
function keepFocus(holder, redraw) {
  const buttons = () => [...holder.querySelectorAll("button")];
  const place = buttons().indexOf(document.activeElement);
  redraw();
  if (place >= 0) (buttons()[place] ?? buttons()[0])?.focus({ preventScroll: true });
}

function arrange() {
  const matrix = showsMatrix();
  byId("wiring").hidden = matrix;
  byId("matrix-holder").hidden = !matrix;
  byId("tip").hidden = true;
  byId("view-toggle").hidden = !drawable;
  setText(byId("view-toggle"), matrix ? "Wiring" : "Matrix");
  byId("previews-toggle").hidden = matrix || !app.samples?.features;
  for (const chooser of document.querySelectorAll("[data-layer-choice]")) {
    chooser.value = String(state.values.layer);
    chooser.hidden = run.layers.length < 2 || (chooser.id === "matrix-layer" && !matrix);
  }
  const layer = run.layers[state.values.layer];
  const many =
    run.nodes.length > MANY_NODES && state.values.view === "auto"
      ? ` This network has ${count(run.nodes.length)} nodes, too many for a readable drawing.`
      : "";
  setText(
    byId("stage-caption"),
    matrix && layer
      ? `${layer.name}: a row for each of ${count(layer.rows)} targets, a column for each of ${count(layer.columns)} sources, a mark for each real edge.${many}`
      : "",
  );
}

function retheme() {
  applyTheme(state.values.theme);
  app.colours = palette();
  samples.repaint();
}

function shortMoment() {
  const dead = drawable && run.nodes.length ? app.reach().dead : 0;
  return `${count(run.realEdges())} real edges` + (drawable ? `, ${plural(dead, "dead node", "dead nodes")}` : "");
}

function numbersNow() {
  const { t } = state.values;
  const { train, test } = run.recorded.curves;
  const span = afterglow(run);
  return [
    ["update", count(Math.floor(t))],
    ["test accuracy", percent(at(test, test.accuracy, t) ?? at(train, train.accuracy, t) ?? NaN)],
    ["loss", short(at(test, test.loss, t) ?? at(train, train.loss, t) ?? NaN)],
    ["real edges", count(run.realEdges())],
    ["swaps so far", count(run.swapsUntil(t))],
    drawable
      ? ["dead nodes", count(app.reach().dead)]
      : ["recent swaps", count(run.swapsUntil(t) - run.swapsUntil(t - span))],
  ];
}

// The current state in words, for screen readers. It is updated once time stops.
let announcing = 0;
function announce() {
  clearTimeout(announcing);
  if (state.values.playing) return;
  announcing = setTimeout(() => setText(byId("live"), momentInWords()), 500);
}

function momentInWords() {
  const { t } = state.values;
  const { train, test } = run.recorded.curves;
  const loss = at(test, test.loss, t) ?? at(train, train.loss, t);
  const accuracy = at(test, test.accuracy, t);
  return (
    [
      `Update ${count(Math.floor(t))} of ${count(run.updates)}`,
      loss === undefined ? null : `loss ${short(loss)}`,
      accuracy === undefined ? null : `test accuracy ${percent(accuracy)}`,
      `${count(run.realEdges())} of ${count(run.possibleEdges)} edges real`,
      `${count(run.swapsUntil(t))} swaps so far`,
      drawable ? plural(app.reach().dead, "dead node", "dead nodes") : null,
    ]
      .filter(Boolean)
      .join(", ") + "."
  );
}

function bindControls() {
  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.addEventListener("click", () =>
      state.set({ [button.dataset.toggle]: !state.values[button.dataset.toggle] }),
    );
  }
  byId("view-toggle").addEventListener("click", app.toggleView);
  // A link to the player would replace the state in the URL.
  byId("skip").addEventListener("click", () => byId("play").focus());
  byId("card").addEventListener("pointerdown", () => (cardHeld = true));
  for (const end of ["pointerup", "pointercancel"])
    window.addEventListener(end, () => setTimeout(() => (cardHeld = false)));
  byId("theme").addEventListener("click", () => state.set({ theme: otherTheme() }));
  byId("png").addEventListener("click", () => exportPng(app));
  byId("svg").addEventListener("click", () => exportSvg(app));
  for (const chooser of document.querySelectorAll("[data-layer-choice]")) {
    for (const layer of run.layers) chooser.append(new Option(layer.name, layer.index));
    chooser.addEventListener("change", () => state.set({ layer: +chooser.value }));
  }
  onSystemTheme(() => {
    retheme();
    refresh(state.values, new Set(["theme"]));
  });
  new ResizeObserver(() => drawStage()).observe(byId("stage"));
}

showFacts(app);
bindControls();
bindKeys(app);
retheme();
run.seek(state.values.t);
arrange();
byId("stage-section").hidden = !run.layers.length;
refresh(state.values, new Set(["t"]));

// The interface for tests.
window.dnw = {
  ready: true,
  seek(update) {
    state.set({ t: Math.min(run.updates, Math.max(0, update)), playing: false });
    state.flush();
  },
  state: () => ({
    ...state.values,
    real: run.realEdges(),
    dead: drawable ? app.reach().dead : null,
    matrix: showsMatrix(),
  }),
  set(patch) {
    state.set(patch);
    state.flush();
  },
  weight: (layer, entry) => run.layers[layer].weight(entry, run.layers[layer].moment(state.values.t)),
  svg: () => new XMLSerializer().serializeToString(svgOf(app)),
  renderer: () => app.wiring.renderer(),
  // "2d", "webgl", or null to select automatically.
  force(renderer) {
    app.wiring.force(renderer);
    drawStage();
  },
  strokes: () => app.wiring.strokes(),
  pace: () => app.wiring.pace(),
  // The average time of a full redraw of the wiring in milliseconds, each at a later update.
  drawTime(times) {
    const { t } = state.values;
    const start = performance.now();
    for (let i = 0; i < times; i++) {
      run.seek(Math.max(0, t - i));
      drawStage();
      if (!showsMatrix()) app.wiring.finish();
    }
    const average = (performance.now() - start) / times;
    run.seek(t);
    drawStage();
    return average;
  },
};
