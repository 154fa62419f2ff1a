// Each term's share of a row's loss, as stacked areas.

function drawShares() {
  const grid = document.getElementById("shares-charts");
  grid.replaceChildren();
  page.rows.forEach((row, i) => {
    if (row.loss && Object.keys(row.loss.terms).length > 1) drawShare(grid, row, i);
  });
  if (!grid.childElementCount) put(grid, "p", "No row has more than one term.", { class: "note" });
}

function drawShare(grid, row, i) {
  const cell = put(grid, "div");
  put(cell, "h3", row.label).prepend(key(i));
  const { start, terms } = row.loss;
  const names = Object.keys(terms);
  const epochs = terms[names[0]].length;
  const size = (name, epoch) => Math.abs(terms[name][epoch] ?? 0);
  const total = (epoch) => names.reduce((sum, name) => sum + size(name, epoch), 0);
  const share = (name, epoch) => (total(epoch) ? (100 * size(name, epoch)) / total(epoch) : 0);
  const opacity = (n) => 0.95 - n * Math.min(0.3, 0.75 / Math.max(names.length - 1, 1));
  const container = put(cell, "div", "", { class: "chart" });
  const chart = frame(container, {
    x: { low: start - 0.5, high: start + epochs - 0.5, label: "epoch", ticks: wholeTicks(start, start + epochs - 1, container.clientWidth) },
    y: { low: 0, high: 100, label: "share of the loss, %", ticks: [0, 25, 50, 75, 100] },
    height: 210, name: `shares of the loss: ${row.label}`,
  });
  let floor = Array(epochs).fill(0);
  names.forEach((name, n) => {
    const ceiling = floor.map((value, epoch) => value + share(name, epoch));
    draw(chart.svg, "path", { d: band(floor, ceiling, start, chart), fill: style(i).colour, "fill-opacity": opacity(n), class: "band", "data-term": name });
    floor = ceiling;
  });
  const legend = put(cell, "div", "", { class: "terms" });
  names.forEach((name, n) => {
    const swatch = document.createElement("i");
    swatch.style.cssText = `background:${style(i).colour};opacity:${opacity(n)}`;
    put(legend, "span", name).prepend(swatch);
  });
  watchShare(chart, start, epochs, (epoch) => [
    `${row.label}, epoch ${start + epoch}`,
    ...names.map((name) => `${name}: ${share(name, epoch).toFixed(1)} % (${digits(terms[name][epoch])})`),
  ]);
}

/** The outline between two stairs, a step an epoch. */
function band(floor, ceiling, start, { toX, toY }) {
  const stair = (values) => values.flatMap((value, i) => [-0.5, 0.5].map((side) => [toX(start + i + side), toY(value)]));
  return `M${[...stair(ceiling), ...stair(floor).reverse()].map((point) => point.map((n) => n.toFixed(1)).join(" ")).join("L")}Z`;
}

function watchShare({ svg, box, toX }, start, epochs, lines) {
  const cursor = draw(svg, "path", { class: "cursor", visibility: "hidden" });
  onHover(svg, (x, _, event) => {
    const step = toX(start + 1) - toX(start);
    const epoch = Math.min(Math.max(Math.round((x - toX(start)) / step), 0), epochs - 1);
    cursor.setAttribute("d", `M${toX(start + epoch)} ${box.top}V${box.bottom}`);
    cursor.setAttribute("visibility", "visible");
    showTooltip(event, lines(epoch));
  }, () => cursor.setAttribute("visibility", "hidden"));
}
