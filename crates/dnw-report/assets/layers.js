// The table of layers: budget and swaps.

import { byId, el, setText } from "./elements.js";
import { count, percent } from "./words.js";
import { linear, stretched, thin } from "./charts.js";

const BINS = 60;

export function layersView(app) {
  const { run, state } = app;
  const body = byId("layers");
  if (!run.layers.length) {
    byId("layers-section").hidden = true;
    return () => {};
  }
  const rows = run.layers.map((layer) => {
    const parts = {
      real: el("td", { class: "number" }),
      bar: el("i"),
      swaps: el("td", { class: "number" }),
      cursor: el("div", { class: "cursor" }),
    };
    const choose = el("button", { class: "link", onclick: () => state.set({ layer: layer.index }) }, layer.name);
    const row = el(
      "tr",
      {},
      el("th", { scope: "row" }, choose, el("small", {}, layer.shape.join(" × "))),
      parts.real,
      el("td", {}, el("div", { class: "budget", title: "real edges / possible edges" }, parts.bar)),
      parts.swaps,
      el("td", { class: "spark" }, el("div", { class: "plot" }, spark(run, layer), parts.cursor)),
    );
    body.append(row);
    return { layer, row, choose, ...parts };
  });
  return () => {
    const { t } = state.values;
    for (const { layer, row, choose, real, bar, swaps, cursor } of rows) {
      const now = layer.realEntries().length;
      const share = layer.possible ? now / layer.possible : 0;
      setText(real, `${count(now)} of ${count(layer.possible)}`);
      real.title = percent(share, 2);
      bar.style.width = Math.max(0.5, share * 100) + "%";
      setText(swaps, count(layer.swapsUntil(t)));
      cursor.style.left = (t / run.updates) * 100 + "%";
      row.classList.toggle("chosen", run.layers.length > 1 && state.values.layer === layer.index);
      choose.setAttribute("aria-pressed", String(state.values.layer === layer.index));
    }
  };
}

function spark(run, layer) {
  const rates = Array.from(
    { length: BINS },
    (_, i) => layer.swapsUntil(((i + 1) * run.updates) / BINS) - layer.swapsUntil((i * run.updates) / BINS),
  );
  const y = linear(0, Math.max(...rates, 1), 38, 3);
  const drawing = stretched(BINS * 2, 40, "Swaps over the run");
  const path = rates.map((rate, i) => `${i ? "L" : "M"}${i * 2 + 1} ${y(rate).toFixed(1)}`).join("");
  drawing.append(thin(path, "test"));
  return drawing;
}
