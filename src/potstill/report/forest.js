// A forest plot: a line a row, its mean gain over the baseline and the interval of that.

const VERDICTS = { BETTER: "var(--c2)", WORSE: "var(--c1)", UNDECIDED: "var(--quiet)" };

function drawForest() {
  const container = document.getElementById("forest-chart");
  if (!container) return;
  container.replaceChildren();
  const known = page.gains.filter(({ mean }) => mean !== null);
  if (!known.length) {
    put(container, "p", "No row and its baseline have a finished run of the same seed.", { class: "note" });
    return;
  }
  const reach = forestReach(known);
  const margin = (reach.high - reach.low || 1) * 0.06;
  const line = 42;
  const chart = frame(container, {
    x: { low: reach.low - margin, high: reach.high + margin, label: `gain over the baseline: ${page.measure.replace(", %", ", points")}`, format: signed },
    y: { low: 0, high: known.length, label: "", ticks: [] },
    height: 66 + line * known.length, name: `gains over the baseline: ${known.map(forestWords).join("; ")}`,
  });
  const { svg, box, toX } = chart;
  draw(svg, "path", { class: "zero", d: `M${toX(0)} ${box.top}V${box.bottom}` });
  known.forEach((gain, n) => drawGain(gain, box.top + n * line, chart));
  watchForest(known, line, chart);
}

/** From where to where the axis goes: zero, all means, and the intervals as far as they do not dwarf everything. */
function forestReach(known) {
  const seeds = known.flatMap(({ differences }) => differences.map(([, one]) => one));
  const spread = Math.max(...seeds, 0) - Math.min(...seeds, 0) || 1;
  const ends = known.flatMap(({ interval }) => interval ?? []);
  return {
    low: Math.max(Math.min(...ends, ...seeds, 0), Math.min(...seeds, 0) - 2 * spread),
    high: Math.min(Math.max(...ends, ...seeds, 0), Math.max(...seeds, 0) + 2 * spread),
  };
}

function drawGain({ row, mean, interval, differences, verdict, said }, top, { svg, box, toX }) {
  const colour = VERDICTS[verdict];
  const y = top + 29;
  const group = draw(svg, "g", { class: "gain", "data-row": row });
  const name = draw(group, "text", { x: box.left, y: top + 14, class: "label" }, page.rows[row].label);
  const word = draw(group, "text", { x: box.right, y: top + 14, "text-anchor": "end", style: `fill:${colour}` }, said.split(",")[0].split(":")[0]);
  shorten(name, box.right - box.left - word.getComputedTextLength() - 12);
  if (interval) {
    const [low, high] = interval.map((end) => Math.min(Math.max(toX(end), box.left), box.right));
    const ends = [low, high].map((x, side) => (toX(interval[side]) === x ? `M${x} ${y - 5}v10` : `M${x} ${y}l${side ? -7 : 7} -5m0 10l${side ? 7 : -7} -5`));
    draw(group, "path", { d: `M${low} ${y}H${high}${ends.join("")}`, stroke: colour, "stroke-width": 2, fill: "none" });
  }
  for (const [, one] of differences) draw(group, "circle", { class: "seed", cx: toX(one), cy: y, r: 2.5 });
  draw(group, "path", { d: MARKS[3], transform: `translate(${toX(mean)} ${y})`, fill: colour, stroke: "var(--page)" });
}

/** As much of a text as fits, with an ellipsis. */
function shorten(text, room) {
  const whole = text.textContent;
  for (let length = whole.length; length > 1 && text.getComputedTextLength() > room; length--) text.textContent = `${whole.slice(0, length - 1)}…`;
  if (text.textContent !== whole) draw(text, "title", {}, whole);
}

function signed(value) {
  return `${value > 0 ? "+" : ""}${digits(value)}`;
}

function forestWords({ row, mean, interval, said }) {
  const ends = interval ? ` (${interval.map((end) => end.toFixed(page.digits)).join(" to ")})` : "";
  return `${page.rows[row].label} ${mean.toFixed(page.digits)}${ends}, ${said}`;
}

function watchForest(known, line, { svg, box }) {
  onHover(svg, (_, y, event) => {
    const gain = known[Math.floor((y - box.top) / line)];
    if (!gain) return hideTooltip();
    const seeds = gain.differences.map(([seed, one]) => `seed ${seed}: ${signed(+one.toFixed(page.digits))}`);
    showTooltip(event, [page.rows[gain.row].label, gain.said, `over ${page.rows[gain.baseline].label}`, ...seeds.slice(0, 12)]);
  }, () => {});
}
