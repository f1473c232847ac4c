// Formats numbers and names.

export function count(value) {
  return Math.round(value).toLocaleString("en-US");
}

export function percent(share, digits = 1) {
  return Number.isFinite(share) ? (share * 100).toFixed(digits) + "%" : "–";
}

// A percentage with three significant digits.
export function briefly(share) {
  return +(share * 100).toPrecision(3) + "%";
}

export function short(value, digits = 3) {
  if (value === null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6) return (value / 1e6).toPrecision(digits) + "M";
  if (size >= 1e4) return (value / 1e3).toFixed(0) + "k";
  if (size >= 100) return value.toFixed(0);
  if (size >= 0.001) return String(+value.toPrecision(digits));
  return value.toExponential(1);
}

export function signed(value) {
  return (value < 0 ? "−" : "+") + short(Math.abs(value));
}

export function plural(n, one, many) {
  return count(n) + " " + (n === 1 ? one : many);
}

export function duration(seconds) {
  if (seconds < 90) return short(seconds, 2) + " s";
  if (seconds < 5400) return (seconds / 60).toFixed(1) + " min";
  return (seconds / 3600).toFixed(1) + " h";
}

export function nodeName(run, node) {
  const { kind, position } = run.nodes[node];
  return kind === "hidden" ? "node " + node : kind + " " + position;
}

export function edgeName(run, layer, entry) {
  const { source, target } = run.layers[layer].ends(entry);
  return nodeName(run, source) + " → " + nodeName(run, target);
}

// Row and column of an entry, for layers without nodes.
export function entryName(run, layer, entry) {
  const wired = run.layers[layer];
  if (wired.drawn) return edgeName(run, layer, entry);
  const { row, column, tap } = wired.place(entry);
  return "source " + column + " → target " + row + (wired.cell > 1 ? " [" + tap + "]" : "");
}

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
