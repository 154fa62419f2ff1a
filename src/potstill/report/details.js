// Accuracy by class, which classes are taken for which, and whether a network is as sure as it is right.

const STEEP = 42;  // degrees by which names of columns are turned

/** The rows that told, by their indices. */
function detailed() {
  return page.rows.flatMap((row, i) => row.details ? [i] : []);
}

function startDetails() {
  const rows = detailed();
  const select = document.getElementById("detail-row");
  if (!rows.length) {
    document.querySelector("#details .controls").remove();
    document.getElementById("details-body").remove();
    document.getElementById("details-note").textContent = "None of these runs recorded it (no details.json).";
    return;
  }
  for (const i of rows) put(select, "option", page.rows[i].label, { value: i });
  const helped = rows.find((i) => page.rows[i].baseline !== null);
  select.value = helped ?? rows[0];
  select.addEventListener("change", drawDetails);
  drawDetails();
}

function drawDetails() {
  const select = document.getElementById("detail-row");
  if (!select) return;
  const i = +select.value;
  const found = page.rows[i].details;
  drawReliability(i, found);
  drawMatrix(found);
  listClasses(i, found);
  listPairs(found);
  const sure = found.confidence > found.top1 ? "overconfident" : "underconfident";
  document.getElementById("details-facts").textContent =
    `${found.run}: expected calibration error ${found.ece.toFixed(2)} points, mean probability ${found.confidence.toFixed(2)} % ` +
    `beside an accuracy of ${found.top1.toFixed(2)} % (${sure}), negative log-likelihood ${digits(found.nll)} nats, ` +
    `${found.n.toLocaleString("en")} test images.`;
}

/** How often it is right (bars) where it is so sure (the diagonal); the stronger a bar, the more images. */
function drawReliability(i, { bins, n }) {
  const whole = [0, 25, 50, 75, 100];
  const chart = frame(document.getElementById("reliability-chart"), {
    x: { low: 0, high: 100, label: "probability of the chosen class, %", ticks: whole },
    y: { low: 0, high: 100, label: "right, %", ticks: whole }, height: 320, name: "reliability diagram",
  });
  const { svg, box, toX, toY } = chart;
  const { colour } = style(i);
  for (const [low, high, images, confidence, right] of bins) {
    const [left, width] = [toX(low) + 1, toX(high) - toX(low) - 2];
    const shade = 0.25 + 0.75 * Math.sqrt(images / n);
    draw(svg, "rect", { class: "bin", x: left, width, y: toY(right), height: Math.max(box.bottom - toY(right), 1), fill: colour, "fill-opacity": shade });
    const [top, bottom] = [Math.max(right, confidence), Math.min(right, confidence)];
    draw(svg, "rect", { class: "gap", x: left, width, y: toY(top), height: toY(bottom) - toY(top) });
  }
  draw(svg, "path", { class: "front", d: `M${toX(0)} ${toY(0)}L${toX(100)} ${toY(100)}` });
  onHover(svg, (x, _, event) => {
    const at = bins.find(([low, high]) => x >= toX(low) && x < toX(high));
    if (!at) return hideTooltip();
    const [low, high, images, confidence, right] = at;
    showTooltip(event, [
      `${low.toFixed(0)} to ${high.toFixed(0)} %: ${images.toLocaleString("en")} images`,
      `mean probability ${confidence.toFixed(2)} %`, `right ${right.toFixed(2)} %`,
    ]);
  }, () => {});
}

/** A cell a pair of classes: rows are what images are of, columns what they are taken for. */
function drawMatrix({ matrix, names, sizes, count }) {
  const container = document.getElementById("matrix-chart");
  container.replaceChildren();
  if (!matrix) {
    put(container, "p", `A matrix of ${count.toLocaleString("en")} classes is not drawn: the pairs below are its largest cells.`, { class: "note" });
    return;
  }
  const width = Math.max(container.clientWidth, 240);
  const label = count <= 20 ? Math.min(90, width / 4, 8 + 6.2 * Math.max(...Object.values(names).map((name) => name.length))) : 10;
  const cell = Math.min(28, (width - label - 26) / count);
  const [left, top] = [label, label * 0.8 + 8];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const height = top + cell * count + 6;
  for (const [key, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": "confusion matrix" }))
    svg.setAttribute(key, value);
  container.append(svg);
  draw(svg, "rect", { class: "matrix", x: left, y: top, width: cell * count, height: cell * count });
  if (count <= 20) for (let k = 0; k < count; k++) {
    const name = names[k].length > 14 ? `${names[k].slice(0, 13)}…` : names[k];
    draw(svg, "text", { x: left - 5, y: top + (k + 0.5) * cell + 4, "text-anchor": "end" }, name);
    const [x, y] = [left + (k + 0.5) * cell, top - 5];
    draw(svg, "text", { x, y, transform: `rotate(${-STEEP} ${x} ${y})` }, name);
  }
  put(container, "p", "Rows: what images are of; columns: what they are taken for.", { class: "note" });
  const share = ([a, , images]) => images / sizes[a];
  const worst = Math.max(...matrix.filter(([a, b]) => a !== b).map(share), 1e-9);
  const cells = new Map();
  for (const one of matrix) {
    const [a, b] = one;
    const strength = a === b ? share(one) : share(one) / worst;
    const fill = a === b ? "var(--c0)" : "var(--c1)";
    draw(svg, "rect", { class: "cell", x: left + b * cell, y: top + a * cell, width: cell, height: cell, fill, "fill-opacity": 0.06 + 0.94 * strength });
    cells.set(a * count + b, one);
  }
  onHover(svg, (x, y, event) => {
    const [a, b] = [Math.floor((y - top) / cell), Math.floor((x - left) / cell)];
    if (a < 0 || b < 0 || a >= count || b >= count) return hideTooltip();
    const images = cells.get(a * count + b)?.[2] ?? 0;
    const of = sizes[a] ? ` (${((100 * images) / sizes[a]).toFixed(2)} % of them)` : "";
    showTooltip(event, [`images of ${names[a]}`, `taken for ${names[b]}: ${images.toLocaleString("en")}${of}`]);
  }, () => {});
}

function listClasses(i, { classes, count }) {
  const place = document.getElementById("class-list");
  place.replaceChildren();
  const table = put(place, "table");
  const left = count > classes.length ? `class, worst of ${count.toLocaleString("en")}` : "class, worst first";
  const head = put(put(table, "thead"), "tr");
  for (const text of [left, "images", "top-1, %", ""]) put(head, "th", text, { scope: "col" });
  const body = put(table, "tbody");
  for (const [name, images, accuracy] of classes) {
    const line = put(body, "tr");
    for (const text of [name, images.toLocaleString("en"), accuracy.toFixed(2)]) put(line, "td", text);
    const bar = put(put(line, "td"), "span", "", { class: "bar" });
    put(bar, "i").style.cssText = `width:${accuracy}%;background:${style(i).colour}`;
  }
}

function listPairs({ pairs, names, sizes }) {
  const place = document.getElementById("pair-list");
  place.replaceChildren();
  if (!pairs.length) return put(place, "p", "No image was taken for one of another class.", { class: "note" });
  const table = put(place, "table");
  const head = put(put(table, "thead"), "tr");
  for (const text of ["most confused: image of", "taken for", "images", "of the class, %"]) put(head, "th", text, { scope: "col" });
  const body = put(table, "tbody");
  for (const [a, b, images] of pairs) {
    const line = put(body, "tr");
    const share = ((100 * images) / sizes[a]).toFixed(2);
    for (const text of [names[a], names[b], images.toLocaleString("en"), share]) put(line, "td", text);
  }
}
