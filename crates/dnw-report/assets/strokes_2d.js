// Draws strokes on a 2D canvas. Strokes of the same style share a path, because changing colours and widths costs more than
// drawing.

import { bend } from "./layout.js";
import { ON_TOP, TONE } from "./scene.js";

const WIDTHS = 12;
const ALPHAS = 10;
const TONES = 5;
const PER_PATH = 160;
const STRAIGHT_ABOVE = 8000;

export const DASHES = [[], [5, 4], [2, 3], []];

// At most `most` strokes are drawn, those of the largest weight.
export function strokeAll(context, strokes, colours, most = strokes.count) {
  const tones = [colours.positive, colours.negative, colours.faint, colours.flash, colours.ink];
  const straight = strokes.count > STRAIGHT_ABOVE;
  const { xy } = strokes;
  const { order, paths } = sortByLook(strokes);
  context.lineCap = "round";
  const skipped = strokes.count - most;
  for (const { from, to } of paths) {
    if (to <= skipped) continue;
    const first = order[from];
    context.beginPath();
    context.strokeStyle = tones[strokes.tone[first]];
    // Strokes of at most one pixel are the fastest.
    context.lineWidth =
      straight && strokes.tone[first] < TONE.flash ? Math.min(0.9, strokes.width[first]) : strokes.width[first];
    context.globalAlpha = strokes.alpha[first];
    context.setLineDash(DASHES[strokes.dash[first]]);
    for (let i = from; i < to; i++) {
      const at = order[i] * 4;
      const [x0, y0, x1, y1] = [xy[at], xy[at + 1], xy[at + 2], xy[at + 3]];
      context.moveTo(x0, y0);
      if (straight) context.lineTo(x1, y1);
      else {
        const [ax, ay, bx, by] = bend(x0, y0, x1, y1);
        context.bezierCurveTo(ax, ay, bx, by, x1, y1);
      }
    }
    context.stroke();
  }
  context.globalAlpha = 1;
  context.setLineDash([]);
}

// Flashes and selections are drawn last; of the rest, faint strokes first. Strokes that differ only in colour alternate, path
// by path, so that no colour covers the other.
function sortByLook(strokes) {
  const keys = new Uint16Array(strokes.count);
  const capacity = 4 * TONES * WIDTHS * ALPHAS;
  const start = new Uint32Array(capacity + 1);
  for (let i = 0; i < strokes.count; i++) {
    const rank = strokes.dash[i] === ON_TOP ? 3 : strokes.tone[i] >= TONE.flash ? 2 : strokes.dash[i] ? 0 : 1;
    const width = Math.min(WIDTHS - 1, (strokes.width[i] * 2.5) | 0);
    const alpha = Math.min(ALPHAS - 1, (Math.sqrt(strokes.alpha[i]) * ALPHAS) | 0);
    keys[i] = ((rank * ALPHAS + alpha) * WIDTHS + width) * TONES + strokes.tone[i];
    start[keys[i] + 1]++;
  }
  for (let key = 0; key < capacity; key++) start[key + 1] += start[key];
  const paths = [];
  for (let key = 0; key < capacity; key++) {
    for (let from = start[key], turn = 0; from < start[key + 1]; from += PER_PATH, turn++) {
      paths.push({ look: Math.floor(key / TONES), turn, from, to: Math.min(from + PER_PATH, start[key + 1]) });
    }
  }
  paths.sort((a, b) => a.look - b.look || a.turn - b.turn || a.from - b.from);
  const order = new Uint32Array(strokes.count);
  for (let i = 0; i < strokes.count; i++) order[start[keys[i]]++] = i;
  return { order, paths };
}
