// The details of a node: its edges in and out, its kernel, its feature maps, and whether it is alive.

import { byId, el } from "./elements.js";
import { capital, nodeName, plural, signed } from "./words.js";
import { fan } from "./reach.js";
import { featureMap, paintValues } from "./thumbnails.js";

const LISTED = 6;

export function nodeCard(app) {
  const { run, state } = app;
  const card = byId("card");

  return () => {
    const { node, t, image, trace } = state.values;
    const reach = app.reach();
    const { level } = run.nodes[node];
    const name = capital(nodeName(run, node));
    const { into, out } = fan(reach, node);
    const [feeding, fed] = edgesOf(run, node, t);
    const pictures = el("div", { class: "pictures" });
    const features = app.samples?.features;
    if (features) {
      const map = featureMap(app.samples, run.nodes.length, node, image, t);
      pictures.append(
        picture(map.values, features.width, features.height, app.colours, `output for test image ${image + 1}`),
      );
    }
    const kernel = run.nodes[node].kernel;
    const side = Math.round(Math.sqrt(kernel.length));
    if (kernel.length && side * side === kernel.length) {
      const most = Math.max(...kernel.map(Math.abs)) || 1;
      pictures.append(
        picture(
          kernel.map((value) => value / most),
          side,
          side,
          app.colours,
          "kernel at the end",
        ),
      );
    }
    card.replaceChildren(
      el(
        "header",
        {},
        el(
          "div",
          {},
          el("h2", {}, name),
          el(
            "p",
            { class: "soft" },
            run.nodes[node].kind === "hidden" ? `level ${level}` : `node ${node}, level ${level}`,
          ),
        ),
        el(
          "div",
          { class: "card-buttons" },
          iconButton("‹", "Previous node", () => state.set({ node: (node + run.nodes.length - 1) % run.nodes.length })),
          iconButton("›", "Next node", () => state.set({ node: (node + 1) % run.nodes.length })),
          iconButton("×", "Close", () => state.set({ node: null, trace: false })),
        ),
      ),
      el("p", { class: "state " + (reach.alive[node] ? "alive" : "dead") }, lifeOf(run, reach, node)),
      el(
        "div",
        { class: "fans" },
        el("div", {}, el("b", {}, String(into)), " in"),
        el("div", {}, el("b", {}, String(out)), " out"),
        el(
          "button",
          { "aria-pressed": String(trace), class: "toggle", onclick: () => state.set({ trace: !trace }) },
          "Trace its paths",
        ),
      ),
      pictures.childElementCount ? pictures : null,
      edgeList(app, "Strongest edges in", feeding),
      edgeList(app, "Strongest edges out", fed),
    );
  };
}

function lifeOf(run, reach, node) {
  if (reach.alive[node]) return "Alive: paths of real edges lead to it from an input and from it to an output.";
  const reasons = [];
  if (!reach.fromInput[node]) reasons.push("no path of real edges leads from an input to it");
  if (!reach.toOutput[node]) reasons.push("no path of real edges leads from it to an output");
  return "Dead: " + reasons.join(", and ") + ".";
}

function picture(values, width, height, colours, caption) {
  const canvas = el("canvas", { role: "img", "aria-label": caption });
  paintValues(canvas, values, width, height, colours);
  return el("figure", {}, canvas, el("figcaption", {}, caption));
}

export function iconButton(sign, label, onclick) {
  return el("button", { class: "icon", "aria-label": label, title: label, onclick }, sign);
}

// The real edges into and out of a node, strongest first, as [layer, entry, weight].
function edgesOf(run, node, t) {
  const [into, out] = [[], []];
  for (const layer of run.drawnLayers) {
    const moment = layer.moment(t);
    for (const entry of layer.realEntries()) {
      const { source, target } = layer.ends(entry);
      if (target === node) into.push([layer, entry, layer.weight(entry, moment), source]);
      if (source === node) out.push([layer, entry, layer.weight(entry, moment), target]);
    }
  }
  const strongest = (a, b) => Math.abs(b[2]) - Math.abs(a[2]);
  return [into.sort(strongest), out.sort(strongest)];
}

function edgeList(app, title, edges) {
  const { run, state } = app;
  const rows = edges.slice(0, LISTED).map(([layer, entry, weight, other]) => {
    const share = Math.min(1, Math.abs(weight) / layer.moment(state.values.t).scale);
    return el(
      "li",
      {},
      el(
        "button",
        {
          class: "edge-row " + (weight < 0 ? "negative" : "positive"),
          onclick: () => state.set({ node: null, trace: false, edge: [layer.index, entry] }),
        },
        el("span", {}, nodeName(run, other)),
        el("i", { style: `width:${(share * 100).toFixed(0)}%`, "aria-hidden": "true" }),
        el("b", {}, signed(weight)),
      ),
    );
  });
  const rest = edges.length - rows.length;
  return el(
    "section",
    {},
    el("h3", {}, title),
    rows.length ? el("ul", { class: "edges" }, ...rows) : el("p", { class: "soft" }, "none"),
    rest > 0 ? el("p", { class: "soft" }, "and " + plural(rest, "weaker one", "weaker ones")) : null,
  );
}
