"""Runs of averaged Jacobians as they are printed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from nakami.results import counted

from . import _runs, _tables

if TYPE_CHECKING:
    from nakami.results import LensRun

    from ._groups import JsonOptions

HEAD = ("stage", "error", "for 5 %", "s₁", "agree", "identity", "rank", "without", "check")
OF_SEVERAL = HEAD[1:3] + HEAD[4:5]  # columns that say nothing of one example
ERRORS = (
    "± one standard error, over examples. error: of J, relative; for 5 %: examples it would take.\n"
    "agree: s₁ of the mean over the mean s₁. "
)
ALONE = "One example has no standard errors. "
CAPTION = (
    "identity: share of |J|² along α I.\n"
    "rank: effective rank; without: of J - α I. check: J v against another route."
)


def tell(
    found: LensRun, page: Path | None, output: JsonOptions, saved: list[str] | None = None
) -> None:
    """Print a run: its table, or JSON."""
    body = {**_runs.finished(found.folder), "saved": saved or []} if output.as_json else {}
    lines = [f"Data: {data}."] if (data := found.settings.get("data")) else []
    lines += _tables.output_read(found.settings)
    lines += [f"Saved: {', '.join(saved)}"] if saved else []
    if found.settings.get("derivative"):
        lines.append("Detached: what multiplies states is held as numbers, J x + b is the state.")
    if not found.lenses:
        lines.append(
            f"{found.groups} of {counted(found.settings['groups'], 'group')} so far; the same "
            "command continues the run."
        )
    _tables.tell(output, page, body, [table(found).drawn()], lines)


def table(found: LensRun) -> _tables.TextTable:
    """One row for each stage."""
    rows = [
        (
            one.stage,
            f"{100 * one.error:.2g} %" if one.error > 0 else "",
            f"{one.prompts_for(0.05)}" if one.error > 0 else "",
            _with(one.values[0], one.value_errors[0]),
            *(
                _with(number.value, number.se)
                for number in (
                    one.agreement, one.identity_share, one.participation, one.participation_beyond
                )
            ),
            f"{one.check:.0e}",
        )
        for one in found.lenses.values()
    ]  # fmt: skip
    examples = [one.n_prompts for one in found.lenses.values()] or [found.settings["n_inputs"]]
    title = f"{found.subject}, Jacobians to {found.to}, {counted(examples[0], 'example')}"
    if examples[0] > 1:
        return _tables.TextTable(title, ERRORS + CAPTION, HEAD, rows)
    shown = [i for i, name in enumerate(HEAD) if name not in OF_SEVERAL]
    head, *rows = (tuple(line[i] for i in shown) for line in (HEAD, *rows))
    return _tables.TextTable(title, ALONE + CAPTION, head, rows)


def _with(value: float, se: float) -> str:
    """A number to the first digit of its error: ``0.305±0.005``."""
    if not se > 0:
        return "" if math.isnan(value) else f"{value:.4g}"
    places = max(0, -math.floor(math.log10(se)))
    return f"{value:z.{places}f}±{se:z.{places}f}"


__all__ = ["table", "tell"]
