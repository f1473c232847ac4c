// Saves the main picture as a file.

import { el, svg } from "./elements.js";
import { bend } from "./layout.js";

function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function fileName(app, ending) {
  const run = app.run.recorded.run.name.replace(/[^\w.-]+/g, "-") || "run";
  return `${run}-update-${Math.floor(app.state.values.t)}.${ending}`;
}

export function exportPng(app) {
  const { canvases } = app.shownPicture();
  const whole = el("canvas", { width: canvases.at(-1).width, height: canvases.at(-1).height });
  const context = whole.getContext("2d");
  context.fillStyle = app.colours.paper;
  context.fillRect(0, 0, whole.width, whole.height);
  for (const canvas of canvases) context.drawImage(canvas, 0, 0, whole.width, whole.height);
  whole.toBlob((blob) => save(blob, fileName(app, "png")));
}

export function exportSvg(app) {
  const text = new XMLSerializer().serializeToString(svgOf(app));
  save(new Blob([text], { type: "image/svg+xml" }), fileName(app, "svg"));
}

export function svgOf(app) {
  const picture = app.shownPicture();
  const { width, height } = picture.layout ?? picture;
  const root = svg("svg", { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${width} ${height}`, width, height });
  root.append(svg("rect", { width, height, fill: app.colours.paper }));
  if (picture.layout) drawWiring(root, app, picture);
  else drawMatrix(root, app, picture);
  return root;
}

function drawWiring(root, app, { layout, strokes }) {
  const { colours } = app;
  const tones = [colours.positive, colours.negative, colours.faint, colours.flash, colours.ink];
  const dashes = [null, "5 4", "2 3", null];
  const round = (value) => +value.toFixed(1);
  const edges = svg("g", { fill: "none", "stroke-linecap": "round" });
  for (let i = 0; i < strokes.count; i++) {
    const [x0, y0, x1, y1] = strokes.xy.subarray(i * 4, i * 4 + 4);
    edges.append(
      svg("path", {
        d: `M${round(x0)} ${round(y0)}C${bend(x0, y0, x1, y1).map(round).join(" ")} ${round(x1)} ${round(y1)}`,
        stroke: tones[strokes.tone[i]],
        "stroke-width": strokes.width[i].toFixed(2),
        "stroke-opacity": strokes.alpha[i].toFixed(2),
        "stroke-dasharray": dashes[strokes.dash[i]],
      }),
    );
  }
  const nodes = svg("g", { stroke: colours.soft });
  const { alive } = app.reach();
  app.run.nodes.forEach((node, index) => {
    nodes.append(
      svg("circle", {
        cx: round(layout.x[index]),
        cy: round(layout.y[index]),
        r: round(layout.radius * 0.72),
        fill: alive[index] ? colours.soft : colours.paper,
        "stroke-dasharray": alive[index] ? null : "2 2",
      }),
    );
  });
  root.append(edges, nodes);
}

function drawMatrix(root, app, { layer, left, top, cellX, cellY, rows, columns }) {
  const { colours } = app;
  const moment = layer.moment(app.state.values.t);
  root.append(
    svg("rect", { x: left, y: top, width: columns * cellX, height: rows * cellY, fill: "none", stroke: colours.line }),
  );
  for (const entry of layer.realEntries()) {
    const { row, column, tap } = layer.place(entry);
    const weight = layer.weight(entry, moment);
    root.append(
      svg("rect", {
        x: (left + column * cellX).toFixed(2),
        y: (top + (row * layer.cell + tap) * cellY).toFixed(2),
        width: Math.max(1, cellX).toFixed(2),
        height: Math.max(1, cellY).toFixed(2),
        fill: weight < 0 ? colours.negative : colours.positive,
        "fill-opacity": (0.3 + 0.7 * Math.min(1, Math.abs(weight) / moment.scale)).toFixed(2),
      }),
    );
  }
}
