// A layer as a matrix: a row per target, a column per source, a mark per real edge.
// This is the default view of networks with too many nodes for a drawing.

import { byId, clamp, lastAtMost } from "./elements.js";
import { capital, entryName, signed } from "./words.js";
import { afterglow, strongestHallucinated } from "./scene.js";
import { channels } from "./theme.js";

export function matrixView(app) {
  const { run, state } = app;
  const canvas = byId("matrix");
  const holder = byId("matrix-holder");
  const tip = byId("tip");
  let shown = null;

  const place = (layer) => {
    const { clientWidth: width, clientHeight: height } = holder;
    if (!width || !height) return null;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [left, top, edge] = [width < 500 ? 30 : 74, 34, 10];
    const columns = layer.columns;
    const rows = layer.rows * layer.cell;
    // Cells are nearly square if both sides fit; the cells of a long thin layer are stretched.
    let cellX = (width - left - edge) / columns;
    let cellY = (height - top - edge) / rows;
    const square = Math.min(cellX, cellY);
    if (square * columns > width * 0.3 && square * rows > height * 0.3) {
      cellX = Math.min(cellX, square * 1.5);
      cellY = Math.min(cellY, square * 1.3);
    }
    const spare = [width - left - edge - cellX * columns, height - top - edge - cellY * rows];
    return {
      layer,
      width,
      height,
      ratio,
      left: Math.round(left + spare[0] / 2),
      top: Math.round(top + spare[1] / 2),
      cellX,
      cellY,
      rows,
      columns,
    };
  };

  const draw = () => {
    const layer = run.layers[state.values.layer];
    const p = layer && place(layer);
    if (!p) return;
    shown = p;
    canvas.width = Math.round(p.width * p.ratio);
    canvas.height = Math.round(p.height * p.ratio);
    const context = canvas.getContext("2d");
    const picture = context.createImageData(canvas.width, canvas.height);
    paint(picture, p);
    context.putImageData(picture, 0, 0);
    context.setTransform(p.ratio, 0, 0, p.ratio, 0, 0);
    frame(context, p);
  };

  const paint = (picture, { layer, ratio, left, top, cellX, cellY }) => {
    const { colours } = app;
    const pixels = new Uint32Array(picture.data.buffer);
    const pack = (colour, share = 1, under = colours.paper) => {
      const [over, below] = [channels(colour), channels(under)];
      const [r, g, b] = over.map((channel, i) => Math.round(below[i] + (channel - below[i]) * share));
      return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    };
    const shades = (colour) => Array.from({ length: 33 }, (_, i) => pack(colour, 0.3 + 0.7 * (i / 32)));
    const [blank, nothing] = [pack(colours.paper), pack(colours.void)];
    const tones = [shades(colours.positive), shades(colours.negative)];
    const fill = (entry, shade, grow) => {
      const { row, column, tap } = layer.place(entry);
      // A cell smaller than a pixel still fills one pixel, so that every edge is visible.
      const x0 = Math.floor((left + column * cellX) * ratio) - grow;
      const y0 = Math.floor((top + (row * layer.cell + tap) * cellY) * ratio) - grow;
      const x1 = Math.max(x0 + 1 + grow * 2, Math.round((left + (column + 1) * cellX) * ratio) + grow);
      const y1 = Math.max(y0 + 1 + grow * 2, Math.round((top + (row * layer.cell + tap + 1) * cellY) * ratio) + grow);
      for (let y = Math.max(0, y0); y < Math.min(y1, picture.height); y++) {
        pixels.fill(shade, y * picture.width + Math.max(0, x0), y * picture.width + Math.min(x1, picture.width));
      }
    };
    const width = Math.round((left + layer.columns * cellX) * ratio);
    const height = Math.round((top + layer.rows * layer.cell * cellY) * ratio);
    for (let y = Math.round(top * ratio); y < height; y++) {
      pixels.fill(blank, y * picture.width + Math.round(left * ratio), y * picture.width + width);
    }
    if (layer.legal)
      for (let entry = 0; entry < layer.entries; entry++) if (!layer.legal[entry]) fill(entry, nothing, 0);
    const moment = layer.moment(state.values.t);
    if (state.values.hall)
      for (const entry of strongestHallucinated(layer, state.values.t)) fill(entry, pack(colours.faint, 0.6), 0);
    const grow = Math.min(cellX, cellY) * ratio < 1.5 ? 1 : 0;
    for (const entry of layer.realEntries()) {
      const weight = layer.weight(entry, moment);
      fill(entry, tones[weight < 0 ? 1 : 0][Math.round(32 * Math.min(1, Math.abs(weight) / moment.scale))], grow);
    }
    const { update, addedStart, added } = layer.changes;
    const span = afterglow(run);
    for (let c = lastAtMost(update, state.values.t - span) + 1; c < layer.applied; c++) {
      const fresh = 1 - (state.values.t - update[c]) / span;
      const shade = pack(colours.flash, 0.35 + 0.65 * fresh);
      for (let i = addedStart[c]; i < addedStart[c + 1]; i++) if (layer.real[added[i]]) fill(added[i], shade, grow);
    }
  };

  const frame = (context, p) => {
    const { layer, left, top, cellX, cellY } = p;
    const { colours } = app;
    const [right, bottom] = [left + p.columns * cellX, top + p.rows * cellY];
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    context.strokeRect(left - 0.5, top - 0.5, right - left + 1, bottom - top + 1);
    context.font = "11px " + app.font;
    context.fillStyle = colours.soft;
    const bands = (nodes) => {
      const found = [];
      nodes.forEach((node, i) => {
        const level = run.nodes[node].level;
        if (!found.length || found.at(-1).level !== level) found.push({ level, from: i, to: i + 1 });
        else found.at(-1).to = i + 1;
      });
      return found;
    };
    const label = (level) =>
      level === 0 ? "input" : level === run.levels - 1 ? "output" : (p.width < 500 ? "" : "level ") + level;
    const columnBands = layer.drawn ? bands(layer.sourceNodes) : [];
    const rowBands = layer.drawn ? bands(layer.targetNodes) : [];
    context.textAlign = "center";
    for (const band of columnBands) {
      const x = left + band.from * cellX;
      if (band.from) rule(context, x, top, x, bottom);
      if ((band.to - band.from) * cellX > 34)
        context.fillText(label(band.level), x + ((band.to - band.from) * cellX) / 2, top - 8);
    }
    context.textAlign = "right";
    for (const band of rowBands) {
      const y = top + band.from * layer.cell * cellY;
      if (band.from) rule(context, left, y, right, y);
      if ((band.to - band.from) * cellY * layer.cell > 12) {
        context.fillText(label(band.level), left - 6, y + ((band.to - band.from) * layer.cell * cellY) / 2 + 4);
      }
    }
    if (!layer.drawn) {
      context.textAlign = "left";
      context.fillText(layer.columns + " sources →", left, top - 8);
      context.save();
      context.translate(left - 8, top);
      context.rotate(-Math.PI / 2);
      context.textAlign = "right";
      context.fillText("← " + layer.rows + " targets", 0, 0);
      context.restore();
    }
    mark(context, p);
  };

  const rule = (context, x0, y0, x1, y1) => {
    context.strokeStyle = app.colours.line;
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
  };

  // Frames the selected edge, and the selected node's row and column.
  const mark = (context, { layer, left, top, cellX, cellY, rows, columns }) => {
    const { node, edge } = state.values;
    context.strokeStyle = app.colours.ink;
    context.lineWidth = 1.5;
    if (node !== null && layer.drawn) {
      const [row, column] = [layer.targetNodes.indexOf(node), layer.sourceNodes.indexOf(node)];
      if (row >= 0)
        context.strokeRect(left, top + row * layer.cell * cellY - 1, columns * cellX, layer.cell * cellY + 2);
      if (column >= 0) context.strokeRect(left + column * cellX - 1, top, cellX + 2, rows * cellY);
    }
    if (edge && edge[0] === layer.index) {
      const { row, column, tap } = layer.place(edge[1]);
      const size = Math.max(9, Math.max(cellX, cellY) + 5);
      const [x, y] = [left + (column + 0.5) * cellX, top + (row * layer.cell + tap + 0.5) * cellY];
      context.strokeRect(x - size / 2, y - size / 2, size, size);
    }
  };

  // The nearest real edge within a small distance of a point, otherwise the cell itself.
  const entryAt = (event) => {
    if (!shown) return null;
    const box = canvas.getBoundingClientRect();
    const { layer, left, top, cellX, cellY, rows, columns } = shown;
    const column = Math.floor((event.clientX - box.left - left) / cellX);
    const line = Math.floor((event.clientY - box.top - top) / cellY);
    if (column < 0 || line < 0 || column >= columns || line >= rows) return null;
    const entryOf = (l, c) => (Math.floor(l / layer.cell) * columns + c) * layer.cell + (l % layer.cell);
    const [reachX, reachY] = [Math.ceil(4 / cellX), Math.ceil(4 / cellY)].map((cells) => (cells > 1 ? cells : 0));
    let best = null;
    let nearest = Infinity;
    for (let l = Math.max(0, line - reachY); l <= Math.min(rows - 1, line + reachY); l++) {
      for (let c = Math.max(0, column - reachX); c <= Math.min(columns - 1, column + reachX); c++) {
        const distance = Math.hypot((l - line) * cellY, (c - column) * cellX);
        if (layer.real[entryOf(l, c)] && distance < nearest) [best, nearest] = [entryOf(l, c), distance];
      }
    }
    const here = entryOf(line, column);
    return best ?? (layer.isLegal(here) ? here : null);
  };

  canvas.addEventListener("click", (event) => {
    const entry = entryAt(event);
    state.set({ node: null, edge: entry === null ? null : [state.values.layer, entry] });
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const entry = entryAt(event);
    tip.hidden = entry === null;
    if (entry === null) return;
    const layer = run.layers[state.values.layer];
    const weight = layer.weight(entry, layer.moment(state.values.t));
    tip.textContent = `${capital(entryName(run, layer.index, entry))}: ${signed(weight)}, ${layer.real[entry] ? "real" : "hallucinated"}`;
    const box = holder.getBoundingClientRect();
    tip.style.left = clamp(event.clientX - box.left + 14, 4, box.width - tip.offsetWidth - 4) + "px";
    tip.style.top = clamp(event.clientY - box.top + 16, 4, box.height - tip.offsetHeight - 4) + "px";
  });
  canvas.addEventListener("pointerleave", () => (tip.hidden = true));

  return { draw, picture: () => ({ ...shown, canvases: [canvas] }) };
}
