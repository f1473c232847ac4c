// The state of the page. It is stored in the URL's hash, so that a link shows the same state.

// A field: its initial value, and how it is read from and written to the hash. A field without `read` is not in the hash.
export const asNumber = (start, low, high) => ({
  start,
  read: (text) => (Number.isFinite(+text) ? Math.min(high, Math.max(low, +text)) : start),
  write: (value) => String(+value.toFixed(1)),
});
export const asIndex = (length, start = null) => ({
  start,
  read: (text) => (/^\d+$/.test(text) && +text < length ? +text : start),
  write: String,
});
export const asFlag = (start) => ({ start, read: (text) => text === "1", write: (value) => (value ? "1" : "0") });
export const asChoice = (start, choices) => ({
  start,
  read: (text) => (choices.includes(text) ? text : start),
  write: String,
});
export const unsaved = (start) => ({ start });

export function createState(fields, onChange) {
  const values = {};
  const changed = new Set();
  let scheduled = 0;
  let writing = 0;
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  const fromHash = () => {
    const parts = new URLSearchParams(location.hash.slice(1));
    const found = {};
    for (const [name, field] of Object.entries(fields)) {
      if (!field.read) continue;
      found[name] = parts.has(name) ? field.read(parts.get(name)) : field.start;
    }
    return found;
  };
  const toHash = () => {
    const parts = [];
    for (const [name, field] of Object.entries(fields)) {
      if (!field.write || values[name] === null || same(values[name], field.start)) continue;
      parts.push(name + "=" + encodeURIComponent(field.write(values[name])));
    }
    return parts.length ? "#" + parts.join("&") : "";
  };
  const flush = () => {
    cancelAnimationFrame(scheduled);
    scheduled = 0;
    if (!changed.size) return;
    const which = new Set(changed);
    changed.clear();
    onChange(values, which);
  };
  const set = (patch) => {
    for (const [name, value] of Object.entries(patch)) {
      if (same(values[name], value)) continue;
      values[name] = value;
      changed.add(name);
    }
    if (!changed.size) return;
    if (!scheduled) scheduled = requestAnimationFrame(flush);
    // Browsers limit how often the URL may change, so it is updated with a delay.
    if (!writing) {
      writing = setTimeout(() => {
        writing = 0;
        if (toHash() !== location.hash) history.replaceState(null, "", toHash() || location.pathname + location.search);
      }, 350);
    }
  };

  for (const [name, field] of Object.entries(fields)) values[name] = field.start;
  Object.assign(values, fromHash());
  window.addEventListener("hashchange", () => set(fromHash()));
  return { values, set, flush };
}
