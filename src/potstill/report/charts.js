// What every chart shares: SVG elements, axes, a row's colour and mark, the tooltip.

const page = JSON.parse(document.getElementById("data").textContent);
const hidden = new Set();  // indices of the rows that are unticked

const COLOURS = 8;
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"];
const MARKS = [
  "M-4.5 0A4.5 4.5 0 1 1 4.5 0A4.5 4.5 0 1 1-4.5 0Z", "M-4-4H4V4H-4Z", "M0-5.5 5 4H-5Z", "M0-6 5 0 0 6-5 0Z",
  "M0 5.5 5-4H-5Z", "M-1.5-5H1.5V-1.5H5V1.5H1.5V5H-1.5V1.5H-5V-1.5H-1.5Z",
];

/** A row's looks, the same in every chart: after eight colours the dashes and marks change. */
function style(row) {
  const round = Math.floor(row / COLOURS);
  return {
    colour: `var(--c${row % COLOURS})`,
    dash: DASHES[round % DASHES.length],
    mark: MARKS[round % MARKS.length],
  };
}

/** A new SVG element in `parent`. */
function draw(parent, name, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  parent.append(element);
  return element;
}

/** A new HTML element in `parent`; `text` is never read as markup. */
function put(parent, name, text = "", attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

/** The short line with a mark that stands for a row. */
function key(row) {
  const { colour, dash, mark } = style(row);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ width: 26, height: 12, "aria-hidden": true })) svg.setAttribute(name, value);
  draw(svg, "path", { d: "M0 6H26", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash });
  draw(svg, "path", { d: mark, fill: colour, transform: "translate(13 6) scale(.85)" });
  return svg;
}

/** Round numbers between low and high, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => +((first + i) * step).toPrecision(12));
}

/** Round numbers between low and high on a logarithmic axis: as many a power of ten as there is room for. */
function logTicks(low, high) {
  const factors = [[1, 1.5, 2, 3, 4, 5, 7], [1, 2, 5], [1]][Math.min(2, Math.floor(Math.log10(high / low)))];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++)
    for (const factor of factors) found.push(factor * 10 ** power);
  return found.filter((value) => value >= low && value <= high);
}

/** A count in the field's units: 272 k, 1.7 M. */
function short(value) {
  const [size, unit] = [[1e9, " G"], [1e6, " M"], [1e3, " k"]].find(([size]) => value >= size * 0.9995) ?? [1, ""];
  return `${+(value / size).toPrecision(3)}${unit}`;
}

/** Four digits, without a tail of zeros. */
function digits(value) {
  return value === null ? "not finite" : `${+value.toPrecision(4)}`;
}

/**
 * An empty chart in `container`, as wide as that is.
 * `x` and `y` are {low, high, label, ticks?, log?, format?}. Returns the plot's group, its size and scales.
 */
function frame(container, { x, y, height, name }) {
  container.replaceChildren();
  const width = Math.max(container.clientWidth, 240);
  const box = { left: 46, right: width - 12, top: 26, bottom: height - 40 };
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": name }))
    svg.setAttribute(key, value);
  container.append(svg);
  const scale = ({ low, high, log }, from, to) => {
    const map = log ? Math.log : (value) => value;
    return (value) => from + ((to - from) * (map(value) - map(low))) / (map(high) - map(low));
  };
  const [toX, toY] = [scale(x, box.left, box.right), scale(y, box.bottom, box.top)];
  for (const value of y.ticks ?? ticks(y.low, y.high, height / 60)) {
    draw(svg, "path", { class: "grid-line", d: `M${box.left} ${toY(value)}H${box.right}` });
    draw(svg, "text", { x: box.left - 7, y: toY(value) + 4, "text-anchor": "end" }, (y.format ?? digits)(value));
  }
  for (const value of x.ticks ?? ticks(x.low, x.high, width / 90)) {
    draw(svg, "path", { class: "grid-line", d: `M${toX(value)} ${box.bottom}v4` });
    draw(svg, "text", { x: toX(value), y: box.bottom + 17, "text-anchor": "middle" }, (x.format ?? digits)(value));
  }
  draw(svg, "text", { x: box.left - 40, y: 12 }, y.label);
  draw(svg, "text", { x: (box.left + box.right) / 2, y: height - 5, "text-anchor": "middle" }, x.label);
  return { svg, box, toX, toY };
}

/** Call `at(x, y, event)` in the chart's own units while the pointer is over it, and `leave()` after. */
function onHover(svg, at, leave) {
  const move = (event) => {
    const place = svg.getBoundingClientRect();
    at(event.clientX - place.left, event.clientY - place.top, event);
  };
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerdown", move);
  svg.addEventListener("pointerleave", () => { hideTooltip(); leave(); });
}

function showTooltip(event, lines) {
  const box = document.getElementById("tooltip");
  box.textContent = lines.join("\n");
  box.hidden = false;
  const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - box.offsetWidth - 8);
  const below = event.clientY + 18;
  box.style.left = `${Math.max(8, left)}px`;
  box.style.top = `${below + box.offsetHeight < window.innerHeight ? below : event.clientY - box.offsetHeight - 12}px`;
}

function hideTooltip() {
  document.getElementById("tooltip").hidden = true;
}
