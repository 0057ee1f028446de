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
  const modes = `${c.state.x} ${c.state.y}`;
  if (c.data.labels) spec.datasets.labels = rows(id).labels.filter(r => !r.modes || r.modes === modes);
  if (c.index) spec.params[0].value = c.index;
  spec.description = c.text;
  if (el.clientWidth < 460 && spec.height > 260) spec.height = Math.round(spec.height * .8);
  views[id]?.finalize();
  const {view} = await vegaEmbed(el, spec, {actions: false, renderer: "svg", ast: true, config, defaultStyle: false, tooltip: false});
  views[id] = view;
  for (const {name, bind} of spec.params ?? []) if (bind) slide(view, name);
  el.style.minHeight = "";
  if (!c.curves.length) return;
  const svg = one("svg", el);
  svg.style.cursor = "crosshair";
  svg.addEventListener("pointermove", e => {
    const x = e.clientX - svg.getBoundingClientRect().left - view.origin()[0];
    readers[c.group]?.(view.scale("x").invert(x));
  });
}

/* Sliders of one name move together. */
const sliding = {};
function slide(view, name) {
  (sliding[name] ??= []).push(view);
  view.addSignalListener(name, (_, v) => sliding[name].forEach(o => { if (o.signal(name) !== v) o.signal(name, v).runAsync(); }));
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
all("[data-stages]").forEach(s => s.addEventListener("change", e =>
  all("[data-stage]", s.closest("figure")).forEach(d => { d.hidden = d.dataset.stage !== e.target.value; })));

/* Code is copied, or where the browser refuses that, selected. */
all("[data-copy]").forEach(b => b.addEventListener("click", async () => {
  const code = one("pre:not([hidden])", b.closest("figure"));
  getSelection().selectAllChildren(code);
  try { await navigator.clipboard.writeText(code.textContent); b.textContent = "Copied"; } catch { b.textContent = "Selected"; }
  setTimeout(() => { b.textContent = "Copy"; }, 2000);
}));

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
