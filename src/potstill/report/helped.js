// The test images that rows get right only with help.

const MOST_KEYS = 3;  // rows whose marks stand below an image

function drawHelped() {
  const place = document.getElementById("helped-images");
  if (!place) return;
  for (const { index, pixels, class: label, rows, said } of page.helped) {
    const figure = put(place, "figure");
    const canvas = put(figure, "canvas", "", { role: "img", "aria-label": `test image ${index}, of class ${label}; ${said.join("; ")}` });
    paint(canvas, pixels);
    const caption = put(figure, "figcaption", `${label} `);
    put(caption, "small", `#${index}`);
    const keys = put(figure, "div", "", { class: "keys" });
    for (const row of rows.slice(0, MOST_KEYS)) keys.append(key(row));
    if (rows.length > MOST_KEYS) put(keys, "small", `+${rows.length - MOST_KEYS}`);
    onHover(figure, (_, __, event) => showTooltip(event, [`test image ${index}, of class ${label}`, ...said]), () => {});
  }
}
