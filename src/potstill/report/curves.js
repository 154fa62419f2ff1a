// Learning curves: a line a seed.

let emphasised = null;  // the row under the pointer

/** The names of everything measured once an epoch, in the order in which rows have them. */
function measures() {
  return [...new Set(page.rows.flatMap((row) => row.seeds.flatMap((seed) => Object.keys(seed.series))))];
}

function drawCurves() {
  const measure = document.getElementById("measure").value;
  const zoomed = document.getElementById("zoom").checked;
  const container = document.getElementById("curves-chart");
  const lines = page.rows.flatMap((row, i) => hidden.has(i) ? [] : row.seeds
    .filter((seed) => seed.series[measure]?.some((value) => value !== null))
    .map((seed) => ({ row: i, seed, values: seed.series[measure] })));
  if (!lines.length) {
    container.replaceChildren();
    put(container, "p", "No ticked row has this.", { class: "note" });
    return;
  }
  const shown = lines.flatMap(({ values }) => values.filter((value, i) => value !== null && (!zoomed || i >= values.length / 2)));
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const margin = (high - low || Math.abs(high) || 1) * 0.05;
  const first = Math.min(...lines.map(({ seed }) => seed.start));
  const last = Math.max(...lines.map(({ seed, values }) => seed.start + values.length - 1));
  const chart = frame(container, {
    x: { low: first, high: Math.max(last, first + 1), label: "epoch", ticks: wholeTicks(first, last, container.clientWidth) },
    y: { low: low - margin, high: high + margin, label: measure },
    height: 340, name: `${measure} over the epochs`,
  });
  const clip = draw(draw(chart.svg, "clipPath", { id: "inside" }), "rect", {
    x: chart.box.left - 6, y: chart.box.top - 6,
    width: chart.box.right - chart.box.left + 12, height: chart.box.bottom - chart.box.top + 9,
  }).parentNode;
  const plot = draw(chart.svg, "g", { "clip-path": `url(#${clip.id})` });
  for (const line of lines) drawLine(plot, line, chart);
  watchCurves(chart, plot, lines, measure);
  fade(plot);
}

function wholeTicks(first, last, width) {
  return first === last ? [first] : ticks(first, last, Math.min(last - first, width / 90)).filter(Number.isInteger);
}

/** One seed's line; a value that is not finite leaves a gap, an epoch alone is a dot. */
function drawLine(plot, { row, seed, values }, { toX, toY }) {
  const { colour, dash } = style(row);
  let path = "";
  values.forEach((value, i) => {
    if (value === null) return;
    const joined = i > 0 && values[i - 1] !== null;
    path += `${joined ? "L" : "M"}${toX(seed.start + i).toFixed(1)} ${toY(value).toFixed(1)}${joined ? "" : "h0"}`;
  });
  const attributes = { d: path, "data-row": row, stroke: colour, fill: "none", "stroke-dasharray": dash };
  draw(plot, "path", { ...attributes, "stroke-width": values.length > 1 ? 1.7 : 6, "stroke-linejoin": "round", "stroke-linecap": "round" });
}

function watchCurves({ svg, toX, toY }, plot, lines, measure) {
  const dot = draw(plot, "circle", { r: 4, visibility: "hidden" });
  onHover(svg, (x, y, event) => {
    let best = { distance: Infinity };
    for (const { row, seed, values } of lines) values.forEach((value, i) => {
      if (value === null) return;
      const distance = Math.hypot(toX(seed.start + i) - x, toY(value) - y);
      if (distance < best.distance) best = { distance, row, seed, epoch: seed.start + i, value };
    });
    for (const [name, value] of Object.entries({ cx: toX(best.epoch), cy: toY(best.value), fill: style(best.row).colour, visibility: "visible" }))
      dot.setAttribute(name, value);
    emphasise(best.row, plot);
    const { label } = page.rows[best.row];
    showTooltip(event, [label, `${best.seed.name}, epoch ${best.epoch}`, `${measure}: ${digits(best.value)}`]);
  }, () => { dot.setAttribute("visibility", "hidden"); emphasise(null, plot); });
}

function emphasise(row, plot) {
  emphasised = row;
  fade(plot);
}

function fade(plot) {
  for (const line of plot.querySelectorAll("path"))
    line.classList.toggle("faded", emphasised !== null && !hidden.has(emphasised) && +line.dataset.row !== emphasised);
}
