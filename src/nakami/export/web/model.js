// The model and its checked examples; the same for the page and for Node.
export async function opened(ort, read) {
  ort.env.wasm.numThreads = 1; // several would need headers of the server
  const about = JSON.parse(new TextDecoder().decode(await read("page.json")));
  const session = await ort.InferenceSession.create(await read("model.onnx"));
  const run = async (inputs) => {
    const feeds = {};
    for (const [name, { type, dims, data }] of Object.entries(inputs)) {
      const big = type === "int64" ? BigInt64Array.from(data, (x) => BigInt(Math.trunc(x))) : null;
      const kinds = { float32: Float32Array, float64: Float64Array };
      feeds[name] = new ort.Tensor(type, big ?? kinds[type].from(data), dims);
    }
    return Array.from((await session.run(feeds))[session.outputNames[0]].data, Number);
  };
  return { about, run };
}

// Largest difference from torch on the examples, and the same of the largest output of the network,
// which is in its own unit where the file gives the number of a column.
export async function checked({ about, run }) {
  let difference = 0;
  let largest = 1;
  const { shift, scale } = about.answer ?? { shift: 0, scale: 1 };
  for (const { inputs, output } of about.examples) {
    const found = await run(inputs);
    output.forEach((x, i) => {
      const gap = Math.abs(x - found[i]);
      difference = Number.isFinite(gap) ? Math.max(difference, gap) : Infinity;
      largest = Math.max(largest, Math.abs((x - shift) / scale));
    });
  }
  return { difference, relative: difference / scale / largest };
}

// Shares of the classes: outputs that are shares already stay.
export function shares(output) {
  const sum = output.reduce((a, b) => a + b, 0);
  if (Math.abs(sum - 1) < 1e-3 && output.every((x) => x >= 0)) return output;
  const top = Math.max(...output);
  const powers = output.map((x) => Math.exp(x - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / total);
}
