// Light and dark theme. "auto" follows the system. Canvases cannot read CSS variables while drawing, so the colours are read
// once per theme.

const dark = window.matchMedia("(prefers-color-scheme: dark)");

export function applyTheme(choice) {
  const theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
  document.documentElement.dataset.theme = theme;
  return theme;
}

export function onSystemTheme(listener) {
  dark.addEventListener("change", listener);
}

export function otherTheme() {
  return document.documentElement.dataset.theme === "dark" ? "light" : "dark";
}

export function reducedMotion() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

export function palette() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue("--" + name).trim();
  const names = ["paper", "ink", "soft", "faint", "line", "positive", "negative", "flash", "accent", "void"];
  return Object.fromEntries(names.map((name) => [name, read(name)]));
}

// "#rrggbb" as three numbers from 0 to 255.
export function channels(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

// Maps a value from -1 to 1 to a colour: the background at 0, `positive` and `negative` at the ends.
export function diverging(value, colours) {
  const end = value < 0 ? colours.negative : colours.positive;
  const share = Math.min(1, Math.abs(value));
  return colours.paper.map((from, i) => Math.round(from + (end[i] - from) * share));
}

export function divergingEnds(colours) {
  return {
    paper: channels(colours.paper),
    positive: channels(colours.positive),
    negative: channels(colours.negative),
  };
}
