// The histogram of a layer's weight magnitudes at an update, with the threshold.

import { byId, el, setText, svg } from "./elements.js";
import { count, short } from "./words.js";
import { linear, stretched, ticks } from "./charts.js";

const BINS = 48;
const WIDTH = 480;
const HEIGHT = 200;

export function histogramView(app) {
  const { run, state } = app;
  const holder = byId("histogram");
  const caption = byId("histogram-caption");
  if (!run.layers.some((layer) => layer.frames.length)) {
    byId("histogram-section").hidden = true;
    return () => {};
  }
  const drawing = stretched(WIDTH, HEIGHT, "Histogram of edge magnitudes");
  const [grey, full, mark] = ["hallucinated", "real", "threshold"].map((name) => svg("path", { class: name }));
  mark.setAttribute("vector-effect", "non-scaling-stroke");
  drawing.append(grey, full, mark);
  const tag = el("span", { class: "threshold-tag" });
  const axis = el("div", { class: "axis" });
  holder.append(el("div", { class: "plot histogram-plot" }, drawing, tag), axis);

  return () => {
    const layer = run.layers[state.values.layer];
    const high = Math.max(...layer.scale, 1e-9);
    const moment = layer.moment(state.values.t);
    const [all, real] = [new Uint32Array(BINS), new Uint32Array(BINS)];
    for (let entry = 0; entry < layer.entries; entry++) {
      if (!layer.isLegal(entry)) continue;
      const bin = Math.min(BINS - 1, ((Math.abs(layer.weight(entry, moment)) / high) * BINS) | 0);
      all[bin]++;
      real[bin] += layer.real[entry];
    }
    const x = linear(0, BINS, 0, WIDTH);
    const most = Math.log1p(Math.max(10, ...all));
    const y = (amount) => HEIGHT - (Math.log1p(amount) / most) * (HEIGHT - 10);
    const bars = (amounts) =>
      Array.from(amounts, (amount, i) =>
        amount ? `M${x(i)} ${HEIGHT}V${y(amount).toFixed(1)}H${(x(i + 1) - 1).toFixed(1)}V${HEIGHT}Z` : "",
      ).join("");
    grey.setAttribute("d", bars(all));
    full.setAttribute("d", bars(real));
    const share = Math.min(1, moment.threshold / high);
    mark.setAttribute("d", `M${share * WIDTH} 0V${HEIGHT}`);
    tag.style.left = share * 100 + "%";
    tag.classList.toggle("left", share > 0.6);
    setText(tag, "threshold " + short(moment.threshold));
    const labels = ticks(0, high, 4).map((value) =>
      el("span", { style: `left:${(value / high) * 100}%` }, short(value)),
    );
    axis.replaceChildren(...labels);
    setText(
      caption,
      `|w| of all ${count(layer.possible)} possible edges, ${count(layer.realEntries().length)} real. The vertical axis is logarithmic.`,
    );
  };
}
