// Scales, ticks and paths of charts.

import { svg } from "./elements.js";

export function linear(from, to, start, end) {
  const span = to - from || 1;
  return (value) => start + ((value - from) / span) * (end - start);
}

export function logarithmic(from, to, start, end) {
  const inner = linear(Math.log(from), Math.log(to), start, end);
  return (value) => inner(Math.log(value));
}

// About `wanted` round numbers in a range.
export function ticks(from, to, wanted) {
  const rough = (to - from) / wanted;
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++)
    found.push(+(i * step).toPrecision(12));
  return found;
}

// A path through the points; a gap where a value is missing.
export function line(xs, ys, x, y) {
  let path = "";
  let open = false;
  for (let i = 0; i < xs.length; i++) {
    const value = ys[i];
    if (value === null || !Number.isFinite(value)) {
      open = false;
      continue;
    }
    path += (open ? "L" : "M") + x(xs[i]).toFixed(1) + " " + y(value).toFixed(1);
    open = true;
  }
  return path;
}

export function range(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || !Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : [0, 1];
}

// An SVG that stretches with its container; line widths stay constant.
export function stretched(width, height, label) {
  return svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    preserveAspectRatio: "none",
    class: "stretched",
    role: "img",
    "aria-label": label,
  });
}

export function thin(d, className) {
  return svg("path", { d, class: className, "vector-effect": "non-scaling-stroke" });
}
