(() => {
"use strict";
const one = (q, el = document) => el.querySelector(q), all = (q, el = document) => [...el.querySelectorAll(q)];
const {charts, config} = JSON.parse(one("#data").textContent), views = {}, columns = {};

/* Theme: charts follow by CSS variables. */
const KEY = "nakami-theme", root = document.documentElement;
const paint = t => { if (t === "auto") delete root.dataset.theme; else root.dataset.theme = t; };
let theme = "auto";
try { theme = localStorage.getItem(KEY) || "auto"; } catch { /* blocked */ }
if (!["auto", "light", "dark"].includes(theme)) theme = "auto";
paint(theme);
one(`#theme [value=${theme}]`).checked = true;
one("#theme").addEventListener("change", e => {
  paint(e.target.value);
  try { localStorage.setItem(KEY, e.target.value); } catch { /* not remembered */ }
});

/* Data come as columns. */
const rows = id => columns[id] ??= Object.fromEntries(Object.entries(charts[id].data).map(([name, cols]) => {
  const keys = Object.keys(cols);
  return [name, cols[keys[0]].map((_, i) => Object.fromEntries(keys.map(k => [k, cols[k][i]])))];
}));
const group = g => Object.keys(charts).filter(id => charts[id].group === g);

async function draw(id) {
  const c = charts[id], el = one(`[data-chart="${id}"]`);
  const spec = structuredClone(c.spec);
  for (const [axis, mode] of Object.entries(c.state)) for (const {encoding: e} of spec.layer)
    if (e[axis]?.scale) Object.assign(e[axis], c.modes[axis][mode]);
  spec.datasets = {...rows(id)};
  if (c.index) spec.params[0].value = c.index;
  spec.description = c.text;
  if (el.clientWidth < 460 && spec.height > 260) spec.height = Math.round(spec.height * .8);
  views[id]?.finalize();
  const {view} = await vegaEmbed(el, spec, {actions: false, renderer: "svg", ast: true, config, defaultStyle: false, tooltip: false});
  views[id] = view;
  el.style.minHeight = "";
  const texts = c.data.numbers ? number : c.data.names && place;
  if (texts) {
    await texts(id);
    view.addSignalListener("width", () => setTimeout(() => texts(id)));
  }
  if (!c.curves.length) return;
  const svg = one("svg", el);
  svg.style.cursor = "crosshair";
  svg.addEventListener("pointermove", e => {
    const x = e.clientX - svg.getBoundingClientRect().left - view.origin()[0];
    readers[c.group]?.(view.scale("x").invert(x));
  });
}

/* Texts beside lines keep clear of them and of each other. */
const measure = document.createElement("canvas").getContext("2d");
const between = (p, q, step) => {
  const n = Math.min(80, Math.max(1, Math.ceil(Math.hypot(q.x - p.x, q.y - p.y) / step)));
  return Array.from({length: n + 1}, (_, k) => ({x: p.x + (q.x - p.x) * k / n, y: p.y + (q.y - p.y) * k / n}));
};
const box = (x, y, w, h) => ({x0: x, x1: x + w, y0: y - h / 2, y1: y + h / 2});
const gap = (b, p) => Math.hypot(Math.max(b.x0 - p.x, 0, p.x - b.x1), Math.max(b.y0 - p.y, 0, p.y - b.y1));
const clear = (b, inks, most) => inks.reduce((d, p) => Math.min(d, gap(b, p)), most);
const meets = (b, o, x, y) => b.x0 < o.x1 + x && b.x1 > o.x0 - x && b.y0 < o.y1 + y && b.y1 > o.y0 - y;

/* Numbers by stage leave their usual place only where a line crosses it. */
async function number(id) {
  const view = views[id], sx = view.scale("x"), sy = view.scale("y"), H = view.height(), all = rows(id).numbers, taken = [];
  measure.font = '600 12.5px "Nakami Sans"';
  const at = r => ({x: sx(r.s) + r.shift, y: sy(r.m)}), move = (p, x, y) => ({x: p.x + x, y: p.y + y});
  const inks = all.flatMap((r, i) => {
    const p = at(r), next = all[i + 1], y = v => ({x: p.x, y: sy(v)}), lines = [[move(p, -4.5, 0), move(p, 4.5, 0)], [move(p, 0, -4.5), move(p, 0, 4.5)]];
    if (r.hi !== null) lines.push([y(r.hi), y(r.lo)]);
    if (next?.c === r.c) lines.push([p, at(next)]);
    return lines.flatMap(([a, b]) => between(a, b, 4));
  });
  await view.data("numbers", all.map(r => {
    const p = at(r), w = measure.measureText(r.t).width;
    const best = [[r.dx > r.shift ? 1 : -1, r.dy], [1, -10], [-1, 13], [1, 13], [-1, -10]].map(([side, dy]) => {
      const b = box(p.x + 9 * side - (side < 0 ? w : 0), p.y + dy, w, 13);
      const room = b.y0 < -6.5 || b.y1 > H ? -2 : taken.some(o => meets(b, o, 0, 0)) ? -1 : clear(b, inks, 3);
      return {b, room, dx: r.shift + 9 * side, dy, align: side < 0 ? "right" : "left"};
    }).reduce((a, o) => o.room > a.room ? o : a);
    taken.push(best.b);
    return structuredClone({...r, ...best});
  })).runAsync();
}

/* Names of curves stand where other curves are farthest. */
async function place(id) {
  const c = charts[id], view = views[id], sx = view.scale("x"), sy = view.scale("y"), W = view.width(), H = view.height();
  measure.font = '600 13px "Nakami Sans"';
  const lines = c.curves.map(({name}) => rows(id).src.filter(r => r.c === name)
    .map(r => ({x: sx(r.i), y: sy(r.d ?? r.u ?? r.m)})).filter(p => isFinite(p.x) && isFinite(p.y) && p.y > -5 && p.y < H + 60));
  const dense = lines.map(line => line.flatMap((p, i) => line[i + 1] ? between(p, line[i + 1], 6).slice(0, -1) : [p]));
  const taken = [box(W - 108, sy(1) + 1, 108, 36)], out = [];
  const find = (k, label, least) => {
    const w = measure.measureText(label).width, own = dense[k].filter(p => p.y >= 0 && p.y <= H);
    let best = null;
    own.forEach((p, i) => {
      if (i % 3) return;
      for (const [dx, dy] of [[9, -11], [9, 11], [-9 - w, -11], [-9 - w, 11], [10, 0], [-10 - w, 0], [-w / 2, -14], [-w / 2, 14]]) {
        const b = box(p.x + dx, p.y + dy, w, 16);
        if (b.x0 < 4 || b.x1 > W + 4 || b.y0 < 2 || b.y1 > H - 2) continue;
        if (taken.some(o => meets(b, o, 4, 2)) || own.some(q => gap(b, q) < 2)) continue;
        const free = dense.reduce((d, line, j) => j === k ? d : clear(b, line, d), 40), score = free + p.x / W * 3;
        if (free >= least && (!best || score > best.score)) best = {score, b, label};
      }
    });
    return best;
  };
  c.curves.forEach(({name, text, end}, k) => {
    const best = find(k, name + end, 5) ?? find(k, name + end, 1) ?? find(k, name, 0);
    if (!best) return;
    taken.push(best.b);
    out.push({i: sx.invert(best.b.x0), v: sy.invert((best.b.y0 + best.b.y1) / 2), t: best.label, p: text});
  });
  await view.data("names", out).runAsync();
}

/* Read-out: one index for all charts of a group. */
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
    text.textContent = `index ${i.toLocaleString("en")}`;
    out.replaceChildren(...ids.map(id => cell(id, i, ids.length > 1)).flat());
    slider.setAttribute("aria-valuetext", `index ${i}: ${out.textContent}`);
    for (const id of ids) { charts[id].index = i; views[id]?.signal("idx", i).runAsync(); }
  };
  slider.addEventListener("input", () => readers[g](index[slider.value]));
  readers[g](10);
}
function cell(id, i, titled) {
  const c = charts[id], spans = rows(id).src.filter(r => r.i === i).map(r => {
    const span = document.createElement("span"), swatch = document.createElement("i"), mean = document.createElement("b");
    swatch.className = "sw";
    swatch.style.setProperty("--c", c.curves.find(k => k.name === r.c).colour);
    mean.textContent = r.t;
    span.append(swatch, `${r.c} `, mean, r.e && `\u00a0${r.e}`, DOUBT[r.ok] ?? "", " ");
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
