"""The page on depth in layers, time and structure; each sentence follows from the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from _depths_verdicts import (
    BINS,
    DEPTH,
    KEPT,
    RANK,
    RIVALS,
    TOP,
    TREE,
    WORDS,
    Pair,
    Records,
    against_time,
    bends,
    ends,
    gates,
    ranks,
    rate,
    sign,
    toward_one,
)
from _shared import charts, made_in
from _wide import mean_error, table

NAME, SHOWN = "depth_in_time_and_structure", ("1", "2", "4", "8", "16")
AXES = ("layers", "time", "structure")
WEIGHTS = ("trained", "untrained")
RANGE, LOG = (-12, 6), {"type": "log"}  # of the chart
MEASURES = {
    1: "Values above a tenth of the largest",
    2: "Effective rank",
    3: "`ln s_1`, nats",
}


def report(records: Records) -> Iterator[str]:
    """The page."""
    yield "# Depth in layers, in time and in structure"
    yield ""
    yield f"Made by `reproductions/{NAME}.py`, whose docstring has settings and statements. Means ±"
    yield "s.e. over inputs; a network stands with its seed. Depth: hidden layers or blocks, steps,"
    yield "merges."
    yield ""
    rows = [[key, *of_network(record)] for key, record in in_order(records)]
    yield from table(["network", "depth in", "inputs", "what it can", "CPU s"], rows)
    for column, title in MEASURES.items():
        yield from ("", f"## {title} by depth (seed 0)", "")
        yield from table(["network", "weights", *SHOWN], list(by_depth(records, column)))
    yield from ("", "## Lyapunov spectrum of finite depth, `ln s_i / t` (seed 0)", "")
    yield "At t = 8 or the deepest, at even steps of the index i from the first value to the last:"
    yield ""
    yield from table(["network", "weights", "t", "0", "1/4", "1/2", "3/4", "1"], spectra(records))
    for section in (structure, training, task, falling, gated):
        yield ""
        yield from section(records)
    yield ""
    yield made_in(sum(record["cpu"] for record in records.values()))
    yield ""


def in_order(records: Records) -> list[tuple[str, dict[str, Any]]]:
    """Records by axis."""
    return sorted(records.items(), key=lambda item: AXES.index(item[1]["axis"]))


def of_network(record: dict[str, Any]) -> list[str]:
    """Axis, inputs, figure, seconds."""
    what, value = record["figure"]
    figure = f"{what}: {value:.3g}" if value is not None else ""
    return [record["axis"], str(len(record["trained"]["ends"])), figure, f"{record['cpu']:.0f}"]


def by_depth(records: Records, column: int) -> Iterator[list[str]]:
    """A row for each network and its weights."""
    for key, record in in_order(records):
        if key.endswith("/0"):
            for weights in WEIGHTS:
                curves = record[weights]["curves"]
                cells = [told(curves[t][column]) if t in curves else "" for t in SHOWN]
                yield [key[:-2] if weights == "trained" else "", weights, *cells]


def spectra(records: Records) -> list[list[str]]:
    """Five of the exponents of each network."""
    rows = []
    for key, record in in_order(records):
        for weights in WEIGHTS if key.endswith("/0") else ():
            found = record[weights]["spectrum"]
            some = [found[round(i * (len(found) - 1) / 4)] for i in range(5)]
            cells = ["below the floor" if each is None else told(each) for each in some]
            name = key[:-2] if weights == "trained" else ""
            rows.append([name, weights, str(record[weights]["span"]), *cells])
    return rows


def structure(records: Records) -> Iterator[str]:
    """Statement 1."""
    yield "## 1. Do trees keep a word better than time?"
    yield ""
    yield "`ln s_1` from a word to the end, the tree's minus the other's, by words of the sentence:"
    yield ""
    found = list(against_time(records))
    rows = [[f"{r}/{seed}", weights, *map(told, pairs)] for r, weights, seed, pairs in found]
    yield from table(["tree minus", "weights", *(f"{a}-{b}" for a, b in BINS)], rows)
    yield ""
    yield "At the end, over all these words: the depth, values above a tenth of the largest,"
    yield "effective rank."
    yield ""
    yield from table(["network", "weights", "depth", "values", "rank"], list(at_the_end(records)))
    yield ""
    for weights in WEIGHTS:
        for rival in RIVALS:
            signs = [sign(p) for r, w, _, ps in found if (r, w) == (rival, weights) for p in ps]
            if not signs:
                continue
            yield f"* {weights}, {rival}: the tree keeps more in {counted(signs, 1)}, less in"
            yield f"  {counted(signs, -1)}, undecided in {counted(signs, 0)} (lengths and seeds)."


def at_the_end(records: Records) -> Iterator[list[str]]:
    """Rows for the networks of statement 1."""
    for key in records:
        if key.rpartition("/")[0] in (TREE, *RIVALS):
            for weights in WEIGHTS:
                some = (ends(records, key, column, weights) for column in (DEPTH, KEPT, RANK))
                yield [key, weights, *(told(mean_error(each)) for each in some)]


def training(records: Records) -> Iterator[str]:
    """Statement 2."""
    yield "## 2. Does training move the spectrum toward 1?"
    yield ""
    rows, said = [], list[tuple[str, str]]()
    for key, record in in_order(records):
        first, flat, verdict = toward_one(record)
        above = [told(record[weights]["counts"]) for weights in WEIGHTS]
        rows.append([key, record["axis"], told(first), told(flat), *above, verdict])
        said.append((record["axis"], verdict))
    yield "Changes of `|ln s_1| / t` and of the mean `|ln s_i| / t`, and how many values are above"
    yield "the floor:"
    yield ""
    head = ["network", "depth in", "first", "mean", *WEIGHTS, "verdict"]
    yield from table(head, rows)
    yield ""
    for axis in AXES:
        verdicts = Counter(verdict for a, verdict in said if a == axis)
        parts = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common())
        yield f"* In {axis}: {parts or 'nothing read'}."
    every = {verdict for _, verdict in said}
    yield f"* The statement {'holds' if every == {'toward 1'} else 'does not hold'} in all."


def task(records: Records) -> Iterator[str]:
    """Statement 3."""
    yield "## 3. Is the effective rank at the end set by task or by depth?"
    yield ""
    yield "Differences of its logarithm:"
    yield ""
    found = list(ranks(records))
    rows = [[f"{name}/{seed}", told(a), told(b), said] for name, seed, a, b, said in found]
    head = ["network", "more classes minus two", "shallow minus deep", "the larger"]
    yield from table(head, rows)
    yield ""
    verdicts = Counter(said for *_, said in found)
    parts = ", ".join(f"{verdict} {n} of {len(found)}" for verdict, n in verdicts.most_common())
    yield f"What decides more: {parts}."


def falling(records: Records) -> Iterator[str]:
    """Statement 4."""
    yield "## 4. Does what is left fall exponentially with depth?"
    yield ""
    yield "`ln s_1` over depth in trained networks: over words where ways end at different depths,"
    yield "else the mean of each input's own. The rate is that between depth 1 and 8, or the last."
    yield ""
    rows, said = [], list[tuple[str, str]]()
    for key, record in in_order(records):
        slope, bend, verdict = bends(record)
        cells = [told(slope), told(bend), verdict, told(rate(record))]
        rows.append([key, record["axis"], *cells])
        said.append((record["axis"], verdict))
    head = ["network", "depth in", "slope", "quadratic term", "verdict", "rate, nats a unit"]
    yield from table(head, rows)
    yield ""
    for axis in AXES:
        verdicts = Counter(verdict for a, verdict in said if a == axis)
        parts = ", ".join(f"{verdict} {n}" for verdict, n in verdicts.most_common())
        yield f"* In {axis}: {parts or 'nothing read'}."


def gated(records: Records) -> Iterator[str]:
    """Statement 5."""
    yield "## 5. Do gates lose least for each unit?"
    yield ""
    found = list(gates(records))
    said = {1: "the gated one", -1: "the other", 0: "undecided"}
    rows = [[a, b, told(x), told(y), said[less]] for a, b, x, y, less in found]
    head = ["gated", "not gated", "rate of the gated", "of the other", "nearer to 0"]
    yield from table(head, rows)
    yield ""
    signs = [less for *_, less in found]
    yield f"The gated network is nearer to 0 in {counted(signs, 1)}, the other in"
    yield f"{counted(signs, -1)}, undecided in {counted(signs, 0)}."


def counted(signs: Sequence[int], which: int) -> str:
    """``3 of 8``."""
    return f"{signs.count(which)} of {len(signs)}"


def told(pair: Pair | Sequence[float]) -> str:
    """``0.51 ± 0.04``; a mean without error where one input was read."""
    mean, error = pair
    return f"{mean:.3g} ± {error:.2g}" if error == error else f"{mean:.3g}"


def draw(records: Records, path: Path) -> None:
    """``ln s_1`` and effective rank by depth; and by words of a sentence what is left of one."""
    alt = charts()
    if alt is None:
        return
    rows = list(curves(records))
    grid = [
        alt.hconcat(
            *(
                panel(alt, [r for r in rows if r["axis"] == axis], f"depth in {axis}", y, scale)
                for axis in AXES
            )
        ).resolve_scale(color="independent", y="shared")
        for y, scale in (("ln s1", alt.Scale(domain=RANGE)), ("effective rank", LOG))
    ]
    level = alt.Axis(labelAngle=0)
    last = panel(
        alt,
        list(by_words(records)),
        "a word of a sentence, at its end",
        "ln s1",
        alt.Scale(zero=False),
    )
    last = last.encode(x=alt.X("words:O", title="words", sort=None, axis=level))
    chart = alt.vconcat(*grid, last).resolve_scale(color="independent")
    chart.configure(aria=False).save(path)


def panel(alt: Any, rows: list[dict[str, Any]], title: str, y: str, scale: Any) -> Any:
    """Lines by depth, trained ones drawn through and untrained ones dashed."""
    legend = alt.Legend(columns=1, labelLimit=260)
    title = f"{title} (dashed: untrained)"
    return (
        alt.Chart(alt.Data(values=rows), width=240, height=220, title=title)
        .mark_line(clip=True)
        .encode(
            x=alt.X("depth:Q", title="units of depth"),
            y=alt.Y(f"{y}:Q", title=y, scale=scale),
            color=alt.Color("network:N", title=None, sort=None, legend=legend),
            strokeDash=alt.StrokeDash("weights:N", sort=list(WEIGHTS), legend=None),
        )
    )


def by_words(records: Records) -> Iterator[dict[str, Any]]:
    """A row for each kind of sentence and network of statement 1: seed 0."""
    for name in (TREE, *RIVALS):
        for weights in WEIGHTS if f"{name}/0" in records else ():
            words = ends(records, f"{name}/0", WORDS)
            tops = ends(records, f"{name}/0", TOP, weights)
            for low, high in BINS:
                mean, _ = mean_error(tops[(words >= low) & (words <= high)])
                yield {
                    "network": name, "weights": weights, "words": f"{low}-{high}", "ln s1": mean,
                }  # fmt: skip


def curves(records: Records) -> Iterator[dict[str, Any]]:
    """A row for each point: seed 0."""
    for key, record in records.items():
        if key.endswith("/0"):
            for weights in WEIGHTS:
                for depth, (n, _, rank, top) in record[weights]["curves"].items():
                    if n > 2:
                        row = {"axis": record["axis"], "network": key[:-2], "weights": weights}
                        yield row | {
                            "depth": int(depth), "ln s1": top[0], "effective rank": rank[0],
                        }  # fmt: skip
