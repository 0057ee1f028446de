// A text as the network takes it, as nakami.data prepares it: words in lower case or characters.
// Letters and numbers are Python's \w, which has no combining marks.
const WORD = /[\p{L}\p{N}_]+(?:['\u2019][\p{L}\p{N}_]+)*/gu;

function parts(text, vector) {
  if (vector === "characters") return [...text];
  return text.toLowerCase().match(WORD) ?? [];
}

// {type, dims, data} for the model; a word that is not known is 1, padding 0.
export function encoded(text, { vector, kinds, length }) {
  const place = new Map(kinds.map((kind, i) => [kind, i]));
  const found = parts(text, vector).map((part) => place.get(part) ?? -1);
  if (vector === "bag") {
    const data = new Array(kinds.length).fill(0);
    for (const i of found) if (i >= 0) data[i] = 1;
    return { type: "float32", dims: [1, kinds.length], data };
  }
  const data = new Array(length).fill(0);
  found.slice(0, length).forEach((i, at) => (data[at] = i < 0 ? 1 : i + 2));
  return { type: "int64", dims: [1, length], data };
}

// The text that an input of the model stands for, as far as its parts are known.
export function decoded({ data }, { vector, kinds }) {
  const places = vector === "bag" ? data.flatMap((x, i) => (x ? [i] : [])) : data.filter((x) => x).map((x) => x - 2);
  return places.map((i) => (i < 0 ? "\u2026" : kinds[i])).join(vector === "characters" ? "" : " ");
}
