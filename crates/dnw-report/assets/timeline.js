// The timeline: play, pause, speed, and the curves under the slider.

import { byId, clamp, el, lastAtMost, setText, svg } from "./elements.js";
import { count, percent, short } from "./words.js";
import { line, linear, range, stretched, thin, ticks } from "./charts.js";
import { reducedMotion } from "./theme.js";

const WIDTH = 1000;
const HEIGHT = 100;
const SECONDS_AT_SPEED_1 = 40;

export function timelineView(app) {
  const { run, state } = app;
  const [slider, play, speed, clock] = ["slider", "play", "speed", "clock"].map(byId);
  const { train, test } = run.recorded.curves;
  slider.max = run.updates;
  const x = linear(0, run.updates, 0, WIDTH);
  const rows = [lossRow(train, test, x), accuracyRow(train, test, x), swapRow(run, x)];
  const cursors = [];
  const plots = byId("plots");
  for (const row of rows) {
    const cursor = el("div", { class: "cursor" });
    cursors.push(cursor);
    const plot = el("div", { class: "plot" }, row.drawing, cursor);
    seekable(plot, (share) => state.set({ t: Math.round(share * run.updates), playing: false }));
    plots.append(
      el(
        "div",
        { class: "plot-name" },
        el("span", {}, row.name),
        row.value,
        el("small", { class: "high" }, row.high),
        el("small", { class: "low" }, row.low),
      ),
      plot,
    );
  }

  const marks = ticks(0, run.updates, 6).filter((update) => update < run.updates * 0.86);
  const places = [...marks, run.updates].map((update) =>
    el("span", { style: `left:${(update / run.updates) * 100}%` }, count(update)),
  );
  plots.append(el("div", { class: "axis", "aria-hidden": "true" }, ...places));

  let before = 0;
  const tick = (now) => {
    const { values } = state;
    if (!values.playing) return;
    // With reduced motion, two frames per second instead of an animation.
    if (reducedMotion() && now - before < 500) return requestAnimationFrame(tick);
    const passed = Math.min(reducedMotion() ? 0.6 : 0.1, (now - before) / 1000);
    before = now;
    const t = values.t + (passed * values.speed * run.updates) / SECONDS_AT_SPEED_1;
    if (t >= run.updates) state.set({ t: run.updates, playing: false });
    else state.set({ t });
    state.flush();
    requestAnimationFrame(tick);
  };
  const toggle = () => {
    if (state.values.playing) return state.set({ playing: false, t: Math.round(state.values.t) });
    before = performance.now();
    state.set({ playing: true, t: state.values.t >= run.updates ? 0 : state.values.t });
    requestAnimationFrame(tick);
  };
  play.addEventListener("click", toggle);
  slider.addEventListener("input", () => state.set({ t: +slider.value, playing: false }));
  speed.addEventListener("change", () => state.set({ speed: +speed.value }));

  const step = (updates) =>
    state.set({ t: clamp(Math.round(state.values.t) + updates, 0, run.updates), playing: false });

  const update = () => {
    const { t, playing } = state.values;
    const whole = Math.floor(t);
    if (+slider.value !== whole) slider.value = whole;
    slider.setAttribute("aria-valuetext", `update ${count(whole)} of ${count(run.updates)}`);
    slider.style.setProperty("--done", (t / run.updates) * 100 + "%");
    speed.value = String(state.values.speed);
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    play.classList.toggle("playing", playing);
    setText(clock, `${count(whole)} / ${count(run.updates)}`);
    for (const cursor of cursors) cursor.style.left = (t / run.updates) * 100 + "%";
    for (const row of rows) setText(row.value, row.read(t));
  };

  return { update, toggle, step };
}

// Dragging on a plot seeks.
function seekable(plot, seek) {
  const at = (event) => {
    const box = plot.getBoundingClientRect();
    seek(clamp((event.clientX - box.left) / box.width, 0, 1));
  };
  plot.addEventListener("pointerdown", (event) => {
    plot.setPointerCapture(event.pointerId);
    at(event);
  });
  plot.addEventListener("pointermove", (event) => {
    if (plot.hasPointerCapture(event.pointerId)) at(event);
  });
}

const valueOf = (title) => el("b", { title });

function lossRow(train, test, x) {
  const [low, high] = range([...train.loss, ...test.loss]);
  const y = linear(0, Math.max(high, 1e-6), HEIGHT - 4, 6);
  const drawing = stretched(WIDTH, HEIGHT, `Loss over the run, from ${short(high)} down to ${short(low)}`);
  drawing.append(thin(line(train.update, train.loss, x, y), "train"), thin(line(test.update, test.loss, x, y), "test"));
  return {
    name: "Loss",
    drawing,
    high: short(high, 2),
    low: "0",
    value: valueOf("loss on the test set"),
    read: (t) => short(at(test, test.loss, t) ?? at(train, train.loss, t) ?? NaN),
  };
}

function accuracyRow(train, test, x) {
  const [low, high] = range([...train.accuracy, ...test.accuracy]);
  const floor = Math.max(0, Math.floor(low * 10) / 10);
  const y = linear(floor, Math.max(high, floor + 0.01), HEIGHT - 4, 6);
  const drawing = stretched(WIDTH, HEIGHT, `Accuracy over the run, from ${percent(low)} to ${percent(high)}`);
  drawing.append(
    thin(line(train.update, train.accuracy, x, y), "train"),
    thin(line(test.update, test.accuracy, x, y), "test"),
  );
  return {
    name: "Accuracy",
    drawing,
    high: percent(high, 0),
    low: percent(floor, 0),
    value: valueOf("accuracy on the test set"),
    read: (t) => percent(at(test, test.accuracy, t) ?? at(train, train.accuracy, t) ?? NaN),
  };
}

// Swaps are counted exactly from the history; without a history, from the training log.
function swapRow(run, x) {
  const bins = Math.min(160, run.updates);
  const { train } = run.recorded.curves;
  const bornOf = run.layers.length ? (t) => run.swapsUntil(t) : cumulative(train);
  const width = run.updates / bins;
  const rates = Array.from({ length: bins }, (_, i) => (bornOf((i + 1) * width) - bornOf(i * width)) / width);
  const high = Math.max(...rates, 1e-6);
  const y = linear(0, high, HEIGHT, 6);
  const drawing = stretched(WIDTH, HEIGHT, `Swaps per update over the run, at most ${short(high)}`);
  const bars = rates.map(
    (rate, i) =>
      `M${x(i * width).toFixed(1)} ${HEIGHT}V${y(rate).toFixed(1)}H${(x((i + 1) * width) - 0.8).toFixed(1)}V${HEIGHT}Z`,
  );
  drawing.append(svg("path", { d: bars.join(""), class: "bars" }));
  return {
    name: "Swaps / update",
    drawing,
    high: short(high, 2),
    low: "0",
    value: valueOf("swaps per update around this update"),
    read: (t) => short(rates[clamp(Math.floor(t / width), 0, bins - 1)], 2),
  };
}

function cumulative(train) {
  const sums = [0];
  for (const swaps of train.swaps) sums.push(sums.at(-1) + swaps);
  return (t) => sums[lastAtMost(train.update, t) + 1];
}

// The last value recorded up to an update.
export function at(part, column, t) {
  const index = lastAtMost(part.update, t);
  return index < 0 ? undefined : column[index];
}
