import * as ort from "./ort/ort.wasm.min.mjs";
import { checked, opened, shares } from "./model.js";
import { decoded, encoded } from "./text.js";

const at = (id) => document.getElementById(id);
const read = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());

// As many digits as a thousandth of the deviation has.
function written(value, answer) {
  if (!answer) return value.toPrecision(5);
  return value.toFixed(Math.min(Math.max(3 - Math.floor(Math.log10(answer.scale)), 0), 20));
}

function told(about, output) {
  const rows = at("answers").tBodies[0];
  rows.replaceChildren();
  const classes = about.labels.length > 0;
  const values = classes ? shares(output) : output;
  const order = values.map((_, i) => i);
  if (classes) order.sort((a, b) => values[b] - values[a]);
  for (const i of order.slice(0, 10)) {
    const row = rows.insertRow();
    row.insertCell().textContent = classes ? about.labels[i] : about.answer?.column ?? `output ${i + 1}`;
    row.insertCell().textContent = classes ? `${(100 * values[i]).toFixed(1)} %` : written(values[i], about.answer);
    const bar = document.createElement("i");
    if (classes) bar.style.width = `${100 * values[i]}%`;
    if (classes) row.insertCell().append(bar);
  }
  if (classes) rows.rows[0]?.classList.add("best");
}

// The part of a canvas that is drawn on, in the middle of an empty one, as digits lie in MNIST.
function centred(canvas) {
  const { width, height } = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let [left, top, right, bottom, sum, x, y] = [width, height, -1, -1, 0, 0, 0];
  for (let i = 0; i < width * height; i++) {
    const ink = data[4 * i];
    if (!ink) continue;
    const [u, v] = [i % width, Math.floor(i / width)];
    [left, right, top, bottom] = [Math.min(left, u), Math.max(right, u), Math.min(top, v), Math.max(bottom, v)];
    [sum, x, y] = [sum + ink, x + ink * u, y + ink * v];
  }
  const made = new OffscreenCanvas(width, height);
  const pen = made.getContext("2d");
  pen.fillRect(0, 0, width, height);
  if (!sum) return made;
  const scale = (20 / 28) * Math.min(width / (right - left + 1), height / (bottom - top + 1));
  const place = (middle, first, last, size) =>
    Math.min(Math.max(size / 2 - scale * middle, -scale * first), size - scale * (last + 1));
  pen.setTransform(scale, 0, 0, scale, place(x / sum, left, right, width), place(y / sum, top, bottom, height));
  pen.drawImage(canvas, 0, 0);
  return made;
}

function picture(model) {
  const [, channels, height, width] = model.about.shapes.input;
  const seen = at("seen");
  [seen.width, seen.height] = [width, height];
  const small = seen.getContext("2d", { willReadFrequently: true });
  const answer = async () => {
    const data = small.getImageData(0, 0, width, height).data;
    const pixels = [];
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < width * height; i++)
        pixels.push(channels === 1 ? (0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]) / 255 : data[4 * i + c] / 255);
    told(model.about, await model.run({ input: { type: "float32", dims: [1, channels, height, width], data: pixels } }));
  };
  const show = async (image, w, h) => {
    const side = Math.min(w / width, h / height);
    small.imageSmoothingQuality = "high";
    small.drawImage(image, (w - side * width) / 2, (h - side * height) / 2, side * width, side * height, 0, 0, width, height);
    await answer();
  };
  const canvas = at("drawing");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const empty = () => pen.fillRect(0, 0, canvas.width, canvas.height);
  empty();
  Object.assign(pen, { strokeStyle: "#fff", lineWidth: 22, lineCap: "round", lineJoin: "round" });
  canvas.addEventListener("pointerdown", (e) => {
    canvas.setPointerCapture(e.pointerId);
    pen.beginPath();
    pen.moveTo(e.offsetX, e.offsetY);
  });
  canvas.addEventListener("pointermove", (e) => {
    if (!e.buttons) return;
    pen.lineTo(e.offsetX, e.offsetY);
    pen.stroke();
    show(centred(canvas), canvas.width, canvas.height);
  });
  at("clear").addEventListener("click", () => {
    empty();
    at("answers").tBodies[0].replaceChildren();
  });
  at("file").addEventListener("change", async (e) => {
    if (!e.target.files.length) return;
    const image = await createImageBitmap(e.target.files[0]);
    await show(image, image.width, image.height);
  });
  for (const { inputs, name } of model.about.examples) {
    const tile = document.createElement("canvas");
    [tile.width, tile.height] = [width, height];
    const image = new ImageData(width, height);
    const area = width * height;
    for (let i = 0; i < area; i++)
      for (let c = 0; c < 4; c++)
        image.data[4 * i + c] = c === 3 ? 255 : 255 * inputs.input.data[(channels === 1 ? 0 : c) * area + i];
    tile.getContext("2d").putImageData(image, 0, 0);
    const button = document.createElement("button");
    Object.assign(button, { type: "button", title: name });
    button.setAttribute("aria-label", name);
    button.append(tile);
    button.addEventListener("click", () => show(tile, width, height));
    at("examples").append(button);
  }
  at("picture").hidden = false;
}

function row(model) {
  const form = at("row");
  const { columns, classes, examples } = model.about;
  const fields = {};
  for (const [group, names] of Object.entries(columns))
    fields[group] = names.map((name, i) => {
      const label = document.createElement("label");
      const field = document.createElement(group === "categories" ? "select" : "input");
      if (group === "categories") {
        field.append(new Option("none of them", -1));
        classes[name].forEach((each, place) => field.append(new Option(each, place)));
      } else Object.assign(field, { type: "number", step: "any" });
      field.value = examples[0].inputs[group].data[i];
      label.append(name, field);
      form.append(label);
      return field;
    });
  const answer = async () => {
    const inputs = {};
    for (const [group, own] of Object.entries(fields)) {
      const type = group === "categories" ? "int64" : "float64";
      inputs[group] = { type, dims: [1, own.length], data: own.map((f) => Number(f.value)) };
    }
    told(model.about, await model.run(inputs));
  };
  form.addEventListener("input", answer);
  form.addEventListener("submit", (e) => e.preventDefault());
  form.hidden = false;
  return answer();
}

// A button for each example, named as in the data.
function buttons(model, show) {
  for (const { inputs, name } of model.about.examples) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: name });
    button.addEventListener("click", () => show(inputs));
    at("samples").append(button);
  }
}

function text(model) {
  const field = at("text");
  const answer = async (input) => told(model.about, await model.run({ input }));
  field.addEventListener("input", () => answer(encoded(field.value, model.about.text)));
  at("words").hidden = false;
  field.focus();
  buttons(model, ({ input }) => {
    field.value = decoded(input, model.about.text);
    return answer(input);
  });
}

function drawn(samples) {
  const canvas = at("wave");
  const pen = canvas.getContext("2d");
  const { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = getComputedStyle(document.body).getPropertyValue("--bar");
  const step = samples.length / width;
  for (let x = 0; x < width; x++) {
    let top = 0;
    for (let i = Math.floor(x * step); i < (x + 1) * step && i < samples.length; i++) top = Math.max(top, Math.abs(samples[i]));
    pen.fillRect(x, (height / 2) * (1 - top), 1, Math.max(1, height * top));
  }
}

function sound(model) {
  const [, length] = model.about.shapes.samples;
  const show = async (data) => {
    drawn(data);
    told(model.about, await model.run({ samples: { type: "float32", dims: [1, length], data } }));
  };
  at("audio").addEventListener("change", async (e) => {
    if (!e.target.files.length) return;
    const context = new OfflineAudioContext(1, 1, model.about.rate); // decoding takes its rate
    const whole = await context.decodeAudioData(await e.target.files[0].arrayBuffer());
    const channels = Array.from({ length: whole.numberOfChannels }, (_, c) => whole.getChannelData(c));
    const mean = (i) => channels.reduce((sum, channel) => sum + (channel[i] ?? 0), 0) / channels.length;
    await show(Array.from({ length }, (_, i) => mean(i)));
  });
  at("sound").hidden = false;
  buttons(model, ({ samples }) => show(samples.data));
}

const KINDS = {
  picture: ["Draw, or take a picture of yours", picture],
  row: ["Fill in a row", row],
  text: ["Write a text", text],
  sound: ["Take a sound of yours", sound],
};

try {
  const model = await opened(ort, read);
  const { about } = model;
  document.title = about.name;
  at("name").textContent = about.name;
  const [title, show] = KINDS[about.kind];
  at("title").textContent = title;
  at("training").textContent = about.training;
  await show(model);
  const { difference, relative } = await checked(model);
  const right = relative <= about.limit;
  at("check").textContent = `${about.examples.length === 1 ? "1 example" : `${about.examples.length} examples`} in this browser, at most ${difference.toExponential(1)} from torch${right ? "" : ": too much, do not use the answers"}. Nothing that you give leaves this machine.`;
  document.body.dataset.state = right ? "ready" : "wrong";
} catch (error) {
  at("title").textContent = "The model cannot be loaded";
  at("training").textContent = location.protocol === "file:" ? "Serve the folder: python -m http.server, then open http://localhost:8000." : String(error);
  document.body.dataset.state = "failed";
}
