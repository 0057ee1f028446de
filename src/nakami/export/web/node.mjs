// node node.mjs: runs the examples and says how far they are from torch.
import { readFile } from "node:fs/promises";
import * as ort from "./ort/ort.wasm.min.mjs";
import { checked, opened, shares } from "./model.js";

const here = (name) => readFile(new URL(name, import.meta.url)).then((b) => new Uint8Array(b));
ort.env.wasm.wasmBinary = await here("ort/ort-wasm-simd-threaded.wasm");
const model = await opened(ort, here);
const { difference, relative } = await checked(model);
const answers = [];
for (const { inputs } of model.about.examples) {
  const output = await model.run(inputs);
  const best = output.indexOf(Math.max(...output));
  answers.push(model.about.labels.length ? model.about.labels[best] : output);
}
const { answer } = model.about;
console.log(JSON.stringify({ difference, relative, column: answer?.column, answers }));
if (!(relative <= model.about.limit)) process.exit(1);
