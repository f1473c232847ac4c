// The details of an edge: its weight over time, when it was real, and its swaps.

import { byId, clamp, el, svg } from "./elements.js";
import { capital, count, entryName, nodeName, percent, plural, short, signed } from "./words.js";
import { line, linear, stretched, thin } from "./charts.js";
import { iconButton } from "./node_card.js";

const WIDTH = 400;
const HEIGHT = 130;
const LISTED = 12;

export function edgeCard(app) {
  const { run, state } = app;
  const card = byId("card");

  return () => {
    const [index, entry] = state.values.edge;
    const layer = run.layers[index];
    const { t } = state.values;
    const moment = layer.moment(t);
    const weight = layer.weight(entry, moment);
    const real = layer.real[entry] === 1;
    const events = layer.eventsOf(entry);
    const spells = spellsOf(layer, entry, events, run.updates);
    const realFor = spells.reduce((sum, [from, to]) => sum + to - from, 0);
    const ends = layer.drawn ? layer.ends(entry) : null;
    card.replaceChildren(
      el(
        "header",
        {},
        el(
          "div",
          {},
          el("h2", {}, capital(entryName(run, index, entry))),
          el("p", { class: "soft" }, `${layer.name}, entry ${count(entry)}`),
        ),
        el(
          "div",
          { class: "card-buttons" },
          iconButton("×", "Close", () => state.set({ edge: null })),
        ),
      ),
      el(
        "p",
        { class: "state " + (real ? "alive" : "dead") },
        real
          ? "Real now: it takes part in the forward pass."
          : layer.isLegal(entry)
            ? "Hallucinated now: it is trained but does not take part in the forward pass."
            : "Not a legal edge: the network cannot use it.",
      ),
      el(
        "div",
        { class: "fans" },
        el("div", { class: weight < 0 ? "negative" : "positive" }, el("b", {}, signed(weight)), " weight"),
        el("div", {}, el("b", {}, short(moment.threshold)), " threshold"),
      ),
      chart(app, layer, entry, spells, t),
      el(
        "p",
        { class: "soft" },
        `Real in ${percent(realFor / run.updates, 0)} of the run, in ${plural(spells.length, "interval", "intervals")}.`,
      ),
      ends
        ? el(
            "div",
            { class: "row" },
            ...[ends.source, ends.target].map((node) =>
              el("button", { onclick: () => state.set({ node, edge: null }) }, capital(nodeName(run, node))),
            ),
          )
        : null,
      swapList(app, layer, entry, events),
    );
  };
}

// The intervals in which the entry was real.
function spellsOf(layer, entry, events, updates) {
  const spells = [];
  let since = layer.kept[0].real[entry] ? 0 : null;
  for (const event of events) {
    if (event.added) since = event.update;
    else if (since !== null) {
      spells.push([since, event.update]);
      since = null;
    }
  }
  if (since !== null) spells.push([since, updates]);
  return spells;
}

function chart(app, layer, entry, spells, t) {
  const { run, state } = app;
  const sizes = layer.frames.map((frame) => Math.abs(layer.weight(entry, layer.moment(frame))));
  const high = Math.max(...sizes, ...layer.threshold, 1e-9);
  const x = linear(0, run.updates, 0, WIDTH);
  const y = linear(0, high * 1.05, HEIGHT - 2, 4);
  const drawing = stretched(
    WIDTH,
    HEIGHT,
    `Magnitude of the edge's weight over the run against the threshold; it is real in ${plural(spells.length, "interval", "intervals")}`,
  );
  const blocks = spells.map(
    ([from, to]) =>
      `M${x(from).toFixed(2)} 0H${Math.max(x(to), x(from) + 0.4).toFixed(2)}V${HEIGHT}H${x(from).toFixed(2)}Z`,
  );
  drawing.append(
    svg("path", { d: blocks.join(""), class: "spell" }),
    thin(line(layer.frames, layer.threshold, x, y), "threshold"),
    thin(line(layer.frames, sizes, x, y), "weight"),
  );
  const cursor = el("div", { class: "cursor", style: `left:${(t / run.updates) * 100}%` });
  const plot = el(
    "div",
    { class: "plot edge-plot" },
    drawing,
    cursor,
    el("span", { class: "top" }, short(high, 2)),
    el("span", { class: "bottom" }, "0"),
  );
  plot.addEventListener("click", (event) => {
    const box = plot.getBoundingClientRect();
    state.set({ t: Math.round(clamp((event.clientX - box.left) / box.width, 0, 1) * run.updates), playing: false });
  });
  return el(
    "figure",
    { class: "edge-figure" },
    plot,
    el(
      "figcaption",
      {},
      el("span", { class: "key weight" }, "|w|"),
      el("span", { class: "key threshold" }, "threshold"),
      el("span", { class: "key spell" }, "real"),
    ),
  );
}

function swapList(app, layer, entry, events) {
  const { run, state } = app;
  if (!events.length) return null;
  const rows = events
    .slice(-LISTED)
    .reverse()
    .map((event) => {
      const other = layer.partner(entry, event);
      const alone = event.added ? "came as the budget grew" : "left as the budget shrank";
      const what = other === null ? alone : event.added ? "replaced " : "replaced by ";
      return el(
        "li",
        {},
        el(
          "button",
          { class: "link", onclick: () => state.set({ t: event.update, playing: false }) },
          count(event.update),
        ),
        el("span", { class: event.added ? "added" : "gone", "aria-hidden": "true" }, event.added ? "+" : "−"),
        el(
          "span",
          {},
          what,
          other === null
            ? null
            : el(
                "button",
                { class: "link", onclick: () => state.set({ edge: [layer.index, other] }) },
                entryName(run, layer.index, other),
              ),
        ),
      );
    });
  const rest = events.length - rows.length;
  return el(
    "section",
    {},
    el("h3", {}, "Swaps of this edge, latest first"),
    el("ul", { class: "swaps" }, ...rows),
    rest > 0 ? el("p", { class: "soft" }, "and " + plural(rest, "earlier one", "earlier ones")) : null,
  );
}
