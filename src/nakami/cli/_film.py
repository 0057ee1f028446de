"""The table of x-rays taken during a training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nakami.results import UNSTATED, counted, evenly

from . import _runs, _tables

if TYPE_CHECKING:
    from nakami.results import StageSummary, XrayHistory

    from ._groups import JsonOptions

MOST = 6  # looks in the table


def tell(found: XrayHistory, page: Path | None, output: JsonOptions) -> None:
    """Print a history: its table, or JSON."""
    body = _runs.finished(found.folder) if output.as_json else {}
    _tables.tell(output, page, body, [table(found).drawn()])


def table(found: XrayHistory) -> _tables.TextTable:
    """Rows for each stage: some looks, spread over the training."""
    looks = evenly(found.looks, MOST)
    runs = [(look.step, found.xray(look.step).summary()) for look in looks]
    rows = [
        _row(step, row)
        for name in found.names
        for step, summary in runs
        for row in summary
        if row.stage == name
    ]
    head = ("stage", "step", "k", "s₁", "s > 1", "eff. rank", "s_k/s₁")
    return _tables.TextTable(f"{found.subject}, over its training", _caption(found), head, rows)


def _row(step: int, row: StageSummary) -> tuple[str, ...]:
    numbers = (row.largest, row.count, row.effective_rank)
    shown = map(_tables.number, numbers)
    return (row.stage, f"{step:,}", str(row.k), *shown, _tables.decay(row))


def _caption(found: XrayHistory) -> str:
    n, looks = len(found.looks), evenly(found.looks, MOST)
    lines = [
        f"{counted(n, 'look')} at {counted(found.n_inputs, 'input')}"
        + (f", {MOST} of them here" if n > MOST else "")
        + ("; mean ± sd over inputs" if found.n_inputs > 1 else "")
        + f". Time: {found.use}.",
    ]
    if found.input_unit != UNSTATED:
        lines.append(f"s > 1: per input unit ({found.input_unit}).")
    rows = [row for look in looks for row in found.xray(look.step).summary()]
    lines += _tables.floor_words(map(_tables.decay, rows))
    doubt = sum(not s.converged for look in found.looks for s in look.spectra)
    for reason, times in found.failures.items():
        lines.append(f"{counted(times, 'look')} failed: {_ended(reason)}")
    if doubt:
        lines.append(f"{counted(doubt, 'spectrum', 'spectra')} did not converge.")
    return "\n".join(lines)


def _ended(reason: str) -> str:
    return reason if reason.endswith(".") else f"{reason}."


__all__ = ["table", "tell"]
