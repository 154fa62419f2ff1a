// The first test images, and where each network looks.

const HEAT = [[12, 16, 60], [72, 40, 120], [160, 60, 110], [232, 120, 70], [250, 205, 110], [255, 252, 225]];

function bytes(array) {
  return Uint8Array.from(atob(array.base64), (letter) => letter.charCodeAt(0));
}

/** Paint an array of uint8: (H, W, C) as an image, (H, W) as heat. */
function paint(canvas, array) {
  const [height, width, channels] = array.shape;
  const values = bytes(array);
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const colour = channels ? [0, 1, 2].map((c) => values[i * channels + Math.min(c, channels - 1)]) : heat(values[i]);
    picture.data.set([...colour, 255], 4 * i);
  }
  context.putImageData(picture, 0, 0);
}

function heat(value) {
  const place = (value / 255) * (HEAT.length - 1);
  const below = Math.min(Math.floor(place), HEAT.length - 2);
  return HEAT[below].map((start, c) => start + (place - below) * (HEAT[below + 1][c] - start));
}

/** The rows that have something to show, each with the networks side by side: alone first, if there is such a row. */
function looks() {
  return page.rows.flatMap((row, i) => {
    if (!row.look) return [];
    const alone = row.baseline === null ? null : page.rows[row.baseline].look;
    const beside = alone && alone.images === row.look.images;
    const first = beside ? [{ ...alone.networks[0], caption: page.rows[row.baseline].label, row: row.baseline }] : [];
    const [own, ...others] = row.look.networks;
    const networks = [...first, { ...own, caption: row.label, row: i }, ...others.map((other) => ({ ...other, caption: other.name }))];
    return [{ i, label: row.label, seed: row.look.seed, images: page.images[row.look.images], networks }];
  });
}

function startLooks() {
  const all = looks();
  const select = document.getElementById("look-row");
  if (!all.length) {
    document.querySelector("#attention .controls").remove();
    document.getElementById("look-note").textContent = "None of these runs recorded it (no insight.json).";
    return;
  }
  all.forEach((look, n) => put(select, "option", look.label, { value: n }));
  const helped = all.findIndex(({ i }) => page.rows[i].baseline !== null);
  select.value = Math.max(helped, 0);
  const stages = document.getElementById("look-stage");
  const chosen = () => all[select.value];
  const offer = () => {
    const before = stages.value;
    const names = [...new Set(chosen().networks.flatMap(({ stages }) => Object.keys(stages)))];
    stages.replaceChildren();
    for (const name of names) put(stages, "option", name.replace("stage", ""), { value: name });
    const fine = names.filter((name) => chosen().networks.every((network) => network.stages[name]?.[0]?.shape[0] > 3));
    stages.value = names.includes(before) ? before : fine.at(-1) ?? names[0] ?? "";
  };
  select.addEventListener("change", () => { offer(); drawLooks(chosen(), stages.value); });
  stages.addEventListener("change", () => drawLooks(chosen(), stages.value));
  offer();
  drawLooks(chosen(), stages.value);
}

function drawLooks({ images, networks, seed }, stage) {
  const place = document.getElementById("looks");
  place.replaceChildren();
  const table = put(place, "table");
  const head = put(table, "tr");
  put(head, "th", `test image${seed === null ? "" : `; seed ${seed}`}`);
  for (const image of images) {
    const cell = put(head, "td");
    paint(put(cell, "canvas"), image.pixels);
    put(cell, "div", image.class ?? "");
  }
  for (const network of networks) {
    const line = put(table, "tr");
    const name = put(line, "th", network.caption);
    if (network.row !== undefined) name.prepend(key(network.row), document.createElement("br"));
    images.forEach((image, n) => {
      const cell = put(line, "td");
      const map = network.stages[stage]?.[n];
      if (map) paint(put(cell, "canvas"), map);
      else put(cell, "div", "no map");
      const answer = network.predictions[n];
      if (!answer) return;  // its outputs are no classes
      const right = answer.label === image.label;
      put(cell, "div", `${right ? "" : "✗ "}${answer.class} ${Math.round(100 * answer.probability)} %`, { class: right ? "right" : "wrong" });
    });
  }
}
