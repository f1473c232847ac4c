// The facts of the run and the summary at the top.

import { byId, el, setText } from "./elements.js";
import { count, duration, percent } from "./words.js";
import { copyable } from "./copy.js";

export function showFacts(app) {
  const { run } = app;
  const { run: facts, data, outcome } = run.recorded;
  setText(byId("title"), facts.name);
  setText(byId("subtitle"), [data.name, facts.rule, "seed " + facts.seed].filter(Boolean).join(" · "));
  byId("unfinished").hidden = facts.finished;
  const isEvaluated = run.recorded.curves.test.update.length > 0;
  const numbers = [
    isEvaluated
      ? ["test accuracy", percent(outcome.test_accuracy, 2), "best " + percent(outcome.best_test_accuracy, 2)]
      : ["test accuracy", "–", "not evaluated"],
    outcome.edges_possible
      ? [
          "real edges",
          count(outcome.edges_real),
          `${percent(outcome.edges_real / outcome.edges_possible, 1)} of ${count(outcome.edges_possible)}`,
        ]
      : ["real edges", "–", "the network is dense"],
    ["parameters", count(outcome.parameters), "in the forward pass"],
    [
      "swaps",
      count(
        run.layers.length
          ? run.swapsUntil(run.updates)
          : run.recorded.curves.train.swaps.reduce((sum, n) => sum + n, 0),
      ),
      `in ${count(run.recorded.updates)} updates`,
    ],
  ];
  byId("headline").append(
    ...numbers.map(([name, value, note]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, value), el("dd", { class: "note" }, note)),
    ),
  );

  const pairs = [
    ["Recipe", facts.recipe],
    ["Rule", facts.rule],
    ["Data", `${data.name}: ${count(data.train_images)} to train, ${count(data.test_images)} to test`],
    ["Seed", String(facts.seed)],
    ["Training time", duration(facts.seconds)],
    ...facts.environment,
  ];
  byId("facts").append(...pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  setText(byId("recipe"), facts.recipe_text);
  copyable(byId("command"), byId("copy"), facts.command);
}
