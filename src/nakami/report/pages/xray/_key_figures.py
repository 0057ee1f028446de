"""The three or four large numbers under the headline."""

from __future__ import annotations

from typing import Any

from nakami.results import Estimate, Spectrum

from ...page._sections import KeyFigure
from ...words import _numbers as num
from ._completeness import possible
from ._page_data import Reading, label, outcome


def key_figures(reading: Reading) -> list[KeyFigure]:
    """Three or four numbers with unit and spread, the network's own facts last."""
    facts = _facts(reading)
    if not reading.solid:
        return [*_unconverged_figures(reading), *facts]
    stage = reading.solid[-1]
    row, where = reading.main.rows[stage], num.short(stage)
    spread = f"; mean ± sd of {reading.inputs()}" if reading.n > 1 else f"; one {reading.noun}"
    count = _figure(row.count, f"directions kept (s > 1) at {where}, of {possible(row)}{spread}")
    rank = _figure(row.effective_rank, f"effective rank at {where}{_was(reading, stage)}")
    unit = f"stage unit per {reading.origin} unit"
    top = _figure(row.largest, f"largest singular value at {where}, {unit}")
    if reading.comparison is None or reading.n == 1:
        return [count, rank, top, *facts]
    bound = any(net.rows[stage].count.lower_bound for net in reading.networks)
    change = reading.comparison.change(stage, "largest" if bound else "count")
    new = label(reading.main, 18)
    way = {"rises": "gained by", "falls": "lost by"}.get(outcome(change))
    what = f"directions {way} {new}" if way else f"change in directions kept, {new},"
    what = f"change of the largest value, {new}" if bound else what
    value, unit = num.split(change.mean, change.se, sign=True)
    gain = KeyFigure(value, unit, f"{what} at {where}; paired mean ± s.e.")
    return [count, gain, rank, *(facts or [top])]


def _figure(e: Estimate, label: str) -> KeyFigure:
    value, unit = num.split(e.mean, e.sd)
    return KeyFigure(value, unit, label, "at least" if e.lower_bound else "")


def _was(reading: Reading, stage: str) -> str:
    if reading.comparison is None:
        return ""
    old = reading.networks[0]
    row = old.rows[stage].effective_rank
    bound = "at least " if row.lower_bound else ""
    return f"; {bound}{num.number(row.mean)} in {label(old, 18)}"


def _facts(reading: Reading) -> list[KeyFigure]:
    out = []
    for fact in reading.main.run.settings.get("facts") or []:
        spread, kind = fact.get("spread"), fact.get("spread_kind") or ""
        unit = str(fact.get("unit") or "")
        value, tail = num.split(float(fact["value"]), float("nan") if spread is None else spread)
        if unit:
            tail = num.joined(unit, num.NBSP if tail else "", tail)
        text = f"{fact['label']}{f', ± {kind}' if kind and spread is not None else ''}"
        out.append(KeyFigure(value, tail, text + _fact_before(reading, fact)))
    return out


def _fact_before(reading: Reading, fact: dict[str, Any]) -> str:
    if reading.comparison is None:
        return ""
    old = reading.networks[0]
    for other in old.run.settings.get("facts") or []:
        if other.get("label") == fact["label"]:
            return f"; {num.number(float(other['value']))} in {label(old, 18)}"
    return ""


def _unconverged_figures(reading: Reading) -> list[KeyFigure]:
    every: list[Spectrum] = [s for net in reading.networks for s in net.run.spectra]
    worst = max(r.relative_residual for net in reading.networks for r in net.rows.values())
    tol = reading.main.run.settings.get("tol")
    aim = f" to the tolerance {num.number(float(tol))}" if tol else ""
    done = sum(s.converged for s in every)
    return [
        KeyFigure(
            str(done), f"of {len(every)}", f"spectra that converged{aim}"
        ),
        KeyFigure(num.number(worst, 2), "", "largest residual, relative to its value"),
        KeyFigure(
            num.whole(max(r.k for r in reading.main.rows.values())),
            f"of {num.whole(min(reading.main.rows[reading.stages[-1]].shape))}",
            f"singular values computed at {num.short(reading.stages[-1])}",
        ),
    ]  # fmt: skip
