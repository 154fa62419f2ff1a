// Tuning curves: a chart a method, a line a setting.

function drawTuning() {
  const grid = document.getElementById("tuning-charts");
  if (!grid) return;
  grid.replaceChildren();
  const values = page.tuning.flatMap(({ trials }) => trials.flatMap(({ curve }) => curve));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = (high - low || 1) * 0.08;
  for (const method of page.tuning) drawTrials(grid, method, { low: low - margin, high: high + margin });
}

function drawTrials(grid, { method, chosen, trials }, reach) {
  const cell = put(grid, "div");
  put(cell, "h3", method);
  const epochs = Math.max(...trials.map(({ curve }) => curve.length));
  const container = put(cell, "div", "", { class: "chart" });
  if (!epochs) return put(container, "p", "No trial measured anything.", { class: "note" });
  const best = trials[chosen];
  const chart = frame(container, {
    x: { low: 1, high: Math.max(epochs, 2), label: "epochs", ticks: wholeTicks(1, epochs, container.clientWidth) },
    y: { ...reach, label: page.measure.replace("test", "held-out") },
    height: 230, name: `${method}: ${trials.length} settings tried; chosen: ${best.said}, ${digits(best.curve.at(-1) ?? null)} in the end`,
  });
  const order = trials.map((_, i) => i).sort((a, b) => (a === chosen) - (b === chosen));
  for (const i of order) drawTrial(trials[i], i === chosen, chart);
  put(cell, "div", `chosen: ${best.said}`, { class: "note" });
  watchTrials(trials, chart);
}

function drawTrial({ curve, state }, isChosen, { svg, toX, toY }) {
  if (!curve.length) return;
  const path = curve.map((value, i) => `${toX(i + 1).toFixed(1)} ${toY(value).toFixed(1)}`).join("L");
  const stroke = isChosen ? "var(--c0)" : "var(--quiet)";
  const early = state !== "complete";
  const attributes = { d: `M${path}${curve.length > 1 ? "" : "h0"}`, class: "trial", stroke, fill: "none", "stroke-linecap": "round" };
  draw(svg, "path", { ...attributes, "stroke-width": isChosen ? 3 : 1.3, "stroke-dasharray": early ? "4 4" : "" });
  draw(svg, "circle", { cx: toX(curve.length), cy: toY(curve.at(-1)), r: isChosen ? 4.5 : 2.5, fill: early ? "var(--page)" : stroke, stroke });
}

function watchTrials(trials, { svg, toX, toY }) {
  onHover(svg, (x, y, event) => {
    const points = trials.flatMap((trial) => trial.curve.map((value, i) => ({ trial, value, epoch: i + 1 })));
    const far = ({ value, epoch }) => Math.hypot(toX(epoch) - x, toY(value) - y);
    const { trial, value, epoch } = points.reduce((best, one) => (far(one) < far(best) ? one : best));
    showTooltip(event, [trial.said, `after epoch ${epoch}: ${digits(value)}`, trial.state]);
  }, () => {});
}
