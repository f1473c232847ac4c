// A recorded run: its wiring and weights at any update.
//
// The wiring is exact: it is replayed from the initial wiring and the history, forwards or backwards. Some wirings are kept as
// checkpoints, so that a seek replays few changes. Weights are interpolated linearly between the two nearest frames.

import { lastAtMost } from "./elements.js";
import { bytesOf, historyOf, unpackBits, weightsOf } from "./decode.js";

const CHECKPOINTS = 48;

export class WiredLayer {
  constructor(recorded, index) {
    this.index = index;
    this.name = recorded.name;
    this.shape = recorded.shape;
    this.rows = recorded.shape[0];
    this.columns = recorded.shape[1];
    this.cell = recorded.shape.slice(2).reduce((product, side) => product * side, 1);
    this.entries = this.rows * this.columns * this.cell;
    this.possible = recorded.possible;
    this.targetNodes = recorded.target_nodes;
    this.sourceNodes = recorded.source_nodes;
    this.drawn = recorded.target_nodes.length > 0;
    this.legal = recorded.legal === null ? null : unpackBits(bytesOf(recorded.legal), this.entries);
    this.frames = recorded.frames;
    this.scale = recorded.scale;
    this.threshold = recorded.threshold;
    this.weights = weightsOf(bytesOf(recorded.weights), this.frames.length, this.entries, this.legal);
    this.changes = historyOf(bytesOf(recorded.history), this.entries);
    this.real = unpackBits(bytesOf(recorded.initial), this.entries);
    this.applied = 0;
    this.list = null;
    this.keep();
  }

  // Replays the whole history once and keeps checkpoints.
  keep() {
    this.kept = [{ applied: 0, real: this.real.slice() }];
    const { count, added, removed } = this.changes;
    const stride = Math.max(256, Math.ceil((added.length + removed.length) / CHECKPOINTS));
    let since = 0;
    for (let c = 0; c < count; c++) {
      since += this.step(c, 1);
      this.applied = c + 1;
      if (since >= stride) {
        this.kept.push({ applied: this.applied, real: this.real.slice() });
        since = 0;
      }
    }
  }

  step(change, direction) {
    const { addedStart, removedStart, added, removed } = this.changes;
    const up = direction > 0 ? 1 : 0;
    for (let i = removedStart[change]; i < removedStart[change + 1]; i++) this.real[removed[i]] = 1 - up;
    for (let i = addedStart[change]; i < addedStart[change + 1]; i++) this.real[added[i]] = up;
    return addedStart[change + 1] - addedStart[change] + removedStart[change + 1] - removedStart[change];
  }

  seek(t) {
    const wanted = lastAtMost(this.changes.update, t) + 1;
    if (wanted === this.applied) return;
    const nearest =
      this.kept[
        lastAtMost(
          this.kept.map((kept) => kept.applied),
          wanted,
        )
      ];
    if (Math.abs(wanted - this.applied) > wanted - nearest.applied) {
      this.real.set(nearest.real);
      this.applied = nearest.applied;
    }
    while (this.applied < wanted) this.step(this.applied++, 1);
    while (this.applied > wanted) this.step(--this.applied, -1);
    this.list = null;
  }

  // The real entries, ascending.
  realEntries() {
    if (!this.list) {
      const found = [];
      for (let entry = 0; entry < this.entries; entry++) if (this.real[entry]) found.push(entry);
      this.list = Uint32Array.from(found);
    }
    return this.list;
  }

  // The interpolation between frames at an update: `weight = q[low + e] * lowFactor + q[high + e] * highFactor`.
  moment(t) {
    const last = this.frames.length - 1;
    if (last < 0) return { low: 0, high: 0, lowFactor: 0, highFactor: 0, scale: 1, threshold: 0, empty: true };
    const before = Math.max(0, lastAtMost(this.frames, t));
    const after = Math.min(last, before + 1);
    const span = this.frames[after] - this.frames[before];
    const share = span > 0 ? Math.min(1, Math.max(0, (t - this.frames[before]) / span)) : 0;
    const mix = (column) => column[before] * (1 - share) + column[after] * share;
    return {
      low: before * this.entries,
      high: after * this.entries,
      lowFactor: (this.scale[before] * (1 - share)) / 32767,
      highFactor: (this.scale[after] * share) / 32767,
      scale: mix(this.scale) || 1,
      threshold: mix(this.threshold),
      empty: false,
    };
  }

  weight(entry, moment) {
    if (moment.empty) return 0;
    return this.weights[moment.low + entry] * moment.lowFactor + this.weights[moment.high + entry] * moment.highFactor;
  }

  isLegal(entry) {
    return this.legal === null || this.legal[entry] === 1;
  }

  place(entry) {
    const pair = Math.floor(entry / this.cell);
    return { row: Math.floor(pair / this.columns), column: pair % this.columns, tap: entry % this.cell };
  }

  ends(entry) {
    const { row, column } = this.place(entry);
    return { source: this.sourceNodes[column], target: this.targetNodes[row] };
  }

  swapsUntil(t) {
    return this.changes.addedStart[lastAtMost(this.changes.update, t) + 1];
  }

  // In which changes an entry was added and removed, ascending.
  eventsOf(entry) {
    const { count, addedStart, removedStart, added, removed } = this.changes;
    const events = [];
    for (let c = 0; c < count; c++) {
      for (let i = addedStart[c]; i < addedStart[c + 1]; i++)
        if (added[i] === entry) events.push({ change: c, added: true });
      for (let i = removedStart[c]; i < removedStart[c + 1]; i++)
        if (removed[i] === entry) events.push({ change: c, added: false });
    }
    return events.map((event) => ({ ...event, update: this.changes.update[event.change] }));
  }

  // The edge on the other side of a swap: of one change, the strongest added goes with the weakest removed.
  partner(entry, { change, added: wasAdded }) {
    const { update, addedStart, removedStart, added, removed } = this.changes;
    const moment = this.moment(update[change]);
    const size = (e) => Math.abs(this.weight(e, moment));
    const arrived = [...added.slice(addedStart[change], addedStart[change + 1])].sort(
      (a, b) => size(b) - size(a) || a - b,
    );
    const left = [...removed.slice(removedStart[change], removedStart[change + 1])].sort((a, b) => size(a) - size(b) || a - b);
    const place = (wasAdded ? arrived : left).indexOf(entry);
    const other = (wasAdded ? left : arrived)[place];
    return other === undefined ? null : other;
  }
}

export function openRun(recorded) {
  if (recorded.version !== 2) throw new Error("this page cannot read layout version " + recorded.version);
  const seen = {};
  const nodes = recorded.nodes.map((node) => {
    const position = (seen[node.kind] = (seen[node.kind] ?? -1) + 1);
    return { ...node, position };
  });
  const layers = recorded.layers.map((layer, index) => new WiredLayer(layer, index));
  return {
    recorded,
    nodes,
    layers,
    drawnLayers: layers.filter((layer) => layer.drawn),
    updates: Math.max(1, recorded.updates),
    levels: nodes.reduce((most, node) => Math.max(most, node.level + 1), 0),
    seek(t) {
      for (const layer of layers) layer.seek(t);
    },
    // Incremented with every change of the wiring.
    version() {
      return layers.map((layer) => layer.applied).join();
    },
    realEdges() {
      return layers.reduce((sum, layer) => sum + layer.realEntries().length, 0);
    },
    possibleEdges: layers.reduce((sum, layer) => sum + layer.possible, 0),
    swapsUntil(t) {
      return layers.reduce((sum, layer) => sum + layer.swapsUntil(t), 0);
    },
  };
}
