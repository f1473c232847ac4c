// Which nodes are alive: those on a path of real edges from an input to an output.

// The real edges of all drawn layers, and for each node whether inputs and outputs are connected to it.
export function reachOf(run) {
  const total = run.drawnLayers.reduce((sum, layer) => sum + layer.realEntries().length, 0);
  const source = new Uint32Array(total);
  const target = new Uint32Array(total);
  let at = 0;
  for (const layer of run.drawnLayers) {
    for (const entry of layer.realEntries()) {
      const pair = Math.floor(entry / layer.cell);
      source[at] = layer.sourceNodes[pair % layer.columns];
      target[at++] = layer.targetNodes[Math.floor(pair / layer.columns)];
    }
  }
  const nodes = run.nodes.length;
  const out = neighbours(source, target, nodes);
  const into = neighbours(target, source, nodes);
  const ofKind = (kind) => run.nodes.flatMap((node, index) => (node.kind === kind ? [index] : []));
  const fromInput = spread(ofKind("input"), out, nodes);
  const toOutput = spread(ofKind("output"), into, nodes);
  const alive = fromInput.map((reached, node) => reached & toOutput[node]);
  return { out, into, fromInput, toOutput, alive, dead: alive.reduce((sum, live) => sum + 1 - live, 0) };
}

function neighbours(from, to, nodes) {
  const start = new Uint32Array(nodes + 1);
  for (const node of from) start[node + 1]++;
  for (let node = 0; node < nodes; node++) start[node + 1] += start[node];
  const next = start.slice();
  const list = new Uint32Array(from.length);
  for (let i = 0; i < from.length; i++) list[next[from[i]]++] = to[i];
  return { start, list };
}

function spread(seeds, { start, list }, nodes, allowed) {
  const reached = new Uint8Array(nodes);
  const waiting = [];
  for (const node of seeds) {
    reached[node] = 1;
    waiting.push(node);
  }
  while (waiting.length) {
    const node = waiting.pop();
    for (let i = start[node]; i < start[node + 1]; i++) {
      const next = list[i];
      if (reached[next] || (allowed && !allowed[next])) continue;
      reached[next] = 1;
      waiting.push(next);
    }
  }
  return reached;
}

// The edges of all paths from an input to an output through `node`: those with both ends `before` the node, or both
// `after` it.
export function traceThrough(reach, node, nodes) {
  return {
    before: spread([node], reach.into, nodes, reach.fromInput),
    after: spread([node], reach.out, nodes, reach.toOutput),
  };
}

export function fan(reach, node) {
  return {
    into: reach.into.start[node + 1] - reach.into.start[node],
    out: reach.out.start[node + 1] - reach.out.start[node],
  };
}
