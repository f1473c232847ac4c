// Strokes on a 2D canvas. Strokes that look alike share a path: setting colours and widths costs more
// than drawing.

import { bend } from "./layout.js";
import { ON_TOP, TONE } from "./scene.js";

const WIDTHS = 12;
const ALPHAS = 10;
const TONES = 5;
const PER_PATH = 160;
const STRAIGHT_ABOVE = 8000;

export const DASHES = [[], [5, 4], [2, 3], []];

export function strokeAll(context, strokes, colours) {
  const tones = [colours.positive, colours.negative, colours.faint, colours.flash, colours.ink];
  const keyed = sortByLook(strokes);
  const straight = strokes.count > STRAIGHT_ABOVE;
  const { xy } = strokes;
  let key = -1;
  let inPath = 0;
  context.lineCap = "round";
  for (const i of keyed.order) {
    if (keyed.keys[i] !== key || inPath === PER_PATH) {
      if (inPath) context.stroke();
      key = keyed.keys[i];
      inPath = 0;
      context.beginPath();
      context.strokeStyle = tones[strokes.tone[i]];
      // A stroke of a pixel or less is the fastest one there is.
      context.lineWidth = straight ? 0.9 : strokes.width[i];
      context.globalAlpha = strokes.alpha[i];
      context.setLineDash(DASHES[strokes.dash[i]]);
    }
    const at = i * 4;
    const [x0, y0, x1, y1] = [xy[at], xy[at + 1], xy[at + 2], xy[at + 3]];
    context.moveTo(x0, y0);
    if (straight) context.lineTo(x1, y1);
    else {
      const [ax, ay, bx, by] = bend(x0, y0, x1, y1);
      context.bezierCurveTo(ax, ay, bx, by, x1, y1);
    }
    inPath++;
  }
  if (inPath) context.stroke();
  context.globalAlpha = 1;
  context.setLineDash([]);
}

// Flashes and selections come last; within the rest, thin strokes come first.
function sortByLook(strokes) {
  const keys = new Uint16Array(strokes.count);
  const room = 4 * TONES * WIDTHS * ALPHAS;
  const start = new Uint32Array(room + 1);
  for (let i = 0; i < strokes.count; i++) {
    const rank = strokes.dash[i] === ON_TOP ? 3 : strokes.tone[i] >= TONE.flash ? 2 : strokes.dash[i] ? 0 : 1;
    const width = Math.min(WIDTHS - 1, (strokes.width[i] * 2.5) | 0);
    const alpha = Math.min(ALPHAS - 1, (strokes.alpha[i] * ALPHAS) | 0);
    keys[i] = ((rank * ALPHAS + alpha) * WIDTHS + width) * TONES + strokes.tone[i];
    start[keys[i] + 1]++;
  }
  for (let key = 0; key < room; key++) start[key + 1] += start[key];
  const order = new Uint32Array(strokes.count);
  for (let i = 0; i < strokes.count; i++) order[start[keys[i]]++] = i;
  return { keys, order };
}
