// The predictions for some test images over time, and the confusion matrix.

import { byId, el, lastAtMost, setText } from "./elements.js";
import { count, percent } from "./words.js";
import { channels } from "./theme.js";
import { paintImage } from "./thumbnails.js";

export function samplesView(app) {
  const { run, state, samples } = app;
  const holder = byId("samples");
  if (!samples || !samples.frames.length) {
    byId("samples-section").hidden = true;
    return { update() {}, repaint() {} };
  }
  const classes = samples.classes;
  const cards = samples.labels.map((label, image) => {
    const picture = el("canvas", { class: "sample", "aria-hidden": "true" });
    paintImage(picture, samples, image);
    const bars = classes.map((name) => el("i", { title: name }));
    const verdict = el("b");
    const strip = el("canvas", { class: "strip", "aria-hidden": "true" });
    const cursor = el("div", { class: "cursor" });
    const button = el(
      "button",
      { class: "sample-card", onclick: () => state.set({ image }) },
      el("span", { class: "sample-top" }, picture, el("span", { class: "bars-of" }, ...bars)),
      el("span", { class: "verdict" }, verdict),
      el("span", { class: "plot strip-plot" }, strip, cursor),
    );
    holder.append(button);
    return { image, label, button, bars, verdict, strip, cursor };
  });

  const update = () => {
    const frame = Math.max(0, lastAtMost(samples.frames, state.values.t));
    for (const { image, label, button, bars, verdict, cursor } of cards) {
      const start = (frame * samples.labels.length + image) * classes.length;
      const chances = samples.probabilities.subarray(start, start + classes.length);
      let best = 0;
      chances.forEach((chance, c) => (best = chance > chances[best] ? c : best));
      bars.forEach((bar, c) => {
        bar.style.height = Math.max(3, (chances[c] / 255) * 100) + "%";
        bar.className = c === label ? "truth" : c === best ? "taken" : "";
      });
      const right = best === label;
      setText(
        verdict,
        `${right ? "✓" : "✗"} ${classes[best]}` +
          (right ? "" : `, true class ${classes[label]}`) +
          ` · ${percent(chances[best] / 255, 0)}`,
      );
      verdict.className = right ? "right" : "wrong";
      button.setAttribute(
        "aria-label",
        `Test image ${image + 1}, ${classes[label]}: predicted ${classes[best]} with probability ${percent(chances[best] / 255, 0)}`,
      );
      button.setAttribute("aria-pressed", String(state.values.image === image));
      cursor.style.left = (state.values.t / run.updates) * 100 + "%";
    }
  };

  // A column per recorded update, a row per class: darker means a higher probability.
  const repaint = () => {
    const [truth, other, paper] = [app.colours.accent, app.colours.soft, app.colours.void].map(channels);
    const columns = 120;
    for (const { image, label, strip } of cards) {
      strip.width = columns;
      strip.height = classes.length;
      const context = strip.getContext("2d");
      const picture = context.createImageData(columns, classes.length);
      for (let i = 0; i < columns; i++) {
        const frame = Math.max(0, lastAtMost(samples.frames, ((i + 0.5) / columns) * run.updates));
        for (let c = 0; c < classes.length; c++) {
          const chance = samples.probabilities[(frame * samples.labels.length + image) * classes.length + c] / 255;
          const end = c === label ? truth : other;
          const at = (c * columns + i) * 4;
          for (let k = 0; k < 3; k++) picture.data[at + k] = paper[k] + (end[k] - paper[k]) * chance;
          picture.data[at + 3] = 255;
        }
      }
      context.putImageData(picture, 0, 0);
    }
  };
  return { update, repaint };
}

export function confusionView(app) {
  const { run, state } = app;
  const { test } = run.recorded.curves;
  const classes = run.recorded.data.classes;
  const table = byId("confusion");
  if (!test.confusion.length || !classes.length) {
    byId("confusion-section").hidden = true;
    return () => {};
  }
  const cells = classes.map(() => classes.map(() => el("td")));
  table.append(
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("th", { class: "corner" }, "true ↓ predicted →"),
        ...classes.map((name) => el("th", { scope: "col" }, name)),
      ),
    ),
    el("tbody", {}, ...classes.map((name, row) => el("tr", {}, el("th", { scope: "row" }, name), ...cells[row]))),
  );
  let shown = -1;
  return () => {
    const index = Math.max(0, lastAtMost(test.update, state.values.t));
    if (index === shown) return;
    shown = index;
    const matrix = test.confusion[index];
    classes.forEach((name, row) => {
      const line = matrix.slice(row * classes.length, (row + 1) * classes.length);
      const total = line.reduce((sum, amount) => sum + amount, 0) || 1;
      const mistakes = Math.max(1, ...line.filter((_, column) => column !== row));
      line.forEach((amount, column) => {
        const cell = cells[row][column];
        setText(cell, amount ? count(amount) : "·");
        cell.className = column === row ? "hit" : amount ? "miss" : "none";
        cell.style.setProperty(
          "--share",
          column === row ? amount / total : Math.min(1, amount / mistakes) * Math.min(1, (amount / total) * 12 + 0.1),
        );
      });
    });
    setText(
      byId("confusion-caption"),
      `After update ${count(test.update[index])}: ${percent(test.accuracy[index], 2)} test accuracy.`,
    );
  };
}
