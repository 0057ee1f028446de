(() => {
"use strict";
const one = (q, el = document) => el.querySelector(q), all = (q, el = document) => [...el.querySelectorAll(q)];
const {charts, config} = JSON.parse(one("#data").textContent);
const views = {}, columns = {};

/* Theme: colours are CSS variables, so charts follow without being drawn again. */
const KEY = "nakami-theme", root = document.documentElement;
const paint = t => { if (t === "auto") delete root.dataset.theme; else root.dataset.theme = t; };
let theme = "auto";
try { theme = localStorage.getItem(KEY) || "auto"; } catch { /* storage may be blocked */ }
if (!["auto", "light", "dark"].includes(theme)) theme = "auto";
paint(theme);
one(`#theme [value=${theme}]`).checked = true;
one("#theme").addEventListener("change", e => {
  paint(e.target.value);
  try { localStorage.setItem(KEY, e.target.value); } catch { /* then it is not remembered */ }
});

/* Data come as columns; Vega wants rows. */
const rows = id => columns[id] ??= Object.fromEntries(Object.entries(charts[id].data).map(([name, cols]) => {
  const keys = Object.keys(cols);
  return [name, cols[keys[0]].map((_, i) => Object.fromEntries(keys.map(k => [k, cols[k][i]])))];
}));
const fill = (part, modes) => {
  if (typeof part === "string" && part[0] === "@") { const [axis, key] = part.slice(1).split("."); return modes[axis][key]; }
  if (Array.isArray(part)) return part.map(p => fill(p, modes));
  if (part && typeof part === "object") return Object.fromEntries(Object.entries(part).map(([k, v]) => [k, fill(v, modes)]));
  return part;
};
const modesOf = c => Object.fromEntries(Object.entries(c.state).map(([axis, mode]) => [axis, c.modes[axis][mode]]));
const group = g => Object.keys(charts).filter(id => charts[id].group === g);

async function draw(id) {
  const c = charts[id], el = one(`[data-chart="${id}"]`);
  const spec = fill(c.spec, modesOf(c));
  spec.datasets = {...rows(id)};
  if (c.curves.length) { spec.datasets.names = []; spec.params[0].value = c.index ?? spec.params[0].value; }
  spec.description = c.text;
  if (el.clientWidth < 460 && spec.height > 260) spec.height = Math.round(spec.height * .8);
  views[id]?.finalize();
  const {view} = await vegaEmbed(el, spec, {actions: false, renderer: "svg", ast: true, config, defaultStyle: false, tooltip: false});
  views[id] = view;
  el.style.minHeight = "";
  if (!c.curves.length) return;
  const svg = one("svg", el);
  svg.style.cursor = "crosshair";
  svg.addEventListener("pointermove", e => {
    const x = e.clientX - svg.getBoundingClientRect().left - view.origin()[0];
    readers[c.group]?.(view.scale("x").invert(x));
  });
  if (!spec.layer.some(l => l.data?.name === "names")) return;
  await place(id);
  view.addSignalListener("width", () => setTimeout(() => place(id)));
}

/* Names of curves: at the place beside a curve that is farthest from all the others. */
const measure = document.createElement("canvas").getContext("2d");
async function place(id) {
  const c = charts[id], view = views[id], sx = view.scale("x"), sy = view.scale("y");
  const W = view.width(), H = view.height(), yOne = sy(1);
  measure.font = '600 13px "Nakami Sans"';
  const lines = c.curves.map(({name}) => rows(id).src.filter(r => r.c === name)
    .map(r => ({x: sx(r.i), y: sy(r.d ?? r.u ?? r.m)})).filter(p => isFinite(p.x) && isFinite(p.y) && p.y > -5 && p.y < H + 60));
  const dense = lines.map(line => line.flatMap((p, i) => {
    const q = line[i + 1]; if (!q) return [p];
    const n = Math.min(80, Math.max(1, Math.ceil(Math.hypot(q.x - p.x, q.y - p.y) / 6)));
    return Array.from({length: n}, (_, k) => ({x: p.x + (q.x - p.x) * k / n, y: p.y + (q.y - p.y) * k / n}));
  }));
  const boxes = [{x0: W - 108, x1: W, y0: yOne - 17, y1: yOne + 19}], out = [];
  const gap = (b, p) => Math.hypot(Math.max(b.x0 - p.x, 0, p.x - b.x1), Math.max(b.y0 - p.y, 0, p.y - b.y1));
  const find = (k, label, least) => {
    const w = measure.measureText(label).width, own = dense[k].filter(p => p.y >= 0 && p.y <= H);
    let best = null;
    own.forEach((p, i) => {
      if (i % 3) return;
      for (const [dx, dy] of [[9, -11], [9, 11], [-9 - w, -11], [-9 - w, 11], [10, 0], [-10 - w, 0], [-w / 2, -14], [-w / 2, 14]]) {
        const b = {x0: p.x + dx, x1: p.x + dx + w, y0: p.y + dy - 8, y1: p.y + dy + 8};
        if (b.x0 < 4 || b.x1 > W + 4 || b.y0 < 2 || b.y1 > H - 2) continue;
        if (boxes.some(o => b.x0 < o.x1 + 4 && b.x1 > o.x0 - 4 && b.y0 < o.y1 + 2 && b.y1 > o.y0 - 2)) continue;
        let free = 40, clash = false;
        for (const q of own) if (gap(b, q) < 2) { clash = true; break; }
        if (clash) continue;
        dense.forEach((line, j) => { if (j !== k) for (const q of line) { const d = gap(b, q); if (d < free) free = d; } });
        const score = free + p.x / W * 3;
        if (free >= least && (!best || score > best.score)) best = {score, b, label};
      }
    });
    return best;
  };
  c.curves.forEach(({name, text, end}, k) => {
    const best = find(k, name + end, 5) ?? find(k, name + end, 1) ?? find(k, name, 0);
    if (!best) return;
    boxes.push(best.b);
    out.push({i: sx.invert(best.b.x0), v: sy.invert((best.b.y0 + best.b.y1) / 2), t: best.label, p: text});
  });
  await view.data("names", out).runAsync();
}

/* Numbers: the sd has two digits, the mean stops where the sd stops. */
const MINUS = "\u2212", NB = "\u00a0";
const fixed = (x, d) => x.toLocaleString("en", {minimumFractionDigits: d, maximumFractionDigits: d}).replace("-", MINUS);
function put(el, mean, sd) {
  const b = document.createElement("b"), size = Math.max(Math.abs(mean), sd ?? 0);
  el.append(b);
  if (size > 0 && size < .001) {
    const e = Math.floor(Math.log10(size)), sup = document.createElement("sup");
    sup.textContent = MINUS + -e;
    b.textContent = fixed(mean / 10 ** e, 1);
    el.append((sd === null ? "" : `${NB}±${NB}${fixed(sd / 10 ** e, 1)}`) + `${NB}×${NB}10`, sup);
    return;
  }
  const unit = sd ? 1 - Math.floor(Math.log10(sd)) : mean ? 2 - Math.floor(Math.log10(Math.abs(mean))) : 0;
  const d = Math.max(0, Math.min(6, unit));
  b.textContent = fixed(mean, d);
  if (sd !== null) el.append(`${NB}±${NB}${fixed(sd, d)}`);
}

/* Read-out: pointer and slider drive one index for all charts of a group. */
const readers = {}, DOUBT = {0: " (not converged)", 2: " (below the floor)"};
function reader(g) {
  const box = one(`[data-read="${g}"]`), ids = group(g);
  const index = [...new Set(ids.flatMap(id => charts[id].data.src.i))].sort((a, b) => a - b);
  const label = document.createElement("label"), text = document.createElement("span");
  const slider = Object.assign(document.createElement("input"), {type: "range", min: 0, max: index.length - 1});
  const out = document.createElement("output");
  slider.setAttribute("aria-label", "Read the values at an index");
  out.setAttribute("aria-live", "off");
  out.className = ids.length > 1 ? "many" : "";
  label.append(text, slider);
  box.append(label, out);
  readers[g] = wanted => {
    let at = 0;
    index.forEach((v, k) => { if (Math.abs(v - wanted) < Math.abs(index[at] - wanted)) at = k; });
    const i = index[at];
    slider.value = at;
    text.textContent = `index ${fixed(i, 0)}`;
    out.replaceChildren(...ids.map(id => cell(id, i, ids.length > 1)).flat());
    slider.setAttribute("aria-valuetext", `index ${i}: ${out.textContent}`);
    for (const id of ids) { charts[id].index = i; views[id]?.signal("idx", i).runAsync(); }
  };
  slider.addEventListener("input", () => readers[g](index[slider.value]));
  readers[g](10);
}
function cell(id, i, titled) {
  const c = charts[id], spans = rows(id).src.filter(r => r.i === i).map(r => {
    const span = document.createElement("span"), swatch = document.createElement("i");
    swatch.className = "sw";
    swatch.style.setProperty("--c", c.curves.find(k => k.name === r.c).colour);
    span.append(swatch, `${r.c} `);
    put(span, r.m, r.sd);
    if (DOUBT[r.ok]) span.append(DOUBT[r.ok]);
    span.append(" ");
    return span;
  });
  if (!titled) return spans;
  const div = document.createElement("div"), head = document.createElement("b");
  head.className = "p";
  head.textContent = one(`[data-chart="${id}"]`).previousElementSibling.textContent + " ";
  div.append(head, ...spans);
  return [div];
}

all(".tools[data-for]").forEach(t => t.addEventListener("change", async e => {
  const axis = e.target.closest("[data-axis]").dataset.axis;
  for (const id of group(t.dataset.for)) { charts[id].state[axis] = e.target.value; await draw(id); }
}));
one("[data-stages]")?.addEventListener("change", e =>
  all("[data-stage]").forEach(d => { d.hidden = d.dataset.stage !== e.target.value; }));

/* A table wider than its place says so. */
const sized = new ResizeObserver(entries => entries.forEach(({target: t}) => {
  t.previousElementSibling.hidden = t.scrollWidth <= t.clientWidth + 1;
}));
all(".scroll").forEach(t => sized.observe(t));

function follow() {
  const seen = new IntersectionObserver(entries => entries.filter(e => e.isIntersecting).forEach(e =>
    all(".rail a").forEach(a => a.getAttribute("href") === `#${e.target.id}`
      ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current"))), {rootMargin: "-10% 0px -75% 0px"});
  all("main section[id]").forEach(s => seen.observe(s));
}

(async () => {
  await Promise.all(['400 13px "Nakami Sans"', '600 13px "Nakami Sans"'].map(f => document.fonts.load(f)));
  for (const el of all("[data-chart]")) await draw(el.dataset.chart);
  all("[data-read]").forEach(b => reader(b.dataset.read));
  root.dataset.ready = Math.round(performance.now());
  follow();
})();
})();
