// The positions of the nodes: levels are columns, nodes in index order, so that positions do not change over time.
// `picture.rs` computes the same positions.

const CLOSEST = 5;
const WIDEST = 44;

export function layoutOf(run, width, height) {
  const x = new Float32Array(run.nodes.length);
  const y = new Float32Array(run.nodes.length);
  const levels = Array.from({ length: run.levels }, () => []);
  run.nodes.forEach((node, index) => levels[node.level].push(index));
  const [left, top, bottom] = [Math.min(46, width * 0.07), 30, 18];
  const space = height - top - bottom;
  const most = Math.max(1, Math.floor(space / CLOSEST));
  let gap = WIDEST;
  const columns = levels.map((level) => Math.ceil(level.length / most));
  levels.forEach((level, l) => {
    if (level.length) gap = Math.min(gap, space / Math.ceil(level.length / columns[l]));
  });
  levels.forEach((level, l) => {
    const rows = Math.ceil(level.length / columns[l]);
    const step = Math.min(WIDEST, space / rows);
    const centre = levels.length > 1 ? left + (l * (width - 2 * left)) / (levels.length - 1) : width / 2;
    level.forEach((node, i) => {
      x[node] = centre + (Math.floor(i / rows) - (columns[l] - 1) / 2) * CLOSEST * 1.4;
      y[node] = top + space / 2 + ((i % rows) - (Math.min(rows, level.length) - 1) / 2) * step;
    });
  });
  return { x, y, levels, width, height, radius: Math.min(13, Math.max(1.6, gap * 0.4)) };
}

// The two inner control points of the curve between two points.
export function bend(x0, y0, x1, y1) {
  const reach = x1 - x0;
  if (reach > 2) return [x0 + reach * 0.42, y0, x1 - reach * 0.42, y1];
  // An edge within a column, or to an earlier one, is drawn as a loop.
  const loop = 34 + Math.abs(reach) * 0.25;
  return [x0 + loop, y0, x1 - (reach < -2 ? loop : -loop), y1];
}

export function along(x0, y0, x1, y1, s) {
  const [ax, ay, bx, by] = bend(x0, y0, x1, y1);
  const r = 1 - s;
  return [
    r * r * r * x0 + 3 * r * r * s * ax + 3 * r * s * s * bx + s * s * s * x1,
    r * r * r * y0 + 3 * r * r * s * ay + 3 * r * s * s * by + s * s * s * y1,
  ];
}
