// Puts the page together: keys, legend, switches, sorting.

function drawVisible() {
  drawCurves();
  drawScatter("parameters", "parameters");
  drawScatter("macs", "multiply-adds");
}

function startLegend() {
  const legend = document.getElementById("legend");
  const boxes = page.rows.map((row, i) => {
    const label = put(legend, "label", "", { "data-row": i });
    const box = put(label, "input", "", { type: "checkbox" });
    box.checked = true;
    label.append(key(i));
    put(label, "span", ` ${row.label}`);
    box.addEventListener("change", () => show(i, box.checked));
    label.addEventListener("pointerenter", () => point(i));
    label.addEventListener("pointerleave", () => point(null));
    return box;
  });
  const show = (i, visible) => {
    hidden[visible ? "delete" : "add"](i);
    boxes[i].parentNode.classList.toggle("off", !visible);
    drawVisible();
  };
  const all = (visible) => boxes.forEach((box, i) => { box.checked = visible; show(i, visible); });
  document.getElementById("all").addEventListener("click", () => all(true));
  document.getElementById("none").addEventListener("click", () => all(false));
}

function point(row) {
  const plot = document.querySelector("#curves-chart g");
  if (plot) emphasise(row, plot);
}

function startMeasures() {
  const select = document.getElementById("measure");
  for (const name of measures()) put(select, "option", name);
  select.addEventListener("change", drawCurves);
  document.getElementById("zoom").addEventListener("change", drawCurves);
}

/** A click on a heading of the first table sorts its lines: by number where there are some, else by text. */
function startSorting() {
  const table = document.querySelector("table");
  table.id = "sortable";
  const number = (cell) => parseFloat(cell.textContent.replaceAll(",", ""));
  table.querySelectorAll("th").forEach((heading, column) => heading.addEventListener("click", () => {
    const up = heading.ariaSort === "descending";
    table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    heading.ariaSort = up ? "ascending" : "descending";
    const compare = (a, b) => column > 1
      ? (number(a) || 0) - (number(b) || 0)
      : b.textContent.localeCompare(a.textContent, undefined, { numeric: true });
    const lines = [...table.tBodies[0].rows].sort((a, b) => (up ? 1 : -1) * compare(a.cells[column], b.cells[column]));
    table.tBodies[0].append(...lines);
  }));
}

for (const place of document.querySelectorAll("[data-key]")) place.append(key(+place.dataset.key));
startLegend();
startMeasures();
startSorting();
drawForest();
drawHelped();
drawTuning();
startLooks();
startDetails();
drawVisible();
drawShares();
let width = document.body.clientWidth;
window.addEventListener("resize", () => {
  if (document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  drawVisible();
  drawForest();
  drawTuning();
  drawShares();
  drawDetails();
});
