"""The three or four large numbers under the headline."""

from __future__ import annotations

import math

from nakami.results import PIXEL, Estimate, StageSummary, Xray, span

from ...page._sections import KeyFigure
from ...words import _numbers as num
from ._completeness import possible
from ._data import Reading, label, say

SHIPPED = "dbn-digits"  # the subject whose figures others are compared with


def key_figures(reading: Reading) -> list[KeyFigure]:
    """Three or four numbers with unit and spread, the network's own facts last."""
    facts = _facts(reading)
    if not reading.solid:
        return [*_unconverged(reading), *facts]
    stage = reading.solid[-1]
    row = reading.main.rows[stage]
    ours = _ours(reading.main.run)
    count = _figure(row.count, reading.say("figure.count", stage=stage, of=possible(row)), ours)
    rank = _figure(row.effective_rank, _rank(reading, stage), _equal(row))
    top = _figure(row.largest, reading.say("figure.largest", stage=stage), say("figure.isometry"))
    if reading.comparison is None or reading.n == 1:
        return [count, rank, top, *facts]
    bound = any(net.rows[stage].count.lower_bound for net in reading.networks)
    change = reading.comparison.change(stage, "largest" if bound else "count")
    case = {"rises": "gained", "falls": "lost"}.get(change.verdict, "changed")
    case = "change_largest" if bound else case
    value, unit = num.split(change.mean, change.se, sign=True)
    if change.open:
        value, high = num.ends(change.low, change.high).split(" to ")
        unit, case = f"to {high}", f"{case}_open"
    gain = KeyFigure(value, unit, say(f"figure.{case}", new=label(reading.main, 18), stage=stage))
    return [count, gain, rank, *(facts or [top])]


def to_compare_with(run: Xray) -> str:
    """One sentence with what the main numbers at the last stage are compared with."""
    rows = run.summary()
    row = next((r for r in reversed(rows) if r.stage in run.path), rows[-1])
    count = "; ".join(filter(None, (say("figure.count_most", most=min(row.shape)), _ours(run))))
    rank, top = _equal(row), say("figure.isometry")
    return say("figure.to_compare", stage=row.stage, count=count, rank=rank or "1", top=top)


def _ours(run: Xray) -> str:
    """The count of the subject that comes with nakami, beside another network in its unit."""
    alike = run.input_unit == PIXEL and run.subject.partition("/")[0] != SHIPPED
    return say("figure.count_reference") if alike else ""


def _figure(e: Estimate, text: str, reference: str) -> KeyFigure:
    bound = "at least" if e.lower_bound else ""
    if e.interval is not None:
        low, high = span(*e.interval).split(" to ")
        unit = num.NBSP.join(filter(None, (f"to {high}", num.split(e.mean, e.sd)[1])))
        return KeyFigure(low, unit, text + say("figure.estimate"), "", reference)
    return KeyFigure(*num.split(e.mean, e.sd), text, bound, reference)


def _equal(row: StageSummary) -> str:
    """The effective rank of an orthogonal and of a random matrix of the stage's shape."""
    m, n = row.shape
    if min(m, n) == 1:
        return ""
    return say("figure.rank_reference", most=min(m, n), gauss=m * n / (m + n + 1))


def _rank(reading: Reading, stage: str) -> str:
    if reading.comparison is None:
        return say("figure.rank", stage=stage)
    old = reading.networks[0]
    was = old.rows[stage].effective_rank
    name = label(old, 18)
    return say("figure.rank_was", stage=stage, bound=was.lower_bound, was=was, old=name)


def _facts(reading: Reading) -> list[KeyFigure]:
    out, old = [], reading.networks[0]
    before = {} if reading.comparison is None else {f[0]: f[1] for f in old.facts}
    for name, mean, spread, kind, unit in reading.main.facts:
        value, tail = num.split(mean, spread)
        text = f"{name}, ± {kind}" if kind and math.isfinite(spread) else name
        if name in before:
            text += f"; {num.number(before[name])} in {label(old, 18)}"
        out.append(KeyFigure(value, num.NBSP.join(filter(None, (unit, tail))), text))
    return out


def _unconverged(reading: Reading) -> list[KeyFigure]:
    spectra = [s for net in reading.networks for s in net.run.spectra]
    worst = max(r.relative_residual for net in reading.networks for r in net.rows.values())
    tol, last = reading.main.run.settings.get("tol"), reading.stages[-1]
    aim = say("figure.aim", tol=float(tol)) if tol else ""
    done, rows = sum(s.converged for s in spectra), reading.main.rows
    most, of = max(r.k for r in rows.values()), min(rows[last].shape)
    return [
        KeyFigure(str(done), f"of {len(spectra)}", say("figure.converged", aim=aim)),
        KeyFigure(num.number(worst, 2), "", say("figure.residual")),
        KeyFigure(num.whole(most), f"of {num.whole(of)}", say("figure.computed", stage=last)),
    ]
