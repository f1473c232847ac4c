// The comparison page.

import { byId, clamp, el, setText, svg } from "./elements.js";
import { briefly, count, percent, short } from "./words.js";
import { line, linear, range, ticks } from "./charts.js";
import { asChoice, createState } from "./state.js";
import { applyTheme, channels, onSystemTheme, otherTheme, palette } from "./theme.js";
import { budgetPlot } from "./budget_plot.js";
import { copyable } from "./copy.js";

// A palette for colour-blind readers (Okabe and Ito, without yellow), on light and dark backgrounds.
const COLOURS = ["#1b72c4", "#e07b12", "#0a8f6c", "#b8569a", "#6b7686", "#3aa6d8", "#b4540a", "#7a5fd0"];

const comparison = JSON.parse(byId("data").textContent);
const { runs } = comparison;
const groups = [...new Set(runs.map((run) => run.group))];
const rules = [...new Set(runs.map((run) => run.rule))];
const columns = [
  ["name", "Run", (run) => run.name],
  ["rule", "Rule", (run) => run.rule],
  ["recipe", "Recipe", (run) => run.recipe],
  ["seed", "Seed", (run) => String(run.seed)],
  ["edges_real", "Real edges", (run) => count(run.edges_real)],
  ["density", "Density", (run) => percent(densityOf(run), 2)],
  ["test_accuracy", "Test accuracy", (run) => (isEvaluated(run) ? percent(run.test_accuracy, 2) : "not evaluated")],
  ["swaps", "Swaps", (run) => count(run.swaps)],
  ["dead_nodes", "Dead nodes", (run) => count(run.dead_nodes)],
];
const isEvaluated = (run) => run.curves.test.update.length > 0;
// A dense network has none.
const densityOf = (run) => (run.edges_possible ? run.edges_real / run.edges_possible : null);
const valueOf = (run, key) => (key === "density" ? densityOf(run) : run[key]);

const state = createState(
  {
    theme: asChoice("auto", ["auto", "light", "dark"]),
    hidden: {
      start: [],
      read: (text) =>
        text
          .split(".")
          .map(Number)
          .filter((g) => groups[g] !== undefined),
      write: (list) => list.join("."),
    },
    sort: asChoice("", ["", ...columns.flatMap(([key]) => [key, "-" + key])]),
  },
  () => draw(),
);

// One colour per rule; groups of the same rule differ in lightness.
const colourOfRule = (rule) => tint(COLOURS[rules.indexOf(rule) % COLOURS.length], 0);
function colourOfGroup(group) {
  const { rule } = runs.find((run) => run.group === group);
  const siblings = groups.filter((other) => runs.find((run) => run.group === other).rule === rule);
  if (rules.length === 1) return tint(COLOURS[groups.indexOf(group) % COLOURS.length], 0);
  const place = siblings.length > 1 ? siblings.indexOf(group) / (siblings.length - 1) : 0;
  return tint(COLOURS[rules.indexOf(rule) % COLOURS.length], place * 0.55);
}

// Lightens a colour; on a dark background all colours are slightly lighter.
function tint(colour, share) {
  const lift = document.documentElement.dataset.theme === "dark" ? 0.2 : 0;
  const mixed = channels(colour).map((channel) => Math.round(channel + (255 - channel) * (lift + (1 - lift) * share)));
  return `rgb(${mixed.join(" ")})`;
}

// The axis range ignores the first part of the run, up to the fraction `from`, because its values are far outside the range of the rest.
function curves(holder, label, columnOf, format, fromZero, from) {
  const [width, height] = [clamp(holder.clientWidth, 260, 1000), 250];
  const box = { left: 46, right: 8, top: 8, bottom: 26 };
  const shown = runs.filter((run) => !state.values.hidden.includes(groups.indexOf(run.group)));
  const columnsShown = shown.map(columnOf);
  const [, end] = range(columnsShown.flatMap(([updates]) => updates));
  let [low, high] = range(
    columnsShown.flatMap(([updates, values]) => values.filter((_, i) => updates[i] >= end * from)),
  );
  if (fromZero) low = 0;
  if (low === high) high = low + 1;
  const x = linear(0, end, box.left, width - box.right);
  const y = linear(low, high, height - box.bottom, box.top);
  const drawing = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const clip = "clip-" + holder.id;
  drawing.append(
    svg(
      "clipPath",
      { id: clip },
      svg("rect", {
        x: box.left,
        y: box.top - 2,
        width: width - box.left - box.right,
        height: height - box.top - box.bottom + 4,
      }),
    ),
  );
  const lines = svg("g", { "clip-path": `url(#${clip})` });
  for (const value of ticks(low, high, 4)) {
    drawing.append(
      svg("line", { class: "grid", x1: box.left, x2: width - box.right, y1: y(value), y2: y(value) }),
      svg("text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, format(value)),
    );
  }
  for (const value of ticks(0, end, 4))
    drawing.append(
      svg(
        "text",
        { x: clamp(x(value), box.left + 4, width - 14), y: height - 8, "text-anchor": "middle" },
        short(value),
      ),
    );
  for (const group of groups) {
    const members = shown.flatMap((run, i) => (run.group === group ? [columnsShown[i]] : []));
    if (!members.length) continue;
    const stroke = colourOfGroup(group);
    if (members.length > 1)
      for (const [updates, values] of members)
        lines.append(svg("path", { class: "seed", d: line(updates, values, x, y), style: `stroke:${stroke}` }));
    lines.append(
      svg(
        "path",
        { class: "mean", d: line(...meanOf(members), x, y), style: `stroke:${stroke}` },
        svg("title", {}, group),
      ),
    );
  }
  drawing.append(lines);
  holder.replaceChildren(drawing);
}

// The mean of the seeds at the updates of the first seed; of other seeds the latest entry at that update is used.
function meanOf(members) {
  const [updates] = members[0];
  const places = members.map(() => 0);
  const values = updates.map((update) => {
    let sum = 0;
    members.forEach(([others, column], m) => {
      while (places[m] + 1 < others.length && others[places[m] + 1] <= update) places[m]++;
      sum += column[places[m]] ?? NaN;
    });
    return sum / members.length;
  });
  return [updates, values];
}

function drawGroups() {
  byId("groups").replaceChildren(
    ...groups.map((group, index) => {
      const hidden = state.values.hidden.includes(index);
      return el(
        "button",
        {
          "aria-pressed": String(!hidden),
          onclick: () =>
            state.set({
              hidden: hidden ? state.values.hidden.filter((other) => other !== index) : [...state.values.hidden, index],
            }),
        },
        el("span", { class: "swatch", style: `background:${colourOfGroup(group)}` }),
        group,
      );
    }),
  );
}

// Marks a seed whose accuracy is far below the others of its group, so that a mean does not hide a collapsed run.
function hasFallen(run) {
  const siblings = runs.filter((other) => other.group === run.group).map((other) => other.test_accuracy);
  return isEvaluated(run) && Math.max(...siblings) - run.test_accuracy > 0.02;
}

function drawTable() {
  const key = state.values.sort.replace("-", "");
  const sign = state.values.sort.startsWith("-") ? -1 : 1;
  const sorted = key
    ? [...runs].sort(
        (a, b) => sign * (valueOf(a, key) > valueOf(b, key) ? 1 : valueOf(a, key) < valueOf(b, key) ? -1 : 0),
      )
    : runs;
  const isNumber = (name) => !["name", "rule", "recipe"].includes(name);
  byId("runs").replaceChildren(
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        ...columns.map(([name, title]) =>
          el(
            "th",
            {
              scope: "col",
              class: isNumber(name) ? "number" : "",
              "aria-sort": key === name ? (sign > 0 ? "ascending" : "descending") : "none",
            },
            el(
              "button",
              {
                onclick: () =>
                  state.set({
                    sort: state.values.sort === "-" + name ? name : state.values.sort === name ? "" : "-" + name,
                  }),
              },
              title + (key === name ? (sign > 0 ? " ↑" : " ↓") : ""),
            ),
          ),
        ),
      ),
    ),
    el(
      "tbody",
      {},
      ...sorted.map((run) =>
        el(
          "tr",
          {
            class: hasFallen(run) ? "fallen" : "",
            title: hasFallen(run) ? "more than two points below the best seed of its group" : null,
          },
          ...columns.map(([name, , text]) =>
            el(
              "td",
              { class: isNumber(name) ? "number" : "" },
              name === "rule"
                ? el("span", { class: "swatch", style: `background:${colourOfRule(run.rule)};margin-right:7px` })
                : null,
              text(run),
            ),
          ),
        ),
      ),
    ),
  );
}

function drawOverlap() {
  const { overlap } = comparison;
  byId("overlap-section").hidden = runs.length < 2;
  if (runs.length < 2) return;
  const cell = clamp(760 / runs.length, 11, 34);
  const label = Math.min(190, 8 + Math.max(...runs.map((run) => run.name.length)) * 6.2);
  const side = label + cell * runs.length + 2;
  const colours = palette();
  const [void_, full] = [colours.void, colours.accent].map(channels);
  const drawing = svg("svg", {
    class: "overlap",
    width: side,
    height: side,
    viewBox: `0 0 ${side} ${side}`,
    role: "img",
    "aria-label": "Overlap of each pair of wirings",
  });
  runs.forEach((run, a) => {
    const at = label + (a + 0.5) * cell;
    drawing.append(svg("text", { x: label - 6, y: at + 3.5, "text-anchor": "end" }, run.name));
    drawing.append(svg("text", { transform: `translate(${at + 3.5} ${label - 6}) rotate(-90)` }, run.name));
    runs.forEach((other, b) => {
      const share = overlap[a][b];
      const shade = share === null ? null : void_.map((from, i) => Math.round(from + (full[i] - from) * share));
      const words = `${run.name} and ${other.name}: ${share === null ? "no edges to compare, or networks of different shapes" : percent(share, 1) + " of their edges shared"}`;
      const rect = svg(
        "rect",
        {
          x: label + b * cell,
          y: label + a * cell,
          width: cell - 1,
          height: cell - 1,
          fill: shade ? `rgb(${shade})` : "none",
        },
        svg("title", {}, words),
      );
      rect.addEventListener("pointerenter", () => setText(byId("overlap-text"), words));
      drawing.append(rect);
      if (share !== null && cell >= 26) {
        drawing.append(
          svg(
            "text",
            {
              x: label + (b + 0.5) * cell - 0.5,
              y: at + 3.5,
              "text-anchor": "middle",
              style: share > 0.6 ? `fill:${colours.paper}` : "",
              "pointer-events": "none",
            },
            String(Math.round(share * 100)),
          ),
        );
      }
    });
  });
  byId("overlap").replaceChildren(drawing);
}

function drawBudget() {
  const holder = byId("budget");
  const width = Math.max(300, Math.round(holder.clientWidth));
  const keys =
    width < 560
      ? rules.map((rule) =>
          el(
            "span",
            { class: "soft" },
            el("span", { class: "swatch", style: `background:${colourOfRule(rule)}` }),
            " " + rule,
          ),
        )
      : [];
  holder.replaceChildren(budgetPlot(runs, colourOfRule, width), el("div", { class: "groups" }, ...keys));
}

function draw() {
  applyTheme(state.values.theme);
  drawBudget();
  drawGroups();
  curves(
    byId("loss"),
    "Training loss over updates",
    (run) => [run.curves.train.update, run.curves.train.loss],
    (value) => short(value, 2),
    true,
    0.1,
  );
  curves(
    byId("accuracy"),
    "Test accuracy over updates",
    (run) => [run.curves.test.update, run.curves.test.accuracy],
    briefly,
    false,
    0.25,
  );
  curves(
    byId("swaps"),
    "Swaps so far over updates",
    (run) => {
      let sum = 0;
      return [run.curves.train.update, run.curves.train.swaps.map((swaps) => (sum += swaps))];
    },
    (value) => short(value, 2),
    true,
    0,
  );
  drawTable();
  drawOverlap();
}

setText(byId("title"), `${runs.length} runs, ${rules.length === 1 ? "one rule" : rules.length + " rules"}`);
copyable(byId("command"), byId("copy"), comparison.command);
byId("theme").addEventListener("click", () => state.set({ theme: otherTheme() }));
onSystemTheme(draw);
// Charts are redrawn for their width, so that text and lines keep their size.
let drawnFor = 0;
new ResizeObserver(() => {
  const width = byId("budget").clientWidth;
  if (width !== drawnFor) draw();
  drawnFor = width;
}).observe(byId("budget"));
draw();
window.dnw = {
  ready: true,
  state: () => ({ ...state.values }),
  set: (patch) => {
    state.set(patch);
    state.flush();
  },
};
