"""The sections about spectra: each heading is a finding by rule, each sentence has its numbers."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from nakami.results import PairedChange, StageSummary

from . import _charts as charts
from . import _numbers as num
from ._aids import compared_aids, kept_aids, own_aids, spectra_aids
from ._reading import Network, Reading, converged
from ._sections import Figure, Section, Table, Text
from ._series import Series, series
from ._verdict import label, told

MAX_PANELS = 6


def spectra_section(reading: Reading) -> Section:
    """Singular values by depth, the evidence."""
    net = reading.main
    curves = depth_curves(net, reading.stages, "input")
    what = f", {label(net, 40)}" if len(reading.networks) > 1 else ""
    chart = charts.spectrum_chart(
        "spectra", curves, _described(net.rows, curves), height=380,
        y_title="singular value s (stage unit per input unit)",
    )  # fmt: skip
    figure = Figure(
        f"Singular values of the Jacobian from the input to each stage{what}",
        spread_caption(reading, curves) + " Move over the chart, or use the slider, to read values.",
        [chart], tools=True, table=values_table(curves),
    )  # fmt: skip
    heading = _spectra_heading(reading)
    may, may_not = spectra_aids(reading)
    return Section("spectra", "Spectra by depth", heading, _spectra_text(reading), [figure], may, may_not)


def depth_curves(net: Network, stages: tuple[str, ...], source: str | None) -> list[Series]:
    """One curve for each stage, coloured by depth."""
    names = unique([num.short(s) for s in stages])
    return [
        series(net.run, s, source, name, f"d{i + 1}", f"t{i + 1}")
        for i, (s, name) in enumerate(zip(stages, names, strict=True))
    ]


def unique(names: list[str]) -> list[str]:
    """Names told apart by a number where shortening made two alike."""
    return [f"{n} ({i + 1})" if names.count(n) > 1 else n for i, n in enumerate(names)]


def spread_caption(reading: Reading, curves: list[Series]) -> str:
    """Of how many inputs, what the band is, and what dotted means."""
    text = f"Mean over {reading.inputs()}; band, ± 1 sd." if reading.n > 1 else f"One {reading.noun}, no spread."
    if any((c.state == 0).any() for c in curves):
        tol = reading.main.run.settings.get("tol")
        aim = f" of {num.plain(float(tol))}" if tol else ""
        text += f" Solid where every {reading.noun} reached the tolerance{aim}, dotted where one did not."
    if charts.has_noise(curves):
        text += " Values below the floor of the arithmetic are noise; the read-out says so."
    return text


def values_table(curves: list[Series]) -> Table:
    """Values at a few indices, as the chart has them."""
    wanted = sorted({i for c in curves for i in c.index if _round(int(i)) or i == c.k})
    rows: list[list[Text]] = []
    for i in wanted:
        cells: list[Text] = [num.whole(int(i))]
        for c in curves:
            at = np.flatnonzero(c.index == i)
            cells.append(_cell(c, int(at[0])) if len(at) else "")
        rows.append(cells)
    head: list[Text] = ["index", *(c.name for c in curves)]
    return Table("Singular values by index", head, rows, tuple(range(len(head))))


def _cell(curve: Series, at: int) -> Markup:
    text = num.pair(float(curve.mean[at]), float(curve.sd[at]))
    return text + Markup(" <i>not converged</i>") if curve.state[at] == 0 else text


def _round(i: int) -> bool:
    return str(i).rstrip("0") in ("1", "2", "5")


def _described(rows: dict[str, StageSummary], curves: list[Series]) -> str:
    ends = "; ".join(
        f"{c.name} from {num.plain(float(c.mean[0]))} at index 1 to {num.plain(float(c.mean[-1]))} "
        f"at index {num.whole(c.k)}" for c in curves
    )  # fmt: skip
    return f"Line chart. Singular values by index: {ends}."


def direction(changes: list[PairedChange]) -> str:
    """``falls``, ``rises`` or ``still`` if every step does so beyond 2 s.e., else ``mixed``.

    With one input there is no s.e., and the plain order is taken.
    """
    words = {
        c.verdict if math.isfinite(c.se) else "falls" if c.mean < 0 else "rises" if c.mean else "still"
        for c in changes
    }
    found = words.pop() if len(words) == 1 else "mixed"
    return "still" if found == "not distinguishable" else found


def _spectra_heading(reading: Reading) -> str:
    stages = reading.solid
    if len(stages) < len(reading.stages):
        n = len(reading.stages)
        missing = n - len(stages)
        return f"Spectra by depth; {num.spelled(missing)} of {num.spelled(n)} stages not converged"
    rows = [reading.main.rows[s] for s in stages]
    if all(r.largest.mean == 0 for r in rows):
        return "Nothing passes: every singular value is zero"
    if all(r.count.mean == 0 for r in rows):
        return "Every direction shrinks on its way in"
    if len(rows) == 1:
        return f"{num.short(rows[0].stage)} keeps {_amount(rows[0])}"
    if any(r.count.lower_bound for r in rows):
        way = direction(reading.trend(lambda s: float(s.decay[-1]), stages))
        return {"falls": "The spectrum steepens with depth", "rises": "The spectrum flattens with depth",
                "still": "The spectrum keeps its slope with depth",
                }.get(way, "The slope of the spectrum changes with depth, not in one direction")  # fmt: skip
    way = direction(reading.trend(lambda s: float(s.count_above_one), stages))
    return {"falls": "Each stage erases more", "rises": "Each stage stretches more directions",
            "still": "Depth makes no distinguishable difference",
            }.get(way, "Stretching and erasing do not follow depth alone")  # fmt: skip


def _amount(row: StageSummary) -> str:
    bound = "at least " if row.count.lower_bound else ""
    return f"{bound}{num.plain(row.count.mean)} of {num.whole(row.shape[1])} directions"


def _spectra_text(reading: Reading) -> Text:
    shown = some(reading.solid)
    if not shown:
        return "No stage converged, so no value is stated here; the curves are drawn dotted."
    k = min(reading.main.rows[s].k for s in shown)
    refs = [i for i in (1, 10, 100) if i <= k][-2:] if k >= 10 else sorted({1, k})
    parts: list[Text] = []
    for r in refs:
        of = [float(reading.main.run.values(s)[:, r - 1].mean()) for s in shown]
        pieces: list[Text] = [num.joined(num.number(v, 2), " at ", num.short(s)) for v, s in zip(of, shown, strict=True)]
        parts.append(num.joined(f"the {_nth(r)} singular value is ", listed(pieces)))
    text = num.joined(parts[0], *(num.joined("; ", p) for p in parts[1:]), ".")
    left = len(reading.stages) - len(reading.solid)
    tail = f" {num.spelled(left).capitalize()} unconverged stages are left out of this sentence." if left > 1 else (
        " One unconverged stage is left out of this sentence." if left else "")  # fmt: skip
    return num.joined(Markup(text[0].upper() + text[1:]), " At s = 1 a small step keeps its length.", tail)


def some(stages: tuple[str, ...]) -> tuple[str, ...]:
    """At most four stages to speak of: all, or first, middle and last."""
    if len(stages) <= 4:
        return stages
    return (stages[0], stages[len(stages) // 2], stages[-1])


def listed(parts: list[Text]) -> Markup:
    """``a, b and c`` of texts that may hold markup."""
    if len(parts) == 1:
        return num.joined(parts[0])
    head = [num.joined(", " if i else "", p) for i, p in enumerate(parts[:-1])]
    return num.joined(*head, " and ", parts[-1])


def _nth(i: int) -> str:
    return {1: "first", 10: "tenth", 100: "hundredth"}.get(i, num.ordinal(i))


def kept_section(reading: Reading) -> Section:
    """Directions kept and effective rank by depth."""
    nets = reading.networks
    both = [
        charts.stage_chart("count", list(reading.stages), _groups(reading, "count"), "directions with s > 1",
                           _stage_text(reading, "count", "Directions with s above 1")),
        charts.stage_chart("rank", list(reading.stages), _groups(reading, "effective_rank"), "effective rank",
                           _stage_text(reading, "effective_rank", "Effective rank")),
    ]  # fmt: skip
    bound = any(r.count.lower_bound or r.effective_rank.lower_bound for n in nets for r in n.rows.values())
    spread = f"One tick for each {reading.noun}; point and bar, mean ± 1 sd of {reading.n}." if reading.n > 1 else f"One {reading.noun}."
    hollow = " A hollow point holds an unconverged spectrum." if len(reading.solid) < len(reading.stages) else ""
    least = " ≥ marks a lower bound: more values than computed may count." if bound else ""
    figure = Figure("How many directions survive", spread + least + hollow, both,
                    layout="duo" if len(reading.stages) <= 5 else "stack", key=len(nets) > 1)  # fmt: skip
    may, may_not = kept_aids(reading)
    return Section("kept", "Directions kept", _kept_heading(reading), _kept_text(reading), [figure], may, may_not)


def _groups(reading: Reading, quantity: str) -> list[charts.Group]:
    out = []
    for i, net in enumerate(reading.networks):
        before = i == 0 and len(reading.networks) > 1
        rows = [net.rows[s] for s in reading.stages]
        each = [[float(getattr(s, "count_above_one" if quantity == "count" else quantity))
                 for s in net.run.at(st)] for st in reading.stages]  # fmt: skip
        out.append(charts.Group(
            net.label, "var(--before)" if before else "var(--after)", before,
            [getattr(r, quantity) for r in rows], each, [not converged(r) for r in rows],
        ))  # fmt: skip
    return out


def _stage_text(reading: Reading, quantity: str, name: str) -> str:
    parts = []
    for net in reading.networks:
        values = ", ".join(
            f"{num.short(s)} {'at least ' if (e := getattr(net.rows[s], quantity)).lower_bound else ''}{num.plain(e.mean)}"
            for s in reading.stages
        )
        parts.append(f"{label(net)}: {values}")
    return f"{name} by stage. {'; '.join(parts)}."


def _kept_heading(reading: Reading) -> str:
    rows = [reading.main.rows[s] for s in reading.solid]
    if not rows:
        return "Directions kept by depth; no stage converged"
    first, last = rows[0], rows[-1]
    if last.largest.mean == 0:
        return "No direction is left"
    if len(rows) == 1 or any(r.count.lower_bound for r in rows):
        bound = "At least " if last.count.lower_bound else ""
        text = f"{bound}{num.plain(last.count.mean)} directions kept at {num.short(last.stage)}"
        return text[0].upper() + text[1:]
    change = reading.trend(lambda s: float(s.count_above_one), (first.stage, last.stage))
    way = {"falls": "falls from", "rises": "rises from", "still": "stays near"}[direction(change)]
    a, b = num.plain(first.count.mean), num.plain(last.count.mean)
    return f"The count {way} {a}" + ("" if way == "stays near" else f" to {b}")


def _kept_text(reading: Reading) -> Text:
    stages = reading.solid
    if not stages:
        return "The counts below come from unconverged spectra and decide nothing."
    rows = [reading.main.rows[s] for s in stages]
    if any(r.count.lower_bound for r in rows):
        ranks = [num.joined(num.estimate(reading.main.rows[s].effective_rank), " at ", num.short(s)) for s in some(stages)]
        return num.joined(
            f"Only the {num.whole(max(r.k for r in rows))} largest values were computed, so counts and effective ranks "
            "are lower bounds: the effective rank is ", listed(list(ranks)), ".",
        )  # fmt: skip
    a, b = rows[0], rows[-1]
    if len(rows) == 1:
        return num.joined("The effective rank is ", num.estimate(b.effective_rank, "(sd)"),
                          "; it does not depend on the border s = 1.")  # fmt: skip
    way = direction(reading.trend(lambda s: s.effective_rank, (a.stage, b.stage)))
    word = {"falls": "falls too, from", "rises": "rises, from", "still": "does not change distinguishably, from"}[way]
    count = direction(reading.trend(lambda s: float(s.count_above_one), (a.stage, b.stage)))
    if way == "falls" and count != "falls":
        word = "falls, from"
    if a.count.mean > 0 and b.count.mean > 0 and count != "still":
        factor = max(a.count.mean, b.count.mean) / min(a.count.mean, b.count.mean)
        first = f"The count {count} by a factor of {num.number(factor, 2)} from {num.short(a.stage)} to {num.short(b.stage)}. "
    else:
        first = f"The count is {num.plain(a.count.mean)} at {num.short(a.stage)} and {num.plain(b.count.mean)} at {num.short(b.stage)}. "
    return num.joined(
        first, f"The effective rank, which does not depend on the border s = 1, {word} ",
        num.number(a.effective_rank.mean), " to ", num.number(b.effective_rank.mean), ".",
    )  # fmt: skip


def compared_section(reading: Reading) -> Section | None:
    """Two networks, paired by input; None for one network."""
    if reading.comparison is None:
        return None
    panels = _panels(reading.stages)
    pairs = {s: _two_curves(reading, s) for s in panels}
    every = [c for pair in pairs.values() for c in pair]
    names = unique([num.short(s, 20) for s in panels])
    drawn = [
        charts.spectrum_chart(f"pair{i}", pairs[s], f"{names[i]}. {_described({}, pairs[s])}", height=230,
                              title=names[i], group="pair", like=every, linear=True, labelled=False)
        for i, s in enumerate(panels)
    ]  # fmt: skip
    note = "" if len(panels) == len(reading.stages) else f" {len(panels)} of {len(reading.stages)} stages drawn; the table holds all."
    spectra = Figure("Spectra of both networks, one panel for each stage",
                     spread_caption(reading, every) + " All panels share their scales and the read-out." + note,
                     drawn, layout="trio", tools=True, key=True)  # fmt: skip
    figures = [spectra, _paired_figure(reading)]
    may, may_not = compared_aids(reading)
    return Section("compared", "Before and after", _compared_heading(reading), _compared_text(reading), figures, may, may_not)


def _paired_figure(reading: Reading) -> Figure:
    assert reading.comparison is not None
    bound = _any_bound(reading)
    quantity, unit = ("largest", "largest singular value") if bound else ("count", "number of directions with s > 1")
    changes = [reading.comparison.change(s, quantity) for s in reading.stages]
    text = f"Paired change of the {unit}: " + ", ".join(
        f"{num.short(c.stage)} {'+' if c.mean > 0 else ''}{num.plain(c.mean)}" for c in changes
    )
    chart = charts.change_chart("change", changes, f"change in the {unit}, for each {reading.noun}", text + ".")
    caption = (f"Faint dots, single {reading.noun}s; diamond and bar, mean ± 2 s.e.; the number is mean ± s.e."
               if reading.n > 1 else f"One {reading.noun}: a difference without a standard error.")  # fmt: skip
    return Figure(f"The same {reading.noun}s, {label(reading.main)} minus {label(reading.networks[0])}", caption, [chart])


def _any_bound(reading: Reading) -> bool:
    return any(net.rows[s].count.lower_bound for net in reading.networks for s in reading.stages)


def _panels(stages: tuple[str, ...]) -> list[str]:
    if len(stages) <= MAX_PANELS:
        return list(stages)
    at = np.linspace(0, len(stages) - 1, MAX_PANELS).round().astype(int)
    return [stages[i] for i in at]


def _two_curves(reading: Reading, stage: str) -> list[Series]:
    old, new = reading.networks
    return [
        series(old.run, stage, "input", label(old), "before", "before", dashed=True),
        series(new.run, stage, "input", label(new), "after", "after"),
    ]


def _compared_heading(reading: Reading) -> str:
    assert reading.comparison is not None
    new, n = label(reading.main, 18), len(reading.solid)
    if n == 0:
        return "Before and after; no stage converged in both networks"
    if reading.n == 1:
        return f"Before and after at one {reading.noun}"
    quantity = "largest" if _any_bound(reading) else "count"
    words = [reading.comparison.change(s, quantity).verdict for s in reading.solid]
    up, down = words.count("rises"), words.count("falls")
    more, fewer = ("has larger gains", "smaller") if quantity == "largest" else ("keeps more directions", "fewer")
    if not up and not down:
        return f"{new} is not distinguishable from {label(reading.networks[0], 18)}"
    if up and down:
        return f"{new} {more} at {up} of {n} stages, {fewer} at {down}"
    where = [num.short(s, 14) for s, w in zip(reading.solid, words, strict=True) if w != "not distinguishable"]
    verb = more if up else more.replace("larger", "smaller").replace("more", "fewer")
    if len(where) == n:
        return f"{new} {verb} at {'every stage' if n > 1 else where[0]}"
    return f"{new} {verb} at {num.listing(where) if len(where) <= 3 else f'{len(where)} of {n} stages'}"


def _compared_text(reading: Reading) -> Text:
    assert reading.comparison is not None
    stages = some(reading.solid)
    if not stages:
        return "Unconverged spectra are shown, not compared."
    if reading.n == 1:
        return f"One {reading.noun} gives a difference, but no standard error, so nothing is said to rise or fall."
    bound = _any_bound(reading)
    quantity, name = ("largest", "largest value") if bound else ("count", "count")
    parts: list[Text] = []
    for s in stages:
        c = reading.comparison.change(s, quantity)
        parts.append(num.joined(told(c.verdict, c.mean, c.se).replace("(s.e.)", "").rstrip("\u00a0"), " at ", num.short(s)))
    text = num.joined(f"Compared {reading.noun} by {reading.noun}, the {name} ", listed(parts), " (paired mean ± s.e.).")
    if bound:
        return text
    last = stages[-1]
    tops = [net.rows[last].largest.mean for net in reading.networks]
    top = reading.comparison.change(last, "largest")
    return num.joined(text, f" The largest value at {num.short(last)} ", told(top.verdict, top.mean, top.se),
                      ", from ", num.number(tops[0]), " to ", num.number(tops[1]), ".")  # fmt: skip


def own_section(reading: Reading) -> Section | None:
    """Spectra of each layer's own Jacobian, where they were measured."""
    net = reading.main
    rows = net.own
    if not rows:
        return None
    stages = tuple(rows)
    curves = depth_curves(net, stages, None)
    chart = charts.spectrum_chart(
        "own", curves, _described(rows, curves), height=320,
        y_title="singular value s (stage unit per unit of the stage before)",
    )  # fmt: skip
    what = f", {label(net, 40)}" if len(reading.networks) > 1 else ""
    figure = Figure(f"Singular values of each layer's own Jacobian{what}", spread_caption(reading, curves),
                    [chart], tools=True, table=values_table(curves))  # fmt: skip
    good = {s: r for s, r in rows.items() if converged(r)}
    heading, text = _own_words(good)
    may, may_not = own_aids(reading)
    return Section("own", "Each layer alone", heading, text, [figure], may, may_not)


def _own_words(rows: dict[str, StageSummary]) -> tuple[str, Text]:
    if not rows:
        return "Each layer alone; none converged", "The curves are dotted and decide nothing."
    top = max(rows.values(), key=lambda r: r.largest.mean)
    stretch = [r for r in rows.values() if r.largest.mean > 1]
    if not stretch:
        heading = "No layer alone stretches any direction"
    else:
        heading = f"{num.spelled(len(stretch)).capitalize()} of {num.spelled(len(rows))} layers alone can stretch a step"
    parts: list[Text] = [
        num.joined(num.estimate(rows[s].largest), " at ", num.short(s)) for s in some(tuple(rows))
    ]
    text = num.joined("The largest value of a layer taken alone is ", listed(parts), " (mean ± sd)")
    return heading, num.joined(text, f"; the largest of all stands at {num.short(top.stage)}.")
