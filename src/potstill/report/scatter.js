// Accuracy against what a network costs, with the Pareto front.

function drawScatter(what, label) {
  const container = document.getElementById(`${what}-chart`);
  const networks = [
    ...page.rows.map((row, i) => ({ ...row, i })).filter(({ i }) => !hidden.has(i)),
    ...page.teachers.map((teacher) => ({ ...teacher, i: null })),
  ];
  const points = networks.filter((network) => network[what] && network.value !== null);
  const missing = networks.length - points.length;
  container.replaceChildren();
  if (points.length) {
    const costs = points.map((point) => point[what]);
    const low = Math.min(...points.map((point) => point.value - (point.deviation ?? 0)));
    const high = Math.max(...points.map((point) => point.value + (point.deviation ?? 0)));
    const margin = (high - low || 1) * 0.1;
    const [least, most] = [Math.min(...costs), Math.max(...costs)];
    const room = least === most ? 2 : 1.3;
    const x = { low: least / room, high: most * room, log: true, label, format: short };
    const chart = frame(container, {
      x: { ...x, ticks: logTicks(x.low, x.high) },
      y: { low: low - margin, high: high + margin, label: page.measure },
      height: 320, name: `${page.measure} against ${label}`,
    });
    drawFront(points, what, chart);
    const places = sideBySide(points, what, chart.toX);
    points.forEach((point, n) => drawPoint(point, places[n], chart));
    watchPoints(points, places, (point) => `${short(point[what])} ${label}`, chart);
  }
  if (missing) {
    const elsewhere = networks.filter((network) => network.value === null).length;
    const why = elsewhere === missing ? `${page.measure} was not measured of them` :
      elsewhere ? `their runs did not count their ${label}, or did not measure ${page.measure}` :
      `their runs did not count their ${label}`;
    put(container, "p", `${missing} of ${networks.length} networks are not shown: ${why}.`, { class: "note" });
  }
}

/** Where each point stands on the x axis, in pixels: those of one cost next to each other, so that none hides another. */
function sideBySide(points, what, toX) {
  return points.map((point) => {
    const same = points.filter((other) => other[what] === point[what]);
    const step = Math.min(10, 60 / same.length);
    return toX(point[what]) + step * (same.indexOf(point) - (same.length - 1) / 2);
  });
}

function drawPoint({ i, value, deviation }, x, { svg, toY }) {
  const y = toY(value);
  const { colour, mark } = i === null ? { colour: "var(--text)", mark: MARKS[0] } : style(i);
  const group = draw(svg, "g", { class: "point", "data-row": i ?? "teacher" });
  if (deviation) draw(group, "path", { d: `M${x} ${toY(value - deviation)}V${toY(value + deviation)}`, stroke: colour, "stroke-width": 1.5 });
  const paint = i === null ? { fill: "var(--page)", stroke: colour, "stroke-width": 1.6 } : { fill: colour };
  draw(group, "path", { d: mark, transform: `translate(${x} ${y})`, ...paint });
}

/** The networks that no other is both cheaper and better than, joined by stairs. */
function drawFront(points, what, { svg, box, toX, toY }) {
  const front = [];
  for (const point of [...points].sort((a, b) => a[what] - b[what] || b.value - a.value))
    if (!front.length || point.value > front.at(-1).value) front.push(point);
  let path = "";
  front.forEach((point, n) => { path += n ? `H${toX(point[what])}V${toY(point.value)}` : `M${toX(point[what])} ${toY(point.value)}`; });
  draw(svg, "path", { class: "front", d: `${path}H${box.right}` });
}

function watchPoints(points, places, cost, { svg, toY }) {
  onHover(svg, (x, y, event) => {
    const distances = points.map((point, n) => Math.hypot(places[n] - x, toY(point.value) - y));
    const best = points[distances.indexOf(Math.min(...distances))];
    const spread = best.deviation ? ` ± ${best.deviation.toFixed(page.digits)}` : "";
    showTooltip(event, [best.label, `${page.measure}: ${best.value.toFixed(page.digits)}${spread}`, cost(best)]);
  }, () => {});
}
