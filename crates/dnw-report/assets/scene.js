// The wiring at an update as a list of strokes, which both renderers draw.

import { lastAtMost } from "./elements.js";
import { traceThrough } from "./reach.js";

export const TONE = { positive: 0, negative: 1, faint: 2, flash: 3, ink: 4 };

// Stroke styles: solid, dashed, dotted, and solid on top.
export const ON_TOP = 3;

// Edges drawn last are on top.
export class Strokes {
  constructor() {
    this.count = 0;
    this.grow(1024);
  }

  grow(capacity) {
    const larger = (kind, factor, old) => {
      const fresh = new kind(capacity * factor);
      if (old) fresh.set(old);
      return fresh;
    };
    this.xy = larger(Float32Array, 4, this.xy);
    this.width = larger(Float32Array, 1, this.width);
    this.alpha = larger(Float32Array, 1, this.alpha);
    this.tone = larger(Uint8Array, 1, this.tone);
    this.dash = larger(Uint8Array, 1, this.dash);
    this.layer = larger(Uint16Array, 1, this.layer);
    this.entry = larger(Uint32Array, 1, this.entry);
    this.capacity = capacity;
  }

  clear() {
    this.count = 0;
  }

  push(layout, source, target, width, alpha, tone, dash, layer, entry) {
    if (this.count === this.capacity) this.grow(this.capacity * 2);
    const i = this.count++;
    const at = i * 4;
    this.xy[at] = layout.x[source];
    this.xy[at + 1] = layout.y[source];
    this.xy[at + 2] = layout.x[target];
    this.xy[at + 3] = layout.y[target];
    this.width[i] = width;
    this.alpha[i] = alpha;
    this.tone[i] = tone;
    this.dash[i] = dash;
    this.layer[i] = layer;
    this.entry[i] = entry;
  }
}

// How long swaps stay visible, in updates.
export function afterglow(run) {
  return Math.max(1, run.updates * 0.012);
}

const MOST_GLOWING = 1500;

export function composeScene(run, values, layout, reach, strokes) {
  strokes.clear();
  const { t } = values;
  const total = run.drawnLayers.reduce((sum, layer) => sum + layer.realEntries().length, 0);
  const crowd = Math.max(0, Math.log10(Math.max(1, total) / 300));
  const look = {
    thin: Math.max(0.35, 0.7 - crowd * 0.2),
    thick: Math.max(0.7, 3.4 - crowd * 1.5),
    alpha: Math.max(0.1, 0.82 - crowd * 0.34),
    even: Math.max(0.25, 1 - crowd * 0.35),
  };
  const focus = focusOf(run, values, reach);
  if (values.hall) for (const layer of run.drawnLayers) pushHallucinated(layer, t, look, layout, strokes, focus);
  for (const layer of run.drawnLayers) pushReal(layer, t, look, layout, reach, strokes, focus);
  for (const layer of run.drawnLayers) pushGlow(run, layer, t, look, layout, strokes, focus);
  pushSelected(run, values, look, layout, strokes);
  return { focus, look, total };
}

// What is emphasised: the paths through a node, its own edges, or everything.
function focusOf(run, values, reach) {
  if (values.node === null) return values.edge ? () => 0.35 : null;
  const node = values.node;
  if (!values.trace) return (source, target) => (source === node || target === node ? 1 : 0.09);
  const { before, after } = traceThrough(reach, node, run.nodes.length);
  return (source, target) => ((before[source] && before[target]) || (after[source] && after[target]) ? 1 : 0.06);
}

function pushReal(layer, t, look, layout, reach, strokes, focus) {
  const moment = layer.moment(t);
  const { weights } = layer;
  const { low, high, lowFactor, highFactor } = moment;
  const perScale = 1 / moment.scale;
  const { columns, cell, sourceNodes, targetNodes, index } = layer;
  for (const entry of layer.realEntries()) {
    const pair = (entry / cell) | 0;
    const source = sourceNodes[pair % columns];
    const target = targetNodes[(pair / columns) | 0];
    const weight = moment.empty ? 0 : weights[low + entry] * lowFactor + weights[high + entry] * highFactor;
    const size = Math.min(1, Math.abs(weight) * perScale);
    // With many edges only those of large weight are dark, otherwise everything would look grey.
    const dark = look.alpha * (look.even + (1 - look.even) * Math.min(3, size * size * size * 4));
    // A real edge that is not on a path from an input to an output is drawn faintly.
    let alpha = reach.fromInput[source] && reach.toOutput[target] ? dark : dark * 0.3;
    if (focus) {
      const share = focus(source, target);
      alpha = share === 1 ? Math.max(alpha, 0.85) : alpha * share;
    }
    strokes.push(layout, source, target, look.thin + look.thick * size, alpha, weight < 0 ? 1 : 0, 0, index, entry);
  }
}

function pushHallucinated(layer, t, look, layout, strokes, focus) {
  for (const entry of strongestHallucinated(layer, t)) {
    const { source, target } = layer.ends(entry);
    const share = focus ? focus(source, target) : 1;
    if (share < 0.3) continue;
    strokes.push(layout, source, target, 1, 0.55, TONE.faint, 1, layer.index, entry);
  }
}

// The hallucinated edges closest to the threshold: legal, not real, largest |w|.
export function strongestHallucinated(layer, t) {
  const wanted = Math.min(400, Math.max(30, layer.realEntries().length));
  const moment = layer.moment(t);
  if (moment.empty) return [];
  const sizes = [];
  const from = moment.threshold * 0.5;
  for (let entry = 0; entry < layer.entries; entry++) {
    if (layer.real[entry] || !layer.isLegal(entry)) continue;
    const size = Math.abs(layer.weight(entry, moment));
    if (size > from) sizes.push([size, entry]);
  }
  return sizes
    .sort((a, b) => b[0] - a[0])
    .slice(0, wanted)
    .map(([, entry]) => entry);
}

// Edges that were just added flash, edges that were just removed fade.
function pushGlow(run, layer, t, look, layout, strokes, focus) {
  const { update, addedStart, removedStart, added, removed } = layer.changes;
  const span = afterglow(run);
  const last = layer.applied - 1;
  const first = lastAtMost(update, t - span) + 1;
  const moment = layer.moment(t);
  // Where many are added at once, each shines less, or nothing else could be seen.
  const count = last >= first ? addedStart[last + 1] - addedStart[first] : 0;
  const shine = Math.min(1, Math.sqrt(24 / Math.max(1, count)));
  let left = MOST_GLOWING;
  for (let c = last; c >= first && left > 0; c--) {
    const fresh = 1 - (t - update[c]) / span;
    const each = (entry, isReal) => {
      const { source, target } = layer.ends(entry);
      const share = focus ? focus(source, target) : 1;
      if (share < 0.3) return;
      const size = Math.min(1, Math.abs(layer.weight(entry, moment)) / moment.scale);
      const width = look.thin + look.thick * size;
      if (isReal) {
        const tone = layer.weight(entry, moment) < 0 ? TONE.negative : TONE.positive;
        strokes.push(
          layout,
          source,
          target,
          width + (0.8 + 4.7 * fresh) * shine,
          Math.max(0.16, 0.65 * shine ** 0.7) * fresh * share,
          TONE.flash,
          0,
          layer.index,
          entry,
        );
        strokes.push(
          layout,
          source,
          target,
          width,
          Math.max(look.alpha, 0.95 * fresh * shine) * share,
          tone,
          ON_TOP,
          layer.index,
          entry,
        );
      } else {
        const tone = layer.weight(entry, moment) < 0 ? TONE.negative : TONE.positive;
        strokes.push(layout, source, target, width, 0.5 * fresh * fresh * share, tone, 2, layer.index, entry);
      }
      left--;
    };
    for (let i = removedStart[c]; i < removedStart[c + 1]; i++) if (!layer.real[removed[i]]) each(removed[i], false);
    for (let i = addedStart[c]; i < addedStart[c + 1]; i++) if (layer.real[added[i]]) each(added[i], true);
  }
}

function pushSelected(run, values, look, layout, strokes) {
  if (!values.edge) return;
  const [index, entry] = values.edge;
  const layer = run.layers[index];
  if (!layer.drawn) return;
  const { source, target } = layer.ends(entry);
  const moment = layer.moment(values.t);
  const width = 2 + look.thick * Math.min(1, Math.abs(layer.weight(entry, moment)) / moment.scale);
  const tone = layer.weight(entry, moment) < 0 ? TONE.negative : TONE.positive;
  strokes.push(layout, source, target, width + 5, 0.3, TONE.ink, 0, index, entry);
  strokes.push(layout, source, target, width, 1, tone, layer.real[entry] ? ON_TOP : 1, index, entry);
}
