"""The page of explosion_monitor.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

import numpy as np
from _explosion_scores import SIGNALS, Score, best_threshold, score
from _shared import made_in
from _wide import table

Records = dict[str, dict[str, Any]]
OF_EACH = (
    "relative update (the monitor)",
    "relative update, known before the step",
    "sigma_1 of the recurrent matrix",
    "spectral radius",
    "backward growth",
    "gradient norm over its running median",
    "loss over its running median",
)


def report(
    traces: dict[str, Records], set_on: Sequence[str], verdict: Sequence[int]
) -> Iterator[str]:
    """Explosions, scores of all signals, and of some for each set-up.

    Args:
        traces: Records by set-up.
        set_on: Set-ups that thresholds are set on.
        verdict: Seeds of the tables; others set thresholds.
    """
    tried = {name: _chosen(records, verdict) for name, records in traces.items()}
    setting = [r for name in set_on for r in _chosen(traces[name], verdict, False)]
    alike = [r for name in set_on for r in tried[name]]
    others = [r for name in traces if name not in set_on for r in tried[name]]
    thresholds = {name: best_threshold(setting, signal) for name, signal in SIGNALS.items()}

    yield "# Warned before an explosion: signals compared"
    yield ""
    yield "Trainings that exploded, and at which step (quartiles), of seeds 0 to 9."
    yield ""
    yield from table(["set-up", "rate", "exploded", "step"], list(_explosions(traces, verdict)))
    yield ""
    yield f"Thresholds from {len(setting)} other trainings of {', '.join(set_on)}"
    yield f"({sum(r['explosion'] is not None for r in setting)} exploded). Explosions warned of"
    yield "1 to 50 steps before; lead in steps, median (quartiles) of those warned of; false alarms"
    yield "in 1000 steps of trainings that did not explode. *Others*: no threshold was set on them."
    yield ""
    head = ["signal", "threshold", "setting seeds", "false", "new seeds", "lead", "false"]
    rows = []
    for name, threshold in thresholds.items():
        if threshold is None:
            rows.append([name, "none fits", *[""] * 8])
            continue
        cells = [name, f"{threshold:g}"]
        first, *more = (score(part, SIGNALS[name], threshold) for part in (setting, alike, others))
        cells += [_share(first), f"{first.false_rate:.1f}"]
        for found in more:
            cells += [_share(found), _lead(found), f"{found.false_rate:.1f}"]
        rows.append(cells)
    yield from table([*head, "others", "lead", "false"], rows)
    yield ""
    yield "By set-up, new seeds: warned of, lead (quartiles), false alarms in 1000 steps, warnings"
    yield "more than 50 steps before an explosion (early)."
    yield ""
    rows = []
    for name in OF_EACH:
        threshold = thresholds[name]
        if threshold is not None:
            found = [score(part, SIGNALS[name], threshold) for part in tried.values()]
            rows.append([f"{name} > {threshold:g}", *map(_all, found)])
    yield from table(["signal", *tried], rows)
    yield ""
    yield made_in(sum(r["cpu"] for records in traces.values() for r in records.values()))
    yield ""


def _chosen(records: Records, verdict: Sequence[int], inside: bool = True) -> list[dict[str, Any]]:
    return [r for key, r in records.items() if (int(key.split("/")[1]) in verdict) == inside]


def _explosions(traces: dict[str, Records], verdict: Sequence[int]) -> Iterator[list[str]]:
    for name, records in traces.items():
        for rate in dict.fromkeys(key.split("/")[0] for key in records):
            own = {key: r for key, r in records.items() if key.split("/")[0] == rate}
            runs = _chosen(own, verdict)
            steps = [r["explosion"] for r in runs if r["explosion"] is not None]
            yield [name, rate, f"{len(steps)} of {len(runs)}", _quartiles(steps)]


def _quartiles(numbers: Sequence[float]) -> str:
    if not numbers:
        return "-"
    low, high = np.quantile(numbers, (0.25, 0.75))
    return f"{median(numbers):g} ({low:.3g} to {high:.3g})"


def _share(found: Score) -> str:
    return f"{len(found.leads)} of {found.explosions}"


def _lead(found: Score) -> str:
    return _quartiles(found.leads)


def _all(found: Score) -> str:
    false = f"{found.false_rate:.1f} false" if found.steps else "no calm training"
    early = f"; {found.early} early" if found.early else ""
    if not found.explosions:
        return false
    return f"{_share(found)}; {_lead(found)}; {false}{early}"
