// Accuracy over density: one line per rule, one dot per seed. `comparison_svg.rs` draws the same plot as a static SVG.

import { svg } from "./elements.js";
import { briefly, count, percent } from "./words.js";
import { linear, logarithmic, range, ticks } from "./charts.js";

export function budgetPlot(all, colourOf, width) {
  const runs = all.filter((run) => run.edges_possible > 0 && run.curves.test.update.length > 0);
  const narrow = width < 560;
  const height = narrow ? 320 : 400;
  const box = { left: 50, right: narrow ? 14 : 190, top: 14, bottom: 44 };
  const drawing = svg("svg", {
    class: "chart",
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": "Test accuracy of each run over its density",
  });
  if (!runs.length) return drawing;
  const densityOf = (run) => run.edges_real / run.edges_possible;
  let [from, to] = range(runs.map(densityOf));
  const wide = from > 0 && to / from > 4;
  [from, to] = wide
    ? [from / 1.25, to * 1.25]
    : [Math.max(0, from - (to - from) * 0.1 - 0.005), to + (to - from) * 0.1 + 0.005];
  let [low, high] = range(runs.map((run) => run.test_accuracy));
  const air = Math.max(0.002, (high - low) * 0.08);
  [low, high] = [low - air, Math.min(1, high + air)];
  const x = (wide ? logarithmic : linear)(from, to, box.left, width - box.right);
  const y = linear(low, high, height - box.bottom, box.top);
  for (const value of ticks(low, high, 5)) {
    drawing.append(svg("line", { class: "grid", x1: box.left, x2: width - box.right, y1: y(value), y2: y(value) }));
    drawing.append(svg("text", { x: box.left - 8, y: y(value) + 4, "text-anchor": "end" }, briefly(value)));
  }
  const densities = [...new Set(runs.map(densityOf))].sort((a, b) => a - b);
  let lastLabel = -Infinity;
  for (const density of densities) {
    drawing.append(
      svg("line", {
        class: "grid",
        x1: x(density),
        x2: x(density),
        y1: height - box.bottom,
        y2: height - box.bottom + 5,
      }),
    );
    if (x(density) - lastLabel < 46) continue;
    lastLabel = x(density);
    drawing.append(
      svg(
        "text",
        { x: x(density), y: height - box.bottom + 19, "text-anchor": "middle" },
        briefly(+density.toPrecision(2)),
      ),
    );
  }
  drawing.append(
    svg(
      "text",
      { x: (box.left + width - box.right) / 2, y: height - 6, "text-anchor": "middle" },
      "density: real edges / possible edges" + (wide ? " (logarithmic)" : ""),
    ),
  );

  const rules = [...new Set(runs.map((run) => run.rule))];
  const labels = [];
  for (const rule of rules) {
    const points = densities
      .map((density) => {
        const found = runs
          .filter((run) => run.rule === rule && densityOf(run) === density)
          .map((run) => run.test_accuracy);
        return found.length
          ? {
              density,
              worst: Math.min(...found),
              best: Math.max(...found),
              mean: found.reduce((a, b) => a + b) / found.length,
            }
          : null;
      })
      .filter(Boolean);
    const place = (point, value) => `${x(point.density).toFixed(1)} ${y(value).toFixed(1)}`;
    const upper = points.map((point) => place(point, point.best));
    const lower = points.map((point) => place(point, point.worst)).reverse();
    drawing.append(
      svg("path", {
        class: "band",
        fill: colourOf(rule),
        d: "M" + [...upper, ...lower].join("L") + "Z",
        style: `fill:${colourOf(rule)}`,
      }),
    );
    drawing.append(
      svg("path", {
        class: "mean",
        stroke: colourOf(rule),
        d: "M" + points.map((point) => place(point, point.mean)).join("L"),
      }),
    );
    labels.push({ rule, y: y(points.at(-1).mean) });
  }
  for (const run of runs) {
    drawing.append(
      svg(
        "circle",
        {
          class: "dot",
          cx: x(densityOf(run)).toFixed(1),
          cy: y(run.test_accuracy).toFixed(1),
          r: 4,
          fill: colourOf(run.rule),
        },
        svg(
          "title",
          {},
          `${run.name}: ${percent(run.test_accuracy, 2)} with ${count(run.edges_real)} edges, seed ${run.seed}`,
        ),
      ),
    );
  }
  if (!narrow) {
    labels.sort((a, b) => a.y - b.y);
    let free = -Infinity;
    for (const label of labels) {
      free = Math.max(label.y + 4, free + 19);
      for (const [i, words] of broken(label.rule, 26).entries()) {
        if (i) free += 15;
        drawing.append(
          svg(
            "text",
            { class: "name", x: width - box.right + 10, y: free, style: `fill:${colourOf(label.rule)}` },
            words,
          ),
        );
      }
    }
  }
  return drawing;
}

// Breaks text into lines of about `most` characters, because SVG text does not wrap.
function broken(text, most) {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const last = lines.length - 1;
    if (lines[last] && lines[last].length + 1 + word.length > most) lines.push(word);
    else lines[last] += (lines[last] ? " " : "") + word;
  }
  return lines;
}
