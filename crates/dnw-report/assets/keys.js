// Keyboard shortcuts. The help dialog shows the same list.

import { byId, el } from "./elements.js";
import { otherTheme } from "./theme.js";

export function bindKeys(app) {
  const { run, state } = app;
  const hop = Math.max(1, Math.round(run.updates / 200));
  const help = byId("help");
  const openHelp = () => (help.open ? help.close() : help.showModal());
  const shortcuts = [
    [["Space"], "play or pause", () => app.timeline.toggle()],
    [["←", "→"], "back and forward in time", null],
    [["Shift ←", "Shift →"], "back and forward in large steps", null],
    [[",", "."], "one update back, one forward", null],
    [["Home", "End"], "the start, the end", null],
    [["n", "p"], "next node, previous node", null],
    [
      ["t"],
      "trace the selected node's paths",
      () => state.set({ trace: state.values.node !== null && !state.values.trace }),
    ],
    [["h"], "strongest hallucinated edges", () => state.set({ hall: !state.values.hall })],
    [["f"], "feature maps in the nodes", () => state.set({ previews: !state.values.previews })],
    [["m"], "matrix or wiring", () => app.toggleView()],
    [["d"], "dark or light", () => state.set({ theme: otherTheme() })],
    [["Esc"], "clear the selection", () => state.set({ node: null, edge: null, trace: false })],
    [["?"], "keyboard shortcuts", openHelp],
  ];
  const nodeBy = (step) => {
    if (run.nodes.length)
      state.set({
        node: ((state.values.node ?? (step > 0 ? -1 : 0)) + step + run.nodes.length) % run.nodes.length,
        edge: null,
      });
  };
  const actions = {
    " ": shortcuts[0][2],
    ",": () => app.timeline.step(-1),
    ".": () => app.timeline.step(1),
    Home: () => app.timeline.step(-Infinity),
    End: () => app.timeline.step(Infinity),
    Escape: shortcuts[11][2],
    n: () => nodeBy(1),
    p: () => nodeBy(-1),
  };
  for (const [keys, , action] of shortcuts) if (action && keys[0].length === 1) actions[keys[0]] = action;

  byId("help-list").append(
    ...shortcuts.flatMap(([keys, meaning]) => [
      el("dt", {}, ...keys.map((key) => el("kbd", {}, key))),
      el("dd", {}, meaning),
    ]),
    el("dt", {}, el("kbd", {}, "↑"), el("kbd", {}, "↓"), el("kbd", {}, "←"), el("kbd", {}, "→")),
    el("dd", {}, "with the picture in focus: select a neighbouring node"),
  );
  byId("help-open").addEventListener("click", openHelp);

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const { target, key } = event;
    const typing = target.matches("select, input:not([type=range]), textarea");
    if (typing) return;
    // Space on a focused button presses the button and must not also toggle playing.
    if (key === " " && target.matches("button, summary, a")) return;
    if (key.startsWith("Arrow")) {
      if (target.id === "nodes" && !event.shiftKey) app.wiring.walk(key);
      else if (key === "ArrowLeft" || key === "ArrowRight")
        app.timeline.step((key === "ArrowLeft" ? -hop : hop) * (event.shiftKey ? 10 : 1));
      else return;
    } else if (actions[key]) actions[key]();
    else return;
    event.preventDefault();
  });
}
