// The wiring as nodes and edges on stacked canvases: edges below, nodes above.

import { byId, clamp } from "./elements.js";
import { capital, entryName, nodeName, signed } from "./words.js";
import { along, layoutOf } from "./layout.js";
import { composeScene, Strokes } from "./scene.js";
import { strokeAll } from "./strokes_2d.js";
import { awaitGraphics, isFast, openGraphics, strokeAllOnGraphics } from "./strokes_gl.js";
import { featureAtlas } from "./thumbnails.js";
import { fan, traceThrough } from "./reach.js";

const ON_GRAPHICS_ABOVE = 5000;
const HOVER_EDGES_UP_TO = 6000;
const COARSE_ABOVE = 15000;
// The maximum time of a frame while playing, in milliseconds, and the minimum fraction of strokes that it draws.
const FRAME = 34;
const FEWEST = 0.04;

export function wiringView(app) {
  const { run, state } = app;
  const holder = byId("wiring");
  const [flat, deep, top] = ["edges-flat", "edges-deep", "nodes"].map(byId);
  const tip = byId("tip");
  const strokes = new Strokes();
  const atlas = app.samples?.features ? featureAtlas(app.samples, run.nodes.length) : null;
  let layout = null;
  let scene = null;
  let graphics;
  let hovered = null;
  let forced = null;
  const pace = { share: 1, shown: 0, frames: 0, at: 0 };

  // Without a GPU, drawing all strokes can take longer than a frame. While playing, only as many strokes are drawn as the frame time
  // allows, those of the largest weight first; when paused, all are drawn.
  const inTime = () => {
    const now = performance.now();
    const gap = now - pace.at;
    pace.at = now;
    pace.frames++;
    if (!state.values.playing || strokes.count <= ON_GRAPHICS_ABOVE) return strokes.count;
    const aim = gap > FRAME ? pace.share * Math.max(0.6, FRAME / gap) : pace.share * 1.04;
    if (gap < 500) pace.share = clamp(aim, FEWEST, 1);
    return Math.ceil(pace.share * strokes.count);
  };

  const onGraphics = () => {
    if (forced === "2d" || (!forced && strokes.count <= ON_GRAPHICS_ABOVE)) return null;
    if (graphics === undefined) {
      graphics = openGraphics(deep);
      if (graphics && !forced && !isFast(graphics, strokes, app.colours, layout.width, layout.height)) graphics = null;
    }
    return graphics && !graphics.gl.isContextLost() ? graphics : null;
  };

  const resize = () => {
    const { clientWidth: width, clientHeight: height } = holder;
    if (!width || !height) return false;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    if (layout && layout.width === width && layout.height === height && layout.ratio === ratio) return true;
    layout = layoutOf(run, width, height);
    layout.ratio = ratio;
    for (const canvas of [flat, top]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    return true;
  };

  // With this many overlapping edges a higher resolution is not visible.
  const fitDeep = () => {
    const ratio = strokes.count > COARSE_ABOVE ? 1 : layout.ratio;
    const [width, height] = [Math.round(layout.width * ratio), Math.round(layout.height * ratio)];
    if (deep.width !== width) deep.width = width;
    if (deep.height !== height) deep.height = height;
  };

  const prepared = (canvas) => {
    const context = canvas.getContext("2d");
    context.setTransform(layout.ratio, 0, 0, layout.ratio, 0, 0);
    context.clearRect(0, 0, layout.width, layout.height);
    return context;
  };

  const draw = () => {
    if (!resize()) return;
    scene = composeScene(run, state.values, layout, app.reach(), strokes);
    const card = onGraphics();
    flat.hidden = Boolean(card);
    deep.hidden = !card;
    if (card) fitDeep();
    pace.shown = card ? strokes.count : inTime();
    if (card) strokeAllOnGraphics(card, strokes, app.colours, layout.width, layout.height);
    else strokeAll(prepared(flat), strokes, app.colours, pace.shown);
    drawNodes(prepared(top));
  };

  const drawNodes = (context) => {
    const { values } = state;
    const reach = app.reach();
    const previews = Boolean(atlas && values.previews && layout.radius >= 5);
    if (previews) atlas.refresh(values.image, values.t, app.colours);
    const traced = values.trace && values.node !== null ? traceThrough(reach, values.node, run.nodes.length) : null;
    context.font = "11px " + app.font;
    context.textAlign = "center";
    context.fillStyle = app.colours.soft;
    const last = layout.levels.length - 1;
    layout.levels.forEach((level, l) => {
      if (!level.length) return;
      const name = l === 0 ? "input" : l === last ? "output" : layout.width < 500 ? String(l) : "level " + l;
      context.fillText(name, layout.x[level[0]], 16);
    });
    for (let node = 0; node < run.nodes.length; node++) {
      const faded = traced && !traced.before[node] && !traced.after[node] ? 0.25 : 1;
      drawNode(context, node, reach.alive[node] === 1, previews, faded);
    }
    if (values.node !== null) ring(context, values.node, app.colours.ink, 2);
    if (hovered !== null && hovered !== values.node) ring(context, hovered, app.colours.soft, 1.5);
  };

  const drawNode = (context, node, alive, previews, faded) => {
    const { radius: r, x, y } = layout;
    const [cx, cy] = [x[node], y[node]];
    const { kind } = run.nodes[node];
    const { colours } = app;
    context.globalAlpha = faded;
    context.lineWidth = r > 4 ? 1.25 : 0.75;
    shape(context, cx, cy, r, kind, previews);
    context.fillStyle = colours.paper;
    context.fill();
    if (previews) {
      const [left, up] = atlas.at(node);
      context.imageSmoothingEnabled = false;
      context.globalAlpha = faded * (alive ? 1 : 0.22);
      context.drawImage(atlas.canvas, left, up, atlas.width, atlas.height, cx - r, cy - r, r * 2, r * 2);
      context.globalAlpha = faded;
    } else if (alive) {
      context.fillStyle = kind === "hidden" ? colours.soft : colours.ink;
      context.fill();
    }
    // A dead node is hollow with a dashed outline, and crossed out if it is large enough.
    context.strokeStyle = alive ? colours.soft : colours.faint;
    context.setLineDash(alive || r < 3 ? [] : [2.5, 2]);
    if (previews || !alive) context.stroke();
    context.setLineDash([]);
    if (!alive && r >= 4) {
      const arm = r * (previews ? 0.62 : 0.45);
      context.strokeStyle = colours.soft;
      context.beginPath();
      context.moveTo(cx - arm, cy - arm);
      context.lineTo(cx + arm, cy + arm);
      context.moveTo(cx + arm, cy - arm);
      context.lineTo(cx - arm, cy + arm);
      context.stroke();
    }
    context.globalAlpha = 1;
  };

  const shape = (context, cx, cy, r, kind, previews) => {
    context.beginPath();
    if (previews) context.rect(cx - r, cy - r, r * 2, r * 2);
    else if (kind === "hidden") context.arc(cx, cy, r * 0.72, 0, Math.PI * 2);
    else context.rect(cx - r * 0.66, cy - r * 0.66, r * 1.32, r * 1.32);
  };

  const ring = (context, node, colour, width) => {
    const r = layout.radius + 3.5;
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.roundRect(layout.x[node] - r, layout.y[node] - r, r * 2, r * 2, 4);
    context.stroke();
  };

  const nodeAt = (px, py) => {
    let best = null;
    let nearest = Math.max(8, layout.radius + 3);
    for (let node = 0; node < run.nodes.length; node++) {
      const distance = Math.max(Math.abs(px - layout.x[node]), Math.abs(py - layout.y[node]));
      if (distance < nearest) [best, nearest] = [node, distance];
    }
    return best;
  };

  const edgeAt = (px, py, reachOut = 7) => {
    let best = null;
    let nearest = reachOut;
    for (let i = 0; i < strokes.count; i++) {
      if (strokes.alpha[i] < 0.05) continue;
      const [x0, y0, x1, y1] = strokes.xy.subarray(i * 4, i * 4 + 4);
      if (py < Math.min(y0, y1) - 8 || py > Math.max(y0, y1) + 8) continue;
      let [qx, qy] = [x0, y0];
      for (let step = 1; step <= 14; step++) {
        const [nx, ny] = along(x0, y0, x1, y1, step / 14);
        const distance = toSegment(px, py, qx, qy, nx, ny);
        if (distance < nearest) [best, nearest] = [i, distance];
        [qx, qy] = [nx, ny];
      }
    }
    return best === null ? null : [strokes.layer[best], strokes.entry[best]];
  };

  const local = (event) => {
    const box = top.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  top.addEventListener("click", (event) => {
    if (!layout) return;
    const [px, py] = local(event);
    const node = nodeAt(px, py);
    const edge = node === null ? edgeAt(px, py) : null;
    state.set({ node, edge, trace: node !== null && state.values.trace });
  });
  top.addEventListener("pointermove", (event) => {
    if (!layout || event.pointerType === "touch") return;
    const [px, py] = local(event);
    const node = nodeAt(px, py);
    const edge = node === null && strokes.count < HOVER_EDGES_UP_TO ? edgeAt(px, py, 4) : null;
    top.style.cursor = node !== null || edge ? "pointer" : "default";
    if (node !== hovered) {
      hovered = node;
      drawNodes(prepared(top));
    }
    tip.hidden = node === null && !edge;
    if (tip.hidden) return;
    tip.textContent = node !== null ? nodeLine(node) : edgeLine(edge);
    tip.style.left = clamp(px + 14, 4, layout.width - tip.offsetWidth - 4) + "px";
    tip.style.top = clamp(py + 16, 4, layout.height - tip.offsetHeight - 4) + "px";
  });
  top.addEventListener("pointerleave", () => {
    tip.hidden = true;
    if (hovered === null) return;
    hovered = null;
    if (layout) drawNodes(prepared(top));
  });
  deep.addEventListener("webglcontextlost", (event) => {
    event.preventDefault();
    graphics = null;
    draw();
  });

  const nodeLine = (node) => {
    const { into, out } = fan(app.reach(), node);
    return `${capital(nodeName(run, node))}: ${into} in, ${out} out` + (app.reach().alive[node] ? "" : ", dead");
  };
  const edgeLine = ([index, entry]) => {
    const layer = run.layers[index];
    const weight = layer.weight(entry, layer.moment(state.values.t));
    return `${capital(entryName(run, index, entry))}: ${signed(weight)}, ${layer.real[entry] ? "real" : "hallucinated"}`;
  };

  // The arrow keys select a neighbouring node: up and down within a column, left and right between columns.
  const walk = (key) => {
    const from = state.values.node ?? (layout ? layout.levels.find((level) => level.length)[0] : 0);
    if (state.values.node === null || !layout) return state.set({ node: from, edge: null });
    const level = run.nodes[from].level;
    const column = layout.levels[level];
    const place = column.indexOf(from);
    let next = from;
    if (key === "ArrowUp") next = column[Math.max(0, place - 1)];
    if (key === "ArrowDown") next = column[Math.min(column.length - 1, place + 1)];
    const side = layout.levels[level + (key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0)];
    if (side && side !== column && side.length) {
      next = side.reduce((a, b) =>
        Math.abs(layout.y[b] - layout.y[from]) < Math.abs(layout.y[a] - layout.y[from]) ? b : a,
      );
    }
    state.set({ node: next, edge: null });
  };

  // All strokes, for exports.
  const picture = () => ({ layout, strokes, canvases: [deep.hidden ? flat : deep, top] });

  // Rendering is only complete once pixels can be read.
  const finish = () => {
    if (graphics && !deep.hidden) awaitGraphics(graphics);
    else flat.getContext("2d").getImageData(0, 0, 1, 1);
  };

  return {
    draw,
    walk,
    picture,
    finish,
    strokes: () => strokes.count,
    pace: () => ({ ...pace }),
    renderer: () => (deep.hidden ? "2d" : "webgl"),
    force: (renderer) => {
      forced = renderer;
      graphics = undefined;
    },
  };
}

function toSegment(px, py, ax, ay, bx, by) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy || 1;
  const share = clamp(((px - ax) * dx + (py - ay) * dy) / length, 0, 1);
  return Math.hypot(px - ax - share * dx, py - ay - share * dy);
}
